//! OneNote sections ([MS-ONESTORE]): the files that are attached to pages.
//!
//! Files of the desktop program keep each in a `FileDataStoreObject`, between
//! two identifiers. Those of the web keep them in data elements of
//! [MS-FSSHTTPB], where a blob has its length twice: in the header of its
//! object and in front of its bytes. Both are searched for, since pages may
//! point anywhere.

use memchr::memmem;

use super::{About, Allowance, Outlet, Stop, u32_at, u64_at};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| {
        budget.tick(2 * bytes.len() as u64)?;
        let mut allowance = Allowance::of(bytes);
        for at in memmem::find_iter(bytes, STORED_FILE) {
            budget.tick(1)?;
            let Some(length) = u64_at(bytes, at + 16) else { break };
            let rest = bytes.get(at + 36..).unwrap_or_default();
            hand(outlet, &mut allowance, rest, length)?;
        }
        for at in memmem::find_iter(bytes, BLOB) {
            budget.tick(1)?;
            let Some((length, start)) = blob(bytes, at) else { continue };
            let rest = bytes.get(start..).unwrap_or_default();
            if length > 0 && length <= rest.len() as u64 {
                hand(outlet, &mut allowance, rest, length)?;
            }
        }
        Ok(())
    })
}

/// Hands out the first `length` bytes of `rest`.
fn hand(
    outlet: &mut Outlet<'_, '_, '_>,
    allowance: &mut Allowance,
    rest: &[u8],
    length: u64,
) -> Result<(), Stop> {
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    let there = wanted.min(rest.len());
    let granted = allowance.take(there);
    let shortfall = (granted < wanted).then_some(Shortfall::Malformed);
    let about = About { shortfall, ..About::default() };
    outlet.hand(about, rest.get(..granted).unwrap_or_default())
}

/// The length of a blob whose object header stands at `at`, and where it
/// begins.
///
/// A header has 32 bits: 2 for its own kind, one flag, 14 for the kind of
/// object, 15 for the length. All ones there mean that it follows.
fn blob(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let header = u32_at(bytes, at)?;
    if header & 0x1_ffff != 0x12 {
        return None;
    }
    let mut outer = u64::from(header >> 17);
    let mut next = at + 4;
    if outer == 0x7fff {
        let (length, width) = compact(bytes, next)?;
        (outer, next) = (length, next + width);
    }
    let (length, width) = compact(bytes, next)?;
    (length.checked_add(width as u64)? == outer).then_some((length, next + width))
}

/// A compact number: the lowest bit that is set tells how many bytes it has.
fn compact(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    if first == 0 {
        return Some((0, 1));
    }
    let zeros = first.trailing_zeros();
    if zeros == 7 {
        return Some((u64_at(bytes, at + 1)?, 9));
    }
    let width = zeros as usize + 1;
    let field = bytes.get(at..at + width)?;
    let number = field.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
    Some((number >> width, width))
}

/// {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}
const STORED_FILE: &[u8] = b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";
/// How the header of a blob begins.
const BLOB: &[u8] = b"\x12\0";
