//! Subsignatures beside hex: what they mean.

use super::{Expression, Offset, Target};
use crate::ast::{self, Field, number};
use crate::body::decode_hex;
use crate::regex::{Flags, Regex};
use crate::{Error, ErrorKind};

/// How the bytes of a comparison are read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NumberForm {
    /// `a`: text, hexadecimal after `0x`, else decimal.
    Automatic,
    /// `i`: a binary integer of 1, 2, 4 or 8 bytes.
    Binary,
    /// `d`: text, decimal.
    Decimal,
    /// `h`: text, hexadecimal.
    Hexadecimal,
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ByteOrder {
    /// `b`
    Big,
    /// `l`
    Little,
}

/// A comparison of a number with a value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NumberTest {
    /// What the number must be: less, equal or greater.
    pub ordering: std::cmp::Ordering,
    /// Than what.
    pub value: i64,
}

/// A byte compare: reads a number near the last match of a subsignature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ByteCompare {
    /// The subsignature; may be one that does not exist.
    pub reference: u32,
    /// From the start of its last match to the number.
    pub offset: i64,
    /// How the number is written; without, nothing ever matches (clamscan 1.4.6).
    pub form: Option<NumberForm>,
    /// Its order; without, nothing ever matches (clamscan 1.4.6).
    pub order: Option<ByteOrder>,
    /// Whether all bytes of the field must belong to the number.
    pub exact: bool,
    /// The length of the field.
    pub len: u32,
    /// The first test.
    pub first: NumberTest,
    /// Another one.
    pub second: Option<NumberTest>,
}

/// A macro: a member of a group of body signatures near the subsignature before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Macro {
    /// The smallest distance between the starts.
    pub min: u32,
    /// The largest.
    pub max: u32,
    /// The group, below 32.
    pub group: u8,
}

/// A regular expression and when it runs.
#[derive(Clone, Copy, Debug)]
pub struct Pcre<'s> {
    /// Where a match may start.
    pub offset: Offset,
    /// Over earlier subsignatures: it runs only if this holds.
    pub trigger: Expression<'s>,
    /// The text between the slashes, which [`Regex::parse`] reads.
    pub text: &'s [u8],
    /// The letters after it.
    pub flags: Flags,
    /// The position among all regular expressions of the set.
    pub index: usize,
}

/// The highest number of a subsignature that may be referred to.
const MAX_REFERENCE: u32 = 64;
/// The longest field of a hexadecimal number.
const MAX_HEX: u32 = 18;

impl ByteCompare {
    /// Checks what a byte compare says.
    pub(crate) fn check(field: &ast::ByteCompare<'_>) -> Result<ByteCompare, Error> {
        let reference = field.reference.number(ErrorKind::ExpectedNumber)?;
        if reference > MAX_REFERENCE {
            return Err(field.reference.error(ErrorKind::NumberRange));
        }
        let offset = match field.offset.text {
            // Whatever stands behind the 0 means nothing.
            [] | [b'0', ..] => 0,
            [b'>', b'>', digits @ ..] => {
                signed(digits).ok_or(field.offset.error(ErrorKind::ExpectedNumber))?
            }
            [b'<', b'<', digits @ ..] => {
                -signed(digits).ok_or(field.offset.error(ErrorKind::ExpectedNumber))?
            }
            _ => return Err(field.offset.error(ErrorKind::ByteCompare("offset"))),
        };
        let options = field.options;
        let wrong = |what| Err(options.error(ErrorKind::ByteCompare(what)));
        let n_letters = options.text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (letters, digits) = options.text.split_at(n_letters);
        let (mut form, mut order, mut exact) = (None, None, false);
        for &letter in letters {
            let (read, seen) = match letter {
                b'a' => (NumberForm::Automatic, form),
                b'i' => (NumberForm::Binary, form),
                b'd' => (NumberForm::Decimal, form),
                b'h' => (NumberForm::Hexadecimal, form),
                b'b' | b'l' => {
                    let new = if letter == b'b' { ByteOrder::Big } else { ByteOrder::Little };
                    if order.is_some_and(|old| old != new) {
                        return wrong("both orders");
                    }
                    order = Some(new);
                    continue;
                }
                b'e' => {
                    exact = true;
                    continue;
                }
                _ => return wrong("unknown letter"),
            };
            if seen.is_some_and(|seen| seen != read) {
                return wrong("more than one of a, d, h and i");
            }
            form = Some(read);
        }
        if form == Some(NumberForm::Decimal) {
            if order == Some(ByteOrder::Little) {
                return wrong("decimal text has no little end");
            }
            order = Some(ByteOrder::Big);
        }
        let len = unsigned(digits).and_then(|len| u32::try_from(len).ok());
        let Some(len) = len.filter(|&len| len > 0) else { return wrong("length") };
        match form {
            Some(NumberForm::Binary) if !matches!(len, 1 | 2 | 4 | 8) => return wrong("length"),
            Some(NumberForm::Hexadecimal) if len > MAX_HEX => return wrong("length"),
            _ => {}
        }
        let comparisons = field.comparisons;
        let mut tests = comparisons.text.split(|&b| b == b',').map(NumberTest::read);
        let malformed = comparisons.error(ErrorKind::ByteCompare("comparison"));
        let first = tests.next().flatten().ok_or(malformed)?;
        let second = tests.next().map(|test| test.ok_or(malformed)).transpose()?;
        if tests.next().is_some() {
            return Err(malformed);
        }
        Ok(ByteCompare { reference, offset, form, order, exact, len, first, second })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let form = match self.form {
            Some(NumberForm::Automatic) => 0u8,
            Some(NumberForm::Binary) => 1,
            Some(NumberForm::Decimal) => 2,
            Some(NumberForm::Hexadecimal) => 3,
            None => 4,
        };
        let order = match self.order {
            None => 0u8,
            Some(ByteOrder::Big) => 1,
            Some(ByteOrder::Little) => 2,
        };
        out.extend([form, order, u8::from(self.exact)]);
        out.extend(self.reference.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.len.to_le_bytes());
        for test in [Some(self.first), self.second].into_iter().flatten() {
            out.push(test.ordering as i8 as u8);
            out.extend(test.value.to_le_bytes());
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(code: &[u8]) -> Option<ByteCompare> {
        let (&[form, order, exact], rest) = code.split_first_chunk()?;
        let (&reference, rest) = rest.split_first_chunk()?;
        let (&offset, rest) = rest.split_first_chunk()?;
        let (&len, rest) = rest.split_first_chunk()?;
        let mut tests = rest.chunks_exact(9).map(|chunk| {
            let (ordering, value) = chunk.split_first()?;
            let ordering = match *ordering as i8 {
                -1 => std::cmp::Ordering::Less,
                0 => std::cmp::Ordering::Equal,
                _ => std::cmp::Ordering::Greater,
            };
            Some(NumberTest { ordering, value: i64::from_le_bytes(*value.first_chunk()?) })
        });
        Some(ByteCompare {
            reference: u32::from_le_bytes(reference),
            offset: i64::from_le_bytes(offset),
            form: match form {
                0 => Some(NumberForm::Automatic),
                1 => Some(NumberForm::Binary),
                2 => Some(NumberForm::Decimal),
                3 => Some(NumberForm::Hexadecimal),
                _ => None,
            },
            order: match order {
                0 => None,
                1 => Some(ByteOrder::Big),
                _ => Some(ByteOrder::Little),
            },
            exact: exact != 0,
            len: u32::from_le_bytes(len),
            first: tests.next()??,
            second: tests.next().flatten(),
        })
    }
}

impl NumberTest {
    fn read(text: &[u8]) -> Option<NumberTest> {
        let (sign, value) = text.split_first()?;
        let ordering = match sign {
            b'<' => std::cmp::Ordering::Less,
            b'=' => std::cmp::Ordering::Equal,
            b'>' => std::cmp::Ordering::Greater,
            _ => return None,
        };
        Some(NumberTest { ordering, value: signed(value)? })
    }

    /// Whether a number passes.
    pub fn holds(self, number: i64) -> bool {
        number.cmp(&self.value) == self.ordering
    }
}

impl Macro {
    pub(crate) fn check(field: &ast::Macro<'_>) -> Result<Macro, Error> {
        let required = |field: Field<'_>| match field.text {
            [] => Err(field.error(ErrorKind::ExpectedNumber)),
            _ => field.number(ErrorKind::ExpectedNumber),
        };
        let group = u8::try_from(required(field.group)?).ok().filter(|&group| group < 32);
        Ok(Macro {
            min: required(field.min)?,
            max: required(field.max)?,
            group: group.ok_or(field.group.error(ErrorKind::NumberRange))?,
        })
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.push(self.group);
        out.extend(self.min.to_le_bytes());
        out.extend(self.max.to_le_bytes());
    }

    pub(crate) fn decode(code: &[u8]) -> Option<Macro> {
        let (&group, rest) = code.split_first()?;
        let (&min, rest) = rest.split_first_chunk()?;
        let max = *rest.first_chunk()?;
        Some(Macro { min: u32::from_le_bytes(min), max: u32::from_le_bytes(max), group })
    }
}

/// The hash of a picture, in the 16 digits of which the first stands for the
/// highest bits.
pub(crate) fn check_image(field: &ast::FuzzyImage<'_>) -> Result<u64, Error> {
    let mut hash = [0; 8];
    if field.hash.text.len() != 16 {
        return Err(field.hash.error(ErrorKind::HashLength));
    }
    if !decode_hex(field.hash.text, &mut hash) {
        return Err(field.hash.error(ErrorKind::HexDigit));
    }
    match field.distance {
        Some(distance) if number(distance.text) != Some(0) || distance.text.is_empty() => {
            Err(distance.error(ErrorKind::ImageDistance))
        }
        _ => Ok(u64::from_be_bytes(hash)),
    }
}

/// The offset, the flags and the checked trigger of a regular expression;
/// `index` is its own number, `target` that of its signature.
pub(crate) fn check_pcre(
    field: &ast::Pcre<'_>,
    index: usize,
    target: Target,
    trigger: &mut Vec<u8>,
) -> Result<(Offset, Flags), Error> {
    let offset = field.offset.map_or(Ok(Offset::ANY), |offset| Offset::parse(offset, target))?;
    let highest = Expression::compile(field.trigger, trigger)?;
    if usize::from(highest) >= index {
        return Err(field.trigger.error(ErrorKind::PcreTrigger));
    }
    let mut flags = Flags::default();
    for &letter in field.flags.text {
        match Flags::of_letter(letter) {
            Some(flag) => flags = flags.with(flag),
            None => return Err(field.flags.error(ErrorKind::Modifier)),
        }
    }
    if field.regex.text.is_empty() {
        return Err(field.regex.error(ErrorKind::Regex("empty")));
    }
    Regex::parse(field.regex.text, flags).map_err(|e| e.shifted(field.regex.span.start()))?;
    Ok((offset, flags))
}

/// A number with blanks before it and a sign; nothing at all is 0.
fn signed(text: &[u8]) -> Option<i64> {
    match text.trim_ascii_start() {
        [] => Some(0),
        [b'-', digits @ ..] => unsigned(digits).map(|n| -n),
        [b'+', digits @ ..] | digits => unsigned(digits),
    }
}

/// A number as C writes it: decimal, `0x` hexadecimal or `0` octal; what is
/// too large is the largest.
fn unsigned(text: &[u8]) -> Option<i64> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        digits => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |n, &b| {
        let digit = char::from(b).to_digit(radix)?;
        Some(n.saturating_mul(i64::from(radix)).saturating_add(i64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn compare(text: &str) -> Result<ByteCompare, &'static str> {
        let field = Field { text: text.as_bytes(), span: Span::new(0, text.len()) };
        ast::ByteCompare::parse(field)
            .and_then(|field| ByteCompare::check(&field))
            .map_err(|e| e.kind().code())
    }

    #[test]
    fn byte_compares_survive_the_arena() {
        for text in ["0(>>2#hb2#=0x1f)", "3(<<010#ale7#>-5,<0x10)x", "0(#i8#=1)"] {
            let compare = compare(text).unwrap();
            let mut code = Vec::new();
            compare.encode(&mut code);
            assert_eq!(ByteCompare::decode(&code), Some(compare), "{text}");
            code.truncate(20);
            assert_eq!(ByteCompare::decode(&code), None);
        }
        let compare = compare("3(<<010#ale7#>-5,<0x10)x").unwrap();
        assert_eq!((compare.reference, compare.offset, compare.len), (3, -8, 7));
        assert_eq!(compare.first.value, -5);
        assert!(compare.second.unwrap().holds(15) && !compare.second.unwrap().holds(16));
    }

    #[test]
    fn what_is_no_byte_compare() {
        for text in [
            "0(>>2#dl2#=12)",
            "0(>>2#ib3#=1)",
            "0(>>2#hb2#!0x1f)",
            "0(>>2#hb2#=1,>1,<3)",
            "0(>>2#hb19#=1)",
            "0(>>2#hb0#=1)",
            "0(2#hb2#=1)",
            "0(>>2#hbl2#=1)",
            "0(>>2#hd2#=1)",
            "0(>>2#hb2z#=1)",
            "0(>>2#hb2#=1,)",
            "0(>>2#hb2#=08)",
        ] {
            assert_eq!(compare(text), Err("byte-compare"), "{text}");
        }
        assert_eq!(compare("x(>>2#hb2#=1)"), Err("expected-number"));
        assert_eq!(compare("65(>>2#hb2#=1)"), Err("number-range"));
        for text in ["(>> 2#b2#=)", "64(00z#bhh2#= -1)x", "0(>>-2#e2#=+1)"] {
            assert!(compare(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn macros_survive_the_arena() {
        let found = Macro { min: 6, max: 70_000, group: 31 };
        let mut code = Vec::new();
        found.encode(&mut code);
        assert_eq!(Macro::decode(&code), Some(found));
    }
}
