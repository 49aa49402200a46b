//! InstallShield: what its setup programs carry behind themselves.
//!
//! Two forms are known. One has a header with a number of files, each behind a
//! record of 312 bytes, coded with its name and packed. The other has files
//! behind their names, paths, versions and sizes as text, among them a header
//! `data1.hdr` that describes the files inside `data1.cab`, `data2.cab`, ...,
//! which have nothing to do with Microsoft's cabinets.

use std::collections::HashMap;

use flate2::read::ZlibDecoder;
use memchr::memmem;

use super::fields::{array_at, before_zero, range, u16_at, u32_at, u64_at};
use super::members::{Member, Members, Stop};
use super::stream::decode;
use super::{Ending, Inflater};
use crate::{Budget, Shortfall, Visit};

/// Opens a program. That there is nothing of InstallShield's in it is no
/// shortfall.
pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = coded(bytes, &mut members).and_then(|()| plain(bytes, &mut members));
    members.answer(result)
}

/// Hands out coded files: `InstallShield 00 count:2 fields:30`, and for each
/// `name:260 flags:4 zero:4 size:4 fields:40 data`.
fn coded(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    members.budget.tick(bytes.len() as u64 / 16)?;
    for start in memmem::find_iter(bytes, MARK) {
        let first = start + 46;
        let Some(count) = u16_at(bytes, start + MARK.len()) else { break };
        if u32_at(bytes, first + 260) != Some(CODED | PACKED) {
            continue;
        }
        let mut at = first;
        for _ in 0..count {
            let (Some(name), Some(flags), Some(size)) =
                (bytes.get(at..at + 260), u32_at(bytes, at + 260), u32_at(bytes, at + 268))
            else {
                return Err(Shortfall::Malformed.into());
            };
            let (data, whole) = range(bytes, at as u64 + 312, size.into());
            at += 312 + data.len();
            let name = before_zero(name);
            let member = Member::named(name).sizes(size.into(), 0);
            if flags & (CODED | PACKED) == 0 || name.is_empty() {
                members.stored(member, data, whole)?;
                continue;
            }
            members.decoded(member, data, |data, out, room, budget| {
                if let Err(why) = budget.tick(data.len() as u64) {
                    return Ending::Stopped(why);
                }
                let plain = decoded(name, data);
                decode(&plain, out, room, budget, |source| Ok(Box::new(ZlibDecoder::new(source)))).1
            })?;
        }
        break;
    }
    Ok(())
}

/// Undoes the coding: bytes with their halves swapped, by the name, which
/// starts again in each block.
fn decoded(name: &[u8], data: &[u8]) -> Vec<u8> {
    let key: Vec<u8> =
        name.iter().zip(MAGIC.iter().cycle()).map(|(byte, magic)| byte ^ magic).collect();
    let decode = |block: &[u8]| -> Vec<u8> {
        block
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| !(byte.rotate_left(4) ^ key))
            .collect()
    };
    data.chunks(BLOCK).flat_map(decode).collect()
}

/// A file behind its description as text.
#[derive(Clone, Copy)]
struct File<'b> {
    name: &'b [u8],
    data: &'b [u8],
    whole: bool,
}

/// Hands out the files that stand behind `name 00 path 00 version 00 size 00`,
/// and those inside of InstallShield's cabinets among them.
fn plain(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    members.budget.tick(bytes.len() as u64 / 16)?;
    let mut files: Vec<File<'_>> = Vec::new();
    let mut end = 0;
    for at in memmem::find_iter(bytes, PATH) {
        // A file may hold a setup of its own.
        if at < end {
            continue;
        }
        let Some((file, file_end)) = File::parse(bytes, at) else { continue };
        end = file_end;
        files.push(file);
    }
    for file in &files {
        let size = file.data.len() as u64;
        members.stored(Member::named(file.name).sizes(size, size), file.data, file.whole)?;
    }
    for header in files.iter().filter(|file| file.data.starts_with(CABINET)) {
        if header.name.to_ascii_lowercase().ends_with(b".hdr") {
            cabinet(header, &files, members)?;
        }
    }
    Ok(())
}

impl<'b> File<'b> {
    /// Parses the description whose path starts behind `at`. Returns where the
    /// file ends, too.
    fn parse(bytes: &'b [u8], at: usize) -> Option<(File<'b>, usize)> {
        let before = bytes.get(at.saturating_sub(LONGEST_NAME)..at)?;
        let is_text = |byte: &u8| (0x20..0x7f).contains(byte);
        let length = before.iter().rev().take_while(|byte| is_text(byte)).count();
        let name = before.get(before.len() - length..)?;
        let text = |at: usize, most: u64| before_zero(range(bytes, at as u64, most).0);
        let path = text(at + 1, LONGEST_NAME as u64);
        // What stands before the first name may be text as well.
        let own = path.rsplit(|&byte| byte == b'\\').next()?;
        let name = if name.ends_with(own) { own } else { name };
        let mut at = at + 1 + path.len() + 1;
        let version = text(at, 64);
        at += version.len() + 1;
        let size = text(at, 24);
        at += size.len() + 1;
        if name.is_empty() || !version.iter().all(|&b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        let size = std::str::from_utf8(size).ok()?.parse().ok()?;
        let (data, whole) = range(bytes, at as u64, size);
        Some((File { name, data, whole }, at + data.len()))
    }
}

/// Hands out the files of InstallShield's cabinets by their header.
fn cabinet(
    header: &File<'_>,
    files: &[File<'_>],
    members: &mut Members<'_, '_>,
) -> Result<(), Stop> {
    let table = Table::parse(header.data).ok_or(Shortfall::Malformed)?;
    // `data1.hdr` belongs to `data1.cab` and those that follow.
    let stem: Vec<u8> = header.name.to_ascii_lowercase();
    let stem = stem.strip_suffix(b".hdr").unwrap_or_default();
    let stem = stem.strip_suffix(b"1").unwrap_or(stem).to_vec();
    let number = |name: &[u8]| {
        let number = name.to_ascii_lowercase();
        let number = number.strip_prefix(&stem[..])?.strip_suffix(b".cab")?;
        std::str::from_utf8(number).ok()?.parse::<u16>().ok()
    };
    let volumes: HashMap<u16, &File<'_>> =
        files.iter().filter_map(|file| Some((number(file.name)?, file))).collect();
    for nth in 0..table.n_files {
        members.budget.tick(64)?;
        let Some(entry) = table.entry(nth) else { return Err(Shortfall::Malformed.into()) };
        if entry.flags & INVALID != 0 || entry.size == 0 || entry.start == 0 {
            continue;
        }
        let member = Member::named(entry.name).sizes(entry.packed_size, entry.size);
        let Some(cabinet) = volumes.get(&entry.volume) else {
            members.closed(member, Shortfall::Malformed)?;
            continue;
        };
        if entry.flags & IS_SPLIT != 0 {
            members.closed(member, Shortfall::Unsupported)?;
            continue;
        }
        let (data, whole) = range(cabinet.data, entry.start, entry.packed_size);
        if entry.flags & (IS_PACKED | IS_OBSCURED) == 0 {
            members.stored(member, data, whole)?;
            continue;
        }
        members.decoded(member, data, |data, out, room, budget| {
            unpack(data, entry.flags, out, room, budget)
        })?;
    }
    Ok(())
}

/// Decodes chunks `length:2 data`, each a deflate stream.
fn unpack(data: &[u8], flags: u16, out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> Ending {
    let mut clear = Vec::new();
    if flags & IS_OBSCURED != 0 {
        if let Err(why) = budget.tick(data.len() as u64) {
            return Ending::Stopped(why);
        }
        // The remainder is less than a byte.
        clear.extend(
            data.iter()
                .enumerate()
                .map(|(at, byte)| (byte ^ 0xd5).rotate_right(2).wrapping_sub((at % 0x47) as u8)),
        );
    }
    let mut rest = if clear.is_empty() { data } else { &clear };
    if flags & IS_PACKED == 0 {
        out.extend_from_slice(rest.get(..room).unwrap_or(rest));
        return if rest.len() > room { Ending::Full } else { Ending::Complete };
    }
    let mut inflater = Inflater::new();
    while let Some(length) = u16_at(rest, 0).map(usize::from) {
        let chunk = rest.get(2..2 + length).unwrap_or_default();
        let before = out.len();
        match inflater.run(chunk, out, room, budget).1 {
            Ending::Complete => {}
            // Some writers leave out the mark of the end.
            Ending::Damaged if out.len() > before => {}
            other => return other,
        }
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    Ending::Complete
}

/// The descriptions of files in a header.
struct Table<'b> {
    bytes: &'b [u8],
    /// Where names and older descriptions are counted from.
    base: usize,
    n_folders: usize,
    n_files: u32,
    /// Of later versions: where the descriptions start.
    files: Option<usize>,
}

struct Entry<'b> {
    name: &'b [u8],
    flags: u16,
    size: u64,
    packed_size: u64,
    start: u64,
    volume: u16,
}

impl<'b> Table<'b> {
    fn parse(bytes: &'b [u8]) -> Option<Table<'b>> {
        let at = |at: usize| u32_at(bytes, at).and_then(|value| usize::try_from(value).ok());
        // Later ones have the year before the number of the version.
        let version = u32_at(bytes, 4)?;
        let major = match version >> 24 {
            1 => version >> 12 & 15,
            2 | 4 => (version & 0xffff) / 100,
            _ => 0,
        };
        let descriptor = at(12)?;
        let base = descriptor.checked_add(at(descriptor.checked_add(12)?)?)?;
        let files = match major {
            0..=5 => None,
            _ => Some(base.checked_add(at(descriptor.checked_add(44)?)?)?),
        };
        Some(Table {
            bytes,
            base,
            n_folders: at(descriptor.checked_add(28)?)?,
            // Each takes some bytes of the header.
            n_files: u32_at(bytes, descriptor.checked_add(40)?)?
                .min(u32::try_from(bytes.len() / 4).unwrap_or(u32::MAX)),
            files,
        })
    }

    fn entry(&self, nth: u32) -> Option<Entry<'b>> {
        let nth = usize::try_from(nth).ok()?;
        let bytes = self.bytes;
        let name = |offset: u32| {
            let at = self.base.checked_add(usize::try_from(offset).ok()?)?;
            Some(before_zero(bytes.get(at..)?))
        };
        if let Some(files) = self.files {
            let at = files.checked_add(nth.checked_mul(0x57)?)?;
            let record: [u8; 0x57] = array_at(bytes, at)?;
            return Some(Entry {
                name: name(u32_at(&record, 58)?)?,
                flags: u16_at(&record, 0)?,
                size: u64_at(&record, 2)?,
                packed_size: u64_at(&record, 10)?,
                start: u64_at(&record, 18)?,
                volume: u16_at(&record, 85)?,
            });
        }
        // A list of where folders and then files are described.
        let slot = self.base.checked_add(4_usize.checked_mul(self.n_folders.checked_add(nth)?)?)?;
        let at = self.base.checked_add(usize::try_from(u32_at(bytes, slot)?).ok()?)?;
        let record: [u8; 42] = array_at(bytes, at)?;
        Some(Entry {
            name: name(u32_at(&record, 0)?)?,
            flags: u16_at(&record, 8)?,
            size: u32_at(&record, 10)?.into(),
            packed_size: u32_at(&record, 14)?.into(),
            start: u32_at(&record, 38)?.into(),
            volume: 1,
        })
    }
}

const MARK: &[u8] = b"InstallShield\0";
const MAGIC: [u8; 4] = [0x13, 0x35, 0x86, 0x07];
const CODED: u32 = 4;
const PACKED: u32 = 2;
/// The key starts again after so many bytes.
const BLOCK: usize = 1024;

/// Where every path of a setup starts.
const PATH: &[u8] = b"\0Disk1\\";
const LONGEST_NAME: usize = 260;
const CABINET: &[u8] = b"ISc(";

const IS_SPLIT: u16 = 1;
const IS_OBSCURED: u16 = 2;
const IS_PACKED: u16 = 4;
const INVALID: u16 = 8;
