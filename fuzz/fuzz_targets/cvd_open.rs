#![no_main]
//! Whatever the bytes of a container, opening and verifying it ends without a
//! panic within its limits, and what verifies holds exactly what its `.info`
//! lists.
//!
//! The first byte chooses how much of the way the input is helped along: as it
//! is, behind a good header, or packed behind a good header too.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use quahog_cvd::{Cvd, Limits, Trust, TrustStore};

const HEADER: &str = "ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000";

fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else { return };
    let mut file = Vec::new();
    if mode & 3 != 0 {
        file.extend_from_slice(HEADER.as_bytes());
        file.resize(512, b' ');
    }
    if mode & 3 == 2 {
        let mut encoder = GzEncoder::new(file, Compression::fast());
        if encoder.write_all(data).is_err() {
            return;
        }
        let Ok(packed) = encoder.finish() else { return };
        file = packed;
    } else {
        file.extend_from_slice(data);
    }
    let name = ["mini.cud", "mini.cld", "mini.cvd", "mini-7.cud"][usize::from(mode >> 2 & 3)];
    let limits = Limits { unpacked_bytes: 1 << 20, member_bytes: 1 << 19, ..Limits::default() };
    let Ok(cvd) = Cvd::open(Bytes::from(file), name) else { return };

    let raw = cvd.clone().dangerous_unverified(&limits);
    let Ok(verified) = cvd.verify(&TrustStore::official(), &limits) else { return };
    assert!(raw.is_ok(), "verified, but not well-formed");
    if name.ends_with(".cud") {
        assert_eq!(verified.trust(), &Trust::Unsigned);
    }
    assert_eq!(verified.members().len(), verified.info().files().len());
    for member in verified.members() {
        let listed = verified.info().file(member.name()).expect("every member is listed");
        assert_eq!(listed.size(), member.bytes().len() as u64);
    }
});
