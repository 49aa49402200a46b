//! RAR: stored members, and what the headers say of others.

use quahog_content::{Format, Shortfall};

use super::{le16, le32, pair, parts, texts};

fn block_4(kind: u8, flags: usize, fields: &[u8]) -> Vec<u8> {
    [&[0, 0, kind][..], &le16(flags), &le16(7 + fields.len()), fields].concat()
}

fn file_4(name: &str, flags: usize, method: u8, data: &[u8], size: usize) -> Vec<u8> {
    let fields = [&le32(data.len())[..], &le32(size), &[3], &[0; 8], &[29, method]].concat();
    let fields = [&fields[..], &le16(name.len()), &[0; 4], name.as_bytes()].concat();
    [block_4(0x74, flags | 0x8000, &fields), data.to_vec()].concat()
}

fn rar_4(blocks: &[Vec<u8>]) -> Vec<u8> {
    [&b"Rar!\x1a\x07\0"[..], &block_4(0x73, 0, &[0; 6]), &blocks.concat()].concat()
}

fn block_5(fields: &[u8], data: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, fields.len() as u8], fields, data].concat()
}

fn file_5(name: &str, method: u8, extra: &[u8], data: &[u8], size: u8) -> Vec<u8> {
    let mut fields = vec![2, 3, extra.len() as u8, data.len() as u8, 4, size, 0];
    fields.extend([1, 2, 3, 4]);
    // The method stands in bits 7 to 9.
    fields.extend([0x80, method, 1, name.len() as u8]);
    fields.extend(name.bytes());
    fields.extend(extra);
    block_5(&fields, data)
}

fn rar_5(blocks: &[Vec<u8>]) -> Vec<u8> {
    [&b"Rar!\x1a\x07\x01\0"[..], &block_5(&[1, 0, 0], b""), &blocks.concat()].concat()
}

const END_4: &[u8] = &[0, 0, 0x7b, 0, 0x40, 7, 0];

#[test]
fn stored_members_are_read() {
    let four = [rar_4(&[file_4("a.txt", 0, 0x30, b"hello", 5)]), END_4.to_vec()].concat();
    let five = rar_5(&[file_5("a.txt", 0, b"", b"hello", 5), block_5(&[5, 0, 0], b"")]);
    for bytes in [four, five] {
        assert_eq!(texts(Format::Rar, &bytes), [pair("a.txt", "hello")]);
    }
    let cut = rar_4(&[file_4("a.txt", 0, 0x30, b"hello", 5)]);
    let (found, _) = parts(Format::Rar, &cut[..cut.len() - 1]);
    assert_eq!((found[0].text(), found[0].shortfall), ("hell", Some(Shortfall::Malformed)));
}

#[test]
fn packed_and_encrypted_members_keep_their_entries() {
    let four = rar_4(&[
        file_4("p", 0, 0x33, b"\x80packed", 100),
        file_4("e", 4, 0x30, b"secret", 6),
        file_4("d", 0xe0, 0x30, b"", 0),
    ]);
    let five = rar_5(&[
        file_5("p", 1, b"", b"\x80packed", 100),
        file_5("e", 0, &[2, 1, 0], b"secret", 6),
        block_5(&[5, 0, 0], b""),
    ]);
    for bytes in [four, five] {
        let (found, _) = parts(Format::Rar, &bytes);
        // PPMd in the one, and what is no block in the other.
        let reason = found[0].shortfall.unwrap();
        assert!(matches!(reason, Shortfall::Unsupported | Shortfall::Malformed));
        assert_eq!((found[0].entry.packed_size, found[0].entry.size), (7, 100));
        assert_eq!(found[1].shortfall, Some(Shortfall::Encrypted));
        assert!(found[1].entry.encrypted && !found[0].entry.encrypted);
        assert!(found.get(2).is_none_or(|part| part.shortfall.is_none()));
    }
}

#[test]
fn encrypted_headers_are_told() {
    let four = [&b"Rar!\x1a\x07\0"[..], &block_4(0x73, 0x80, &[0; 6])].concat();
    let five = [&b"Rar!\x1a\x07\x01\0"[..], &block_5(&[4, 0, 0], b"")].concat();
    for bytes in [four, five] {
        assert_eq!(parts(Format::Rar, &bytes), (vec![], Some(Shortfall::Encrypted)));
    }
    assert_eq!(parts(Format::Rar, b"RE~^").1, Some(Shortfall::Unsupported));
}
