//! Body signatures: `name:target:offset:pattern[:min[:max]]` and `name=pattern`.

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of an `.ndb`.
#[derive(Clone, Copy, Debug)]
pub struct Extended<'l> {
    /// The name.
    pub name: Field<'l>,
    /// The number of the target.
    pub target: Field<'l>,
    /// Where the pattern may start.
    pub offset: Field<'l>,
    /// The pattern, in the hex language.
    pub pattern: Field<'l>,
    /// The lowest functionality level.
    pub min_level: Option<Field<'l>>,
    /// The highest functionality level.
    pub max_level: Option<Field<'l>>,
}

impl<'l> Extended<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 4 or more than 6 fields.
    pub fn parse(line: &'l [u8]) -> Result<Extended<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (name, target, offset, pattern) = (field()?, field()?, field()?, field()?);
        let (min_level, max_level) = (fields.next(), fields.next());
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(Extended { name, target, offset, pattern, min_level, max_level })
    }
}

impl fmt::Display for Extended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.name, self.target, self.offset, self.pattern)?;
        for level in [self.min_level, self.max_level].into_iter().flatten() {
            write!(f, ":{level}")?;
        }
        Ok(())
    }
}

/// A line of a `.db`.
#[derive(Clone, Copy, Debug)]
pub struct Simple<'l> {
    /// The name.
    pub name: Field<'l>,
    /// The pattern; `None` for `name==...`, which means nothing.
    pub pattern: Option<Field<'l>>,
    rest: Field<'l>,
}

impl<'l> Simple<'l> {
    /// Splits a line at its first `=`.
    ///
    /// # Errors
    ///
    /// There is no `=`.
    pub fn parse(line: &'l [u8]) -> Result<Simple<'l>, Error> {
        let Some(at) = memchr::memchr(b'=', line) else {
            return Err(Error::new(ErrorKind::Expected(b'='), whole(line)));
        };
        let rest = Field::at(line, at + 1, line.len());
        let pattern = (!rest.text.starts_with(b"=")).then_some(rest);
        Ok(Simple { name: Field::at(line, 0, at), pattern, rest })
    }
}

impl fmt::Display for Simple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_line_back() {
        for line in ["A:0:*:6162", "A:1:EP+0:6162:51", "A:::6162:51:255"] {
            assert_eq!(Extended::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        for line in ["A=6162", "A==6162", "=", "A=61=62"] {
            assert_eq!(Simple::parse(line.as_bytes()).unwrap().to_string(), line);
        }
    }

    #[test]
    fn fields_know_their_place() {
        let record = Extended::parse(b"Name:0:*:6162").unwrap();
        assert_eq!(record.pattern.span.range(), 9..13);
        assert!(Extended::parse(b"Name:0:*").is_err());
        assert!(Extended::parse(b"Name:0:*:6162:1:2:3").is_err());
    }
}
