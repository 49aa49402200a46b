//! Decoders that documents share. Each appends to a buffer until a bound, and
//! leaves in it what came before any damage.

use flate2::{Decompress, FlushDecompress, Status};

use super::{length_at, u32_at};
use crate::Budget;
pub(super) use crate::archive::Ending;

/// How the deflated data is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Frame {
    Raw,
    /// Two bytes before and a checksum behind, both of which are ignored:
    /// whoever forges them loses no byte.
    Zlib,
}

/// Inflates up to `room` bytes, and tells how much of the input was used.
pub(super) fn inflate(
    input: &[u8],
    frame: Frame,
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
) -> (usize, Ending) {
    let skipped = if frame == Frame::Zlib { 2 } else { 0 };
    let Some(data) = input.get(skipped..) else { return (0, Ending::Damaged) };
    let limit = out.len().saturating_add(room);
    let mut state = Decompress::new(false);
    let (mut used, mut charged) = (0, 0);
    let start = out.len();
    loop {
        // One byte more than the room tells "exactly full" from "goes on".
        let free = limit.saturating_add(1).saturating_sub(out.len());
        out.reserve(out.len().clamp(FIRST_CHUNK, LARGEST_CHUNK).min(free));
        let rest = data.get(used..).unwrap_or_default();
        let rest = rest.get(..INPUT_CHUNK).unwrap_or(rest);
        let (before_in, before_out) = (state.total_in(), out.len());
        let status = state.decompress_vec(rest, out, FlushDecompress::None);
        let taken = usize::try_from(state.total_in() - before_in).unwrap_or(usize::MAX);
        let given = out.len() - before_out;
        used += taken;
        let full = out.len() > limit;
        out.truncate(limit);
        if let Err(shortfall) = budget.tick((taken + given) as u64) {
            return (skipped + used, Ending::Stopped(shortfall));
        }
        let ending = match status {
            Ok(_) if full => Ending::Full,
            _ if !budget.expand(used, out.len() - start, &mut charged) => Ending::Swollen,
            Ok(Status::StreamEnd) => Ending::Complete,
            Ok(_) if taken + given > 0 => continue,
            Ok(_) | Err(_) => Ending::Damaged,
        };
        return (skipped + used, ending);
    }
}

const FIRST_CHUNK: usize = 16 << 10;
const LARGEST_CHUNK: usize = 1 << 20;
const INPUT_CHUNK: usize = 4 << 10;

/// The compressed RTF of Outlook ([MS-OXRTFCP]), or RTF that is stored in the
/// same frame.
pub(super) fn outlook_rtf(input: &[u8], out: &mut Vec<u8>, room: usize) -> Ending {
    let (Some(kind), Some(mut data)) = (u32_at(input, 8), input.get(16..)) else {
        return Ending::Damaged;
    };
    // The first length counts from behind itself.
    if let Some(length) = length_at(input, 0).and_then(|length| length.checked_sub(12)) {
        data = data.get(..length).unwrap_or(data);
    }
    let limit = out.len().saturating_add(room);
    match kind {
        STORED_RTF => {
            let kept = data.get(..room).unwrap_or(data);
            out.extend_from_slice(kept);
            return if kept.len() < data.len() { Ending::Full } else { Ending::Complete };
        }
        COMPRESSED_RTF => {}
        _ => return Ending::Damaged,
    }
    let mut window = [b' '; 4096];
    window[..RTF_WORDS.len()].copy_from_slice(RTF_WORDS);
    let mut at = RTF_WORDS.len();
    let mut bytes = data.iter().copied();
    while let Some(flags) = bytes.next() {
        for bit in 0..8 {
            if out.len() >= limit {
                return Ending::Full;
            }
            if flags >> bit & 1 == 0 {
                let Some(byte) = bytes.next() else { return Ending::Complete };
                out.push(byte);
                window[at] = byte;
                at = (at + 1) % 4096;
                continue;
            }
            let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
                return Ending::Damaged;
            };
            let (mut from, length) =
                (usize::from(high) << 4 | usize::from(low >> 4), usize::from(low & 15) + 2);
            // A reference to where the window ends is the end.
            if from == at {
                return Ending::Complete;
            }
            for _ in 0..length {
                let byte = window[from % 4096];
                out.push(byte);
                window[at] = byte;
                (from, at) = (from + 1, (at + 1) % 4096);
            }
            out.truncate(limit);
        }
    }
    Ending::Complete
}

const COMPRESSED_RTF: u32 = 0x7546_5a4c;
const STORED_RTF: u32 = 0x414c_454d;

/// What the window holds at first.
const RTF_WORDS: &[u8; 207] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}\
    {\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes \
    New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of [MS-OXRTFCP], 4.1.1.
    #[test]
    fn outlook_rtf_is_decompressed() {
        let packed = b"\x2d\x00\x00\x00\x2b\x00\x00\x00\x4c\x5a\x46\x75\xf1\xc5\xc7\xa7\
            \x03\x00\x0a\x00\x72\x63\x70\x67\x31\x32\x35\x42\x32\x0a\xf3\x20\x68\x65\x6c\x09\
            \x00\x20\x62\x77\x05\xb0\x6c\x64\x7d\x0a\x80\x0f\xa0";
        let mut out = Vec::new();
        assert_eq!(outlook_rtf(packed, &mut out, 1000), Ending::Complete);
        assert_eq!(out, b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        out.clear();
        assert_eq!(outlook_rtf(packed, &mut out, 5), Ending::Full);
        assert_eq!(out, b"{\\rtf");
    }
}
