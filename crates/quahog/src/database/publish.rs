//! Putting a finished file in place: whole, or not at all.
//!
//! [`publish`] writes beside the target, flushes, renames, and flushes the
//! folder. Whatever fails in between, the power included, the target is the old
//! file or the new one, and a half one never carries its name. One writer at a
//! time works in a folder: it holds a lock on the folder itself, which leaves
//! no lock file behind and which the kernel frees when a process dies.
//!
//! All operations go through [`FileIo`], so that tests can let the n-th one
//! fail, write less than it was given, or end the process ([`FaultIo`]).
//!
//! What is left of a writer that died is a hidden file, `.NAME.new`. It is no
//! database to anybody, and the next writer removes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Puts a file with these bytes at `path`, in place of any that is there.
///
/// If `path` is a link, the link is replaced, not what it points to.
///
/// # Errors
///
/// [`PublishError`]. The old file is then untouched, with one exception: at
/// [`Stage::SyncFolder`] the new one is in place, and may be gone again if the
/// machine loses its power now.
pub fn publish(io: &dyn FileIo, path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    publish_pieces(io, path, &[bytes])
}

/// As [`publish`], for bytes that lie in pieces.
///
/// # Errors
///
/// As [`publish`].
pub fn publish_pieces<P: AsRef<[u8]>>(
    io: &dyn FileIo,
    path: &Path,
    pieces: &[P],
) -> Result<(), PublishError> {
    let fault = |stage: Stage| move |error| PublishError { path: path.to_owned(), stage, error };
    let (Some(_), Some(parent)) = (path.file_name(), path.parent()) else {
        let error = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(fault(Stage::Create)(error));
    };
    let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    // Held to the end of this function.
    let lock = io.lock(folder).map_err(fault(Stage::Lock))?;
    put(io, path, pieces, Flush::Yes)?;
    io.sync(&lock).map_err(fault(Stage::SyncFolder))
}

/// Whether the bytes of a file must be on the disk before it has its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flush {
    /// Else they may be missing when the power fails.
    Yes,
    /// They may be missing: it is noticed, and they can be made again.
    No,
}

/// Writes beside the target and renames, for whoever has the folder to himself
/// and flushes it.
///
/// # Errors
///
/// As [`publish`].
pub(crate) fn put<P: AsRef<[u8]>>(
    io: &dyn FileIo,
    path: &Path,
    pieces: &[P],
    flush: Flush,
) -> Result<(), PublishError> {
    let fault = |stage: Stage| move |error| PublishError { path: path.to_owned(), stage, error };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(HIDDEN);
    let aside = path.with_file_name(hidden);
    match io.remove(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fault(Stage::Create)(error));
        }
        _ => {}
    }
    let written = write_aside(io, &aside, pieces, flush)
        .and_then(|()| io.rename(&aside, path).map_err(|error| (Stage::Rename, error)));
    if let Err((stage, error)) = written {
        // It gives the room back. If that fails too, the next writer does it.
        let _ = io.remove(&aside);
        return Err(fault(stage)(error));
    }
    Ok(())
}

/// Whether a file of this name is what a writer left that died.
pub(crate) fn is_left(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(HIDDEN)
}

/// The end of the names of files that are being written.
const HIDDEN: &str = ".new";

fn write_aside<P: AsRef<[u8]>>(
    io: &dyn FileIo,
    aside: &Path,
    pieces: &[P],
    flush: Flush,
) -> Result<(), (Stage, io::Error)> {
    let mut file = io.create(aside).map_err(|error| (Stage::Create, error))?;
    for piece in pieces {
        let mut rest = piece.as_ref();
        while !rest.is_empty() {
            match io.write(&mut file, rest) {
                Ok(0) => return Err((Stage::Write, io::ErrorKind::WriteZero.into())),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((Stage::Write, error)),
            }
        }
    }
    match flush {
        Flush::Yes => io.sync(&file).map_err(|error| (Stage::Sync, error)),
        Flush::No => Ok(()),
    }
}

/// What [`publish`] was doing when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Locking the folder. [`io::ErrorKind::WouldBlock`]: another writer is at
    /// work there.
    Lock,
    /// Creating the file beside the target.
    Create,
    /// Writing it.
    Write,
    /// Flushing it to the disk.
    Sync,
    /// Renaming it.
    Rename,
    /// Flushing the folder to the disk.
    SyncFolder,
}

/// Why a file was not put in place.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}{error}", path.display(), match stage {
    Stage::Lock if error.kind() == io::ErrorKind::WouldBlock => "another writer is at work: ",
    Stage::Lock => "folder cannot be locked: ",
    Stage::Create | Stage::Write => "not written: ",
    Stage::Sync => "not flushed: ",
    Stage::Rename => "not put in place: ",
    Stage::SyncFolder => "in place, but the folder is not flushed: ",
})]
pub struct PublishError {
    /// The target.
    pub path: PathBuf,
    /// How far it came.
    pub stage: Stage,
    /// What the system says.
    #[source]
    pub error: io::Error,
}

/// The operations that publishing consists of.
pub trait FileIo {
    /// Opens a folder and takes its lock, without waiting.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if somebody else has it.
    fn lock(&self, folder: &Path) -> io::Result<File>;
    /// Creates a file that does not exist, not even as a link.
    ///
    /// # Errors
    ///
    /// What the system says; so for all that follow.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Writes some of the bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize>;
    /// Flushes a file or folder to the disk.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Gives a file the name of another, in place of it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The system's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIo;

impl FileIo for SystemIo {
    fn lock(&self, folder: &Path) -> io::Result<File> {
        let folder = File::open(folder)?;
        match folder.try_lock() {
            Ok(()) => Ok(folder),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

impl<I: FileIo + ?Sized> FileIo for std::sync::Arc<I> {
    fn lock(&self, folder: &Path) -> io::Result<File> {
        (**self).lock(folder)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        (**self).create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        (**self).write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        (**self).sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        (**self).remove(path)
    }
}

/// What happens at the chosen operation of a [`FaultIo`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The process ends at once, before the operation.
    Abort,
    /// This operation and all after it fail, as if the process had ended; of a
    /// write half is done.
    Crash,
    /// The operation is not done, with this error.
    Fail(io::ErrorKind),
    /// A write takes one byte; other operations are done.
    Short,
}

/// Does to the n-th operation what a bad day does to it; for tests.
#[derive(Debug)]
pub struct FaultIo {
    at: u64,
    fault: Fault,
    done: AtomicU64,
}

impl FaultIo {
    /// Lets `fault` befall the operation with this number, counted from 0.
    pub fn new(at: u64, fault: Fault) -> FaultIo {
        FaultIo { at, fault, done: AtomicU64::new(0) }
    }

    /// How many operations were asked for.
    pub fn operations(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Counts an operation; true if it is to be cut short.
    fn step(&self) -> io::Result<bool> {
        let now = self.done.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Abort if now == self.at => std::process::abort(),
            Fault::Crash if now >= self.at => Err(io::Error::other("the process has ended")),
            Fault::Fail(kind) if now == self.at => Err(kind.into()),
            Fault::Short => Ok(now == self.at),
            _ => Ok(false),
        }
    }
}

impl FileIo for FaultIo {
    fn lock(&self, folder: &Path) -> io::Result<File> {
        self.step()?;
        SystemIo.lock(folder)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        SystemIo.create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        let is_alive = self.operations() == self.at;
        let short = self.step().inspect_err(|_| {
            if self.fault == Fault::Crash && is_alive {
                let _ = SystemIo.write(file, bytes.get(..bytes.len() / 2).unwrap_or(bytes));
            }
        })?;
        SystemIo.write(file, if short { bytes.get(..1).unwrap_or(bytes) } else { bytes })
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        SystemIo.sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        SystemIo.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemIo.remove(path)
    }
}
