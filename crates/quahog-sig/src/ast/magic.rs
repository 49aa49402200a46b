//! File type magic: `kind:offset:magic:description:container:type[:min[:max]]`.

use std::fmt;

use super::{Field, fields, whole};
use crate::{Error, ErrorKind};

/// A line of an `.ftm`.
#[derive(Clone, Copy, Debug)]
pub struct Magic<'l> {
    /// 0 for bytes at a place, 1 for a pattern, 4 for a partition.
    pub kind: Field<'l>,
    /// Where.
    pub offset: Field<'l>,
    /// What, in hexadecimal or the hex language.
    pub magic: Field<'l>,
    /// What it is called.
    pub description: Field<'l>,
    /// The type that the layer must have so far.
    pub required: Field<'l>,
    /// The type that it gets.
    pub file_type: Field<'l>,
    /// The lowest functionality level.
    pub min_level: Option<Field<'l>>,
    /// The highest functionality level.
    pub max_level: Option<Field<'l>>,
}

impl<'l> Magic<'l> {
    /// Splits a line.
    ///
    /// # Errors
    ///
    /// Fewer than 6 or more than 8 fields.
    pub fn parse(line: &'l [u8]) -> Result<Magic<'l>, Error> {
        let wrong = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = fields(line, b':');
        let mut field = || fields.next().ok_or_else(wrong);
        let (kind, offset, magic) = (field()?, field()?, field()?);
        let (description, required, file_type) = (field()?, field()?, field()?);
        let (min_level, max_level) = (fields.next(), fields.next());
        if fields.next().is_some() {
            return Err(wrong());
        }
        Ok(Magic { kind, offset, magic, description, required, file_type, min_level, max_level })
    }
}

impl fmt::Display for Magic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Magic { kind, offset, magic, description, required, file_type, .. } = self;
        write!(f, "{kind}:{offset}:{magic}:{description}:{required}:{file_type}")?;
        for level in [self.min_level, self.max_level].into_iter().flatten() {
            write!(f, ":{level}")?;
        }
        Ok(())
    }
}
