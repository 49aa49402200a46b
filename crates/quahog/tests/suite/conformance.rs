//! The conformance cases, whole: database files in, names out.

use std::collections::BTreeSet;

use quahog::sig::PuaFilter;
use quahog::{Config, Database, Engine, Limits, Live, Settings};
use quahog_testkit::conformance::{self, Case, Mode, Outcome};

use crate::Folder;

/// Areas whose cases all pass; the rest is printed and not asserted yet.
const COMPLETE: &[&str] = &[
    "body.",
    "ndb.",
    "db.",
    "ldb.bcomp",
    "ldb.count",
    "ldb.expr",
    "ldb.fuzzy",
    "ldb.macro",
    "ldb.mod",
    "ldb.pcre",
    "ldb.tdb",
    "hash",
    "fp",
    "order",
    "ign",
    "pe",
    "elf",
    "cdb",
    "phish",
    "limits",
    "ftm",
    "container",
    "mail",
    "yara",
];

fn complete(area: &str) -> bool {
    COMPLETE.iter().any(|prefix| area.starts_with(prefix))
}

fn run(case: &Case) -> Outcome {
    let folder = Folder::new();
    for (name, text) in &case.files {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        folder.write(name, format!("{text}{end}"));
    }
    let mut settings = Settings::default().all_matches(case.mode == Mode::All);
    let mut pua = PuaFilter::default();
    let mut limits = Limits::default();
    for argument in &case.args {
        let (option, value) = argument.split_once('=').unwrap_or((argument, ""));
        let number = || value.parse().unwrap_or(u64::MAX);
        match option {
            "--detect-pua" => pua.enabled = value == "yes",
            "--exclude-pua" => pua.exclude.push(value.to_owned()),
            "--include-pua" => pua.include.push(value.to_owned()),
            "--max-filesize" => limits.part_bytes = number(),
            // The input is a file, too.
            "--max-files" => limits.parts = (number() as u32).saturating_sub(1),
            "--alert-exceeds-max" => settings.alert_exceeded_limits = value == "yes",
            "--max-recursion" => settings.recursion = Some(number() as u32),
            _ => return Outcome::Unsupported(format!("option {argument}")),
        }
    }
    let config = Config::new([folder.path()]).strict(true).pua(pua);
    let signatures = match Database::load(&config) {
        Ok((database, report)) => {
            let counts = report.counts();
            // In the complete areas the verdict counts, however it came about.
            if counts.unsupported + counts.not_read > 0 && !complete(&case.area) {
                return Outcome::Unsupported(counts.to_string());
            }
            database.into_signatures()
        }
        // ClamAV loads nothing from an unknown extension, and says so.
        Err(quahog::LoadError::Nothing { .. }) => return Outcome::Names(BTreeSet::new()),
        Err(error) => return Outcome::LoadError(error.to_string()),
    };
    let live = Live::new(Engine::new(signatures).expect("an engine"));
    let report = live.scanner_with(settings.limits(limits)).scan(&case.input);
    Outcome::Names(report.detections().iter().map(|d| d.name().to_owned()).collect())
}

#[test]
fn conformance_cases_pass_in_the_areas_that_are_complete() {
    let Some(cases) = conformance::load().expect("readable cases") else {
        println!("skipped: the conformance cases are not beside this checkout");
        return;
    };
    let score = conformance::run(&cases, complete, run);
    println!("{score}");
    let rest = conformance::run(&cases, |area| !complete(area), run);
    println!("not asserted yet:\n{rest}");
    assert!(score.is_perfect(), "see the table above");
}
