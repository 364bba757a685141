//! Frames per second of the page with 500 charges and 200 particles, in headless chromium, as in docs/studio.md:
//! `cargo bench -p pfgm-studio --bench frames`. Browsers show at most 60 per second; the CPU draws them.
#![allow(missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{thread, time::Duration};

use serde_json::Value;
use support::{
    Studio,
    browser::{FIELD, at_desk_and_phone},
};

/// Duration of each situation, for which the page stores frame times.
const SECONDS: u64 = 4;

/// Situations, and the script that starts each. `each` is called in every frame until the next situation.
const SITUATIONS: [(&str, &str); 6] = [
    ("rising", "document.getElementById('rise').click()"),
    ("falling", "document.getElementById('fall').click()"),
    (
        "a charge dragged",
        "each = (now) => point('plane', 'pointermove', .5 + .2 * Math.sin(now / 500), .5 + .2 * Math.cos(now / 500))",
    ),
    (
        "the space turned",
        "point('plane', 'pointerup', .5, .5);
         each = () => point('space', 'pointermove', .5, .5, 5)",
    ),
    ("D = infinity", "each = null; slide('d', 100)"),
    ("no extra dimension", "slide('d', 0); document.getElementById('flat').click()"),
];

/// Functions that the scripts use.
const WORDS: &str = "
    window.each = null;
    window.point = (id, type, x, y, movementX = 0) => {
        const canvas = document.getElementById(id);
        const box = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
        canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, buttons: 1, movementX, bubbles: true, ...place }));
    };
    window.slide = (id, value) => {
        const slider = document.getElementById(id);
        slider.value = value;
        for (const type of ['input', 'change']) slider.dispatchEvent(new Event(type));
    };
    const go = (now) => {
        each?.(now);
        requestAnimationFrame(go);
    };
    requestAnimationFrame(go);";

fn main() {
    let studio = Studio::plain();
    println!("{:<28}{:>10}{:>16}{:>18}", "", "frames/s", "95 % within", "the page's work");
    at_desk_and_phone(&format!("http://{}/", studio.address), FIELD, |browser| {
        browser.run(WORDS);
        browser.run("slide('count', 499)");
        browser.wait("window.studioField().charges === 499");
        browser.run("point('plane', 'pointerdown', .5, .02)");
        browser.wait("window.studioField().charges === 500 && window.studioField().particles === 200");
        for (what, script) in SITUATIONS {
            browser.run(script);
            thread::sleep(Duration::from_secs(1));
            browser.run("window.studioField().frames.length = 0");
            thread::sleep(Duration::from_secs(SECONDS));
            let frames = browser.run("return window.studioField().frames");
            let column = |key: &str| {
                let mut values: Vec<f64> =
                    frames.as_array().unwrap().iter().filter_map(|frame: &Value| frame[key].as_f64()).collect();
                values.sort_by(f64::total_cmp);
                values
            };
            let (apart, work) = (column("apart"), column("work"));
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            println!(
                "{:<28}{:>10.1}{:>13.1} ms{:>15.1} ms",
                format!("{}, {what}", browser.name),
                1000.0 / mean(&apart),
                apart[apart.len() * 95 / 100],
                mean(&work)
            );
        }
    });
}
