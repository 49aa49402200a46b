#![no_main]
//! Whatever script meets whatever file, applying it ends without a panic within
//! the limits, changes nothing that it was given, and gives the same each time.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quahog_cvd::{Files, Limits, Script};

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (script, a, b) = input;
    let Ok(script) = Script::parse(Bytes::copy_from_slice(script)) else { return };
    let files: Files =
        [("a".into(), Bytes::copy_from_slice(a)), ("b".into(), Bytes::copy_from_slice(b))].into();
    let before = files.clone();
    let limits = Limits { member_bytes: 1 << 16, members: 8, ..Limits::default() };
    let made = script.apply(&files, &limits);
    assert_eq!(files, before);
    assert_eq!(made, script.apply(&files, &limits));
    if let Ok(made) = made {
        assert!(made.len() <= 8 && made.values().all(|file| file.len() <= 1 << 16));
    }
});
