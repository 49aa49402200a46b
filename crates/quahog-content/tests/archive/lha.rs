//! LHA and ARJ, which share their methods.

use quahog_content::{Format, Limits, Shortfall};

use super::{le16, le32, pair, parts, parts_within, texts};

/// A block of one symbol, that many times, as `-lh5-` and later methods have
/// it: codes of one symbol take no bits.
fn run(symbol: u8, times: u32, distance_bits: u32) -> Vec<u8> {
    let fields = [
        (times, 16),
        (0, 5),
        (0, 5),
        (0, 9),
        (symbol.into(), 9),
        (0, distance_bits),
        (0, distance_bits),
        (0, 7),
    ];
    let bits: Vec<u8> = fields
        .iter()
        .flat_map(|&(value, width): &(u32, u32)| {
            (0..width).rev().map(move |bit| (value >> bit & 1) as u8)
        })
        .collect();
    let byte = |byte: &[u8]| byte.iter().enumerate().fold(0, |v, (at, bit)| v | bit << (7 - at));
    // The decoder may look ahead.
    bits.chunks(8).map(byte).chain([0; 8]).collect()
}

fn level_0(method: &str, name: &str, data: &[u8], size: usize) -> Vec<u8> {
    let mut head =
        [method.as_bytes(), &le32(data.len()), &le32(size), &[0; 4], &[0x20, 0]].concat();
    head.push(name.len() as u8);
    head.extend([name.as_bytes(), &[0, 0]].concat());
    [&[head.len() as u8, 0], &head[..], data].concat()
}

fn level_1(method: &str, name: &str, data: &[u8], size: usize) -> Vec<u8> {
    let folder = [&le16(7)[..], &[2], b"dir\xff"].concat();
    let mut head =
        [method.as_bytes(), &le32(data.len() + 7), &le32(size), &[0; 4], &[0x20, 1]].concat();
    head.push(name.len() as u8);
    head.extend([name.as_bytes(), &[0, 0, b'U']].concat());
    // The size of each extended header stands before it.
    let length = head.len() as u8 + 2;
    [&[length, 0], &head[..], &folder, &[0, 0], data].concat()
}

fn level_2(method: &str, name: &str, data: &[u8], size: usize) -> Vec<u8> {
    let mut head =
        [method.as_bytes(), &le32(data.len()), &le32(size), &[0; 4], &[0x20, 2]].concat();
    head.extend([0, 0, b'U']);
    head.extend([&le16(name.len() + 3)[..], &[1], name.as_bytes(), &[0, 0]].concat());
    [&le16(head.len() + 2)[..], &head, data].concat()
}

type Writer = fn(&str, &str, &[u8], usize) -> Vec<u8>;

const LEVELS: [(Writer, &str); 3] = [(level_0, ""), (level_1, "dir/"), (level_2, "")];

#[test]
fn every_level_and_method_is_read() {
    for (write, folder) in LEVELS {
        let name = format!("{folder}a.txt");
        for (method, bits) in [("-lh4-", 4), ("-lh5-", 4), ("-lh6-", 5), ("-lh7-", 5)] {
            let members =
                [write(method, "a.txt", &run(b'a', 7, bits), 7), write("-lh0-", "b", b"hello", 5)];
            let mut bytes = members.concat();
            bytes.push(0);
            let expected = [pair(&name, "aaaaaaa"), pair(&format!("{folder}b"), "hello")];
            assert_eq!(texts(Format::Lha, &bytes), expected, "{method}");
        }
        assert_eq!(texts(Format::Lha, &write("-lhd-", "d", b"", 0))[0].1, "none");
        let (found, _) = parts(Format::Lha, &write("-lh9-", "a", b"hello", 5));
        assert_eq!(found[0].shortfall, Some(Shortfall::Unsupported));
        let bytes = write("-lh0-", "b", b"hello", 5);
        let (found, _) = parts(Format::Lha, &bytes[..bytes.len() - 1]);
        assert_eq!((found[0].text(), found[0].shortfall), ("hell", Some(Shortfall::Malformed)));
    }
    assert_eq!(Format::recognize(&level_0("-lh0-", "b", b"hello", 5)), Some(Format::Lha));
}

#[test]
fn a_run_that_goes_on_for_ever_ends() {
    let bytes = level_0("-lh5-", "a", &run(b'a', 65_535, 4), 1 << 30);
    let (found, _) = parts(Format::Lha, &bytes);
    assert_eq!(found[0].shortfall, Some(Shortfall::Malformed));
    assert!(found[0].bytes.as_ref().unwrap().starts_with(&[b'a'; 60_000]));
    let limits = Limits { part_bytes: 1000, ..Limits::default() };
    let (found, _) = parts_within(Format::Lha, &bytes, limits);
    assert_eq!(found[0].shortfall, Some(Shortfall::PartBytes));
    assert_eq!(found[0].bytes.as_ref().unwrap().len(), 1000);
}

fn arj_header(flags: u8, method: u8, kind: u8, name: &str, packed: usize, size: usize) -> Vec<u8> {
    let mut head = vec![30, 11, 1, 2, flags, method, kind, 0, 0, 0, 0, 0];
    head.extend([&le32(packed)[..], &le32(size), &[0; 10], name.as_bytes(), &[0, 0]].concat());
    [b"\x60\xea", &le16(head.len())[..], &head, &[0; 4], &[0; 2]].concat()
}

fn arj(flags: u8, method: u8, name: &str, data: &[u8], size: usize) -> Vec<u8> {
    [
        &arj_header(0, 0, 2, "x.arj", 0, 0),
        &arj_header(flags, method, 0, name, data.len(), size),
        data,
    ]
    .concat()
}

#[test]
fn arj_is_read() {
    for (method, data, text) in [(0, b"hello".to_vec(), "hello"), (1, run(b'a', 5, 5), "aaaaa")] {
        let mut bytes = arj(0, method, "a.txt", &data, 5);
        bytes.extend(b"\x60\xea\0\0");
        assert_eq!(texts(Format::Arj, &bytes), [pair("a.txt", text)]);
        let (found, shortfall) = parts(Format::Arj, &bytes[..bytes.len() - 4 - data.len() + 2]);
        assert!(found[0].shortfall.is_some() && shortfall == Some(Shortfall::Malformed));
    }
    let (found, _) = parts(Format::Arj, &arj(1, 1, "a.txt", b"secret", 5));
    assert_eq!((found[0].name(), found[0].shortfall), ("a.txt", Some(Shortfall::Encrypted)));
    let (found, _) = parts(Format::Arj, &arj(0, 9, "a.txt", b"hello", 5));
    assert_eq!(found[0].shortfall, Some(Shortfall::Unsupported));
}
