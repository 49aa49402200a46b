//! Images: segments as files.
//!
//! ```text
//! image   = header section-table sections
//! header  = "\x89quahog\n"  format:u32  sections:u32  level:u32  zero:u32
//!           content:[u8; 32]  set:[u8; 32]  builder:[u8; 32]
//! section-table = (start:u64  length:u64  row-length:u32  zero:u32)*
//! sections = sources  tables
//! ```
//!
//! All numbers are little-endian. `content` is the SHA-256 of everything behind
//! it. Sections begin at multiples of 64 bytes, so that a mapped file is aligned
//! for every table, and follow each other in the order in which
//! the crate's `Tables` list them; their meaning is that of the format's number, which
//! changes with any table.
//!
//! An image is not signed: its digest finds damage, not malice, and whoever can
//! write one decides every verdict. So open only what is as safe from others as
//! the program itself.

use std::ops::Range;

use bytemuck::Pod;
use bytes::Bytes;
use quahog_sig::model::table::{Plain, Sections, Table};
use quahog_sig::{FLEVEL, SignatureSet, pace};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::BuildError;
use crate::segment::Tables;

/// The format that this engine writes and reads.
pub const FORMAT: u32 = 7;

const MAGIC: [u8; 8] = *b"\x89quahog\n";
/// How signatures begin that are on their way to who compiles them. It is no
/// image: a segment made of them would find nothing.
const SET_MAGIC: [u8; 8] = *b"\x89quaset\n";
/// Where the digest of the content ends, and the content begins.
const CONTENT: usize = 56;
const HEADER: usize = 120;
const ENTRY: usize = 24;
const ALIGN: usize = 64;
/// More sections than any segment has.
const MAX_SECTIONS: usize = 1 << 12;

/// How well an image is looked at before it is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// Its digest, which takes a pass over all of it.
    Digest,
    /// Its structure only: whoever made it lately, or checked it, need not wait.
    Structure,
}

/// Why an image cannot be used.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImageError {
    /// The bytes do not begin like an image.
    #[error("no engine image")]
    NotAnImage,
    /// The image was written by a newer quahog: build it again from its sources.
    #[error("an engine image of format {0}, which is newer than {FORMAT}")]
    Newer(u32),
    /// The image was written by an older quahog: build it again from its sources.
    #[error("an engine image of format {0}, which is older than {FORMAT}")]
    Older(u32),
    /// Images are little-endian, and this machine is not.
    #[error("engine images are for little-endian machines")]
    ByteOrder,
    /// The image ends before what it says that it holds.
    #[error("the engine image is cut off: {found} bytes of {expected}")]
    Truncated {
        /// Bytes that it says it has, at least.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The bytes are not those that were written.
    #[error("the digest of the engine image is not that of its content")]
    Digest,
    /// A section is not what stands there in this format.
    #[error("section {section} of the engine image is damaged")]
    Section {
        /// Its number, from 0.
        section: usize,
    },
    /// What is made of the tables would be too large.
    #[error(transparent)]
    Build(BuildError),
}

/// What an image says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageInfo {
    /// The number of its format.
    pub format: u32,
    /// The functionality level of the quahog that wrote it.
    pub level: u32,
    /// That quahog.
    pub builder: String,
    /// The SHA-256 of everything behind it.
    pub content: [u8; 32],
    /// The digest of the signature set, by which engines are known.
    pub set: [u8; 32],
    /// What it was compiled from.
    pub sources: Vec<Stamp>,
    n_sections: usize,
}

/// A file that an image was compiled from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stamp {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl ImageInfo {
    /// Reads a header.
    ///
    /// # Errors
    ///
    /// The bytes are no image, or one of another format.
    pub fn read(image: &[u8]) -> Result<ImageInfo, ImageError> {
        let mut info = ImageInfo::header(image, MAGIC)?;
        let mut reader = Reader { image, n_sections: info.n_sections, section: 0 };
        reader.rest(&mut info.sources)?;
        Ok(info)
    }

    fn header(image: &[u8], magic: [u8; 8]) -> Result<ImageInfo, ImageError> {
        if !image.starts_with(&magic) {
            return Err(ImageError::NotAnImage);
        }
        let format = u32_at(image, 8)?;
        if format > FORMAT {
            return Err(ImageError::Newer(format));
        } else if format < FORMAT {
            return Err(ImageError::Older(format));
        }
        let builder: [u8; 32] = array_at(image, 88)?;
        let builder = builder.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(ImageInfo {
            format,
            n_sections: u32_at(image, 12)? as usize,
            level: u32_at(image, 16)?,
            builder: String::from_utf8_lossy(builder).into_owned(),
            content: array_at(image, 24)?,
            set: array_at(image, CONTENT)?,
            sources: Vec::new(),
        })
    }
}

/// The digest of its content that the header of an image tells.
///
/// # Errors
///
/// The bytes do not begin like an image of this format.
pub fn content(image: &[u8]) -> Result<[u8; 32], ImageError> {
    ImageInfo::header(image, MAGIC).map(|info| info.content)
}

fn array_at<const N: usize>(image: &[u8], at: usize) -> Result<[u8; N], ImageError> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk()).copied();
    let truncated = ImageError::Truncated { expected: (at + N) as u64, found: image.len() as u64 };
    bytes.ok_or(truncated)
}

fn u32_at(image: &[u8], at: usize) -> Result<u32, ImageError> {
    array_at(image, at).map(u32::from_le_bytes)
}

fn u64_at(image: &[u8], at: usize) -> Result<u64, ImageError> {
    array_at(image, at).map(u64::from_le_bytes)
}

/// Signatures that are not compiled, in pieces, for a process that compiles
/// them: [`read_set`] reads them there. Nothing large is copied.
///
/// # Errors
///
/// The machine is none that images are for.
pub fn write_set(set: &SignatureSet) -> Result<Vec<Bytes>, ImageError> {
    let mut tables = Tables::default();
    tables.set = set.clone();
    write_as(SET_MAGIC, set.digest(), tables, Vec::new())
}

/// The signatures of [`write_set`], every byte of them checked.
///
/// # Errors
///
/// The bytes are no such signatures, of another format, or damaged.
pub fn read_set(bytes: &Bytes) -> Result<SignatureSet, ImageError> {
    let (digest, tables) = read_as(SET_MAGIC, bytes, Check::Digest)?;
    if tables.set.digest() == digest { Ok(tables.set) } else { Err(ImageError::Digest) }
}

/// The image of some tables, in pieces.
pub(crate) fn write(
    set: [u8; 32],
    tables: Tables,
    sources: Vec<Stamp>,
) -> Result<Vec<Bytes>, ImageError> {
    write_as(MAGIC, set, tables, sources)
}

fn write_as(
    magic: [u8; 8],
    set: [u8; 32],
    mut tables: Tables,
    mut sources: Vec<Stamp>,
) -> Result<Vec<Bytes>, ImageError> {
    if cfg!(target_endian = "big") {
        return Err(ImageError::ByteOrder);
    }
    let mut writer = Writer::default();
    writer.rest(&mut sources)?;
    tables.sections(&mut writer)?;
    let sections = writer.sections;
    let mut header = Vec::with_capacity(HEADER + ENTRY * sections.len());
    header.extend_from_slice(&magic);
    // There are some hundreds of sections.
    for number in [FORMAT, sections.len() as u32, FLEVEL, 0] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.resize(CONTENT, 0);
    header.extend_from_slice(&set);
    let mut builder = [0; 32];
    let name = concat!("quahog ", env!("CARGO_PKG_VERSION"));
    builder.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    header.extend_from_slice(&builder);
    let mut end = HEADER + ENTRY * sections.len();
    for (row, bytes) in &sections {
        let start = end.next_multiple_of(ALIGN);
        end = start + bytes.len();
        header.extend_from_slice(&(start as u64).to_le_bytes());
        header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        header.extend_from_slice(&row.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
    }
    static ZEROS: [u8; ALIGN] = [0; ALIGN];
    let mut end = header.len();
    let mut rest = Vec::with_capacity(2 * sections.len());
    for (_, bytes) in sections {
        let gap = end.next_multiple_of(ALIGN) - end;
        end += gap + bytes.len();
        rest.push(Bytes::from_static(&ZEROS[..gap]));
        rest.push(bytes);
    }
    let mut digest = Sha256::new();
    digest.update(&header[CONTENT..]);
    rest.iter().flat_map(|piece| pace::pieces(piece)).for_each(|piece| digest.update(piece));
    header[CONTENT - 32..CONTENT].copy_from_slice(&digest.finalize());
    rest.insert(0, header.into());
    Ok(rest)
}

/// The set's digest and the tables of an image.
pub(crate) fn read(image: &Bytes, check: Check) -> Result<([u8; 32], Tables), ImageError> {
    read_as(MAGIC, image, check)
}

fn read_as(magic: [u8; 8], image: &Bytes, check: Check) -> Result<([u8; 32], Tables), ImageError> {
    let info = ImageInfo::header(image, magic)?;
    if cfg!(target_endian = "big") {
        return Err(ImageError::ByteOrder);
    }
    if check == Check::Digest {
        let content = image.get(CONTENT..).unwrap_or_default();
        if Sha256::digest(content)[..] != info.content {
            return Err(ImageError::Digest);
        }
    }
    if info.n_sections > MAX_SECTIONS {
        return Err(ImageError::Section { section: MAX_SECTIONS });
    }
    // The sources are the first section.
    let reader = Reader { image, n_sections: info.n_sections, section: 1 };
    let mut reader = Slices { image, reader };
    let mut tables = Tables::default();
    tables.sections(&mut reader)?;
    let section = reader.reader.section;
    if section == info.n_sections && tables.are_sound() {
        Ok((info.set, tables))
    } else {
        Err(ImageError::Section { section })
    }
}

/// Collects the sections.
#[derive(Default)]
struct Writer {
    /// The length of a row, 0 if there are no rows, and the bytes.
    sections: Vec<(u32, Bytes)>,
}

impl Sections for Writer {
    type Error = ImageError;

    fn table<T: Plain>(&mut self, table: &mut Table<T>) -> Result<(), ImageError> {
        self.sections.push((row_len::<T>(), table.bytes()));
        Ok(())
    }

    fn rest<R: Serialize + DeserializeOwned>(&mut self, rest: &mut R) -> Result<(), ImageError> {
        let section = self.sections.len();
        let bytes = postcard::to_allocvec(rest).map_err(|_| ImageError::Section { section })?;
        self.sections.push((0, bytes.into()));
        Ok(())
    }
}

/// A row has some bytes.
fn row_len<T: Pod>() -> u32 {
    size_of::<T>() as u32
}

/// Finds the sections.
struct Reader<'i> {
    image: &'i [u8],
    n_sections: usize,
    /// The number of the next one.
    section: usize,
}

impl Reader<'_> {
    /// Where the next section lies, if its rows have this length.
    fn next(&mut self, row: u32) -> Result<Range<usize>, ImageError> {
        let section = self.section;
        let wrong = ImageError::Section { section };
        if section >= self.n_sections {
            return Err(wrong);
        }
        self.section += 1;
        let entry = HEADER + ENTRY * section;
        let (start, len) = (u64_at(self.image, entry)?, u64_at(self.image, entry + 8)?);
        if u32_at(self.image, entry + 16)? != row {
            return Err(wrong);
        }
        let end = start.checked_add(len).ok_or(wrong)?;
        let found = self.image.len() as u64;
        if end > found {
            return Err(ImageError::Truncated { expected: end, found });
        }
        // Both are no more than the length.
        Ok(start as usize..end as usize)
    }

    fn rest<R: DeserializeOwned>(&mut self, rest: &mut R) -> Result<(), ImageError> {
        let wrong = ImageError::Section { section: self.section };
        let range = self.next(0)?;
        let bytes = self.image.get(range).unwrap_or_default();
        *rest = postcard::from_bytes(bytes).map_err(|_| wrong)?;
        Ok(())
    }
}

/// Deals the sections out, tables as pieces of the image.
struct Slices<'i> {
    image: &'i Bytes,
    reader: Reader<'i>,
}

impl Sections for Slices<'_> {
    type Error = ImageError;

    fn table<T: Plain>(&mut self, table: &mut Table<T>) -> Result<(), ImageError> {
        let wrong = ImageError::Section { section: self.reader.section };
        let range = self.reader.next(row_len::<T>())?;
        *table = Table::from_bytes(self.image.slice(range)).ok_or(wrong)?;
        Ok(())
    }

    fn rest<R: Serialize + DeserializeOwned>(&mut self, rest: &mut R) -> Result<(), ImageError> {
        self.reader.rest(rest)
    }
}
