//! Any bytes as a request to the studio. `cargo xtask fuzz --only http` begins with the files in `fuzz/seeds/http`.

#![no_main]
#![allow(dead_code)]

#[path = "../readers/http.rs"]
mod http;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http::read(bytes));
