//! The methods of zip, by their numbers.

use std::io::{self, Read};

use ppmd_rust::{Ppmd8Decoder, RestoreMethod};

use super::fields::u16_at;
use super::stream::{LARGEST_DICTIONARY, decode};
use super::{Ending, bzip2, lzma, pkzip, xz, zstd};
use crate::Budget;

/// What the headers say of packed data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) method: u16,
    pub(super) flags: u16,
    /// Bytes once decoded; needed by methods that do not mark their end.
    pub(super) size: u64,
}

/// Whether [`unpack`] knows the method; deflate and "stored" are not its
/// business.
pub(super) fn is_known(method: u16) -> bool {
    matches!(method, 1..=6 | DEFLATE64 | BZIP2 | LZMA | 20 | ZSTD | XZ | PPMD)
}

/// Whether data of the method says itself where it ends.
pub(super) fn ends_itself(method: u16) -> bool {
    matches!(method, DEFLATE64 | BZIP2 | 20 | ZSTD | XZ)
}

/// Decodes a member's data, at most `room` bytes.
pub(super) fn unpack(
    packed: Packed,
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
) -> (usize, Ending) {
    let Packed { method, flags, size } = packed;
    let declared = usize::try_from(size).unwrap_or(usize::MAX);
    let size = declared.min(room);
    let known_end = match method {
        1 => pkzip::unshrink(input, out, size, budget),
        2..=5 => pkzip::expand(input, out, size, u32::from(method) - 1, budget),
        6 => pkzip::explode(input, out, size, flags, budget),
        PPMD => ppmd(input, out, size, budget),
        LZMA => {
            let end = if flags & 2 != 0 { u64::MAX } else { packed.size };
            return zip_lzma(input, out, room, budget, end);
        }
        DEFLATE64 => {
            return decode(input, out, room, budget, |source| {
                Ok(Box::new(deflate64::Deflate64Decoder::with_buffer(source)) as Box<dyn Read>)
            });
        }
        BZIP2 => return bzip2::stream(input, out, room, budget),
        20 | ZSTD => return zstd::frame(input, out, room, budget),
        XZ => return xz::stream(input, out, room, budget),
        _ => return (0, Ending::Unsupported),
    };
    let cut = known_end == Ending::Complete && declared > room;
    (input.len(), if cut { Ending::Full } else { known_end })
}

/// LZMA as zip has it: `version:2 length:2 properties:1 dictionary:4`.
fn zip_lzma(
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
    size: u64,
) -> (usize, Ending) {
    let Some(&[_, _, 5, 0, properties, a, b, c, d]) = input.first_chunk::<9>() else {
        return (0, Ending::Damaged);
    };
    let data = input.get(9..).unwrap_or_default();
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let (used, ending) = lzma::raw(data, out, room, budget, properties, dictionary, size);
    (used + 9, ending)
}

/// PPMd as zip has it: variant I, and its parameters in two bytes.
fn ppmd(input: &[u8], out: &mut Vec<u8>, size: usize, budget: &Budget<'_>) -> Ending {
    let Some(word) = u16_at(input, 0).map(u32::from) else { return Ending::Damaged };
    let (order, memory) = ((word & 15) + 1, ((word >> 4 & 0xff) + 1) << 20);
    if memory > LARGEST_DICTIONARY {
        return Ending::Unsupported;
    }
    let restore = match word >> 12 {
        0 => RestoreMethod::Restart,
        1 => RestoreMethod::CutOff,
        _ => return Ending::Unsupported,
    };
    let data = input.get(2..).unwrap_or_default();
    let (_, ending) = decode(data, out, size, budget, |source| {
        let decoder = Ppmd8Decoder::new(source, order, memory, restore)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Box::new(decoder) as Box<dyn Read>)
    });
    match ending {
        Ending::Full => Ending::Complete,
        Ending::Complete if out.len() < size => Ending::Damaged,
        other => other,
    }
}

const DEFLATE64: u16 = 9;
const BZIP2: u16 = 12;
const LZMA: u16 = 14;
const ZSTD: u16 = 93;
const XZ: u16 = 95;
const PPMD: u16 = 98;
