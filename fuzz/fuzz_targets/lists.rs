#![no_main]
//! What must hold stands in `bodies/lists.rs`.
#[path = "../bodies/lists.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
