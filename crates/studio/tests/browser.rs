//! The page in a real browser, by mouse, touch and keyboard, at the sizes of a desktop and of a phone.
#![allow(missing_docs)]

mod support;

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};
use support::{
    Studio,
    browser::{self, Browser, FIELD, at_desk_and_phone},
};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Returns some points of the field lines.
fn lines(browser: &Browser) -> Vec<f64> {
    browser.wait(FIELD);
    let found = browser.run("return [...window.studioField().lines]");
    found.as_array().unwrap().iter().map(number).collect()
}

fn moved(before: &[f64], after: &[f64]) -> f64 {
    before.iter().zip(after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn charges(browser: &Browser) -> f64 {
    number(&browser.run("return window.studioField().charges"))
}

#[test]
fn charges_are_placed_dragged_and_removed_and_lines_follow() {
    let studio = Studio::plain();
    at_desk_and_phone(&format!("http://{}/", studio.address), FIELD, |browser| {
        let name = &browser.name;
        let seen = number(&browser.run("return window.studioField().first"));
        println!("{name}: first picture after {seen:.0} ms");
        browser.shot("field");
        let pointer = if browser.phone { "touch" } else { "mouse" };
        let (before, count) = (lines(browser), charges(browser));
        // Where there is no charge yet.
        browser.drag("#plane", &[(0.08, 0.1)], pointer);
        assert_eq!(charges(browser), count + 1.0);
        let placed = lines(browser);
        assert!(moved(&before, &placed) > 1e-4, "a new charge bends no line");
        browser.drag("#plane", &[(0.08, 0.1), (0.2, 0.2), (0.45, 0.5)], pointer);
        assert_eq!(charges(browser), count + 1.0);
        assert!(moved(&placed, &lines(browser)) > 1e-4, "a dragged charge bends no line");
        keyboard(browser);
        browser.open_controls();
        drawing(browser, pointer);
        choices(browser);
        is_accessible(browser);
        browser.run("document.querySelector('[role=tabpanel]:not([hidden]) figure').scrollIntoView()");
        assert_eq!(browser.log(), "");
    });
}

fn keyboard(browser: &Browser) {
    let count = charges(browser);
    browser.run("document.getElementById('plane').focus()");
    // Up twice, a charge, choose it, move it, remove it.
    browser.keys("#plane", "\u{e013}\u{e013}\u{e007}");
    assert_eq!(charges(browser), count + 1.0);
    browser.keys("#plane", "[");
    let before = lines(browser);
    browser.keys("#plane", "\u{e014}\u{e014}\u{e014}\u{e013}\u{e013}");
    assert!(moved(&before, &lines(browser)) > 1e-5, "a charge moved by keys bends no line");
    browser.keys("#plane", "\u{e017}");
    assert_eq!(charges(browser), count);
}

fn drawing(browser: &Browser, pointer: &str) {
    browser.click("#clear");
    assert_eq!(charges(browser), 0.0);
    browser.run("document.querySelector('[name=tool][value=draw]').click()");
    browser.drag("#plane", &[(0.3, 0.3), (0.5, 0.25), (0.7, 0.3), (0.6, 0.6), (0.5, 0.75)], pointer);
    assert!(charges(browser) >= 4.0, "{}", charges(browser));
    lines(browser);
    browser.shot("drawn");
    browser.run("document.querySelector('[name=tool][value=place]').click()");
}

fn choices(browser: &Browser) {
    browser.run("const s = document.getElementById('shape'); s.value = 'spiral'; s.dispatchEvent(new Event('change'))");
    browser.wait("window.studioField().charges > 20");
    let at_one = lines(browser);
    // The End key takes a slider to its end: D becomes infinite.
    browser.keys("#d", "\u{e010}");
    browser.wait("document.getElementById('d-value').textContent === '\u{221e}'");
    assert!(moved(&at_one, &lines(browser)) > 1e-2);
    browser.shot("diffusion");
    browser.keys("#d", "\u{e011}");
    collapse(browser);
}

/// Without the extra dimension, particles collapse if the charges are smoothed, and do not if they are not. There is no D then.
fn collapse(browser: &Browser) {
    let ended = "window.begun = performance.now(); window.ended = null; const timer = setInterval(() => {
        if (document.getElementById('field-status').textContent.includes('%')) { window.ended = performance.now(); clearInterval(timer); }
    }, 10); document.getElementById('flat').click()";
    browser.run(ended);
    browser.wait("window.ended");
    let taken = number(&browser.run("return window.ended - window.begun"));
    println!("{}: the collapse took {taken:.0} ms", browser.name);
    let share = || {
        let text = browser.run("return document.getElementById('result').textContent");
        let share = text.as_str().unwrap().split(' ').find_map(|word| word.parse::<f64>().ok());
        share.unwrap_or_else(|| panic!("{text}"))
    };
    assert!(share() < 2.0, "{} %: no collapse", share());
    assert_eq!(
        browser.run("return document.getElementById('d').offsetParent"),
        Value::Null,
        "D without extra dimension"
    );
    let status = browser.run("return document.getElementById('field-status').textContent");
    assert!(!status.as_str().unwrap().contains("D ="), "{status}");
    browser.shot("flat");
    // The Home key takes the smoothing to its lowest value.
    browser.keys("#smoothing", "\u{e011}");
    browser.wait("window.studioField().over && document.getElementById('smoothing-value').textContent === '0.001'");
    browser.wait(FIELD);
    assert!(share() > 80.0, "{} %: single charges collapse", share());
    browser.click("#flat");
}

/// Returns how often the page drew the static pictures of the plane and of the space.
fn drawn(browser: &Browser) -> Value {
    browser.run("return window.studioField().drawn")
}

/// Returns how many pixels of a picture are close to a color.
fn near(picture: &image::RgbImage, color: [u8; 3]) -> usize {
    picture.pixels().filter(|pixel| pixel.0.iter().zip(color).all(|(&a, b)| a.abs_diff(b) < 24)).count()
}

#[test]
fn particles_move_over_a_static_picture() {
    let studio = Studio::plain();
    at_desk_and_phone(&format!("http://{}/", studio.address), FIELD, |browser| {
        let name = &browser.name;
        theme(browser, "dark");
        browser.wait("window.studioField().drawn[1] > 0 && window.studioField().particles === 200");
        browser.run("document.getElementById('rise').click()");
        thread::sleep(Duration::from_secs(1));
        let before = (drawn(browser), browser.part("#plane"), browser.part("#space"));
        browser.run("window.studioField().frames.length = 0");
        browser.wait("window.studioField().frames.length > 30");
        let after = (drawn(browser), browser.part("#plane"), browser.part("#space"));
        assert_eq!(before.0, after.0, "{name}: the static picture was drawn for moving particles");
        for (before, after) in [(&before.1, &after.1), (&before.2, &after.2)] {
            assert_ne!(before, after, "{name}: nothing moved");
        }
        // Particles and charges in both; in the space the lines of the dome and of the level.
        for picture in [&after.1, &after.2] {
            assert!(near(picture, [128, 240, 255]) > 100, "{name}: no particle is seen");
        }
        assert!(near(&after.1, [255, 244, 214]) > 100, "{name}: no charge is seen in the plane");
        assert!(near(&after.2, [255, 219, 153]) > 50, "{name}: no charge is seen in the space");
        assert!(near(&after.2, [42, 66, 90]) > 300, "{name}: no dome is seen");
        // A turn of the space redraws the space only.
        browser.keys("#space", "\u{e014}");
        browser.wait(&format!("window.studioField().drawn[1] > {}", after.0[1]));
        assert_eq!(drawn(browser)[0], after.0[0], "{name}: the plane was drawn for a turn of the space");
        // Points and lines can be larger: the same particles, which rest.
        browser.run("document.getElementById('play').click()");
        browser.wait(FIELD);
        let small = near(&browser.part("#plane"), [143, 240, 255]);
        let size =
            "const s = document.getElementById('point-size'); s.value = 300; s.dispatchEvent(new Event('input'))";
        browser.run(size);
        browser.wait(FIELD);
        let large = near(&browser.part("#plane"), [143, 240, 255]);
        assert!(small > 0 && large > 3 * small, "{name}: {small} pixels of small particles, {large} of large ones");
        browser.run("document.getElementById('play').click()");
        // Particles can be hidden.
        browser.run("document.getElementById('show-particles').click()");
        browser.wait(FIELD);
        thread::sleep(Duration::from_millis(300));
        for part in ["#plane", "#space"] {
            assert_eq!(near(&browser.part(part), [128, 240, 255]), 0, "{name}: particles in {part}");
        }
        assert_eq!(browser.log(), "");
    });
}

#[test]
fn samples_are_drawn_and_interpolated_and_images_uploaded() {
    let studio = Studio::plain();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.png");
    let stroke = |x: u32, y: u32| image::Luma([if (14..22).contains(&x) && (4..32).contains(&y) { 240 } else { 6 }]);
    image::GrayImage::from_fn(36, 36, stroke).save(&file).unwrap();
    at_desk_and_phone(&format!("http://{}/#generate", studio.address), "document.body.dataset.drawn > 0", |browser| {
        let spread = "const c = document.querySelector('.sample canvas');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 === 0);
            return [c.width, Math.max(...d) - Math.min(...d), document.querySelectorAll('.sample').length]";
        let found = browser.run(spread);
        assert_eq!((&found[0], &found[2]), (&json!(8), &json!(20)));
        assert!(number(&found[1]) > 100.0, "the first digit is blank: {found}");
        assert!(number(&browser.run("return Number(document.getElementById('nfe').textContent)")) >= 30.0);
        // All samples are in view without scrolling, together with the button that makes them.
        assert_eq!(browser.run(IN_VIEW), json!([20, true]), "samples and button in view");
        browser.shot("generate");
        browser.click(".sample:nth-child(2)");
        browser.click(".sample:nth-child(6)");
        browser.wait("document.body.dataset.between === '1-5'");
        assert_eq!(browser.run("return document.querySelectorAll('#strip canvas').length"), json!(9));
        let command = browser.run("return document.getElementById('command').textContent");
        assert!(command.as_str().unwrap().starts_with("pfgm interpolate digits 1 5 --pictures 9"), "{command}");
        browser.keys("#share", "\u{e014}");
        assert!(is_in_view(browser, "#morph"), "the interpolation is out of view");
        browser.shot("between");
        browser.open_controls();
        browser.keys("#file", file.to_str().unwrap());
        browser.wait("!document.querySelector('[data-do=encode]').disabled");
        for what in ["encode", "decode", "denoise", "score"] {
            browser.click(&format!("[data-do={what}]"));
            browser.wait(&format!("document.body.dataset.restored === '{what}'"));
            assert!(is_in_view(browser, "#restored figure"), "the result of {what} is out of view");
        }
        browser.shot("uploaded");
        let tile = "return document.querySelector('.sample').getAttribute('aria-label')";
        browser.run(
            "const run = document.getElementById('run'); run.value = 'fashion-mnist'; document.body.dataset.drawn = 0;
            run.dispatchEvent(new Event('change'))",
        );
        browser.wait("document.body.dataset.drawn > 0");
        assert_eq!(browser.run(tile), json!("Sample of seed 0, class T-shirt"));
        browser.shot("fashion");
        browser.click("#language");
        assert_eq!(browser.run(tile), json!("种子 0 的样本，类别 T 恤"));
        browser.click("#language");
        is_accessible(browser);
        assert_eq!(browser.log(), "");
    });
}

/// Status line of the generate part, and whether it is marked as an error.
const STATUS: &str =
    "const s = document.getElementById('generate-status'); return [s.textContent, s.classList.contains('wrong')]";

#[test]
fn errors_are_in_the_language_of_the_page() {
    let studio = Studio::plain();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.png");
    fs::write(&file, "no image").unwrap();
    at_desk_and_phone(&format!("http://{}/#generate", studio.address), "document.body.dataset.drawn > 0", |browser| {
        let fails = || {
            browser.wait("document.getElementById('generate-status').classList.contains('wrong')");
            browser.run(STATUS)[0].as_str().unwrap().to_owned()
        };
        browser.click("#language");
        let ask = |id: &str, value: &str| {
            browser.run(&format!(
                "document.getElementById('{id}').value = '{value}';
                document.getElementById('steps').dispatchEvent(new Event('change'))"
            ));
        };
        ask("many", "0");
        assert_eq!(fails(), "样本数为 0，须为 1 到 256。");
        browser.shot("error-zh");
        // Another language translates what is shown, too.
        browser.click("#language");
        assert_eq!(browser.run(STATUS), json!(["seeds: 0 of them; give 1 to 256", true]));
        browser.click("#language");
        ask("many", "4");
        browser.wait("!document.getElementById('generate-status').classList.contains('wrong')");
        ask("seed", "-1");
        assert_eq!(fails(), "起始种子须为不小于 0 的整数。");
        ask("seed", "0");
        browser.wait("document.getElementById('generate-status').textContent.includes('次求值')");
        browser.open_controls();
        browser.keys("#file", file.to_str().unwrap());
        browser.wait("!document.querySelector('[data-do=encode]').disabled");
        browser.click("[data-do=encode]");
        assert!(fails().starts_with("无法解码此图像"), "{}", browser.run(STATUS));
        // Samples that arrive later do not hide the error of what was asked for last.
        let before = browser.run("return document.body.dataset.drawn");
        ask("many", "64");
        browser.click("[data-do=encode]");
        browser.wait(&format!("Number(document.body.dataset.drawn) > {}", before.as_str().unwrap()));
        assert!(fails().starts_with("无法解码此图像"), "{}", browser.run(STATUS));
        browser.run("document.getElementById('run').options[0].value = 'gone'; document.getElementById('run').dispatchEvent(new Event('change'))");
        browser.wait("document.getElementById('generate-status').textContent.includes('gone')");
        assert_eq!(fails(), "没有名为 gone 的训练或模型，它可能已被移走。");
        browser.click("#language");
    });
}

/// Whether a part of an element can be seen, next to the controls.
fn is_in_view(browser: &Browser, selector: &str) -> bool {
    let script = format!(
        "const b = document.querySelector('{selector}').getBoundingClientRect(), c = document.querySelector('.panel:not([hidden]) .controls');
        const last = getComputedStyle(c).position === 'fixed' ? c.getBoundingClientRect().top : innerHeight;
        return b.top >= -1 && b.top + Math.min(b.height, 60) <= last"
    );
    browser.run(&script) == json!(true)
}

/// Number of samples that are seen as a whole, and whether the button is.
const IN_VIEW: &str = "
    const c = document.getElementById('ask'), phone = getComputedStyle(c).position === 'fixed';
    const last = phone ? c.getBoundingClientRect().top : innerHeight, go = document.getElementById('go').getBoundingClientRect();
    const seen = [...document.querySelectorAll('.sample')].filter((s) => s.getBoundingClientRect().top >= 0 && s.getBoundingClientRect().bottom <= last);
    return [seen.length, go.top >= 0 && go.bottom <= innerHeight]";

#[test]
fn trainings_are_followed_with_the_time_left() {
    let folder = tempfile::tempdir().unwrap();
    let line = |step: u64, scale: f64| {
        let loss = scale * (0.3 + 3.0 / (step as f64).sqrt());
        let held = if step.is_multiple_of(100) { format!(",\"held_out_loss\":{}", 1.1 * loss) } else { String::new() };
        format!(
            "{{\"step\":{step},\"loss\":{loss},\"gradient_norm\":{},\"lr\":0.001,\"images_per_second\":{},\"seconds\":{step}{held}}}\n",
            2.0 * loss,
            700 + step % 90
        )
    };
    for (name, scale) in [("first", 1.0), ("second", 0.8)] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        let log: String = (1..40).map(|index| line(25 * index, scale)).collect();
        fs::write(folder.path().join(name).join("log.jsonl"), log).unwrap();
    }
    fs::write(folder.path().join("first/config.toml"), "[train]\nsteps = 5000\n").unwrap();
    // Of a flow that upscales no samples are asked for, so that its checkpoint is not even read.
    fs::create_dir_all(folder.path().join("upscaler/checkpoints")).unwrap();
    fs::write(folder.path().join("upscaler/checkpoints/step-0000025.safetensors"), "").unwrap();
    fs::write(folder.path().join("upscaler/config.toml"), "[train]\nsteps = 50\n[upscale]\nfactor = 2\n").unwrap();
    fs::write(folder.path().join("upscaler/log.jsonl"), line(25, 1.0)).unwrap();
    let studio = Studio::start(None, vec![folder.path().into()]);
    at_desk_and_phone(
        &format!("http://{}/#training", studio.address),
        "document.body.dataset.logged >= 79",
        |browser| {
            let before = browser.run("return document.body.dataset.logged");
            let path = folder.path().join("second/log.jsonl");
            let log = fs::read_to_string(&path).unwrap();
            let next = 25 * (log.lines().count() as u64 + 1);
            fs::write(&path, log + &line(next, 0.8)).unwrap();
            browser.wait(&format!("Number(document.body.dataset.logged) > {}", before.as_str().unwrap()));
            let cards = browser.run("return [...document.querySelectorAll('.card p')].map((p) => p.textContent)");
            let card = |at: usize| cards[at].as_str().unwrap();
            // One step a second in this log: 4025 s for the steps 975 to 5000.
            assert!(card(0).contains("step 975 of 5000") && card(0).ends_with("67 min left"), "{cards}");
            assert!(!card(1).contains("left"), "the end of a run without a configuration is unknown: {cards}");
            assert!(card(2).contains("upscales images"), "{cards}");
            let status = browser
                .run("const s = document.getElementById('training-status'); return [s.textContent, s.className]");
            assert_eq!(status, json!(["3 runs are followed.", "status"]));
            browser.shot("training");
            browser.click("#language");
            let cards = browser.run("return [...document.querySelectorAll('.card p')].map((p) => p.textContent)");
            assert!(cards[0].as_str().unwrap().ends_with("剩余 67 分钟"), "{cards}");
            browser.click("#language");
            is_accessible(browser);
            assert_eq!(browser.log(), "");
        },
    );
}

/// Chooses a theme.
fn theme(browser: &Browser, name: &str) {
    browser.run(&format!("document.getElementById('theme-{name}').click()"));
    browser.wait(&format!("document.documentElement.dataset.theme === '{name}'"));
}

/// Checks, in all themes and languages, what a program can of WCAG 2.2 AA: names, contrast, sizes of targets, no overflow.
fn is_accessible(browser: &Browser) {
    for name in ["dark", "light", "projector"] {
        theme(browser, name);
        is_accessible_in_this_theme(browser);
        browser.shot(&format!("theme-{name}"));
        browser.click("#language");
        is_accessible_in_this_theme(browser);
        browser.shot(&format!("theme-{name}-zh"));
        browser.click("#language");
    }
    browser.run("document.getElementById('view-menu').showPopover()");
    is_accessible_in_this_theme(browser);
    browser.shot("menu");
    browser.run("document.getElementById('view-menu').hidePopover()");
}

fn is_accessible_in_this_theme(browser: &Browser) {
    let problems = browser.run(
        r#"
        const problems = [];
        const seen = (e) => e.offsetParent !== null && getComputedStyle(e).visibility !== "hidden" && !e.closest(".hidden, .skip");
        if (document.documentElement.scrollWidth > innerWidth + 1) problems.push(`the page is ${document.documentElement.scrollWidth} wide in ${innerWidth}`);
        for (const e of document.querySelectorAll("input, select, button, a, canvas[tabindex], [role=img]")) {
            if (!seen(e)) continue;
            const name = e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || e.title;
            if (!name) problems.push(`no name: ${e.outerHTML.slice(0, 80)}`);
            const b = (e.labels?.[0]?.className === "check" || e.closest(".segments")) ? (e.closest("label") ?? e).getBoundingClientRect() : e.getBoundingClientRect();
            if (e.matches("button, input, select, a.quiet") && (b.width < 24 || b.height < 24)) problems.push(`small: ${e.id || e.outerHTML.slice(0, 60)} ${b.width}x${b.height}`);
        }
        const light = (c) => { const f = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
        const parse = (text) => text.match(/[\d.]+/g).map(Number);
        for (const e of document.querySelectorAll("p, span, label, button, legend, dt, dd, figcaption, code, h2, output, a, option, select")) {
            if (!seen(e) || e.disabled || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
            let ground = e;
            while (ground && (parse(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement;
            const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground ? parse(getComputedStyle(ground).backgroundColor) : [0, 0, 0])];
            const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(1)}: ${e.textContent.trim().slice(0, 40)}`);
        }
        const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
        ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => problems.push(`twice: ${id}`));
        return problems;
        "#,
    );
    assert_eq!(problems, json!([]));
}

#[test]
fn reduced_motion_stops_the_particles() {
    if !browser::is_there() {
        return;
    }
    let studio = Studio::plain();
    let browser = Browser::open("still", (1366, 850), false);
    browser.go("about:blank");
    browser.reduce_motion();
    browser.go(&format!("http://{}/", studio.address));
    browser.wait(FIELD);
    assert_eq!(browser.run("return document.getElementById('play').textContent"), json!("Play"));
}

/// Texts of the page that one language lacks, and tours without the texts of a step.
const MISSING: &str = "
    return Promise.all([import('/words/en.js'), import('/words/zh.js')]).then(([{ default: en }, { default: zh }]) => {
        const missing = [];
        const compare = (a, b, where) => Object.keys(a).forEach((key) => {
            if (typeof a[key] !== typeof b[key]) missing.push(`${where}${key}`);
        });
        compare(en, zh, 'zh ');
        compare(zh, en, 'en ');
        for (const e of document.querySelectorAll('[data-t], [data-t-name]')) {
            for (const key of [e.dataset.t, e.dataset.tName]) if (key && typeof en[key] !== 'string') missing.push(`page ${key}`);
        }
        for (const [name, steps] of window.studioTours()) {
            for (const words of [en, zh]) {
                const own = words.tours[name];
                if (!own?.name || own.steps.length !== steps || own.steps.flat().some((text) => !text)) missing.push(`tour ${name}`);
            }
        }
        return missing;
    })";

#[test]
fn the_interface_is_in_the_language_of_the_browser_until_another_is_chosen() {
    let studio = Studio::plain();
    at_desk_and_phone(&format!("http://{}/", studio.address), FIELD, |browser| {
        let language = "return [document.documentElement.lang, document.getElementById('tab-field').textContent]";
        assert_eq!(browser.run(language), json!(["en", "Field"]));
        assert_eq!(browser.run(MISSING), json!([]));
        browser.ask_for_language("zh-CN,en");
        browser.go(&format!("http://{}/?again", studio.address));
        browser.wait(FIELD);
        assert_eq!(browser.run(language), json!(["zh-CN", "电场"]));
        browser.shot("zh");
        browser.click("#language");
        browser.go(&format!("http://{}/?and-again", studio.address));
        browser.wait(FIELD);
        assert_eq!(browser.run(language), json!(["en", "Field"]), "the choice is forgotten");
        browser.click("#full");
        browser.wait("document.fullscreenElement");
        assert_eq!(
            browser.run("return document.getElementById('full').getAttribute('aria-label')"),
            json!("Exit full screen")
        );
        browser.click("#full");
        assert_eq!(browser.log(), "");
    });
}

/// Numbers of the line in the pictures.
fn result(browser: &Browser) -> Vec<f64> {
    let text = browser.run("return document.getElementById('result').textContent");
    let number = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    text.as_str().unwrap().split(' ').filter_map(number).collect()
}

/// Goes to a step of a tour by its address.
fn step(browser: &Browser, place: &str) {
    browser.run(&format!("location.hash = '#field/{place}'"));
    let name = place.split('/').next().unwrap();
    browser.wait(&format!("document.getElementById('tour-choice').value === '{name}' && {FIELD}"));
}

#[test]
fn tours_set_the_playground_and_move() {
    let studio = Studio::plain();
    at_desk_and_phone(&format!("http://{}/", studio.address), FIELD, |browser| {
        browser.open_controls();
        browser.click("#tour-start");
        if !browser.phone {
            every_step_has_a_title_of_its_own(browser);
        }
        browser.keys("#tour-next", "\u{e00f}");
        browser.keys("#tour-next", "\u{e00e}");
        assert_eq!(browser.run("return location.hash"), json!("#field/hemisphere/1"));
        assert_eq!(browser.run("return document.getElementById('tour-back').disabled"), json!(true));

        step(browser, "dimensions/4");
        browser.wait("window.studioField().d === Infinity");
        step(browser, "zoom-out/3");
        browser.wait("window.studioField().zoom === 16 && !window.studioField().zooming");
        browser.shot("tour-zoom");
        moving_stories(browser);
        is_accessible(browser);
        browser.run("location.hash = '#field/extra-dimension/1'");
        browser.wait("window.studioField().flat && window.studioField().over");
        assert!(result(browser)[0] < 2.0, "{:?}", result(browser));
        browser.shot("tour-collapse");
        browser.click("#tour-end");
        browser.wait("!window.studioField().flat && document.getElementById('tour').hidden");
        assert_eq!(browser.log(), "");
    });
}

/// Goes through all tours with the key of a presenter's remote control, and around to the first.
fn every_step_has_a_title_of_its_own(browser: &Browser) {
    let steps = browser.run("return window.studioTours().reduce((sum, tour) => sum + tour[1], 0)");
    let title = "return document.getElementById('tour-title').textContent";
    let mut titles = Vec::new();
    for _ in 0..steps.as_u64().unwrap() {
        titles.push(browser.run(title).to_string());
        browser.wait(FIELD);
        browser.keys("#tour-next", "\u{e00f}");
    }
    assert_eq!(browser.run(title).to_string(), titles[0], "the last tour leads to the first");
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len() as u64, steps.as_u64().unwrap());
}

/// The numbers that the moving stories show are those of the physics.
fn moving_stories(browser: &Browser) {
    let is_told =
        |name: &str| format!("window.studioField().story === '{name}' && !document.getElementById('result').hidden");
    step(browser, "flux-tube/2");
    browser.wait(&is_told("flux-tube"));
    // The share of a patch, then the charge in each tube.
    let found = result(browser);
    assert!(found.len() == 5 && found.iter().all(|share| (share - 4.0).abs() < 1.5), "{found:?}");
    browser.shot("tour-flux-tube");
    step(browser, "inertia/1");
    browser.wait(&is_told("inertia"));
    let away = result(browser);
    assert!(away[0] > 1.5 * away[1] && away[1] > 10.0 * away[2], "{away:?}");
    browser.shot("tour-inertia");
    step(browser, "anchoring/1");
    browser.wait(&is_told("anchoring"));
    browser.wait("document.getElementById('result').textContent.match(/, ([1-9]\\d*) of/)");
    // At a time at which some have arrived, others are far up.
    let heights = result(browser);
    assert!(heights[1] < 0.03 && heights[2] > 0.5, "{heights:?}");
    step(browser, "continuity/2");
    browser.wait(&is_told("continuity"));
    let before = result(browser);
    browser.wait(
        "Number(document.getElementById('result').textContent.match(/z = ([\\d.]+)/)[1].replace(/\\.$/, '')) > 1",
    );
    let after = result(browser);
    // Of 300 particles, at most two pass an outline of 72 corners.
    let moved = before[1..].iter().zip(&after[1..]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(before[1] > 3.0 && moved < 0.7, "{before:?} {after:?}");
    browser.shot("tour-continuity");
    step(browser, "diffusion/1");
    browser.wait(&is_told("diffusion"));
    browser.wait("Number(document.getElementById('result').textContent.match(/[\\d.]+/)[0].replace(/\\.$/, '')) >= 1");
    let found = result(browser);
    // Level, share of diffusion and its expectation, D, share of D = 1 and its expectation.
    assert!(found[1] < 1.5 && (found[4] - found[5]).abs() < 8.0, "{found:?}");
    browser.shot("tour-diffusion");
}
