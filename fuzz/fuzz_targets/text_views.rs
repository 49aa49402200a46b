#![no_main]
//! What must hold stands in `bodies/text_views.rs`.
#[path = "../bodies/text_views.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
