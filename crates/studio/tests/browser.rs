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
    browser.click("#flat");
    browser.wait("document.getElementById('plane-caption').textContent.includes('collapses')");
    lines(browser);
    thread::sleep(Duration::from_secs(3));
    browser.shot("flat");
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
        browser.wait("window.studioField().drawn[1] > 0 && window.studioField().particles === 200");
        browser.click("#rise");
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
        // Particles can be hidden.
        browser.click("#show-particles");
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
        // Samples are in view without scrolling, all of them on a desktop.
        let inside = "return [...document.querySelectorAll('.sample')].filter((s) => s.getBoundingClientRect().bottom <= innerHeight).length";
        let (inside, wanted) = (number(&browser.run(inside)), if browser.phone { 8.0 } else { 20.0 });
        assert!(inside >= wanted, "{inside} samples are in view");
        browser.shot("generate");
        browser.click(".sample:nth-child(2)");
        browser.click(".sample:nth-child(6)");
        browser.wait("document.body.dataset.between === '1-5'");
        assert_eq!(browser.run("return document.querySelectorAll('#strip canvas').length"), json!(9));
        let command = browser.run("return document.getElementById('command').textContent");
        assert!(command.as_str().unwrap().starts_with("pfgm interpolate digits 1 5 --pictures 9"), "{command}");
        browser.keys("#share", "\u{e014}");
        browser.run("document.getElementById('between').scrollIntoView({ block: 'center' })");
        browser.shot("between");
        browser.keys("#file", file.to_str().unwrap());
        browser.wait("!document.querySelector('[data-do=encode]').disabled");
        for what in ["encode", "decode", "denoise", "score"] {
            browser.click(&format!("[data-do={what}]"));
            browser.wait(&format!("document.body.dataset.restored === '{what}'"));
        }
        browser.run("document.getElementById('restored').scrollIntoView({ block: 'center' })");
        browser.shot("uploaded");
        is_accessible(browser);
        assert_eq!(browser.log(), "");
    });
}

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
    let studio = Studio::start(None, vec![folder.path().into()]);
    at_desk_and_phone(
        &format!("http://{}/#training", studio.address),
        "document.body.dataset.logged >= 78",
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
            browser.shot("training");
            is_accessible(browser);
            assert_eq!(browser.log(), "");
        },
    );
}

/// Checks, in both themes, what a program can of WCAG 2.2 AA: names, contrast, sizes of targets, no overflow.
fn is_accessible(browser: &Browser) {
    for _ in 0..2 {
        browser.click("#theme");
        browser
            .shot(&format!("theme-{}", browser.run("return document.documentElement.dataset.theme").as_str().unwrap()));
        is_accessible_in_this_theme(browser);
    }
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
