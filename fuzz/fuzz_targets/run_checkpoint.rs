//! Any bytes at all as a checkpoint of a run: its specification and its weights are checked before a network is built.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pfgm::checkpoint::Checkpoint;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz.safetensors");
    let Ok(checkpoint) = Checkpoint::parse(path, bytes) else { return };
    checkpoint.averaged(path, &pfgm::device::cpu()).expect("weights were checked");
});
