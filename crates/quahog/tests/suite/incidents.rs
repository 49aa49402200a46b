//! Replays of what took mail down elsewhere: `testdata/incidents`.
//!
//! While an update is offered, another thread scans, a thousand times a second at
//! most: the old generation answers, or the new one, and never nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use md5::{Digest, Md5};
use quahog::live::{Config, Event, Outcome, Starter};
use quahog::{Live, Verdict};
use serde::Deserialize;

use crate::Folder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Incident {
    title: String,
    crash: Option<String>,
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Step {
    #[serde(default)]
    repeat: BTreeMap<String, (String, usize)>,
    #[serde(default)]
    offer: BTreeMap<String, String>,
    #[serde(default)]
    append: BTreeMap<String, String>,
    #[serde(default)]
    container: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    corrupt: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    outcome: String,
    reason: Option<String>,
    #[serde(default)]
    refused_for_cost: Vec<String>,
    #[serde(default)]
    found: Vec<(String, String)>,
    #[serde(default)]
    clean: Vec<String>,
}

fn md5(number: usize) -> [u8; 16] {
    Md5::digest(number.to_string()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of an input: `{7}` stands for the first bytes of the MD5 of 7.
fn input(text: &str) -> Vec<u8> {
    let mut bytes = b".... ".to_vec();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (number, after) = after.split_once('}').expect("a closing brace");
        bytes.extend_from_slice(before.as_bytes());
        bytes.extend_from_slice(&md5(number.parse().expect("a number"))[..4]);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(b" ....");
    bytes
}

impl Step {
    fn write(&self, folder: &Folder) {
        for name in &self.remove {
            std::fs::remove_file(folder.path().join(name)).expect("a file to remove");
        }
        for (name, (line, count)) in &self.repeat {
            let lines = (1..=*count).map(|n| {
                let md5 = md5(n);
                line.replace("{n}", &n.to_string())
                    .replace("{md5}", &hex(&md5))
                    .replace("{hex}", &hex(&md5[..4]))
            });
            folder.write(name, lines.collect::<String>());
        }
        self.offer.iter().for_each(|(name, text)| folder.write(name, text));
        for (name, text) in &self.append {
            let path = folder.path().join(name);
            let before = std::fs::read_to_string(&path).expect("a file to append to");
            folder.write(name, before + text);
        }
        for (name, members) in &self.container {
            let stem = name.split('.').next().expect("a name");
            let mut builder = quahog_cvd::write::Builder::new(stem);
            for (member, text) in members {
                builder = builder.member(member, text.as_bytes());
            }
            folder.write(name, builder.cud().expect("a container"));
        }
        for name in &self.corrupt {
            let path = folder.path().join(name);
            let mut bytes = std::fs::read(&path).expect("a file to turn a bit of");
            let middle = 512 + (bytes.len() - 512) / 2;
            bytes[middle] ^= 4;
            folder.write(name, bytes);
        }
    }
}

fn found(live: &Live, text: &str) -> Option<String> {
    let report = live.scanner().scan(&input(text));
    match report.verdict() {
        Verdict::Clean => None,
        Verdict::Infected(found) => Some(found.name().to_owned()),
        Verdict::Unavailable => panic!("no engine"),
    }
}

fn replay(file: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/incidents");
    let text = std::fs::read_to_string(root.join(file)).expect("an incident");
    let incident: Incident = toml::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
    let folder = Folder::new();
    let state = Folder::new();
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let mut live: Option<Live> = None;
    let mut before: Vec<(String, String)> = Vec::new();
    for (number, step) in incident.step.iter().enumerate() {
        let place = format!("{}, step {}", incident.title, number + 1);
        let old = live.as_ref().map(|live| live.snapshot().generation());
        events.lock().unwrap().clear();
        step.write(&folder);
        let outcome = match &live {
            None => {
                let heard = Arc::clone(&events);
                let mut config = Config::new([folder.path()]).state(state.path());
                // Not optimised, 256 KiB take seconds.
                config.proof.adversarial_size = 32 << 10;
                let mut starter = Starter::new(&config)
                    .observer(move |event: &Event| heard.lock().unwrap().push(event.clone()));
                if let Some(token) = incident.crash.clone() {
                    starter = starter.check("no crash", move |scanner| {
                        let report = scanner.scan(&input(&token));
                        assert!(report.detections().is_empty(), "the engine crashes");
                        Ok(())
                    });
                }
                live = Some(starter.start().unwrap_or_else(|e| panic!("{place}: {e}")));
                "promoted"
            }
            Some(live) => {
                // What is found before and after is found all the time.
                let always: Vec<_> = before.iter().filter(|f| step.found.contains(f)).collect();
                let done = AtomicBool::new(false);
                let scans = AtomicU64::new(0);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) || scans.load(Ordering::Relaxed) < 10 {
                            for (text, name) in &always {
                                let name = format!("{name}.UNOFFICIAL");
                                assert_eq!(found(live, text), Some(name), "{place}: while offered");
                            }
                            scans.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    });
                    let outcome = live.reload().wait(Some(Duration::from_secs(120)));
                    let again = live.reload().wait(Some(Duration::from_secs(120)));
                    done.store(true, Ordering::Relaxed);
                    match (outcome.expect("an answer"), again.expect("an answer")) {
                        (Outcome::Promoted { .. }, Outcome::Unchanged) => "promoted",
                        (Outcome::Refused(_), Outcome::Refused(again)) => {
                            // What failed once is not tried again.
                            assert_eq!(again.reasons().len(), 1, "{place}: {again}");
                            assert!(
                                again.to_string().contains("refused before"),
                                "{place}: {again}"
                            );
                            "refused"
                        }
                        other => panic!("{place}: {other:?}"),
                    }
                })
            }
        };
        let events = events.lock().unwrap().clone();
        let told = serde_json::to_string(&events).expect("events are JSON");
        assert_eq!(outcome, step.outcome, "{place}: {told}");
        if let Some(reason) = &step.reason {
            assert!(told.contains(&format!("\"{reason}\"")), "{place}: {told}");
        }
        if outcome == "refused" {
            let n_refused = events.iter().filter(|event| event.code() == "refused").count();
            assert_eq!(n_refused, 1, "{place}: one event, never a loop: {told}");
        }
        let live = live.as_ref().expect("started");
        let generation = live.snapshot().generation();
        match old {
            Some(old) if outcome == "refused" => assert_eq!(generation, old, "{place}"),
            _ => assert_eq!(generation, old.unwrap_or(0) + 1, "{place}: {told}"),
        }
        for (text, name) in &step.found {
            let name = format!("{name}.UNOFFICIAL");
            assert_eq!(found(live, text), Some(name), "{place}: {told}");
        }
        for text in &step.clean {
            assert_eq!(found(live, text), None, "{place}: {text}");
        }
        if !step.refused_for_cost.is_empty() {
            let candidate = quahog::live::Candidate::build(
                &Config::new([folder.path()]),
                &Live::empty().snapshot(),
            );
            let report = candidate.expect("a candidate").report().clone();
            let names: Vec<_> = report.refused.iter().map(|r| r.name.clone()).collect();
            assert_eq!(names, step.refused_for_cost, "{place}");
            assert_eq!(report.counts().refused, names.len() as u64, "{place}");
        }
        before.clone_from(&step.found);
    }
    // A restart answers as before, though nothing but the state is left.
    drop(live);
    let empty = Folder::new();
    let mut config = Config::new([folder.path()]).state(state.path());
    std::fs::rename(folder.path(), empty.path().join("gone")).expect("a folder to hide");
    config.database.paths = vec![PathBuf::from(folder.path())];
    let live = Live::start(&config).expect("a start from the state");
    for (text, name) in &before {
        let name = format!("{name}.UNOFFICIAL");
        assert_eq!(found(&live, text), Some(name), "{}: after a restart", incident.title);
    }
}

#[test]
fn incident_2008_incremental_update() {
    replay("2008-incremental.toml");
}

/// Half of 2008 was a typing error in the configuration: it changes nothing.
#[test]
fn incident_2008_configuration_typo() {
    let text = "[database]\npaths = [\"/var/lib/clamav\"]\nofficial_only = true\n";
    let error = Config::from_toml(text).unwrap_err();
    assert_eq!((error.line(), error.column()), (3, 1));
    assert!(error.to_string().contains("unknown field `official_only`"), "{error}");
}

#[test]
fn incident_2010_new_format() {
    replay("2010-new-format.toml");
}

#[test]
fn incident_2017_short_pattern() {
    replay("2017-short-pattern.toml");
}

#[test]
fn incident_2021_truncated_updates() {
    replay("2021-truncated-diff.toml");
}

#[test]
fn incident_2023_05_crash_while_scanning() {
    replay("2023-05-crash-while-scanning.toml");
}

#[test]
fn incident_2023_11_corrupt_daily() {
    replay("2023-11-corrupt-daily.toml");
}

#[test]
fn incident_2024_07_one_field_more() {
    replay("2024-07-one-field-more.toml");
}

#[test]
fn incident_matches_everything() {
    replay("matches-everything.toml");
}

#[test]
fn incident_costs_everything() {
    replay("costs-everything.toml");
}
