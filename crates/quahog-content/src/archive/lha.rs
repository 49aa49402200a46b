//! LHA (`.lzh`): headers of four levels, each before its member.

use std::borrow::Cow;
use std::io::{self, Read};

use delharc::CompressionMethod;
use delharc::decode::{Decoder, DecoderAny};

use super::fields::{range, u16_at, u32_at, u64_at};
use super::members::{Member, Members, Stop};
use super::stream::{Source, decode};
use super::{Ending, decode_name};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut at = 0_usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        // A zero ends the archive; some writers leave it out.
        if rest.first().is_none_or(|&byte| byte == 0) {
            return Ok(());
        }
        let Some(header) = Header::parse(rest) else { return Err(Shortfall::Malformed.into()) };
        members.budget.tick(header.length as u64)?;
        let (data, whole) = range(rest, header.length as u64, header.packed_size);
        at = at.saturating_add(header.length).saturating_add(data.len());
        let member = Member::titled(header.name).sizes(header.packed_size, header.size);
        let Some(method) = method(&header.method) else {
            members.closed(member, Shortfall::Unsupported)?;
            continue;
        };
        match method {
            CompressionMethod::Lhd => members.empty(member)?,
            CompressionMethod::Lh0 | CompressionMethod::Lz4 | CompressionMethod::Pm0 => {
                members.stored(member, data, whole)?;
            }
            method => members.decoded(member, data, |data, out, room, budget| {
                unpack(method, data, out, header.size, room, budget)
            })?,
        }
    }
}

/// Decodes a member by one of the methods of LHA. None marks its end, so that
/// the size does.
pub(super) fn unpack(
    method: CompressionMethod,
    data: &[u8],
    out: &mut Vec<u8>,
    size: u64,
    room: usize,
    budget: &Budget<'_>,
) -> Ending {
    let (_, ending) = decode(data, out, room, budget, |source| {
        let decoder = DecoderAny::new_from_compression(method, source);
        if !decoder.is_supported() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Box::new(Sized { decoder, left: size }) as Box<dyn Read>)
    });
    ending
}

/// Reads as many bytes as a member has.
struct Sized<'s> {
    decoder: DecoderAny<Source<'s>>,
    left: u64,
}

impl Read for Sized<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Of a step that fails nothing is given, so it is short.
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = buffer.len().min(left).min(STEP);
        let Some(buffer) = buffer.get_mut(..length).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        self.decoder
            .fill_buffer(buffer)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        self.left -= length as u64;
        Ok(length)
    }
}

fn method(name: &[u8; 5]) -> Option<CompressionMethod> {
    use CompressionMethod as M;
    Some(match name {
        b"-lhd-" => M::Lhd,
        b"-lh0-" => M::Lh0,
        b"-lh1-" => M::Lh1,
        b"-lh4-" => M::Lh4,
        b"-lh5-" => M::Lh5,
        b"-lh6-" => M::Lh6,
        b"-lh7-" => M::Lh7,
        b"-lhx-" => M::Lhx,
        b"-lzs-" => M::Lzs,
        b"-lz4-" => M::Lz4,
        b"-lz5-" => M::Lz5,
        b"-pm0-" => M::Pm0,
        b"-pm1-" => M::Pm1,
        b"-pm2-" => M::Pm2,
        _ => return None,
    })
}

struct Header<'b> {
    name: Cow<'b, str>,
    method: [u8; 5],
    packed_size: u64,
    size: u64,
    /// Of the header with all that belongs to it.
    length: usize,
}

impl<'b> Header<'b> {
    fn parse(bytes: &'b [u8]) -> Option<Header<'b>> {
        let method = bytes.get(2..7)?.first_chunk::<5>().copied()?;
        if method[0] != b'-' || method[4] != b'-' {
            return None;
        }
        let mut packed_size = u64::from(u32_at(bytes, 7)?);
        let mut size = u64::from(u32_at(bytes, 11)?);
        let level = *bytes.get(20)?;
        let name_length = usize::from(*bytes.get(21)?);
        let mut name = Cow::Borrowed(&[][..]);
        let mut folder: &[u8] = &[];
        // Where the extended headers start, how many bytes the field has that
        // tells the length of each before it, and the end if that is told.
        let (start, width, end) = match level {
            0 | 1 => {
                name = bytes.get(22..22 + name_length)?.into();
                (usize::from(*bytes.first()?) + 2, if level == 0 { 0 } else { 2 }, 0)
            }
            2 => (26, 2, usize::from(u16_at(bytes, 0)?)),
            3 => (32, 4, usize::try_from(u32_at(bytes, 24)?).ok()?),
            _ => return None,
        };
        let mut at = start;
        loop {
            let next = match width {
                0 => break,
                2 => u16_at(bytes, at.checked_sub(2)?)?.into(),
                _ => usize::try_from(u32_at(bytes, at.checked_sub(4)?)?).ok()?,
            };
            if next <= width {
                break;
            }
            let header = bytes.get(at..at.checked_add(next)?)?;
            let (&kind, content) = header.get(..next - width)?.split_first()?;
            match kind {
                1 => name = content.into(),
                2 => folder = content,
                0x42 => {
                    packed_size = u64_at(content, 0)?;
                    size = u64_at(content, 8)?;
                }
                _ => {}
            }
            at += next;
        }
        if level == 1 {
            // What is said of the data includes the extended headers.
            packed_size = packed_size.checked_sub((at - start) as u64)?;
        }
        let path = [folder, &name].concat();
        let path: Vec<u8> =
            path.into_iter().map(|byte| if byte == 0xff { b'/' } else { byte }).collect();
        Some(Header {
            name: decode_name(&path, char::from).into_owned().into(),
            method,
            packed_size,
            size,
            length: at.max(end),
        })
    }
}

const STEP: usize = 1 << 10;
