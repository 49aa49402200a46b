//! Tokens.

use crate::Span;

/// What stands at a place of the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token<'t> {
    /// A byte on its own: punctuation, or what means nothing.
    Byte(u8),
    /// `$x`; the name without the sign.
    StringId(&'t [u8]),
    /// `$x*`; the name without sign and star.
    StringPrefix(&'t [u8]),
    /// `#x`
    StringCount(&'t [u8]),
    /// `@x`
    StringOffset(&'t [u8]),
    /// `..`
    Dots,
    /// The end of the text.
    End,
    /// `==`
    Equal,
    /// What is between the braces of a hex string.
    Hex(&'t [u8]),
    /// `<=`
    LessEqual,
    /// `>=`
    MoreEqual,
    /// `!=`
    NotEqual,
    /// A number with its unit worked in.
    Number(i64),
    /// A regular expression, `\/` already read as `/`.
    Regex(Vec<u8>),
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// A text in quotation marks, its escapes resolved.
    Text(Vec<u8>),
    /// Text without its end, or a byte that may not stand in a rule.
    Broken(&'static str),
    /// A word.
    Word(&'t [u8]),
}

/// Reads tokens.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    pos: usize,
    /// Something was met at which ClamAV 1.4.6 reads no further: a broken token,
    /// or a very long text.
    pub(super) ended: bool,
}

/// The longest text or regular expression that ClamAV 1.4.6 reads.
pub(super) const MAX_TEXT: usize = 1022;

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Lexer<'t> {
        Lexer { text, pos: 0, ended: false }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.pos + ahead).copied()
    }

    /// The next token and its place.
    pub(super) fn next(&mut self) -> (Token<'t>, Span) {
        if !self.skip_blanks() {
            let span = Span::new(self.text.len(), self.text.len());
            return (Token::End, span);
        }
        let start = self.pos;
        let token = self.token();
        self.ended |= match &token {
            Token::Broken(_) => true,
            Token::Regex(text) | Token::Text(text) => text.len() > MAX_TEXT,
            _ => false,
        };
        (token, Span::new(start, self.pos))
    }

    /// Moves over blanks and comments; false at the end.
    ///
    /// A comment without an end takes all that is left, as in ClamAV.
    fn skip_blanks(&mut self) -> bool {
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return false,
                (Some(b' ' | b'\t' | b'\r' | b'\n'), _) => self.pos += 1,
                (Some(b'/'), Some(b'/')) => {
                    let rest = &self.text[self.pos..];
                    self.pos += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                (Some(b'/'), Some(b'*')) => {
                    let rest = &self.text[self.pos + 2..];
                    let end = memchr::memmem::find(rest, b"*/").map_or(rest.len(), |at| at + 2);
                    self.pos += 2 + end;
                }
                _ => return true,
            }
        }
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'t [u8] {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let len = rest.iter().position(|&b| !accept(b)).unwrap_or(rest.len());
        self.pos += len;
        &rest[..len]
    }

    fn name(&mut self) -> &'t [u8] {
        self.take_while(|b| b.is_ascii_alphanumeric() || b == b'_')
    }

    fn token(&mut self) -> Token<'t> {
        let Some(byte) = self.peek(0) else { return Token::End };
        let pair = self.peek(1);
        let two = match (byte, pair) {
            (b'.', Some(b'.')) => Some(Token::Dots),
            (b'=', Some(b'=')) => Some(Token::Equal),
            (b'!', Some(b'=')) => Some(Token::NotEqual),
            (b'<', Some(b'=')) => Some(Token::LessEqual),
            (b'>', Some(b'=')) => Some(Token::MoreEqual),
            (b'<', Some(b'<')) => Some(Token::ShiftLeft),
            (b'>', Some(b'>')) => Some(Token::ShiftRight),
            _ => None,
        };
        if let Some(token) = two {
            self.pos += 2;
            return token;
        }
        match byte {
            b'$' => {
                self.pos += 1;
                let name = self.name();
                if self.peek(0) == Some(b'*') {
                    self.pos += 1;
                    return Token::StringPrefix(name);
                }
                Token::StringId(name)
            }
            b'#' | b'@' => {
                self.pos += 1;
                let name = self.name();
                if byte == b'#' { Token::StringCount(name) } else { Token::StringOffset(name) }
            }
            b'0'..=b'9' => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Token::Word(self.name()),
            b'"' => self.quoted(),
            b'/' => self.regex(),
            b'{' => self.hex(),
            0x80.. | 0..=0x1f | 0x7f => {
                self.pos += 1;
                Token::Broken("a byte that may not stand outside of a string")
            }
            _ => {
                self.pos += 1;
                Token::Byte(byte)
            }
        }
    }

    /// `12`, `12KB`, `12MB`, `0x1f`.
    ///
    /// ClamAV 1.4.6 reads hex numbers two digits at a time: an odd count of
    /// digits is 0, and the last four bytes are a signed number.
    fn number(&mut self) -> Token<'t> {
        if self.peek(0) == Some(b'0')
            && self.peek(1) == Some(b'x')
            && self.peek(2).is_some_and(|b| b.is_ascii_hexdigit())
        {
            self.pos += 2;
            let digits = self.take_while(|b| b.is_ascii_hexdigit());
            if !digits.len().is_multiple_of(2) {
                return Token::Number(0);
            }
            let tail = &digits[digits.len().saturating_sub(8)..];
            let value = tail.iter().fold(0u32, |value, &digit| {
                value << 4 | u32::from(crate::body::hex_digit(digit).unwrap_or(0))
            });
            // The sign is that of 32 bits; shorter numbers cannot reach it.
            return Token::Number(i64::from(value as i32));
        }
        let digits = self.take_while(|b| b.is_ascii_digit());
        let value = digits.iter().fold(0i64, |value, digit| {
            value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
        });
        let unit = match self.text.get(self.pos..).unwrap_or_default() {
            [b'K', b'B', ..] => 1 << 10,
            [b'M', b'B', ..] => 1 << 20,
            _ => return Token::Number(value),
        };
        self.pos += 2;
        Token::Number(value.wrapping_mul(unit))
    }

    /// A text in quotation marks. An escape that does not exist stands for
    /// nothing (clamscan 1.4.6), and so do its backslash and letter.
    fn quoted(&mut self) -> Token<'t> {
        self.pos += 1;
        let mut text = Vec::new();
        loop {
            let Some(byte) = self.peek(0).filter(|&b| b != b'\n') else {
                return Token::Broken("text without its end");
            };
            self.pos += 1;
            match byte {
                b'"' => return Token::Text(text),
                b'\\' => {
                    let escape = self.peek(0);
                    self.pos += usize::from(escape.is_some_and(|b| b != b'\n'));
                    match escape {
                        Some(b'"' | b'\\') => text.extend(escape),
                        Some(b't') => text.push(b'\t'),
                        Some(b'n') => text.push(b'\n'),
                        Some(b'x') => {
                            let digits = self.text.get(self.pos..self.pos + 2);
                            let mut value = [0];
                            if digits.is_some_and(|d| crate::body::decode_hex(d, &mut value)) {
                                self.pos += 2;
                                text.extend(value);
                            }
                        }
                        _ => {}
                    }
                }
                _ => text.push(byte),
            }
        }
    }

    fn regex(&mut self) -> Token<'t> {
        self.pos += 1;
        let mut text = Vec::new();
        loop {
            let Some(byte) = self.peek(0).filter(|&b| b != b'\n') else {
                return Token::Broken("regular expression without its end");
            };
            self.pos += 1;
            match (byte, self.peek(0)) {
                (b'/', _) if !text.is_empty() => return Token::Regex(text),
                (b'/', _) => return Token::Broken("empty regular expression"),
                (b'\\', Some(b'/')) => {
                    self.pos += 1;
                    text.push(b'/');
                }
                (b'\\', Some(escaped)) if escaped != b'\n' => {
                    self.pos += 1;
                    text.extend([b'\\', escaped]);
                }
                _ => text.push(byte),
            }
        }
    }

    /// A hex string, or a brace where something else stands in it. Comments
    /// may stand between the digits, though ClamAV 1.4.6 knows none there.
    fn hex(&mut self) -> Token<'t> {
        let mut ahead = self.clone();
        ahead.pos += 1;
        let start = ahead.pos;
        let mut any = false;
        while ahead.skip_blanks() {
            let digits = ahead.take_while(|b| b.is_ascii_hexdigit() || b"?-|[]()".contains(&b));
            any |= !digits.is_empty();
            if digits.is_empty() {
                break;
            }
        }
        if any && ahead.peek(0) == Some(b'}') {
            let text = &self.text[start..ahead.pos];
            self.pos = ahead.pos + 1;
            return Token::Hex(text);
        }
        self.pos += 1;
        Token::Byte(b'{')
    }
}
/// A hex string without the comments in it.
pub(super) fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer::new(text);
    let mut out = Vec::with_capacity(text.len());
    while lexer.skip_blanks() {
        let piece = lexer.take_while(|b| !b.is_ascii_whitespace() && b != b'/');
        if piece.is_empty() {
            // A lone slash, which no hex string holds.
            lexer.pos += 1;
        }
        out.extend_from_slice(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text.as_bytes());
        std::iter::from_fn(|| Some(lexer.next().0).filter(|token| *token != Token::End)).collect()
    }

    #[test]
    fn numbers_are_read_as_clamav_reads_them() {
        for (text, value) in [
            ("12", 12),
            ("010", 10),
            ("2KB", 2048),
            ("1MB", 1 << 20),
            ("99999999999999999999", i64::MAX),
            ("0x5a4d", 0x5a4d),
            ("0x201", 0),
            ("0xffffffff", -1),
            ("0x1122334455", 0x2233_4455),
        ] {
            assert_eq!(tokens(text), [Token::Number(value)], "{text}");
        }
    }

    #[test]
    fn escapes_that_do_not_exist_vanish() {
        let text = |t: &str| Token::Text(t.as_bytes().to_vec());
        assert_eq!(tokens(r#""a\x41\t\"\\""#), [text("aA\t\"\\")]);
        assert_eq!(tokens(r#""\qhello\r\n""#), [text("hello\n")]);
        assert_eq!(tokens(r#""\x6""#), [text("6")]);
        assert!(matches!(tokens("\"a\nb")[0], Token::Broken(_)));
    }

    #[test]
    fn braces_hold_hex_or_stand_alone() {
        assert_eq!(tokens("{ 6? [1-2] (a|b) }"), [Token::Hex(b" 6? [1-2] (a|b) ")]);
        assert_eq!(tokens("{}"), [Token::Byte(b'{'), Token::Byte(b'}')]);
        assert_eq!(tokens("{ 68 // x\n 65 }"), [Token::Hex(b" 68 // x\n 65 ")]);
        assert_eq!(tokens("{ 68 /* } */ }"), [Token::Hex(b" 68 /* } */ ")]);
        assert_eq!(tokens("{ 68 ~ 65 }")[0], Token::Byte(b'{'));
    }

    #[test]
    fn comments_are_blanks() {
        assert_eq!(tokens("a /* b */ c // d\n/* e"), [Token::Word(b"a"), Token::Word(b"c")]);
        assert_eq!(tokens(r"/a\/b\./ 7"), [Token::Regex(br"a/b\.".to_vec()), Token::Number(7)]);
    }
}
