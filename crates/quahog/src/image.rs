//! Engine images: compiled signatures as a file.
//!
//! [`write()`] puts the image of a segment in place, [`open_file`] opens one and
//! [`read`] reads it. A program that may map files maps what `open_file` gives
//! and hands the bytes to [`Segment::open`]: the tables are then used where they
//! lie, so a scanner starts in milliseconds, and all that use the file share one
//! copy of it.
//!
//! An image is not signed. Its digest finds damage, not malice, and whoever can
//! write one decides every verdict; so a file is opened only if it is a regular
//! file that belongs to us or to root and that nobody else can write. It is
//! never changed in place: `write` makes a new file and renames it, and who has
//! mapped the old one keeps it.
//!
//! An image is bound to the format of the quahog that wrote it
//! ([`FORMAT`]). One of another format has a typed answer
//! ([`ImageError::Newer`], [`ImageError::Older`]): compile it anew from the
//! databases.
//!
//! ```
//! use quahog::database::SystemIo;
//! use quahog::image::{self, Check};
//! use quahog::{Database, Engine, Scanner};
//! # let folder = std::env::temp_dir().join(format!("quahog-image-{}", std::process::id()));
//! # std::fs::create_dir(&folder)?;
//! # let path = folder.join("set.qhi");
//!
//! let segment = Database::demonstration().compile()?;
//! image::write(&SystemIo, &path, &segment, Vec::new())?;
//!
//! let engine = Engine::from_segments(vec![image::read(&path, Check::Digest)?.into()])?;
//! assert_eq!(engine.segments()[0].signatures().digest(), segment.signatures().digest());
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
pub use quahog_engine::image::{Check, FORMAT, ImageError, ImageInfo, Stamp};

use sha2::{Digest as _, Sha256};

use quahog_engine::image::read_set;

use crate::beside::Workshop;
use crate::database::{FileIo, PublishError, publish_pieces};
use crate::{BuildError, Segment};

/// Why an image file cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system says so.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The file may be somebody else's work.
    #[error("{}: refused: {reason}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Whose.
        reason: &'static str,
    },
    /// What is in it is no image that can be used.
    #[error("{}: {error}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        error: ImageError,
    },
}

/// Why an image was not written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is none.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It was not put in place.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Opens an image file, without waiting for anything.
///
/// # Errors
///
/// It cannot be opened, is no regular file, or is one that others than root and
/// we may have written.
pub fn open_file(path: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    let untrusted = |reason| OpenError::Untrusted { path: path.to_owned(), reason };
    let file = crate::database::open_quietly(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(untrusted("no regular file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(untrusted("it belongs to somebody else"));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(untrusted("its group or everybody can write it"));
        }
    }
    Ok(file)
}

/// Reads an image file into memory, and puts its segment together.
///
/// # Errors
///
/// As [`open_file`] and [`Segment::open`].
pub fn read(path: &Path, check: Check) -> Result<Segment, OpenError> {
    let mut file = open_file(path)?;
    let mut bytes = Vec::new();
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    file.read_to_end(&mut bytes).map_err(io)?;
    open(path, &bytes.into(), check)
}

/// Puts the segment together that the bytes of the image file at `path` hold.
///
/// # Errors
///
/// As [`Segment::open`].
pub fn open(path: &Path, bytes: &Bytes, check: Check) -> Result<Segment, OpenError> {
    let image = |error| OpenError::Image { path: path.to_owned(), error };
    Segment::open(bytes, check).map_err(image)
}

/// Writes the image of a segment, in place of any file that is there; whoever
/// uses that one keeps it. `sources` are the files that it was compiled from.
///
/// # Errors
///
/// As [`publish`](crate::database::publish), and on machines for which there
/// are no images.
pub fn write(
    io: &dyn FileIo,
    path: &Path,
    segment: &Segment,
    sources: Vec<Stamp>,
) -> Result<(), WriteError> {
    Ok(publish_pieces(io, path, &segment.image(sources)?)?)
}

/// Why a helper gives no image.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum HelpError {
    /// The tables would be too large.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What came in are no signatures of this format.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What the system says.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a helper process does for [`live`](crate::live): reads signatures that a
/// server admitted, compiles them on one thread that nobody notices, and writes the
/// image; gives the number of signatures. A server that is started with
/// `compile --helper` can be its own helper by calling this with its standard
/// input and output.
///
/// # Errors
///
/// What came in is nothing that a server of this version sends, it cannot be
/// compiled, or the image not be written.
pub fn help(mut from: impl io::Read, mut to: impl io::Write) -> Result<usize, HelpError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    let compile = || Ok::<_, HelpError>(Segment::new(read_set(&bytes.into())?)?);
    let segment = Workshop::open()?.work(compile)?;
    for piece in segment.image(Vec::new())? {
        to.write_all(&piece)?;
    }
    to.flush()?;
    Ok(segment.signatures().len())
}

/// What tells a source file from others. Reads all of it.
///
/// # Errors
///
/// The file cannot be read.
pub fn stamp(path: &Path) -> io::Result<Stamp> {
    let mut file = crate::database::open_quietly(path)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    let mut len = 0;
    loop {
        let n = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        len += n as u64;
        digest.update(piece.get(..n).unwrap_or_default());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Stamp { name, len, sha256: digest.finalize().into() })
}
