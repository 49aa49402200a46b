//! `apply`: a newer version of a database, by patches.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use quahog::cvd::{Cvd, Kind, Limits, cdiff};
use quahog::database::{SystemIo, publish};

use crate::console::{Console, escape};
use crate::{Exit, trust};

/// Applies patches (.cdiff) to a .cvd or .cld, and writes a .cld
///
/// Container and patches are verified first, with --cvdcertsdir also a detached
/// signature that lies beside one of them, and so is the result, whole: all patches
/// apply, or nothing is written.
///
/// Exit code: 0, or 2 if something went wrong; the file is then as it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The container
    #[arg(value_name = "CVD")]
    container: PathBuf,
    /// The patches, in the order of their versions
    #[arg(value_name = "CDIFF", required = true)]
    patches: Vec<PathBuf>,
    /// The .cld, named after its database; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Take patches that nobody signed. The result is verified all the same
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    trust: trust::Sources,
    #[command(flatten)]
    certificates: trust::Certificates,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let Options { container, patches, out, unsigned, trust: trusted, certificates } = options;
    let name = trust::name_of(out);
    if Kind::of(&name) != Some(Kind::Cld) {
        bail!("{}: expected the name of a .cld", out.display());
    }
    let store = trusted.store()?;
    let anchors = certificates.anchors()?;
    let limits = Limits::default();
    let named = |path: &Path, why: String| anyhow::anyhow!("{}: {why}", path.display());
    console.begin("applying patches");
    let base = trust::container(container, &store)?;
    if base.kind() == Kind::Cvd {
        trust::sign(container, base.header().version(), &anchors)
            .map_err(|why| named(container, why))?;
    }
    let mut chain = Vec::new();
    for path in patches {
        let patch = trust::patch(path, &store, *unsigned).map_err(|why| named(path, why))?;
        trust::sign(path, patch.version(), &anchors).map_err(|why| named(path, why))?;
        chain.push(patch);
    }
    let made = cdiff::apply(&base, &chain, &store, &limits)
        .with_context(|| container.display().to_string())?;
    // Under another name nobody would load it.
    Cvd::open(made.file.clone(), &name)
        .and_then(|cvd| cvd.verify(&store, &limits))
        .with_context(|| out.display().to_string())?;
    publish(&SystemIo, out, &made.file)?;
    console.end();
    console.line(&format!(
        "{}: {} bytes, version {}, {} members",
        escape(out),
        made.file.len(),
        made.container.header().version(),
        made.container.members().len()
    ))?;
    Ok(Exit::Fine)
}
