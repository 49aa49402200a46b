//! What is encoded inside of a text: uuencode, yEnc, BinHex, and bodies with
//! header fields of their own.
//!
//! [`find`] looks at the first bytes of each line of a text and gives the
//! places where something begins, each with the bytes that it spans. What it
//! gives never overlaps, so decoding all of it takes time linear in the text.

use std::ops::Range;

use super::header::{Header, is_field_line, line_end, trim_line};
use super::transfer::Fit;

/// Something encoded in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Embedded {
    pub(super) kind: Kind,
    /// The name that stands beside it, as bytes of the text.
    pub(super) name: Range<usize>,
    /// Where its encoded bytes are.
    pub(super) body: Range<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    BinHex,
    /// A header block (`name` spans it) with a body.
    Entity,
    Uuencode,
    Yenc,
}

/// The first thing embedded in `text` at or after the line start `from`, and
/// where to look for the next.
pub(super) fn find(text: &[u8], from: usize) -> Option<(Embedded, usize)> {
    let mut at = from;
    while at < text.len() {
        let end = line_end(text, at);
        let found = match text[at] {
            b'b' => uuencode(text, at, end),
            b'=' => yenc(text, at, end),
            b'(' => binhex(text, at, end),
            b'C' | b'c' => entity(text, at),
            _ => Step::Nothing(end),
        };
        match found {
            Step::Found(embedded, next) => return Some((embedded, next)),
            Step::Nothing(next) => at = next,
        }
    }
    None
}

/// Where to go on after a line, with or without something found there.
enum Step {
    Found(Embedded, usize),
    Nothing(usize),
}

/// `begin 644 name`: the mode has three or four octal digits.
fn uuencode(text: &[u8], at: usize, end: usize) -> Step {
    let Some(name) = uu_name(trim_line(&text[at..end])) else { return Step::Nothing(end) };
    let name_end = at + trim_line(&text[at..end]).len();
    let mut line_start = end;
    // The search goes on after the last line that is data: whatever else stands
    // in between may hide something.
    let mut data_end = end;
    while line_start < text.len() {
        let next = line_end(text, line_start);
        let line = trim_line(&text[line_start..next]);
        if line == b"end" || uu_name(line).is_some() {
            break;
        }
        match uu_length(line) {
            Some(0) => break,
            Some(_) => data_end = next,
            None => {}
        }
        line_start = next;
    }
    if data_end == end {
        return Step::Nothing(end);
    }
    let embedded = Embedded {
        kind: Kind::Uuencode,
        name: name_end - name.len()..name_end,
        body: end..data_end,
    };
    Step::Found(embedded, data_end)
}

fn uu_name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let name = rest[digits..].strip_prefix(b" ")?;
    (matches!(digits, 3 | 4) && !name.starts_with(b" ")).then_some(name)
}

/// The number of bytes on a uuencoded line; `None` if it is none.
fn uu_length(line: &[u8]) -> Option<usize> {
    let (&first, rest) = line.split_first()?;
    if !(b' '..=b'`').contains(&first) {
        return None;
    }
    let length = usize::from((first - b' ') & 63);
    let letters = length.div_ceil(3) * 4;
    // Transport drops blanks at line ends, and some encoders add a checksum.
    let plausible = rest.len() <= letters + 2
        && rest.iter().all(|letter| (b' '..=b'`').contains(letter))
        && (length == 0 || !rest.is_empty());
    plausible.then_some(length)
}

/// Decodes the data lines of a uuencoded file; others are stepped over.
pub(super) fn decode_uu(body: &[u8], room: usize, out: &mut Vec<u8>) -> Fit {
    let limit = out.len().saturating_add(room);
    let mut at = 0;
    while at < body.len() {
        let end = line_end(body, at);
        let line = trim_line(&body[at..end]);
        at = end;
        let Some(length) = uu_length(line) else { continue };
        let line_limit = out.len() + length;
        for group in line[1..].chunks(4) {
            // Blanks that transport dropped are zeros.
            let letter =
                |index: usize| u32::from((group.get(index).copied().unwrap_or(b' ') - b' ') & 63);
            let bits = letter(0) << 18 | letter(1) << 12 | letter(2) << 6 | letter(3);
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        out.resize(line_limit, 0);
        if out.len() > limit {
            out.truncate(limit);
            return Fit::Cut;
        }
    }
    Fit::Whole
}

/// `=ybegin line=128 size=617 name=p.bin`, to `=yend` or the end.
fn yenc(text: &[u8], at: usize, end: usize) -> Step {
    let line = trim_line(&text[at..end]);
    if !line.starts_with(b"=ybegin ") {
        return Step::Nothing(end);
    }
    let name =
        line.windows(6).position(|window| window == b" name=").map_or(line.len(), |at| at + 6);
    let mut data_start = end;
    let mut line_start = end;
    while line_start < text.len() {
        let next = line_end(text, line_start);
        let rest = &text[line_start..next];
        if rest.starts_with(b"=ypart ") && line_start == data_start {
            data_start = next;
        } else if rest.starts_with(b"=yend") || rest.starts_with(b"=ybegin ") {
            break;
        }
        line_start = next;
    }
    let embedded = Embedded {
        kind: Kind::Yenc,
        name: at + name..at + line.len(),
        body: data_start..line_start,
    };
    Step::Found(embedded, line_start)
}

/// Decodes the data lines of a yEnc file.
pub(super) fn decode_yenc(body: &[u8], room: usize, out: &mut Vec<u8>) -> Fit {
    let limit = out.len().saturating_add(room);
    let mut bytes = body.iter();
    while let Some(&byte) = bytes.next() {
        let byte = match byte {
            b'\r' | b'\n' => continue,
            // clamscan 1.4.6 forgets the 42 after an escape, so hash signatures
            // miss most files there. This is what encoders write.
            b'=' => match bytes.next() {
                Some(escaped) => escaped.wrapping_sub(64),
                None => break,
            },
            _ => byte,
        };
        if out.len() >= limit {
            return Fit::Cut;
        }
        out.push(byte.wrapping_sub(42));
    }
    Fit::Whole
}

/// `(This file must be converted with BinHex 4.0)`, then `:` to `:`.
fn binhex(text: &[u8], at: usize, end: usize) -> Step {
    if !text[at..end].starts_with(b"(This file must be converted with BinHex") {
        return Step::Nothing(end);
    }
    // Only line ends stand between this line and the colon.
    let colon = text[end..].iter().take_while(|byte| byte.is_ascii_whitespace()).count() + end;
    if text.get(colon) != Some(&b':') {
        return Step::Nothing(end);
    }
    let body = colon + 1;
    let within = |byte: &u8| LETTERS[usize::from(*byte)] < 64 || byte.is_ascii_whitespace();
    let body_end = body + text[body..].iter().take_while(|byte| within(byte)).count();
    let embedded = Embedded { kind: Kind::BinHex, name: body..body, body: body..body_end };
    Step::Found(embedded, line_end(text, body_end))
}

/// The parts of a BinHex file, as ranges of the decoded bytes.
#[derive(Debug, Default)]
pub(super) struct Forks {
    pub(super) name: Range<usize>,
    pub(super) data: Range<usize>,
    pub(super) resource: Range<usize>,
}

/// Decodes a BinHex file: six bits a letter, then run lengths. The header
/// inside tells where its two forks are.
pub(super) fn decode_binhex(body: &[u8], room: usize, out: &mut Vec<u8>) -> (Forks, Fit) {
    const RUN: u8 = 0x90;
    let start = out.len();
    let limit = start.saturating_add(room);
    let mut fit = Fit::Whole;
    let (mut bits, mut n_bits) = (0_u32, 0_u32);
    let mut after_run = false;
    for &letter in body {
        let value = LETTERS[usize::from(letter)];
        if value >= 64 {
            continue;
        }
        bits = bits << 6 | u32::from(value);
        n_bits += 6;
        if n_bits < 8 {
            continue;
        }
        n_bits -= 8;
        // The mask below leaves no more than eight bits here.
        let byte = (bits >> n_bits) as u8;
        bits &= (1 << n_bits) - 1;
        if after_run {
            after_run = false;
            match (byte, out.last().copied().filter(|_| out.len() > start)) {
                // A run of no bytes stands for the mark itself.
                (0, _) => out.push(RUN),
                (count, Some(last)) => out.resize(out.len() + usize::from(count) - 1, last),
                (_, None) => {}
            }
        } else if byte == RUN {
            after_run = true;
        } else {
            out.push(byte);
        }
        if out.len() > limit {
            out.truncate(limit);
            fit = Fit::Cut;
            break;
        }
    }
    (forks(&out[start..], start), fit)
}

/// Name length, name, a zero, type and creator (4 each), flags (2), lengths of
/// the two forks (4 each), CRC (2); then each fork with a CRC.
fn forks(bytes: &[u8], start: usize) -> Forks {
    let parse = || {
        let name_end = 1 + usize::from(*bytes.first()?);
        let lengths = bytes.get(name_end + 11..name_end + 19)?;
        let (data, resource) = lengths.split_first_chunk::<4>()?;
        let data_length = usize::try_from(u32::from_be_bytes(*data)).ok()?;
        let resource = resource.first_chunk::<4>()?;
        let resource_length = usize::try_from(u32::from_be_bytes(*resource)).ok()?;
        // Lengths that lie are cut to what is there.
        let within = |at: usize| at.min(bytes.len()) + start;
        let data_start = name_end + 21;
        let data_end = data_start.saturating_add(data_length);
        let resource_start = data_end.saturating_add(2);
        let resource_end = resource_start.saturating_add(resource_length);
        Some(Forks {
            name: within(1)..within(name_end),
            data: within(data_start)..within(data_end),
            resource: within(resource_start)..within(resource_end),
        })
    };
    parse().unwrap_or_default()
}

const BINHEX: &[u8; 64] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

/// The value of each BinHex letter, 255 for all other bytes.
static LETTERS: [u8; 256] = {
    let mut letters = [0xff; 256];
    let mut value = 0;
    while value < BINHEX.len() {
        letters[BINHEX[value] as usize] = value as u8;
        value += 1;
    }
    letters
};

/// A header block inside of a text: a forwarded or bounced message, or a
/// multipart whose boundary nobody can tell.
fn entity(text: &[u8], at: usize) -> Step {
    let end = line_end(text, at);
    if !is_content_field(&text[at..end]) {
        return Step::Nothing(end);
    }
    let (header, length) = Header::parse_fields(&text[at..]);
    let body = at + length;
    if !header.changes_bytes() {
        return Step::Nothing(body);
    }
    // It ends where any delimiter might be, but not at a signature separator;
    // and where the next may begin, so that no byte is decoded twice.
    let mut body_end = body;
    while body_end < text.len() {
        let next = line_end(text, body_end);
        let line = trim_line(&text[body_end..next]);
        let delimiter = line.starts_with(b"--") && line.trim_ascii_end().len() > 2;
        if delimiter || is_content_field(line) {
            break;
        }
        body_end = next;
    }
    let embedded = Embedded { kind: Kind::Entity, name: at..body, body: body..body_end };
    // What else is in the body is found beside it.
    Step::Found(embedded, body)
}

/// The length of the header blocks that a body begins with: of each the first
/// field speaks of content, and blank lines may stand before it.
pub(super) fn leading_fields(body: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = body.get(length..).unwrap_or_default();
        let block = rest.trim_ascii_start();
        if !is_content_field(&block[..line_end(block, 0)]) {
            return length;
        }
        // At least the line that was looked at.
        length += rest.len() - block.len() + Header::parse_fields(block).1;
    }
}

fn is_content_field(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"))
        && is_field_line(line)
}
