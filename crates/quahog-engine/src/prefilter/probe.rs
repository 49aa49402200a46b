//! Stage 1: which places of a buffer have a gram that the filter knows.
//!
//! The loops here define the result; vector twins may find it faster.

use std::ops::Range;

use super::halves::Halves;
use crate::simd::Vectors;

/// A place in a block that the filter passed on, and the hash of its gram.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) at: u32,
    pub(crate) hash: u32,
}

/// Which grams are looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Probes<'f> {
    /// 8 bytes at every place that is a multiple of 4.
    Long,
    /// 4 bytes at every place.
    Short,
    /// As `Short`, of few grams: two places share a look at the filter. Where many
    /// are known, the words of common bytes would be full. With very few, only
    /// places whose halves are known have a look at all.
    Few(Option<&'f Halves<4>>),
}

/// How a CPU looks for grams: byte by byte, or by vectors that it has. All find
/// the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kernel(Option<Vectors>);

impl Kernel {
    /// All that this CPU can run: the plain loops first, then what is faster; the
    /// last one is the [default](Kernel::default).
    pub fn available() -> Vec<Kernel> {
        std::iter::once(Kernel(None)).chain(Vectors::all().map(|v| Kernel(Some(v)))).collect()
    }

    /// A name for people.
    pub fn name(self) -> &'static str {
        self.0.map_or("portable", Vectors::name)
    }
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel(Vectors::all().last())
    }
}

/// Bit 5 of every byte.
pub(crate) const FOLD: u32 = 0x2020_2020;
/// What the lower and the upper half of a gram of 8 bytes are multiplied with; of
/// a short one, the gram and what it shares with its neighbour.
pub(crate) const FACTORS: [u32; 2] = [0x9e37_79b1, 0x85eb_ca6b];

/// The hash of 8 bytes, folded. The filter's word, the bits in it and the
/// bucket are taken from its upper bits, which depend on all of the gram.
pub(crate) fn hash_long(gram: [u8; 8]) -> u32 {
    let [a, b, c, d, e, f, g, h] = gram;
    let [low, high] = [[a, b, c, d], [e, f, g, h]].map(|half| u32::from_le_bytes(half) | FOLD);
    mix(low.wrapping_mul(FACTORS[0]).wrapping_add(high.wrapping_mul(FACTORS[1])))
}

/// The hash of 4 bytes, folded.
pub(crate) fn hash_short(gram: [u8; 4]) -> u32 {
    mix((u32::from_le_bytes(gram) | FOLD).wrapping_mul(FACTORS[0]))
}

/// The bytes of a needle that a gram of 8 bytes is known by: this many, of which
/// the gram is one of four.
pub(crate) const AROUND: usize = 11;

/// What a gram of 8 bytes is known by in its bucket: its hash, how many of the
/// three bytes around it stand before it, and these bytes, folded.
pub(crate) fn print_long(hash: u32, shift: usize, around: [u8; 3]) -> u32 {
    let [a, b, c] = around;
    let rest = u32::from_le_bytes([a, b, c, shift as u8]) | FOLD >> 8; // below 4
    let mixed = (u64::from(hash) << 32 | u64::from(rest)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The lower two bits tell the shift.
    (mixed >> 32) as u32 & !3 | shift as u32
}

/// The shift of a print.
pub(super) fn shift_of(print: u32) -> usize {
    (print & 3) as usize
}

/// The print of the gram at a place, whose hash is known, if `shift` bytes stand
/// before it; `None` where there are not as many bytes.
pub(super) fn print_at(haystack: &[u8], place: usize, hash: u32, shift: usize) -> Option<u32> {
    let start = place.checked_sub(shift)?;
    let window: &[u8; AROUND] = haystack.get(start..)?.first_chunk()?;
    Some(print_long(hash, shift, around(window, shift)))
}

/// The bytes of a window of [`AROUND`] bytes before and behind the gram that
/// begins at `shift`.
pub(super) fn around(window: &[u8; AROUND], shift: usize) -> [u8; 3] {
    let [a, b, c, .., x, y, z] = *window;
    match shift {
        0 => [x, y, z],
        1 => [a, y, z],
        2 => [a, b, z],
        _ => [a, b, c],
    }
}

/// Gives the lower bits something of the upper ones.
fn mix(product: u32) -> u32 {
    product ^ product >> 15
}

/// The largest filter has `1 << MAX_BITS` words.
pub(crate) const MAX_BITS: u32 = 20;

/// Where in a hash the two numbers of five bits stand that choose the bits in a
/// word: below those that choose the word, whatever the size of the filter, so
/// that filters of different sizes can be merged.
pub(crate) const MASK: u32 = 2;

/// The word of a filter of `1 << bits` words, and the bits in it.
pub(super) type Slot = (usize, u32);

/// Where a filter knows a gram, by its hash.
pub(super) fn slot(hash: u32, bits: u32) -> Slot {
    let mask = 1 << (hash >> MASK & 31) | 1 << (hash >> (MASK + 5) & 31);
    (word(hash, bits), mask)
}

/// Where a filter of [few](Probes::Few) knows a gram of 4 bytes that begins at an
/// even place, and where at an odd one.
///
/// The word is that of the three bytes which the gram shares with the gram beside
/// it, behind an even place and before an odd one: one look at the filter tells
/// of both. The bit is that of the fourth byte, counted from the upper end.
pub(super) fn slots_of_few(gram: [u8; 4], bits: u32) -> [Slot; 2] {
    let [a, .., d] = gram;
    let gram = u32::from_le_bytes(gram) | FOLD;
    [(gram >> 8, a), (gram << 8 >> 8, d)]
        .map(|(shared, own)| (word(shared.wrapping_mul(FACTORS[1]), bits), 1 << (31 - (own & 31))))
}

/// The upper bits of a hash, as many as tell the words of a filter apart.
fn word(hash: u32, bits: u32) -> usize {
    // A filter of one word, which only a damaged image has, has no bits.
    hash.checked_shr(32 - bits).unwrap_or(0) as usize
}

/// Whether a filter of few knows a gram that begins at this place.
fn few_pass(filter: &[u32], gram: [u8; 4], place: usize, bits: u32) -> bool {
    passes(filter, slots_of_few(gram, bits)[place % 2])
}

fn passes(filter: &[u32], (word, mask): Slot) -> bool {
    filter.get(word).is_some_and(|word| word & mask == mask)
}

/// Appends the candidates for needles of two and three bytes that begin in the
/// first `len` bytes of a block of fewer than 2^32 bytes; their hashes are their
/// first two bytes, folded, which are among these pairs, a bit each.
pub(super) fn run_pairs(
    kernel: Kernel,
    (known, pairs): (&Halves<3>, &[u64]),
    block: &[u8],
    len: usize,
    out: &mut Vec<Candidate>,
) {
    let mut push = |at, pair| {
        let pair = pair_of(pair);
        if pairs.get(pair as usize >> 6).is_some_and(|word| word >> (pair & 63) & 1 == 1) {
            out.push(Candidate { at: at as u32, hash: pair });
        }
    };
    run_screen(kernel, known, block, len, |at, [first, second, _]| push(at, [first, second]));
    // No third byte stands behind the last two.
    if let Some((rest, &last)) = block.split_last_chunk()
        && rest.len() < len
    {
        push(rest.len(), last);
    }
}

/// Finds the places in the first `len` bytes of a block whose halves are known.
fn run_screen<const N: usize>(
    kernel: Kernel,
    known: &Halves<N>,
    block: &[u8],
    len: usize,
    mut found: impl FnMut(usize, [u8; N]),
) {
    let range = match kernel.0 {
        Some(vectors) => vectors.screen(known, block, 0..len, &mut found),
        None => 0..len,
    };
    screen(known, block, range, found);
}

impl Probes<'_> {
    /// Whether a filter, not that which a candidate comes from, passes it too; the
    /// block is the one that it was found in.
    pub(super) fn passes(self, filter: &[u32], block: &[u8], candidate: Candidate) -> bool {
        let Some(bits) = filter.len().checked_ilog2() else { return false };
        match self {
            Probes::Long | Probes::Short => passes(filter, slot(candidate.hash, bits)),
            Probes::Few(_) => {
                let at = candidate.at as usize;
                let gram = block.get(at..).and_then(|rest| rest.first_chunk());
                gram.is_some_and(|&gram| few_pass(filter, gram, at, bits))
            }
        }
    }

    /// Appends the candidates that begin in the first `len` bytes of a block.
    ///
    /// The filter has a power of two of words, and a block fewer than 2^32 bytes.
    pub(super) fn run(
        self,
        kernel: Kernel,
        filter: &[u32],
        block: &[u8],
        len: usize,
        out: &mut Vec<Candidate>,
    ) {
        if let Probes::Few(Some(known)) = self {
            let bits = filter.len().ilog2();
            return run_screen(kernel, known, block, len, |at, gram| {
                if few_pass(filter, gram, at, bits) {
                    out.push(Candidate { at: at as u32, hash: hash_short(gram) });
                }
            });
        }
        let range = match (self, kernel.0) {
            (_, None) => 0..len,
            (Probes::Long, Some(vectors)) => vectors.long(filter, block, 0..len, out),
            (Probes::Short, Some(vectors)) => vectors.short(filter, block, 0..len, out),
            (Probes::Few(_), Some(vectors)) => vectors.few(filter, block, 0..len, out),
        };
        match self {
            Probes::Long => long(filter, block, range, out),
            Probes::Short => short(filter, block, range, out),
            Probes::Few(_) => few(filter, block, range, out),
        }
    }
}

pub(crate) fn long(filter: &[u32], haystack: &[u8], range: Range<usize>, out: &mut Vec<Candidate>) {
    let bits = filter.len().ilog2();
    let first = range.start.next_multiple_of(4);
    for at in (first..range.end).step_by(4) {
        let Some(&gram) = haystack.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        let hash = hash_long(gram);
        if passes(filter, slot(hash, bits))
            && let Ok(at) = u32::try_from(at)
        {
            out.push(Candidate { at, hash });
        }
    }
}

pub(crate) fn short(
    filter: &[u32],
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) {
    let bits = filter.len().ilog2();
    for at in range {
        let Some(&gram) = haystack.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        let hash = hash_short(gram);
        if passes(filter, slot(hash, bits))
            && let Ok(at) = u32::try_from(at)
        {
            out.push(Candidate { at, hash });
        }
    }
}

pub(crate) fn few(filter: &[u32], haystack: &[u8], range: Range<usize>, out: &mut Vec<Candidate>) {
    let bits = filter.len().ilog2();
    for at in range {
        let Some(&gram) = haystack.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        if few_pass(filter, gram, at, bits)
            && let Ok(at) = u32::try_from(at)
        {
            out.push(Candidate { at, hash: hash_short(gram) });
        }
    }
}

pub(crate) fn screen<const N: usize>(
    known: &Halves<N>,
    haystack: &[u8],
    range: Range<usize>,
    mut found: impl FnMut(usize, [u8; N]),
) {
    for at in range {
        let Some(gram) = haystack.get(at..).and_then(|rest| rest.first_chunk::<N>()) else {
            return;
        };
        let classes = known.iter().zip(gram).fold(u8::MAX, |classes, ([low, high], byte)| {
            let byte = usize::from(byte | FOLD as u8);
            classes & low[byte & 15] & high[byte >> 4]
        });
        if classes != 0 {
            found(at, *gram);
        }
    }
}

/// The number of two bytes, folded.
pub(crate) fn pair_of(pair: [u8; 2]) -> u32 {
    u32::from(u16::from_le_bytes(pair.map(|byte| byte | FOLD as u8)))
}
