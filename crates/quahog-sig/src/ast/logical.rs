//! Logical signatures: `name;block;expression;subsignature;...`.

use std::fmt;

use memchr::{Memchr2, memchr, memchr_iter, memchr2_iter, memchr3};

use super::{Field, whole};
use crate::{Error, ErrorKind};

/// A line of an `.ldb`.
#[derive(Clone, Debug)]
pub struct Logical<'l> {
    /// The name.
    pub name: Field<'l>,
    /// The target description block, whole.
    pub block: Field<'l>,
    /// The logical expression.
    pub expression: Field<'l>,
    /// The subsignatures, 0 first.
    pub subsignatures: Vec<Field<'l>>,
}

/// `Key:value` in a target description block.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'l> {
    /// The key; case matters.
    pub key: Field<'l>,
    /// The value.
    pub value: Field<'l>,
}

/// A subsignature, told apart by its form.
#[derive(Clone, Copy, Debug)]
pub enum Subsignature<'l> {
    /// `ref(>>2#hb2#=0x1f)`
    ByteCompare(Field<'l>),
    /// `fuzzy_img#...`
    FuzzyImage(Field<'l>),
    /// `[offset:]pattern[::modifiers]`
    Hex {
        /// Where the pattern may start.
        offset: Option<Field<'l>>,
        /// The pattern, in the hex language.
        pattern: Field<'l>,
        /// Letters after `::`.
        modifiers: Option<Field<'l>>,
    },
    /// `${min-max}group$`
    Macro(Field<'l>),
    /// `[offset:]trigger/regex/[flags]`
    Pcre(Field<'l>),
}

impl<'l> Logical<'l> {
    /// Splits a line.
    ///
    /// From the third field on a `/` begins and ends a regular expression, in
    /// which `;` means nothing; `\/` does neither.
    ///
    /// # Errors
    ///
    /// Fewer than 4 fields.
    pub fn parse(line: &'l [u8]) -> Result<Logical<'l>, Error> {
        let too_few = || Error::new(ErrorKind::FieldCount, whole(line));
        let mut fields = Fields {
            line,
            start: 0,
            in_regex: false,
            marks: memchr2_iter(b'/', b';', line),
            number: 0,
        };
        let mut field = || fields.next().ok_or_else(too_few);
        let (name, block, expression, first) = (field()?, field()?, field()?, field()?);
        let mut subsignatures = Vec::with_capacity(4);
        subsignatures.push(first);
        subsignatures.extend(fields);
        Ok(Logical { name, block, expression, subsignatures })
    }

    /// The attributes of the target description block.
    ///
    /// # Errors
    ///
    /// One of them is not `Key:value`.
    pub fn attributes(&self) -> impl Iterator<Item = Result<Attribute<'l>, Error>> {
        let block = self.block;
        let mut start = 0;
        block.text.split(|&b| b == b',').map(move |text| {
            let whole = block.slice(start, start + text.len());
            start += text.len() + 1;
            match memchr(b':', text) {
                // An empty key is one that nobody knows.
                Some(at) => Ok(Attribute {
                    key: whole.slice(0, at),
                    value: whole.slice(at + 1, text.len()),
                }),
                None => Err(whole.error(ErrorKind::Attribute)),
            }
        })
    }
}

/// The fields of a line.
struct Fields<'l> {
    line: &'l [u8],
    /// Where `/` and `;` stand that were not looked at.
    marks: Memchr2<'l>,
    /// Where the next field begins; behind the line if there is none.
    start: usize,
    /// How many were given.
    number: usize,
    in_regex: bool,
}

impl<'l> Iterator for Fields<'l> {
    type Item = Field<'l>;

    fn next(&mut self) -> Option<Field<'l>> {
        let start = self.start;
        if start > self.line.len() {
            return None;
        }
        let end = loop {
            let Some(at) = self.marks.next() else { break self.line.len() };
            if self.line[at] == b';' {
                if !self.in_regex {
                    break at;
                }
            } else if self.number >= 2 && (at == 0 || self.line[at - 1] != b'\\') {
                self.in_regex = !self.in_regex;
            }
        };
        self.number += 1;
        self.start = end + 1;
        Some(Field::at(self.line, start, end))
    }
}

impl fmt::Display for Logical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{};{}", self.name, self.block, self.expression)?;
        for subsignature in &self.subsignatures {
            write!(f, ";{subsignature}")?;
        }
        Ok(())
    }
}

impl<'l> Subsignature<'l> {
    /// Tells the forms apart.
    pub fn parse(field: Field<'l>) -> Subsignature<'l> {
        let text = field.text;
        // Most are a pattern and nothing else.
        if text.first().is_some_and(u8::is_ascii_hexdigit)
            && memchr3(b'/', b'#', b':', text).is_none()
        {
            return Subsignature::Hex { offset: None, pattern: field, modifiers: None };
        }
        if memchr(b'/', text).is_some() {
            return Subsignature::Pcre(field);
        }
        if text.starts_with(b"fuzzy_img#") {
            return Subsignature::FuzzyImage(field);
        }
        if text.starts_with(b"${") {
            return Subsignature::Macro(field);
        }
        if memchr(b'#', text).is_some() && memchr(b'(', text).is_some() {
            return Subsignature::ByteCompare(field);
        }
        let mut colons = memchr_iter(b':', text).fuse();
        let end = text.len();
        let first_four: [Option<usize>; 4] = std::array::from_fn(|_| colons.next());
        let (offset, pattern, modifiers) = match first_four {
            [None, ..] => (None, field, None),
            [Some(a), None, ..] => (Some(field.slice(0, a)), field.slice(a + 1, end), None),
            // Whatever stands between the two colons means nothing.
            [Some(a), Some(b), None, _] => (None, field.slice(0, a), Some(field.slice(b + 1, end))),
            [Some(a), Some(b), Some(c), None] => {
                let pattern = field.slice(a + 1, b);
                (Some(field.slice(0, a)), pattern, Some(field.slice(c + 1, end)))
            }
            // `6162::i*6364::i` is the plain pattern `6162`: so says clamscan 1.4.6,
            // and a signature of main.ldb is written so.
            [Some(a), ..] => (None, field.slice(0, a), None),
        };
        Subsignature::Hex { offset, pattern, modifiers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_may_hold_semicolons() {
        let line = b"N;Target:0;0;6162;0/a;b\\/;c/i;6364";
        let logical = Logical::parse(line).unwrap();
        assert_eq!(logical.subsignatures.len(), 3);
        assert_eq!(logical.to_string().as_bytes(), line);
    }

    #[test]
    fn attributes_know_their_place() {
        let logical = Logical::parse(b"N;Engine:51-255,Target:7;0;6162").unwrap();
        let attributes: Vec<_> = logical.attributes().map(Result::unwrap).collect();
        assert_eq!(attributes[1].key.text, b"Target");
        assert_eq!(attributes[1].value.span.range(), 23..24);
        let logical = Logical::parse(b"N;Target:7,;0;6162").unwrap();
        assert!(logical.attributes().any(|a| a.is_err()));
    }

    #[test]
    fn forms_of_subsignatures_are_told_apart() {
        let parse = |text| {
            let line = Field { text, span: Span::new(0, text.len()) };
            Subsignature::parse(line)
        };
        use crate::Span;
        assert!(matches!(parse(b"0(>>2#hb2#=0x1f)"), Subsignature::ByteCompare(_)));
        assert!(matches!(parse(b"0&1/a:b/"), Subsignature::Pcre(_)));
        assert!(matches!(parse(b"${6-7}12$"), Subsignature::Macro(_)));
        let Subsignature::Hex { offset, pattern, modifiers } = parse(b"EOF-20:6162::iw") else {
            panic!("a hex subsignature");
        };
        assert_eq!(offset.unwrap().text, b"EOF-20");
        assert_eq!((pattern.text, modifiers.unwrap().text), (&b"6162"[..], &b"iw"[..]));
        // `6162:i` is offset "6162" and pattern "i", which is no pattern.
        assert!(matches!(parse(b"6162:i"), Subsignature::Hex { modifiers: None, .. }));
        let Subsignature::Hex { offset: None, pattern, modifiers: None } =
            parse(b"6162::i*6364::i")
        else {
            panic!("a plain pattern");
        };
        assert_eq!(pattern.text, b"6162");
    }
}
