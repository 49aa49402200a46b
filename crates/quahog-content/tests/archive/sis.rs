//! Symbian packages of both kinds.

use std::io::Write;

use quahog_content::{Format, Shortfall};

use super::{le16, le32, le64, pair, parts, texts};

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A package for EPOC: a condition, a file, and the end of the condition.
fn list(flags: usize, data: &[u8], size: usize) -> Vec<u8> {
    let name: Vec<u8> = "!:\\a.exe".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bytes = [&[0; 8][..], &le32(0x1000_0419), &[0; 6], &le16(1), &le16(3)].concat();
    bytes.resize(36, 0);
    bytes.extend(le16(flags));
    bytes.resize(52, 0);
    bytes.extend(le32(56));
    let condition = [&le32(3)[..], &le32(4), b"cond"].concat();
    let record = 56 + condition.len();
    let end = record + 4 * 12 + 4;
    let fields = [0, 0, 0, 0, 0, name.len(), end, data.len(), end + name.len(), size];
    bytes.extend([condition, fields.map(le32).concat(), vec![0; 8], le32(6).to_vec()].concat());
    bytes.resize(end, 0);
    bytes.extend([&name, data].concat());
    bytes
}

#[test]
fn files_of_old_packages_are_read() {
    for (flags, data) in [(0, zlib(b"hello")), (8, b"hello".to_vec())] {
        let bytes = list(flags, &data, 5);
        assert_eq!(texts(Format::Sis, &bytes), [pair("!:\\a.exe", "hello")]);
        let (found, _) = parts(Format::Sis, &bytes[..bytes.len() - 3]);
        assert_eq!(found[0].shortfall, Some(Shortfall::Malformed));
    }
}

fn field(kind: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes = [&le32(kind)[..], &le32(content.len()), content].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn packed_fields_of_new_packages_are_read() {
    let packed = zlib(b"hello");
    let compressed = field(3, &[&le32(1)[..], &le64(5), &packed].concat());
    let data = field(32, &compressed);
    // In an array, elements have no type.
    let array = field(2, &[&le32(32)[..], &data[4..]].concat());
    let data = field(30, &field(2, &[&le32(31)[..], &field(31, &array)[4..]].concat()));
    let contents = [field(34, b"sum"), data].concat();
    let head = [&le32(0x1020_1a7a)[..], &[0; 12]].concat();
    let bytes = [head.clone(), field(12, &contents)].concat();
    assert_eq!(texts(Format::Sis, &bytes), [pair("none", "hello")]);
    assert_eq!(parts(Format::Sis, &bytes[..bytes.len() - 9]).1, Some(Shortfall::Malformed));
    let deep = (0..40).fold(vec![], |inner, _| field(12, &inner));
    assert_eq!(parts(Format::Sis, &[head, deep].concat()).1, Some(Shortfall::Depth));
}
