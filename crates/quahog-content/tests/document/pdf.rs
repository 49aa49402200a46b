//! PDF: streams, scripts, embedded files, encryption.

use md5::{Digest, Md5};
use quahog_content::{Format, Limits, Shortfall};

use super::{Found, part_of, parts, parts_within, zlib};

/// An object with a stream.
fn stream(number: u32, dictionary: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("{number} 0 obj\n<</Length {}{dictionary}>>\nstream\n", data.len());
    [head.as_bytes(), data, b"\nendstream\nendobj\n"].concat()
}

fn object(number: u32, value: &str) -> Vec<u8> {
    format!("{number} 0 obj\n{value}\nendobj\n").into_bytes()
}

fn file(objects: &[Vec<u8>]) -> Vec<u8> {
    [b"%PDF-1.5\n".as_slice(), &objects.concat(), b"trailer\n<</Root 1 0 R>>\n%%EOF\n"].concat()
}

pub(super) fn sample() -> Vec<u8> {
    file(&[
        object(1, "<</OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>"),
        stream(2, "/Filter/FlateDecode", &zlib(b"content of a page")),
        stream(3, "/Filter[/AHx/Fl]/DP[null<</Predictor 12/Columns 4>>]", b"78>"),
        object(4, "<</Type/Filespec/F(a.exe)/EF<</F 5 0 R>>>>"),
        stream(5, "/Type/EmbeddedFile", b"MZ payload"),
        object_stream(6, &["<</S/JavaScript/JS 8 0 R>>", "(script)"]),
    ])
}

fn object_stream(number: u32, objects: &[&str]) -> Vec<u8> {
    let mut table = String::new();
    let mut offset = 0;
    for (at, object) in objects.iter().enumerate() {
        table += &format!("{} {offset} ", at + 7);
        offset += object.len() + 1;
    }
    let dictionary =
        format!("/Type/ObjStm/N {}/First {}/Filter/FlateDecode", objects.len(), table.len());
    stream(number, &dictionary, &zlib((table + &objects.join(" ")).as_bytes()))
}

fn scripts(found: &[Found]) -> Vec<&str> {
    let scripts = found.iter().filter(|part| part.declared.as_deref() == Some("text/javascript"));
    scripts.map(|part| std::str::from_utf8(part.bytes()).unwrap()).collect()
}

#[test]
fn streams_are_decoded() {
    let plain = b"stream of a document";
    let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex_of_zlib: String = zlib(plain).iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, bytes) in [
        ("plain", stream(3, "", plain)),
        ("flate", stream(3, "/Filter/FlateDecode", &zlib(plain))),
        ("escaped name", stream(3, "/F#69lter/F#6cateDecode", &zlib(plain))),
        ("short name", stream(3, "/F[/Fl]", &zlib(plain))),
        ("chain", stream(3, "/Filter[/AHx /Fl]", hex_of_zlib.as_bytes())),
        ("hexadecimal", stream(3, "/Filter/ASCIIHexDecode", hex.as_bytes())),
        (
            "references",
            [stream(3, "/Filter 9 0 R", &zlib(plain)), object(9, "[/FlateDecode]")].concat(),
        ),
        ("identity", stream(3, "/Filter/Crypt", plain)),
        ("trailer of zlib cut off", stream(3, "/Filter/Fl", &zlib(plain)[..plain.len() + 4])),
    ] {
        let (found, shortfall) = parts(Format::Pdf, &file(&[bytes]));
        assert_eq!(shortfall, None, "{name}");
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].bytes(), plain, "{name}");
        assert_eq!(found[0].name(), "3 0 obj");
    }
    let (found, _) = parts(Format::Pdf, &file(&[stream(3, "/Filter/Own", b"data")]));
    assert_eq!(found[0].shortfall, Some(Shortfall::Unsupported));
    assert_eq!(found[0].bytes(), b"data");
}

#[test]
fn lengths_that_lie_hide_nothing() {
    let data = b"data endstream inside";
    for (length, expected) in [
        ("21", &data[..]),
        ("5", b"data "),
        ("999999", b"data "),
        ("-1", b"data "),
        ("8 0 R", data),
    ] {
        let bytes = [
            format!("3 0 obj<</Length {length}>>stream\r\n").as_bytes(),
            data,
            b"\r\nendstream endobj ",
            &object(8, "21"),
        ]
        .concat();
        let (found, _) = parts(Format::Pdf, &file(&[bytes]));
        assert_eq!(found[0].bytes(), expected, "{length}");
    }
    // Neither an end nor a next object.
    let (found, _) = parts(Format::Pdf, b"%PDF-1.1 3 0 obj<<>>stream\ndata to the end");
    assert_eq!(found[0].bytes(), b"data to the end");
}

#[test]
fn scripts_come_as_written_and_as_read() {
    let (found, _) = parts(Format::Pdf, &file(&[object(1, "<</S/JavaScript/JS(a\\(1\\))>>")]));
    assert_eq!(scripts(&found), ["a\\(1\\))>>", "a(1)"]);
    let (found, _) = parts(Format::Pdf, &file(&[object(1, "<</A[<</JS(plain)>>]>>")]));
    assert_eq!(scripts(&found), ["plain)>>]>>"]);
    let (found, _) = parts(Format::Pdf, &file(&[object(1, "<</JS<fe ff0061 0031>>>")]));
    assert_eq!(scripts(&found)[1], "a1");
    // The value is an object of its own.
    let bytes = file(&[object(2, "(script)"), object(1, "<</S/JavaScript/JS 2 0 R>>")]);
    assert_eq!(scripts(&parts(Format::Pdf, &bytes).0), ["script)"]);
}

#[test]
fn object_streams_are_opened() {
    let bytes = file(&[
        stream(10, "", b"MZ payload"),
        object(12, "(second)"),
        object_stream(
            3,
            &["<</JS(first)>>", "<</JS 12 0 R>>", "<</UF(b.exe)/EF<</F 10 0 R>>>>", "1"],
        ),
    ]);
    let (found, shortfall) = parts(Format::Pdf, &bytes);
    assert_eq!(shortfall, None);
    let mut scripts = scripts(&found);
    scripts.sort_unstable();
    assert!(scripts[0].starts_with("first)>>") && scripts[1] == "second)");
    assert_eq!(part_of(&found, b"MZ payload").name(), "b.exe");
}

#[test]
fn predictors_are_undone_and_left() {
    let rows = b"\x02abcd\x02\x01\x01\x01\x01";
    let dictionary = "/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 4>>";
    let (found, _) = parts(Format::Pdf, &file(&[stream(3, dictionary, &zlib(rows))]));
    part_of(&found, rows);
    part_of(&found, b"abcdbcde");
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let mut j = 0_usize;
    for i in 0..256 {
        j = (j + usize::from(state[i]) + usize::from(key[i % key.len()])) % 256;
        state.swap(i, j);
    }
    let (mut i, mut j) = (0, 0);
    data.iter()
        .map(|byte| {
            i = (i + 1) % 256;
            j = (j + usize::from(state[i])) % 256;
            state.swap(i, j);
            byte ^ state[(usize::from(state[i]) + usize::from(state[j])) % 256]
        })
        .collect()
}

/// A document that is encrypted with RC4 of 40 bits.
fn encrypted(password: &[u8]) -> Vec<u8> {
    let padding = b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\
        \x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let padded = &[password, padding].concat()[..32];
    let owner = [7_u8; 32];
    let id = b"identifier";
    let mut key = Md5::digest([padded, &owner[..], &(-4_i32).to_le_bytes(), id].concat()).to_vec();
    key.truncate(5);
    let user = rc4(&key, padding);
    let object_key = |number: u8| Md5::digest([&key[..], &[number, 0, 0, 0, 0]].concat());
    let data = rc4(&object_key(3)[..10], &zlib(b"a secret of many"));
    let script = rc4(&object_key(4)[..10], b"a secret script");
    [
        b"%PDF-1.4\n".as_slice(),
        &stream(3, "/Filter/FlateDecode", &data),
        &object(4, &format!("<</S/JavaScript/JS<{}>>>", hex(&script))),
        &object(
            5,
            &format!("<</Filter/Standard/V 1/R 2/P -4/O<{}>/U<{}>>>", hex(&owner), hex(&user)),
        ),
        format!("trailer<</Encrypt 5 0 R/ID[<{}><00>]>>", hex(id)).as_bytes(),
    ]
    .concat()
}

#[test]
fn the_empty_password_opens_a_document() {
    let (found, shortfall) = parts(Format::Pdf, &encrypted(b""));
    assert_eq!(shortfall, None);
    part_of(&found, b"a secret of many");
    assert_eq!(scripts(&found), ["a secret script"]);
    let (found, shortfall) = parts(Format::Pdf, &encrypted(b"a password"));
    assert_eq!((found, shortfall), (vec![], Some(Shortfall::Encrypted)));
}

#[test]
fn bombs_end_at_the_limit() {
    let bomb = stream(3, "/Filter/FlateDecode", &zlib(&vec![0; 1 << 20]));
    let limits = Limits { part_bytes: 1000, ..Limits::default() };
    let (found, _) = parts_within(Format::Pdf, &file(&[bomb]), limits);
    assert_eq!((found[0].bytes().len(), found[0].shortfall), (1000, Some(Shortfall::PartBytes)));
    // Filters one after the other are all paid for.
    let twice = zlib(&zlib(&vec![0; 1 << 20]));
    let many: Vec<Vec<u8>> = (0..100).map(|_| stream(3, "/Filter[/Fl/Fl]", &twice)).collect();
    let limits = Limits { total_bytes: 3 << 20, ..Limits::default() };
    let (found, _) = parts_within(Format::Pdf, &file(&many), limits);
    let total: usize = found.iter().map(|part| part.bytes().len()).sum();
    assert!(total <= 3 << 20);
}

/// Values that many refer to, and scripts without an end, cost each their own.
#[test]
fn time_is_linear() {
    let time = |n: usize| {
        let scripts = "1 0 obj<</JS(a)/JS(b)>>\n".repeat(n);
        let long = format!("5 0 obj[{}]endobj\n", "1 ".repeat(4 * n));
        let refer = "2 0 obj<</Length 5 0 R>>stream\nx\nendstream\n".repeat(n);
        let bytes = [scripts.as_bytes(), long.as_bytes(), refer.as_bytes()].concat();
        let limits = Limits { parts: u32::MAX, ..Limits::default() };
        (0..3).map(|_| crate::busy_time(|| drop(parts_within(Format::Pdf, &bytes, limits)))).min()
    };
    let (once, twice) = (time(1000).unwrap(), time(2000).unwrap());
    assert!(twice < once * 3, "{once:?} became {twice:?}");
}

/// What never ends costs much once, and then hides nothing.
#[test]
fn values_and_streams_without_an_end_hide_nothing_behind_them() {
    let good = stream(9, "/Filter/FlateDecode", &zlib(b"behind them all"));
    for open in ["1 0 obj<</A(", "1 0 obj<</A[", "1 0 obj<<>>stream\n", "1 0 obj % "] {
        let bytes = [open.repeat(500).as_bytes(), b"\n", &good].concat();
        let (found, _) = parts(Format::Pdf, &bytes);
        assert!(found.iter().any(|part| part.bytes() == b"behind them all"), "{open}");
        let total: usize = found.iter().map(|part| part.bytes().len()).sum();
        assert!(total <= 12 * bytes.len(), "{open}: {total} of {}", bytes.len());
    }
}
