//! Tricks that hide an attachment from a scanner while a mail program still
//! hands it out, one in a row. What is looked for is the digest of the file, so
//! that a byte too many or too few is a miss; or its name.

use quahog::{Completeness, Input, Settings, Shortfall};

use crate::{Folder, live};

// The file, 38 bytes, in each encoding.
const PLAIN: &[u8] = b"\x01\x02\x03quahog trick payload, a file\xff\xfe\x7f\0end";
const MD5: &str = "8bc37d64160d930f45b208750b4a7250";
const B64: &str = "AQIDcXVhaG9nIHRyaWNrIHBheWxvYWQsIGEgZmlsZf/+fwBlbmQ=";
const B64_URL: &str = "AQIDcXVhaG9nIHRyaWNrIHBheWxvYWQsIGEgZmlsZf_-fwBlbmQ=";
const B64_HALVES: &str = "AQIDcXVhaG9nIHRyaWNrIA==cGF5bG9hZCwgYSBmaWxl//5/AGVuZA==";
const QP: &str = "=01=02=03quahog trick payload, a file=FF=FE=7F=00end";
const UU: &str = "F 0(#<75A:&]G('1R:6-K('!A>6QO860L(&$@9FEL9?_^?P!E;F0 ";
const YENC: &[u8] =
    b"+,-\x9b\x9f\x8b\x92\x99\x91J\x9e\x9c\x93\x8d\x95J\x9a\x8b\xa3\x96\x99\x8b\x8eVJ\x8bJ\
    \x90\x93\x96\x8f)(\xa9*\x8f\x98\x8e";

/// A message of one part with these fields.
fn alone(fields: &str, body: &str) -> Vec<u8> {
    format!("Subject: x\nMIME-Version: 1.0\n{fields}\n\n{body}").into_bytes()
}

/// A message with this field, and a part with the file in base64 between `--b`.
fn multipart(field: &str) -> Vec<u8> {
    divided(field, "--b\n", "--b--\n")
}

fn divided(field: &str, open: &str, close: &str) -> Vec<u8> {
    let part = format!("Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n{B64}\n");
    alone(field, &format!("{open}\nhello\n{open}{part}{close}"))
}

/// A message with a part of these fields.
fn part(fields: &str, body: &str) -> Vec<u8> {
    let body = format!("--b\n\nhello\n--b\n{fields}\n\n{body}\n--b--\n");
    alone("Content-Type: multipart/mixed; boundary=b", &body)
}

/// `levels` multiparts, or messages, around the file.
fn nested(levels: usize, messages: bool) -> Vec<u8> {
    let mut inner = format!("Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n{B64}\n");
    for level in 0..levels {
        inner = match messages {
            true => format!("Content-Type: message/rfc822\n\nSubject: {level}\n{inner}"),
            false => {
                format!(
                    "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n{inner}--b{level}--\n"
                )
            }
        };
    }
    format!("Subject: x\nMIME-Version: 1.0\n{inner}").into_bytes()
}

fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

/// What a row must give: the file, by its digest, or the name `evil.exe`.
const FILE: &[&str] = &["File.UNOFFICIAL"];
const NAME: &[&str] = &["File.UNOFFICIAL", "Name.UNOFFICIAL"];

#[test]
fn no_trick_hides_an_attachment() {
    let encoded = |value: &str, body: &str| {
        part(&format!("Content-Type: a/b\nContent-Transfer-Encoding: {value}"), body)
    };
    let named = |field: &str| part(&format!("{field}\nContent-Transfer-Encoding: base64"), B64);
    let one_a_line: String = B64.chars().flat_map(|letter| [letter, '\n']).collect();
    let junk: String = B64.chars().flat_map(|letter| [letter, '!', '\0']).collect();
    let crlf = |message: &[u8]| String::from_utf8_lossy(message).replace('\n', "\r\n").into_bytes();
    let crcrlf =
        |message: &[u8]| String::from_utf8_lossy(message).replace('\n', "\r\r\n").into_bytes();
    let mixed = "Content-Type: multipart/mixed; boundary=b";
    let plain = multipart(mixed);
    let many_fields = format!("{mixed}\n{}", "X-Junk: y\n".repeat(20_000).trim_end());
    #[rustfmt::skip]
    let rows: Vec<(&str, Vec<u8>, &[&str])> = vec![
        // Which lines divide the message.
        ("boundary missing", multipart("Content-Type: multipart/mixed"), FILE),
        ("boundary empty", multipart("Content-Type: multipart/mixed; boundary=\"\""), FILE),
        ("boundary in single quotes", multipart("Content-Type: multipart/mixed; boundary='b'"), FILE),
        ("boundary without an end", multipart("Content-Type: multipart/mixed; boundary=\"b"), FILE),
        ("boundary twice, the first counts", multipart("Content-Type: multipart/mixed; boundary=b; boundary=c"), FILE),
        ("boundary twice, the second counts", multipart("Content-Type: multipart/mixed; boundary=c; boundary=b"), FILE),
        ("boundary twice in quotes", multipart("Content-Type: multipart/mixed; boundary=\"c\"; boundary=\"b\""), FILE),
        ("boundary with a semicolon in it", multipart("Content-Type: multipart/mixed; boundary=\"b;\""), FILE),
        ("boundary in a disposition", multipart("Content-Type: multipart/mixed\nContent-Disposition: inline; boundary=b"), FILE),
        ("boundary with a comment", multipart("Content-Type: multipart/mixed (a); boundary=b (c)"), FILE),
        ("boundary in RFC 2231", multipart("Content-Type: multipart/mixed; boundary*=us-ascii''b"), FILE),
        ("boundary in pieces", divided("Content-Type: multipart/mixed; boundary*0=b; boundary*1=c", "--bc\n", "--bc--\n"), FILE),
        ("boundary on a line of its own", multipart("Content-Type: multipart/mixed;\n\tboundary=b"), FILE),
        ("boundary with blanks around", multipart("Content-Type: multipart/mixed; boundary = b"), FILE),
        ("boundary in capitals", multipart("CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=b"), FILE),
        ("two types, the first with the boundary", multipart(&format!("{mixed}\nContent-Type: text/plain")), FILE),
        ("two types, the second with the boundary", multipart(&format!("Content-Type: text/plain\n{mixed}")), FILE),
        ("two multiparts, the first divides", multipart(&format!("{mixed}\nContent-Type: multipart/mixed; boundary=c")), FILE),
        ("two multiparts, the second divides", multipart(&format!("Content-Type: multipart/mixed; boundary=c\n{mixed}")), FILE),
        ("junk behind delimiters", divided(mixed, "--b junk\n", "--b-- junk\n"), FILE),
        ("no closing delimiter", divided(mixed, "--b\n", ""), FILE),
        ("behind the closing delimiter", divided(mixed, "--b\n\nx\n--b--\n--b\n", "--b--\n"), FILE),
        ("kind unknown", multipart("Content-Type: multipart/any; boundary=b"), FILE),
        ("signed, in more than two parts", multipart("Content-Type: multipart/signed; boundary=b; protocol=\"x/y\""), FILE),
        ("parallel", multipart("Content-Type: multipart/parallel; boundary=b"), FILE),
        ("report", multipart("Content-Type: multipart/report; boundary=b"), FILE),
        ("15 multiparts", nested(15, false), FILE),
        ("48 multiparts", nested(48, false), FILE),
        ("15 messages", nested(15, true), FILE),
        ("45 messages", nested(45, true), FILE),
        // How lines end, and what stands before the header.
        ("CR LF", crlf(&plain), FILE),
        ("CR CR LF", crcrlf(&plain), FILE),
        ("blank lines at the start", joined(&[b"\r\n\n", &plain]), FILE),
        ("byte order mark", joined(&[b"\xef\xbb\xbf", &plain]), FILE),
        ("mbox line", joined(&[b"From a@b Mon Jan  1 00:00:00 2024\n", &plain]), FILE),
        ("quoted mbox line", joined(&[b">From a@b Mon Jan  1 00:00:00 2024\n", &plain]), FILE),
        ("junk in the header", joined(&[b"Subject: y\nthis is no field\n", &plain]), FILE),
        ("20,000 fields", multipart(&many_fields), FILE),
        ("type first", format!("{mixed}\n\n--b\nContent-Transfer-Encoding: base64\n\n{B64}\n--b--\n").into_bytes(), FILE),
        // What the encoding is called.
        ("x-base64", encoded("x-base64", B64), FILE),
        ("base-64", encoded("base-64", B64), FILE),
        ("base64 in capitals", encoded("BASE64", B64), FILE),
        ("7bit, base64", encoded("7bit, base64", B64), FILE),
        ("base64 in quotes", encoded("\"base64\"", B64), FILE),
        ("base64 and a NUL", encoded("base64\0", B64), FILE),
        ("base64 and a comment", encoded("(a) base64 (b)", B64), FILE),
        ("base64 on the next line", encoded("\n base64", B64), FILE),
        ("7bit that is base64", encoded("7bit", B64), FILE),
        ("two encodings, base64 first", encoded("base64\nContent-Transfer-Encoding: 7bit", B64), FILE),
        ("two encodings, base64 second", encoded("7bit\nContent-Transfer-Encoding: base64", B64), FILE),
        ("two encodings that change bytes", encoded("quoted-printable\nContent-Transfer-Encoding: base64", B64), FILE),
        ("unknown that is base64", encoded("zzz", B64), FILE),
        ("unknown that is quoted", encoded("zzz", QP), FILE),
        // What stands between the letters.
        ("one letter a line", encoded("base64", &one_a_line), FILE),
        ("junk between letters", encoded("base64", &junk), FILE),
        ("no padding", encoded("base64", B64.trim_end_matches('=')), FILE),
        ("padding in the middle", encoded("base64", B64_HALVES), FILE),
        ("letters of URLs", encoded("base64", B64_URL), FILE),
        ("blank lines before the data", encoded("base64", &format!("\n\n{B64}")), FILE),
        ("quoted-printable", encoded("quoted-printable", QP), FILE),
        ("quoted-printable, soft breaks", encoded("quoted-printable", &QP.replace(' ', " =\n")), FILE),
        ("quoted-printable, soft breaks with blanks", encoded("quoted-printable", &QP.replace(' ', " = \t\n")), FILE),
        ("quoted-printable in small letters", encoded("quoted-printable", &QP.replace("=FF=FE=7F", "=ff=fe=7f")), FILE),
        // Files in texts.
        ("uuencode", alone("Content-Type: text/plain", &format!("hello\nbegin 644 evil.exe\n{UU}\n`\nend\n")), NAME),
        ("uuencode with four digits", alone("Content-Type: text/plain", &format!("begin 0755 evil.exe\n{UU}\n`\nend\n")), NAME),
        ("uuencode without an end", alone("Content-Type: text/plain", &format!("begin 644 evil.exe\n{UU}\n")), NAME),
        ("uuencode behind the closing delimiter", joined(&[&plain, format!("begin 644 evil.exe\n{UU}\n`\nend\n").as_bytes()]), NAME),
        ("uuencode as an encoding", encoded("x-uuencode", &format!("begin 644 evil.exe\n{UU}\n`\nend")), NAME),
        ("yEnc as an encoding", joined(&[&alone("Content-Type: a/b\nContent-Transfer-Encoding: x-yencode", "=ybegin line=128 size=38 name=evil.exe\n"), YENC, b"\n=yend size=38\n"]), NAME),
        ("yEnc in a text", joined(&[&alone("Content-Type: text/plain", "=ybegin line=128 size=38 name=evil.exe\n"), YENC, b"\n=yend size=38\n"]), NAME),
        ("a header in a body", alone("Content-Type: text/plain", &format!("a message that came back:\n\nContent-Type: a/b\nContent-Transfer-Encoding: base64\n\n{B64}\n")), FILE),
        ("data: in HTML", alone("Content-Type: text/html", &format!("<html><a href=\"data:a/b;base64,{B64}\">x</a></html>")), FILE),
        // What the file is called.
        ("name in quotes", named("Content-Disposition: attachment; filename=\"evil.exe\""), NAME),
        ("name with escapes", named("Content-Disposition: attachment; filename=\"ev\\il.exe\""), NAME),
        ("name in RFC 2231", named("Content-Disposition: attachment; filename*=utf-8''%65vil.exe"), NAME),
        ("name in pieces", named("Content-Disposition: attachment; filename*0=\"evi\"; filename*1=\"l.e\"; filename*2=\"xe\""), NAME),
        ("name in encoded pieces, in another order", named("Content-Disposition: attachment; filename*1*=l%2e; filename*0*=utf-8''evi; filename*2=exe"), NAME),
        ("name in an encoded word", named("Content-Disposition: attachment; filename=\"=?utf-8?Q?evil=2Eexe?=\""), NAME),
        ("name in two encoded words", named("Content-Disposition: attachment; filename=\"=?utf-8?B?ZXZp?=\n =?utf-8?Q?l=2Eexe?=\""), NAME),
        ("name behind a sign that turns text", named("Content-Disposition: attachment; filename*=utf-8''%E2%80%AEevil.exe"), NAME),
        ("name of the type alone", named("Content-Type: a/b; name=evil.exe"), NAME),
        ("name in the wrong field", named("Content-Type: a/b; filename=evil.exe"), NAME),
        ("name folded", named("Content-Disposition: attachment;\n\tfilename=\n\t\"evil.exe\""), NAME),
        ("name without quotes, with a comment", named("Content-Disposition: attachment; filename=evil.exe (x)"), NAME),
    ];
    let folder = Folder::of(&[
        ("x.hdb", format!("{MD5}:{}:File\n", PLAIN.len())),
        ("x.cdb", "Name:*:*:evil\\.exe$:*:*:*:*:*:*\n".to_owned()),
    ]);
    let live = live(&folder);
    let settings = Settings::default().all_matches(true).input(Input::Message);
    let mut scanner = live.scanner_with(settings);
    let mut wrong = Vec::new();
    for (name, message, expected) in rows {
        let report = scanner.scan(&message);
        let mut found: Vec<_> =
            report.detections().iter().map(|found| found.name().to_owned()).collect();
        found.sort();
        found.dedup();
        if found != expected || report.completeness() != Completeness::Complete {
            wrong.push((name, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What no scanner can judge says so.
#[test]
fn what_stays_hidden_is_told() {
    let rows: [(&str, Vec<u8>, Shortfall); 5] = [
        ("60 multiparts", nested(60, false), Shortfall::Depth),
        ("60 messages", nested(60, true), Shortfall::Depth),
        (
            "a fragment",
            part("Content-Type: message/partial; id=a; number=1; total=2", "Subject: x\n\nhello"),
            Shortfall::Unsupported,
        ),
        (
            "an encrypted multipart",
            alone(
                "Content-Type: multipart/encrypted; boundary=b",
                "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n\nciphertext\n--b--\n",
            ),
            Shortfall::Encrypted,
        ),
        (
            "an S/MIME envelope",
            part("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "ciphertext"),
            Shortfall::Encrypted,
        ),
    ];
    let folder = Folder::of(&[("x.hdb", format!("{MD5}:{}:File\n", PLAIN.len()))]);
    let settings = Settings::default().all_matches(true).input(Input::Message);
    let mut scanner = live(&folder).scanner_with(settings);
    for (name, message, expected) in rows {
        let report = scanner.scan(&message);
        let Completeness::Incomplete(missing) = report.completeness() else {
            panic!("{name}: complete")
        };
        assert!(missing.iter().any(|missing| missing.reason == expected), "{name}: {missing:?}");
    }
}
