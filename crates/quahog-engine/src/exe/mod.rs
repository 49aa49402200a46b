//! Executables: where their parts lie in the file.
//!
//! Signatures speak of entry points, sections, version information, imports
//! and icons. [`Headers::read`] turns the first bytes of a layer into file
//! offsets of these. It reads as leniently as a loader does: a section may lie,
//! overlap, or reach past the end of the file; only what makes offsets
//! meaningless makes the headers [`Broken`](Headers::Broken), as in clamscan
//! 1.4.6. Signatures that ask for offsets never match on those.
//!
//! All of this is read when the first signature asks for it, at most once for
//! a layer: see [`Layer::headers`](crate::Layer::headers). Counts in headers have 16 bits (sections,
//! segments) or are bounded by the bytes that they take up (load commands), so
//! the work is linear in the headers; resources and imports, which can be made
//! to refer to the same bytes again and again, have limits of their own: 10,000
//! entries of directories, 64 resources and 4,096 keys of version information,
//! 100 icons, 10,000 DLLs and 1 MiB of text. No real program comes near them.
//!
//! The field readers are ours and not those of a parser crate: what clamscan
//! takes for sound differs from what any strict parser takes for sound, and a
//! signature's offsets depend on just that.

mod bytes;
mod damage;
mod elf;
mod macho;
mod ordinals;
mod resource;
mod signers;

pub(crate) mod pe;

use memchr::memmem;
use quahog_sig::model::FileType;

use crate::meter::{Interrupted, Meter};

pub use damage::is_damaged;
pub use pe::Executable;
pub use signers::Signer;

/// The headers of a layer.
#[derive(Debug)]
pub enum Headers {
    /// The layer is of no executable type.
    None,
    /// It is, by its type, and its headers make no sense.
    Broken,
    /// It is, and this is what they say.
    Sound(Box<Executable>),
}

/// A section of an executable, as it lies in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Section {
    /// The offset of its first byte; may lie past the end of the file.
    pub offset: u64,
    /// Its length in the file, rounded as clamscan rounds it.
    pub len: u64,
}

impl Headers {
    /// Reads the headers of a layer of the given type.
    pub fn read(bytes: &[u8], file_type: FileType) -> Headers {
        let read = match file_type {
            FileType::MSEXE => pe::read(bytes),
            FileType::ELF => elf::read(bytes),
            FileType::MACHO => macho::read(bytes),
            // The slices of a universal binary have headers, it has none.
            FileType::MACHO_UNIBIN => None,
            _ => return Headers::None,
        };
        read.map_or(Headers::Broken, |executable| Headers::Sound(Box::new(executable)))
    }

    /// What they say, if they make sense.
    pub fn sound(&self) -> Option<&Executable> {
        match self {
            Headers::Sound(executable) => Some(executable),
            Headers::None | Headers::Broken => None,
        }
    }

    /// Whether the layer is an executable by its type only.
    pub fn is_broken(&self) -> bool {
        matches!(self, Headers::Broken)
    }
}

/// The first PE file that lies in `bytes` behind their start and has sound
/// headers, as clamscan 1.4.6 looks for them: `MZ`, 60 to 300 bytes, `PE`.
///
/// Takes time linear in the bytes: bytes made of nothing but headers without
/// sense, all over each other, are given up.
///
/// # Errors
///
/// The meter called the search off.
pub fn embedded(bytes: &[u8], meter: &dyn Meter) -> Result<Option<usize>, Interrupted> {
    let mut untried = 1;
    let mut room = MAX_TRIAL.saturating_mul(bytes.len() as u64); // no `usize` is wider
    for mark in memmem::find_iter(bytes, b"PE\0\0") {
        let first = untried.max(mark.saturating_sub(2 + 300));
        let Some(last) = mark.checked_sub(2 + 60) else { continue };
        for start in first..=last {
            if !bytes[start..].starts_with(b"MZ") {
                continue;
            }
            let file = &bytes[start..];
            let cost = 64 + pe::cost(file);
            meter.tick(cost)?;
            match room.checked_sub(cost) {
                Some(left) => room = left,
                None => return Ok(None),
            }
            if pe::read(file).is_some() {
                return Ok(Some(start));
            }
        }
        untried = untried.max(last + 1);
    }
    meter.tick(bytes.len() as u64 / 8)?;
    Ok(None)
}

/// How many times the bytes may be read as headers in search of a program.
const MAX_TRIAL: u64 = 8;

/// The Mach-O files inside a universal binary, as ranges of its bytes.
pub fn universal_slices(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    macho::slices(bytes)
}
