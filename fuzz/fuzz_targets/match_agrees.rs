#![no_main]
//! What must hold stands in `bodies/match_agrees.rs`.
#[path = "../bodies/match_agrees.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
