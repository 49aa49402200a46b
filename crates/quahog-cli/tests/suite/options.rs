//! Options that take values, options that are refused, and help that is true.

use crate::Folder;

#[test]
fn limits_end_a_scan_and_say_so() {
    let folder = Folder::with_database();
    folder.write(
        "mail",
        "From: a@a.example\nTo: b@b.example\nSubject: x\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=q\n\n--q\n\
         Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n\
         Zmlyc3QgcGFydA==\n--q\n\
         Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n\
         c2Vjb25kIHBhcnQgd2l0aCBhbHBoYQ==\n--q--\n",
    );
    let scan = |options: &str| folder.quahog(&format!("scan -d db --no-summary {options} mail"));
    let found = "mail: Test.Alpha.UNOFFICIAL FOUND";
    scan("").is(1, &[found]);
    for generous in [
        "--max-filesize=1M --max-scansize=1G --max-files=100 --max-recursion=10",
        "--max-filesize=0 --max-scansize=0 --max-files=0 --max-scantime=0",
        "--max-scantime=600000 --deadline 600000 --fuel 1000000000",
    ] {
        scan(generous).is(1, &[found]);
    }
    for (option, reason) in [
        ("--max-filesize=300", "part-bytes"),
        ("--max-scansize=12", "total-bytes"),
        ("--max-files=1", "parts"),
        ("--max-recursion=1", "depth"),
        ("--fuel=100", "fuel"),
        ("--fuel=0", "fuel"),
    ] {
        let done = scan(option);
        assert_eq!(done.code, Some(0), "{option}: {done:?}");
        assert!(done.out.starts_with(&format!("mail: INCOMPLETE {reason}")), "{option}: {done:?}");
    }
}

#[test]
fn a_time_that_is_over_ends_a_scan() {
    let folder = Folder::with_database();
    folder.write("long", "alph ".repeat(8 << 20));
    for option in ["--deadline 1", "--max-scantime=1", "--deadline 900000 --max-scantime 1"] {
        let done = folder.quahog(&format!("scan -d db --no-summary {option} long"));
        done.is(0, &["long: INCOMPLETE deadline"]);
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let folder = Folder::with_database();
    for (option, message) in [
        ("--max-filesize=1x", "expected a number, alone or with K, M or G"),
        ("--max-filesize=-5", "expected a number, alone or with K, M or G"),
        ("--max-scansize=99999999999G", "number is too large"),
        ("--max-recursion=0", "0 is not in 1..=4294967295"),
        ("--max-files=many", "invalid digit"),
        ("--deadline=", "cannot parse integer from empty string"),
        ("--recursive=perhaps", "expected `yes` or `no`"),
        ("--scan-mail=1", "expected `yes` or `no`"),
        ("--detect-pua --include-pua=A --exclude-pua=B", "cannot be used with"),
        ("--nonsense", "unexpected argument '--nonsense'"),
        ("-i -i", "cannot be used multiple times"),
    ] {
        folder.quahog(&format!("scan -d db {option} in")).fails(message);
    }
}

#[test]
fn options_without_a_feature_are_refused_and_not_ignored() {
    let folder = Folder::with_database();
    for option in [
        "--alert-encrypted",
        "--alert-encrypted-doc=no",
        "--bytecode-unsigned",
        "--fips-limits",
        "--heuristic-alerts",
        "--image=x.qhi",
        "--max-embeddedpe=5M",
        "--nocerts",
        "--pcre-match-limit=5",
        "--phishing-sigs=no",
        "--scan-image=no",
        "--scan-pdf=yes",
    ] {
        let done = folder.quahog(&format!("scan -d db {option} in"));
        let name = option.split('=').next().unwrap();
        done.fails(&format!("error: {name} is refused: quahog does not have this feature yet"));
    }
    for option in ["--remove", "--move=out", "--copy=out", "--detect-structured", "--bell", "-a"] {
        let done = folder.quahog(&format!("scan -d db {option} in"));
        let name = option.split('=').next().unwrap();
        done.fails(&format!("error: {name} is refused: quahog does not offer this option"));
    }
}

#[test]
fn a_folder_for_temporary_files_is_accepted_and_never_touched() {
    let folder = Folder::with_database();
    let done = folder.quahog("scan -d db --no-summary --tempdir=nowhere in/clean.txt");
    done.is(0, &["in/clean.txt: OK"]);
    assert!(!folder.path("nowhere").exists());
}

#[test]
fn unwanted_applications_load_on_demand() {
    let folder = Folder::with_database();
    folder.write("pua/a.ndu", "PUA.Win.Tool.A:0:*:616c706861\nPUA.Andr.B:0:*:6265746131\n");
    let scan = |options: &str| {
        let done = folder.quahog(&format!("scan -d pua -z --no-summary {options} in/both.txt"));
        let name = |line: &&str| line.split(' ').nth(1).unwrap().replace(".UNOFFICIAL", "");
        done.lines().iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let (win, andr) = ("PUA.Win.Tool.A", "PUA.Andr.B");
    assert_eq!(scan(""), "OK");
    assert_eq!(scan("--include-pua=Win"), "OK");
    assert_eq!(scan("--detect-pua=no"), "OK");
    assert_eq!(scan("--detect-pua"), format!("{win} {andr}"));
    assert_eq!(scan("--detect-pua=yes --include-pua=Tool"), win);
    assert_eq!(scan("--detect-pua --exclude-pua=Win"), andr);
    assert_eq!(scan("--detect-pua --exclude-pua Win --exclude-pua Andr"), "OK");
}

#[test]
fn help_and_version_are_no_errors() {
    let folder = Folder::new();
    let done = folder.quahog("--help");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    let (_, verbs) = done.out.split_once("Commands:\n").unwrap();
    let verbs: Vec<&str> = verbs
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(verbs, ["scan", "check", "info", "unpack", "completions", "man", "help"]);
    for verb in &verbs[..6] {
        let done = folder.quahog(&format!("{verb} --help"));
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{verb}");
    }
    for line in ["-V", "--version", "scan -V"] {
        let done = folder.quahog(line);
        assert_eq!(done.code, Some(0));
        assert!(done.out.contains(env!("CARGO_PKG_VERSION")), "{}", done.out);
        let level = format!("functionality level {})", quahog::sig::FLEVEL);
        assert!(done.out.contains(&level), "{}", done.out);
    }
    for line in ["", "serve", "compile -d db --out x.qhi"] {
        assert_eq!(folder.quahog(line).code, Some(2), "{line}");
    }
}
