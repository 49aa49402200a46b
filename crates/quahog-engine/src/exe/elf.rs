//! ELF, 32 and 64 bits, of either byte order.

use super::bytes::Reader;
use super::{Executable, Section};

/// Offsets of fields and lengths of headers, which differ with the class.
struct Layout {
    wide: bool,
    header: u64,
    entry: u64,
    segments: u64,
    sections: u64,
    counts: u64,
    segment: u16,
    section: u16,
}

const NARROW: Layout = Layout {
    wide: false,
    header: 52,
    entry: 24,
    segments: 28,
    sections: 32,
    counts: 42,
    segment: 32,
    section: 40,
};

const WIDE: Layout = Layout {
    wide: true,
    header: 64,
    entry: 24,
    segments: 32,
    sections: 40,
    counts: 54,
    segment: 56,
    section: 64,
};

/// Reads the headers; `None` if they make no sense.
pub(super) fn read(bytes: &[u8]) -> Option<Executable> {
    let ident = bytes.get(..16)?;
    let layout = match ident[4] {
        1 => NARROW,
        2 => WIDE,
        _ => return None,
    };
    // Anything but "little-endian" is read as big-endian (clamscan 1.4.6).
    let reader = Reader { bytes, big: ident[5] != 1 };
    if reader.len() < layout.header {
        return None;
    }
    let entry = reader.word(layout.entry, layout.wide)?;
    let segments = reader.word(layout.segments, layout.wide)?;
    let sections = reader.word(layout.sections, layout.wide)?;
    let count = |n: u64| reader.u16(layout.counts + 2 * n);
    let entry = entry_offset(reader, &layout, entry, segments, count(0)?, count(1)?)?;
    let sections = read_sections(reader, &layout, sections, count(2)?, count(3)?)?;
    Some(Executable::new(entry, sections))
}

/// The file offset of the entry point: through the first segment that has its
/// address in memory. A file without segments has it at 0.
fn entry_offset(
    reader: Reader<'_>,
    layout: &Layout,
    entry: u64,
    table: u64,
    len: u16,
    count: u16,
) -> Option<u64> {
    if count == 0 {
        return Some(0);
    }
    if len != layout.segment {
        return None;
    }
    // The whole table has to be there.
    let table_len = u64::from(len) * u64::from(count);
    if table.checked_add(table_len)? > reader.len() {
        return None;
    }
    if entry == 0 {
        return Some(0);
    }
    for at in (0..u64::from(count)).map(|n| table + n * u64::from(len)) {
        let (offset, address, memory) = if layout.wide {
            (reader.u64(at + 8)?, reader.u64(at + 16)?, reader.u64(at + 40)?)
        } else {
            let word = |n: u64| reader.u32(at + n).map(u64::from);
            (word(4)?, word(8)?, word(20)?)
        };
        if let Some(inside) = entry.checked_sub(address).filter(|&inside| inside < memory) {
            return inside.checked_add(offset);
        }
    }
    None
}

fn read_sections(
    reader: Reader<'_>,
    layout: &Layout,
    table: u64,
    len: u16,
    count: u16,
) -> Option<Vec<Section>> {
    if count == 0 {
        return Some(Vec::new());
    }
    if len != layout.section {
        return None;
    }
    let table_len = u64::from(len) * u64::from(count);
    if table.checked_add(table_len)? > reader.len() {
        return None;
    }
    (0..u64::from(count))
        .map(|n| {
            let at = table + n * u64::from(len);
            let (offset, size) = if layout.wide { (at + 24, at + 32) } else { (at + 16, at + 20) };
            Some(Section {
                offset: reader.word(offset, layout.wide)?,
                len: reader.word(size, layout.wide)?,
            })
        })
        .collect()
}
