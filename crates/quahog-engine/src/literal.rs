//! How rare a literal is: which bytes are worth searching for.
//!
//! The figures come from a model of pairs and triples of bytes, counted in
//! mail, HTML, documents and programs by the example `gram_model`, which wrote
//! `grams.bin`. They only decide speed, never results. Bytes are *folded*, as
//! the prefilter reads them: bit 5 is set, so letters lose their case.

/// Pairs of folded bytes, then triples by their hash: eighths of a bit.
static MODEL: &[u8] = include_bytes!("grams.bin");

const PAIRS: usize = 1 << 14;
#[cfg(test)]
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
    MODEL.get(bits(a) << 7 | bits(b)).map_or(0, |&cost| i32::from(cost))
}

fn triple(a: u8, b: u8, c: u8) -> i32 {
    let key = (bits(a) << 14 | bits(b) << 7 | bits(c)) as u32; // 21 bits
    let slot = key.wrapping_mul(0x9e37_79b1) >> 15;
    MODEL.get(PAIRS + slot as usize).map_or(0, |&cost| i32::from(cost))
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
    let frequency = (-f64::from(cost) / 8.0).exp2();
    if is_dull(literal) { frequency.max(1e-3) } else { frequency }
}

/// Whether fewer than three different bytes occur.
pub(crate) fn is_dull(literal: &[u8]) -> bool {
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
pub(crate) fn rarest_window(literal: &[u8], len: usize) -> Option<(usize, f64)> {
    let costs = literal.windows(len).map(frequency).enumerate();
    costs.min_by(|(_, a), (_, b)| a.total_cmp(b))
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
    fn words_are_more_frequent_than_noise() {
        assert!(frequency(b"the ") > 20.0 * frequency(b"xqjz"));
        assert!(frequency(b"The ") == frequency(b"tHE "));
        assert!(frequency(b"\0\0\0\0\0\0") >= 1e-3);
        assert!(is_dull(b"abababab") && !is_dull(b"abc"));
    }

    #[test]
    fn the_rarest_window_leaves_the_words_out() {
        let (at, _) = rarest_window(b"this is the \x8bxqZ9w end of it", 6).expect("a window");
        assert!((7..=12).contains(&at), "{at}");
    }
}
