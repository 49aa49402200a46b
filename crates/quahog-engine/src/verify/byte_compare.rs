//! Byte compares: reads a number and tests it.
//!
//! How a field becomes a number was learnt from clamscan 1.4.6, field by
//! field: where it gives 0, nothing, or an end at the first bad byte, so is it
//! here. A number that does not fit 63 bits passes no test.

use quahog_sig::model::{ByteCompare, ByteOrder, NumberForm};

/// Whether the number in the field at `place` passes.
///
/// Takes time linear in the length of the field.
pub(crate) fn holds(compare: &ByteCompare, haystack: &[u8], place: i64) -> bool {
    // The first byte of a buffer is out of reach (clamscan 1.4.6, case
    // `ldb.bcomp-034`): signatures were written with that.
    let Some(place) = usize::try_from(place).ok().filter(|&place| place > 0) else {
        return false;
    };
    let len = usize::try_from(compare.len).unwrap_or(usize::MAX);
    let Some(field) = place.checked_add(len).and_then(|end| haystack.get(place..end)) else {
        return false;
    };
    let (Some(form), Some(order)) = (compare.form, compare.order) else { return false };
    number(field, form, order, compare.exact).is_some_and(|number| {
        compare.first.holds(number) && compare.second.is_none_or(|test| test.holds(number))
    })
}

fn number(field: &[u8], form: NumberForm, order: ByteOrder, exact: bool) -> Option<i64> {
    if form == NumberForm::Binary {
        return binary(field, order);
    }
    let text = if exact { field } else { skip_blanks(field) };
    match form {
        NumberForm::Decimal => digits(text, 10, exact),
        NumberForm::Hexadecimal => hexadecimal(text, order, exact),
        // Shorter text is neither.
        _ if text.len() < 3 => None,
        _ if text[0] == b'0' && text[1].eq_ignore_ascii_case(&b'x') => {
            hexadecimal(text, order, exact)
        }
        _ if order == ByteOrder::Big => digits(text, 10, exact),
        _ => None,
    }
}

fn binary(field: &[u8], order: ByteOrder) -> Option<i64> {
    let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    let value = match order {
        ByteOrder::Big => field.iter().fold(0, push),
        ByteOrder::Little => field.iter().rev().fold(0, push),
    };
    // Eight bytes are signed; fewer are never negative.
    Some(value.cast_signed())
}

fn hexadecimal(text: &[u8], order: ByteOrder, exact: bool) -> Option<i64> {
    let prefixed = text.first() == Some(&b'0')
        && text.get(1).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'x'));
    let bare = if prefixed { &text[2..] } else { text };
    match order {
        ByteOrder::Big => digits(bare, 16, exact),
        // Exact text is taken as it is, and a prefix is no pair of digits.
        ByteOrder::Little if exact => {
            let first = text.first_chunk::<2>()?;
            (text.len().is_multiple_of(2) && pair(*first).is_some()).then(|| little(text)).flatten()
        }
        ByteOrder::Little => little(bare),
    }
}

/// Pairs of digits, the lowest byte first; an odd number of them has a 0 put
/// before it, and what is no pair ends the number.
fn little(text: &[u8]) -> Option<i64> {
    let odd = text.len() % 2;
    let (head, rest) = text.split_at(odd);
    let head = head.first().map(|&digit| [b'0', digit]);
    let pairs = head.into_iter().chain(rest.chunks_exact(2).map(|chunk| [chunk[0], chunk[1]]));
    let mut value = 0u64;
    for (at, byte) in pairs.map_while(pair).enumerate() {
        if at >= 8 && byte > 0 {
            return None;
        }
        value |= u64::from(byte).checked_shl(8 * u32::try_from(at).ok()?).unwrap_or(0);
    }
    i64::try_from(value).ok()
}

fn pair(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    // Two digits fit a byte.
    Some((high? << 4 | low?) as u8)
}

/// A sign and digits up to the first other byte; none at all are 0, but not
/// if all of it must be a number.
fn digits(text: &[u8], radix: u32, exact: bool) -> Option<i64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut value = 0i64;
    let mut n_digits = 0;
    for &byte in unsigned {
        let Some(digit) = char::from(byte).to_digit(radix) else { break };
        value = value.checked_mul(i64::from(radix))?.checked_add(i64::from(digit))?;
        n_digits += 1;
    }
    if exact && (n_digits == 0 || n_digits < unsigned.len()) {
        return None;
    }
    Some(if negative { -value } else { value })
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().take_while(|byte| blank(byte)).count();
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number in a field that is read by these letters.
    fn read(letters: &str, field: &[u8]) -> Option<i64> {
        let form = match letters.as_bytes()[0] {
            b'a' => NumberForm::Automatic,
            b'i' => NumberForm::Binary,
            b'd' => NumberForm::Decimal,
            _ => NumberForm::Hexadecimal,
        };
        let order = if letters.contains('l') { ByteOrder::Little } else { ByteOrder::Big };
        number(field, form, order, letters.contains('e'))
    }

    // Each line is what clamscan 1.4.6 said.
    #[test]
    fn text_becomes_a_number_as_in_clamscan() {
        for (letters, field, expected) in [
            ("hb", &b"12z"[..], Some(0x12)),
            ("hb", b"-12", Some(-0x12)),
            ("hb", b" \t12", Some(0x12)),
            ("hb", b"0x12", Some(0x12)),
            ("hb", b"-0x12", Some(0)),
            ("hb", b"zz", Some(0)),
            ("hb", b"7fffffffffffffff", Some(i64::MAX)),
            ("hb", b"8000000000000000", None),
            ("hbe", b"0x12", Some(0x12)),
            ("hbe", b"12z", None),
            ("hbe", b" 12", None),
            ("hbe", b"0x", None),
            ("hl", b"1234", Some(0x3412)),
            ("hl", b"123", Some(0x2301)),
            ("hl", b"0x1234", Some(0x3412)),
            ("hl", b"12zz", Some(0x12)),
            ("hl", b"1z34", Some(0)),
            ("hl", b" 1 2", Some(1)),
            ("hl", b"-1234", Some(0)),
            ("hle", b"1234", Some(0x3412)),
            ("hle", b"123", None),
            ("hle", b"0x1234", None),
            ("db", b"0x12", Some(0)),
            ("db", b"- 12", Some(0)),
            ("db", b"99999999999999999999", None),
            ("dbe", b"+12", Some(12)),
            ("ab", b"12", None),
            ("ab", b"   12", None),
            ("ab", b"012", Some(12)),
            ("ab", b"12 ", Some(12)),
            ("ab", b" 0X12", Some(18)),
            ("ab", b"0xzz", Some(0)),
            ("ab", b"00x12", Some(0)),
            ("abe", b"0012", Some(12)),
            ("al", b"0x1234", Some(0x3412)),
            ("al", b"1234", None),
            ("ib", b"1f", Some(0x3166)),
            ("il", b"1f", Some(0x6631)),
            ("ib", b"\xff\xff\xff\xff", Some(0xffff_ffff)),
            ("ib", b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
        ] {
            assert_eq!(read(letters, field), expected, "{letters} {field:?}");
        }
    }
}
