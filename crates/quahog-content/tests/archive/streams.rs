//! Compressed streams: several in a file, cut off, lying, and bombs.

use std::io::Write;

use bzip2::write::BzEncoder;
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use lzma_rust2::filter::{FilterConfig, FilterType};
use lzma_rust2::{
    CheckType, LzipOptions, LzipWriter, LzmaOptions, LzmaWriter, XzOptions, XzWriter,
};
use quahog_content::{Format, Limits, Shortfall};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{Found, parts, parts_within};

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz_with(bytes: &[u8], check: CheckType, filter: Option<FilterType>) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    options.set_check_sum_type(check);
    options.filters.extend(filter.map(|filter_type| FilterConfig {
        filter_type,
        property: u32::from(filter_type == FilterType::Delta),
    }));
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    xz_with(bytes, CheckType::Crc64, None)
}

fn lzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = LzipWriter::new(Vec::new(), LzipOptions::with_preset(1));
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn lzma(bytes: &[u8], size: Option<u64>) -> Vec<u8> {
    let options = LzmaOptions::with_preset(1);
    let mut writer = LzmaWriter::new_use_header(Vec::new(), &options, size).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// LZW as compress writes it, with codes of at most `widest` bits.
fn compress(bytes: &[u8], widest: u32) -> Vec<u8> {
    let mut file = vec![0x1f, 0x9d, 0x80 | widest as u8];
    let (mut bits, mut n_bits, mut group) = (0_u128, 0_u32, 0_u32);
    let mut out = Vec::new();
    let mut table = std::collections::HashMap::new();
    let (mut free, mut width) = (257_usize, 9);
    let mut prefix = None;
    let mut put = |code: usize, width: u32, pad: bool| {
        bits |= (code as u128) << n_bits;
        n_bits += width;
        group += 1;
        if pad {
            n_bits += (group.next_multiple_of(8) - group) * width;
            group = 0;
        }
        while n_bits >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            n_bits -= 8;
        }
        if pad {
            assert_eq!(n_bits, 0);
        }
    };
    for &byte in bytes {
        prefix = match prefix {
            None => Some(usize::from(byte)),
            Some(before) => match table.get(&(before, byte)) {
                Some(&code) => Some(code),
                None => {
                    // The reader makes an entry of each code but the first.
                    let grows = free > 1 << width && width < widest;
                    if grows {
                        width += 1;
                    }
                    let next_grows = free == 1 << width && width < widest;
                    put(before, width, next_grows);
                    if free < 1 << widest {
                        table.insert((before, byte), free);
                        free += 1;
                    }
                    Some(byte.into())
                }
            },
        };
    }
    if let Some(last) = prefix {
        if free > 1 << width && width < widest {
            width += 1;
        }
        put(last, width, false);
    }
    put(0, 7, false); // the bits that are left, as whole bytes
    file.extend(out);
    file
}

type Packer = fn(&[u8]) -> Vec<u8>;

const FORMATS: &[(Format, Packer)] = &[
    (Format::Bzip2, bzip2),
    (Format::Compress, |bytes| compress(bytes, 12)),
    (Format::Lz4, lz4),
    (Format::Lzip, lzip),
    (Format::Lzma, |bytes| lzma(bytes, None)),
    (Format::Xz, xz),
    (Format::Zstd, zstd),
];

/// Text that is neither too easy nor too hard to compress.
fn prose(length: usize) -> Vec<u8> {
    let words = ["quahog ", "clam ", "oyster ", "shell ", "pearl\n"];
    let mut state = 1_u32;
    let mut text = Vec::new();
    while text.len() < length {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        text.extend(words[(state >> 16) as usize % words.len()].bytes());
    }
    text.truncate(length);
    text
}

fn one(format: Format, bytes: &[u8]) -> (Found, Option<Shortfall>) {
    let (mut found, shortfall) = parts(format, bytes);
    assert_eq!(found.len(), 1, "{format:?}");
    (found.remove(0), shortfall)
}

#[test]
fn every_stream_gives_what_was_packed() {
    for &(format, pack) in FORMATS {
        for length in [0, 1, 1000, 300_000] {
            let text = prose(length);
            let (part, shortfall) = one(format, &pack(&text));
            assert_eq!(part.shortfall.or(shortfall), None, "{format:?} {length}");
            assert!(part.bytes.unwrap_or_default() == text, "{format:?} {length}");
        }
    }
}

#[test]
fn the_first_bytes_tell_what_has_no_type() {
    for &(format, pack) in FORMATS {
        let typed = matches!(format, Format::Bzip2 | Format::Xz);
        let told = Format::recognize(&pack(b"hello"));
        assert_eq!(told, (!typed).then_some(format), "{format:?}");
    }
    assert_eq!(Format::recognize(b"!<arch>\n"), Some(Format::Ar));
    for text in [&b"]\0\0 is no stream of LZMA"[..], b"", b"LZ", b"\x1f\x9d"] {
        assert_eq!(Format::recognize(text), None);
    }
}

#[test]
fn streams_behind_each_other_are_joined() {
    for &(format, pack) in FORMATS {
        if matches!(format, Format::Compress | Format::Lzma) {
            continue;
        }
        let mut bytes = [pack(b"hello "), pack(b""), pack(b"world")].concat();
        let (part, shortfall) = one(format, &bytes);
        assert_eq!((part.text(), part.shortfall), ("hello world", None), "{format:?}");
        assert_eq!(shortfall, None);
        // Junk behind the streams takes nothing away.
        bytes.extend(b"junk");
        let (part, shortfall) = one(format, &bytes);
        assert_eq!(part.text(), "hello world", "{format:?}");
        assert!(part.shortfall.or(shortfall).is_some() || format == Format::Lzip);
    }
}

#[test]
fn skippable_frames_are_skipped() {
    let skipped = [&0x184d_2a53_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"skip"].concat();
    let bytes = [&skipped[..], &zstd(b"hello"), &skipped].concat();
    assert_eq!(one(Format::Zstd, &bytes).0.text(), "hello");
}

#[test]
fn what_is_cut_off_is_missed_and_the_rest_is_not() {
    let text = prose(2_000_000);
    for &(format, pack) in FORMATS {
        let bytes = pack(&text);
        let (part, shortfall) = one(format, &bytes[..bytes.len() * 3 / 4]);
        let given = part.bytes.unwrap_or_default();
        assert!(text.starts_with(&given) && given.len() > 1000, "{format:?} {}", given.len());
        // compress does not mark its end.
        let unmarked = format == Format::Compress;
        assert!(unmarked || part.shortfall.or(shortfall).is_some(), "{format:?}");
    }
}

#[test]
fn xz_is_read_with_every_check_and_filter() {
    let text = prose(100_000);
    for check in [CheckType::None, CheckType::Crc32, CheckType::Crc64, CheckType::Sha256] {
        let (part, _) = one(Format::Xz, &xz_with(&text, check, None));
        assert!(part.bytes.unwrap() == text && part.shortfall.is_none());
    }
    for filter in [FilterType::BcjX86, FilterType::BcjArm, FilterType::Delta] {
        let (part, _) = one(Format::Xz, &xz_with(&text, CheckType::Crc32, Some(filter)));
        assert!(part.bytes.unwrap() == text && part.shortfall.is_none(), "{filter:?}");
    }
}

#[test]
fn bombs_end_in_a_shortfall() {
    let zeros = vec![0; 20 << 20];
    let limits = Limits { part_bytes: 1 << 20, ..Limits::default() };
    let tight = Limits { total_bytes: 1 << 20, ..Limits::default() };
    let fuel = Limits { fuel: 1 << 20, ..Limits::default() };
    for &(format, pack) in FORMATS {
        let bomb = pack(&zeros);
        for (limits, reason) in [
            (limits, Shortfall::PartBytes),
            (tight, Shortfall::TotalBytes),
            (fuel, Shortfall::Fuel),
        ] {
            let (found, _) = parts_within(format, &bomb, limits);
            assert_eq!(found[0].shortfall, Some(reason), "{format:?}");
            assert!(found[0].bytes.as_ref().unwrap().len() <= 1 << 20);
        }
    }
}

#[test]
fn a_size_in_the_header_may_lie() {
    let text = prose(5000);
    let mut short = lzma(&text, Some(5000));
    short[5..13].copy_from_slice(&4000_u64.to_le_bytes());
    assert!(one(Format::Lzma, &short).0.bytes.unwrap() == text[..4000]);
    short[5..13].copy_from_slice(&(1_u64 << 37).to_le_bytes());
    let (part, _) = one(Format::Lzma, &short);
    assert!(part.bytes.unwrap().starts_with(&text));
    assert_eq!(part.shortfall, Some(Shortfall::Malformed));
    // A dictionary of 4 GiB is not allocated.
    short[1..5].copy_from_slice(&[0xff; 4]);
    assert!(one(Format::Lzma, &short).0.bytes.unwrap().starts_with(&text));
}

#[test]
fn memory_that_a_header_asks_for_is_bounded() {
    // A window of 3 GiB, in a frame with one empty block.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xac, 1, 0, 0];
    let (part, _) = one(Format::Zstd, &zstd);
    assert!(part.bytes.is_none() && part.shortfall.is_some());
    let mut lzip = lzip(b"hello");
    lzip[5] = 29;
    assert_eq!(one(Format::Lzip, &lzip).0.shortfall, Some(Shortfall::Unsupported));
}
