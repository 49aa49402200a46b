//! PE32 and PE32+: headers, sections, imports, version information.
//!
//! What is sound, what is clipped and how offsets are rounded was settled by
//! experiments on clamscan 1.4.6; each rule says so where it is not obvious.

use std::cell::OnceCell;
use std::collections::BinaryHeap;

use super::Section;
use super::bytes::Reader;
use super::damage::Layout;
use super::resource::Resources;
use super::signers::{self, Signer};

/// What an executable's headers say.
#[derive(Debug)]
pub struct Executable {
    entry: u64,
    sections: Vec<Section>,
    /// Where addresses lie, if it is a PE file.
    image: Option<Image>,
    imports: OnceCell<Option<Vec<u8>>>,
    version_keys: OnceCell<Vec<usize>>,
}

/// How addresses of a PE file map to offsets.
#[derive(Debug)]
pub(super) struct Image {
    wide: bool,
    header_len: u64,
    memory: Memory,
    /// Address and size of the import table, and of the resources.
    imports: (u32, u32),
    resources: (u32, u32),
    /// Offset and size of the certificates.
    certificates: (u32, u32),
}

/// A section with its address.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    address: u64,
    section: Section,
}

/// Which bytes of the file stand at which addresses: of the sections that hold
/// an address, the last counts.
///
/// Ranges that do not overlap, sorted, so that looking up an address takes
/// logarithmic time however many sections there are.
#[derive(Debug)]
struct Memory(Vec<Stretch>);

/// Addresses from `start` up to `end`, which stand at `offset` in the file.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u64,
    end: u64,
    offset: u64,
}

impl Memory {
    fn new(mapped: &[Mapped]) -> Memory {
        let end = |m: &Mapped| m.address + m.section.len;
        let mut starts: Vec<usize> = (0..mapped.len()).collect();
        starts.sort_by_key(|&at| mapped[at].address);
        let mut edges: Vec<u64> = mapped.iter().flat_map(|m| [m.address, end(m)]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut starts = starts.into_iter().peekable();
        // Sections that begin before the edge; those that ended are removed
        // when they come up.
        let mut open = BinaryHeap::new();
        let mut stretches: Vec<Stretch> = Vec::new();
        for pair in edges.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            while let Some(at) = starts.next_if(|&at| mapped[at].address <= from) {
                open.push(at);
            }
            while open.peek().is_some_and(|&at| end(&mapped[at]) <= from) {
                open.pop();
            }
            if let Some(&at) = open.peek() {
                let offset = mapped[at].section.offset + (from - mapped[at].address);
                stretches.push(Stretch { start: from, end: to, offset });
            }
        }
        Memory(stretches)
    }

    fn offset(&self, address: u64) -> Option<u64> {
        let at = self.0.partition_point(|stretch| stretch.end <= address);
        let stretch = self.0.get(at)?;
        Some(stretch.offset + address.checked_sub(stretch.start)?)
    }
}

impl Executable {
    pub(super) fn new(entry: u64, sections: Vec<Section>) -> Executable {
        Executable {
            entry,
            sections,
            image: None,
            imports: OnceCell::new(),
            version_keys: OnceCell::new(),
        }
    }

    /// The file offset of the entry point.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The sections, in the order of their headers.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Whether it is a PE file.
    pub fn is_pe(&self) -> bool {
        self.image.is_some()
    }

    /// Where its icons stand in the file: those of the first group, at most 100
    /// and one more.
    ///
    /// `bytes` are those that the headers were read from.
    pub fn icons(&self, bytes: &[u8]) -> Vec<usize> {
        let resources = self.image.as_ref().and_then(|image| Resources::new(image, bytes));
        resources.map(Resources::icons).unwrap_or_default()
    }

    /// The certificates that it carries, if it is a PE file.
    ///
    /// `bytes` are those that the headers were read from.
    pub fn signers<'b>(&self, bytes: &'b [u8]) -> Vec<Signer<'b>> {
        let read = |image: &Image| signers::read(bytes, image.certificates);
        self.image.as_ref().map(read).unwrap_or_default()
    }

    /// The text that import hashes are made of: `dll.function` for each import,
    /// joined by commas, in lower case. `None` if there is no import table, or
    /// none that makes sense.
    ///
    /// `bytes` are those that the headers were read from.
    pub fn imports(&self, bytes: &[u8]) -> Option<&[u8]> {
        let read = || self.image.as_ref().and_then(|image| image.import_text(bytes));
        self.imports.get_or_init(read).as_deref()
    }

    /// Where the keys of the version information stand, sorted.
    ///
    /// `bytes` are those that the headers were read from.
    pub fn version_keys(&self, bytes: &[u8]) -> &[usize] {
        let read = || {
            let mut keys = Vec::new();
            if let Some(image) = &self.image {
                image.version_keys(bytes, &mut keys);
            }
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        self.version_keys.get_or_init(read)
    }
}

const SIGN_BIT: u32 = 1 << 31;

/// Reads the headers; `None` if they make no sense.
pub(super) fn read(bytes: &[u8]) -> Option<Executable> {
    let reader = Reader::little(bytes);
    let start = header(bytes)?;
    let n_sections = reader.u16(start + 6)?;
    let optional_len = u64::from(reader.u16(start + 20)?);
    let optional = start + 24;
    let wide = reader.u16(optional)? == 0x20b;
    let fixed_len = if wide { 112 } else { 96 };
    let n_directories = u64::from(reader.u32(optional + fixed_len - 4)?.min(16));
    let table = optional + optional_len;
    if n_sections == 0
        || optional_len < fixed_len + 8 * n_directories
        || optional + fixed_len + 8 * n_directories > reader.len()
        || table + 40 * u64::from(n_sections) > reader.len()
    {
        return None;
    }
    let entry = reader.u32(optional + 16)?;
    let section_alignment = reader.u32(optional + 32)?;
    let file_alignment = reader.u32(optional + 36)?;
    let header_len = round_up(reader.u32(optional + 60)?, section_alignment);
    let directory = |n: u64| {
        let at = optional + fixed_len + 8 * n;
        if n >= n_directories {
            return (0, 0);
        }
        (reader.u32(at).unwrap_or(0), reader.u32(at + 4).unwrap_or(0))
    };

    let rows: Vec<Row> = (0..u64::from(n_sections))
        .map(|n| {
            let field = |offset| reader.u32(table + 40 * n + offset);
            Some(Row {
                memory_len: field(8)?,
                address: field(12)?,
                len: field(16)?,
                offset: field(20)?,
            })
        })
        .collect::<Option<_>>()?;
    // Files are made whose sections are aligned to 512 bytes, whatever the
    // header says; the loader maps them so.
    let sector = 512;
    let file_alignment = if rows.iter().any(|row| row.misaligned(file_alignment, sector)) {
        sector
    } else {
        file_alignment
    };
    let file_len = reader.len();
    let mut mapped = Vec::with_capacity(rows.len());
    for row in &rows {
        let offset = u64::from(round_down(row.offset, file_alignment));
        let mut len = u64::from(round_up(row.len, file_alignment));
        let mut own_len = u64::from(row.len);
        if len > 0 && (offset >= file_len || u64::from(row.offset) >= file_len) {
            (len, own_len) = (0, 0);
        } else if offset + len > file_len {
            len = file_len.saturating_sub(offset);
            own_len = len;
        }
        let signs = row.address | row.memory_len | u32::try_from(own_len).unwrap_or(SIGN_BIT);
        if signs & SIGN_BIT != 0 {
            return None;
        }
        let address = u64::from(round_down(row.address, section_alignment));
        mapped.push(Mapped { address, section: Section { offset, len } });
    }
    let image = Image {
        wide,
        header_len: u64::from(header_len),
        memory: Memory::new(&mapped),
        imports: directory(1),
        resources: directory(2),
        certificates: directory(4),
    };
    let entry = image.offset(entry, file_len)?;
    let sections = mapped.iter().map(|mapped| mapped.section).collect();
    Some(Executable { image: Some(image), ..Executable::new(entry, sections) })
}

/// What [`read`] costs, about in bytes touched.
pub(super) fn cost(bytes: &[u8]) -> u64 {
    let sections = header(bytes).and_then(|start| Reader::little(bytes).u16(start + 6));
    40 * u64::from(sections.unwrap_or(0))
}

/// Whether the sections lie in memory as a linker puts them: aligned, one after
/// the other, the first right behind the headers.
pub(super) fn layout(bytes: &[u8]) -> Layout {
    let Some(start) = header(bytes) else { return Layout::NoHeader };
    let plain = is_plain(Reader::little(bytes), start + 4).unwrap_or(false);
    if plain { Layout::Plain } else { Layout::Odd }
}

/// As [`layout`]; `start` is where the file header is. `None` if it is cut off.
fn is_plain(reader: Reader<'_>, start: u64) -> Option<bool> {
    let n_sections = u64::from(reader.u16(start + 2)?);
    let optional = start + 20;
    let table = optional + u64::from(reader.u16(start + 16)?);
    let (section_alignment, file_alignment) =
        (reader.u32(optional + 32)?, reader.u32(optional + 36)?);
    let page = 0x1000;
    let aligned = |value: u32, unit: u32| value != 0 && value.is_multiple_of(unit);
    if !aligned(section_alignment, page) || !aligned(file_alignment, 512) {
        return Some(false);
    }
    let mut next = round_up(reader.u32(optional + 60)?, section_alignment);
    for n in 0..n_sections {
        let field = |offset| reader.u32(table + 40 * n + offset);
        let (memory_len, address, len) = (field(8)?, field(12)?, field(16)?);
        if address != next {
            return Some(false);
        }
        let own = if memory_len == 0 { len } else { memory_len };
        next = address.wrapping_add(round_up(own, section_alignment));
    }
    Some(true)
}

/// Where the PE header begins, after a DOS header that leads to it.
fn header(bytes: &[u8]) -> Option<u64> {
    let reader = Reader::little(bytes);
    if !bytes.starts_with(b"MZ") {
        return None;
    }
    let start = u64::from(reader.u32(60)?);
    (start != 0 && reader.u32(start)? == u32::from_le_bytes(*b"PE\0\0")).then_some(start)
}

/// A section header's numbers.
struct Row {
    memory_len: u32,
    address: u32,
    len: u32,
    offset: u32,
}

impl Row {
    fn misaligned(&self, alignment: u32, sector: u32) -> bool {
        alignment != 0
            && self.len != 0
            && !self.offset.is_multiple_of(alignment)
            && self.offset.is_multiple_of(sector)
    }
}

/// Rounds down to a multiple; 0 as the unit leaves the number alone.
fn round_down(value: u32, unit: u32) -> u32 {
    value.checked_rem(unit).map_or(value, |rest| value - rest)
}

/// Rounds up to a multiple, in 32 bits that wrap as clamscan's do.
fn round_up(value: u32, unit: u32) -> u32 {
    match value.checked_rem(unit) {
        None | Some(0) => value,
        Some(rest) => value.wrapping_add(unit - rest),
    }
}

impl Image {
    /// The file offset of an address.
    ///
    /// Addresses in the header are offsets; of the sections that hold one, the
    /// last counts, over the length that it has in the file.
    pub(super) fn offset(&self, address: u32, file_len: u64) -> Option<u64> {
        let address = u64::from(address);
        if address < self.header_len {
            return (address < file_len).then_some(address);
        }
        self.memory.offset(address)
    }

    /// The bytes of the file from an address on.
    pub(super) fn at<'b>(&self, bytes: &'b [u8], address: u32) -> Option<&'b [u8]> {
        let offset = self.offset(address, bytes.len() as u64)?;
        bytes.get(usize::try_from(offset).ok()?..)
    }

    /// The address of the resources, if there are any.
    pub(super) fn resources(&self) -> Option<u32> {
        (self.resources.0 != 0 && self.resources.1 != 0).then_some(self.resources.0)
    }
}

/// Past this the text of the imports is not made: tables can refer to the same
/// names again and again.
const MAX_IMPORT_TEXT: usize = 1 << 20;

/// The most DLLs that functions are imported from; none are read past it.
const MAX_DLLS: usize = 10_000;

/// Longer names are cut, as in clamscan 1.4.6.
const MAX_NAME: usize = 256;

impl Image {
    fn import_text(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (address, size) = self.imports;
        if address == 0 || size == 0 {
            return None;
        }
        let table = self.at(bytes, address)?;
        let mut text = Vec::new();
        // The last descriptor is the end mark, whatever stands in it.
        let count = (size as usize).div_ceil(20).saturating_sub(1).min(MAX_DLLS);
        for descriptor in table.chunks_exact(20).take(count) {
            if descriptor.iter().all(|&byte| byte == 0) {
                break;
            }
            let reader = Reader::little(descriptor);
            let (lookup, name, first) = (reader.u32(0)?, reader.u32(12)?, reader.u32(16)?);
            let dll = name_at(self.at(bytes, name)?).to_ascii_lowercase();
            let thunks = if lookup != 0 { lookup } else { first };
            self.functions(bytes, &dll, thunks, &mut text)?;
        }
        Some(text)
    }

    /// Appends the functions that are imported from one DLL.
    fn functions(&self, bytes: &[u8], dll: &[u8], thunks: u32, text: &mut Vec<u8>) -> Option<()> {
        let ordinals = ordinals_of(dll);
        let stem = stem(dll);
        let reader = Reader::little(self.at(bytes, thunks)?);
        let step = if self.wide { 8 } else { 4 };
        let mut at = 0;
        while let Some(thunk) = reader.word(at, self.wide) {
            if thunk == 0 {
                break;
            }
            at += step;
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(stem);
            text.push(b'.');
            if thunk >> (8 * step - 1) != 0 {
                // Cut on purpose: ordinals have 16 bits.
                let ordinal = thunk as u16;
                match ordinals.and_then(|table| ordinal_name(table, ordinal)) {
                    Some(name) => text.extend_from_slice(name.as_bytes()),
                    None => text.extend_from_slice(format!("ord{ordinal}").as_bytes()),
                }
            } else {
                // The name stands behind a hint of two bytes; one that lies
                // nowhere is empty.
                let name = u32::try_from(thunk).ok().and_then(|rva| self.at(bytes, rva));
                let name = name_at(name.and_then(|hint| hint.get(2..)).unwrap_or_default());
                text.extend(name.iter().map(u8::to_ascii_lowercase));
            }
            if text.len() > MAX_IMPORT_TEXT {
                return None;
            }
        }
        Some(())
    }
}

/// The name that begins here, up to a NUL.
fn name_at(bytes: &[u8]) -> &[u8] {
    let longest = &bytes[..bytes.len().min(MAX_NAME)];
    longest.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The name of a DLL without what follows the first dot, if that begins like
/// an extension of a library.
fn stem(dll: &[u8]) -> &[u8] {
    let Some(dot) = memchr::memchr(b'.', dll) else { return dll };
    let (stem, rest) = dll.split_at(dot);
    let known = [&b".dll"[..], b".ocx", b".sys"].iter().any(|end| rest.starts_with(end));
    if known { stem } else { dll }
}

/// The names of a DLL that is usually imported from by number.
fn ordinals_of(dll: &[u8]) -> Option<&'static [(u16, &'static str)]> {
    if dll.starts_with(b"oleaut32.dll") {
        return Some(super::ordinals::OLEAUT32);
    }
    let sockets = dll.starts_with(b"ws2_32.dll") || dll.starts_with(b"wsock32.dll");
    sockets.then_some(super::ordinals::WS2_32)
}

fn ordinal_name(table: &[(u16, &'static str)], ordinal: u16) -> Option<&'static str> {
    let at = table.binary_search_by_key(&ordinal, |entry| entry.0).ok()?;
    Some(table.get(at)?.1)
}

/// The type of version information among resources.
const VERSION: u32 = 16;

/// The most keys of version information that are looked for, and the most
/// resources that they are looked for in.
const MAX_KEYS: usize = 4_096;
const MAX_VERSIONS: usize = 64;

impl Image {
    /// Appends the positions of all keys.
    fn version_keys(&self, bytes: &[u8], keys: &mut Vec<usize>) {
        let Some(resources) = Resources::new(self, bytes) else { return };
        for entry in resources.of_type(VERSION).into_iter().take(MAX_VERSIONS) {
            let Some(offset) = self.offset(entry.address, bytes.len() as u64) else { continue };
            let Ok(start) = usize::try_from(offset) else { continue };
            let end = start.saturating_add(entry.size as usize).min(bytes.len());
            if let Some(block) = bytes.get(start..end) {
                version_block(block, start, keys);
            }
        }
    }
}

/// Appends the positions of the keys in one block of version information.
fn version_block(block: &[u8], start: usize, keys: &mut Vec<usize>) {
    // Blocks in blocks: the version, in it the language tables, in them the
    // entries. Each begins with its length, that of its value, and a type.
    let Some(root) = VersionNode::read(block, 0, block.len()) else { return };
    // The fixed part of the version is a value of some 52 bytes.
    for info in root.children(block) {
        if !info.key_is(block, "StringFileInfo") {
            continue;
        }
        for table in info.children(block) {
            for entry in table.children(block) {
                if keys.len() >= MAX_KEYS {
                    return;
                }
                keys.push(start + entry.key);
            }
        }
    }
}

/// A block of version information, as offsets from the start of all of it.
#[derive(Clone, Copy, Debug)]
struct VersionNode {
    key: usize,
    key_end: usize,
    value_len: usize,
    end: usize,
}

impl VersionNode {
    fn read(block: &[u8], at: usize, limit: usize) -> Option<VersionNode> {
        let reader = Reader::little(block.get(..limit)?);
        let len = usize::from(reader.u16(at as u64)?);
        let value_len = usize::from(reader.u16(at as u64 + 2)?);
        let key = at + 6;
        let end = at.checked_add(len)?.min(limit);
        let units = block.get(key..end)?.chunks_exact(2);
        let key_len = 2 * units.take_while(|unit| *unit != [0, 0]).count();
        // Behind the NUL, at the next multiple of four.
        let key_end = (key + key_len + 2).next_multiple_of(4);
        Some(VersionNode { key, key_end, value_len, end })
    }

    fn key_is(self, block: &[u8], key: &str) -> bool {
        let units = block.get(self.key..).unwrap_or_default().chunks_exact(2);
        let wanted = key.encode_utf16().chain([0]).map(u16::to_le_bytes);
        units.take(key.len() + 1).map(|unit| [unit[0], unit[1]]).eq(wanted)
    }

    /// The blocks inside, which stand after the value.
    fn children(self, block: &[u8]) -> impl Iterator<Item = VersionNode> {
        let mut at = self.key_end.saturating_add(self.value_len).next_multiple_of(4);
        std::iter::from_fn(move || {
            let node = VersionNode::read(block, at, self.end)?;
            // A block that does not reach past its own key ends the list.
            if node.end <= node.key {
                return None;
            }
            at = node.end.next_multiple_of(4);
            Some(node)
        })
    }
}
