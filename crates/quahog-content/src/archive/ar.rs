//! ar: the archives of linkers and of Debian's packages.

use super::fields::range;
use super::members::{Member, Members, Stop};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut at = MAGIC.len();
    let mut long_names: &[u8] = &[];
    while let Some(header) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEADER>) {
        members.budget.tick(HEADER as u64)?;
        let Some(size) = decimal(&header[48..58]) else {
            return Err(Shortfall::Malformed.into());
        };
        at += HEADER;
        let (mut data, whole) = range(bytes, at as u64, size);
        at += data.len().next_multiple_of(2);
        let field = header[..16].trim_ascii_end();
        let mut name = field.strip_suffix(b"/").unwrap_or(field);
        if field == b"//" {
            long_names = data;
            continue;
        } else if let Some(length) = field.strip_prefix(b"#1/").and_then(decimal) {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(data.len());
            (name, data) = data.split_at(length);
            name = super::fields::before_zero(name);
        } else if let Some(start) = field.strip_prefix(b"/").and_then(decimal) {
            let (rest, _) = range(long_names, start, u64::MAX);
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(rest.len());
            name = rest.get(..end).unwrap_or_default();
            name = name.strip_suffix(b"/").unwrap_or(name);
        }
        members.stored(Member::named(name).sizes(size, data.len() as u64), data, whole)?;
    }
    if at < bytes.len() { Err(Shortfall::Malformed.into()) } else { Ok(()) }
}

fn decimal(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field.trim_ascii()).ok()?.parse().ok()
}

pub(super) const MAGIC: &[u8] = b"!<arch>\n";
/// `name:16 time:12 owner:6 group:6 mode:8 size:10` and two bytes.
const HEADER: usize = 60;
