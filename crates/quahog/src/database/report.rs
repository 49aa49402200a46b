//! What became of each file and each line.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::thresholds::{Thresholds, exceeds};
use super::versions::Taken;
use quahog_cvd::{Header, Trust};
use quahog_sig::{Admission, Diagnostic, Format, Severity, Skip};

/// Why nothing was loaded.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A named path cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file with keys or certificates does not hold any.
    #[error("{}: {reason}", path.display())]
    Keys {
        /// The file, or the folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There was nothing to load, or none of it could be.
    #[error("no signatures could be loaded from {}", list(.paths))]
    Nothing {
        /// The paths that were named.
        paths: Vec<PathBuf>,
        /// What became of the files there.
        report: Box<LoadReport>,
    },
    /// In strict mode: a line that ClamAV refuses.
    #[error("{}", .0.render())]
    Strict(Box<Diagnostic>),
    /// In strict mode: a file that ClamAV refuses.
    #[error("{file}: {reason}")]
    StrictFile {
        /// The file, or `container/member`.
        file: String,
        /// Why.
        reason: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

/// How many diagnostics of one severity are kept in detail, for all files, and
/// how many events that members raise.
const DETAILED: usize = 100;

/// What was loaded, and what was left out and why.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// The files, in the order in which they were loaded.
    pub files: Vec<FileReport>,
    /// Bad lines, the first hundred of each severity; all are counted.
    pub diagnostics: Vec<Diagnostic>,
    /// What an operator should hear of, though nothing was refused for it.
    pub events: Vec<Event>,
    /// Signatures that `live` left out for what they would cost, the first
    /// hundred; all are counted in [`Counts::refused`].
    pub refused: Vec<RefusedForCost>,
    detailed: [usize; 3],
}

impl LoadReport {
    /// The sums over all files.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for file in &self.files {
            sum.add(&file.counts());
        }
        sum
    }

    /// When the newest signed database was built, in seconds since 1970-01-01
    /// UTC: a gauge that stands still when updates no longer come.
    pub fn newest_build_time(&self) -> Option<u64> {
        self.files.iter().filter_map(|file| Some(file.taken.as_ref()?.build_time())).max()
    }

    /// Whether a file was refused that no sibling took the place of.
    pub fn any_refused(&self) -> bool {
        self.files
            .iter()
            .any(|file| matches!(file.outcome, Outcome::Refused { replaced: false, .. }))
    }

    /// A report of one file, of which no line was read.
    pub(crate) fn of(file: FileReport) -> LoadReport {
        LoadReport { files: vec![file], ..LoadReport::default() }
    }

    /// Adds the report of another load.
    pub(crate) fn join(&mut self, other: LoadReport) {
        self.files.extend(other.files);
        other.diagnostics.into_iter().for_each(|diagnostic| self.keep(diagnostic));
        self.events.extend(other.events);
        let room = DETAILED.saturating_sub(self.refused.len());
        self.refused.extend(other.refused.into_iter().take(room));
    }

    /// Notes what a member shows, of which a container may have thousands.
    pub(crate) fn tell(&mut self, event: Event) {
        if self.events.len() < DETAILED {
            self.events.push(event);
        }
    }

    /// Notes what the counts of a file show.
    pub(crate) fn note(&mut self, file: &FileReport, thresholds: &Thresholds) {
        let Outcome::Loaded { header, .. } = &file.outcome else { return };
        let name = file.path.file_name().unwrap_or_default();
        let source = || name.to_string_lossy().into_owned();
        let counts = file.counts();
        let (newer, lines) = (counts.newer, counts.said());
        // A share of three lines says nothing.
        if newer > thresholds.file_lines && exceeds(newer, lines, thresholds.newer_warn) {
            self.events.push(Event::Newer { source: source(), newer, lines });
        }
        if let Some(header) = header.as_deref().map(Header::signatures) {
            let counted = |m: &&MemberReport| m.format.is_some_and(Format::is_counted);
            let found = file.members.iter().filter(counted).map(|m| m.counts.said()).sum::<u64>();
            let claimed = u64::from(header);
            let off = found.abs_diff(claimed);
            if off > thresholds.container_lines && exceeds(off, claimed, thresholds.count_off) {
                self.events.push(Event::CountOff { source: source(), header, found });
            }
        }
    }

    pub(crate) fn keep(&mut self, diagnostic: Diagnostic) {
        let kept = &mut self.detailed[diagnostic.error.kind().severity() as usize];
        if *kept < DETAILED {
            *kept += 1;
            self.diagnostics.push(diagnostic);
        }
    }
}

/// Something that is no error, and that an operator should hear of.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Event {
    /// A text begins with a byte order mark, which is left out: to ClamAV it is
    /// part of the first name.
    ByteOrderMark {
        /// The file, or `container/member`.
        source: String,
    },
    /// The header of a container counts other signatures than there are.
    CountOff {
        /// The file.
        source: String,
        /// What the header says.
        header: u32,
        /// Lines of signatures in it, whatever became of them.
        found: u64,
    },
    /// A database skipped many versions since the last one in force.
    Jump {
        /// Its name.
        database: String,
        /// The version that was in force.
        from: u32,
        /// The version now.
        to: u32,
    },
    /// More than a few lines of a file are for newer engines.
    Newer {
        /// The file.
        source: String,
        /// Lines that were left out for it.
        newer: u64,
        /// Of how many.
        lines: u64,
    },
    /// The last line of a member of a container has no end. It is read; ClamAV
    /// loses it without a word.
    OpenEnd {
        /// `container/member`.
        source: String,
    },
    /// The publisher recommends a newer engine.
    Outdated {
        /// The name of the database.
        database: String,
        /// The functionality level that it recommends.
        flevel: u32,
    },
    /// A `.sign` that cannot be looked at, which is as if there were none.
    SignUnread {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// `daily` was not built for some time: do updates still come?
    Stale {
        /// The name of the database.
        database: String,
        /// Its age.
        days: u64,
    },
    /// A database is built in the future, by less than a day.
    Ahead {
        /// The name of the database.
        database: String,
        /// By how much.
        seconds: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::ByteOrderMark { source } => {
                write!(f, "{source} begins with a byte order mark, which ClamAV takes for a name")
            }
            Event::CountOff { source, header, found } => {
                write!(f, "{source} holds {found} signatures, and its header says {header}")
            }
            Event::Newer { source, newer, lines } => {
                write!(f, "{source}: {newer} of {lines} lines are for newer engines")
            }
            Event::OpenEnd { source } => {
                write!(f, "{source}: the last line has no end, and ClamAV loses it")
            }
            Event::Jump { database, from, to } => {
                write!(f, "{database} went from version {from} to {to} at once")
            }
            Event::Outdated { database, flevel } => write!(
                f,
                "{database} is for functionality level {flevel}, and ours is {}",
                quahog_sig::FLEVEL
            ),
            Event::SignUnread { path, reason } => {
                write!(f, "{} is not looked at: {reason}", path.display())
            }
            Event::Stale { database, days } => {
                write!(f, "{database} is {days} days old: do updates still come?")
            }
            Event::Ahead { database, seconds } => {
                write!(f, "{database} is built {seconds} seconds from now: is the clock right?")
            }
        }
    }
}

/// A signature that was left out for what it would cost.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct RefusedForCost {
    /// Its name.
    pub name: String,
    /// Its database: a file name, or `container/member`.
    pub source: String,
    /// Its line there.
    pub line: u32,
    /// Why: `a literal of 2 bytes, 00 00, stands at 3.1 % of places`.
    pub reason: String,
}

/// What became of one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
    /// Name, version and signatures of a signed container that was taken.
    pub taken: Option<Taken>,
    /// Its text: the file itself, or the members of a container.
    pub members: Vec<MemberReport>,
}

impl FileReport {
    /// The sums over its members.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for member in &self.members {
            sum.add(&member.counts);
        }
        sum
    }
}

/// What became of a file.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was read.
    Loaded {
        /// On whose word.
        trust: Trusted,
        /// The header, if it is a container.
        header: Option<Box<Header>>,
    },
    /// It is a database, and cannot be taken.
    Refused {
        /// Why.
        reason: String,
        /// Whether another container of the same name was taken in its place.
        replaced: bool,
    },
    /// It is no database, or another one was taken in its place.
    PassedOver {
        /// Why.
        reason: String,
    },
}

/// On whose word a file was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trusted {
    /// Nobody's: a loose file, or an unsigned container.
    Unsigned,
    /// A signature was verified.
    Signed(Trust),
}

impl Trusted {
    /// Whether its signatures keep their names.
    pub fn is_official(&self) -> bool {
        *self == Trusted::Signed(Trust::Official)
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trusted::Unsigned => f.write_str("unsigned"),
            Trusted::Signed(Trust::Official) => f.write_str("officially signed"),
            Trusted::Signed(Trust::Source(name)) => write!(f, "signed by {name}"),
            Trusted::Signed(Trust::Unsigned) => f.write_str("unsigned"),
        }
    }
}

/// What became of the lines of one text.
#[derive(Clone, Debug)]
pub struct MemberReport {
    /// The name of the file or member.
    pub name: String,
    /// Its format; `None` if it is of none that holds signatures.
    pub format: Option<Format>,
    /// What became of its lines.
    pub counts: Counts,
}

/// What became of lines.
///
/// Each line is counted once (in YARA files each rule, and of bytecode the
/// file, stands for one): the fields from `admitted` on add up to the
/// lines that are neither blank nor comments.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(default)]
pub struct Counts {
    /// All lines.
    pub lines: u64,
    /// Blank lines.
    pub blank: u64,
    /// Comments.
    pub comments: u64,
    /// Part of the set (or of the ignore list).
    pub admitted: u64,
    /// Of the admitted, those that ClamAV 1.4.6 would refuse.
    pub odd: u64,
    /// Of the admitted, triggers of programs that are not executed.
    pub not_executed: u64,
    /// Left out because they are on an ignore list.
    pub ignored: u64,
    /// Left out because they are for a newer engine.
    pub newer: u64,
    /// Left out because they are for older engines only.
    pub obsolete: u64,
    /// Left out because possibly unwanted applications were not asked for.
    pub pua: u64,
    /// Left out because their kind or target has no use, or because
    /// signatures of phishing or bytecode were not asked for.
    pub unused: u64,
    /// Left out because their source may not say so, or because they rely on a
    /// digest that is not relied upon.
    pub untrusted: u64,
    /// Left out because they break the rules of their format.
    pub malformed: u64,
    /// Left out because of a word that is not known.
    pub unknown: u64,
    /// Left out because of a construct that this version does not run.
    pub unsupported: u64,
    /// Lines of a format that this version does not read yet.
    pub not_read: u64,
    /// Left out for what they would cost.
    #[serde(rename = "refused_for_cost")]
    pub refused: u64,
}

impl Counts {
    pub(crate) fn admission(&mut self, admission: Admission) {
        match admission {
            Admission::Admitted => self.admitted += 1,
            Admission::Odd(_) => {
                self.admitted += 1;
                self.odd += 1;
            }
            Admission::Program => {
                self.admitted += 1;
                self.not_executed += 1;
            }
            Admission::Skipped(Skip::Ignored) => self.ignored += 1,
            Admission::Skipped(Skip::Newer) => self.newer += 1,
            Admission::Skipped(Skip::Obsolete) => self.obsolete += 1,
            Admission::Skipped(Skip::Pua) => self.pua += 1,
            Admission::Skipped(Skip::Phishing | Skip::Program | Skip::Unused) => self.unused += 1,
        }
    }

    pub(crate) fn error(&mut self, severity: Severity) {
        match severity {
            Severity::Malformed => self.malformed += 1,
            Severity::Unknown => self.unknown += 1,
            Severity::Unsupported => self.unsupported += 1,
        }
    }

    /// Lines that are neither blank nor comments.
    pub fn said(&self) -> u64 {
        self.lines.saturating_sub(self.blank).saturating_sub(self.comments)
    }

    /// Lines that were meant to be signatures and are none.
    pub fn lost(&self) -> u64 {
        self.malformed + self.unknown + self.unsupported + self.not_read
    }

    pub(super) fn add(&mut self, other: &Counts) {
        let Counts {
            lines,
            blank,
            comments,
            admitted,
            odd,
            not_executed,
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
        } = other;
        self.lines += lines;
        self.blank += blank;
        self.comments += comments;
        self.admitted += admitted;
        self.odd += odd;
        self.not_executed += not_executed;
        self.ignored += ignored;
        self.newer += newer;
        self.obsolete += obsolete;
        self.pua += pua;
        self.unused += unused;
        self.untrusted += untrusted;
        self.malformed += malformed;
        self.unknown += unknown;
        self.unsupported += unsupported;
        self.not_read += not_read;
        self.refused += refused;
    }
}

impl fmt::Display for Counts {
    /// The counts that are not zero, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} admitted", self.admitted)?;
        if self.odd > 0 {
            write!(f, " ({} of them not by ClamAV)", self.odd)?;
        }
        if self.not_executed > 0 {
            write!(f, " ({} of them programs that are not executed)", self.not_executed)?;
        }
        let left_out = [
            (self.ignored, "ignored"),
            (self.newer, "newer"),
            (self.obsolete, "obsolete"),
            (self.pua, "PUA"),
            (self.unused, "unused"),
            (self.untrusted, "not for its source to say"),
            (self.malformed, "malformed"),
            (self.unknown, "unknown"),
            (self.unsupported, "unsupported"),
            (self.not_read, "not yet read"),
            (self.refused, "refused for their cost"),
        ];
        for (count, word) in left_out.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {word}")?;
        }
        Ok(())
    }
}
