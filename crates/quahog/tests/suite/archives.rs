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

/// A picture that is no picture, but is typed as one.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n.......................................";

fn objects(input: &[u8]) -> Vec<String> {
    let report = live(&database()).scanner_with(Settings::default().all_matches(true)).scan(input);
    let mut objects: Vec<_> = report.detections().iter().map(|d| d.object().to_owned()).collect();
    objects.sort();
    objects
}

#[test]
fn archives_behind_other_files_are_opened() {
    for host in [PNG, b"\x7fELF............", b"some text\n", b"\x01\x02\0\x01\0\x01.."] {
        let bytes = [host, &zip(TOKEN)].concat();
        // In the bytes as they are, and in the member.
        let inside = format!("zip at {}!a.bin", host.len());
        assert_eq!(objects(&bytes), ["", inside.as_str()]);
    }
    // All members of the zip are its walk's, and magic alone is no archive.
    let bytes = [PNG, &zip(TOKEN), &zip(TOKEN), b"Rar!\x1a\x07\0...7z\xbc\xaf\x27\x1c"].concat();
    assert_eq!(found(&bytes, Limits::default()), (2, vec![]));
    // Stored members of a tar are opened by its own walk.
    assert_eq!(found(&cpio(&zip(TOKEN)), Limits::default()).0, 3);
}

#[test]
fn a_disc_that_holds_itself_is_opened_once() {
    const SECTOR: usize = 2048;
    let both = |value: usize| [(value as u32).to_le_bytes(), (value as u32).to_be_bytes()].concat();
    let record = |name: &[u8], sector, size, flags: u8| {
        let head = [&[34, 0][..], &both(sector), &both(size), &[0; 7], &[flags], &[0; 6]].concat();
        [&head[..], &[1], name].concat()
    };
    let mut image = vec![0; 16 * SECTOR];
    let mut push = |sector: &[u8]| {
        image.extend(sector);
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    };
    push(&[b"\x01CD001\x01", &[0; 149][..], &record(&[0], 18, SECTOR, 2)].concat());
    push(b"\xffCD001\x01");
    push(&[record(b"A", 0, 20 * SECTOR, 0), record(b"B", 19, TOKEN.len(), 0)].concat());
    push(TOKEN);
    let objects = objects(&image);
    // The image, the file in it, and the image in it, which is looked at too.
    assert_eq!(objects, ["", "iso9660 at 0!A", "iso9660 at 0!B"]);
}
