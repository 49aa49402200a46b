//! The conformance cases, whole: database files in, names out.

use std::collections::BTreeSet;

use quahog::sig::PuaFilter;
use quahog::{Config, Database, Engine, Limits, Live, Settings};
use quahog_testkit::conformance::{self, Case, Mode, Outcome};

use crate::Folder;

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
        Ok((database, _)) => database.into_signatures(),
        // ClamAV loads nothing from an unknown extension, and says so.
        Err(quahog::LoadError::Nothing { .. }) => return Outcome::Names(BTreeSet::new()),
        Err(error) => return Outcome::LoadError(error.to_string()),
    };
    let live = Live::new(Engine::new(signatures).expect("an engine"));
    let report = live.scanner_with(settings.limits(limits)).scan(&case.input);
    Outcome::Names(report.detections().iter().map(|d| d.name().to_owned()).collect())
}

#[test]
fn every_conformance_case_passes() {
    let Some(cases) = conformance::load().expect("readable cases") else {
        println!("skipped: the conformance cases are not beside this checkout");
        return;
    };
    let score = conformance::run(&cases, |_| true, run);
    println!("{score}");
    assert!(score.is_perfect(), "see the table above");
}
