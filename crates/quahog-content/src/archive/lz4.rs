//! LZ4: one file, compressed, in frames of the new or the old form.

use std::io::Read;

use lz4_flex::frame::FrameDecoder;

use super::Ending;
use super::fields::u32_at;
use super::stream::{decode, joined};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    joined(bytes, budget, visit, is_start, frame)
}

/// Decodes one frame.
fn frame(input: &[u8], out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> (usize, Ending) {
    if u32_at(input, 0).is_some_and(is_skippable) {
        let length = u32_at(input, 4).and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| length.checked_add(8));
        return match end.filter(|&end| end <= input.len()) {
            Some(end) => (end, Ending::Complete),
            None => (input.len(), Ending::Damaged),
        };
    }
    decode(input, out, room, budget, |source| {
        Ok(Box::new(FrameDecoder::new(source)) as Box<dyn Read>)
    })
}

pub(super) fn is_start(bytes: &[u8]) -> bool {
    let magic = u32_at(bytes, 0);
    magic.is_some_and(|magic| magic == MAGIC || magic == OLD_MAGIC)
}

fn is_skippable(magic: u32) -> bool {
    magic & 0xffff_fff0 == 0x184d_2a50
}

const MAGIC: u32 = 0x184d_2204;
const OLD_MAGIC: u32 = 0x184c_2102;
