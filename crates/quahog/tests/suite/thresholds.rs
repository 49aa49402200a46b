//! How much may be wrong with a source, at the edge of each threshold: what is
//! exactly as much as allowed is allowed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quahog::database::{Counts, Event as Note, Outcome as FileOutcome, Thresholds};
use quahog::live::{Config, Event, Outcome, Refusal, Starter};
use quahog::{Database, Live, LoadError};
use quahog_testkit::builders::cvd;

use crate::Folder;

/// Lines of a `.hdb`: sound ones, malformed ones, and some for newer engines.
fn lines(good: usize, bad: usize, newer: usize) -> String {
    let line = |n: usize, size: usize, level: &str| format!("{n:032x}:{size}:T.{n}{level}\n");
    let good = (0..good).map(|n| line(n + 1, n + 1, ""));
    let bad = (0..bad).map(|n| line(n + 1, 0, ""));
    let newer = (0..newer).map(|n| line(n + 1, n + 1, ":300"));
    good.chain(bad).chain(newer).collect()
}

/// What an update from `before` to `after` of one file comes to: the refusal, if
/// there was any, the signatures in force then, and what was told of it.
fn update(name: &str, before: &[u8], after: &[u8]) -> (Option<Refusal>, usize, Vec<Event>) {
    let folder = Folder::of(&[(name, before)]);
    let mut config = Config::new([folder.path()]);
    config.database.trust = cvd::trust_store();
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let heard = Arc::clone(&events);
    let live = Starter::new(&config)
        .observer(move |event: &Event| heard.lock().unwrap().push(event.clone()))
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    events.lock().unwrap().clear();
    folder.write(name, after);
    let refusal = match live.reload().wait(Some(Duration::from_secs(120))).expect("an answer") {
        Outcome::Promoted { .. } => None,
        Outcome::Refused(rejected) => Some(rejected.reasons()[0].clone()),
        other => panic!("{other:?}"),
    };
    let events = events.lock().unwrap().clone();
    (refusal, in_force(&live), events)
}

fn in_force(live: &Live) -> usize {
    live.snapshot().engine().map_or(0, |engine| engine.stats().n_signatures)
}

/// The same text as a loose file and in each kind of container, of this version.
fn packed(name: &str, version: u32, text: &str) -> Vec<u8> {
    let members: &[(&str, &[u8])] = &[("own.hdb", text.as_bytes())];
    let builder = cvd::builder("own", members).version(version);
    match name {
        "own.cvd" => builder.cvd(cvd::signing_keys()).expect("a container"),
        "own.cld" => builder.cld(cvd::signing_keys()).expect("a container"),
        "own.cud" => cvd::cud("own", members),
        _ => text.as_bytes().to_vec(),
    }
}

/// Ten lines or a thousandth of a signed container, ten or a hundredth of what
/// nobody signed.
#[test]
fn lost_lines() {
    for (name, allowed_of_2000) in
        [("own.cvd", 10), ("own.cld", 10), ("own.cud", 20), ("x.hdb", 20)]
    {
        let before = packed(name, 1, &lines(7, 0, 0));
        for (lines_in_all, allowed) in [(30, 10), (2000, allowed_of_2000)] {
            let offer = |bad: usize| {
                let (refusal, in_force, _) =
                    update(name, &before, &packed(name, 2, &lines(lines_in_all - bad, bad, 0)));
                (refusal, in_force)
            };
            assert_eq!(offer(allowed), (None, lines_in_all - allowed), "{name}");
            let refusal = Refusal::LostLines {
                lost: allowed as u64 + 1,
                lines: lines_in_all as u64,
                allowed: allowed as u64,
            };
            assert_eq!(offer(allowed + 1), (Some(refusal), 7), "{name}: the old one stays");
        }
    }
}

/// More than a twentieth for newer engines is told, more than a quarter refused.
#[test]
fn lines_for_newer_engines() {
    for (newer, is_told, is_refused) in
        [(20, false, false), (21, true, false), (100, true, false), (101, true, true)]
    {
        let after = lines(400 - newer, 0, newer);
        let (refusal, n_signatures, events) =
            update("x.hdb", lines(7, 0, 0).as_bytes(), after.as_bytes());
        let told = events.iter().any(
            |event| matches!(event, Event::Newer { lines, needs: 0, .. } if *lines == newer as u64),
        );
        assert_eq!(told, is_told, "{newer}: {events:?}");
        let folder = Folder::of(&[("x.hdb", &after)]);
        let (_, report) = Database::load(&quahog::Config::new([folder.path()])).expect("loads");
        let note = Note::Newer { source: "x.hdb".into(), newer: newer as u64, lines: 400 };
        assert_eq!(report.events, if is_told { vec![note] } else { vec![] });
        let expected = is_refused.then_some(Refusal::Outdated { newer: 101, lines: 400 });
        assert_eq!(refusal, expected);
        assert_eq!(n_signatures, if is_refused { 7 } else { 400 - newer });
    }
}

/// Four fifths of what is running must be kept.
#[test]
fn what_is_kept() {
    for from in [100, 35] {
        let least = from * 4 / 5;
        let offer = |to: usize| {
            let text = |n| lines(n, 0, 0).into_bytes();
            let (refusal, in_force, _) = update("x.hdb", &text(from), &text(to));
            (refusal, in_force)
        };
        assert_eq!(offer(least), (None, least));
        let (refusal, in_force) = offer(least - 1);
        let (from, to) = (from as u64, least as u64 - 1);
        assert_eq!(refusal, Some(Refusal::Shrunk { source: "x.hdb".into(), from, to }));
        assert_eq!(in_force as u64, from);
    }
}

/// The count in a header is told if it is more than ten and a twentieth off, and
/// never refused.
#[test]
fn the_count_in_the_header() {
    let container = |claimed: u32, found: usize| {
        let text = lines(found, 0, 0);
        let lists: &[(&str, &[u8])] = &[
            ("own.hdb", text.as_bytes()),
            // Not counted, as sigtool does not.
            ("own.ign2", b"# names\nT.Other\nT.Another\nT.Third\nT.Fourth\nT.Fifth\nT.Sixth\n"),
        ];
        cvd::builder("own", lists).signatures(claimed).cud().expect("a container")
    };
    for (claimed, found, is_told) in [
        (400, 400, false),
        (400, 380, false),
        (400, 379, true),
        (400, 420, false),
        (400, 421, true),
        // A handful is no share.
        (20, 10, false),
        (20, 9, true),
        (0, 10, false),
        (0, 11, true),
    ] {
        let note =
            Note::CountOff { source: "own.cud".into(), header: claimed, found: found as u64 };
        let expected = if is_told { vec![note.clone()] } else { vec![] };
        let after = container(claimed, found);
        let folder = Folder::of(&[("own.cud", &after)]);
        let (_, report) = Database::load(&quahog::Config::new([folder.path()])).expect("loads");
        assert_eq!(report.events, expected, "{claimed} {found}");
        let before = container(1, 1);
        let (refusal, n_signatures, events) = update("own.cud", &before, &after);
        assert_eq!((refusal, n_signatures), (None, found));
        let told: Vec<_> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Noted { source, note } if source == "own.cud" => Some(note),
                _ => None,
            })
            .collect();
        assert_eq!(told, expected, "{claimed} {found}");
    }
}

/// An empty engine protects nobody: with nothing running a threshold is told only.
#[test]
fn nothing_is_refused_where_nothing_runs() {
    let folder = Folder::of(&[("x.hdb", lines(20, 11, 0))]);
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let heard = Arc::clone(&events);
    let live = Starter::new(&Config::new([folder.path()]))
        .observer(move |event: &Event| heard.lock().unwrap().push(event.clone()))
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(in_force(&live), 20);
    let reason = Refusal::LostLines { lost: 11, lines: 31, allowed: 10 };
    let source = "x.hdb".to_owned();
    let told = Event::SourceRefused { source, reason, kept_previous: false };
    assert!(events.lock().unwrap().contains(&told), "{events:?}");
}

/// A single load has thresholds only if they are asked for.
#[test]
fn a_single_load_refuses_a_file_on_demand() {
    let folder = Folder::of(&[("good.hdb", lines(5, 10, 0)), ("new.hdb", lines(3, 0, 11))]);
    folder.write("bad.hdb", lines(20, 11, 0));
    // What a refused file ignores is not ignored.
    let ignore = (1..=30).map(|n| format!("T.{n}:x:y:z:too many\n"));
    folder.write("bad.ign2", format!("T.1\n{}", ignore.collect::<String>()));
    let config = quahog::Config::new([folder.path()]);
    let (database, report) = Database::load(&config).expect("loads");
    assert!(!report.any_refused());
    assert_eq!(database.signatures().len(), 5 + 20 + 3 - 3, "T.1 is ignored");

    let (database, report) =
        Database::load(&config.clone().thresholds(Thresholds::default())).expect("loads");
    assert_eq!(database.signatures().len(), 5);
    let refused: Vec<_> = report
        .files
        .iter()
        .filter_map(|file| match &file.outcome {
            FileOutcome::Refused { reason, replaced: false } => {
                Some((file.path.file_name()?.to_str()?, reason.as_str()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        refused,
        [
            ("bad.hdb", "11 of 31 lines cannot be read, 10 are allowed"),
            ("bad.ign2", "30 of 31 lines cannot be read, 10 are allowed"),
            ("new.hdb", "11 of 14 lines are for newer engines"),
        ]
    );
    // Why is still told, line by line.
    let of_bad = report.diagnostics.iter().filter(|d| d.source == "bad.hdb");
    assert_eq!(of_bad.count(), 11);

    let mut more = Thresholds::default();
    more.file_lines = 30;
    let (database, report) = Database::load(&config.thresholds(more)).expect("loads");
    assert_eq!((database.signatures().len(), report.any_refused()), (25, false));

    let folder = Folder::of(&[("bad.hdb", lines(20, 11, 0))]);
    let config = quahog::Config::new([folder.path()]).thresholds(Thresholds::default());
    assert!(matches!(Database::load(&config), Err(LoadError::Nothing { report, .. })
        if report.any_refused() && report.diagnostics.len() == 11));
}

/// Loaded, skipped and ignored are all the lines that say something.
#[test]
fn every_line_is_counted_once() {
    let hash = "d41d8cd98f00b204e9800998ecf8427e";
    let folder = Folder::of(&[
        (
            "x.ndb",
            "# comment\n\nT.A:0:*:616263\nT.I:0:*:616263\nT.B:0:*:6x\nT.N:0:*:616263:300\n\
                   T.O:0:*:616263:1:9\nT.U:14:*:616263\n"
                .to_owned(),
        ),
        ("x.ndu", "PUA.A.B:0:*:616263\n".to_owned()),
        ("x.ldb", "T.L;Engine:51-255,Target:0,Container:CL_TYPE_NEW;0;616263\n".to_owned()),
        ("x.hdb", format!("{hash}:*:T.H\n{hash}:0:T.Z\n")),
        ("x.ign2", "T.I\n".to_owned()),
        ("x.cat", "binary".to_owned()),
    ]);
    let (_, report) = Database::load(&quahog::Config::new([folder.path()])).expect("loads");
    for member in report.files.iter().flat_map(|file| &file.members) {
        let Counts {
            lines,
            blank,
            comments,
            admitted,
            ignored,
            newer,
            obsolete,
            pua,
            unused,
            untrusted,
            malformed,
            unknown,
            unsupported,
            not_read,
            refused,
            ..
        } = member.counts;
        let skipped = newer + obsolete + pua + unused + untrusted + refused;
        let lost = malformed + unknown + unsupported + not_read;
        assert_eq!(admitted + ignored + skipped + lost, lines - blank - comments, "{member:?}");
    }
    let Counts { ignored, newer, obsolete, pua, malformed, unknown, not_read, .. } =
        report.counts();
    assert_eq!(
        [ignored, newer, obsolete, pua, malformed, unknown, not_read],
        [1, 1, 1, 1, 2, 1, 1]
    );
}
