//! Byte compares: section 4.6, and what experiments added to it.

use super::logical::c_number;
use super::{Reason, number};

/// `ref(>>off#opts len#cmp,cmp)`.
#[derive(Clone, Debug)]
pub(super) struct ByteCompare {
    pub(super) reference: usize,
    offset: i64,
    letters: String,
    length: usize,
    tests: Vec<(u8, i64)>,
}

impl ByteCompare {
    pub(super) fn parse(text: &str) -> Result<ByteCompare, Reason> {
        const MALFORMED: Reason = "byte compare is malformed";
        let (reference, rest) = text.split_once('(').ok_or(MALFORMED)?;
        let reference = number(reference).ok_or(MALFORMED)?;
        if reference > 64 {
            return Err("reference of a byte compare is above 64");
        }
        let (inside, _) = rest.rsplit_once(')').ok_or(MALFORMED)?;
        let fields: Vec<&str> = inside.split('#').collect();
        let [offset, options, comparisons] = fields.as_slice() else { return Err(MALFORMED) };
        let offset = if let Some(forward) = offset.strip_prefix(">>") {
            value(forward).ok_or(MALFORMED)?
        } else if let Some(backward) = offset.strip_prefix("<<") {
            -value(backward).ok_or(MALFORMED)?
        } else if offset.is_empty() || offset.starts_with('0') {
            0
        } else {
            return Err(MALFORMED);
        };
        let end = options.bytes().position(|b| b.is_ascii_digit()).ok_or(MALFORMED)?;
        let (letters, length) = options.split_at(end);
        let length = c_number(length).ok_or(MALFORMED)?;
        if !letters.bytes().all(|letter| b"hdailbe".contains(&letter)) {
            return Err("unknown option of a byte compare");
        }
        let has = |letter| letters.contains(letter);
        let kinds = ['h', 'd', 'a', 'i'].into_iter().filter(|&kind| has(kind)).count();
        let fits = match () {
            () if has('i') => matches!(length, 1 | 2 | 4 | 8),
            () if has('h') => (1..=18).contains(&length),
            () => length > 0,
        };
        if kinds > 1 || !fits || (has('d') && has('l')) || (has('l') && has('b')) {
            return Err("options of a byte compare do not go together");
        }
        let mut tests = Vec::new();
        for comparison in comparisons.split(',') {
            let sign = comparison.bytes().next().filter(|b| b"<>=".contains(b)).ok_or(MALFORMED)?;
            tests.push((sign, value(&comparison[1..]).ok_or(MALFORMED)?));
        }
        if tests.len() > 2 {
            return Err("more than two comparisons");
        }
        let letters = letters.to_owned();
        let length = usize::try_from(length).map_err(|_| MALFORMED)?;
        Ok(ByteCompare { reference: reference as usize, offset, letters, length, tests })
    }

    /// Whether the number near a hit at `hit` passes all tests.
    pub(super) fn holds(&self, bytes: &[u8], hit: usize) -> bool {
        let place = hit as i64 + self.offset;
        if place <= 0 {
            return false;
        }
        let Some(field) = bytes.get(place as usize..).and_then(|tail| tail.get(..self.length))
        else {
            return false;
        };
        let Some(found) = self.number(field) else { return false };
        self.tests.iter().all(|&(sign, value)| match sign {
            b'<' => found < value,
            b'>' => found > value,
            _ => found == value,
        })
    }

    fn number(&self, field: &[u8]) -> Option<i64> {
        let has = |letter| self.letters.contains(letter);
        if has('i') {
            let mut bytes = field.to_vec();
            match (has('b'), has('l')) {
                (true, _) => bytes.reverse(),
                (_, true) => {}
                _ => return None,
            }
            bytes.resize(8, 0);
            return Some(i64::from_le_bytes(bytes.try_into().ok()?));
        }
        let exact = has('e');
        let mut text = String::from_utf8_lossy(field).into_owned();
        if !exact {
            text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).to_owned();
        }
        let prefixed = text.starts_with("0x") || text.starts_with("0X");
        let hexadecimal = match () {
            () if has('h') => true,
            () if has('d') => false,
            // Two characters or fewer are no number for `a`.
            () if has('a') && text.len() >= 3 => prefixed,
            () => return None,
        };
        if !hexadecimal {
            return if has('b') || has('d') { leading(&text, 10, exact) } else { None };
        }
        let bare = if prefixed { &text[2..] } else { text.as_str() };
        if has('b') {
            return leading(bare, 16, exact);
        }
        if !has('l') {
            return None;
        }
        if exact && (!text.len().is_multiple_of(2) || pair(text.get(..2)?).is_none()) {
            return None;
        }
        let mut digits = if exact { text.clone() } else { bare.to_owned() };
        if !digits.len().is_multiple_of(2) {
            digits.insert(0, '0');
        }
        let mut value = 0_i128;
        let mut weight = 0;
        while let Some(byte) = digits.get(weight * 2..weight * 2 + 2).and_then(pair) {
            value += i128::from(byte) << (8 * weight);
            weight += 1;
        }
        i64::try_from(value).ok()
    }
}

/// Two hex digits.
fn pair(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(text, 16).ok())?
}

/// Blanks, a sign and a number; nothing is 0.
fn value(text: &str) -> Option<i64> {
    let text = text.trim_start();
    match text.strip_prefix('-') {
        _ if text.is_empty() => Some(0),
        Some(digits) => c_number(digits).map(|n| -n),
        None => c_number(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A sign and the digits that follow; no digits are 0 unless all must be one.
fn leading(text: &str, radix: u32, exact: bool) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    if exact && (end == 0 || end < digits.len()) {
        return None;
    }
    let number = match &digits[..end] {
        "" => 0,
        digits => i64::from_str_radix(digits, radix).ok()?,
    };
    Some(if text.starts_with('-') { -number } else { number })
}
