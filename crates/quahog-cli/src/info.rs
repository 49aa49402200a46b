//! `info`: what a container says of itself, and who vouches for it.

use std::path::{Path, PathBuf};

use quahog::cvd::{Cvd, Header, Limits, TrustStore};
use quahog::database::Trusted;
use quahog::sig::{FLEVEL, Lines};

use crate::console::{Console, escape, reason};
use crate::{Exit, files};

/// Shows header, trust and members of a .cvd, .cld or .cud
///
/// Exit code: 0, or 2 if a file cannot be read or does not verify.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The containers
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let mut exit = Exit::Fine;
    for path in &options.paths {
        let cvd = match open(path) {
            Ok(cvd) => cvd,
            Err(why) => {
                console.diagnostic(&format!("ERROR: {}: {}", escape(path), escape(why)));
                exit = Exit::Error;
                continue;
            }
        };
        console.line(&format!("File: {}", escape(path)))?;
        print_header(cvd.header(), console)?;
        match cvd.verify(&TrustStore::official(), &Limits::default()) {
            Ok(verified) => {
                let trust = Trusted::Signed(verified.trust().clone());
                console.line(&format!("Trust: {}", escape(trust.to_string())))?;
                console.line(&format!("Database: {}", verified.database()))?;
                let members = verified.members();
                console.line(&format!("Members: {}", members.len()))?;
                for member in members {
                    let (name, bytes) = (member.name(), member.bytes());
                    let lines = Lines::count_in(bytes);
                    let size = bytes.len();
                    console.line(&format!("    {name}: {size} bytes, {lines} lines"))?;
                }
            }
            Err(error) => {
                console.line("Trust: none, and what the header says is a claim")?;
                let why = escape(error.to_string());
                console.diagnostic(&format!("ERROR: {}: {why}", escape(path)));
                exit = Exit::Error;
            }
        }
    }
    Ok(exit)
}

/// Reads a file and its header.
pub(crate) fn open(path: &Path) -> Result<Cvd, String> {
    // One byte more than a container may have, so that `verify` notices.
    let most = Limits::default().file_bytes.saturating_add(1);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = files::read(path, most).map_err(|error| reason(&error))?;
    Cvd::open(bytes.into(), &name).map_err(|error| error.to_string())
}

fn print_header(header: &Header, console: &Console) -> anyhow::Result<()> {
    let hex = |md5: [u8; 16]| md5.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    console.line(&format!("Build time: {}", header.time_text()))?;
    console.line(&format!("Version: {}", header.version()))?;
    console.line(&format!("Signatures: {}", header.signatures()))?;
    console.line(&format!("Functionality level: {} (ours is {FLEVEL})", header.flevel()))?;
    console.line(&format!("Builder: {}", header.builder()))?;
    if let Some(md5) = header.md5() {
        console.line(&format!("MD5: {}", hex(md5)))?;
    }
    if let Some(dsig) = header.dsig() {
        console.line(&format!("Digital signature: {dsig}"))?;
    }
    Ok(())
}
