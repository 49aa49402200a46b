//! Values of DER, one after the other.
//!
//! Takes only what is needed, never recurses, and copies nothing. It is more
//! lenient than DER in how lengths are written: whoever verifies what is signed
//! hashes the bytes as they stand, so a second way of writing them is another
//! text, and no way around the signature.

/// Values that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'b>(pub(super) &'b [u8]);

/// A value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'b> {
    pub(super) tag: u8,
    /// Its content.
    pub(super) body: &'b [u8],
    /// Tag, length and content.
    pub(super) whole: &'b [u8],
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const TAGGED_0: u8 = 0xa0;
pub(super) const TAGGED_1: u8 = 0xa1;
pub(super) const TAGGED_3: u8 = 0xa3;

impl<'b> Der<'b> {
    /// The next value.
    pub(super) fn value(&mut self) -> Option<Value<'b>> {
        let start = self.0;
        let (&tag, rest) = start.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut len = usize::from(first);
        if first & 0x80 != 0 {
            // Up to four bytes of length: more than any file has.
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
            len = digits.iter().fold(0, |len, &digit| len << 8 | usize::from(digit));
            rest = &rest[count..];
        }
        let body = rest.get(..len)?;
        self.0 = &rest[len..];
        Some(Value { tag, body, whole: &start[..start.len() - self.0.len()] })
    }

    /// The next value: its tag and its content.
    pub(super) fn next(&mut self) -> Option<(u8, &'b [u8])> {
        self.value().map(|value| (value.tag, value.body))
    }

    /// The content of the next value, if it has this tag.
    pub(super) fn open(&mut self, tag: u8) -> Option<&'b [u8]> {
        let (found, body) = self.next()?;
        (found == tag).then_some(body)
    }

    /// As [`open`](Self::open), for a value that may be left out: one with
    /// another tag stays.
    pub(super) fn open_if(&mut self, tag: u8) -> Option<&'b [u8]> {
        if self.0.first() == Some(&tag) { self.open(tag) } else { None }
    }

    /// Whether nothing follows.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A number without sign: its bytes without leading zeros.
pub(super) fn unsigned(body: &[u8]) -> &[u8] {
    let zeros = body.iter().take_while(|&&byte| byte == 0).count();
    &body[zeros..]
}

/// The seconds since 1970-01-01 UTC that a time stands for, if it is written in
/// full and in UTC.
pub(super) fn seconds(tag: u8, body: &[u8]) -> Option<i64> {
    let digits = body.strip_suffix(b"Z")?;
    let (year_digits, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => digits.split_at(2),
        (TIME, 14) => digits.split_at(4),
        _ => return None,
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |number, &digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let mut year = number(year_digits)?;
    if tag == UTC_TIME {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let mut parts = [0; 5];
    for (part, digits) in parts.iter_mut().zip(rest.chunks(2)) {
        *part = number(digits)?;
    }
    let [month, day, hour, minute, second] = parts;
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && year >= 1;
    if !fits {
        return None;
    }
    // Years that begin in March end with the day that is not always there.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some(((days - 719_468) * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        for (tag, text, expected) in [
            (TIME, "19700101000000Z", Some(0)),
            (UTC_TIME, "700101000001Z", Some(1)),
            (UTC_TIME, "691231235959Z", Some(-1)),
            (UTC_TIME, "000229120000Z", Some(951_825_600)),
            (TIME, "22240522161634Z", Some(8_027_741_794)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (TIME, "20260101000000", None),
            (TIME, "20261301000000Z", None),
            (TIME, "2026010100000aZ", None),
            (UTC_TIME, "20260101000000Z", None),
        ] {
            assert_eq!(seconds(tag, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn lengths_past_the_end_are_no_values() {
        for bytes in [&b""[..], b"\x30", b"\x30\x02a", b"\x30\x80", b"\x30\x85\0\0\0\0\x01a"] {
            assert!(Der(bytes).value().is_none());
        }
        let mut values = Der(b"\x30\x82\0\x01a\x04\0");
        let first = values.value().unwrap();
        assert_eq!(
            (first.tag, first.body, first.whole),
            (SEQUENCE, &b"a"[..], &b"\x30\x82\0\x01a"[..])
        );
        assert_eq!(values.open_if(SEQUENCE), None);
        assert_eq!(values.open(OCTETS), Some(&b""[..]));
        assert!(values.is_empty());
    }
}
