//! Any bytes as the configurations of a folder of diffusers. `cargo xtask fuzz --only diffusers` begins with the files in `fuzz/seeds/diffusers`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| model::import_folder(bytes));
