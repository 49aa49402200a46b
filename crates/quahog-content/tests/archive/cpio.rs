//! cpio and ar: headers in every form.

use quahog_content::{Format, Shortfall};

use super::{Found, parts};

fn padded(mut bytes: Vec<u8>, align: usize) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
    bytes
}

fn newc(magic: &str, name: &str, data: &[u8]) -> Vec<u8> {
    let mut text = magic.to_owned();
    for field in [1, 0o100_644, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0] {
        text += &format!("{field:08X}");
    }
    let head = padded(format!("{text}{name}\0").into_bytes(), 4);
    padded([&head, data].concat(), 4)
}

fn odc(name: &str, data: &[u8]) -> Vec<u8> {
    let mut text = "070707".to_owned();
    text += &"000001".repeat(7);
    text += &format!("{:011o}{:06o}{:011o}{name}\0", 0, name.len() + 1, data.len());
    [text.as_bytes(), data].concat()
}

fn binary(big_endian: bool, name: &str, data: &[u8]) -> Vec<u8> {
    let length = name.len() as u16 + 1;
    let words = [0o070_707, 1, 1, 0, 0, 0, 1, 0, 0, 0, length, 0, data.len() as u16];
    let word = |w: u16| if big_endian { w.to_be_bytes() } else { w.to_le_bytes() };
    let head: Vec<u8> = words.into_iter().flat_map(word).chain(name.bytes()).chain([0]).collect();
    padded([&padded(head, 2), data].concat(), 2)
}

type Writer = fn(&str, &[u8]) -> Vec<u8>;

#[test]
fn every_form_is_read() {
    let forms: [Writer; 5] = [
        |name, data| newc("070701", name, data),
        |name, data| newc("070702", name, data),
        odc,
        |name, data| binary(false, name, data),
        |name, data| binary(true, name, data),
    ];
    for write in forms {
        let members = [write("d", b""), write("a.txt", b"hello"), write("TRAILER!!!", b"")];
        let mut bytes = members.concat();
        bytes.resize(bytes.len() + 512, 0);
        // Another archive behind the end of the first.
        bytes.extend([write("b", b"more"), write("TRAILER!!!", b"")].concat());
        let (found, shortfall) = parts(Format::Cpio, &bytes);
        let texts: Vec<_> = found.iter().map(|f| (f.name(), f.text())).collect();
        assert_eq!(texts, [("d", "none"), ("a.txt", "hello"), ("b", "more")]);
        assert_eq!(shortfall, None);
        let (found, shortfall) =
            parts(Format::Cpio, &write("a", b"hello")[..write("a", b"hello").len() - 3]);
        let cut = found.first().and_then(|part| part.shortfall);
        assert_eq!(cut.or(shortfall), Some(Shortfall::Malformed));
    }
}

fn ar(name: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, data.len());
    let mut bytes = [head.as_bytes(), data].concat();
    if data.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn names_of_ar_have_three_forms() {
    let bytes = [
        b"!<arch>\n".to_vec(),
        ar("//", b"a name that is long.o/\nother/\n"),
        ar("short.o/", b"one"),
        ar("/0", b"two"),
        ar("/23", b"three"),
        ar("#1/8", b"bsd.o\0\0\0four"),
    ]
    .concat();
    let (found, shortfall) = parts(Format::Ar, &bytes);
    let texts: Vec<_> = found.iter().map(|f| (f.name(), f.text())).collect();
    assert_eq!(
        texts,
        [
            ("short.o", "one"),
            ("a name that is long.o", "two"),
            ("other", "three"),
            ("bsd.o", "four"),
        ]
    );
    assert_eq!(shortfall, None);
    let (found, _) = parts(Format::Ar, &bytes[..bytes.len() - 2]);
    assert_eq!(found.last().and_then(|part: &Found| part.shortfall), Some(Shortfall::Malformed));
}
