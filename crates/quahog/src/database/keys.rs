//! Keys and certificates from files.

use std::path::Path;

use quahog_cvd::Source;
use quahog_cvd::detached::Anchors;

use super::LoadError;
use super::files;

/// Reads a source from a file: its name, its prefix and its keys, as
/// [`Source::parse`] describes.
///
/// # Errors
///
/// [`LoadError::Io`] and [`LoadError::Keys`].
pub fn read_source(path: &Path) -> Result<Source, LoadError> {
    let io = |error| LoadError::Io { path: path.to_owned(), error };
    let text = files::read_small(path, MAX_BYTES).map_err(io)?;
    Source::parse(&text)
        .map_err(|error| LoadError::Keys { path: path.to_owned(), reason: error.to_string() })
}

/// Reads the certificates in a folder, for [`Config::anchors`](super::Config::anchors):
/// every PEM block of every file called `*.crt` or `*.pem`, as ClamAV 1.5 does it.
///
/// # Errors
///
/// [`LoadError::Io`]; [`LoadError::Keys`] if a file holds something else than
/// certificates with RSA keys, or if there is none at all: a folder that was named
/// and trusts nobody is a mistake.
pub fn read_anchors(folder: &Path) -> Result<Anchors, LoadError> {
    let mut anchors = Anchors::new();
    let io = |path: &Path, error| LoadError::Io { path: path.to_owned(), error };
    if !folder.is_dir() {
        let error = std::fs::read_dir(folder).err();
        let error = error.unwrap_or_else(|| std::io::ErrorKind::NotADirectory.into());
        return Err(io(folder, error));
    }
    for path in files::list(folder).map_err(|error| io(folder, error))? {
        let is_certificate = path.extension().is_some_and(|e| e == "crt" || e == "pem");
        if !is_certificate || path.is_dir() {
            continue;
        }
        let text = files::read_small(&path, MAX_BYTES).map_err(|error| io(&path, error))?;
        let added = anchors.add_pem(&text);
        added.map_err(|error| LoadError::Keys { path, reason: error.to_string() })?;
    }
    if anchors.is_empty() {
        let reason = "no certificate is in this folder".to_owned();
        return Err(LoadError::Keys { path: folder.to_owned(), reason });
    }
    Ok(anchors)
}

/// Far above what a few keys take.
const MAX_BYTES: u64 = 1 << 20;
