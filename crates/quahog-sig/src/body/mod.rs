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

/// The value of a hex digit in either case; [`NO_DIGIT`] for another byte.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16u8 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

/// The value of a hex digit in either case.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    Some(DIGITS[usize::from(byte)]).filter(|&value| value != NO_DIGIT)
}

/// The byte that two hex digits write.
fn hex_pair(pair: [u8; 2]) -> Option<u8> {
    let [high, low] = pair.map(|digit| DIGITS[usize::from(digit)]);
    // Values of digits have four bits, and what is none has all.
    (high | low < 16).then_some(high << 4 | low)
}

/// Decodes hex digits into `out`; false if they are none, or not as many.
pub(crate) fn decode_hex(text: &[u8], out: &mut [u8]) -> bool {
    let (pairs, rest) = text.as_chunks();
    if pairs.len() != out.len() || !rest.is_empty() {
        return false;
    }
    pairs.iter().zip(out).all(|(&pair, byte)| hex_pair(pair).inspect(|&b| *byte = b).is_some())
}

/// The bytes that hex digits write, as far as there are pairs of them.
fn leading_hex(text: &[u8]) -> Vec<u8> {
    let (pairs, _) = text.as_chunks();
    let len = pairs.iter().take_while(|&&pair| hex_pair(pair).is_some()).count();
    pairs[..len].iter().map(|&pair| hex_pair(pair).unwrap_or_default()).collect()
}

/// Appends a number, seven bits a byte, low ones first.
pub(crate) use pattern::write_varint;
