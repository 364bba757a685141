//! Any bytes as a file of this kind. `cargo +nightly fuzz run tar fuzz/corpus/tar fuzz/seeds/tar` begins with the files in `fuzz/seeds`.

#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read::read(NAMES, bytes));

const NAMES: &[&str] = &["a.tar", "a.tar.gz"];
