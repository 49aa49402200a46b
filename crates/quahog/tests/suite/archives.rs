//! Archives inside archives: how far they are opened, and what ends it.

use quahog::{Completeness, Limits, Settings, Shortfall};

use super::{Folder, live};

const TOKEN: &[u8] = b"the token in the innermost file";

fn database() -> Folder {
    Folder::of(&[("t.ndb", "Test.Token:0:*:74686520746f6b656e20696e\n")])
}

/// A zip with one stored member.
fn zip(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    let head = [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0", &length[..], &length].concat();
    [&head[..], b"\x05\0\0\0a.bin", content].concat()
}

/// A cpio archive with one member.
fn cpio(content: &[u8]) -> Vec<u8> {
    let head = format!("070707{}{:011o}{:06o}{:011o}", "000001".repeat(7), 0, 2, content.len());
    [head.as_bytes(), b"a\0", content].concat()
}

fn found(input: &[u8], limits: Limits) -> (usize, Vec<Shortfall>) {
    let settings = Settings::default().all_matches(true).limits(limits);
    let report = live(&database()).scanner_with(settings).scan(input);
    let reasons = match report.completeness() {
        Completeness::Complete => Vec::new(),
        Completeness::Incomplete(missing) => missing.iter().map(|m| m.reason).collect(),
    };
    (report.detections().len(), reasons)
}

#[test]
fn archives_of_every_kind_are_opened_in_each_other() {
    let mut bytes = TOKEN.to_vec();
    for wrap in [zip, cpio, zip, cpio] {
        bytes = wrap(&bytes);
    }
    // All of these store their members, so that the outermost hold the token too.
    assert_eq!(found(&bytes, Limits::default()).0, 5);
}

#[test]
fn the_depth_counts_the_outermost_container() {
    let nested = |depth| (0..depth).fold(TOKEN.to_vec(), |bytes, _| zip(&bytes));
    let limits = Limits { container_depth: 3, ..Limits::default() };
    // Two containers and what is in them.
    assert_eq!(found(&nested(2), limits), (3, vec![]));
    assert_eq!(found(&nested(3), limits), (3, vec![Shortfall::Depth]));
    assert_eq!(found(TOKEN, Limits { container_depth: 0, ..limits }), (1, vec![]));
}
