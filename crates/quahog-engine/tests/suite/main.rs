//! The engine held to the reference interpreter and to the cases.

mod adversarial;
#[path = "../../../../fuzz/bodies/match_agrees.rs"]
mod agreement;
mod certificates;
mod containers;
mod exe;
mod icons;
mod image;
mod literals;
mod segments;
mod yara;

use std::ops::Range;

use quahog_engine::{Engine, Hit};
use quahog_sig::{Error, Severity};
use quahog_testkit::ArbitraryCase;
use quahog_testkit::reference::{self, Options};

use self::agreement::{difference, names, read, scan};

/// Seeds of a random test: the first so many, or those of a soak.
///
/// `QUAHOG_SEEDS=1000000` runs so many, `QUAHOG_FIRST_SEED=5000000` from this one
/// on, so that slices of a soak repeat nothing.
fn seeds(default: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first: u64 = number("QUAHOG_FIRST_SEED").unwrap_or(0);
    first..first.saturating_add(number("QUAHOG_SEEDS").unwrap_or(default))
}

#[test]
fn random_cases_agree_with_the_reference() {
    let seeds = seeds(3_000);
    let mut differing = 0;
    let mut with_matches = 0;
    for seed in seeds.clone() {
        let case = ArbitraryCase::from_seed(seed);
        if let Some(difference) = difference(&case) {
            differing += 1;
            if differing <= 5 {
                println!("seed {seed}: {difference}\n{case:?}\n");
            }
        }
        let database =
            reference::Database::load(&case.files, &Options::default()).expect("lenient");
        with_matches += u64::from(!database.matches(&case.view()).is_empty());
    }
    let n_cases = seeds.end - seeds.start;
    println!("{n_cases} cases, {with_matches} with matches, {differing} differ");
    assert_eq!(differing, 0);
    assert!(with_matches * 4 > n_cases, "the generator makes too few matches");
}

#[test]
fn testdata_match() {
    quahog_testkit::cases("match").run(|case| {
        let (set, refused) = read(&case.files);
        let malformed = |error: &&Error| error.kind().severity() == Severity::Malformed;
        if let Some(error) = refused.values().find(malformed) {
            return Err(*error);
        }
        let engine = Engine::new(set).expect("an engine");
        let hits = scan(&engine, case.haystack(), &case.targets);
        let found = |hit: &Hit| {
            let name = engine.reported_name(hit.segment, hit.id);
            quahog_testkit::Found {
                name: name.strip_suffix(".UNOFFICIAL").unwrap_or(&name).to_owned(),
                spans: hit.span.clone().into_iter().collect(),
                count: None,
            }
        };
        Ok(hits.iter().map(found).collect())
    });
}

#[test]
fn inputs_of_the_fuzz_target_agree() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/regressions/match_agrees");
    let inputs = std::fs::read_dir(folder).expect("inputs of the target");
    let mut n_inputs = 0;
    for input in inputs {
        let path = input.expect("an entry").path();
        println!("{}", path.display());
        agreement::run(&std::fs::read(&path).expect("a readable input"));
        n_inputs += 1;
    }
    assert!(n_inputs > 0);
}
