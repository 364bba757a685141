//! Any bytes as a checkpoint of PyTorch. `cargo xtask fuzz --only checkpoint` begins with the files in `crates/torch/tests/data`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/torch.rs"]
mod torch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| torch::read(bytes));
