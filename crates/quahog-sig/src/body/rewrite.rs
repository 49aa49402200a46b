//! Modifiers of hex subsignatures that rewrite the pattern's *text*.
//!
//! `w` and `f` are defined on the text, before it is parsed, and so is the
//! order of things: a `{2}` in a wide pattern stays two bytes.

use crate::ast::Field;
use crate::{Error, ErrorKind, Span};

/// The letters after `::`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Modifiers {
    /// `a`: with `w`, the plain form too.
    pub ascii: bool,
    /// `f`: only whole words.
    pub fullword: bool,
    /// `i`: letters match in either case.
    pub nocase: bool,
    /// `w`: each byte is followed by a NUL.
    pub wide: bool,
}

impl Modifiers {
    /// Reads the letters; none at all is fine.
    ///
    /// # Errors
    ///
    /// Another letter.
    pub fn parse(field: Field<'_>) -> Result<Modifiers, Error> {
        let mut modifiers = Modifiers::default();
        for (at, byte) in field.text.iter().enumerate() {
            match byte {
                b'a' => modifiers.ascii = true,
                b'f' => modifiers.fullword = true,
                b'i' => modifiers.nocase = true,
                b'w' => modifiers.wide = true,
                _ => {
                    let at = field.span.start() + at;
                    return Err(Error::new(ErrorKind::Modifier, Span::new(at, at + 1)));
                }
            }
        }
        Ok(modifiers)
    }

    /// Whether any letter was given: then all alternates are generic.
    pub fn any(self) -> bool {
        self != Modifiers::default()
    }
}

/// Rewrites a pattern for `w`: `00` after every pair of digits, and `{n-m}`
/// for `[n-m]`.
///
/// What is no pattern stays none: digits without a partner are kept as they are.
pub fn wide(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    let mut rest = text;
    let is_digit = |b: &u8| b.is_ascii_hexdigit() || *b == b'?';
    while let Some((&byte, tail)) = rest.split_first() {
        let closing = match byte {
            b'{' => Some(b'}'),
            b'[' => Some(b']'),
            _ => None,
        };
        if let Some(closing) = closing {
            // Numbers between braces are no bytes.
            let end = memchr::memchr(closing, rest).map_or(rest.len(), |at| at + 1);
            out.extend(rest[..end].iter().map(|&b| brace_for_bracket(b)));
            rest = &rest[end..];
        } else if is_class(rest) {
            out.extend_from_slice(&rest[..3]);
            rest = &rest[3..];
        } else if is_digit(&byte) && tail.first().is_some_and(is_digit) {
            out.extend_from_slice(&[byte, tail[0], b'0', b'0']);
            rest = &rest[2..];
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}

/// Rewrites a pattern for `f`: a word test at both ends, and `{n-m}` for `[n-m]`.
pub fn fullword(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 6);
    out.extend_from_slice(b"(W)");
    out.extend(text.iter().map(|&b| brace_for_bracket(b)));
    out.extend_from_slice(b"(W)");
    out
}

fn brace_for_bracket(byte: u8) -> u8 {
    match byte {
        b'[' => b'{',
        b']' => b'}',
        other => other,
    }
}

/// Whether `(B)`, `(L)` or `(W)` stands here.
fn is_class(text: &[u8]) -> bool {
    matches!(text, [b'(', b'B' | b'L' | b'W', b')', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_touches_bytes_only() {
        let text = |t: &str| String::from_utf8(wide(t.as_bytes())).unwrap();
        assert_eq!(text("6162"), "61006200");
        assert_eq!(text("61??{2}62*(63|64)"), "6100??00{2}6200*(6300|6400)");
        assert_eq!(text("(B)61[1-2]62"), "(B)6100{1-2}6200");
    }

    #[test]
    fn fullword_puts_word_tests_at_both_ends() {
        assert_eq!(fullword(b"61[1-2]6263"), b"(W)61{1-2}6263(W)");
    }
}
