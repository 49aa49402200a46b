//! bzip2: one file, compressed, in one or more streams.

use super::stream::{decode, joined};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    joined(bytes, budget, visit, is_start, stream)
}

/// Decodes one stream.
pub(super) fn stream(
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
) -> (usize, super::Ending) {
    decode(input, out, room, budget, |source| Ok(Box::new(bzip2::bufread::BzDecoder::new(source))))
}

/// `BZh` and the size of blocks.
fn is_start(bytes: &[u8]) -> bool {
    matches!(bytes, [b'B', b'Z', b'h', b'1'..=b'9', ..])
}
