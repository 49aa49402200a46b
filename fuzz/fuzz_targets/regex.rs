#![no_main]
//! What must hold stands in `bodies/regex.rs`.
#[path = "../bodies/regex.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
