//! Probes and screens by the vectors of x86-64.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi32,
    _mm256_and_si256, _mm256_andnot_si256, _mm256_blend_epi16, _mm256_broadcastsi128_si256,
    _mm256_castsi256_ps, _mm256_cmpeq_epi8, _mm256_i32gather_epi32, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_mullo_epi32, _mm256_or_si256,
    _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_sllv_epi32, _mm256_srl_epi32, _mm256_srli_epi16, _mm256_srli_epi32,
    _mm256_xor_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_broadcast_i32x4,
    _mm512_castsi128_si512, _mm512_i32gather_epi32, _mm512_inserti32x4, _mm512_loadu_si512,
    _mm512_mask_blend_epi16, _mm512_movepi16_mask, _mm512_mullo_epi32, _mm512_or_si512,
    _mm512_rorv_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_sllv_epi32,
    _mm512_srl_epi32, _mm512_srli_epi16, _mm512_srli_epi32, _mm512_test_epi8_mask,
    _mm512_test_epi32_mask, _mm512_xor_si512,
};
use std::ops::Range;

use crate::prefilter::halves::Halves;
use crate::prefilter::probe::{Candidate, FACTORS, FOLD, MASK, MAX_BITS, hash_long, hash_short};

/// Proof that this CPU has the vectors: only [`Vectors::all`] makes one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Vectors {
    Avx2(Proof),
    Avx512(Proof),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Proof(());

impl Vectors {
    /// Those that this CPU has, the widest last.
    pub(crate) fn all() -> impl DoubleEndedIterator<Item = Vectors> {
        let avx2 = is_x86_feature_detected!("avx2");
        let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        let avx2 = avx2.then_some(Vectors::Avx2(Proof(())));
        avx2.into_iter().chain(avx512.then_some(Vectors::Avx512(Proof(()))))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Vectors::Avx2(_) => "avx2",
            Vectors::Avx512(_) => "avx512",
        }
    }

    /// Appends the candidates of grams of 8 bytes at multiples of 4, and
    /// gives the range that is left.
    pub(crate) fn long(
        self,
        filter: &[u32],
        haystack: &[u8],
        range: Range<usize>,
        out: &mut Vec<Candidate>,
    ) -> Range<usize> {
        let Some(filter) = Filter::new(filter, haystack) else { return range };
        match self {
            // SAFETY: `self` is proof that the CPU has AVX2.
            Vectors::Avx2(_) => unsafe { long_avx2(filter, haystack, range, out) },
            // SAFETY: `self` is proof that the CPU has AVX-512 F and BW.
            Vectors::Avx512(_) => unsafe { long_avx512(filter, haystack, range, out) },
        }
    }

    /// Appends the candidates of grams of 4 bytes at every place, and gives
    /// the range that is left.
    pub(crate) fn short(
        self,
        filter: &[u32],
        haystack: &[u8],
        range: Range<usize>,
        out: &mut Vec<Candidate>,
    ) -> Range<usize> {
        let Some(filter) = Filter::new(filter, haystack) else { return range };
        match self {
            // SAFETY: `self` is proof that the CPU has AVX2.
            Vectors::Avx2(_) => unsafe { short_avx2(filter, haystack, range, out) },
            // SAFETY: `self` is proof that the CPU has AVX-512 F and BW.
            Vectors::Avx512(_) => unsafe { short_avx512(filter, haystack, range, out) },
        }
    }

    /// Appends the candidates of grams of 4 bytes at every place that a filter of
    /// few knows, and gives the range that is left.
    pub(crate) fn few(
        self,
        filter: &[u32],
        haystack: &[u8],
        range: Range<usize>,
        out: &mut Vec<Candidate>,
    ) -> Range<usize> {
        let Some(filter) = Filter::new(filter, haystack) else { return range };
        match self {
            // SAFETY: `self` is proof that the CPU has AVX2.
            Vectors::Avx2(_) => unsafe { few_avx2(filter, haystack, range, out) },
            // SAFETY: `self` is proof that the CPU has AVX-512 F and BW.
            Vectors::Avx512(_) => unsafe { few_avx512(filter, haystack, range, out) },
        }
    }

    /// Finds the places whose halves are known, and gives the range that is left.
    pub(crate) fn screen<const N: usize>(
        self,
        known: &Halves<N>,
        haystack: &[u8],
        range: Range<usize>,
        found: &mut impl FnMut(usize, [u8; N]),
    ) -> Range<usize> {
        match self {
            // SAFETY: `self` is proof that the CPU has AVX2.
            Vectors::Avx2(_) => unsafe { screen_avx2(known, haystack, range, found) },
            // SAFETY: `self` is proof that the CPU has AVX-512 F and BW.
            Vectors::Avx512(_) => unsafe { screen_avx512(known, haystack, range, found) },
        }
    }
}

/// A filter whose words are numbered by the upper `bits` bits of a hash:
/// its length is `1 << bits`, so that no hash leads outside of it.
#[derive(Clone, Copy)]
struct Filter<'f> {
    words: &'f [u32],
    bits: u32,
}

impl Filter<'_> {
    /// `None` if the filter has no such length, or places of the haystack
    /// are no `u32`.
    fn new<'f>(words: &'f [u32], haystack: &[u8]) -> Option<Filter<'f>> {
        let fits = words.len().is_power_of_two()
            && words.len() > 1
            && words.len().ilog2() <= MAX_BITS
            && u32::try_from(haystack.len()).is_ok();
        fits.then(|| Filter { words, bits: words.len().ilog2() })
    }
}

/// Looks at windows of `LEN` bytes, each `STEP` bytes after the one before, as long
/// as they begin so far in the range; gives the range that is left.
///
/// `look` tells which lanes of a window passed a filter, and `found` is told of
/// them, with the place of the window. That happens for many windows at a time, so
/// no branch between two of them depends on what they hold, and is guessed wrong.
///
/// Always inlined, so that the closures become part of a function that has their
/// instructions.
#[inline(always)]
fn each_window<const STEP: usize, const LEN: usize>(
    haystack: &[u8],
    range: Range<usize>,
    look: impl Fn(&[u8; LEN]) -> u64,
    mut found: impl FnMut(usize, usize),
) -> Range<usize> {
    const MOST: usize = u64::BITS as usize;
    let mut lanes = [0; MOST];
    let mut at = range.start;
    loop {
        let first = at;
        // Which windows have some lanes, a bit each.
        let mut some = 0u64;
        let mut len = 0;
        while len < MOST
            && at + STEP <= range.end
            && let Some(window) = haystack.get(at..).and_then(|rest| rest.first_chunk())
        {
            lanes[len] = look(window);
            some |= u64::from(lanes[len] != 0) << len;
            len += 1;
            at += STEP;
        }
        while some != 0 {
            let window = some.trailing_zeros() as usize;
            some &= some - 1;
            let mut lanes = lanes[window % MOST];
            while lanes != 0 {
                found(first + STEP * window, lanes.trailing_zeros() as usize);
                lanes &= lanes - 1;
            }
        }
        if len < MOST {
            return at.min(range.end)..range.end;
        }
    }
}

/// Pushes the place of a gram and its hash.
#[inline]
fn push<const N: usize>(
    out: &mut Vec<Candidate>,
    haystack: &[u8],
    at: usize,
    hash: fn([u8; N]) -> u32,
) {
    if let Some(&gram) = haystack.get(at..).and_then(|rest| rest.first_chunk()) {
        // `Filter::new` saw that places are below 2^32.
        out.push(Candidate { at: at as u32, hash: hash(gram) });
    }
}

/// Which lanes of 16 hashes pass the filter.
#[target_feature(enable = "avx512f")]
#[inline]
fn passes_avx512(filter: Filter<'_>, hash: __m512i) -> u64 {
    let shift = |by: u32| _mm_cvtsi32_si128(by as i32); // below 32
    let word = _mm512_srl_epi32(hash, shift(32 - filter.bits));
    // SAFETY: each lane of `word` is below `1 << bits`, which is the number
    // of words of the filter, and the scale is the size of a word.
    let word = unsafe { _mm512_i32gather_epi32::<4>(word, filter.words.as_ptr().cast()) };
    // Each bit moves to the lower end; the count is taken modulo 32.
    let bit = |by: u32| _mm512_rorv_epi32(word, _mm512_srl_epi32(hash, shift(by)));
    let both = _mm512_and_si512(bit(MASK), bit(MASK + 5));
    u64::from(_mm512_test_epi32_mask(both, _mm512_set1_epi32(1)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn mix_avx512(product: __m512i) -> __m512i {
    _mm512_xor_si512(product, _mm512_srli_epi32::<15>(product))
}

#[target_feature(enable = "avx512f")]
fn long_avx512(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    let fold = _mm512_set1_epi32(FOLD as i32);
    let [first, second] = FACTORS.map(|factor| _mm512_set1_epi32(factor as i32));
    // 64 bytes, and four more for the upper half of the last gram.
    let look = |window: &[u8; 68]| {
        // SAFETY: 64 bytes are readable from the start of the 68 bytes and
        // from the fifth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm512_loadu_si512(window.cast()), _mm512_loadu_si512(window.add(4).cast()))
        };
        let low = _mm512_mullo_epi32(_mm512_or_si512(low, fold), first);
        let high = _mm512_mullo_epi32(_mm512_or_si512(high, fold), second);
        let hash = mix_avx512(_mm512_add_epi32(low, high));
        passes_avx512(filter, hash)
    };
    each_window::<64, 68>(haystack, range.start.next_multiple_of(4)..range.end, look, |at, lane| {
        push(out, haystack, at + 4 * lane, hash_long);
    })
}

/// Where in 16 bytes the grams of 4 bytes begin at the first four even places;
/// at odd places, each is one byte further.
const EVEN: [u8; 16] = [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9];
const ODD: [u8; 16] = [1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8, 9, 10];

#[target_feature(enable = "avx512f,avx512bw")]
fn short_avx512(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    let fold = _mm512_set1_epi32(FOLD as i32);
    let factor = _mm512_set1_epi32(FACTORS[0] as i32);
    const ORDER: [u8; 16] = [0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6];
    // SAFETY: `ORDER` has 16 bytes.
    let order = unsafe { _mm_loadu_si128(ORDER.as_ptr().cast()) };
    let order = _mm512_broadcast_i32x4(order);
    // Four pieces of 16 bytes, each four bytes after the one before.
    let look = |window: &[u8; 28]| {
        // SAFETY: 16 bytes are readable from the first, fifth, ninth and
        // thirteenth of the 28 bytes; `loadu` needs no alignment.
        let [a, b, c, d]: [__m128i; 4] = unsafe {
            let window = window.as_ptr();
            [0, 4, 8, 12].map(|by| _mm_loadu_si128(window.add(by).cast()))
        };
        let grams = _mm512_castsi128_si512(a);
        let grams = _mm512_inserti32x4::<1>(grams, b);
        let grams = _mm512_inserti32x4::<2>(grams, c);
        let grams = _mm512_inserti32x4::<3>(grams, d);
        let grams = _mm512_shuffle_epi8(grams, order);
        let hash = mix_avx512(_mm512_mullo_epi32(_mm512_or_si512(grams, fold), factor));
        passes_avx512(filter, hash)
    };
    each_window::<16, 28>(haystack, range, look, |at, lane| {
        push(out, haystack, at + lane, hash_short);
    })
}

#[target_feature(enable = "avx512f,avx512bw")]
fn few_avx512(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    // The words tell of even places and of those behind them.
    if !range.start.is_multiple_of(2) {
        return range;
    }
    let fold = _mm512_set1_epi32(FOLD as i32);
    let (shared, five) = (_mm512_set1_epi32(FACTORS[1] as i32), _mm512_set1_epi32(31));
    let count = _mm_cvtsi32_si128(32 - filter.bits as i32); // at most 20 bits
    // SAFETY: both have 16 bytes.
    let orders =
        unsafe { [EVEN, ODD].map(|o| _mm512_broadcast_i32x4(_mm_loadu_si128(o.as_ptr().cast()))) };
    // Four pieces of 16 bytes, each eight bytes after the one before.
    let look = |window: &[u8; 40]| {
        // SAFETY: 16 bytes are readable from the first, ninth, seventeenth and
        // twenty-fifth of the 40 bytes; `loadu` needs no alignment.
        let [a, b, c, d]: [__m128i; 4] = unsafe {
            let window = window.as_ptr();
            [0, 8, 16, 24].map(|by| _mm_loadu_si128(window.add(by).cast()))
        };
        let pieces = _mm512_castsi128_si512(a);
        let pieces = _mm512_inserti32x4::<1>(pieces, b);
        let pieces = _mm512_inserti32x4::<2>(pieces, c);
        let pieces = _mm512_inserti32x4::<3>(pieces, d);
        let grams = orders.map(|order| _mm512_or_si512(_mm512_shuffle_epi8(pieces, order), fold));
        let word = _mm512_mullo_epi32(_mm512_srli_epi32::<8>(grams[0]), shared);
        let word = _mm512_srl_epi32(word, count);
        // SAFETY: each lane of `word` is below `1 << bits`, which is the number
        // of words of the filter, and the scale is the size of a word.
        let word = unsafe { _mm512_i32gather_epi32::<4>(word, filter.words.as_ptr().cast()) };
        let counts = [grams[0], _mm512_srli_epi32::<24>(grams[1])];
        let [even, odd] =
            counts.map(|count| _mm512_sllv_epi32(word, _mm512_and_si512(count, five)));
        // What was found at even places moves into the lower half of each lane.
        let halves = _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_srli_epi32::<16>(even), odd);
        u64::from(_mm512_movepi16_mask(halves))
    };
    each_window::<32, 40>(haystack, range, look, |at, lane| {
        push(out, haystack, at + lane, hash_short);
    })
}

/// Which lanes of 8 hashes pass the filter.
#[target_feature(enable = "avx2")]
#[inline]
fn passes_avx2(filter: Filter<'_>, hash: __m256i) -> u64 {
    let shift = |by: u32| _mm_cvtsi32_si128(by as i32); // below 32
    let word = _mm256_srl_epi32(hash, shift(32 - filter.bits));
    // SAFETY: each lane of `word` is below `1 << bits`, which is the number
    // of words of the filter, and the scale is the size of a word.
    let word = unsafe { _mm256_i32gather_epi32::<4>(filter.words.as_ptr().cast(), word) };
    // Each bit moves to the upper end, by 31 less its number.
    let low = _mm256_set1_epi32(31);
    let bit = |by: u32| {
        let count = _mm256_andnot_si256(_mm256_srl_epi32(hash, shift(by)), low);
        _mm256_sllv_epi32(word, count)
    };
    let both = _mm256_and_si256(bit(MASK), bit(MASK + 5));
    _mm256_movemask_ps(_mm256_castsi256_ps(both)) as u64 // 8 bits
}

#[target_feature(enable = "avx2")]
#[inline]
fn mix_avx2(product: __m256i) -> __m256i {
    _mm256_xor_si256(product, _mm256_srli_epi32::<15>(product))
}

#[target_feature(enable = "avx2")]
fn long_avx2(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    let fold = _mm256_set1_epi32(FOLD as i32);
    let [first, second] = FACTORS.map(|factor| _mm256_set1_epi32(factor as i32));
    let look = |window: &[u8; 36]| {
        // SAFETY: 32 bytes are readable from the start of the 36 bytes and
        // from the fifth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm256_loadu_si256(window.cast()), _mm256_loadu_si256(window.add(4).cast()))
        };
        let low = _mm256_mullo_epi32(_mm256_or_si256(low, fold), first);
        let high = _mm256_mullo_epi32(_mm256_or_si256(high, fold), second);
        let hash = mix_avx2(_mm256_add_epi32(low, high));
        passes_avx2(filter, hash)
    };
    each_window::<32, 36>(haystack, range.start.next_multiple_of(4)..range.end, look, |at, lane| {
        push(out, haystack, at + 4 * lane, hash_long);
    })
}

#[target_feature(enable = "avx2")]
fn short_avx2(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    let fold = _mm256_set1_epi32(FOLD as i32);
    let factor = _mm256_set1_epi32(FACTORS[0] as i32);
    let order = _mm256_setr_epi8(
        0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4,
        5, 6,
    );
    // Two pieces of 16 bytes, the second four bytes after the first.
    let look = |window: &[u8; 20]| {
        // SAFETY: 16 bytes are readable from the start of the 20 bytes and
        // from the fifth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm_loadu_si128(window.cast()), _mm_loadu_si128(window.add(4).cast()))
        };
        let grams = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), order);
        let hash = mix_avx2(_mm256_mullo_epi32(_mm256_or_si256(grams, fold), factor));
        passes_avx2(filter, hash)
    };
    each_window::<8, 20>(haystack, range, look, |at, lane| {
        push(out, haystack, at + lane, hash_short);
    })
}

#[target_feature(enable = "avx2")]
fn few_avx2(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    // The words tell of even places and of those behind them.
    if !range.start.is_multiple_of(2) {
        return range;
    }
    let fold = _mm256_set1_epi32(FOLD as i32);
    let (shared, five) = (_mm256_set1_epi32(FACTORS[1] as i32), _mm256_set1_epi32(31));
    let count = _mm_cvtsi32_si128(32 - filter.bits as i32); // at most 20 bits
    // SAFETY: both have 16 bytes.
    let orders = unsafe {
        [EVEN, ODD].map(|o| _mm256_broadcastsi128_si256(_mm_loadu_si128(o.as_ptr().cast())))
    };
    // Two pieces of 16 bytes, the second eight bytes after the first.
    let look = |window: &[u8; 24]| {
        // SAFETY: 16 bytes are readable from the start of the 24 bytes and
        // from the ninth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm_loadu_si128(window.cast()), _mm_loadu_si128(window.add(8).cast()))
        };
        let pieces = _mm256_set_m128i(high, low);
        let grams = orders.map(|order| _mm256_or_si256(_mm256_shuffle_epi8(pieces, order), fold));
        let word = _mm256_mullo_epi32(_mm256_srli_epi32::<8>(grams[0]), shared);
        let word = _mm256_srl_epi32(word, count);
        // SAFETY: each lane of `word` is below `1 << bits`, which is the number
        // of words of the filter, and the scale is the size of a word.
        let word = unsafe { _mm256_i32gather_epi32::<4>(filter.words.as_ptr().cast(), word) };
        let counts = [grams[0], _mm256_srli_epi32::<24>(grams[1])];
        let [even, odd] =
            counts.map(|count| _mm256_sllv_epi32(word, _mm256_and_si256(count, five)));
        // What was found at even places moves into the lower half of each lane.
        let halves = _mm256_blend_epi16::<0xaa>(_mm256_srli_epi32::<16>(even), odd);
        _mm256_movemask_epi8(halves) as u64 & 0xaaaa_aaaa // the upper bit of each half
    };
    each_window::<16, 24>(haystack, range, look, |at, lane| {
        push(out, haystack, at + lane / 2, hash_short);
    })
}

#[target_feature(enable = "avx512f,avx512bw")]
fn screen_avx512<const N: usize>(
    known: &Halves<N>,
    haystack: &[u8],
    range: Range<usize>,
    found: &mut impl FnMut(usize, [u8; N]),
) -> Range<usize> {
    const { assert!(N <= 4, "so many bytes are read beside the places") };
    let tables = known.each_ref().map(|tables| {
        tables.each_ref().map(|table| {
            // SAFETY: `table` has 16 bytes.
            _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
        })
    });
    let (fold, half) = (_mm512_set1_epi8(FOLD as i8), _mm512_set1_epi8(15));
    let look = |window: &[u8; 67]| {
        let mut classes = _mm512_set1_epi8(-1);
        for (number, [low, high]) in tables.into_iter().enumerate() {
            // SAFETY: `number` is below `N`, which is no more than four, so 64 bytes are
            // readable from there in the 67 bytes; `loadu` needs no alignment.
            let bytes = unsafe { _mm512_loadu_si512(window.as_ptr().add(number).cast()) };
            let bytes = _mm512_or_si512(bytes, fold);
            let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), half);
            let low = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, half));
            let high = _mm512_shuffle_epi8(high, upper);
            classes = _mm512_and_si512(classes, _mm512_and_si512(low, high));
        }
        _mm512_test_epi8_mask(classes, classes)
    };
    each_window::<64, 67>(haystack, range, look, |at, lane| {
        if let Some(&gram) = haystack.get(at + lane..).and_then(|rest| rest.first_chunk()) {
            found(at + lane, gram);
        }
    })
}

#[target_feature(enable = "avx2")]
fn screen_avx2<const N: usize>(
    known: &Halves<N>,
    haystack: &[u8],
    range: Range<usize>,
    found: &mut impl FnMut(usize, [u8; N]),
) -> Range<usize> {
    const { assert!(N <= 4, "so many bytes are read beside the places") };
    let tables = known.each_ref().map(|tables| {
        tables.each_ref().map(|table| {
            // SAFETY: `table` has 16 bytes.
            _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
        })
    });
    let (fold, half) = (_mm256_set1_epi8(FOLD as i8), _mm256_set1_epi8(15));
    let look = |window: &[u8; 35]| {
        let mut classes = _mm256_set1_epi8(-1);
        for (number, [low, high]) in tables.into_iter().enumerate() {
            // SAFETY: `number` is below `N`, which is no more than four, so 32 bytes are
            // readable from there in the 35 bytes; `loadu` needs no alignment.
            let bytes = unsafe { _mm256_loadu_si256(window.as_ptr().add(number).cast()) };
            let bytes = _mm256_or_si256(bytes, fold);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
            let low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
            let high = _mm256_shuffle_epi8(high, upper);
            classes = _mm256_and_si256(classes, _mm256_and_si256(low, high));
        }
        let none = _mm256_cmpeq_epi8(classes, _mm256_setzero_si256());
        u64::from(!(_mm256_movemask_epi8(none) as u32)) // 32 bits
    };
    each_window::<32, 35>(haystack, range, look, |at, lane| {
        if let Some(&gram) = haystack.get(at + lane..).and_then(|rest| rest.first_chunk()) {
            found(at + lane, gram);
        }
    })
}

/// Asserts that every twin of this CPU finds in a block what the loops find.
#[cfg(any(test, fuzzing))]
pub(crate) fn assert_twins(filter: &[u32], block: &[u8], range: Range<usize>) {
    use crate::prefilter::probe;
    if Vectors::all().count() == 0 {
        println!("skipped: this CPU has no such vectors");
    }
    for twin in Vectors::all() {
        let at = format!("{range:?} of {} bytes, {} words", block.len(), filter.len());
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        probe::long(filter, block, range.clone(), &mut expected);
        let left = twin.long(filter, block, range.clone(), &mut found);
        probe::long(filter, block, left, &mut found);
        assert_eq!(found, expected, "long, {at}");
        expected.clear();
        found.clear();
        probe::short(filter, block, range.clone(), &mut expected);
        let left = twin.short(filter, block, range.clone(), &mut found);
        probe::short(filter, block, left, &mut found);
        assert_eq!(found, expected, "short, {at}");
        expected.clear();
        found.clear();
        probe::few(filter, block, range.clone(), &mut expected);
        let left = twin.few(filter, block, range.clone(), &mut found);
        probe::few(filter, block, left, &mut found);
        assert_eq!(found, expected, "few, {at}");
        assert_screen::<2>(twin, filter, block, range.clone());
        assert_screen::<4>(twin, filter, block, range.clone());
    }
}

#[cfg(any(test, fuzzing))]
fn assert_screen<const N: usize>(twin: Vectors, filter: &[u32], block: &[u8], range: Range<usize>) {
    use crate::prefilter::probe;
    // Any bits will do.
    let mut known: Halves<N> = [[[0; 16]; 2]; N];
    let bytes = filter.iter().flat_map(|word| word.to_le_bytes());
    let halves = known.as_flattened_mut().as_flattened_mut();
    halves.iter_mut().zip(bytes).for_each(|(half, byte)| *half = byte);
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    probe::screen(&known, block, range.clone(), |at, gram| expected.push((at, gram)));
    let mut push = |at, gram| found.push((at, gram));
    let left = twin.screen(&known, block, range.clone(), &mut push);
    probe::screen(&known, block, left, push);
    assert_eq!(found, expected, "screen of {N}, {range:?} of {} bytes", block.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes and words that look random and are always the same.
    fn noise(n: usize, mut seed: u64) -> Vec<u64> {
        let next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    #[test]
    fn twins_find_what_the_loops_find() {
        let bytes: Vec<u8> = noise(700, 7).into_iter().flat_map(u64::to_le_bytes).collect();
        for bits in [0, 1, 3, 8, 12, 20] {
            let words = noise(1 << bits, 99).into_iter();
            let filter: Vec<u32> = words.map(|n| (n & n >> 20) as u32).collect();
            for (from, to, len) in
                [(0, 5_600, 5_600), (3, 200, 203), (17, 300, 301), (0, 3, 9), (8, 8, 8)]
            {
                assert_twins(&filter, &bytes[..len], from..to);
            }
        }
    }
}
