//! TNEF: attachments, their names, and bodies.

use quahog_content::{Format, Shortfall};

use super::{part_of, parts};

fn attribute(level: u8, id: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![level];
    bytes.extend(id.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend([0xba, 0xad]); // a wrong checksum
    bytes
}

/// A property with one value of variable length.
fn property(kind: u16, id: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), id.to_le_bytes()].concat();
    if id >= 0x8000 {
        bytes.extend([1; 16]);
        bytes.extend([1, 0, 0, 0, 6, 0, 0, 0, b'n', 0, b'm', 0, 0, 0, 0, 0]);
    }
    bytes.extend([1, 0, 0, 0]);
    bytes.extend((value.len() as u32).to_le_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn properties(list: &[Vec<u8>]) -> Vec<u8> {
    [&(list.len() as u32).to_le_bytes()[..], &list.concat()].concat()
}

fn file(attributes: &[Vec<u8>]) -> Vec<u8> {
    [b"\x78\x9f\x3e\x22\x01\x00".as_slice(), &attributes.concat()].concat()
}

pub(super) fn sample() -> Vec<u8> {
    let wide: Vec<u8> = "long name.exe\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let fixed = [&0x0003_u16.to_le_bytes()[..], &0x3705_u16.to_le_bytes(), &[1, 0, 0, 0]].concat();
    file(&[
        attribute(1, 0x9006, &[0; 4]),
        attribute(
            1,
            0x9003,
            &properties(&[
                property(0x1e, 0x8001, b"named"),
                property(0x102, 0x1013, b"<html>body</html>"),
            ]),
        ),
        attribute(2, 0x9002, &[0; 14]),
        attribute(2, 0x800f, b"MZ first"),
        attribute(2, 0x8010, b"FIRST~1.EXE\0"),
        attribute(2, 0x9005, &properties(&[fixed, property(0x1f, 0x3707, &wide)])),
        attribute(2, 0x9002, &[0; 14]),
        attribute(2, 0x8010, b"second.txt\0"),
        attribute(2, 0x800f, b"second file"),
        attribute(2, 0x9002, &[0; 14]),
        attribute(
            2,
            0x9005,
            &properties(&[property(0x0d, 0x3701, &[&[7; 16][..], b"an object"].concat())]),
        ),
    ])
}

#[test]
fn attachments_have_their_longest_names() {
    let (found, shortfall) = parts(Format::Tnef, &sample());
    assert_eq!(shortfall, None);
    assert_eq!(part_of(&found, b"MZ first").name(), "long name.exe");
    assert_eq!(part_of(&found, b"second file").name(), "second.txt");
    assert_eq!(part_of(&found, b"an object").name, None);
    assert_eq!(part_of(&found, b"<html>body</html>").name(), "body.html");
    assert_eq!(found.len(), 4);
}

#[test]
fn two_data_attributes_are_two_attachments() {
    let bytes = file(&[attribute(2, 0x800f, b"first"), attribute(2, 0x800f, b"second")]);
    let (found, _) = parts(Format::Tnef, &bytes);
    assert_eq!(found.len(), 2);
}

#[test]
fn a_cut_leaves_what_came_before() {
    let whole = file(&[attribute(2, 0x800f, b"MZ first"), attribute(2, 0x800f, b"second")]);
    let (found, shortfall) = parts(Format::Tnef, &whole[..whole.len() - 5]);
    part_of(&found, b"MZ first");
    part_of(&found, b"sec");
    assert_eq!(shortfall, Some(Shortfall::Malformed));
    assert_eq!(parts(Format::Tnef, &[&whole[..], &[0; 5]].concat()).1, None);
    assert_eq!(parts(Format::Tnef, b"no TNEF"), (vec![], Some(Shortfall::Malformed)));
}
