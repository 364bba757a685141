//! Any bytes as a configuration. `cargo xtask fuzz --only configuration` begins with the files in `fuzz/seeds/configuration`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| model::configuration(bytes));
