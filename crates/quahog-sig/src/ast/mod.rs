//! Syntax: what a line says, borrowed from it, with the place of each field.
//!
//! A value of this module lives as long as its line. Everything that can be
//! written down is accepted here; what it means, and whether it means
//! anything, is decided by [`SetBuilder`](crate::SetBuilder). `Display` gives
//! the line back.

mod bytecode;
mod container;
mod exe;
mod extended;
mod hash;
mod lists;
mod logical;
mod magic;
mod phishing;
mod settings;
mod subsignature;

use std::fmt;

use crate::{Error, ErrorKind, Format, Grammar, Span};

pub use bytecode::Bytecode;
pub use container::{Container, ZipRar};
pub use exe::{Icon, SectionHash};
pub use extended::{Extended, Simple};
pub use hash::FileHash;
pub use lists::Ignore;
pub use logical::{Attribute, Logical, Subsignature};
pub use magic::Magic;
pub use phishing::Phishing;
pub(crate) use phishing::levels_of;
pub use settings::{Certificate, Feature, Password};
pub use subsignature::{ByteCompare, FuzzyImage, Macro, Pcre};

/// A field of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'l> {
    /// Its bytes.
    pub text: &'l [u8],
    /// Its place in the line.
    pub span: Span,
}

impl<'l> Field<'l> {
    /// The field of `line` at `range`, which must lie inside.
    fn at(line: &'l [u8], start: usize, end: usize) -> Field<'l> {
        Field { text: line.get(start..end).unwrap_or_default(), span: Span::new(start, end) }
    }

    /// An error about the whole field.
    pub fn error(self, kind: ErrorKind) -> Error {
        Error::new(kind, self.span)
    }

    /// Reads a *number*: digits, or nothing at all, which is 0.
    ///
    /// # Errors
    ///
    /// `kind`, if anything else stands there.
    pub fn number(self, kind: ErrorKind) -> Result<u32, Error> {
        number(self.text).ok_or(self.error(kind))
    }

    /// A part of this field.
    pub fn slice(self, start: usize, end: usize) -> Field<'l> {
        Field {
            text: self.text.get(start..end).unwrap_or_default(),
            span: Span::new(self.span.start() + start, self.span.start() + end),
        }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&String::from_utf8_lossy(self.text), f)
    }
}

/// Digits as a number; nothing is 0, and what is too large is `u32::MAX`.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, b| {
        b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u32::from(b - b'0')))
    })
}

/// Splits a line at a separator.
pub(crate) fn fields(line: &[u8], separator: u8) -> impl Iterator<Item = Field<'_>> {
    let mut start = 0;
    memchr::memchr_iter(separator, line).chain([line.len()]).map(move |end| {
        let field = Field::at(line, start, end);
        start = end + 1;
        field
    })
}

/// A whole line.
fn whole(line: &[u8]) -> Span {
    Span::new(0, line.len())
}

/// One parsed line.
#[derive(Clone, Debug)]
pub enum Record<'l> {
    /// `.crb`
    Certificate(Certificate<'l>),
    /// `.cdb`
    Container(Container<'l>),
    /// `.ndb`, `.ndu`
    Extended(Extended<'l>),
    /// `.cfg`
    Feature(Feature<'l>),
    /// `.hdb`, `.hsb`, `.fp`, `.imp`, ..., and what an `.ioc` amounts to
    FileHash(FileHash<'l>),
    /// `.idb`
    Icon(Icon<'l>),
    /// `.ign`, `.ign2`
    Ignore(Ignore<'l>),
    /// `.ldb`, `.ldu`
    Logical(Logical<'l>),
    /// `.ftm`
    Magic(Magic<'l>),
    /// `.mdb`, `.msb`, `.mdu`, `.msu`
    SectionHash(SectionHash<'l>),
    /// `.pwdb`
    Password(Password<'l>),
    /// `.pdb`, `.wdb`, `.gdb`
    Phishing(Phishing<'l>),
    /// `.db`
    Simple(Simple<'l>),
    /// `.zmd`, `.rmd`
    ZipRar(ZipRar<'l>),
}

impl<'l> Record<'l> {
    /// Parses a line of a format that [is read](Format::is_read).
    ///
    /// # Errors
    ///
    /// The fields are too few or too many, or the format is not read.
    pub fn parse(format: Format, line: &'l [u8]) -> Result<Record<'l>, Error> {
        match format.grammar() {
            Grammar::Certificate => Certificate::parse(line).map(Record::Certificate),
            Grammar::Container => Container::parse(line).map(Record::Container),
            Grammar::Extended => Extended::parse(line).map(Record::Extended),
            Grammar::Feature => Feature::parse(line).map(Record::Feature),
            Grammar::FileHash | Grammar::AllowHash | Grammar::ImportHash | Grammar::Ioc => {
                FileHash::parse(line).map(Record::FileHash)
            }
            Grammar::Icon => Icon::parse(line).map(Record::Icon),
            Grammar::Ignore => Ignore::parse(line).map(Record::Ignore),
            Grammar::Logical => Logical::parse(line).map(Record::Logical),
            Grammar::Magic => Magic::parse(line).map(Record::Magic),
            Grammar::SectionHash => SectionHash::parse(line).map(Record::SectionHash),
            Grammar::Password => Password::parse(line).map(Record::Password),
            Grammar::Phishing => Phishing::parse(line).map(Record::Phishing),
            Grammar::Simple => Simple::parse(line).map(Record::Simple),
            Grammar::ZipRar => ZipRar::parse(line).map(Record::ZipRar),
            _ => Err(Error::new(ErrorKind::Unsupported(format.extension()), whole(line))),
        }
    }
}
