//! Base64 of a whole body.

use base64_simd::{AsOut as _, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::{memchr, memchr2};

use super::transfer::Fit;

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
    out.reserve(room.min(body.len() / 4 * 3));
    let mut bulk = Bulk::new();
    // How much is left when many lines are tried at once again.
    let mut next_try = body.len();
    while !rest.is_empty() {
        if group.letters == 0 && rest.len() <= next_try {
            let left = room.saturating_sub(out.len() - start);
            let (tail, decoded) = bulk.lines(rest, reading, left, out);
            if decoded {
                rest = tail;
                continue;
            }
            // Those go line by line: so no letter is tried more than twice.
            next_try = tail.len();
        }
        if out.len() - start >= room {
            break;
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
    // What is left may be line ends and padding only.
    let letter = |byte: &u8| letters.value[usize::from(*byte)] < 64;
    if out.len() - start > room || rest.iter().any(letter) {
        out.truncate(start + room);
        return Fit::Cut;
    }
    Fit::Whole
}

/// Decodes many lines at once, such as ordinary encoders write.
struct Bulk {
    letters: [u8; Bulk::MOST],
    bytes: [u8; Bulk::MOST / 4 * 3],
}

impl Bulk {
    /// About fifty lines.
    const MOST: usize = 4_096;

    fn new() -> Bulk {
        Bulk { letters: [0; _], bytes: [0; _] }
    }

    /// Decodes the lines at the start of a text that are as long as the first one
    /// and hold whole groups: all of them, or nothing if anything in them is no
    /// letter or their bytes do not fit into the room.
    ///
    /// Gives what follows these lines, and whether they were decoded.
    fn lines<'t>(
        &mut self,
        text: &'t [u8],
        reading: Reading,
        room: usize,
        out: &mut Vec<u8>,
    ) -> (&'t [u8], bool) {
        let head = &text[..text.len().min(Bulk::MOST)];
        let (len, end): (_, &[u8]) = match memchr(b'\n', head) {
            Some(at) if at > 0 && head[at - 1] == b'\r' => (at - 1, b"\r\n"),
            Some(at) => (at, b"\n"),
            None => return (text, false),
        };
        if len == 0 || !len.is_multiple_of(4) {
            return (text, false);
        }
        let mut n_lines = 0;
        let places = self.letters.chunks_exact_mut(len);
        for (place, line) in places.zip(text.chunks_exact(len + end.len())) {
            let (letters, rest) = line.split_at(len);
            if rest != end {
                break;
            }
            place.copy_from_slice(letters);
            n_lines += 1;
        }
        let tail = &text[n_lines * (len + end.len())..];
        let letters = &self.letters[..n_lines * len];
        let bytes = &mut self.bytes[..letters.len() / 4 * 3];
        if bytes.len() > room {
            return (tail, false);
        }
        let decoder = if reading.url { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };
        let decoded = decoder.decode(letters, bytes.as_out());
        if let Ok(bytes) = &decoded {
            out.extend_from_slice(bytes);
        }
        (tail, decoded.is_ok())
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fit, Group, Reading, base64};

    /// Letter by letter.
    fn plainly(body: &[u8], reading: Reading) -> Vec<u8> {
        let (mut group, mut out) = (Group::default(), Vec::new());
        for line in body.split(|&byte| byte == b'\n') {
            let padding = line.iter().position(|&byte| byte == b'=');
            let end = match padding {
                Some(padding) if reading.line_ends_at_padding => padding + 1,
                _ => line.len(),
            };
            line[..end].iter().for_each(|&byte| group.byte(byte, reading.letters(), &mut out));
        }
        group.flush(&mut out);
        out
    }

    proptest! {
        #[test]
        fn lines_at_once_give_what_letters_one_by_one_give(
            lines in proptest::collection::vec(
                ("[A-Za-z0-9+/]{8}|[A-Za-z0-9+/]{12}|[A-Za-z0-9_-]{3,12}|[A-Z=. -]{0,20}", 1..400usize),
                0..8,
            ),
            crlf in any::<bool>(),
            url in any::<bool>(),
            line_ends_at_padding in any::<bool>(),
            room in prop_oneof![Just(usize::MAX), 0..9_000usize],
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let body: String =
                lines.iter().map(|(line, times)| format!("{line}{end}").repeat(*times)).collect();
            let reading = Reading { url, line_ends_at_padding };
            let expected = plainly(body.as_bytes(), reading);
            let mut found = vec![b'.'];
            let fit = base64(body.as_bytes(), reading, room, &mut found);
            prop_assert_eq!(&found[1..], &expected[..expected.len().min(room)]);
            prop_assert_eq!(fit == Fit::Cut, expected.len() > room);
        }
    }
}
