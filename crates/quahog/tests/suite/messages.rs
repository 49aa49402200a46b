//! Whole messages: what is inside is found, and where it was is said.

use std::io::Write;

use quahog::{Completeness, Input, Limits, Settings, Shortfall, Verdict};
use quahog_testkit::builders::mail::{Encoding, Part, message};

use crate::{Folder, live, names, scan_all};

const TOKEN: &[u8] = b"\x01\x02token-in-a-file\x03";

fn database() -> Folder {
    let hex: String = b"token-in-a-file".iter().map(|b| format!("{b:02x}")).collect();
    Folder::of(&[("x.ndb", format!("Token:0:*:{hex}\n"))])
}

pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("a member");
        writer.write_all(bytes).expect("bytes");
    }
    writer.finish().expect("an archive").into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("bytes");
    encoder.finish().expect("a stream")
}

#[test]
fn wrapped_payloads_are_found_where_they_are() {
    let live = live(&database());
    let attached = |name: &str, bytes: &[u8], encoding| {
        let parts = [Part::text("hello"), Part::attachment(name, bytes, encoding)];
        message("test", &Part::mixed(parts))
    };
    let inner = Part::rfc822(
        "inner",
        Part::mixed([Part::attachment("deep.bin", TOKEN, Encoding::QuotedPrintable)]),
    );
    let nested = zip(&[("a.txt", b"nothing"), ("inner.zip", &zip(&[("token.bin", TOKEN)]))]);
    for (name, mail, object) in [
        ("base64", attached("a.bin", TOKEN, Encoding::Base64), "a.bin"),
        ("quoted-printable", attached("a.bin", TOKEN, Encoding::QuotedPrintable), "a.bin"),
        ("zip", attached("a.zip", &zip(&[("b.bin", TOKEN)]), Encoding::Base64), "a.zip!b.bin"),
        ("zip in zip", attached("a.zip", &nested, Encoding::Base64), "a.zip!inner.zip!token.bin"),
        ("gzip", attached("a.gz", &gzip(TOKEN), Encoding::Base64), "a.gz!#1"),
        ("message", message("outer", &Part::mixed([inner])), "#1!deep.bin"),
    ] {
        let report = scan_all(&live, &mail);
        // Quoted-printable leaves the token readable in the raw message, too.
        let detection = report.detections().iter().find(|d| d.object() == object);
        let detection = detection.unwrap_or_else(|| panic!("{name}: {:?}", report.detections()));
        assert_eq!(detection.name(), "Token.UNOFFICIAL", "{name}");
        assert_eq!((detection.offset(), detection.length()), (Some(2), Some(15)), "{name}");
        assert_eq!((detection.source(), detection.line()), ("x.ndb", 1), "{name}");
        assert_eq!(report.completeness(), Completeness::Complete, "{name}");
    }
}

#[test]
fn a_message_is_a_message_when_its_owner_says_so() {
    let live = live(&database());
    let mail = b"X-First: 1\nContent-Transfer-Encoding: base64\n\ndG9rZW4taW4tYS1maWxl\n";
    assert_eq!(live.scanner().scan(mail).verdict(), Verdict::Clean);
    let settings = Settings::default().input(Input::Message);
    assert_eq!(names(&live.scanner_with(settings).scan(mail)), ["Token.UNOFFICIAL"]);
}

#[test]
fn what_lies_behind_the_head_of_a_text_is_looked_at_in_all_its_forms() {
    // Beside the raw bytes: the views of HTML, or the parts and normalised text
    // of a message; and signatures for mail where it is MAIL and not MHTML.
    let line = |name: &str, target: u8, text: &str| {
        let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        format!("{name}:{target}:*:{hex}\n")
    };
    let database = [
        line("Raw", 0, "X-First"),
        line("Mail", 4, "X-First"),
        line("Text", 7, "x-first"),
        line("Html", 3, "x-first"),
        line("Token", 0, "token-in-a-file"),
    ];
    let live = live(&Folder::of(&[("x.ndb", database.concat().as_str())]));
    let lead = format!("X-First: 1\n{}", "and so on\n".repeat(120));
    let part = "Content-Transfer-Encoding: base64\n\ndG9rZW4taW4tYS1maWxl\n";
    let mhtml = format!("MIME-Version: 1.0\nContent-Type: text/plain\n{part}");
    let pad = "a".repeat(1100);
    let message = format!("MIME-Version: 1.0\nX: {pad}\nContent-Type: text/plain\n{part}");
    let all = ["Raw", "Mail", "Text", "Html", "Token"];
    for (name, input, expected) in [
        ("html", format!("{lead}<html>x"), "Html Raw"),
        ("mhtml", format!("{lead}{mhtml}"), "Raw Text Token"),
        ("mhtml in binary", format!("\x01\x02\0\x01\0\x01{lead}{mhtml}"), "Raw Token"),
        ("mail", format!("X-First: 1\n{message}"), "Mail Raw Text Token"),
        ("html and mhtml", format!("{lead}<html>\n{mhtml}"), "Html Raw Text Token"),
    ] {
        let report = scan_all(&live, input.as_bytes());
        let found = names(&report);
        let is_found = |name: &&str| found.contains(&format!("{name}.UNOFFICIAL").as_str());
        let mut found: Vec<&str> = all.into_iter().filter(is_found).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), expected, "{name}");
    }
}

#[test]
fn a_text_with_header_fields_in_it_is_not_opened_again_and_again() {
    let live = live(&database());
    let text = b"hello\n\nFrom: a\nMIME-Version: 1.0\nContent-Type: text/plain\n\nhi\n";
    let report = scan_all(&live, text);
    assert_eq!(report.completeness(), Completeness::Complete);
    assert_eq!(report.stats().layers, 2);
}

#[test]
fn the_first_match_ends_the_scan_and_all_matches_do_not() {
    let folder = Folder::of(&[("x.ndb", "B:0:*:626262\nA:0:*:616161\nC:0:*:636363\n")]);
    let live = live(&folder);
    let input = b"\x01..aaa..bbb";
    assert_eq!(names(&live.scanner().scan(input)), ["A.UNOFFICIAL"]);
    assert_eq!(names(&scan_all(&live, input)), ["A.UNOFFICIAL", "B.UNOFFICIAL"]);
}

#[test]
fn what_a_limit_keeps_from_sight_is_reported() {
    let live = live(&database());
    let scan = |limits: Limits, input: &[u8]| {
        let report = live.scanner_with(Settings::default().limits(limits)).scan(input);
        let reasons = match report.completeness() {
            Completeness::Complete => Vec::new(),
            Completeness::Incomplete(missing) => missing.iter().map(|m| m.reason).collect(),
        };
        (report.detections().len(), reasons)
    };
    let defaults = Limits::default();
    let archive = zip(&[("a.bin", TOKEN), ("b.bin", b"something else")]);
    assert_eq!(scan(defaults, &archive), (1, vec![]));
    let shallow = Limits { container_depth: 0, ..defaults };
    assert_eq!(scan(shallow, &archive), (0, vec![Shortfall::Depth]));
    let few = Limits { parts: 0, ..defaults };
    assert_eq!(scan(few, &archive), (0, vec![Shortfall::Parts]));
    let tired = Limits { fuel: 10, ..defaults };
    let (found, reasons) = scan(tired, &archive);
    assert_eq!((found, reasons.contains(&Shortfall::Fuel)), (0, true));
    // The first bytes of what is too long are searched all the same.
    let short = Limits { part_bytes: 1 << 10, ..defaults };
    let long = [TOKEN, &[b'.'; 4096]].concat();
    assert_eq!(scan(short, &long), (1, vec![Shortfall::PartBytes]));
}

#[test]
fn a_form_that_cannot_be_opened_is_not_called_clean() {
    let report = live(&database()).scanner().scan(b"Rar!\x1a\x07\x09............");
    let Completeness::Incomplete(missing) = report.completeness() else {
        panic!("an archive was not looked into");
    };
    assert_eq!(missing[0].reason, Shortfall::Unsupported);
}

#[test]
fn names_of_parts_cannot_forge_a_report() {
    let mail = message(
        "x",
        &Part::mixed([Part::attachment(
            "a\u{1b}[2Jb",
            b"7z\xbc\xaf\x27\x1c....",
            Encoding::Base64,
        )]),
    );
    let report = live(&database()).scanner().scan(&mail);
    let text = report.completeness().to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[test]
fn an_allowed_file_hides_what_is_found_in_it_and_nothing_else() {
    // The digest of TOKEN, with its size and with another one.
    let md5 = "02a0b296e571b7e18d3ba4537f187ac7";
    let folder = database();
    let other = [TOKEN, b"."].concat();
    let archive = zip(&[("a.bin", TOKEN), ("b.bin", &other)]);
    for (entry, expected) in [(format!("{md5}:19:A\n"), 2), (format!("{md5}:18:A\n"), 1)] {
        folder.write("x.fp", entry);
        assert_eq!(scan_all(&live(&folder), &archive).detections().len(), expected);
    }
}

#[test]
fn normalised_text_and_html_are_views_of_their_own() {
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let folder = Folder::of(&[(
        "x.ndb",
        format!(
            "Text:7:*:{}\nHtml:3:*:{}\nScript:7:*:{}\n",
            hex("a very bad word"),
            hex("<p>click here</p>"),
            hex("alert(")
        ),
    )]);
    let live = live(&folder);
    let report = scan_all(&live, b"A   Very\r\nBAD  word");
    assert_eq!((names(&report), report.detections()[0].view()), (vec!["Text.UNOFFICIAL"], "text"));
    let html = b"<html><P>Click\n HERE</p><script> alert( 1 )</script></html>";
    let report = scan_all(&live, html);
    let views: Vec<_> = report.detections().iter().map(|d| (d.name(), d.view())).collect();
    assert_eq!(views, [("Html.UNOFFICIAL", "html"), ("Script.UNOFFICIAL", "script")]);
}
