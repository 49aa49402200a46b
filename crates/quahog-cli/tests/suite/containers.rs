//! Building, patching and trusting containers, and what ClamAV makes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Folder;

/// A published file, or `None`, which is said.
fn published(name: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real");
    let path = shared.join("clamav-test-series").join(name);
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    Some(path)
}

/// Runs a program of ClamAV here; `None` if it is not installed, which is said.
fn clamav(folder: &Folder, program: &str, line: &str) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    let Ok(output) = command.args(line.split_whitespace()).current_dir(folder.path("")).output()
    else {
        println!("skipped: {program} is not installed");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// A folder with two versions of a database, and keys if openssl makes them.
fn sources() -> Folder {
    let folder = Folder::new();
    folder.write("one/example.ndb", "Example.A:0:*:616c706861\nExample.B:0:*:6265746131\n");
    folder.write("one/example.hdb", "d41d8cd98f00b204e9800998ecf8427e:5:Example.H\n");
    folder.write("one/COPYING", "Do as you like.\n");
    folder.write("two/example.ndb", "Example.A:0:*:616c706861\nExample.C:0:*:67616d6d61\n");
    folder.write("two/example.ldb", "Example.L;Target:0;0;64656c7461\n");
    folder.write("two/COPYING", "Do as you like.\n");
    folder.write("in/alpha.txt", "here is alpha\n");
    folder.write("in/gamma.txt", "here is gamma\n");
    folder
}

fn with_keys(folder: &Folder) -> bool {
    let make = |bits: &str| {
        let output = Command::new("openssl").args(["genrsa", bits]).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let (Some(small), Some(large)) = (make("1024"), make("2048")) else {
        println!("skipped: openssl is not installed");
        return false;
    };
    let mut public = b"name: example.org\nprefix: Example.\n".to_vec();
    for key in [&small, &large] {
        folder.write("one.pem", key);
        let path = folder.path("one.pem");
        let output = Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(path).output();
        public.extend(output.expect("openssl").stdout);
    }
    folder.write("key.pem", [small, large].concat());
    folder.write("example.trust", public);
    true
}

#[test]
fn build_makes_a_cud_that_scans_and_comes_apart_again() {
    let folder = sources();
    let line = "build one --out example.cud --cvd-version 7 --build-time 1700000000";
    let done = folder.quahog(line);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert!(done.out.ends_with(" bytes, 2 members, 3 signatures\n"), "{}", done.out);
    let first = fs::read(folder.path("example.cud")).unwrap();
    assert_eq!(folder.quahog(line).code, Some(0));
    assert_eq!(fs::read(folder.path("example.cud")).unwrap(), first, "not reproducible");
    let done = folder.quahog("scan -d example.cud --no-summary in/alpha.txt");
    done.is(1, &["in/alpha.txt: Example.A.UNOFFICIAL FOUND"]);
    assert_eq!(folder.quahog("unpack example.cud --out again").code, Some(0));
    assert_eq!(folder.read("again/example.ndb"), folder.read("one/example.ndb"));
    // An unpacked folder can be built again.
    assert_eq!(folder.quahog("build again --out example.cud").code, Some(0));
}

#[test]
fn build_refuses_what_would_not_load() {
    let folder = sources();
    for (line, message) in [
        ("build one --out example.cvd", "give --key"),
        ("build one --out example.cld", "expected the name of a .cud or .cvd"),
        ("build one --out example", "expected the name of a .cud or .cvd"),
        ("build none --out example.cud", "none: No such file or directory"),
        ("build one --out .cud", "cannot be the name"),
        ("build one --out none/example.cud", "No such file or directory"),
        ("build one --out example.cud --builder a:b", "the builder is not"),
    ] {
        folder.quahog(line).fails(message);
    }
    folder.write("one/notes.txt", "x");
    folder.quahog("build one --out example.cud").fails("notes.txt: not a database by its");
    fs::remove_file(folder.path("one/notes.txt")).unwrap();
    folder.write("one/x.yar", "rule x { condition: false }");
    folder.quahog("build one --out example.cud").fails("may not stand in a container");
    assert!(!folder.path("example.cud").exists());
}

#[test]
fn a_source_of_ones_own_builds_signs_patches_and_is_trusted_by_its_prefix() {
    let folder = sources();
    if !with_keys(&folder) {
        return;
    }
    let fine = |line: &str| {
        let done = folder.quahog(line);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{line}");
        done.out
    };
    fs::create_dir(folder.path("v1")).unwrap();
    fs::create_dir(folder.path("v2")).unwrap();
    fine("build one --out v1/example.cvd --key key.pem --cvd-version 1 --build-time 1700000000");
    fine("build two --out v2/example.cvd --key key.pem --cvd-version 2 --build-time 1700000001");
    fine(
        "diff v1/example.cvd v2/example.cvd --out example-2.cdiff --key key.pem --trust example.trust",
    );
    let out = fine("info example-2.cdiff --trust example.trust");
    assert!(out.contains("Leads to version: 2\n") && out.contains("Trust: signed by example.org"));
    fine("apply v1/example.cvd example-2.cdiff --out example.cld --trust example.trust");
    let out = fine("info example.cld --trust example.trust");
    assert!(out.contains("Version: 2\n") && out.contains("example.ldb: "), "{out}");
    fine("unpack v2/example.cvd --out from-cvd --trust example.trust");
    fine("unpack example.cld --out from-cld --trust example.trust");
    for entry in fs::read_dir(folder.path("from-cvd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let read = |from: &str| fs::read(folder.path(from).join(&name)).unwrap();
        assert_eq!(read("from-cvd"), read("from-cld"), "{name}");
    }
    let done = folder.quahog("scan -d example.cld --trust example.trust --no-summary in");
    let mut lines = done.lines();
    lines.sort_unstable();
    let found =
        ["in/alpha.txt: Example.A.UNOFFICIAL FOUND", "in/gamma.txt: Example.C.UNOFFICIAL FOUND"];
    assert_eq!(lines, found);

    // Without trust, and without a signature.
    folder.quahog("scan -d example.cld in").fails("no trusted key signed the .info");
    folder.quahog("apply v1/example.cvd example-2.cdiff --out b.cld").fails("no trusted key");
    let trust = "--trust example.trust";
    let apply = |rest: &str| folder.quahog(&format!("apply v1/example.cvd {rest} {trust}"));
    fine("diff v1/example.cvd v2/example.cvd --out bare.cdiff --trust example.trust");
    apply("bare.cdiff --out example.cld").fails("bare.cdiff: ");
    assert_eq!(apply("bare.cdiff --out example.cld --unsigned").code, Some(0));
    apply("example-2.cdiff --out other.cld").fails("the .info member is not named after the file");
    apply("example-2.cdiff --out example.cvd").fails("expected the name of a .cld");
    apply("example-2.cdiff example-2.cdiff --out example.cld").fails("does not lead from this");
    folder.write("empty.cdiff", "");
    apply("empty.cdiff --out example.cld").fails("the whole database");
    folder
        .quahog("diff v2/example.cvd v1/example.cvd --out x.cdiff --trust example.trust")
        .fails("leads from a version to the next, and not from 2 to 1");
    folder
        .quahog("diff v1/example.cvd v2/example.cvd --out x.cdiff --trust key.pem")
        .fails("key.pem: expected `name: NAME`");

    // What was in force is remembered, and not replaced by less.
    fs::create_dir(folder.path("state")).unwrap();
    let scan = |database: &str| {
        folder
            .quahog(&format!("scan -d {database} {trust} --state state --no-summary in/gamma.txt"))
    };
    assert_eq!(scan("v1/example.cvd").code, Some(0));
    assert_eq!(scan("v2/example.cvd").code, Some(1));
    scan("v1/example.cvd").fails("rollback: version 1 is offered, and version 2 was in force");
    folder.quahog(&format!("check v1/example.cvd {trust}")).lines().first().map_or_else(
        || panic!("no line"),
        |line| assert!(line.starts_with("v1/example.cvd: loaded, signed by example.org"), "{line}"),
    );
    let text = folder.read("state/versions");
    folder.write("state/versions", text.replace("example 2", "example 1"));
    let done = scan("v1/example.cvd");
    assert_eq!(done.code, Some(0));
    assert!(done.err.contains("was set aside as state/versions.unknown-"), "{}", done.err);
    scan("v1/example.cvd").is(0, &["in/gamma.txt: OK"]);
    folder
        .quahog(&format!("scan -d v1/example.cvd {trust} --state none in"))
        .fails("none: No such file or directory");
}

#[test]
fn the_published_series_is_patched_and_its_detached_signatures_hold() {
    let Some(first) = published("test-1.cvd") else { return };
    let folder = Folder::new();
    fs::create_dir(folder.path("certs")).unwrap();
    let certificate = published("clamav-test-root.crt").unwrap();
    fs::copy(certificate, folder.path("certs/root.crt")).unwrap();
    fs::copy(first, folder.path("test.cvd")).unwrap();
    let mut line = "apply test.cvd".to_owned();
    for version in 2..=6 {
        let name = format!("test-{version}.cdiff");
        fs::copy(published(&name).unwrap(), folder.path(&name)).unwrap();
        line += &format!(" {name}");
    }
    for name in ["test-6.cvd", "test-6.cvd.sign", "test-2.cdiff.sign"] {
        fs::copy(published(name).unwrap(), folder.path(name)).unwrap();
    }
    assert_eq!(folder.quahog(&format!("{line} --out test.cld")).code, Some(0));
    assert_eq!(folder.quahog("unpack test.cld --out a").code, Some(0));
    assert_eq!(folder.quahog("unpack test-6.cvd --out b").code, Some(0));
    for entry in fs::read_dir(folder.path("b")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(folder.read(&format!("a/{name}")), folder.read(&format!("b/{name}")), "{name}");
    }
    let done = folder.quahog("info test-6.cvd test-2.cdiff test.cvd --cvdcertsdir certs");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert_eq!(
        done.out.matches("Detached signature: by CN=ClamAV TEST CVD Signing Cert").count(),
        2
    );
    assert_eq!(done.out.matches("Detached signature: none").count(), 1);
    let done = folder.quahog("check test-6.cvd --cvdcertsdir certs --fips-limits");
    assert!(done.out.contains("detached signature holds"), "{}", done.out);
    folder.quahog("scan -d test.cvd --fips-limits certs").fails("a detached signature is required");
    folder.quahog("scan -d test.cvd --cvdcertsdir none certs").fails("none: No such file");

    // A signature beside a patch must hold too, if somebody looks.
    fs::copy(published("test-3.cdiff.sign").unwrap(), folder.path("test-2.cdiff.sign")).unwrap();
    let line = "apply test.cvd test-2.cdiff --out two/test.cld";
    fs::create_dir(folder.path("two")).unwrap();
    assert_eq!(folder.quahog(line).code, Some(0));
    folder.quahog(&format!("{line} --cvdcertsdir certs")).fails("is for other bytes");

    // What ClamAV makes of the .cld.
    if let Some((good, text)) = clamav(&folder, "clamscan", "-d test.cld certs") {
        assert!(good && text.contains("Known viruses: "), "{text}");
    }
    if let Some((_, text)) = clamav(&folder, "sigtool", "--info test.cld") {
        assert!(text.contains("Version: 6\n") && text.contains("Verification OK"), "{text}");
    }
}

/// Skips, and says so, where ClamAV is not installed.
#[test]
fn clamav_reads_what_is_built() {
    let folder = sources();
    let line = "build one --out example.cud --cvd-version 7 --flevel 81 --builder tester";
    assert_eq!(folder.quahog(line).code, Some(0));
    let Some((good, text)) = clamav(&folder, "sigtool", "--info example.cud") else { return };
    for line in
        ["Version: 7\n", "Signatures: 3\n", "Functionality level: 81\n", "Builder: tester\n"]
    {
        assert!(good && text.contains(line), "{line} is not in {text}");
    }
    let (good, text) = clamav(&folder, "sigtool", "-u example.cud").unwrap();
    assert!(good, "{text}");
    assert_eq!(folder.read("example.ndb"), folder.read("one/example.ndb"));
    let Some((_, text)) = clamav(&folder, "clamscan", "-d example.cud in") else { return };
    assert!(text.contains("in/alpha.txt: Example.A.UNOFFICIAL FOUND"), "{text}");
    assert!(text.contains("Known viruses: 3\n"), "{text}");
}
