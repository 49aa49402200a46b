//! Documents: what an office program, a reader or a mail program takes out of
//! a file that is no archive.
//!
//! Each format is one module with one function `open`, which finds the objects
//! in a file and hands them to an [`Outlet`]: embedded files and streams as
//! they are, compressed ones decoded, sources of macros as text. Parsers of
//! programs that open such files forgive much, so these do too: they trust no
//! length, follow no offset twice, and where a directory may lie they search
//! for what it ought to name.
//!
//! All are walkers of our own. Signatures and evaders look at what libraries
//! for these formats reject or leave out: streams that no directory links,
//! objects that no cross-reference table names, data behind a checksum that
//! is wrong. The crates serve as oracles in tests.
//!
//! # Cost
//! Linear in the file and in what is decoded from it. Where objects may share
//! bytes, these are read at most [`REREAD`] times.

pub(crate) mod calendar;
mod compound;
mod decode;
mod office_crypt;
pub(crate) mod ole;
pub(crate) mod onenote;
pub(crate) mod pdf;
mod rc4;
pub(crate) mod rtf;
pub(crate) mod screnc;
pub(crate) mod shortcut;
pub(crate) mod swf;
pub(crate) mod tnef;
mod vba;
pub(crate) mod xml;

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::{Budget, Entry, Part, Shortfall, Visit};

/// How often the bytes of a document may be read for objects that share them.
const REREAD: u64 = 4;

/// Why a walk ends before the document does.
enum Stop {
    Budget(Shortfall),
    Visitor,
}

impl From<Shortfall> for Stop {
    fn from(shortfall: Shortfall) -> Stop {
        Stop::Budget(shortfall)
    }
}

/// Where parts go: numbers them, charges them, and shows them to the visitor.
struct Outlet<'w, 'v, 'c> {
    budget: &'w Budget<'c>,
    visit: &'w mut Visit<'v>,
    position: u32,
    /// What of the document itself was not looked at.
    shortfall: Option<Shortfall>,
}

/// What is known of a part beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct About<'a> {
    name: Option<&'a str>,
    declared: Option<&'static str>,
    /// Bytes that it takes in the document, if that is another number.
    packed: Option<usize>,
    /// It was encrypted in the document.
    encrypted: bool,
    shortfall: Option<Shortfall>,
}

impl<'a> About<'a> {
    fn named(name: &'a str) -> About<'a> {
        About { name: Some(name), ..About::default() }
    }
}

impl<'w, 'v, 'c> Outlet<'w, 'v, 'c> {
    /// Runs a walk, and says what of the document it did not look at.
    fn run(
        budget: &'w Budget<'c>,
        visit: &'w mut Visit<'v>,
        walk: impl FnOnce(&mut Outlet<'w, 'v, 'c>) -> Result<(), Stop>,
    ) -> Option<Shortfall> {
        let mut outlet = Outlet { budget, visit, position: 0, shortfall: None };
        match walk(&mut outlet) {
            Ok(()) => outlet.shortfall,
            Err(Stop::Visitor) => None,
            Err(Stop::Budget(shortfall)) => Some(shortfall),
        }
    }

    /// The room for one part, as a length.
    fn room(&self) -> usize {
        usize::try_from(self.budget.part_room().0).unwrap_or(usize::MAX)
    }

    /// What to report of a part that is longer than its room.
    fn over(&self) -> Shortfall {
        self.budget.part_room().1
    }

    /// Hands out a part: its first bytes, if it is longer than its room.
    fn hand(&mut self, about: About<'_>, bytes: &[u8]) -> Result<(), Stop> {
        self.budget.part()?;
        let (room, over) = self.budget.part_room();
        let kept = bytes.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(bytes);
        let cut = kept.len() < bytes.len();
        self.budget.tick(kept.len() as u64)?;
        self.budget.spend(kept.len() as u64);
        let shortfall = cut.then_some(over).or(about.shortfall);
        self.show(about, Some(kept), bytes.len() as u64, shortfall)
    }

    /// Tells of something whose bytes cannot be had, or need not be.
    fn tell(&mut self, about: About<'_>, size: u64) -> Result<(), Stop> {
        self.budget.part()?;
        self.show(about, None, size, about.shortfall)
    }

    fn show(
        &mut self,
        about: About<'_>,
        bytes: Option<&[u8]>,
        size: u64,
        shortfall: Option<Shortfall>,
    ) -> Result<(), Stop> {
        self.position = self.position.saturating_add(1);
        let part = Part {
            bytes,
            name: about.name.map(Cow::Borrowed),
            shortfall,
            entry: Entry {
                position: self.position,
                packed_size: about.packed.map_or(size, |packed| packed as u64),
                size,
                crc32: None,
                encrypted: about.encrypted || shortfall == Some(Shortfall::Encrypted),
            },
            declared: about.declared.map(Cow::Borrowed),
            is_body: false,
            ambiguity: None,
        };
        match (self.visit)(part) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Visitor),
        }
    }

    /// Notes something that is missing of the document as a whole. That it is
    /// encrypted says more than any other thing.
    fn miss(&mut self, shortfall: Shortfall) {
        if shortfall == Shortfall::Encrypted || self.shortfall.is_none() {
            self.shortfall = Some(shortfall);
        }
    }
}

/// Bytes that may still be read, of all objects of a document together.
struct Allowance(u64);

impl Allowance {
    fn of(bytes: &[u8]) -> Allowance {
        Allowance(REREAD.saturating_mul(bytes.len() as u64))
    }

    /// As many of `wanted` bytes as are left.
    fn take(&mut self, wanted: usize) -> usize {
        let granted = self.0.min(wanted as u64);
        self.0 -= granted;
        // At most `wanted`, which is a `usize`.
        granted as usize
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|field| u64::from_le_bytes(*field))
}

/// A length field, as far as it is one that this machine can have.
fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    u32_at(bytes, at).and_then(|length| usize::try_from(length).ok())
}

/// A text in UTF-16, little-endian, up to its first NUL.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units.take_while(|&unit| unit != 0))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A text with one byte for each character, up to its first NUL.
fn narrow(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let text = bytes.get(..end).unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(text).0.into_owned(),
    }
}
