//! Regular expressions of container and phishing entries.
//!
//! They are POSIX extended ones over bytes, read the way clamscan 1.4.6 was
//! seen to read them: no class shorthands, no lazy repetitions, no
//! references back. `\x` is the byte `x` whatever it is, but for `\<` and `\>`,
//! the ends of a word. `(?i)` before everything else folds the case of letters.
//!
//! [`translate`] checks an expression and writes it in the syntax of the
//! `regex` family of crates, in which a byte is a byte and a dot is any. It
//! takes one pass, does not recurse, and knows how large the expression is with
//! all its repetitions written out.

use crate::ast::Field;
use crate::{Error, ErrorKind, Span};

/// Repetitions and alternatives of one expression, written out.
pub const MAX_EXPANSION: usize = 20_000;

/// The largest bound of a repetition.
const MAX_REPEAT: u32 = 255;

/// Parentheses inside each other.
const MAX_DEPTH: usize = 100;

/// What [`translate`] says of an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Translated {
    /// The number of elements with all repetitions written out.
    pub expansion: usize,
    /// Whether its last element must be there, and is more than any byte.
    pub has_fixed_end: bool,
}

/// Checks an expression and appends its translation to `out`.
///
/// # Errors
///
/// It is malformed, or larger than [`MAX_EXPANSION`]; `out` may have grown.
pub fn translate(text: Field<'_>, out: &mut Vec<u8>) -> Result<Translated, Error> {
    let (nocase, start) = match text.text.strip_prefix(b"(?i)") {
        Some(_) => (true, 4),
        None => (false, 0),
    };
    out.extend_from_slice(if nocase { b"(?is-u)" } else { b"(?s-u)" });
    Parser { text, at: start, nocase, out, frames: vec![Frame::default()], fixed: false }.run()
}

/// An open group, or the whole.
#[derive(Default)]
struct Frame {
    /// Where its `(` is.
    start: usize,
    /// What its branches add up to.
    size: usize,
    /// Whether the current branch has an element.
    filled: bool,
    /// Whether there was a `|`.
    branched: bool,
}

/// What an element is, as far as its repetition cares.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// `.` or `()`.
    Open,
    Plain,
    Set,
    /// `^`, which cannot be repeated.
    Start,
}

struct Parser<'t, 'o> {
    text: Field<'t>,
    at: usize,
    nocase: bool,
    out: &'o mut Vec<u8>,
    frames: Vec<Frame>,
    fixed: bool,
}

impl Parser<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    fn error(&self, what: &'static str, from: usize) -> Error {
        let start = self.text.span.start();
        let end = self.at.max(from + 1).min(self.text.text.len());
        Error::new(ErrorKind::Regex(what), Span::new(start + from, start + end))
    }

    fn too_large(&self) -> Error {
        self.text.error(ErrorKind::Unsupported("a regular expression of this size"))
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn run(mut self) -> Result<Translated, Error> {
        while let Some(byte) = self.peek() {
            let start = self.at;
            self.at += 1;
            match byte {
                b'(' => {
                    if self.frames.len() > MAX_DEPTH {
                        return Err(self.too_large());
                    }
                    self.out.extend_from_slice(b"(?:");
                    self.frames.push(Frame { start, ..Frame::default() });
                }
                b'|' => {
                    if !self.frame().filled {
                        return Err(self.error("an empty branch", start));
                    }
                    let frame = self.frame();
                    (frame.filled, frame.branched) = (false, true);
                    self.out.push(b'|');
                }
                // Without a group to close it is a byte like any other.
                b')' if self.frames.len() > 1 => {
                    let frame = self.frames.pop().unwrap_or_default();
                    if frame.branched && !frame.filled {
                        return Err(self.error("an empty branch", start));
                    }
                    self.out.push(b')');
                    let kind = if frame.filled { Kind::Plain } else { Kind::Open };
                    self.repeated(frame.size.max(1), kind)?;
                }
                b'*' | b'+' | b'?' => return Err(self.error("nothing to repeat", start)),
                b'{' if self.peek().is_some_and(|b| b.is_ascii_digit()) => {
                    return Err(self.error("nothing to repeat", start));
                }
                b'^' => {
                    self.out.extend_from_slice(b"(?:\\A)");
                    self.repeated(1, Kind::Start)?;
                }
                b'$' => {
                    self.out.extend_from_slice(b"(?:\\z)");
                    self.repeated(1, Kind::Plain)?;
                }
                b'.' => {
                    self.out.push(b'.');
                    self.repeated(1, Kind::Open)?;
                }
                b'[' => {
                    let n_ranges = self.bracket(start)?;
                    self.repeated(n_ranges, Kind::Set)?;
                }
                b'\\' => {
                    let Some(escaped) = self.peek() else {
                        return Err(self.error("nothing after a backslash", start));
                    };
                    self.at += 1;
                    match escaped {
                        b'<' => self.out.extend_from_slice(b"(?:\\b{start})"),
                        b'>' => self.out.extend_from_slice(b"(?:\\b{end})"),
                        _ => self.literal(escaped),
                    }
                    self.repeated(1, Kind::Plain)?;
                }
                _ => {
                    self.literal(byte);
                    self.repeated(1, Kind::Plain)?;
                }
            }
        }
        let open = self.frames.len() > 1;
        let frame = self.frames.pop().unwrap_or_default();
        if open {
            return Err(self.error("a group that is not closed", frame.start));
        }
        if !frame.filled {
            let what = if frame.branched { "an empty branch" } else { "an empty expression" };
            return Err(self.error(what, 0));
        }
        Ok(Translated { expansion: frame.size, has_fixed_end: self.fixed })
    }

    fn literal(&mut self, byte: u8) {
        push_byte(self.out, byte);
    }

    /// Reads the repetition behind an element of this size, if there is one.
    fn repeated(&mut self, size: usize, kind: Kind) -> Result<(), Error> {
        let start = self.at;
        let sign = self.peek();
        let times = match self.peek() {
            Some(b'*' | b'+' | b'?') => {
                self.at += 1;
                self.out.extend(sign);
                Some(2)
            }
            Some(b'{') if self.digit_at(self.at + 1) => {
                self.at += 1;
                let least = self.bound(start)?;
                let most = match self.eat(b',') {
                    false => Some(least),
                    true if self.peek().is_some_and(|b| b.is_ascii_digit()) => {
                        Some(self.bound(start)?)
                    }
                    true => None,
                };
                if !self.eat(b'}') || most.is_some_and(|most| most < least) {
                    return Err(self.error("a malformed repetition", start));
                }
                let written = match most {
                    Some(most) => format!("{{{least},{most}}}"),
                    None => format!("{{{least},}}"),
                };
                self.out.extend_from_slice(written.as_bytes());
                Some(most.unwrap_or(least + 1).max(1) as usize)
            }
            _ => None,
        };
        let again = matches!(self.peek(), Some(b'*' | b'+' | b'?'))
            || (self.peek() == Some(b'{') && self.digit_at(self.at + 1));
        if times.is_some() && (kind == Kind::Start || again) {
            return Err(self.error("nothing to repeat", start));
        }
        let size = size.saturating_mul(times.unwrap_or(1));
        self.fixed = match sign {
            Some(b'*' | b'?') => false,
            Some(b'+') => kind == Kind::Plain,
            _ => kind != Kind::Open,
        };
        let frame = self.frame();
        frame.filled = true;
        frame.size = frame.size.saturating_add(size);
        if frame.size > MAX_EXPANSION { Err(self.too_large()) } else { Ok(()) }
    }

    fn digit_at(&self, at: usize) -> bool {
        self.text.text.get(at).is_some_and(u8::is_ascii_digit)
    }

    fn bound(&mut self, start: usize) -> Result<u32, Error> {
        let mut bound = 0;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            bound = bound * 10 + u32::from(digit - b'0');
            if bound > MAX_REPEAT {
                return Err(self.error("a repetition of more than 255", start));
            }
        }
        Ok(bound)
    }

    /// Parses a set behind its `[`, and says of how many ranges it is: a `]` in
    /// the first place is a member.
    fn bracket(&mut self, start: usize) -> Result<usize, Error> {
        let negated = self.eat(b'^');
        let mut set = [false; 256];
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(self.error("a set that is not closed", start)),
                Some(b']') if !first => break,
                Some(b'[') if self.text.text.get(self.at + 1) == Some(&b':') => {
                    let name = self.named(b':', start)?;
                    let member = class(name).ok_or(self.error("an unknown class", start))?;
                    (0..=255).filter(member).for_each(|b| set[usize::from(b)] = true);
                }
                Some(_) => {
                    let low = self.member(start)?;
                    let range = self.peek() == Some(b'-')
                        && self.text.text.get(self.at + 1).is_some_and(|&b| b != b']');
                    let high = if range {
                        self.at += 1;
                        self.member(start)?
                    } else {
                        low
                    };
                    if high < low {
                        return Err(self.error("a range that ends before it begins", start));
                    }
                    (low..=high).for_each(|b| set[usize::from(b)] = true);
                }
            }
            first = false;
        }
        self.at += 1;
        if self.nocase {
            for lower in b'a'..=b'z' {
                let upper = lower.to_ascii_uppercase();
                let either = set[usize::from(lower)] || set[usize::from(upper)];
                (set[usize::from(lower)], set[usize::from(upper)]) = (either, either);
            }
        }
        if negated {
            set.iter_mut().for_each(|member| *member = !*member);
        }
        Ok(self.write_set(&set))
    }

    /// A member of a set: a byte, `[.x.]` or `[=x=]`.
    fn member(&mut self, start: usize) -> Result<u8, Error> {
        let next = self.text.text.get(self.at + 1).copied();
        if self.peek() == Some(b'[')
            && let Some(kind @ (b'.' | b'=')) = next
        {
            let name = self.named(kind, start)?;
            return match name {
                [byte] => Ok(*byte),
                b"hyphen" | b"hyphen-minus" => Ok(b'-'),
                b"period" | b"full-stop" => Ok(b'.'),
                b"space" => Ok(b' '),
                _ => Err(self.error("an unknown name of a character", start)),
            };
        }
        let byte = self.peek().ok_or(self.error("a set that is not closed", start))?;
        self.at += 1;
        Ok(byte)
    }

    /// The name in `[:name:]`, `[.name.]` or `[=name=]`.
    fn named(&mut self, kind: u8, start: usize) -> Result<&[u8], Error> {
        let from = self.at + 2;
        let rest = self.text.text.get(from..).unwrap_or_default();
        let Some(len) = rest.windows(2).position(|pair| pair == [kind, b']']) else {
            return Err(self.error("a set that is not closed", start));
        };
        self.at = from + len + 2;
        Ok(self.text.text.get(from..from + len).unwrap_or_default())
    }

    /// Writes a set, and says of how many ranges it is.
    fn write_set(&mut self, set: &[bool; 256]) -> usize {
        if !set.contains(&true) {
            self.out.extend_from_slice(b"[^\\x00-\\xff]");
            return 1;
        }
        let mut n_ranges = 0;
        self.out.push(b'[');
        let mut at = 0;
        while at < set.len() {
            let end = set[at..].iter().position(|&member| !member).map_or(set.len(), |n| at + n);
            if end > at {
                n_ranges += 1;
                // Both are below 256.
                push_byte(self.out, at as u8);
                self.out.push(b'-');
                push_byte(self.out, (end - 1) as u8);
            }
            at = end.max(at) + 1;
        }
        self.out.push(b']');
        n_ranges
    }
}

/// Writes a byte so that it stands for itself, inside and outside of a set.
fn push_byte(out: &mut Vec<u8>, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        out.push(byte);
    } else {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let [high, low] = [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
        out.extend_from_slice(&[b'\\', b'x', high, low]);
    }
}

fn class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |b| matches!(b, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |b| (0x20..0x7f).contains(b),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |b| matches!(b, b' ' | 9..=13),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &str) -> Result<String, ErrorKind> {
        let field = Field { text: of.as_bytes(), span: Span::new(0, of.len()) };
        let mut out = Vec::new();
        translate(field, &mut out).map_err(Error::kind)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn expressions_are_written_anew() {
        for (from, to) in [
            ("a+b", "(?s-u)a+b"),
            ("(?i)a.[b]", "(?is-u)a.[B-Bb-b]"),
            ("(a|b{2,})\\.$", "(?s-u)(?:a|b{2,})\\x2e(?:\\z)"),
            ("[^]\u{1}-\u{7f}]{,", "(?s-u)[\\x00-\\x00\\x80-\\xff]\\x7b\\x2c"),
            ("\\<\\d", "(?s-u)(?:\\b{start})d"),
            ("a)()", "(?s-u)a\\x29(?:)"),
            ("[[:digit:][.-.]]", "(?s-u)[\\x2d-\\x2d0-9]"),
        ] {
            assert_eq!(text(from).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn what_clamscan_refuses_is_refused() {
        for bad in [
            "",
            "*a",
            "a**",
            "a+?",
            "a{2",
            "a{256}",
            "a{2,1}",
            "a{1}{2}",
            "{2}",
            "(",
            "(a",
            "[",
            "[a",
            "|a",
            "a|",
            "a||b",
            "(|a)",
            "(a|)",
            "(*a)",
            "^*",
            "a\\",
            "[z-a]",
            "[[:foo:]]",
            "(?:a)",
            "(?i)",
            "x(?i)y",
            "(?i)(?i)a",
        ] {
            assert!(matches!(text(bad), Err(ErrorKind::Regex(_))), "{bad}: {:?}", text(bad));
        }
    }

    #[test]
    fn the_size_is_that_of_all_repetitions_written_out() {
        assert!(text("(a{100}){100}").is_ok());
        for large in ["((a{100}){100}){3}".to_owned(), "(".repeat(200), "a".repeat(30_000)] {
            assert!(matches!(text(&large), Err(ErrorKind::Unsupported(_))));
        }
    }
}
