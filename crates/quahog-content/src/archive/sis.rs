//! Symbian packages (SIS): a list of files in those for EPOC, a tree of fields
//! in those since Symbian 9.

use flate2::read::ZlibDecoder;

use super::Ending;
use super::fields::{range, u16_at, u32_at, u64_at, utf16};
use super::members::{Member, Members, Stop};
use super::stream::decode;
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = match u32_at(bytes, 0) {
        Some(TREE) => tree(bytes.get(16..).unwrap_or_default(), DEEPEST, &mut members),
        _ => list(bytes, &mut members),
    };
    members.answer(result)
}

fn zlib(data: &[u8], out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> Ending {
    decode(data, out, room, budget, |source| Ok(Box::new(ZlibDecoder::new(source)))).1
}

/// Walks the records of an old package.
fn list(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let malformed = Stop::Short(Shortfall::Malformed);
    let n_languages = usize::from(u16_at(bytes, 18).ok_or(malformed)?).max(1);
    let n_records = u16_at(bytes, 20).ok_or(malformed)?;
    let flags = u16_at(bytes, 36).ok_or(malformed)?;
    let mut at = usize::try_from(u32_at(bytes, 52).ok_or(malformed)?).map_err(|_| malformed)?;
    let field = |at: usize| u32_at(bytes, at).ok_or(malformed);
    for _ in 0..n_records {
        members.budget.tick(32)?;
        let kind = field(at)?;
        match kind {
            0 | 1 => {
                let n_files = if kind == 0 { 1 } else { n_languages };
                let (name, _) = range(bytes, field(at + 24)?.into(), field(at + 20)?.into());
                let sizes = at + 28;
                for nth in 0..n_files {
                    members.budget.tick(32)?;
                    let packed_size = field(sizes + 4 * nth)?;
                    let start = field(sizes + 4 * (n_files + nth))?;
                    let size = field(sizes + 4 * (2 * n_files + nth))?;
                    let (data, whole) = range(bytes, start.into(), packed_size.into());
                    let member =
                        Member::titled(utf16(name, false)).sizes(packed_size.into(), size.into());
                    if flags & IS_PLAIN != 0 {
                        members.stored(member, data, whole)?;
                    } else {
                        members.decoded(member, data, zlib)?;
                    }
                }
                at = sizes + 12 * n_files + 8;
            }
            // Conditions, and where they end.
            3 | 4 => {
                let length = usize::try_from(field(at + 4)?).map_err(|_| malformed)?;
                at = at.checked_add(8).and_then(|at| at.checked_add(length)).ok_or(malformed)?;
            }
            5 | 6 => at += 4,
            _ => return Err(Shortfall::Unsupported.into()),
        }
    }
    Ok(())
}

/// Walks fields `type:4 length:4 content`, padded to four bytes, and those
/// inside of them.
fn tree(mut rest: &[u8], depth: u32, members: &mut Members<'_, '_>) -> Result<(), Stop> {
    while let Some(kind) = u32_at(rest, 0) {
        members.budget.tick(8)?;
        let (content, after) = sized(rest.get(4..).unwrap_or_default())?;
        field(kind, content, depth, members)?;
        rest = after;
    }
    Ok(())
}

fn field(kind: u32, content: &[u8], depth: u32, members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let depth = depth.checked_sub(1).ok_or(Shortfall::Depth)?;
    match kind {
        CONTENTS | DATA | DATA_UNIT | FILE_DATA => tree(content, depth, members),
        // The type of all elements, and these without.
        ARRAY => {
            let Some(kind) = u32_at(content, 0) else { return Ok(()) };
            let mut rest = content.get(4..).unwrap_or_default();
            while rest.len() >= 4 {
                members.budget.tick(8)?;
                let (content, after) = sized(rest)?;
                field(kind, content, depth, members)?;
                rest = after;
            }
            Ok(())
        }
        COMPRESSED => {
            let (Some(method), Some(size)) = (u32_at(content, 0), u64_at(content, 4)) else {
                return Err(Shortfall::Malformed.into());
            };
            let data = content.get(12..).unwrap_or_default();
            let member = Member::default().sizes(data.len() as u64, size);
            match method {
                0 => members.stored(member, data, true),
                1 => members.decoded(member, data, zlib),
                _ => members.closed(member, Shortfall::Unsupported),
            }
        }
        _ => Ok(()),
    }
}

/// Content behind its length, and what follows it. A length with the highest
/// bit set has eight bytes.
fn sized(bytes: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let malformed = Stop::Short(Shortfall::Malformed);
    let short = u32_at(bytes, 0).ok_or(malformed)?;
    let (length, start) = if short & 0x8000_0000 != 0 {
        let upper = u64::from(u32_at(bytes, 4).ok_or(malformed)?);
        (u64::from(short & 0x7fff_ffff) | upper << 31, 8)
    } else {
        (short.into(), 4)
    };
    let (content, whole) = range(bytes, start, length);
    if !whole {
        return Err(malformed);
    }
    // At most the length of the bytes.
    let end = (start as usize + content.len()).next_multiple_of(4);
    Ok((content, bytes.get(end..).unwrap_or_default()))
}

/// The first number of a package that is a tree.
const TREE: u32 = 0x1020_1a7a;

const ARRAY: u32 = 2;
const COMPRESSED: u32 = 3;
const CONTENTS: u32 = 12;
const DATA: u32 = 30;
const DATA_UNIT: u32 = 31;
const FILE_DATA: u32 = 32;

/// Of an old package: its files are not packed.
const IS_PLAIN: u16 = 8;
const DEEPEST: u32 = 16;
