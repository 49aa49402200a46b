//! Cabinets, compiled help and COMPRESS.EXE: the formats of Windows.

use quahog_content::{Format, Limits, Shortfall};

use super::{deflate, le16, le32, le64, pair, parts, parts_within, texts};

/// LZX: one block that is stored, which all windows can read.
fn lzx(data: &[u8]) -> Vec<u8> {
    // 0: no translation. 011: a stored block. 24 bits: its length.
    let head = 0b0011 << 28 | (data.len() as u32) << 4;
    let words = [(head >> 16) as u16, head as u16];
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u16::to_le_bytes).collect();
    bytes.extend([1, 0, 0, 0].repeat(3));
    bytes.extend(data);
    bytes
}

/// A cabinet with one folder, of blocks `(packed, size)`.
fn cabinet(method: usize, blocks: &[(Vec<u8>, usize)], files: &[(&str, usize, usize)]) -> Vec<u8> {
    let records: Vec<u8> = files
        .iter()
        .flat_map(|&(name, start, size)| {
            [&le32(size)[..], &le32(start), &[0; 8], name.as_bytes(), &[0]].concat()
        })
        .collect();
    let mut bytes = [&b"MSCF\0\0\0\0"[..], &[0; 8], &le32(44), &[0; 4], &[3, 1]].concat();
    bytes.extend([le16(1), le16(files.len()), [0; 2], [0; 2], [0; 2]].concat());
    bytes.extend(le32(44 + records.len()));
    bytes.extend([le16(blocks.len()), le16(method)].concat());
    bytes.extend(records);
    for (packed, size) in blocks {
        bytes.extend([&[0; 4][..], &le16(packed.len()), &le16(*size), packed].concat());
    }
    bytes
}

#[test]
fn files_are_pieces_of_their_folder() {
    let text = b"hello world";
    let files = [("a.txt", 0, 5), ("b.txt", 6, 5), ("again.txt", 6, 5)];
    let expected = [pair("a.txt", "hello"), pair("b.txt", "world"), pair("again.txt", "none")];
    for (method, packed) in [
        (0, text.to_vec()),
        (1, [&b"CK"[..], &deflate(text)].concat()),
        (3 | 15 << 8, lzx(text)),
        (3 | 21 << 8, lzx(text)),
    ] {
        let bytes = cabinet(method, &[(packed, text.len())], &files);
        assert_eq!(texts(Format::Cabinet, &bytes), expected, "method {method}");
        let (found, _) = parts(Format::Cabinet, &bytes[..bytes.len() - 3]);
        assert!(found.iter().any(|part| part.shortfall == Some(Shortfall::Malformed)));
    }
}

#[test]
fn blocks_go_back_into_the_block_before() {
    let first = vec![b'x'; 32 << 10];
    let mut state = flate2::Compress::new(flate2::Compression::best(), false);
    state.set_dictionary(&first).unwrap();
    let mut second = Vec::with_capacity(100);
    state.compress_vec(b"xxxxxxxxxxxxxxxx", &mut second, flate2::FlushCompress::Finish).unwrap();
    let blocks = [
        ([&b"CK"[..], &deflate(&first)].concat(), first.len()),
        ([&b"CK"[..], &second].concat(), 16),
    ];
    let bytes = cabinet(1, &blocks, &[("tail", first.len(), 16)]);
    assert_eq!(texts(Format::Cabinet, &bytes), [pair("tail", "xxxxxxxxxxxxxxxx")]);
}

#[test]
fn what_another_cabinet_or_nobody_can_read_keeps_its_name() {
    let bytes = cabinet(2, &[(b"quantum".to_vec(), 7)], &[("a", 0, 7)]);
    assert_eq!(parts(Format::Cabinet, &bytes).0[0].shortfall, Some(Shortfall::Unsupported));
    // Goes on in the next cabinet: five bytes of nine are here.
    let bytes = cabinet(0, &[(b"hello".to_vec(), 5), (b"wor".to_vec(), 0)], &[("a", 0, 9)]);
    let (found, _) = parts(Format::Cabinet, &bytes);
    assert_eq!((found[0].text(), found[0].shortfall), ("hello", Some(Shortfall::Malformed)));
    let limits = Limits { part_bytes: 3, ..Limits::default() };
    let (found, _) = parts_within(Format::Cabinet, &bytes, limits);
    assert_eq!((found[0].text(), found[0].shortfall), ("hel", Some(Shortfall::PartBytes)));
}

/// Seven bits a byte, the highest first.
fn number(value: usize) -> Vec<u8> {
    [(value >> 14) as u8 | 0x80, (value >> 7) as u8 | 0x80, value as u8 & 0x7f].to_vec()
}

/// Compiled help with files `(name, section, start, length)`.
fn help(files: &[(&str, usize, usize, usize)], content: &[u8]) -> Vec<u8> {
    let entries: Vec<u8> = files
        .iter()
        .flat_map(|&(name, section, start, length)| {
            let fields = [number(section), number(start), number(length)].concat();
            [&number(name.len()), name.as_bytes(), &fields].concat()
        })
        .collect();
    let mut chunk = [&b"PMGL"[..], &le32(0x1000 - 20 - entries.len()), &[0; 12], &entries].concat();
    chunk.resize(0x1000, 0);
    let mut directory = b"ITSP\x01\0\0\0\x54\0\0\0\0\0\0\0\0\x10\0\0".to_vec();
    directory.resize(0x54, 0);
    directory.extend(chunk);
    let mut bytes = b"ITSF\x03\0\0\0".to_vec();
    bytes.resize(0x48, 0);
    let end = 0x60 + directory.len();
    bytes.extend([le64(0x60), le64(directory.len()), le64(end)].concat());
    bytes.extend([&directory, content].concat());
    bytes
}

#[test]
fn help_has_stored_files_and_packed_ones() {
    let packed = lzx(b"hello world");
    let control =
        [&le32(6)[..], b"LZXC", &le32(2), &le32(1), &le32(1), &le32(1), &le32(0)].concat();
    let mut table = [le32(2), le32(1), le32(8), le32(40)].concat();
    table.extend([le64(11), le64(packed.len()), le64(0x8000), le64(0)].concat());
    let storage = "::DataSpace/Storage/MSCompressed/";
    let reset = format!(
        "{storage}Transform/{{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}}/InstanceData/ResetTable"
    );
    let names = [format!("{storage}Content"), format!("{storage}ControlData")];
    let mut content = b"stored".to_vec();
    let mut files = vec![("/plain.htm", 0, 0, 6)];
    for (name, data) in [(&names[0], &packed), (&names[1], &control), (&reset, &table)] {
        files.push((name, 0, content.len(), data.len()));
        content.extend(data);
    }
    files.extend([("/", 0, 0, 0), ("/a.htm", 1, 0, 5), ("/b.htm", 1, 6, 5)]);
    let bytes = help(&files, &content);
    let expected = [pair("/plain.htm", "stored"), pair("/a.htm", "hello"), pair("/b.htm", "world")];
    assert_eq!(texts(Format::Chm, &bytes), expected);
    // Without its reset table, what is packed stays closed.
    files.retain(|file| file.0 != reset);
    let (found, _) = parts(Format::Chm, &help(&files, &content));
    assert_eq!((found[0].text(), found[1].text()), ("stored", "none"));
    assert_eq!(found[1].shortfall, Some(Shortfall::Malformed));
}

#[test]
fn both_forms_of_szdd_are_read() {
    // "ab", and four bytes from where these stand in the window.
    let tail = |start: usize| vec![0b011, b'a', b'b', start as u8, 0xf1];
    let first = [&b"SZDD\x88\xf0\x27\x33A\0"[..], &le32(6), &tail(0xff0)].concat();
    let second = [&b"SZ \x88\xf0\x27\x33\xd1"[..], &le32(6), &tail(0xfee)].concat();
    for bytes in [&first, &second] {
        assert_eq!(texts(Format::Szdd, bytes), [pair("none", "ababab")]);
        let (found, _) = parts(Format::Szdd, &bytes[..bytes.len() - 1]);
        assert_eq!((found[0].text(), found[0].shortfall), ("ab", Some(Shortfall::Malformed)));
    }
    let mut lying = first;
    lying[10..14].fill(0xff);
    let (found, _) = parts(Format::Szdd, &lying);
    assert_eq!((found[0].text(), found[0].shortfall), ("ababab", Some(Shortfall::Malformed)));
}
