//! gzip (RFC 1952): one file, compressed, in one or more members.
//!
//! The members of a stream are one part, as `gunzip` joins them; its name is
//! the first member's. A damaged stream gives what decodes before the damage.
//! A wrong checksum or length in a trailer changes nothing, because no byte is
//! missing for it. Zero padding after the last member is normal; anything else
//! there is reported as damage of the container.

use std::ops::ControlFlow;

use memchr::memchr;

use super::{Ending, Inflater, decode_name};
use crate::{Budget, Entry, Part, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let first = match Header::parse(bytes) {
        Ok(header) => header,
        Err(shortfall) => return Some(shortfall),
    };
    if let Err(shortfall) = budget.part() {
        return Some(shortfall);
    }
    let (room, over) = budget.part_room();
    let room = usize::try_from(room).unwrap_or(usize::MAX);

    let mut out = Vec::new();
    let mut inflater = Inflater::new();
    let mut entry = Entry { position: 1, ..Entry::default() };
    let (mut rest, mut header) = (bytes, first);
    let mut members = 0_u32;
    let (shortfall, stopped) = loop {
        let data = rest.get(header.length..).unwrap_or_default();
        let (used, ending) = inflater.run(data, &mut out, room, budget);
        rest = data.get(used..).unwrap_or_default();
        match ending {
            Ending::Complete => {}
            Ending::Stopped(why) => break (Some(why), Some(why)),
            other => break (other.shortfall(over), None),
        }
        members = members.saturating_add(1);
        let Some((trailer, after)) = rest.split_first_chunk::<8>() else {
            // The data is whole; only its check value is cut off.
            rest = &[];
            break (None, None);
        };
        let [a, b, c, d, ..] = *trailer;
        entry.crc32 = (members == 1).then_some(u32::from_le_bytes([a, b, c, d]));
        rest = after;
        match Header::parse(rest) {
            Ok(next) => header = next,
            Err(_) => break (None, None),
        }
    };
    budget.spend(out.len() as u64);
    entry.packed_size = bytes.len() as u64;
    entry.size = out.len() as u64;
    let part = Part {
        bytes: Some(&out),
        name: first.name.map(|name| decode_name(name, char::from)),
        shortfall,
        entry,
        declared: None,
        is_body: false,
        ambiguity: None,
    };
    if visit(part) == ControlFlow::Break(()) {
        return None;
    }
    // After a cut the rest belongs to the part, whose shortfall says so.
    if shortfall.is_none() && rest.iter().any(|&byte| byte != 0) {
        return Some(Shortfall::Malformed);
    }
    stopped
}

/// The header of a member.
#[derive(Clone, Copy, Debug)]
struct Header<'b> {
    length: usize,
    name: Option<&'b [u8]>,
}

impl<'b> Header<'b> {
    /// Parses `1f 8b 08 flags mtime:4 xfl os [extra] [name] [comment] [crc]`.
    ///
    /// Reserved flags are ignored: nothing is known to follow from them, and
    /// a reader that ignores them too would hand the content out.
    fn parse(bytes: &'b [u8]) -> Result<Header<'b>, Shortfall> {
        let [0x1f, 0x8b, method, flags, _, _, _, _, _, _, rest @ ..] = bytes else {
            return Err(Shortfall::Malformed);
        };
        if *method != DEFLATE {
            return Err(Shortfall::Unsupported);
        }
        let mut rest = rest;
        if flags & HAS_EXTRA != 0 {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(Shortfall::Malformed)?;
            let length = usize::from(u16::from_le_bytes(*length));
            rest = after.get(length..).ok_or(Shortfall::Malformed)?;
        }
        let mut name = None;
        if flags & HAS_NAME != 0 {
            let (text, after) = zero_terminated(rest)?;
            name = Some(text.get(..LONGEST_NAME).unwrap_or(text));
            rest = after;
        }
        if flags & HAS_COMMENT != 0 {
            (_, rest) = zero_terminated(rest)?;
        }
        if flags & HAS_CRC != 0 {
            rest = rest.get(2..).ok_or(Shortfall::Malformed)?;
        }
        Ok(Header { length: bytes.len() - rest.len(), name })
    }
}

fn zero_terminated(bytes: &[u8]) -> Result<(&[u8], &[u8]), Shortfall> {
    let end = memchr(0, bytes).ok_or(Shortfall::Malformed)?;
    Ok((bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default()))
}

const DEFLATE: u8 = 8;
const HAS_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// The format sets no bound to a name; zip's is as good as any.
const LONGEST_NAME: usize = 0xffff;
