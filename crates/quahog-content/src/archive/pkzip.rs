//! The methods of old zips: shrink, reduce and implode.
//!
//! None of them marks its end, so each decodes until it has given the `size`
//! that the headers tell. Each loop takes bits or gives bytes.

use super::Ending;
use super::bits::{LowBits, copy_back};
use crate::Budget;

/// How the loops below end early.
type Step<T> = Result<T, Ending>;

/// Asks the budget now and then.
struct Pace<'b> {
    budget: &'b Budget<'b>,
    charged: usize,
}

impl Pace<'_> {
    fn charge(&mut self, total: usize) -> Step<()> {
        if total.saturating_sub(self.charged) < 4096 {
            return Ok(());
        }
        let work = (total - self.charged) as u64;
        self.charged = total;
        self.budget.tick(work).map_err(Ending::Stopped)
    }
}

fn ended(result: Step<()>) -> Ending {
    match result {
        Ok(()) => Ending::Complete,
        Err(ending) => ending,
    }
}

fn bits(source: &mut LowBits<'_>, count: u32) -> Step<u32> {
    source.take(count).ok_or(Ending::Damaged)
}

/// Method 1: LZW whose table is thinned out when it is full.
pub(super) fn unshrink(data: &[u8], out: &mut Vec<u8>, size: usize, budget: &Budget<'_>) -> Ending {
    let mut run = || -> Step<()> {
        let mut pace = Pace { budget, charged: 0 };
        let mut source = LowBits::new(data);
        let mut prefix = vec![FREE; CODES];
        prefix.get_mut(..256).unwrap_or_default().fill(NONE);
        let mut last_byte: Vec<u8> = (0..CODES).map(|code| code as u8).collect();
        let (mut width, mut newest) = (9, CONTROL);
        let mut stack = Vec::new();
        let mut old = bits(&mut source, width)? as usize;
        let mut first = u8::try_from(old).map_err(|_| Ending::Damaged)?;
        out.push(first);
        while out.len() < size {
            pace.charge(out.len())?;
            let code = bits(&mut source, width)? as usize;
            if code == CONTROL {
                match bits(&mut source, width)? {
                    1 if width < WIDEST => width += 1,
                    2 => {
                        thin_out(&mut prefix);
                        newest = CONTROL;
                    }
                    _ => return Err(Ending::Damaged),
                }
                continue;
            }
            let mut entry = code;
            if prefix.get(entry).is_none_or(|&prefix| prefix == FREE) {
                stack.push(first);
                entry = old;
            }
            loop {
                let (Some(&byte), Some(&before)) = (last_byte.get(entry), prefix.get(entry)) else {
                    return Err(Ending::Damaged);
                };
                // Thinning out can leave a circle.
                if before == FREE || stack.len() > CODES {
                    return Err(Ending::Damaged);
                }
                stack.push(byte);
                if before == NONE {
                    first = byte;
                    break;
                }
                entry = before.into();
            }
            out.extend(stack.drain(..).rev());
            newest += 1;
            while prefix.get(newest).is_some_and(|&prefix| prefix != FREE) {
                newest += 1;
            }
            if let (Some(before), Some(byte)) = (prefix.get_mut(newest), last_byte.get_mut(newest))
            {
                (*before, *byte) = (old as u16, first); // codes have 13 bits
            }
            old = code;
        }
        Ok(())
    };
    let ending = ended(run());
    out.truncate(size);
    ending
}

/// Frees the codes that no other code goes on from.
fn thin_out(prefix: &mut [u16]) {
    let mut goes_on = vec![false; CODES];
    for &before in prefix.get(CONTROL + 1..).unwrap_or_default() {
        if let Some(mark) = goes_on.get_mut(usize::from(before)) {
            *mark = true;
        }
    }
    for (before, goes_on) in prefix.iter_mut().zip(goes_on).skip(CONTROL + 1) {
        if !goes_on {
            *before = FREE;
        }
    }
}

/// Methods 2 to 5: bytes that are foretold by the one before, and copies.
pub(super) fn expand(
    data: &[u8],
    out: &mut Vec<u8>,
    size: usize,
    factor: u32,
    budget: &Budget<'_>,
) -> Ending {
    let mut run = || -> Step<()> {
        let mut pace = Pace { budget, charged: 0 };
        let mut source = LowBits::new(data);
        let mut followers = vec![Vec::new(); 256];
        for set in followers.iter_mut().rev() {
            for _ in 0..bits(&mut source, 6)? {
                set.push(bits(&mut source, 8)? as u8);
            }
        }
        let mask = 0x7f >> (factor - 1);
        let mut last = 0_u8;
        let mut byte = || -> Step<u8> {
            let set = followers.get(usize::from(last)).map_or(&[][..], Vec::as_slice);
            last = if set.is_empty() || bits(&mut source, 1)? == 1 {
                bits(&mut source, 8)? as u8
            } else {
                // As many bits as the number of the last one has.
                let width = (set.len() as u32 - 1).checked_ilog2().map_or(1, |log| log + 1);
                let nth = bits(&mut source, width)? as usize;
                *set.get(nth).ok_or(Ending::Damaged)?
            };
            Ok(last)
        };
        while out.len() < size {
            pace.charge(out.len())?;
            let plain = byte()?;
            if plain != ESCAPE {
                out.push(plain);
                continue;
            }
            let value = byte()?;
            if value == 0 {
                out.push(ESCAPE);
                continue;
            }
            let mut length = usize::from(value & mask);
            if value & mask == mask {
                length += usize::from(byte()?);
            }
            let distance = usize::from(value >> (8 - factor)) * 256 + usize::from(byte()?) + 1;
            copy_back(out, distance, length + 3);
        }
        Ok(())
    };
    let ending = ended(run());
    out.truncate(size);
    ending
}

/// Method 6: copies, with codes of Shannon and Fano.
pub(super) fn explode(
    data: &[u8],
    out: &mut Vec<u8>,
    size: usize,
    flags: u16,
    budget: &Budget<'_>,
) -> Ending {
    let mut run = || -> Step<()> {
        let mut pace = Pace { budget, charged: 0 };
        let mut rest = data;
        let literals = if flags & 4 != 0 { Some(Code::parse(&mut rest, 256)?) } else { None };
        let lengths = Code::parse(&mut rest, 64)?;
        let distances = Code::parse(&mut rest, 64)?;
        let low_bits = if flags & 2 != 0 { 7 } else { 6 };
        let shortest = if literals.is_some() { 3 } else { 2 };
        let mut source = LowBits::new(rest);
        while out.len() < size {
            pace.charge(out.len())?;
            if bits(&mut source, 1)? == 1 {
                out.push(match &literals {
                    Some(code) => code.read(&mut source)?,
                    None => bits(&mut source, 8)? as u8,
                });
                continue;
            }
            let low = bits(&mut source, low_bits)? as usize;
            let distance = usize::from(distances.read(&mut source)?) << low_bits | low;
            let mut length = usize::from(lengths.read(&mut source)?);
            if length == 63 {
                length += bits(&mut source, 8)? as usize;
            }
            copy_back(out, distance + 1, length + shortest);
        }
        Ok(())
    };
    let ending = ended(run());
    out.truncate(size);
    ending
}

/// A prefix code, by the lowest code words of the symbols.
struct Code {
    /// Code word as the upper bits of 16, its length, and the symbol.
    words: Vec<(u32, u32, u8)>,
}

impl Code {
    /// Reads the lengths: a byte with how many follow, less one, and in each
    /// the length less one and above it how often, less one.
    fn parse(rest: &mut &[u8], symbols: usize) -> Step<Code> {
        let (&count, after) = rest.split_first().ok_or(Ending::Damaged)?;
        let runs = after.get(..usize::from(count) + 1).ok_or(Ending::Damaged)?;
        *rest = after.get(runs.len()..).unwrap_or_default();
        let mut lengths = Vec::new();
        for run in runs {
            let length = u32::from(run & 15) + 1;
            lengths.extend(std::iter::repeat_n(length, usize::from(run >> 4) + 1));
        }
        if lengths.len() != symbols {
            return Err(Ending::Damaged);
        }
        let mut order: Vec<(u32, u8)> = lengths.into_iter().zip(0_u8..=255).collect();
        // From the longest on, of the same length the last symbol first.
        order.sort();
        let mut next = 0_u32;
        let mut words = Vec::new();
        for (length, symbol) in order.into_iter().rev() {
            if next > 0xffff {
                return Err(Ending::Damaged);
            }
            words.push((next, length, symbol));
            next += 1 << (16 - length);
        }
        Ok(Code { words })
    }

    fn read(&self, source: &mut LowBits<'_>) -> Step<u8> {
        // 16 bits fit.
        let window = u32::from((source.peek(16) as u16).reverse_bits());
        let behind = self.words.partition_point(|&(word, ..)| word <= window);
        let found = behind.checked_sub(1).and_then(|at| self.words.get(at));
        let &(word, length, symbol) = found.ok_or(Ending::Damaged)?;
        if window >= word + (1 << (16 - length)) {
            return Err(Ending::Damaged);
        }
        source.skip(length).ok_or(Ending::Damaged)?;
        Ok(symbol)
    }
}

/// The code before which nothing stands, and one that stands for nothing.
const NONE: u16 = 0xffff;
const FREE: u16 = 0xfffe;
const CODES: usize = 1 << WIDEST;
const WIDEST: u32 = 13;
/// Says that a change of the table follows.
const CONTROL: usize = 256;

/// What a copy starts with.
const ESCAPE: u8 = 144;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn pack(codes: &[(u32, u32)]) -> Vec<u8> {
        let bits: Vec<bool> = codes
            .iter()
            .flat_map(|&(value, width)| (0..width).map(move |bit| value >> bit & 1 == 1))
            .collect();
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |v, &b| v << 1 | u8::from(b))).collect()
    }

    #[test]
    fn shrink_knows_the_code_that_is_being_made() {
        // "a", then the new code 257 ("aa"), then "b", then 258 ("aab").
        let data = pack(&[(97, 9), (257, 9), (98, 9), (258, 9)]);
        let (mut out, budget) = (Vec::new(), Budget::new(Limits::default()));
        assert_eq!(unshrink(&data, &mut out, 7, &budget), Ending::Complete);
        assert_eq!(out, b"aaabaab");
    }

    #[test]
    fn shrink_changes_width_and_thins_out() {
        // 257 = "ab" stays for 258 = "abc" goes on from it; 258 goes.
        let data = pack(&[
            (97, 9),
            (98, 9),
            (257, 9),
            (99, 9),
            (256, 9),
            (1, 9),
            (256, 10),
            (2, 10),
            (257, 10),
            (100, 10),
        ]);
        let (mut out, budget) = (Vec::new(), Budget::new(Limits::default()));
        assert_eq!(unshrink(&data, &mut out, 8, &budget), Ending::Complete);
        assert_eq!(out, b"ababcabd");
    }

    #[test]
    fn reduce_copies_and_foretells() {
        // No followers but of 'a', which 'b' follows.
        let mut codes: Vec<(u32, u32)> = Vec::new();
        for byte in (0..256).rev() {
            codes.push((u32::from(byte == 97), 6));
            if byte == 97 {
                codes.push((98, 8));
            }
        }
        // "a", then by one bit for "foretold" and one for which: "b".
        codes.extend([(97, 8), (0, 1), (0, 1)]);
        // A copy: length 3 + 1 from 2 before.
        codes.extend([(144, 8), (1, 8), (1, 8)]);
        let data = pack(&codes);
        let (mut out, budget) = (Vec::new(), Budget::new(Limits::default()));
        assert_eq!(expand(&data, &mut out, 6, 1, &budget), Ending::Complete);
        assert_eq!(out, b"ababab");
    }

    #[test]
    fn implode_copies() {
        // Codes of 6 bits for all 64 lengths and distances.
        let mut data = vec![3, 0xf5, 0xf5, 0xf5, 0xf5, 3, 0xf5, 0xf5, 0xf5, 0xf5];
        // The last symbol has the lowest code word.
        let word = |symbol: u32| ((63 - symbol).reverse_bits() >> 26, 6);
        data.extend(pack(&[
            (1, 1),
            (97, 8),
            (1, 1),
            (98, 8), // "ab"
            (0, 1),
            (1, 6),
            word(0),
            word(2), // 2 + 2 bytes from 2 before
        ]));
        let (mut out, budget) = (Vec::new(), Budget::new(Limits::default()));
        assert_eq!(explode(&data, &mut out, 6, 0, &budget), Ending::Complete);
        assert_eq!(out, b"ababab");
    }

    #[test]
    fn any_bytes_end() {
        let budget = Budget::new(Limits::default());
        let noise: Vec<u8> =
            (0_u32..5000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for start in 0..200 {
            let data = &noise[start * 7..];
            for method in 0..7 {
                let mut out = Vec::new();
                let ending = match method {
                    0 => unshrink(data, &mut out, 10_000, &budget),
                    1..=4 => expand(data, &mut out, 10_000, method, &budget),
                    5 => explode(data, &mut out, 10_000, 0, &budget),
                    _ => explode(data, &mut out, 10_000, 6, &budget),
                };
                assert!(out.len() <= 10_000);
                assert!(ending == Ending::Damaged || out.len() == 10_000);
            }
        }
    }
}
