//! Any bytes as a file of this kind. `cargo +nightly fuzz run idx fuzz/corpus/idx fuzz/seeds/idx` begins with the files in `fuzz/seeds`.

#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read::read(NAMES, bytes));

const NAMES: &[&str] = &["a-images-idx3-ubyte"];
