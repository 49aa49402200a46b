//! ALZ and EGG, the formats of ALZip.

use std::io::Write;

use quahog_content::{Format, Shortfall};

use super::{deflate, le16, le32, le64, pair, parts, texts};

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn alz(name: &str, descriptor: u8, method: u8, data: &[u8], size: usize) -> Vec<u8> {
    let mut bytes =
        [&b"BLZ\x01"[..], &le16(name.len()), &[0x20, 0, 0, 0, 0, descriptor, 0]].concat();
    match descriptor >> 4 {
        1 => bytes.extend([method, 0, 0, 0, 0, 0, data.len() as u8, size as u8]),
        4 => {
            bytes.extend([method, 0, 0, 0, 0, 0]);
            bytes.extend([le32(data.len()), le32(size)].concat());
        }
        _ => {}
    }
    bytes.extend(name.bytes());
    if descriptor & 1 != 0 {
        bytes.extend([0; 12]);
    }
    bytes.extend(data);
    bytes
}

#[test]
fn alz_is_read() {
    let members = [
        alz("d", 0, 0, b"", 0),
        alz("0", 0x10, 0, b"hello", 5),
        alz("1", 0x40, 1, &bzip2(b"hello 1"), 7),
        alz("2", 0x10, 2, &deflate(b"hello 2"), 7),
    ];
    let mut bytes = [&b"ALZ\x01\x0a\0\0\0"[..], &members.concat()].concat();
    let cut = bytes.clone();
    bytes.extend(b"CLZ\x01");
    let expected =
        [pair("d", "none"), pair("0", "hello"), pair("1", "hello 1"), pair("2", "hello 2")];
    assert_eq!(texts(Format::Alz, &bytes), expected);
    assert_eq!(parts(Format::Alz, &cut).1, Some(Shortfall::Malformed));
    let bytes = [&b"ALZ\x01\x0a\0\0\0"[..], &alz("e", 0x11, 2, b"secret", 5), b"CLZ\x01"].concat();
    let (found, _) = parts(Format::Alz, &bytes);
    assert_eq!((found[0].name(), found[0].shortfall), ("e", Some(Shortfall::Encrypted)));
}

const END: [u8; 4] = [0x22, 0x82, 0xe2, 0x08];

fn egg_file(name: &str, size: usize, records: &[u8], blocks: &[(u8, Vec<u8>, usize)]) -> Vec<u8> {
    let mut bytes = [&[0xe3, 0x90, 0x85, 0x0a, 0, 0, 0, 0][..], &le64(size)].concat();
    bytes.extend([&[0xac, 0x91, 0x85, 0x0a, 0][..], &le16(name.len()), name.as_bytes()].concat());
    bytes.extend([records, &END].concat());
    for (method, data, size) in blocks {
        bytes.extend([&[0x13, 0x0c, 0xb5, 0x02, *method, 0][..], &le32(*size)].concat());
        bytes.extend([&le32(data.len())[..], &[0; 4], &END, data].concat());
    }
    bytes
}

fn egg(files: &[Vec<u8>]) -> Vec<u8> {
    let head = [&b"EGGA\0\x01"[..], &[0; 8], &END].concat();
    [head, files.concat(), END.to_vec(), END.to_vec()].concat()
}

#[test]
fn egg_is_read() {
    let bytes = egg(&[
        egg_file("0", 5, b"", &[(0, b"hello".to_vec(), 5)]),
        egg_file("2", 12, b"", &[(1, deflate(b"hello "), 6), (2, bzip2(b"blocks"), 6)]),
        egg_file("empty", 0, b"", &[]),
    ]);
    let expected = [pair("0", "hello"), pair("2", "hello blocks"), pair("empty", "none")];
    assert_eq!(texts(Format::Egg, &bytes), expected);
    let (_, shortfall) = parts(Format::Egg, &bytes[..bytes.len() - 8]);
    assert_eq!(shortfall, Some(Shortfall::Malformed));
    let encryption = [0x0f, 0x47, 0xd1, 0x08, 0, 1, 0, 0];
    let bytes = egg(&[
        egg_file("e", 5, &encryption, &[(0, b"hello".to_vec(), 5)]),
        egg_file("azo", 5, b"", &[(3, b"hello".to_vec(), 5)]),
    ]);
    let (found, _) = parts(Format::Egg, &bytes);
    assert_eq!(found[0].shortfall, Some(Shortfall::Encrypted));
    assert_eq!(found[1].shortfall, Some(Shortfall::Unsupported));
}
