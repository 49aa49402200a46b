//! `testdata/scan`: whole scans, as clamscan has them or better.

use std::collections::BTreeSet;

use quahog::{Config, Database, Engine, Live, LoadError, Settings};
use quahog_testkit::Found;

use crate::Folder;

#[test]
fn testdata_scan() {
    quahog_testkit::cases("scan").run(|case| {
        let folder = Folder::new();
        for (name, text) in &case.files {
            folder.write(name, text);
        }
        let (database, _) = Database::load(&Config::new([folder.path()]).strict(true))?;
        let live = Live::new(Engine::new(database.into_signatures()).expect("an engine"));
        let settings = Settings::default().all_matches(!case.first);
        let report = live.scanner_with(settings).scan(case.haystack());
        let found = report.detections().iter().map(|detection| Found {
            name: detection.name().trim_end_matches(".UNOFFICIAL").to_owned(),
            ..Found::default()
        });
        Ok::<_, LoadError>(found.collect())
    });
}

/// The table of quirks names tests that are there, for each of the 28 items.
#[test]
fn every_quirk_has_a_test() {
    let (scan, matches) = (quahog_testkit::cases("scan"), quahog_testkit::cases("match"));
    let cases: BTreeSet<&str> =
        scan.iter().chain(matches.iter()).map(|case| case.name.as_str()).collect();
    let programs = include_str!("programs.rs");
    let table = include_str!("../../src/manual/quirks.md");
    let mut items = BTreeSet::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| ")) {
        let Some((rest, tests)) = row.trim_end_matches(" |").rsplit_once(" | ") else { continue };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            continue;
        }
        items.extend(rest.split(' ').next().and_then(|item| item.parse::<u32>().ok()));
        for name in named {
            let is_there = match (name.strip_prefix("programs::"), name.strip_suffix('*')) {
                (Some(function), _) => programs.contains(&format!("fn {function}()")),
                (None, Some(folder)) => cases.iter().any(|case| case.starts_with(folder)),
                (None, None) => cases.contains(name),
            };
            assert!(is_there, "{name} is no test");
        }
    }
    assert_eq!(items, (1..=28).collect());
}
