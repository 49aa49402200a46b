//! Archives: a directory of members, or one compressed stream.
//!
//! [`gzip`] has one member without a directory, [`zip`] has two directories
//! that may contradict each other. What they share is the deflate decoder
//! below, which stops where the budget does.

mod cipher;
pub(crate) mod gzip;
pub(crate) mod zip;

use flate2::{Decompress, FlushDecompress, Status};

use crate::{Budget, Shortfall};

/// How an [`Inflater::run`] ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// The stream came to its own end.
    Complete,
    /// The input ended before the stream did, or is no deflate stream here.
    Damaged,
    /// The output is full; the stream goes on.
    Full,
    /// The budget ended the work.
    Stopped(Shortfall),
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
        let mut used = 0;
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

/// Input that is offered at once: a stream may consume bytes for nothing.
const INPUT_CHUNK: usize = 256 << 10;

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
