//! RAR, of versions 2 to 5: what its headers say, and its members.
//!
//! Members that are encrypted, or packed by what [`unrar`](super::unrar) does
//! not know, are handed out without bytes; their names, sizes and encryption
//! are evidence.

use std::borrow::Cow;

use super::fields::{before_zero, range, u16_at, u32_at};
use super::members::{Member, Members, Stop};
use super::unrar::{Unpacker, Version};
use super::{Ending, decode_name};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = if let Some(rest) = bytes.strip_prefix(MAGIC_5) {
        walk_5(rest, &mut members)
    } else if let Some(rest) = bytes.strip_prefix(MAGIC_4) {
        walk_4(rest, &mut members)
    } else {
        Err(Shortfall::Unsupported.into())
    };
    members.answer(result)
}

/// What a header says of how a member is packed.
struct How {
    is_folder: bool,
    is_stored: bool,
    is_solid: bool,
    /// It begins in another volume.
    is_rest: bool,
    version: Option<Version>,
}

/// Hands out a member by what its header says.
fn hand_out(
    members: &mut Members<'_, '_>,
    unpacker: &mut Option<Unpacker>,
    member: Member<'_>,
    how: &How,
    (data, whole): (&[u8], bool),
) -> Result<(), Stop> {
    if how.is_folder {
        return members.empty(member);
    } else if member.encrypted {
        return members.closed(member, Shortfall::Encrypted);
    } else if how.is_rest {
        return members.closed(member, Shortfall::Malformed);
    } else if how.is_stored {
        return members.stored(member, data, whole);
    }
    let Some(version) = how.version else {
        return members.closed(member, Shortfall::Unsupported);
    };
    // A solid member needs all before it.
    if how.is_solid && unpacker.is_none() {
        return members.closed(member, Shortfall::Malformed);
    }
    let mut decoder = unpacker.take().unwrap_or_default();
    let size = member.size;
    let mut complete = false;
    members.decoded(member, data, |data, out, room, budget| {
        let ending = decoder.unpack(version, how.is_solid, data, out, (size, room), budget);
        complete = ending == Ending::Complete;
        ending
    })?;
    if complete {
        *unpacker = Some(decoder);
    }
    Ok(())
}

/// Walks the headers `checksum:2 type:1 flags:2 length:2`, behind which stand
/// as many bytes as the next field says where a flag tells so.
fn walk_4(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut at = 0_usize;
    let mut unpacker = Some(Unpacker::default());
    while let Some(block) = bytes.get(at..).filter(|block| block.len() >= 7) {
        let kind = block.get(2).copied().unwrap_or_default();
        let (Some(flags), Some(length)) = (u16_at(block, 3), u16_at(block, 5)) else { break };
        let length = usize::from(length);
        members.budget.tick(length as u64)?;
        let Some(header) = block.get(..length).filter(|_| length >= 7) else {
            return Err(Shortfall::Malformed.into());
        };
        let mut data_size = 0;
        match kind {
            // The headers themselves are encrypted.
            0x73 if flags & 0x80 != 0 => return Err(Shortfall::Encrypted.into()),
            0x74 => {
                let file = File4::parse(header, flags).ok_or(Shortfall::Malformed)?;
                data_size = file.packed_size;
                let data = range(block, length as u64, data_size);
                let mut entry = Member::titled(file.name).sizes(file.packed_size, file.size);
                (entry.crc32, entry.encrypted) = (Some(file.crc32), flags & 4 != 0);
                let how = How {
                    is_folder: flags & 0xe0 == 0xe0,
                    is_stored: file.method == 0x30,
                    is_solid: flags & 0x10 != 0,
                    is_rest: flags & 1 != 0,
                    version: match file.version {
                        20 | 26 => Some(Version::Two),
                        29 | 36 => Some(Version::Three),
                        _ => None,
                    },
                };
                hand_out(members, &mut unpacker, entry, &how, data)?;
            }
            0x7b => return Ok(()),
            _ if flags & 0x8000 != 0 => data_size = u32_at(header, 7).unwrap_or(0).into(),
            _ => {}
        }
        let step = usize::try_from(data_size).ok().and_then(|size| size.checked_add(length));
        at = step.and_then(|step| at.checked_add(step)).unwrap_or(usize::MAX);
    }
    // Archives of version 2 have no end.
    if at > bytes.len() { Err(Shortfall::Malformed.into()) } else { Ok(()) }
}

struct File4<'b> {
    name: Cow<'b, str>,
    packed_size: u64,
    size: u64,
    crc32: u32,
    version: u8,
    method: u8,
}

impl<'b> File4<'b> {
    fn parse(header: &'b [u8], flags: u16) -> Option<File4<'b>> {
        let mut packed_size = u64::from(u32_at(header, 7)?);
        let mut size = u64::from(u32_at(header, 11)?);
        let mut name_at = 32;
        if flags & 0x100 != 0 {
            packed_size |= u64::from(u32_at(header, 32)?) << 32;
            size |= u64::from(u32_at(header, 36)?) << 32;
            name_at = 40;
        }
        let length = usize::from(u16_at(header, 26)?);
        let name = header.get(name_at..name_at + length)?;
        Some(File4 {
            // Behind a zero stands the name again, packed.
            name: decode_name(before_zero(name), char::from),
            packed_size,
            size,
            crc32: u32_at(header, 16)?,
            version: *header.get(24)?,
            method: *header.get(25)?,
        })
    }
}

/// Walks the headers `checksum:4 length type flags [extra] [data]`.
fn walk_5(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut rest = bytes;
    let mut unpacker = Some(Unpacker::default());
    while rest.len() > 7 {
        let mut fields = rest.get(4..).unwrap_or_default();
        let length = number(&mut fields).and_then(|length| usize::try_from(length).ok());
        let header = length.and_then(|length| Some((length, fields.get(..length)?)));
        let Some((length, mut header)) = header.filter(|(length, _)| *length > 0) else {
            return Err(Shortfall::Malformed.into());
        };
        members.budget.tick(length as u64)?;
        let whole_header = header;
        let block = Block5::parse(&mut header).ok_or(Shortfall::Malformed)?;
        let behind = fields.get(length..).unwrap_or_default();
        let (data, whole) = range(behind, 0, block.data_size);
        match block.kind {
            2 => {
                let file = File5::parse(&mut header).ok_or(Shortfall::Malformed)?;
                let extra = whole_header.len().checked_sub(block.extra_size);
                let extra = extra.and_then(|at| whole_header.get(at..)).unwrap_or_default();
                let mut entry = Member::named(file.name).sizes(block.data_size, file.size);
                (entry.crc32, entry.encrypted) = (file.crc32, is_encrypted(extra));
                let how = How {
                    is_folder: file.is_folder,
                    is_stored: file.compression >> 7 & 7 == 0,
                    is_solid: file.compression & 0x40 != 0,
                    is_rest: block.is_rest,
                    version: (file.compression & 0x3f == 0).then_some(Version::Five),
                };
                hand_out(members, &mut unpacker, entry, &how, (data, whole))?;
            }
            4 => return Err(Shortfall::Encrypted.into()),
            5 => return Ok(()),
            _ => {}
        }
        if !whole {
            return Err(Shortfall::Malformed.into());
        }
        rest = behind.get(data.len()..).unwrap_or_default();
    }
    Err(Shortfall::Malformed.into())
}

struct Block5 {
    kind: u64,
    extra_size: usize,
    data_size: u64,
    is_rest: bool,
}

impl Block5 {
    fn parse(header: &mut &[u8]) -> Option<Block5> {
        let (kind, flags) = (number(header)?, number(header)?);
        let extra_size = if flags & 1 != 0 { usize::try_from(number(header)?).ok()? } else { 0 };
        let data_size = if flags & 2 != 0 { number(header)? } else { 0 };
        Some(Block5 { kind, extra_size, data_size, is_rest: flags & 8 != 0 })
    }
}

struct File5<'b> {
    name: &'b [u8],
    size: u64,
    crc32: Option<u32>,
    compression: u64,
    is_folder: bool,
}

impl<'b> File5<'b> {
    fn parse(header: &mut &'b [u8]) -> Option<File5<'b>> {
        let flags = number(header)?;
        let size = number(header)?;
        let _attributes = number(header)?;
        if flags & 2 != 0 {
            *header = header.get(4..)?;
        }
        let mut crc32 = None;
        if flags & 4 != 0 {
            crc32 = Some(u32_at(header, 0)?);
            *header = header.get(4..)?;
        }
        let compression = number(header)?;
        let _system = number(header)?;
        let length = usize::try_from(number(header)?).ok()?;
        Some(File5 {
            name: header.get(..length)?,
            size: if flags & 8 != 0 { u64::MAX } else { size },
            crc32,
            compression,
            is_folder: flags & 1 != 0,
        })
    }
}

/// Whether one of the records `length type ...` tells of encryption.
fn is_encrypted(mut extra: &[u8]) -> bool {
    while let Some(length) = number(&mut extra).and_then(|length| usize::try_from(length).ok()) {
        let Some(mut record) = extra.get(..length).filter(|_| length > 0) else { return false };
        if number(&mut record) == Some(1) {
            return true;
        }
        extra = extra.get(length..).unwrap_or_default();
    }
    false
}

/// Seven bits a byte, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const MAGIC_4: &[u8] = b"Rar!\x1a\x07\0";
const MAGIC_5: &[u8] = b"Rar!\x1a\x07\x01\0";
