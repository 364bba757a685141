//! Any bytes as a file of this kind. `fuzz/corpus/image` is where to begin: `cargo +nightly fuzz run image`.

#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read::read(NAMES, bytes));

const NAMES: &[&str] = &["a.tif", "a.png", "a.jpg", "a.gif", "a.webp", "a.bmp", "a.ppm", "a.tga"];
