//! Events: what the operator is told, typed, and never a flood.
//!
//! Every event goes to the [`Observer`] that the caller gave and to `tracing`
//! (target `quahog::live`). Of one kind the first hundred of an hour are told
//! in detail; after that one [`Event::Suppressed`] a minute says how many there
//! were. The library itself writes no log: a full disk of logs was half of the
//! outage of 2008.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::compile::HelperFault;
use crate::database::{Broken, Event as Note, Replayed};

/// Is told what happens. Called on the thread on which it happens, so it
/// should be quick; a panic in it is its own business and stops nothing.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Where a generation came from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// The configured databases.
    Configured,
    /// The state on disk: the configured databases did not prove themselves.
    LastGood,
    /// A roll-back by hand.
    RollBack,
    /// The caller, who proved it by himself.
    Caller,
}

/// Something that happened.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A young signature is found in too many mails.
    FalseAlarm {
        /// Its name.
        name: String,
        /// The share of mails of distinct content that it was found in.
        share: f64,
        /// Whether it was muted for it.
        muted: bool,
    },
    /// The ignore lists name a large share of the signatures.
    Ignored {
        /// How many they leave out.
        ignored: u64,
        /// Of how many.
        of: u64,
    },
    /// A signature is silenced.
    Muted {
        /// Its name.
        name: String,
        /// Its database.
        source: String,
        /// By whom, and why.
        why: String,
    },
    /// A database holds signatures for newer engines.
    Newer {
        /// The database.
        source: String,
        /// The level that it asks for; 0 if only lines do.
        needs: u32,
        /// The level of this engine.
        have: u32,
        /// Lines that were left out for it.
        lines: u64,
    },
    /// A source was read, and something about it is odd.
    Noted {
        /// The file.
        source: String,
        /// What.
        note: Note,
    },
    /// A generation is in force.
    Promoted {
        /// Its number.
        generation: u64,
        /// Its engine.
        fingerprint: String,
        /// Its signatures.
        n_signatures: usize,
        /// Where it came from.
        provenance: Provenance,
    },
    /// A candidate was refused; what ran before goes on.
    Refused {
        /// The candidate; empty if there was none.
        candidate: String,
        /// Why.
        reasons: Vec<Refusal>,
        /// The generation that stays.
        kept: u64,
    },
    /// The generation before was put in force again.
    RolledBack {
        /// The generation that was left.
        from: u64,
        /// The number of the new one.
        generation: u64,
    },
    /// A candidate ran beside the engine in force.
    Shadowed {
        /// Mails compared.
        mails: u64,
        /// Mails newly detected.
        new: u64,
        /// Mails no longer detected.
        lost: u64,
        /// The names newly found, the first hundred, with their counts.
        signatures: BTreeMap<String, u64>,
        /// The candidate's time as a multiple of the running engine's.
        cost: f64,
    },
    /// A source was refused.
    SourceRefused {
        /// The file.
        source: String,
        /// Why.
        reason: Refusal,
        /// Whether its previous version stays in force.
        kept_previous: bool,
    },
    /// A signed database was not renewed for long.
    Stale {
        /// The database.
        source: String,
        /// Seconds since it was made.
        age: u64,
    },
    /// The state cannot be read or written.
    StateFailed {
        /// Why.
        error: String,
    },
    /// A state of another format lies beside ours, and is left as it is.
    StateSetAside {
        /// Where.
        path: PathBuf,
    },
    /// Many events of a kind were counted and not told.
    Suppressed {
        /// The kind, see [`Event::code`].
        kind: String,
        /// How many.
        count: u64,
    },
    /// There is no engine: every scan answers `Unavailable`.
    Unavailable,
    /// A muted signature is heard again.
    Unmuted {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
}

impl Event {
    /// A stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Event::FalseAlarm { .. } => "false-alarm",
            Event::Ignored { .. } => "ignored",
            Event::Muted { .. } => "muted",
            Event::Newer { .. } => "newer",
            Event::Noted { .. } => "noted",
            Event::Promoted { .. } => "promoted",
            Event::Refused { .. } => "refused",
            Event::RolledBack { .. } => "rolled-back",
            Event::Shadowed { .. } => "shadowed",
            Event::SourceRefused { .. } => "source-refused",
            Event::Stale { .. } => "stale",
            Event::StateFailed { .. } => "state-failed",
            Event::StateSetAside { .. } => "state-set-aside",
            Event::Suppressed { .. } => "suppressed",
            Event::Unavailable => "unavailable",
            Event::Unmuted { .. } => "unmuted",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Event::Promoted { .. } | Event::Shadowed { .. } | Event::Unmuted { .. })
    }
}

impl fmt::Display for Event {
    /// One line; names from outside are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::FalseAlarm { name, share, muted } => {
                let done = if *muted { ", and is muted" } else { "" };
                write!(f, "{} is found in {:.1} % of mails{done}", quiet(name), share * 100.0)
            }
            Event::Ignored { ignored, of } => {
                write!(f, "ignore lists leave out {ignored} of {of} signatures")
            }
            Event::Muted { name, source, why } => {
                write!(f, "muted {} of {}: {}", quiet(name), quiet(source), quiet(why))
            }
            Event::Newer { source, needs, have, lines } => {
                write!(f, "{}: {lines} lines are for newer engines", quiet(source))?;
                if needs > have {
                    write!(f, "; it is made for level {needs}, and this engine has {have}")?;
                }
                Ok(())
            }
            Event::Noted { note, .. } => f.write_str(&quiet(&note.to_string())),
            Event::Promoted { generation, fingerprint, n_signatures, provenance } => write!(
                f,
                "generation {generation} is in force: {n_signatures} signatures, {fingerprint}, \
                 {provenance:?}"
            ),
            Event::Refused { reasons, kept, .. } => {
                write!(f, "candidate refused, generation {kept} stays: ")?;
                list(f, reasons)
            }
            Event::RolledBack { from, generation } => {
                write!(f, "rolled back from generation {from}: generation {generation} is in force")
            }
            Event::Shadowed { mails, new, lost, cost, .. } => write!(
                f,
                "candidate in shadow: {mails} mails, {new} newly detected, {lost} no longer, \
                 {cost:.2} times the cost"
            ),
            Event::SourceRefused { source, reason, kept_previous } => {
                let kept = if *kept_previous { "its previous version stays" } else { "left out" };
                write!(f, "{} refused, {kept}: {reason}", quiet(source))
            }
            Event::Stale { source, age } => {
                write!(f, "{} is {} days old", quiet(source), age / 86_400)
            }
            Event::StateFailed { error } => write!(f, "state: {}", quiet(error)),
            Event::StateSetAside { path } => {
                write!(f, "state of another format set aside: {}", quiet(&path.to_string_lossy()))
            }
            Event::Suppressed { kind, count } => write!(f, "{count} more events: {kind}"),
            Event::Unavailable => f.write_str("no engine: nothing can be scanned"),
            Event::Unmuted { name, why } => write!(f, "unmuted {}: {why}", quiet(name)),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, reasons: &[Refusal]) -> fmt::Result {
    for (at, reason) in reasons.iter().take(5).enumerate() {
        write!(f, "{}{reason}", if at == 0 { "" } else { "; " })?;
    }
    match reasons.len().saturating_sub(5) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

/// Text from outside: no control characters, and not too long.
fn quiet(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

/// Why a source or a candidate was refused.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Refusal {
    /// An adversarial input is not done with in time.
    Budget {
        /// The input.
        probe: String,
        /// Milliseconds.
        took: u64,
        /// What it may take.
        allowed: u64,
    },
    /// It cannot be compiled.
    Build {
        /// Why.
        error: String,
    },
    /// Too many old generations are still in use by scans.
    Busy,
    /// A harmless mail was detected.
    CanaryMatched {
        /// The mail.
        probe: String,
        /// The signature.
        signature: String,
        /// Its database.
        source: String,
        /// Its line.
        line: u32,
    },
    /// There is no signature in it.
    Empty,
    /// The helper process that compiles gave no image.
    Helper {
        /// What became of it.
        fault: HelperFault,
        /// What it, or the system, said.
        said: String,
    },
    /// It was refused before, and nothing changed since.
    KnownBad {
        /// The candidate.
        candidate: String,
    },
    /// It is slower than the running engine by too much.
    Latency {
        /// How many times.
        ratio: f64,
        /// What it may be.
        allowed: f64,
    },
    /// Nothing can be loaded.
    Load {
        /// Why.
        error: String,
    },
    /// Too many lines cannot be read.
    LostLines {
        /// Malformed and unknown ones.
        lost: u64,
        /// Of how many.
        lines: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// It would take more memory than it may.
    Memory {
        /// Bytes.
        needs: u64,
        /// What it may take.
        allowed: u64,
    },
    /// A required database is not there.
    Missing {
        /// Its name.
        database: String,
    },
    /// What must be detected was not.
    NotDetected {
        /// The probe.
        probe: String,
    },
    /// Too much of it is for newer engines.
    Outdated {
        /// Lines for newer engines.
        newer: u64,
        /// Of how many.
        lines: u64,
    },
    /// quahog made a mistake: its code panicked.
    Panicked {
        /// What it said.
        message: String,
    },
    /// A signed database that is older than what was in force, or another one of
    /// the same version.
    Replayed {
        /// In which way.
        replayed: Replayed,
    },
    /// The candidate behaves differently on live mail.
    Shadow {
        /// Mails newly detected.
        new: u64,
        /// Mails no longer detected.
        lost: u64,
        /// Of how many.
        mails: u64,
    },
    /// It has far fewer signatures than what is running.
    Shrunk {
        /// What it is about: a file, or empty for the whole.
        source: String,
        /// Signatures running.
        from: u64,
        /// Signatures of the candidate.
        to: u64,
    },
    /// The disk took no copy of it.
    Storage {
        /// Why.
        error: String,
    },
    /// The file cannot be trusted or read.
    Unreadable {
        /// Why.
        error: String,
    },
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Refusal {
        match broken {
            Broken::LostLines { lost, lines, allowed } => {
                Refusal::LostLines { lost, lines, allowed }
            }
            Broken::Outdated { newer, lines } => Refusal::Outdated { newer, lines },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Budget { probe, took, allowed } => {
                write!(f, "`{}` takes {took} ms, {allowed} ms are allowed", quiet(probe))
            }
            Refusal::Build { error } => write!(f, "cannot be compiled: {}", quiet(error)),
            Refusal::Busy => f.write_str("three generations are in use"),
            Refusal::CanaryMatched { probe, signature, source, line } => write!(
                f,
                "the harmless mail `{}` is detected by {} ({}, line {line})",
                quiet(probe),
                quiet(signature),
                quiet(source)
            ),
            Refusal::Empty => f.write_str("has no signatures"),
            Refusal::Helper { fault, said } => {
                let what = match fault {
                    HelperFault::Failed => "failed",
                    HelperFault::Image => "gave no image",
                    HelperFault::Killed => "crashed or was killed",
                    HelperFault::Late => "was not done in time",
                    HelperFault::NotStarted => "could not be started",
                };
                write!(f, "the helper that compiles {what}: {}", quiet(said))
            }
            Refusal::KnownBad { candidate } => write!(f, "{candidate} was refused before"),
            Refusal::Latency { ratio, allowed } => {
                write!(f, "{ratio:.1} times slower, {allowed:.1} are allowed")
            }
            Refusal::Load { error } => write!(f, "cannot be loaded: {}", quiet(error)),
            Refusal::LostLines { lost, lines, allowed } => {
                write!(f, "{lost} of {lines} lines cannot be read, {allowed} are allowed")
            }
            Refusal::Memory { needs, allowed } => {
                write!(f, "needs {} MiB, {} MiB are allowed", needs >> 20, allowed >> 20)
            }
            Refusal::Missing { database } => write!(f, "{} is missing", quiet(database)),
            Refusal::NotDetected { probe } => write!(f, "`{}` is not detected", quiet(probe)),
            Refusal::Outdated { newer, lines } => {
                write!(f, "{newer} of {lines} lines are for newer engines")
            }
            Refusal::Panicked { message } => write!(f, "panicked: {}", quiet(message)),
            Refusal::Replayed { replayed } => write!(f, "{replayed}"),
            Refusal::Shadow { new, lost, mails } => {
                write!(f, "of {mails} mails {new} are newly detected and {lost} no longer")
            }
            Refusal::Shrunk { source, from, to } => {
                let what = if source.is_empty() { "the whole" } else { source };
                write!(f, "{} has {to} signatures, {from} are running", quiet(what))
            }
            Refusal::Storage { error } => write!(f, "cannot be kept: {}", quiet(error)),
            Refusal::Unreadable { error } => f.write_str(&quiet(error)),
        }
    }
}

/// Events of a kind that are told in detail within a window.
const DETAILED: u64 = 100;
/// The window.
const WINDOW: Duration = Duration::from_secs(3_600);
/// How often suppressed ones are summed up.
const INTERVAL: Duration = Duration::from_secs(60);

/// Events of one kind in the window.
#[derive(Debug)]
struct Bucket {
    opened: Instant,
    told: u64,
    held: u64,
    summed: Instant,
}

/// Tells events, and not too many of them.
pub(crate) struct Notices {
    observer: Option<Arc<dyn Observer>>,
    // Kinds are few, and known: the map does not grow.
    buckets: Mutex<BTreeMap<&'static str, Bucket>>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("buckets", &self.buckets).finish_non_exhaustive()
    }
}

impl Notices {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Notices {
        Notices { observer, buckets: Mutex::default() }
    }

    /// Tells an event, or counts it.
    pub(crate) fn tell(&self, event: &Event) {
        metrics::counter!("quahog_events_total", "kind" => event.code()).increment(1);
        let (told, suppressed) = self.admit(event.code(), Instant::now());
        if let Some(count) = suppressed {
            self.pass(&Event::Suppressed { kind: event.code().to_owned(), count });
        }
        if told {
            self.pass(event);
        }
    }

    /// Whether an event of this kind is told now, and how many were not.
    fn admit(&self, kind: &'static str, now: Instant) -> (bool, Option<u64>) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Bucket { opened: now, told: 0, held: 0, summed: now };
        let bucket = buckets.entry(kind).or_insert_with(new);
        if now.duration_since(bucket.opened) >= WINDOW {
            let held = bucket.held;
            *bucket = new();
            bucket.told = 1;
            return (true, (held > 0).then_some(held));
        }
        if bucket.told < DETAILED {
            bucket.told += 1;
            return (true, None);
        }
        bucket.held += 1;
        if now.duration_since(bucket.summed) < INTERVAL {
            return (false, None);
        }
        bucket.summed = now;
        (false, Some(std::mem::take(&mut bucket.held)))
    }

    fn pass(&self, event: &Event) {
        if event.is_warning() {
            tracing::warn!(target: "quahog::live", code = event.code(), "{event}");
        } else {
            tracing::info!(target: "quahog::live", code = event.code(), "{event}");
        }
        if let Some(observer) = &self.observer {
            let call = std::panic::AssertUnwindSafe(|| observer.event(event));
            // Whoever observes must not be able to stop what he observes.
            let _ = std::panic::catch_unwind(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_events_are_a_hundred_lines_and_one_a_minute() {
        let notices = Notices::new(None);
        let start = Instant::now();
        let (mut told, mut counted) = (0u64, 0u64);
        let mut lines = 0u64;
        // One each 0.6 ms: ten minutes of them.
        for n in 0..1_000_000u64 {
            let now = start + Duration::from_micros(600 * n);
            let (is_told, suppressed) = notices.admit("refused", now);
            told += u64::from(is_told);
            counted += suppressed.unwrap_or(0);
            lines += u64::from(is_told) + u64::from(suppressed.is_some());
        }
        assert_eq!(told, 100);
        assert!(counted > 890_000, "{counted}");
        assert!(lines <= 110, "{lines}");
    }

    #[test]
    fn names_from_outside_are_escaped_and_cut() {
        let event = Event::Muted {
            name: format!("A\x1b[2J\n{}", "x".repeat(10_000)),
            source: "a.ndb".to_owned(),
            why: "by hand".to_owned(),
        };
        let line = event.to_string();
        assert!(!line.contains(['\x1b', '\n']), "{line}");
        assert!(line.len() < 600, "{}", line.len());
    }
}
