#![no_main]
//! What must hold stands in `bodies/logic.rs`.
#[path = "../bodies/logic.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
