//! lzip: one file, compressed with LZMA, in one or more members.

use std::io::Read;

use lzma_rust2::LzipReader;

use super::Ending;
use super::stream::{LARGEST_DICTIONARY, decode, joined};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    joined(bytes, budget, visit, is_start, members)
}

/// Decodes all members. The decoder reads ahead, so it must find the next
/// member itself.
fn members(input: &[u8], out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> (usize, Ending) {
    // A power of two, less some sixteenths of it. The format itself bounds
    // those of later members.
    let coded = input.get(5).copied().unwrap_or_default();
    if 1_u32.checked_shl((coded & 0x1f).into()).is_none_or(|size| size > LARGEST_DICTIONARY) {
        return (input.len(), Ending::Unsupported);
    }
    let (_, ending) = decode(input, out, room, budget, |source| {
        Ok(Box::new(LzipReader::new(source)) as Box<dyn Read>)
    });
    (input.len(), ending)
}

fn is_start(bytes: &[u8]) -> bool {
    bytes.starts_with(b"LZIP")
}
