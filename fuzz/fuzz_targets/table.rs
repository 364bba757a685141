//! Any bytes as a table. `cargo xtask fuzz --only table` begins with the files in `fuzz/seeds/table`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::TABLE, bytes);
});
