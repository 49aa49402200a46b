//! Executables: entry point, sections, version keys and imports, by the book.
//!
//! Numbers are `i64` here and never wrap: what a header says is added up, and
//! then looked at.

use super::View;

/// What a view is, as a program.
#[derive(Clone, Debug)]
pub(super) enum Program {
    /// None.
    No,
    /// One by its type, and its headers make no sense.
    Broken,
    /// One with these headers.
    Sound(Headers),
}

/// What the headers of a program say.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    entry: i64,
    /// Offset and size of each.
    sections: Vec<(i64, i64)>,
    /// Where the keys of the version information stand.
    keys: Vec<i64>,
    pe: Option<Pe>,
}

/// What a PE file has besides.
#[derive(Clone, Debug)]
struct Pe {
    wide: bool,
    header_size: i64,
    /// Address of each section.
    addresses: Vec<i64>,
    sections: Vec<(i64, i64)>,
    imports: (i64, i64),
    resources: (i64, i64),
    length: i64,
}

impl Program {
    /// The program that a view is: its targets say of which kind.
    pub(super) fn of(view: &View<'_>) -> Program {
        let read = match () {
            () if view.targets.contains(&1) => pe(view.bytes),
            () if view.targets.contains(&6) => elf(view.bytes),
            () if view.targets.contains(&9) => mach_o(view.bytes),
            () => return Program::No,
        };
        read.map_or(Program::Broken, Program::Sound)
    }

    fn headers(&self) -> Option<&Headers> {
        match self {
            Program::Sound(headers) => Some(headers),
            Program::No | Program::Broken => None,
        }
    }

    pub(super) fn entry(&self) -> Option<i64> {
        self.headers().map(|headers| headers.entry)
    }

    pub(super) fn sections(&self) -> &[(i64, i64)] {
        self.headers().map_or(&[], |headers| &headers.sections)
    }

    pub(super) fn version_keys(&self) -> &[i64] {
        self.headers().map_or(&[], |headers| &headers.keys)
    }

    /// Start and end of the sections that have bytes, of a PE file.
    pub(super) fn hashed_sections(&self, length: usize) -> impl Iterator<Item = (usize, usize)> {
        let pe = self.headers().and_then(|headers| headers.pe.clone());
        let sections = pe.map_or(Vec::new(), |pe| pe.sections);
        let mut ranges: Vec<(usize, usize)> = sections
            .into_iter()
            .filter_map(|(offset, size)| {
                let start = usize::try_from(offset).ok()?;
                let end = usize::try_from(offset + size).ok()?.min(length);
                (start < end).then_some((start, end))
            })
            .collect();
        ranges.sort_unstable();
        ranges.dedup();
        ranges.into_iter()
    }

    /// Where the icons of the first group stand.
    pub(super) fn icons(&self, bytes: &[u8]) -> Vec<i64> {
        let pe = self.headers().and_then(|headers| headers.pe.as_ref());
        pe.map_or(Vec::new(), |pe| pe.icons(bytes))
    }

    /// The text that import hashes are made of.
    pub(super) fn imports(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.headers()?.pe.as_ref()?.imports(bytes)
    }
}

/// `size` bytes at `at` as a number.
pub(super) fn number(bytes: &[u8], at: i64, size: usize, big: bool) -> Option<i64> {
    let at = usize::try_from(at).ok()?;
    let digits = bytes.get(at..at.checked_add(size)?)?;
    let mut value = 0_u64;
    for index in 0..size {
        let digit = if big { digits[index] } else { digits[size - 1 - index] };
        value = value << 8 | u64::from(digit);
    }
    // What does not fit is larger than any file.
    Some(i64::try_from(value).unwrap_or(i64::MAX / 4).min(i64::MAX / 4))
}

const SIGN: i64 = 1 << 31;
const WRAP: i64 = 1 << 32;

fn down(value: i64, unit: i64) -> i64 {
    if unit == 0 { value } else { value / unit * unit }
}

/// Rounding up goes through numbers of 32 bits.
fn up(value: i64, unit: i64) -> i64 {
    if unit == 0 { value } else { (value + unit - 1) / unit * unit % WRAP }
}

fn pe(bytes: &[u8]) -> Option<Headers> {
    let length = i64::try_from(bytes.len()).ok()?;
    let get = |at, size| number(bytes, at, size, false);
    let start = get(60, 4)?;
    if !bytes.starts_with(b"MZ") || start == 0 || get(start, 4)? != 0x4550 {
        return None;
    }
    let (count, optional_size) = (get(start + 6, 2)?, get(start + 20, 2)?);
    let optional = start + 24;
    let wide = get(optional, 2)? == 0x20b;
    let fixed = if wide { 112 } else { 96 };
    let directories = get(optional + fixed - 4, 4)?.min(16);
    let table = optional + optional_size;
    if count == 0
        || optional_size < fixed + 8 * directories
        || optional + fixed + 8 * directories > length
        || table + 40 * count > length
    {
        return None;
    }
    let (section_unit, mut file_unit) = (get(optional + 32, 4)?, get(optional + 36, 4)?);
    let row = |index, field| get(table + 40 * index + field, 4).unwrap_or(0);
    // A section at a multiple of 512 that is none of the unit.
    if file_unit != 0 {
        let odd = |i| row(i, 16) != 0 && row(i, 20) % file_unit != 0 && row(i, 20) % 512 == 0;
        if (0..count).any(odd) {
            file_unit = 512;
        }
    }
    let (mut addresses, mut sections) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (memory, address) = (row(index, 8), row(index, 12));
        let (mut size, written) = (row(index, 16), row(index, 20));
        let offset = down(written, file_unit);
        let mut rounded = up(size, file_unit);
        if rounded > 0 && (offset >= length || written >= length) {
            (rounded, size) = (0, 0);
        } else if offset + rounded > length {
            rounded = (length - offset).max(0);
            size = rounded;
        }
        if [memory, address, size].iter().any(|&value| value >= SIGN) {
            return None;
        }
        addresses.push(down(address, section_unit));
        sections.push((offset, rounded));
    }
    let directory = |index| {
        let at = optional + fixed + 8 * index;
        if index < directories {
            (get(at, 4).unwrap_or(0), get(at + 4, 4).unwrap_or(0))
        } else {
            (0, 0)
        }
    };
    let pe = Pe {
        wide,
        header_size: up(get(optional + 60, 4)?, section_unit),
        addresses,
        sections: sections.clone(),
        imports: directory(1),
        resources: directory(2),
        length,
    };
    let entry = pe.offset(get(optional + 16, 4)?)?;
    Some(Headers { entry, sections, keys: pe.version_keys(bytes), pe: Some(pe) })
}

impl Pe {
    /// The offset of an address.
    fn offset(&self, address: i64) -> Option<i64> {
        if address < self.header_size {
            return (address < self.length).then_some(address);
        }
        let mut found = None;
        for (&from, &(offset, size)) in self.addresses.iter().zip(&self.sections) {
            if from <= address && address < from + size {
                found = Some(offset + address - from);
            }
        }
        found
    }

    fn imports(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (address, size) = self.imports;
        if address == 0 || size == 0 {
            return None;
        }
        let table = self.offset(address)?;
        let mut functions: Vec<String> = Vec::new();
        let mut left = size;
        let mut at = table;
        while left > 20 {
            let field = |n: i64| number(bytes, at + 4 * n, 4, false);
            let Some(last) = field(4) else { break };
            let (lookup, name) = (field(0)?, field(3)?);
            if (0..5).all(|n| field(n) == Some(0)) {
                break;
            }
            let dll = text(bytes, self.offset(name)?)?.to_lowercase();
            let mut thunk = self.offset(if lookup == 0 { last } else { lookup })?;
            loop {
                let (size, wide) = if self.wide { (8, true) } else { (4, false) };
                let Some(low) = number(bytes, thunk, 4, false) else { break };
                let high = if wide { number(bytes, thunk + 4, 4, false) } else { Some(low) };
                let Some(high) = high else { break };
                if low == 0 && high == 0 {
                    break;
                }
                thunk += size;
                let short = match dll.split_once('.') {
                    Some((short, end))
                        if ["dll", "ocx", "sys"].iter().any(|e| end.starts_with(e)) =>
                    {
                        short
                    }
                    _ => &dll,
                };
                let function = if high >= SIGN {
                    // Tables of numbers have their own test.
                    format!("ord{}", low % (1 << 16))
                } else if wide && high != 0 {
                    String::new()
                } else {
                    self.offset(low)
                        .and_then(|at| text(bytes, at + 2))
                        .unwrap_or_default()
                        .to_lowercase()
                };
                functions.push(format!("{short}.{function}"));
            }
            left -= 20;
            at += 20;
        }
        Some(functions.join(",").into_bytes())
    }

    /// Keys of all version information among the resources.
    fn version_keys(&self, bytes: &[u8]) -> Vec<i64> {
        let (root, size) = self.resources;
        let mut keys = Vec::new();
        if root == 0 || size == 0 {
            return keys;
        }
        for names in self.entries(bytes, root, root, Some(16)) {
            for languages in self.entries(bytes, root, names, None) {
                for leaf in self.leaves(bytes, root, languages) {
                    let Some(at) = self.offset(leaf) else { continue };
                    let data = number(bytes, at, 4, false).and_then(|data| self.offset(data));
                    let size = number(bytes, at + 4, 4, false);
                    if let (Some(data), Some(size)) = (data, size) {
                        version_keys(bytes, data, size.min(self.length - data), &mut keys);
                    }
                }
            }
        }
        keys
    }

    fn icons(&self, bytes: &[u8]) -> Vec<i64> {
        let get = |at, size| number(bytes, at, size, false);
        let icons = self.named_leaves(bytes, 3);
        let groups = self.named_leaves(bytes, 14);
        let mut found = Vec::new();
        for (name, leaf) in &groups {
            let data = get(*leaf, 4).and_then(|address| self.offset(address));
            let (Some(data), Some(size)) = (data, get(*leaf + 4, 4)) else { continue };
            if *name != groups[0].0 {
                break;
            }
            for entry in 0..get(data + 4, 2).unwrap_or(0) {
                let field = 6 + 14 * entry + 12;
                let Some(wanted) = get(data + field, 2).filter(|_| field + 2 <= size) else {
                    break;
                };
                let same = icons.iter().filter(|icon| icon.0 == wanted);
                found.extend(same.map(|&(_, leaf)| {
                    let address = get(leaf, 4).and_then(|address| self.offset(address));
                    address.unwrap_or(self.length)
                }));
            }
        }
        found
    }

    /// Names and offsets of the leaves of the first directory of one kind.
    fn named_leaves(&self, bytes: &[u8], kind: i64) -> Vec<(i64, i64)> {
        let (root, size) = self.resources;
        let mut found = Vec::new();
        if root == 0 || size == 0 {
            return found;
        }
        let kinds = self.directory(bytes, root).into_iter();
        let Some((_, names)) = kinds.into_iter().find(|entry| entry.0 == kind) else {
            return found;
        };
        if names < SIGN {
            return found;
        }
        for (name, languages) in self.directory(bytes, root + names - SIGN) {
            if languages >= SIGN {
                let leaves = self.leaves(bytes, root, root + languages - SIGN).into_iter();
                found.extend(leaves.filter_map(|leaf| Some((name, self.offset(leaf)?))));
            }
        }
        found
    }

    /// The directories in a directory of resources.
    fn entries(&self, bytes: &[u8], root: i64, address: i64, kind: Option<i64>) -> Vec<i64> {
        let all = self.directory(bytes, address).into_iter();
        all.filter(|(name, to)| *to >= SIGN && kind.is_none_or(|kind| *name == kind))
            .map(|(_, to)| root + to - SIGN)
            .collect()
    }

    fn leaves(&self, bytes: &[u8], root: i64, address: i64) -> Vec<i64> {
        let all = self.directory(bytes, address).into_iter();
        all.filter(|(_, to)| *to < SIGN).map(|(_, to)| root + to).collect()
    }

    fn directory(&self, bytes: &[u8], address: i64) -> Vec<(i64, i64)> {
        let Some(at) = self.offset(address) else { return Vec::new() };
        let get = |at, size| number(bytes, at, size, false);
        let count = get(at + 12, 2).unwrap_or(0) + get(at + 14, 2).unwrap_or(0);
        (0..count)
            .map_while(|index| Some((get(at + 16 + 8 * index, 4)?, get(at + 20 + 8 * index, 4)?)))
            .collect()
    }
}

/// The text at an offset, up to a NUL or to 256 bytes; each byte is a letter.
fn text(bytes: &[u8], at: i64) -> Option<String> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let text = rest.iter().take(256).take_while(|byte| **byte != 0);
    Some(text.map(|byte| char::from(*byte)).collect())
}

/// Keys of the entries in one block of version information.
fn version_keys(bytes: &[u8], base: i64, size: i64, keys: &mut Vec<i64>) {
    // Start, key, start of what is inside, and end of a block, from the base.
    let block = |at: i64, limit: i64| {
        let field =
            |n: i64| number(bytes, base + at + 2 * n, 2, false).filter(|_| at + 2 * n + 2 <= limit);
        let (length, value) = (field(0)?, field(1)?);
        let end = (at + length).min(limit);
        let key = at + 6;
        let mut after = key;
        while after + 2 <= end && number(bytes, base + after, 2, false) != Some(0) {
            after += 2;
        }
        let inside = ((after + 2 + 3) / 4 * 4 + value + 3) / 4 * 4;
        (end > key).then_some((key, inside, end))
    };
    let children = |from: i64, limit: i64| {
        let mut list = Vec::new();
        let mut at = from;
        while let Some(found) = block(at, limit) {
            at = (found.2 + 3) / 4 * 4;
            list.push(found);
        }
        list
    };
    let Some((_, inside, end)) = block(0, size) else { return };
    for (key, inside, end) in children(inside, end) {
        let name: Vec<i64> =
            (0..15).map_while(|n| number(bytes, base + key + 2 * n, 2, false)).collect();
        let wanted: Vec<i64> = "StringFileInfo\0".bytes().map(i64::from).collect();
        if name == wanted {
            for (_, inside, end) in children(inside, end) {
                keys.extend(children(inside, end).into_iter().map(|(key, ..)| base + key));
            }
        }
    }
}

fn elf(bytes: &[u8]) -> Option<Headers> {
    let length = i64::try_from(bytes.len()).ok()?;
    let wide = match bytes.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let big = *bytes.get(5)? != 1;
    let get = |at, size| number(bytes, at, size, big);
    let word = |at| get(at, if wide { 8 } else { 4 });
    let [header, entry, segments, sections, counts] =
        if wide { [64, 24, 32, 40, 54] } else { [52, 24, 28, 32, 42] };
    if length < header {
        return None;
    }
    let (entry, segments, sections) = (word(entry)?, word(segments)?, word(sections)?);
    let half = |n: i64| get(counts + 2 * n, 2);
    let (segment_size, n_segments) = (half(0)?, half(1)?);
    let (section_size, n_sections) = (half(2)?, half(3)?);
    let fits = |at: i64, size: i64, count: i64, right: i64| {
        count == 0 || (size == right && at + size * count <= length)
    };
    if !fits(segments, segment_size, n_segments, if wide { 56 } else { 32 })
        || !fits(sections, section_size, n_sections, if wide { 64 } else { 40 })
    {
        return None;
    }
    let mut offset = (n_segments == 0 || entry == 0).then_some(0);
    for index in 0..n_segments {
        let at = segments + segment_size * index;
        let fields = if wide { [8, 16, 40] } else { [4, 8, 20] };
        let [from, address, memory] = fields.map(|field| word(at + field).unwrap_or(0));
        if offset.is_none() && address <= entry && entry - address < memory {
            offset = Some(entry - address + from);
        }
    }
    let list = (0..n_sections).map(|index| {
        let at = sections + section_size * index;
        let (offset, size) = if wide { (24, 32) } else { (16, 20) };
        (word(at + offset).unwrap_or(0), word(at + size).unwrap_or(0))
    });
    Some(Headers { entry: offset?, sections: list.collect(), ..Headers::default() })
}

fn mach_o(bytes: &[u8]) -> Option<Headers> {
    let length = i64::try_from(bytes.len()).ok()?;
    let (big, wide) = match number(bytes, 0, 4, true)? {
        0xfeed_face => (true, false),
        0xfeed_facf => (true, true),
        0xcefa_edfe => (false, false),
        0xcffa_edfe => (false, true),
        _ => return None,
    };
    let get = |at, size| number(bytes, at, size, big);
    let (cpu, commands) = (get(4, 4)?, get(16, 4)?);
    let mut at = if wide { 32 } else { 28 };
    let (mut sections, mut address) = (Vec::new(), 0);
    if length < at {
        return None;
    }
    for _ in 0..commands {
        let (command, size) = (get(at, 4)?, get(at + 4, 4)?);
        if command == 1 || command == 0x19 {
            let long = command == 0x19;
            let word = |at| get(at, if long { 8 } else { 4 });
            let [count, first, step, size_at, offset_at] =
                if long { [64, 72, 80, 40, 48] } else { [48, 56, 68, 36, 40] };
            let count = get(at + count, 4)?;
            if at + first + count * step > length {
                return None;
            }
            for index in 0..count {
                let at = at + first + step * index;
                sections.push((word(at + 32)?, word(at + size_at)?, get(at + offset_at, 4)?));
            }
        }
        if (command == 4 || command == 5) && cpu == 18 {
            address = get(at + 16, 4)?;
        }
        if (command == 4 || command == 5) && cpu == 0x0100_0012 {
            address = get(at + 16, 8)?;
        }
        if size < 8 {
            break;
        }
        at += size;
    }
    let holds = |s: &&(i64, i64, i64)| address != 0 && s.0 <= address && address - s.0 < s.1;
    let entry = sections.iter().find(holds).map_or(0, |s| address - s.0 + s.2);
    let sections = sections.into_iter().map(|(_, size, offset)| (offset, size)).collect();
    Some(Headers { entry, sections, ..Headers::default() })
}
