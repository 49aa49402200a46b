//! Cabinets (MS-CAB): folders of blocks, and files that are pieces of folders.
//!
//! A folder that begins or ends in another cabinet is decoded as far as its
//! blocks stand in this one. Quantum is not implemented; its files are handed
//! out without bytes.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};
use lzxd::{Lzxd, WindowSize};

use super::fields::{before_zero, u16_at, u32_at};
use super::members::{Member, Members, Stop};
use super::stream::{Piece, Progress, Stream, pieces};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let cabinet = Cabinet::parse(bytes).ok_or(Shortfall::Malformed)?;
    members.budget.tick(bytes.len().min(1 << 20) as u64 / 8)?;
    let mut by_folder: Vec<Vec<Piece<'_>>> = cabinet.folders.iter().map(|_| Vec::new()).collect();
    let mut at = cabinet.files_at;
    let mut damaged = false;
    for _ in 0..cabinet.n_files {
        let Some(file) = File::parse(bytes, at) else {
            damaged = true;
            break;
        };
        members.budget.tick(file.length as u64)?;
        at += file.length;
        let folder = match file.folder {
            FROM_BEFORE | FROM_BEFORE_AND_ON => 0,
            GOES_ON => cabinet.folders.len().saturating_sub(1),
            folder => folder.into(),
        };
        let member = Member::named(file.name).sizes(0, file.size.into());
        match by_folder.get_mut(folder) {
            Some(files) => {
                let (start, length) = (file.start.into(), file.size.into());
                files.push(Piece { member, start, length });
            }
            None => members.closed(member, Shortfall::Malformed)?,
        }
    }
    for (folder, files) in cabinet.folders.iter().zip(by_folder) {
        if files.is_empty() {
            continue;
        }
        let progress = Progress::new(members.budget);
        let mut stream =
            Stream::start(&progress, || Ok(Box::new(Blocks::new(&cabinet, folder, &progress)?)));
        pieces(members, &mut stream, files)?;
        drop(stream);
        // Folders may share their blocks.
        if !members.read(progress.used()) {
            return Err(Shortfall::Malformed.into());
        }
    }
    if damaged { Err(Shortfall::Malformed.into()) } else { Ok(()) }
}

struct Cabinet<'b> {
    bytes: &'b [u8],
    folders: Vec<Folder>,
    files_at: usize,
    n_files: u16,
    /// Bytes that somebody reserved in each block.
    block_reserve: usize,
}

struct Folder {
    blocks_at: usize,
    n_blocks: u16,
    method: u16,
}

impl<'b> Cabinet<'b> {
    fn parse(bytes: &'b [u8]) -> Option<Cabinet<'b>> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let files_at = usize::try_from(u32_at(bytes, 16)?).ok()?;
        let (n_folders, n_files) = (u16_at(bytes, 26)?, u16_at(bytes, 28)?);
        let flags = u16_at(bytes, 30)?;
        let mut at = 36;
        let (mut folder_reserve, mut block_reserve) = (0, 0);
        if flags & RESERVES != 0 {
            folder_reserve = usize::from(*bytes.get(38)?);
            block_reserve = usize::from(*bytes.get(39)?);
            at = 40 + usize::from(u16_at(bytes, 36)?);
        }
        let texts = 2 * (flags & HAS_BEFORE).count_ones() + 2 * (flags & HAS_NEXT).count_ones();
        for _ in 0..texts {
            at += before_zero(bytes.get(at..)?).len() + 1;
        }
        let mut folders = Vec::new();
        for _ in 0..n_folders {
            let Some(blocks_at) = u32_at(bytes, at) else { break };
            folders.push(Folder {
                blocks_at: usize::try_from(blocks_at).ok()?,
                n_blocks: u16_at(bytes, at + 4)?,
                method: u16_at(bytes, at + 6)?,
            });
            at += 8 + folder_reserve;
        }
        Some(Cabinet { bytes, folders, files_at, n_files, block_reserve })
    }
}

struct File<'b> {
    name: &'b [u8],
    size: u32,
    start: u32,
    folder: u16,
    /// Of this record.
    length: usize,
}

impl<'b> File<'b> {
    /// Parses `size:4 start:4 folder:2 date:2 time:2 attributes:2 name`.
    fn parse(bytes: &'b [u8], at: usize) -> Option<File<'b>> {
        let record = bytes.get(at..)?;
        let name = before_zero(record.get(16..)?);
        Some(File {
            name,
            size: u32_at(record, 0)?,
            start: u32_at(record, 4)?,
            folder: u16_at(record, 8)?,
            length: 16 + name.len() + 1,
        })
    }
}

/// The blocks of a folder, decoded one by one.
struct Blocks<'s> {
    bytes: &'s [u8],
    progress: &'s Progress<'s>,
    at: usize,
    left: u16,
    reserve: usize,
    method: Method,
    /// The block at hand, and how much of it was given.
    block: Vec<u8>,
    given: usize,
}

enum Method {
    Stored,
    /// Each block is a deflate stream that goes back into the one before.
    Deflate(Box<Decompress>),
    Lzx(Box<Lzxd>),
}

impl<'s> Blocks<'s> {
    fn new(
        cabinet: &Cabinet<'s>,
        folder: &Folder,
        progress: &'s Progress<'s>,
    ) -> io::Result<Blocks<'s>> {
        let method = match folder.method & 15 {
            0 => Method::Stored,
            1 => Method::Deflate(Box::new(Decompress::new(false))),
            3 => Method::Lzx(Box::new(Lzxd::new(window(folder.method >> 8 & 0x1f)?))),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Blocks {
            bytes: cabinet.bytes,
            progress,
            at: folder.blocks_at,
            left: folder.n_blocks,
            reserve: cabinet.block_reserve,
            method,
            block: Vec::new(),
            given: 0,
        })
    }

    /// Decodes a block: `checksum:4 packed-size:2 size:2 reserve data`.
    fn next(&mut self) -> io::Result<()> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let packed = u16_at(self.bytes, self.at + 4).map(usize::from).ok_or_else(damaged)?;
        let size = u16_at(self.bytes, self.at + 6).map(usize::from).ok_or_else(damaged)?;
        let start = self.at + 8 + self.reserve;
        self.progress.charge(8 + packed)?;
        let data = self.bytes.get(start..start + packed).ok_or_else(damaged)?;
        self.at = start + packed;
        self.left -= 1;
        // A block without a size goes on in the next cabinet.
        if size == 0 || size > LARGEST_BLOCK {
            return Err(damaged());
        }
        self.given = 0;
        match &mut self.method {
            Method::Stored => {
                self.block.clear();
                self.block.extend_from_slice(data.get(..size).unwrap_or(data));
            }
            Method::Deflate(state) => {
                let data = data.strip_prefix(b"CK").ok_or_else(damaged)?;
                state.reset(false);
                if !self.block.is_empty() {
                    state.set_dictionary(&self.block).map_err(|_| damaged())?;
                }
                let mut block = Vec::with_capacity(size);
                let status = state.decompress_vec(data, &mut block, FlushDecompress::Finish);
                self.block = block;
                if !matches!(status, Ok(Status::StreamEnd | Status::Ok | Status::BufError))
                    || self.block.is_empty()
                {
                    return Err(damaged());
                }
            }
            Method::Lzx(state) => {
                self.block.clear();
                let block = state.decompress_next(data, size).map_err(|_| damaged())?;
                self.block.extend_from_slice(block);
            }
        }
        if self.block.is_empty() {
            return Err(damaged());
        }
        Ok(())
    }
}

impl Read for Blocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.block.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.next()?;
        }
        let mut rest = self.block.get(self.given..).unwrap_or_default();
        let given = rest.read(buffer)?;
        self.given += given;
        Ok(given)
    }
}

/// The window of LZX with so many bits.
pub(super) fn window(bits: u16) -> io::Result<WindowSize> {
    Ok(match bits {
        15 => WindowSize::KB32,
        16 => WindowSize::KB64,
        17 => WindowSize::KB128,
        18 => WindowSize::KB256,
        19 => WindowSize::KB512,
        20 => WindowSize::MB1,
        21 => WindowSize::MB2,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    })
}

const MAGIC: &[u8] = b"MSCF";
const HAS_BEFORE: u16 = 1;
const HAS_NEXT: u16 = 2;
const RESERVES: u16 = 4;

/// Folders of files that are not whole in this cabinet.
const FROM_BEFORE: u16 = 0xfffd;
const GOES_ON: u16 = 0xfffe;
const FROM_BEFORE_AND_ON: u16 = 0xffff;

const LARGEST_BLOCK: usize = 32 << 10;
