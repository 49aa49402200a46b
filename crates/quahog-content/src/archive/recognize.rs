//! Formats that file type magic does not name.
//!
//! ClamAV has no types for these, and signatures may count on what it makes
//! of them instead (binary data, mostly). So they keep that type, and are
//! opened by their own first bytes.

use super::fields::{u16_at, u32_at, u64_at};
use super::{ar, crc32, lz4, lzma, zstd};
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

/// Whether an archive starts here that somebody wrote, and not just bytes that
/// look like its magic. Asked for places in the middle of other files, where
/// magic stands by accident, or in the code of programs that write archives.
pub(crate) fn starts(format: Format, bytes: &[u8]) -> bool {
    match format {
        Format::Arj => arj(bytes),
        Format::Cabinet => cabinet(bytes).unwrap_or(false),
        Format::Rar => rar(bytes),
        Format::SevenZ => sevenz(bytes).unwrap_or(false),
        Format::Zip => zip(bytes).unwrap_or(false),
        _ => true,
    }
}

fn arj(bytes: &[u8]) -> bool {
    let Some(length) = u16_at(bytes, 2).map(usize::from) else { return false };
    let header = bytes.get(4..4 + length).filter(|_| (30..=2600).contains(&length));
    header.is_some_and(|header| u32_at(bytes, 4 + length) == Some(crc32(header)))
}

fn cabinet(bytes: &[u8]) -> Option<bool> {
    let files_at = u32_at(bytes, 16)?;
    let counts = (u16_at(bytes, 26)?, u16_at(bytes, 28)?);
    let version = (bytes.get(24)?, bytes.get(25)?);
    Some(version == (&3, &1) && counts.0 > 0 && counts.1 > 0 && files_at >= 36)
}

fn rar(bytes: &[u8]) -> bool {
    match bytes.get(6) {
        // The first header is the archive's own.
        Some(0) => bytes.get(9) == Some(&0x73),
        // A checksum, and a header that tells its length in a byte.
        Some(1) => {
            let end = bytes.get(12).map_or(0, |&length| 13 + usize::from(length));
            bytes.get(12..end).is_some_and(|header| u32_at(bytes, 8) == Some(crc32(header)))
        }
        _ => false,
    }
}

/// How long the archive says that it is, if it does.
pub(crate) fn length(format: Format, bytes: &[u8]) -> Option<u64> {
    match format {
        Format::Cabinet => u32_at(bytes, 8).map(u64::from),
        Format::SevenZ => {
            let end = u64_at(bytes, 12)?.checked_add(u64_at(bytes, 20)?)?;
            end.checked_add(32)
        }
        _ => None,
    }
}

fn sevenz(bytes: &[u8]) -> Option<bool> {
    Some(*bytes.get(6)? == 0 && u32_at(bytes, 8)? == crc32(bytes.get(12..32)?))
}

/// A header with a version and a method that exist, and a name that could be
/// one.
fn zip(bytes: &[u8]) -> Option<bool> {
    let name_length = usize::from(u16_at(bytes, 26)?);
    let name = bytes.get(30..30 + name_length)?;
    let method = u16_at(bytes, 8)?;
    let exists = matches!(method, 0..=6 | 8..=10 | 12 | 14 | 16 | 18..=20 | 93..=99);
    Some(
        *bytes.get(4)? <= 63
            && exists
            && (1..=1024).contains(&name_length)
            && name.iter().all(|&byte| byte >= b' '),
    )
}
