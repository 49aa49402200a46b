//! NSIS: what setup programs of Nullsoft's system carry behind themselves.
//!
//! Behind the header lie blocks, each with its length before it: the script, then
//! the files. Either each is packed by itself, which a bit of its length says, or
//! all of them are one stream, lengths and all. Nothing says how they are packed
//! but their first bytes. The names of the files are in the script, which is not
//! read.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use lzma_rust2::LzmaReader;

use super::Ending;
use super::fields::{range, u32_at};
use super::members::{Member, Members, Stop};
use super::stream::{Progress, Source, Stream, decode};
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
    let (data, _) = range(bytes, 24, length.into());
    let first = u32_at(data, 0).ok_or(malformed)?;
    let fits = (first & !PACKED) as usize <= data.len() - 4;
    if Packing::of(data) != Packing::Lzma && fits && (first & PACKED != 0 || first == script) {
        blocks(data, members)
    } else {
        stream(data, members)
    }
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
    fn reader<'s>(self, mut source: Source<'s>, room: u64) -> io::Result<Box<dyn Read + 's>> {
        match self {
            Packing::Deflate => Ok(Box::new(DeflateDecoder::new(source))),
            Packing::Lzma => {
                let mut header = [0; 5];
                source.read_exact(&mut header)?;
                let [properties, dictionary @ ..] = header;
                let most = u32::try_from(room).unwrap_or(u32::MAX).saturating_add(4096);
                let dictionary = u32::from_le_bytes(dictionary).min(most).min(LARGEST);
                let mut reader =
                    LzmaReader::new_with_props(source, u64::MAX, properties, dictionary, None)?;
                reader.set_relaxed_end_condition(true);
                reader.set_defer_errors(true);
                Ok(Box::new(reader))
            }
            Packing::Other => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// The largest dictionary that is made.
const LARGEST: u32 = 128 << 20;

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
                decode(block, out, room, budget, |source| packing.reader(source, room as u64)).1
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
    let (room, _) = members.budget.part_room();
    let mut stream = Stream::start(&progress, || packing.reader(progress.source(data), room));
    loop {
        let mut length = Vec::new();
        let ending = stream.take(&mut length, 4);
        let Some(length) = u32_at(&length, 0) else {
            return match ending {
                Ending::Stopped(why) => Err(why.into()),
                _ if members.count() == 0 => Err(Shortfall::Malformed.into()),
                _ => Ok(()),
            };
        };
        let mut ended = Ending::Complete;
        members.decoded(Member::default(), &[], |_, out, room, _| {
            ended = stream.take(out, (length as usize).min(room));
            match ended {
                Ending::Complete if length as usize > room => Ending::Full,
                other => other,
            }
        })?;
        if ended != Ending::Complete {
            return Ok(());
        }
    }
}
