//! Filters of PDF streams, and the predictors behind two of them.

use super::super::decode::{Ending, Frame, inflate};
use super::value::Value;
use crate::{Budget, Shortfall};

/// A filter that a stream names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Filter {
    Ascii85,
    AsciiHex,
    /// Its data is a file of its own: a picture.
    Final,
    Flate,
    Lzw,
    RunLength,
    /// Nothing is done to the data here.
    Identity,
    Unknown,
}

impl Filter {
    pub(super) fn of(name: &[u8]) -> Filter {
        match name {
            b"ASCII85Decode" | b"A85" => Filter::Ascii85,
            b"ASCIIHexDecode" | b"AHx" => Filter::AsciiHex,
            b"FlateDecode" | b"Fl" => Filter::Flate,
            b"LZWDecode" | b"LZW" => Filter::Lzw,
            b"RunLengthDecode" | b"RL" => Filter::RunLength,
            b"DCTDecode" | b"DCT" | b"JPXDecode" | b"JBIG2Decode" | b"CCITTFaxDecode" | b"CCF" => {
                Filter::Final
            }
            b"Crypt" => Filter::Identity,
            _ => Filter::Unknown,
        }
    }

    /// Decodes up to `room` bytes, and tells how much of the input was used.
    pub(super) fn decode(
        self,
        input: &[u8],
        parameters: Option<&Value>,
        out: &mut Vec<u8>,
        room: usize,
        budget: &Budget<'_>,
    ) -> Ending {
        let ending = match self {
            Filter::Flate => {
                // Readers look for the data behind blanks.
                let blanks = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                let input = input.get(blanks..).unwrap_or_default();
                return inflate(input, Frame::Zlib, out, room, budget).1;
            }
            Filter::Ascii85 => ascii85(input, out, room),
            Filter::AsciiHex => hexadecimal(input, out, room),
            Filter::Lzw => {
                let early = parameters.and_then(|value| value.get(b"EarlyChange"));
                lzw(input, early.and_then(Value::integer) != Some(0), out, room)
            }
            Filter::RunLength => run_length(input, out, room),
            Filter::Final | Filter::Identity | Filter::Unknown => {
                out.extend_from_slice(input.get(..room).unwrap_or(input));
                if input.len() > room { Ending::Full } else { Ending::Complete }
            }
        };
        match budget.tick((input.len() + out.len()) as u64) {
            Ok(()) => ending,
            Err(why) => Ending::Stopped(why),
        }
    }
}

/// Hexadecimal digits up to `>`; anything else between them is read past.
pub(super) fn hexadecimal(input: &[u8], out: &mut Vec<u8>, room: usize) -> Ending {
    let mut half = None;
    let limit = out.len().saturating_add(room);
    for &byte in input {
        if byte == b'>' {
            break;
        }
        // A digit is below 16.
        let Some(digit) = char::from(byte).to_digit(16).map(|digit| digit as u8) else { continue };
        match half.take() {
            None => half = Some(digit),
            Some(_) if out.len() >= limit => return Ending::Full,
            Some(high) => out.push(high << 4 | digit),
        }
    }
    match half {
        Some(_) if out.len() >= limit => return Ending::Full,
        Some(high) => out.push(high << 4),
        None => {}
    }
    Ending::Complete
}

/// Five letters for four bytes, `z` for four zeros, up to `~`.
fn ascii85(input: &[u8], out: &mut Vec<u8>, room: usize) -> Ending {
    let limit = out.len().saturating_add(room);
    let input = input.strip_prefix(b"<~").unwrap_or(input);
    let (mut group, mut n) = (0_u32, 0_usize);
    for &byte in input {
        if out.len() > limit {
            break;
        }
        match byte {
            b'~' => break,
            b'z' if n == 0 => out.extend([0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                n += 1;
                if n == 5 {
                    out.extend(group.to_be_bytes());
                    (group, n) = (0, 0);
                }
            }
            _ => {}
        }
    }
    if n > 1 {
        for _ in n..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        out.extend(group.to_be_bytes().iter().take(n - 1));
    }
    cut_to(limit, out)
}

/// Cuts what was decoded beyond a limit.
fn cut_to(limit: usize, out: &mut Vec<u8>) -> Ending {
    let full = out.len() > limit;
    out.truncate(limit);
    if full { Ending::Full } else { Ending::Complete }
}

/// A length byte, then so many bytes and one more, or one byte so often; 128
/// ends.
fn run_length(input: &[u8], out: &mut Vec<u8>, room: usize) -> Ending {
    let limit = out.len().saturating_add(room);
    let mut rest = input;
    while let Some((&length, after)) = rest.split_first() {
        if out.len() > limit {
            break;
        }
        let length = usize::from(length);
        match length {
            0..128 => {
                let run = after.get(..=length).unwrap_or(after);
                out.extend_from_slice(run);
                rest = after.get(run.len()..).unwrap_or_default();
            }
            128 => break,
            _ => {
                let Some((&byte, after)) = after.split_first() else { break };
                out.resize(out.len() + 257 - length, byte);
                rest = after;
            }
        }
    }
    cut_to(limit, out)
}

/// LZW with codes of 9 to 12 bits, the highest bit first. `early` makes codes
/// longer one code before they must be.
fn lzw(input: &[u8], early: bool, out: &mut Vec<u8>, room: usize) -> Ending {
    const CLEAR: u32 = 256;
    const END: u32 = 257;
    let limit = out.len().saturating_add(room);
    let start = out.len();
    // Each entry is a stretch of the output.
    let mut table: Vec<(usize, usize)> = Vec::with_capacity(4096);
    let mut last: Option<(usize, usize)> = None;
    let (mut bits, mut n_bits) = (0_u32, 0_u32);
    let mut width = 9;
    for &byte in input {
        bits = bits << 8 | u32::from(byte);
        n_bits += 8;
        if n_bits < width {
            continue;
        }
        n_bits -= width;
        let code = bits >> n_bits;
        bits &= (1 << n_bits) - 1;
        if out.len() >= limit {
            out.truncate(limit);
            return Ending::Full;
        }
        match code {
            CLEAR => {
                table.clear();
                (last, width) = (None, 9);
                continue;
            }
            END => return Ending::Complete,
            _ => {}
        }
        let at = out.len();
        // What the last code and the first byte of this one make is new.
        let new = last.filter(|_| table.len() < 4096 - 258);
        // A code below 4,096.
        let stretch = match code {
            0..256 => {
                out.push(code as u8);
                Some((at, 1))
            }
            _ => match (table.get((code - 258) as usize).copied(), new) {
                (Some((from, length)), _) => {
                    out.extend_from_within(from..from + length);
                    Some((at, length))
                }
                // The code that is about to be made: the last one and its
                // first byte.
                (None, Some((from, length))) if (code - 258) as usize == table.len() => {
                    out.extend_from_within(from..from + length);
                    out.extend_from_within(from..=from);
                    Some((at, length + 1))
                }
                _ => None,
            },
        };
        let Some(stretch) = stretch else { return Ending::Damaged };
        if let Some((from, length)) = new {
            // It is followed by this code's first byte in the output.
            table.push((from, length + 1));
        }
        last = Some(stretch);
        // At most 4,096.
        let next = table.len() as u32 + 258 + u32::from(early);
        width = match next {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
    }
    if out.len() > limit {
        out.truncate(limit);
        return Ending::Full;
    }
    if out.len() > start { Ending::Complete } else { Ending::Damaged }
}

/// Undoes the predictor that parameters name; `None` if they name none.
pub(super) fn unpredicted(
    data: &[u8],
    parameters: Option<&Value>,
    budget: &Budget<'_>,
) -> Result<Option<Vec<u8>>, Shortfall> {
    let Some(parameters) = parameters else { return Ok(None) };
    let field = |key: &[u8], default: usize| {
        let value = parameters.get(key).and_then(Value::integer);
        value.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    };
    let predictor = field(b"Predictor", 1);
    if predictor < 2 {
        return Ok(None);
    }
    budget.tick(data.len() as u64)?;
    let bits = field(b"Colors", 1).clamp(1, 32) * field(b"BitsPerComponent", 8).clamp(1, 16);
    let columns = field(b"Columns", 1).min(1 << 24);
    // A pixel, and a row, in bytes.
    let (pixel, row) = (bits.div_ceil(8), (bits * columns).div_ceil(8).max(1));
    if predictor == 2 {
        let mut out = data.to_vec();
        if field(b"BitsPerComponent", 8) == 8 {
            for row in out.chunks_mut(row) {
                for at in pixel..row.len() {
                    row[at] = row[at].wrapping_add(row[at - pixel]);
                }
            }
        }
        return Ok(Some(out));
    }
    let mut out = Vec::with_capacity(data.len());
    for line in data.chunks(row + 1) {
        let Some((&kind, line)) = line.split_first() else { break };
        let start = out.len();
        for (at, &byte) in line.iter().enumerate() {
            let left = if at >= pixel { out[start + at - pixel] } else { 0 };
            let above = (start + at).checked_sub(row).map_or(0, |before| out[before]);
            let corner = match (start + at).checked_sub(row + pixel) {
                Some(before) if at >= pixel => out[before],
                _ => 0,
            };
            let predicted = match kind {
                1 => left,
                2 => above,
                // Half of a sum of two bytes.
                3 => (u16::midpoint(left.into(), above.into())) as u8,
                4 => paeth(left, above, corner),
                _ => 0,
            };
            out.push(byte.wrapping_add(predicted));
        }
    }
    Ok(Some(out))
}

/// Whichever of three is nearest to what they make together.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let distance = |value: i16| (a + b - c - value).abs();
    if distance(a) <= distance(b) && distance(a) <= distance(c) {
        left
    } else if distance(b) <= distance(c) {
        above
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::super::value;
    use super::*;
    use crate::Limits;

    fn decoded(filter: &[u8], input: &[u8]) -> Vec<u8> {
        let budget = Budget::new(Limits::default());
        let mut out = Vec::new();
        assert_eq!(
            Filter::of(filter).decode(input, None, &mut out, 100, &budget),
            Ending::Complete
        );
        let mut few = Vec::new();
        Filter::of(filter).decode(input, None, &mut few, 2, &budget);
        assert_eq!(few, out[..2]);
        out
    }

    #[test]
    fn each_filter_decodes_its_example() {
        assert_eq!(decoded(b"ASCIIHexDecode", b"61 62\n6364 7>x"), b"abcdp");
        assert_eq!(decoded(b"A85", b"<~87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(decoded(b"ASCII85Decode", b"z!!~>"), [0; 5]);
        assert_eq!(decoded(b"RunLengthDecode", b"\x02abc\xfed\x80x"), b"abcddd");
        // ISO 32000-1, 7.4.4.2.
        let lzw = b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01";
        assert_eq!(decoded(b"LZWDecode", lzw), [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
        assert_eq!(decoded(b"DCTDecode", b"\xff\xd8"), b"\xff\xd8");
    }

    #[test]
    fn predictors_are_undone() {
        let budget = Budget::new(Limits::default());
        let undo = |parameters: &[u8], data: &[u8]| {
            unpredicted(data, Some(&value::parse(parameters, 0).0), &budget).unwrap()
        };
        let png = b"\x00abc\x01a\x01\x01\x02\x01\x01\x01\x03\x00\x00\x00\x04\x01\x00\x00";
        let rows = undo(b"<</Predictor 15/Columns 3>>", png).unwrap();
        assert_eq!(rows[..9], *b"abcabcbcd");
        assert_eq!(rows.len(), 15);
        let tiff = undo(b"<</Predictor 2/Columns 3>>", b"a\x01\x01b\x01\x01").unwrap();
        assert_eq!(tiff, b"abcbcd");
        assert_eq!(undo(b"<</Predictor 1>>", b"abc"), None);
    }
}
