//! Loading: what is taken, what is refused, what is passed over.

use std::path::Path;

use quahog::database::{Outcome, Trusted};
use quahog::sig::PuaFilter;
use quahog::{Config, Database, LoadError, LoadReport};
use quahog_testkit::builders::cvd;

use crate::{Folder, load};

const LINE: &str = "T.A:0:*:616263\n";

fn config(folder: &Folder) -> Config {
    Config::new([folder.path()]).trust(cvd::trust_store())
}

fn outcome(report: &LoadReport, name: &str) -> String {
    let file = report.files.iter().find(|f| f.path.file_name() == Some(name.as_ref()));
    match &file.expect("a report on this file").outcome {
        Outcome::Loaded { trust, .. } => format!("loaded, {trust}"),
        Outcome::Refused { replaced, .. } => format!("refused, replaced: {replaced}"),
        Outcome::PassedOver { reason } => reason.clone(),
    }
}

#[test]
fn a_bad_line_is_left_out_and_reported_where_it_stands() {
    let text = format!("# comment\n{LINE}\nT.B:0:*:6x6263\nT.C:0:*:646566:300\nT.D:0:*:676869");
    let (database, report) = load(&Folder::of(&[("x.ndb", text)])).expect("loads");
    assert_eq!(database.signatures().len(), 2);
    let counts = report.counts();
    assert_eq!((counts.lines, counts.comments, counts.blank), (6, 1, 1));
    assert_eq!((counts.admitted, counts.malformed, counts.newer), (2, 1, 1));
    let diagnostic = &report.diagnostics[0];
    assert_eq!((diagnostic.line, diagnostic.column()), (4, 10));
    assert!(diagnostic.render().starts_with("x.ndb:4:10: expected a hexadecimal digit"));
}

#[test]
fn strict_refuses_what_clamav_refuses() {
    let strict =
        |name: &str, text: &str| Database::load(&config(&Folder::of(&[(name, text)])).strict(true));
    assert!(strict("x.ndb", LINE).is_ok());
    assert!(matches!(strict("x.ndb", "T.B:0:*:6x6263\n"), Err(LoadError::Strict(_))));
    assert!(matches!(strict("x.ndb", "T.A:0:*:616263\n\n"), Err(LoadError::Strict(_))));
    assert!(matches!(strict("x.ndb", ""), Err(LoadError::StrictFile { .. })));
    assert!(strict("x.ndb", "# only a comment\n").is_ok());
    assert!(strict("x.ndb", "T.C:0:*:646566:300\n").is_ok());
}

#[test]
fn ignore_lists_work_whatever_the_order_of_files() {
    for (ignore, signatures) in [("a.ign2", "b.ndb"), ("z.ign2", "b.ndb")] {
        let folder = Folder::of(&[(ignore, "T.A\n"), (signatures, LINE)]);
        let (database, report) = load(&folder).expect("loads");
        assert_eq!((database.signatures().len(), report.counts().ignored), (0, 1));
    }
    let container = cvd::cvd("own", &[("own.ndb", LINE.as_bytes()), ("own.ign2", b"T.A\n")]);
    let folder = Folder::of(&[("own.cvd", container)]);
    let (database, _) = Database::load(&config(&folder)).expect("loads");
    assert!(database.signatures().is_empty());
}

#[test]
fn containers_are_verified_before_they_are_read() {
    let good = cvd::cvd("own", &[("own.ndb", LINE.as_bytes())]);
    let mut bad = good.clone();
    let last = bad.len() - 9;
    bad[last] ^= 1;
    let folder = Folder::of(&[("own.cvd", good), ("other.ndb", LINE.into())]);
    let (database, report) = Database::load(&config(&folder)).expect("loads");
    assert_eq!(database.signatures().len(), 2);
    assert_eq!(outcome(&report, "own.cvd"), "loaded, signed by testkit");
    assert_eq!(outcome(&report, "other.ndb"), "loaded, unsigned");

    folder.write("own.cvd", &bad);
    let (database, report) = Database::load(&config(&folder)).expect("the rest loads");
    assert_eq!(database.signatures().len(), 1);
    assert_eq!(outcome(&report, "own.cvd"), "refused, replaced: false");
    assert!(report.any_refused());
    assert!(Database::load(&config(&folder).strict(true)).is_err());

    // Nobody but the testkit trusts its keys.
    let untrusted = Config::new([folder.path()]);
    let (_, report) = Database::load(&untrusted).expect("the rest loads");
    assert_eq!(outcome(&report, "own.cvd"), "refused, replaced: false");
}

#[test]
fn of_containers_of_one_name_the_newest_valid_one_is_taken() {
    let version = |number: u32, line: &str| {
        cvd::builder("own", &[("own.ndb", line.as_bytes())]).version(number)
    };
    let keys = cvd::signing_keys();
    let old = version(3, "T.Old:0:*:616263\n").cvd(keys).expect("a container");
    let new = version(4, "T.New:0:*:616263\n").cld(keys).expect("a container");
    let name = |folder: &Folder| {
        let (database, report) = Database::load(&config(folder)).expect("loads");
        let id = database.signatures().body(0).expect("a signature").id;
        let name = String::from_utf8_lossy(&database.signatures().name(id)).into_owned();
        assert_eq!(database.signatures().len(), 1);
        (name, report)
    };
    let folder = Folder::of(&[("own.cvd", &old), ("own.cld", &new)]);
    let (found, report) = name(&folder);
    assert_eq!(found, "T.New");
    assert_eq!(outcome(&report, "own.cvd"), "a newer container of the same name was taken");
    assert!(!report.any_refused());

    folder.write("own.cld", &new[..new.len() - 600]);
    let (found, report) = name(&folder);
    assert_eq!(found, "T.Old");
    assert_eq!(outcome(&report, "own.cld"), "refused, replaced: true");
    assert!(!report.any_refused());
}

#[test]
fn an_unsigned_container_is_unofficial() {
    let folder = Folder::of(&[("own.cud", cvd::cud("own", &[("own.ndb", LINE.as_bytes())]))]);
    let (_, report) = Database::load(&Config::new([folder.path()])).expect("loads");
    let Outcome::Loaded { trust, header } = &report.files[0].outcome else {
        panic!("a container that loads");
    };
    assert_eq!(*trust, Trusted::Unsigned);
    assert_eq!(header.as_ref().map(|h| h.build_time()), Some(1_700_000_000));
    assert_eq!(report.files[0].members[0].name, "own.cud/own.ndb");
}

#[test]
fn a_binary_catalogue_counts_as_one_line_that_is_not_read() {
    let folder = Folder::of(&[("x.ndb", LINE), ("x.cat", "binary\nof\nthree")]);
    let (_, report) = load(&folder).expect("loads");
    assert_eq!(report.counts().not_read, 1);
}

#[test]
fn possibly_unwanted_applications_load_on_demand() {
    let folder = Folder::of(&[("x.ndu", "PUA.Win.A:0:*:616263\nPUA.Unix.B:0:*:616263\n")]);
    let (database, report) = load(&folder).expect("loads");
    assert_eq!((database.signatures().len(), report.counts().pua), (0, 2));
    let filter = PuaFilter { enabled: true, exclude: vec!["Win".into()], ..PuaFilter::default() };
    let (database, _) = Database::load(&config(&folder).pua(filter)).expect("loads");
    assert_eq!(database.signatures().len(), 1);
}

#[test]
fn nothing_to_load_is_an_error() {
    assert!(matches!(load(&Folder::new()), Err(LoadError::Nothing { .. })));
    let folder = Folder::of(&[("readme.txt", "hello")]);
    assert!(matches!(load(&folder), Err(LoadError::Nothing { .. })));
    let missing = Config::new([Path::new("/does/not/exist")]);
    assert!(matches!(Database::load(&missing), Err(LoadError::Io { .. })));
}

#[cfg(unix)]
#[test]
fn strange_things_in_a_folder_stop_nobody() {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    let folder = Folder::of(&[("x.ndb", LINE), (".y.ndb", "T.Y:0:*:646566\n")]);
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("folder.ndb")).expect("a folder");
    symlink(path("x.ndb"), path("link.ndb")).expect("a link");
    symlink(path("gone"), path("dangling.ndb")).expect("a link");
    symlink("/dev/zero", path("zero.ndb")).expect("a link");
    symlink(path("loop.ndb"), path("loop.ndb")).expect("a link");
    let fifo = Command::new("mkfifo").arg(path("fifo.ndb")).status();
    let (database, report) = load(&folder).expect("loads");
    assert_eq!(database.signatures().len(), 3, "the file, the hidden one, the link");
    assert_eq!(outcome(&report, "folder.ndb"), "not a regular file");
    assert_eq!(outcome(&report, "zero.ndb"), "not a regular file");
    assert_eq!(outcome(&report, "dangling.ndb"), "gone");
    if fifo.is_ok_and(|status| status.success()) {
        assert_eq!(outcome(&report, "fifo.ndb"), "not a regular file");
    } else {
        println!("skipped the FIFO: there is no mkfifo here");
    }
}
