//! Databases: which ones to load, loading them, and saying what was lost.
//!
//! Named ones come first, then `$QUAHOG_DATABASE`, then the system's ClamAV
//! folder if there is a database in it, then the demonstration set, with a
//! warning. Once a source is chosen, there is no falling back to the next.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, io};

use quahog::cvd::Kind;
use quahog::database::{Outcome, SystemIo, Versions};
use quahog::sig::{Format, Programs, PuaFilter};
use quahog::{Config, Database, Engine, LoadError, LoadReport};

use crate::arguments::yes_no;
use crate::console::{Console, escape};
use crate::{images, trust};

/// What of the databases is taken.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Databases")]
pub(crate) struct LoadOptions {
    /// Load only officially signed databases from folders
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    official_db_only: bool,
    /// Load signatures of possibly unwanted applications
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    detect_pua: bool,
    /// Of these signatures load only those of a category such as `Win` or
    /// `Win.Tool`; may be given more than once
    #[arg(long, value_name = "CAT", conflicts_with = "exclude_pua")]
    include_pua: Vec<String>,
    /// Leave out those of a category; may be given more than once
    #[arg(long, value_name = "CAT")]
    exclude_pua: Vec<String>,
    /// Load signatures of phishing (`HTML.Phishing`, `Email.Phishing`)
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    phishing_sigs: bool,
    /// Load the triggers of bytecode. Its programs are not executed: a file in
    /// which one would run is INCOMPLETE
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    bytecode: bool,
    /// Load those of unsigned bytecode, too
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    bytecode_unsigned: bool,
    /// Refuse to work (exit code 2) if the newest signed database is so old
    #[arg(long, value_name = "DAYS")]
    fail_if_cvd_older_than: Option<u32>,
    /// Refuse the load for what ClamAV 1.4.6 refuses it for: a malformed line, a
    /// blank line, an empty file. By default a bad line is left out
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    sources: trust::Sources,
    #[command(flatten)]
    certificates: trust::Certificates,
    /// Rely on MD5 and SHA-1 for nothing: every .cvd needs a detached signature, and
    /// no file is allowed by such a digest
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    #[arg(help_heading = "Trust")]
    fips_limits: bool,
    /// Remember in this folder which versions and detached signatures were in
    /// force, and refuse older ones; without it no rollback can be noticed
    #[arg(long, value_name = "DIR", help_heading = "Trust")]
    state: Option<PathBuf>,
}

/// What to scan with.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Databases")]
pub(crate) struct EngineOptions {
    /// A database or a folder of databases; may be given more than once
    #[arg(short, long, value_name = "PATH")]
    database: Vec<PathBuf>,
    /// Instead of databases, map an engine image that `compile` made; may be given
    /// more than once. What of the databases is in it was said then
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "database", "official_db_only", "detect_pua", "include_pua", "exclude_pua",
        "phishing_sigs", "bytecode", "bytecode_unsigned", "fail_if_cvd_older_than", "strict",
        "trust", "cvdcertsdir", "fips_limits", "state",
    ])]
    image: Vec<PathBuf>,
    #[command(flatten)]
    load: LoadOptions,
}

/// Where signatures come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// These files and folders.
    Paths(Vec<PathBuf>),
    /// The built-in set.
    Demonstration,
}

impl Source {
    /// Chooses: `named` if anything was named.
    pub(crate) fn choose(named: &[PathBuf]) -> Source {
        if !named.is_empty() {
            return Source::Paths(named.to_vec());
        }
        if let Some(path) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            return Source::Paths(vec![path.into()]);
        }
        let system = Path::new(SYSTEM);
        if holds_database(system) {
            return Source::Paths(vec![system.to_owned()]);
        }
        Source::Demonstration
    }
}

/// Whether there is a file in the folder that has the name of a database.
fn holds_database(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        Kind::of(&name).is_some() || Format::from_file_name(&name).is_some()
    })
}

/// What was loaded; the report is empty for the demonstration set.
pub(crate) struct Loaded {
    pub(crate) database: Database,
    pub(crate) report: LoadReport,
    /// What was in force before.
    versions: Versions,
}

/// Loads, on the threads of the global pool.
pub(crate) fn load(
    options: &LoadOptions,
    source: &Source,
    console: &Console,
) -> Result<Loaded, LoadError> {
    let mut versions = Versions::default();
    let trusted = options.sources.store()?;
    let anchors = options.certificates.anchors()?;
    if let Some(folder) = &options.state {
        let io = |error| LoadError::Io { path: folder.clone(), error };
        let (known, aside) = Versions::load(folder, &SystemIo).map_err(io)?;
        if let Some(aside) = aside {
            let aside = escape(&aside);
            console.diagnostic(&format!(
                "WARNING: {}: what was in force before is not known: the file there is damaged, \
                 or of another version, and was set aside as {aside}",
                escape(folder)
            ));
        }
        versions = known;
    }
    let Source::Paths(paths) = source else {
        let report = LoadReport::default();
        return Ok(Loaded { database: Database::demonstration(), report, versions });
    };
    let filter = PuaFilter {
        enabled: options.detect_pua,
        include: options.include_pua.clone(),
        exclude: options.exclude_pua.clone(),
    };
    let config = Config::new(paths)
        .official_only(options.official_db_only)
        .phishing_signatures(options.phishing_sigs)
        .programs(match (options.bytecode, options.bytecode_unsigned) {
            (false, _) => Programs::Nobody,
            (true, false) => Programs::Official,
            (true, true) => Programs::Everybody,
        })
        .pua(filter)
        .strict(options.strict)
        .trust(trusted)
        .anchors(anchors)
        .fips(options.fips_limits)
        .remembered(versions.clone());
    let (database, report) = Database::load_telling(&config, &console.tell())?;
    Ok(Loaded { database, report, versions })
}

/// Loads and compiles for a verb that scans, or opens images.
///
/// Gives the engine, and whether something was refused; `None` if there is
/// nothing to scan with, which was said too.
pub(crate) fn engine(
    options: &EngineOptions,
    console: &mut Console,
) -> anyhow::Result<Option<(Engine, bool)>> {
    if !options.image.is_empty() {
        let mut segments = Vec::new();
        for path in &options.image {
            match images::segment(path) {
                Ok(segment) => segments.push(Arc::new(segment)),
                Err(error) => {
                    console.diagnostic(&format!("ERROR: {}", escape(error.to_string())));
                    return Ok(None);
                }
            }
        }
        return Ok(Some((Engine::from_segments(segments)?, false)));
    }
    let source = Source::choose(&options.database);
    if let Source::Demonstration = source {
        console.warning(
            "no database was found: the built-in demonstration set is used, which protects nobody",
        );
    }
    let Some((loaded, refused)) = loaded(&options.load, &source, console)? else {
        return Ok(None);
    };
    console.begin("compiling signatures");
    let engine = loaded
        .database
        .compile_telling(&console.tell())
        .and_then(|s| Engine::from_segments(vec![Arc::new(s)]));
    console.end();
    Ok(Some((engine?, refused)))
}

/// Loads for a verb that compiles. What was lost is said in a line for each
/// file; a clean load says nothing.
///
/// Gives what was loaded, and whether something was refused; `None` if there is
/// nothing to work with, which was said too.
pub(crate) fn loaded(
    options: &LoadOptions,
    source: &Source,
    console: &mut Console,
) -> anyhow::Result<Option<(Loaded, bool)>> {
    console.begin("loading databases");
    let result = load(options, source, console);
    console.end();
    let loaded = match result {
        Ok(loaded) => loaded,
        Err(error) => {
            if let LoadError::Nothing { report, .. } = &error {
                say_lost(report, source, console);
            }
            console.diagnostic(&format!("ERROR: {}", describe(&error)));
            return Ok(None);
        }
    };
    let report = &loaded.report;
    say_lost(report, source, console);
    if is_outdated(options, report, console) {
        return Ok(None);
    }
    if loaded.database.signatures().is_empty() {
        if report.counts().lost() > 0 {
            console.error("no signature is in force: this version can use none of them");
            return Ok(None);
        }
        // Left out by rule, as clamscan leaves them out, and it scans too.
        console.warning("no signature is in force");
    }
    let remembered = remember(options, &loaded.versions, report, console);
    let refused = report.any_refused() || !remembered;
    Ok(Some((loaded, refused)))
}

/// Writes down what is in force now, if it is news. False if that failed, which
/// was said too.
fn remember(
    options: &LoadOptions,
    known: &Versions,
    report: &LoadReport,
    console: &Console,
) -> bool {
    let Some(folder) = &options.state else { return true };
    let mut versions = known.clone();
    versions.accept(report);
    if versions == *known {
        return true;
    }
    match versions.save(folder, &SystemIo) {
        Ok(()) => true,
        // Another quahog is at it, with the same news or newer.
        Err(error) if error.error.kind() == io::ErrorKind::WouldBlock => true,
        Err(error) => {
            console.error(&error.to_string());
            false
        }
    }
}

/// Whether the databases are older than they may be; then it was said.
pub(crate) fn is_outdated(options: &LoadOptions, report: &LoadReport, console: &Console) -> bool {
    let (Some(days), Some(age)) = (options.fail_if_cvd_older_than, age_in_days(report)) else {
        return false;
    };
    let outdated = age > u64::from(days);
    if outdated {
        console.error(&format!("the newest signed database is older than {days} days"));
    }
    outdated
}

/// The age of the newest container that was loaded; `None` if there is none.
fn age_in_days(report: &LoadReport) -> Option<u64> {
    let times = report.files.iter().filter_map(|file| match &file.outcome {
        Outcome::Loaded { header: Some(header), .. } => Some(header.build_time()),
        _ => None,
    });
    let newest = times.max()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(now.as_secs().saturating_sub(newest) / 86_400)
}

/// What is wrong, fit for a line; in strict mode with the line and carets.
pub(crate) fn describe(error: &LoadError) -> String {
    match error {
        LoadError::Strict(diagnostic) => render(diagnostic),
        LoadError::Io { path, error } => {
            format!("{}: {}", escape(path), crate::console::reason(error))
        }
        other => escape(other.to_string()),
    }
}

/// Draws a diagnostic whose file may have any name.
pub(crate) fn render(diagnostic: &quahog::sig::Diagnostic) -> String {
    let mut diagnostic = diagnostic.clone();
    diagnostic.source = escape(&diagnostic.source);
    diagnostic.render()
}

fn say_lost(report: &LoadReport, source: &Source, console: &Console) {
    let named = |path: &Path| match source {
        Source::Paths(paths) => paths.iter().any(|named| named == path),
        Source::Demonstration => false,
    };
    for event in &report.events {
        console.warning(&event.to_string());
    }
    for file in &report.files {
        let path = escape(&file.path);
        match &file.outcome {
            Outcome::Refused { reason, replaced } => {
                let replaced = if *replaced { " (another of its name was taken)" } else { "" };
                let level = if replaced.is_empty() { "ERROR" } else { "WARNING" };
                let reason = escape(reason);
                console.diagnostic(&format!("{level}: {path}: refused: {reason}{replaced}"));
            }
            // In a folder there may lie what it likes; `check` names it.
            Outcome::PassedOver { reason } if named(&file.path) => {
                console.diagnostic(&format!("WARNING: {path}: skipped: {}", escape(reason)));
            }
            Outcome::PassedOver { .. } => {}
            Outcome::Loaded { .. } => {
                let counts = file.counts();
                if counts.lost() > 0 {
                    console.diagnostic(&format!("WARNING: {path}: {counts}"));
                }
            }
        }
    }
}

/// Names the database where no option does.
const VARIABLE: &str = "QUAHOG_DATABASE";

/// Where the system keeps ClamAV's databases.
const SYSTEM: &str = "/var/lib/clamav";
