//! tar in all its dialects: v7, ustar, GNU, pax, and their sparse files.
//!
//! Blocks of zeros do not end the walk, for some readers go on behind them. A
//! block that is no header is damage, and the walk goes on with the next one
//! that is. What a link or a folder says is handed out without bytes.
//!
//! The holes of sparse files are filled as far as [`LARGEST_SPARSE`]; of a
//! larger file, the bytes between the holes are handed out, and that something
//! is missing.

use super::fields::{before_zero, range};
use super::members::{Member, Members, Stop};
use super::{Ending, decode_name};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut at = 0_usize;
    let (mut damaged, mut ended) = (false, false);
    let mut said = Said::default();
    let mut global = Said::default();
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        members.budget.tick(BLOCK as u64)?;
        at += BLOCK;
        if block.iter().all(|&byte| byte == 0) {
            ended = true;
            continue;
        }
        let Some(header) = Header::parse(block) else {
            damaged |= !ended;
            continue;
        };
        let size = said.size.or(global.size).unwrap_or(header.size);
        let (data, whole) = range(bytes, at as u64, size);
        let start = at;
        // At most the length of the file.
        at += data.len().next_multiple_of(BLOCK);
        match header.kind {
            b'L' => said.name = Some(before_zero(data).into()),
            b'K' => {}
            b'x' | b'X' => said.records(data),
            b'g' => global.records(data),
            _ => {
                let said = std::mem::take(&mut said);
                let name = said.sparse_name.or(said.name).or_else(|| global.name.clone());
                let name = name.unwrap_or_else(|| header.name());
                let mut member = Member::titled(decode_name(&name, char::from));
                (member.packed_size, member.size) = (size, said.real_size.unwrap_or(size));
                if matches!(header.kind, b'1'..=b'6' | b'V' | b'N') && data.is_empty() {
                    members.empty(member)?;
                    continue;
                }
                let mut map = said.map;
                let mut data = data;
                if header.kind == b'S' {
                    let (real_size, entries, length) = header.old_map(bytes, start);
                    member.size = real_size;
                    map = Some(entries);
                    // The blocks of the map stand before the data.
                    (data, _) = range(bytes, (start + length) as u64, size);
                    at = start + length + data.len().next_multiple_of(BLOCK);
                } else if said.map_in_data {
                    let (entries, length) = map_of_data(data);
                    map = Some(entries);
                    data = data.get(length..).unwrap_or_default();
                }
                match map {
                    None => members.stored(member, data, whole)?,
                    Some(map) => sparse(members, member, data, &map)?,
                }
            }
        }
    }
    if members.count() == 0 || damaged || (!ended && at > bytes.len()) {
        return Err(Shortfall::Malformed.into());
    }
    Ok(())
}

/// Hands out a file with holes.
fn sparse(
    members: &mut Members<'_, '_>,
    member: Member<'_>,
    data: &[u8],
    map: &[(u64, u64)],
) -> Result<(), Stop> {
    let size = member.size;
    let fills = size <= LARGEST_SPARSE.min(members.budget.unpacked_room(data.len()).0);
    members.decoded(member, data, |data, out, room, budget| {
        let mut rest = data;
        for &(start, length) in map {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let piece = rest.get(..length).unwrap_or(rest);
            rest = rest.get(piece.len()..).unwrap_or_default();
            if fills {
                let start = usize::try_from(start.min(size)).unwrap_or(usize::MAX).min(room);
                if start > out.len() {
                    out.resize(start, 0);
                }
            }
            if let Err(why) = budget.tick(1 + piece.len() as u64) {
                return Ending::Stopped(why);
            }
            if piece.len() > room.saturating_sub(out.len()) {
                out.extend_from_slice(piece.get(..room - out.len()).unwrap_or_default());
                return Ending::Full;
            }
            out.extend_from_slice(piece);
            if piece.len() < length {
                return Ending::Damaged;
            }
        }
        let end = usize::try_from(size).unwrap_or(usize::MAX);
        if !fills || end > room {
            return Ending::Full;
        }
        if out.len() < end {
            out.resize(end, 0);
        }
        Ending::Complete
    })
}

/// What a header says.
struct Header<'b> {
    block: &'b [u8; BLOCK],
    kind: u8,
    size: u64,
}

impl<'b> Header<'b> {
    /// Parses a block; `None` if its checksum is wrong and it does not even
    /// bear the name of the format.
    fn parse(block: &'b [u8; BLOCK]) -> Option<Header<'b>> {
        let header = Header { block, kind: block[156], size: number(&block[124..136])? };
        let declared = number(&block[148..156]);
        let sums = [false, true].map(|signed| {
            let sum: i64 = block.iter().enumerate().fold(0, |sum, (at, &byte)| {
                let byte = if (148..156).contains(&at) { b' ' } else { byte };
                sum + if signed { i64::from(byte as i8) } else { i64::from(byte) }
            });
            u64::try_from(sum).ok()
        });
        (sums.contains(&declared) || header.is_ustar()).then_some(header)
    }

    fn is_ustar(&self) -> bool {
        self.block[257..].starts_with(b"ustar")
    }

    fn name(&self) -> Vec<u8> {
        let name = before_zero(&self.block[..100]);
        // In GNU's dialect other things stand where ustar has the prefix.
        let prefix = before_zero(&self.block[345..500]);
        if !self.block[257..].starts_with(b"ustar\0") || prefix.is_empty() {
            return name.into();
        }
        [prefix, b"/", name].concat()
    }

    /// The map of a sparse file in GNU's old form: the size of the file, where
    /// its pieces lie, and how long the blocks are that go on with the map
    /// from `start`.
    fn old_map(&self, bytes: &[u8], start: usize) -> (u64, Vec<(u64, u64)>, usize) {
        let mut map = Vec::new();
        let mut add = |fields: &[u8]| {
            for entry in fields.chunks_exact(24) {
                let (from, length) = entry.split_at(12);
                let (Some(from), Some(length)) = (number(from), number(length)) else { return };
                if length > 0 {
                    map.push((from, length));
                }
            }
        };
        add(&self.block[386..482]);
        let real_size = number(&self.block[483..495]).unwrap_or(self.size);
        let (mut at, mut more) = (start, self.block[482] != 0);
        while more && let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
            add(&block[..504]);
            more = block[504] != 0;
            at += BLOCK;
        }
        (real_size, map, at - start)
    }
}

/// What headers say of the member behind them.
#[derive(Debug, Default)]
struct Said {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse_name: Option<Vec<u8>>,
    real_size: Option<u64>,
    map: Option<Vec<(u64, u64)>>,
    /// The map stands before the data (sparse format 1.0).
    map_in_data: bool,
}

impl Said {
    /// Reads pax records: `length key=value` and a line feed, where the length
    /// is that of all this.
    fn records(&mut self, mut rest: &[u8]) {
        let mut from = None;
        while let Some(space) = rest.iter().take(20).position(|&byte| byte == b' ') {
            let length = decimal(rest.get(..space).unwrap_or_default());
            let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
                return;
            };
            let Some(record) = rest.get(space + 1..length.saturating_sub(1)) else { return };
            rest = rest.get(length..).unwrap_or_default();
            let Some(equals) = record.iter().position(|&byte| byte == b'=') else { return };
            let (key, value) = (record.get(..equals), record.get(equals + 1..));
            let (Some(key), Some(value)) = (key, value) else { return };
            match key {
                b"path" => self.name = Some(value.into()),
                b"size" => self.size = decimal(value).or(self.size),
                b"GNU.sparse.name" => self.sparse_name = Some(value.into()),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.real_size = decimal(value),
                b"GNU.sparse.major" => self.map_in_data = decimal(value) == Some(1),
                b"GNU.sparse.offset" => from = decimal(value),
                b"GNU.sparse.numbytes" => {
                    let piece = from.take().zip(decimal(value));
                    self.map.get_or_insert_default().extend(piece);
                }
                b"GNU.sparse.map" => {
                    let mut numbers = value.split(|&byte| byte == b',').map_while(decimal);
                    let mut map = Vec::new();
                    while let (Some(from), Some(length)) = (numbers.next(), numbers.next()) {
                        map.push((from, length));
                    }
                    self.map = Some(map);
                }
                _ => {}
            }
        }
    }
}

/// The map of a sparse file at the start of its data: lines with the number
/// of pieces, and for each where it lies and how long it is.
fn map_of_data(data: &[u8]) -> (Vec<(u64, u64)>, usize) {
    let mut at = 0;
    let mut line = || {
        let rest = data.get(at..).unwrap_or_default();
        let length = rest.iter().take(24).position(|&byte| byte == b'\n')?;
        at += length + 1;
        decimal(rest.get(..length).unwrap_or_default())
    };
    let mut map = Vec::new();
    let mut left = line().unwrap_or(0);
    while left > 0
        && let (Some(from), Some(length)) = (line(), line())
    {
        map.push((from, length));
        left -= 1;
    }
    (map, at.next_multiple_of(BLOCK))
}

/// A number of a header: octal digits, or base 256 if the highest bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let start = u64::from(first & 0x3f);
        return rest
            .iter()
            .try_fold(start, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()));
    }
    let digits = field.iter().copied().skip_while(|byte| matches!(byte, b' ' | 0));
    let mut value = 0_u64;
    for byte in digits {
        match byte {
            b'0'..=b'7' => value = value.checked_mul(8)?.checked_add((byte - b'0').into())?,
            b' ' | 0 => break,
            _ => return None,
        }
    }
    Some(value)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

const BLOCK: usize = 512;

/// The largest file whose holes are filled.
const LARGEST_SPARSE: u64 = 32 << 20;
