//! Any bytes as a file of this kind. `cargo +nightly fuzz run image fuzz/corpus/image fuzz/seeds/image` begins with the files in `fuzz/seeds`.

#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read::read(NAMES, bytes));

const NAMES: &[&str] = &["a.tif", "a.png", "a.jpg", "a.gif", "a.webp", "a.bmp", "a.ppm", "a.tga"];
