//! Faults of the field, injected: see the table in the manual's chapter `live`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quahog::live::{Candidate, ConfigError};
use quahog::live::{Config, Event, MuteError, Outcome, PromoteError, Refusal, SelfTest, Starter};
use quahog::{Completeness, Engine, Live, Settings, Verdict};

use crate::{Folder, names};

#[allow(unreachable_pub)] // an example, and a module of this test
#[path = "../../examples/soak.rs"]
mod soak;

const A: &[u8] = b"....token-a....";

/// A database that names token A after its generation.
fn generation(number: u32) -> String {
    format!("Gen.{number}:0:*:746f6b656e2d61\n")
}

type Events = Arc<Mutex<Vec<Event>>>;

fn start(config: &Config) -> (Live, Events) {
    let events: Events = Arc::default();
    let heard = Arc::clone(&events);
    let live = Starter::new(config)
        .observer(move |event: &Event| heard.lock().unwrap().push(event.clone()))
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    (live, events)
}

fn codes(events: &Events) -> Vec<&'static str> {
    events.lock().unwrap().iter().map(Event::code).collect()
}

fn reload(live: &Live) -> Outcome {
    live.reload().wait(Some(Duration::from_secs(120))).expect("an answer in time")
}

fn refused(live: &Live) -> Vec<Refusal> {
    match reload(live) {
        Outcome::Refused(rejected) => rejected.reasons().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// F3: a reload that fails every time is one event, not a flood.
#[test]
fn fault_03_a_failing_reload_is_told_once() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let (live, events) = start(&Config::new([folder.path()]));
    folder.write("x.ndb", "garbage\n");
    for _ in 0..500 {
        refused(&live);
    }
    let codes = codes(&events);
    assert_eq!(codes, ["promoted", "source-refused", "refused"]);
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F3: a million bad lines are a hundred diagnostics.
#[test]
fn fault_03_bad_lines_are_counted() {
    let mut text = generation(1);
    (0..200_000).for_each(|n| text.push_str(&format!("Bad.{n}:0:*:zz\n")));
    let folder = Folder::of(&[("x.ndb", text)]);
    let candidate = Candidate::build(&Config::new([folder.path()]), &Live::empty().snapshot());
    let report = candidate.expect("one line is good").report().clone();
    assert_eq!(report.counts().malformed, 200_000);
    assert_eq!(report.diagnostics.len(), 100);
    let json = serde_json::to_string(&report).expect("the report is JSON");
    assert!(json.len() < 64 << 10, "{}", json.len());
    assert!(json.contains("\"source\":\"x.ndb\",\"line\":2,\"column\":"), "{json:.900}");
}

/// F4: a container cut at any length, or with any bit turned, changes nothing.
#[test]
fn fault_04_truncated_and_flipped_containers() {
    let build = |text: &str| {
        let builder = quahog_cvd::write::Builder::new("daily");
        builder.member("daily.ndb", text.as_bytes()).cud().expect("a container")
    };
    let folder = Folder::of(&[("daily.cud", build(&generation(1)))]);
    let (live, events) = start(&Config::new([folder.path()]));
    let good = build(&generation(2));
    let offer = |bytes: &[u8]| {
        folder.write("daily.cud", bytes);
        assert!(!refused(&live).is_empty());
        assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
    };
    for len in (0..good.len()).step_by(good.len() / 60 + 1) {
        offer(&good[..len]);
    }
    for bit in (512 * 8..good.len() * 8).step_by(good.len() * 8 / 60 + 1) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        offer(&bad);
    }
    let mut zeroed = good.clone();
    let middle = zeroed.len() / 2;
    zeroed[middle..].fill(0);
    offer(&zeroed);
    folder.write("daily.cud", &good);
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.2.UNOFFICIAL"]);
    // The events were bounded.
    assert!(codes(&events).len() < 230);
}

/// F5: a file that shrinks while it is read.
#[test]
fn fault_05_a_file_changes_while_it_is_read() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let (live, _) = start(&Config::new([folder.path()]));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut long = String::new();
            (0..5_000).for_each(|n| long.push_str(&format!("X.{n}:0:*:{n:08x}{n:08x}ff\n")));
            let text = generation(1) + &long;
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                // In place, as no updater should.
                let end = text.len() >> (round % 4);
                std::fs::write(folder.path().join("x.ndb"), &text[..end]).expect("a file");
                round += 1;
            }
        });
        for _ in 0..20 {
            let _ = reload(&live);
            assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// F6, F7, F8, F30: a few seconds of the soak.
#[test]
fn fault_06_smoke_soak() {
    let options = soak::Options {
        reloads: 12,
        scans: 300,
        signatures: 500,
        smaller: 20,
        load: 20,
        ..soak::Options::default()
    };
    let summary = soak::run(&options).expect("a soak");
    assert_eq!((summary.wrong, summary.dropped), (0, 0), "{summary}");
    assert_eq!(summary.reloads, 12, "{summary}");
    assert!(summary.scans >= 300, "{summary}");
    let line = summary.to_string();
    assert!(line.starts_with("soak: reloads=12 scans="), "{line}");
}

/// F8: what did not change is shared, not built again.
#[test]
fn fault_08_unchanged_sources_share_their_segment() {
    let folder = Folder::of(&[("a.ndb", "Same:0:*:736f6d657468696e67\n".to_owned())]);
    folder.write("b.ndb", generation(1));
    let (live, _) = start(&Config::new([folder.path()]));
    let before = live.snapshot();
    folder.write("b.ndb", generation(2));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 2 }));
    let after = live.snapshot();
    let segments = |engine: Option<&Engine>| engine.expect("an engine").segments().to_vec();
    let (old, new) = (segments(before.engine()), segments(after.engine()));
    assert!(Arc::ptr_eq(&old[0], &new[0]) && !Arc::ptr_eq(&old[1], &new[1]));
    assert_eq!(before.sources()[0], after.sources()[0]);
    assert_ne!(before.sources()[1].digest, after.sources()[1].digest);
    // An ignore list acts on all of them.
    folder.write("local.ign2", "Same\n");
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 3 }));
    assert!(names(&live.scanner().scan(b"is there something here")).is_empty());
}

/// F9: scans that never end hold three generations at most.
#[test]
fn fault_09_readers_that_never_let_go() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let running = Live::empty().snapshot();
    let test = SelfTest::new(&Config::new([folder.path()]).proof).expect("no folders");
    let proven = |number: u32| {
        folder.write("x.ndb", generation(number));
        let candidate = Candidate::build(&Config::new([folder.path()]), &running);
        candidate.and_then(|c| c.prove(&test, &running)).unwrap_or_else(|e| panic!("{e}"))
    };
    let live = Live::empty();
    let mut held = vec![live.snapshot()];
    for number in 1..=2 {
        assert_eq!(live.promote(proven(number)), Ok(u64::from(number)));
        held.push(live.snapshot());
    }
    assert_eq!(live.n_generations(), 3);
    assert_eq!(live.promote(proven(3)), Err(PromoteError::Busy));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.2.UNOFFICIAL"]);
    held.clear();
    let until = Instant::now() + Duration::from_secs(10);
    while live.n_generations() > 1 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(live.promote(proven(4)), Ok(3));
}

/// F10: a panic on the builder's thread is an answer like another.
#[test]
fn fault_10_the_builder_panics() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let panics = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&panics);
    let live = Starter::new(&Config::new([folder.path()]))
        .check("armed", move |_| {
            assert!(!armed.load(Ordering::Relaxed), "a bug of ours");
            Ok(())
        })
        // An observer that panics stops nobody.
        .observer(|_: &Event| panic!("a bug of theirs"))
        .start()
        .expect("a start");
    panics.store(true, Ordering::Relaxed);
    folder.write("x.ndb", generation(2));
    let reasons = refused(&live);
    assert!(matches!(&reasons[..], [Refusal::Panicked { message }] if message == "a bug of ours"));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
    panics.store(false, Ordering::Relaxed);
    folder.write("x.ndb", generation(3));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 2 }));
}

/// F11: a thousand offers at once are two builds at most.
#[test]
fn fault_11_many_offers_are_two_builds() {
    let folder = Folder::of(&[("x.ndb", generation(0))]);
    let builds = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&builds);
    let live = Starter::new(&Config::new([folder.path()]))
        .check("count", move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(300));
            Ok(())
        })
        .start()
        .expect("a start");
    let mut tickets = Vec::new();
    for number in 1..=1_000 {
        if number % 100 == 0 {
            // By renaming, as updaters do: half a file would be refused.
            folder.write("x.new", generation(number));
            let (new, old) = (folder.path().join("x.new"), folder.path().join("x.ndb"));
            std::fs::rename(new, old).expect("a rename");
        }
        tickets.push(live.reload());
    }
    for ticket in tickets {
        let outcome = ticket.wait(Some(Duration::from_secs(60)));
        assert!(
            matches!(outcome, Some(Outcome::Promoted { .. } | Outcome::Unchanged)),
            "{outcome:?}"
        );
    }
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1000.UNOFFICIAL"], "the newest wins");
    let after_start = builds.load(Ordering::Relaxed) - 1;
    assert!(after_start <= 2, "{after_start} builds");
}

/// F12: what would not fit is refused before it is built.
#[test]
fn fault_12_memory_is_estimated_before_the_build() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let mut config = Config::new([folder.path()]);
    config.proof.memory = Some(1 << 20);
    let (live, _) = start(&config);
    let mut text = generation(2);
    (0..20_000).for_each(|n| text.push_str(&format!("X.{n}:0:*:{n:08x}ab{n:08x}ff\n")));
    folder.write("x.ndb", text);
    let reasons = refused(&live);
    assert!(matches!(reasons[..], [Refusal::Memory { allowed: 1_048_576, .. }]), "{reasons:?}");
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F14: an old clock, or one far ahead, makes a database stale and no more.
#[test]
fn fault_14_old_databases_are_told_and_used() {
    let keys = quahog_testkit::builders::cvd::signing_keys();
    let build = |time: u64| {
        let builder = quahog_cvd::write::Builder::new("daily").build_time(time);
        builder.member("daily.ndb", generation(1).as_bytes()).cvd(keys).expect("a container")
    };
    let folder = Folder::of(&[("daily.cvd", build(1_000_000_000))]);
    let mut config = Config::new([folder.path()]);
    config.database.trust = quahog_testkit::builders::cvd::trust_store();
    let (live, events) = start(&config);
    assert_eq!(codes(&events), ["promoted", "stale"]);
    assert_eq!(live.scanner().scan(A).detections().len(), 1);
}

/// F15: a file that may not be read, and a state that may not be written.
#[test]
fn fault_15_permissions() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let file = Folder::of(&[("state", "a file, and no folder")]);
    let config = Config::new([folder.path()]).state(file.path().join("state"));
    let error = Live::start(&config).expect_err("no folder");
    assert!(error.to_string().contains("state"), "{error}");
    // A link to nowhere and one to itself are passed over; a device is no file.
    let (live, _) = start(&Config::new([folder.path()]));
    #[cfg(unix)]
    for (name, target) in [("a.ndb", "/nowhere"), ("b.ndb", "b.ndb"), ("c.ndb", "/dev/zero")] {
        std::os::unix::fs::symlink(target, folder.path().join(name)).expect("a link");
    }
    let _ = reload(&live);
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F16: two processes do not share a state folder.
#[test]
fn fault_16_two_updaters() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let state = Folder::new();
    let config = Config::new([folder.path()]).state(state.path());
    let (live, _) = start(&config);
    assert!(matches!(Live::start(&config), Err(quahog::live::StartError::Locked(_))));
    drop(live);
    assert!(Live::start(&config).is_ok(), "the lock is free again");
}

/// F17: a set that is mostly for newer engines is no update.
#[test]
fn fault_17_mostly_newer() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let (live, events) = start(&Config::new([folder.path()]));
    let mut text = generation(2);
    (0..40).for_each(|n| text.push_str(&format!("New.{n}:0:*:whatever it be:9999\n")));
    folder.write("x.ndb", &text);
    let reasons = refused(&live);
    assert!(matches!(reasons[..], [Refusal::Outdated { newer: 40, lines: 41 }]), "{reasons:?}");
    assert!(codes(&events).contains(&"newer"));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F18: what else may lie in a folder.
#[cfg(unix)]
#[test]
fn fault_18_strange_things_in_the_folder() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    for name in ["README", "x.ndb~", ".x.ndb.swp", "x.ndb.bak", "\u{1b}[2J\n.txt"] {
        folder.write(name, "anything");
    }
    std::fs::create_dir(folder.path().join("y.ndb")).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("z.ndb")).status();
    assert!(made.is_ok_and(|status| status.success()), "a FIFO");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s.ndb"));
    let started = Instant::now();
    let (live, _) = start(&Config::new([folder.path()]));
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F20: a name that is suddenly in every mail can be silenced at once, and
/// stays silent until its source changes it.
#[test]
fn fault_20_mute_by_hand() {
    let hash = "098f6bcd4621d373cade4e832627b4f6:4:Hash.One\n";
    let folder = Folder::of(&[("x.ndb", generation(1)), ("h.hdb", hash.to_owned())]);
    let state = Folder::new();
    let config = Config::new([folder.path()]).state(state.path());
    let (live, events) = start(&config);
    assert_eq!(live.mute("Gen.1.UNOFFICIAL", "false alarm"), Ok(1));
    assert!(names(&live.scanner().scan(A)).is_empty(), "from the next message on");
    assert!(matches!(live.mute("Hash.One", "x"), Err(MuteError::Hash(_))));
    assert!(matches!(live.mute("No.Such", "x"), Err(MuteError::Unknown(_))));
    // An update of another source, and a restart, do not wake it.
    folder.write("y.ndb", "Other:0:*:6f746865722d746f6b656e\n");
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    assert!(names(&live.scanner().scan(A)).is_empty());
    drop(live);
    let (live, _) = start(&config);
    assert!(names(&live.scanner().scan(A)).is_empty());
    assert_eq!(live.mutes().len(), 1);
    assert_eq!(live.snapshot().n_muted(), 1);
    // Another definition under the same name is heard.
    folder.write("x.ndb", "Gen.1:0:*:746f6b656e2d612e2e\n");
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
    assert!(live.mutes().is_empty());
    assert!(codes(&events).contains(&"muted"));
}

/// F20: a young signature that is found in every mail is silenced by rule, if
/// the operator asked for that.
#[test]
fn fault_20_mute_by_rule() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let mut config = Config::new([folder.path()]);
    config.mute.by_rule = true;
    let (live, events) = start(&config);
    folder.write("x.ndb", generation(1) + "Every:0:*:7375626a6563742d6c696e65\n");
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    let mut scanner = live.scanner();
    let mut detected = 0;
    for number in 0..400 {
        let mail = format!("subject-line {number}\n").repeat(5);
        detected += scanner.scan(mail.as_bytes()).detections().len();
    }
    assert!((150..=250).contains(&detected), "{detected}");
    assert_eq!(live.mutes()[0].name, "Every");
    assert!(live.mutes()[0].by_rule);
    assert!(codes(&events).ends_with(&["false-alarm", "muted"]));
    // The old one is as loud as before.
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
    assert_eq!(live.unmute("Every"), 1);
    assert_eq!(scanner.scan(b"a subject-line\n").detections().len(), 1);
}

/// F21: the deadline holds, whatever a signature costs.
#[test]
fn fault_21_the_deadline_holds() {
    let line = "Slow:0:*:4141??{-}4141??{-}4141??{-}4142\n";
    let folder = Folder::of(&[("x.ndb", line)]);
    let live = crate::live(&folder);
    let settings = Settings::default().deadline(Some(Duration::from_millis(50)));
    let started = Instant::now();
    let report = live.scanner_with(settings).scan(&vec![b'A'; 4 << 20]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let done = matches!(report.completeness(), Completeness::Complete);
    assert!(done || started.elapsed() >= Duration::from_millis(50));
}

/// F22: half of the signatures are gone, or a sample is found no longer.
#[test]
fn fault_22_a_good_file_that_lost_its_content() {
    let mut text = String::new();
    (0..100).for_each(|n| text.push_str(&format!("S.{n}:0:*:{n:08x}cafe{n:08x}\n")));
    let samples = Folder::of(&[("sample", A)]);
    let folder = Folder::of(&[("x.ndb", generation(1)), ("y.ndb", text.clone())]);
    let mut config = Config::new([folder.path()]);
    config.proof.must_detect = Some(samples.path().to_owned());
    let (live, _) = start(&config);
    folder.write("y.ndb", &text[..text.len() / 2]);
    let reasons = refused(&live);
    assert!(matches!(reasons[..], [Refusal::Shrunk { from: 100, .. }]), "{reasons:?}");
    folder.write("y.ndb", &text);
    folder.write("x.ndb", "Gen.2:0:*:736f6d657468696e67\n");
    let reasons = refused(&live);
    assert!(matches!(&reasons[..], [Refusal::NotDetected { probe }] if probe.ends_with("sample")));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F23: with nothing to start from, nothing is said to be clean; and what comes
/// later is taken.
#[test]
fn fault_23_start_with_nothing() {
    let folder = Folder::of(&[("x.ndb", "garbage\n")]);
    let (live, events) = start(&Config::new([folder.path()]));
    assert_eq!(live.scanner().scan(A).verdict(), Verdict::Unavailable);
    assert!(codes(&events).contains(&"unavailable"));
    folder.write("x.ndb", generation(1));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 1 }));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
}

/// F23: broken databases, and a last good generation of each of them.
#[test]
fn fault_23_start_from_the_last_good() {
    let folder =
        Folder::of(&[("x.ndb", generation(1)), ("y.ndb", "Y:0:*:792d746f6b656e\n".into())]);
    let state = Folder::new();
    let config = Config::new([folder.path()]).state(state.path());
    drop(start(&config));
    folder.write("x.ndb", "garbage\n");
    folder.write("y.ndb", "Y.Two:0:*:792d746f6b656e\n");
    let (live, events) = start(&config);
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"], "{:?}", codes(&events));
    assert_eq!(names(&live.scanner().scan(b"... y-token")), ["Y.Two.UNOFFICIAL"]);
    let snapshot = live.snapshot();
    let sources: BTreeSet<_> = snapshot.sources().into_iter().map(|source| source.name).collect();
    assert_eq!(sources, BTreeSet::from(["x.ndb".to_owned(), "y.ndb".to_owned()]));
}

/// The only image in a state folder.
fn image_of(state: &Folder) -> std::path::PathBuf {
    let images = std::fs::read_dir(state.path().join("state-1/images")).expect("a folder");
    let mut paths = images.flatten().map(|entry| entry.path());
    let is_image = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "qhi");
    let image = paths.by_ref().find(is_image).expect("an image");
    assert!(!paths.any(|path| is_image(&path)), "one source, one image");
    image
}

/// A start from the last good generation compiles nothing; if its image is
/// damaged, gone, or of another format, it is made again from the sources.
#[test]
fn fault_19_an_image_of_the_last_good_and_what_may_become_of_it() {
    let folder = Folder::of(&[("x.ndb", generation(1) + "bad line\n")]);
    let state = Folder::new();
    let config = Config::new([folder.path()]).state(state.path());
    drop(start(&config));
    // Whoever had to compile would fail for want of a helper.
    let mut no_compiler = config.clone();
    no_compiler.build.helper = Some("/nonexistent/quahog".into());
    let starts = || {
        let (live, events) = start(&no_compiler);
        (names(&live.scanner().scan(A)) == ["Gen.1.UNOFFICIAL"], codes(&events))
    };
    assert_eq!(starts(), (true, vec!["promoted"]));
    let image = image_of(&state);
    let good = std::fs::read(&image).expect("an image");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let mut newer = good.clone();
    newer[8] += 1;
    let mut older = good.clone();
    older[8] -= 1;
    let cut = good[..good.len() - 1].to_vec();
    for bad in [flipped, newer, older, cut, b"garbage".to_vec(), Vec::new()] {
        std::fs::write(&image, &bad).expect("a file");
        let (live, events) = start(&config);
        assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
        assert_eq!(codes(&events), ["state-failed", "promoted"], "told once, and in force");
        drop(live);
        assert!(std::fs::read(&image).is_ok_and(|again| again == good), "it is made again");
    }
    std::fs::remove_file(&image).expect("a file");
    assert!(!starts().0, "there is no image to start from");
    drop(start(&config));
    // A configuration that admits others makes other tables of the same bytes.
    no_compiler.database.pua = true;
    let (live, _) = start(&no_compiler);
    assert_eq!(live.snapshot().generation(), 0, "it is not the image for it");
}

/// F2: no room for an image is told, and the update is in force all the same.
#[test]
fn fault_02_no_room_for_an_image() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let state = Folder::new();
    let config = Config::new([folder.path()]).state(state.path());
    drop(start(&config));
    // A file stands where their folder was.
    let images = state.path().join("state-1/images");
    std::fs::remove_dir_all(&images).expect("a folder");
    let (live, events) = start(&config);
    assert_eq!(codes(&events), ["promoted"], "the folder is made again");
    std::fs::remove_dir_all(&images).expect("a folder");
    std::fs::write(&images, "").expect("a file");
    folder.write("x.ndb", generation(2));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 2 }));
    assert_eq!(codes(&events), ["promoted", "promoted", "state-failed"]);
    drop(live);
    std::fs::remove_file(&images).expect("a file");
    let (live, _) = start(&config);
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.2.UNOFFICIAL"]);
}

/// A database as it is published: signed, of a version and a day.
fn signed(version: u32, time: u64, text: &str) -> Vec<u8> {
    let keys = quahog_testkit::builders::cvd::signing_keys();
    let builder = quahog_cvd::write::Builder::new("daily").version(version).build_time(time);
    builder.member("daily.ndb", text.as_bytes()).cvd(keys).expect("a container")
}

fn trusting(folder: &Folder) -> Config {
    let mut config = Config::new([folder.path()]);
    config.database.trust = quahog_testkit::builders::cvd::trust_store();
    config
}

/// A signed database that is older than what was in force, or another one of the
/// same version, is no update: not now, and not after a restart.
#[test]
fn what_was_in_force_is_remembered() {
    use quahog::database::Replayed;
    let now = 1_700_000_000;
    let folder = Folder::of(&[("daily.cvd", signed(7, now, &generation(7)))]);
    let state = Folder::new();
    let config = trusting(&folder).state(state.path());
    let (live, events) = start(&config);
    let replayed = |live: &Live| match &refused(live)[..] {
        [Refusal::Replayed { replayed }] => *replayed,
        other => panic!("{other:?}"),
    };
    folder.write("daily.cvd", signed(6, now - 100, &generation(6)));
    assert_eq!(replayed(&live), Replayed::Rollback { version: 6, before: 7 });
    folder.write("daily.cvd", signed(7, now, &generation(70)));
    assert_eq!(replayed(&live), Replayed::Equivocation(7));
    folder.write("daily.cvd", signed(8, now - 100, &generation(8)));
    assert_eq!(replayed(&live), Replayed::OlderBuild { version: 8, before: 7 });
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.7.UNOFFICIAL"]);
    assert_eq!(codes(&events).iter().filter(|code| **code == "source-refused").count(), 3);
    drop(live);
    // A restart with yesterday's in the folder.
    folder.write("daily.cvd", signed(6, now - 100, &generation(6)));
    let (live, _) = start(&config);
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.7.UNOFFICIAL"]);
    folder.write("daily.cvd", signed(9, now + 100, &generation(9)));
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    // Who goes back by hand means it: what he left is not tried, what is new is.
    assert!(matches!(live.roll_back().wait(None), Some(Outcome::Promoted { .. })));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.7.UNOFFICIAL"]);
    folder.write("daily.cvd", signed(8, now + 50, &generation(8)));
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.8.UNOFFICIAL"]);
}

/// F14: the clock jumps, while it runs. By a freeze, too: when updates no longer
/// come there is no candidate, and `Stale` is told all the same, once a day.
#[test]
fn fault_14_the_clock_jumps() {
    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    let made = 1_700_000_000;
    let folder = Folder::of(&[("daily.cvd", signed(1, made, &generation(1)))]);
    let clock = Arc::new(AtomicU64::new(made + HOUR));
    let (events, asked): (Events, _) = (Arc::default(), Arc::clone(&clock));
    let heard = Arc::clone(&events);
    let mut config = trusting(&folder);
    config.mute.by_rule = true;
    let live = Starter::new(&config)
        .observer(move |event: &Event| heard.lock().unwrap().push(event.clone()))
        .clock(move || std::time::UNIX_EPOCH + Duration::from_secs(asked.load(Ordering::Relaxed)))
        .start()
        .expect("a start");
    let stale = || codes(&events).iter().filter(|code| **code == "stale").count();
    let set = |time: u64| {
        clock.store(time, Ordering::Relaxed);
        reload(&live)
    };
    let (in_2038, in_2106) = (1 << 31, 1 << 32);
    for (at, time, n_stale) in [
        (0, made + 2 * HOUR, 0),
        (1, made - HOUR, 0),
        (2, made - 10 * YEAR, 0),
        (3, 0, 0),
        (4, made + 6 * DAY, 0),
        (5, made + 8 * DAY, 1),
        (6, made + 8 * DAY + HOUR, 1),
        (7, made + 9 * DAY, 2),
        (8, made + 10 * YEAR, 3),
        (9, in_2038, 4),
        (10, in_2106, 5),
    ] {
        // A deadline that spans the jump is met, for it asks another clock.
        let settings = Settings::default().deadline(Some(Duration::from_secs(60)));
        let mut scanner = live.scanner_with(settings);
        assert!(matches!(set(time), Outcome::Unchanged), "{at}");
        let report = scanner.scan(A);
        assert_eq!(names(&report), ["Gen.1.UNOFFICIAL"], "{at}");
        assert_eq!(report.completeness(), Completeness::Complete, "{at}");
        assert_eq!(stale(), n_stale, "{at}: {:?}", codes(&events));
    }
    // A clock that was set back makes an update one of the future. It is refused
    // until the clock is right, and not for ever.
    clock.store(made - 10 * YEAR, Ordering::Relaxed);
    folder.write("daily.cvd", signed(2, made + DAY, &generation(2)));
    assert!(matches!(refused(&live)[..], [Refusal::Unreadable { .. }]));
    assert!(matches!(set(made + DAY), Outcome::Promoted { generation: 2 }));
    // One that was far ahead for a while outlaws nothing that comes after it.
    clock.store(in_2106, Ordering::Relaxed);
    folder.write("daily.cvd", signed(3, made + 2 * DAY, &generation(3)));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 3 }));
    folder.write("daily.cvd", signed(4, made + 3 * DAY, &generation(4)));
    assert!(matches!(set(made + 3 * DAY), Outcome::Promoted { generation: 4 }));
}

/// A roll-back stays until the databases become others.
#[test]
fn a_roll_back_is_not_undone_by_the_same_files() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let state = Folder::new();
    let (live, events) = start(&Config::new([folder.path()]).state(state.path()));
    folder.write("x.ndb", generation(2));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 2 }));
    let outcome = live.roll_back().wait(None);
    assert!(matches!(outcome, Some(Outcome::Promoted { generation: 3 })), "{outcome:?}");
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.1.UNOFFICIAL"]);
    assert!(matches!(refused(&live)[..], [Refusal::KnownBad { .. }]));
    assert!(codes(&events).ends_with(&["promoted", "rolled-back"]), "{:?}", codes(&events));
    folder.write("x.ndb", generation(3));
    assert!(matches!(reload(&live), Outcome::Promoted { generation: 4 }));
}

/// A candidate in shadow is compared on live mail, and what it would newly
/// refuse is told and refuses it.
#[test]
fn a_candidate_in_shadow_is_judged_by_live_mail() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let mut config = Config::new([folder.path()]);
    config.shadow.enabled = true;
    config.shadow.mails = 20;
    config.shadow.cpu = 1.0;
    let (live, events) = start(&config);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut scanner = live.scanner();
            while !done.load(Ordering::Relaxed) {
                assert_eq!(scanner.scan(b"a harmless newsletter-word").detections().len(), 0);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        folder.write("x.ndb", generation(1) + "Bad:0:*:6e6577736c65747465722d776f7264\n");
        let reasons = refused(&live);
        assert!(matches!(reasons[..], [Refusal::Shadow { new: 20, mails: 20, .. }]), "{reasons:?}");
        folder.write("x.ndb", generation(2));
        let outcome = reload(&live);
        done.store(true, Ordering::Relaxed);
        assert!(matches!(outcome, Outcome::Promoted { .. }), "{outcome:?}");
    });
    let told = serde_json::to_string(&*events.lock().unwrap()).unwrap();
    assert!(told.contains("\"Bad.UNOFFICIAL\":20"), "{told}");
}

/// Watching: an update is noticed without being asked for, and once.
#[cfg(feature = "watch")]
#[test]
fn a_watched_folder_is_read_when_it_has_settled() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let mut config = Config::new([folder.path()]);
    config.watch.enabled = true;
    config.watch.settle = Duration::from_millis(300);
    let (live, events) = start(&config);
    for number in 2..=6 {
        folder.write("x.ndb", generation(number));
        std::thread::sleep(Duration::from_millis(20));
    }
    let until = Instant::now() + Duration::from_secs(30);
    while live.snapshot().generation() < 2 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(names(&live.scanner().scan(A)), ["Gen.6.UNOFFICIAL"]);
    assert_eq!(codes(&events), ["promoted", "promoted"]);
}

/// F26: what is asked for while everything ends is not waited for in vain.
#[test]
fn fault_26_the_end_while_a_build_runs() {
    let folder = Folder::of(&[("x.ndb", generation(1))]);
    let (live, _) = start(&Config::new([folder.path()]));
    folder.write("x.ndb", generation(2));
    let tickets: Vec<_> = (0..3).map(|_| live.reload()).collect();
    let started = Instant::now();
    drop(live);
    for ticket in tickets {
        let _ = ticket.wait(Some(Duration::from_secs(60)));
    }
    assert!(started.elapsed() < Duration::from_secs(30));
}

/// F29: a new ignore list that names much.
#[test]
fn fault_29_an_ignore_list_that_empties_the_set() {
    let mut text = generation(1);
    (0..50).for_each(|n| text.push_str(&format!("S.{n}:0:*:{n:08x}cafe{n:08x}\n")));
    let folder = Folder::of(&[("x.ndb", text)]);
    let (live, events) = start(&Config::new([folder.path()]));
    let ignored: String = (0..50).map(|n| format!("S.{n}\n")).collect();
    folder.write("a.ign2", &ignored);
    let reasons = refused(&live);
    assert!(matches!(reasons[..], [Refusal::Shrunk { from: 51, to: 1, .. }]), "{reasons:?}");
    // A few names are an ignore list as it should be, wherever it stands.
    folder.write("a.ign2", "Gen.1\n");
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    assert!(names(&live.scanner().scan(A)).is_empty());
    // More than one in a hundred is told.
    let told = |n: u64| {
        let told = events.lock().unwrap();
        let ignored =
            |event: &&Event| matches!(event, Event::Ignored { of: 51, ignored } if *ignored == n);
        told.iter().filter(ignored).count()
    };
    assert_eq!((told(50), told(1)), (1, 1), "{:?}", codes(&events));
    let mut more = generation(1);
    (0..500).for_each(|n| more.push_str(&format!("S.{n}:0:*:{n:08x}cafe{n:08x}\n")));
    folder.write("x.ndb", more);
    assert!(matches!(reload(&live), Outcome::Promoted { .. }));
    assert!(names(&live.scanner().scan(A)).is_empty());
    assert_eq!(codes(&events).iter().filter(|code| **code == "ignored").count(), 2);
}

/// Half of the outages are configurations.
#[test]
fn a_configuration_is_taken_whole_or_not_at_all() {
    let error: ConfigError =
        Config::from_toml("[database]\npaths = [\"/x\"]\n\n[watch]\npoll = -5\n")
            .expect_err("a negative time");
    assert_eq!((error.line(), error.column()), (5, 8), "{error}");
    assert!(!Path::new("/x").exists());
}
