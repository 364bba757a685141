//! Any bytes as a snapshot of EDM or EDM2, imported. `cargo xtask fuzz --only import` begins with the files in `fuzz/seeds/import`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| model::import_file(bytes));
