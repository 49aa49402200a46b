//! Mach-O, 32 and 64 bits, of either byte order, and universal binaries.

use std::ops::Range;

use super::bytes::Reader;
use super::{Executable, Section};

const SEGMENT: u32 = 1;
const THREAD: u32 = 4;
const UNIX_THREAD: u32 = 5;
const SEGMENT_64: u32 = 0x19;

const CPU_POWERPC: u32 = 18;
const CPU_POWERPC_64: u32 = 0x0100_0012;

/// A section with the address that it has in memory.
struct Placed {
    address: u64,
    size: u64,
    section: Section,
}

/// Reads the headers; `None` if they make no sense.
///
/// clamscan 1.4.6 knows the entry points of PowerPC programs only and takes 0
/// for all others; so does this, because signatures are written for it.
pub(super) fn read(bytes: &[u8]) -> Option<Executable> {
    let (big, wide) = form(bytes)?;
    let reader = Reader { bytes, big };
    let cpu = reader.u32(4)?;
    let commands = reader.u32(16)?;
    let mut at = if wide { 32 } else { 28 };
    if reader.len() < at {
        return None;
    }
    let mut placed = Vec::new();
    let mut address = 0;
    for _ in 0..commands {
        let (command, len) = (reader.u32(at)?, reader.u32(at + 4)?);
        match command {
            SEGMENT | SEGMENT_64 => sections(reader, at, command == SEGMENT_64, &mut placed)?,
            THREAD | UNIX_THREAD => match cpu {
                CPU_POWERPC => address = u64::from(reader.u32(at + 16)?),
                CPU_POWERPC_64 => address = reader.u64(at + 16)?,
                _ => {}
            },
            _ => {}
        }
        if len < 8 {
            // It leads nowhere, and so would all that follow.
            break;
        }
        at = at.checked_add(u64::from(len))?;
    }
    let entry = placed.iter().filter(|_| address != 0).find_map(|p| {
        let inside = address.checked_sub(p.address).filter(|&inside| inside < p.size)?;
        inside.checked_add(p.section.offset)
    });
    let sections = placed.into_iter().map(|p| p.section).collect();
    Some(Executable::new(entry.unwrap_or(0), sections))
}

/// Whether the numbers are big-endian, and whether they are of 64 bits.
fn form(bytes: &[u8]) -> Option<(bool, bool)> {
    Some(match bytes.first_chunk()? {
        [0xfe, 0xed, 0xfa, 0xce] => (true, false),
        [0xfe, 0xed, 0xfa, 0xcf] => (true, true),
        [0xce, 0xfa, 0xed, 0xfe] => (false, false),
        [0xcf, 0xfa, 0xed, 0xfe] => (false, true),
        _ => return None,
    })
}

/// The length of the header, and the number of commands that it announces.
pub(super) fn commands(bytes: &[u8]) -> Option<(u64, u32)> {
    let (big, wide) = form(bytes)?;
    Some((if wide { 32 } else { 28 }, Reader { bytes, big }.u32(16)?))
}

/// Appends the sections of a segment.
fn sections(reader: Reader<'_>, at: u64, wide: bool, placed: &mut Vec<Placed>) -> Option<()> {
    let (count, first, len) = if wide { (64, 72, 80) } else { (48, 56, 68) };
    let count = reader.u32(at + count)?;
    // Checked before anything is read: the count may be any number.
    let end = at.checked_add(first)?.checked_add(u64::from(count) * len)?;
    if end > reader.len() {
        return None;
    }
    for n in 0..u64::from(count) {
        let at = at + first + n * len;
        let address = reader.word(at + 32, wide)?;
        let (size, offset) = if wide { (at + 40, at + 48) } else { (at + 36, at + 40) };
        let size = reader.word(size, wide)?;
        let offset = u64::from(reader.u32(offset)?);
        placed.push(Placed { address, size, section: Section { offset, len: size } });
    }
    Some(())
}

/// The most slices of a universal binary; real ones have fewer than ten.
const MAX_SLICES: u32 = 39;

/// The Mach-O files in a universal binary.
pub(super) fn slices(bytes: &[u8]) -> Vec<Range<usize>> {
    let reader = match bytes.first_chunk() {
        Some([0xca, 0xfe, 0xba, 0xbe]) => Reader { bytes, big: true },
        Some([0xbe, 0xba, 0xfe, 0xca]) => Reader { bytes, big: false },
        _ => return Vec::new(),
    };
    let count = reader.u32(4).unwrap_or(0).min(MAX_SLICES);
    (0..u64::from(count))
        .map_while(|n| {
            let at = 8 + 20 * n;
            let (offset, len) = (reader.u32(at + 8)?, reader.u32(at + 12)?);
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(len).ok()?)?.min(bytes.len());
            Some(start..end)
        })
        // A slice that begins inside the header would hold the whole again.
        .filter(|slice| slice.start >= 8 && slice.start < slice.end)
        .collect()
}
