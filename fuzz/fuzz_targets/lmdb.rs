//! Any bytes as an LMDB file. `cargo xtask fuzz --only lmdb` begins with the files in `fuzz/seeds/lmdb`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::LMDB, bytes);
});
