//! Any bytes as a file of this kind. `fuzz/corpus/idx` is where to begin: `cargo +nightly fuzz run idx`.

#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read::read(NAMES, bytes));

const NAMES: &[&str] = &["a-images-idx3-ubyte"];
