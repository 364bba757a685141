//! Any bytes at all as a checkpoint: opened, walked, and every tensor read.
//!
//! `crates/torch/tests/data` is a good corpus to start from:
//! `cargo +nightly fuzz run checkpoint fuzz/corpus/checkpoint crates/torch/tests/data`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = pfgm_torch::from_bytes(bytes.to_vec()) else { return };
    let root = file.root();
    let _ = root.state_dict();
    for (_, value) in root.entries() {
        let _ = value.state_dict();
    }
    for (_, tensor) in root.tensors().unwrap_or_default() {
        let _ = file.values(tensor);
    }
});
