//! 7z: a header behind packed streams, which says how coders make files of
//! them.
//!
//! The header is read by us, so that every count in it is bounded by its own
//! length; the coders are crates'. A *folder* is a chain of coders whose output
//! is one stream, and files are pieces of it. What is encrypted is named as
//! far as its name is not.

use std::io::{self, Read};

use lzma_rust2::filter::bcj::BcjReader;
use lzma_rust2::filter::bcj2::Bcj2Reader;
use lzma_rust2::filter::delta::DeltaReader;
use lzma_rust2::{Lzma2Reader, LzmaReader};
use ppmd_rust::Ppmd7Decoder;
use ruzstd::decoding::StreamingDecoder;

use super::Ending;
use super::fields::{range, u32_at, u64_at, utf16};
use super::members::{Member, Members, Stop};
use super::stream::{LARGEST_DICTIONARY, Piece, Progress, Stream, pieces};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut members = Members::new(bytes, budget, visit);
    let result = walk(bytes, &mut members);
    members.answer(result)
}

fn walk(bytes: &[u8], members: &mut Members<'_, '_>) -> Result<(), Stop> {
    if !bytes.starts_with(MAGIC) {
        return Err(Shortfall::Malformed.into());
    }
    let (Some(offset), Some(size)) = (u64_at(bytes, 12), u64_at(bytes, 20)) else {
        return Err(Shortfall::Malformed.into());
    };
    if size == 0 {
        return Ok(());
    }
    let (header, whole) = range(bytes, offset.saturating_add(START as u64), size);
    if !whole {
        return Err(Shortfall::Malformed.into());
    }
    let mut header = header.to_vec();
    for _ in 0..MAX_WRAPPINGS {
        members.budget.tick(header.len() as u64)?;
        let mut fields = Fields { rest: &header };
        match fields.byte()? {
            HEADER => return files(bytes, &mut fields, members),
            ENCODED_HEADER => {
                let archive = fields.streams()?;
                let folder = archive.folders.first().ok_or(Shortfall::Malformed)?;
                if folder.is_encrypted() {
                    return Err(Shortfall::Encrypted.into());
                }
                let (room, over) = members.budget.part_room();
                let size = folder.size();
                if size > room.min(LARGEST_HEADER) {
                    return Err(over.into());
                }
                let progress = Progress::new(members.budget);
                let mut plain = Vec::new();
                let mut stream = archive.start(bytes, 0, &progress);
                // At most `LARGEST_HEADER`.
                match stream.take(&mut plain, size as usize) {
                    Ending::Complete => {}
                    other => {
                        return Err(other.shortfall(over).unwrap_or(Shortfall::Malformed).into());
                    }
                }
                members.budget.spend(size);
                header = plain;
            }
            _ => return Err(Shortfall::Malformed.into()),
        }
    }
    Err(Shortfall::Malformed.into())
}

/// Hands out the files of a header.
fn files(bytes: &[u8], fields: &mut Fields<'_>, members: &mut Members<'_, '_>) -> Result<(), Stop> {
    let mut archive = Archive::default();
    let mut entries = Vec::new();
    loop {
        match fields.byte()? {
            END => break,
            ARCHIVE_PROPERTIES => {
                while fields.byte()? != END {
                    fields.sized()?;
                }
            }
            ADDITIONAL_STREAMS => {
                fields.streams()?;
            }
            MAIN_STREAMS => archive = fields.streams()?,
            FILES => entries = fields.files()?,
            _ => return Err(Shortfall::Malformed.into()),
        }
    }
    let mut entries = entries.into_iter();
    let mut sizes = archive.files.iter();
    for (nth, folder) in archive.folders.iter().enumerate() {
        let mut batch = Vec::new();
        let mut start = 0_u64;
        for _ in 0..folder.files {
            // Files without a stream stand between those with one.
            let name = loop {
                match entries.next() {
                    Some(Entry { has_stream: true, name }) => break name,
                    Some(Entry { name, .. }) => members.empty(Member::titled(name))?,
                    None => break String::new(),
                }
            };
            let Some(&(size, crc32)) = sizes.next() else { break };
            let mut member = Member::titled(name).sizes(0, size);
            (member.crc32, member.encrypted) = (crc32, folder.is_encrypted());
            batch.push(Piece { member, start, length: size });
            start = start.saturating_add(size);
        }
        if folder.is_encrypted() {
            for piece in batch {
                members.closed(piece.member, Shortfall::Encrypted)?;
            }
            continue;
        }
        let packed: u64 = archive.packs_of(nth).map(|(_, size)| size).sum();
        if !members.read(usize::try_from(packed).unwrap_or(usize::MAX)) {
            return Err(Shortfall::Malformed.into());
        }
        let progress = Progress::new(members.budget);
        let mut stream = archive.start(bytes, nth, &progress);
        pieces(members, &mut stream, batch)?;
    }
    for Entry { name, has_stream } in entries {
        if has_stream {
            members.closed(Member::titled(name), Shortfall::Malformed)?;
        } else {
            members.empty(Member::titled(name))?;
        }
    }
    Ok(())
}

/// Packed streams, and what becomes of them.
#[derive(Debug, Default)]
struct Archive {
    /// Where the packed streams lie, and how long they are.
    start: u64,
    packs: Vec<(u64, u64)>,
    folders: Vec<Folder>,
    /// Sizes and checksums of the files of all folders.
    files: Vec<(u64, Option<u32>)>,
}

#[derive(Debug, Default)]
struct Folder {
    coders: Vec<Coder>,
    /// Which output (second) an input (first) reads.
    bonds: Vec<(usize, usize)>,
    /// Inputs that read packed streams.
    inputs: Vec<usize>,
    /// Sizes of the outputs.
    sizes: Vec<u64>,
    crc32: Option<u32>,
    /// The first of its packed streams.
    first_pack: usize,
    files: u64,
}

#[derive(Debug)]
struct Coder {
    id: Vec<u8>,
    inputs: usize,
    outputs: usize,
    properties: Vec<u8>,
}

struct Entry {
    name: String,
    has_stream: bool,
}

impl Folder {
    fn is_encrypted(&self) -> bool {
        self.coders.iter().any(|coder| coder.id == AES)
    }

    /// The output that no input reads.
    fn main_output(&self) -> usize {
        (0..self.sizes.len()).find(|at| self.bonds.iter().all(|bond| bond.1 != *at)).unwrap_or(0)
    }

    fn size(&self) -> u64 {
        self.sizes.get(self.main_output()).copied().unwrap_or_default()
    }
}

impl Archive {
    /// Where the packed streams of a folder lie, and how long they are.
    fn packs_of(&self, folder: usize) -> impl Iterator<Item = (u64, u64)> {
        let (first, count) =
            self.folders.get(folder).map_or((0, 0), |f| (f.first_pack, f.inputs.len()));
        self.packs.iter().skip(first).take(count).copied()
    }

    /// Starts to decode a folder.
    fn start<'s>(
        &'s self,
        bytes: &'s [u8],
        folder: usize,
        progress: &'s Progress<'s>,
    ) -> Stream<'s> {
        Stream::start(progress, || {
            let folder_at = folder;
            let folder = self.folders.get(folder_at).ok_or_else(damaged)?;
            let packs = self
                .packs_of(folder_at)
                .map(|(start, size)| range(bytes, start.saturating_add(START as u64), size).0)
                .collect();
            let chain = Chain { folder, packs, progress };
            chain.output(folder.main_output(), folder.coders.len())
        })
    }
}

struct Chain<'s> {
    folder: &'s Folder,
    packs: Vec<&'s [u8]>,
    progress: &'s Progress<'s>,
}

impl<'s> Chain<'s> {
    /// What one output gives; `depth` is how many coders may still stand
    /// before it, so that a circle ends.
    fn output(&self, output: usize, depth: usize) -> io::Result<Box<dyn Read + 's>> {
        let depth = depth.checked_sub(1).ok_or_else(damaged)?;
        let (mut first_input, mut first_output) = (0, 0);
        for coder in &self.folder.coders {
            if output < first_output + coder.outputs {
                let inputs = (first_input..first_input + coder.inputs)
                    .map(|input| self.input(input, depth))
                    .collect::<io::Result<Vec<_>>>()?;
                let size = self.folder.sizes.get(output).copied().ok_or_else(damaged)?;
                return coder_of(coder, inputs, size);
            }
            first_input += coder.inputs;
            first_output += coder.outputs;
        }
        Err(damaged())
    }

    fn input(&self, input: usize, depth: usize) -> io::Result<Box<dyn Read + 's>> {
        if let Some(&(_, output)) = self.folder.bonds.iter().find(|bond| bond.0 == input) {
            return self.output(output, depth);
        }
        let nth = self.folder.inputs.iter().position(|&at| at == input).ok_or_else(damaged)?;
        let pack = self.packs.get(nth).copied().ok_or_else(damaged)?;
        Ok(Box::new(self.progress.source(pack)))
    }
}

/// Makes the decoder of a coder.
fn coder_of<'s>(
    coder: &Coder,
    mut inputs: Vec<Box<dyn Read + 's>>,
    size: u64,
) -> io::Result<Box<dyn Read + 's>> {
    let properties = &coder.properties[..];
    if coder.id == BCJ2 && inputs.len() == 4 {
        return Ok(Box::new(Bcj2Reader::new(inputs, size)));
    }
    let input = inputs.pop().filter(|_| inputs.is_empty()).ok_or_else(damaged)?;
    let memory = |bytes: u32| match bytes <= LARGEST_DICTIONARY {
        true => Ok(bytes),
        false => Err(io::Error::from(io::ErrorKind::OutOfMemory)),
    };
    Ok(match &coder.id[..] {
        [0] => Box::new(input.take(size)),
        [3, 1, 1] => {
            let (Some(&first), Some(dictionary)) = (properties.first(), u32_at(properties, 1))
            else {
                return Err(damaged());
            };
            // No byte farther back than all that is decoded is asked for.
            let most = u32::try_from(size).unwrap_or(u32::MAX).max(4096);
            let dictionary = memory(dictionary.min(most))?;
            let mut reader = LzmaReader::new_with_props(input, size, first, dictionary, None)?;
            reader.set_relaxed_end_condition(true);
            reader.set_defer_errors(true);
            Box::new(reader)
        }
        [0x21] => {
            let bits = u32::from(*properties.first().ok_or_else(damaged)?);
            let dictionary = match bits {
                0..=39 => (2 | (bits & 1)) << (bits / 2 + 11),
                40 => u32::MAX,
                _ => return Err(damaged()),
            };
            let most = u32::try_from(size).unwrap_or(u32::MAX).max(4096);
            Box::new(Lzma2Reader::new(input, memory(dictionary.min(most))?, None))
        }
        [3, 4, 1] => {
            let (Some(&order), Some(bytes)) = (properties.first(), u32_at(properties, 1)) else {
                return Err(damaged());
            };
            let decoder = Ppmd7Decoder::new(input, order.into(), memory(bytes)?);
            Box::new(decoder.map_err(|_| damaged())?.take(size))
        }
        [3, 3, 1, 3] | [4] => Box::new(BcjReader::new_x86(input, 0)),
        [3, 3, 2, 5] | [5] => Box::new(BcjReader::new_ppc(input, 0)),
        [3, 3, 4, 1] | [6] => Box::new(BcjReader::new_ia64(input, 0)),
        [3, 3, 5, 1] | [7] => Box::new(BcjReader::new_arm(input, 0)),
        [3, 3, 7, 1] | [8] => Box::new(BcjReader::new_arm_thumb(input, 0)),
        [3, 3, 8, 5] | [9] => Box::new(BcjReader::new_sparc(input, 0)),
        [0xa] => Box::new(BcjReader::new_arm64(input, 0)),
        [3] => {
            let distance = usize::from(*properties.first().unwrap_or(&0)) + 1;
            Box::new(DeltaReader::new(input, distance))
        }
        [4, 1, 8] => Box::new(flate2::read::DeflateDecoder::new(input)),
        [4, 1, 9] => Box::new(deflate64::Deflate64Decoder::new(input)),
        [4, 2, 2] => Box::new(bzip2::read::MultiBzDecoder::new(input)),
        [4, 0xf7, 0x11, 1] => {
            let most = u64::from(LARGEST_DICTIONARY);
            let decoder = StreamingDecoder::new_with_max_window_size(input, most);
            Box::new(decoder.map_err(|_| damaged())?)
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    })
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// The fields of a header that are still to be read.
struct Fields<'h> {
    rest: &'h [u8],
}

type Field<T> = Result<T, Shortfall>;

impl<'h> Fields<'h> {
    fn bytes(&mut self, length: usize) -> Field<&'h [u8]> {
        let field = self.rest.get(..length).ok_or(Shortfall::Malformed)?;
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(field)
    }

    fn byte(&mut self) -> Field<u8> {
        Ok(*self.bytes(1)?.first().ok_or(Shortfall::Malformed)?)
    }

    /// A number whose first byte tells with its leading ones how many bytes
    /// follow.
    fn number(&mut self) -> Field<u64> {
        let first = self.byte()?;
        let length = first.leading_ones() as usize;
        let low = self.bytes(length)?;
        let low = low.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        // The bits of the first byte behind its ones are the highest.
        let high = u64::from(first) & ((1_u64 << (7_usize.saturating_sub(length))) - 1);
        Ok(if length < 7 { low | high << (8 * length) } else { low })
    }

    /// A number of things of which each takes a byte, or at least is so many
    /// that a header of this length may have them.
    fn count(&mut self) -> Field<usize> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(Shortfall::Malformed),
        }
    }

    fn sized(&mut self) -> Field<&'h [u8]> {
        let length = self.count()?;
        self.bytes(length)
    }

    fn bits(&mut self, count: usize) -> Field<Vec<bool>> {
        let bytes = self.bytes(count.div_ceil(8))?;
        let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte << (at % 8) & 0x80 != 0);
        Ok((0..count).map(bit).collect())
    }

    /// Checksums of those of `count` that have one.
    fn digests(&mut self, count: usize) -> Field<Vec<Option<u32>>> {
        let defined = if self.byte()? != 0 { vec![true; count] } else { self.bits(count)? };
        defined
            .into_iter()
            .map(|defined| match defined {
                true => Ok(u32_at(self.bytes(4)?, 0)),
                false => Ok(None),
            })
            .collect()
    }

    fn streams(&mut self) -> Field<Archive> {
        let mut archive = Archive::default();
        loop {
            match self.byte()? {
                END => break,
                PACKS => self.packs(&mut archive)?,
                FOLDERS => self.folders(&mut archive)?,
                SUBSTREAMS => {
                    self.substreams(&mut archive)?;
                }
                _ => return Err(Shortfall::Malformed),
            }
        }
        if archive.files.is_empty() {
            archive.files = archive.folders.iter().map(|f| (f.size(), f.crc32)).collect();
            archive.folders.iter_mut().for_each(|folder| folder.files = 1);
        }
        Ok(archive)
    }

    fn packs(&mut self, archive: &mut Archive) -> Field<()> {
        archive.start = self.number()?;
        let count = self.count()?;
        loop {
            match self.byte()? {
                END => return Ok(()),
                SIZES => {
                    let mut start = archive.start;
                    for _ in 0..count {
                        let size = self.number()?;
                        archive.packs.push((start, size));
                        start = start.saturating_add(size);
                    }
                }
                DIGESTS => {
                    self.digests(count)?;
                }
                _ => return Err(Shortfall::Malformed),
            }
        }
    }

    fn folders(&mut self, archive: &mut Archive) -> Field<()> {
        if self.byte()? != FOLDER {
            return Err(Shortfall::Malformed);
        }
        let count = self.count()?;
        if self.byte()? != 0 {
            return Err(Shortfall::Unsupported);
        }
        let mut first_pack = 0;
        let mut outputs = Vec::new();
        for _ in 0..count {
            let (mut folder, n_outputs) = self.folder()?;
            folder.first_pack = first_pack;
            first_pack += folder.inputs.len();
            outputs.push(n_outputs);
            archive.folders.push(folder);
        }
        loop {
            match self.byte()? {
                END => return Ok(()),
                UNPACK_SIZES => {
                    for (folder, &outputs) in archive.folders.iter_mut().zip(&outputs) {
                        folder.sizes = (0..outputs).map(|_| self.number()).collect::<Field<_>>()?;
                    }
                }
                DIGESTS => {
                    let digests = self.digests(count)?;
                    for (folder, crc32) in archive.folders.iter_mut().zip(digests) {
                        folder.crc32 = crc32;
                    }
                }
                _ => return Err(Shortfall::Malformed),
            }
        }
    }

    /// A folder, and how many outputs its coders have.
    fn folder(&mut self) -> Field<(Folder, usize)> {
        let mut folder = Folder::default();
        let count = self.count()?;
        let (mut n_inputs, mut n_outputs) = (0, 0);
        if !(1..=MAX_CODERS).contains(&count) {
            return Err(Shortfall::Malformed);
        }
        for _ in 0..count {
            let flags = self.byte()?;
            let id = self.bytes((flags & 15).into())?.to_vec();
            let (inputs, outputs) =
                if flags & 0x10 != 0 { (self.count()?, self.count()?) } else { (1, 1) };
            let properties = if flags & 0x20 != 0 { self.sized()?.to_vec() } else { Vec::new() };
            n_inputs += inputs; // counts are below the length of the header
            n_outputs += outputs;
            if n_inputs > MAX_STREAMS || n_outputs > MAX_STREAMS {
                return Err(Shortfall::Malformed);
            }
            folder.coders.push(Coder { id, inputs, outputs, properties });
        }
        let n_bonds = n_outputs.checked_sub(1).ok_or(Shortfall::Malformed)?;
        let n_packs = n_inputs.checked_sub(n_bonds).ok_or(Shortfall::Malformed)?;
        let at = |number: u64| usize::try_from(number).map_err(|_| Shortfall::Malformed);
        for _ in 0..n_bonds {
            let bond = (at(self.number()?)?, at(self.number()?)?);
            folder.bonds.push(bond);
        }
        if n_packs == 1 {
            let free = |input: &usize| folder.bonds.iter().all(|bond| bond.0 != *input);
            folder.inputs.extend((0..n_inputs).find(free));
        } else {
            for _ in 0..n_packs {
                folder.inputs.push(at(self.number()?)?);
            }
        }
        Ok((folder, n_outputs))
    }

    fn substreams(&mut self, archive: &mut Archive) -> Field<()> {
        archive.folders.iter_mut().for_each(|folder| folder.files = 1);
        let mut tag = self.byte()?;
        if tag == FILE_COUNTS {
            let mut total = 0_u64;
            for folder in &mut archive.folders {
                folder.files = self.number()?;
                total = total.saturating_add(folder.files);
            }
            // All but the last of a folder have a size of a byte at least.
            if total > (self.rest.len() + archive.folders.len()) as u64 {
                return Err(Shortfall::Malformed);
            }
            tag = self.byte()?;
        }
        let sized = tag == SIZES;
        for folder in &archive.folders {
            let mut left = folder.size();
            for nth in 0..folder.files {
                let last = nth + 1 == folder.files;
                let size = if last || !sized { left } else { self.number()? };
                left = left.saturating_sub(size);
                let crc32 = folder.crc32.filter(|_| folder.files == 1);
                archive.files.push((size, crc32));
            }
        }
        if sized {
            tag = self.byte()?;
        }
        if tag == DIGESTS {
            let unknown = archive.files.iter_mut().filter(|file| file.1.is_none());
            let unknown: Vec<_> = unknown.collect();
            let digests = self.digests(unknown.len())?;
            for (file, crc32) in unknown.into_iter().zip(digests) {
                file.1 = crc32;
            }
            tag = self.byte()?;
        }
        if tag == END { Ok(()) } else { Err(Shortfall::Malformed) }
    }

    fn files(&mut self) -> Field<Vec<Entry>> {
        let count = self.count()?;
        let mut names = Vec::new();
        let mut empty = vec![false; count];
        loop {
            let tag = self.byte()?;
            if tag == END {
                break;
            }
            let mut property = Fields { rest: self.sized()? };
            match tag {
                EMPTY_STREAMS => empty = property.bits(count)?,
                NAMES => {
                    if property.byte()? != 0 {
                        return Err(Shortfall::Unsupported);
                    }
                    let mut rest = property.rest;
                    while !rest.is_empty() && names.len() < count {
                        let zero = rest.chunks_exact(2).position(|unit| unit == [0, 0]);
                        let end = zero.map_or(rest.len(), |unit| 2 * unit);
                        names.push(utf16(rest.get(..end).unwrap_or_default(), false));
                        rest = rest.get(end + 2..).unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
        let mut names = names.into_iter();
        let entry =
            |empty: bool| Entry { name: names.next().unwrap_or_default(), has_stream: !empty };
        Ok(empty.into_iter().map(entry).collect())
    }
}

const MAGIC: &[u8] = b"7z\xbc\xaf\x27\x1c";
/// Magic, version, and where the header is; offsets count from behind it.
const START: usize = 32;

const END: u8 = 0;
const HEADER: u8 = 1;
const ARCHIVE_PROPERTIES: u8 = 2;
const ADDITIONAL_STREAMS: u8 = 3;
const MAIN_STREAMS: u8 = 4;
const FILES: u8 = 5;
const PACKS: u8 = 6;
const FOLDERS: u8 = 7;
const SUBSTREAMS: u8 = 8;
const SIZES: u8 = 9;
const DIGESTS: u8 = 10;
const FOLDER: u8 = 11;
const UNPACK_SIZES: u8 = 12;
const FILE_COUNTS: u8 = 13;
const EMPTY_STREAMS: u8 = 14;
const NAMES: u8 = 17;
const ENCODED_HEADER: u8 = 23;

const AES: &[u8] = &[6, 0xf1, 7, 1];
const BCJ2: &[u8] = &[3, 3, 1, 0x1b];

/// 7-Zip's own bounds, of coders and of their inputs and outputs.
const MAX_CODERS: usize = 32;
const MAX_STREAMS: usize = 64;
/// Packed headers inside packed headers.
const MAX_WRAPPINGS: usize = 4;
const LARGEST_HEADER: u64 = 64 << 20;
