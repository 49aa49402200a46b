//! Archives: a directory of members, or one compressed stream.

pub(crate) mod gzip;
pub(crate) mod zip;
