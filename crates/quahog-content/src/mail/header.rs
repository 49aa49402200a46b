//! Header blocks: the few fields that say what a body is.
//!
//! [`Header::parse`] reads the lines before the first empty one and keeps what
//! it finds of `Content-Type`, `Content-Transfer-Encoding` and
//! `Content-Disposition`, *every* occurrence, because programs disagree on
//! which of two counts. Values are slices of the message with their folds in
//! them; they are taken apart when asked for.
//!
//! Junk lines are stepped over. A line of blanks is a fold, not the end, and a
//! line that begins with `--` ends a block whose empty line is missing.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::name;

/// More occurrences of one field than this are ignored: nobody reads them.
const MAX_FIELDS: usize = 16;

/// More boundaries of one multipart than this are ignored.
const MAX_BOUNDARIES: usize = 8;

/// More of one field than this is ignored (Python and Postfix stop far
/// earlier), so that asking twice for a value costs nothing that counts.
const MAX_VALUE: usize = 1 << 16;

/// What a header block says of its body.
#[derive(Clone, Debug, Default)]
pub(super) struct Header<'m> {
    types: Vec<&'m [u8]>,
    encodings: Vec<&'m [u8]>,
    dispositions: Vec<&'m [u8]>,
    /// Whether there was a line that is a header field at all.
    pub(super) any_field: bool,
    /// Where the first line is that is no field.
    pub(super) junk: Option<usize>,
}

/// A transfer encoding, as far as it changes bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Base64,
    BinHex,
    /// `8bit`, `binary`, or nothing said.
    Identity,
    QuotedPrintable,
    /// `7bit`, which liars use too: base64 that says so is base64 to ClamAV.
    SevenBit,
    /// A word that nobody knows: ClamAV tries base64 and quoted-printable.
    Unknown,
    Uuencode,
    Yenc,
}

impl<'m> Header<'m> {
    /// Parses the block at the start of `bytes`; also says where its body begins.
    pub(super) fn parse(bytes: &'m [u8]) -> (Header<'m>, usize) {
        Header::parse_block(bytes, true)
    }

    /// As [`parse`](Self::parse), for a block inside of a text: a line that is
    /// no field belongs to the body.
    pub(super) fn parse_fields(bytes: &'m [u8]) -> (Header<'m>, usize) {
        Header::parse_block(bytes, false)
    }

    fn parse_block(bytes: &'m [u8], junk: bool) -> (Header<'m>, usize) {
        let mut header = Header::default();
        let mut at = 0;
        while at < bytes.len() {
            let end = line_end(bytes, at);
            let line = trim_line(&bytes[at..end]);
            if line.is_empty() {
                return (header, end);
            }
            if line.starts_with(b"--") || !(junk || is_field_line(line)) {
                return (header, at);
            }
            // A field goes on over all lines that begin with a blank.
            let mut value_end = end;
            while matches!(bytes.get(value_end), Some(b' ' | b'\t')) {
                value_end = line_end(bytes, value_end);
            }
            let split = |mark: usize| (&line[..mark], &bytes[at + mark + 1..value_end]);
            let field = match memchr(b':', line).map(split) {
                Some((name, value)) if header.field(name, value) => true,
                // ClamAV reads `Content-Type text/html`, without the colon.
                _ => memchr2(b' ', b'\t', line)
                    .map(split)
                    .is_some_and(|(name, value)| is_kept(name) && header.field(name, value)),
            };
            if !field && header.junk.is_none() {
                header.junk = Some(at);
            }
            at = value_end;
        }
        (header, bytes.len())
    }

    /// Keeps a field; tells whether it is one.
    fn field(&mut self, name: &[u8], value: &'m [u8]) -> bool {
        // The name ends at a blank or at a comment, which some put before the colon.
        let end = name.iter().position(|&byte| byte == b'(').unwrap_or(name.len());
        let name = name[..end].trim_ascii();
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return false;
        }
        self.any_field = true;
        let fields = if name.eq_ignore_ascii_case(b"Content-Type") {
            &mut self.types
        } else if name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
            &mut self.encodings
        } else if name.eq_ignore_ascii_case(b"Content-Disposition") {
            &mut self.dispositions
        } else {
            return true;
        };
        if fields.len() < MAX_FIELDS {
            fields.push(&value[..value.len().min(MAX_VALUE)]);
        }
        true
    }

    /// The media types declared, in order, lower-case, without parameters.
    pub(super) fn media_types(&self) -> impl Iterator<Item = String> + '_ {
        self.types.iter().map(|value| media_type(value)).filter(|media| !media.is_empty())
    }

    /// Whether there is a `Content-Disposition`.
    pub(super) fn has_disposition(&self) -> bool {
        !self.dispositions.is_empty()
    }

    /// The transfer encodings declared, each once. Identity is there only if
    /// nothing else is.
    pub(super) fn encodings(&self) -> Vec<Encoding> {
        let mut found = Vec::new();
        for value in &self.encodings {
            for encoding in encodings_in(value) {
                if !found.contains(&encoding) {
                    found.push(encoding);
                }
            }
        }
        let plain = |encoding: &Encoding| {
            matches!(encoding, Encoding::Identity | Encoding::SevenBit | Encoding::Unknown)
        };
        if !found.iter().all(plain) {
            found.retain(|encoding| !plain(encoding));
            return found;
        }
        let strongest = [Encoding::Unknown, Encoding::SevenBit, Encoding::Identity]
            .into_iter()
            .find(|encoding| found.contains(encoding));
        vec![strongest.unwrap_or(Encoding::Identity)]
    }

    /// Whether two transfer encodings are declared that give other bytes.
    pub(super) fn has_two_encodings(&self) -> bool {
        let as_it_is = |encoding| matches!(encoding, Encoding::Identity | Encoding::SevenBit);
        let mut all = self.encodings.iter().flat_map(|value| encodings_in(value));
        let Some(first) = all.next() else { return false };
        all.any(|other| other != first && !(as_it_is(first) && as_it_is(other)))
    }

    /// Whether two media types are declared.
    pub(super) fn has_two_types(&self) -> bool {
        self.types.len() > 1 && {
            let mut all = self.media_types();
            let first = all.next();
            all.any(|other| Some(&other) != first.as_ref())
        }
    }

    /// Whether an encoding is declared that changes bytes.
    pub(super) fn changes_bytes(&self) -> bool {
        !matches!(
            self.encodings()[..],
            [Encoding::Identity | Encoding::SevenBit | Encoding::Unknown]
        )
    }

    /// Every text that some program takes for the boundary, each once.
    ///
    /// Looked for in `Content-Disposition` too, where it is no use to anyone
    /// but found by those who search the header for the word.
    pub(super) fn boundaries(&self) -> Vec<Cow<'m, [u8]>> {
        let mut found: Vec<Cow<'m, [u8]>> = Vec::new();
        let mut add = |candidate: Cow<'m, [u8]>| {
            // Blanks at the end are not part of it: transport adds and drops them.
            let candidate = match candidate {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_end()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii_end().to_vec()),
            };
            if !candidate.is_empty() && found.len() < MAX_BOUNDARIES && !found.contains(&candidate)
            {
                found.push(candidate);
            }
        };
        for &value in self.types.iter().chain(&self.dispositions) {
            if let Some(joined) = parameter(value, b"boundary").next() {
                add(joined.bytes);
            }
            for text in loose_values(value, b"boundary") {
                for reading in readings(text) {
                    add(reading);
                }
            }
        }
        found
    }

    /// The name of the body: `filename=` of the disposition, else `name=` of
    /// the type, and of two the first.
    pub(super) fn name(&self) -> Option<String> {
        let mut names = self.names();
        names.find_map(|parameter| decoded_name(&parameter))
    }

    /// Whether there is another name than this one, with another suffix. Names
    /// that differ in their letters alone are written by honest programs, for
    /// readers that know no other letters than those of ASCII.
    pub(super) fn has_other_suffix(&self, name: &str) -> bool {
        let suffix = |name: &str| name.trim_end().rsplit('.').next().map(str::to_ascii_lowercase);
        // Most messages say the same name twice, in the same bytes.
        self.names()
            .filter(|parameter| parameter.bytes.as_ref() != name.as_bytes())
            .any(|other| decoded_name(&other).is_some_and(|other| suffix(&other) != suffix(name)))
    }

    /// The parameters that name the body, those first that count first.
    fn names(&self) -> impl Iterator<Item = Parameter<'m>> + '_ {
        let filename = self.dispositions.iter().flat_map(|value| parameter(value, b"filename"));
        let name = self.types.iter().flat_map(|value| parameter(value, b"name"));
        // Some put each of them into the other field.
        let swapped = self.dispositions.iter().flat_map(|value| parameter(value, b"name"));
        let swapped =
            swapped.chain(self.types.iter().flat_map(|value| parameter(value, b"filename")));
        filename.chain(name).chain(swapped)
    }

    /// Whether a parameter of a `Content-Type` has this value, in any case.
    pub(super) fn type_parameter_is(&self, name: &[u8], expected: &[u8]) -> bool {
        self.types
            .iter()
            .flat_map(|value| parameter(value, name))
            .any(|parameter| parameter.bytes.trim_ascii().eq_ignore_ascii_case(expected))
    }
}

/// The text of a parameter that is a name; `None` if there is none.
fn decoded_name(parameter: &Parameter<'_>) -> Option<String> {
    let name = name::decode(&parameter.bytes, parameter.charset.as_deref());
    (!name.is_empty()).then_some(name)
}

/// Whether a name is one of the fields that are kept.
fn is_kept(name: &[u8]) -> bool {
    [b"Content-Type".as_slice(), b"Content-Transfer-Encoding", b"Content-Disposition"]
        .iter()
        .any(|kept| name.eq_ignore_ascii_case(kept))
}

/// The end of the line at `at`, after its LF.
pub(super) fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(|rest| memchr(b'\n', rest)).map_or(bytes.len(), |lf| at + lf + 1)
}

/// A line without its end: LF, and any number of CR before it.
pub(super) fn trim_line(line: &[u8]) -> &[u8] {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// Whether a line looks like the first of a field: a name and a colon.
pub(super) fn is_field_line(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| matches!(byte, b'!'..=b'9' | b';'..=b'~')).count();
    name > 0 && line.get(name) == Some(&b':')
}

/// `type/subtype` at the start of a `Content-Type`, lower-case.
fn media_type(value: &[u8]) -> String {
    let mut depth = 0_usize;
    let mut media = String::new();
    for &byte in value {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b';' | b',' => break,
            // `boundary=x` without a type, or without the semicolon.
            b'=' => return String::new(),
            // "multipart / mixed" is one type, "text/html charset" is not.
            b' ' | b'\t' | b'\r' | b'\n' if media.contains('/') && !media.ends_with('/') => break,
            // Quotes and junk are no part of a type.
            b'!' | b'#'..=b'&' | b'*'..=b'~' => media.push(char::from(byte.to_ascii_lowercase())),
            _ => {}
        }
        // RFC 6838 ends both halves at 127.
        if media.len() > 255 {
            break;
        }
    }
    media
}

/// The encodings that a value names: `base64`, `7bit, base64`, `"base-64"`.
fn encodings_in(value: &[u8]) -> Vec<Encoding> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut word = Vec::new();
    // A separator after the last byte ends the last word.
    for &byte in value.iter().chain(b" ") {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            // Hyphens are where writers differ: `base-64`, `quotedprintable`.
            b'-' | b'_' | b'"' | b'\'' => {}
            b'!'..=b'~' if byte != b',' && byte != b';' => {
                if word.len() < 32 {
                    word.push(byte.to_ascii_lowercase());
                }
            }
            _ if word.is_empty() => {}
            _ => {
                let plain = word.strip_prefix(b"x").unwrap_or(&word);
                found.push(match plain {
                    b"base64" | b"b64" => Encoding::Base64,
                    b"quotedprintable" | b"qp" => Encoding::QuotedPrintable,
                    b"uuencode" | b"uue" | b"uu" => Encoding::Uuencode,
                    b"yencode" | b"yenc" => Encoding::Yenc,
                    b"binhex" | b"binhex40" | b"binhex4" | b"macbinhex40" => Encoding::BinHex,
                    b"7bit" => Encoding::SevenBit,
                    b"8bit" | b"binary" => Encoding::Identity,
                    _ => Encoding::Unknown,
                });
                word.clear();
            }
        }
    }
    found
}

/// A parameter with its RFC 2231 pieces joined.
struct Parameter<'m> {
    bytes: Cow<'m, [u8]>,
    /// The charset that RFC 2231 names.
    charset: Option<Vec<u8>>,
}

/// The parameters of one name: the RFC 2231 form first, then each plain one.
fn parameter<'m>(value: &'m [u8], wanted: &[u8]) -> impl Iterator<Item = Parameter<'m>> + use<'m> {
    let mut plain = Vec::new();
    let mut pieces: Vec<(u32, bool, Cow<'m, [u8]>)> = Vec::new();
    for (name, text) in (Parameters { rest: value, naive: false }) {
        let (stem, suffix) = match memchr(b'*', name) {
            Some(star) => (&name[..star], Some(&name[star + 1..])),
            None => (name, None),
        };
        if !stem.trim_ascii().eq_ignore_ascii_case(wanted) {
            continue;
        }
        let text = unquote(text);
        let Some(suffix) = suffix else {
            plain.push(Parameter { bytes: text, charset: None });
            continue;
        };
        let suffix = suffix.trim_ascii();
        let encoded = suffix.is_empty() || suffix.ends_with(b"*");
        let digits = suffix.strip_suffix(b"*").unwrap_or(suffix);
        let number = digits.iter().try_fold(0_u32, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        });
        pieces.push((number.unwrap_or(u32::MAX), encoded, text));
    }
    // Pieces may come in any order; of two with one number the first counts.
    pieces.sort_by_key(|piece| piece.0);
    pieces.dedup_by_key(|piece| piece.0);
    let joined = (!pieces.is_empty()).then(|| {
        let mut bytes = Vec::new();
        let mut charset = None;
        for (index, (_, encoded, text)) in pieces.iter().enumerate() {
            let mut text: &[u8] = text;
            if *encoded && index == 0 {
                let mut marks = text.splitn(3, |&byte| byte == b'\'');
                if let (Some(name), Some(_), Some(rest)) =
                    (marks.next(), marks.next(), marks.next())
                {
                    charset = Some(name.to_vec());
                    text = rest;
                }
            }
            if *encoded {
                name::percent(text, &mut bytes);
            } else {
                bytes.extend_from_slice(text);
            }
        }
        Parameter { bytes: Cow::Owned(bytes), charset }
    });
    joined.into_iter().chain(plain)
}

/// Iterates over `name=text` between semicolons, outside of quotes and comments.
struct Parameters<'m> {
    rest: &'m [u8],
    /// Whether quotes and comments no longer count, because one never ends.
    naive: bool,
}

impl<'m> Iterator for Parameters<'m> {
    type Item = (&'m [u8], &'m [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = if self.naive { None } else { segment_end(self.rest) };
            // What never ends hides nothing behind it. Told once, this keeps
            // the time linear.
            self.naive = end.is_none();
            let end = end.unwrap_or_else(|| memchr(b';', self.rest).unwrap_or(self.rest.len()));
            let segment = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if let Some(equals) = memchr(b'=', segment) {
                // A missing semicolon leaves the type, or a comment, before the name.
                let name = segment[..equals].trim_ascii();
                let start = name
                    .iter()
                    .rposition(|byte| byte.is_ascii_whitespace() || *byte == b')')
                    .map_or(0, |at| at + 1);
                return Some((&name[start..], segment[equals + 1..].trim_ascii()));
            }
        }
        None
    }
}

/// Where the segment at the start of `value` ends; `None` if a quote or comment
/// in it never does.
fn segment_end(value: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match byte {
            b'\\' if quoted || depth > 0 => at += 1,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b';' if !quoted && depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    (!quoted && depth == 0).then_some(value.len())
}

/// The text of a value: without its quotes, escapes and folds.
fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let text = text.trim_ascii();
    let Some(inner) = text.strip_prefix(b"\"") else {
        return Cow::Borrowed(without_comment(text));
    };
    let mut plain = Vec::new();
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => plain.extend(bytes.next()),
            // A fold is a blank that was there before.
            b'\r' | b'\n' => {}
            _ => plain.push(byte),
        }
    }
    Cow::Owned(plain)
}

/// An unquoted value without a comment after it.
fn without_comment(text: &[u8]) -> &[u8] {
    match text.windows(2).position(|pair| matches!(pair, b" (" | b"\t(")) {
        Some(at) => text[..at].trim_ascii(),
        None => text,
    }
}

/// What stands after each `name=` anywhere in a value, up to its line's end.
fn loose_values<'m>(value: &'m [u8], name: &[u8]) -> Vec<&'m [u8]> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(equals) = value.get(at..).and_then(|rest| memchr(b'=', rest)) {
        let equals = at + equals;
        let before = value[..equals].trim_ascii_end();
        if before.len() >= name.len()
            && before[before.len() - name.len()..].eq_ignore_ascii_case(name)
            && found.len() < MAX_BOUNDARIES
        {
            let rest = value[equals + 1..].trim_ascii_start();
            found.push(&rest[..memchr(b'\n', rest).unwrap_or(rest.len())]);
        }
        at = equals + 1;
    }
    found
}

/// The readings of a boundary that stands at the start of `text`.
fn readings(text: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let text = text.trim_ascii_end();
    let until = |text: &'_ [u8], stop: &[u8]| {
        text.iter().position(|byte| stop.contains(byte)).unwrap_or(text.len())
    };
    if let Some(inner) = text.strip_prefix(b"\"") {
        let end = until(inner, b"\"");
        let raw = &inner[..end];
        vec![
            unquote(text),
            Cow::Borrowed(raw),
            // `"X;"`, and a quote that never ends.
            Cow::Borrowed(&raw[..until(raw, b";")]),
            Cow::Borrowed(raw.trim_ascii()),
        ]
    } else {
        let whole = &text[..until(text, b";")];
        let word = &text[..until(text, b"; \t,\"")];
        let mut found = vec![Cow::Borrowed(word), Cow::Borrowed(whole)];
        if let Some(inner) = text.strip_prefix(b"'") {
            found.push(Cow::Borrowed(&inner[..until(inner, b"'")]));
        }
        found
    }
}
