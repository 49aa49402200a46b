//! LZMA: the stream of many formats, and the `.lzma` file, which has no magic.

use std::io::{self, Read};

use lzma_rust2::LzmaReader;

use super::Ending;
use super::fields::{u32_at, u64_at};
use super::members::{Member, Members};
use super::stream::{Source, decode};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let member = Member::default().sizes(bytes.len() as u64, 0);
    let result = members.decoded(member, bytes, file);
    members.answer(result)
}

/// Decodes a `.lzma` file.
pub(super) fn file(bytes: &[u8], out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> Ending {
    let Some(Header { properties, dictionary, size }) = Header::parse(bytes) else {
        return Ending::Damaged;
    };
    let data = bytes.get(HEADER..).unwrap_or_default();
    raw(data, out, room, budget, properties, dictionary, size).1
}

/// The header of a `.lzma` file: `properties:1 dictionary:4 size:8`.
struct Header {
    properties: u8,
    dictionary: u32,
    size: u64,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Header> {
        Some(Header {
            properties: *bytes.first()?,
            dictionary: u32_at(bytes, 1)?,
            size: u64_at(bytes, 5)?,
        })
    }
}

/// Whether the bytes look like a `.lzma` file. There is no magic; as xz does,
/// only headers are believed that an encoder writes.
pub(super) fn is_file(bytes: &[u8]) -> bool {
    let Some(Header { properties, dictionary, size }) = Header::parse(bytes) else { return false };
    let top = 1 << dictionary.checked_ilog2().unwrap_or(0);
    let usual = dictionary >= 4096 && [top, top + top / 2].contains(&dictionary);
    // The first byte of the range coder is always zero.
    properties == USUAL_PROPERTIES
        && usual
        && (size == u64::MAX || size < LARGEST_FILE)
        && bytes.get(HEADER) == Some(&0)
        && bytes.len() > HEADER + 5
}

/// Decodes a bare LZMA stream of `size` bytes, or up to its end mark if that
/// is `u64::MAX`.
///
/// The dictionary is never larger than what may be decoded: bytes farther
/// back cannot be asked for.
pub(crate) fn raw(
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
    properties: u8,
    dictionary: u32,
    size: u64,
) -> (usize, Ending) {
    decode(input, out, room, budget, |source| reader(source, room, properties, dictionary, size))
}

/// A reader of such a stream, of which up to `room` bytes are wanted.
pub(super) fn reader<'s>(
    source: Source<'s>,
    room: usize,
    properties: u8,
    dictionary: u32,
    size: u64,
) -> io::Result<Box<dyn Read + 's>> {
    let most = u32::try_from(room).unwrap_or(u32::MAX).saturating_add(4096).min(LARGEST);
    let dictionary = dictionary.min(most);
    let reader = LzmaReader::new_with_props(source, size, properties, dictionary, None)?;
    Ok(Box::new(lenient(reader)))
}

/// Takes an end mark where the size is known too, and gives the bytes before
/// damage.
fn lenient<R: io::Read>(mut reader: LzmaReader<R>) -> LzmaReader<R> {
    reader.set_relaxed_end_condition(true);
    reader.set_defer_errors(true);
    reader
}

const HEADER: usize = 13;
const USUAL_PROPERTIES: u8 = 0x5d;
/// What xz takes for the largest file.
const LARGEST_FILE: u64 = 256 << 30;
/// The largest dictionary of the decoder.
const LARGEST: u32 = u32::MAX - 15;
