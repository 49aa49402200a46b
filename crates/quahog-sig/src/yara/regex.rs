//! Regular expressions: from the text of PCRE to one that says the same
//! without leaning on any library's reading of it.
//!
//! Bytes that are no letters or digits come out as `\xNN`, classes as lists of
//! ranges, groups without numbers. What remains is common to all engines:
//! alternation, repetition, `\A`, `\z`, `\b`, `(?i:...)`. Look-around,
//! back-references and atomic groups are refused, because no automaton runs them.
//!
//! One pass, no recursion; the size after unrolling repetitions is bounded.

use crate::ErrorKind;

/// The most states that an expression may unroll to, about.
const MAX_SIZE: u64 = 20_000;

/// How deep groups may nest.
const MAX_DEPTH: usize = 50;

/// The largest count of a repetition.
const MAX_REPEAT: u64 = 65_535;

const UNSUPPORTED: ErrorKind = ErrorKind::Unsupported("this construct of a regular expression");

/// Translates an expression.
///
/// # Errors
///
/// It is malformed, or holds what an automaton does not run.
pub(super) fn translate(text: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let group = Group { size: 0, last: None, dot_all: false };
    let mut translator = Translator { text, pos: 0, out: Vec::new(), groups: vec![group] };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'t> {
    text: &'t [u8],
    pos: usize,
    out: Vec<u8>,
    groups: Vec<Group>,
}

struct Group {
    size: u64,
    /// The size of what a repetition would repeat; none where nothing stands.
    last: Option<u64>,
    dot_all: bool,
}

/// Bytes, as a table.
type Set = [bool; 256];

impl Translator<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let here = self.text.get(self.pos..).is_some_and(|rest| rest.starts_with(text));
        if here {
            self.pos += text.len();
        }
        here
    }

    /// The innermost group; the outermost one is never closed.
    fn group(&mut self) -> Result<&mut Group, ErrorKind> {
        self.groups.last_mut().ok_or(ErrorKind::RegexSyntax)
    }

    fn item(&mut self, size: u64) -> Result<(), ErrorKind> {
        let group = self.group()?;
        group.size = group.size.saturating_add(size);
        group.last = Some(size);
        if group.size > MAX_SIZE {
            return Err(ErrorKind::Unsupported("a regular expression of this size"));
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), ErrorKind> {
        while let Some(byte) = self.peek() {
            self.pos += 1;
            match byte {
                b'\\' => self.escape()?,
                b'[' => self.class()?,
                b'(' => self.open()?,
                b')' => {
                    let size = self.groups.pop().map_or(0, |group| group.size);
                    if self.groups.is_empty() {
                        return Err(ErrorKind::RegexSyntax);
                    }
                    self.out.push(b')');
                    self.item(size.max(1))?;
                }
                b'|' => {
                    self.out.push(b'|');
                    self.group()?.last = None;
                }
                b'^' => {
                    self.out.extend_from_slice(b"\\A");
                    self.item(1)?;
                }
                b'$' => self.end()?,
                b'.' => {
                    let all = self.group()?.dot_all;
                    self.out.extend_from_slice(if all {
                        b"[\\x00-\\xff]"
                    } else {
                        b"[\\x00-\\x09\\x0b-\\xff]"
                    });
                    self.item(1)?;
                }
                b'*' => self.repeat(0, None)?,
                b'+' => self.repeat(1, None)?,
                b'?' => self.repeat(0, Some(1))?,
                b'{' => match self.counts()? {
                    Some((min, max)) => self.repeat(min, max)?,
                    None => self.literal(b'{')?,
                },
                _ => self.literal(byte)?,
            }
        }
        if self.groups.len() == 1 { Ok(()) } else { Err(ErrorKind::RegexSyntax) }
    }

    fn literal(&mut self, byte: u8) -> Result<(), ErrorKind> {
        write_byte(&mut self.out, byte);
        self.item(1)
    }

    fn set(&mut self, set: &Set, negated: bool) -> Result<(), ErrorKind> {
        self.out.extend_from_slice(if negated { b"[^" } else { b"[" });
        let mut at = 0;
        let mut any = false;
        while at < 256 {
            if !set[at] {
                at += 1;
                continue;
            }
            let start = at;
            while at < 256 && set[at] {
                at += 1;
            }
            // Both are below 256.
            write_escaped(&mut self.out, start as u8);
            self.out.push(b'-');
            write_escaped(&mut self.out, (at - 1) as u8);
            any = true;
        }
        if !any {
            return Err(UNSUPPORTED);
        }
        self.out.push(b']');
        self.item(1)
    }

    /// `$` and `\Z`: the end, or a line feed right before it. Written as a line
    /// feed that may be taken, which is the same where nothing follows.
    fn end(&mut self) -> Result<(), ErrorKind> {
        if !matches!(self.peek(), None | Some(b'|' | b')')) {
            return Err(UNSUPPORTED);
        }
        self.out.extend_from_slice(b"(?:\\x0a?\\z)");
        self.item(2)
    }

    fn open(&mut self) -> Result<(), ErrorKind> {
        if self.groups.len() > MAX_DEPTH {
            return Err(ErrorKind::Unsupported("a regular expression of this depth"));
        }
        let dot_all = self.group()?.dot_all;
        let mut inner = Group { size: 0, last: None, dot_all };
        if !self.eat(b"?") {
            self.out.extend_from_slice(b"(?:");
            self.groups.push(inner);
            return Ok(());
        }
        let named = [&b"P<"[..], b"<", b"'"].iter().any(|start| {
            let rest = self.text.get(self.pos..).unwrap_or_default();
            rest.strip_prefix(*start).is_some_and(|rest| {
                rest.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
            })
        });
        if named {
            while let Some(byte) = self.peek() {
                self.pos += 1;
                if matches!(byte, b'>' | b'\'') && self.text.get(self.pos - 2) != Some(&b'?') {
                    break;
                }
            }
            self.out.extend_from_slice(b"(?:");
            self.groups.push(inner);
            return Ok(());
        }
        let mut on = true;
        let mut flags = Vec::new();
        loop {
            match self.peek() {
                Some(b'-') if on => on = false,
                Some(b'i') if on => flags.push(b'i'),
                Some(b's') => inner.dot_all = on,
                Some(b':') => {
                    self.pos += 1;
                    self.out.extend_from_slice(b"(?");
                    self.out.extend_from_slice(&flags);
                    self.out.push(b':');
                    self.groups.push(inner);
                    return Ok(());
                }
                Some(b')') => {
                    self.pos += 1;
                    if !flags.is_empty() {
                        self.out.extend_from_slice(b"(?i)");
                    }
                    let group = self.group()?;
                    group.dot_all = inner.dot_all;
                    group.last = None;
                    return Ok(());
                }
                _ => return Err(UNSUPPORTED),
            }
            self.pos += 1;
        }
    }

    /// The numbers of `{n}`, `{n,}` and `{n,m}`; other braces are letters.
    fn counts(&mut self) -> Result<Option<(u64, Option<u64>)>, ErrorKind> {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'}', rest) else { return Ok(None) };
        let inner = &rest[..end];
        let number = |text: &[u8]| {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            digits.then(|| crate::ast::number(text).map_or(u64::MAX, u64::from))
        };
        let counts = match memchr::memchr(b',', inner) {
            None => number(inner).map(|n| (n, Some(n))),
            Some(at) => number(&inner[..at]).and_then(|min| match &inner[at + 1..] {
                [] => Some((min, None)),
                max => number(max).map(|max| (min, Some(max))),
            }),
        };
        let Some((min, max)) = counts else { return Ok(None) };
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
            return Err(ErrorKind::RegexSyntax);
        }
        self.pos += end + 1;
        Ok(Some((min, max)))
    }

    fn repeat(&mut self, min: u64, max: Option<u64>) -> Result<(), ErrorKind> {
        let Some(last) = self.group()?.last.take() else { return Err(ErrorKind::RegexSyntax) };
        let times = max.unwrap_or(min.max(1)).saturating_sub(1);
        self.item(last.saturating_mul(times))?;
        self.group()?.last = None;
        match (min, max) {
            (0, None) => self.out.push(b'*'),
            (1, None) => self.out.push(b'+'),
            (0, Some(1)) => self.out.push(b'?'),
            (min, None) => self.out.extend_from_slice(format!("{{{min},}}").as_bytes()),
            (min, Some(max)) => {
                self.out.extend_from_slice(format!("{{{min},{max}}}").as_bytes());
            }
        }
        match self.peek() {
            Some(b'?') => {
                self.pos += 1;
                self.out.push(b'?');
            }
            Some(b'+') => return Err(UNSUPPORTED),
            _ => {}
        }
        Ok(())
    }

    /// The byte that an escape stands for, in and out of classes.
    fn escaped_byte(&mut self, escape: u8) -> Result<Option<u8>, ErrorKind> {
        Ok(Some(match escape {
            b'a' => 7,
            b'e' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let braced = self.eat(b"{");
                let mut value = 0u32;
                let mut digits = 0;
                while digits < if braced { 8 } else { 2 }
                    && let Some(digit) = self.peek().and_then(crate::body::hex_digit)
                {
                    value = value << 4 | u32::from(digit);
                    digits += 1;
                    self.pos += 1;
                }
                if braced && !self.eat(b"}") {
                    return Err(ErrorKind::RegexSyntax);
                }
                u8::try_from(value).map_err(|_| ErrorKind::RegexSyntax)?
            }
            b'0' => {
                let mut value = 0u32;
                let mut digits = 0;
                while digits < 2
                    && let Some(digit @ b'0'..=b'7') = self.peek()
                {
                    value = value << 3 | u32::from(digit - b'0');
                    digits += 1;
                    self.pos += 1;
                }
                value as u8 // two octal digits
            }
            _ if !escape.is_ascii_alphanumeric() => escape,
            _ => return Ok(None),
        }))
    }

    fn escape(&mut self) -> Result<(), ErrorKind> {
        let Some(escape) = self.peek() else { return Err(ErrorKind::RegexSyntax) };
        self.pos += 1;
        if let Some((set, negated)) = class_of(escape) {
            return self.set(&set, negated);
        }
        if let Some(byte) = self.escaped_byte(escape)? {
            return self.literal(byte);
        }
        match escape {
            b'A' | b'b' | b'B' | b'z' => {
                self.out.extend_from_slice(&[b'\\', escape]);
                self.item(1)
            }
            b'N' => {
                self.out.extend_from_slice(b"[\\x00-\\x09\\x0b-\\xff]");
                self.item(1)
            }
            b'Z' => self.end(),
            _ => Err(UNSUPPORTED),
        }
    }

    /// `[...]`
    fn class(&mut self) -> Result<(), ErrorKind> {
        let negated = self.eat(b"^");
        let mut set: Set = [false; 256];
        let mut first = true;
        loop {
            let Some(byte) = self.peek() else { return Err(ErrorKind::RegexSyntax) };
            self.pos += 1;
            let low = match byte {
                b']' if !first => return self.set(&set, negated),
                b'[' if matches!(self.peek(), Some(b':' | b'.' | b'=')) => {
                    if let Some(named) = self.posix()? {
                        add(&mut set, &named, false);
                        first = false;
                        continue;
                    }
                    b'['
                }
                b'\\' => match self.class_escape(&mut set)? {
                    Some(byte) => byte,
                    None => {
                        first = false;
                        continue;
                    }
                },
                other => other,
            };
            first = false;
            let mut high = low;
            let rest = self.text.get(self.pos..).unwrap_or_default();
            if let [b'-', next, ..] = rest
                && *next != b']'
            {
                self.pos += 2;
                high = match next {
                    b'\\' => match self.class_escape(&mut set)? {
                        Some(byte) => byte,
                        // `[a-\d]`: the dash is a letter.
                        None => {
                            set[usize::from(b'-')] = true;
                            low
                        }
                    },
                    b'[' if matches!(self.peek(), Some(b':')) => return Err(UNSUPPORTED),
                    next => *next,
                };
                if high < low {
                    return Err(ErrorKind::RegexSyntax);
                }
            }
            set[usize::from(low)..=usize::from(high)].fill(true);
        }
    }

    /// An escape in a class: a byte, or a class that is added to `set`.
    fn class_escape(&mut self, set: &mut Set) -> Result<Option<u8>, ErrorKind> {
        let Some(escape) = self.peek() else { return Err(ErrorKind::RegexSyntax) };
        self.pos += 1;
        if let Some((members, negated)) = class_of(escape) {
            add(set, &members, negated);
            return Ok(None);
        }
        match escape {
            b'b' => Ok(Some(8)),
            _ => self.escaped_byte(escape)?.map(Some).ok_or(UNSUPPORTED),
        }
    }

    /// `[:alpha:]` behind its first bracket.
    fn posix(&mut self) -> Result<Option<Set>, ErrorKind> {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let Some(end) = memchr::memmem::find(rest, b":]") else { return Ok(None) };
        let name = rest.get(1..end).unwrap_or_default();
        if !name.iter().all(|b| b.is_ascii_alphabetic() || *b == b'^') {
            return Ok(None);
        }
        let (name, negated) = match name.strip_prefix(b"^") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let member: fn(u8) -> bool = match name {
            b"alnum" => |b| b.is_ascii_alphanumeric(),
            b"alpha" => |b| b.is_ascii_alphabetic(),
            b"ascii" => |b| b.is_ascii(),
            b"blank" => |b| b == b' ' || b == b'\t',
            b"cntrl" => |b| b.is_ascii_control(),
            b"digit" => |b| b.is_ascii_digit(),
            b"graph" => |b| b.is_ascii_graphic(),
            b"lower" => |b| b.is_ascii_lowercase(),
            b"print" => |b| b.is_ascii_graphic() || b == b' ',
            b"punct" => |b| b.is_ascii_punctuation(),
            b"space" => |b| matches!(b, 9..=13 | b' '),
            b"upper" => |b| b.is_ascii_uppercase(),
            b"word" => |b| b.is_ascii_alphanumeric() || b == b'_',
            b"xdigit" => |b| b.is_ascii_hexdigit(),
            _ => return Err(ErrorKind::RegexSyntax),
        };
        self.pos += end + 2;
        Ok(Some(std::array::from_fn(|byte| member(byte as u8) != negated)))
    }
}

fn add(set: &mut Set, members: &Set, negated: bool) {
    for (byte, member) in set.iter_mut().zip(members) {
        *byte |= *member != negated;
    }
}

/// `\d`, `\w`, `\s`, `\h`, `\v` and their opposites.
fn class_of(letter: u8) -> Option<(Set, bool)> {
    let member: fn(u8) -> bool = match letter.to_ascii_lowercase() {
        b'd' => |b| b.is_ascii_digit(),
        b'w' => |b| b.is_ascii_alphanumeric() || b == b'_',
        b's' => |b| matches!(b, 9..=13 | b' '),
        b'h' => |b| matches!(b, b'\t' | b' ' | 0xa0),
        b'v' => |b| matches!(b, 10..=13 | 0x85),
        _ => return None,
    };
    Some((std::array::from_fn(|byte| member(byte as u8)), letter.is_ascii_uppercase()))
}

fn write_byte(out: &mut Vec<u8>, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        out.push(byte);
    } else {
        write_escaped(out, byte);
    }
}

fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(regex: &str) -> Result<String, &'static str> {
        translate(regex.as_bytes())
            .map(|out| String::from_utf8(out).unwrap())
            .map_err(ErrorKind::code)
    }

    #[test]
    fn expressions_come_out_in_the_common_language() {
        for (regex, expected) in [
            ("ab+c", "ab+c"),
            ("a.c", "a[\\x00-\\x09\\x0b-\\xff]c"),
            ("(?s)a.c", "a[\\x00-\\xff]c"),
            ("(a|b){2,3}?", "(?:a|b){2,3}?"),
            ("a{,3}", "a\\x7b\\x2c3\\x7d"),
            (r"\d\x41\.\n", "[\\x30-\\x39]A\\x2e\\x0a"),
            (r"[^a-c\]&&]", "[^\\x26-\\x26\\x5d-\\x5d\\x61-\\x63]"),
            ("[]a]", "[\\x5d-\\x5d\\x61-\\x61]"),
            ("[[:digit:]]", "[\\x30-\\x39]"),
            ("(?i)ab(?:c)", "(?i)ab(?:c)"),
            ("(?P<n>a)", "(?:a)"),
            ("^a$", "\\Aa(?:\\x0a?\\z)"),
        ] {
            assert_eq!(text(regex).as_deref(), Ok(expected), "{regex}");
        }
    }

    #[test]
    fn what_no_automaton_runs_is_refused() {
        for regex in ["(?=a)", "(?<!a)b", r"(a)\1", "a++", "(?>a)", r"a\Kb", "a$b", "(?m)^a"] {
            assert_eq!(text(regex), Err("unsupported"), "{regex}");
        }
        assert_eq!(text("((a{200}){200}){200}"), Err("unsupported"));
        for regex in ["a(", "a)", "[a", "*a", "a**", "a|*", "[b-a]", "a{3,2}", "\\"] {
            assert_eq!(text(regex), Err("regex-syntax"), "{regex}");
        }
    }
}
