//! ALZ: members behind each other, of ALZip.

use super::fields::{range, u16_at, u32_at};
use super::members::{Member, Members, Stop};
use super::{Inflater, bzip2};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    if !bytes.starts_with(MAGIC) {
        return Err(Shortfall::Malformed.into());
    }
    let mut inflater = Inflater::new();
    let mut at = 8;
    loop {
        members.budget.tick(32)?;
        let rest = bytes.get(at..).unwrap_or_default();
        if !rest.starts_with(MEMBER) {
            let ended = rest.starts_with(b"CLZ") || rest.starts_with(b"ELZ");
            return if ended { Ok(()) } else { Err(Shortfall::Malformed.into()) };
        }
        let Some(header) = Header::parse(rest) else { return Err(Shortfall::Malformed.into()) };
        let (data, whole) = range(rest, header.length as u64, header.packed_size);
        at += header.length + data.len();
        let mut member = Member::named(header.name).sizes(header.packed_size, header.size);
        (member.crc32, member.encrypted) = (header.crc32, header.encrypted);
        match header.method {
            _ if header.encrypted => members.closed(member, Shortfall::Encrypted)?,
            // A folder has no data, and no method.
            None => members.empty(member)?,
            Some(0) => members.stored(member, data, whole)?,
            Some(1) => members.decoded(member, data, |data, out, room, budget| {
                bzip2::stream(data, out, room, budget).1
            })?,
            Some(2) => members.decoded(member, data, |data, out, room, budget| {
                inflater.run(data, out, room, budget).1
            })?,
            Some(_) => members.closed(member, Shortfall::Unsupported)?,
        }
    }
}

struct Header<'b> {
    name: &'b [u8],
    encrypted: bool,
    method: Option<u8>,
    crc32: Option<u32>,
    packed_size: u64,
    size: u64,
    length: usize,
}

impl<'b> Header<'b> {
    /// Parses `BLZ 01 name-length:2 attributes:1 time:4 descriptor:1 unknown:1
    /// [method:1 unknown:1 crc:4 packed-size size] name [encryption:12]`, where
    /// the descriptor tells how many bytes sizes have.
    fn parse(bytes: &'b [u8]) -> Option<Header<'b>> {
        let name_length = usize::from(u16_at(bytes, 4)?);
        let descriptor = *bytes.get(11)?;
        let width = usize::from(descriptor >> 4);
        let encrypted = descriptor & 1 != 0;
        let mut at = 13;
        let (mut method, mut crc32, mut sizes) = (None, None, [0, 0]);
        if width > 0 {
            if !matches!(width, 1 | 2 | 4 | 8) {
                return None;
            }
            method = Some(*bytes.get(at)?);
            crc32 = Some(u32_at(bytes, at + 2)?);
            at += 6;
            for size in &mut sizes {
                let field = bytes.get(at..at + width)?;
                *size = field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
                at += width;
            }
        }
        let name = bytes.get(at..at + name_length)?;
        let length = at + name_length + if encrypted { 12 } else { 0 };
        let [packed_size, size] = sizes;
        Some(Header { name, encrypted, method, crc32, packed_size, size, length })
    }
}

const MAGIC: &[u8] = b"ALZ\x01";
const MEMBER: &[u8] = b"BLZ\x01";
