//! Phishing lists: `R:pattern` and `H:host` (`.pdb`), `X:pattern`, `Y:pattern`
//! and `M:host:host` (`.wdb`), `S:F:digest` (`.gdb`).

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of a `.pdb`, `.wdb` or `.gdb`.
#[derive(Clone, Copy, Debug)]
pub struct Phishing<'l> {
    /// Its kind. In a `.pdb` and `.wdb` only the first letter counts.
    pub kind: Field<'l>,
    /// What it says; may hold colons.
    pub content: Field<'l>,
    /// The levels that it is meant for, `min-` or `min-max`.
    pub levels: Option<Field<'l>>,
}

impl<'l> Phishing<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// There is no colon.
    pub fn parse(line: &'l [u8]) -> Result<Phishing<'l>, Error> {
        let mut parts = fields(line, b':');
        let kind = parts.next().filter(|kind| kind.text.len() < line.len());
        let kind = kind.ok_or(Error::new(ErrorKind::FieldCount, whole(line)))?;
        let start = kind.span.end() + 1;
        let levels =
            parts.last().filter(|last| last.span.start() > start && levels_of(last.text).is_some());
        let end = levels.map_or(line.len(), |levels| levels.span.start() - 1);
        Ok(Phishing { kind, content: Field::at(line, start, end), levels })
    }
}

/// Reads `min-` or `min-max`; an open end is `u32::MAX`.
pub(crate) fn levels_of(text: &[u8]) -> Option<(u32, u32)> {
    let dash = text.iter().position(|&b| b == b'-')?;
    let (low, high) = (text.get(..dash)?, text.get(dash + 1..)?);
    let low = (!low.is_empty()).then(|| super::number(low))??;
    let high = if high.is_empty() { u32::MAX } else { super::number(high)? };
    Some((low, high))
}

impl fmt::Display for Phishing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.content)?;
        self.levels.map_or(Ok(()), |levels| write!(f, ":{levels}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_line_back() {
        for (line, content, leveled) in [
            ("H:a.b", "a.b", false),
            ("H:a.b:17-", "a.b", true),
            ("M:a:b:17-20", "a:b", true),
            ("R:a:17", "a:17", false),
            ("R:17-20", "17-20", false),
            ("R::x-", ":x-", false),
            ("H:", "", false),
        ] {
            let parsed = Phishing::parse(line.as_bytes()).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.levels.is_some()), (line, leveled));
            assert_eq!(parsed.content.text, content.as_bytes());
        }
        assert!(Phishing::parse(b"H").is_err());
    }
}
