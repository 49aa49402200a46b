//! From text to [`Body`].

use super::{Body, CharClass, Item, ItemKind, WrittenGap, hex_digit, leading_hex};
use crate::{Error, ErrorKind, Span};

/// Parentheses allowed inside one alternate, nested or side by side (refused
/// from 16 on by clamscan 1.4.6).
const MAX_INNER_PARENTHESES: u32 = 15;

/// Parses a body pattern.
///
/// # Errors
///
/// Says where the text is not of the grammar. What a part must contain is
/// checked by [`Body::compile`].
pub fn parse(text: &[u8]) -> Result<Body, Error> {
    let mut parser = Parser { text, pos: 0 };
    let mut items = Vec::new();
    while let Some(byte) = parser.peek() {
        let start = parser.pos;
        let kind = match byte {
            b'*' => {
                parser.pos += 1;
                ItemKind::Star
            }
            b'{' => ItemKind::Gap(parser.gap()?),
            b'[' => parser.anchor()?,
            b'!' | b'(' => parser.parenthesis()?,
            _ => parser.bytes()?,
        };
        items.push(Item { kind, span: parser.span_from(start) });
    }
    Ok(Body { items })
}

struct Parser<'t> {
    text: &'t [u8],
    pos: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.pos += usize::from(hit);
        hit
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(ErrorKind::Expected(byte))) }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, Span::new(self.pos, self.pos + 1))
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(start, self.pos)
    }

    /// Parses pairs of digits, or one pair with a `?` in it.
    fn bytes(&mut self) -> Result<ItemKind, Error> {
        let bytes = leading_hex(self.text.get(self.pos..).unwrap_or_default());
        if bytes.is_empty() {
            return self.byte();
        }
        self.pos += 2 * bytes.len();
        Ok(ItemKind::Literal(bytes))
    }

    /// Parses two digits, either of which may be `?`.
    fn byte(&mut self) -> Result<ItemKind, Error> {
        let mut digit = || {
            let (value, mask) = match self.peek() {
                Some(b'?') => (0, 0),
                other => match other.and_then(hex_digit) {
                    Some(value) => (value, 15),
                    None => return Err(self.error(ErrorKind::HexDigit)),
                },
            };
            self.pos += 1;
            Ok((value, mask))
        };
        let (high, high_mask) = digit()?;
        let (low, low_mask) = digit()?;
        Ok(ItemKind::Byte { value: high << 4 | low, mask: high_mask << 4 | low_mask })
    }

    /// Parses digits, if there are any; numbers wrap at 32 bits, as in ClamAV.
    fn decimal(&mut self) -> Option<u32> {
        let start = self.pos;
        let mut value = 0u32;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.pos += 1;
            value = value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
        }
        (self.pos > start).then_some(value)
    }

    /// Parses a gap: `{n}`, `{n-}`, `{-m}`, `{n-m}`, `{}` or `{-}`.
    fn gap(&mut self) -> Result<WrittenGap, Error> {
        self.expect(b'{')?;
        let min = self.decimal();
        let dash = self.eat(b'-');
        let max = if dash { self.decimal() } else { None };
        self.expect(b'}')?;
        // `{-}` and `{0}` mean "any distance", and `{9-4}` can be written
        // though it never matches: the pattern says so, not the syntax.
        Ok(WrittenGap { min, max, dash })
    }

    /// Parses the range that ties a byte to a part: `[n]`, `[n-]` or `[n-m]`.
    fn anchor(&mut self) -> Result<ItemKind, Error> {
        let start = self.pos;
        self.expect(b'[')?;
        // Numbers are read as C reads them (clamscan 1.4.6): blanks before one
        // mean nothing, nor does what follows the last. `[4-]` is 4..4.
        self.blanks();
        let Some(min) = self.decimal() else {
            return Err(self.error(ErrorKind::ExpectedNumber));
        };
        let mut max = min;
        if self.eat(b'-') {
            self.blanks();
            if self.peek() == Some(b'-') {
                return Err(self.error(ErrorKind::ExpectedNumber));
            }
            max = self.decimal().unwrap_or(min);
        }
        while self.peek().is_some_and(|byte| !matches!(byte, b']' | b'[' | b'*' | b'{')) {
            self.pos += 1;
        }
        self.expect(b']')?;
        if min > max || max > 32 {
            return Err(Error::new(ErrorKind::NumberRange, self.span_from(start)));
        }
        Ok(ItemKind::Anchor { min, max })
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.pos += 1;
        }
    }

    /// Parses `(a|b)`, `(B)`, or either with `!` before it.
    fn parenthesis(&mut self) -> Result<ItemKind, Error> {
        let negated = self.eat(b'!');
        self.expect(b'(')?;
        if self.text.get(self.pos + 1) == Some(&b')')
            && let Some(class) = self.peek().and_then(CharClass::from_letter)
        {
            self.pos += 2;
            return Ok(ItemKind::Class { negated, class });
        }
        let mut inner = 0;
        let start = self.pos;
        let branches = self.branches(&mut inner)?;
        if branches.first().is_some_and(Vec::is_empty) {
            // Further branches may be empty, and those of inner alternates.
            return Err(Error::new(ErrorKind::AlternateEmpty, Span::new(start, start + 1)));
        }
        Ok(ItemKind::Alternate { negated, branches })
    }

    /// Parses branches up to, and with, the closing parenthesis. `inner` counts
    /// the parentheses inside the outermost alternate, and so bounds recursion.
    fn branches(&mut self, inner: &mut u32) -> Result<Vec<Vec<Item>>, Error> {
        let mut branches = vec![Vec::new()];
        loop {
            let start = self.pos;
            let Some(byte) = self.peek() else {
                return Err(self.error(ErrorKind::Expected(b')')));
            };
            let kind = match byte {
                b'|' | b')' => {
                    self.pos += 1;
                    if byte == b')' {
                        return Ok(branches);
                    }
                    branches.push(Vec::new());
                    continue;
                }
                b'(' => {
                    *inner += 1;
                    if *inner > MAX_INNER_PARENTHESES {
                        return Err(self.error(ErrorKind::AlternateNested));
                    }
                    self.pos += 1;
                    ItemKind::Alternate { negated: false, branches: self.branches(inner)? }
                }
                b'{' => ItemKind::Gap(self.gap()?),
                _ => self.bytes()?,
            };
            let item = Item { kind, span: self.span_from(start) };
            // The list is never empty: it starts with one branch and only grows.
            if let Some(branch) = branches.last_mut() {
                branch.push(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_text_back() {
        for text in [
            "6162",
            "61??62",
            "6?",
            "?a",
            "*",
            "{4}",
            "{4-}",
            "{-8}",
            "{4-8}",
            "{}",
            "{-}",
            "(61|62)",
            "!(6162|6364)",
            "(61|(|63)|)",
            "(61|())",
            "(B)",
            "!(W)",
            "64[4]6162",
            "6162[1-32]64",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_know_their_place() {
        for (text, code, at) in [
            ("616", "hex-digit", 3),
            ("61 62", "hex-digit", 2),
            ("61{1-2-3}62", "expected", 6),
            ("61{2 }62", "expected", 4),
            ("61{2", "expected", 4),
            ("(b)", "hex-digit", 2),
            ("()", "alternate-empty", 1),
            ("(|62)", "alternate-empty", 1),
            ("(61*62)", "hex-digit", 3),
            ("!61", "expected", 1),
            ("61[2-1]62", "number-range", 2),
            ("61[1-33]62", "number-range", 2),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.kind().code(), error.span().start()), (code, at), "{text}");
        }
    }

    #[test]
    fn sixteen_inner_parentheses_are_too_many() {
        let text = |n| format!("(61{}{}", "(62".repeat(n), ")".repeat(n + 1));
        assert!(parse(text(15).as_bytes()).is_ok());
        assert!(parse(text(16).as_bytes()).is_err());
        let beside = |n| format!("({})", "(61)".repeat(n));
        assert!(parse(beside(15).as_bytes()).is_ok());
        assert!(parse(beside(16).as_bytes()).is_err());
    }
}
