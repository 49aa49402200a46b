//! ARJ: headers before members, and methods that are mostly LHA's.

use delharc::CompressionMethod;

use super::Ending;
use super::bits::{HighBits, copy_back};
use super::fields::{before_zero, range, u16_at, u32_at};
use super::lha;
use super::members::{Member, Members, Stop};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    // The first header is the archive's own.
    let mut at =
        Header::parse(bytes, 0).ok_or(Shortfall::Malformed)?.ok_or(Shortfall::Malformed)?.end;
    loop {
        let header = match Header::parse(bytes, at) {
            None => return Err(Shortfall::Malformed.into()),
            Some(None) => return Ok(()),
            Some(Some(header)) => header,
        };
        members.budget.tick(64)?;
        let (data, whole) = range(bytes, header.end as u64, header.packed_size.into());
        at = header.end + data.len();
        let mut member =
            Member::named(header.name).sizes(header.packed_size.into(), header.size.into());
        (member.crc32, member.encrypted) = (Some(header.crc32), header.flags & GARBLED != 0);
        match header.method {
            _ if header.kind == FOLDER => members.empty(member)?,
            _ if member.encrypted => members.closed(member, Shortfall::Encrypted)?,
            0 => members.stored(member, data, whole)?,
            1..=3 => members.decoded(member, data, |data, out, room, budget| {
                lha::unpack(CompressionMethod::Lh6, data, out, header.size.into(), room, budget)
            })?,
            4 => members.decoded(member, data, |data, out, room, budget| {
                fastest(data, out, header.size as usize, room, budget)
            })?,
            _ => members.closed(member, Shortfall::Unsupported)?,
        }
    }
}

struct Header<'b> {
    name: &'b [u8],
    flags: u8,
    method: u8,
    kind: u8,
    packed_size: u32,
    size: u32,
    crc32: u32,
    /// Where the data starts.
    end: usize,
}

impl<'b> Header<'b> {
    /// Parses `60 ea length:2`, the header of that length, its checksum, and
    /// extended headers. The end of an archive is a length of zero:
    /// `Some(None)`.
    fn parse(bytes: &'b [u8], at: usize) -> Option<Option<Header<'b>>> {
        let start = bytes.get(at..)?.strip_prefix(b"\x60\xea")?;
        let length = usize::from(u16_at(start, 0)?);
        if length == 0 {
            return Some(None);
        }
        let header = start.get(2..2 + length)?;
        let fixed = usize::from(*header.first()?);
        let mut end = at + 4 + length + 4;
        loop {
            let extended = usize::from(u16_at(bytes, end)?);
            end += 2;
            if extended == 0 {
                break;
            }
            end += extended + 4;
        }
        Some(Some(Header {
            name: before_zero(header.get(fixed..)?),
            flags: *header.get(4)?,
            method: *header.get(5)?,
            kind: *header.get(6)?,
            packed_size: u32_at(header, 12)?,
            size: u32_at(header, 16)?,
            crc32: u32_at(header, 20)?,
            end,
        }))
    }
}

/// Method 4: copies whose lengths and distances tell their widths in unary.
fn fastest(
    data: &[u8],
    out: &mut Vec<u8>,
    size: usize,
    room: usize,
    budget: &Budget<'_>,
) -> Ending {
    let mut bits = HighBits::new(data);
    let most = size.min(room);
    let mut charged = 0;
    while out.len() < most {
        let Some(()) = step(&mut bits, out) else {
            out.truncate(most);
            return Ending::Damaged;
        };
        if out.len() - charged >= 4096 {
            if let Err(why) = budget.tick((out.len() - charged) as u64) {
                out.truncate(most);
                return Ending::Stopped(why);
            }
            charged = out.len();
        }
    }
    out.truncate(most);
    if size > room { Ending::Full } else { Ending::Complete }
}

fn step(bits: &mut HighBits<'_>, out: &mut Vec<u8>) -> Option<()> {
    let length = unary(bits, 0, 7)?;
    if length == 0 {
        out.push(bits.take(8)? as u8);
    } else {
        let distance = unary(bits, 9, 13)?;
        copy_back(out, distance + 1, length + 2);
    }
    Some(())
}

/// A number of `narrowest` bits, or for each one before a zero of one more, in
/// addition to all numbers that are shorter.
fn unary(bits: &mut HighBits<'_>, narrowest: u32, widest: u32) -> Option<usize> {
    let (mut width, mut base) = (narrowest, 0);
    while width < widest && bits.take(1)? == 1 {
        base += 1 << width;
        width += 1;
    }
    Some(base + bits.take(width)? as usize)
}

const GARBLED: u8 = 1;
const FOLDER: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn the_fastest_method_copies() {
        // 'a', 'b', then 2 + 2 bytes from 2 before, in bits:
        // 0 01100001  0 01100010  10 1 -> length 1 + 1 = 2, 0 000000001
        let bits = "0011000010011000101010000000001";
        let bits: Vec<u8> = bits.bytes().map(|b| b - b'0').collect();
        let data: Vec<u8> = bits
            .chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |v, (at, bit)| v | bit << (7 - at)))
            .collect();
        let (mut out, budget) = (Vec::new(), Budget::new(Limits::default()));
        assert_eq!(fastest(&data, &mut out, 6, 100, &budget), Ending::Complete);
        assert_eq!(out, b"ababab");
    }
}
