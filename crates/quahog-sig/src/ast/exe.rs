//! Parts of executables: section hashes `size:hash:name[:min[:max]]` and icons
//! `name:group1:group2:metrics`. Import hashes look like file hashes.

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of an `.mdb` or `.msb`.
#[derive(Clone, Copy, Debug)]
pub struct SectionHash<'l> {
    /// The size of the section, or `*`.
    pub size: Field<'l>,
    /// The digest, in hexadecimal; its length says which one.
    pub hash: Field<'l>,
    /// The name.
    pub name: Field<'l>,
    /// The lowest functionality level.
    pub min_level: Option<Field<'l>>,
    /// The highest functionality level.
    pub max_level: Option<Field<'l>>,
}

impl<'l> SectionHash<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 3 or more than 5 fields.
    pub fn parse(line: &'l [u8]) -> Result<SectionHash<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (size, hash, name) = (field()?, field()?, field()?);
        let (min_level, max_level) = (fields.next(), fields.next());
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(SectionHash { size, hash, name, min_level, max_level })
    }
}

impl fmt::Display for SectionHash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.size, self.hash, self.name)?;
        for level in [self.min_level, self.max_level].into_iter().flatten() {
            write!(f, ":{level}")?;
        }
        Ok(())
    }
}

/// A line of an `.idb`.
#[derive(Clone, Copy, Debug)]
pub struct Icon<'l> {
    /// The name.
    pub name: Field<'l>,
    /// The groups that logical signatures name.
    pub groups: [Field<'l>; 2],
    /// The metrics, in hexadecimal.
    pub metrics: Field<'l>,
}

impl<'l> Icon<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Not 4 fields.
    pub fn parse(line: &'l [u8]) -> Result<Icon<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (name, groups, metrics) = (field()?, [field()?, field()?], field()?);
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(Icon { name, groups, metrics })
    }
}

impl fmt::Display for Icon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.name, self.groups[0], self.groups[1], self.metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_line_back() {
        for line in ["1:aa:N", "*:aa:N:73", "1:aa::73:", "::"] {
            assert_eq!(SectionHash::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        assert!(SectionHash::parse(b"1:aa").is_err());
        assert!(SectionHash::parse(b"1:aa:N:1:2:3").is_err());
        for line in ["a:b:c:d", ":::"] {
            assert_eq!(Icon::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        assert!(Icon::parse(b"a:b:c").is_err());
        assert!(Icon::parse(b"a:b:c:d:e").is_err());
    }
}
