//! Evidence: what a policy can learn of mail in which nothing was found.

use quahog::scan::Ambiguity;
use quahog::{Evidence, EvidenceKind, Settings, Verdict};
use quahog_testkit::builders::mail::{Encoding, Part, message};

use crate::documents::compound;
use crate::lists::encrypted_zip;
use crate::messages::zip;
use crate::programs::program;
use crate::{Folder, live, scan_all};

fn database() -> Folder {
    Folder::of(&[("x.ndb", "Token:0:*:746f6b656e2d696e2d612d66696c65\n")])
}

fn attached(name: &str, bytes: &[u8]) -> Vec<u8> {
    let parts = [Part::text("hello"), Part::attachment(name, bytes, Encoding::Base64)];
    message("test", &Part::mixed(parts))
}

/// Codes and objects.
type Told = &'static [(&'static str, &'static str)];

fn told(evidence: &[Evidence]) -> Vec<(&'static str, &str)> {
    evidence.iter().map(|evidence| (evidence.kind.code(), evidence.object.as_str())).collect()
}

#[test]
fn evidence_names_the_object_and_changes_no_verdict() {
    let live = live(&database());
    let source = compound("x", b"\x01\x12\xb0\0Attribut\0e VB_Nam");
    let sheet = compound("Workbook", b"\x09\x08\x00\x00\x85\0\x09\0\0\0\0\0\0\x01\x01\0M");
    let locked = compound("WordDocument", b"\xec\xa5\0\0\0\0\0\0\0\0\0\x01");
    let in_zip = zip(&[("invoice.doc         .exe", b"nothing"), ("a.pdf", &program(b""))]);
    let new_sheet = zip(&[("xl/macrosheets/sheet1.xml", b"<xml/>")]);
    let cases: [(&str, Vec<u8>, Told); 10] = [
        ("a.txt", b"nothing to see".to_vec(), &[]),
        ("setup.exe", program(b""), &[]),
        ("a.zip", encrypted_zip(), &[("encrypted", "a.zip!secret.bin")]),
        ("a.doc", locked, &[("encrypted", "a.doc")]),
        ("a.doc", source, &[("macro-vba", "a.doc")]),
        ("a.xls", sheet, &[("macro-xlm", "a.xls")]),
        ("a.xlsm", new_sheet, &[("macro-xlm", "a.xlsm")]),
        ("a.pdf", program(b""), &[("type-mismatch", "a.pdf")]),
        ("invoice.pdf.exe", program(b""), &[("double-extension", "invoice.pdf.exe")]),
        (
            "a.zip",
            in_zip,
            &[
                ("double-extension", "a.zip!invoice.doc         .exe"),
                ("type-mismatch", "a.zip!a.pdf"),
            ],
        ),
    ];
    for (name, bytes, expected) in cases {
        let report = scan_all(&live, &attached(name, &bytes));
        assert_eq!(told(report.evidence()), expected, "{name}");
        assert_eq!(report.n_evidence(), expected.len() as u64);
        assert_eq!(report.verdict(), Verdict::Clean, "{name}");
    }
}

#[test]
fn messages_that_readers_disagree_on_are_told_of() {
    let live = live(&database());
    let two = b"Subject: x\nContent-Type: multipart/mixed; boundary=a; boundary=b\n\n\
        --a\nContent-Type: text/plain\n\nfirst\n--a--\n\
        --b\nContent-Type: text/plain\n\nsecond\n--b--\n";
    let report = scan_all(&live, two);
    let kind = EvidenceKind::Ambiguous(Ambiguity::Boundary);
    assert_eq!(report.evidence(), [Evidence { kind, object: String::new() }]);
    let mail = b"Subject: x\nContent-Type: text/plain; name=a.bin\n\
        Content-Type: application/octet-stream\n\
        Content-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n";
    assert_eq!(told(scan_all(&live, mail).evidence()), [("ambiguous-media-type", "a.bin")]);
}

#[test]
fn evidence_is_bounded_and_counted_beyond() {
    let live = live(&database());
    let names: Vec<String> = (0..150).map(|number| format!("{number}.pdf.exe")).collect();
    let members: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"nothing".as_slice())).collect();
    let report = scan_all(&live, &zip(&members));
    assert_eq!((report.evidence().len(), report.n_evidence()), (100, 150));
}

#[test]
fn without_an_engine_there_is_no_evidence() {
    let report = quahog::Live::empty().scanner_with(Settings::default()).scan(&encrypted_zip());
    assert_eq!(report.verdict(), Verdict::Unavailable);
    assert_eq!((report.evidence(), report.n_evidence()), (&[][..], 0));
}
