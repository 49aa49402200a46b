//! Bytes that nobody meant: no panic, and no surprise.

use bytes::Bytes;
use proptest::prelude::*;
use quahog_cvd::{Cvd, Limits, TrustStore};

use crate::forge::{HEADLINE, NDB, cud, file, mini, verify, verify_with};
use crate::testkit;

fn small() -> [(Vec<u8>, &'static str); 4] {
    let members = [("mini.ndb", NDB), ("mini.hdb", &b"x"[..])];
    [
        (testkit::cvd("mini", &members), "mini.cvd"),
        (testkit::cld("mini", &members), "mini.cld"),
        (cud(&mini(&members)), "mini.cud"),
        (file(HEADLINE, &mini(&members)), "mini.cud"),
    ]
}

#[test]
fn every_cut_is_an_error() {
    for (file, name) in small() {
        let file = Bytes::from(file);
        let store = testkit::trust_store();
        for len in 0..file.len() {
            let cut = verify_with(file.slice(..len), name, &store, &Limits::default());
            assert!(cut.is_err(), "{name} cut to {len}");
        }
        assert!(verify(file, name).is_ok());
    }
}

/// The ranges that the essay of `trust` names are free in a plain tar, and no
/// others: every bit of the header, one bit of each byte behind it.
#[test]
fn exactly_the_named_ranges_of_a_cld_are_free() {
    let (file, name) = small()[1].clone();
    let colons: Vec<_> = (0..512).filter(|at| file[*at] == b':').collect();
    let texts = [colons[0] + 1..colons[1], colons[6] + 1..colons[7]];
    let dsig = colons[5] + 1..colons[6];
    let copying = b"No licence was stated.\n";
    assert!(file[1024..].starts_with(copying));
    let copying = 1024..1024 + copying.len();

    let store = testkit::trust_store();
    for at in 0..file.len() {
        for bit in 0..if at < 512 { 8 } else { 1 } {
            let mut changed = file.clone();
            changed[at] ^= 1 << ((bit + at) % 8);
            let byte = changed[at];
            let printable = (b' '..=b'~').contains(&byte) && byte != b':';
            let digit = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            let free = texts.iter().any(|range| range.contains(&at)) && printable
                || dsig.contains(&at) && digit
                || copying.contains(&at);
            let verified = verify_with(changed, name, &store, &Limits::default());
            assert_eq!(verified.is_ok(), free, "byte {at} to {byte:#x}: {verified:?}");
        }
    }
}

fn try_everything(file: Vec<u8>, name: &str, store: &TrustStore) {
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let _ = store.verify_cdiff(&file);
    let Ok(cvd) = Cvd::open(file.into(), name) else { return };
    let raw = cvd.clone().dangerous_unverified(&limits);
    let Ok(verified) = cvd.verify(store, &limits) else { return };
    assert!(raw.is_ok());
    assert_eq!(verified.members().len(), verified.info().files().len());
    for member in verified.members() {
        let listed = verified.info().file(member.name()).unwrap();
        assert_eq!(listed.size(), member.bytes().len() as u64);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..2048), form in 0..4) {
        let store = testkit::trust_store();
        let bytes = match form {
            0 => payload,
            1 => file(HEADLINE, &payload),
            2 => file(HEADLINE, &[b"COPYING", &payload[..]].concat()),
            _ => cud(&payload),
        };
        for name in ["mini.cud", "mini.cld", "mini.cvd"] {
            try_everything(bytes.clone(), name, &store);
        }
    }

    #[test]
    fn mutations_never_panic(
        which in 0usize..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        splice in prop::option::of((any::<prop::sample::Index>(), 0usize..1024)),
    ) {
        let (mut bytes, name) = small()[which].clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((at, len)) = splice {
            let at = at.index(bytes.len());
            let end = bytes.len().min(at + len);
            let piece = bytes[at..end].to_vec();
            let to = cut.index(bytes.len());
            bytes.splice(to..to, piece);
        }
        try_everything(bytes, name, &testkit::trust_store());
    }

    /// Inside the gzip stream, where the checksum would hide the walker.
    #[test]
    fn mutated_archives_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        resum in any::<bool>(),
    ) {
        let mut tar = mini(&[("mini.ndb", NDB), ("mini.hdb", b"x")]);
        for (at, byte) in edits {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        if resum {
            let mut at = 0;
            while at + 512 <= tar.len() {
                crate::forge::resum(&mut tar[at..], 0);
                at += 1024;
            }
        }
        try_everything(cud(&tar), "mini.cud", &testkit::trust_store());
    }
}
