//! 7z: coders, folders, and headers that lie.

use std::io::Write;

use lzma_rust2::{Lzma2Options, Lzma2Writer, LzmaOptions, LzmaWriter};
use quahog_content::{Format, Limits, Shortfall};

use super::{deflate, le32, le64, pair, parts, parts_within, texts};

/// A number in its longest form.
fn number(value: usize) -> Vec<u8> {
    [&[0xff][..], &le64(value)].concat()
}

/// A coder with one input and one output, and its properties.
fn coder(id: &[u8], properties: &[u8]) -> Vec<u8> {
    let flags = id.len() as u8 | if properties.is_empty() { 0 } else { 0x20 };
    let mut bytes = [&[flags], id].concat();
    if !properties.is_empty() {
        bytes.extend(number(properties.len()));
        bytes.extend(properties);
    }
    bytes
}

/// Streams of an archive with one folder, a chain of coders of which each
/// reads the next, and which has files of these sizes.
fn streams(coders: &[Vec<u8>], packed: usize, sizes: &[usize]) -> Vec<u8> {
    let mut bytes = vec![6, 0];
    bytes.extend([number(1), vec![9], number(packed), vec![0]].concat());
    bytes.extend([&[7, 11][..], &number(1), &[0], &number(coders.len())].concat());
    bytes.extend(coders.concat());
    for nth in 1..coders.len() {
        bytes.extend([number(nth - 1), number(nth)].concat());
    }
    bytes.push(12);
    let total = sizes.iter().sum();
    bytes.extend(number(total).repeat(coders.len()));
    bytes.push(0);
    bytes.extend([&[8, 13][..], &number(sizes.len())].concat());
    if sizes.len() > 1 {
        bytes.push(9);
        bytes.extend(sizes[..sizes.len() - 1].iter().flat_map(|&size| number(size)));
    }
    bytes.extend([0, 0]);
    bytes
}

/// The archive; a file without content has no stream.
fn archive(coders: &[Vec<u8>], packed: &[u8], files: &[(&str, &str)]) -> Vec<u8> {
    let sizes: Vec<_> = files.iter().map(|file| file.1.len()).filter(|&size| size > 0).collect();
    let mut header = vec![1, 4];
    header.extend(streams(coders, packed.len(), &sizes));
    header.extend([&[5][..], &number(files.len())].concat());
    let mut empty = vec![0; files.len().div_ceil(8)];
    for (nth, _) in files.iter().enumerate().filter(|(_, file)| file.1.is_empty()) {
        empty[nth / 8] |= 0x80 >> (nth % 8);
    }
    header.extend([vec![14], number(empty.len()), empty].concat());
    let names: Vec<u8> = files
        .iter()
        .flat_map(|(name, _)| name.encode_utf16().chain([0]))
        .flat_map(u16::to_le_bytes)
        .collect();
    header.extend([vec![17], number(names.len() + 1), vec![0], names].concat());
    header.extend([0, 0]);
    file(packed, &header)
}

fn file(packed: &[u8], header: &[u8]) -> Vec<u8> {
    let mut bytes = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".to_vec();
    bytes.extend([&le64(packed.len())[..], &le64(header.len()), &[0; 4]].concat());
    bytes.extend([packed, header].concat());
    bytes
}

fn lzma(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let options = LzmaOptions::with_preset(1);
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false).unwrap();
    writer.write_all(bytes).unwrap();
    let properties = [&[writer.props()][..], &options.dict_size.to_le_bytes()].concat();
    (coder(&[3, 1, 1], &properties), writer.finish().unwrap())
}

#[test]
fn every_coder_is_read() {
    // Copies of less than 258 bytes mean the same to deflate and deflate64.
    let text = "quahog and clam and quahog and oyster".repeat(4);
    let bytes = text.as_bytes();
    let mut lzma2 = Lzma2Writer::new(Vec::new(), Lzma2Options::with_preset(1));
    lzma2.write_all(bytes).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(bytes).unwrap();
    let mut ppmd = ppmd_rust::Ppmd7Encoder::new(Vec::new(), 6, 1 << 20).unwrap();
    ppmd.write_all(bytes).unwrap();
    let ppmd_properties = [&[6][..], &le32(1 << 20)].concat();
    let (lzma_coder, lzma) = lzma(bytes);
    for (coders, packed) in [
        (vec![coder(&[0], &[])], bytes.to_vec()),
        (vec![lzma_coder.clone()], lzma.clone()),
        (vec![coder(&[0x21], &[24])], lzma2.finish().unwrap()),
        (vec![coder(&[4, 2, 2], &[])], bzip2.finish().unwrap()),
        (vec![coder(&[4, 1, 8], &[])], deflate(bytes)),
        (vec![coder(&[4, 1, 9], &[])], deflate(bytes)),
        (vec![coder(&[3, 4, 1], &ppmd_properties)], ppmd.finish(false).unwrap()),
        // The text holds no branch that the filter would change.
        (vec![coder(&[3, 3, 1, 3], &[]), lzma_coder], lzma),
    ] {
        let bytes = archive(&coders, &packed, &[("a.txt", &text)]);
        assert!(texts(Format::SevenZ, &bytes) == [pair("a.txt", &text)], "{coders:?}");
        for cut in [0, 20, 40, bytes.len() - 1] {
            let (found, shortfall) = parts(Format::SevenZ, &bytes[..cut]);
            assert_eq!((found.len(), shortfall), (0, Some(Shortfall::Malformed)));
        }
    }
}

#[test]
fn files_of_a_folder_are_pieces_of_its_stream() {
    let (coder, packed) = lzma(b"onetwothree");
    let files = [("d", ""), ("1", "one"), ("e", ""), ("2", "two"), ("3", "three"), ("f", "")];
    let bytes = archive(&[coder], &packed, &files);
    let mut expected =
        files.map(|(name, text)| pair(name, if text.is_empty() { "none" } else { text }));
    // Files without a stream come before the folder that they stand in.
    expected.swap(1, 2);
    assert_eq!(texts(Format::SevenZ, &bytes), expected);
    // What does not fit is cut, and what follows is found.
    let limits = Limits { part_bytes: 3, ..Limits::default() };
    let (found, _) = parts_within(Format::SevenZ, &bytes, limits);
    assert_eq!((found[4].text(), found[4].shortfall), ("thr", Some(Shortfall::PartBytes)));
    assert_eq!(found.len(), 6);
}

#[test]
fn a_packed_header_is_unpacked() {
    let plain = archive(&[coder(&[0], &[])], b"hello", &[("a.txt", "hello")]);
    let (coder, packed) = lzma(&plain[37..]);
    let data = [b"hello", &packed[..]].concat();
    let mut header = vec![23];
    header.extend(streams(&[coder], packed.len(), &[plain.len() - 37]));
    // Its stream lies behind that of the file.
    assert_eq!(header[2], 0);
    header[2] = 5;
    assert_eq!(texts(Format::SevenZ, &file(&data, &header)), [pair("a.txt", "hello")]);
}

#[test]
fn what_is_encrypted_is_named_where_its_name_is_not() {
    let aes = coder(&[6, 0xf1, 7, 1], &[0x13, 0]);
    let bytes = archive(&[coder(&[0], &[]), aes.clone()], b"secret", &[("a.txt", "secret")]);
    let (found, shortfall) = parts(Format::SevenZ, &bytes);
    assert_eq!((found[0].name(), found[0].text()), ("a.txt", "none"));
    assert!(found[0].entry.encrypted && found[0].shortfall == Some(Shortfall::Encrypted));
    assert_eq!(shortfall, None);
    let mut header = vec![23];
    header.extend(streams(&[aes], 6, &[100]));
    assert_eq!(parts(Format::SevenZ, &file(b"secret", &header)).1, Some(Shortfall::Encrypted));
}

#[test]
fn damage_and_unknown_coders_keep_the_names() {
    let (coder_of_lzma, mut packed) = lzma(&[b'x'; 5000]);
    packed[20..].fill(0xff);
    let text = "x".repeat(5000);
    let bytes = archive(&[coder_of_lzma], &packed, &[("a", &text), ("b", "y")]);
    let (found, _) = parts(Format::SevenZ, &bytes);
    assert_eq!(found.iter().map(super::Found::name).collect::<Vec<_>>(), ["a", "b"]);
    assert!(found.iter().all(|part| part.shortfall == Some(Shortfall::Malformed)));
    let bytes = archive(&[coder(&[9, 9], &[])], b"hello", &[("a", "hello")]);
    assert_eq!(parts(Format::SevenZ, &bytes).0[0].shortfall, Some(Shortfall::Unsupported));
}

#[test]
fn memory_and_counts_that_headers_ask_for_are_bounded() {
    let coder_of_4_gib = coder(&[3, 4, 1], &[6, 0xff, 0xff, 0xff, 0xff]);
    let bytes = archive(&[coder_of_4_gib], b"hello", &[("a", "hello")]);
    assert_eq!(parts(Format::SevenZ, &bytes).0[0].shortfall, Some(Shortfall::Unsupported));
    // A billion files in a short header.
    let header = [&[1, 5][..], &number(1_000_000_000), &[0, 0]].concat();
    assert_eq!(parts(Format::SevenZ, &file(b"", &header)).1, Some(Shortfall::Malformed));
    // Coders that read each other in a circle.
    let circle = [coder(&[0], &[]), coder(&[0], &[]), coder(&[0], &[])];
    let mut bytes = archive(&circle, b"hello", &[("a", "hello")]);
    let bond = [number(1), number(2)].concat();
    let at = bytes.windows(bond.len()).position(|window| window == bond).unwrap();
    bytes[at + 10] = 1;
    assert!(parts(Format::SevenZ, &bytes).0[0].shortfall.is_some());
}

#[test]
fn many_folders_take_time_by_their_number() {
    const FOLDERS: usize = 40_000;
    let folder = coder(&[0], &[]);
    let mut header = [&[1, 4, 6, 0][..], &number(FOLDERS), &[9]].concat();
    header.extend([1].repeat(FOLDERS));
    header.extend([&[0, 7, 11][..], &number(FOLDERS), &[0]].concat());
    header.extend([&[1][..], &folder].concat().repeat(FOLDERS));
    header.push(12);
    header.extend([1].repeat(FOLDERS));
    header.extend([0, 0, 0]);
    let bytes = file(&vec![b'x'; FOLDERS], &header);
    let spent = crate::busy_time(|| {
        let (found, shortfall) = parts(Format::SevenZ, &bytes);
        assert_eq!((found.len(), shortfall), (10_000, Some(Shortfall::Parts)));
    });
    // Some 50 ms; a walk of all packed streams for each folder takes minutes.
    assert!(spent.as_secs() < 20, "{spent:?}");
}

#[test]
fn a_bomb_is_cut_and_not_skipped_for_ever() {
    let zeros = vec![0; 8 << 20];
    let (coder, packed) = lzma(&zeros);
    let text = "\0".repeat(4 << 20);
    let bytes = archive(&[coder], &packed, &[("a", &text), ("b", &text)]);
    let limits = Limits { part_bytes: 1000, total_bytes: 5000, ..Limits::default() };
    let (found, shortfall) = parts_within(Format::SevenZ, &bytes, limits);
    assert_eq!(found[0].shortfall, Some(Shortfall::PartBytes));
    assert_eq!((found[1].text(), found[1].shortfall), ("none", Some(Shortfall::TotalBytes)));
    assert_eq!(shortfall, Some(Shortfall::TotalBytes));
}
