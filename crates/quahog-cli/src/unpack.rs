//! `unpack`: the members of a container, as files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use quahog::cvd::Limits;

use crate::console::{Console, escape};
use crate::{Exit, trust};

/// Writes the members of a .cvd, .cld or .cud as files
///
/// The container is verified first. Nothing is ever overwritten: the files are
/// new, in a new or empty folder.
///
/// Exit code: 0, or 2 if something went wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The container
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The folder; it is made if it does not exist, and must be empty if it does
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Believe the container: no signature, hash or list is looked at
    #[arg(long)]
    unverified: bool,
    #[command(flatten)]
    trust: trust::Sources,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let Options { path, out, unverified, trust: trusted } = options;
    let cvd = match trust::open(path) {
        Ok(cvd) => cvd,
        Err(why) => bail!("{}: {why}", path.display()),
    };
    let limits = Limits::default();
    let named = || path.display().to_string();
    let mut files = Vec::new();
    if *unverified {
        let members = cvd.dangerous_unverified(&limits).with_context(named)?;
        files.extend(members.iter().map(|m| (m.name().to_owned(), m.bytes().clone())));
    } else {
        let verified = cvd.verify(&trusted.store()?, &limits).with_context(named)?;
        files.extend(verified.copying().map(|text| ("COPYING".to_owned(), text.clone())));
        files.push((format!("{}.info", verified.database()), verified.info().text().clone()));
        let members = verified.members().iter();
        files.extend(members.map(|m| (m.name().to_owned(), m.bytes().clone())));
    }
    make_empty(out)?;
    for (name, bytes) in &files {
        // The library gives plain names only: letters, digits, `_.-`.
        let to = out.join(name);
        write_new(&to, bytes).with_context(|| to.display().to_string())?;
        console.line(&format!("{}: {} bytes", escape(&to), bytes.len()))?;
    }
    Ok(Exit::Fine)
}

/// Makes a folder, or makes sure that it is empty.
fn make_empty(folder: &Path) -> anyhow::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
            if entries.next().is_some() {
                bail!("{}: folder is not empty", folder.display());
            }
            Ok(())
        }
        Err(error) => Err(error).with_context(|| folder.display().to_string()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}
