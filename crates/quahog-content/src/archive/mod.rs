//! Archives: a directory of members, or one compressed stream.
//!
//! Each format is one file. What they share stands here: [`Members`] hands out
//! what a format finds, under the budget, and [`decode`](stream::decode) runs
//! the decoders of crates so that they are bounded, metered, and cannot take
//! the scan down. A walker of ours says where bytes lie; a crate's decoder, or
//! one of ours, says what they mean.

mod bits;
mod cipher;
pub(crate) mod fields;
mod members;
mod method;
mod pkzip;
mod stream;
mod unrar;

pub(crate) mod alz;
pub(crate) mod ar;
pub(crate) mod arj;
pub(crate) mod bzip2;
pub(crate) mod cabinet;
pub(crate) mod chm;
pub(crate) mod compress;
pub(crate) mod cpio;
pub(crate) mod egg;
pub(crate) mod gzip;
pub(crate) mod installshield;
pub(crate) mod iso;
pub(crate) mod lha;
pub(crate) mod lz4;
pub(crate) mod lzip;
pub(crate) mod lzma;
pub(crate) mod nsis;
pub(crate) mod rar;
pub(crate) mod recognize;
pub(crate) mod sevenz;
pub(crate) mod sis;
pub(crate) mod szdd;
pub(crate) mod tar;
pub(crate) mod xar;
pub(crate) mod xz;
pub(crate) mod zip;
pub(crate) mod zstd;

use members::Stop;

use flate2::{Decompress, FlushDecompress, Status};

use crate::{Budget, Shortfall};

/// How an [`Inflater::run`] ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// The stream came to its own end.
    Complete,
    /// The input ended before the stream did, or is no deflate stream here.
    Damaged,
    /// The output is full; the stream goes on.
    Full,
    /// The budget ended the work.
    Stopped(Shortfall),
    /// It is packed so well that it looks like a bomb.
    Swollen,
    /// It needs what is not implemented, or more memory than it may have.
    Unsupported,
}

impl Ending {
    /// What a part that ended so lacks; `over` if it is longer than it may be.
    pub(crate) fn shortfall(self, over: Shortfall) -> Option<Shortfall> {
        match self {
            Ending::Complete => None,
            Ending::Damaged => Some(Shortfall::Malformed),
            Ending::Full => Some(over),
            Ending::Stopped(why) => Some(why),
            Ending::Swollen => Some(Shortfall::Expansion),
            Ending::Unsupported => Some(Shortfall::Unsupported),
        }
    }
}

/// A raw deflate decoder that is used again for each stream of an archive.
struct Inflater {
    state: Decompress,
}

impl Inflater {
    fn new() -> Inflater {
        Inflater { state: Decompress::new(false) }
    }

    /// Appends to `out` what the stream at the start of `input` decodes to,
    /// until `out` has `room` bytes.
    ///
    /// Returns how many bytes of `input` were used, and why decoding ended.
    /// What was decoded before the damage stays in `out`. Memory grows with
    /// the output, never with a declared size.
    fn run(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        room: usize,
        budget: &Budget<'_>,
    ) -> (usize, Ending) {
        self.state.reset(false);
        let (mut used, mut charged) = (0, 0);
        let start = out.len();
        loop {
            // One byte more than the room tells "exactly full" from "goes on".
            let free = room.saturating_add(1).saturating_sub(out.len());
            if free == 0 {
                out.truncate(room);
                return (used, Ending::Full);
            }
            let chunk = out.len().clamp(FIRST_CHUNK, LARGEST_CHUNK).min(free);
            out.reserve(chunk);
            let before_out = out.len();
            let rest = input.get(used..).unwrap_or_default();
            let rest = rest.get(..INPUT_CHUNK).unwrap_or(rest);
            let before_in = self.state.total_in();
            let status = self.state.decompress_vec(rest, out, FlushDecompress::None);
            let taken = usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
            used += taken;
            let given = out.len() - before_out;
            let full = out.len() > room;
            out.truncate(room);
            if let Err(shortfall) = budget.tick((taken + given) as u64) {
                return (used, Ending::Stopped(shortfall));
            }
            match status {
                Ok(_) if full => return (used, Ending::Full),
                _ if !budget.expand(used, out.len() - start, &mut charged) => {
                    return (used, Ending::Swollen);
                }
                Ok(Status::StreamEnd) => return (used, Ending::Complete),
                Ok(_) if taken + given > 0 => {}
                // No progress: the input is used up, or the stream is broken.
                Ok(_) | Err(_) => return (used, Ending::Damaged),
            }
        }
    }
}

/// The first and the largest step by which output grows. Steps bound how long
/// the budget is not asked.
const FIRST_CHUNK: usize = 16 << 10;
const LARGEST_CHUNK: usize = 1 << 20;

/// Input that is offered at once. It bounds the output of one step: at most a
/// thousand times as much.
const INPUT_CHUNK: usize = 4 << 10;

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A name that is UTF-8, or else a text with one byte for each character.
fn decode_name<'p>(bytes: &'p [u8], upper: impl Fn(u8) -> char) -> std::borrow::Cow<'p, str> {
    match std::str::from_utf8(bytes) {
        Ok(name) => name.into(),
        Err(_) => bytes
            .iter()
            .map(|&byte| if byte < 0x80 { char::from(byte) } else { upper(byte) })
            .collect::<String>()
            .into(),
    }
}
