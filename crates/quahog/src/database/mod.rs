//! Databases: from files to signatures.
//!
//! [`Database::load`] takes files and folders. A container is verified before
//! a byte of it is read, and taken whole or refused whole; a text file is read
//! line by line, and a bad line leaves out that line. Ignore lists are gathered
//! from every source first, so the order of files means nothing.
//!
//! Only regular files are opened, and never waited for: a folder, FIFO, socket
//! or device in a database folder is passed over and counted.

mod confine;
mod files;
mod keys;
mod load;
mod machine;
pub(crate) mod parts;
mod report;
mod thresholds;

mod decode;
mod publish;
mod versions;

use std::path::PathBuf;

use quahog_cvd::TrustStore;
use quahog_cvd::detached::Anchors;
use quahog_engine::{BuildError, Segment};
use quahog_sig::progress::{self, Tell};
use quahog_sig::{Format, Lines, Programs, PuaFilter, SetBuilder, SignatureSet};

pub(crate) use files::open_quietly;
pub(crate) use publish::{Flush, is_left, put};
pub(crate) use thresholds::exceeds;
pub(crate) use versions::FILE as VERSIONS_FILE;

pub use decode::{Decoded, decode, guess_format};
pub use keys::{read_anchors, read_source};
pub use publish::{Fault, FaultIo, FileIo, PublishError, Stage, SystemIo, publish, publish_pieces};
pub use report::{
    Counts, Event, FileReport, LoadError, LoadReport, MemberReport, Outcome, RefusedForCost,
    Trusted,
};
pub use thresholds::{Broken, Thresholds};
pub use versions::{Replayed, Seen, Taken, Versions};

/// What to load, and how strictly.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) pua: PuaFilter,
    pub(crate) strict: bool,
    pub(crate) thresholds: Thresholds,
    pub(crate) enforced: bool,
    pub(crate) phishing_signatures: bool,
    pub(crate) programs: Programs,
    pub(crate) official_only: bool,
    pub(crate) trust: TrustStore,
    pub(crate) limits: quahog_cvd::Limits,
    pub(crate) anchors: Anchors,
    pub(crate) sign: SignPolicy,
    pub(crate) fips: bool,
    pub(crate) versions: Versions,
    pub(crate) max_age: u64,
    pub(crate) now: Option<u64>,
}

/// When a `.cvd` must come with a detached signature (`.sign`).
///
/// One that is there must hold in any case, if there are
/// [anchors](Config::anchors).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SignPolicy {
    /// Never: the legacy signatures are enough.
    LegacyAllowed,
    /// Once one was valid for an earlier version of the database, as
    /// [remembered](Config::remembered). Who withholds it gains nothing then.
    #[default]
    UntilFirstSign,
    /// Always.
    Required,
}

impl Config {
    /// Loads these files, and the files in these folders.
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Config {
        Config {
            paths: paths.into_iter().map(Into::into).collect(),
            pua: PuaFilter::default(),
            strict: false,
            thresholds: Thresholds::default(),
            enforced: false,
            phishing_signatures: true,
            programs: Programs::default(),
            official_only: false,
            trust: TrustStore::official(),
            limits: quahog_cvd::Limits::default(),
            anchors: Anchors::new(),
            sign: SignPolicy::default(),
            fips: false,
            versions: Versions::default(),
            max_age: 7,
            now: None,
        }
    }

    /// Says which signatures of possibly unwanted applications load; by
    /// default none do.
    pub fn pua(mut self, filter: PuaFilter) -> Config {
        self.pua = filter;
        self
    }

    /// Whether signatures load whose names begin with `HTML.Phishing` or
    /// `Email.Phishing`; by default they do. Phishing lists are another matter.
    pub fn phishing_signatures(mut self, load: bool) -> Config {
        self.phishing_signatures = load;
        self
    }

    /// Says which bytecode is read; by default that of officially signed
    /// containers. Its programs are never executed: where one would run, the
    /// report of a scan is incomplete.
    pub fn programs(mut self, programs: Programs) -> Config {
        self.programs = programs;
        self
    }

    /// Refuses the whole load for what ClamAV 1.4.6 refuses it for: a malformed
    /// line, a blank line, an empty file. By default a bad line is left out.
    pub fn strict(mut self, strict: bool) -> Config {
        self.strict = strict;
        self
    }

    /// Refuses a file of which more is wrong than `thresholds` allow. By default
    /// no number of bad lines refuses a file: there is nothing else to take in
    /// its place. [`live`](crate::live) has what was in force before.
    pub fn thresholds(mut self, thresholds: Thresholds) -> Config {
        self.thresholds = thresholds;
        self.enforced = true;
        self
    }

    /// Takes only officially signed containers from folders.
    pub fn official_only(mut self, only: bool) -> Config {
        self.official_only = only;
        self
    }

    /// Whose containers are trusted; by default the official publisher's.
    pub fn trust(mut self, store: TrustStore) -> Config {
        self.trust = store;
        self
    }

    /// The certificates that detached signatures are verified with; by default
    /// there are none, and no `.sign` is looked at.
    pub fn anchors(mut self, anchors: Anchors) -> Config {
        self.anchors = anchors;
        self
    }

    /// When a `.cvd` must come with a detached signature.
    pub fn sign_policy(mut self, policy: SignPolicy) -> Config {
        self.sign = policy;
        self
    }

    /// Relies on MD5 and SHA-1 for nothing: every `.cvd` needs a `.sign`, and
    /// lines that allow a file by its MD5 or SHA-1 are left out. Signatures that
    /// *detect* by these digests load, for they trust nothing.
    pub fn fips(mut self, fips: bool) -> Config {
        self.fips = fips;
        self
    }

    /// What was in force before; by default nothing is known, and no rollback can
    /// be noticed.
    pub fn remembered(mut self, versions: Versions) -> Config {
        self.versions = versions;
        self
    }

    /// After how many days `daily` is [stale](Event::Stale); by default after 7.
    pub fn max_age(mut self, days: u64) -> Config {
        self.max_age = days;
        self
    }

    /// The time, in seconds since 1970-01-01 UTC, for build times and
    /// certificates; by default the clock is asked.
    pub fn now(mut self, seconds: u64) -> Config {
        self.now = Some(seconds);
        self
    }

    /// Bounds of a container.
    pub fn container_limits(mut self, limits: quahog_cvd::Limits) -> Config {
        self.limits = limits;
        self
    }
}

/// Signatures that were loaded.
#[derive(Debug)]
pub struct Database {
    signatures: SignatureSet,
}

impl Database {
    /// Loads what `config` names.
    ///
    /// # Errors
    ///
    /// A path cannot be read, or a large loose file not to its end, nothing at all
    /// could be loaded, or, in strict mode, the first line that ClamAV would
    /// refuse. What was wrong with single files and lines otherwise stands in the
    /// report.
    pub fn load(config: &Config) -> Result<(Database, LoadReport), LoadError> {
        Database::load_telling(config, progress::SILENT)
    }

    /// As [`load`](Self::load), and tells how far the reading is: after each text,
    /// and of a large loose one now and then. It begins anew where a file is refused
    /// for its lines.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_telling(
        config: &Config,
        tell: Tell<'_>,
    ) -> Result<(Database, LoadReport), LoadError> {
        let (signatures, report) = load::load(config, tell)?;
        Ok((Database { signatures }, report))
    }

    /// The built-in set that shows how things work: EICAR's test file and
    /// quahog's own test words. It protects nobody.
    pub fn demonstration() -> Database {
        let mut builder = SetBuilder::new();
        for (name, format, text) in DEMONSTRATION {
            builder.source(name, false);
            for line in Lines::new(text).filter(|line| !line.is_blank() && !line.is_comment()) {
                // A test reads every line.
                let _ = builder.line(*format, line.number, line.text);
            }
        }
        Database { signatures: builder.finish() }
    }

    /// The signatures.
    pub fn signatures(&self) -> &SignatureSet {
        &self.signatures
    }

    /// Compiles the signatures, on the rayon pool of the caller.
    ///
    /// # Errors
    ///
    /// The tables would be too large.
    pub fn compile(self) -> Result<Segment, BuildError> {
        Segment::new(self.signatures)
    }

    /// As [`compile`](Self::compile), and tells how far it is.
    ///
    /// # Errors
    ///
    /// The tables would be too large.
    pub fn compile_telling(self, tell: Tell<'_>) -> Result<Segment, BuildError> {
        Segment::telling(self.signatures, tell)
    }

    /// The signatures, to be compiled.
    pub fn into_signatures(self) -> SignatureSet {
        self.signatures
    }
}

const DEMONSTRATION: &[(&str, Format, &[u8])] = &[
    ("demonstration.ndb", Format::Ndb, include_bytes!("demonstration.ndb")),
    ("demonstration.ldb", Format::Ldb, include_bytes!("demonstration.ldb")),
    ("demonstration.hdb", Format::Hdb, include_bytes!("demonstration.hdb")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::progress::Stage;

    #[test]
    fn every_line_of_the_demonstration_is_read() {
        let lines: usize = DEMONSTRATION
            .iter()
            .flat_map(|(_, _, text)| Lines::new(text))
            .filter(|line| !line.is_comment())
            .count();
        assert_eq!(Database::demonstration().signatures().len(), lines);
    }

    /// Each stage is told from its start to its end, one after the other.
    #[test]
    fn a_load_tells_how_far_it_is() {
        let folder = std::env::temp_dir().join(format!("quahog-told-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.ndb"), "A:0:*:414243\nB:1:*:44454647\n").unwrap();
        std::fs::write(folder.join("b.ldb"), "C;Target:0;0&1;414243;61626364\n").unwrap();
        let told = std::sync::Mutex::new(Vec::new());
        let tell = |progress| told.lock().unwrap().push(progress);
        let (database, _) = Database::load_telling(&Config::new([&folder]), &tell).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        database.compile_telling(&tell).unwrap();
        let told = told.into_inner().unwrap();
        for (stage, total) in [(Stage::Reading, 59), (Stage::Planning, 3), (Stage::Indexing, 5)] {
            let of_stage: Vec<_> = told.iter().filter(|told| told.stage == stage).collect();
            assert!(of_stage.iter().all(|told| told.total == total), "{of_stage:?}");
            assert_eq!(of_stage.first().map(|told| told.done), Some(0));
            assert_eq!(of_stage.iter().map(|told| told.done).max(), Some(total));
        }
        assert!(told.is_sorted_by_key(|told| told.stage));
    }
}
