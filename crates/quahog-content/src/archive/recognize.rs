//! Formats that file type magic does not name.
//!
//! ClamAV has no types for these, and signatures may count on what it makes
//! of them instead (binary data, mostly). So they keep that type, and are
//! opened by their own first bytes.

use super::fields::u32_at;
use super::{ar, lz4, lzma, zstd};
use crate::Format;

/// The format of bytes that have no type of their own.
pub(crate) fn recognize(bytes: &[u8]) -> Option<Format> {
    if let Some([b'-', b'l' | b'p', b'h' | b'z' | b'm', _, b'-']) = bytes.get(2..7) {
        Some(Format::Lha)
    } else if bytes.starts_with(b"LZIP\x01") {
        Some(Format::Lzip)
    } else if bytes.starts_with(ar::MAGIC) {
        Some(Format::Ar)
    } else if u32_at(bytes, 0) == Some(zstd::MAGIC) {
        Some(Format::Zstd)
    } else if lz4::is_start(bytes) {
        Some(Format::Lz4)
    } else if matches!(bytes, [0x1f, 0x9d, flags, ..] if flags & 0x60 == 0) {
        Some(Format::Compress)
    } else if lzma::is_file(bytes) {
        Some(Format::Lzma)
    } else {
        None
    }
}
