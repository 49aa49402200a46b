//! Who is believed, and what was seen before: the policy of loading.

use std::path::{Path, PathBuf};

use quahog::cvd::TrustStore;
use quahog::database::{
    Event, Fault, FaultIo, Outcome, SignPolicy, SystemIo, Versions, read_anchors, read_source,
};
use quahog::{Config, Database, LoadError, LoadReport};
use quahog_testkit::builders::cvd;

use crate::Folder;

/// The build time of the testkit's containers.
const BUILT: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

fn config(folder: &Folder) -> Config {
    Config::new([folder.path()]).trust(cvd::trust_store()).now(BUILT + DAY)
}

/// A load of whatever is in the folder; a refusal of all is in the report too.
fn load(config: &Config) -> (usize, LoadReport) {
    match Database::load(config) {
        Ok((database, report)) => (database.signatures().len(), report),
        Err(LoadError::Nothing { report, .. }) => (0, *report),
        Err(error) => panic!("{error}"),
    }
}

fn reason(report: &LoadReport, name: &str) -> String {
    let file = report.files.iter().find(|file| file.path.ends_with(name)).expect("a report");
    match &file.outcome {
        Outcome::Loaded { .. } => "loaded".to_owned(),
        Outcome::Refused { reason, replaced } => format!("{reason} [{replaced}]"),
        Outcome::PassedOver { reason } => reason.clone(),
    }
}

fn container(database: &str, version: u32, time: u64, line: &str) -> Vec<u8> {
    let name = format!("{database}.ndb");
    let builder = cvd::builder(database, &[(name.as_str(), line.as_bytes())]);
    builder.version(version).build_time(time).cvd(cvd::signing_keys()).expect("a container")
}

fn own(version: u32, time: u64) -> Vec<u8> {
    container("own", version, time, &format!("T.V{version}:0:*:616263\n"))
}

/// What a load of these versions in turn remembers.
fn after(files: &[Vec<u8>]) -> Versions {
    let mut versions = Versions::default();
    for file in files {
        let folder = Folder::of(&[("own.cvd", file)]);
        let (_, report) = load(&config(&folder).remembered(versions.clone()));
        assert_eq!(reason(&report, "own.cvd"), "loaded");
        versions.accept(&report);
    }
    versions
}

/// U1 to U3, and H19.
#[test]
fn what_was_in_force_is_not_replaced_by_less() {
    let seen = after(&[own(6, BUILT), own(7, BUILT + 10)]);
    let offered = |file: Vec<u8>| {
        let folder = Folder::of(&[("own.cvd", file)]);
        let (_, report) = load(&config(&folder).remembered(seen.clone()));
        assert_eq!(report.any_refused(), reason(&report, "own.cvd") != "loaded");
        reason(&report, "own.cvd")
    };
    assert_eq!(offered(own(7, BUILT + 10)), "loaded");
    assert_eq!(offered(own(8, BUILT + 10)), "loaded");
    assert!(offered(own(6, BUILT)).starts_with("rollback: version 6 "));
    assert!(offered(own(6, BUILT + 99)).starts_with("rollback: version 6 "));
    assert!(offered(own(8, BUILT + 9)).starts_with("version 8 claims to be built before"));
    let other = container("own", 7, BUILT + 10, "T.Other:0:*:616263\n");
    assert!(offered(other).starts_with("equivocation: version 7 "));
    // Another database is another matter, and so is one that nobody signed.
    let folder = Folder::of(&[
        ("new.cvd", container("new", 1, BUILT, "T.A:0:*:616263\n")),
        ("own.cud", cvd::cud("own", &[("own.ndb", b"T.B:0:*:616263\n")])),
    ]);
    assert_eq!(load(&config(&folder).remembered(seen.clone())).0, 2);
    // Case means nothing: the file systems of some tell no difference.
    let upper = container("OWN", 6, BUILT, "T.A:0:*:616263\n");
    let folder = Folder::of(&[("OWN.cvd", upper)]);
    let (_, report) = load(&config(&folder).remembered(seen.clone()));
    assert!(reason(&report, "OWN.cvd").starts_with("rollback"));
    // Until the operator says otherwise.
    let mut forgetful = seen;
    forgetful.forget("own");
    assert_eq!(forgetful, Versions::default());
}

/// A rolled-back `.cvd` gives way to the good `.cld` beside it.
#[test]
fn a_good_sibling_takes_the_place_of_a_replayed_one() {
    let seen = after(&[own(7, BUILT)]);
    let patched = cvd::builder("own", &[("own.ndb", b"T.V7:0:*:616263\n")])
        .version(8)
        .cld(cvd::signing_keys())
        .expect("a container");
    let folder = Folder::of(&[("own.cvd", own(6, BUILT)), ("own.cld", patched)]);
    let (_, report) = load(&config(&folder).remembered(seen));
    assert_eq!(reason(&report, "own.cld"), "loaded");
    assert!(reason(&report, "own.cvd").ends_with("[true]"));
    assert!(!report.any_refused());
}

#[test]
fn versions_of_one_database_are_never_merged() {
    let build = |version, line: &str| {
        cvd::builder("own", &[("own.ndb", line.as_bytes())])
            .version(version)
            .cld(cvd::signing_keys())
            .expect("a container")
    };
    // Leftovers under the names that mirrors use.
    let folder = Folder::of(&[
        ("own-6.cvd", own(6, BUILT)),
        ("own-7.cvd", own(7, BUILT)),
        ("own.cld", build(5, "T.Old:0:*:616263\n")),
    ]);
    let (n_signatures, report) = load(&config(&folder));
    assert_eq!((n_signatures, report.any_refused()), (1, false));
    assert_eq!(reason(&report, "own-7.cvd"), "loaded");
    // The same version with other bytes: one of them is not what everybody has.
    let folder =
        Folder::of(&[("own.cvd", own(7, BUILT)), ("own.cld", build(7, "T.X:0:*:616263\n"))]);
    let (n_signatures, report) = load(&config(&folder));
    assert_eq!((n_signatures, report.any_refused()), (1, true));
    assert_eq!(reason(&report, "own.cld"), "loaded");
    assert!(reason(&report, "own.cvd").starts_with("equivocation"));
    // The same version with the same content is no news.
    let same = cvd::builder("own", &[("own.ndb", b"T.V7:0:*:616263\n")]).version(7);
    let folder = Folder::of(&[
        ("own.cvd", own(7, BUILT)),
        ("own.cld", same.cld(cvd::signing_keys()).expect("a container")),
    ]);
    let (n_signatures, report) = load(&config(&folder));
    assert_eq!((n_signatures, report.any_refused()), (1, false));
}

/// H18 to H20, freeze and fast-forward.
#[test]
fn time_and_level_are_noticed() {
    let events = |database: &str, now: u64| {
        let file = container(database, 1, BUILT, "T.A:0:*:616263\n");
        let name = format!("{database}.cvd");
        let folder = Folder::of(&[(name.as_str(), file)]);
        let (_, report) = load(&config(&folder).now(now));
        (reason(&report, &name), report.events)
    };
    let ahead = |seconds| vec![Event::Ahead { database: "daily".into(), seconds }];
    assert_eq!(events("daily", BUILT), ("loaded".into(), vec![]));
    assert_eq!(events("daily", BUILT - 3000), ("loaded".into(), vec![]));
    assert_eq!(events("daily", BUILT - 7200), ("loaded".into(), ahead(7200)));
    for database in ["daily", "own"] {
        let (reason, _) = events(database, BUILT - DAY - 1);
        assert!(reason.contains("built more than 24 hours from now"), "{reason}");
    }
    let stale = vec![Event::Stale { database: "daily".into(), days: 8 }];
    assert_eq!(events("daily", BUILT + 8 * DAY - 1), ("loaded".into(), vec![]));
    assert_eq!(events("daily", BUILT + 8 * DAY), ("loaded".into(), stale));
    assert_eq!(events("own", BUILT + 800 * DAY), ("loaded".into(), vec![]));
    // Clocks that nobody set.
    assert!(events("own", 0).0.contains("24 hours"));
    assert_eq!(events("own", u64::MAX).0, "loaded");

    let seen = after(&[own(1, BUILT)]);
    let folder = Folder::of(&[("own.cvd", own(1001, BUILT))]);
    assert!(load(&config(&folder).remembered(seen.clone())).1.events.is_empty());
    let folder = Folder::of(&[("own.cvd", own(1002, BUILT))]);
    let (_, report) = load(&config(&folder).remembered(seen));
    let jump = Event::Jump { database: "own".into(), from: 1, to: 1002 };
    assert_eq!(report.events, [jump]);
    assert_eq!(report.newest_build_time(), Some(BUILT));
}

#[test]
fn what_is_remembered_survives_and_is_never_half_written() {
    let folder = Folder::new();
    let (known, aside) = Versions::load(folder.path(), &SystemIo).expect("an empty folder");
    assert_eq!((known, aside), (Versions::default(), None));
    assert!(Versions::load(&folder.path().join("none"), &SystemIo).is_err());
    let (old, new) = (after(&[own(6, BUILT)]), after(&[own(7, BUILT)]));
    let read = || Versions::load(folder.path(), &SystemIo).expect("a readable folder");
    old.save(folder.path(), &SystemIo).expect("no fault");
    assert_eq!(read(), (old.clone(), None));
    let mut at = 0;
    loop {
        old.save(folder.path(), &SystemIo).expect("no fault");
        let io = FaultIo::new(at, Fault::Crash);
        let result = new.save(folder.path(), &io);
        let (known, aside) = read();
        assert!(aside.is_none() && (known == old || known == new), "operation {at}");
        if result.is_ok() {
            assert_eq!(known, new);
            break;
        }
        at += 1;
    }
    assert!(at >= 6, "{at} operations");
}

/// F19: formats of yesterday and tomorrow, and damage.
#[test]
fn a_file_of_another_format_is_set_aside() {
    let folder = Folder::new();
    let file = folder.path().join("versions");
    after(&[own(6, BUILT)]).save(folder.path(), &SystemIo).expect("no fault");
    let good = std::fs::read_to_string(&file).expect("a file");
    let damaged: Vec<String> = (0..good.len())
        .map(|at| {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1;
            String::from_utf8(bytes).expect("ASCII")
        })
        .chain((0..good.len()).map(|end| good[..end].to_owned()))
        .chain([
            format!("{good}\n"),
            format!("{good}{good}"),
            good.replace("versions 1", "versions 2"),
        ])
        .collect();
    for text in damaged {
        std::fs::write(&file, &text).expect("a file");
        let (known, aside) = Versions::load(folder.path(), &SystemIo).expect("a readable folder");
        assert_eq!(known, Versions::default());
        let aside: PathBuf = aside.expect("a damaged file is set aside");
        assert_eq!(std::fs::read_to_string(&aside).expect("it is kept"), text);
        assert!(!file.exists());
        std::fs::remove_file(aside).expect("a file");
    }
    #[cfg(unix)]
    {
        std::fs::write(folder.path().join("elsewhere"), &good).expect("a file");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &file).expect("a link");
        assert!(Versions::load(folder.path(), &SystemIo).is_err(), "a link is not followed");
    }
}

/// What one source may do to another.
fn modest(prefix: &str) -> TrustStore {
    let source = cvd::signing_keys().source("modest").expect("keys");
    TrustStore::official().with(source.prefixed(prefix))
}

#[test]
fn a_source_speaks_for_its_own_signatures_only() {
    let members: &[(&str, &[u8])] = &[
        ("own.ndb", b"Own.A:0:*:616263\nOWN.B:0:*:616263\nWin.C:0:*:616263\n# Win.D\nbad\n"),
        ("own.ldb", b"Own.E;Target:0;0;616263\nWin.F;Target:0;0;616263\n"),
        (
            "own.hdb",
            b"d41d8cd98f00b204e9800998ecf8427e:5:Own.G\nd41d8cd98f00b204e9800998ecf8427e:6:Win.H\n",
        ),
        ("own.fp", b"d41d8cd98f00b204e9800998ecf8427e:5:Own.I\n"),
        ("own.ftm", b"0:0:41424344:Own:CL_TYPE_ANY:CL_TYPE_ZIP\n"),
        ("own.wdb", b"M:a.example:b.example\n"),
        ("own.cfg", b"PE:0x0\n"),
        ("own.crb", b"x\n"),
        ("own.ign2", b"OWN.B\nLocal.J\nWin.C\n"),
    ];
    let folder = Folder::of(&[
        ("own.cvd", cvd::cvd("own", members)),
        ("local.ndb", b"Local.J:0:*:616263\n".to_vec()),
    ]);
    let config = |trust| Config::new([folder.path()]).trust(trust).now(BUILT + DAY);
    let counts = |report: &LoadReport, name: &str| {
        let members = report.files.iter().flat_map(|file| &file.members);
        let counts = members.clone().find(|member| member.name.ends_with(name)).expect("a member");
        (counts.counts.admitted, counts.counts.ignored, counts.counts.untrusted)
    };
    let (_, report) = load(&config(modest("Own.")));
    assert_eq!(counts(&report, "own.ndb"), (1, 1, 2));
    assert_eq!(counts(&report, "own.ldb"), (1, 0, 1));
    assert_eq!(counts(&report, "own.hdb"), (1, 0, 1));
    assert_eq!(counts(&report, "own.ign2"), (1, 0, 2));
    // Nobody else's signature was ignored.
    assert_eq!(counts(&report, "local.ndb"), (1, 0, 0));
    for list in ["own.fp", "own.ftm", "own.wdb", "own.cfg", "own.crb"] {
        assert_eq!(counts(&report, list), (0, 0, 1), "{list}");
    }
    // Without a prefix no name is known to be its own, to be ignored.
    let (_, report) = load(&config(modest("")));
    assert_eq!(counts(&report, "own.ndb"), (3, 0, 0));
    assert_eq!(counts(&report, "own.ign2"), (0, 0, 3));
    // Who is trusted like the official publisher, and the operator himself.
    let (_, report) = load(&config(cvd::trust_store()));
    assert_eq!(counts(&report, "own.ndb"), (1, 2, 0));
    assert_eq!(counts(&report, "local.ndb"), (0, 1, 0));
    assert_eq!(counts(&report, "own.fp"), (1, 0, 0));
    let loose =
        Folder::of(&[("local.ign2", &b"Local.J\n"[..]), ("x.ndb", b"Local.J:0:*:616263\n")]);
    assert_eq!(load(&Config::new([loose.path()]).trust(modest("Own."))).1.counts().ignored, 1);
}

#[test]
fn a_source_signs_no_official_database() {
    let folder = Folder::of(&[("daily.cvd", container("daily", 9, BUILT, "Own.A:0:*:616263\n"))]);
    let (_, report) = load(&Config::new([folder.path()]).trust(modest("Own.")).now(BUILT));
    assert!(
        reason(&report, "daily.cvd").contains("a source may not sign a database of the official")
    );
}

#[test]
fn fips_relies_on_no_md5_and_no_sha_1() {
    let lines = format!(
        "d41d8cd98f00b204e9800998ecf8427e:5:A\n{}:5:B\n{}:5:C\n",
        "a".repeat(40),
        "b".repeat(64)
    );
    let folder = Folder::of(&[
        ("local.sfp", lines.as_bytes().to_vec()),
        ("local.hdb", b"d41d8cd98f00b204e9800998ecf8427e:5:Detects\n".to_vec()),
        ("own.cvd", own(7, BUILT)),
        ("own2.cld", cvd::cld("own2", &[("own2.ndb", b"T.Cld:0:*:616263\n")])),
    ]);
    let (_, report) = load(&config(&folder).fips(true));
    let counts = report.counts();
    assert_eq!((counts.untrusted, counts.lost()), (2, 0));
    assert!(reason(&report, "own.cvd").contains("a detached signature is required"));
    assert_eq!(reason(&report, "own2.cld"), "loaded");
    assert_eq!(reason(&report, "local.hdb"), "loaded");
    assert_eq!(load(&config(&folder)).1.counts().untrusted, 0);
}

/// A folder with certificates and files of the published series, or `None`.
fn published(anchor: &str, files: &[&str]) -> Option<(Folder, Folder)> {
    let from =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real/clamav-test-series");
    if !from.is_dir() {
        println!("skipped: no {}", from.display());
        return None;
    }
    let (certificates, folder) = (Folder::new(), Folder::new());
    let read = |name: &str| std::fs::read(from.join(name)).expect("a published file");
    certificates.write(anchor, read(anchor));
    files.iter().for_each(|name| folder.write(name, read(name)));
    Some((certificates, folder))
}

/// Within the validity of the published certificates.
const THEN: u64 = 1_792_000_000;

/// The decision table, U18 and U19.
#[test]
fn a_detached_signature_decides_once_it_was_seen() {
    let both = ["test-5.cvd", "test-5.cvd.sign"];
    let Some((good, folder)) = published("clamav-test-root.crt", &both) else { return };
    let Some((foreign, _)) = published("clamav.crt", &both) else { return };
    let good = read_anchors(good.path()).expect("a certificate");
    let foreign = read_anchors(foreign.path()).expect("a certificate");
    let config = |folder: &Folder| Config::new([folder.path()]).now(THEN);
    let loads = |config: Config| {
        let (_, report) = load(&config);
        let file = report.files.iter().find(|f| f.path.extension().is_some_and(|e| e == "cvd"));
        let file = file.expect("a container");
        match &file.outcome {
            Outcome::Loaded { .. } => Ok(file.taken.as_ref().expect("signed").has_sign()),
            Outcome::Refused { reason, .. } => Err(reason.clone()),
            Outcome::PassedOver { reason } => panic!("{reason}"),
        }
    };
    assert_eq!(loads(config(&folder)), Ok(false));
    assert_eq!(loads(config(&folder).anchors(good.clone())), Ok(true));
    assert_eq!(loads(config(&folder).anchors(good.clone()).fips(true)), Ok(true));
    let refused = loads(config(&folder).anchors(foreign)).expect_err("a foreign chain");
    assert!(refused.contains("no trusted certificate"), "{refused}");
    assert!(loads(config(&folder).fips(true)).is_err(), "no certificates are given");
    assert!(loads(config(&folder).sign_policy(SignPolicy::Required)).is_err());

    // The next version, and its signature withheld.
    let mut versions = Versions::default();
    versions.accept(&load(&config(&folder).anchors(good.clone())).1);
    let Some((_, next)) = published("clamav-test-root.crt", &["test-6.cvd"]) else { return };
    let next =
        |versions: &Versions| config(&next).anchors(good.clone()).remembered(versions.clone());
    assert_eq!(loads(next(&Versions::default())), Ok(false));
    let refused = loads(next(&versions)).expect_err("a signature is required now");
    assert!(refused.contains("none was found at"), "{refused}");
    assert_eq!(loads(next(&versions).sign_policy(SignPolicy::LegacyAllowed)), Ok(false));

    // One that says nothing is as if there were none, and is told.
    folder.write("test-5.cvd.sign", "#clamsign-1.0\n900::pkcs7-pem:AAAA\n");
    let (_, report) = load(&config(&folder).anchors(good.clone()));
    assert!(matches!(&report.events[..], [Event::SignUnread { .. }]), "{:?}", report.events);
    assert!(loads(config(&folder).anchors(good.clone()).fips(true)).is_err());
    folder.write("test-5.cvd.sign", "#clamsign-1.0\n230::pkcs7-pem:AAAA\n");
    assert!(loads(config(&folder).anchors(good)).is_err());
}

#[test]
fn keys_and_certificates_are_read_from_files() {
    let folder = Folder::of(&[("a.crt", "no certificate"), ("key", "no key")]);
    let error = read_anchors(folder.path()).expect_err("no certificate");
    assert!(matches!(error, LoadError::Keys { .. }), "{error}");
    let error = read_source(&folder.path().join("key")).expect_err("no key");
    assert!(error.to_string().contains("expected `name: NAME`"), "{error}");
    for missing in ["none", "key"] {
        let error = read_anchors(&folder.path().join(missing)).expect_err("no folder");
        assert!(matches!(error, LoadError::Io { .. }), "{error}");
    }
    let empty = Folder::new();
    assert!(matches!(read_anchors(empty.path()), Err(LoadError::Keys { .. })));
}
