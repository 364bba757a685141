//! Any bytes as a file of this kind. `fuzz/corpus/zip` is where to begin: `cargo +nightly fuzz run zip`.

#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read::read(NAMES, bytes));

const NAMES: &[&str] = &["a.zip"];
