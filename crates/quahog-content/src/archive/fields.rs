//! Fields of headers: numbers at an offset, and texts that end with a zero.

use memchr::memchr;

/// `N` bytes at an offset.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

pub(super) fn be16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_be_bytes)
}

/// The bytes before the first zero, or all.
pub(super) fn before_zero(bytes: &[u8]) -> &[u8] {
    bytes.get(..memchr(0, bytes).unwrap_or(bytes.len())).unwrap_or_default()
}

/// The bytes from `start` for `length`, as far as there are any, and whether
/// there are all.
pub(super) fn range(bytes: &[u8], start: u64, length: u64) -> (&[u8], bool) {
    let clip = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let end = start.saturating_add(length);
    let found = bytes.get(clip(start)..clip(end)).unwrap_or_default();
    (found, found.len() as u64 == length)
}

/// A text of 16-bit units.
pub(super) fn utf16(bytes: &[u8], big_endian: bool) -> String {
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    });
    char::decode_utf16(units.take_while(|&unit| unit != 0))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
