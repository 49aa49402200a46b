//! Container metadata:
//! `name:type:size:pattern:packed:size:encrypted:position:res1:res2[:min[:max]]`,
//! and the obsolete
//! `name:encrypted:pattern:size:packed:crc:method:position:depth`.

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of a `.cdb`.
#[derive(Clone, Copy, Debug)]
pub struct Container<'l> {
    /// The name of the signature.
    pub name: Field<'l>,
    /// The type of the container, or `*`.
    pub file_type: Field<'l>,
    /// The size of the container.
    pub container_size: Field<'l>,
    /// What the name of the part must hold, a regular expression, or `*`.
    pub pattern: Field<'l>,
    /// The bytes that the part takes in the container.
    pub packed_size: Field<'l>,
    /// The bytes of the part itself.
    pub size: Field<'l>,
    /// Whether it is encrypted: 0, 1 or `*`.
    pub encrypted: Field<'l>,
    /// Its position in the container.
    pub position: Field<'l>,
    /// Two fields that nothing reads.
    pub reserved: [Field<'l>; 2],
    /// The lowest functionality level.
    pub min_level: Option<Field<'l>>,
    /// The highest functionality level.
    pub max_level: Option<Field<'l>>,
}

impl<'l> Container<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 10 or more than 12 fields.
    pub fn parse(line: &'l [u8]) -> Result<Container<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (name, file_type, container_size, pattern) = (field()?, field()?, field()?, field()?);
        let (packed_size, size, encrypted, position) = (field()?, field()?, field()?, field()?);
        let reserved = [field()?, field()?];
        let (min_level, max_level) = (fields.next(), fields.next());
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(Container {
            name,
            file_type,
            container_size,
            pattern,
            packed_size,
            size,
            encrypted,
            position,
            reserved,
            min_level,
            max_level,
        })
    }
}

impl fmt::Display for Container<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Container { name, file_type, container_size, pattern, packed_size, .. } = self;
        let Container { size, encrypted, position, reserved: [first, second], .. } = self;
        write!(f, "{name}:{file_type}:{container_size}:{pattern}:{packed_size}:{size}")?;
        write!(f, ":{encrypted}:{position}:{first}:{second}")?;
        for level in [self.min_level, self.max_level].into_iter().flatten() {
            write!(f, ":{level}")?;
        }
        Ok(())
    }
}

/// A line of a `.zmd` or `.rmd`.
#[derive(Clone, Copy, Debug)]
pub struct ZipRar<'l> {
    /// The name of the signature.
    pub name: Field<'l>,
    /// Whether the part is encrypted: 0, 1 or `*`.
    pub encrypted: Field<'l>,
    /// What its name must hold, a regular expression, or `*`.
    pub pattern: Field<'l>,
    /// Its bytes.
    pub size: Field<'l>,
    /// The bytes that it takes in the container.
    pub packed_size: Field<'l>,
    /// A checksum, which is not compared.
    pub crc32: Field<'l>,
    /// A method, which is not compared.
    pub method: Field<'l>,
    /// Its position in the container.
    pub position: Field<'l>,
    /// A depth, which is not compared.
    pub depth: Field<'l>,
}

impl<'l> ZipRar<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Not 9 fields.
    pub fn parse(line: &'l [u8]) -> Result<ZipRar<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (name, encrypted, pattern) = (field()?, field()?, field()?);
        let (size, packed_size, crc32) = (field()?, field()?, field()?);
        let (method, position, depth) = (field()?, field()?, field()?);
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(ZipRar { name, encrypted, pattern, size, packed_size, crc32, method, position, depth })
    }
}

impl fmt::Display for ZipRar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ZipRar { name, encrypted, pattern, size, packed_size, crc32, .. } = self;
        let ZipRar { method, position, depth, .. } = self;
        write!(f, "{name}:{encrypted}:{pattern}:{size}:{packed_size}:{crc32}")?;
        write!(f, ":{method}:{position}:{depth}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_line_back() {
        for line in ["N:*:1-2:a:*:*:1:2:*:*", "N:*:::::::::17", "::::::::::1:2"] {
            assert_eq!(Container::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        assert!(Container::parse(b"N:*:*:a:*:*:*:*:*").is_err());
        assert!(Container::parse(b"N:*:*:a:*:*:*:*:*:*:1:2:3").is_err());
        let line = "N:0:a:*:*:00:*:1:*";
        assert_eq!(ZipRar::parse(line.as_bytes()).unwrap().to_string(), line);
        assert!(ZipRar::parse(b"N:0:a:*:*:00:*:1").is_err());
    }
}
