//! Zstandard: one file, compressed, in frames, some of which are to be skipped.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;

use super::Ending;
use super::fields::u32_at;
use super::stream::{LARGEST_DICTIONARY, decode, joined};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    joined(bytes, budget, visit, is_start, frame)
}

/// Decodes one frame.
pub(super) fn frame(
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
) -> (usize, Ending) {
    if u32_at(input, 0).is_some_and(is_skippable) {
        let length = u32_at(input, 4).and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| length.checked_add(8));
        return match end.filter(|&end| end <= input.len()) {
            Some(end) => (end, Ending::Complete),
            None => (input.len(), Ending::Damaged),
        };
    }
    decode(input, out, room, budget, |source| {
        let most = u64::from(LARGEST_DICTIONARY);
        let decoder = StreamingDecoder::new_with_max_window_size(source, most)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Box::new(decoder) as Box<dyn Read>)
    })
}

fn is_start(bytes: &[u8]) -> bool {
    u32_at(bytes, 0).is_some_and(|magic| magic == MAGIC || is_skippable(magic))
}

fn is_skippable(magic: u32) -> bool {
    magic & 0xffff_fff0 == 0x184d_2a50
}

pub(super) const MAGIC: u32 = 0xfd2f_b528;
