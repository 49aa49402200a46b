//! `live` with a helper process: it compiles what the builder compiles, and
//! whatever becomes of it, mail goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quahog::cvd::write::Builder;
use quahog::live::{Candidate, Event, HelperFault, Outcome, Refusal, Starter};
use quahog::{Live, LiveConfig, Settings};

use crate::Folder;

const QUAHOG: &str = env!("CARGO_BIN_EXE_quahog");

fn config(folder: &Folder, helper: Option<&str>) -> LiveConfig {
    let mut config = LiveConfig::new([folder.path("db")]);
    config.build.helper = helper.map(PathBuf::from);
    config
}

type Events = Arc<Mutex<Vec<Event>>>;

fn start(config: &LiveConfig) -> (Live, Events) {
    let events: Events = Arc::default();
    let heard = Arc::clone(&events);
    let live = Starter::new(config)
        .observer(move |event: &Event| heard.lock().unwrap().push(event.clone()))
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    (live, events)
}

/// Every kind that a line can say, an ignore list that acts across sources, a
/// container, lines that are lost and signatures that cost too much.
fn databases(folder: &Folder) {
    folder.write(
        "db/a.ndb",
        "Test.Body:0:*:616c7068612d{2-4}6f6d656761\nTest.Ignored:0:*:69676e6f7265642d776f7264\n\
         Test.Dear:0:*:0000*0000\nbad line\n",
    );
    folder.write("db/a.ldb", "Test.Logic;Engine:51-255,Target:0;0&1;666972737431;7365636f6e64\n");
    folder.write("db/a.hdb", "566b344490a31870171f46e15fd7c0fa:12:Test.Hash\n");
    folder.write("db/a.yara", "rule Rule { strings: $a = \"yara-word\" condition: $a }\n");
    folder.write("db/z.ign2", "Test.Ignored\n");
    let builder = Builder::new("local").member("local.ndb", b"Test.Packed:0:*:7061636b6564\n");
    folder.write("db/local.cud", builder.cud().unwrap());
}

const INPUTS: [&str; 6] = [
    "alpha-...omega",
    "an ignored-word",
    "first1 and second",
    "hash-of-this",
    "a yara-word",
    "packed alpha-...omega first1 second yara-word",
];

#[test]
fn a_helper_compiles_what_the_builder_compiles() {
    let folder = Folder::new();
    databases(&folder);
    let nothing = Live::empty().snapshot();
    let [here, there] = [None, Some(QUAHOG)].map(|helper| {
        Candidate::build(&config(&folder, helper), &nothing).unwrap_or_else(|e| panic!("{e}"))
    });
    assert_eq!(here.engine().fingerprint(), there.engine().fingerprint());
    assert_eq!(here.engine().stats(), there.engine().stats());
    assert_eq!(here.id(), there.id());
    let report = |candidate: &Candidate| serde_json::to_string(candidate.report()).unwrap();
    assert_eq!(report(&here), report(&there));
    assert_eq!(there.report().counts().refused, 1, "too dear");
    assert_eq!(there.report().counts().ignored, 1);
    let [here, there] = [here, there].map(|candidate| Live::new(candidate.engine().clone()));
    let mut found = 0;
    for input in INPUTS {
        let [ours, theirs] = [&here, &there].map(|live| {
            let mut scanner = live.scanner_with(Settings::default().all_matches(true));
            format!("{:?}", scanner.scan(input.as_bytes()).detections())
        });
        assert_eq!(ours, theirs, "{input}");
        found += ours.matches("name: ").count();
    }
    assert!(found >= 8, "{found}");
}

/// Thresholds, refusals and updates: step by step the same with a helper.
#[test]
fn a_server_with_a_helper_decides_as_one_without() {
    let folder = Folder::new();
    databases(&folder);
    let lives = [None, Some(QUAHOG)].map(|helper| start(&config(&folder, helper)));
    let good: String = (0..50).map(|n| format!("S.{n}:0:*:{n:08x}cafe{n:08x}\n")).collect();
    let bad: String = (0..30).map(|n| format!("S.{n}:0:*:zz\n")).collect();
    let steps = [
        ("b.ndb", good.as_str()),
        ("b.ndb", bad.as_str()),
        ("b.ndb", &good[..good.len() / 2]),
        ("z.ign2", "Test.Body\n"),
        ("a.hdb", "566b344490a31870171f46e15fd7c0fa:12:Test.Other\n"),
    ];
    for (name, text) in steps {
        folder.write(&format!("db/{name}"), text);
        let [ours, theirs] = [0, 1].map(|at| {
            let outcome = lives[at].0.reload().wait(None);
            let snapshot = lives[at].0.snapshot();
            format!("{outcome:?} {:?} {:?}", snapshot.fingerprint(), snapshot.sources())
        });
        assert_eq!(ours, theirs, "{name}");
    }
    let [ours, theirs] = lives.map(|(_, events)| events.lock().unwrap().clone());
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|event| matches!(event, Event::SourceRefused { .. })), "{ours:?}");
}

/// Whatever becomes of a helper: one event, the old engine answers, and the same
/// bytes are not tried again. Each program notes that it was called.
#[test]
fn whatever_becomes_of_a_helper_mail_goes_on() {
    let folder = Folder::new();
    folder.write("db/x.ndb", "Other.Set:0:*:6f746865722d736574\n");
    let other = folder.quahog("compile -d db --out other.qhi");
    assert_eq!(other.code, Some(0), "{}", other.err);
    let other = folder.path("other.qhi").display().to_string();
    let cases = [
        ("crashes", "kill -SEGV $$".to_owned(), HelperFault::Killed),
        ("is killed", "kill -KILL $$".to_owned(), HelperFault::Killed),
        ("fails", "echo out of luck >&2; exit 3".to_owned(), HelperFault::Failed),
        // It takes memory until there is none: `tail` keeps a line that has no end.
        ("takes all memory", "exec tail /dev/zero".to_owned(), HelperFault::Failed),
        ("hangs", "exec sleep 1000".to_owned(), HelperFault::Late),
        ("says nothing", "exit 0".to_owned(), HelperFault::Image),
        ("writes garbage", "head -c 100000 /dev/urandom".to_owned(), HelperFault::Image),
        ("never stops writing", "exec cat /dev/zero".to_owned(), HelperFault::Killed),
        ("gives back what it got", "exec cat".to_owned(), HelperFault::Image),
        ("gives another set", format!("exec cat {other}"), HelperFault::Image),
        (
            "is of another version",
            format!(
                "{QUAHOG} compile --helper && printf '\\143' | dd of=/dev/stdout bs=1 seek=8 conv=notrunc"
            ),
            HelperFault::Image,
        ),
        (
            "has a bad disk",
            format!(
                "{QUAHOG} compile --helper && printf 'x' | dd of=/dev/stdout bs=1 seek=3000 conv=notrunc"
            ),
            HelperFault::Image,
        ),
    ];
    for (what, body, fault) in cases {
        folder.write("db/x.ndb", "Gen.1:0:*:746f6b656e2d61\n");
        let calls = folder.path("calls");
        let helper = folder.path("helper");
        let _ = fs::remove_file(&calls);
        // A good helper, until there is another one.
        let good = format!("#!/bin/sh\nexec {QUAHOG} \"$@\"\n");
        let place = |text: String| {
            let new = folder.path("helper.new");
            fs::write(&new, text).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(&new, &helper).unwrap();
        };
        place(good.clone());
        let mut config = config(&folder, helper.to_str());
        config.build.memory = 256 << 20;
        if fault == HelperFault::Late {
            config.build.time = Duration::from_millis(300);
        }
        let (live, events) = start(&config);
        assert_eq!(live.snapshot().generation(), 1, "{what}: {:?}", events.lock().unwrap());
        place(format!("#!/bin/sh\necho call >> {}\n{body}\n", calls.display()));
        folder.write("db/x.ndb", "Gen.2:0:*:746f6b656e2d61\n");
        let started = Instant::now();
        for round in 0..3 {
            let outcome = live.reload().wait(None);
            let Some(Outcome::Refused(rejected)) = outcome else { panic!("{what}: {outcome:?}") };
            match (round, rejected.reasons()) {
                (0, [Refusal::Helper { fault: seen, .. }]) => assert_eq!(*seen, fault, "{what}"),
                (1.., [Refusal::KnownBad { .. }]) => {}
                (_, reasons) => panic!("{what}, round {round}: {reasons:?}"),
            }
            let report = live.scanner().scan(b"a token-a");
            assert_eq!(report.detections()[0].name(), "Gen.1.UNOFFICIAL", "{what}");
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        assert_eq!(fs::read_to_string(&calls).unwrap(), "call\n", "{what}: it is called once");
        let told: Vec<_> = events.lock().unwrap().iter().map(Event::code).collect();
        assert_eq!(told, ["promoted", "source-refused", "refused"], "{what}");
        // A good helper and other bytes: it goes on by itself.
        place(good);
        folder.write("db/x.ndb", "Gen.3:0:*:746f6b656e2d61\n");
        let outcome = live.reload().wait(None);
        if fault == HelperFault::Late {
            continue; // 300 ms may be too short for an honest one
        }
        assert!(matches!(outcome, Some(Outcome::Promoted { .. })), "{what}: {outcome:?}");
    }
}

/// A helper that cannot be started says nothing of the databases: it is tried
/// again, and told.
#[test]
fn a_helper_that_is_not_there_is_tried_again() {
    let folder = Folder::new();
    folder.write("db/x.ndb", "Gen.1:0:*:746f6b656e2d61\n");
    let helper = folder.path("helper");
    let (live, events) = start(&config(&folder, helper.to_str()));
    assert_eq!(live.snapshot().generation(), 0);
    let told = format!("{:?}", events.lock().unwrap());
    assert!(told.contains("NotStarted") && told.contains("Unavailable"), "{told}");
    std::os::unix::fs::symlink(QUAHOG, &helper).unwrap();
    let outcome = live.reload().wait(None);
    assert!(matches!(outcome, Some(Outcome::Promoted { .. })), "{outcome:?}");
}

/// A server that goes away does not wait for its helper.
#[test]
fn the_end_of_a_server_is_the_end_of_its_helper() {
    let folder = Folder::new();
    folder.write("db/x.ndb", "Gen.1:0:*:746f6b656e2d61\n");
    let helper = folder.path("helper");
    std::os::unix::fs::symlink(QUAHOG, &helper).unwrap();
    let (live, _) = start(&config(&folder, helper.to_str()));
    let pid = folder.path("pid");
    folder.write("slow", format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", pid.display()));
    fs::set_permissions(folder.path("slow"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(folder.path("slow"), &helper).unwrap();
    folder.write("db/x.ndb", "Gen.2:0:*:746f6b656e2d61\n");
    let ticket = live.reload();
    let until = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(&pid).map_or(true, |text| !text.ends_with('\n')) {
        assert!(Instant::now() < until, "it was not called");
        std::thread::sleep(Duration::from_millis(5));
    }
    let started = Instant::now();
    drop(live);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    drop(ticket);
    let number = fs::read_to_string(&pid).unwrap();
    assert!(!fs::exists(format!("/proc/{}", number.trim())).unwrap(), "it lives");
}
