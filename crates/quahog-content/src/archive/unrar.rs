//! The methods of RAR: versions 2, 3 and 5.
//!
//! All three are LZ77 with canonical codes; they differ in how their tables are
//! written, in how distances are told, and in filters, which undo what was done
//! to the bytes of programs and pictures. Written from public descriptions of
//! the format. Not implemented, and [`Unsupported`](Ending::Unsupported): the
//! PPMd blocks and the rarer filters of version 3, audio blocks of version 2,
//! and versions before.
//!
//! A *solid* archive goes on with the window of the member before. It is kept
//! as far as [`LARGEST_WINDOW`].

use super::{Ending, crc32};
use crate::Budget;

/// Which methods a member is packed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    Two,
    Three,
    Five,
}

/// What is kept from member to member.
#[derive(Default)]
pub(super) struct Unpacker {
    window: Vec<u8>,
    /// The last distances; version 2 has them in a ring, others newest first.
    distances: [usize; 4],
    next_distance: usize,
    last_length: usize,
    /// Lengths of code words, to which those of the next table may refer.
    lengths: Vec<u8>,
    tables: Option<Tables>,
    low_distance: usize,
    low_repeats: u32,
    programs: Programs,
}

struct Tables {
    main: Code,
    distance: Code,
    low: Code,
    repeat: Code,
}

type Step<T> = Result<T, Ending>;

/// What a block of data is changed by when all is decoded.
struct Filter {
    start: usize,
    length: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Delta(usize),
    /// Calls, and jumps too.
    Calls(bool),
    Arm,
    Unknown,
}

impl Unpacker {
    /// Appends to `out` the `size` bytes of a member, at most `room`.
    pub(super) fn unpack(
        &mut self,
        version: Version,
        solid: bool,
        data: &[u8],
        out: &mut Vec<u8>,
        (size, room): (u64, usize),
        budget: &Budget<'_>,
    ) -> Ending {
        if solid {
            let excess = self.window.len().saturating_sub(LARGEST_WINDOW);
            self.window.drain(..excess);
        } else {
            let window = std::mem::take(&mut self.window);
            *self = Unpacker { window, ..Unpacker::default() };
            self.window.clear();
        }
        let start = self.window.len();
        let wanted = usize::try_from(size).unwrap_or(usize::MAX).min(room);
        let mut run = Run {
            bits: Bits { bytes: data, at: 0 },
            budget,
            charged: start,
            end: start.saturating_add(wanted),
            start,
            filters: Vec::new(),
        };
        let result = match version {
            Version::Two => self.two(&mut run),
            Version::Three => self.three(&mut run),
            Version::Five => self.five(&mut run),
        };
        let at = out.len();
        let end = self.window.len().min(run.end);
        out.extend_from_slice(self.window.get(start..end).unwrap_or_default());
        let mut ending = match result {
            Err(ending) => ending,
            Ok(()) if end - start < wanted && size != u64::MAX => Ending::Damaged,
            Ok(()) if end - start < wanted => Ending::Complete,
            Ok(()) if (wanted as u64) < size => Ending::Full,
            Ok(()) => Ending::Complete,
        };
        // Filters may lie over each other without end.
        let mut allowed = 16_usize.saturating_mul(end - start).saturating_add(1 << 16);
        for Filter { start, length, kind } in run.filters {
            let Some(left) = allowed.checked_sub(length) else {
                return Ending::Damaged;
            };
            allowed = left;
            let block = at.saturating_add(start);
            let block = block..block.saturating_add(length);
            let Some(block) = out.get_mut(block) else { continue };
            if let Err(why) = budget.tick(block.len() as u64) {
                return Ending::Stopped(why);
            }
            match kind {
                Kind::Delta(channels) => undo_delta(block, channels),
                Kind::Calls(jumps) => undo_calls(block, start as u32, jumps),
                Kind::Arm => undo_arm(block, start as u32),
                Kind::Unknown => {
                    if ending == Ending::Complete {
                        ending = Ending::Unsupported;
                    }
                }
            }
        }
        ending
    }

    fn two(&mut self, run: &mut Run<'_>) -> Step<()> {
        if self.tables.is_none() {
            self.tables_of_two(run)?;
        }
        while self.window.len() < run.end {
            run.charge(self.window.len())?;
            let Some(tables) = &self.tables else { return Err(Ending::Damaged) };
            let symbol = tables.main.read(&mut run.bits)?;
            let (length, distance) = match symbol {
                0..=255 => {
                    self.window.push(symbol as u8);
                    continue;
                }
                256 => (self.last_length, self.newest(0)),
                257..=260 => {
                    let distance = self.newest(symbol - 256);
                    let slot = tables.repeat.read(&mut run.bits)?;
                    let length = run.length(slot, 2)?;
                    let longer = [0x101, 0x2000, 0x40000];
                    let more = longer.iter().filter(|&&least| distance >= least).count();
                    (length + more, distance)
                }
                261..=268 => (2, run.short_distance(symbol - 261)?),
                269 => {
                    self.tables_of_two(run)?;
                    continue;
                }
                _ => {
                    let length = run.length(symbol - 270, 3)?;
                    let slot = tables.distance.read(&mut run.bits)?;
                    let (base, width) = distance_slot(slot).ok_or(Ending::Damaged)?;
                    let distance = base + 1 + run.bits.take(width)? as usize;
                    (length + longer(distance), distance)
                }
            };
            if let Some(slot) = self.distances.get_mut(self.next_distance % 4) {
                *slot = distance;
            }
            self.next_distance += 1;
            self.last_length = length;
            self.copy(distance, length)?;
        }
        Ok(())
    }

    /// The distance that was used so many before the last one.
    fn newest(&self, back: usize) -> usize {
        let at = self.next_distance.wrapping_sub(back.max(1)) % 4;
        self.distances.get(at).copied().unwrap_or_default()
    }

    fn tables_of_two(&mut self, run: &mut Run<'_>) -> Step<()> {
        run.budget.tick(TABLE_WORK).map_err(Ending::Stopped)?;
        let audio = run.bits.take(1)? == 1;
        if run.bits.take(1)? == 0 || self.lengths.len() != SIZE_2 {
            self.lengths = vec![0; SIZE_2];
        }
        if audio {
            return Err(Ending::Unsupported);
        }
        let mut widths = [0_u8; 19];
        for width in &mut widths {
            *width = run.bits.take(4)? as u8;
        }
        let code = Code::new(&widths);
        let mut at = 0;
        while at < SIZE_2 {
            let symbol = code.read(&mut run.bits)?;
            let (times, repeats) = match symbol {
                0..=15 => {
                    if let Some(length) = self.lengths.get_mut(at) {
                        *length = (*length + symbol as u8) & 15;
                    }
                    at += 1;
                    continue;
                }
                16 => (run.bits.take(2)? + 3, true),
                17 => (run.bits.take(3)? + 3, false),
                _ => (run.bits.take(7)? + 11, false),
            };
            at = repeat(&mut self.lengths, at, times as usize, repeats)?;
        }
        let part = |from: usize, count: usize| {
            Code::new(self.lengths.get(from..from + count).unwrap_or_default())
        };
        self.tables = Some(Tables {
            main: part(0, 298),
            distance: part(298, 48),
            low: Code::new(&[]),
            repeat: part(346, 28),
        });
        Ok(())
    }

    fn three(&mut self, run: &mut Run<'_>) -> Step<()> {
        if self.tables.is_none() {
            self.tables_of_three(run)?;
        }
        while self.window.len() < run.end {
            run.charge(self.window.len())?;
            let Some(tables) = &self.tables else { return Err(Ending::Damaged) };
            let symbol = tables.main.read(&mut run.bits)?;
            let (length, distance) = match symbol {
                0..=255 => {
                    self.window.push(symbol as u8);
                    continue;
                }
                256 => {
                    // A new table here, or the end of the file with or without.
                    if run.bits.take(1)? == 1 {
                        self.tables_of_three(run)?;
                        continue;
                    }
                    if run.bits.take(1)? == 1 {
                        self.tables = None;
                    }
                    return Ok(());
                }
                257 => {
                    self.program(run)?;
                    continue;
                }
                258 => (self.last_length, self.distances[0]),
                259..=262 => {
                    let distance = self.again(symbol - 259);
                    let Some(tables) = &self.tables else { return Err(Ending::Damaged) };
                    let slot = tables.repeat.read(&mut run.bits)?;
                    (run.length(slot, 2)?, distance)
                }
                263..=270 => {
                    let distance = run.short_distance(symbol - 263)?;
                    self.remember(distance);
                    (2, distance)
                }
                _ => {
                    let length = run.length(symbol - 271, 3)?;
                    let slot = tables.distance.read(&mut run.bits)?;
                    let (base, width) = distance_slot(slot).ok_or(Ending::Damaged)?;
                    let mut distance = base + 1;
                    if slot > 9 {
                        if width > 4 {
                            distance += (run.bits.take(width - 4)? as usize) << 4;
                        }
                        if self.low_repeats > 0 {
                            self.low_repeats -= 1;
                        } else {
                            match tables.low.read(&mut run.bits)? {
                                16 => self.low_repeats = 15,
                                low => self.low_distance = low,
                            }
                        }
                        distance += self.low_distance;
                    } else {
                        distance += run.bits.take(width)? as usize;
                    }
                    self.remember(distance);
                    (length + longer(distance), distance)
                }
            };
            self.last_length = length;
            self.copy(distance, length)?;
        }
        // Behind the last byte stands whether the table serves the next member,
        // which matters in solid archives only.
        let ends = |tables: &Tables, bits: &mut Bits<'_>| -> Step<bool> {
            Ok(tables.main.read(bits)? == 256 && bits.take(1)? == 0 && bits.take(1)? == 1)
        };
        if self.tables.as_ref().is_some_and(|t| ends(t, &mut run.bits) == Ok(true)) {
            self.tables = None;
        }
        Ok(())
    }

    fn tables_of_three(&mut self, run: &mut Run<'_>) -> Step<()> {
        run.budget.tick(TABLE_WORK).map_err(Ending::Stopped)?;
        run.bits.align();
        if run.bits.take(1)? == 1 {
            // A block of PPMd.
            return Err(Ending::Unsupported);
        }
        (self.low_distance, self.low_repeats) = (0, 0);
        if run.bits.take(1)? == 0 || self.lengths.len() != SIZE_3 {
            self.lengths = vec![0; SIZE_3];
        }
        run.table(&mut self.lengths, true)?;
        let part = |from: usize, count: usize| {
            Code::new(self.lengths.get(from..from + count).unwrap_or_default())
        };
        self.tables = Some(Tables {
            main: part(0, 299),
            distance: part(299, 60),
            low: part(359, 17),
            repeat: part(376, 28),
        });
        Ok(())
    }

    fn five(&mut self, run: &mut Run<'_>) -> Step<()> {
        loop {
            // `flags:1 checksum:1 length:1-3`
            run.bits.align();
            let flags = run.bits.take(8)?;
            let _checksum = run.bits.take(8)?;
            let mut length = 0_usize;
            for byte in 0..(flags >> 3 & 3) + 1 {
                length |= (run.bits.take(8)? as usize) << (8 * byte);
            }
            // The last byte of the block is used in part.
            let start = run.bits.at;
            let end = start + (8 * length).saturating_sub(7 - (flags & 7) as usize);
            if flags & 0x80 != 0 {
                run.budget.tick(TABLE_WORK).map_err(Ending::Stopped)?;
                self.lengths = vec![0; SIZE_5];
                run.table(&mut self.lengths, false)?;
                let part = |from: usize, count: usize| {
                    Code::new(self.lengths.get(from..from + count).unwrap_or_default())
                };
                self.tables = Some(Tables {
                    main: part(0, 306),
                    distance: part(306, 64),
                    low: part(370, 16),
                    repeat: part(386, 44),
                });
            }
            while self.window.len() < run.end && run.bits.at < end {
                self.symbol_of_five(run)?;
            }
            if self.window.len() >= run.end || flags & 0x40 != 0 {
                return Ok(());
            }
            run.bits.at = start + 8 * length;
        }
    }

    fn symbol_of_five(&mut self, run: &mut Run<'_>) -> Step<()> {
        run.charge(self.window.len())?;
        let Some(tables) = &self.tables else { return Err(Ending::Damaged) };
        let symbol = tables.main.read(&mut run.bits)?;
        let (length, distance) = match symbol {
            0..=255 => {
                self.window.push(symbol as u8);
                return Ok(());
            }
            256 => {
                let at = self.window.len() - run.start;
                return run.filter_of_five(at);
            }
            257 => (self.last_length, self.distances[0]),
            258..=261 => {
                let slot = tables.repeat.read(&mut run.bits)?;
                let length = run.length_of_five(slot)?;
                (length, self.again(symbol - 258))
            }
            _ => {
                let mut length = run.length_of_five(symbol - 262)?;
                let slot = tables.distance.read(&mut run.bits)?;
                let mut distance = 1 + slot;
                if slot >= 4 {
                    let width = slot as u32 / 2 - 1;
                    distance = 1 + ((2 | (slot & 1)) << width);
                    if width >= 4 {
                        distance += (run.bits.take(width - 4)? as usize) << 4;
                        distance += tables.low.read(&mut run.bits)?;
                    } else {
                        distance += run.bits.take(width)? as usize;
                    }
                }
                let longer = [0x100, 0x2000, 0x40000];
                length += longer.iter().filter(|&&least| distance > least).count();
                self.remember(distance);
                (length, distance)
            }
        };
        self.last_length = length;
        self.copy(distance, length)
    }

    fn remember(&mut self, distance: usize) {
        self.distances.rotate_right(1);
        self.distances[0] = distance;
    }

    /// Uses one of the last distances again, which makes it the newest.
    fn again(&mut self, nth: usize) -> usize {
        let upto = nth.min(3) + 1;
        if let Some(newer) = self.distances.get_mut(..upto) {
            newer.rotate_right(1);
        }
        self.distances[0]
    }

    fn copy(&mut self, distance: usize, length: usize) -> Step<()> {
        let from = self.window.len().checked_sub(distance).filter(|_| distance > 0);
        let Some(mut from) = from else {
            // Before the first copy there is nothing to repeat.
            return if length == 0 { Ok(()) } else { Err(Ending::Damaged) };
        };
        for _ in 0..length {
            let Some(&byte) = self.window.get(from) else { return Err(Ending::Damaged) };
            self.window.push(byte);
            from += 1;
        }
        Ok(())
    }

    /// Reads a program of version 3, which only ever is one of a few.
    fn program(&mut self, run: &mut Run<'_>) -> Step<()> {
        let first = run.bits.take(8)?;
        let length = match (first & 7) + 1 {
            7 => run.bits.take(8)? as usize + 7,
            8 => run.bits.take(16)? as usize,
            length => length as usize,
        };
        run.budget.tick(length as u64).map_err(Ending::Stopped)?;
        let mut code = Vec::with_capacity(length);
        for _ in 0..length {
            code.push(run.bits.take(8)? as u8);
        }
        let at = self.window.len() - run.start;
        let filter = self.programs.parse(first, &code, at)?;
        run.push(filter)
    }
}

/// The programs of version 3 that were sent so far.
#[derive(Default)]
struct Programs {
    kinds: Vec<Kind>,
    /// The length of the block that each worked on last.
    lengths: Vec<usize>,
    last: usize,
}

impl Programs {
    fn parse(&mut self, first: u32, code: &[u8], at: usize) -> Step<Filter> {
        let mut bits = Bits { bytes: code, at: 0 };
        let mut nth = self.last;
        if first & 0x80 != 0 {
            nth = match bits.number()? {
                0 => {
                    *self = Programs::default();
                    0
                }
                nth => nth as usize - 1,
            };
        }
        if nth > self.kinds.len() || nth >= MAX_PROGRAMS {
            return Err(Ending::Damaged);
        }
        self.last = nth;
        let is_new = nth == self.kinds.len();
        if is_new {
            self.kinds.push(Kind::Unknown);
            self.lengths.push(0);
        }
        let mut start = bits.number()? as usize;
        if first & 0x40 != 0 {
            start += 258;
        }
        if first & 0x20 != 0 {
            let length = bits.number()? as usize;
            if let Some(slot) = self.lengths.get_mut(nth) {
                *slot = length;
            }
        }
        let length = self.lengths.get(nth).copied().unwrap_or_default();
        let mut channels = 0;
        if first & 0x10 != 0 {
            let mask = bits.take(7)?;
            for register in 0..7 {
                if mask >> register & 1 == 1 {
                    let value = bits.number()?;
                    if register == 0 {
                        channels = value as usize;
                    }
                }
            }
        }
        if is_new {
            let size = bits.number()?;
            let mut text = Vec::new();
            for _ in 0..size.min(0xffff) {
                text.push(bits.take(8)? as u8);
            }
            let kind = match (text.len(), crc32(&text)) {
                (53, 0xad57_6887) => Kind::Calls(false),
                (57, 0x3cd7_e57e) => Kind::Calls(true),
                (29, 0x0e06_077d) => Kind::Delta(0),
                _ => Kind::Unknown,
            };
            if let Some(slot) = self.kinds.get_mut(nth) {
                *slot = kind;
            }
        }
        let kind = match self.kinds.get(nth).copied().unwrap_or(Kind::Unknown) {
            Kind::Delta(_) => Kind::Delta(channels),
            kind => kind,
        };
        Ok(Filter { start: at.saturating_add(start), length, kind })
    }
}

/// What is known of the member at hand.
struct Run<'r> {
    bits: Bits<'r>,
    budget: &'r Budget<'r>,
    charged: usize,
    /// Where in the window it starts, and where it ends.
    start: usize,
    end: usize,
    filters: Vec<Filter>,
}

impl Run<'_> {
    fn charge(&mut self, total: usize) -> Step<()> {
        if total - self.charged >= 4096 {
            self.budget.tick((total - self.charged) as u64).map_err(Ending::Stopped)?;
            self.charged = total;
        }
        Ok(())
    }

    fn length(&mut self, slot: usize, least: usize) -> Step<usize> {
        let (base, width) = match slot {
            0..8 => (slot, 0),
            8..28 => {
                let width = slot as u32 / 4 - 1;
                ((4 + slot % 4) << width, width)
            }
            _ => return Err(Ending::Damaged),
        };
        Ok(base + least + self.bits.take(width)? as usize)
    }

    fn length_of_five(&mut self, slot: usize) -> Step<usize> {
        if slot < 8 {
            return Ok(slot + 2);
        }
        let width = slot as u32 / 4 - 1;
        Ok(2 + ((4 | (slot & 3)) << width) + self.bits.take(width)? as usize)
    }

    fn short_distance(&mut self, slot: usize) -> Step<usize> {
        let &(base, width) = SHORT_DISTANCES.get(slot).ok_or(Ending::Damaged)?;
        Ok(base + 1 + self.bits.take(width)? as usize)
    }

    /// Reads lengths of code words, themselves in a code, for versions 3 and 5.
    fn table(&mut self, lengths: &mut [u8], adds: bool) -> Step<()> {
        let mut widths = [0_u8; 20];
        let mut at = 0;
        while at < widths.len() {
            let width = self.bits.take(4)? as u8;
            let zeros = if width == 15 { self.bits.take(4)? as usize } else { 0 };
            if zeros > 0 {
                at += zeros + 2;
                continue;
            }
            if let Some(slot) = widths.get_mut(at) {
                *slot = width;
            }
            at += 1;
        }
        let code = Code::new(&widths);
        let mut at = 0;
        while at < lengths.len() {
            let symbol = code.read(&mut self.bits)?;
            let (times, repeats) = match symbol {
                0..=15 => {
                    if let Some(length) = lengths.get_mut(at) {
                        let before = if adds { *length } else { 0 };
                        *length = (before + symbol as u8) & 15;
                    }
                    at += 1;
                    continue;
                }
                16 => (self.bits.take(3)? + 3, true),
                17 => (self.bits.take(7)? + 11, true),
                18 => (self.bits.take(3)? + 3, false),
                _ => (self.bits.take(7)? + 11, false),
            };
            at = repeat(lengths, at, times as usize, repeats)?;
        }
        Ok(())
    }

    fn filter_of_five(&mut self, at: usize) -> Step<()> {
        let mut number = || -> Step<usize> {
            let bytes = self.bits.take(2)? + 1;
            let mut value = 0;
            for byte in 0..bytes {
                value |= (self.bits.take(8)? as usize) << (8 * byte);
            }
            Ok(value)
        };
        let (start, length) = (number()?, number()?);
        let kind = match self.bits.take(3)? {
            0 => Kind::Delta(self.bits.take(5)? as usize + 1),
            1 => Kind::Calls(false),
            2 => Kind::Calls(true),
            3 => Kind::Arm,
            _ => Kind::Unknown,
        };
        self.push(Filter { start: at.saturating_add(start), length, kind })
    }

    fn push(&mut self, filter: Filter) -> Step<()> {
        if self.filters.len() >= MAX_FILTERS {
            return Err(Ending::Damaged);
        }
        self.filters.push(filter);
        Ok(())
    }
}

/// Fills `times` lengths from `at` with zeros, or with the one before.
fn repeat(lengths: &mut [u8], at: usize, times: usize, repeats: bool) -> Step<usize> {
    let value = match repeats {
        true => at.checked_sub(1).and_then(|at| lengths.get(at)).copied().ok_or(Ending::Damaged)?,
        false => 0,
    };
    let end = (at + times).min(lengths.len());
    lengths.get_mut(at..end).unwrap_or_default().fill(value);
    Ok(end)
}

/// A copy from far away is longer than it says.
fn longer(distance: usize) -> usize {
    usize::from(distance >= 0x2000) + usize::from(distance >= 0x40000)
}

/// Where a slot of distances of versions 2 and 3 starts, and how many bits
/// follow it: four slots without, two each of 1 to 15, 14 of 16, 12 of 18.
fn distance_slot(slot: usize) -> Option<(usize, u32)> {
    match slot {
        0..4 => Some((slot, 0)),
        4..34 => {
            let width = slot as u32 / 2 - 1;
            Some(((2 + slot % 2) << width, width))
        }
        34..48 => Some(((slot - 32) << 16, 16)),
        48..60 => Some(((slot - 44) << 18, 18)),
        _ => None,
    }
}

fn undo_delta(block: &mut [u8], channels: usize) {
    if channels == 0 || channels > block.len() {
        return;
    }
    let source = block.to_vec();
    let mut source = source.into_iter();
    for channel in 0..channels {
        let mut last = 0_u8;
        for slot in block.iter_mut().skip(channel).step_by(channels) {
            last = last.wrapping_sub(source.next().unwrap_or_default());
            *slot = last;
        }
    }
}

/// Makes addresses of calls relative again.
fn undo_calls(block: &mut [u8], file_offset: u32, jumps: bool) {
    let mut at = 0;
    while at + 4 < block.len() {
        let byte = block.get(at).copied().unwrap_or_default();
        at += 1;
        if byte != 0xe8 && !(jumps && byte == 0xe9) {
            continue;
        }
        let Some(field) = block.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else {
            return;
        };
        let offset = file_offset.wrapping_add(at as u32) % CALLS_SIZE;
        let address = u32::from_le_bytes(*field);
        if address & 0x8000_0000 != 0 {
            if address.wrapping_add(offset) & 0x8000_0000 == 0 {
                *field = address.wrapping_add(CALLS_SIZE).to_le_bytes();
            }
        } else if address < CALLS_SIZE {
            *field = address.wrapping_sub(offset).to_le_bytes();
        }
        at += 4;
    }
}

fn undo_arm(block: &mut [u8], file_offset: u32) {
    for (nth, word) in block.chunks_exact_mut(4).enumerate() {
        if let [low, middle, high, 0xeb] = word {
            let address = u32::from_le_bytes([*low, *middle, *high, 0]);
            let here = file_offset.wrapping_add(4 * nth as u32) / 4;
            [*low, *middle, *high, _] = address.wrapping_sub(here).to_le_bytes();
        }
    }
}

/// Bits from the highest of each byte on.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next 32 bits, zeros behind the end.
    fn peek(&self) -> u32 {
        let byte =
            |nth: usize| u64::from(self.bytes.get(self.at / 8 + nth).copied().unwrap_or_default());
        let five = byte(0) << 32 | byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
        // The upper 32 of 40 bits, once those that were read are gone.
        (five << (self.at % 8) >> 8) as u32
    }

    fn skip(&mut self, count: u32) -> Step<()> {
        self.at += count as usize;
        if self.at > 8 * self.bytes.len() { Err(Ending::Damaged) } else { Ok(()) }
    }

    /// The next bits, at most 31.
    fn take(&mut self, count: u32) -> Step<u32> {
        let value = if count == 0 { 0 } else { self.peek() >> (32 - count.min(31)) };
        self.skip(count)?;
        Ok(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// A number of a program of version 3, of 4 to 32 bits.
    fn number(&mut self) -> Step<u32> {
        Ok(match self.take(2)? {
            0 => self.take(4)?,
            1 => match self.take(8)? {
                high @ 0..16 => 0xffff_ff00 | high << 4 | self.take(4)?,
                value => value,
            },
            2 => self.take(16)?,
            _ => self.take(16)? << 16 | self.take(16)?,
        })
    }
}

/// A canonical code of words of at most 15 bits.
struct Code {
    /// For each length, the first value of 16 bits that is longer, and where
    /// its symbols start, less the first word.
    limits: [(u32, i32); 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Code {
        let mut counts = [0_u32; 16];
        for &length in lengths {
            if let Some(count) = counts.get_mut(usize::from(length)).filter(|_| length > 0) {
                *count += 1;
            }
        }
        let mut limits = [(0_u32, 0_i32); 16];
        let (mut word, mut first) = (0_u32, 0_u32);
        for (length, (limit, &count)) in limits.iter_mut().zip(&counts).enumerate().skip(1) {
            // At most 430 symbols, and words of 15 bits.
            let base = first as i32 - word as i32;
            word += count;
            first += count;
            *limit = ((word << (16 - length)).min(1 << 16), base);
            word = word.min(1 << length) << 1;
        }
        let mut symbols: Vec<u16> =
            (0_u16..).zip(lengths).filter(|pair| *pair.1 > 0).map(|pair| pair.0).collect();
        symbols.sort_by_key(|&symbol| lengths.get(usize::from(symbol)));
        Code { limits, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> Step<usize> {
        let window = bits.peek() >> 16;
        for (length, &(limit, base)) in (0_u32..).zip(&self.limits).skip(1) {
            if window < limit {
                bits.skip(length)?;
                let at = (window >> (16 - length)) as i32 + base;
                let symbol = usize::try_from(at).ok().and_then(|at| self.symbols.get(at));
                return symbol.map(|&symbol| symbol.into()).ok_or(Ending::Damaged);
            }
        }
        Err(Ending::Damaged)
    }
}

const SHORT_DISTANCES: [(usize, u32); 8] =
    [(0, 2), (4, 2), (8, 3), (16, 4), (32, 5), (64, 6), (128, 6), (192, 6)];

/// Lengths in a table: of symbols, distances, low distances, and repeats.
const SIZE_2: usize = 298 + 48 + 28;
const SIZE_3: usize = 299 + 60 + 17 + 28;
const SIZE_5: usize = 306 + 64 + 16 + 44;

/// What a table costs, beside the bytes that it takes.
const TABLE_WORK: u64 = 2048;

/// What addresses of calls are counted modulo.
const CALLS_SIZE: u32 = 0x100_0000;

const MAX_PROGRAMS: usize = 1024;
const MAX_FILTERS: usize = 8192;

/// What is kept of the members before, in a solid archive.
const LARGEST_WINDOW: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// Writes bits from the highest of each byte on, and codes in which every
    /// word has four bits.
    #[derive(Default)]
    struct Writer {
        bits: Vec<u8>,
    }

    /// The symbols of the four codes, of which the nth has the word n.
    type Symbols<'s> = [&'s [usize]; 4];

    impl Writer {
        fn put(&mut self, value: usize, width: usize) {
            self.bits.extend((0..width).rev().map(|bit| (value >> bit & 1) as u8));
        }

        /// Tables of codes with so many symbols, in a code of words of two bits
        /// for "0", "4", and two runs of zeros.
        fn tables(&mut self, sizes: [usize; 4], symbols: Symbols<'_>, version: Version) {
            let (n_widths, short) = if version == Version::Two { (19, 17) } else { (20, 18) };
            for symbol in 0..n_widths {
                let known = [0, 4, short, short + 1].contains(&symbol);
                self.put(if known { 2 } else { 0 }, 4);
            }
            let mut lengths = Vec::new();
            for (size, symbols) in sizes.into_iter().zip(symbols) {
                lengths.extend((0..size).map(|symbol| symbols.contains(&symbol)));
            }
            let mut at = 0;
            while at < lengths.len() {
                let zeros = lengths[at..].iter().take_while(|&&used| !used).count().min(138);
                match zeros {
                    0 => self.put(1, 2),
                    1 | 2 => self.put(0, 2),
                    3..=10 => {
                        self.put(2, 2);
                        self.put(zeros - 3, 3);
                    }
                    _ => {
                        self.put(3, 2);
                        self.put(zeros - 11, 7);
                    }
                }
                at += match zeros {
                    0..=2 => 1,
                    zeros => zeros,
                };
            }
        }

        fn symbol(&mut self, symbols: &[usize], symbol: usize) {
            self.put(symbols.iter().position(|&known| known == symbol).unwrap(), 4);
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |byte: &[u8]| {
                byte.iter().enumerate().fold(0, |value, (at, bit)| value | bit << (7 - at))
            };
            self.bits.chunks(8).map(byte).collect()
        }
    }

    fn unpack(
        unpacker: &mut Unpacker,
        version: Version,
        data: &[u8],
        size: u64,
    ) -> (Vec<u8>, Ending) {
        let (mut out, budget) = (Vec::new(), Budget::new(Limits::default()));
        let ending = unpacker.unpack(version, false, data, &mut out, (size, 1000), &budget);
        (out, ending)
    }

    /// "abc", five bytes from three before, and then two from the same place.
    fn version_2() -> Vec<u8> {
        let mut writer = Writer::default();
        let symbols: Symbols<'_> = [&[97, 98, 99, 257, 272], &[2, 3], &[0, 1], &[]];
        writer.put(0, 2);
        writer.tables([298, 48, 28, 0], symbols, Version::Two);
        for symbol in [97, 98, 99, 272] {
            writer.symbol(symbols[0], symbol);
        }
        writer.symbol(symbols[1], 2);
        writer.symbol(symbols[0], 257);
        writer.symbol(symbols[2], 0);
        writer.bytes()
    }

    fn version_3(program: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        let symbols: Symbols<'_> = [&[97, 98, 99, 256, 257, 259, 273], &[2, 3], &[], &[0, 1]];
        writer.put(0, 2);
        writer.tables([299, 60, 17, 28], symbols, Version::Three);
        if !program.is_empty() {
            writer.symbol(symbols[0], 257);
            program.iter().for_each(|&byte| writer.put(byte.into(), 8));
        }
        for symbol in [97, 98, 99, 273] {
            writer.symbol(symbols[0], symbol);
        }
        writer.symbol(symbols[1], 2);
        writer.symbol(symbols[0], 259);
        writer.symbol(symbols[3], 0);
        writer.symbol(symbols[0], 256);
        writer.put(0b01, 2);
        writer.bytes()
    }

    fn version_5(filter: Option<usize>) -> Vec<u8> {
        let mut writer = Writer::default();
        let symbols: Symbols<'_> = [&[97, 98, 99, 256, 258, 265], &[2, 3], &[], &[0, 1]];
        writer.tables([306, 64, 16, 44], symbols, Version::Five);
        if let Some(kind) = filter {
            writer.symbol(symbols[0], 256);
            // From here on, ten bytes.
            for value in [0, 10] {
                writer.put(0, 2);
                writer.put(value, 8);
            }
            writer.put(kind, 3);
            if kind == 0 {
                writer.put(1, 5);
            }
        }
        for symbol in [97, 98, 99, 265] {
            writer.symbol(symbols[0], symbol);
        }
        writer.symbol(symbols[1], 2);
        writer.symbol(symbols[0], 258);
        writer.symbol(symbols[3], 0);
        let (bytes, used) = (writer.bytes(), writer.bits.len());
        let flags = 0x80 | 0x40 | 1 << 3 | ((used + 7) % 8);
        let length = bytes.len();
        [&[flags as u8, 0, length as u8, (length >> 8) as u8], &bytes[..]].concat()
    }

    #[test]
    fn every_version_copies() {
        for (version, data) in [
            (Version::Two, version_2()),
            (Version::Three, version_3(b"")),
            (Version::Five, version_5(None)),
        ] {
            let mut unpacker = Unpacker::default();
            let whole = unpack(&mut unpacker, version, &data, 10);
            assert_eq!(whole, (b"abcabcabca".to_vec(), Ending::Complete), "{version:?}");
            let (cut, ending) = unpack(&mut unpacker, version, &data[..data.len() - 2], 10);
            assert!(b"abcabcabca".starts_with(&cut[..]) && ending == Ending::Damaged);
        }
    }

    #[test]
    fn filters_change_what_was_decoded() {
        // Two channels, of which each byte says how much less the next is.
        let (bytes, ending) =
            unpack(&mut Unpacker::default(), Version::Five, &version_5(Some(0)), 10);
        let mut expected = b"abcabcabca".to_vec();
        undo_delta(&mut expected, 2);
        assert_eq!((bytes, ending), (expected, Ending::Complete));
        let (bytes, ending) =
            unpack(&mut Unpacker::default(), Version::Five, &version_5(Some(7)), 10);
        assert_eq!((bytes, ending), (b"abcabcabca".to_vec(), Ending::Unsupported));
        // A new program of one byte, for a block of ten bytes from here on.
        let mut code = Writer::default();
        for (value, width) in [(0, 2), (0, 4), (0, 2), (10, 4), (0, 2), (1, 4), (0, 8)] {
            code.put(value, width);
        }
        let code = code.bytes();
        let program = [&[0x20 | (code.len() as u8 - 1)], &code[..]].concat();
        let (bytes, ending) =
            unpack(&mut Unpacker::default(), Version::Three, &version_3(&program), 10);
        assert_eq!((bytes, ending), (b"abcabcabca".to_vec(), Ending::Unsupported));
    }

    #[test]
    fn calls_become_relative() {
        let mut code = b"\xe8\x25\x01\0\0....\xe9\x2e\x01\0\0....".to_vec();
        undo_calls(&mut code, 0x20, false);
        assert_eq!(code, b"\xe8\x04\x01\0\0....\xe9\x2e\x01\0\0....");
        undo_calls(&mut code, 0, true);
        assert_eq!(code[10..14], [0x24, 0x01, 0, 0]);
        let mut arm = b"\x14\0\0\xeb\x14\0\0\xea".to_vec();
        undo_arm(&mut arm, 0x40);
        assert_eq!(arm, b"\x04\0\0\xeb\x14\0\0\xea");
        let mut delta = vec![1, 1, 10, 10];
        undo_delta(&mut delta, 2);
        assert_eq!(delta, [255, 246, 254, 236]);
    }

    #[test]
    fn slots_of_distances_follow_each_other() {
        let mut next = 0;
        for slot in 0..60 {
            let (base, width) = distance_slot(slot).unwrap();
            assert_eq!(base, next, "slot {slot}");
            next = base + (1 << width);
        }
        assert_eq!((next, distance_slot(60)), (4 << 20, None));
    }

    #[test]
    fn any_bytes_end() {
        let noise = |seed: u32| {
            (0_u32..600).map(move |n| ((n + seed).wrapping_mul(2_654_435_761) >> 11) as u8)
        };
        let budget = Budget::new(Limits::default());
        for seed in 0..300 {
            for version in [Version::Two, Version::Three, Version::Five] {
                let mut data: Vec<u8> = match version {
                    Version::Two => version_2(),
                    Version::Three => version_3(b""),
                    Version::Five => version_5(None),
                };
                data.truncate(seed as usize % data.len());
                data.extend(noise(seed));
                let mut unpacker = Unpacker::default();
                for solid in [false, true] {
                    let mut out = Vec::new();
                    unpacker.unpack(version, solid, &data, &mut out, (u64::MAX, 5000), &budget);
                    assert!(out.len() <= 5000);
                }
            }
        }
    }
}
