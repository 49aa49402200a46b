//! Reading: regular files only, a bounded number of bytes, never waiting.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads the first `most` bytes of a regular file.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, most, &mut bytes)?;
    Ok(bytes)
}

/// Replaces the content of `bytes` by the first `most` bytes of a regular file.
///
/// It is opened without blocking and looked at *after* it was opened, so that
/// a FIFO that took a file's place stops nobody.
pub(crate) fn read_into(path: &Path, most: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    let file = open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(IRREGULAR));
    }
    // The length is a hint only: the file may grow while it is read.
    let hint = usize::try_from(metadata.len().min(most)).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(hint).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.take(most).read_to_end(bytes)?;
    Ok(())
}

/// What is said of what is neither file nor folder, in clamscan's words.
pub(crate) const IRREGULAR: &str = "Not supported file type";

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
