//! `check`: what becomes of each file and each line of a database.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::slice;

use quahog::database::{Counts, FileReport, MemberReport, Outcome, Taken};
use quahog::sig::{Capability, Diagnostic, ErrorKind, FLEVEL, Feature, Severity};
use quahog::{Engine, LoadError, LoadReport};

use crate::Exit;
use crate::console::{Console, escape};
use crate::databases::{self, Loaded, Source};

/// Says what becomes of each file and line of a database
///
/// Loads databases as `scan` would, and prints for each file who vouches for it,
/// how many lines are in force, and every line that was left out, with the place
/// and the reason. Of bad lines of one sort the first hundred are shown; all are
/// counted.
///
/// Exit code: 0 all is in force, but for lines left out by rule (level, PUA,
/// ignore list), 1 a line or a file was skipped, 2 something was refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Databases and folders of databases; by default those that `scan` takes
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    databases: databases::LoadOptions,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let source = Source::choose(&options.paths);
    console.begin("loading databases");
    let loaded = databases::load(&options.databases, &source, console);
    console.end();
    let Loaded { database, report, .. } = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            if let LoadError::Nothing { report, .. } = &error {
                print(report, console)?;
            }
            console.diagnostic(&format!("ERROR: {}", databases::describe(&error)));
            return Ok(Exit::Error);
        }
    };
    if let Source::Demonstration = source {
        console.line("the built-in demonstration set, which protects nobody")?;
    }
    print(&report, console)?;
    console.begin("compiling signatures");
    let asked = database.signatures().asks_for();
    let engine = Engine::new(database.into_signatures());
    console.end();
    let engine = engine?;
    let stats = engine.stats();
    console.line(&format!(
        "\nEngine: {} signatures in force, fingerprint {}",
        stats.n_signatures,
        engine.fingerprint()
    ))?;
    capability(&report, &asked, console)?;

    let passed = |file: &FileReport| !matches!(file.outcome, Outcome::Loaded { .. });
    let outdated = databases::is_outdated(&options.databases, &report, console);
    Ok(if report.any_refused() || outdated {
        Exit::Error
    } else if report.counts().lost() > 0 || report.files.iter().any(passed) {
        Exit::Found
    } else {
        Exit::Fine
    })
}

fn print(report: &LoadReport, console: &Console) -> anyhow::Result<()> {
    for event in &report.events {
        console.line(&format!("Note: {}", escape(event.to_string())))?;
    }
    let mut diagnostics = report.diagnostics.iter();
    for file in &report.files {
        let path = escape(&file.path);
        match &file.outcome {
            Outcome::Loaded { trust, header } => {
                let mut line = format!("{path}: loaded, {}", escape(trust.to_string()));
                if let Some(header) = header {
                    line += &format!(
                        ", version {}, built {}, for level {} (ours is {FLEVEL})",
                        header.version(),
                        header.time_text(),
                        header.flevel(),
                    );
                    if file.taken.as_ref().is_some_and(Taken::has_sign) {
                        line += ", detached signature holds";
                    }
                    if header.flevel() > FLEVEL {
                        line += ": some of it is for newer engines";
                    }
                }
                console.line(&line)?;
            }
            Outcome::Refused { reason, replaced } => {
                let replaced = if *replaced { " (another of its name was taken)" } else { "" };
                console.line(&format!("{path}: refused: {}{replaced}", escape(reason)))?;
            }
            Outcome::PassedOver { reason } => {
                console.line(&format!("{path}: skipped: {}", escape(reason)))?;
            }
        }
        for member in &file.members {
            console.line(&format!("    {}: {}", escape(&member.name), member.counts))?;
            for diagnostic in of_member(&mut diagnostics, member) {
                let drawn = databases::render(diagnostic).replace('\n', "\n        ");
                console.line(&format!("        {drawn}"))?;
            }
        }
    }
    Ok(())
}

/// Takes the diagnostics of one member: they come in the order of the load, and
/// no more than the counts say.
fn of_member<'r>(
    diagnostics: &mut slice::Iter<'r, Diagnostic>,
    member: &MemberReport,
) -> Vec<&'r Diagnostic> {
    let Counts { mut malformed, mut unknown, mut unsupported, .. } = member.counts;
    let mut taken = Vec::new();
    while let Some(diagnostic) = diagnostics.as_slice().first() {
        let left = match diagnostic.error.kind().severity() {
            Severity::Malformed => &mut malformed,
            Severity::Unknown => &mut unknown,
            Severity::Unsupported => &mut unsupported,
        };
        if diagnostic.source != member.name || *left == 0 {
            break;
        }
        *left -= 1;
        taken.push(diagnostic);
        diagnostics.next();
    }
    taken
}

/// Says how much of the databases this version can put to use.
fn capability(
    report: &LoadReport,
    asked: &BTreeMap<Feature, u64>,
    console: &Console,
) -> anyhow::Result<()> {
    let counts = report.counts();
    let wanted = counts.admitted + counts.lost();
    if wanted == 0 {
        return Ok(());
    }
    // Rounded down: only all of them are 100 %.
    let thousandths = u128::from(counts.admitted) * 1000 / u128::from(wanted);
    console.line(&format!(
        "Capability: {} of {wanted} lines for this engine are in force ({}.{} %)",
        counts.admitted,
        thousandths / 10,
        thousandths % 10
    ))?;
    for (feature, count) in asked {
        let missing = match Capability::CURRENT.has(*feature) {
            true => "",
            false => ": not there, so these are not evaluated",
        };
        console.line(&format!("    asked for: {feature} by {count} lines{missing}"))?;
    }
    let newer = counts.newer;
    if newer > 0 {
        let level = Capability::CURRENT.level();
        console.line(&format!("    newer: {newer} lines are for levels above {level}"))?;
    }
    let mut formats = BTreeMap::new();
    for member in report.files.iter().flat_map(|file| &file.members) {
        if member.counts.not_read > 0 {
            let kind = match member.format {
                Some(format) => format!(".{}", format.extension()),
                None => "of no known format".to_owned(),
            };
            *formats.entry(kind).or_insert(0) += member.counts.not_read;
        }
    }
    for (format, lines) in formats {
        console.line(&format!("    not read yet: {lines} lines {format}"))?;
    }
    let mut constructs = BTreeMap::new();
    for diagnostic in &report.diagnostics {
        if let ErrorKind::Unsupported(what) = diagnostic.error.kind() {
            *constructs.entry(what).or_insert(0u64) += 1;
        }
    }
    let shown: u64 = constructs.values().sum();
    let at_least = if shown < counts.unsupported { "at least " } else { "" };
    for (what, lines) in constructs {
        console.line(&format!("    not run yet: {at_least}{lines} lines with {}", escape(what)))?;
    }
    if counts.unknown > 0 {
        console.line(&format!("    not known: {} lines", counts.unknown))?;
    }
    if counts.malformed > 0 {
        console.line(&format!("    malformed: {} lines", counts.malformed))?;
    }
    Ok(())
}
