//! `info`, `unpack`, `compile`, `bench`, `completions` and `man`.

use std::fs;
use std::path::Path;

use quahog::cvd::write::Builder;

use crate::{Folder, testdata};

fn with_container() -> Folder {
    let folder = Folder::new();
    let file = Builder::new("local")
        .version(7)
        .signatures(2)
        .flevel(81)
        .builder("tester")
        .build_time(1_700_000_000)
        .copying(b"Do as you like.\n")
        .member("local.ndb", b"Test.A:0:*:616c706861\nTest.B:0:*:6265746131\n")
        .member("local.hdb", b"")
        .cud()
        .unwrap();
    folder.write("local.cud", file);
    folder
}

/// Gives the container another text, of which its `.info` knows nothing.
fn swap_text(folder: &Folder) {
    let other = Builder::new("local")
        .member("local.ndb", b"Test.A:0:*:616c706861\nTest.Z:0:*:6265746131\n")
        .cud()
        .unwrap();
    // The header of the one before the payload of the other.
    let mut file = fs::read(folder.path("local.cud")).unwrap();
    file.truncate(512);
    file.extend_from_slice(&other[512..]);
    folder.write("local.cud", file);
}

#[test]
fn info_shows_header_trust_and_members() {
    let folder = with_container();
    let done = folder.quahog("info local.cud");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    let lines = done.lines();
    for line in [
        "File: local.cud",
        "Build time: 14 Nov 2023 22-13 +0000",
        "Version: 7",
        "Signatures: 2",
        "Builder: tester",
        "Trust: unsigned",
        "Database: local",
        "Members: 2",
        "    local.ndb: 44 bytes, 2 lines",
        "    local.hdb: 0 bytes, 0 lines",
    ] {
        assert!(lines.contains(&line), "{line} is not in {}", done.out);
    }
    let level = format!("Functionality level: 81 (ours is {})", quahog::sig::FLEVEL);
    assert!(lines.contains(&level.as_str()), "{}", done.out);
}

#[test]
fn info_of_what_does_not_verify_is_an_error() {
    let folder = with_container();
    swap_text(&folder);
    let done = folder.quahog("info local.cud");
    assert_eq!(done.code, Some(2));
    assert!(done.out.contains("Version: 7\n") && done.out.contains("Trust: none"));
    assert!(!done.out.contains("Members"), "{}", done.out);
    assert!(done.err.starts_with("ERROR: local.cud: "), "{}", done.err);
    folder.write("short.cvd", "ClamAV-VDB:");
    folder.quahog("info short.cvd").fails("ERROR: short.cvd: ");
    folder.quahog("info nowhere.cvd").fails("ERROR: nowhere.cvd: No such file or directory");
    folder.write("a.ndb", "Test.A:0:*:616c706861\n");
    folder.quahog("info a.ndb").fails("ERROR: a.ndb: ");
}

#[test]
fn unpack_writes_every_member() {
    let folder = with_container();
    let done = folder.quahog("unpack local.cud --out out");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    let mut names: Vec<_> = fs::read_dir(folder.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["COPYING", "local.hdb", "local.info", "local.ndb"]);
    let text = "Test.A:0:*:616c706861\nTest.B:0:*:6265746131\n";
    assert_eq!(folder.read("out/local.ndb"), text);
    assert_eq!(folder.read("out/COPYING"), "Do as you like.\n");
    assert!(folder.read("out/local.info").starts_with("ClamAV-VDB:"));
}

#[test]
fn unpack_overwrites_nothing() {
    let folder = with_container();
    folder.write("out/mine", "mine");
    let done = folder.quahog("unpack local.cud --out out");
    done.fails("ERROR: out: folder is not empty\n");
    assert_eq!(fs::read_dir(folder.path("out")).unwrap().count(), 1);
    fs::remove_file(folder.path("out/mine")).unwrap();
    assert_eq!(folder.quahog("unpack local.cud --out out").code, Some(0));
    assert_eq!(folder.quahog("unpack local.cud --out out").code, Some(2));
    folder.write("file", "");
    folder.quahog("unpack local.cud --out file").fails("ERROR: file: ");
    folder.quahog("unpack local.cud --out no/such").fails("ERROR: no/such: ");
    folder.quahog("unpack local.cud").fails("--out <DIR>");
}

#[test]
fn unpack_believes_only_what_verifies_unless_told_to() {
    let folder = with_container();
    swap_text(&folder);
    folder.quahog("unpack local.cud --out out").fails("ERROR: local.cud: ");
    assert!(!folder.path("out").exists());
    let done = folder.quahog("unpack local.cud --out out --unverified");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    let text = "Test.A:0:*:616c706861\nTest.Z:0:*:6265746131\n";
    assert_eq!(folder.read("out/local.ndb"), text);
    folder.quahog("unpack nowhere.cud --out new").fails("nowhere.cud: No such file or directory");
    assert!(!folder.path("new").exists());
}

#[test]
fn a_genuine_container_is_official() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real");
    let genuine = shared.join("clamav-bytecode/bytecode-339.cvd");
    if !genuine.exists() {
        println!("skipped: no genuine container here");
        return;
    }
    let folder = Folder::new();
    fs::copy(genuine, folder.path("bytecode-339.cvd")).unwrap();
    let done = folder.quahog("info bytecode-339.cvd");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert!(done.out.contains("Trust: officially signed\nDatabase: bytecode\n"), "{}", done.out);
    assert_eq!(folder.quahog("unpack bytecode-339.cvd --out out").code, Some(0));
    assert!(folder.path("out/bytecode.info").exists());
    let done = folder.quahog("check bytecode-339.cvd");
    assert!(done.out.contains("loaded, officially signed, version 339"), "{}", done.out);
}

#[test]
fn shells_and_man_get_their_pages() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let done = folder.quahog(&format!("completions {shell}"));
        assert_eq!(done.code, Some(0));
        for word in ["unpack", "heuristic-scan-precedence"] {
            assert!(done.out.contains(word), "{shell}: {word}");
        }
    }
    folder.quahog("completions cmd").fails("invalid value 'cmd'");
    fs::create_dir(folder.path("man")).unwrap();
    assert_eq!(folder.quahog("man man").code, Some(0));
    assert!(folder.read("man/quahog-scan.1").contains("allmatch"));
    for page in ["quahog.1", "quahog-check.1", "quahog-info.1", "quahog-unpack.1"] {
        assert!(folder.path("man").join(page).exists(), "{page}");
    }
    folder.quahog("man nowhere").fails("ERROR: nowhere: No such file or directory");
}

#[test]
fn the_mails_are_small_and_described() {
    let readme = fs::read_to_string(testdata("mail/README.md")).unwrap();
    for entry in fs::read_dir(testdata("mail")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".eml") {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
            assert!(entry.metadata().unwrap().len() < 4096, "{name}");
        }
    }
}

#[test]
fn an_image_scans_as_its_databases_do() {
    let folder = Folder::with_database();
    folder.write("mail", "From: a@a.example\n\nalpha\n");
    let done = folder.quahog("compile -d db --out set.qhi");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert!(done.out.starts_with("set.qhi: "), "{done:?}");
    let by_image = folder.quahog("scan --json --image set.qhi mail");
    let by_database = folder.quahog("scan --json -d db mail");
    assert_eq!(by_image.code, Some(1));
    assert_eq!(by_image.out, by_database.out);
    assert_eq!(folder.quahog("explain --image set.qhi -s Test.Alpha mail").code, Some(0));

    let info = folder.quahog("info set.qhi");
    assert_eq!(info.code, Some(0), "{info:?}");
    let format = format!("\nFormat: {}\n", quahog::image::FORMAT);
    assert!(info.out.contains(&format) && info.out.contains("\nSources: "), "{info:?}");
    for option in ["-d db", "--detect-pua", "--strict", "--state x", "--phishing-sigs=no"] {
        let done = folder.quahog(&format!("scan --image set.qhi {option} mail"));
        assert_eq!(done.code, Some(2), "{option}: {done:?}");
    }
}

#[test]
fn an_image_that_cannot_be_trusted_is_refused() {
    let folder = Folder::with_database();
    folder.write("mail", "alpha\n");
    folder.quahog("compile -d db --out set.qhi");
    let scan = |image: &str, why: &str| {
        let done = folder.quahog(&format!("scan --image {image} mail"));
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{image}: {done:?}");
        assert!(done.err.contains(why), "{image}: {done:?}");
    };
    scan("none.qhi", "No such file");
    scan("mail", "no engine image");
    scan("db", "no regular file");
    let mut image = fs::read(folder.path("set.qhi")).unwrap();
    folder.write("cut.qhi", &image[..image.len() - 100]);
    scan("cut.qhi", "cut off");
    let last = image.len() - 1;
    image[last] ^= 1;
    folder.write("damaged.qhi", &image);
    let info = folder.quahog("info damaged.qhi");
    assert_eq!(info.code, Some(2), "{info:?}");
    assert!(info.err.contains("digest"), "{info:?}");
    image[8] = 9;
    folder.write("newer.qhi", &image);
    scan("newer.qhi", "format 9, which is newer");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open_to_all = fs::Permissions::from_mode(0o666);
        fs::set_permissions(folder.path("set.qhi"), open_to_all).unwrap();
        scan("set.qhi", "everybody can write it");
    }
}

#[test]
fn bench_measures_and_names_what_costs() {
    let folder = Folder::with_database();
    folder.write("mail", "From: a@a.example\n\nalpha\n");
    let done = folder.quahog("bench -d db --seconds 1 --assume mail mail");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    let lines = done.lines();
    for beginning in ["signatures: ", "files: 1, 0.0 MB, something found in 1", "throughput: "] {
        assert!(lines.iter().any(|line| line.starts_with(beginning)), "{done:?}");
    }
    assert!(done.out.contains("Test.Alpha.UNOFFICIAL ("), "{done:?}");
    assert_eq!(folder.quahog("bench -d db --seconds 1 none").code, Some(2));
    assert_eq!(folder.quahog("bench -d none --seconds 1 mail").code, Some(2));
}
