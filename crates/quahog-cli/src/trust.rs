//! Whom to trust: the options that every verb with databases shares.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use quahog::LoadError;
use quahog::cvd::detached::{self, Anchors, Signer};
use quahog::cvd::{Cdiff, Cvd, Limits, TrustStore, VerifiedCvd};
use quahog::database::{read_anchors, read_source};

use crate::console::reason;
use crate::files;

/// Whose signatures count.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct Sources {
    /// Trust one more source: a file with its name, the prefix of its signatures,
    /// and its public keys in PEM; may be given more than once
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
}

impl Sources {
    /// The official publisher, and who else was named.
    pub(crate) fn store(&self) -> Result<TrustStore, LoadError> {
        let mut store = TrustStore::official();
        for path in &self.trust {
            store = store.with(read_source(path)?);
        }
        Ok(store)
    }
}

/// Whose detached signatures count.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct Certificates {
    /// Verify detached signatures (.sign) with the certificates in this folder, the
    /// files *.crt and *.pem
    #[arg(long, value_name = "DIR", env = "CVD_CERTS_DIR")]
    cvdcertsdir: Option<PathBuf>,
}

impl Certificates {
    /// The certificates; none without the option.
    pub(crate) fn anchors(&self) -> Result<Anchors, LoadError> {
        self.cvdcertsdir.as_deref().map_or_else(|| Ok(Anchors::new()), read_anchors)
    }
}

/// Reads a container and verifies it whole.
pub(crate) fn container(path: &Path, store: &TrustStore) -> anyhow::Result<VerifiedCvd> {
    let named = |why: String| anyhow::anyhow!("{}: {why}", path.display());
    let cvd = open(path).map_err(named)?;
    cvd.verify(store, &Limits::default()).map_err(|error| named(error.to_string()))
}

/// Reads a container and its header.
pub(crate) fn open(path: &Path) -> Result<Cvd, String> {
    let bytes = read(path)?;
    Cvd::open(bytes.into(), &name_of(path)).map_err(|error| error.to_string())
}

/// Reads a patch; `unsigned` ones without a signature.
pub(crate) fn patch(path: &Path, store: &TrustStore, unsigned: bool) -> Result<Cdiff, String> {
    let bytes = read(path)?;
    let limits = Limits::default();
    let patch = match Cdiff::open(&bytes, store, &limits) {
        Err(_) if unsigned => Cdiff::dangerous_unverified(&bytes, &limits),
        opened => opened,
    };
    patch.map_err(|error| error.to_string())
}

/// Verifies the detached signature beside a file; `None` if there is none, or no
/// certificates are given.
pub(crate) fn sign(path: &Path, version: u32, anchors: &Anchors) -> Result<Option<Signer>, String> {
    if anchors.is_empty() {
        return Ok(None);
    }
    let beside = path.with_file_name(detached::name_for(&name_of(path), version));
    let text = match files::read(&beside, detached::MAX_SIGN + 1) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {}", beside.display(), reason(&error))),
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let verified = anchors.verify(&text, &read(path)?, now.map_or(0, |now| now.as_secs()));
    verified.map(Some).map_err(|error| format!("{}: {error}", beside.display()))
}

/// Reads a file. One byte more than a container may have, so that what follows
/// notices.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let most = Limits::default().file_bytes.saturating_add(1);
    files::read(path, most).map_err(|error| reason(&error))
}

/// The name of a file, without folders.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
