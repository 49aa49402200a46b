//! Body patterns: the text that says which bytes a signature looks for.
//!
//! A body pattern such as `4d5a??(00|90){4-8}5045` mixes hex bytes with
//! wildcards, alternates and gaps. [`parse`] turns the text into a [`Body`]:
//! what is written, with spans. [`Body::compile`] cuts that into parts, checks
//! what a part must contain and writes the compact [`Pattern`] form that a
//! matcher reads.
//!
//! Targets, offsets and functionality levels are no business of this module;
//! they belong to [`model`](crate::model).
//!
//! Databases come from the network, so parsing takes `O(n)` time and memory
//! in the length of the text; it recurses into alternates only, at most 16
//! deep.
//!
//! ```
//! let err = quahog_sig::body::parse(b"4142{4-x}4344").unwrap_err();
//! assert_eq!(err.kind().code(), "expected");
//! assert_eq!(err.span().range(), 7..8);
//! ```

mod compile;
mod parse;
mod pattern;
mod rewrite;

use std::fmt;

use crate::Span;

pub use compile::Rules;
pub(crate) use compile::compile_plain;
pub use parse::parse;
pub use pattern::{
    Alternate, AnchorByte, Branches, CharClass, Element, Elements, Gap, Part, Parts, Pattern,
};
pub use rewrite::{Modifiers, fullword, wide};

/// A body pattern as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body {
    items: Vec<Item>,
}

impl Body {
    /// What stands in the pattern, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

/// One written element and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Where it stands.
    pub span: Span,
}

/// What can stand in a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ItemKind {
    /// `[n-m]`: ties a byte to a part.
    Anchor {
        /// The smallest distance.
        min: u32,
        /// The largest distance.
        max: u32,
    },
    /// `(a|b)`, each branch a list of bytes, alternates and `{n}`.
    Alternate {
        /// Whether `!` stands before it.
        negated: bool,
        /// The branches as written.
        branches: Vec<Vec<Item>>,
    },
    /// Two digits of which one is a `?`, or both: a nibble (mask `f0`, `0f`) or
    /// `??` (`00`).
    Byte {
        /// The bits that are given.
        value: u8,
        /// Which bits are given.
        mask: u8,
    },
    /// `(B)`, `(L)` or `(W)`.
    Class {
        /// Whether `!` stands before it.
        negated: bool,
        /// Which one.
        class: CharClass,
    },
    /// `{n}`, `{n-}`, `{-m}`, `{n-m}`, `{}` or `{-}`.
    Gap(WrittenGap),
    /// Pairs of digits, as many as stand side by side; one at least.
    Literal(Vec<u8>),
    /// `*`
    Star,
}

/// A gap as it is written; what it means is [`Gap`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrittenGap {
    /// The number before the dash, or the only one.
    pub min: Option<u32>,
    /// The number after the dash.
    pub max: Option<u32>,
    /// Whether there is a dash.
    pub dash: bool,
}

impl fmt::Display for Body {
    /// The text of the pattern, its digits in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| item.kind.fmt(f))
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ItemKind::Anchor { min, max } if min == max => write!(f, "[{min}]"),
            ItemKind::Anchor { min, max } => write!(f, "[{min}-{max}]"),
            ItemKind::Alternate { negated, branches } => {
                f.write_str(if *negated { "!(" } else { "(" })?;
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        f.write_str("|")?;
                    }
                    branch.iter().try_for_each(|item| item.kind.fmt(f))?;
                }
                f.write_str(")")
            }
            ItemKind::Byte { value, mask } => {
                let digit = |mask: u8, value: u8| match mask {
                    0 => '?',
                    _ => char::from_digit(u32::from(value & 15), 16).unwrap_or('?'),
                };
                write!(f, "{}{}", digit(mask >> 4, value >> 4), digit(mask & 15, *value))
            }
            ItemKind::Class { negated, class } => {
                let sign = if *negated { "!" } else { "" };
                write!(f, "{sign}({})", class.letter())
            }
            ItemKind::Gap(gap) => {
                f.write_str("{")?;
                gap.min.map_or(Ok(()), |n| write!(f, "{n}"))?;
                f.write_str(if gap.dash { "-" } else { "" })?;
                gap.max.map_or(Ok(()), |n| write!(f, "{n}"))?;
                f.write_str("}")
            }
            ItemKind::Literal(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            ItemKind::Star => f.write_str("*"),
        }
    }
}

/// The value of a hex digit in either case; all bits for another byte.
///
/// Without branches and tables, so that a loop over it becomes code for vectors.
fn digit_value(byte: u8) -> u8 {
    let number = byte.wrapping_sub(b'0');
    let letter = (byte | 0x20).wrapping_sub(b'a');
    let letter = if letter < 6 { letter + 10 } else { 0xff };
    if number < 10 { number } else { letter }
}

/// The value of a hex digit in either case.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    Some(digit_value(byte)).filter(|&value| value < 16)
}

/// Whether all of these are hex digits.
#[inline]
fn are_digits(pairs: &[[u8; 2]]) -> bool {
    pairs.as_flattened().iter().fold(0, |all, &digit| all | digit_value(digit)) < 16
}

/// The byte that two hex digits write.
fn pair_value([high, low]: [u8; 2]) -> u8 {
    digit_value(high) << 4 | digit_value(low)
}

/// Decodes hex digits into `out`; false if they are none, or not as many.
#[inline]
pub(crate) fn decode_hex(text: &[u8], out: &mut [u8]) -> bool {
    let (pairs, rest) = text.as_chunks();
    if pairs.len() != out.len() || !rest.is_empty() || !are_digits(pairs) {
        return false;
    }
    pairs.iter().zip(out).for_each(|(&pair, byte)| *byte = pair_value(pair));
    true
}

/// The bytes that hex digits write, as far as there are pairs of them.
fn leading_hex(text: &[u8]) -> Vec<u8> {
    let (pairs, _) = text.as_chunks();
    let (blocks, _) = pairs.as_chunks::<16>();
    let whole = 16 * blocks.iter().take_while(|block| are_digits(&block[..])).count();
    let rest = pairs[whole..].iter().take_while(|&&pair| are_digits(&[pair])).count();
    pairs[..whole + rest].iter().map(|&pair| pair_value(pair)).collect()
}

pub(crate) use pattern::write_varint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_digits_are_those_of_the_standard_library() {
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16);
            assert_eq!(hex_digit(byte).map(u32::from), expected, "{byte}");
            let text = [b'0', byte].repeat(20);
            let known = expected.map_or(0, |_| 20);
            assert_eq!(leading_hex(&text).len(), known, "{byte}");
            assert_eq!(decode_hex(&text, &mut [0; 20]), expected.is_some(), "{byte}");
        }
        assert_eq!(leading_hex(&[b"0f".repeat(37), b"?0".to_vec()].concat()), [15; 37]);
    }
}
