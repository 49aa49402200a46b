//! CD images: two trees, raw sectors, circles.

use quahog_content::{Format, Shortfall};

use super::{pair, parts, texts};

const SECTOR: usize = 2048;

fn both(value: usize) -> Vec<u8> {
    let value = value as u32;
    [value.to_le_bytes(), value.to_be_bytes()].concat()
}

fn record(name: &[u8], sector: usize, size: usize, flags: u8) -> Vec<u8> {
    let length = (33 + name.len()).next_multiple_of(2);
    let mut bytes = vec![length as u8, 0];
    bytes.extend([both(sector), both(size), vec![0; 7], vec![flags], vec![0; 6]].concat());
    bytes.push(name.len() as u8);
    bytes.extend(name);
    bytes.resize(length, 0);
    bytes
}

fn descriptor(kind: u8, escape: &[u8], root: usize) -> Vec<u8> {
    let mut block = [&[kind], &b"CD001\x01"[..]].concat();
    block.resize(88, 0);
    block.extend(escape);
    block.resize(156, 0);
    block.extend(record(&[0], root, SECTOR, 2));
    block
}

/// An image of these sectors from number 16 on.
fn image(sectors: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 16 * SECTOR];
    for sector in sectors {
        bytes.extend(sector);
        bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    }
    bytes
}

fn wide(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Sectors 16, 17 and 18 are descriptors, 19 to 21 folders, 22 is a file.
fn disc() -> Vec<Vec<u8>> {
    let own = |at| [record(&[0], at, SECTOR, 2), record(&[1], at, SECTOR, 2)].concat();
    vec![
        descriptor(1, b"", 19),
        descriptor(2, b"%/E", 20),
        b"\xffCD001\x01".to_vec(),
        [own(19), record(b"DIR", 21, SECTOR, 2)].concat(),
        [own(20), record(&wide("a long name.txt"), 22, 5, 0)].concat(),
        // A folder that holds the root is no reason to go round.
        [own(21), record(b"A.TXT;1", 22, 5, 0), record(b"LOOP", 19, SECTOR, 2)].concat(),
        b"hello".to_vec(),
    ]
}

#[test]
fn both_trees_are_walked_and_data_is_given_once() {
    let expected = [pair("a long name.txt", "hello"), pair("DIR/A.TXT", "none")];
    assert_eq!(texts(Format::Iso, &image(&disc())), expected);
}

#[test]
fn raw_sectors_are_read() {
    let plain = image(&disc());
    let raw: Vec<u8> = plain
        .chunks(SECTOR)
        .flat_map(|sector| [&[0xee; 16][..], sector, &[0xee; 288]].concat())
        .collect();
    assert_eq!(texts(Format::Iso, &raw)[0], pair("a long name.txt", "hello"));
}

#[test]
fn extents_are_joined_and_ends_are_missed() {
    let mut sectors = disc();
    sectors[4] = [
        record(&wide("f"), 22, SECTOR, 0x80),
        record(&wide("f"), 23, 5, 0),
        record(&wide("g"), 999, 5, 0),
    ]
    .concat();
    sectors.push(b"world".to_vec());
    let (found, _) = parts(Format::Iso, &image(&sectors));
    let bytes = found[0].bytes.as_ref().unwrap();
    assert!(bytes.starts_with(b"hello") && bytes.ends_with(b"world") && bytes.len() == SECTOR + 5);
    assert_eq!((found[1].name(), found[1].shortfall), ("g", Some(Shortfall::Malformed)));
    assert_eq!(parts(Format::Iso, b"no image").1, Some(Shortfall::Malformed));
}
