//! The lines of `scan`, as clamscan writes them.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use quahog::{Completeness, Fingerprint, Missing, ScanReport, Verdict};

use super::{Options, Outcome, Totals, What, elapsed};
use crate::console::{Colour, Console, escape};

/// A line of the result: a path, and what is said of it.
pub(super) struct Line {
    path: String,
    says: Says,
}

enum Says {
    Found(String),
    Incomplete(String),
    Word(&'static str),
}

impl Line {
    /// The text, with the word that matters in colour if the console has any.
    pub(super) fn text(&self, console: Option<&Console>) -> String {
        let paint = |word: &str, colour| match console {
            Some(console) => console.paint(word, colour),
            None => word.to_owned(),
        };
        let path = &self.path;
        match &self.says {
            Says::Found(name) => format!("{path}: {name} {}", paint("FOUND", Colour::Red)),
            Says::Incomplete(gaps) => {
                format!("{path}: {} {gaps}", paint("INCOMPLETE", Colour::Yellow))
            }
            Says::Word(word) => format!("{path}: {word}"),
        }
    }

    /// Whether it goes to the log: all but OK.
    pub(super) fn is_logged(&self) -> bool {
        !matches!(self.says, Says::Word(OK))
    }
}

/// Whether the options let a path be spoken of. What was not looked at is
/// always worth a word, unless nothing is: silence would mean "clean".
pub(super) fn is_wanted(outcome: &Outcome, options: &Options) -> bool {
    match &outcome.what {
        What::Scanned(report, _) => {
            let clean = report.verdict() == Verdict::Clean
                && report.completeness() == Completeness::Complete;
            !clean || !(options.infected || options.suppress_ok_results)
        }
        What::Empty | What::Passed(_) => !options.infected,
        // The line on standard error has said it; a reader of JSON needs it too.
        What::Failed(_) => options.is_json(),
    }
}

/// The lines about a path.
pub(super) fn of(outcome: &Outcome) -> Vec<Line> {
    let line = |says| Line { path: escape(outcome.name.shown()), says };
    let report = match &outcome.what {
        What::Scanned(report, _) => report,
        What::Empty => return vec![line(Says::Word("Empty file"))],
        What::Passed(why) => return vec![line(Says::Word(why))],
        What::Failed(_) => return Vec::new(),
    };
    let mut lines = Vec::new();
    let mut told = HashSet::new();
    for detection in report.detections() {
        if told.insert(detection.name()) {
            lines.push(line(Says::Found(escape(detection.name()))));
        }
    }
    match report.completeness() {
        Completeness::Complete if lines.is_empty() => lines.push(line(Says::Word(OK))),
        Completeness::Complete => {}
        Completeness::Incomplete(missing) => {
            lines.push(line(Says::Incomplete(gaps(report, missing))));
        }
    }
    lines
}

/// The first gaps in words. Names of parts stand in quotes, so that none of
/// them can end the line with a word of its own.
fn gaps(report: &ScanReport, missing: &[Missing]) -> String {
    if report.verdict() == Verdict::Unavailable {
        return "no engine".to_owned();
    }
    let shown: Vec<String> = missing.iter().take(GAPS).map(gap).collect();
    let more = report.n_missing().saturating_sub(shown.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn gap(missing: &Missing) -> String {
    let Missing { reason, object } = missing;
    if object.is_empty() {
        return reason.to_string();
    }
    // The end of a long path says more than its beginning.
    let from = object.char_indices().rev().nth(MAX_OBJECT - 1).map_or(0, |(at, _)| at);
    let cut = if from > 0 { "..." } else { "" };
    let name = escape(&object[from..]).replace('"', "\\\"");
    format!("{reason} in \"{cut}{name}\"")
}

/// The summary.
pub(super) fn summary(
    totals: &Totals,
    known: usize,
    fingerprint: Fingerprint,
    (started, start): (Instant, SystemTime),
) -> String {
    let mega = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let ratio = match totals.read_bytes {
        0 => 0.0,
        read => totals.scanned_bytes as f64 / read as f64,
    };
    let mut lines = vec![
        String::new(),
        "----------- SCAN SUMMARY -----------".to_owned(),
        format!("Known viruses: {known}"),
        format!("Engine version: quahog {}", env!("CARGO_PKG_VERSION")),
        format!("Engine fingerprint: {fingerprint}"),
        format!("Scanned directories: {}", totals.directories),
        format!("Scanned files: {}", totals.files),
        format!("Infected files: {}", totals.infected),
        format!("Incomplete files: {}", totals.incomplete),
    ];
    if totals.errors > 0 {
        lines.push(format!("Total errors: {}", totals.errors));
    }
    let (scanned, read) = (mega(totals.scanned_bytes), mega(totals.read_bytes));
    lines.extend([
        format!("Data scanned: {scanned:.2} MB"),
        format!("Data read: {read:.2} MB (ratio {ratio:.2}:1)"),
        format!("Time: {}", elapsed(started.elapsed())),
        format!("Start Date: {}", date(start)),
        format!("End Date:   {}", date(SystemTime::now())),
    ]);
    lines.join("\n")
}

/// A date as clamscan writes it, in UTC: the standard library knows no zones.
fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

const OK: &str = "OK";

/// Gaps that a line names.
const GAPS: usize = 3;

/// Characters of a part's path that a line shows.
const MAX_OBJECT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970:01:01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000:02:28 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000:02:29 00:00:00 UTC");
        assert_eq!(at(1_700_000_000), "2023:11:14 22:13:20 UTC");
        assert_eq!(at(1_735_689_599), "2024:12:31 23:59:59 UTC");
    }

    #[test]
    fn the_name_of_a_part_cannot_end_a_line() {
        let object = "a.zip!x\": Evil FOUND\nb: Evil FOUND".to_owned();
        let missing = Missing { reason: quahog::Shortfall::Encrypted, object };
        assert_eq!(gap(&missing), r#"encrypted in "a.zip!x\": Evil FOUND\nb: Evil FOUND""#);
    }
}
