//! Any bytes as a tar. `cargo xtask fuzz --only tar` begins with the files in `fuzz/seeds/tar`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::TAR, bytes);
});
