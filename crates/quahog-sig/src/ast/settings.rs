//! Lines that detect nothing by themselves: feature switches (`.cfg`), archive
//! passwords (`.pwdb`) and rules for certificates (`.crb`).

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of a `.cfg`: `category:flags[:min[:max]]`.
#[derive(Clone, Copy, Debug)]
pub struct Feature<'l> {
    /// What is switched, such as `PHISHING`.
    pub category: Field<'l>,
    /// The word of flags, `0x` and hexadecimal digits.
    pub flags: Field<'l>,
    /// The lowest functionality level.
    pub min_level: Option<Field<'l>>,
    /// The highest functionality level.
    pub max_level: Option<Field<'l>>,
}

impl<'l> Feature<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 2 or more than 4 fields.
    pub fn parse(line: &'l [u8]) -> Result<Feature<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (category, flags) = (field()?, field()?);
        let (min_level, max_level) = (fields.next(), fields.next());
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(Feature { category, flags, min_level, max_level })
    }
}

impl fmt::Display for Feature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.category, self.flags)?;
        for level in [self.min_level, self.max_level].into_iter().flatten() {
            write!(f, ":{level}")?;
        }
        Ok(())
    }
}

/// A line of a `.pwdb`: `name;block;kind;password`; what follows is not read.
#[derive(Clone, Copy, Debug)]
pub struct Password<'l> {
    /// What it is called.
    pub name: Field<'l>,
    /// The target description block.
    pub block: Field<'l>,
    /// 0 for text, 1 for hexadecimal digits.
    pub kind: Field<'l>,
    /// The password.
    pub password: Field<'l>,
    /// What stands behind it, after a `;`.
    pub rest: Option<Field<'l>>,
}

impl<'l> Password<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 4 fields.
    pub fn parse(line: &'l [u8]) -> Result<Password<'l>, Error> {
        let mut fields = fields(line, b';');
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(name), Some(block), Some(kind), Some(password)) => {
                let rest = password.span.end() + 1;
                let rest = (rest <= line.len()).then(|| Field::at(line, rest, line.len()));
                Ok(Password { name, block, kind, password, rest })
            }
            _ => Err(Error::new(ErrorKind::FieldCount, whole(line))),
        }
    }

    /// The attributes of the block: key and value.
    ///
    /// # Errors
    ///
    /// One of them has no colon.
    pub fn attributes(&self) -> impl Iterator<Item = Result<(Field<'l>, Field<'l>), Error>> {
        let block = self.block;
        fields(block.text, b',').map(move |attribute| {
            let (from, to) = (attribute.span.start(), attribute.span.end());
            let Some(colon) = attribute.text.iter().position(|&b| b == b':') else {
                return Err(block.slice(from, to).error(ErrorKind::Attribute));
            };
            Ok((block.slice(from, from + colon), block.slice(from + colon + 1, to)))
        })
    }
}

impl fmt::Display for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{};{};{}", self.name, self.block, self.kind, self.password)?;
        self.rest.map_or(Ok(()), |rest| write!(f, ";{rest}"))
    }
}

/// A line of a `.crb`:
/// `name;trusted;subject;serial;key;exponent;code;time;cert;not-before;comment[;min[;max]]`.
#[derive(Clone, Debug)]
pub struct Certificate<'l> {
    /// The fields, 11 to 13.
    pub fields: Vec<Field<'l>>,
}

impl<'l> Certificate<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 11 or more than 13 fields.
    pub fn parse(line: &'l [u8]) -> Result<Certificate<'l>, Error> {
        let fields: Vec<_> = fields(line, b';').take(14).collect();
        match fields.len() {
            11..=13 => Ok(Certificate { fields }),
            _ => Err(Error::new(ErrorKind::FieldCount, whole(line))),
        }
    }
}

impl fmt::Display for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, field) in self.fields.iter().enumerate() {
            write!(f, "{}{field}", if at == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_the_line_back() {
        for line in ["PE:0x1", "PE:0x1:2:3", ":"] {
            assert_eq!(Feature::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        assert!(Feature::parse(b"PE").is_err());
        let line = "N;Engine:51-255,Container:CL_TYPE_ZIP;0;infected";
        let password = Password::parse(line.as_bytes()).unwrap();
        assert_eq!(password.to_string(), line);
        let attributes: Vec<_> = password.attributes().map(Result::unwrap).collect();
        assert_eq!(attributes[1].0.text, b"Container");
        assert_eq!(&line.as_bytes()[attributes[1].1.span.range()], b"CL_TYPE_ZIP");
        let longer = Password::parse(b"N;a;0;b;c;").unwrap();
        assert_eq!((longer.password.text, longer.to_string().as_str()), (&b"b"[..], "N;a;0;b;c;"));
        assert!(Password::parse(b"N;a;0").is_err());
        let line = "N;1;a;b;c;d;1;1;0;0;comment";
        assert_eq!(Certificate::parse(line.as_bytes()).unwrap().to_string(), line);
        assert!(Certificate::parse(b"N;1").is_err());
    }
}
