//! `diff`: the patch between two versions of a database.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use quahog::cvd::{cdiff, write};
use quahog::database::{SystemIo, publish};

use crate::console::{Console, escape};
use crate::{Exit, build, trust};

/// Writes the patch (.cdiff) that leads from one version of a database to the next
///
/// Both containers are verified first. Without a key the patch is not signed:
/// `apply` takes it only with --unsigned, and ClamAV not at all.
///
/// Exit code: 0, or 2 if something went wrong; the file is then as it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The version before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The version after
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The file; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The file with the private keys, as for `build`
    #[arg(long, value_name = "KEY")]
    key: Option<PathBuf>,
    #[command(flatten)]
    trust: trust::Sources,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let Options { old, new, out, key, trust: trusted } = options;
    let store = trusted.store()?;
    let keys = key.as_deref().map(build::read_keys).transpose()?;
    let before = trust::container(old, &store)?;
    let after = trust::container(new, &store)?;
    if before.database() != after.database() {
        bail!("{} and {} are not the same database", before.database(), after.database());
    }
    let (from, to) = (before.header().version(), after.header().version());
    if from.checked_add(1) != Some(to) {
        bail!("a patch leads from a version to the next, and not from {from} to {to}");
    }
    let named = || out.display().to_string();
    let script = cdiff::diff(&before, &after).with_context(named)?;
    let file = write::cdiff(&script, to, keys.as_ref()).with_context(named)?;
    publish(&SystemIo, out, &file)?;
    let signed = if keys.is_some() { "signed" } else { "not signed" };
    console.line(&format!(
        "{}: {} bytes, from version {from} to {to}, {signed}",
        escape(out),
        file.len()
    ))?;
    Ok(Exit::Fine)
}
