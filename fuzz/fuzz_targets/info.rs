#![no_main]
//! Whatever the text of an `.info`, reading it ends without a panic, and what is
//! read lists distinct plain names, each of which is found again.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quahog_cvd::{Info, Kind, Limits};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { members: 64, ..Limits::default() };
    for kind in [Kind::Cvd, Kind::Cld, Kind::Cud] {
        let Ok(info) = Info::parse(Bytes::copy_from_slice(data), kind, &limits) else { continue };
        assert!((1..=64).contains(&info.files().len()));
        for listed in info.files() {
            assert_eq!(info.file(listed.name()), Some(listed));
            assert!(!listed.name().starts_with('.') && !listed.name().contains('/'));
        }
    }
});
