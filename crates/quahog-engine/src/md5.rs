//! MD5, of one buffer or of two side by side.
//!
//! Each step of MD5 waits for the step before it, so one digest leaves half of
//! a processor idle: a second one beside it is nearly free. What is digested
//! beside a layer are the layers around it, which live longer than it and are
//! judged after it.

use crate::simd;

/// The states of `N` digests, each word of all of them together.
pub(crate) type Lanes<const N: usize> = [[u32; N]; 4];

type Block = [u8; 64];

/// How far the digest of a buffer is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    state: [u32; 4],
    /// The bytes that were taken in: whole blocks.
    taken: usize,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476], taken: 0 }
    }
}

impl Progress {
    /// The blocks of this buffer that were not taken in yet.
    fn left(self, bytes: &[u8]) -> &[Block] {
        bytes.get(self.taken..).unwrap_or_default().as_chunks().0
    }

    /// Takes in blocks of two buffers, until one has none left.
    pub(crate) fn beside(&mut self, bytes: &[u8], other: &mut Progress, others: &[u8]) {
        let (own, around) = (self.left(bytes), other.left(others));
        let count = own.len().min(around.len());
        let mut lanes = std::array::from_fn(|word| [self.state[word], other.state[word]]);
        simd::md5_pair(&mut lanes, &own[..count], &around[..count]);
        for (word, [mine, others]) in lanes.into_iter().enumerate() {
            (self.state[word], other.state[word]) = (mine, others);
        }
        self.taken += count * size_of::<Block>();
        other.taken += count * size_of::<Block>();
    }

    /// Whether the buffer has no whole block left.
    pub(crate) fn is_at_end(self, bytes: &[u8]) -> bool {
        self.left(bytes).is_empty()
    }

    /// Takes in the rest of the buffer, and gives its digest.
    pub(crate) fn finish(mut self, bytes: &[u8]) -> [u8; 16] {
        self.blocks(self.left(bytes));
        let tail = bytes.as_chunks::<64>().1;
        let mut last = [[0; 64]; 2];
        let flat = last.as_flattened_mut();
        flat[..tail.len()].copy_from_slice(tail);
        flat[tail.len()] = 0x80;
        let end = if tail.len() < 56 { 64 } else { 128 };
        let bits = (bytes.len() as u64).wrapping_mul(8);
        flat[end - 8..end].copy_from_slice(&bits.to_le_bytes());
        self.blocks(&last[..end / 64]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        digest
    }

    fn blocks(&mut self, blocks: &[Block]) {
        let mut lanes = self.state.map(|word| [word]);
        for block in blocks {
            compress(&mut lanes, [block]);
        }
        self.state = lanes.as_flattened().try_into().unwrap_or(self.state);
    }
}

/// The MD5 of a buffer.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 16] {
    Progress::default().finish(bytes)
}

/// Takes in as many blocks of two buffers as the shorter has.
///
/// Always inlined, so that its twins are compiled for the instructions that
/// they were detected to have.
#[inline(always)]
pub(crate) fn pair(lanes: &mut Lanes<2>, left: &[Block], right: &[Block]) {
    for (left, right) in left.iter().zip(right) {
        compress(lanes, [left, right]);
    }
}

/// The constants of the 64 steps (RFC 1321).
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// By how much each step of a round turns its sum.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

#[inline(always)]
fn compress<const N: usize>(state: &mut Lanes<N>, blocks: [&Block; N]) {
    let blocks = blocks.map(|block| block.as_chunks().0);
    let mut lanes = *state;
    macro_rules! steps {
        ($($number:literal)*) => { $(step::<N, $number>(&mut lanes, blocks);)* };
    }
    steps! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    }
    for (sum, word) in state.as_flattened_mut().iter_mut().zip(lanes.as_flattened()) {
        *sum = sum.wrapping_add(*word);
    }
}

#[inline(always)]
fn step<const N: usize, const NUMBER: usize>(lanes: &mut Lanes<N>, blocks: [&[[u8; 4]]; N]) {
    let round = NUMBER / 16;
    let word = match round {
        0 => NUMBER,
        1 => (5 * NUMBER + 1) % 16,
        2 => (3 * NUMBER + 5) % 16,
        _ => (7 * NUMBER) % 16,
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|role| (64 + role - NUMBER) % 4);
    for lane in 0..N {
        let (x, y, z) = (lanes[b][lane], lanes[c][lane], lanes[d][lane]);
        let sum = lanes[a][lane]
            .wrapping_add(SINES[NUMBER])
            .wrapping_add(u32::from_le_bytes(blocks[lane][word]));
        let sum = match round {
            0 => sum.wrapping_add(z ^ (x & (y ^ z))),
            // No bit is set in both: this sum waits for `x` one step less.
            1 => sum.wrapping_add(y & !z).wrapping_add(x & z),
            2 => sum.wrapping_add(x ^ y ^ z),
            _ => sum.wrapping_add(y ^ (x | !z)),
        };
        lanes[a][lane] = x.wrapping_add(sum.rotate_left(TURNS[round][NUMBER % 4]));
    }
}

#[cfg(test)]
mod tests {
    use md5::Digest as _;
    use proptest::prelude::*;

    use super::{Progress, digest, pair};
    use crate::simd;

    fn expected(bytes: &[u8]) -> [u8; 16] {
        md5::Md5::digest(bytes).into()
    }

    #[test]
    fn every_length_around_a_block_is_padded_right() {
        let bytes: Vec<u8> = (0..200u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(digest(&bytes[..len]), expected(&bytes[..len]), "{len} bytes");
        }
    }

    #[test]
    fn the_twin_for_this_processor_is_the_scalar_loop() {
        let blocks: Vec<[u8; 64]> =
            (0..9u8).map(|n| std::array::from_fn(|i| n ^ i as u8)).collect();
        let mut scalar = [[1, 2], [3, 4], [5, 6], [7, 8]];
        let mut twin = scalar;
        pair(&mut scalar, &blocks, &blocks[3..]);
        simd::md5_pair(&mut twin, &blocks, &blocks[3..]);
        assert_eq!(scalar, twin);
    }

    proptest! {
        #[test]
        fn digests_side_by_side_are_those_of_each(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..6),
            around in proptest::collection::vec(any::<u8>(), 0..1_000),
        ) {
            let mut outer = Progress::default();
            for part in &parts {
                let mut inner = Progress::default();
                inner.beside(part, &mut outer, &around);
                prop_assert!(inner.is_at_end(part) || outer.is_at_end(&around));
                prop_assert_eq!(inner.finish(part), expected(part));
            }
            prop_assert_eq!(outer.finish(&around), expected(&around));
        }
    }
}
