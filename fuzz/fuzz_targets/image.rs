//! Any bytes as an image. `cargo xtask fuzz --only image` begins with the files in `fuzz/seeds/image`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::IMAGE, bytes);
});
