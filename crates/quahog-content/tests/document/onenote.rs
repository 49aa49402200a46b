//! OneNote: attached files, as the program and as the web store them.

use quahog_content::{Format, Shortfall};

use super::{part_of, parts};

const STORED: &[u8] = b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";

fn stored(data: &[u8], length: u64) -> Vec<u8> {
    [STORED, &length.to_le_bytes(), &[0; 12], data].concat()
}

/// A blob of a data element, with the length twice.
fn blob(data: &[u8], outer: u32) -> Vec<u8> {
    let header = 0x12 | outer << 17;
    let inner = (data.len() as u16) << 2 | 2;
    [&header.to_le_bytes()[..], &inner.to_le_bytes(), data].concat()
}

pub(super) fn sample() -> Vec<u8> {
    [b"OneNote".to_vec(), stored(b"MZ one", 6), blob(b"MZ two", 8), stored(b"cut", 9)].concat()
}

#[test]
fn attached_files_are_parts() {
    let (found, shortfall) = parts(Format::OneNote, &sample());
    assert_eq!(shortfall, None);
    assert_eq!(part_of(&found, b"MZ one").shortfall, None);
    assert_eq!(part_of(&found, b"MZ two").shortfall, None);
    assert_eq!(part_of(&found, b"cut").shortfall, Some(Shortfall::Malformed));
    assert_eq!(found.len(), 3);
}

#[test]
fn a_blob_needs_both_lengths() {
    assert_eq!(parts(Format::OneNote, &blob(b"MZ two", 9)).0, []);
    // A long one has its outer length behind the header.
    let header = (0x12 | 0x7fff_u32 << 17).to_le_bytes();
    let long = [&header[..], &[(8 << 1) | 1], &[6 << 2 | 2, 0], b"MZ two"].concat();
    assert_eq!(parts(Format::OneNote, &long).0.len(), 1);
}

#[test]
fn many_heads_do_not_hand_out_the_rest_each() {
    let bytes = stored(b"", u64::MAX).repeat(2000);
    let (found, _) = parts(Format::OneNote, &bytes);
    let total: usize = found.iter().map(|part| part.bytes().len()).sum();
    assert!(total <= 4 * bytes.len());
}
