//! Opening files: regular ones only, and never waiting for one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// The most bytes that are read of one file.
const MAX_FILE: u64 = 4 << 30;

/// A file that was read.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    /// The file's own name.
    pub(super) name: String,
    pub(super) result: Result<Bytes, NotRead>,
}

/// Why a file was not read.
pub(super) enum NotRead {
    /// It is no regular file.
    Irregular,
    /// The system refuses.
    Io(io::Error),
}

/// The files that a path stands for: itself, or the files in a folder, sorted
/// by name. Folders in it are left out silently.
pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        paths.push(entry?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

pub(super) fn open(path: &Path) -> Opened {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Opened { path: path.to_owned(), name, result: read(path) }
}

/// Reads a regular file whole.
///
/// It is opened without blocking and looked at *after* it was opened, so that
/// a FIFO in the folder, or one that took a file's place, stops nobody.
fn read(path: &Path) -> Result<Bytes, NotRead> {
    read_at_most(path, MAX_FILE, true)
}

/// Reads a file of our own: at most so many bytes, and not through a link.
pub(super) fn read_own(path: &Path, most: u64) -> io::Result<Bytes> {
    read_at_most(path, most, false).map_err(|error| match error {
        NotRead::Irregular => io::Error::other("not a regular file"),
        NotRead::Io(error) => error,
    })
}

/// Reads a file that belongs to another, such as a signature; links are followed.
pub(super) fn read_small(path: &Path, most: u64) -> io::Result<Bytes> {
    read_at_most(path, most, true).map_err(|error| match error {
        NotRead::Irregular => io::Error::other("not a regular file"),
        NotRead::Io(error) => error,
    })
}

fn read_at_most(path: &Path, most: u64, follow: bool) -> Result<Bytes, NotRead> {
    let mut file = open_nonblocking(path, follow).map_err(NotRead::Io)?;
    let metadata = file.metadata().map_err(NotRead::Io)?;
    if !metadata.is_file() {
        return Err(NotRead::Irregular);
    }
    if metadata.len() > most {
        let error = format!("file is larger than {most} bytes");
        return Err(NotRead::Io(io::Error::other(error)));
    }
    let mut bytes = Vec::new();
    // The length is a hint only: the file may grow while it is read.
    bytes.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0));
    file.by_ref().take(most).read_to_end(&mut bytes).map_err(NotRead::Io)?;
    Ok(bytes.into())
}

/// Opens a file to be read, without waiting for anything; a link is followed.
pub(crate) fn open_quietly(path: &Path) -> io::Result<File> {
    open_nonblocking(path, true)
}

#[cfg(unix)]
fn open_nonblocking(path: &Path, follow: bool) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_nonblocking(path: &Path, follow: bool) -> io::Result<File> {
    if !follow && fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("a link"));
    }
    File::open(path)
}
