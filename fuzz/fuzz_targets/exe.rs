#![no_main]
//! What must hold stands in `bodies/exe.rs`.
#[path = "../bodies/exe.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
