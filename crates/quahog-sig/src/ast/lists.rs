//! Ignore lists: `name`, `name:md5`, or the old `database:line:name`.

use super::{fields, whole};
use crate::{Error, ErrorKind};

/// A line of an `.ign` or `.ign2`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ignore<'l> {
    /// The name of the signature to leave out, taken literally.
    pub name: &'l [u8],
    /// If given, only the definition whose line has this MD5 is left out.
    pub line_md5: Option<[u8; 16]>,
}

impl<'l> Ignore<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// More than 3 fields, an empty name, or a digest that is none.
    pub fn parse(line: &'l [u8]) -> Result<Ignore<'l>, Error> {
        let mut fields = fields(line, b':');
        // `split` hands out at least one field, be it empty.
        let Some(first) = fields.next() else {
            return Err(Error::new(ErrorKind::NameEmpty, whole(line)));
        };
        let (name, line_md5) = match (fields.next(), fields.next(), fields.next()) {
            (None, ..) => (first, None),
            (Some(md5), None, _) => {
                let mut digest = [0; 16];
                if md5.text.len() != 32 {
                    return Err(md5.error(ErrorKind::HashLength));
                }
                if !crate::body::decode_hex(md5.text, &mut digest) {
                    return Err(md5.error(ErrorKind::HexDigit));
                }
                (first, Some(digest))
            }
            (Some(_), Some(name), None) => (name, None),
            _ => return Err(Error::new(ErrorKind::FieldCount, whole(line))),
        };
        if name.text.is_empty() {
            return Err(name.error(ErrorKind::NameEmpty));
        }
        Ok(Ignore { name: name.text, line_md5 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_told_apart_by_their_fields() {
        assert_eq!(Ignore::parse(b"A").unwrap(), Ignore { name: b"A", line_md5: None });
        assert_eq!(Ignore::parse(b"db:1:A").unwrap().name, b"A");
        let pinned = Ignore::parse(b"A:000102030405060708090a0b0c0d0e0F").unwrap();
        assert_eq!(pinned.line_md5.unwrap()[15], 15);
        assert!(Ignore::parse(b"A:zz").is_err());
        assert!(Ignore::parse(b"").is_err());
        assert!(Ignore::parse(b"a:b:c:d").is_err());
    }
}
