//! xz: one file, compressed, in one or more streams, with filters and checks.
//!
//! A wrong check is damage: the decoder gives no bytes after it, and the bytes
//! before it are handed out.

use std::io::Read;

use lzma_rust2::XzReader;

use super::Ending;
use super::stream::{LARGEST_DICTIONARY, decode, joined};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    joined(bytes, budget, visit, |bytes| bytes.starts_with(MAGIC), stream)
}

/// Decodes one stream.
pub(super) fn stream(
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
) -> (usize, Ending) {
    decode(input, out, room, budget, |source| {
        let reader = XzReader::new_mem_limit(source, false, LARGEST_DICTIONARY / 1024);
        Ok(Box::new(reader) as Box<dyn Read>)
    })
}

const MAGIC: &[u8] = b"\xfd7zXZ\0";
