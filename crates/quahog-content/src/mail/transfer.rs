//! Transfer encodings of a whole body: base64 and quoted-printable.
//!
//! Each function appends to a buffer that its caller reuses, stops at `room`
//! bytes and says so. Both take `O(n)` time and accept any bytes: what a
//! decoder of some mail program would skip is skipped.

use memchr::{memchr, memchr2};

/// Whether a decoder stopped because its room was full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fit {
    Whole,
    Cut,
}

/// How base64 is read where its readers differ.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Reading {
    /// `-_` of URLs are the last two letters, not `+/` of mail.
    url: bool,
    /// What follows a `=` on its line is no data.
    line_ends_at_padding: bool,
}

impl Reading {
    /// The readings of `body` that give different bytes, most likely first.
    pub(super) fn all_of(body: &[u8]) -> impl Iterator<Item = Reading> + Clone + use<> {
        let plain = Reading::default();
        // `-` and `_` are letters only where `+` and `/` never occur; elsewhere
        // they are junk between letters.
        let url = memchr2(b'-', b'_', body).is_some() && memchr2(b'+', b'/', body).is_none();
        let url = url.then_some(Reading { url: true, ..plain });
        // Lines such as `--=_b2` inside of base64 are skipped by ClamAV alone.
        let short =
            letters_after_padding(body).then_some(Reading { line_ends_at_padding: true, ..plain });
        url.into_iter().chain([plain]).chain(short)
    }

    fn letters(self) -> &'static Letters {
        if self.url { &URL } else { &MAIL }
    }
}

/// Whether a letter follows a `=` on some line.
fn letters_after_padding(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(padding) = memchr(b'=', rest) {
        rest = &rest[padding..];
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        if rest[..end].iter().any(|&byte| MAIL.value[usize::from(byte)] < 64) {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

/// Whether a body has an escape of quoted-printable or a soft line break.
pub(super) fn looks_quoted(body: &[u8]) -> bool {
    memchr::memchr_iter(b'=', body).any(|at| match body.get(at + 1..) {
        Some([high, low, ..]) if hex(*high).is_some() && hex(*low).is_some() => true,
        Some(rest) => soft_break(rest).is_some(),
        None => false,
    })
}

/// Decodes base64 as the most liberal decoders do.
///
/// Bytes outside of the alphabet are skipped wherever they stand. A `=` ends a
/// group and decoding goes on after it, because senders concatenate the output
/// of several encoders; missing padding at the end is no loss either.
pub(super) fn base64(body: &[u8], reading: Reading, room: usize, out: &mut Vec<u8>) -> Fit {
    let letters = reading.letters();
    let start = out.len();
    let mut group = Group::default();
    let mut rest = body;
    while !rest.is_empty() {
        if out.len() - start >= room {
            // What is left may be line ends and padding only.
            let letter = |byte: &u8| letters.value[usize::from(*byte)] < 64;
            return if rest.iter().any(letter) { Fit::Cut } else { Fit::Whole };
        }
        let (line, tail) = match memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        // Bounds what one line can add beyond the room.
        let longest = (room - (out.len() - start)).saturating_add(8).saturating_mul(2);
        let (line, tail) =
            if line.len() > longest { (&line[..longest], &rest[longest..]) } else { (line, tail) };
        let data = match memchr(b'=', line) {
            Some(padding) if reading.line_ends_at_padding => &line[..=padding],
            _ => line,
        };
        group.line(data, letters, out);
        rest = tail;
    }
    group.flush(out);
    if out.len() - start > room {
        out.truncate(start + room);
        return Fit::Cut;
    }
    Fit::Whole
}

/// Whether a body that is not said to be base64 plausibly is: letters and line
/// ends only, padding at the end only, and no partial group of one letter.
///
/// Ordinary text fails at its first blank, so this costs next to nothing.
pub(super) fn looks_like_base64(body: &[u8]) -> bool {
    let mut letters = 0_usize;
    let mut padding = 0_usize;
    for &byte in body {
        match byte {
            b'\r' | b'\n' => {}
            b'=' => padding += 1,
            _ if MAIL.value[usize::from(byte)] < 64 && padding == 0 => letters += 1,
            _ => return false,
        }
    }
    letters >= 16 && padding <= 2 && letters % 4 != 1
}

/// Decodes quoted-printable.
///
/// A `=` before optional blanks and a line end joins two lines; a `=` that
/// introduces nothing is copied. With `text`, line ends become LF; without,
/// they stay as transmitted. Nothing is added at the end.
pub(super) fn quoted_printable(body: &[u8], text: bool, room: usize, out: &mut Vec<u8>) -> Fit {
    let limit = out.len().saturating_add(room);
    let mut rest = body;
    while !rest.is_empty() {
        if out.len() >= limit {
            out.truncate(limit);
            return Fit::Cut;
        }
        // Only text looks for CR, so binary data is copied in longer runs.
        let next = if text { memchr2(b'=', b'\r', rest) } else { memchr(b'=', rest) };
        let plain = next.unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        match *rest {
            [] => {}
            [b'\r', ..] => {
                let returns = rest.iter().take_while(|&&byte| byte == b'\r').count();
                // Several CR before an LF are one line end; others are one each.
                if rest.get(returns) == Some(&b'\n') {
                    out.push(b'\n');
                    rest = &rest[returns + 1..];
                } else {
                    out.resize(out.len() + returns, b'\n');
                    rest = &rest[returns..];
                }
            }
            [_, high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
                rest = &rest[3..];
            }
            _ => match soft_break(&rest[1..]) {
                Some(tail) => rest = tail,
                None => {
                    out.push(b'=');
                    rest = &rest[1..];
                }
            },
        }
    }
    if out.len() > limit {
        out.truncate(limit);
        return Fit::Cut;
    }
    Fit::Whole
}

/// Text as it is matched: every line end an LF, NULs dropped, an LF at the end.
///
/// Clients and ClamAV agree on what a line is, not on its end, and signatures
/// are written for LF. A body that has this form already is borrowed.
pub(super) fn text_lines<'b>(body: &'b [u8], room: usize, out: &'b mut Vec<u8>) -> &'b [u8] {
    if memchr2(b'\r', 0, body).is_none() && body.ends_with(b"\n") {
        return body;
    }
    let start = out.len();
    let mut rest = body;
    out.reserve(body.len().min(room) + 1);
    // One byte more than there is room for tells the caller that it was cut.
    while out.len() - start <= room {
        let next = memchr2(b'\r', 0, rest).unwrap_or(rest.len());
        let next = next.min((room - (out.len() - start)).saturating_add(1));
        out.extend_from_slice(&rest[..next]);
        rest = &rest[next..];
        match *rest {
            [] => break,
            [0, ..] => rest = &rest[1..],
            // There is no more room.
            [first, ..] if first != b'\r' => break,
            _ => {
                let returns = rest.iter().take_while(|&&byte| byte == b'\r').count();
                rest = &rest[returns..];
                match rest.strip_prefix(b"\n") {
                    Some(tail) => {
                        out.push(b'\n');
                        rest = tail;
                    }
                    None => out.resize(out.len() + returns, b'\n'),
                }
            }
        }
    }
    if !out[start..].ends_with(b"\n") && out.len() > start {
        out.push(b'\n');
    }
    &out[start..]
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What follows a soft line break, if `rest` (after its `=`) begins one.
fn soft_break(rest: &[u8]) -> Option<&[u8]> {
    let blanks = rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    match rest.get(blanks) {
        None => Some(&[]),
        Some(b'\n') => Some(&rest[blanks + 1..]),
        // A lone CR is a line end too; blanks before other text are text.
        Some(_) => {
            let returned = rest[..blanks].iter().position(|&byte| byte == b'\r')?;
            Some(&rest[returned + 1..])
        }
    }
}

/// A base64 group that is not complete yet.
#[derive(Default)]
struct Group {
    bits: u32,
    letters: u8,
}

impl Group {
    fn line(&mut self, line: &[u8], letters: &Letters, out: &mut Vec<u8>) {
        let mut rest = line;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.letters == 0 {
                rest = Self::wide(rest, letters, out);
                // Whatever stopped the wide loop is one byte for the slow one.
                let Some((&byte, tail)) = rest.split_first() else { return };
                self.byte(byte, letters, out);
                rest = tail;
            } else {
                self.byte(byte, letters, out);
                rest = tail;
            }
        }
    }

    /// Decodes groups of four letters without a look at single letters; gives
    /// back what begins with something else.
    fn wide<'l>(line: &'l [u8], letters: &Letters, out: &mut Vec<u8>) -> &'l [u8] {
        let value = |byte: u8| u32::from(letters.value[usize::from(byte)]);
        let mut rest = line;
        // A whole line of an ordinary encoder at once: one check for 19 groups.
        while let Some((block, tail)) = rest.split_first_chunk::<76>() {
            let mut bytes = [0; 57];
            let mut all = 0;
            let (groups, _) = block.as_chunks::<4>();
            let (places, _) = bytes.as_chunks_mut::<3>();
            for (group, place) in groups.iter().zip(places) {
                let [a, b, c, d] = group.map(value);
                all |= a | b | c | d;
                let [_, decoded @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
                *place = decoded;
            }
            if all >= 64 {
                break;
            }
            out.extend_from_slice(&bytes);
            rest = tail;
        }
        while let Some((group, tail)) = rest.split_first_chunk::<4>() {
            let [a, b, c, d] = group.map(value);
            if a | b | c | d >= 64 {
                break;
            }
            out.extend_from_slice(&(a << 18 | b << 12 | c << 6 | d).to_be_bytes()[1..]);
            rest = tail;
        }
        rest
    }

    fn byte(&mut self, byte: u8, letters: &Letters, out: &mut Vec<u8>) {
        let value = letters.value[usize::from(byte)];
        if value < 64 {
            self.bits = self.bits << 6 | u32::from(value);
            self.letters += 1;
            if self.letters == 4 {
                out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                *self = Group::default();
            }
        } else if byte == b'=' {
            self.flush(out);
        }
    }

    /// Ends a group early: two letters hold one byte, three hold two.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let [_, high, middle, _] = (self.bits << (6 * (4 - u32::from(self.letters)))).to_be_bytes();
        match self.letters {
            2 => out.push(high),
            3 => out.extend_from_slice(&[high, middle]),
            _ => {}
        }
        *self = Group::default();
    }
}

/// The value of each letter, or 64 and more for all other bytes.
struct Letters {
    value: [u8; 256],
}

static MAIL: Letters = Letters::new(b'+', b'/');
static URL: Letters = Letters::new(b'-', b'_');

impl Letters {
    const fn new(sixty_two: u8, sixty_three: u8) -> Letters {
        let mut value = [0xff; 256];
        let mut letter = 0;
        while letter < 26 {
            value[b'A' as usize + letter] = letter as u8;
            value[b'a' as usize + letter] = letter as u8 + 26;
            letter += 1;
        }
        let mut digit = 0;
        while digit < 10 {
            value[b'0' as usize + digit] = digit as u8 + 52;
            digit += 1;
        }
        value[sixty_two as usize] = 62;
        value[sixty_three as usize] = 63;
        Letters { value }
    }
}
