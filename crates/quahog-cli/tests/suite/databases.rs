//! Which databases are loaded, and what is said of bad ones.

use quahog::cvd::write::Builder;

use crate::{Folder, done};

/// An unsigned container with one signature.
fn container(name: &str, signature: &str) -> Vec<u8> {
    let text = format!("{signature}:0:*:616c706861\n");
    Builder::new(name).member(&format!("{name}.ndb"), text.as_bytes()).cud().unwrap()
}

/// The same, damaged at its end.
fn damaged(name: &str) -> Vec<u8> {
    let mut file = container(name, "Never");
    file.truncate(file.len() - 20);
    file
}

#[test]
fn several_databases_are_loaded_together() {
    let folder = Folder::with_database();
    folder.write("more/c.ndb", "Test.More:0:*:68657265206973\n");
    let done = folder.quahog("scan -z -d db --database more/c.ndb --no-summary in/alpha.txt");
    let names = ["Test.Alpha", "Test.More"];
    let mut lines = names.map(|name| format!("in/alpha.txt: {name}.UNOFFICIAL FOUND"));
    let mut got = done.lines();
    got.sort_unstable();
    lines.sort_unstable();
    assert_eq!(got, lines);
}

#[test]
fn a_database_that_is_not_there_is_an_error() {
    let folder = Folder::with_database();
    std::fs::create_dir(folder.path("bare")).unwrap();
    folder.quahog("scan -d nowhere in").fails("ERROR: nowhere: No such file or directory\n");
    folder.quahog("scan -d bare in").fails("ERROR: no signatures could be loaded from bare\n");
    folder.quahog("check bare").fails("ERROR: no signatures could be loaded from bare\n");
    let done = folder.quahog("scan -d in/clean.txt in");
    done.fails("WARNING: in/clean.txt: skipped: not a database by its extension\n");
    folder.quahog("scan -d db --official-db-only in").fails("no signatures could be loaded");
}

#[test]
fn the_environment_names_a_database_where_no_option_does() {
    let folder = Folder::with_database();
    folder.write("other/o.ndb", "Test.Other:0:*:616c706861\n");
    let run = |line: &str, variable: &str| {
        let mut command = folder.command();
        done(command.args(line.split_whitespace()).env("QUAHOG_DATABASE", variable), b"")
    };
    let line = "scan --no-summary in/alpha.txt";
    run(line, "other").is(1, &["in/alpha.txt: Test.Other.UNOFFICIAL FOUND"]);
    let line = "scan -d db --no-summary in/alpha.txt";
    run(line, "other").is(1, &["in/alpha.txt: Test.Alpha.UNOFFICIAL FOUND"]);
    run("scan in", "nowhere").fails("ERROR: nowhere: No such file or directory");
    assert!(run("check", "other").out.starts_with("other/o.ndb: loaded, unsigned\n"));
}

#[test]
fn the_demonstration_set_says_that_it_protects_nobody() {
    if std::fs::read_dir("/var/lib/clamav").is_ok_and(|mut folder| folder.next().is_some()) {
        println!("skipped: this machine has a database folder");
        return;
    }
    let folder = Folder::with_database();
    let done = folder.quahog("scan --no-summary in/clean.txt");
    assert_eq!((done.code, done.out.as_str()), (Some(0), "in/clean.txt: OK\n"));
    assert!(done.err.contains("demonstration") && done.err.contains("protects nobody"));
    assert_eq!(folder.quahog("check").code, Some(0));
}

#[test]
fn a_clean_load_says_nothing_and_a_lossy_one_a_line() {
    let folder = Folder::with_database();
    folder.quahog("scan -d db --no-summary in/clean.txt").is(0, &["in/clean.txt: OK"]);
    folder.write(
        "db/bad.ndb",
        "# comment\n\nGood:0:*:676f6f64\nBad.A:0:*:zz\nBad.B:0:*:6\nNew:0:*:6e6577:300\n",
    );
    let done = folder.quahog("scan -d db --no-summary in/alpha.txt");
    assert_eq!(done.code, Some(1));
    assert_eq!(done.err, "WARNING: db/bad.ndb: 1 admitted, 1 newer, 2 malformed\n");
}

#[test]
fn strict_refuses_the_load_with_place_and_caret() {
    let folder = Folder::with_database();
    folder.write("bad/bad.ndb", "Good:0:*:676f6f64\nBad.A:0:*:61zz6263\n");
    let done = folder.quahog("scan -d bad --strict in");
    done.fails("ERROR: bad.ndb:2:13: expected a hexadecimal digit\n");
    assert!(done.err.contains("\n    Bad.A:0:*:61zz6263\n                ^"), "{}", done.err);
    folder.quahog("check --strict bad").fails("ERROR: bad.ndb:2:13: ");
    folder.write("blank/a.ndb", "Good:0:*:676f6f64\n\n");
    folder.quahog("scan -d blank --strict in").fails("a.ndb:2:1: ");
    assert_eq!(folder.quahog("scan -d blank in").err, "");
    folder.write("none/a.ndb", "");
    folder.quahog("scan -d none --strict in").fails("ERROR: a.ndb: the file is empty\n");
    // A line for a newer engine is none of our business, however odd.
    folder.write("newer/a.ndb", "Good:0:*:676f6f64\nNew:0:*:??:300\n");
    assert_eq!(folder.quahog("scan -d newer --strict in").code, Some(0));
}

#[test]
fn a_refused_container_shows_in_the_exit_code() {
    let folder = Folder::with_database();
    folder.write("db/broken.cud", damaged("broken"));
    let done = folder.quahog("scan -d db --no-summary in/clean.txt");
    assert_eq!((done.code, done.out.as_str()), (Some(2), "in/clean.txt: OK\n"));
    assert!(done.err.starts_with("ERROR: db/broken.cud: refused: "), "{}", done.err);
    // The others are in force all the same, and what they find counts more.
    assert_eq!(folder.quahog("scan -d db --no-summary in/alpha.txt").code, Some(1));
}

#[test]
fn an_engine_without_signatures_is_no_engine() {
    let folder = Folder::with_database();
    folder.write("bad/a.ndb", "Bad:0:*:zz\n");
    folder.quahog("scan -d bad in").fails("ERROR: no signature is in force");
    folder.write("pua/a.ndu", "PUA.Win.A:0:*:616c706861\n");
    let done = folder.quahog("scan -d pua --no-summary in/alpha.txt");
    assert_eq!((done.code, done.out.as_str()), (Some(0), "in/alpha.txt: OK\n"));
    assert_eq!(done.err, "WARNING: no signature is in force\n");
}

#[test]
fn check_says_what_became_of_every_file_and_line() {
    let folder = Folder::with_database();
    let done = folder.quahog("check db");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert_eq!(done.lines()[..2], ["db/words.ndb: loaded, unsigned", "    words.ndb: 2 admitted"]);
    assert!(done.out.contains("Engine: 2 signatures in force, fingerprint "));
    assert!(done.out.contains("Capability: 2 of 2 lines for this engine are in force (100.0 %)\n"));

    folder.write("db/local.cud", container("local", "Test.Own"));
    let done = folder.quahog("check db/local.cud");
    assert_eq!(done.code, Some(0));
    let level = quahog::sig::FLEVEL;
    let head = format!(", for level 0 (ours is {level})\n    local.cud/local.ndb: 1 admitted\n");
    assert!(done.out.starts_with("db/local.cud: loaded, unsigned, version 1, built "));
    assert!(done.out.contains(&head), "{}", done.out);

    // What rules leave out is no loss.
    folder.write("db/ignored.ign2", "Test.Alpha\n");
    folder.write("db/newer.ndb", "New:0:*:6e6577:300\n");
    let done = folder.quahog("check db");
    assert_eq!(done.code, Some(0), "{}", done.out);
    assert!(done.out.contains("    words.ndb: 1 admitted, 1 ignored\n"), "{}", done.out);
    assert!(done.out.contains("    newer.ndb: 0 admitted, 1 newer\n"), "{}", done.out);

    folder.write("db/zbad.ndb", "Bad.A:0:*:61zz6263\nBad.B:0:*:6162{1-x}63\nFine:0:*:66696e65\n");
    let done = folder.quahog("check db");
    assert_eq!(done.code, Some(1));
    let drawn = "    zbad.ndb: 1 admitted, 2 malformed\n\
                 \x20       zbad.ndb:1:13: expected a hexadecimal digit\n\
                 \x20           Bad.A:0:*:61zz6263\n\
                 \x20                       ^\n\
                 \x20       zbad.ndb:2:18: ";
    assert!(done.out.contains(drawn), "{}", done.out);
    assert!(done.out.contains("    malformed: 2 lines\n"));

    folder.write("db/notes.txt", "no database");
    let done = folder.quahog("check db");
    assert_eq!(done.code, Some(1));
    assert!(done.out.contains("db/notes.txt: skipped: not a database by its extension\n"));

    folder.write("db/broken.cud", damaged("broken"));
    let done = folder.quahog("check db");
    assert_eq!(done.code, Some(2));
    assert!(done.out.contains("db/broken.cud: refused: "), "{}", done.out);
    folder.quahog("check nowhere").fails("ERROR: nowhere: No such file or directory");
}

#[test]
fn check_shows_the_lines_of_files_that_share_a_name() {
    let folder = Folder::new();
    folder.write("a/x.ndb", "Bad.A:0:*:zz\nFine:0:*:66696e65\n");
    folder.write("b/x.ndb", "Bad.B:0:*:zz\nBad.C:0:*:zz\n");
    let done = folder.quahog("check a b");
    let place = |name| done.out.find(name).unwrap();
    assert!(place("a/x.ndb") < place("Bad.A"));
    assert!(place("Bad.A") < place("b/x.ndb"));
    assert!(place("b/x.ndb") < place("Bad.B"));
}
