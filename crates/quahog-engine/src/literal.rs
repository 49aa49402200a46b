//! How rare a literal is: which bytes are worth searching for.
//!
//! The figures are guesses by class of byte, not measured frequencies; a model
//! from real data is to replace them. They only decide speed, never results.

/// How rare a byte is in mail, documents and programs, in about quarter bits.
fn rarity(byte: u8) -> u32 {
    match byte {
        0 => 4,
        b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 14,
        0xff | b'\n' | b'\r' => 16,
        b'a'..=b'z' => 18,
        b'0'..=b'9' | b'=' | b'/' | b'.' | b'-' | b'<' | b'>' | b'"' | b':' | b',' => 20,
        b'A'..=b'Z' => 18, // searched for without case
        1..=8 | 0x10 | 0x20..=0x7f => 24,
        0x8b | 0x83 | 0x89 | 0xe8 | 0xc0 | 0xcc | 0x90 => 20,
        _ => 28,
    }
}

/// A figure that is the higher, the rarer the literal is.
///
/// Literals of fewer than three different bytes get next to nothing: long runs
/// of one byte are everywhere.
pub(crate) fn score(literal: &[u8]) -> u32 {
    let mut seen = [0u8; 3];
    let mut different = 0;
    for &byte in literal {
        if different < 3 && !seen[..different].contains(&byte) {
            seen[different] = byte;
            different += 1;
        }
    }
    let mut before = None;
    let sum: u32 = literal
        .iter()
        .map(|&byte| {
            // A byte repeated tells little.
            let weight = if before == Some(byte) { 2 } else { rarity(byte) };
            before = Some(byte);
            weight
        })
        .sum();
    if different < 3 { sum / 4 } else { sum }
}

/// The position of the rarest byte; 0 for an empty literal.
pub(crate) fn rarest(literal: &[u8]) -> usize {
    let at = literal.iter().enumerate().max_by_key(|(_, byte)| rarity(**byte));
    at.map_or(0, |(at, _)| at)
}

/// Compares with a literal that is in lower case already.
pub(crate) fn eq_folded(window: &[u8], lower: &[u8]) -> bool {
    window.len() == lower.len()
        && window.iter().zip(lower).all(|(a, b)| a.to_ascii_lowercase() == *b)
}
