//! `info`: what a container, a patch or an engine image says of itself, and who
//! vouches for it.

use std::path::{Path, PathBuf};

use quahog::cvd::detached::Anchors;
use quahog::cvd::{Header, Kind, Limits, TrustStore};
use quahog::database::Trusted;
use quahog::image::Stamp;
use quahog::sig::{FLEVEL, Lines};

use crate::console::{Console, escape};
use crate::{Exit, images, trust};

/// Shows what is in a .cvd, .cld, .cud, .cdiff or .qhi, and who vouches for it
///
/// With --cvdcertsdir the detached signature beside each file is verified as well.
///
/// Exit code: 0, or 2 if a file cannot be read or does not verify.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The containers and patches
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    sources: trust::Sources,
    #[command(flatten)]
    certificates: trust::Certificates,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let store = options.sources.store()?;
    let anchors = options.certificates.anchors()?;
    let mut exit = Exit::Fine;
    for path in &options.paths {
        let is = |wanted: &str| {
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
        };
        let result = if is("cdiff") {
            patch(path, &store, &anchors, console)?
        } else if is("qhi") {
            image(path, console)?
        } else {
            container(path, &store, &anchors, console)?
        };
        if let Err(why) = result {
            console.diagnostic(&format!("ERROR: {}: {}", escape(path), escape(why)));
            exit = Exit::Error;
        }
    }
    Ok(exit)
}

/// Shows a container. The inner error is about the file, the outer about our
/// output; so for all below.
fn container(
    path: &Path,
    store: &TrustStore,
    anchors: &Anchors,
    console: &Console,
) -> anyhow::Result<Result<(), String>> {
    let cvd = match trust::open(path) {
        Ok(cvd) => cvd,
        Err(why) => return Ok(Err(why)),
    };
    console.line(&format!("File: {}", escape(path)))?;
    print_header(cvd.header(), console)?;
    let (kind, version) = (cvd.kind(), cvd.header().version());
    let verified = match cvd.verify(store, &Limits::default()) {
        Ok(verified) => verified,
        Err(error) => {
            console.line("Trust: none, and what the header says is a claim")?;
            return Ok(Err(error.to_string()));
        }
    };
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
    match kind {
        Kind::Cvd => sign(path, version, anchors, console),
        _ => Ok(Ok(())),
    }
}

/// Shows a patch.
fn patch(
    path: &Path,
    store: &TrustStore,
    anchors: &Anchors,
    console: &Console,
) -> anyhow::Result<Result<(), String>> {
    let (patch, unsigned) = match trust::patch(path, store, false) {
        Ok(patch) => (patch, None),
        Err(why) => match trust::patch(path, store, true) {
            Ok(patch) => (patch, Some(why)),
            Err(_) => return Ok(Err(why)),
        },
    };
    console.line(&format!("File: {}", escape(path)))?;
    console.line(&format!("Database: {}", patch.database()))?;
    console.line(&format!("Leads to version: {}", patch.version()))?;
    let script = patch.script().text();
    let (size, lines) = (script.len(), Lines::count_in(script));
    console.line(&format!("Script: {size} bytes, {lines} lines"))?;
    if let Some(why) = unsigned {
        console.line("Trust: none, and what the patch says is a claim")?;
        return Ok(Err(why));
    }
    let trust = Trusted::Signed(patch.trust().clone());
    console.line(&format!("Trust: {}", escape(trust.to_string())))?;
    sign(path, patch.version(), anchors, console)
}

/// Shows an engine image.
fn image(path: &Path, console: &Console) -> anyhow::Result<Result<(), String>> {
    let (info, segment) = match images::info(path) {
        Ok(image) => image,
        Err(error) => return Ok(Err(strip(path, &error.to_string()))),
    };
    console.line(&format!("File: {}", escape(path)))?;
    console.line(&format!("Format: {}", info.format))?;
    console.line(&format!("Builder: {}", escape(info.builder)))?;
    console.line(&format!("Functionality level: {} (ours is {FLEVEL})", info.level))?;
    console.line(&format!("Signatures: {}", segment.signatures().len()))?;
    console.line(&format!("Set: {}", hex(&info.set)))?;
    console.line(&format!("Content: {}, which it has", hex(&info.content)))?;
    console.line(&format!("Sources: {}", info.sources.len()))?;
    for Stamp { name, len, sha256 } in info.sources {
        console.line(&format!("    {}: {len} bytes, SHA-256 {}", escape(name), hex(&sha256)))?;
    }
    Ok(Ok(()))
}

/// A message without the path that it begins with.
fn strip(path: &Path, message: &str) -> String {
    let path = format!("{}: ", path.display());
    message.strip_prefix(&path).unwrap_or(message).to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Verifies and shows the detached signature beside a file, if certificates are
/// given and there is one.
fn sign(
    path: &Path,
    version: u32,
    anchors: &Anchors,
    console: &Console,
) -> anyhow::Result<Result<(), String>> {
    match trust::sign(path, version, anchors) {
        Ok(Some(signer)) => {
            console.line(&format!("Detached signature: by {}", escape(signer.subject())))?;
        }
        Ok(None) if anchors.is_empty() => {}
        Ok(None) => console.line("Detached signature: none")?,
        Err(why) => {
            console.line("Detached signature: does not hold")?;
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

fn print_header(header: &Header, console: &Console) -> anyhow::Result<()> {
    console.line(&format!("Build time: {}", header.time_text()))?;
    console.line(&format!("Version: {}", header.version()))?;
    console.line(&format!("Signatures: {}", header.signatures()))?;
    console.line(&format!("Functionality level: {} (ours is {FLEVEL})", header.flevel()))?;
    console.line(&format!("Builder: {}", header.builder()))?;
    if let Some(md5) = header.md5() {
        console.line(&format!("MD5: {}", hex(&md5)))?;
    }
    if let Some(dsig) = header.dsig() {
        console.line(&format!("Digital signature: {dsig}"))?;
    }
    Ok(())
}
