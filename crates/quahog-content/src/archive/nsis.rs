//! NSIS: what setup programs of Nullsoft's system carry behind themselves.
//!
//! Behind the header lie blocks, each with its length before it: the script, then
//! the files. Either each is packed by itself, which a bit of its length says, or
//! all of them are one stream, lengths and all. Nothing says how they are packed
//! but their first bytes. The names of the files are in the script, which is not
//! read.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

use super::fields::{range, u32_at};
use super::members::{Member, Members, Stop};
use super::stream::{LARGEST_DICTIONARY, Progress, Source, Stream, decode};
use super::{Ending, lzma};
use crate::{Budget, Shortfall, Visit};

/// Opens `magic:16 script:4 length:4` and what follows. The length counts four bytes
/// more before the magic.
pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let malformed = Stop::Short(Shortfall::Malformed);
    let script = u32_at(bytes, 16).ok_or(malformed)?;
    let length = u32_at(bytes, 20).and_then(|length| length.checked_sub(28)).ok_or(malformed)?;
    let (data, whole) = range(bytes, 24, length.into());
    let first = u32_at(data, 0).ok_or(malformed)?;
    let fits = (first & !PACKED) as usize <= data.len() - 4;
    if Packing::of(data) != Packing::Lzma && fits && (first & PACKED != 0 || first == script) {
        blocks(data, members)?;
    } else {
        stream(data, members)?;
    }
    if whole { Ok(()) } else { Err(malformed) }
}

/// Says of a length that its block is packed.
const PACKED: u32 = 1 << 31;

/// How bytes are packed, by the first of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Packing {
    Deflate,
    Lzma,
    /// In a form of bzip2 without headers, or behind a filter.
    Other,
}

impl Packing {
    fn of(data: &[u8]) -> Packing {
        match *data {
            // Usual properties, a dictionary, and the zero that a stream begins with.
            [0x5d, 0, 0, _, _, 0, ..] => Packing::Lzma,
            [0 | 1, 0x5d, 0, 0, ..] => Packing::Other,
            // A level, and a mark.
            [b'1', 0..0x0e, ..] => Packing::Other,
            _ => Packing::Deflate,
        }
    }

    /// A reader of what is packed.
    fn reader<'s>(self, mut source: Source<'s>, room: usize) -> io::Result<Box<dyn Read + 's>> {
        match self {
            Packing::Deflate => Ok(Box::new(DeflateDecoder::new(source))),
            Packing::Lzma => {
                let mut header = [0; 5];
                source.read_exact(&mut header)?;
                let [properties, dictionary @ ..] = header;
                let dictionary = u32::from_le_bytes(dictionary).min(LARGEST_DICTIONARY);
                lzma::reader(source, room, properties, dictionary, u64::MAX)
            }
            Packing::Other => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Hands out blocks that are packed each by itself, or not at all.
fn blocks(data: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut at = 0;
    // What is left at the end is a checksum.
    while let Some(length) = u32_at(data, at).filter(|_| at + 8 <= data.len()) {
        members.budget.tick(8)?;
        let (block, whole) = range(data, at as u64 + 4, (length & !PACKED).into());
        at += 4 + block.len();
        let member = Member::default().sizes(block.len() as u64, 0);
        match Packing::of(block) {
            _ if length & PACKED == 0 => members.stored(member, block, whole)?,
            Packing::Other => members.closed(member, Shortfall::Unsupported)?,
            packing => members.decoded(member, block, |block, out, room, budget| {
                decode(block, out, room, budget, |source| packing.reader(source, room)).1
            })?,
        }
        if !whole {
            return Err(Shortfall::Malformed.into());
        }
    }
    Ok(())
}

/// Hands out the blocks of one stream.
fn stream(data: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let packing = Packing::of(data);
    if packing == Packing::Other {
        return Err(Shortfall::Unsupported.into());
    }
    let progress = Progress::new(members.budget);
    // A dictionary may reach over all parts.
    let start = || packing.reader(progress.source(data), usize::MAX);
    let mut stream = Stream::start(&progress, start);
    loop {
        let mut length = Vec::new();
        let ending = stream.take(&mut length, 4);
        let Some(length) = u32_at(&length, 0) else {
            // What ends between two blocks ends well.
            let is_end = length.is_empty() && members.count() > 0;
            let ending = if is_end { stream.read(&mut Vec::new(), 0) } else { ending };
            let why = ending.shortfall(Shortfall::PartBytes);
            return why.map_or(Ok(()), |why| Err(why.into()));
        };
        let mut ended = Ending::Complete;
        members.decoded(Member::default(), &[], |_, out, room, _| {
            ended = stream.take(out, (length as usize).min(room));
            if ended == Ending::Complete && length as usize > room {
                ended = Ending::Full;
            }
            ended
        })?;
        // Where the next block begins is not known then.
        if let Some(why) = ended.shortfall(Shortfall::PartBytes) {
            return Err(why.into());
        }
    }
}
