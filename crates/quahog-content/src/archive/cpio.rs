//! cpio: headers before members, as text in octal (`odc`) or hexadecimal
//! (`newc`, `crc`), or as binary words of either byte order.
//!
//! A file that mixes these is read all the same. The member `TRAILER!!!` ends
//! an archive; another may follow it, as in the images that kernels start from.

use super::fields::{array_at, before_zero, range};
use super::members::{Member, Members, Stop};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut at = 0_usize;
    let mut ended = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(header) = Header::parse(rest) else {
            // Padding may follow the end, and what follows that is no member.
            let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
            if ended && zeros > 0 && zeros < rest.len() {
                members.budget.tick(zeros as u64)?;
                at += zeros;
                continue;
            }
            return if ended { Ok(()) } else { Err(Shortfall::Malformed.into()) };
        };
        members.budget.tick(header.length as u64)?;
        let padded = |length: u64| length.checked_next_multiple_of(header.align);
        let name_end = (header.length as u64).checked_add(header.name_size).and_then(padded);
        let data_end = name_end.and_then(|end| Some((end, end.checked_add(header.size)?)));
        let Some((start, end)) = data_end else { return Err(Shortfall::Malformed.into()) };
        let (name, _) = range(rest, header.length as u64, header.name_size);
        let name = before_zero(name);
        ended = name == b"TRAILER!!!";
        let (data, whole) = range(rest, start, header.size);
        if !ended {
            let member = Member::named(name).sizes(header.size, header.size);
            if data.is_empty() && whole {
                members.empty(member)?;
            } else {
                members.stored(member, data, whole)?;
            }
        }
        if !whole {
            return Ok(());
        }
        match padded(end).and_then(|end| usize::try_from(end).ok()) {
            Some(length) => at = at.saturating_add(length),
            None => return Err(Shortfall::Malformed.into()),
        }
    }
}

struct Header {
    length: usize,
    name_size: u64,
    size: u64,
    align: u64,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Header> {
        let text = |at: usize, length: usize, radix: u32| {
            let digits = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
            u64::from_str_radix(digits.trim(), radix).ok()
        };
        match bytes.first_chunk::<6>()? {
            b"070701" | b"070702" => Some(Header {
                length: 110,
                name_size: text(94, 8, 16)?,
                size: text(54, 8, 16)?,
                align: 4,
            }),
            b"070707" => Some(Header {
                length: 76,
                name_size: text(59, 6, 8)?,
                size: text(65, 11, 8)?,
                align: 1,
            }),
            [0xc7, 0x71, ..] => Header::binary(bytes, u16::from_le_bytes),
            [0x71, 0xc7, ..] => Header::binary(bytes, u16::from_be_bytes),
            _ => None,
        }
    }

    fn binary(bytes: &[u8], word: fn([u8; 2]) -> u16) -> Option<Header> {
        let field = |at: usize| array_at(bytes, at).map(word);
        // Of long numbers, the upper half comes first in either order.
        let size = u64::from(field(22)?) << 16 | u64::from(field(24)?);
        Some(Header { length: 26, name_size: field(20)?.into(), size, align: 2 })
    }
}
