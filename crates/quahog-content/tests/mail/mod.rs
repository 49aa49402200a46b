//! Messages: what comes out of tricks, of well-formed mail (compared with
//! another parser), and of bytes that mean nothing.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;
use quahog_content::{Ambiguity, Budget, Format, Limits, Shortfall, open};

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Found {
    bytes: Vec<u8>,
    name: Option<String>,
    declared: Option<String>,
    shortfall: Option<Shortfall>,
}

fn walk(message: &[u8], limits: Limits) -> (Vec<Found>, Option<Shortfall>) {
    let mut found = Vec::new();
    let shortfall = open(Format::Mail, message, &Budget::new(limits), &mut |part| {
        let bytes = part.bytes.expect("a part of a message has bytes").to_vec();
        assert_eq!(part.entry.position, 0);
        assert_eq!(
            (part.entry.size, part.entry.packed_size),
            (bytes.len() as u64, part.entry.size)
        );
        found.push(Found {
            bytes,
            name: part.name.map(Cow::into_owned),
            declared: part.declared.map(Cow::into_owned),
            shortfall: part.shortfall,
        });
        ControlFlow::Continue(())
    });
    (found, shortfall)
}

fn parts(message: impl AsRef<[u8]>) -> Vec<Found> {
    let (found, shortfall) = walk(message.as_ref(), Limits::default());
    assert_eq!(shortfall, None);
    found
}

/// As [`parts`], with nested messages opened.
fn deep_parts(message: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    for part in parts(message) {
        if part.declared.as_deref() == Some("message/rfc822") {
            found.extend(deep_parts(&part.bytes));
        } else {
            found.push(part);
        }
    }
    found
}

fn bodies(message: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    parts(message).into_iter().map(|part| part.bytes).collect()
}

/// Bytes of every value, so that no decoder can lose one unseen.
fn payload() -> Vec<u8> {
    (0..=255_u8).chain((0..=255).rev()).chain(*b"\x90\x90\x90 quahog").collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Base64 in lines of 76, each with `end`.
fn base64_lines(bytes: &[u8], end: &str) -> String {
    let text = base64(bytes);
    text.as_bytes()
        .chunks(76)
        .map(|line| format!("{}{end}", String::from_utf8_lossy(line)))
        .collect()
}

fn quoted_printable(bytes: &[u8]) -> String {
    let coded: Vec<String> = bytes.iter().map(|byte| format!("={byte:02X}")).collect();
    coded.chunks(20).map(<[String]>::concat).collect::<Vec<_>>().join("=\r\n")
}

fn uuencode(bytes: &[u8]) -> String {
    let letter = |bits: u32| char::from(b' ' + (bits & 63) as u8);
    let mut text = String::new();
    for line in bytes.chunks(45) {
        text.push(letter(line.len() as u32));
        for chunk in line.chunks(3) {
            let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
                << (8 * (3 - chunk.len()));
            (0..4).for_each(|index| text.push(letter(bits >> (18 - 6 * index))));
        }
        text.push_str("\r\n");
    }
    text
}

fn yenc(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in bytes {
        match byte.wrapping_add(42) {
            critical @ (0 | b'\n' | b'\r' | b'=') => {
                text.extend([b'=', critical.wrapping_add(64)]);
            }
            plain => text.push(plain),
        }
        if text.len() % 128 == 0 {
            text.extend(b"\r\n");
        }
    }
    text
}

/// A BinHex file with a data fork, runs coded.
fn binhex(name: &str, data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
    let mut file = vec![name.len() as u8];
    file.extend(name.bytes().chain(*b"\0TEXTttxt\0\0"));
    file.extend((data.len() as u32).to_be_bytes());
    file.extend([0, 0, 0, 0, 0xaa, 0xbb]);
    file.extend(data);
    file.extend([0xcc, 0xdd, 0xee, 0xff]);
    let mut coded: Vec<u8> = Vec::new();
    for run in file.chunk_by(|a, b| a == b) {
        let mark: &[u8] = if run[0] == 0x90 { &[0x90, 0] } else { &run[..1] };
        for piece in run.chunks(255) {
            if piece.len() > 3 {
                coded.extend(mark.iter().chain(&[0x90, piece.len() as u8]));
            } else {
                piece.iter().for_each(|_| coded.extend(mark));
            }
        }
    }
    let mut text = String::from("(This file must be converted with BinHex 4.0)\r\n\r\n:");
    for (index, chunk) in coded.chunks(3).enumerate() {
        let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for letter in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
        if index % 16 == 15 {
            text.push_str("\r\n");
        }
    }
    text + ":\r\n"
}

const TOP: &str = "From: a@b.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n";

/// A multipart with a text and the payload, its header lines given.
fn two_parts(top: &str, boundary: &str, head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut message = format!(
        "{TOP}{top}\r\npreamble\r\n--{boundary}\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
         --{boundary}\r\nContent-Type: application/octet-stream\r\n{head}\r\n"
    )
    .into_bytes();
    message.extend(body.as_ref());
    message.extend(format!("\r\n--{boundary}--\r\n").bytes());
    message
}

fn mixed(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    two_parts("Content-Type: multipart/mixed; boundary=\"=_q\"\r\n", "=_q", head, body)
}

fn encoded() -> String {
    base64_lines(&payload(), "\r\n")
}

const BASE64: &str = "Content-Transfer-Encoding: base64\r\n";

#[track_caller]
fn assert_finds(case: &str, message: impl AsRef<[u8]>) {
    let found = deep_parts(message.as_ref());
    assert!(
        found.iter().any(|part| part.bytes == payload()),
        "{case}: no part is the payload; lengths {:?}",
        found.iter().map(|part| part.bytes.len()).collect::<Vec<_>>()
    );
}

/// Whatever a header says of the boundary, the attachment comes out.
#[test]
fn odd_boundary_parameters_divide_all_the_same() {
    for top in [
        "Content-Type: multipart/mixed; boundary=\"=_q\"",
        "Content-Type: multipart/mixed; boundary==_q",
        "Content-Type: multipart/mixed; boundary='=_q'",
        "Content-Type: multipart/mixed; boundary=\"=_q",
        "Content-Type: multipart/mixed; boundary=\"=_q;\"",
        "Content-Type: multipart/mixed; boundary=\"=\\_q\"",
        "Content-Type: multipart/mixed; boundary = \"=_q\" ; x=y",
        "Content-Type: multipart/mixed; boundary=\"=_q\";;",
        "Content-Type: multipart/mixed;\r\n\tboundary=\"=_q\"",
        "Content-Type: multipart/mixed; boundary=\r\n\t\"=_q\"",
        "Content-Type: multipart/mixed; boundary=wrong; boundary=\"=_q\"",
        "Content-Type: multipart/mixed; boundary=\"=_q\"; boundary=wrong",
        "Content-Type: multipart/mixed (c; boundary=no); boundary=\"=_q\"",
        "Content-Type: multipart/mixed (never ends; boundary=\"=_q\"",
        "Content-Type: multipart/mixed boundary=\"=_q\"",
        "Content-Type: multipart/mixed, boundary=\"=_q\"",
        "Content-Type: multipart / mixed; boundary=\"=_q\"",
        "Content-Type: multipart; boundary=\"=_q\"",
        "Content-Type: multipart/made-up; boundary=\"=_q\"",
        "Content-Type:\tMULTIPART/MIXED;\tBOUNDARY=\"=_q\"",
        "Content-Type : multipart/mixed; boundary=\"=_q\"",
        "Content-Type(c): multipart/mixed; boundary=\"=_q\"",
        "Content-Type: multipart/mixed; boundary*=us-ascii''%3D_q",
        "Content-Type: multipart/mixed; boundary*1=q; boundary*0*=us-ascii'en'%3D_",
        "Content-Type: multipart/mixed; x=\"\u{ff}\"; boundary=\"=_q\"",
        "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=\"=_q\"",
        "Content-Type: multipart/mixed; boundary=\"=_q\"\r\nContent-Type: text/plain",
        "Content-Type: multipart/mixed; boundary=a\r\nContent-Type: multipart/mixed; boundary==_q",
        "Content-Type: multipart/mixed\r\nContent-Disposition: inline; boundary=\"=_q\"",
        "Content-Disposition: inline; boundary=\"=_q\"",
        "Content-Type: ; boundary=\"=_q\"",
        // No boundary that fits: the encoded body is found in the text.
        "Content-Type: multipart/mixed",
        "Content-Type: multipart/mixed; boundary=",
        "Content-Type: multipart/mixed; boundary=\"\"",
        "Content-Type: multipart/mixed; boundary=wrong",
        "Content-Type multipart/mixed; boundary=\"=_q\"",
        "Content-Type: text/plain\r\n\r\nContent-Type: multipart/mixed; boundary=\"=_q\"",
        "X-Nothing: at all",
    ] {
        let message = two_parts(&format!("{top}\r\n"), "=_q", BASE64, encoded());
        assert_finds(top, &message);
        let bare: Vec<u8> = message.iter().copied().filter(|&byte| byte != b'\r').collect();
        assert_finds(top, bare);
    }
}

#[test]
fn a_boundary_with_blanks_and_junk_after_it_divides() {
    let top = "Content-Type: multipart/mixed; boundary=\"a b c\"\r\n";
    assert_finds("blanks", two_parts(top, "a b c", BASE64, encoded()));
    let top = "Content-Type: multipart/mixed; boundary=a b c\r\n";
    assert_finds("no quotes", two_parts(top, "a b c", BASE64, encoded()));
    let message = String::from_utf8(mixed(BASE64, encoded())).unwrap();
    for junk in [" ", "\t", " junk", "junk", ";x"] {
        assert_finds(junk, message.replace("--=_q\r\n", &format!("--=_q{junk}\r\n")));
    }
}

/// A boundary that begins like an outer one still opens its own multipart.
#[test]
fn the_longer_of_two_boundaries_counts() {
    let inner = format!(
        "Content-Type: multipart/mixed; boundary=abc1\r\n\r\n--abc1\r\n{BASE64}\r\n{}--abc1--\r\n",
        encoded()
    );
    let message = format!(
        "{TOP}Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n{inner}--abc\r\n\r\nlast\r\n--abc--\r\n"
    );
    assert_eq!(bodies(&message), [payload(), b"last\n".to_vec()]);
}

/// Lines of one boundary may stand in the middle of a part of the other.
#[test]
fn two_boundaries_that_both_occur_are_read_apart() {
    let body = encoded().replacen("\r\n", "\r\n--!!\r\n\r\n", 1);
    for top in [
        "Content-Type: multipart/mixed; boundary=A; boundary=!!\r\n",
        "Content-Type: multipart/mixed; boundary=!!\r\nContent-Type: multipart/mixed; boundary=A\r\n",
    ] {
        assert_finds(top, two_parts(top, "A", BASE64, &body));
    }
}

#[test]
fn transfer_encodings_are_told_from_any_spelling() {
    for head in [
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding:BASE64",
        "Content-Transfer-Encoding : base64",
        "Content-Transfer-Encoding(x): base64",
        "Content-Transfer-Encoding: base64   ",
        "Content-Transfer-Encoding: base64,",
        "Content-Transfer-Encoding: base64;",
        "Content-Transfer-Encoding: base64\0",
        "Content-Transfer-Encoding: \"base64\"",
        "Content-Transfer-Encoding: base-64",
        "Content-Transfer-Encoding: x-base64",
        "Content-Transfer-Encoding: 7bit, base64",
        "Content-Transfer-Encoding: (x) base64",
        "Content-Transfer-Encoding: base64 (x)",
        "Content-Transfer-Encoding:\r\n base64",
        "Content-Transfer-Encoding:\r\n \t\r\n base64",
        "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable",
        "Content-Transfer-Encoding: quoted-printable\r\nContent-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
        "Content-Transfer-Encoding base64",
        // These lie, or mean nothing.
        "Content-Transfer-Encoding: 7bit",
        "Content-Transfer-Encoding: rot13",
        "Content-Transfer-Encoding: x-uuencode",
    ] {
        assert_finds(head, mixed(&format!("{head}\r\n"), encoded()));
    }
}

/// Without a word of base64, nothing decodes it: no mail program, no ClamAV.
#[test]
fn base64_that_nobody_declares_is_text() {
    for head in ["", "Content-Transfer-Encoding: \r\n", "Content-Transfer-Encoding: 8bit\r\n"] {
        let found = bodies(mixed(head, encoded().trim_end()));
        assert_eq!(found[1], base64_lines(&payload(), "\n").into_bytes(), "{head:?}");
        assert_eq!(found.len(), 2, "{head:?}");
    }
}

/// clamscan 1.4.6 tries both decodings where it does not know the word.
#[test]
fn an_unknown_encoding_is_read_as_quoted_printable_too() {
    for word in ["rot13", "quoted printable", "quoted"] {
        let head = format!("Content-Transfer-Encoding: {word}\r\n");
        assert_finds(word, mixed(&head, quoted_printable(&payload())));
        assert_eq!(bodies(mixed(&head, "a = b")).len(), 2, "{word}");
    }
    for word in ["7bit", "8bit", "binary"] {
        let head = format!("Content-Transfer-Encoding: {word}\r\n");
        assert_eq!(bodies(mixed(&head, "=41=42")).len(), 2, "{word}");
    }
}

/// In clamscan 1.4.6 a line of blanks ends a header before what is no field,
/// and a header goes on after an empty line if a field follows.
#[test]
fn headers_end_where_clamav_ends_them_too() {
    for end in
        [" \r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n", "\r\n\r\nContent-ID: x\r\n\r\n"]
    {
        let head = format!("Content-Transfer-Encoding: base64\r\n{end}");
        let part = format!("{head}{}", encoded());
        let start = "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n";
        assert_finds(end, format!("{start}{part}\r\n--q--\r\n"));
    }
}

/// They hide the magic bytes of a file, and are no part of it in clamscan 1.4.6.
#[test]
fn blank_lines_before_a_body_are_left_out() {
    for encoding in ["7bit", "8bit", "binary", "quoted-printable", "rot13"] {
        for blank in ["", "\r\n", "\n", "\r\n\r\n\r\n"] {
            let case = format!("{encoding} {blank:?}");
            let head = |kind: &str| {
                format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n")
            };
            let mixed = |head: &str, body: &str| {
                let start = "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nhi\r\n";
                format!("{start}--q\r\n{head}\r\n{blank}{body}\r\n--q--\r\n")
            };
            let text = bodies(mixed(&head("text/plain"), "MZ"));
            assert_eq!(text[1..], [b"MZ\n".to_vec()], "{case}");
            let file = bodies(mixed(&head("application/x"), "MZ\0\x01"));
            assert!(file[1..].contains(&b"MZ\0\x01".to_vec()), "{case}");
            assert_eq!(file.len(), if blank.is_empty() { 2 } else { 3 }, "{case}");
        }
    }
    // The only text of a message keeps them, as there.
    assert_eq!(bodies("Subject: x\r\n\r\n\r\n\r\na\r\n"), [b"\n\na\n".to_vec()]);
}

#[test]
fn base64_survives_what_stands_between_its_letters() {
    let text = base64(&payload());
    let every = |n: usize, junk: &str| -> String {
        text.as_bytes()
            .chunks(n)
            .map(|chunk| format!("{}{junk}", String::from_utf8_lossy(chunk)))
            .collect()
    };
    let bytes = payload();
    let (first, second) = bytes.split_at(100);
    for (case, body) in [
        ("one line", text.clone()),
        ("a letter a line", every(1, "\r\n")),
        ("CR only", every(76, "\r")),
        ("LF only", every(76, "\n")),
        ("CR CR LF", every(76, "\r\r\n")),
        ("blanks", every(5, " \t")),
        ("junk", every(7, "!*.\u{e4}")),
        ("NUL", every(3, "\0")),
        ("no padding", text.trim_end_matches('=').to_owned()),
        ("padding twice", format!("{text}====")),
        ("padding inside", format!("{}{}", base64(first), base64(second))),
        ("a line of another boundary", every(76, "\r\n--=_b2\r\n")),
        ("url alphabet", text.replace('+', "-").replace('/', "_")),
    ] {
        assert_finds(case, mixed(BASE64, body));
    }
}

#[test]
fn quoted_printable_adds_and_loses_nothing() {
    let head = "Content-Transfer-Encoding: Quoted-Printable\r\n";
    let text = quoted_printable(&payload());
    for (case, body) in [
        ("upper-case", text.clone()),
        ("lower-case", text.to_lowercase()),
        ("LF", text.replace("\r\n", "\n")),
        ("blanks at soft breaks", text.replace("=\r\n", "= \t\r\n")),
        ("soft break at the end", format!("{text}=")),
    ] {
        assert_finds(case, mixed(head, body));
    }
    let body = "a =ZZ b=\r\nc=3\r\n=\r\n=4=41 =";
    assert_eq!(bodies(mixed(head, body))[1], b"a =ZZ bc=3\r\n=4A ");
    let message = format!("{TOP}Content-Type: text/plain\r\n{head}\r\na=20\r\nb =\r\nc");
    assert_eq!(bodies(message), [b"a \nb c\n"]);
}

#[test]
fn identity_bodies_are_slices_of_the_message() {
    let text = "first\nsecond\n";
    let mut binary = payload();
    binary.extend(b"\r\n");
    let mut message = format!(
        "{TOP}Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n{text}\
         --b\nContent-Type: image/png\nContent-Transfer-Encoding: binary\n\n"
    )
    .into_bytes();
    message.extend(&binary);
    message.extend(b"\n--b\nContent-Type: message/rfc822\n\nFrom: x\r\n\r\ny\r\n--b--\n");
    let range = message.as_ptr_range();
    let mut found = Vec::new();
    open(Format::Mail, &message, &Budget::new(Limits::default()), &mut |part| {
        let bytes = part.bytes.unwrap();
        assert!(range.contains(&bytes.as_ptr()) && bytes.as_ptr_range().end <= range.end);
        found.push(bytes.to_vec());
        ControlFlow::Continue(())
    });
    // All line ends before a delimiter that are one LF with its CRs belong to it.
    assert_eq!(found, [text.into(), binary, b"From: x\r\n\r\ny".to_vec()]);
}

#[test]
fn text_has_lf_line_ends_and_one_at_the_end() {
    for (body, expected) in [
        ("a\r\nb", "a\nb\n"),
        ("a\nb\n", "a\nb\n\n"),
        ("a\rb\r\r\nc", "a\nb\nc\n"),
        ("a\0b\0", "ab\n"),
    ] {
        for head in ["Content-Type: text/html\r\n", "Content-Transfer-Encoding: 7bit\r\n", ""] {
            let message = two_parts(
                "Content-Type: multipart/mixed; boundary=b\r\n",
                "b",
                "",
                format!("\r\n--b\r\n{head}\r\n{body}"),
            );
            assert_eq!(bodies(message).last().unwrap(), expected.as_bytes(), "{head:?} {body:?}");
        }
    }
    // An encoder's line ends are its own.
    let text = format!("{TOP}Content-Type: text/plain\r\n{BASE64}\r\n{}", base64(b"a\r\nb"));
    assert_eq!(bodies(text), [b"a\r\nb"]);
}

#[test]
fn headers_are_found_among_junk() {
    let message = mixed(BASE64, encoded());
    let put = |head: &str| [head.as_bytes(), &message].concat();
    assert_finds("BOM", put("\u{feff}"));
    assert_finds("blank lines", put("\r\n\n\r\n"));
    assert_finds("junk line", put("this is no header\r\n"));
    assert_finds("NUL", put("X: a\0b\r\n"));
    assert_finds("blanks as a line", put("X: y\r\n \r\n\t\r\n"));
    assert_finds(">From", put(">From somebody yesterday\r\n"));
    assert_finds("many", put(&"X-Many: 1\r\n".repeat(20_000)));
    assert_finds("long", put(&format!("X-Long: {}\r\n", "x".repeat(1_000_000))));
    assert_finds("folds", put(&format!("X-Folds: {}\r\n", "\r\n y".repeat(100_000))));
    let text = String::from_utf8(message.clone()).unwrap();
    assert_finds("CR CR LF", text.replace("\r\n", "\r\r\n"));
    assert_finds("no empty line", text.replacen("\r\n\r\npreamble", "", 1));
    assert_finds("after the SMTP dot", [message.as_slice(), b".\r\nQUIT\r\n"].concat());
    // A lone CR is no line end: nobody reads such a message.
    assert!(!bodies(text.replace("\r\n", "\r")).contains(&payload()));
}

#[test]
fn parts_after_the_closing_delimiter_count_and_preambles_do_not() {
    let mut message = mixed(BASE64, "AAAA");
    message.extend(format!("epilogue\r\n--=_q\r\n{BASE64}\r\n{}--=_q--\r\n", encoded()).bytes());
    let expected: [Vec<u8>; 4] = [b"hello\n".into(), vec![0; 3], b"epilogue\n".into(), payload()];
    assert_eq!(bodies(message), expected);
}

#[test]
fn multiparts_of_any_kind_are_opened_to_the_depth_limit() {
    for kind in ["mixed", "signed", "parallel", "alternative", "report", "x-new", "encrypted"] {
        let top = format!("Content-Type: multipart/{kind}; boundary=b\r\n");
        assert_finds(kind, two_parts(&top, "b", BASE64, encoded()));
    }
    let nested = |depth: usize| {
        let mut message = TOP.to_owned();
        for level in 0..depth {
            message +=
                &format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        }
        message + BASE64 + "\r\n" + &encoded()
    };
    let limits = Limits { mail_depth: 30, ..Limits::default() };
    let (found, shortfall) = walk(nested(30).as_bytes(), limits);
    assert_eq!((found[0].bytes.as_slice(), shortfall), (payload().as_slice(), None));
    let (_, shortfall) = walk(nested(31).as_bytes(), limits);
    assert_eq!(shortfall, Some(Shortfall::Depth));
    let (_, shortfall) =
        walk(nested(5000).as_bytes(), Limits { mail_depth: u32::MAX, ..Limits::default() });
    assert_eq!(shortfall, Some(Shortfall::Depth));
}

#[test]
fn nested_messages_are_one_part_each() {
    let inner = String::from_utf8(mixed(BASE64, encoded())).unwrap();
    for (case, head, body) in [
        ("plain", "", inner.clone()),
        ("base64", BASE64, base64_lines(inner.as_bytes(), "\r\n")),
        (
            "quoted-printable",
            "Content-Transfer-Encoding: quoted-printable\r\n",
            quoted_printable(inner.as_bytes()),
        ),
    ] {
        let message = format!("{TOP}Content-Type: message/rfc822\r\n{head}\r\n{body}");
        let found = parts(&message);
        assert_eq!(found.len(), 1, "{case}");
        assert_eq!(found[0].declared.as_deref(), Some("message/rfc822"), "{case}");
        assert_eq!(found[0].bytes, inner.as_bytes(), "{case}");
        assert_finds(case, message);
    }
    let digest = format!(
        "{TOP}Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n{}--b--\r\n",
        format_args!("From: x\r\n{BASE64}\r\n{}", encoded())
    );
    assert_finds("digest", digest);
}

#[test]
fn files_inside_of_texts_come_out() {
    let uu = uuencode(&payload());
    let text =
        |body: &str| format!("{TOP}Content-Type: text/plain\r\n\r\nlook:\r\n{body}\r\nbye\r\n");
    for (case, message) in [
        ("uuencode", text(&format!("begin 644 a.bin\r\n{uu}`\r\nend"))),
        ("four digits", text(&format!("begin 0755 a.bin\r\n{uu}`\r\nend"))),
        ("no end", text(&format!("begin 644 a.bin\r\n{uu}`"))),
        ("blank for zero", text(&format!("begin 644 a.bin\r\n{uu} \r\nend"))),
        ("grave for blank", text(&format!("begin 644 a.bin\r\n{}`\r\nend", uu.replace(' ', "`")))),
        (
            "a line that is none",
            text(&format!("begin 644 a.bin\r\n{}end", uu.replacen("\r\n", "\r\nno data\r\n", 1))),
        ),
        (
            "hidden by another",
            text(&format!("begin 644 b\r\nno data\r\nbegin 644 a.bin\r\n{uu}end")),
        ),
        ("no MIME", format!("From: a\r\n\r\nbegin 644 a.bin\r\n{uu}`\r\nend\r\n")),
        ("in HTML", text(&format!("begin 644 a.bin\r\n{uu}end")).replace("plain", "html")),
        ("BinHex", text(&binhex("a.bin", &payload()))),
        ("BinHex unclosed", text(binhex("a.bin", &payload()).trim_end_matches(":\r\n"))),
        (
            "bounce",
            text(&format!("\r\nContent-Type: x/y\r\n{BASE64}\r\n{}", encoded()))
                .replace("bye\r\n", ""),
        ),
        ("junk header", format!("From: a\r\nbegin 644 a.bin\r\n{uu}`\r\nend\r\nTo: b\r\n\r\nx")),
    ] {
        assert_finds(case, message);
    }
    let yencoded = [
        text("").as_bytes(),
        b"=ybegin line=128 size=521 name=a.bin\r\n",
        &yenc(&payload()),
        b"\r\n=yend size=521\r\n",
    ]
    .concat();
    assert_finds("yEnc", &yencoded);
    assert_eq!(parts(&yencoded)[1].name.as_deref(), Some("a.bin"));

    let uu_base64 = base64_lines(format!("begin 644 a.bin\n{uu}`\nend\n").as_bytes(), "\r\n");
    assert_finds(
        "uuencode in base64",
        format!("{TOP}Content-Type: text/plain\r\n{BASE64}\r\n{uu_base64}"),
    );
    let cte = "Content-Transfer-Encoding: x-uuencode\r\n";
    assert_finds("uuencode declared", mixed(cte, format!("begin 644 a.bin\r\n{uu}`\r\nend")));
    let binhex_base64 = base64_lines(binhex("a.bin", &payload()).as_bytes(), "\r\n");
    assert_finds("BinHex in base64", mixed(BASE64, binhex_base64));
    let epilogue = format!("begin 644 a.bin\r\n{uu}`\r\nend\r\n");
    assert_finds("epilogue", [mixed("", "x"), epilogue.into()].concat());

    let preamble = format!("preamble\r\nbegin 644 a.bin\r\n{uu}`\r\nend\r\n");
    let message = String::from_utf8(mixed("", "x")).unwrap();
    assert_finds("preamble", message.replace("preamble\r\n", &preamble));

    // Not what any decoder takes.
    assert_eq!(parts(text(&format!("begin  644  a.bin\r\n{uu}`\r\nend"))).len(), 1);
}

#[test]
fn names_are_decoded_to_what_a_client_shows() {
    let name = |head: &str| {
        let message = mixed(&format!("{head}\r\n"), "AAAA");
        parts(message)[1].name.clone().unwrap()
    };
    for (parameters, expected) in [
        ("filename=\"a.exe\"", "a.exe"),
        ("filename=a.exe", "a.exe"),
        ("filename=my file.exe", "my file.exe"),
        ("FileName = \"a.exe\" ; size=4", "a.exe"),
        ("filename=\"a.txt\"; filename=\"a.exe\"", "a.txt"),
        ("filename='a.exe'", "'a.exe'"),
        ("filename=\"a;b.exe\"", "a;b.exe"),
        ("filename=\"a\\\"b.exe\"", "a\"b.exe"),
        ("filename=\"a.exe", "a.exe"),
        ("filename=\"a\r\n b.exe\"", "a b.exe"),
        ("filename=a.exe (really)", "a.exe"),
        ("filename*0=\"a.e\"; filename*1=\"xe\"", "a.exe"),
        ("filename*1=xe; filename*0=a.e", "a.exe"),
        ("filename*=utf-8''%C3%A4.exe", "ä.exe"),
        ("filename*=iso-8859-1'de'%e4.exe", "ä.exe"),
        ("filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=.exe", "ä.exe"),
        ("filename=\"a.txt\"; filename*=utf-8''a.exe", "a.exe"),
        ("filename=\"=?utf-8?Q?a=2Eexe?=\"", "a.exe"),
        ("filename==?utf-8?Q?a=2Eexe?=", "a.exe"),
        ("filename=\"=?utf-8?B?YS5l?= =?utf-8?b?eGU=?=\"", "a.exe"),
        ("filename=\"=?utf-8?Q?=C3?= =?utf-8?Q?=A4_b.exe?=\"", "ä b.exe"),
        ("filename=\"x =?iso-8859-1?q?=e4?= y\"", "x ä y"),
        ("filename=\"=?utf-8?Q?open\"", "=?utf-8?Q?open"),
        ("filename=\"ä.exe\"", "ä.exe"),
        ("name=\"a.exe\"", "a.exe"),
    ] {
        let head = format!("Content-Disposition: attachment; {parameters}");
        assert_eq!(name(&head), expected, "{parameters}");
    }
    let latin = mixed("", "AAAA");
    let latin = String::from_utf8(latin).unwrap().replacen(
        "octet-stream",
        "octet-stream; name=\"\u{1}.exe\"",
        1,
    );
    let latin: Vec<u8> = latin.bytes().map(|byte| if byte == 1 { 0xe4 } else { byte }).collect();
    assert_eq!(parts(latin)[1].name.as_deref(), Some("\u{fffd}.exe"));

    let both = mixed(
        "Content-Type: x/y; name=n.txt\r\nContent-Disposition: inline; filename=f.exe\r\n",
        "AAAA",
    );
    assert_eq!(parts(both)[1].name.as_deref(), Some("f.exe"));
}

/// Names that clamscan 1.4.6 shows (`CDBNAME`) for parts without one.
#[test]
fn parts_without_a_name_get_one() {
    let names = |message: &str| -> Vec<Option<String>> {
        parts(message).into_iter().map(|part| part.name).collect()
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(names(&format!("{TOP}\r\nhello\r\n")), [None]);
    assert_eq!(
        names(&format!("{TOP}Content-Type: text/html\r\n{BASE64}\r\naGVsbG8=\r\n")),
        [some("textportion")]
    );
    let message = format!(
        "{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\n\r\nx\r\n\
         --b\r\nContent-Type: text/html\r\n\r\nx\r\n\
         --b\r\n{BASE64}\r\naGVsbG8=\r\n\
         --b\r\nContent-Type: a/b\r\n{BASE64}\r\naGVsbG8=\r\n\
         --b\r\nContent-Disposition: inline\r\n\r\nx\r\n\
         --b--\r\n"
    );
    let expected = ["attachment", "mixedtextportion", "mixedtextportion", "attachment", "unknown"];
    assert_eq!(names(&message), expected.map(some));
}

#[test]
fn an_mbox_is_all_of_its_messages() {
    let second = String::from_utf8(mixed(BASE64, encoded())).unwrap();
    let mbox = format!(
        "From a Mon Jan  1 00:00:00 2024\r\n{TOP}\r\nfirst\r\n\r\nFrom here on it is text\r\n\r\n\
         From b Mon Jan  1 00:00:00 2024\r\n{second}"
    );
    let found = bodies(mbox);
    assert_eq!(found[0], b"first\n\nFrom here on it is text\n\n");
    assert_eq!(found[2], payload());
}

#[test]
fn what_cannot_be_judged_says_so() {
    let shortfalls = |message: Vec<u8>| -> Vec<_> {
        parts(message).into_iter().map(|part| part.shortfall).collect()
    };
    let encrypted = Some(Shortfall::Encrypted);
    let top = "Content-Type: multipart/encrypted; boundary=b\r\n";
    assert_eq!(shortfalls(two_parts(top, "b", "", "x")), [encrypted, encrypted]);
    let message = format!("{TOP}Content-Type: message/partial; number=1; total=2\r\n\r\nx");
    assert_eq!(shortfalls(message.into()), [Some(Shortfall::Unsupported)]);
    let smime = |parameter: &str, body: &[u8]| {
        let head = format!("Content-Type: application/pkcs7-mime{parameter}\r\n{BASE64}");
        shortfalls(format!("{TOP}{head}\r\n{}", base64(body)).into())
    };
    let signed = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80";
    let enveloped = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80";
    assert_eq!(smime("; smime-type=enveloped-data", signed), [encrypted]);
    assert_eq!(smime("", enveloped), [encrypted]);
    assert_eq!(smime("; smime-type=signed-data", signed), [None]);
}

#[test]
fn limits_cut_parts_and_end_the_walk() {
    let message = mixed(BASE64, encoded());
    let (found, shortfall) = walk(&message, Limits { part_bytes: 100, ..Limits::default() });
    assert_eq!(found[1].bytes, payload()[..100]);
    assert_eq!((found[1].shortfall, shortfall), (Some(Shortfall::PartBytes), None));
    let (found, _) = walk(&message, Limits { total_bytes: 10, ..Limits::default() });
    assert_eq!(found[1].bytes, payload()[..4]);
    assert_eq!(found[1].shortfall, Some(Shortfall::TotalBytes));
    let (found, shortfall) = walk(&message, Limits { parts: 1, ..Limits::default() });
    assert_eq!((found.len(), shortfall), (1, Some(Shortfall::Parts)));
    let (_, shortfall) = walk(&message, Limits { fuel: 50, ..Limits::default() });
    assert_eq!(shortfall, Some(Shortfall::Fuel));
    for encoding in ["quoted-printable", "x-uuencode", "x-yenc", "8bit"] {
        let body = match encoding {
            "quoted-printable" => quoted_printable(&payload()).into_bytes(),
            "x-uuencode" => format!("begin 644 a\r\n{}end\r\n", uuencode(&payload())).into_bytes(),
            "x-yenc" => [b"=ybegin name=a\r\n", yenc(&payload()).as_slice()].concat(),
            _ => payload(),
        };
        let message = mixed(&format!("Content-Transfer-Encoding: {encoding}\r\n"), body);
        let (found, _) = walk(&message, Limits { part_bytes: 100, ..Limits::default() });
        assert_eq!(found[1].bytes, payload()[..100], "{encoding}");
        assert_eq!(found[1].shortfall, Some(Shortfall::PartBytes), "{encoding}");
    }
    let mut visited = 0;
    open(Format::Mail, &message, &Budget::new(Limits::default()), &mut |_| {
        visited += 1;
        ControlFlow::Break(())
    });
    assert_eq!(visited, 1);
}

/// Four times the input takes about four times as long. Each generator is
/// small enough for a slow machine; the factor leaves room for noise, and a
/// quadratic loop would give sixteen.
#[test]
fn time_is_linear_in_hostile_messages() {
    type Generator = fn(usize) -> Vec<u8>;
    let multipart = |part: &str, n: usize| {
        format!("{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(n))
    };
    fn lines(head: &str, line: &str, n: usize) -> Vec<u8> {
        format!("{head}\r\n{}", line.repeat(n)).into_bytes()
    }
    let generators: [(&str, Generator); 15] = [
        ("begin", |n| lines(TOP, "begin 644 a\r\n", n)),
        ("ybegin", |n| lines(TOP, "=ybegin name=a\r\n", n)),
        ("binhex", |n| lines(TOP, "(This file must be converted with BinHex\n:!\n", n / 2)),
        ("content", |n| lines(TOP, "Content-Transfer-Encoding: base64\n", n)),
        ("entities", |n| lines(TOP, "Content-Transfer-Encoding: base64\n\nAAAA\n", n / 3)),
        ("folds", |n| [b"X:\r\n".as_slice(), &b" y\r\n".repeat(4 * n)].concat()),
        ("fields", |n| b"Content-Type: multipart/mixed; boundary=x\n".repeat(n / 2)),
        ("semicolons", |n| [b"Content-Type: x/y\"".as_slice(), &b";(=".repeat(4 * n)].concat()),
        ("words", |n| {
            [b"Content-Type: x/y; name=\"".as_slice(), &b"=?a?q?".repeat(n), b"\"\n\nx"].concat()
        }),
        ("dashes", |n| {
            lines(&format!("{TOP}Content-Type: multipart/a; boundary=-\r\n"), "--\n", 4 * n)
        }),
        ("close", |n| {
            lines(&format!("{TOP}Content-Type: multipart/a; boundary=b\r\n"), "--b--\n", n)
        }),
        ("base64", |n| lines(&format!("{TOP}{BASE64}"), "A\r\n", 4 * n)),
        ("soft breaks", |n| {
            lines(&format!("{TOP}Content-Transfer-Encoding: quoted-printable\r\n"), "= \r=", 4 * n)
        }),
        ("mbox", |n| b"From a\nX: y\n\n".repeat(n)),
        ("junk", |n| b"junk\nX: begin 644 a\n".repeat(n)),
    ];
    let time = |message: &[u8]| {
        (0..3)
            .map(|_| {
                crate::busy_time(|| {
                    walk(message, Limits { parts: u32::MAX, ..Limits::default() });
                })
            })
            .min()
            .unwrap_or_default()
    };
    for (name, generate) in generators {
        let (small, large) = (generate(10_000), generate(40_000));
        let ratio = || {
            let small = time(&small).max(Duration::from_millis(1));
            time(&large).as_secs_f64() / small.as_secs_f64()
        };
        // Other work on the machine can spoil one measurement, not all.
        assert!((0..6).any(|_| ratio() < 9.0), "{name} takes more than linear time");
    }
    let parts = multipart("--b\r\n\r\nx\r\n", 8000).into_bytes();
    let many = multipart(&format!("--b\r\n{BASE64}\r\nAAAA\r\n"), 2000).into_bytes();
    assert!(time(&parts) < Duration::from_secs(2) && time(&many) < Duration::from_secs(2));
    assert_eq!(walk(&parts, Limits::default()).0.len(), 8000);
}

/// A well-formed message, and its leaves in order.
#[derive(Clone, Debug)]
enum Node {
    Attachment { bytes: Vec<u8>, name: String },
    Message(Box<Node>),
    Multi(Vec<Node>),
    Text { lines: Vec<String>, quoted: bool },
}

fn node() -> impl Strategy<Value = Node> {
    let text = (prop::collection::vec("[ -<>-~]{0,60}[!-<>-~]", 1..6), any::<bool>())
        .prop_filter("text that another format hides in", |(lines, _)| {
            lines.iter().all(|line| {
                !line.starts_with(['=', '(', 'b', 'c', 'C', '-']) && !line.starts_with("From ")
            })
        })
        .prop_map(|(lines, quoted)| Node::Text { lines, quoted });
    let attachment = (prop::collection::vec(any::<u8>(), 1..300), "[a-z]{1,9}\\.[a-z]{3}")
        .prop_map(|(bytes, name)| Node::Attachment { bytes, name });
    prop_oneof![text, attachment].prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            // mail-parser 0.11.9 panics at a message that is all of a message
            // in a multipart ("Invalid part ID, could not find multipart").
            inner.clone().prop_map(|node| match node {
                message @ Node::Message(_) => message,
                other => Node::Message(Box::new(other)),
            }),
            prop::collection::vec(inner, 1..4).prop_map(Node::Multi),
        ]
    })
}

impl Node {
    fn write(&self, count: &mut u32, out: &mut String) {
        match self {
            Node::Attachment { bytes, name } => {
                out.push_str(&format!(
                    "Content-Type: application/octet-stream\r\n{BASE64}\
                     Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}",
                    base64_lines(bytes, "\r\n")
                ));
            }
            Node::Message(inner) => {
                out.push_str("Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n");
                inner.write(count, out);
            }
            Node::Multi(nodes) => {
                *count += 1;
                let boundary = format!("=_{count}_");
                out.push_str(&format!(
                    "Content-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\r\n"
                ));
                for node in nodes {
                    out.push_str(&format!("--{boundary}\r\n"));
                    node.write(count, out);
                    out.push_str("\r\n");
                }
                out.push_str(&format!("--{boundary}--\r\n"));
            }
            Node::Text { lines, quoted } => {
                let head =
                    if *quoted { "Content-Transfer-Encoding: quoted-printable\r\n" } else { "" };
                out.push_str(&format!("Content-Type: text/plain\r\n{head}\r\n"));
                let line = |line: &String| {
                    if *quoted { quoted_printable(line.as_bytes()) } else { line.clone() }
                };
                out.push_str(&lines.iter().map(line).collect::<Vec<_>>().join("\r\n"));
            }
        }
    }

    fn message(&self) -> String {
        let mut message = TOP.to_owned();
        self.write(&mut 0, &mut message);
        message
    }
}

/// The leaves that mail-parser finds, in the form that ours have.
fn oracle(message: &mail_parser::Message<'_>, leaves: &mut Vec<(Vec<u8>, Option<String>)>) {
    for part in &message.parts {
        let name = part.attachment_name().map(str::to_owned);
        match &part.body {
            PartType::Text(text) | PartType::Html(text) => {
                let mut text = text.replace("\r\n", "\n");
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                leaves.push((text.into_bytes(), name));
            }
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                leaves.push((bytes.to_vec(), name));
            }
            PartType::Message(inner) => oracle(inner, leaves),
            PartType::Multipart(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn well_formed_messages_have_the_leaves_that_another_parser_finds(node in node()) {
        let message = node.message();
        let parsed = MessageParser::default().parse(&message).unwrap();
        let mut expected = Vec::new();
        oracle(&parsed, &mut expected);
        let generated = ["attachment", "mixedtextportion", "textportion"];
        let found: Vec<_> = deep_parts(message.as_bytes())
            .into_iter()
            .map(|part| (part.bytes, part.name.filter(|name| !generated.contains(&name.as_str()))))
            .collect();
        prop_assert_eq!(found, expected, "{}", message);
    }

    #[test]
    fn arbitrary_bytes_are_walked_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        walk(&bytes, Limits { part_bytes: 100, ..Limits::default() });
    }

    #[test]
    fn mutated_messages_are_walked_without_a_panic(
        node in node(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, edit()), 1..12),
    ) {
        let mut message = node.message().into_bytes();
        for (at, removed, inserted) in edits {
            let at = at.index(message.len() + 1);
            let end = message.len().min(at + removed);
            message.splice(at..end, inserted);
        }
        walk(&message, Limits { part_bytes: 64, mail_depth: 3, ..Limits::default() });
        walk(&message, Limits { fuel: 300, ..Limits::default() });
    }
}

/// Bytes that mean something to a message walker.
fn edit() -> impl Strategy<Value = Vec<u8>> {
    let tokens: Vec<&[u8]> = vec![
        b"",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"--",
        b"--=_1_",
        b"\"",
        b";",
        b"=",
        b"(",
        b"\0",
        b"\xff",
        b"\nContent-Type: multipart/mixed; boundary=x\n",
        b"\nContent-Transfer-Encoding: base64\n",
        b"\nContent-Transfer-Encoding: x-yenc\n",
        b"\nbegin 644 a\n",
        b"\n=ybegin name=a\n=",
        b"\n(This file must be converted with BinHex 4.0)\n:!!!!",
        b"\n--x\n",
        b"\nFrom a\nX: y\n",
        b"=?utf-8?B?",
        b"?=",
        b" filename*0*=a'",
        b"boundary=",
        b"=ypart \n",
    ];
    prop_oneof![
        prop::sample::select(tokens).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..4),
    ]
}

#[test]
fn in_what_readers_disagree_is_told() {
    let told = |message: &str| {
        let mut found = Vec::new();
        open(Format::Mail, message.as_bytes(), &Budget::new(Limits::default()), &mut |part| {
            found.extend(part.ambiguity);
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found.dedup();
        found
    };
    let divided = "\n\n--x\nContent-Type: text/plain\n\nfirst\n--x\n\nsecond\n--x--\n";
    let base64 = "Content-Transfer-Encoding: base64\n";
    let word = "\naGVsbG8gd29ybGQ=\n";
    for (message, expected) in [
        // Two boundaries, one parameter or two, one of them in the text or both.
        (
            format!("Content-Type: multipart/mixed; boundary=x; boundary=y{divided}"),
            Some(Ambiguity::Boundary),
        ),
        (
            format!(
                "Content-Type: multipart/mixed; boundary=x\nContent-Type: multipart/mixed; \
                 boundary=y{divided}"
            ),
            Some(Ambiguity::Boundary),
        ),
        (
            format!(
                "Content-Type: multipart/mixed; boundary=x; boundary*=''%79{divided}--y\n\nz\n"
            ),
            Some(Ambiguity::Boundary),
        ),
        (
            format!("Content-Type: text/plain\nContent-Type: text/html\n{base64}{word}"),
            Some(Ambiguity::MediaType),
        ),
        (
            format!("{base64}Content-Transfer-Encoding: quoted-printable\n{word}"),
            Some(Ambiguity::Encoding),
        ),
        (format!("Content-Transfer-Encoding: 7bit, base64\n{word}"), Some(Ambiguity::Encoding)),
        (format!("{base64}\naGVs-_8gd29ybGQ_aGVs\n"), Some(Ambiguity::Encoding)),
        (format!("{base64}\naGVsbG8=aGVsbG8gd29ybGQ=\n"), Some(Ambiguity::Encoding)),
        (format!("{base64}no field at all\n{word}"), Some(Ambiguity::HeaderEnd)),
        (
            format!(
                "Content-Type: a/b; name=a.txt\nContent-Disposition: attachment; \
                 filename=a.exe\n{base64}{word}"
            ),
            Some(Ambiguity::Name),
        ),
        // What honest programs write.
        (format!("Content-Type: multipart/mixed; boundary=\"x\"; charset=a{divided}"), None),
        (format!("Content-Type: multipart/mixed; boundary=x{divided}"), None),
        (format!("Content-Type: text/html\nContent-Type: TEXT/HTML; a=b\n{base64}{word}"), None),
        (format!("Content-Transfer-Encoding: 8bit\n{word}"), None),
        (format!("{base64}{base64}{word}"), None),
        (
            format!(
                "Content-Type: a/b; name=\"=?utf-8?Q?r=C3=A9.pdf?=\"\nContent-Disposition: \
                 attachment; filename=re.pdf; filename*=utf-8''r%C3%A9.pdf\n{base64}{word}"
            ),
            None,
        ),
    ] {
        assert_eq!(told(&message), Vec::from_iter(expected), "{message}");
    }
}
