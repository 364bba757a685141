//! Any bytes as a checkpoint of a run. `cargo xtask fuzz --only run_checkpoint` begins with the files in `fuzz/seeds/run_checkpoint`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| model::run_checkpoint(bytes));
