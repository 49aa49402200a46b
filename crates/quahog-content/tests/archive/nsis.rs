//! Setup programs of NSIS, of which a test makes what is behind the program.

use std::io::Write;

use quahog_content::{Format, Limits, Shortfall};

use super::{deflate, le32, pair, parts, parts_within, texts};

/// The properties, the dictionary, and the bare stream.
fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut writer = lzma_rust2::LzmaWriter::new_no_header(Vec::new(), &options, true).unwrap();
    writer.write_all(bytes).unwrap();
    let head = [&[0x5d][..], &le32(options.dict_size as usize)].concat();
    [head, writer.finish().unwrap()].concat()
}

/// The header, the data, and a checksum.
fn setup(script: usize, data: &[u8]) -> Vec<u8> {
    let head = [&b"\xef\xbe\xad\xdeNullsoftInst"[..], &le32(script), &le32(28 + data.len() + 4)];
    [&head.concat(), data, b"\x01\x02\x03\x04"].concat()
}

fn sized(block: &[u8], flag: usize) -> Vec<u8> {
    [&le32(block.len() | flag)[..], block].concat()
}

const PACKED: usize = 1 << 31;

#[test]
fn blocks_that_are_packed_each_by_itself_are_read() {
    for pack in [deflate, lzma] {
        let packed = [&b"script"[..], b"hello"].map(|block| sized(&pack(block), PACKED));
        let data = [&packed.concat()[..], &sized(b"world", 0)].concat();
        let expected = [pair("none", "script"), pair("none", "hello"), pair("none", "world")];
        assert_eq!(texts(Format::Nsis, &setup(6, &data)), expected);
    }
    let plain = [sized(b"script", 0), sized(b"hello", 0)].concat();
    let expected = [pair("none", "script"), pair("none", "hello")];
    assert_eq!(texts(Format::Nsis, &setup(6, &plain)), expected);
}

#[test]
fn blocks_of_one_stream_are_read() {
    for pack in [deflate, lzma] {
        let blocks = [sized(b"script", 0), sized(b"hello", 0), sized(b"", 0), sized(b"end", 0)];
        let found = texts(Format::Nsis, &setup(6, &pack(&blocks.concat())));
        let expected = ["script", "hello", "", "end"].map(|text| pair("none", text));
        assert_eq!(found, expected);
        // A length that a file does not have.
        let (found, _) = parts(Format::Nsis, &setup(6, &pack(&sized(b"script", 0)[..8])));
        assert_eq!((found[0].text(), found[0].shortfall), ("scri", Some(Shortfall::Malformed)));
    }
}

#[test]
fn what_is_not_there_or_not_known_is_told() {
    let bzip2 = setup(6, &sized(b"1\x05....", PACKED));
    assert_eq!(parts(Format::Nsis, &bzip2).0[0].shortfall, Some(Shortfall::Unsupported));
    let (found, shortfall) = parts(Format::Nsis, &setup(6, b"1\x05......"));
    assert_eq!((found.len(), shortfall), (0, Some(Shortfall::Unsupported)));
    // Wherever it ends before its end; what follows is a checksum.
    let blocks = [sized(b"script", 0), sized(b"hello", 0)].concat();
    let packed = sized(&deflate(b"script"), PACKED);
    for data in [deflate(&blocks), lzma(&blocks), packed, blocks] {
        let whole = setup(6, &data);
        for end in 0..whole.len() {
            let (found, shortfall) = parts(Format::Nsis, &whole[..end]);
            let told = shortfall.is_some() || found.iter().any(|part| part.shortfall.is_some());
            assert!(told, "{end} of {} bytes", whole.len());
        }
    }
    let many = deflate(&sized(&[7; 1 << 20], 0));
    let limits = Limits { part_bytes: 1000, ..Limits::default() };
    let (found, shortfall) = parts_within(Format::Nsis, &setup(6, &many), limits);
    assert_eq!((found.len(), shortfall), (1, Some(Shortfall::PartBytes)));
    assert_eq!((found[0].text().len(), found[0].shortfall), (1000, Some(Shortfall::PartBytes)));
}
