//! Certificates of programs on their way through a scan: what is blocked, and
//! what a trusted one silences.

use md5::Digest as _;
use quahog::Settings;
use quahog::database::decode;
use quahog::sig::Format;
use quahog_testkit::builders::authenticode::{Cert, Key, Signing, program, sign};

use crate::{Folder, live, load, names};

const CODE: [bool; 3] = [true, false, true];

/// "token", wherever it stands.
const TOKEN: &str = "Token:0:*:746f6b656e\n";

fn signer() -> Cert {
    let root = Cert::new("Root", Key::ROOT).issuer();
    Cert { purposes: vec![3], ..Cert::new("Leaf", Key::LEAF) }.signed_by(&root)
}

fn root() -> Cert {
    Cert::new("Root", Key::ROOT).issuer()
}

/// All matches, on 2026-01-01, and what a test changes of that.
fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default().all_matches(true);
    settings.now = Some(1_767_225_600);
    change(&mut settings);
    settings
}

fn plain() -> Settings {
    settings(|_| ())
}

/// A stored zip of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let method = zip::CompressionMethod::Deflated;
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("a name");
        std::io::Write::write_all(&mut writer, bytes).expect("room in memory");
    }
    writer.finish().expect("room in memory").into_inner()
}

#[test]
fn nothing_is_looked_for_in_a_trusted_program() {
    let trusted = format!("{}\n", root().crb("Trusted", true, CODE));
    let inside = [program(b"token"), zip(&[("a.txt", b"a token in it")])].concat();
    let file = sign(&inside, &Signing::new(&signer()));
    // Clamscan 1.4.6 reports none of these either.
    let digest: String = md5::Md5::digest(&file).iter().map(|b| format!("{b:02x}")).collect();
    let hash = format!("{digest}:{}:Hash\n", file.len());
    let logical = "Logical;Engine:51-255,Target:1;0;746f6b656e\n";
    let rules = "rule Rule { strings: $a = \"token\" condition: $a }\n";
    let files = |crb: &str| {
        Folder::of(&[
            ("x.ndb", TOKEN),
            ("x.hdb", &hash),
            ("x.ldb", logical),
            ("x.yar", rules),
            ("x.crb", crb),
        ])
    };
    let scan = |crb: &str, file: &[u8], settings: Settings| {
        let report = live(&files(crb)).scanner_with(settings).scan(file);
        let mut found: Vec<String> = names(&report).iter().map(|n| (*n).to_owned()).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let all = ["Hash", "Logical", "Token", "YARA.Rule"].map(|name| format!("{name}.UNOFFICIAL"));
    assert_eq!(scan("# none\n", &file, plain()), all);
    assert!(scan(&trusted, &file, plain()).is_empty());
    // The first match only, and heuristics.
    assert!(scan(&trusted, &file, settings(|s| s.all_matches = false)).is_empty());
    let strict = settings(|s| s.alert_broken_executables = true);
    assert!(scan(&trusted, &file, strict).is_empty());
    // Without certificates nobody is trusted, nor when they have run out.
    assert_eq!(scan(&trusted, &file, settings(|s| s.certificates = false)), all);
    let late = settings(|s| s.now = Some(2_500_000_000));
    assert_eq!(scan(&trusted, &file, late), all);
    // One bit more, and it is looked at.
    let mut other = file.clone();
    other[0x500] ^= 1;
    assert_eq!(scan(&trusted, &other, plain()), all[1..]);
    // What a trusted program lies beside is looked at.
    let beside = zip(&[("signed.exe", &file), ("a.txt", b"another token")]);
    assert_eq!(scan(&trusted, &beside, plain()), all[2..]);
    let alone = zip(&[("signed.exe", &file)]);
    assert!(scan(&trusted, &alone, plain()).is_empty());
    // A blocked certificate weighs more.
    let both = format!("{trusted}{}\n", signer().crb("Blocked", false, CODE));
    let found = scan(&both, &file, plain());
    assert_eq!(found.len(), all.len() + 1, "{found:?}");
    assert!(found.contains(&"Blocked.UNOFFICIAL".to_owned()));
}

#[test]
fn rules_that_trust_are_admitted_and_told_in_words() {
    let line = signer().crb("Trusted", true, CODE);
    let folder = Folder::of(&[("x.crb", format!("{line}\n")), ("x.ndb", TOKEN.to_owned())]);
    let (database, report) = load(&folder).expect("a database");
    assert_eq!((report.counts().admitted, report.counts().unsupported), (2, 0));
    assert_eq!(database.signatures().len(), 2);
    let decoded = decode(Format::Crb, line.as_bytes()).expect("a good line");
    let words = decoded[0].words.join("\n");
    assert!(words.contains("trusts PE programs that are signed by this certificate"), "{words}");
    assert!(words.contains("for signing programs"), "{words}");
    assert!(!words.contains("for saying when"), "{words}");
    // Another line is another set.
    let other = Folder::of(&[
        ("x.crb", format!("{}\n", signer().crb("Trusted", true, [true; 3]))),
        ("x.ndb", TOKEN.to_owned()),
    ]);
    let (other, _) = load(&other).expect("a database");
    assert_ne!(database.signatures().digest(), other.signatures().digest());
}

#[test]
fn an_explanation_says_that_a_program_is_trusted() {
    let trusted = format!("{}\n", root().crb("Trusted", true, CODE));
    let live = live(&Folder::of(&[("x.ndb", TOKEN), ("x.crb", &trusted)]));
    let file = sign(&program(b"token"), &Signing::new(&signer()));
    let why = live.scanner_with(plain()).explain(&file, "Token");
    assert_eq!(why.conclusion(), Some(quahog::scan::Conclusion::OutOfScope));
    assert!(why.looks[0].why.facts[0].text.contains("trusted certificate"), "{why:?}");
}
