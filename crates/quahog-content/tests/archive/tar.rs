//! tar: dialects, sparse files, and headers that lie.

use quahog_content::{Format, Limits, Shortfall};

use super::{Found, pair, parts, parts_within};

/// A header block with a checksum, and the data in whole blocks.
fn member(name: &str, kind: u8, magic: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = header(name, kind, magic, data.len() as u64);
    block.extend(data);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn header(name: &str, kind: u8, magic: &[u8], size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..257 + magic.len()].copy_from_slice(magic);
    sign(&mut block);
    block
}

fn sign(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

const V7: &[u8] = b"";
const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";
const END: [u8; 1024] = [0; 1024];

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let body = format!(" {key}={value}\n");
        let length = (body.len()..).find(|n| n.to_string().len() + body.len() == *n).unwrap();
        text += &format!("{length}{body}");
    }
    member("pax", b'x', USTAR, text.as_bytes())
}

fn names(bytes: &[u8]) -> Vec<(String, String)> {
    let (found, shortfall) = parts(Format::Tar, bytes);
    assert_eq!(shortfall, None);
    found.iter().map(|f| (f.name().to_owned(), f.text().to_owned())).collect()
}

#[test]
fn every_dialect_is_read() {
    for magic in [V7, USTAR, GNU] {
        let bytes =
            [&member("a", b'0', magic, b"one")[..], &member("b", 0, magic, b"two"), &END].concat();
        assert_eq!(names(&bytes), [pair("a", "one"), pair("b", "two")]);
        // Without an end, as some writers leave it.
        assert_eq!(names(&bytes[..2048]), [pair("a", "one"), pair("b", "two")]);
    }
}

#[test]
fn long_names_come_from_headers_before() {
    let long = "d/".repeat(80) + "file";
    let gnu = [member("././@LongLink", b'L', GNU, long.as_bytes()), member("x", b'0', GNU, b"1")];
    assert_eq!(names(&gnu.concat()), [pair(&long, "1")]);
    let pax = [pax(&[("mtime", "1"), ("path", &long)]), member("x", b'0', USTAR, b"1")];
    assert_eq!(names(&pax.concat()), [pair(&long, "1")]);
    let mut prefixed = member("file", b'0', USTAR, b"1");
    prefixed[345..348].copy_from_slice(b"dir");
    sign(&mut prefixed);
    assert_eq!(names(&prefixed), [pair("dir/file", "1")]);
}

#[test]
fn sizes_are_octal_binary_or_in_a_record() {
    let mut binary = member("a", b'0', GNU, b"hello");
    binary[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    sign(&mut binary);
    assert_eq!(names(&binary), [pair("a", "hello")]);
    let mut other = member("a", b'0', USTAR, b"hello");
    other[124..136].copy_from_slice(b"00000000000\0");
    sign(&mut other);
    assert_eq!(names(&[pax(&[("size", "5")]), other].concat()), [pair("a", "hello")]);
}

#[test]
fn sparse_files_get_their_holes() {
    let mut old = header("s", b'S', GNU, 6);
    for (at, number) in [(386, 0), (398, 3), (410, 10), (422, 3), (483, 15)] {
        old[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    }
    sign(&mut old);
    old.extend(b"abcdef");
    old.resize(1024, 0);
    let expected = "abc\0\0\0\0\0\0\0def\0\0";
    assert_eq!(names(&old), [pair("s", expected)]);

    let version_0 = pax(&[("GNU.sparse.size", "15"), ("GNU.sparse.map", "0,3,10,3")]);
    let bytes = [version_0, member("s", b'0', USTAR, b"abcdef")].concat();
    assert_eq!(names(&bytes), [pair("s", expected)]);

    let records =
        [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "15"), ("GNU.sparse.name", "real")];
    let mut data = b"2\n0\n3\n10\n3\n".to_vec();
    data.resize(512, 0);
    data.extend(b"abcdef");
    let bytes = [pax(&records), member("s", b'0', USTAR, &data)].concat();
    assert_eq!(names(&bytes), [pair("real", expected)]);
}

#[test]
fn a_sparse_bomb_gives_its_bytes_and_a_shortfall() {
    let records = [("GNU.sparse.size", "1000000000000"), ("GNU.sparse.map", "999999999990,5")];
    let bytes = [pax(&records), member("s", b'0', USTAR, b"hello")].concat();
    let (found, _) = parts(Format::Tar, &bytes);
    assert_eq!(found[0].text(), "hello");
    assert_eq!(found[0].shortfall, Some(Shortfall::Expansion));
    let small = Limits { part_bytes: 8, ..Limits::default() };
    let (found, _) = parts_within(Format::Tar, &member("a", b'0', USTAR, b"0123456789"), small);
    assert_eq!((found[0].text(), found[0].shortfall), ("01234567", Some(Shortfall::PartBytes)));
}

#[test]
fn damage_does_not_hide_what_follows() {
    let mut bytes = member("a", b'0', V7, b"one");
    bytes.extend(member("b", b'0', V7, b"two"));
    bytes[1] = b'x';
    let (found, shortfall) = parts(Format::Tar, &bytes);
    let texts: Vec<_> = found.iter().map(Found::text).collect();
    assert_eq!((texts, shortfall), (vec!["two"], Some(Shortfall::Malformed)));
    // The name of the format makes up for a wrong checksum.
    let mut bytes = member("a", b'0', USTAR, b"one");
    bytes[1] = b'x';
    assert_eq!(names(&bytes), [pair("ax", "one")]);
}

#[test]
fn data_that_is_cut_off_is_missed() {
    let bytes = member("a", b'0', USTAR, &[b'x'; 600]);
    let (found, _) = parts(Format::Tar, &bytes[..1000]);
    assert_eq!(found[0].bytes.as_ref().unwrap().len(), 488);
    assert_eq!(found[0].shortfall, Some(Shortfall::Malformed));
    // Archives that go on behind the end are read by some readers.
    let two = [&bytes[..], &END, &member("b", b'0', USTAR, b"two")].concat();
    assert_eq!(parts(Format::Tar, &two).0[1].text(), "two");
}

#[test]
fn links_and_folders_are_names_only() {
    let bytes = [member("d/", b'5', USTAR, b""), member("l", b'2', USTAR, b"")].concat();
    let (found, _) = parts(Format::Tar, &bytes);
    assert!(found.iter().all(|part| part.bytes.is_none() && part.shortfall.is_none()));
    assert_eq!(found.iter().map(Found::name).collect::<Vec<_>>(), ["d/", "l"]);
}
