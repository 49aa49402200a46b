//! The engine in force and its replacement.

use std::sync::atomic::{AtomicBool, Ordering};

use quahog::{Completeness, Engine, Live, Settings, Verdict, scan_batch};

use crate::{Folder, live, load, names};

const INPUT: &[u8] = b"....token-a....";

fn generation(number: u32) -> Engine {
    let line = format!("Gen.{number}:0:*:746f6b656e2d61\n");
    let (database, _) = load(&Folder::of(&[("x.ndb", line)])).expect("a database");
    Engine::new(database.into_signatures()).expect("an engine")
}

#[test]
fn no_engine_is_unavailable_and_not_clean() {
    let live = Live::empty();
    let report = live.scanner().scan(INPUT);
    assert_eq!(report.verdict(), Verdict::Unavailable);
    assert!(matches!(report.completeness(), Completeness::Incomplete(_)));
    assert_eq!(report.fingerprint(), None);
    assert_eq!(live.replace(generation(1)), 1);
    assert_eq!(names(&live.scanner().scan(INPUT)), ["Gen.1.UNOFFICIAL"]);
}

#[test]
fn a_scanner_notices_a_promotion_before_the_next_message() {
    let live = Live::new(generation(0));
    let mut scanner = live.scanner();
    let before = scanner.scan(INPUT);
    live.replace(generation(1));
    let after = scanner.scan(INPUT);
    assert_eq!((names(&before), before.generation()), (vec!["Gen.0.UNOFFICIAL"], 0));
    assert_eq!((names(&after), after.generation()), (vec!["Gen.1.UNOFFICIAL"], 1));
    assert_ne!(before.fingerprint(), after.fingerprint());
}

#[test]
fn every_report_is_of_one_generation_while_engines_change() {
    let engines: Vec<Engine> = (0..4).map(generation).collect();
    let live = Live::new(engines[0].clone());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut scanner = live.scanner();
                    let mut last = 0;
                    while !done.load(Ordering::Relaxed) {
                        let report = scanner.scan(INPUT);
                        let number = report.generation() % 4;
                        assert_eq!(names(&report), [format!("Gen.{number}.UNOFFICIAL")]);
                        assert!(report.generation() >= last, "generations go forward");
                        last = report.generation();
                    }
                })
            })
            .collect();
        for round in 1..2_000 {
            assert_eq!(live.replace(engines[round % 4].clone()), round as u64);
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("no reader fails"));
    });
}

#[test]
fn a_batch_answers_in_order() {
    let folder = Folder::of(&[("x.ndb", "T:0:*:746f6b656e2d61\n")]);
    let inputs: Vec<Vec<u8>> = (0..100)
        .map(|n| if n % 3 == 0 { INPUT.to_vec() } else { b"nothing here".to_vec() })
        .collect();
    let reports = scan_batch(&live(&folder), &Settings::default(), &inputs);
    for (n, report) in reports.iter().enumerate() {
        assert_eq!(report.detections().len(), usize::from(n % 3 == 0));
    }
}

#[test]
fn equal_databases_have_equal_fingerprints() {
    let fingerprint = |text: &str| {
        let (database, _) = load(&Folder::of(&[("x.ndb", text)])).expect("a database");
        Engine::new(database.into_signatures()).expect("an engine").fingerprint()
    };
    let one = fingerprint("A:0:*:616263\n");
    assert_eq!(one, fingerprint("A:0:*:616263\n"));
    for other in ["B:0:*:616263\n", "A:0:*:616264\n", "A:2:*:616263\n", "A:0:7:616263\n"] {
        assert_ne!(one, fingerprint(other), "{other}");
    }
}
