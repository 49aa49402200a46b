//! One configuration: how databases are loaded, proved, kept and watched.
//!
//! It is read from TOML as a whole and checked before anything changes. An
//! unknown key, a unit that is none, a number out of its bounds or a limit that
//! this machine cannot hold is an error with its line and column.
//!
//! ```
//! use quahog::live::Config;
//!
//! let config = Config::from_toml(
//!     r#"
//!     [database]
//!     paths = ["/var/lib/clamav"]
//!     [state]
//!     folder = "/var/lib/quahog"
//!     [admission]
//!     file-share = "2 %"
//!     [watch]
//!     settle = "2 s"
//! "#,
//! )?;
//! assert_eq!(config.admission.file_share, 0.02);
//!
//! let error = Config::from_toml("[watch]\nsettle = \"2 parsecs\"\n").unwrap_err();
//! assert_eq!((error.line(), error.column()), (2, 10));
//! # Ok::<(), quahog::live::ConfigError>(())
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quahog_cvd::TrustStore;
use quahog_sig::PuaFilter;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};

use crate::database::Thresholds;

/// Everything that [`Live::start`](super::Live::start) needs to know.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// Which databases, and what of them.
    pub database: DatabaseConfig,
    /// Where the last good generations are kept.
    pub state: StateConfig,
    /// How much may be wrong with a source.
    pub admission: AdmissionConfig,
    /// Who compiles, and within what.
    pub build: BuildConfig,
    /// What a signature may cost, told before it runs.
    pub cost: CostConfig,
    /// What a candidate must show.
    pub proof: ProofConfig,
    /// When a signature is silenced by rule.
    pub mute: MuteConfig,
    /// Whether a candidate runs beside the engine in force for a while.
    pub shadow: ShadowConfig,
    /// How changes are noticed.
    pub watch: WatchConfig,
}

/// Which databases, and what of them.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct DatabaseConfig {
    /// Files and folders. At least one.
    pub paths: Vec<PathBuf>,
    /// Take only officially signed containers from folders.
    pub official_only: bool,
    /// Load signatures of possibly unwanted applications.
    pub pua: bool,
    /// Load signatures named `HTML.Phishing...` and `Email.Phishing...`.
    pub phishing_signatures: bool,
    /// Databases without which no candidate is taken, by name without
    /// extension: `["main", "daily"]`. Default: none.
    pub required: Vec<String>,
    /// Answer from an engine without any signature. Default: never.
    pub allow_empty: bool,
    /// A signed database older than this raises `Stale`. Default: 7 d, a week
    /// without an update of what is published daily.
    #[serde(deserialize_with = "duration")]
    pub stale_after: Duration,
    /// Whose containers are trusted. Not part of the text.
    #[serde(skip, default = "TrustStore::official")]
    pub trust: TrustStore,
}

/// Where the last good generations are kept.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct StateConfig {
    /// A folder that nobody else writes. Without one nothing survives a restart.
    pub folder: Option<PathBuf>,
    /// Keep the compiled tables beside the sources, so that a start need not
    /// compile. Default: yes; they take about as much room as in memory.
    pub images: bool,
}

/// How much may be wrong with a source before it is refused.
///
/// A source has lost a line if the line is malformed or holds an unknown word.
/// Lines that are sound but not run by this version count nowhere here.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AdmissionConfig {
    /// A signed container may lose this many lines ...
    pub container_lines: u64,
    /// ... or this share of them, whichever is more. Its bytes are authentic: a
    /// line that cannot be read is a question to quahog, and no reason to lose
    /// the other millions.
    #[serde(deserialize_with = "share")]
    pub container_share: f64,
    /// A loose file may lose this many lines ...
    pub file_lines: u64,
    /// ... or this share of them, whichever is more.
    #[serde(deserialize_with = "share")]
    pub file_share: f64,
    /// A source of which more than this share is for newer engines raises
    /// `Newer`.
    #[serde(deserialize_with = "share")]
    pub newer_warn: f64,
    /// Above this share it is refused: too little of it would protect.
    #[serde(deserialize_with = "share")]
    pub newer_refuse: f64,
    /// A container of which the header counts other signatures than there are in
    /// it raises `Noted` if they differ by more than this share, and by more than
    /// `container_lines`.
    #[serde(deserialize_with = "share")]
    pub count_off: f64,
    /// Ignore lists that leave out more than this share of all signatures raise
    /// `Ignored`. Default: 1 %, far more than anybody's false alarms.
    #[serde(deserialize_with = "share")]
    pub ignored_warn: f64,
    /// A source, and the whole, must keep this share of the signatures that
    /// are running: a file that was cut off or emptied is no update.
    #[serde(deserialize_with = "share")]
    pub least_kept: f64,
    /// What is done about a refused source.
    pub refused_source: RefusedSource,
}

/// What is done about a source that is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedSource {
    /// Its previous version stays, beside the updates of the others.
    #[default]
    KeepPrevious,
    /// The whole candidate is refused.
    RefuseAll,
}

/// Who compiles, and within what.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BuildConfig {
    /// A program that compiles in a process of its own, called as `HELPER compile
    /// --helper`: the `quahog` command of this version, by its absolute path.
    /// Without one the builder's thread compiles.
    pub helper: Option<PathBuf>,
    /// The address space that a helper may take (on Linux). From 64 MiB.
    /// Default: 4 GiB.
    #[serde(deserialize_with = "helper_memory")]
    pub memory: u64,
    /// The time that a helper may take for one source, after which it is killed.
    /// Default: 10 min.
    #[serde(deserialize_with = "duration")]
    pub time: Duration,
}

/// What a signature may cost, told before it runs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CostConfig {
    /// Places to look at for each byte of common data that one signature may
    /// ask for. A literal of two zero bytes asks for several in a hundred.
    #[serde(deserialize_with = "share")]
    pub signature: f64,
    /// Places for each byte that all signatures of a source may ask for
    /// together; the dearest are left out until it fits.
    #[serde(deserialize_with = "factor")]
    pub source: f64,
    /// Signatures of a source that may be found by the same literal, if it
    /// is shorter than eight bytes.
    pub shared_literal: usize,
    /// Signatures of a source that may be looked at for every layer.
    pub always: usize,
}

/// What a candidate must show before it is promoted.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ProofConfig {
    /// A folder of samples that must be detected.
    pub must_detect: Option<PathBuf>,
    /// A folder of mails that must not be.
    pub must_not_detect: Option<PathBuf>,
    /// Synthetic samples made for each kind of signature, from the candidate.
    pub samples: usize,
    /// How many times longer than the running engine the candidate may take.
    #[serde(deserialize_with = "factor")]
    pub latency: f64,
    /// Below this time for all probes no ratio is looked at: such times are noise.
    #[serde(deserialize_with = "duration")]
    pub latency_floor: Duration,
    /// The size of an adversarial input, 16 MiB at most. Default: 256 KiB.
    #[serde(deserialize_with = "input_size")]
    pub adversarial_size: u64,
    /// The longest time of a processor for one adversarial input. By the clock it
    /// may take twenty times as long, for mail goes first.
    #[serde(deserialize_with = "duration")]
    pub adversarial: Duration,
    /// The memory that the sources of a candidate may need, by estimate.
    /// Default: half of the machine's.
    #[serde(deserialize_with = "memory")]
    pub memory: Option<u64>,
    /// How many times the running engine's tables the candidate's may take.
    #[serde(deserialize_with = "factor")]
    pub memory_ratio: f64,
    /// Below this many bytes no ratio is looked at.
    #[serde(deserialize_with = "bytes")]
    pub memory_floor: u64,
}

/// When a signature is silenced by rule, without anybody's hand.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MuteConfig {
    /// Whether the rule mutes. Without it, the rule only raises `FalseAlarm`.
    pub by_rule: bool,
    /// A signature is young this long after its promotion.
    #[serde(deserialize_with = "duration")]
    pub young: Duration,
    /// A young signature that is found in more than this share of the mails
    /// of distinct content is taken for broken.
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// Mails of distinct content before the rule is asked.
    pub least: u64,
    /// The most signatures that the rule mutes a day: who wants to silence
    /// more must find another way.
    pub most_per_day: usize,
}

/// Whether a candidate runs beside the engine in force for a while.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ShadowConfig {
    /// Whether candidates are shadowed. Default: no.
    pub enabled: bool,
    /// The share of one processor that it may take.
    #[serde(deserialize_with = "share")]
    pub cpu: f64,
    /// Mails to compare before the candidate is promoted.
    pub mails: u64,
    /// If there were not so many by then, it is promoted with what it showed.
    #[serde(deserialize_with = "duration")]
    pub longest: Duration,
    /// More than this share of mails newly detected refuses it.
    #[serde(deserialize_with = "share")]
    pub new: f64,
    /// More than this share of mails no longer detected refuses it.
    #[serde(deserialize_with = "share")]
    pub lost: f64,
}

/// How changes are noticed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct WatchConfig {
    /// Whether the folders are watched; needs the feature `watch`.
    pub enabled: bool,
    /// How long a folder must be quiet before it is read: an update of many
    /// files is one update.
    #[serde(deserialize_with = "duration")]
    pub settle: Duration,
    /// How often it is looked at anyway; 0 s means never.
    #[serde(deserialize_with = "duration")]
    pub poll: Duration,
}

impl Default for DatabaseConfig {
    fn default() -> DatabaseConfig {
        DatabaseConfig {
            paths: Vec::new(),
            official_only: false,
            pua: false,
            phishing_signatures: true,
            required: Vec::new(),
            allow_empty: false,
            stale_after: Duration::from_secs(7 * 86_400),
            trust: TrustStore::official(),
        }
    }
}

impl Default for AdmissionConfig {
    fn default() -> AdmissionConfig {
        let Thresholds {
            container_lines,
            container_share,
            file_lines,
            file_share,
            newer_warn,
            newer_refuse,
            count_off,
        } = Thresholds::default();
        AdmissionConfig {
            container_lines,
            container_share,
            file_lines,
            file_share,
            newer_warn,
            newer_refuse,
            count_off,
            ignored_warn: 0.01,
            least_kept: 0.8,
            refused_source: RefusedSource::KeepPrevious,
        }
    }
}

impl AdmissionConfig {
    /// What a source is judged by on its own.
    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            container_lines: self.container_lines,
            container_share: self.container_share,
            file_lines: self.file_lines,
            file_share: self.file_share,
            newer_warn: self.newer_warn,
            newer_refuse: self.newer_refuse,
            count_off: self.count_off,
        }
    }
}

impl Default for StateConfig {
    fn default() -> StateConfig {
        StateConfig { folder: None, images: true }
    }
}

impl Default for BuildConfig {
    fn default() -> BuildConfig {
        BuildConfig { helper: None, memory: 4 << 30, time: Duration::from_secs(600) }
    }
}

impl Default for CostConfig {
    fn default() -> CostConfig {
        CostConfig { signature: 0.02, source: 1.0, shared_literal: 3_000, always: 2_000 }
    }
}

impl Default for ProofConfig {
    fn default() -> ProofConfig {
        ProofConfig {
            must_detect: None,
            must_not_detect: None,
            samples: 64,
            latency: 3.0,
            latency_floor: Duration::from_millis(250),
            adversarial_size: 256 << 10,
            adversarial: Duration::from_secs(5),
            memory: None,
            memory_ratio: 3.0,
            memory_floor: 256 << 20,
        }
    }
}

impl Default for MuteConfig {
    fn default() -> MuteConfig {
        MuteConfig {
            by_rule: false,
            young: Duration::from_secs(86_400),
            share: 0.05,
            least: 200,
            most_per_day: 5,
        }
    }
}

impl Default for ShadowConfig {
    fn default() -> ShadowConfig {
        ShadowConfig {
            enabled: false,
            cpu: 0.1,
            mails: 1_000,
            longest: Duration::from_secs(600),
            new: 0.01,
            lost: 0.001,
        }
    }
}

impl Default for WatchConfig {
    fn default() -> WatchConfig {
        WatchConfig {
            enabled: false,
            settle: Duration::from_secs(1),
            poll: Duration::from_secs(600),
        }
    }
}

/// Why a configuration is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    message: String,
    line: usize,
    column: usize,
}

impl ConfigError {
    /// The line, from 1; 0 if it is about no line.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in bytes, from 1; 0 if it is about no line.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "configuration: {}", self.message),
            line => write!(f, "configuration, {line}:{}: {}", self.column, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The defaults, for these files and folders.
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Config {
        let paths = paths.into_iter().map(Into::into).collect();
        let database = DatabaseConfig { paths, ..DatabaseConfig::default() };
        Config { database, ..Config::default() }
    }

    /// Keeps the last good generations in `folder`.
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Config {
        self.state.folder = Some(folder.into());
        self
    }

    /// Reads a configuration, and checks all of it.
    ///
    /// # Errors
    ///
    /// The text is no TOML, a key is unknown, or a value is out of its bounds.
    pub fn from_toml(text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or(text);
            let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
            ConfigError { message: error.message().to_owned(), line, column }
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what no single value can show.
    ///
    /// # Errors
    ///
    /// Bounds contradict each other, or there is no database to load.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong =
            |message: &str| Err(ConfigError { message: message.to_owned(), line: 0, column: 0 });
        if self.database.paths.is_empty() && !self.database.allow_empty {
            return wrong("database.paths names nothing");
        }
        if self.admission.newer_warn > self.admission.newer_refuse {
            return wrong("admission.newer-warn lies above newer-refuse");
        }
        if let Some(helper) = &self.build.helper
            && !helper.is_absolute()
        {
            // Else whoever sets the path or the folder decides what runs.
            return wrong("build.helper is no absolute path");
        }
        if self.build.time.is_zero() {
            return wrong("build.time leaves no time");
        }
        if self.watch.enabled && cfg!(not(feature = "watch")) {
            return wrong("watch.enabled needs quahog's feature `watch`");
        }
        if let Some(folder) = &self.state.folder
            && self.database.paths.iter().any(|path| is_inside(folder, path))
        {
            return wrong("state.folder lies in a database folder");
        }
        Ok(())
    }

    /// How the files are read.
    pub(crate) fn loading(&self) -> crate::Config {
        let pua = PuaFilter { enabled: self.database.pua, ..PuaFilter::default() };
        crate::Config::new(&self.database.paths)
            .official_only(self.database.official_only)
            .phishing_signatures(self.database.phishing_signatures)
            .pua(pua)
            .trust(self.database.trust.clone())
            .thresholds(self.admission.thresholds())
    }
}

fn is_inside(folder: &Path, other: &Path) -> bool {
    folder == other || folder.parent() == Some(other)
}

/// The memory of this machine, where the system tells it.
pub(crate) fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A number and its unit, as text.
struct Quantity(&'static str);

impl Visitor<'_> for Quantity {
    type Value = (f64, String);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(f64, String), E> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number = number.parse().map_err(|_| E::custom(format!("expected {}", self.0)))?;
        Ok((number, unit.trim().to_owned()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(f64, String), E> {
        Ok((number, String::new()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(f64, String), E> {
        // Beyond 2^53 no quantity here is legal.
        Ok((number as f64, String::new()))
    }
}

fn quantity<'de, D: Deserializer<'de>>(
    from: D,
    expected: &'static str,
    units: &[(&str, f64)],
    bounds: std::ops::RangeInclusive<f64>,
) -> Result<f64, D::Error> {
    let (number, unit) = from.deserialize_any(Quantity(expected))?;
    let scale = units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| scale);
    let Some(scale) = scale else {
        return Err(D::Error::custom(format!(
            "unit `{}`: expected {expected}",
            unit.escape_debug()
        )));
    };
    let value = number * scale;
    if !bounds.contains(&value) {
        return Err(D::Error::custom(format!("out of bounds: expected {expected}")));
    }
    Ok(value)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let units = [("ms", 0.001), ("s", 1.0), ("min", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
    let expected =
        "a time such as \"500 ms\", \"10 s\", \"5 min\", \"2 h\" or \"7 d\", a year at most";
    quantity(from, expected, &units, 0.0..=366.0 * 86_400.0).map(Duration::from_secs_f64)
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    quantity(from, "a share such as \"0.1 %\", 100 % at most", &[("%", 0.01)], 0.0..=1.0)
}

fn factor<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    quantity(from, "a number from 0.001 to 1000", &[("", 1.0)], 0.001..=1_000.0)
}

const BYTES: &[(&str, f64)] =
    &[("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)];

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let expected = "a size such as \"64 MiB\", 1 TiB at most";
    // Within bounds that a u64 holds.
    quantity(from, expected, BYTES, 0.0..=1_099_511_627_776.0).map(|value| value as u64)
}

fn input_size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let expected = "a size such as \"256 KiB\", from 4 KiB to 16 MiB";
    // Within bounds that a u64 holds.
    quantity(from, expected, BYTES, 4_096.0..=16_777_216.0).map(|value| value as u64)
}

fn helper_memory<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = bytes(from)?;
    if value < MIN_HELPER {
        return Err(D::Error::custom("out of bounds: a helper needs 64 MiB at least"));
    }
    Ok(value)
}

/// Below this no program with its libraries and stacks begins.
const MIN_HELPER: u64 = 64 << 20;

fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = bytes(from)?;
    if let Some(most) = machine_memory()
        && value > most
    {
        return Err(D::Error::custom(format!(
            "more than this machine has, which is {} MiB",
            most >> 20
        )));
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> (usize, usize, String) {
        let error = Config::from_toml(text).unwrap_err();
        (error.line(), error.column(), error.to_string())
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let base = "[database]\npaths = [\"/x\"]\n";
        for (text, line, column, word) in [
            ("[admision]\n", 3, 2, "unknown field `admision`"),
            ("[watch]\nsetle = \"1 s\"\n", 4, 1, "unknown field `setle`"),
            ("[watch]\nsettle = \"1 fortnight\"\n", 4, 10, "unit `fortnight`"),
            ("[watch]\nsettle = 1\n", 4, 10, "unit ``"),
            ("[admission]\nfile-share = \"101 %\"\n", 4, 14, "out of bounds"),
            ("[proof]\nmemory = \"900 GiB\"\n", 4, 10, "more than this machine has"),
            ("[build]\nmemory = \"1 MiB\"\n", 4, 10, "64 MiB at least"),
            ("[build]\nhelper = 1\n", 4, 10, ""),
            ("[proof]\nadversarial-size = \"1 KiB\"\n", 4, 20, "out of bounds"),
            ("[watch\n", 3, 7, ""),
        ] {
            let (at_line, at_column, message) = position(&format!("{base}{text}"));
            assert!(message.contains(word), "{text}: {message}");
            assert_eq!((at_line, at_column), (line, column), "{text}: {message}");
        }
    }

    #[test]
    fn bounds_must_agree_with_each_other() {
        assert!(Config::from_toml("").unwrap_err().to_string().contains("names nothing"));
        let text = "[database]\npaths = [\"/x\"]\n[admission]\nnewer-warn = \"30 %\"\n";
        assert!(Config::from_toml(text).unwrap_err().to_string().contains("newer-warn"));
        let text = "[database]\npaths = [\"/x\"]\n[build]\nhelper = \"quahog\"\n";
        assert!(Config::from_toml(text).unwrap_err().to_string().contains("absolute"));
        let text = "[database]\npaths = [\"/x\"]\n[state]\nfolder = \"/x/state\"\n";
        assert!(Config::from_toml(text).unwrap_err().to_string().contains("state.folder"));
    }
}
