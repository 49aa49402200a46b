//! xar: a table of contents in packed XML, and a heap that it points into.

use flate2::read::ZlibDecoder;
use memchr::memmem;

use super::Ending;
use super::fields::{be16_at, be64_at, range};
use super::members::{Member, Members, Stop};
use super::stream::decode;
use super::{bzip2, lzma, xz};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

/// What the table says of one file.
#[derive(Default)]
struct File {
    name: String,
    data: bool,
    start: u64,
    packed_size: u64,
    size: u64,
    encoding: String,
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let header = be16_at(bytes, 4).filter(|_| bytes.starts_with(b"xar!"));
    let (Some(header), Some(packed)) = (header, be64_at(bytes, 8)) else {
        return Err(Shortfall::Malformed.into());
    };
    let (table, whole) = range(bytes, header.into(), packed);
    let heap = u64::from(header).saturating_add(packed);
    let mut text = Vec::new();
    let ending = zlib(table, &mut text, LARGEST_TABLE, members.budget);
    if let Ending::Stopped(why) = ending {
        return Err(why.into());
    }
    members.budget.spend(text.len() as u64);
    members.budget.tick(text.len() as u64)?;
    // The table is text that signatures may look for.
    members.made(Member::titled("toc.xml").sizes(packed, text.len() as u64), &text, None)?;
    // Files lie in the files that are folders.
    let mut around: Vec<File> = Vec::new();
    let mut element = Vec::new();
    for (tag, content) in tags(&text) {
        let blank = tag.iter().position(u8::is_ascii_whitespace).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(blank);
        let field = || String::from_utf8_lossy(content).trim().to_owned();
        let number = || field().parse::<u64>().unwrap_or_default();
        match name {
            b"file" => {
                let path = around.last().map_or(String::new(), |file| format!("{}/", file.name));
                if around.len() < DEEPEST && path.len() < LONGEST_PATH {
                    around.push(File { name: path, ..File::default() });
                } else {
                    return Err(Shortfall::Depth.into());
                }
                element.clear();
            }
            b"/file" => {
                if let Some(file) = around.pop() {
                    hand_out(&file, bytes, heap, members)?;
                }
            }
            b"data" | b"ea" => element = name.to_vec(),
            b"/data" | b"/ea" => element.clear(),
            _ => {
                let Some(file) = around.last_mut() else { continue };
                let in_data = element == b"data";
                match name {
                    b"name" if element.is_empty() => file.name += &field(),
                    b"offset" if in_data => (file.start, file.data) = (number(), true),
                    b"length" if in_data => file.packed_size = number(),
                    b"size" if in_data => file.size = number(),
                    b"encoding" if in_data => {
                        file.encoding = String::from_utf8_lossy(attributes).into_owned();
                    }
                    _ => {}
                }
            }
        }
    }
    let damaged = !whole || ending != Ending::Complete || !around.is_empty();
    if damaged { Err(Shortfall::Malformed.into()) } else { Ok(()) }
}

fn hand_out(
    file: &File,
    bytes: &[u8],
    heap: u64,
    members: &mut Members<'_, '_>,
) -> Result<(), Stop> {
    let member = Member::titled(&*file.name).sizes(file.packed_size, file.size);
    if !file.data {
        return members.empty(member);
    }
    let (data, whole) = range(bytes, heap.saturating_add(file.start), file.packed_size);
    let encoding = |name: &str| file.encoding.contains(name);
    if encoding("gzip") {
        members.decoded(member, data, zlib)
    } else if encoding("bzip2") {
        members.decoded(member, data, |data, out, room, budget| {
            bzip2::stream(data, out, room, budget).1
        })
    } else if encoding("xz") {
        members
            .decoded(member, data, |data, out, room, budget| xz::stream(data, out, room, budget).1)
    } else if encoding("lzma") {
        members.decoded(member, data, lzma::file)
    } else {
        members.stored(member, data, whole)
    }
}

/// Decodes a zlib stream, which the format calls gzip.
fn zlib(data: &[u8], out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> Ending {
    decode(data, out, room, budget, |source| Ok(Box::new(ZlibDecoder::new(source)))).1
}

/// The tags of a text, without their brackets, and what stands behind each up
/// to the next.
fn tags(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = memchr::memchr(b'<', rest)?;
        let tag = rest.get(start + 1..)?;
        let end = memmem::find(tag, b">")?;
        let behind = tag.get(end + 1..)?;
        let length = memchr::memchr(b'<', behind).unwrap_or(behind.len());
        rest = behind;
        let tag = tag.get(..end)?;
        Some((tag.strip_suffix(b"/").unwrap_or(tag), behind.get(..length)?))
    })
}

const LARGEST_TABLE: usize = 32 << 20;
const DEEPEST: usize = 100;
const LONGEST_PATH: usize = 4096;
