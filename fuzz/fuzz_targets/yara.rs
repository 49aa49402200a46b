#![no_main]
//! What must hold stands in `bodies/yara.rs`.
#[path = "../bodies/yara.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
