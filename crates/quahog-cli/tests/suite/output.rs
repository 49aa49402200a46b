//! What is printed, where, and that nobody can forge it.

use std::process::Stdio;

use serde_json::Value;

use crate::{Folder, done};

#[test]
fn every_name_is_printed_once_with_allmatch() {
    let folder = Folder::with_database();
    let one = ["in/both.txt: Test.Alpha.UNOFFICIAL FOUND"];
    let both = [one[0], "in/both.txt: Test.Beta.UNOFFICIAL FOUND"];
    for option in ["-z", "--allmatch", "--allmatch=yes"] {
        folder.quahog(&format!("scan -d db --no-summary {option} in/both.txt")).is(1, &both);
    }
    folder.quahog("scan -d db --no-summary -zi in/both.txt").is(1, &both);
    folder.quahog("scan -d db --no-summary --allmatch=no in/both.txt").is(1, &one);
    let done = folder.quahog("scan -d db --allmatch=maybe in/both.txt");
    done.fails("invalid value 'maybe' for '--allmatch[=<yes/no>]': expected `yes` or `no`");
}

#[test]
fn lines_can_be_left_out() {
    let folder = Folder::with_database();
    let found =
        ["in/alpha.txt: Test.Alpha.UNOFFICIAL FOUND", "in/both.txt: Test.Alpha.UNOFFICIAL FOUND"];
    folder.quahog("scan -d db --no-summary -i in").is(1, &found);
    folder.quahog("scan -d db --no-summary --infected in").is(1, &found);
    let not_ok = [found[0], found[1], "in/empty.txt: Empty file"];
    folder.quahog("scan -d db --no-summary -o in").is(1, &not_ok);
    folder.quahog("scan -d db --no-summary --suppress-ok-results in").is(1, &not_ok);
    folder.quahog("scan -d db --quiet in").is(1, &[]);
}

#[test]
fn verbose_says_which_file_comes_next() {
    let folder = Folder::with_database();
    let lines = ["Scanning in/clean.txt", "in/clean.txt: OK"];
    for threads in ["1", "2"] {
        let line = format!("scan -d db --no-summary -v --threads {threads} in/clean.txt");
        folder.quahog(&line).is(0, &lines);
    }
}

#[test]
fn the_summary_counts() {
    let folder = Folder::with_database();
    let done = folder.quahog("scan -d db --max-filesize=20 in");
    assert_eq!(done.code, Some(1));
    let (_, summary) = done.out.split_once("\n----------- SCAN SUMMARY -----------\n").unwrap();
    let value = |key: &str| {
        let line = summary.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.strip_prefix(": ")).unwrap().trim()
    };
    assert_eq!(value("Known viruses"), "2");
    assert_eq!(value("Engine version"), concat!("quahog ", env!("CARGO_PKG_VERSION")));
    assert_eq!(value("Engine fingerprint").len(), 32);
    assert_eq!(value("Scanned directories"), "1");
    assert_eq!(value("Scanned files"), "3");
    assert_eq!(value("Infected files"), "2");
    assert_eq!(value("Incomplete files"), "1");
    assert_eq!(value("Data scanned"), "0.00 MB");
    assert!(value("Time").ends_with(" s)"));
    assert!(value("Start Date").ends_with(" UTC"));
    assert!(!summary.contains("Total errors"));
    assert!(!folder.quahog("scan -d db --no-summary in").out.contains("SUMMARY"));
}

#[test]
fn threads_change_nothing_but_the_time() {
    let folder = Folder::with_database();
    for number in 0..300 {
        let word = if number % 7 == 0 { "alpha" } else { "other" };
        folder.write(&format!("many/{number}"), format!("{word}\n").repeat(1 + number));
    }
    let one = folder.quahog("scan -d db --no-summary -r --threads 1 many in");
    assert_eq!(one.lines().len(), 304);
    for threads in ["2", "5"] {
        let more =
            folder.quahog(&format!("scan -d db --no-summary -r --threads {threads} many in"));
        assert_eq!((more.code, &more.out), (Some(1), &one.out));
    }
    let more = folder.quahog("scan -d db --no-summary -r many in");
    assert_eq!(more.out, one.out);
    folder.quahog("scan -d db --threads 0 in").fails("0 is not in 1..=1024");
}

#[test]
fn the_log_is_appended_to_and_holds_all_but_ok() {
    let folder = Folder::with_database();
    let done = folder.quahog("scan -d db --no-summary --quiet -l log in nowhere");
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    let log = folder.read("log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines,
        [
            "",
            &"-".repeat(79),
            "",
            "in/alpha.txt: Test.Alpha.UNOFFICIAL FOUND",
            "in/both.txt: Test.Alpha.UNOFFICIAL FOUND",
            "in/empty.txt: Empty file",
            "nowhere: No such file or directory ERROR",
        ]
    );
    folder.quahog("scan -d db --quiet --log=log in");
    let longer = folder.read("log");
    assert!(longer.starts_with(&log) && longer[log.len()..].contains("Infected files: 2\n"));
    folder.quahog("scan -d db -l in in").fails("ERROR: --log: in: ");
}

#[test]
fn diagnostics_go_to_standard_output_on_demand() {
    let folder = Folder::with_database();
    let done = folder.quahog("scan -d db --no-summary --stdout nowhere");
    done.is(2, &["nowhere: No such file or directory ERROR"]);
}

#[test]
fn an_incomplete_look_is_never_ok() {
    let folder = Folder::with_database();
    let scan = |options: &str| folder.quahog(&format!("scan -d db --no-summary {options}"));
    let cut = ["in/clean.txt: INCOMPLETE part-bytes"];
    scan("--max-filesize=5 in/clean.txt").is(0, &cut);
    scan("--max-filesize=5 -o in/clean.txt").is(0, &cut);
    scan("--max-filesize=5 -i in/clean.txt").is(0, &cut);
    scan("--max-filesize=5 --fail-incomplete in/clean.txt").is(2, &cut);
    scan("--max-filesize=5 --quiet --fail-incomplete in/clean.txt").is(2, &[]);
    scan("--fail-incomplete in/clean.txt").is(0, &["in/clean.txt: OK"]);
    let found = "in/both.txt: Test.Alpha.UNOFFICIAL FOUND";
    let both = [found, "in/both.txt: INCOMPLETE part-bytes"];
    scan("--max-filesize=8 --fail-incomplete in/both.txt").is(1, &both);
}

#[cfg(unix)]
#[test]
fn no_file_name_can_forge_a_line_or_steer_a_terminal() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = Folder::with_database();
    folder.write("odd/x\nin/clean.txt: Evil FOUND", "alpha\n");
    folder.write("odd/y\u{1b}[2Jy\u{202e}", "nothing");
    std::fs::write(folder.path("odd").join(OsStr::from_bytes(b"z\xff")), "nothing").unwrap();
    // A folder of that name, and a database.
    folder.write("odd/d\n: E FOUND/a.ndb", "Bad:0:*:zz\nGood:0:*:676f6f64\n");
    let lines = [
        r"odd/x\nin/clean.txt: Evil FOUND: Test.Alpha.UNOFFICIAL FOUND",
        r"odd/y\u{1b}[2Jy\u{202e}: OK",
        r"odd/z\xff: OK",
    ];
    // The folder `x\nin` stands beside the others.
    let done = folder.quahog("scan -d db --no-summary -l log -r odd --exclude-dir=E");
    let mut got = done.lines();
    got.sort_unstable();
    assert_eq!(got, [&[r"odd/d\n: E FOUND: Excluded"][..], &lines].concat());
    assert!(folder.read("log").contains(lines[0]));

    let run = |arguments: &[&str]| folder.run(arguments.iter().copied(), b"");
    let missing = run(&["scan", "-d", "db", "no\nwhere"]);
    assert_eq!(missing.err, "no\\nwhere: No such file or directory ERROR\n");
    let bad = run(&["check", "odd/d\n: E FOUND"]);
    assert!(bad.out.starts_with(r"odd/d\n: E FOUND/a.ndb: loaded"), "{}", bad.out);
    let nothing = run(&["scan", "-d", "no\n\x1b", "in"]);
    nothing.fails(r"ERROR: no\n\u{1b}: No such file or directory");
    let option = run(&["scan", "--exclude=(\n\x1b", "in"]);
    assert!(!option.err.trim_end().contains(['\n', '\x1b']), "{:?}", option.err);
}

#[test]
fn no_part_of_a_mail_can_forge_a_line() {
    let folder = Folder::with_database();
    folder.write(
        "mail",
        "From: a@a.example\nTo: b@b.example\nSubject: x\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=q\n\n--q\n\
         Content-Type: application/octet-stream\n\
         Content-Disposition: attachment; filename=\"a\\\": Evil FOUND\"\n\
         Content-Transfer-Encoding: base64\n\nN3q8ryccAAQAAAAAAAAAAAAAAAAAAAAA\n--q--\n",
    );
    let done = folder.quahog("scan -d db --no-summary mail");
    let [line] = done.lines()[..] else { panic!("{done:?}") };
    assert!(line.starts_with("mail: INCOMPLETE "), "{line}");
    assert!(!line.ends_with("FOUND"), "{line}");
}

#[test]
fn json_is_one_object_for_each_path() {
    let folder = Folder::with_database();
    let done = folder.quahog("scan -d db --json -z in nowhere");
    assert_eq!(done.code, Some(1));
    let objects: Vec<Value> =
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [alpha, both, clean, empty, nowhere] = &objects[..] else { panic!("{}", done.out) };

    assert_eq!(alpha["path"], "in/alpha.txt");
    assert_eq!(alpha["verdict"], "infected");
    assert_eq!(alpha["completeness"], "complete");
    let detection = &alpha["detections"][0];
    assert_eq!(detection["name"], "Test.Alpha.UNOFFICIAL");
    assert_eq!((&detection["offset"], &detection["length"]), (&8.into(), &5.into()));
    assert_eq!((&detection["object"], &detection["view"]), (&"".into(), &"raw".into()));
    assert_eq!(detection["origin"], "words.ndb:1");
    assert_eq!(both["detections"].as_array().unwrap().len(), 2);
    assert_eq!(both["detections"][1]["origin"], "words.ndb:2");
    assert_eq!(alpha["fingerprint"].as_str().unwrap().len(), 32);
    assert_eq!(alpha["fingerprint"], clean["fingerprint"]);
    assert_eq!(alpha["stats"]["bytes"], 14);
    assert_eq!(alpha["stats"]["layers"], 1);

    assert_eq!(clean["verdict"], "clean");
    assert_eq!((&clean["detections"], &clean["n_missing"]), (&Value::Array(vec![]), &0.into()));
    assert_eq!((&empty["path"], &empty["verdict"]), (&"in/empty.txt".into(), &"clean".into()));
    assert_eq!(nowhere["verdict"], "error");
    assert_eq!(nowhere["error"], "No such file or directory");

    let done = folder.quahog("scan -d db --json --max-filesize=5 in/clean.txt");
    let cut: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&cut["verdict"], &cut["completeness"]), (&"clean".into(), &"incomplete".into()));
    assert_eq!(
        (&cut["missing"][0]["reason"], &cut["n_missing"]),
        (&"part-bytes".into(), &1.into())
    );
    assert_eq!(cut["missing"][0]["object"], "");

    let done = folder.quahog("scan -d db --json -i in");
    assert_eq!(done.lines().len(), 2);
}

#[test]
fn json_has_the_evidence() {
    let folder = Folder::with_database();
    let mail = "Subject: x\nContent-Type: text/plain; name=\"a.pdf.exe\"\n\
                Content-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n";
    folder.write("mail", mail);
    let done = folder.quahog("scan -d db --json mail in/clean.txt");
    assert_eq!(done.code, Some(0), "{}", done.err);
    let objects: Vec<Value> =
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = serde_json::json!([
        {"kind": "double-extension", "object": "a.pdf.exe"},
        {"kind": "type-mismatch", "object": "a.pdf.exe"},
    ]);
    assert_eq!((&objects[0]["evidence"], &objects[0]["n_evidence"]), (&expected, &2.into()));
    assert_eq!(objects[0]["verdict"], "clean");
    assert!(objects[0].get("tree").is_none());
    assert_eq!(
        (&objects[1]["evidence"], &objects[1]["n_evidence"]),
        (&Value::Array(vec![]), &0.into())
    );
}

#[test]
fn the_tree_is_json_of_every_object() {
    let folder = Folder::with_database();
    let mail = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n\
                --b\nContent-Type: text/plain\n\nhere is alpha\n\
                --b\nContent-Type: text/plain; name=\"a.pdf.exe\"\n\
                Content-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n--b--\n";
    folder.write("mail", mail);
    let done = folder.quahog("scan -d db --tree mail nowhere");
    assert_eq!(done.code, Some(1), "{}", done.err);
    let lines = done.lines();
    assert_eq!(lines.len(), 2);
    let object: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((&object["path"], &object["verdict"]), (&"mail".into(), &"infected".into()));
    let tree = &object["tree"];
    assert_eq!((&tree["type"], &tree["size"]), (&"CL_TYPE_MAIL".into(), &mail.len().into()));
    assert!(tree.get("name").is_none());
    // What is found first does not keep the rest from being told.
    let [text, program] = &tree["children"].as_array().unwrap()[..] else { panic!("{tree}") };
    assert_eq!(text["type"], "CL_TYPE_TEXT_ASCII");
    assert_eq!(text["declared"], "text/plain");
    let expected = serde_json::json!({
        "name": "a.pdf.exe",
        "type": "CL_TYPE_TEXT_ASCII",
        "declared": "text/plain",
        "size": 11,
        "md5": "5eb63bbbe01eeed093cb22bb8f5acdc3",
        "sha1": "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed",
        "sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
        "flags": ["double-extension", "type-mismatch"],
        "missing": [],
        "children": [],
    });
    assert_eq!(program, &expected);
}

#[test]
fn a_reader_that_went_away_is_no_reason_to_panic() {
    let folder = Folder::with_database();
    for (line, code) in [("scan -d db in", 1), ("scan -d db in/clean.txt", 2), ("check db", 2)] {
        let mut command = folder.command();
        let command = command.args(line.split_whitespace()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(code), ""), "{line}");
    }
    // Nobody reads the diagnostics.
    let mut command = folder.command();
    let mut child = command.args(["scan", "-d", "db", "nowhere"]).stderr(Stdio::piped());
    let mut child = {
        child = child.stdout(Stdio::null());
        child.spawn().unwrap()
    };
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn there_is_no_colour_where_there_is_no_terminal() {
    let folder = Folder::with_database();
    for line in ["scan -d db in", "scan --help", "--help", "scan --nonsense"] {
        let mut command = folder.command();
        let done = done(command.args(line.split_whitespace()).env("TERM", "xterm-256color"), b"");
        assert!(!done.out.contains('\x1b') && !done.err.contains('\x1b'), "{line}");
    }
}
