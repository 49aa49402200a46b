//! Images of engines, mapped: the tables stay in the file, and all processes
//! that use it share one copy.

use std::path::Path;

use bytes::Bytes;
use quahog::image::{self, Check, OpenError};
use quahog::{Segment, image::ImageInfo};

/// The bytes of an image file that is as safe from others as we are.
pub(crate) fn bytes(path: &Path) -> Result<Bytes, OpenError> {
    let file = image::open_file(path)?;
    // SAFETY: The file is regular, belongs to us or to root, and nobody else can
    // write it; whoever publishes an image renames a new file over the old one.
    // Should somebody change it in place all the same, other numbers are read,
    // and no number in it is believed; no reference to more than plain numbers
    // is ever made of it.
    #[allow(unsafe_code)]
    let map = unsafe { memmap2::Mmap::map(&file) };
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    Ok(Bytes::from_owner(map.map_err(io)?))
}

/// The segment in an image file.
pub(crate) fn segment(path: &Path) -> Result<Segment, OpenError> {
    image::open(path, &bytes(path)?, Check::Structure)
}

/// What an image says of itself; its digest was checked.
pub(crate) fn info(path: &Path) -> Result<(ImageInfo, Segment), OpenError> {
    let bytes = bytes(path)?;
    let segment = image::open(path, &bytes, Check::Digest)?;
    let wrong = |error| OpenError::Image { path: path.to_owned(), error };
    Ok((ImageInfo::read(&bytes).map_err(wrong)?, segment))
}
