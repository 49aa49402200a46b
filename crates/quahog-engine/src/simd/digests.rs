//! Digests by the instructions of x86-64.

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
    _mm_set_epi64x, _mm_set1_epi32, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32,
    _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

use super::one_after_the_other;
use crate::md5::{self, Block, Lanes};

/// Takes in as many blocks of buffers as the shortest has.
///
/// Up to four cost as much as one with AVX-512, whose lanes hold a buffer each. With
/// `andn` and `rorx`, which spare the copies, they are nearly twice as fast as one
/// after the other; without them, a third faster.
pub(crate) fn md5<const N: usize>(state: &mut Lanes<N>, buffers: [&[Block]; N]) {
    if has_lanes() {
        // SAFETY: the CPU has AVX-512 F and VL, as was just asked.
        unsafe { md5_avx512(state, buffers) }
    } else if has_bmi() {
        // SAFETY: the CPU has both, as was just asked.
        unsafe { md5_bmi(state, buffers) }
    } else {
        md5::blocks(state, buffers);
    }
}

/// Takes in blocks for both digests, as many of each buffer: SHA-256 by its own
/// instructions between the steps of MD5, which leave them room.
pub(crate) fn md5_and_sha256<const N: usize>(
    state: &mut Lanes<N>,
    sha256: &mut [[u32; 8]; N],
    buffers: [&[Block]; N],
) {
    if has_sha() && has_lanes() {
        // SAFETY: the CPU has all of these, as was just asked.
        unsafe { both_avx512(state, sha256, buffers) }
    } else if has_sha() && has_bmi() {
        // SAFETY: the CPU has all of these, as was just asked.
        unsafe { both_bmi(state, sha256, buffers) }
    } else {
        one_after_the_other(state, sha256, buffers);
    }
}

/// How many digests at a time are faster than fewer on this CPU. More layers than
/// three are seldom open.
pub(crate) fn side_by_side() -> usize {
    if has_lanes() { 3 } else { 2 }
}

fn has_lanes() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

fn has_sha() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")
}

fn has_bmi() -> bool {
    is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

/// The 64 steps of MD5, four at a time, and between them `$four!` of their number.
macro_rules! steps {
    ($step:ident, $four:ident) => {
        steps! { $step, $four,
            0: 0 1 2 3, 1: 4 5 6 7, 2: 8 9 10 11, 3: 12 13 14 15,
            4: 16 17 18 19, 5: 20 21 22 23, 6: 24 25 26 27, 7: 28 29 30 31,
            8: 32 33 34 35, 9: 36 37 38 39, 10: 40 41 42 43, 11: 44 45 46 47,
            12: 48 49 50 51, 13: 52 53 54 55, 14: 56 57 58 59, 15: 60 61 62 63,
        }
    };
    ($step:ident, $four:ident, $($number:literal: $a:literal $b:literal $c:literal $d:literal,)*) => { $(
        $step!($a);
        $step!($b);
        $step!($c);
        $step!($d);
        $four!($number);
    )* };
}

/// What stands between the steps of MD5 alone.
macro_rules! nothing {
    ($number:literal) => {};
}

#[target_feature(enable = "bmi1,bmi2")]
fn md5_bmi<const N: usize>(state: &mut Lanes<N>, buffers: [&[Block]; N]) {
    for number in 0..least(buffers) {
        let blocks = buffers.map(|blocks| &blocks[number]);
        let mut lanes = *state;
        macro_rules! step {
            ($number:literal) => {
                md5::step::<N, $number>(&mut lanes, blocks, settled)
            };
        }
        steps!(step, nothing);
        md5::add(state, &lanes);
    }
}

#[target_feature(enable = "sha,sse4.1,bmi1,bmi2")]
fn both_bmi<const N: usize>(
    state: &mut Lanes<N>,
    sha256: &mut [[u32; 8]; N],
    buffers: [&[Block]; N],
) {
    let mut states = States::new(sha256);
    let mut sums = state.map(|words| words.map(settled));
    for number in 0..least(buffers) {
        let blocks = buffers.map(|blocks| &blocks[number]);
        let mut lanes = sums;
        let mut rounds = states.begin(blocks);
        macro_rules! step {
            ($number:literal) => {
                md5::step::<N, $number>(&mut lanes, blocks, settled)
            };
        }
        macro_rules! four {
            ($number:literal) => {
                rounds.four::<$number>()
            };
        }
        steps!(step, four);
        md5::add(&mut sums, &lanes);
        // Or they would be added in wide vectors.
        sums = sums.map(|words| words.map(settled));
        states.add(&rounds);
    }
    *state = sums.map(|words| words.map(settled));
    *sha256 = states.words();
}

/// # Safety
///
/// The CPU has AVX-512 F and VL.
#[target_feature(enable = "sse4.1")]
unsafe fn md5_avx512<const N: usize>(state: &mut Lanes<N>, buffers: [&[Block]; N]) {
    let mut vectors = vectors_of(state);
    for number in 0..least(buffers) {
        let words = words_side_by_side(buffers.map(|blocks| &blocks[number]));
        let mut lanes = vectors;
        macro_rules! step {
            ($number:literal) => {
                // SAFETY: the CPU has AVX-512 F and VL, as the caller says.
                unsafe { step::<$number>(&mut lanes, &words) }
            };
        }
        steps!(step, nothing);
        add(&mut vectors, lanes);
    }
    *state = lanes_of(vectors);
}

/// Both digests, those of MD5 in the lanes of vectors.
///
/// The instructions of SHA-256 are some hundred times slower where the upper halves
/// of vector registers are in use. So the compiler is not told of AVX-512: what of it
/// is needed is asked for by name, in vectors of 16 bytes. It may know of wide vectors
/// all the same (`-C target-cpu=native`), and would move arrays of states in them:
/// [`States`] has none.
///
/// # Safety
///
/// The CPU has AVX-512 F and VL.
#[target_feature(enable = "sha,sse4.1")]
unsafe fn both_avx512<const N: usize>(
    state: &mut Lanes<N>,
    sha256: &mut [[u32; 8]; N],
    buffers: [&[Block]; N],
) {
    let mut vectors = vectors_of(state);
    let mut states = States::new(sha256);
    for number in 0..least(buffers) {
        let blocks = buffers.map(|blocks| &blocks[number]);
        let words = words_side_by_side(blocks);
        let mut lanes = vectors;
        let mut rounds = states.begin(blocks);
        macro_rules! step {
            ($number:literal) => {
                // SAFETY: the CPU has AVX-512 F and VL, as the caller says.
                unsafe { step::<$number>(&mut lanes, &words) }
            };
        }
        macro_rules! four {
            ($number:literal) => {
                rounds.four::<$number>()
            };
        }
        steps!(step, four);
        add(&mut vectors, lanes);
        states.add(&rounds);
    }
    *state = lanes_of(vectors);
    *sha256 = states.words();
}

fn least<const N: usize>(buffers: [&[Block]; N]) -> usize {
    buffers.iter().map(|blocks| blocks.len()).min().unwrap_or(0)
}

/// A sum that the compiler does not take apart: it would add the constant of a
/// step last, where the next step waits for it. And one that it makes in its turn: so
/// the steps of MD5 and the rounds of SHA-256 stay between one another, as they are
/// written.
#[inline]
fn settled(mut sum: u32) -> u32 {
    // SAFETY: no instruction but a comment.
    unsafe {
        asm!("/* {0:e} */", inout(reg) sum, options(nomem, nostack, preserves_flags));
    }
    sum
}

/// The same of a vector. Two of them never become one of a wider vector.
#[target_feature(enable = "sse2")]
#[inline]
fn settled_vector(mut vector: __m128i) -> __m128i {
    // SAFETY: no instruction but a comment.
    unsafe {
        asm!("/* {0} */", inout(xmm_reg) vector, options(nomem, nostack, preserves_flags));
    }
    vector
}

/// Three vectors bit by bit: of a table of eight bits that which `x`, `y` and `z` are
/// the number of, `x` its uppermost bit.
///
/// # Safety
///
/// The CPU has AVX-512 F and VL.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn bit_by_bit<const TABLE: u8>(mut x: __m128i, y: __m128i, z: __m128i) -> __m128i {
    // SAFETY: registers alone, by an instruction that the CPU has.
    unsafe {
        asm!(
            "vpternlogd {0}, {1}, {2}, {3}",
            inout(xmm_reg) x,
            in(xmm_reg) y,
            in(xmm_reg) z,
            const TABLE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    x
}

/// The words of a vector, each turned to the left by as many bits as a step of MD5
/// turns it.
///
/// # Safety
///
/// The CPU has AVX-512 F and VL.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn turned<const NUMBER: usize>(mut words: __m128i) -> __m128i {
    // SAFETY: registers alone, by an instruction that the CPU has.
    unsafe {
        asm!(
            "vprold {0}, {0}, {1}",
            inout(xmm_reg) words,
            const md5::turn(NUMBER),
            options(nomem, nostack, preserves_flags),
        );
    }
    words
}

/// Each word of the states in a vector; the last one fills the lanes that are left.
#[target_feature(enable = "sse2")]
#[inline]
fn vectors_of<const N: usize>(state: &Lanes<N>) -> [__m128i; 4] {
    const { assert!(0 < N && N <= 4, "a vector has four lanes") };
    state.map(|words| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|lane: usize| words[lane.min(N - 1)]);
        vector_of([d, c, b, a])
    })
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn lanes_of<const N: usize>(vectors: [__m128i; 4]) -> Lanes<N> {
    vectors.map(|vector| {
        let words = words_of(vector);
        std::array::from_fn(|lane| words[3 - lane])
    })
}

/// The sixteen words of a block of each buffer, each in a vector.
#[target_feature(enable = "sse2")]
#[inline]
fn words_side_by_side<const N: usize>(blocks: [&Block; N]) -> [__m128i; 16] {
    let mut words = [_mm_setzero_si128(); 16];
    for (at, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let [a, b, c, d] = [0, 1, 2, 3].map(|lane: usize| quarter(blocks[lane.min(N - 1)], at));
        let (low, high) = (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
        let [a, b, c, d] = if N <= 2 {
            [low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)]
        } else {
            let (other_low, other_high) = (_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
            [
                _mm_unpacklo_epi64(low, other_low),
                _mm_unpackhi_epi64(low, other_low),
                _mm_unpacklo_epi64(high, other_high),
                _mm_unpackhi_epi64(high, other_high),
            ]
        };
        *words = [settled_vector(a), settled_vector(b), settled_vector(c), settled_vector(d)];
    }
    words
}

/// 16 bytes of a block.
#[target_feature(enable = "sse2")]
#[inline]
fn quarter(block: &Block, at: usize) -> __m128i {
    let bytes = &block.as_chunks::<16>().0[at];
    // SAFETY: `bytes` has 16 bytes; `loadu` needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// One of the 64 steps of a block, as [`md5::step`] does it for each lane.
///
/// # Safety
///
/// The CPU has AVX-512 F and VL.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn step<const NUMBER: usize>(lanes: &mut [__m128i; 4], words: &[__m128i; 16]) {
    let [a, b, c, d] = md5::roles(NUMBER);
    let (x, y, z) = (lanes[b], lanes[c], lanes[d]);
    let word = settled_vector(words[md5::word(NUMBER)]);
    let word = _mm_add_epi32(word, _mm_set1_epi32(md5::SINES[NUMBER] as i32));
    let sum = settled_vector(_mm_add_epi32(lanes[a], word));
    // SAFETY: the CPU has AVX-512 F and VL, as the caller says.
    let mixed = unsafe {
        match NUMBER / 16 {
            0 => bit_by_bit::<0b1100_1010>(x, y, z), // x ? y : z
            1 => bit_by_bit::<0b1110_0100>(x, y, z), // z ? x : y
            2 => bit_by_bit::<0b1001_0110>(x, y, z), // x ^ y ^ z
            _ => bit_by_bit::<0b0011_1001>(x, y, z), // y ^ (x | !z)
        }
    };
    // SAFETY: the same.
    lanes[a] = _mm_add_epi32(x, unsafe { turned::<NUMBER>(_mm_add_epi32(sum, mixed)) });
}

#[target_feature(enable = "sse2")]
#[inline]
fn add(sums: &mut [__m128i; 4], lanes: [__m128i; 4]) {
    sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum = _mm_add_epi32(*sum, lane));
}

/// A state of SHA-256, as its instructions want it: the words A, B, E and F, then
/// C, D, G and H, the first of them uppermost.
#[derive(Clone, Copy)]
struct Halves([__m128i; 2]);

impl Halves {
    #[target_feature(enable = "sse2")]
    #[inline]
    fn new(words: &[u32; 8]) -> Halves {
        let [a, b, c, d, e, f, g, h] = *words;
        Halves([vector_of([a, b, e, f]), vector_of([c, d, g, h])])
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn add(&mut self, Halves([abef, cdgh]): Halves) {
        let Halves(sums) = self;
        sums[0] = settled_vector(_mm_add_epi32(sums[0], abef));
        sums[1] = settled_vector(_mm_add_epi32(sums[1], cdgh));
    }

    #[target_feature(enable = "sse4.1")]
    #[inline]
    fn words(self) -> [u32; 8] {
        let Halves([abef, cdgh]) = self;
        let ([a, b, e, f], [c, d, g, h]) = (words_of(abef), words_of(cdgh));
        [a, b, c, d, e, f, g, h]
    }
}

/// The states of SHA-256 of up to three buffers.
#[derive(Clone, Copy)]
struct States<const N: usize>(Halves, Halves, Halves);

impl<const N: usize> States<N> {
    #[target_feature(enable = "sse2")]
    #[inline]
    fn new(states: &[[u32; 8]; N]) -> States<N> {
        const { assert!(0 < N && N <= 3, "as many as there are fields") };
        let state = |lane: usize| Halves::new(&states[lane.min(N - 1)]);
        States(state(0), state(1), state(2))
    }

    /// Begins with a block of each.
    #[target_feature(enable = "ssse3")]
    #[inline]
    fn begin(&self, blocks: [&Block; N]) -> Blocks<N> {
        let one = Rounds::new(self.0, blocks[0]);
        let two = if N > 1 { Rounds::new(self.1, blocks[1 % N]) } else { one };
        let three = if N > 2 { Rounds::new(self.2, blocks[2 % N]) } else { one };
        Blocks(one, two, three)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn add(&mut self, blocks: &Blocks<N>) {
        self.0.add(blocks.0.state);
        if N > 1 {
            self.1.add(blocks.1.state);
        }
        if N > 2 {
            self.2.add(blocks.2.state);
        }
    }

    #[target_feature(enable = "sse4.1")]
    #[inline]
    fn words(self) -> [[u32; 8]; N] {
        let words = [self.0.words(), self.1.words(), self.2.words()];
        std::array::from_fn(|lane| words[lane])
    }
}

/// Blocks on their way through SHA-256, one of each buffer.
#[derive(Clone, Copy)]
struct Blocks<const N: usize>(Rounds, Rounds, Rounds);

impl<const N: usize> Blocks<N> {
    /// Four of the 64 rounds.
    #[target_feature(enable = "sha,ssse3")]
    #[inline]
    fn four<const NUMBER: usize>(&mut self) {
        self.0.four::<NUMBER>();
        if N > 1 {
            self.1.four::<NUMBER>();
        }
        if N > 2 {
            self.2.four::<NUMBER>();
        }
    }
}

/// A block on its way through SHA-256.
#[derive(Clone, Copy)]
struct Rounds {
    state: Halves,
    words: [__m128i; 4],
}

impl Rounds {
    #[target_feature(enable = "ssse3")]
    #[inline]
    fn new(state: Halves, block: &Block) -> Rounds {
        let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let turned = |at| settled_vector(_mm_shuffle_epi8(quarter(block, at), order));
        Rounds { state, words: [turned(0), turned(1), turned(2), turned(3)] }
    }

    /// Four of the 64 rounds.
    #[target_feature(enable = "sha,ssse3")]
    #[inline]
    fn four<const NUMBER: usize>(&mut self) {
        // The last sixteen words, the earliest first.
        let [a, b, c, d] = self.words;
        let mut words = a;
        if NUMBER >= 4 {
            let sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4));
            words = _mm_sha256msg2_epu32(sum, d);
        }
        self.words = [b, c, d, words];
        let [a, b, c, d] = ROOTS[NUMBER].map(|root| root as i32);
        let sum = _mm_add_epi32(words, _mm_set_epi32(d, c, b, a));
        let Halves([abef, cdgh]) = self.state;
        let cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        let upper = _mm_shuffle_epi32(sum, 0x0e);
        let abef = settled_vector(_mm_sha256rnds2_epu32(abef, cdgh, upper));
        self.state = Halves([abef, cdgh]);
    }
}

/// A vector of words, the uppermost first. Each is settled by itself, and so is each
/// that [`words_of`] gives: else they would be moved in wide vectors.
#[target_feature(enable = "sse2")]
#[inline]
fn vector_of(words: [u32; 4]) -> __m128i {
    let [a, b, c, d] = words.map(|word| settled(word) as i32);
    _mm_set_epi32(a, b, c, d)
}

/// The words of a vector, the uppermost first.
#[target_feature(enable = "sse4.1")]
#[inline]
fn words_of(vector: __m128i) -> [u32; 4] {
    let words = [
        _mm_extract_epi32::<3>(vector),
        _mm_extract_epi32::<2>(vector),
        _mm_extract_epi32::<1>(vector),
        _mm_extract_epi32::<0>(vector),
    ];
    words.map(|word| settled(word as u32))
}

/// The constants of the 64 rounds of SHA-256, four by four (FIPS 180-4).
#[rustfmt::skip]
const ROOTS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5], [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3], [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc], [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7], [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13], [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3], [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5], [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208], [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

#[cfg(test)]
mod tests {
    use super::*;

    type Both<const N: usize> = fn(&mut Lanes<N>, &mut [[u32; 8]; N], [&[Block]; N]);

    /// The twins that this CPU has: of both digests, and of MD5 alone.
    fn twins<const N: usize>() -> Vec<(&'static str, Both<N>)> {
        let mut twins: Vec<(_, Both<N>)> = vec![("of this CPU", md5_and_sha256)];
        twins.push(("md5 of this CPU", |lanes, _, buffers| md5(lanes, buffers)));
        if has_bmi() {
            // SAFETY: the CPU has both, as was just asked.
            twins.push(("md5, bmi", |lanes, _, buffers| unsafe { md5_bmi(lanes, buffers) }));
        }
        if has_bmi() && has_sha() {
            // SAFETY: the CPU has all of these, as was just asked.
            twins.push(("bmi", |lanes, sha256, buffers| unsafe {
                both_bmi(lanes, sha256, buffers);
            }));
        }
        twins
    }

    fn assert_twins<const N: usize>(buffers: [&[Block]; N]) {
        let lanes = [1, 5, 9, 13].map(|first| std::array::from_fn(|lane| first + lane as u32));
        let states = std::array::from_fn(|lane| [9 + lane as u32; 8]);
        let (mut expected, mut expected_states) = (lanes, states);
        one_after_the_other(&mut expected, &mut expected_states, buffers);
        for (name, twin) in twins::<N>() {
            let (mut found, mut found_states) = (lanes, states);
            twin(&mut found, &mut found_states, buffers);
            assert_eq!(found, expected, "{name}");
            let both = found_states != states;
            assert_eq!(both, !name.starts_with("md5"), "{name}");
            assert!(!both || found_states == expected_states, "{name}");
        }
    }

    /// With `-C target-cpu=native` or `codegen-units=1` a compiler once moved states in
    /// wide vectors, and this took sixty times as long.
    #[test]
    fn no_wide_vector_slows_sha256_down() {
        let block = [[7; 64]; 256];
        let least = |both: Both<3>| {
            let run = |_| {
                let (mut lanes, mut states) = (Lanes::default(), [[9; 8]; 3]);
                let start = std::time::Instant::now();
                both(&mut lanes, &mut states, [&block; 3]);
                std::hint::black_box((lanes, states));
                start.elapsed()
            };
            (0..9).map(run).min().unwrap_or_default()
        };
        let apart = least(one_after_the_other);
        for (name, twin) in twins::<3>() {
            let time = least(twin);
            assert!(time < 8 * apart, "{name}: {time:?}, one after the other {apart:?}");
        }
    }

    #[test]
    fn digests_are_what_they_are_one_after_the_other() {
        let bytes: Vec<u8> = (0..20 * 64u32).map(|n| ((n * n) >> 3) as u8).collect();
        let blocks = bytes.as_chunks().0;
        assert_twins([&blocks[3..]]);
        assert_twins([&blocks[..9], &blocks[11..]]);
        assert_twins([&blocks[..12], &blocks[13..]]);
        assert_twins([&blocks[..9], &blocks[11..], &blocks[5..]]);
    }
}
