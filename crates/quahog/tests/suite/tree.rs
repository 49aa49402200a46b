//! The tree of objects: names, types, sizes, digests, flags.

use quahog::scan::Node;
use quahog::{EvidenceKind, Limits, Settings, Shortfall};
use quahog_testkit::builders::mail::{Encoding, Part, message};

use crate::messages::zip;
use crate::programs::program;
use crate::{Folder, live};

fn database() -> Folder {
    Folder::of(&[("x.ndb", "Token:0:*:746f6b656e2d696e2d612d66696c65\n")])
}

fn settings() -> Settings {
    let mut settings = Settings::default().all_matches(true);
    settings.tree = true;
    settings
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn type_of(node: &Node) -> String {
    node.file_type.map_or_else(String::new, |file_type| file_type.to_string())
}

#[test]
fn the_tree_has_every_object_with_its_facts() {
    let live = live(&database());
    let archive = zip(&[("hello.txt", b"hello world"), ("a.pdf", &program(b"")), ("no", b"")]);
    let parts = [
        Part::html("<html><body>hello</body></html>"),
        Part::attachment("a.zip", &archive, Encoding::Base64),
    ];
    let mail = message("test", &Part::mixed(parts));
    let report = live.scanner_with(settings()).scan(&mail);
    let root = report.tree().expect("it was asked for");
    assert_eq!((root.name.as_str(), type_of(root).as_str()), ("", "CL_TYPE_MAIL"));
    assert_eq!(root.size, mail.len() as u64);
    let [html, packed] = &root.children[..] else { panic!("{root:#?}") };
    assert_eq!(type_of(html), "CL_TYPE_HTML");
    assert_eq!(html.declared.as_deref(), Some("text/html"));
    assert_eq!((packed.name.as_str(), type_of(packed).as_str()), ("a.zip", "CL_TYPE_ZIP"));
    assert_eq!(packed.size, archive.len() as u64);
    let [hello, pdf, empty] = &packed.children[..] else { panic!("{packed:#?}") };
    assert_eq!((hello.name.as_str(), hello.size), ("hello.txt", 11));
    assert_eq!(type_of(hello), "CL_TYPE_TEXT_ASCII");
    // md5sum, sha1sum and sha256sum of "hello world".
    let digests = hello.digests.expect("it has bytes");
    assert_eq!(hex(&digests.md5), "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(hex(&digests.sha1), "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed");
    assert_eq!(
        hex(&digests.sha256),
        "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    );
    assert_eq!(
        (type_of(pdf).as_str(), &pdf.flags[..]),
        ("CL_TYPE_MSEXE", &[EvidenceKind::TypeMismatch][..])
    );
    // What is too short to be looked at has its name and no type.
    assert_eq!((empty.name.as_str(), empty.size, empty.file_type), ("no", 0, None));
}

#[test]
fn without_being_asked_for_there_is_no_tree() {
    let live = live(&database());
    assert_eq!(live.scanner().scan(b"nothing to see here").tree(), None);
}

/// The same mail gives the same report but for the tree.
#[test]
fn the_tree_changes_nothing_else() {
    let live = live(&database());
    let archive = zip(&[("a.pdf.exe", b"token-in-a-file"), ("b.pdf", &program(b""))]);
    let plain = live.scanner_with(Settings::default().all_matches(true)).scan(&archive);
    let with_tree = live.scanner_with(settings()).scan(&archive);
    assert_eq!(plain.detections(), with_tree.detections());
    assert_eq!(plain.detections().len(), 1);
    assert_eq!(plain.evidence(), with_tree.evidence());
    assert_eq!(plain.completeness(), with_tree.completeness());
    // Digests are work.
    let mut stats = with_tree.stats();
    assert!(stats.work > plain.stats().work);
    stats.work = plain.stats().work;
    assert_eq!(plain.stats(), stats);
}

#[test]
fn the_limits_bound_the_tree_and_it_says_so() {
    let live = live(&database());
    let names: Vec<String> = (0..50).map(|number| format!("{number}.txt")).collect();
    let members: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"nothing".as_slice())).collect();
    let limits = Limits { parts: 10, ..Limits::default() };
    let report = live.scanner_with(settings().limits(limits)).scan(&zip(&members));
    let root = report.tree().expect("it was asked for");
    assert_eq!((root.children.len(), &root.missing[..]), (10, &[Shortfall::Parts][..]));
    // A budget that ended leaves no digest, and a report that says so.
    let limits = Limits { fuel: 100, ..Limits::default() };
    let report = live.scanner_with(settings().limits(limits)).scan(&zip(&members));
    let root = report.tree().expect("it was asked for");
    assert_eq!((root.digests, &root.missing[..]), (None, &[Shortfall::Fuel][..]));
}
