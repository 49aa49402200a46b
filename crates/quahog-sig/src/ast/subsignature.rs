//! The forms of subsignatures beside hex, cut into fields.

use super::Field;
use crate::{Error, ErrorKind};

/// `ref(>>off#opts len#cmp,cmp)`
#[derive(Clone, Copy, Debug)]
pub struct ByteCompare<'l> {
    /// The number of the subsignature whose last match is counted from.
    pub reference: Field<'l>,
    /// `>>2`, `<<2`, `0` or nothing.
    pub offset: Field<'l>,
    /// The letters and the length: `hb2`.
    pub options: Field<'l>,
    /// One comparison or two.
    pub comparisons: Field<'l>,
}

/// `fuzzy_img#hash` or `fuzzy_img#hash#distance`
#[derive(Clone, Copy, Debug)]
pub struct FuzzyImage<'l> {
    /// The hash, in hex.
    pub hash: Field<'l>,
    /// How many bits may differ.
    pub distance: Option<Field<'l>>,
}

/// `${min-max}group$`
#[derive(Clone, Copy, Debug)]
pub struct Macro<'l> {
    /// The smallest distance.
    pub min: Field<'l>,
    /// The largest distance.
    pub max: Field<'l>,
    /// The number of the group.
    pub group: Field<'l>,
}

/// `[offset:]trigger/regex/[flags]`
#[derive(Clone, Copy, Debug)]
pub struct Pcre<'l> {
    /// Where the match may start.
    pub offset: Option<Field<'l>>,
    /// An expression over earlier subsignatures.
    pub trigger: Field<'l>,
    /// The regular expression.
    pub regex: Field<'l>,
    /// Letters after it.
    pub flags: Field<'l>,
}

impl<'l> ByteCompare<'l> {
    /// Cuts the fields; whatever stands behind the `)` means nothing.
    ///
    /// # Errors
    ///
    /// A parenthesis or a `#` is missing.
    pub fn parse(field: Field<'l>) -> Result<ByteCompare<'l>, Error> {
        let text = field.text;
        let open = find(text, b'(').ok_or(field.error(ErrorKind::Expected(b'(')))?;
        let close = memchr::memrchr(b')', text).filter(|&at| at > open);
        let close = close.ok_or(field.error(ErrorKind::Expected(b')')))?;
        let inside = field.slice(open + 1, close);
        let missing = inside.error(ErrorKind::Expected(b'#'));
        let first = find(inside.text, b'#').ok_or(missing)?;
        let second = first + 1 + find(&inside.text[first + 1..], b'#').ok_or(missing)?;
        Ok(ByteCompare {
            reference: field.slice(0, open),
            offset: inside.slice(0, first),
            options: inside.slice(first + 1, second),
            comparisons: inside.slice(second + 1, inside.text.len()),
        })
    }
}

impl<'l> FuzzyImage<'l> {
    /// Cuts the fields.
    ///
    /// # Errors
    ///
    /// The prefix is missing.
    pub fn parse(field: Field<'l>) -> Result<FuzzyImage<'l>, Error> {
        let prefix = b"fuzzy_img#".len();
        if !field.text.starts_with(b"fuzzy_img#") {
            return Err(field.error(ErrorKind::Expected(b'#')));
        }
        let rest = field.slice(prefix, field.text.len());
        Ok(match find(rest.text, b'#') {
            None => FuzzyImage { hash: rest, distance: None },
            Some(at) => FuzzyImage {
                hash: rest.slice(0, at),
                // What stands behind a third `#` means nothing.
                distance: Some({
                    let distance = rest.slice(at + 1, rest.text.len());
                    let end = find(distance.text, b'#').unwrap_or(distance.text.len());
                    distance.slice(0, end)
                }),
            },
        })
    }
}

impl<'l> Macro<'l> {
    /// Cuts the fields.
    ///
    /// # Errors
    ///
    /// A brace, the hyphen or the last `$` is missing.
    pub fn parse(field: Field<'l>) -> Result<Macro<'l>, Error> {
        let text = field.text;
        let expected = |byte| field.error(ErrorKind::Expected(byte));
        if !text.starts_with(b"${") {
            return Err(expected(b'{'));
        }
        let close = find(text, b'}').ok_or(expected(b'}'))?;
        let hyphen = find(&text[..close], b'-').ok_or(expected(b'-'))?;
        let end = text.len() - 1;
        if end <= close || text[end] != b'$' {
            return Err(expected(b'$'));
        }
        Ok(Macro {
            min: field.slice(2, hyphen),
            max: field.slice(hyphen + 1, close),
            group: field.slice(close + 1, end),
        })
    }
}

impl<'l> Pcre<'l> {
    /// Cuts the fields: the first and the last `/` enclose the expression, and
    /// what stands behind `::` after it means nothing.
    ///
    /// # Errors
    ///
    /// There are no two slashes.
    pub fn parse(field: Field<'l>) -> Result<Pcre<'l>, Error> {
        let text = field.text;
        let missing = field.error(ErrorKind::Expected(b'/'));
        let first = find(text, b'/').ok_or(missing)?;
        let last = memchr::memrchr(b'/', text).filter(|&at| at > first).ok_or(missing)?;
        let before = field.slice(0, first);
        let (offset, trigger) = match find(before.text, b':') {
            Some(at) => (Some(before.slice(0, at)), before.slice(at + 1, first)),
            None => (None, before),
        };
        let after = field.slice(last + 1, text.len());
        let flags = memchr::memmem::find(after.text, b"::").unwrap_or(after.text.len());
        Ok(Pcre {
            offset,
            trigger,
            regex: field.slice(first + 1, last),
            flags: after.slice(0, flags),
        })
    }
}

fn find(text: &[u8], byte: u8) -> Option<usize> {
    memchr::memchr(byte, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn field(text: &[u8]) -> Field<'_> {
        Field { text, span: Span::new(10, 10 + text.len()) }
    }

    #[test]
    fn fields_know_their_place() {
        let pcre = Pcre::parse(field(b"6,2:0&1/a\\/b/gi::x")).unwrap();
        assert_eq!(pcre.offset.unwrap().text, b"6,2");
        assert_eq!((pcre.trigger.text, pcre.flags.text), (&b"0&1"[..], &b"gi"[..]));
        assert_eq!((pcre.regex.text, pcre.regex.span.range()), (&b"a\\/b"[..], 18..22));
        let compare = ByteCompare::parse(field(b"0(>>2#hb2#=0x1f,<9)rest")).unwrap();
        assert_eq!((compare.reference.text, compare.offset.text), (&b"0"[..], &b">>2"[..]));
        assert_eq!(compare.comparisons.span.range(), 20..28);
        let found = Macro::parse(field(b"${6-7}12$")).unwrap();
        assert_eq!((found.min.text, found.group.text), (&b"6"[..], &b"12"[..]));
        let image = FuzzyImage::parse(field(b"fuzzy_img#ab#0")).unwrap();
        assert_eq!(image.distance.unwrap().text, b"0");
    }

    #[test]
    fn what_is_missing() {
        assert!(Pcre::parse(field(b"0/a")).is_err());
        assert!(ByteCompare::parse(field(b"0)2#hb2#=1(")).is_err());
        assert!(ByteCompare::parse(field(b"0(2#hb2=1)")).is_err());
        assert!(Macro::parse(field(b"${6}12$")).is_err());
        assert!(Macro::parse(field(b"${6-7}12")).is_err());
    }
}
