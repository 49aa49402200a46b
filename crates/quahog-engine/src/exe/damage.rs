//! Broken executables: what `Heuristics.Broken.Executable` is said of.
//!
//! This is another question than whether offsets make sense: clamscan 1.4.6
//! finds fault with layouts that it goes on to read (sections that do not
//! follow each other in memory), and not with files that end before their
//! header does, or whose DOS header leads nowhere. Every rule here was settled
//! by files made for the purpose.

use quahog_sig::model::FileType;

use super::bytes::Reader;
use super::{Headers, macho, pe};

/// The most section headers of an ELF file that are looked at; of one with more
/// nothing is said.
const MAX_ELF_SECTIONS: u16 = 2048;

/// The most segments of an ELF file.
const MAX_ELF_SEGMENTS: u16 = 128;

/// The most load commands of a Mach-O file.
const MAX_COMMANDS: u32 = 1024;

/// Whether a layer of the given type, whose headers were read, is a broken
/// executable.
///
/// Takes time linear in its section headers.
pub fn is_damaged(headers: &Headers, bytes: &[u8], file_type: FileType) -> bool {
    match file_type {
        FileType::MSEXE => match pe::layout(bytes) {
            Layout::NoHeader => false,
            Layout::Odd => true,
            Layout::Plain => headers.is_broken(),
        },
        FileType::ELF => elf(headers, bytes),
        FileType::MACHO => mach(headers, bytes),
        FileType::MACHO_UNIBIN => {
            let count = Reader { bytes, big: bytes.first() == Some(&0xca) }.u32(4);
            count.is_none_or(|n| 8 + 20 * u64::from(n) > bytes.len() as u64)
        }
        _ => false,
    }
}

/// How the parts of a PE file lie in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    /// There is no PE header to judge.
    NoHeader,
    /// Not as a linker lays them out, or the headers end too early.
    Odd,
    /// As a linker does it.
    Plain,
}

fn elf(headers: &Headers, bytes: &[u8]) -> bool {
    let Some(&class) = bytes.get(4) else { return false };
    let (header_len, counts) = match class {
        1 => (52, 42),
        2 => (64, 54),
        _ => return bytes.len() >= 52,
    };
    if bytes.len() < header_len {
        return false;
    }
    let order = bytes.get(5).copied().unwrap_or(0);
    let reader = Reader { bytes, big: order != 1 };
    let count = |n: u64| reader.u16(counts + n).unwrap_or(0);
    if count(2) > MAX_ELF_SEGMENTS || !matches!(order, 1 | 2) {
        return true;
    }
    headers.is_broken() && count(6) <= MAX_ELF_SECTIONS
}

fn mach(headers: &Headers, bytes: &[u8]) -> bool {
    let Some((header_len, commands)) = macho::commands(bytes) else { return false };
    if (bytes.len() as u64) < header_len {
        return false;
    }
    commands == 0 || commands > MAX_COMMANDS || headers.is_broken()
}
