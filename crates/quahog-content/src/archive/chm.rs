//! Compiled help (CHM): a directory in chunks, and files that are stored or
//! pieces of one stream of LZX.

use std::io::{self, Read};

use lzxd::Lzxd;

use super::cabinet::window;
use super::fields::{range, u32_at, u64_at};
use super::members::{Member, Members, Stop};
use super::stream::{Piece, Progress, Stream, pieces};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let help = Help::parse(bytes, members)?;
    let stored =
        |entry: &Entry<'_>| range(bytes, help.content.saturating_add(entry.start), entry.length);
    let mut packed = Vec::new();
    for entry in &help.entries {
        // Names with two colons are the format's own.
        if entry.name.starts_with(b"::") || entry.length == 0 {
            continue;
        }
        let member = Member::named(entry.name).sizes(0, entry.length);
        match entry.section {
            0 => {
                let (data, whole) = stored(entry);
                members.stored(member, data, whole)?;
            }
            1 => packed.push(Piece { member, start: entry.start, length: entry.length }),
            _ => members.closed(member, Shortfall::Unsupported)?,
        }
    }
    if packed.is_empty() {
        return Ok(());
    }
    let special = |name: &[u8]| {
        help.entries.iter().find(|entry| entry.section == 0 && entry.name == name).map(stored)
    };
    let progress = Progress::new(members.budget);
    let mut stream = Stream::start(&progress, || {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let (content, _) = special(CONTENT).ok_or_else(damaged)?;
        let (control, _) = special(CONTROL).ok_or_else(damaged)?;
        let (table, _) = special(RESET_TABLE).ok_or_else(damaged)?;
        let frames = Frames::new(content, control, table, &progress).ok_or_else(damaged)??;
        Ok(Box::new(frames) as Box<dyn Read>)
    });
    pieces(members, &mut stream, packed)
}

struct Help<'b> {
    /// Where stored files are counted from.
    content: u64,
    entries: Vec<Entry<'b>>,
}

struct Entry<'b> {
    name: &'b [u8],
    section: u64,
    start: u64,
    length: u64,
}

impl<'b> Help<'b> {
    fn parse(bytes: &'b [u8], members: &Members<'_, '_>) -> Result<Help<'b>, Stop> {
        let malformed = Stop::Short(Shortfall::Malformed);
        if !bytes.starts_with(b"ITSF") {
            return Err(malformed);
        }
        let directory = u64_at(bytes, 0x48).ok_or(malformed)?;
        let length = u64_at(bytes, 0x50).ok_or(malformed)?;
        let content = match u32_at(bytes, 4) {
            Some(version) if version >= 3 => u64_at(bytes, 0x58).ok_or(malformed)?,
            _ => directory.saturating_add(length),
        };
        let (directory, _) = range(bytes, directory, length);
        if !directory.starts_with(b"ITSP") {
            return Err(malformed);
        }
        let at = |at: usize| {
            u32_at(directory, at).and_then(|value| usize::try_from(value).ok()).ok_or(malformed)
        };
        let (header, chunk) = (at(8)?, at(0x10)?);
        if chunk < 32 {
            return Err(malformed);
        }
        members.budget.tick(directory.len() as u64)?;
        let mut entries = Vec::new();
        for chunk in directory.get(header..).unwrap_or_default().chunks(chunk) {
            let Some(free) = u32_at(chunk, 4).filter(|_| chunk.starts_with(b"PMGL")) else {
                continue;
            };
            let end = chunk.len().saturating_sub(usize::try_from(free).unwrap_or(usize::MAX));
            let mut rest = chunk.get(20..end).unwrap_or_default();
            while let Some(entry) = entry(&mut rest) {
                entries.push(entry);
            }
        }
        Ok(Help { content, entries })
    }
}

/// Parses `name-length name section start length`.
fn entry<'b>(rest: &mut &'b [u8]) -> Option<Entry<'b>> {
    let length = usize::try_from(number(rest)?).ok()?;
    let name = rest.get(..length)?;
    *rest = rest.get(length..)?;
    Some(Entry { name, section: number(rest)?, start: number(rest)?, length: number(rest)? })
}

/// Seven bits a byte, the highest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value = value.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

/// The frames of the packed stream, decoded one by one.
struct Frames<'s> {
    content: &'s [u8],
    /// Where frames start in the content.
    table: &'s [u8],
    progress: &'s Progress<'s>,
    size: u64,
    packed_size: u64,
    decoder: Lzxd,
    /// After so many frames the decoder starts anew.
    reset_every: usize,
    nth: usize,
    frame: Vec<u8>,
    given: usize,
}

impl<'s> Frames<'s> {
    fn new(
        content: &'s [u8],
        control: &'s [u8],
        table: &'s [u8],
        progress: &'s Progress<'s>,
    ) -> Option<io::Result<Frames<'s>>> {
        let unit = if u32_at(control, 8)? >= 2 { 0x8000 } else { 1 };
        let reset = u64::from(u32_at(control, 12)?) * unit;
        let window_size = u64::from(u32_at(control, 16)?) * unit;
        let header = usize::try_from(u32_at(table, 12)?).ok()?;
        let size = u64_at(table, 16)?;
        let packed_size = u64_at(table, 24)?;
        let bits = window_size.checked_ilog2()?;
        let decoder = match window(u16::try_from(bits).ok()?) {
            Ok(window) => Lzxd::new(window),
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(Frames {
            content,
            table: table.get(header..)?,
            progress,
            size,
            packed_size,
            decoder,
            reset_every: usize::try_from(reset / FRAME as u64).ok()?.max(1),
            nth: 0,
            frame: Vec::new(),
            given: 0,
        }))
    }

    fn next(&mut self) -> Option<io::Result<()>> {
        let before = self.nth as u64 * FRAME as u64;
        let size = self.size.checked_sub(before).filter(|&left| left > 0)?.min(FRAME as u64);
        let start = u64_at(self.table, 8 * self.nth)?;
        let end = u64_at(self.table, 8 * self.nth + 8).unwrap_or(self.packed_size);
        let (data, _) = range(self.content, start, end.checked_sub(start)?);
        if let Err(error) = self.progress.charge(data.len()) {
            return Some(Err(error));
        }
        if self.nth > 0 && self.nth.is_multiple_of(self.reset_every) {
            self.decoder.reset();
        }
        self.nth += 1;
        // At most a frame.
        let frame = match self.decoder.decompress_next(data, size as usize) {
            Ok(frame) => frame,
            Err(_) => return Some(Err(io::ErrorKind::InvalidData.into())),
        };
        self.frame.clear();
        self.frame.extend_from_slice(frame);
        self.given = 0;
        Some(Ok(()))
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.frame.len() {
            match self.next() {
                None => return Ok(0),
                Some(result) => result?,
            }
        }
        let mut rest = self.frame.get(self.given..).unwrap_or_default();
        let given = rest.read(buffer)?;
        self.given += given;
        Ok(given)
    }
}

const CONTENT: &[u8] = b"::DataSpace/Storage/MSCompressed/Content";
const CONTROL: &[u8] = b"::DataSpace/Storage/MSCompressed/ControlData";
const RESET_TABLE: &[u8] = b"::DataSpace/Storage/MSCompressed/Transform/\
    {7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable";
const FRAME: usize = 0x8000;
