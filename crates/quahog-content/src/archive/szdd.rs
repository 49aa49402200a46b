//! SZDD: one file, compressed by Microsoft's COMPRESS.EXE, in its two forms.

use super::Ending;
use super::fields::u32_at;
use super::members::{Member, Members};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let (header, size_at, start) = match bytes {
        [b'S', b'Z', b'D', b'D', 0x88, 0xf0, 0x27, 0x33, b'A', ..] => (14, 10, WINDOW - 16),
        [b'S', b'Z', b' ', 0x88, 0xf0, 0x27, 0x33, 0xd1, ..] => (12, 8, WINDOW - 18),
        _ => return Some(Shortfall::Malformed),
    };
    let mut members = Members::new(bytes, budget, visit);
    let Some((size, data)) = u32_at(bytes, size_at).zip(bytes.get(header..)) else {
        return Some(Shortfall::Malformed);
    };
    let member = Member::default().sizes(bytes.len() as u64, size.into());
    let result = members.decoded(member, data, |data, out, room, budget| {
        unpack(data, out, size as usize, room, start, budget)
    });
    members.answer(result)
}

/// LZSS: a byte of flags, and for each a byte, or a place in the window and a
/// length in two.
fn unpack(
    data: &[u8],
    out: &mut Vec<u8>,
    size: usize,
    room: usize,
    start: usize,
    budget: &Budget<'_>,
) -> Ending {
    let mut window = [b' '; WINDOW];
    let mut at = start;
    let mut input = data.iter().copied();
    let most = size.min(room);
    while out.len() < most {
        let Some(flags) = input.next() else { return Ending::Damaged };
        if let Err(why) = budget.tick(32) {
            return Ending::Stopped(why);
        }
        for bit in 0..8 {
            if out.len() >= most {
                break;
            }
            if flags >> bit & 1 == 1 {
                let Some(byte) = input.next() else { return Ending::Damaged };
                put(&mut window, &mut at, out, byte);
                continue;
            }
            let (Some(low), Some(high)) = (input.next(), input.next()) else {
                return Ending::Damaged;
            };
            let from = usize::from(low) | usize::from(high & 0xf0) << 4;
            for nth in 0..usize::from(high & 15) + 3 {
                let byte = window.get((from + nth) % WINDOW).copied().unwrap_or_default();
                put(&mut window, &mut at, out, byte);
            }
        }
    }
    out.truncate(most);
    if size > room { Ending::Full } else { Ending::Complete }
}

fn put(window: &mut [u8; WINDOW], at: &mut usize, out: &mut Vec<u8>, byte: u8) {
    if let Some(slot) = window.get_mut(*at % WINDOW) {
        *slot = byte;
    }
    *at += 1;
    out.push(byte);
}

const WINDOW: usize = 4096;
