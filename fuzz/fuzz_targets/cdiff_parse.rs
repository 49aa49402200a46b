#![no_main]
//! Whatever the bytes of a patch, reading frame and script ends without a panic
//! and within the limits, and a script that is read names plain files only.
//!
//! The first byte chooses whether the input is a file or the script in one.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quahog_cvd::{Cdiff, Limits, Script, write};

fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else { return };
    let limits = Limits { script_bytes: 1 << 20, ..Limits::default() };
    if mode & 1 == 0 {
        let _ = Cdiff::dangerous_unverified(data, &limits);
        return;
    }
    let Ok(script) = Script::parse(Bytes::copy_from_slice(data)) else { return };
    if let Some(database) = script.database() {
        assert!(!database.contains(['/', '\\', ' ']));
        let file = write::cdiff(&script, 7, None).expect("memory");
        let patch = Cdiff::dangerous_unverified(&file, &limits).expect("what was written is read");
        assert_eq!((patch.version(), patch.database()), (7, database));
        assert_eq!(patch.script().text(), script.text());
    }
});
