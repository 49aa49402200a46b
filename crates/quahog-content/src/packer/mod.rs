//! Programs that unpack themselves (UPX, ASPack, WWPack and the like).
//!
//! There is no decoder for each: the program is run, as far as it unpacks itself,
//! by an interpreter of the instructions that such programs are made of. It sees
//! a processor, its own image and a few functions of the system that do next to
//! nothing; it can reach nothing else. Where it leaves for what it has written, it
//! is unpacked: its memory then is the program that a loader would have been given.
//!
//! Headers are read as a loader reads them, and not as the engine does, to which
//! they say what clamscan takes them to say.
//!
//! Only programs for Windows of 32 bits are run, and of these only those that
//! enter at a section that they may write to, which hardly any other has. How many
//! instructions are run is bounded for each program and for an input as a whole.

mod cpu;
mod memory;
mod system;

use crate::archive::fields::{u16_at, u32_at};
use crate::{Budget, Shortfall};
use cpu::{Cpu, Stop};
use memory::Memory;
use system::System;

/// A program out of a program.
#[derive(Clone, Debug, Default)]
pub struct Unpacked {
    /// A PE file: the memory of the program when it was unpacked, or as far as it came.
    /// `None` if it does not unpack itself.
    pub program: Option<Vec<u8>>,
    /// Why it came no further, if it is packed.
    pub shortfall: Option<Shortfall>,
}

/// Runs a PE file until it is unpacked, if it looks as if it were packed.
///
/// Takes time linear in the bytes and in the image, and up to four million
/// instructions and 64 for each byte, a second or two of them for all programs of an
/// input; memory for the image, four times. Each instruction is charged as a byte.
pub fn unpack(bytes: &[u8], budget: &Budget<'_>) -> Unpacked {
    let Some(headers) = Headers::read(bytes).filter(Headers::may_be_packed) else {
        return Unpacked::default();
    };
    let not_run = |shortfall| Unpacked { program: None, shortfall: Some(shortfall) };
    let (room, shortfall) = budget.unpacked_room(bytes.len());
    let image_len = u64::from(headers.image_len);
    if image_len > MAX_IMAGE {
        return not_run(Shortfall::Unsupported);
    }
    if image_len > room || !budget.expand(bytes.len(), image_len as usize, &mut 0) {
        return not_run(shortfall);
    }
    if let Err(shortfall) = budget.tick(bytes.len() as u64 + image_len / 16) {
        return not_run(shortfall);
    }
    let mut run = Run::new(&headers, bytes);
    let shortfall = run.go(&headers, bytes.len(), budget);
    let program = run.unpacked.take().map(|(image, entry)| headers.rebuild(image, entry));
    Unpacked { program, shortfall }
}

/// The largest image that is run.
const MAX_IMAGE: u64 = 32 << 20;
/// Instructions for a program, beside those for each of its bytes: enough for what
/// is usually packed.
const STEPS: u64 = 4 << 20;
const STEPS_PER_BYTE: u64 = 64;
/// How often a program may seem to be unpacked.
const MAX_SEEN: u32 = 32;
/// Bytes that a program writes at least when it unpacks something.
const UNPACKED: usize = 512;
/// Instructions that a function of the system is counted as.
const SERVED: u32 = 256;
/// Instructions between two looks at the budget.
const STRIDE: u64 = 1 << 12;

/// What is needed of the headers of a PE file.
#[derive(Debug)]
struct Headers {
    /// Where the PE header is.
    start: usize,
    /// Where the table of sections is.
    table: usize,
    entry: u32,
    base: u32,
    image_len: u32,
    headers_len: usize,
    imports: u32,
    sections: Vec<Section>,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    address: u32,
    len: u32,
    offset: u32,
    raw_len: u32,
    writable: bool,
    executable: bool,
}

impl Section {
    fn has(&self, address: u32) -> bool {
        address.wrapping_sub(self.address) < self.len.max(self.raw_len)
    }
}

/// The most sections that a program is run with.
const MAX_SECTIONS: usize = 96;

impl Headers {
    fn read(bytes: &[u8]) -> Option<Headers> {
        if !bytes.starts_with(b"MZ") {
            return None;
        }
        Headers::read_at(bytes, u32_at(bytes, 60)? as usize)
    }

    /// Reads the header of a PE file for x86 that stands here.
    fn read_at(bytes: &[u8], start: usize) -> Option<Headers> {
        let header = bytes.get(start..)?;
        if !header.starts_with(b"PE\0\0")
            || u16_at(header, 4)? != 0x14c
            || u16_at(header, 24)? != 0x10b
        {
            return None;
        }
        let n_sections = usize::from(u16_at(header, 6)?);
        let table = start + 24 + usize::from(u16_at(header, 20)?);
        if n_sections > MAX_SECTIONS {
            return None;
        }
        let section = |number: usize| {
            let at = table + 40 * number;
            let raw_len = u32_at(bytes, at + 16)?;
            let len = u32_at(bytes, at + 8)?;
            Some(Section {
                address: u32_at(bytes, at + 12)?,
                len: if len == 0 { raw_len } else { len },
                // A loader rounds it.
                offset: u32_at(bytes, at + 20)? & !0x1ff,
                raw_len,
                writable: u32_at(bytes, at + 36)? & 0x8000_0000 != 0,
                executable: u32_at(bytes, at + 36)? & 0x2000_0000 != 0,
            })
        };
        let n_directories = u32_at(header, 116)?;
        Some(Headers {
            start,
            table,
            entry: u32_at(header, 40)?,
            base: u32_at(header, 52)?,
            image_len: u32_at(header, 80)?,
            headers_len: u32_at(header, 84)? as usize,
            imports: if n_directories > 1 { u32_at(header, 128).unwrap_or(0) } else { 0 },
            sections: (0..n_sections).map(section).collect::<Option<_>>()?,
        })
    }

    /// Whether the program enters at a section that it may write to.
    fn may_be_packed(&self) -> bool {
        self.sections.iter().any(|section| section.has(self.entry) && section.writable)
    }

    /// Whether it has room for code that is not in the file.
    fn is_hollow(&self) -> bool {
        let hollow = |section: &Section| section.executable && section.raw_len == 0;
        self.sections.iter().any(hollow)
    }

    /// That section as a bit; 0 for none.
    fn bit(&self, address: u32) -> u128 {
        self.section(address).map_or(0, |section| 1 << section) // at most 96
    }

    /// The section that an address of the image is in.
    fn section(&self, address: u32) -> Option<usize> {
        self.sections.iter().position(|section| section.has(address))
    }

    /// The image that a loader makes of the file.
    fn load(&self, bytes: &[u8]) -> Vec<u8> {
        let mut image = vec![0; self.image_len as usize];
        put(&mut image, 0, &bytes[..bytes.len().min(self.headers_len)]);
        // Those that lie over each other are no program that a loader takes.
        let mut left = image.len();
        for section in &self.sections {
            let room = u64::from(section.len).next_multiple_of(0x1000);
            let raw_len = u64::from(section.raw_len).next_multiple_of(0x200);
            let len = left.min(room.min(raw_len) as usize); // about 4 GiB at most
            let raw = bytes.get(section.offset as usize..).unwrap_or_default();
            let raw = &raw[..raw.len().min(len)];
            put(&mut image, section.address as usize, raw);
            left -= raw.len();
        }
        image
    }

    /// A PE file of an image: each section lies where it is in memory. The headers are
    /// those that the program had before it was packed, if they are found in it.
    fn rebuild(&self, mut image: Vec<u8>, entry: u32) -> Vec<u8> {
        let places = memchr::memmem::find_iter(&image, b"PE\0\0").take(64);
        let headers =
            places.filter_map(|at| Headers::read_at(&image, at).filter(|_| at != self.start));
        let fits = |own: &Headers| {
            let is_inside = |section: &Section| {
                section.address >= 0x1000 && section.address < self.image_len.min(own.image_len)
            };
            let is_entry = own.entry == entry || entry == 0 && own.section(own.entry).is_some();
            is_entry && !own.sections.is_empty() && own.sections.iter().all(is_inside)
        };
        // It may have programs inside, with headers of their own.
        let found = headers.filter(fits).max_by_key(|own| own.image_len);
        let found = found.map(|own| image[own.start..own.table + 40 * own.sections.len()].to_vec());
        if let Some(header) = found {
            // The place that a small program's header has.
            const START: usize = 0xd0;
            let head = image.len().min(0x1000);
            if START + header.len() <= head {
                image[..head].fill(0);
                image[..2].copy_from_slice(b"MZ");
                put(&mut image, 60, &(START as u32).to_le_bytes());
                put(&mut image, START, &header);
                let entry = u32_at(&image, START + 40).unwrap_or(entry);
                return self.laid_out(image, START, entry);
            }
        }
        let start = self.start;
        self.laid_out(image, start, entry)
    }

    fn laid_out(&self, mut image: Vec<u8>, start: usize, entry: u32) -> Vec<u8> {
        let Some(own) = Headers::read_at(&image, start) else { return image };
        let mut put_word = |at: usize, value: u32| put(&mut image, at, &value.to_le_bytes());
        put_word(start + 40, entry);
        put_word(start + 60, 0x1000); // of the file, as of the memory
        // What unpacked it is no part of it, if nothing of the file is behind that.
        let packer = self.section(self.entry).filter(|&at| {
            own.start == self.start
                && self.section(entry).is_none_or(|section| section < at)
                && self.sections[at + 1..].iter().all(|section| section.raw_len == 0)
        });
        let n_sections = packer.unwrap_or(own.sections.len());
        put(&mut image, start + 6, &(n_sections as u16).to_le_bytes()); // at most 96
        let mut put_word = |at: usize, value: u32| put(&mut image, at, &value.to_le_bytes());
        let mut file_len = 0x1000;
        for (number, section) in own.sections.iter().take(n_sections).enumerate() {
            let at = own.table + 40 * number;
            let end = u64::from(section.address) + u64::from(section.len);
            let end = end.next_multiple_of(0x1000).min(self.image_len.into()) as u32;
            put_word(at + 16, end.saturating_sub(section.address));
            put_word(at + 20, section.address);
            file_len = file_len.max(end as usize);
        }
        image.truncate(file_len);
        image
    }
}

/// Copies as much as has room.
fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    let room = image.get_mut(at..).unwrap_or_default();
    let len = room.len().min(bytes.len());
    room[..len].copy_from_slice(&bytes[..len]);
}

/// A program that runs.
struct Run {
    cpu: Cpu,
    memory: Memory,
    system: System,
    /// The image when it was unpacked, and where the program went on; 0 if it did not.
    unpacked: Option<(Vec<u8>, u32)>,
    /// The sections that it was in, a bit each.
    been: u128,
}

impl Run {
    fn new(headers: &Headers, bytes: &[u8]) -> Run {
        let mut system = System::default();
        let mut image = headers.load(bytes);
        bind(&mut image, headers, &mut system);
        let memory = Memory::new(headers.base, image);
        let cpu = Cpu::new(headers.base.wrapping_add(headers.entry));
        Run { cpu, memory, system, unpacked: None, been: headers.bit(headers.entry) }
    }

    /// Runs until there is nothing more to come. Gives why it could not, if the
    /// program may be packed.
    fn go(&mut self, headers: &Headers, len: usize, budget: &Budget<'_>) -> Option<Shortfall> {
        let mut left = STEPS + STEPS_PER_BYTE * len as u64;
        // What it had written when it was last unpacked, and how often it was.
        let (mut known, mut n_seen) = (0, 0);
        while left > 0 {
            let stride = budget.steps(left.min(STRIDE));
            if stride == 0 {
                break;
            }
            if let Err(shortfall) = budget.tick(stride) {
                return Some(shortfall);
            }
            let mut steps = 0;
            while steps < stride {
                let from = self.cpu.at;
                match self.step((stride - steps) as u32) {
                    Ok(times) => steps += u64::from(times),
                    Err(_) => {
                        if self.memory.n_written() < known + UNPACKED {
                            return None;
                        }
                        // What it has made so far is better than nothing.
                        self.unpacked = Some((self.memory.image().to_vec(), 0));
                        return headers.is_hollow().then_some(Shortfall::Unsupported);
                    }
                }
                let next = if n_seen == 0 { UNPACKED } else { known + 1 };
                if !self.cpu.jumped || self.memory.n_written() < next || n_seen > MAX_SEEN {
                    continue;
                }
                let is_back = self.system.has(from);
                let [from, to] = [from, self.cpu.at].map(|at| at.wrapping_sub(headers.base));
                let leaves = !is_back && headers.section(to) != headers.section(from);
                if leaves && self.is_new(headers, from, to) {
                    known = self.memory.n_written();
                    n_seen += 1;
                    self.unpacked = Some((self.memory.image().to_vec(), to));
                }
            }
            left = left.saturating_sub(stride);
        }
        self.unpacked.is_none().then_some(Shortfall::Fuel)
    }

    /// Whether a program that leaves one section for another goes on in what it has
    /// written, or where it never was.
    fn is_new(&mut self, headers: &Headers, from: u32, to: u32) -> bool {
        self.been |= headers.bit(from);
        let to_new = headers.bit(to) & !self.been != 0;
        headers.bit(to) != 0 && (to_new || self.memory.is_written(headers.base.wrapping_add(to)))
    }

    fn step(&mut self, most: u32) -> Result<u32, Stop> {
        if !self.system.has(self.cpu.at) {
            let stepped = self.cpu.step(&mut self.memory, most);
            let Err(stop) = stepped else { return stepped };
            let seen_to = self.system.raise(&mut self.cpu, &mut self.memory)?;
            return if seen_to { Ok(SERVED) } else { Err(stop) };
        }
        self.system.serve(&mut self.cpu, &mut self.memory)?;
        Ok(SERVED)
    }
}

/// Writes the addresses of the functions that a program imports to where it looks for
/// them.
fn bind(image: &mut [u8], headers: &Headers, system: &mut System) {
    let mut left = MAX_IMPORTS;
    for at in (headers.imports as usize..).step_by(20).take(MAX_LIBRARIES) {
        let read = |field| u32_at(image, at + field).unwrap_or(0) as usize;
        let (names, library, addresses) = (read(0), read(12), read(16));
        if headers.imports == 0 || library == 0 || addresses == 0 {
            break;
        }
        for number in (0..).step_by(4) {
            let from = if names == 0 { addresses } else { names };
            let Some(name) = u32_at(image, from + number).filter(|&name| name != 0) else { break };
            let name = match name {
                number @ 0x8000_0000.. => format!("#{}", number & 0xffff).into_bytes(),
                place => {
                    let text = image.get(place as usize + 2..).unwrap_or_default();
                    text.iter().copied().take(256).take_while(|&byte| byte != 0).collect()
                }
            };
            left -= 1;
            if left == 0 {
                return;
            }
            put(image, addresses + number, &system.address(&name).to_le_bytes());
        }
    }
}

/// Libraries, and functions in all of them, that a program may import.
const MAX_LIBRARIES: usize = 256;
const MAX_IMPORTS: usize = 4096;
