//! The line reader, the same for loose files and members of containers.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use crate::{Error, ErrorKind, Span, pace};

/// A line of a database, without its end.
#[derive(Clone, Copy, Debug)]
pub struct Line<'d> {
    /// Its number, from 1.
    pub number: u32,
    /// Its bytes, without `\n` and without trailing `\r`s.
    pub text: &'d [u8],
}

impl<'d> Line<'d> {
    /// Whether nothing stands on it.
    pub fn is_blank(self) -> bool {
        self.text.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether it is a comment: `#` as its first byte.
    pub fn is_comment(self) -> bool {
        self.text.first() == Some(&b'#')
    }

    /// Checks what no format allows.
    ///
    /// # Errors
    ///
    /// A NUL byte, or more than [`Lines::MAX`] bytes.
    pub fn check(self) -> Result<(), Error> {
        self.check_length()?;
        match memchr(0, self.text) {
            Some(at) => Err(Error::new(ErrorKind::Nul, Span::new(at, at + 1))),
            None => Ok(()),
        }
    }

    /// As [`check`](Self::check), for a line of which it is known that it has no
    /// NUL byte: see [`Lines::have_nul`].
    ///
    /// # Errors
    ///
    /// More than [`Lines::MAX`] bytes.
    pub fn check_length(self) -> Result<(), Error> {
        if self.text.len() > Lines::MAX {
            return Err(Error::new(ErrorKind::TooLong, Span::new(Lines::MAX, self.text.len())));
        }
        Ok(())
    }
}

/// The lines of a database, ended by LF or CRLF; a missing last LF is allowed.
///
/// A byte order mark at the very beginning is left out. Lines past number
/// `u32::MAX` all have that number.
#[derive(Clone, Debug)]
pub struct Lines<'d> {
    rest: Option<&'d [u8]>,
    number: u32,
}

impl<'d> Lines<'d> {
    /// The longest line that is read: 1 MiB.
    pub const MAX: usize = 1 << 20;

    /// The lines of `text`.
    pub fn new(text: &'d [u8]) -> Lines<'d> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Lines { rest: (!text.is_empty()).then_some(text), number: 0 }
    }

    /// The lines of a text that stands behind so many other lines; a byte order mark
    /// is left out only if there are none.
    pub fn behind(text: &'d [u8], number: u32) -> Lines<'d> {
        match number {
            0 => Lines::new(text),
            _ => Lines { rest: (!text.is_empty()).then_some(text), number },
        }
    }

    /// Whether a line that is still to come has a NUL byte.
    pub fn have_nul(&self) -> bool {
        self.rest.is_some_and(|rest| memchr(0, rest).is_some())
    }

    /// What is left of the text, and the number of its first line.
    pub(crate) fn rest(&self) -> (&'d [u8], u32) {
        (self.rest.unwrap_or_default(), self.number.saturating_add(1))
    }

    /// Passes over so many lines, which take so many bytes with their ends.
    pub(crate) fn pass(&mut self, lines: u32, bytes: usize) {
        let rest = self.rest.and_then(|rest| rest.get(bytes..)).unwrap_or_default();
        self.rest = (!rest.is_empty()).then_some(rest);
        self.number = self.number.saturating_add(lines);
    }

    /// Where to cut a text into pieces of about `size` bytes, whole lines each: for
    /// each piece its place and how many lines stand before it in the text.
    pub fn cuts(text: &[u8], size: usize) -> Vec<(Range<usize>, u32)> {
        let (mut start, mut lines) = (0, 0u32);
        let mut cuts = Vec::new();
        while start < text.len() {
            let end = match text.get(start + size.max(1)..).and_then(|tail| memchr(b'\n', tail)) {
                Some(at) => start + size.max(1) + at + 1,
                None => text.len(),
            };
            cuts.push((start..end, lines));
            let more = Lines::count_in(&text[start..end]);
            lines = lines.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            start = end;
        }
        cuts
    }

    /// How many lines there are, blank ones and comments among them.
    pub fn count_in(text: &[u8]) -> u64 {
        let ends = memchr_iter(b'\n', text).count() as u64;
        ends + u64::from(text.last().is_some_and(|&b| b != b'\n'))
    }
}

impl<'d> Iterator for Lines<'d> {
    type Item = Line<'d>;

    fn next(&mut self) -> Option<Line<'d>> {
        pace::point();
        let rest = self.rest?;
        let (mut text, rest) = match memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        self.rest = (!rest.is_empty()).then_some(rest);
        self.number = self.number.saturating_add(1);
        while let Some(shorter) = text.strip_suffix(b"\r") {
            text = shorter;
        }
        Some(Line { number: self.number, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_same_lines() {
        for text in ["", "a", "a\n", "\u{feff}a\nbcd\r\n\n\ne\n#f\nghijkl", "\n\n"] {
            let all: Vec<_> = Lines::new(text.as_bytes()).map(|l| (l.number, l.text)).collect();
            for size in 0..9 {
                let cuts = Lines::cuts(text.as_bytes(), size).into_iter();
                let pieces = cuts.map(|(at, before)| Lines::behind(&text.as_bytes()[at], before));
                let pieced: Vec<_> = pieces.flatten().map(|l| (l.number, l.text)).collect();
                assert_eq!(pieced, all, "{text:?} {size}");
            }
        }
    }

    #[test]
    fn lines_end_in_lf_or_crlf_and_the_last_may_lack_both() {
        let lines: Vec<_> = Lines::new(b"a\r\nb\r\r\n\nc\rd").map(|l| l.text).collect();
        assert_eq!(lines, [&b"a"[..], b"b", b"", b"c\rd"]);
        assert_eq!(Lines::count_in(b"a\nb\n"), 2);
        assert_eq!(Lines::count_in(b"a\nb"), 2);
        assert_eq!(Lines::new(b"").count(), 0);
    }

    #[test]
    fn a_nul_is_refused_where_it_stands() {
        let line = Line { number: 1, text: b"ab\0c" };
        assert_eq!(line.check().unwrap_err().span().range(), 2..3);
    }
}
