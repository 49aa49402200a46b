//! EGG: the later format of ALZip; records, and blocks that make a file.

use super::fields::{range, u16_at, u32_at, u64_at};
use super::members::{Member, Members, Stop};
use super::{Ending, Inflater, bzip2, decode_name, lzma};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

/// A file whose records are being read.
#[derive(Default)]
struct File<'b> {
    name: Vec<u8>,
    size: u64,
    encrypted: bool,
    blocks: Vec<Block<'b>>,
}

#[derive(Clone, Copy)]
struct Block<'b> {
    method: u8,
    size: u64,
    data: &'b [u8],
    whole: bool,
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    if !bytes.starts_with(b"EGGA") {
        return Err(Shortfall::Malformed.into());
    }
    let mut at = 14;
    let mut file: Option<File<'_>> = None;
    let mut ends = 0;
    let mut solid = false;
    loop {
        members.budget.tick(16)?;
        let Some(magic) = u32_at(bytes, at) else {
            hand_out(file, solid, members)?;
            // Two ends behind each other end the archive.
            return if ends >= 2 { Ok(()) } else { Err(Shortfall::Malformed.into()) };
        };
        match magic {
            END => {
                at += 4;
                ends += 1;
                continue;
            }
            FILE => {
                hand_out(file.take(), solid, members)?;
                file = Some(File {
                    size: u64_at(bytes, at + 8).unwrap_or_default(),
                    ..File::default()
                });
                at += 16;
            }
            BLOCK => {
                let (Some(&method), Some(size), Some(packed)) =
                    (bytes.get(at + 4), u32_at(bytes, at + 6), u32_at(bytes, at + 10))
                else {
                    hand_out(file, solid, members)?;
                    return Err(Shortfall::Malformed.into());
                };
                at += 18;
                if u32_at(bytes, at) == Some(END) {
                    at += 4;
                }
                let (data, whole) = range(bytes, at as u64, packed.into());
                at += data.len();
                let block = Block { method, size: size.into(), data, whole };
                file.get_or_insert_default().blocks.push(block);
            }
            _ => {
                // `magic:4 flags:1 length content`, the length in two bytes or four.
                let flags = bytes.get(at + 4).copied().unwrap_or_default();
                let (length, content) = if flags & 1 != 0 {
                    (u32_at(bytes, at + 5).map(u64::from), at + 9)
                } else {
                    (u16_at(bytes, at + 5).map(u64::from), at + 7)
                };
                let known = matches!(
                    magic,
                    NAME | ENCRYPTION | SOLID | SPLIT | COMMENT | WINDOWS | POSIX | DUMMY | SKIP
                );
                let Some(length) = length.filter(|_| known) else {
                    hand_out(file, solid, members)?;
                    return Err(Shortfall::Malformed.into());
                };
                let (content, _) = range(bytes, content as u64, length);
                match (magic, &mut file) {
                    (NAME, Some(file)) => {
                        // A code page and a folder may stand before the name.
                        let skipped =
                            usize::from(flags & 8 != 0) * 2 + usize::from(flags & 16 != 0) * 4;
                        file.name = content.get(skipped..).unwrap_or_default().into();
                    }
                    (ENCRYPTION, Some(file)) => file.encrypted = true,
                    (ENCRYPTION, None) => return Err(Shortfall::Encrypted.into()),
                    (SOLID, _) => solid = true,
                    _ => {}
                }
                at += if flags & 1 != 0 { 9 } else { 7 };
                at += content.len();
            }
        }
        ends = 0;
    }
}

fn hand_out(
    file: Option<File<'_>>,
    solid: bool,
    members: &mut Members<'_, '_>,
) -> Result<(), Stop> {
    let Some(file) = file else { return Ok(()) };
    let packed_size = file.blocks.iter().map(|block| block.data.len() as u64).sum();
    let mut member =
        Member::titled(decode_name(&file.name, char::from)).sizes(packed_size, file.size);
    member.encrypted = file.encrypted;
    if file.encrypted {
        return members.closed(member, Shortfall::Encrypted);
    }
    match &file.blocks[..] {
        [] => members.empty(member),
        [Block { method: 0, data, whole, .. }] => members.stored(member, data, *whole),
        _ if solid => members.closed(member, Shortfall::Unsupported),
        [first, ..] => members.decoded(member, first.data, |_, out, room, budget| {
            for block in &file.blocks {
                match unpack(*block, out, room, budget) {
                    Ending::Complete if !block.whole => return Ending::Damaged,
                    Ending::Complete => {}
                    other => return other,
                }
            }
            Ending::Complete
        }),
    }
}

fn unpack(block: Block<'_>, out: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> Ending {
    let data = block.data;
    match block.method {
        0 => {
            if let Err(why) = budget.tick(data.len() as u64) {
                return Ending::Stopped(why);
            }
            let free = room.saturating_sub(out.len());
            out.extend_from_slice(data.get(..free).unwrap_or(data));
            if data.len() > free { Ending::Full } else { Ending::Complete }
        }
        1 => Inflater::new().run(data, out, room, budget).1,
        2 => bzip2::stream(data, out, room, budget).1,
        4 => {
            // Four bytes, then properties and dictionary.
            let (Some(&properties), Some(dictionary)) = (data.get(4), u32_at(data, 5)) else {
                return Ending::Damaged;
            };
            let stream = data.get(9..).unwrap_or_default();
            lzma::raw(stream, out, room, budget, properties, dictionary, block.size).1
        }
        // Method 3 is ALZip's own.
        _ => Ending::Unsupported,
    }
}

const FILE: u32 = 0x0a85_90e3;
const BLOCK: u32 = 0x02b5_0c13;
const END: u32 = 0x08e2_8222;
const NAME: u32 = 0x0a85_91ac;
const ENCRYPTION: u32 = 0x08d1_470f;
const SOLID: u32 = 0x24e5_a060;
const SPLIT: u32 = 0x24f5_a262;
const COMMENT: u32 = 0x04c6_3672;
const WINDOWS: u32 = 0x2c86_950b;
const POSIX: u32 = 0x1eea_d76a;
const DUMMY: u32 = 0x0746_3307;
const SKIP: u32 = 0xffff_0000;
