//! Rows X of the table of malformed input: what becomes of bad text.
//!
//! | row | input | test here |
//! |---|---|---|
//! | X1 | a malformed line | [`x01_a_malformed_line`], thresholds in `thresholds` |
//! | X2 | a malformed line for newer engines | [`x02_a_malformed_line_for_newer_engines`] |
//! | X3 | frames of the future | [`x03_frames_of_the_future`] |
//! | X4 | the last line without LF in a container | [`x04_a_last_line_without_an_end`] |
//! | X5 | a line too long | [`x05_a_line_too_long`] |
//! | X6 | NUL in a line | [`x06_a_nul`] |
//! | X7 | CRLF | [`x07_crlf`] |
//! | X8 | CR only | [`x08_cr_only`] |
//! | X9 | a blank line | [`x09_a_blank_line`] |
//! | X10 | a byte order mark | [`x10_a_byte_order_mark`] |
//! | X11 | a regular expression that is none | [`x11_a_regular_expression_that_is_none`] |
//! | X12 | an unknown file type | [`x12_an_unknown_file_type`] |
//! | X13 | a hash of any size without level 73 | [`x13_any_size_without_level_73`] |
//! | X14 | sizes that no file has | [`x14_sizes_that_no_file_has`] |
//! | X15 | a folder called `x.ndb` | [`x15_a_folder_called_ndb`] |
//! | X16 | an unreadable or vanished file | [`x16_an_unreadable_file`], [`x16_a_vanished_file`]; files that vanish meanwhile in `database::files` |
//! | X17 | an empty folder | [`x17_an_empty_folder`] |
//! | X18 | an ignore list after what it names | [`x18_an_ignore_list_after_what_it_names`] |
//! | X19 | a stray list beside official databases | [`x19_a_stray_list_beside_official_databases`] |
//! | X20 | a broken sibling | [`x20_a_broken_sibling`] |
//! | X21 | a file all from the future | [`x21_a_file_all_from_the_future`] |
//! | X22 | two PUA categories | [`x22_two_pua_categories`] |
//!
//! The other tables: H in `header`, Z in `compression`, T in `tar`, I in `info`,
//! U in `cdiff` of quahog-cvd, what an update must not do in `trust`. Each test
//! there names its rows.

use quahog::database::{Counts, Event, Outcome};
use quahog::live;
use quahog::sig::PuaFilter;
use quahog::{Config, Database, Live, LoadError, LoadReport};
use quahog_testkit::builders::cvd;

use crate::{Folder, names};

const LINE: &str = "T.A:0:*:616263\n";

/// A line that was left out: its file, its number, its column, and the rule.
type Left = (String, u32, usize, &'static str);

/// Loads a folder: its report, whether or not anything was in it.
fn report(folder: &Folder) -> LoadReport {
    match Database::load(&Config::new([folder.path()])) {
        Ok((_, report)) => report,
        Err(LoadError::Nothing { report, .. }) => *report,
        Err(error) => panic!("{error}"),
    }
}

fn left(report: &LoadReport) -> Vec<Left> {
    let left =
        |d: &quahog::sig::Diagnostic| (d.source.clone(), d.line, d.column(), d.error.kind().code());
    report.diagnostics.iter().map(left).collect()
}

/// One file, loose and in a container: the counts, which must be the same for
/// both, and what was left out of it.
fn file(name: &str, text: &[u8]) -> (Counts, Vec<Left>) {
    let loose = report(&Folder::of(&[(name, text)]));
    let packed = report(&Folder::of(&[("box.cud", cvd::cud("box", &[(name, text)]))]));
    assert_eq!(loose.counts(), packed.counts(), "loose and in a container");
    let inside: Vec<_> = left(&loose)
        .into_iter()
        .map(|(name, line, column, code)| (format!("box.cud/{name}"), line, column, code))
        .collect();
    assert_eq!(left(&packed), inside, "loose and in a container");
    (loose.counts(), left(&loose))
}

/// One line after a good one, of which `admitted` are in force.
fn ndb(line: &str, admitted: u64) -> (Counts, Vec<Left>) {
    let (counts, left) = file("x.ndb", format!("{LINE}{line}").as_bytes());
    assert_eq!(counts.admitted, admitted, "{line:?}");
    (counts, left)
}

fn at(name: &str, line: u32, column: usize, code: &'static str) -> Vec<Left> {
    vec![(name.to_owned(), line, column, code)]
}

#[test]
fn x01_a_malformed_line() {
    let (counts, left) = ndb("T.B:0:*:6x6263\nT.C:0:*:646566\n", 2);
    assert_eq!(counts.malformed, 1);
    assert_eq!(left, at("x.ndb", 2, 10, "hex-digit"));
}

#[test]
fn x02_a_malformed_line_for_newer_engines() {
    let (counts, left) = ndb("T.B:0:*:6x6263:300\n", 1);
    assert_eq!((counts.newer, counts.malformed), (1, 0));
    assert_eq!(left, []);
}

#[test]
fn x03_frames_of_the_future() {
    assert_eq!(ndb("T.B:0:*:616263:300:400:new\n", 1).0.newer, 1);
    let many: String = (0..65).map(|_| ";616263").collect();
    let ldb = format!("T.A;Engine:300-400,Target:0;0{many}\n");
    let cdb = "T.A:CL_TYPE_ZIP:*:a:*:*:*:*:*:*:300:400:new\n";
    for (name, text) in [("x.ldb", ldb.as_str()), ("x.cdb", cdb)] {
        let (counts, left) = file(name, text.as_bytes());
        assert_eq!((counts.newer, counts.lines, left), (1, 1, vec![]), "{name}");
    }
    // The same for us is malformed.
    let (_, left) = file("x.ldb", format!("T.A;Engine:51-255,Target:0;0{many}\n").as_bytes());
    assert_eq!(left.len(), 1, "{left:?}");
    let (_, left) = ndb("T.B:0:*:616263:1:400:new\n", 1);
    assert_eq!(left[0].3, "field-count");
}

#[test]
fn x04_a_last_line_without_an_end() {
    let (counts, left) = ndb("T.B:0:*:646566", 2);
    assert_eq!((counts.lost(), left), (0, vec![]));
    assert_eq!(file("x.ndb", LINE.trim_end().as_bytes()).0.admitted, 1, "the only one");
    // In a container it is told, because ClamAV loses it there.
    let open_ends = |name: &str, text: &str| {
        let folder = Folder::of(&[("box.cud", cvd::cud("box", &[(name, text.as_bytes())]))]);
        report(&folder).events
    };
    let source = "box.cud/x.ndb".to_owned();
    assert_eq!(open_ends("x.ndb", LINE.trim_end()), [Event::OpenEnd { source }]);
    assert_eq!(open_ends("x.ndb", LINE), []);
    assert_eq!(report(&Folder::of(&[("x.ndb", LINE.trim_end())])).events, []);
}

#[test]
fn x05_a_line_too_long() {
    let line = |len: usize| format!("T.B:0:*:{}\n", "61".repeat((len - 8) / 2));
    let (counts, left) = ndb(&(line((1 << 20) + 2) + "T.C:0:*:646566\n"), 2);
    assert_eq!(counts.malformed, 1);
    assert_eq!(left, at("x.ndb", 2, (1 << 20) + 1, "too-long"));
    // The longest line is none too long; what it is, is another matter.
    let (_, left) = file("x.ndb", line(1 << 20).as_bytes());
    assert!(left.iter().all(|left| left.3 != "too-long"), "{left:?}");
}

#[test]
fn x06_a_nul() {
    let (counts, left) = ndb("T.B:0:*:6162\0\nT.C:0:*:646566\n", 2);
    assert_eq!(counts.malformed, 1);
    assert_eq!(left, at("x.ndb", 2, 13, "nul"));
}

#[test]
fn x07_crlf() {
    let (counts, left) = ndb("T.B:0:*:646566\r\n", 2);
    assert_eq!((counts.lost(), left), (0, vec![]));
}

#[test]
fn x08_cr_only() {
    let (counts, left) = ndb("T.B:0:*:61\rT.C:0:*:62\n", 1);
    assert_eq!(counts.malformed, 1);
    assert_eq!((left[0].1, left.len()), (2, 1));
}

#[test]
fn x09_a_blank_line() {
    let (counts, left) = ndb("\n \t\n\r\nT.B:0:*:646566\n", 2);
    assert_eq!((counts.blank, counts.lines, left), (3, 5, vec![]));
}

#[test]
fn x10_a_byte_order_mark() {
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let folder = Folder::of(&[("x.ndb", marked(LINE))]);
    let (database, report) = Database::load(&Config::new([folder.path()])).expect("loads");
    assert_eq!(report.events, [Event::ByteOrderMark { source: "x.ndb".into() }]);
    let engine = quahog::Engine::new(database.into_signatures()).expect("an engine");
    let found = Live::new(engine).scanner().scan(b"..abc..");
    assert_eq!(names(&found), ["T.A.UNOFFICIAL"], "the name is clean");
    // Before a comment, and inside of a container.
    let (counts, left) = file("x.ndb", &marked(&format!("# comment\n{LINE}")));
    assert_eq!((counts.comments, counts.admitted, left), (1, 1, vec![]));
    // Only at the very beginning; anywhere else it is part of the name.
    let (counts, _) = file("x.ndb", &[LINE.as_bytes(), &marked("T.B:0:*:646566\n")].concat());
    assert_eq!(counts.admitted, 2);
}

#[test]
fn x11_a_regular_expression_that_is_none() {
    let good = "T.A;Engine:81-255,Target:0;0&1;616263646566;0/q+zq/\n";
    let bad = good.replace("T.A", "T.B").replace("q+zq", "q(zq");
    let text = format!("{good}{bad}");
    let (counts, left) = file("x.ldb", text.as_bytes());
    assert_eq!((counts.admitted, counts.malformed), (1, 1));
    let [(source, 2, column, code)] = &left[..] else { panic!("{left:?}") };
    assert!(source == "x.ldb" && code.starts_with("regex"), "{left:?}");
    assert!(*column > bad.find("0/q").expect("the expression"), "{left:?}");
    // It never comes as far as the engine in force: the line is left out of the
    // candidate, and the rest is promoted.
    let folder = Folder::of(&[("x.ldb", good)]);
    let live = Live::start(&live::Config::new([folder.path()])).expect("starts");
    folder.write("x.ldb", text.replace("T.A", "T.New"));
    let outcome = live.reload().wait(Some(std::time::Duration::from_secs(120)));
    assert!(matches!(outcome, Some(live::Outcome::Promoted { .. })), "{outcome:?}");
    assert_eq!(names(&live.scanner().scan(b"abcdef qqzq")), ["T.New.UNOFFICIAL"]);
}

#[test]
fn x12_an_unknown_file_type() {
    for (name, text) in [
        ("x.ldb", "T.A;Engine:51-255,Target:0,Container:CL_TYPE_NEW;0;616263\n"),
        ("x.cdb", "T.A:CL_TYPE_NEW:*:a:*:*:*:*:*:*\n"),
        ("x.ftm", "0:0:41424344:New:CL_TYPE_ANY:CL_TYPE_NEW\n"),
    ] {
        let (counts, left) = file(name, text.as_bytes());
        assert_eq!((counts.unknown, counts.malformed, counts.admitted), (1, 0, 0), "{name}");
        let column = text.find("CL_TYPE_NEW").expect("the type") + 1;
        assert_eq!(left, at(name, 1, column, "file-type-unknown"));
    }
}

const HASH: &str = "d41d8cd98f00b204e9800998ecf8427e";

#[test]
fn x13_any_size_without_level_73() {
    let (counts, left) = file("x.hdb", format!("{HASH}:*:T.A\n{HASH}:*:T.B:73\n").as_bytes());
    assert_eq!((counts.admitted, counts.odd, left), (2, 1, vec![]));
}

#[test]
fn x14_sizes_that_no_file_has() {
    for (size, code) in
        [("0", "size"), ("4294967295", "size"), ("-5", "size"), ("x", "size"), ("", "size")]
    {
        let text = format!("{HASH}:7:T.A\n{HASH}:{size}:T.B\n");
        let (counts, left) = file("x.hdb", text.as_bytes());
        assert_eq!((counts.admitted, counts.malformed), (1, 1), "{size:?}");
        assert_eq!(left, at("x.hdb", 2, 34, code), "{size:?}");
    }
    assert_eq!(file("x.hdb", format!("{HASH}:4294967294:T.B\n").as_bytes()).0.admitted, 1);
}

fn outcome<'r>(report: &'r LoadReport, name: &str) -> &'r Outcome {
    let file = report.files.iter().find(|file| file.path.ends_with(name));
    &file.unwrap_or_else(|| panic!("{name}")).outcome
}

#[test]
fn x15_a_folder_called_ndb() {
    let folder = Folder::of(&[("a.ndb", LINE)]);
    std::fs::create_dir(folder.path().join("x.ndb")).expect("a folder");
    let report = report(&folder);
    assert_eq!(report.counts().admitted, 1);
    let passed = outcome(&report, "x.ndb");
    let Outcome::PassedOver { reason } = passed else { panic!("{passed:?}") };
    assert_eq!(reason, "not a regular file");
}

/// Who runs as root may read everything, so what cannot be read here is longer
/// than a file may be.
#[test]
fn x16_an_unreadable_file() {
    let folder = Folder::of(&[("a.ndb", LINE), ("x.ndb", "")]);
    let sparse = std::fs::File::options().write(true).open(folder.path().join("x.ndb"));
    sparse.and_then(|file| file.set_len((4 << 30) + 1)).expect("a sparse file");
    let report = report(&folder);
    assert_eq!(report.counts().admitted, 1, "the others load");
    assert!(report.any_refused());
    let refused = outcome(&report, "x.ndb");
    let Outcome::Refused { reason, replaced: false } = refused else { panic!("{refused:?}") };
    assert_eq!(reason, "file is larger than 4294967296 bytes");
    // Named by itself it is the caller's mistake.
    let path = folder.path().join("x.ndb");
    let named = Database::load(&Config::new([&path])).map(|_| ());
    assert!(matches!(&named, Err(LoadError::Io { path: at, .. }) if *at == path), "{named:?}");
    // What was in force of it stays in force.
    folder.write("x.ndb", "T.X:0:*:746f6b656e2d78\n");
    folder.write("a.ndb", "T.A:0:*:746f6b656e2d61\n");
    let live = Live::start(&live::Config::new([folder.path()])).expect("starts");
    let sparse = std::fs::File::options().write(true).open(&path);
    sparse.and_then(|file| file.set_len((4 << 30) + 1)).expect("a sparse file");
    let reloaded = live.reload().wait(Some(std::time::Duration::from_secs(120)));
    assert!(matches!(reloaded, Some(live::Outcome::Refused(_))), "{reloaded:?}");
    assert_eq!(names(&live.scanner().scan(b"..token-x..")), ["T.X.UNOFFICIAL"]);
}

#[test]
fn x16_a_vanished_file() {
    let folder = Folder::of(&[("a.ndb", LINE)]);
    let gone = folder.path().join("x.ndb");
    let named = Database::load(&Config::new([folder.path(), &gone])).map(|_| ());
    assert!(matches!(&named, Err(LoadError::Io { path, .. }) if *path == gone), "{named:?}");
    // A link to nowhere is listed and is none.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", &gone).expect("a link");
        let report = report(&folder);
        assert_eq!((report.counts().admitted, report.any_refused()), (1, false));
        let passed = outcome(&report, "x.ndb");
        assert!(matches!(passed, Outcome::PassedOver { reason } if reason == "gone"), "{passed:?}");
    }
}

#[test]
fn x17_an_empty_folder() {
    let folder = Folder::new();
    let nothing = Database::load(&Config::new([folder.path()])).map(|_| ());
    let Err(LoadError::Nothing { paths, report }) = nothing else { panic!("{nothing:?}") };
    assert_eq!((paths, report.files.len()), (vec![folder.path().to_owned()], 0));
}

#[test]
fn x18_an_ignore_list_after_what_it_names() {
    for list in ["a.ign2", "z.ign2"] {
        let counts = report(&Folder::of(&[(list, "T.A\n"), ("m.ndb", LINE)])).counts();
        assert_eq!((counts.admitted, counts.ignored), (1, 1), "the entry, and not the signature");
    }
}

#[test]
fn x19_a_stray_list_beside_official_databases() {
    let own = cvd::cvd("own", &[("own.ndb", LINE.as_bytes())]);
    let folder = Folder::of(&[("own.cvd", own)]);
    folder.write("stray.ign2", "T.A\n");
    folder.write("daily.cfg", "broken\n");
    let official = Config::new([folder.path()]).trust(cvd::trust_store()).official_only(true);
    let (database, report) = Database::load(&official).expect("loads");
    assert_eq!((database.signatures().len(), report.counts().ignored), (1, 0));
    for stray in ["stray.ign2", "daily.cfg"] {
        let passed = outcome(&report, stray);
        let Outcome::PassedOver { reason } = passed else { panic!("{passed:?}") };
        assert_eq!(reason, "only official databases are taken");
    }
}

#[test]
fn x20_a_broken_sibling() {
    let member: &[(&str, &[u8])] = &[("own.ndb", LINE.as_bytes())];
    let mut broken = cvd::cld("own", member);
    let last = broken.len() - 1;
    broken[last] = 1;
    let folder = Folder::of(&[("own.cvd", cvd::cvd("own", member)), ("own.cld", broken)]);
    let config = Config::new([folder.path()]).trust(cvd::trust_store());
    let (database, report) = Database::load(&config).expect("loads");
    assert_eq!((database.signatures().len(), report.any_refused()), (1, false));
    let refused = outcome(&report, "own.cld");
    let Outcome::Refused { reason, replaced: true } = refused else { panic!("{refused:?}") };
    assert!(reason.contains("own.ndb") || reason.contains("byte"), "{reason}");
}

#[test]
fn x21_a_file_all_from_the_future() {
    for (name, text) in [
        ("x.ftm", "0:0:4142:New:CL_TYPE_ANY:CL_TYPE_ZIP:300\n"),
        ("x.pwdb", "T.A;Engine:300-400;0;secret\n"),
    ] {
        let (counts, left) = file(name, text.as_bytes());
        assert_eq!((counts.newer, counts.lines, left), (1, 1, vec![]), "{name}");
    }
}

/// Categories are a set: each counts on its own, in any order, and to exclude
/// counts more than to include.
#[test]
fn x22_two_pua_categories() {
    let text = "PUA.Win.A:0:*:616263\nPUA.Unix.B:0:*:616263\nPUA.Win.Tool.C:0:*:616263\n\
                PUA.Doc.D:0:*:616263\nPUA.E:0:*:616263\n";
    let folder = Folder::of(&[("x.ndu", text)]);
    let loaded = |include: &[&str], exclude: &[&str]| {
        let owned = |of: &[&str]| of.iter().map(|&one| one.to_owned()).collect();
        let filter = PuaFilter { enabled: true, include: owned(include), exclude: owned(exclude) };
        let (database, report) =
            Database::load(&Config::new([folder.path()]).pua(filter)).expect("loads");
        let engine = quahog::Engine::new(database.into_signatures()).expect("an engine");
        let settings = quahog::Settings::default().all_matches(true);
        let found = Live::new(engine).scanner_with(settings).scan(b"..abc..");
        let mut found: Vec<_> = names(&found)
            .iter()
            .map(|name| name.trim_start_matches("PUA.").trim_end_matches(".UNOFFICIAL").to_owned())
            .collect();
        found.sort();
        assert_eq!(found.len() as u64 + report.counts().pua, 5);
        found.join(" ")
    };
    assert_eq!(loaded(&[], &[]), "Doc.D E Unix.B Win.A Win.Tool.C");
    assert_eq!(loaded(&["Win", "Unix"], &[]), "Unix.B Win.A Win.Tool.C");
    assert_eq!(loaded(&["Unix", "Win"], &[]), "Unix.B Win.A Win.Tool.C");
    assert_eq!(loaded(&[], &["Win", "Unix"]), "Doc.D");
    assert_eq!(loaded(&[], &["Unix", "Win"]), "Doc.D");
    assert_eq!(loaded(&["Win", "Unix"], &["Tool", "Unix"]), "Win.A");
    assert_eq!(loaded(&["Win.Tool"], &[]), "Win.Tool.C");
    assert_eq!(loaded(&["Wi"], &[]), "");
}
