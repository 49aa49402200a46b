//! CD images (ISO 9660), with Joliet's second tree of names.
//!
//! Both trees are walked; what both name is handed out once, and its second
//! name without bytes. Sectors may be raw, with bytes around their data.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;

use super::Ending;
use super::fields::{range, u32_at, utf16};
use super::members::{Member, Members, Stop};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let disc = Disc::find(bytes).ok_or(Shortfall::Malformed)?;
    let mut trees = Vec::new();
    for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
        members.budget.tick(SECTOR as u64)?;
        let (block, _) = disc.read(sector, SECTOR as u64);
        match (block.first(), block.get(1..6)) {
            (Some(1), Some(b"CD001")) => trees.push((Record::parse(&block, 156), false)),
            (Some(2), Some(b"CD001")) if matches!(block.get(88..90), Some(b"%/")) => {
                trees.push((Record::parse(&block, 156), true));
            }
            (Some(255), _) | (_, None) => break,
            _ => {}
        }
    }
    // The names that systems of today show come first.
    trees.sort_by_key(|tree| !tree.1);
    let mut seen = HashSet::new();
    let mut complete = !trees.is_empty();
    for (root, joliet) in trees {
        let Some(root) = root else {
            complete = false;
            continue;
        };
        let mut folders = vec![(root, String::new())];
        while let Some((folder, path)) = folders.pop() {
            if !seen.insert((folder.sector, joliet)) {
                continue;
            }
            complete &= disc.folder(&folder, &path, joliet, members, &mut folders)?;
        }
    }
    if complete { Ok(()) } else { Err(Shortfall::Malformed.into()) }
}

/// Where sectors lie in the file.
struct Disc<'b> {
    bytes: &'b [u8],
    /// From one sector to the next.
    stride: u64,
    /// Where the data of sector 0 starts; may lie before the file.
    base: i64,
}

impl<'b> Disc<'b> {
    /// Finds the volume descriptors, of which the first stands in sector 16.
    fn find(bytes: &'b [u8]) -> Option<Disc<'b>> {
        let mut marks = memmem::find_iter(bytes, b"CD001").filter_map(|at| at.checked_sub(1));
        let first = marks.find(|&at| bytes.get(at) == Some(&1))?;
        let next = marks.next().map(|at| (at - first) as u64);
        let stride = [SECTOR as u64, 2352, 2448, 2336].into_iter();
        let stride = stride.clone().find(|&stride| next == Some(stride)).unwrap_or(SECTOR as u64);
        // Positions in a file fit.
        let base = first as i64 - (FIRST_DESCRIPTOR * stride) as i64;
        Some(Disc { bytes, stride, base })
    }

    /// Bytes from the start of a sector, and whether there are all.
    fn read(&self, sector: u64, length: u64) -> (Cow<'b, [u8]>, bool) {
        let start = sector.saturating_mul(self.stride).checked_add_signed(self.base);
        let Some(start) = start else { return (Cow::Borrowed(&[]), false) };
        if self.stride == SECTOR as u64 {
            let (data, whole) = range(self.bytes, start, length);
            return (data.into(), whole);
        }
        let mut data = Vec::new();
        let mut at = start;
        while (data.len() as u64) < length {
            let left = (length - data.len() as u64).min(SECTOR as u64);
            let (piece, whole) = range(self.bytes, at, left);
            data.extend_from_slice(piece);
            if !whole {
                return (data.into(), false);
            }
            at += self.stride;
        }
        (data.into(), true)
    }

    /// Hands out the files of a folder. Returns whether all of it was read.
    fn folder(
        &self,
        folder: &Record,
        path: &str,
        joliet: bool,
        members: &mut Members<'_, '_>,
        folders: &mut Vec<(Record, String)>,
    ) -> Result<bool, Stop> {
        let (block, mut whole) = self.read(folder.sector, folder.size);
        // Folders may lie over each other.
        if !members.read(block.len()) {
            return Err(Shortfall::Malformed.into());
        }
        members.budget.tick(block.len() as u64)?;
        let mut at = 0;
        // The pieces of a file before the one at hand.
        let mut before: Vec<Record> = Vec::new();
        while at < block.len() {
            let Some(&length) = block.get(at) else { break };
            if length == 0 {
                // No record goes over the end of a sector.
                at = (at + 1).next_multiple_of(SECTOR);
                continue;
            }
            let Some(record) = Record::parse(&block, at) else {
                whole = false;
                break;
            };
            let name = block.get(at + 33..at + 33 + record.name_length).unwrap_or_default();
            at += usize::from(length);
            if matches!(name, [0] | [1]) {
                continue;
            }
            let name = match joliet {
                true => utf16(name, true),
                false => name.iter().copied().map(char::from).collect(),
            };
            let name = name.split(';').next().unwrap_or_default();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if record.flags & IS_FOLDER != 0 {
                if folders.len() < MAX_FOLDERS && path.len() < LONGEST_PATH {
                    folders.push((record, path));
                } else {
                    whole = false;
                }
                continue;
            }
            if record.flags & GOES_ON != 0 {
                before.push(record);
                continue;
            }
            let pieces: Vec<Record> = before.drain(..).chain([record]).collect();
            self.file(path, &pieces, members)?;
        }
        Ok(whole)
    }

    fn file(
        &self,
        path: String,
        pieces: &[Record],
        members: &mut Members<'_, '_>,
    ) -> Result<(), Stop> {
        let size = pieces.iter().fold(0_u64, |sum, piece| sum.saturating_add(piece.size));
        let member = Member::titled(path).sizes(size, size);
        if size == 0 {
            return members.empty(member);
        }
        let [first, ..] = pieces else { return Ok(()) };
        if pieces.len() == 1 && self.stride == SECTOR as u64 {
            let start = first.sector.saturating_mul(self.stride).checked_add_signed(self.base);
            let (data, whole) = range(self.bytes, start.unwrap_or(u64::MAX), size);
            return members.stored(member, data, whole);
        }
        // What stands for the file in the list of what was handed out.
        let start = first.sector.saturating_mul(self.stride).checked_add_signed(self.base);
        let (key, _) = range(self.bytes, start.unwrap_or(u64::MAX), size);
        members.decoded(member, key, |_, out, room, budget| {
            for piece in pieces {
                let wanted = piece.size.min((room - out.len()) as u64);
                if let Err(why) = budget.tick(wanted) {
                    return Ending::Stopped(why);
                }
                let (data, whole) = self.read(piece.sector, wanted);
                out.extend_from_slice(&data);
                if !whole {
                    return Ending::Damaged;
                }
                if wanted < piece.size {
                    return Ending::Full;
                }
            }
            Ending::Complete
        })
    }
}

/// A record of a folder.
#[derive(Clone, Copy)]
struct Record {
    sector: u64,
    size: u64,
    flags: u8,
    name_length: usize,
}

impl Record {
    /// Parses `length:1 attributes:1 sector:8 size:8 date:7 flags:1 unit:1
    /// gap:1 volume:4 name-length:1 name`, where numbers stand twice.
    fn parse(block: &[u8], at: usize) -> Option<Record> {
        let attributes = u64::from(*block.get(at + 1)?);
        Some(Record {
            sector: u64::from(u32_at(block, at + 2)?) + attributes,
            size: u32_at(block, at + 10)?.into(),
            flags: *block.get(at + 25)?,
            name_length: usize::from(*block.get(at + 32)?),
        })
    }
}

const SECTOR: usize = 2048;
const FIRST_DESCRIPTOR: u64 = 16;
const MAX_DESCRIPTORS: u64 = 32;
const IS_FOLDER: u8 = 2;
const GOES_ON: u8 = 0x80;
/// Folders that wait to be read, and bytes of the path of each.
const MAX_FOLDERS: usize = 10_000;
const LONGEST_PATH: usize = 1024;
