//! Probes and screens by the vectors of x86-64.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi32,
    _mm256_and_si256, _mm256_blend_epi16, _mm256_broadcastsi128_si256, _mm256_castsi256_ps,
    _mm256_cmpeq_epi8, _mm256_cmpeq_epi32, _mm256_i32gather_epi32, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_mullo_epi32, _mm256_or_si256,
    _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_sllv_epi32, _mm256_srl_epi32, _mm256_srli_epi16, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm256_xor_si256, _mm512_add_epi32, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_castsi128_si512, _mm512_cmpeq_epi32_mask,
    _mm512_i32gather_epi32, _mm512_inserti32x4, _mm512_loadu_si512, _mm512_mask_blend_epi16,
    _mm512_movepi16_mask, _mm512_mullo_epi32, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_shuffle_epi8, _mm512_sllv_epi32, _mm512_srl_epi32, _mm512_srli_epi16, _mm512_srli_epi32,
    _mm512_storeu_si512, _mm512_test_epi8_mask, _mm512_xor_si512,
};
use std::ops::Range;

use crate::prefilter::halves::Halves;
use crate::prefilter::probe::{Candidate, FACTORS, FOLD, MASK, MAX_BITS, hash_short};

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

#[inline]
fn push(out: &mut Vec<Candidate>, mut lanes: u32, hashes: &[u32], at: usize, step: usize) {
    while lanes != 0 {
        let lane = lanes.trailing_zeros() as usize;
        lanes &= lanes - 1;
        if let Some(&hash) = hashes.get(lane) {
            // `Filter::new` saw that places are below 2^32.
            out.push(Candidate { at: (at + step * lane) as u32, hash });
        }
    }
}

/// Which lanes of 16 hashes pass the filter.
#[target_feature(enable = "avx512f")]
#[inline]
fn passes_avx512(filter: Filter<'_>, hash: __m512i) -> u32 {
    let shift = |by: u32| _mm_cvtsi32_si128(by as i32); // below 32
    let word = _mm512_srl_epi32(hash, shift(32 - filter.bits));
    // SAFETY: each lane of `word` is below `1 << bits`, which is the number
    // of words of the filter, and the scale is the size of a word.
    let word = unsafe { _mm512_i32gather_epi32::<4>(word, filter.words.as_ptr().cast()) };
    let (one, low) = (_mm512_set1_epi32(1), _mm512_set1_epi32(31));
    let bit = |by: u32| {
        let count = _mm512_and_si512(_mm512_srl_epi32(hash, shift(by)), low);
        _mm512_sllv_epi32(one, count)
    };
    let mask = _mm512_or_si512(bit(MASK), bit(MASK + 5));
    u32::from(_mm512_cmpeq_epi32_mask(_mm512_and_si512(word, mask), mask))
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
    let mut at = range.start.next_multiple_of(4);
    let mut hashes = [0u32; 16];
    // 64 bytes, and four more for the upper half of the last gram.
    while at + 64 <= range.end
        && let Some(window) = haystack.get(at..at + 68)
    {
        // SAFETY: 64 bytes are readable from the start of the 68 bytes and
        // from the fifth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm512_loadu_si512(window.cast()), _mm512_loadu_si512(window.add(4).cast()))
        };
        let low = _mm512_mullo_epi32(_mm512_or_si512(low, fold), first);
        let high = _mm512_mullo_epi32(_mm512_or_si512(high, fold), second);
        let hash = mix_avx512(_mm512_add_epi32(low, high));
        let lanes = passes_avx512(filter, hash);
        if lanes != 0 {
            // SAFETY: `hashes` has 64 bytes.
            unsafe { _mm512_storeu_si512(hashes.as_mut_ptr().cast(), hash) };
            push(out, lanes, &hashes, at, 4);
        }
        at += 64;
    }
    at.min(range.end)..range.end
}

/// Where in 16 bytes the grams of 4 bytes begin at the first four even places;
/// at odd places, each is one byte further.
const EVEN: [u8; 16] = [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9];
const ODD: [u8; 16] = [1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8, 9, 10];

/// Pushes the places of a filter of few, each of which has so many bits.
#[inline]
fn push_few(out: &mut Vec<Candidate>, mut places: u32, width: usize, window: &[u8], at: usize) {
    while places != 0 {
        let place = places.trailing_zeros() as usize / width;
        places &= places - 1;
        if let Some(&gram) = window.get(place..).and_then(|rest| rest.first_chunk()) {
            // `Filter::new` saw that places are below 2^32.
            out.push(Candidate { at: (at + place) as u32, hash: hash_short(gram) });
        }
    }
}

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
    let mut at = range.start;
    let mut hashes = [0u32; 16];
    // Four pieces of 16 bytes, each four bytes after the one before.
    while at + 16 <= range.end
        && let Some(window) = haystack.get(at..at + 28)
    {
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
        let lanes = passes_avx512(filter, hash);
        if lanes != 0 {
            // SAFETY: `hashes` has 64 bytes.
            unsafe { _mm512_storeu_si512(hashes.as_mut_ptr().cast(), hash) };
            push(out, lanes, &hashes, at, 1);
        }
        at += 16;
    }
    at..range.end
}

#[target_feature(enable = "avx512f,avx512bw")]
fn few_avx512(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    let fold = _mm512_set1_epi32(FOLD as i32);
    let (shared, five) = (_mm512_set1_epi32(FACTORS[1] as i32), _mm512_set1_epi32(31));
    let count = _mm_cvtsi32_si128(32 - filter.bits as i32); // at most 20 bits
    // SAFETY: both have 16 bytes.
    let orders =
        unsafe { [EVEN, ODD].map(|o| _mm512_broadcast_i32x4(_mm_loadu_si128(o.as_ptr().cast()))) };
    let mut at = range.start;
    // Four pieces of 16 bytes, each eight bytes after the one before. At an odd
    // start all is left to the loop.
    while at.is_multiple_of(2)
        && at + 32 <= range.end
        && let Some(window) = haystack.get(at..at + 40)
    {
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
        let places = _mm512_movepi16_mask(halves);
        if places != 0 {
            push_few(out, places, 1, window, at);
        }
        at += 32;
    }
    at..range.end
}

/// Which lanes of 8 hashes pass the filter.
#[target_feature(enable = "avx2")]
#[inline]
fn passes_avx2(filter: Filter<'_>, hash: __m256i) -> u32 {
    let shift = |by: u32| _mm_cvtsi32_si128(by as i32); // below 32
    let word = _mm256_srl_epi32(hash, shift(32 - filter.bits));
    // SAFETY: each lane of `word` is below `1 << bits`, which is the number
    // of words of the filter, and the scale is the size of a word.
    let word = unsafe { _mm256_i32gather_epi32::<4>(filter.words.as_ptr().cast(), word) };
    let (one, low) = (_mm256_set1_epi32(1), _mm256_set1_epi32(31));
    let bit = |by: u32| {
        let count = _mm256_and_si256(_mm256_srl_epi32(hash, shift(by)), low);
        _mm256_sllv_epi32(one, count)
    };
    let mask = _mm256_or_si256(bit(MASK), bit(MASK + 5));
    let same = _mm256_cmpeq_epi32(_mm256_and_si256(word, mask), mask);
    _mm256_movemask_ps(_mm256_castsi256_ps(same)) as u32 // 8 bits
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
    let mut at = range.start.next_multiple_of(4);
    let mut hashes = [0u32; 8];
    while at + 32 <= range.end
        && let Some(window) = haystack.get(at..at + 36)
    {
        // SAFETY: 32 bytes are readable from the start of the 36 bytes and
        // from the fifth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm256_loadu_si256(window.cast()), _mm256_loadu_si256(window.add(4).cast()))
        };
        let low = _mm256_mullo_epi32(_mm256_or_si256(low, fold), first);
        let high = _mm256_mullo_epi32(_mm256_or_si256(high, fold), second);
        let hash = mix_avx2(_mm256_add_epi32(low, high));
        let lanes = passes_avx2(filter, hash);
        if lanes != 0 {
            // SAFETY: `hashes` has 32 bytes.
            unsafe { _mm256_storeu_si256(hashes.as_mut_ptr().cast(), hash) };
            push(out, lanes, &hashes, at, 4);
        }
        at += 32;
    }
    at.min(range.end)..range.end
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
    let mut at = range.start;
    let mut hashes = [0u32; 8];
    // Two pieces of 16 bytes, the second four bytes after the first.
    while at + 8 <= range.end
        && let Some(window) = haystack.get(at..at + 20)
    {
        // SAFETY: 16 bytes are readable from the start of the 20 bytes and
        // from the fifth of them; `loadu` needs no alignment.
        let (low, high) = unsafe {
            let window = window.as_ptr();
            (_mm_loadu_si128(window.cast()), _mm_loadu_si128(window.add(4).cast()))
        };
        let grams = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), order);
        let hash = mix_avx2(_mm256_mullo_epi32(_mm256_or_si256(grams, fold), factor));
        let lanes = passes_avx2(filter, hash);
        if lanes != 0 {
            // SAFETY: `hashes` has 32 bytes.
            unsafe { _mm256_storeu_si256(hashes.as_mut_ptr().cast(), hash) };
            push(out, lanes, &hashes, at, 1);
        }
        at += 8;
    }
    at..range.end
}

#[target_feature(enable = "avx2")]
fn few_avx2(
    filter: Filter<'_>,
    haystack: &[u8],
    range: Range<usize>,
    out: &mut Vec<Candidate>,
) -> Range<usize> {
    let fold = _mm256_set1_epi32(FOLD as i32);
    let (shared, five) = (_mm256_set1_epi32(FACTORS[1] as i32), _mm256_set1_epi32(31));
    let count = _mm_cvtsi32_si128(32 - filter.bits as i32); // at most 20 bits
    // SAFETY: both have 16 bytes.
    let orders = unsafe {
        [EVEN, ODD].map(|o| _mm256_broadcastsi128_si256(_mm_loadu_si128(o.as_ptr().cast())))
    };
    let mut at = range.start;
    // Two pieces of 16 bytes, the second eight bytes after the first. At an odd
    // start all is left to the loop.
    while at.is_multiple_of(2)
        && at + 16 <= range.end
        && let Some(window) = haystack.get(at..at + 24)
    {
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
        let places = _mm256_movemask_epi8(halves) as u32 & 0xaaaa_aaaa; // the upper bit of each half
        if places != 0 {
            push_few(out, places, 2, window, at);
        }
        at += 16;
    }
    at..range.end
}

#[target_feature(enable = "avx512f,avx512bw")]
fn screen_avx512<const N: usize>(
    known: &Halves<N>,
    haystack: &[u8],
    range: Range<usize>,
    found: &mut impl FnMut(usize, [u8; N]),
) -> Range<usize> {
    let tables = known.each_ref().map(|tables| {
        tables.each_ref().map(|table| {
            // SAFETY: `table` has 16 bytes.
            _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
        })
    });
    let (fold, half) = (_mm512_set1_epi8(FOLD as i8), _mm512_set1_epi8(15));
    let mut at = range.start;
    while at + 64 <= range.end
        && let Some(window) = haystack.get(at..at + 63 + N)
    {
        let mut classes = _mm512_set1_epi8(-1);
        for (number, [low, high]) in tables.into_iter().enumerate() {
            // SAFETY: `number` is below `N`, so 64 bytes are readable from there in the
            // 63 and `N` bytes; `loadu` needs no alignment.
            let bytes = unsafe { _mm512_loadu_si512(window.as_ptr().add(number).cast()) };
            let bytes = _mm512_or_si512(bytes, fold);
            let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), half);
            let low = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, half));
            let high = _mm512_shuffle_epi8(high, upper);
            classes = _mm512_and_si512(classes, _mm512_and_si512(low, high));
        }
        let mut places = _mm512_test_epi8_mask(classes, classes);
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            if let Some(&gram) = window.get(place..).and_then(|rest| rest.first_chunk()) {
                found(at + place, gram);
            }
        }
        at += 64;
    }
    at..range.end
}

#[target_feature(enable = "avx2")]
fn screen_avx2<const N: usize>(
    known: &Halves<N>,
    haystack: &[u8],
    range: Range<usize>,
    found: &mut impl FnMut(usize, [u8; N]),
) -> Range<usize> {
    let tables = known.each_ref().map(|tables| {
        tables.each_ref().map(|table| {
            // SAFETY: `table` has 16 bytes.
            _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
        })
    });
    let (fold, half) = (_mm256_set1_epi8(FOLD as i8), _mm256_set1_epi8(15));
    let mut at = range.start;
    while at + 32 <= range.end
        && let Some(window) = haystack.get(at..at + 31 + N)
    {
        let mut classes = _mm256_set1_epi8(-1);
        for (number, [low, high]) in tables.into_iter().enumerate() {
            // SAFETY: `number` is below `N`, so 32 bytes are readable from there
            // in the 31 and `N` bytes; `loadu` needs no alignment.
            let bytes = unsafe { _mm256_loadu_si256(window.as_ptr().add(number).cast()) };
            let bytes = _mm256_or_si256(bytes, fold);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
            let low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
            let high = _mm256_shuffle_epi8(high, upper);
            classes = _mm256_and_si256(classes, _mm256_and_si256(low, high));
        }
        let none = _mm256_cmpeq_epi8(classes, _mm256_setzero_si256());
        let mut places = !(_mm256_movemask_epi8(none) as u32); // 32 bits
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            if let Some(&gram) = window.get(place..).and_then(|rest| rest.first_chunk()) {
                found(at + place, gram);
            }
        }
        at += 32;
    }
    at..range.end
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
