//! How rare a literal is: which bytes are worth searching for.
//!
//! The figures come from a model of pairs and triples of bytes, counted in
//! mail, HTML, documents and programs by the example `gram_model`, which wrote
//! `grams.bin`. They only decide speed, never results. Bytes are *folded*, as
//! the prefilter reads them: bit 5 is set, so letters lose their case.

/// Pairs of folded bytes, then triples by their hash: eighths of a bit.
static MODEL: &[u8; PAIRS + TRIPLES] = include_bytes!("grams.bin");

const PAIRS: usize = 1 << 14;
const TRIPLES: usize = 1 << 17;

/// A byte as the prefilter reads it.
pub(crate) fn fold(byte: u8) -> u8 {
    byte | 0x20
}

/// The seven bits of a folded byte.
fn bits(byte: u8) -> usize {
    usize::from(byte & 0x1f | byte >> 1 & 0x60)
}

/// The cost of a pair, in eighths of a bit: eight times the binary logarithm of
/// how many bytes of data it takes to meet one.
fn pair(a: u8, b: u8) -> i32 {
    cost_at(bits(a) << 7 | bits(b))
}

/// How often each byte occurs among folded ones: for others, nothing is told.
pub(crate) fn byte_frequencies() -> [f64; 256] {
    // Rare ones are not so rare in every kind of data.
    const LEAST: f64 = 1.0 / 512.0;
    std::array::from_fn(|byte| {
        let pairs = (0..=255).filter(|&second| second == fold(second));
        let known = fold(byte as u8) == byte as u8; // below 256
        let sum: f64 = pairs.map(|second| power(pair(byte as u8, second))).sum();
        if known { sum.max(LEAST) } else { 0.0 }
    })
}

fn triple(a: u8, b: u8, c: u8) -> i32 {
    triple_at(bits(a) << 14 | bits(b) << 7 | bits(c))
}

/// The cost of the triple with these 21 bits.
fn triple_at(key: usize) -> i32 {
    let slot = (key as u32).wrapping_mul(0x9e37_79b1) >> 15;
    cost_at(PAIRS + slot as usize)
}

/// The cost at a place of the model: of a pair, by its 14 bits, or of a triple, by 17.
fn cost_at(place: usize) -> i32 {
    MODEL[place].into()
}

/// How many places a byte of data has, on average, where a literal stands in
/// either case: each byte is judged by the two before it.
///
/// A literal of fewer than three different bytes is taken for a frequent one:
/// long runs of one byte are everywhere.
pub(crate) fn frequency(literal: &[u8]) -> f64 {
    let mut cost = match literal {
        [] => return 1.0,
        [_] => return 1.0 / 64.0,
        [a, b, ..] => pair(*a, *b),
    };
    for window in literal.windows(3) {
        if let [a, b, c] = *window {
            cost += (triple(a, b, c) - pair(a, b)).max(0);
        }
    }
    let frequency = power(cost);
    if is_dull(literal) { frequency.max(DULL) } else { frequency }
}

/// What a literal of fewer than three different bytes is taken for at least.
const DULL: f64 = 1e-3;

/// Two to the power of minus so many eighths.
pub(crate) fn power(eighths: i32) -> f64 {
    // 2^-1/8, and so on; the whole bits are an exponent.
    const FRACTIONS: [f64; 8] = [
        1.0,
        0.917_004_043_204_671_2,
        0.840_896_415_253_714_6,
        0.771_105_412_703_970_4,
        std::f64::consts::FRAC_1_SQRT_2,
        0.648_419_777_325_504_8,
        0.594_603_557_501_360_5,
        0.545_253_866_332_628_8,
    ];
    let bits = (eighths.max(0) / 8).min(1000) as u64; // no more than 1000
    FRACTIONS[(eighths.max(0) % 8) as usize] * f64::from_bits((1023 - bits) << 52)
}

/// Hands over every gram of `LEN` bytes of a literal, in order: its place and its
/// frequency. Cheaper than one by one; all literals of a set go through here.
pub(crate) fn weigh<const LEN: usize>(literal: &[u8], mut take: impl FnMut(usize, f64)) {
    const { assert!(LEN >= 3 && LEN <= 10) };
    let mut first = 0;
    while let Some(left) = literal.get(first..).filter(|left| left.len() >= LEN) {
        let piece = &left[..left.len().min(PIECE)];
        weigh_piece::<LEN>(piece, |at, frequency| take(first + at, frequency));
        first += PIECE - (LEN - 1);
    }
}

/// Bytes that are weighed at a time.
const PIECE: usize = 64;

fn weigh_piece<const LEN: usize>(piece: &[u8], mut take: impl FnMut(usize, f64)) {
    let mut seven = [0u8; PIECE + 2];
    seven.iter_mut().zip(piece).for_each(|(seven, &byte)| *seven = bits(byte) as u8); // 7 bits
    // What each pair costs, and what all bytes do together that stand before the third
    // byte from here, each behind two others.
    let (mut pairs, mut sums) = ([0i32; PIECE], [0i32; PIECE + 1]);
    let mut sum = 0;
    let threes = seven.array_windows::<3>().take(piece.len());
    for ((&[a, b, c], pair), place) in threes.zip(&mut pairs).zip(&mut sums) {
        let two = usize::from(a) << 7 | usize::from(b);
        *place = sum;
        *pair = cost_at(two & (PAIRS - 1));
        sum += (triple_at(two << 7 | usize::from(c)) - *pair).max(0);
    }
    for (at, gram) in piece.windows(LEN).enumerate() {
        // A gram has two bytes fewer than it is long that stand behind two others.
        let frequency = power(pairs[at] + sums[at + LEN - 2] - sums[at]);
        let dull = || {
            let [a, b, c] = [seven[at], seven[at + 1], seven[at + 2]];
            (a == b || b == c || a == c) && is_dull(gram)
        };
        take(at, if frequency < DULL && dull() { DULL } else { frequency });
    }
}

/// Whether fewer than three different bytes occur.
pub(crate) fn is_dull(literal: &[u8]) -> bool {
    if let [a, b, c, ..] = *literal {
        let [a, b, c] = [fold(a), fold(b), fold(c)];
        if a != b && b != c && a != c {
            return false;
        }
    }
    let mut seen = [0u8; 2];
    let mut different = 0;
    for byte in literal.iter().map(|&byte| fold(byte)) {
        if !seen[..different].contains(&byte) {
            match seen.get_mut(different) {
                Some(place) => *place = byte,
                None => return false,
            }
            different += 1;
        }
    }
    true
}

/// The part of a literal that is rarest, if it is to have this length.
pub(crate) fn rarest_window<const LEN: usize>(literal: &[u8]) -> Option<(usize, f64)> {
    let mut rarest: Option<(usize, f64)> = None;
    weigh::<LEN>(literal, |at, frequency| {
        if rarest.is_none_or(|(_, least)| frequency < least) {
            rarest = Some((at, frequency));
        }
    });
    rarest
}

/// The position of the rarest byte; 0 for an empty literal.
pub(crate) fn rarest(literal: &[u8]) -> usize {
    let at = literal.iter().enumerate().max_by_key(|(_, byte)| rarity(**byte));
    at.map_or(0, |(at, _)| at)
}

/// How rare a byte is, by its class: a guess, for a search by one byte.
fn rarity(byte: u8) -> u32 {
    match byte {
        0 => 4,
        b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 14,
        0xff | b'\n' | b'\r' => 16,
        b'a'..=b'z' | b'A'..=b'Z' => 18,
        b'0'..=b'9' | b'=' | b'/' | b'.' | b'-' | b'<' | b'>' | b'"' | b':' | b',' => 20,
        0x8b | 0x83 | 0x89 | 0xe8 | 0xc0 | 0xcc | 0x90 => 20,
        1..=8 | 0x10 | 0x20..=0x7f => 24,
        _ => 28,
    }
}

/// Compares with a literal that is in lower case already.
pub(crate) fn eq_folded(window: &[u8], lower: &[u8]) -> bool {
    window.len() == lower.len()
        && window.iter().zip(lower).all(|(a, b)| a.to_ascii_lowercase() == *b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_whole() {
        assert_eq!(MODEL.len(), PAIRS + TRIPLES);
    }

    #[test]
    fn frequencies_are_those_of_each_gram() {
        let text = b"<script>eval(unescape('%u9090'))\0\0\0\0\0\0\0\0\0";
        let long = text.repeat(20);
        let ends = [PIECE - 1, PIECE, PIECE + 1, PIECE + 2, 2 * PIECE - 3, long.len()];
        for end in (0..=text.len()).chain(ends) {
            let text = &long[..end];
            let each = |len| text.windows(len).map(frequency).collect::<Vec<_>>();
            let (mut four, mut eight) = (Vec::new(), Vec::new());
            weigh::<4>(text, |_, frequency| four.push(frequency));
            weigh::<8>(text, |_, frequency| eight.push(frequency));
            assert_eq!((four, eight), (each(4), each(8)));
        }
        assert!((power(20) - (-2.5f64).exp2()).abs() < 1e-12);
    }

    #[test]
    fn words_are_more_frequent_than_noise() {
        assert!(frequency(b"the ") > 20.0 * frequency(b"xqjz"));
        assert!(frequency(b"The ") == frequency(b"tHE "));
        assert!(frequency(b"\0\0\0\0\0\0") >= 1e-3);
        assert!(is_dull(b"abababab") && !is_dull(b"abc"));
    }

    #[test]
    fn the_rarest_window_leaves_the_words_out() {
        let (at, _) = rarest_window::<6>(b"this is the \x8bxqZ9w end of it").expect("a window");
        assert!((7..=12).contains(&at), "{at}");
    }
}
