//! Logical signatures: `name;block;expression;subsignature;...`.

use std::fmt;

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
        let mut fields = Vec::with_capacity(8);
        let mut start = 0;
        let mut in_regex = false;
        let mut before = 0;
        for (at, &byte) in line.iter().enumerate() {
            match byte {
                b'/' if fields.len() >= 2 && before != b'\\' => in_regex = !in_regex,
                b';' if !in_regex => {
                    fields.push(Field::at(line, start, at));
                    start = at + 1;
                }
                _ => {}
            }
            before = byte;
        }
        fields.push(Field::at(line, start, line.len()));
        let [name, block, expression, subsignatures @ ..] = fields.as_slice() else {
            return Err(Error::new(ErrorKind::FieldCount, whole(line)));
        };
        if subsignatures.is_empty() {
            return Err(Error::new(ErrorKind::FieldCount, whole(line)));
        }
        Ok(Logical {
            name: *name,
            block: *block,
            expression: *expression,
            subsignatures: subsignatures.to_vec(),
        })
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
            match memchr::memchr(b':', text) {
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
        if text.contains(&b'/') {
            return Subsignature::Pcre(field);
        }
        if text.starts_with(b"fuzzy_img#") {
            return Subsignature::FuzzyImage(field);
        }
        if text.starts_with(b"${") {
            return Subsignature::Macro(field);
        }
        if text.contains(&b'#') && text.contains(&b'(') {
            return Subsignature::ByteCompare(field);
        }
        let colons: Vec<usize> = memchr::memchr_iter(b':', text).collect();
        let end = text.len();
        let (offset, pattern, modifiers) = match *colons.as_slice() {
            [] => (None, field, None),
            [a] => (Some(field.slice(0, a)), field.slice(a + 1, end), None),
            // Whatever stands between the two colons means nothing.
            [a, b] => (None, field.slice(0, a), Some(field.slice(b + 1, end))),
            [a, b, c] => {
                let pattern = field.slice(a + 1, b);
                (Some(field.slice(0, a)), pattern, Some(field.slice(c + 1, end)))
            }
            // `6162::i*6364::i` is the plain pattern `6162`: so says clamscan 1.4.6,
            // and a signature of main.ldb is written so.
            [a, ..] => (None, field.slice(0, a), None),
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
