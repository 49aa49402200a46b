//! File and import hashes: `hash:size:name[:min[:max]]`.

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of an `.hdb`, `.hsb`, `.fp`, `.sfp` or `.imp`.
#[derive(Clone, Copy, Debug)]
pub struct FileHash<'l> {
    /// The digest, in hexadecimal; its length says which one.
    pub hash: Field<'l>,
    /// The size of the file, or `*`.
    pub size: Field<'l>,
    /// The name.
    pub name: Field<'l>,
    /// The lowest functionality level.
    pub min_level: Option<Field<'l>>,
    /// The highest functionality level.
    pub max_level: Option<Field<'l>>,
}

impl<'l> FileHash<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 3 or more than 5 fields.
    pub fn parse(line: &'l [u8]) -> Result<FileHash<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (hash, size, name) = (field()?, field()?, field()?);
        let (min_level, max_level) = (fields.next(), fields.next());
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(FileHash { hash, size, name, min_level, max_level })
    }
}

impl fmt::Display for FileHash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.hash, self.size, self.name)?;
        for level in [self.min_level, self.max_level].into_iter().flatten() {
            write!(f, ":{level}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_line_back() {
        for line in ["aa:1:N", "aa:*:N:73", "aa:1::73:", "::"] {
            assert_eq!(FileHash::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        assert!(FileHash::parse(b"aa:1").is_err());
        assert!(FileHash::parse(b"aa:1:N:1:2:3").is_err());
    }
}
