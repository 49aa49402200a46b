//! Lists and heuristics: entries of containers, links, limits, pictures.

use std::io::Write;

use quahog::{Completeness, Config, Database, Live, Settings};
use quahog_testkit::builders::mail::{Encoding, Part, message};

use crate::{Folder, live, names, scan_all};

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("a member");
        writer.write_all(bytes).expect("bytes");
    }
    writer.finish().expect("an archive").into_inner()
}

/// A zip whose only member is said to be encrypted, in both headers.
pub(crate) fn encrypted_zip() -> Vec<u8> {
    let mut archive = zip(&[("secret.bin", b"stored bytes")]);
    archive[6] |= 1;
    let directory = archive.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    archive[directory + 8] |= 1;
    archive
}

fn html_mail(html: &str) -> Vec<u8> {
    format!(
        "From: a@b.c\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n<html>{html}</html>\n"
    )
    .into_bytes()
}

fn scan_with(live: &Live, settings: Settings, input: &[u8]) -> Vec<String> {
    let report = live.scanner_with(settings).scan(input);
    names(&report).into_iter().map(ToOwned::to_owned).collect()
}

fn with(change: impl Fn(&mut Settings)) -> Settings {
    let mut settings = Settings::default().all_matches(true);
    change(&mut settings);
    settings
}

#[test]
fn entries_are_judged_where_they_are() {
    let folder = Folder::of(&[(
        "x.cdb",
        "Exe:CL_TYPE_ZIP:*:\\.exe$:*:4:0:2:*:*\nSecret:*:*:*:*:*:1:*:*:*\n\
         Mail:CL_TYPE_MAIL:*:^in_voice\\.zip$:*:*:0:0:*:*\n",
    )]);
    let live = live(&folder);
    let archive = zip(&[("a.txt", b"nothing"), ("b.exe", b"byte")]);
    let parts = [Part::text("hi"), Part::attachment("in voice.zip", &archive, Encoding::Base64)];
    let report = scan_all(&live, &message("x", &Part::mixed(parts)));
    let found: Vec<_> =
        report.detections().iter().map(|d| (d.name(), d.object(), d.view())).collect();
    let expected = [
        ("Mail.UNOFFICIAL", "in voice.zip", "entry"),
        ("Exe.UNOFFICIAL", "in voice.zip!b.exe", "entry"),
    ];
    assert_eq!(found, expected);
    // A part that cannot be had is judged by its entry, too.
    assert_eq!(names(&scan_all(&live, &encrypted_zip())), ["Secret.UNOFFICIAL"]);
}

#[test]
fn an_allowed_container_hides_what_its_entries_say() {
    let folder = Folder::of(&[("x.cdb", "A:*:*:txt:*:*:*:*:*:*\n")]);
    let archive = zip(&[("a.txt", b"nothing")]);
    assert_eq!(names(&scan_all(&live(&folder), &archive)), ["A.UNOFFICIAL"]);
    // The digest of the member hides nothing that stands in the archive.
    folder.write("x.fp", "3e47b75000b0924b6c9ba5759a7cf15d:7:Nothing\n");
    assert_eq!(names(&scan_all(&live(&folder), &archive)), ["A.UNOFFICIAL"]);
}

#[test]
fn links_are_judged_in_html_texts_of_messages() {
    let folder = Folder::of(&[("x.pdb", "H:mybank.com\n")]);
    let live = live(&folder);
    let link = "<a href=http://evil.example.net/>www.mybank.com</a>";
    let spoofed = "Heuristics.Phishing.Email.SpoofedDomain";
    assert_eq!(names(&scan_all(&live, &html_mail(link))), [spoofed]);
    assert_eq!(names(&scan_all(&live, format!("<html>{link}</html>").as_bytes())), [""; 0]);
    assert_eq!(scan_with(&live, with(|s| s.phishing = false), &html_mail(link)), [""; 0]);
    let nested = Part::rfc822("inner", Part::mixed([Part::text("hi")]));
    assert_eq!(names(&scan_all(&live, &message("x", &Part::mixed([nested])))), [""; 0]);

    let other = html_mail("<a href=http://a.example.net/>https://b.example.net</a>");
    assert_eq!(names(&scan_all(&live, &other)), [""; 0]);
    let ssl = "Heuristics.Phishing.Email.SSL-Spoof";
    assert_eq!(scan_with(&live, with(|s| s.alert_phishing_ssl = true), &other), [ssl]);
    let cloaked = html_mail("<a href=http://b.example.net%00.a.org/>b.example.net</a>");
    let null = "Heuristics.Phishing.Email.Cloaked.Null";
    assert_eq!(scan_with(&live, with(|s| s.alert_phishing_cloak = true), &cloaked), [null]);

    // Weak: a strong one goes first, and a switch of a database ends it.
    folder.write("x.ndb", "Strong:0:*:6d7962616e6b\n");
    let live = crate::live(&folder);
    let report = live.scanner().scan(&html_mail(link));
    assert_eq!(names(&report), ["Strong.UNOFFICIAL"]);
    folder.write("x.cfg", "PHISHING:0x0\n");
    let report = scan_all(&crate::live(&folder), &html_mail(link));
    assert!(report.detections().iter().all(|d| d.name() == "Strong.UNOFFICIAL"), "{report:?}");
}

#[test]
fn limits_and_encryption_are_reported_on_demand() {
    let live = live(&Folder::of(&[("x.ndb", "Never:0:*:6e657665727365656e\n")]));
    let nested = zip(&[("inner.zip", &zip(&[("a.bin", &[7; 100])]))]);
    let limited = |change: &dyn Fn(&mut Settings)| {
        let settings = with(|settings| {
            settings.alert_exceeded_limits = true;
            change(settings);
        });
        let report = live.scanner_with(settings).scan(&nested);
        assert_ne!(report.completeness(), Completeness::Complete);
        names(&report).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let name = |limit: &str| [format!("Heuristics.Limits.Exceeded.{limit}")];
    assert_eq!(limited(&|s| s.recursion = Some(2)), name("MaxRecursion"));
    assert_eq!(limited(&|s| s.limits.parts = 1), name("MaxFiles"));
    assert_eq!(limited(&|s| s.limits.part_bytes = 60), name("MaxFileSize"));
    assert_eq!(limited(&|s| s.limits.total_bytes = 60), name("MaxScanSize"));
    assert_eq!(limited(&|s| s.limits.fuel = 60), name("MaxScanTime"));
    let quiet = with(|s| s.recursion = Some(2));
    assert_eq!(scan_with(&live, quiet, &nested), [""; 0]);

    let zip = encrypted_zip();
    let asked = with(|s| s.alert_encrypted_archives = true);
    assert_eq!(scan_with(&live, asked, &zip), ["Heuristics.Encrypted.Zip"]);
    assert_eq!(scan_with(&live, with(|s| s.alert_encrypted_documents = true), &zip), [""; 0]);
}

#[test]
fn broken_pictures_are_reported_on_demand() {
    let folder = Folder::of(&[("x.ndb", "Never:0:*:6e657665727365656e\n")]);
    let live = live(&folder);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    assert_eq!(names(&scan_all(&live, png)), [""; 0]);
    let asked = || with(|s| s.alert_broken_media = true);
    let name = "Heuristics.Broken.Media.PNG.EOFReadingChunk";
    assert_eq!(scan_with(&live, asked(), png), [name]);
    // Allow lists hold for heuristics, too.
    folder.write("x.sfp", "7cddabe5df64daaa6924a5613dd2150a:16:Png\n");
    assert_eq!(scan_with(&crate::live(&folder), asked(), png), [""; 0]);
}

#[test]
fn clamscan_counts_of_nesting_are_kept() {
    let token = b"\x01\x02token-in-a-file\x03";
    let hex: String = b"token-in-a-file".iter().map(|b| format!("{b:02x}")).collect();
    let live = live(&Folder::of(&[("x.ndb", format!("Token:0:*:{hex}\n"))]));
    let leaf = message("leaf", &Part::mixed([Part::attachment("a.bin", token, Encoding::Base64)]));
    // A message that is the whole body of another is no layer of its own.
    let nested = |n: usize| {
        let head = b"From: a@b.c\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n";
        [head.repeat(n), leaf.clone()].concat()
    };
    let found = |mail: &[u8]| {
        let settings = with(|s| s.recursion = Some(17));
        !scan_with(&live, settings, mail).is_empty()
    };
    assert!(found(&nested(17)));
    assert!(!found(&nested(18)));
    assert!(live.scanner().scan(&nested(18)).detections().len() == 1, "the default is deeper");
}

#[test]
fn documents_of_indicators_are_hashes() {
    let md5 = "6b875428a97a85cab2f19f595921545d";
    let folder = Folder::of(&[(
        "own.ioc",
        format!(
            "<ioc><definition><Indicator operator='OR'>\n<IndicatorItem condition='is'>\
             <Content type='md5'>{md5}</Content></IndicatorItem></Indicator></definition></ioc>"
        ),
    )]);
    let report = scan_all(&live(&folder), b"\x01\x02\0\x01\0\x01hello world, hash me");
    assert_eq!(names(&report), [format!("own.ioc.{md5}.UNOFFICIAL")]);
    assert_eq!((report.detections()[0].source(), report.detections()[0].line()), ("own.ioc", 2));
}

#[test]
fn a_raw_first_database_is_asked_before_what_is_inside() {
    let inner = "Inner:0:*:696e6e6572\n";
    let mail =
        message("x", &Part::mixed([Part::attachment("a.bin", b"inner", Encoding::SevenBit)]));
    let folder = Folder::of(&[("x.ndb", inner)]);
    let first = |folder: &Folder| {
        let report = live(folder).scanner().scan(&mail);
        report.detections()[0].object().to_owned()
    };
    assert_eq!(first(&folder), "a.bin");
    folder.write("x.sdb", "Other:0:*:6e657665727365656e\n");
    assert_eq!(first(&folder), "");
}

#[test]
fn signatures_of_phishing_can_be_left_out() {
    let lines = "Email.Phishing.A:0:*:616263\nHTML.PhishingB:0:*:616263\nPhishing.C:0:*:616263\n";
    let folder = Folder::of(&[("x.ndb", lines)]);
    let config = Config::new([folder.path()]).phishing_signatures(false);
    let (database, report) = Database::load(&config).expect("loads");
    assert_eq!((database.signatures().len(), report.counts().unused), (1, 2));
}

#[test]
fn what_clamscan_refuses_of_lists_is_refused_strictly() {
    for (name, text, refused) in [
        ("x.cdb", "A:NOPE:*:a:*:*:*:*:*:*\n", true),
        ("x.cdb", "A:*:*:a:*:*:*:*:*:*\n\n", true),
        ("x.cdb", "", true),
        ("x.pdb", "", false),
        ("x.pdb", "H:a.com\n\nR:.+b\\.com\n", false),
        ("x.pdb", "Z:a\n", true),
        ("x.wdb", "H:a\n", true),
        ("x.cfg", "FOO:0x1\n", false),
        ("x.cfg", "PE:zz\n", true),
        ("x.pwdb", "N;Engine:51-255;0;secret\n", false),
        ("x.pwdb", "N;;0;secret\n", true),
        ("x.ioc", "no document", false),
        ("x.zmd", "T:0:a:*:*:*:*:*:*\n", false),
        ("x.zmd", "T:0:a:*:*:123:*:*:*\n", true),
    ] {
        let folder = Folder::of(&[(name, text), ("z.ndb", "Z:0:*:616263\n")]);
        let loaded = Database::load(&Config::new([folder.path()]).strict(true));
        assert_eq!(loaded.is_err(), refused, "{name}: {text:?}");
    }
}

/// Made by Info-ZIP with the password `infected`: one member stored, one
/// deflated.
const LOCKED: [&str; 2] = [
    "504b03040a00090000004b28785d20248be3120000000600000005000000742e62696ea430a748775d8fc4ae\
     35028a0e3e29e5d991504b070820248be31200000006000000504b01021e030a00090000004b28785d20248b\
     e31200000006000000050000000000000000000000a48100000000742e62696e504b05060000000001000100\
     33000000450000000000",
    "504b03041400090008004b28785d9fef8bc4160000001700000005000000752e7478742d1252472369afffde\
     547172046e13418174718f1e05504b07089fef8bc41600000017000000504b01021e031400090008004b2878\
     5d9fef8bc41600000017000000050000000000000001000000a48100000000752e747874504b050600000000\
     0100010033000000490000000000",
];

#[test]
fn passwords_of_a_database_open_archives() {
    let folder = Folder::of(&[("x.ndb", "Token:0:*:746f6b656e\n")]);
    let archives = LOCKED.map(|hex| {
        let pair = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        };
        hex.as_bytes().chunks(2).map(pair).collect::<Vec<u8>>()
    });
    let found = |folder: &Folder, archive: &[u8]| {
        let report = scan_all(&live(folder), archive);
        (report.detections().len(), report.completeness() == Completeness::Complete)
    };
    for archive in &archives {
        assert_eq!(found(&folder, archive), (0, false));
    }
    for (line, opens) in [
        ("N;Engine:51-255;0;infected\nN;Engine:51-255;0;wrong\n", true),
        ("N;Engine:51-255,Container:CL_TYPE_ZIP;1;696e666563746564\n", true),
        ("N;Engine:51-255,Container:CL_TYPE_RAR;0;infected\n", false),
        ("N;Engine:51-255;0;Infected\n", false),
    ] {
        folder.write("x.pwdb", line);
        for archive in &archives {
            assert_eq!(found(&folder, archive), (usize::from(opens), opens), "{line}");
        }
    }
    // That it was encrypted is said all the same, as clamscan does.
    folder.write("x.pwdb", "N;Engine:51-255;0;infected\n");
    let asked = with(|s| s.alert_encrypted_archives = true);
    let names = scan_with(&live(&folder), asked, &archives[0]);
    assert_eq!(names, ["Token.UNOFFICIAL", "Heuristics.Encrypted.Zip"]);
}
