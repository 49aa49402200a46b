//! The conformance cases of the specification, and a score over them.
//!
//! The cases stand beside the workspace, in `../shared/spec/conformance`; they
//! were recorded from clamscan 1.4.6 and are no part of this project. Where
//! they are absent, [`load`] says so and tests skip.
//!
//! ```no_run
//! use quahog_testkit::conformance::{self, Outcome};
//!
//! let cases = conformance::load()?.expect("present");
//! let score = conformance::run(&cases, |area| area.starts_with("body."), |case| {
//!     Outcome::Unsupported(format!("cannot load {:?}", case.files.keys()))
//! });
//! println!("{score}");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;

/// One recorded case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Identification, such as `body.gap-053`.
    pub id: String,
    /// The construct it is about, such as `body.gap`.
    pub area: String,
    /// A remark.
    pub note: String,
    /// Observed, but odd.
    pub quirk: bool,
    /// Database files: name and full text. An empty text is a file without any
    /// line.
    pub files: BTreeMap<String, String>,
    /// The scanned bytes.
    pub input: Vec<u8>,
    /// Options in force, as the command line of clamscan spells them.
    pub args: Vec<String>,
    /// All matches or the first.
    pub mode: Mode,
    /// The recorded names.
    pub expect: BTreeSet<String>,
    /// The database set has to be refused.
    pub load_error: bool,
    /// What quahog reports instead of `expect`, where the scanner that was
    /// recorded loses a match through a limit of its own.
    pub better: Option<BTreeSet<String>>,
}

/// How many names are wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Every distinct name.
    #[default]
    All,
    /// The first strong one.
    First,
}

/// What an implementation makes of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The database set was refused, and why.
    LoadError(String),
    /// The names that are reported.
    Names(BTreeSet<String>),
    /// The implementation does not do this yet.
    Unsupported(String),
}

/// A case that did not come out as recorded.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case.
    pub id: String,
    /// Remark of the case.
    pub note: String,
    /// What was recorded (or is better).
    pub want: String,
    /// What came out.
    pub got: Outcome,
}

/// Results of many cases; `Display` draws a table and lists the failures.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Results by area.
    pub areas: BTreeMap<String, Tally>,
    /// All that failed.
    pub failures: Vec<Failure>,
    /// Cases that gave the recorded names although better ones are known.
    pub recorded_only: Vec<String>,
}

/// Results of one area.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// As wanted.
    pub passed: usize,
    /// Not as wanted.
    pub failed: usize,
    /// Not done by the implementation.
    pub unsupported: usize,
}

/// Reads all cases, or `None` where the file is absent.
///
/// # Errors
///
/// If the file is there but cannot be read or understood.
pub fn load() -> io::Result<Option<Vec<Case>>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/spec/conformance/basic.jsonl");
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(Case::parse)
        .collect::<io::Result<_>>()
        .map(Some)
}

/// Runs the cases whose area passes `filter`.
pub fn run(
    cases: &[Case],
    filter: impl Fn(&str) -> bool,
    mut outcome: impl FnMut(&Case) -> Outcome,
) -> Score {
    let mut score = Score::default();
    for case in cases.iter().filter(|case| filter(&case.area)) {
        let got = outcome(case);
        let tally = score.areas.entry(case.area.clone()).or_default();
        if matches!(got, Outcome::Unsupported(_)) {
            tally.unsupported += 1;
        } else if case.accepts(&got) {
            tally.passed += 1;
            if case.better.is_some() && got == Outcome::Names(case.expect.clone()) {
                score.recorded_only.push(case.id.clone());
            }
            continue;
        } else {
            tally.failed += 1;
        }
        score.failures.push(Failure {
            id: case.id.clone(),
            note: case.note.clone(),
            want: case.want(),
            got,
        });
    }
    score
}

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    id: String,
    area: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    quirk: bool,
    files: BTreeMap<String, String>,
    #[serde(default)]
    input_hex: String,
    input_rle: Option<Vec<(String, usize)>>,
    #[serde(default)]
    args: Vec<String>,
    mode: Option<String>,
    #[serde(default)]
    expect: BTreeSet<String>,
    #[serde(default)]
    load_error: bool,
    better: Option<BTreeSet<String>>,
}

impl Case {
    fn parse(line: &str) -> io::Result<Case> {
        let line: Line = serde_json::from_str(line)?;
        let mut input = Vec::new();
        for (text, times) in line.input_rle.unwrap_or_else(|| vec![(line.input_hex, 1)]) {
            let bytes = crate::hex(&text)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "input is not hex"))?;
            for _ in 0..times {
                input.extend_from_slice(&bytes);
            }
        }
        let mode = if line.mode.as_deref() == Some("first") { Mode::First } else { Mode::All };
        Ok(Case {
            id: line.id,
            area: line.area,
            note: line.note,
            quirk: line.quirk,
            files: line.files,
            input,
            args: line.args,
            mode,
            expect: line.expect,
            load_error: line.load_error,
            better: line.better,
        })
    }

    /// Whether an outcome passes: the recorded one or a better one.
    pub fn accepts(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::LoadError(_) => self.load_error,
            Outcome::Names(names) => {
                !self.load_error && (*names == self.expect || self.better.as_ref() == Some(names))
            }
            Outcome::Unsupported(_) => false,
        }
    }

    fn want(&self) -> String {
        match &self.better {
            _ if self.load_error => "load error".to_owned(),
            Some(better) => format!("{better:?} (recorded: {:?})", self.expect),
            None => format!("{:?}", self.expect),
        }
    }
}

impl Score {
    /// Whether every case passed.
    pub fn is_perfect(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>6} {:>6} {:>11}", "area", "passed", "failed", "unsupported")?;
        let mut total = Tally::default();
        for (area, tally) in &self.areas {
            writeln!(f, "{area:<16} {tally}")?;
            total.passed += tally.passed;
            total.failed += tally.failed;
            total.unsupported += tally.unsupported;
        }
        writeln!(f, "{:<16} {total}", "total")?;
        for failure in &self.failures {
            let Failure { id, note, want, got } = failure;
            writeln!(f, "{id}: want {want}, got {got:?} ({note})")?;
        }
        if !self.recorded_only.is_empty() {
            writeln!(f, "as recorded, though better is known: {}", self.recorded_only.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} {:>6} {:>11}", self.passed, self.failed, self.unsupported)
    }
}
