//! Tiny executables: headers as one likes them, and nothing that runs.
//!
//! Every number in a header can be set, and nothing is checked: most tests want
//! headers that lie.
//!
//! ```
//! use quahog_testkit::builders::exe::{Pe, PeSection};
//!
//! let text = PeSection { address: 0x1000, memory_len: 3, offset: 0x400, len: 0x200 };
//! let mut pe = Pe { entry: 0x1000, sections: vec![text], len: 0x600, ..Pe::default() };
//! pe.place(0x400, b"abc");
//! let bytes = pe.build();
//! assert_eq!((bytes.len(), &bytes[0x400..0x403]), (0x600, &b"abc"[..]));
//! ```

/// A PE file.
#[derive(Clone, Debug)]
pub struct Pe {
    /// PE32+ and not PE32.
    pub wide: bool,
    /// Where the PE header stands.
    pub header: u32,
    /// Address of the entry point.
    pub entry: u32,
    /// What section addresses are a multiple of.
    pub section_alignment: u32,
    /// What offsets of sections are a multiple of.
    pub file_alignment: u32,
    /// Length of all headers.
    pub header_len: u32,
    /// The number of sections, if it is to be another than the truth.
    pub n_sections: Option<u16>,
    /// The sections.
    pub sections: Vec<PeSection>,
    /// Address and size of the 16 tables.
    pub directories: [(u32, u32); 16],
    /// Length of the whole file, filled with `0x90`.
    pub len: usize,
    /// Bytes and where they stand; the headers overwrite them.
    pub placed: Vec<(usize, Vec<u8>)>,
}

/// A section header of a PE file.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeSection {
    /// Address in memory.
    pub address: u32,
    /// Length in memory.
    pub memory_len: u32,
    /// Offset in the file.
    pub offset: u32,
    /// Length in the file.
    pub len: u32,
}

impl Default for Pe {
    /// A PE32 file with the usual alignments and no sections.
    fn default() -> Pe {
        Pe {
            wide: false,
            header: 0x40,
            entry: 0,
            section_alignment: 0x1000,
            file_alignment: 0x200,
            header_len: 0x400,
            n_sections: None,
            sections: Vec::new(),
            directories: [(0, 0); 16],
            len: 0x400,
            placed: Vec::new(),
        }
    }
}

impl Pe {
    /// Puts bytes at an offset.
    pub fn place(&mut self, at: usize, bytes: &[u8]) {
        self.placed.push((at, bytes.to_vec()));
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0x90; self.len];
        for (at, bytes) in &self.placed {
            put(&mut file, *at, bytes);
        }
        let mut dos = vec![0; 64];
        put(&mut dos, 0, b"MZ");
        put(&mut dos, 60, &self.header.to_le_bytes());
        put(&mut file, 0, &dos);
        let header = usize::try_from(self.header).unwrap_or(usize::MAX);
        put(&mut file, header, &self.headers());
        file
    }

    fn headers(&self) -> Vec<u8> {
        let mut out = b"PE\0\0".to_vec();
        let n_sections = self.n_sections.unwrap_or(self.sections.len() as u16);
        let optional = if self.wide { 112 + 128 } else { 96 + 128 };
        push16(&mut out, &[0x14c, n_sections]);
        push32(&mut out, &[0, 0, 0]);
        push16(&mut out, &[optional, 0x102]);
        let start = out.len();
        push16(&mut out, &[if self.wide { 0x20b } else { 0x10b }, 0]);
        push32(&mut out, &[0, 0, 0, self.entry, 0, 0]);
        // One field of the wide form is twice as long, in place of another.
        push32(&mut out, &[0, self.section_alignment, self.file_alignment]);
        push32(&mut out, &[0, 0, 0, 0, 0, self.header_len, 0]);
        push32(&mut out, &[0; 9][..if self.wide { 9 } else { 5 }]);
        push32(&mut out, &[0, 16]);
        for (address, size) in self.directories {
            push32(&mut out, &[address, size]);
        }
        debug_assert_eq!(out.len() - start, usize::from(optional));
        for section in &self.sections {
            out.extend_from_slice(b".section");
            push32(&mut out, &[section.memory_len, section.address, section.len, section.offset]);
            push32(&mut out, &[0, 0, 0, 0x6000_0020]);
        }
        out
    }
}

/// An import table that begins at `address`: DLLs with functions by name or by
/// number, for a file of one section.
pub fn imports(address: u32, dlls: &[(&str, &[Import<'_>])], wide: bool) -> Vec<u8> {
    let mut out = vec![0; 20 * (dlls.len() + 1)];
    let here = |out: &Vec<u8>| address + out.len() as u32;
    for (row, (dll, functions)) in dlls.iter().enumerate() {
        let name = here(&out);
        out.extend_from_slice(dll.as_bytes());
        out.push(0);
        let mut thunks = Vec::new();
        for function in *functions {
            match function {
                Import::Name(function) => {
                    thunks.push(u64::from(here(&out)));
                    out.extend_from_slice(&[7, 0]);
                    out.extend_from_slice(function.as_bytes());
                    out.push(0);
                }
                Import::Number(number) => {
                    thunks.push(1 << (if wide { 63 } else { 31 }) | u64::from(*number));
                }
            }
        }
        let table = here(&out);
        for thunk in thunks.into_iter().chain([0]) {
            out.extend_from_slice(&thunk.to_le_bytes()[..if wide { 8 } else { 4 }]);
        }
        let mut descriptor = Vec::new();
        push32(&mut descriptor, &[table, 0, 0, name, table]);
        put(&mut out, 20 * row, &descriptor);
    }
    out
}

/// A function that is imported.
#[derive(Clone, Copy, Debug)]
pub enum Import<'n> {
    /// By its name.
    Name(&'n str),
    /// By its number.
    Number(u16),
}

/// Resources that begin at `address`: kind, number and bytes of each.
pub fn resources(address: u32, list: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut kinds: Vec<u32> = list.iter().map(|entry| entry.0).collect();
    kinds.dedup();
    let directory = |out: &mut Vec<u8>, entries: &[(u32, u32)]| {
        push32(out, &[0, 0, 0]);
        push16(out, &[0, entries.len() as u16]);
        for &(name, to) in entries {
            push32(out, &[name, to]);
        }
    };
    // Root, then the directory of each kind, then one for each resource, then
    // the leaves, then the bytes.
    let dir_len = |n: usize| 16 + 8 * n;
    let count = |kind: u32| list.iter().filter(|entry| entry.0 == kind).count();
    let names_at = dir_len(kinds.len());
    let languages_at = names_at + kinds.iter().map(|&k| dir_len(count(k))).sum::<usize>();
    let leaves_at = languages_at + list.len() * dir_len(1);
    let bytes_at = leaves_at + 16 * list.len();
    const DIRECTORY: u32 = 1 << 31;
    let mut out = Vec::new();
    let mut at = names_at;
    let mut root = Vec::new();
    for &kind in &kinds {
        root.push((kind, DIRECTORY | at as u32));
        at += dir_len(count(kind));
    }
    directory(&mut out, &root);
    let mut number = 0;
    for &kind in &kinds {
        let mut names = Vec::new();
        for entry in list.iter().filter(|entry| entry.0 == kind) {
            names.push((entry.1, DIRECTORY | (languages_at + number * dir_len(1)) as u32));
            number += 1;
        }
        directory(&mut out, &names);
    }
    for number in 0..list.len() {
        directory(&mut out, &[(0x409, (leaves_at + 16 * number) as u32)]);
    }
    let mut at = bytes_at;
    for (.., bytes) in list {
        push32(&mut out, &[address + at as u32, bytes.len() as u32, 0, 0]);
        at += bytes.len().next_multiple_of(4);
    }
    for (.., bytes) in list {
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// An icon as it stands among the resources: a bitmap and its mask.
#[derive(Clone, Debug)]
pub struct Icon {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels, without the mask.
    pub height: u32,
    /// Bits of a pixel: 1, 4, 8, 16, 24 or 32.
    pub bits: u16,
    /// Colours that pixels of 8 bits and fewer name, as `0xrrggbb`.
    pub palette: Vec<u32>,
    /// Rows from the top: numbers in the palette, 16 bits as they are written,
    /// or `0xaarrggbb`.
    pub pixels: Vec<u32>,
    /// Where the icon lets its background through, in the same order.
    pub masked: Vec<bool>,
}

impl Icon {
    /// The bytes of the resource.
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push32(&mut out, &[40, self.width, 2 * self.height]);
        push16(&mut out, &[1, self.bits]);
        push32(&mut out, &[0; 6]);
        if self.bits <= 8 {
            for index in 0..1 << self.bits {
                push32(&mut out, &[self.palette.get(index).copied().unwrap_or(0)]);
            }
        }
        let width = self.width as usize;
        for row in self.pixels.chunks(width).rev() {
            push_row(&mut out, row.iter().copied(), self.bits);
        }
        for row in self.masked.chunks(width).rev() {
            push_row(&mut out, row.iter().map(|&masked| u32::from(masked)), 1);
        }
        out
    }
}

/// A picture that is made from a number: blocks of colours, of greys if one is
/// left over after dividing by three.
pub fn made_up_icon(seed: u32, width: u32, height: u32, bits: u16, masked: bool) -> Icon {
    let palette = (0..1 << bits.min(8)).map(|at| mixed(seed, 999, at) & 0xff_ffff).collect();
    let places = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixel = |(x, y)| {
        let value = mixed(seed, x / 5, y / 3);
        let gray = ((value >> 24) * 0x1_0101) | ((value & 0xff) << 24);
        let value = if seed % 3 == 1 { gray } else { value };
        if bits < 32 { value & ((1 << bits) - 1) } else { value }
    };
    let hole = |(x, y)| masked && mixed(seed, x, y + 1000).is_multiple_of(5);
    let (pixels, masked) = (places().map(pixel).collect(), places().map(hole).collect());
    Icon { width, height, bits, palette, pixels, masked }
}

/// Three numbers made into one that looks random.
fn mixed(seed: u32, a: u32, b: u32) -> u32 {
    let mut value = seed
        .wrapping_mul(0x9e37_79b1)
        .wrapping_add(a.wrapping_mul(0x85eb_ca6b))
        .wrapping_add(b.wrapping_mul(0xc2b2_ae35));
    value ^= value >> 15;
    value = value.wrapping_mul(0x2c1b_3c6d);
    value ^ value >> 12
}

/// Numbers of some bits each, up to a multiple of four bytes: the first in the
/// highest bits of a byte, or in as many bytes as they take.
fn push_row(out: &mut Vec<u8>, row: impl Iterator<Item = u32>, bits: u16) {
    let start = out.len();
    let mut open = 0;
    for value in row {
        if bits >= 8 {
            out.extend_from_slice(&value.to_le_bytes()[..usize::from(bits / 8)]);
            continue;
        }
        if open == 0 {
            out.push(0);
            open = 8;
        }
        open -= bits;
        if let Some(last) = out.last_mut() {
            *last |= (value as u8) << open;
        }
    }
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
}

/// A group of the icons with these numbers.
pub fn icon_group(icons: &[u16]) -> Vec<u8> {
    let mut out = Vec::new();
    push16(&mut out, &[0, 1, icons.len() as u16]);
    for &number in icons {
        push32(&mut out, &[0, 0, 0]);
        push16(&mut out, &[number]);
    }
    out
}

/// Version information with these keys and values.
pub fn version_info(entries: &[(&str, &str)]) -> Vec<u8> {
    let strings: Vec<Vec<u8>> = entries
        .iter()
        .map(|(key, value)| {
            let text: Vec<u8> = utf16(value).into_iter().chain([0, 0]).collect();
            version_block(key, (text.len() / 2) as u16, &text)
        })
        .collect();
    let table = version_block("040904b0", 0, &joined(&strings));
    let info = version_block("StringFileInfo", 0, &table);
    // Without this mark clamscan 1.4.6 reads nothing of it.
    let mut body = 0xfeef_04bd_u32.to_le_bytes().to_vec();
    body.resize(52, 0);
    body.extend_from_slice(&info);
    version_block("VS_VERSION_INFO", 52, &body)
}

fn joined(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for block in blocks {
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(block);
    }
    out
}

fn version_block(key: &str, value_len: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push16(&mut out, &[0, value_len, 1]);
    out.extend(utf16(key));
    out.extend_from_slice(&[0, 0]);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(body);
    let len = (out.len() as u16).to_le_bytes();
    put(&mut out, 0, &len);
    out
}

/// UTF-16, little-endian.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// An ELF file of one segment and some sections.
#[derive(Clone, Debug)]
pub struct Elf {
    /// 64 bits and not 32.
    pub wide: bool,
    /// Big-endian and not little-endian.
    pub big: bool,
    /// Address of the entry point.
    pub entry: u64,
    /// Offset, address and length in memory of the segments.
    pub segments: Vec<(u64, u64, u64)>,
    /// Offset and length of the sections.
    pub sections: Vec<(u64, u64)>,
    /// Where the section headers stand.
    pub table: u64,
    /// Length of the whole file, filled with `0x90`.
    pub len: usize,
    /// Bytes and where they stand; the headers overwrite them.
    pub placed: Vec<(usize, Vec<u8>)>,
}

impl Elf {
    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0x90; self.len];
        for (at, bytes) in &self.placed {
            put(&mut file, *at, bytes);
        }
        let order = Order { wide: self.wide, big: self.big };
        let header_len = if self.wide { 64 } else { 52 };
        let mut out = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(self.wide), 1 + u8::from(self.big)];
        out.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        order.u16(&mut out, &[2, 3]);
        order.u32(&mut out, &[1]);
        order.word(&mut out, &[self.entry, header_len, self.table]);
        order.u32(&mut out, &[0]);
        let lens = if self.wide { [64, 56, 64] } else { [52, 32, 40] };
        let (n_segments, n_sections) = (self.segments.len() as u16, self.sections.len() as u16);
        order.u16(&mut out, &[lens[0], lens[1], n_segments, lens[2], n_sections, 0]);
        for &(offset, address, len) in &self.segments {
            if self.wide {
                order.u32(&mut out, &[1, 5]);
                order.word(&mut out, &[offset, address, address, len, len, 0x1000]);
            } else {
                order.u32(&mut out, &[1]);
                order.word(&mut out, &[offset, address, address, len, len]);
                order.u32(&mut out, &[5, 0x1000]);
            }
        }
        put(&mut file, 0, &out);
        let mut table = Vec::new();
        for &(offset, len) in &self.sections {
            order.u32(&mut table, &[1, 1]);
            order.word(&mut table, &[6, 0, offset, len]);
            order.u32(&mut table, &[0, 0]);
            order.word(&mut table, &[1, 0]);
        }
        put(&mut file, usize::try_from(self.table).unwrap_or(usize::MAX), &table);
        file
    }
}

/// A Mach-O file of one segment.
#[derive(Clone, Debug)]
pub struct MachO {
    /// 64 bits and not 32.
    pub wide: bool,
    /// Big-endian and not little-endian.
    pub big: bool,
    /// Address of the entry point, in the thread state of a PowerPC.
    pub entry: Option<u32>,
    /// Address, offset and length of the sections.
    pub sections: Vec<(u64, u32, u64)>,
    /// Length of the whole file, filled with `0x90`.
    pub len: usize,
    /// Bytes and where they stand; the headers overwrite them.
    pub placed: Vec<(usize, Vec<u8>)>,
}

impl MachO {
    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0x90; self.len];
        for (at, bytes) in &self.placed {
            put(&mut file, *at, bytes);
        }
        let order = Order { wide: self.wide, big: self.big };
        let n_sections = self.sections.len() as u32;
        let (kind, len, section_len) = if self.wide { (0x19, 72, 80) } else { (1, 56, 68) };
        let mut commands = Vec::new();
        order.u32(&mut commands, &[kind, len + section_len * n_sections]);
        commands.extend_from_slice(&[0; 16]);
        order.word(&mut commands, &[0, 0, 0, 0]);
        order.u32(&mut commands, &[7, 5, n_sections, 0]);
        for &(address, offset, len) in &self.sections {
            commands.extend_from_slice(&[0; 32]);
            order.word(&mut commands, &[address, len]);
            order.u32(&mut commands, &[offset, 0, 0, 0, 0, 0, 0]);
            if self.wide {
                order.u32(&mut commands, &[0]);
            }
        }
        if let Some(entry) = self.entry {
            order.u32(&mut commands, &[5, 16 + 8, 1, 2, entry, 0]);
        }
        let mut out = Vec::new();
        let n_commands = 1 + u32::from(self.entry.is_some());
        let magic = if self.wide { 0xfeed_facf } else { 0xfeed_face };
        order.u32(&mut out, &[magic, 18, 0, 2, n_commands, commands.len() as u32, 0]);
        if self.wide {
            order.u32(&mut out, &[0]);
        }
        out.extend_from_slice(&commands);
        put(&mut file, 0, &out);
        file
    }
}

/// A universal binary of these programs.
pub fn universal(programs: &[Vec<u8>]) -> Vec<u8> {
    let order = Order { wide: false, big: true };
    let mut out = Vec::new();
    order.u32(&mut out, &[0xcafe_babe, programs.len() as u32]);
    let mut at = 0x1000;
    for program in programs {
        order.u32(&mut out, &[18, 0, at, program.len() as u32, 12]);
        at += program.len() as u32;
    }
    out.resize(0x1000, 0);
    programs.iter().for_each(|program| out.extend_from_slice(program));
    out
}

/// How numbers are written.
#[derive(Clone, Copy)]
struct Order {
    wide: bool,
    big: bool,
}

impl Order {
    fn u16(self, out: &mut Vec<u8>, values: &[u16]) {
        for value in values {
            out.extend_from_slice(&if self.big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            });
        }
    }

    fn u32(self, out: &mut Vec<u8>, values: &[u32]) {
        for value in values {
            out.extend_from_slice(&if self.big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            });
        }
    }

    /// Numbers of 64 or of 32 bits; what does not fit is cut.
    fn word(self, out: &mut Vec<u8>, values: &[u64]) {
        for &value in values {
            if !self.wide {
                self.u32(out, &[value as u32]);
            } else if self.big {
                out.extend_from_slice(&value.to_be_bytes());
            } else {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
}

fn push16(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn push32(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

/// Overwrites bytes; what does not fit is left out.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    let room = file.get_mut(at..).unwrap_or_default();
    let len = room.len().min(bytes.len());
    room[..len].copy_from_slice(&bytes[..len]);
}
