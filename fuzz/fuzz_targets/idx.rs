//! Any bytes as IDX or a batch of CIFAR. `cargo xtask fuzz --only idx` begins with the files in `fuzz/seeds/idx`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/data.rs"]
mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    data::read(data::IDX, bytes);
});
