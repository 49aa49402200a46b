//! Twins of loops for what this processor can do: the only unsafe code of the
//! crate.
//!
//! What the probes of the prefilter find is defined by the loops in
//! [`probe`](crate::prefilter::probe), to which a test holds their vector twins.
//! Each takes as many places as fill its vectors, and says which are left to the
//! loop. Digests are defined by [`one_after_the_other`].

#[cfg(target_arch = "x86_64")]
mod digests;
#[cfg(target_arch = "x86_64")]
mod probes;

#[cfg(not(target_arch = "x86_64"))]
use std::ops::Range;

use sha2::block_api::compress256;

use crate::md5::{Block, Lanes, blocks};
#[cfg(not(target_arch = "x86_64"))]
use crate::prefilter::halves::Halves;
#[cfg(not(target_arch = "x86_64"))]
use crate::prefilter::probe::Candidate;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use self::one_after_the_other as md5_and_sha256;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use crate::md5::blocks as md5;
#[cfg(target_arch = "x86_64")]
pub(crate) use digests::{md5, md5_and_sha256, side_by_side};
#[cfg(target_arch = "x86_64")]
pub(crate) use probes::Vectors;
#[cfg(all(fuzzing, target_arch = "x86_64"))]
pub(crate) use probes::assert_twins;

/// Takes in blocks for both digests, as many of each buffer.
pub(crate) fn one_after_the_other<const N: usize>(
    state: &mut Lanes<N>,
    sha256: &mut [[u32; 8]; N],
    buffers: [&[Block]; N],
) {
    blocks(state, buffers);
    let n = buffers.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for (state, blocks) in sha256.iter_mut().zip(buffers) {
        compress256(state, &blocks[..n]);
    }
}

/// How many digests at a time are faster than fewer, here.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn side_by_side() -> usize {
    2
}

/// Proof that this CPU has vectors that are worth their while: none is known
/// for this architecture.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Vectors {}

#[cfg(not(target_arch = "x86_64"))]
impl Vectors {
    pub(crate) fn all() -> impl DoubleEndedIterator<Item = Vectors> {
        std::iter::empty()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {}
    }

    pub(crate) fn long(
        self,
        _: &[u32],
        _: &[u8],
        _: Range<usize>,
        _: &mut Vec<Candidate>,
    ) -> Range<usize> {
        match self {}
    }

    pub(crate) fn short(
        self,
        _: &[u32],
        _: &[u8],
        _: Range<usize>,
        _: &mut Vec<Candidate>,
    ) -> Range<usize> {
        match self {}
    }

    pub(crate) fn few(
        self,
        _: &[u32],
        _: &[u8],
        _: Range<usize>,
        _: &mut Vec<Candidate>,
    ) -> Range<usize> {
        match self {}
    }

    pub(crate) fn screen<const N: usize>(
        self,
        _: &Halves<N>,
        _: &[u8],
        _: Range<usize>,
        _: &mut impl FnMut(usize, [u8; N]),
    ) -> Range<usize> {
        match self {}
    }
}
