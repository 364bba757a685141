//! Any bytes as an array file. `cargo xtask fuzz --only array` begins with the files in `fuzz/seeds/array`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::ARRAY, bytes);
});
