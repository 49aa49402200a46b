//! gzip: what each kind of damage leaves readable.

use proptest::prelude::*;
use quahog_content::{Format, Limits, Shortfall};

use super::{Found, crc32, deflate, parts, parts_within};

const PLAIN: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

fn member(header: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = header.to_vec();
    bytes.extend(deflate(content));
    bytes.extend(crc32(content).to_le_bytes());
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes
}

fn header(flags: u8, fields: &[u8]) -> Vec<u8> {
    let mut bytes = PLAIN.to_vec();
    bytes[3] = flags;
    bytes.extend(fields);
    bytes
}

fn one(bytes: &[u8]) -> (Found, Option<Shortfall>) {
    let (mut found, shortfall) = parts(Format::Gzip, bytes);
    assert_eq!(found.len(), 1);
    (found.remove(0), shortfall)
}

#[test]
fn optional_header_fields_are_skipped() {
    for (flags, fields, name) in [
        (0, &b""[..], None),
        (1, b"", None),                      // "probably text"
        (2, b"\x12\x34", None),              // header checksum
        (4, b"\x03\x00abc", None),           // extra field
        (8, b"a.txt\0", Some("a.txt")),      // name
        (16, b"remark\0", None),             // comment
        (8, b"caf\xe9\0", Some("café")),     // Latin-1, as the standard says
        (8, b"caf\xc3\xa9\0", Some("café")), // UTF-8, as people do
        (0x1e, b"\x02\x00xyname\0remark\0\x00\x00", Some("name")),
        (0xe0, b"", None), // reserved
    ] {
        let (part, shortfall) = one(&member(&header(flags, fields), b"hello"));
        assert_eq!((part.text(), part.shortfall), ("hello", None), "flags {flags}");
        assert_eq!(part.name.as_deref(), name);
        assert_eq!(shortfall, None);
    }
}

#[test]
fn the_entry_tells_sizes_and_checksum() {
    let bytes = member(&PLAIN, b"hello");
    let (part, _) = one(&bytes);
    assert_eq!(part.entry.position, 1);
    assert_eq!(part.entry.size, 5);
    assert_eq!(part.entry.packed_size, bytes.len() as u64);
    assert_eq!(part.entry.crc32, Some(crc32(b"hello")));
}

#[test]
fn members_are_joined() {
    let mut bytes = member(&header(8, b"first\0"), b"hello ");
    bytes.extend(member(&PLAIN, b""));
    bytes.extend(member(&header(8, b"second\0"), b"world"));
    let (part, shortfall) = one(&bytes);
    assert_eq!((part.text(), part.name()), ("hello world", "first"));
    assert_eq!((part.shortfall, shortfall), (None, None));
}

#[test]
fn damage_leaves_what_decodes() {
    let whole = member(&PLAIN, b"hello");
    let with = |tail: &[u8]| [&whole, tail].concat();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    let end = whole.len();
    for (name, bytes, text, of_part, of_stream) in [
        ("zero padding", with(&[0; 512]), "hello", None, None),
        ("garbage behind", with(b"garbage"), "hello", None, Some(Shortfall::Malformed)),
        ("half a header behind", with(&PLAIN[..6]), "hello", None, Some(Shortfall::Malformed)),
        ("wrong checksum", changed(end - 8), "hello", None, None),
        ("wrong length", changed(end - 1), "hello", None, None),
        ("no trailer", whole[..end - 8].to_vec(), "hello", None, None),
        ("half a trailer", whole[..end - 3].to_vec(), "hello", None, None),
        ("cut in the data", whole[..end - 10].to_vec(), "hell", Some(Shortfall::Malformed), None),
        ("nothing but a header", PLAIN.to_vec(), "", Some(Shortfall::Malformed), None),
    ] {
        let (part, shortfall) = one(&bytes);
        assert_eq!(part.text(), text, "{name}");
        assert_eq!((part.shortfall, shortfall), (of_part, of_stream), "{name}");
    }
    let second = with(&member(&PLAIN, b" world")[..14]);
    let (part, _) = one(&second);
    assert!(part.text().starts_with("hello"));
    assert_eq!(part.shortfall, Some(Shortfall::Malformed));
}

#[test]
fn what_is_no_gzip_has_no_part() {
    for (bytes, why) in [
        (&b""[..], Shortfall::Malformed),
        (b"\x1f\x8b", Shortfall::Malformed),
        (b"PK\x03\x04abcdefgh", Shortfall::Malformed),
        (b"\x1f\x8b\x07\0\0\0\0\0\0\x03abc", Shortfall::Unsupported),
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name without end", Shortfall::Malformed),
    ] {
        assert_eq!(parts(Format::Gzip, bytes), (vec![], Some(why)));
    }
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let bomb = member(&PLAIN, &vec![b'0'; 1 << 20]);
    let limits = |part_bytes, total_bytes| Limits { part_bytes, total_bytes, ..Limits::default() };
    for (limits, kept, why) in [
        (limits(1000, 5000), 1000, Some(Shortfall::PartBytes)),
        (limits(5000, 1000), 1000, Some(Shortfall::TotalBytes)),
        (limits(0, 5000), 0, Some(Shortfall::PartBytes)),
        (limits((1 << 20) - 1, u64::MAX), (1 << 20) - 1, Some(Shortfall::PartBytes)),
        (limits(1 << 20, u64::MAX), 1 << 20, None),
    ] {
        let (found, _) = parts_within(Format::Gzip, &bomb, limits);
        assert_eq!(found[0].bytes.as_ref().unwrap().len(), kept);
        assert_eq!(found[0].shortfall, why);
    }
    let (found, why) =
        parts_within(Format::Gzip, &bomb, Limits { fuel: 100_000, ..Limits::default() });
    assert!(!found[0].bytes.as_ref().unwrap().is_empty());
    assert_eq!((found[0].shortfall, why), (Some(Shortfall::Fuel), Some(Shortfall::Fuel)));
    let (found, why) = parts_within(Format::Gzip, &bomb, Limits { parts: 0, ..Limits::default() });
    assert_eq!((found.len(), why), (0, Some(Shortfall::Parts)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any split into members gives the content back.
    #[test]
    fn content_comes_back(pieces in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..3000), 1..4)) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| member(&PLAIN, piece)).collect();
        let (part, shortfall) = one(&bytes);
        prop_assert_eq!(part.bytes, Some(pieces.concat()));
        prop_assert_eq!((part.shortfall, shortfall), (None, None));
    }

    /// No damage makes it panic or hand out more than the limit.
    #[test]
    fn damage_is_survived(content in prop::collection::vec(any::<u8>(), 0..2000),
                          flags: u8, at: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
        let mut bytes = member(&header(flags, b"\x02\x00xyname\0remark\0\x00\x00"), &content);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let limits = Limits { part_bytes: 1500, ..Limits::default() };
        let (found, _) = parts_within(Format::Gzip, &bytes, limits);
        prop_assert!(found.iter().all(|part| part.bytes.as_ref().unwrap().len() <= 1500));
    }
}
