//! `compile`: an engine image of databases.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quahog::LoadReport;
use quahog::database::{Outcome, SystemIo};
use quahog::image;

use crate::Exit;
use crate::console::{Console, escape};
use crate::databases::{self, Loaded, Source};

/// Compiles databases into an engine image, which `scan --image` maps
///
/// A scanner starts with an image in milliseconds, and all that use it share one
/// copy in memory. Databases are loaded as `scan` loads them. An image is bound to
/// its format: a quahog of another format says so, and the databases have to be
/// compiled again. Nobody but its owner and root may be able to write it.
///
/// Exit code: 0, or 2 if something was refused or went wrong; in the latter case
/// the file is as it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A database or a folder of databases; may be given more than once
    #[arg(short, long, value_name = "PATH", required_unless_present = "helper")]
    database: Vec<PathBuf>,
    /// The file; one that is there is replaced, and whoever uses it keeps it
    #[arg(long, value_name = "FILE", required_unless_present = "helper")]
    out: Option<PathBuf>,
    /// Be the helper of a server that links quahog: compile the signatures that it
    /// hands over on standard input, on one thread, and write the image to standard
    /// output
    #[arg(long, conflicts_with_all = ["database", "out"])]
    helper: bool,
    #[command(flatten)]
    databases: databases::LoadOptions,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let Some(out) = &options.out else { return help() };
    let source = Source::Paths(options.database.clone());
    let Some((loaded, refused)) = databases::loaded(&options.databases, &source, console)? else {
        return Ok(Exit::Error);
    };
    let Loaded { database, report, .. } = loaded;
    console.begin("compiling signatures");
    let segment = database.compile_telling(&console.tell());
    console.end();
    let segment = segment?;
    let n_signatures = segment.signatures().len();
    image::write(&SystemIo, out, &segment, stamps(&report)?)?;
    let len = std::fs::metadata(out).with_context(|| out.display().to_string())?.len();
    console.line(&format!("{}: {len} bytes, {n_signatures} signatures", escape(out)))?;
    Ok(if refused { Exit::Error } else { Exit::Fine })
}

/// Compiles for a server.
fn help() -> anyhow::Result<Exit> {
    #[cfg(target_os = "linux")]
    {
        // Without a server there is nobody to work for.
        let signal = rustix::process::Signal::KILL;
        rustix::process::set_parent_process_death_signal(Some(signal))?;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    pool.install(|| image::help(std::io::stdin().lock(), std::io::stdout().lock()))?;
    Ok(Exit::Fine)
}

/// The files that were loaded.
fn stamps(report: &LoadReport) -> anyhow::Result<Vec<image::Stamp>> {
    let loaded = report.files.iter().filter(|f| matches!(f.outcome, Outcome::Loaded { .. }));
    let stamp = |path: &Path| image::stamp(path).with_context(|| path.display().to_string());
    loaded.map(|file| stamp(&file.path)).collect()
}
