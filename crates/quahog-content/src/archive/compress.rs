//! compress (`.Z`): LZW with codes of 9 to 16 bits.
//!
//! Codes are written in groups of eight; when their width changes, or the
//! table is cleared, the rest of the group is padding.

use super::Ending;
use super::members::{Member, Members};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let Some((&[0x1f, 0x9d, flags], data)) = bytes.split_first_chunk::<3>() else {
        return Some(Shortfall::Malformed);
    };
    let mut members = Members::new(bytes, budget, visit);
    let member = Member::default().sizes(bytes.len() as u64, 0);
    let widest = u32::from(flags & 0x1f);
    let result = if (FIRST_WIDTH..=16).contains(&widest) {
        members.decoded(member, data, |data, out, room, budget| {
            unpack(data, widest, flags & CLEARS != 0, out, room, budget)
        })
    } else {
        members.closed(member, Shortfall::Unsupported)
    };
    members.answer(result)
}

fn unpack(
    data: &[u8],
    widest: u32,
    clears: bool,
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
) -> Ending {
    let first_free = if clears { CLEAR + 1 } else { CLEAR };
    // Each entry is one byte behind an earlier entry.
    let mut prefix = vec![0_u16; 1 << widest];
    let mut suffix = vec![0_u8; 1 << widest];
    let mut free = first_free;
    let mut width = FIRST_WIDTH;
    let (mut at, mut group) = (0_usize, 0_usize);
    let mut previous: Option<usize> = None;
    let mut first_byte = 0_u8;
    let mut stack = Vec::new();
    loop {
        let Some(code) = code_at(data, at, width) else {
            // What is left is less than one code.
            return Ending::Complete;
        };
        at += width as usize;
        let before = out.len();
        if clears && code == CLEAR {
            at = padded(at, group, width);
            group = at;
            (free, width, previous) = (first_free, FIRST_WIDTH, None);
            if budget.tick(1).is_err() {
                return budget.tick(1).err().map_or(Ending::Damaged, Ending::Stopped);
            }
            continue;
        }
        match previous {
            None if code < 256 => {
                first_byte = code as u8; // below 256
                out.push(first_byte);
            }
            None => return Ending::Damaged,
            Some(last) => {
                if code > free || (code == free && free >= 1 << widest) {
                    return Ending::Damaged;
                }
                let mut entry = code;
                if code == free {
                    stack.push(first_byte);
                    entry = last;
                }
                // Every prefix is smaller than its entry.
                while entry >= 256 {
                    let (Some(&byte), Some(&next)) = (suffix.get(entry), prefix.get(entry)) else {
                        return Ending::Damaged;
                    };
                    if usize::from(next) >= entry {
                        return Ending::Damaged;
                    }
                    stack.push(byte);
                    entry = next.into();
                }
                first_byte = entry as u8; // below 256
                stack.push(first_byte);
                out.extend(stack.drain(..).rev());
                if let (Some(p), Some(s)) = (prefix.get_mut(free), suffix.get_mut(free)) {
                    (*p, *s) = (last as u16, first_byte); // codes have 16 bits
                    free += 1;
                }
            }
        }
        previous = Some(code);
        if let Err(why) = budget.tick(1 + (out.len() - before) as u64) {
            out.truncate(room);
            return Ending::Stopped(why);
        }
        if out.len() > room {
            return Ending::Full;
        }
        if width < widest && free >= 1 << width {
            at = padded(at, group, width);
            group = at;
            width += 1;
        }
    }
}

/// The bit after the group of eight codes that the bit `at` is in.
fn padded(at: usize, group: usize, width: u32) -> usize {
    group + (at - group).next_multiple_of(8 * width as usize)
}

/// The code that starts at a bit, the lowest bit first.
fn code_at(data: &[u8], bit: usize, width: u32) -> Option<usize> {
    let end = (bit + width as usize).div_ceil(8);
    let bytes = data.get(bit / 8..end)?;
    let value = bytes.iter().rev().fold(0_usize, |value, &byte| value << 8 | usize::from(byte));
    Some(value >> (bit % 8) & ((1 << width) - 1))
}

const CLEARS: u8 = 0x80;
const CLEAR: usize = 256;
const FIRST_WIDTH: u32 = 9;
