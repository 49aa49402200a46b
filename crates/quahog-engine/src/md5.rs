//! The arithmetic of MD5 (RFC 1321), of one buffer or of more side by side.
//!
//! Each step waits for the step before it, so one digest leaves half of a
//! processor idle: a second one beside it is nearly free.

/// The states of `N` digests, each word of all of them together.
pub(crate) type Lanes<const N: usize> = [[u32; N]; 4];

/// What digests take in at a time.
pub(crate) type Block = [u8; 64];

/// The state before any block.
pub(crate) const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// Takes in as many blocks of `N` buffers as the shortest has.
///
/// Always inlined, so that its twins are compiled for the instructions that
/// they were detected to have.
#[inline(always)]
pub(crate) fn blocks<const N: usize>(state: &mut Lanes<N>, buffers: [&[Block]; N]) {
    for number in 0..buffers.iter().map(|blocks| blocks.len()).min().unwrap_or(0) {
        compress(state, buffers.map(|blocks| &blocks[number]));
    }
}

/// The constants of the 64 steps (RFC 1321).
#[rustfmt::skip]
pub(crate) const SINES: [u32; 64] = [
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

/// By how many bits a step turns its sum.
pub(crate) const fn turn(step: usize) -> u32 {
    TURNS[step / 16][step % 4]
}

/// Which word of its block a step adds.
pub(crate) const fn word(step: usize) -> usize {
    match step / 16 {
        0 => step,
        1 => (5 * step + 1) % 16,
        2 => (3 * step + 5) % 16,
        _ => (7 * step) % 16,
    }
}

/// Which words of the state a step calls A, B, C and D.
pub(crate) const fn roles(step: usize) -> [usize; 4] {
    let from = 64 - step;
    [from % 4, (from + 1) % 4, (from + 2) % 4, (from + 3) % 4]
}

#[inline(always)]
fn compress<const N: usize>(state: &mut Lanes<N>, blocks: [&Block; N]) {
    let mut lanes = *state;
    macro_rules! steps {
        ($($number:literal)*) => { $(step::<N, $number>(&mut lanes, blocks, |sum| sum);)* };
    }
    steps! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    }
    add(state, &lanes);
}

/// Ends a block: adds what its steps made of the state.
#[inline(always)]
pub(crate) fn add<const N: usize>(state: &mut Lanes<N>, lanes: &Lanes<N>) {
    for (sum, word) in state.as_flattened_mut().iter_mut().zip(lanes.as_flattened()) {
        *sum = sum.wrapping_add(*word);
    }
}

/// One of the 64 steps of a block. `settled` gives the sum that does not wait for
/// the step before as it gets it.
#[inline(always)]
pub(crate) fn step<const N: usize, const NUMBER: usize>(
    lanes: &mut Lanes<N>,
    blocks: [&Block; N],
    settled: impl Fn(u32) -> u32,
) {
    let [a, b, c, d] = roles(NUMBER);
    for lane in 0..N {
        let (x, y, z) = (lanes[b][lane], lanes[c][lane], lanes[d][lane]);
        let word = u32::from_le_bytes(blocks[lane].as_chunks().0[word(NUMBER)]);
        let sum = lanes[a][lane].wrapping_add(SINES[NUMBER]).wrapping_add(word);
        let sum = settled(sum);
        let sum = match NUMBER / 16 {
            0 => sum.wrapping_add(z ^ (x & (y ^ z))),
            // No bit is set in both: this sum waits for `x` one step less.
            1 => sum.wrapping_add(y & !z).wrapping_add(x & z),
            2 => sum.wrapping_add(x ^ y ^ z),
            _ => sum.wrapping_add(y ^ (x | !z)),
        };
        lanes[a][lane] = x.wrapping_add(sum.rotate_left(turn(NUMBER)));
    }
}
