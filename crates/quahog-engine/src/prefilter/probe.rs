//! Stage 1: which places of a buffer have a gram that the filter knows.
//!
//! The loops here define the result; vector twins may find it faster.

use std::ops::Range;

/// A place that the filter passed on, and the hash of its gram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) at: u32,
    pub(crate) hash: u32,
}

/// Which grams are looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Probes {
    /// 8 bytes at every place that is a multiple of 4.
    Long,
    /// 4 bytes at every place.
    Short,
}

/// Bit 5 of every byte.
const FOLD: u64 = 0x2020_2020_2020_2020;
const LONG_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const SHORT_FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// The hash of 8 bytes, folded: the filter's word, its bits and the bucket are
/// taken from it.
pub(super) fn hash_long(gram: [u8; 8]) -> u64 {
    let gram = u64::from_le_bytes(gram) | FOLD;
    // Two multiplications mix the upper bytes down, too.
    (gram ^ gram >> 29).wrapping_mul(LONG_FACTOR)
}

/// The hash of 4 bytes, folded.
pub(super) fn hash_short(gram: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(gram) | FOLD as u32).wrapping_mul(SHORT_FACTOR)
}

/// The part of a hash by which entries are found.
pub(super) fn key(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The word of a filter of `1 << bits` words that a hash looks at, and the two
/// bits in it.
pub(super) fn slot(hash: u64, bits: u32) -> (usize, u32) {
    let word = (hash >> (64 - bits)) as usize;
    // Bits that do not choose the word: a filter has 2^20 words at most.
    let mask = 1 << (hash >> 34 & 31) | 1 << (hash >> 39 & 31);
    (word, mask)
}

impl Probes {
    /// Appends the candidates that begin in `range`.
    ///
    /// The filter has a power of two of words, and places are below 2^32:
    /// what lies behind is found through no gram.
    pub(super) fn run(
        self,
        filter: &[u32],
        haystack: &[u8],
        range: Range<usize>,
        out: &mut Vec<Candidate>,
    ) {
        match self {
            Probes::Long => long(filter, haystack, range, out),
            Probes::Short => short(filter, haystack, range, out),
        }
    }
}

fn passes(filter: &[u32], hash: u64, bits: u32) -> bool {
    let (word, mask) = slot(hash, bits);
    filter.get(word).is_some_and(|word| word & mask == mask)
}

fn long(filter: &[u32], haystack: &[u8], range: Range<usize>, out: &mut Vec<Candidate>) {
    let bits = filter.len().ilog2();
    let first = range.start.next_multiple_of(4);
    for at in (first..range.end).step_by(4) {
        let Some(&gram) = haystack.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        let hash = hash_long(gram);
        if passes(filter, hash, bits)
            && let Ok(at) = u32::try_from(at)
        {
            out.push(Candidate { at, hash: key(hash) });
        }
    }
}

fn short(filter: &[u32], haystack: &[u8], range: Range<usize>, out: &mut Vec<Candidate>) {
    let bits = filter.len().ilog2();
    for at in range {
        let Some(&gram) = haystack.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        let hash = hash_short(gram);
        if passes(filter, hash, bits)
            && let Ok(at) = u32::try_from(at)
        {
            out.push(Candidate { at, hash: key(hash) });
        }
    }
}
