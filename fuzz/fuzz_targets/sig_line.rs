#![no_main]
//! What must hold stands in `bodies/sig_line.rs`.
#[path = "../bodies/sig_line.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
