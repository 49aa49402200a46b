//! Digests under way: those of a layer, and of the layers around it beside it.
//!
//! MD5 waits for itself at each step, and SHA-256 has instructions of its own, so
//! two of each at a time cost hardly more than one MD5, and three where vectors hold
//! them not much more. What is digested beside a layer are the layers around it,
//! which live longer than it and are judged after it.

use sha2::block_api::compress256;

use crate::md5::{self, Block};
use crate::simd;

/// Which digests of a buffer are asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) md5: bool,
    pub(crate) sha256: bool,
}

/// How far the digests of a buffer are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    md5: [u32; 4],
    /// As far as the MD5, unless it was left out.
    sha256: Option<[u32; 8]>,
    /// The bytes that were taken in: whole blocks.
    taken: usize,
}

impl Default for Running {
    fn default() -> Running {
        let sha256 = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        Running { md5: md5::START, sha256: Some(sha256), taken: 0 }
    }
}

/// The digests of a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    /// `None` if it was left out at some block.
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Running {
    /// The blocks of this buffer that were not taken in yet.
    fn left(self, bytes: &[u8]) -> &[Block] {
        bytes.get(self.taken..).unwrap_or_default().as_chunks().0
    }

    /// How many whole blocks of the buffer are left.
    pub(crate) fn n_left(self, bytes: &[u8]) -> usize {
        self.left(bytes).len()
    }

    /// Whether the buffer has no whole block left.
    pub(crate) fn is_at_end(self, bytes: &[u8]) -> bool {
        self.n_left(bytes) == 0
    }

    /// Takes in blocks of buffers, until one has none left; SHA-256 only if it is
    /// asked for.
    pub(crate) fn beside<const N: usize>(all: [(&mut Running, &[u8]); N], sha256: bool) {
        let count = all.iter().map(|(one, bytes)| one.n_left(bytes)).min().unwrap_or(0);
        let blocks = all.each_ref().map(|(one, bytes)| &one.left(bytes)[..count]);
        Running::take(all.map(|(one, _)| one), blocks, sha256);
    }

    /// Takes in blocks of buffers, as many of each.
    fn take<const N: usize>(all: [&mut Running; N], blocks: [&[Block]; N], sha256: bool) {
        let mut lanes = std::array::from_fn(|word| all.each_ref().map(|one| one.md5[word]));
        // One that was left out stays so, and is computed in vain.
        let mut states = all.each_ref().map(|one| one.sha256.unwrap_or_default());
        if sha256 {
            simd::md5_and_sha256(&mut lanes, &mut states, blocks);
        } else {
            simd::md5(&mut lanes, blocks);
        }
        for (lane, one) in all.into_iter().enumerate() {
            one.md5 = lanes.map(|word| word[lane]);
            let kept = sha256 || blocks[lane].is_empty();
            one.sha256 = one.sha256.filter(|_| kept).map(|_| states[lane]);
            one.taken += size_of_val(blocks[lane]);
        }
    }

    /// Takes in the rest of the buffer, and gives its digests; SHA-256 only if it
    /// is asked for.
    pub(crate) fn finish(mut self, bytes: &[u8], sha256: bool) -> Digests {
        let left = self.left(bytes);
        Running::take([&mut self], [left], sha256);
        let tail = bytes.as_chunks::<64>().1;
        let mut last = [[0; 64]; 2];
        let flat = last.as_flattened_mut();
        flat[..tail.len()].copy_from_slice(tail);
        flat[tail.len()] = 0x80;
        let blocks = if tail.len() < 56 { 1 } else { 2 };
        let length = 64 * blocks - 8..64 * blocks;
        let bits = (bytes.len() as u64).wrapping_mul(8);
        // They differ in the order of bytes.
        last.as_flattened_mut()[length.clone()].copy_from_slice(&bits.to_le_bytes());
        let mut lanes = self.md5.map(|word| [word]);
        simd::md5(&mut lanes, [&last[..blocks]]);
        let sha256 = self.sha256.filter(|_| sha256).map(|mut state| {
            last.as_flattened_mut()[length].copy_from_slice(&bits.to_be_bytes());
            compress256(&mut state, &last[..blocks]);
            let mut digest = [0; 32];
            let words = digest.as_chunks_mut().0.iter_mut().zip(state);
            words.for_each(|(bytes, word)| *bytes = word.to_be_bytes());
            digest
        });
        let mut digest = [0; 16];
        let words = digest.as_chunks_mut().0.iter_mut().zip(lanes.as_flattened());
        words.for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        Digests { md5: digest, sha256 }
    }
}

/// The MD5 of a buffer.
pub(crate) fn md5(bytes: &[u8]) -> [u8; 16] {
    Running::default().finish(bytes, false).md5
}

#[cfg(test)]
mod tests {
    use md5::Digest as _;
    use proptest::prelude::*;

    use super::{Digests, Running};

    fn expected(bytes: &[u8]) -> Digests {
        let sha256 = Some(sha2::Sha256::digest(bytes).into());
        Digests { md5: md5::Md5::digest(bytes).into(), sha256 }
    }

    #[test]
    fn every_length_around_a_block_is_padded_right() {
        let bytes: Vec<u8> = (0..200u8).collect();
        for len in 0..bytes.len() {
            let bytes = &bytes[..len];
            assert_eq!(Running::default().finish(bytes, true), expected(bytes), "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn digests_side_by_side_are_those_of_each(
            parts in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..400), any::<bool>(), any::<bool>()),
                0..6,
            ),
            outer in proptest::array::uniform2(proptest::collection::vec(any::<u8>(), 0..1_000)),
        ) {
            let mut around = [Running::default(); 2];
            let mut whole = [true; 2];
            for (part, sha256, all) in &parts {
                let mut inner = Running::default();
                let before = around.map(|one| one.taken);
                let [one, other] = &mut around;
                let (own, one) = ((&mut inner, &part[..]), (one, &outer[0][..]));
                if *all {
                    Running::beside([own, one, (other, &outer[1])], *sha256);
                } else {
                    Running::beside([own, one], *sha256);
                }
                for (at, whole) in whole.iter_mut().enumerate() {
                    *whole &= *sha256 || before[at] == around[at].taken;
                }
                let ended = around[0].is_at_end(&outer[0]) || around[1].is_at_end(&outer[1]);
                prop_assert!(inner.is_at_end(part) || ended);
                let found = inner.finish(part, *sha256);
                prop_assert_eq!(found.md5, expected(part).md5);
                prop_assert_eq!(found.sha256, expected(part).sha256.filter(|_| *sha256));
            }
            for ((running, bytes), whole) in around.into_iter().zip(&outer).zip(whole) {
                let found = running.finish(bytes, true);
                prop_assert_eq!(found.md5, expected(bytes).md5);
                prop_assert_eq!(found.sha256, expected(bytes).sha256.filter(|_| whole));
            }
        }
    }
}
