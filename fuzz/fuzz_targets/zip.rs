//! Any bytes as a zip. `cargo xtask fuzz --only zip` begins with the files in `fuzz/seeds/zip`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::ZIP, bytes);
});
