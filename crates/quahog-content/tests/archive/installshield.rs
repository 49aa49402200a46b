//! InstallShield's setups of both kinds.

use std::io::Write;

use quahog_content::{Format, Shortfall};

use super::{deflate, le16, le32, le64, pair, parts, texts};

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn code(name: &str, bytes: &[u8]) -> Vec<u8> {
    let key: Vec<u8> =
        name.bytes().zip([0x13, 0x35, 0x86, 0x07].iter().cycle()).map(|(a, b)| a ^ b).collect();
    let code = |block: &[u8]| -> Vec<u8> {
        block
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| (!byte ^ key).rotate_left(4))
            .collect()
    };
    bytes.chunks(1024).flat_map(code).collect()
}

#[test]
fn coded_files_are_read() {
    // More than a block, once packed.
    let long: String = (0..4000).map(|n: u32| char::from(b'a' + (n * n / 7 % 26) as u8)).collect();
    let mut bytes = [&b"MZ..InstallShield\0"[..], &le16(2), &[0; 30]].concat();
    for (name, text) in [("a.txt", "hello"), ("long.txt", &long)] {
        let data = code(name, &zlib(text.as_bytes()));
        let mut record = name.as_bytes().to_vec();
        record.resize(260, 0);
        record.extend([&le32(6)[..], &[0; 4], &le32(data.len()), &[0; 40]].concat());
        bytes.extend([record, data].concat());
    }
    let expected = [pair("a.txt", "hello"), pair("long.txt", &long)];
    assert_eq!(texts(Format::InstallShield, &bytes), expected);
    let (found, _) = parts(Format::InstallShield, &bytes[..bytes.len() - 9]);
    assert_eq!(found[1].shortfall, Some(Shortfall::Malformed));
    // What only names the maker is no setup.
    assert_eq!(parts(Format::InstallShield, b"MZ InstallShield\0 ......"), (vec![], None));
}

/// A header of version 9 with files `(flags, start, packed, size, volume)`.
fn header(files: &[(&str, usize, usize, usize, usize, usize)]) -> Vec<u8> {
    let mut bytes = [&b"ISc("[..], &le32(0x0100_9500), &le32(0), &le32(0x20), &le32(0)].concat();
    bytes.resize(0x20, 0);
    // Folders and files are counted, and described behind this and their names.
    let names: Vec<u8> =
        files.iter().flat_map(|file| [file.0.as_bytes(), b"\0"].concat()).collect();
    let mut table = vec![0; 48];
    table[12..16].copy_from_slice(&le32(48));
    table[40..44].copy_from_slice(&le32(files.len()));
    table[44..48].copy_from_slice(&le32(names.len()));
    table.extend(&names);
    let mut at = 0;
    for &(name, flags, start, packed, size, volume) in files {
        let mut record = [&le16(flags)[..], &le64(size), &le64(packed), &le64(start)].concat();
        record.resize(58, 0);
        record.extend(le32(at));
        record.resize(85, 0);
        record.extend(le16(volume));
        table.extend(record);
        at += name.len() + 1;
    }
    bytes.extend(table);
    bytes
}

#[test]
fn files_of_its_cabinets_are_read_by_their_header() {
    let chunk = |text: &[u8]| {
        let packed = deflate(text);
        [&le16(packed.len())[..], &packed].concat()
    };
    let packed = [chunk(b"hello "), chunk(b"chunks")].concat();
    let obscured: Vec<u8> = b"hidden"
        .iter()
        .enumerate()
        .map(|(at, byte)| byte.wrapping_add(at as u8).rotate_left(2) ^ 0xd5)
        .collect();
    let first = [b"ISc(....", &packed[..]].concat();
    let second = [b"ISc(....stored", &obscured[..]].concat();
    let table = header(&[
        ("packed", 4, 8, packed.len(), 12, 1),
        ("stored", 0, 8, 6, 6, 2),
        ("obscured", 2, 14, 6, 6, 2),
        ("invalid", 12, 8, 6, 6, 1),
        ("elsewhere", 4, 8, 6, 6, 3),
        ("split", 5, 8, 6, 6, 1),
    ]);
    let mut bytes = b"MZ......".to_vec();
    for (name, data) in [("data1.cab", &first), ("data1.hdr", &table), ("data2.cab", &second)] {
        bytes.extend(format!("{name}\0Disk1\\{name}\x000.0\0{}\0", data.len()).bytes());
        bytes.extend(data);
    }
    let (found, shortfall) = parts(Format::InstallShield, &bytes);
    let found: Vec<_> = found.iter().map(|f| (f.name(), f.text(), f.shortfall)).collect();
    assert_eq!(
        found[..3].iter().map(|f| f.0).collect::<Vec<_>>(),
        ["data1.cab", "data1.hdr", "data2.cab"]
    );
    assert_eq!(
        found[3..],
        [
            ("packed", "hello chunks", None),
            ("stored", "stored", None),
            ("obscured", "hidden", None),
            ("elsewhere", "none", Some(Shortfall::Malformed)),
            ("split", "none", Some(Shortfall::Unsupported)),
        ]
    );
    assert_eq!(shortfall, None);
}
