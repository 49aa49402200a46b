//! Options that take values, options that are refused, and help that is true.

use quahog::cvd::write::Builder;

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
    for option in ["--remove", "--move=out", "--copy=out", "--detect-structured", "--bell", "-a"] {
        let done = folder.quahog(&format!("scan -d db {option} in"));
        let name = option.split('=').next().unwrap();
        done.fails(&format!("error: {name} is refused: quahog does not offer this option"));
    }
}

/// A PE file as a linker makes it, or with its sections out of order.
fn program(first_section: u32) -> Vec<u8> {
    let mut bytes = vec![0; 0x600];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(0x3c, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0\x4c\x01\x01\0");
    put(0x94, &[0xe0, 0, 2, 1, 0x0b, 1]);
    let numbers = [
        (0xa8, first_section), // entry point
        (0xb8, 0x1000),        // alignment in memory and in the file
        (0xbc, 0x200),
        (0xd4, 0x400), // headers
        (0xf4, 16),
        (0x180, 0x200),
        (0x184, first_section),
        (0x188, 0x200),
        (0x18c, 0x400),
    ];
    numbers.iter().for_each(|&(at, number): &(usize, u32)| put(at, &number.to_le_bytes()));
    put(0x400, b"alpha");
    bytes
}

#[test]
fn broken_executables_are_reported_on_demand() {
    let folder = Folder::with_database();
    folder.write("sound.exe", program(0x1000));
    folder.write("broken.exe", program(0x5000));
    folder.write("broken.elf", [b"\x7fELF\x07".as_slice(), &[0; 80]].concat());
    let scan = |options: &str, file: &str| {
        let done = folder.quahog(&format!("scan -d db -z --no-summary {options} {file}"));
        done.out.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (alpha, broken) = ("Test.Alpha.UNOFFICIAL", "Heuristics.Broken.Executable");
    assert_eq!(scan("", "broken.exe"), [alpha]);
    assert_eq!(scan("--alert-broken", "broken.exe"), [alpha, broken]);
    assert_eq!(scan("--alert-broken", "sound.exe"), [alpha]);
    assert_eq!(scan("--alert-broken --scan-pe=no", "broken.exe"), [alpha]);
    assert_eq!(scan("--alert-broken", "broken.elf"), [broken]);
    assert_eq!(scan("--alert-broken --scan-elf=no", "broken.elf"), ["OK"]);
    assert_eq!(scan("--alert-broken --heuristic-alerts=no", "broken.elf"), [broken]);
}

#[test]
fn what_is_too_long_for_a_view_is_incomplete() {
    let folder = Folder::with_database();
    folder.write(
        "d/a.ndb",
        "T:7:*:616c7068612062\nH:3:*:3c623e616c7068613c2f623e\nN:3:*:616c7068612062\n",
    );
    folder.write("text", "alpha   BETA in a plain text\n");
    folder.write("html", "<html><b>alpha</b> beta in HTML</html>\n");
    for (options, file, expected) in [
        ("", "text", "T.UNOFFICIAL"),
        ("--max-htmlnormalize=9", "text", "T.UNOFFICIAL"),
        ("--max-scriptnormalize=9", "text", "INCOMPLETE view-bytes"),
        ("", "html", "H.UNOFFICIAL N.UNOFFICIAL"),
        ("--max-htmlnotags=9", "html", "H.UNOFFICIAL INCOMPLETE view-bytes"),
        ("--max-htmlnormalize=9", "html", "INCOMPLETE view-bytes"),
        ("--max-htmlnormalize=0 --max-htmlnotags=0", "html", "H.UNOFFICIAL N.UNOFFICIAL"),
    ] {
        let done = folder.quahog(&format!("scan -d d -z --no-summary {options} {file}"));
        let told = |line: &str| line.split_once(": ").unwrap().1.replace(" FOUND", "");
        let told = done.out.lines().map(told).collect::<Vec<_>>().join(" ");
        assert_eq!(told, expected, "{options} {file}");
    }
}

#[test]
fn regular_expressions_have_limits() {
    let folder = Folder::with_database();
    // Only a machine that goes back can search it, and it has much to try.
    folder.write("d/a.ldb", "P;Engine:81-255,Target:0;0&1;616161;0/(a+)+\\1!b/\n");
    folder.write("d/b.ldb", "Q;Engine:81-255,Target:0;0&1;616161;0/a+!c/\n");
    folder.write("file", "a".repeat(2000) + "!c!b");
    let scan = |options: &str| {
        let done = folder.quahog(&format!("scan -d d -z --no-summary {options} file"));
        done.out.lines().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let (found, incomplete) = ("Q.UNOFFICIAL FOUND", "INCOMPLETE fuel and 1 more");
    assert_eq!(scan("--pcre-match-limit=5"), [found, incomplete]);
    assert_eq!(scan("--pcre-recmatch-limit=5"), [found, incomplete]);
    assert_eq!(scan("--pcre-max-filesize=100"), [incomplete]);
}

#[test]
fn bytecode_is_not_run_and_said_to_be() {
    let folder = Folder::new();
    folder.write("d/a.cbc", "ClamBCa\nBC.Test.{A};Engine:56-255,Target:0;0;616c706861\nTedf\n");
    folder.write("d/a.ndb", "Test.Beta:0:*:62657461\n");
    folder.write("alpha", "0123456789 alpha");
    folder.write("gamma", "0123456789 gamma");
    let scan = |options: &str, file: &str| {
        folder.quahog(&format!("scan -d d -z --no-summary {options} {file}")).out
    };
    assert_eq!(scan("", "alpha"), "alpha: OK\n");
    // As it is, and as text.
    let incomplete = "alpha: INCOMPLETE program and 1 more\n";
    assert_eq!(scan("--bytecode-unsigned", "alpha"), incomplete);
    assert_eq!(scan("--bytecode-unsigned", "gamma"), "gamma: OK\n");
    assert_eq!(scan("--bytecode-unsigned --bytecode=no", "alpha"), "alpha: OK\n");
    let done = folder.quahog("check --bytecode-unsigned d");
    assert!(done.out.contains("1 admitted (1 of them programs that are not executed)"), "{done:?}");
}

#[test]
fn old_databases_are_refused_on_demand() {
    let folder = Folder::with_database();
    let container = Builder::new("local").build_time(1_700_000_000);
    let container = container.member("local.ndb", b"Test.A:0:*:616c706861\n").cud().unwrap();
    folder.write("local.cud", container);
    let done = folder.quahog("scan -d local.cud --fail-if-cvd-older-than=9 in/clean.txt");
    done.fails("the newest signed database is older than 9 days");
    let done =
        folder.quahog("scan -d local.cud --fail-if-cvd-older-than=99999 --no-summary in/clean.txt");
    done.is(0, &["in/clean.txt: OK"]);
    // Loose files have no age.
    let done = folder.quahog("scan -d db --fail-if-cvd-older-than=1 --no-summary in/clean.txt");
    done.is(0, &["in/clean.txt: OK"]);
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
    let built = [
        "scan",
        "check",
        "compile",
        "decode",
        "explain",
        "info",
        "unpack",
        "build",
        "diff",
        "apply",
        "bench",
        "completions",
        "man",
        "help",
    ];
    assert_eq!(verbs, built);
    for verb in &verbs[..built.len() - 1] {
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
