//! Twins of loops for what this processor can do: the only unsafe code of the
//! crate.
//!
//! First of all the vector twins of the prefilter's probes.
//! What they find is defined by the loops in
//! [`probe`](crate::prefilter::probe), to which a test holds them. Each takes
//! as many places as fill its vectors, and says which are left to the loop.

#[cfg(not(target_arch = "x86_64"))]
use std::ops::Range;

#[cfg(not(target_arch = "x86_64"))]
use crate::prefilter::probe::Candidate;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use crate::md5::pair as md5_pair;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Vectors, md5_pair};
#[cfg(all(fuzzing, target_arch = "x86_64"))]
pub(crate) use x86_64::assert_twins;

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
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi32,
        _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_i32gather_epi32,
        _mm256_loadu_si256, _mm256_movemask_ps, _mm256_mullo_epi32, _mm256_or_si256,
        _mm256_set_m128i, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_shuffle_epi8,
        _mm256_sllv_epi32, _mm256_srl_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
        _mm256_xor_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_broadcast_i32x4,
        _mm512_castsi128_si512, _mm512_cmpeq_epi32_mask, _mm512_i32gather_epi32,
        _mm512_inserti32x4, _mm512_loadu_si512, _mm512_mullo_epi32, _mm512_or_si512,
        _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_sllv_epi32, _mm512_srl_epi32,
        _mm512_srli_epi32, _mm512_storeu_si512, _mm512_xor_si512,
    };
    use std::ops::Range;

    use crate::md5::{self, Lanes};
    use crate::prefilter::probe::{Candidate, FACTORS, FOLD, MASK, MAX_BITS};

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
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
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
    }

    /// Takes in as many blocks of two buffers as the shorter has: with `andn` and
    /// `rorx`, which spare the copies, nearly twice as fast as one after the
    /// other; without them, a third faster.
    pub(crate) fn md5_pair(lanes: &mut Lanes<2>, left: &[[u8; 64]], right: &[[u8; 64]]) {
        if is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2") {
            // SAFETY: the CPU has both, as was just asked.
            unsafe { md5_pair_bmi(lanes, left, right) }
        } else {
            md5::pair(lanes, left, right);
        }
    }

    #[target_feature(enable = "bmi1,bmi2")]
    fn md5_pair_bmi(lanes: &mut Lanes<2>, left: &[[u8; 64]], right: &[[u8; 64]]) {
        md5::pair(lanes, left, right);
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
            0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3,
            4, 5, 6,
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
        }
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
}
