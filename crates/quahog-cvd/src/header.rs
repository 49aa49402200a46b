//! The 512 bytes in front of every container.
//!
//! A header is one line of nine fields between colons, filled up with spaces:
//!
//! ```text
//! ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000
//! magic      build time, as text     |  | |  | | builder build time, in seconds
//!                              version  | |  | signature over the MD5 (dsig)
//!                             signatures  |  MD5 of the payload
//!                       functionality level
//! ```
//!
//! The same line, always with `X:X`, opens the `.info` member. ClamAV reads the
//! fields with C's `atoi` and skips what it does not understand; here every
//! byte has to be right, because what no rule reads is what an attacker may
//! choose. What a right header *says* is still only a claim: see
//! [`trust`](crate::trust) for who vouches for which field.

use crate::dsig::is_digit;
use crate::error::{Error, Offset, Rule};

/// Length of a header.
pub const HEADER_LEN: usize = 512;

/// Digits that a signature with a 1024-bit key can have.
pub(crate) const MAX_DSIG: usize = 171;

/// How far ahead of the clock a build time may lie, in seconds.
const MAX_AHEAD: u64 = 24 * 60 * 60;

/// What a header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    time_text: Box<str>,
    version: u32,
    signatures: u32,
    flevel: u32,
    md5: Option<[u8; 16]>,
    dsig: Option<Box<str>>,
    builder: Box<str>,
    build_time: u64,
}

impl Header {
    /// Reads a header from the start of `bytes`; what follows is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] below 512 bytes, else [`Error::Header`] with the
    /// rule and the byte.
    ///
    /// # Example
    ///
    /// ```
    /// let line = b"ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000";
    /// let mut bytes = [b' '; 512];
    /// bytes[..line.len()].copy_from_slice(line);
    /// let header = quahog_cvd::Header::parse(&bytes)?;
    /// assert_eq!((header.version(), header.build_time()), (7, 1_700_000_000));
    /// # Ok::<(), quahog_cvd::Error>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Header, Error> {
        let Some(block) = bytes.first_chunk::<HEADER_LEN>() else {
            let end = Offset::File(bytes.len() as u64);
            return Err(Error::new(Rule::HeaderLength).at(end));
        };
        // A line without its padding, so that the last field is read by the
        // same code here and in `.info`. Padding begins at the first byte after
        // the seconds that no field may hold; with the wrong number of fields
        // there is no last field to speak of.
        let seconds = memchr::memchr_iter(b':', block).nth(LAST).map_or(0, |colon| colon + 1);
        let tail = block.get(seconds..).unwrap_or_default();
        let pad = tail.iter().position(|b| !(b'!'..=b'~').contains(b)).unwrap_or(tail.len());
        let (line, padding) = block.split_at(seconds + pad);
        let header = if seconds == 0 { Self::line(block) } else { Self::line(line) };
        let header = header.map_err(|(rule, at)| Error::new(rule).at(Offset::File(at as u64)))?;
        match padding.iter().position(|b| *b != b' ') {
            None => Ok(header),
            Some(at) => {
                let at = Offset::File((line.len() + at) as u64);
                Err(Error::new(Rule::Padding).at(at))
            }
        }
    }

    /// Reads the nine fields of a line without padding or line end.
    ///
    /// An error is the rule and the position in the line.
    pub(crate) fn line(line: &[u8]) -> Result<Header, (Rule, usize)> {
        if !line.starts_with(MAGIC) {
            return Err((Rule::Magic, 0));
        }
        let mut fields = Fields { line, at: 0, taken: 0 };
        if memchr::memchr_iter(b':', line).count() != LAST + 1 {
            return Err((Rule::FieldCount, 0));
        }
        fields.text()?;
        let time_text = fields.text()?.1.into();
        let version = fields.number()?;
        let signatures = fields.number()?;
        let flevel = fields.number()?;
        let md5 = fields.md5()?;
        let dsig = fields.dsig()?;
        let builder = fields.text()?.1.into();
        let build_time = fields.number()?;
        Ok(Header { time_text, version, signatures, flevel, md5, dsig, builder, build_time })
    }

    /// The build time as text, for people. No signature covers it; it is
    /// printable ASCII and nothing more is known of it.
    pub fn time_text(&self) -> &str {
        &self.time_text
    }

    /// The version; the publisher counts up by one.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many signatures the publisher counted. Nobody compares.
    pub fn signatures(&self) -> u32 {
        self.signatures
    }

    /// The functionality level that the publisher recommends.
    pub fn flevel(&self) -> u32 {
        self.flevel
    }

    /// MD5 of everything after the header; `None` stands for `X`.
    pub fn md5(&self) -> Option<[u8; 16]> {
        self.md5
    }

    /// Signature over that MD5, in its digits; `None` stands for `X`.
    pub fn dsig(&self) -> Option<&str> {
        self.dsig.as_deref()
    }

    /// Who built the file. No signature covers it; printable ASCII.
    pub fn builder(&self) -> &str {
        &self.builder
    }

    /// Build time in seconds since 1970-01-01 UTC (`stime`).
    pub fn build_time(&self) -> u64 {
        self.build_time
    }

    /// Refuses a build time more than 24 hours after `now`.
    ///
    /// This crate reads no clock, so `verify` cannot ask; whoever puts a
    /// database in force should. `now` is in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    ///
    /// [`Error::Header`] with [`Rule::Future`].
    pub fn refuse_future(&self, now: u64) -> Result<(), Error> {
        if self.build_time > now.saturating_add(MAX_AHEAD) {
            return Err(Error::new(Rule::Future));
        }
        Ok(())
    }

    /// True if the fields that `.info` repeats under its signature are the
    /// same. MD5, dsig, builder and time text are not among them.
    pub(crate) fn agrees_with(&self, headline: &Header) -> bool {
        let bound = |h: &Header| (h.version, h.signatures, h.flevel, h.build_time);
        bound(self) == bound(headline)
    }
}

/// Reads a plain decimal: digits only, no sign, no leading zero.
pub(crate) fn decimal(text: &[u8]) -> Result<u64, Rule> {
    match text {
        [] => return Err(Rule::Number),
        [b'0', _, ..] => return Err(Rule::Number),
        _ => {}
    }
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(Rule::Number);
    }
    text.iter()
        .try_fold(0u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(Rule::Range)
}

/// Reads `2 * N` hex digits.
pub(crate) fn hex<const N: usize>(text: &[u8], upper: bool) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' if upper => Some(b - b'A' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Takes the fields of a line one after the other.
struct Fields<'l> {
    line: &'l [u8],
    at: usize,
    taken: usize,
}

impl<'l> Fields<'l> {
    /// The next field and where it starts: printable, not empty.
    fn text(&mut self) -> Result<(usize, &'l str), (Rule, usize)> {
        let start = self.at;
        let rest = self.line.get(start..).unwrap_or_default();
        let len = memchr::memchr(b':', rest).unwrap_or(rest.len());
        let field = rest.get(..len).unwrap_or_default();
        self.at = start + len + 1;
        self.taken += 1;
        if let Some(bad) = field.iter().position(|b| !(b' '..=b'~').contains(b)) {
            return Err((Rule::Unprintable, start + bad));
        }
        match std::str::from_utf8(field) {
            Ok("") => Err((self.rule_of_empty(), start)),
            Ok(text) => Ok((start, text)),
            Err(_) => Err((Rule::Unprintable, start)),
        }
    }

    fn rule_of_empty(&self) -> Rule {
        match self.taken {
            3 | 4 | 5 | 9 => Rule::Number,
            6 => Rule::Md5Form,
            7 => Rule::DsigForm,
            _ => Rule::EmptyField,
        }
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Result<T, (Rule, usize)> {
        let (start, text) = self.text()?;
        let number = decimal(text.as_bytes()).map_err(|rule| (rule, start))?;
        T::try_from(number).map_err(|_| (Rule::Range, start))
    }

    fn md5(&mut self) -> Result<Option<[u8; 16]>, (Rule, usize)> {
        match self.text()? {
            (_, "X") => Ok(None),
            (start, text) => match hex(text.as_bytes(), false) {
                Some(md5) => Ok(Some(md5)),
                None => Err((Rule::Md5Form, start)),
            },
        }
    }

    fn dsig(&mut self) -> Result<Option<Box<str>>, (Rule, usize)> {
        let (start, text) = self.text()?;
        if text == "X" {
            return Ok(None);
        }
        if let Some(bad) = text.bytes().position(|b| !is_digit(b)) {
            return Err((Rule::DsigForm, start + bad));
        }
        if text.len() > MAX_DSIG {
            return Err((Rule::DsigForm, start + MAX_DSIG));
        }
        Ok(Some(text.into()))
    }
}

const MAGIC: &[u8] = b"ClamAV-VDB:";

/// Index of the last colon of a line of nine fields.
const LAST: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000";

    fn pad(line: &str) -> Vec<u8> {
        let mut bytes = line.as_bytes().to_vec();
        bytes.resize(HEADER_LEN, b' ');
        bytes
    }

    /// What is said of the line when `from` in it becomes `to`.
    fn edited(from: &str, to: &str) -> Result<Header, Rule> {
        assert!(LINE.contains(from));
        Header::parse(&pad(&LINE.replacen(from, to, 1))).map_err(|e| e.rule())
    }

    #[test]
    fn every_field_is_read() {
        let header = Header::parse(&pad(LINE)).unwrap();
        assert_eq!(header.time_text(), "14 Nov 2023 22-13 +0000");
        assert_eq!((header.version(), header.signatures(), header.flevel()), (7, 1, 81));
        assert_eq!((header.md5(), header.dsig()), (None, None));
        assert_eq!((header.builder(), header.build_time()), ("tester", 1_700_000_000));
    }

    /// H1.
    #[test]
    fn fewer_than_512_bytes_are_truncated() {
        for len in [0, 100, 511] {
            let error = Header::parse(&pad(LINE)[..len]).unwrap_err();
            assert!(matches!(error, Error::Truncated(_)), "{error}");
            assert_eq!(error.fault().offset(), Some(Offset::File(len as u64)));
        }
    }

    /// H3.
    #[test]
    fn another_magic_is_refused() {
        assert_eq!(edited("VDB", "VDX"), Err(Rule::Magic));
    }

    /// H4 to H6, and the empty field of 1.2.
    #[test]
    fn numbers_are_plain_decimals() {
        for bad in ["6x", " 6", "6 ", "06", "+6", "-6", "0x6", "", "\u{663}"] {
            let rule = edited(":7:", &format!(":{bad}:")).unwrap_err();
            let expected = if bad == "\u{663}" { Rule::Unprintable } else { Rule::Number };
            assert_eq!(rule, expected, "{bad:?}");
        }
        assert_eq!(edited(":7:", ":0:").unwrap().version(), 0);
        assert_eq!(edited(":7:", ":4294967295:").unwrap().version(), u32::MAX);
        assert_eq!(edited(":7:", ":4294967296:"), Err(Rule::Range));
        assert_eq!(edited(":7:", ":4294967302:"), Err(Rule::Range));
        assert_eq!(edited(":7:", ":99999999999999999999:"), Err(Rule::Range));
    }

    /// H7, H8.
    #[test]
    fn seconds_are_digits_then_spaces_only() {
        assert_eq!(edited("1700000000", "99999999999999999999"), Err(Rule::Range));
        assert_eq!(edited("1700000000", "1700000000x"), Err(Rule::Number));
        assert_eq!(edited("1700000000", "1700000000 x"), Err(Rule::Padding));
        assert_eq!(edited("1700000000", ""), Err(Rule::Number));
        let latest = edited("1700000000", "18446744073709551615").unwrap();
        assert_eq!(latest.build_time(), u64::MAX);
    }

    /// H9.
    #[test]
    fn there_are_exactly_nine_fields() {
        for (from, to) in [
            (":tester:1700000000", ""),
            (":1700000000", ""),
            ("1700000000", "1700000000:x"),
            ("1700000000", "1700000000:"),
        ] {
            assert_eq!(edited(from, to), Err(Rule::FieldCount), "{to:?}");
        }
    }

    /// H10.
    #[test]
    fn padding_is_spaces() {
        for pad_with in ["\0", "\n", "\t", "\n junk"] {
            let to = format!("1700000000{pad_with}");
            assert_eq!(edited("1700000000", &to), Err(Rule::Padding), "{pad_with:?}");
        }
        let mut last = pad(LINE);
        last[511] = 0;
        let error = Header::parse(&last).unwrap_err();
        assert_eq!(
            (error.rule(), error.fault().offset()),
            (Rule::Padding, Some(Offset::File(511)))
        );
    }

    /// H11, H12: the form; that a right form has a wrong value is for `verify`.
    #[test]
    fn md5_is_32_lower_case_digits() {
        let md5 = "0123456789abcdef0123456789abcdef";
        let header = edited(":X:X:", &format!(":{md5}:X:")).unwrap();
        assert_eq!(header.md5().unwrap()[..2], [0x01, 0x23]);
        let upper = md5.to_uppercase();
        for bad in [upper.as_str(), &md5[..31], &md5[..30], &format!("{md5}00"), "", "x"] {
            assert_eq!(edited(":X:X:", &format!(":{bad}:X:")), Err(Rule::Md5Form), "{bad:?}");
        }
    }

    /// H13, H14.
    #[test]
    fn dsig_is_made_of_its_digits() {
        let longest = "b".repeat(171);
        let header = edited(":X:X:", &format!(":X:{longest}:")).unwrap();
        assert_eq!(header.dsig(), Some(longest.as_str()));
        for bad in ["a-b", "ab=", "", "X X", &"b".repeat(172), &format!("{longest}aaaa")] {
            assert_eq!(edited(":X:X:", &format!(":X:{bad}:")), Err(Rule::DsigForm), "{bad:?}");
        }
    }

    /// H15: accepted, but printable.
    #[test]
    fn time_text_and_builder_are_free_but_printable() {
        assert_eq!(edited("tester", "someone else").unwrap().builder(), "someone else");
        assert_eq!(
            edited("14 Nov", "yesterday").unwrap().time_text(),
            "yesterday 2023 22-13 +0000"
        );
        assert_eq!(edited("tester", "\x1b[31m"), Err(Rule::Unprintable));
        assert_eq!(edited("tester", ""), Err(Rule::EmptyField));
    }

    /// H18.
    #[test]
    fn a_high_functionality_level_is_no_error() {
        for flevel in [217, 99_999, u32::MAX] {
            assert_eq!(edited(":81:", &format!(":{flevel}:")).unwrap().flevel(), flevel);
        }
        assert_eq!(edited(":81:", ":-1:"), Err(Rule::Number));
    }

    /// H19, H20.
    #[test]
    fn a_build_time_up_to_a_day_ahead_is_accepted() {
        let header = Header::parse(&pad(LINE)).unwrap();
        let built = header.build_time();
        for now in [built + 8 * 86_400, built, built - 3_000, built - 7_200, built - 86_400] {
            assert_eq!(header.refuse_future(now), Ok(()));
        }
        assert_eq!(header.refuse_future(built - 86_401).map_err(|e| e.rule()), Err(Rule::Future));
        assert_eq!(header.refuse_future(u64::MAX), Ok(()));
    }

    #[test]
    fn errors_point_at_the_byte() {
        let error = Header::parse(&pad(&LINE.replacen(":81:", ":+81:", 1))).unwrap_err();
        assert_eq!(error.fault().offset(), Some(Offset::File(39)));
    }
}
