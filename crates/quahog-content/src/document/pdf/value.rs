//! Values of PDF: numbers, names, strings, arrays, dictionaries, references.
//!
//! The parser reads any bytes and never fails: what it does not know is an
//! [`Value::Other`], what never ends ends with the bytes. It keeps only so
//! many members of a container and only so deep, but reads past the rest, so
//! that no key is hidden behind a long array.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Array(Vec<Value>),
    Dictionary(Vec<(Vec<u8>, Value)>),
    Integer(i64),
    Name(Vec<u8>),
    Other,
    /// The number and generation of an object.
    Reference(u32, u16),
    /// A string, decoded, and where its text begins in the bytes.
    String(Vec<u8>, usize),
}

impl Value {
    /// The value of a key; of several the last one, as in most readers.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Value> {
        let Value::Dictionary(members) = self else { return None };
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn integer(&self) -> Option<i64> {
        if let Value::Integer(number) = self { Some(*number) } else { None }
    }

    pub(super) fn string(&self) -> Option<&[u8]> {
        if let Value::String(text, _) = self { Some(text) } else { None }
    }

    pub(super) fn is_name(&self, wanted: &[u8]) -> bool {
        matches!(self, Value::Name(name) if name == wanted)
    }

    /// The members of an array, or the value itself.
    pub(super) fn each(&self) -> &[Value] {
        if let Value::Array(members) = self { members } else { std::slice::from_ref(self) }
    }
}

/// Parses the value at `at`, and tells where it ends.
pub(super) fn parse(bytes: &[u8], at: usize) -> (Value, usize) {
    let mut parser = Parser { bytes, at, open: Vec::new(), deeper: 0, kept: 0 };
    let value = parser.value();
    (value, parser.at)
}

/// An array or dictionary whose end is not reached.
struct Open {
    is_dictionary: bool,
    members: Vec<Value>,
}

struct Parser<'b> {
    bytes: &'b [u8],
    at: usize,
    open: Vec<Open>,
    /// Containers deeper than [`MAX_DEPTH`].
    deeper: usize,
    /// Values kept so far.
    kept: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Value {
        loop {
            self.skip_blank();
            let Some(&byte) = self.bytes.get(self.at) else {
                // All that is open ends here.
                let mut value = Value::Other;
                while let Some(open) = self.open.pop() {
                    value = open.close();
                    if let Some(around) = self.open.last_mut() {
                        around.push(std::mem::replace(&mut value, Value::Other));
                    }
                }
                return value;
            };
            let next = self.bytes.get(self.at + 1).copied();
            let value = match (byte, next) {
                (b'<', Some(b'<')) => {
                    self.begin(true, 2);
                    continue;
                }
                (b'[', _) => {
                    self.begin(false, 1);
                    continue;
                }
                (b'>', Some(b'>')) => self.end(2),
                (b']', _) => self.end(1),
                (b'<', _) => Some(self.hexadecimal()),
                (b'(', _) => Some(self.literal()),
                (b'/', _) => Some(self.name()),
                (b'0'..=b'9' | b'+' | b'-' | b'.', _) => Some(self.number()),
                (b')' | b'>' | b'{' | b'}', _) => {
                    self.at += 1;
                    Some(Value::Other)
                }
                _ => {
                    let word = self.word();
                    // The object ends before the container does.
                    if matches!(word, b"endobj" | b"stream" | b"endstream" | b"obj") {
                        self.at -= word.len();
                        self.open.truncate(1);
                        return self.open.pop().map_or(Value::Other, Open::close);
                    }
                    Some(Value::Other)
                }
            };
            let Some(value) = value else { continue };
            match self.open.last_mut() {
                None => return value,
                Some(_) if self.deeper > 0 => {}
                Some(_) => {
                    self.kept += 1;
                    // The outermost dictionary keeps its own keys.
                    let keeps = self.kept <= MAX_VALUES || self.open.len() == 1;
                    if let Some(open) = self.open.last_mut().filter(|_| keeps) {
                        open.push(value);
                    }
                }
            }
        }
    }

    fn begin(&mut self, is_dictionary: bool, length: usize) {
        self.at += length;
        if self.open.len() >= MAX_DEPTH || self.deeper > 0 {
            self.deeper += 1;
        } else {
            self.open.push(Open { is_dictionary, members: Vec::new() });
        }
    }

    /// Ends the innermost container, of whatever kind; the value, if there is
    /// one to be kept.
    fn end(&mut self, length: usize) -> Option<Value> {
        self.at += length;
        if self.deeper > 0 {
            self.deeper -= 1;
            return None;
        }
        Some(self.open.pop().map_or(Value::Other, Open::close))
    }

    fn skip_blank(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                0 | b'\t' | b'\n' | 12 | b'\r' | b' ' => self.at += 1,
                b'%' => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// Regular characters, at least one.
    fn word(&mut self) -> &[u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| !is_regular(byte)).unwrap_or(rest.len()).max(1);
        self.at += length;
        rest.get(..length).unwrap_or(rest)
    }

    fn name(&mut self) -> Value {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let length = rest.iter().position(|&byte| !is_regular(byte)).unwrap_or(rest.len());
        self.at += 1 + length;
        let text = rest.get(..length.min(LONGEST_NAME)).unwrap_or_default();
        let mut name = Vec::with_capacity(text.len());
        let mut bytes = text.iter();
        while let Some(&byte) = bytes.next() {
            let pair = bytes.as_slice().first_chunk::<2>();
            match pair.and_then(|pair| hex_pair(*pair)).filter(|_| byte == b'#') {
                Some(escaped) => {
                    name.push(escaped);
                    bytes.nth(1);
                }
                None => name.push(byte),
            }
        }
        Value::Name(name)
    }

    /// A number, or a reference `1 0 R`.
    fn number(&mut self) -> Value {
        let Some(number) = integer(self.word()) else { return Value::Other };
        let after = self.at;
        let reference = (|| {
            let number = u32::try_from(number).ok()?;
            self.skip_blank();
            self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit())?;
            let generation = u16::try_from(integer(self.word())?).ok()?;
            self.skip_blank();
            (self.word() == b"R").then_some(Value::Reference(number, generation))
        })();
        reference.unwrap_or_else(|| {
            self.at = after;
            Value::Integer(number)
        })
    }

    fn hexadecimal(&mut self) -> Value {
        let start = self.at + 1;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        self.at = start + length + 1;
        let mut out = Vec::new();
        super::filter::hexadecimal(
            rest.get(..length).unwrap_or_default(),
            &mut out,
            LONGEST_STRING,
        );
        Value::String(out, start)
    }

    fn literal(&mut self) -> Value {
        let start = self.at + 1;
        self.at = start;
        let mut out = Vec::new();
        let mut depth = 1_usize;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            let byte = match byte {
                b'(' => {
                    depth += 1;
                    byte
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    byte
                }
                b'\\' => match self.escape() {
                    Some(byte) => byte,
                    None => continue,
                },
                _ => byte,
            };
            if out.len() < LONGEST_STRING {
                out.push(byte);
            }
        }
        Value::String(out, start)
    }

    /// What stands behind a backslash; `None` for the end of a line.
    fn escape(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\n' => return None,
            b'\r' => {
                self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n'));
                return None;
            }
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.bytes.get(self.at) else { break };
                    value = value << 3 | u32::from(digit - b'0');
                    self.at += 1;
                }
                // The highest bit of nine is ignored.
                value as u8
            }
            _ => byte,
        })
    }
}

impl Open {
    fn push(&mut self, value: Value) {
        let most = if self.is_dictionary { MAX_MEMBERS } else { MAX_ELEMENTS };
        if self.members.len() < most {
            self.members.push(value);
        }
    }

    fn close(self) -> Value {
        if !self.is_dictionary {
            return Value::Array(self.members);
        }
        let mut members = Vec::new();
        let mut values = self.members.into_iter().peekable();
        while let Some(key) = values.next() {
            let Value::Name(key) = key else { continue };
            let value = values.next().unwrap_or(Value::Other);
            members.push((key, value));
        }
        Value::Dictionary(members)
    }
}

fn integer(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        // `10.0` is a length too.
        Err(_) => text.split_once('.').and_then(|(whole, _)| whole.parse().ok()),
    }
}

fn hex_pair(pair: [u8; 2]) -> Option<u8> {
    let [high, low] = pair.map(|byte| char::from(byte).to_digit(16));
    // Two digits fit a byte.
    Some((high? << 4 | low?) as u8)
}

pub(super) fn is_regular(byte: u8) -> bool {
    !matches!(
        byte,
        0 | b'\t'
            | b'\n'
            | 12
            | b'\r'
            | b' '
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'/'
            | b'%'
    )
}

const MAX_DEPTH: usize = 24;
/// Keys and values of one dictionary that are kept.
const MAX_MEMBERS: usize = 4096;
/// Elements of one array that are kept.
const MAX_ELEMENTS: usize = 256;
/// Values of one object that are kept.
const MAX_VALUES: usize = 50_000;
const LONGEST_NAME: usize = 256;
const LONGEST_STRING: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        format!("{:?}", parse(text.as_bytes(), 0).0)
    }

    #[test]
    fn values_are_read_as_readers_do() {
        for (text, value) in [
            ("1", "Integer(1)"),
            ("-12.0", "Integer(-12)"),
            ("1 0 R", "Reference(1, 0)"),
            ("[1 0 2 0 R]", "Array([Integer(1), Integer(0), Reference(2, 0)])"),
            ("% comment\n7", "Integer(7)"),
            ("<4 1 4>", "String([65, 64], 1)"),
            ("(a\\)(b)\\101\\\n)", "String([97, 41, 40, 98, 41, 65], 1)"),
            ("<<>>", "Dictionary([])"),
            ("nonsense", "Other"),
            ("[1", "Array([Integer(1)])"),
            ("[1 endobj", "Array([Integer(1)])"),
        ] {
            assert_eq!(parsed(text), value, "{text}");
        }
        let (value, end) = parse(b"<</F#69lter[/A/B]/X<</Y 1>>/X 2>>stream", 0);
        assert_eq!(value.get(b"Filter").map(Value::each).map(<[Value]>::len), Some(2));
        assert_eq!(value.get(b"X"), Some(&Value::Integer(2)));
        assert_eq!(end, 33);
    }

    #[test]
    fn depth_and_length_hide_no_key() {
        let long = format!("<</A[{}]/Filter/B>>", "1 ".repeat(100_000));
        assert!(parse(long.as_bytes(), 0).0.get(b"Filter").is_some());
        let deep = format!("<</A{}{}/Filter/B>>", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(deep.as_bytes(), 0).0.get(b"Filter").is_some());
    }
}
