//! From one buffer to the buffers inside it, under a budget.
//!
//! A message holds parts, an archive holds members; each is a [`Part`]. [`open`]
//! finds them and *pushes* them, one at a time, to a visitor, which may open
//! them in turn: recursion is the caller's. A part that is stored as it is
//! (7-bit mail, a stored zip member) is a slice of its parent; a decoded one
//! lives exactly as long as its visit, so memory is bounded by depth times
//! part size. [`text`] makes the normalised views that some signatures are
//! written for.
//!
//! Everything here is hostile. Nothing panics, nothing returns an error:
//! what could not be looked at is a [`Shortfall`], and every loop consumes
//! input or [`Budget`].
//!
//! Signatures are no business of this crate; which format a buffer has is its
//! caller's decision, because the databases in force take part in it.
//!
//! ```
//! use quahog_content::{Budget, Format, Limits, open};
//! use std::ops::ControlFlow;
//!
//! let message = b"Subject: x\nContent-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n";
//! let budget = Budget::new(Limits::default());
//! let mut found = Vec::new();
//! let shortfall = open(Format::Mail, message, &budget, &mut |part| {
//!     found.push(part.bytes.unwrap_or_default().to_vec());
//!     ControlFlow::Continue(())
//! });
//! assert_eq!(shortfall, None);
//! assert_eq!(found, [b"hello world"]);
//! ```
#![forbid(unsafe_code)]

mod budget;
mod part;

mod archive;
pub mod damage;
mod document;
mod mail;
pub mod picture;
pub mod text;

use std::ops::ControlFlow;

pub use crate::budget::{Budget, Limits, Shortfall};
pub use crate::document::ole::{MACRO_SHEET, MACRO_SOURCE};
pub use crate::part::{Ambiguity, Entry, Part};

/// What this crate can open.
///
/// A new format is one variant here, one file, and one line in [`open`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Format {
    /// An archive of ALZip.
    Alz,
    /// An archive of ar, as linkers and Debian's packages have it.
    Ar,
    /// An ARJ archive.
    Arj,
    /// bzip2, of one or more streams.
    Bzip2,
    /// A cabinet of Windows.
    Cabinet,
    /// Compiled help (CHM).
    Chm,
    /// compress (`.Z`).
    Compress,
    /// A cpio archive in any of its forms.
    Cpio,
    /// An archive of ALZip, in its later format.
    Egg,
    /// *ActiveMime*, which Office puts macros in beside web pages.
    ActiveMime,
    /// BinHex 4.0, and whatever else a text has encoded in it.
    BinHex,
    /// A calendar or an address card.
    Calendar,
    /// gzip, of one or more members (RFC 1952).
    Gzip,
    /// A setup program of InstallShield.
    InstallShield,
    /// A CD image (ISO 9660).
    Iso,
    /// An LHA archive (`.lzh`).
    Lha,
    /// LZ4 frames.
    Lz4,
    /// lzip, of one or more members.
    Lzip,
    /// An `.lzma` file.
    Lzma,
    /// An Internet message (RFC 5322), MIME or not, or an mbox of several.
    Mail,
    /// A RAR archive.
    Rar,
    /// A 7z archive.
    SevenZ,
    /// A Symbian package.
    Sis,
    /// A file compressed by COMPRESS.EXE.
    Szdd,
    /// A tar archive of any dialect.
    Tar,
    /// A xar archive.
    Xar,
    /// xz, of one or more streams.
    Xz,
    /// An OLE2 compound file: Office up to 2003, Outlook messages, HWP.
    Ole2,
    /// A OneNote section.
    OneNote,
    /// PDF.
    Pdf,
    /// Rich text.
    Rtf,
    /// A Flash film.
    Swf,
    /// Outlook's `winmail.dat`.
    Tnef,
    /// uuencode, and whatever else a text has encoded in it.
    Uuencode,
    /// A document of Word, Excel or HWP that is one XML file.
    XmlOffice,
    /// A zip archive.
    Zip,
    /// Zstandard frames.
    Zstd,
}

impl Format {
    /// The archives and compressed streams among the formats.
    pub const ARCHIVES: &[Format] = &[
        Format::Alz,
        Format::Ar,
        Format::Arj,
        Format::Bzip2,
        Format::Cabinet,
        Format::Chm,
        Format::Compress,
        Format::Cpio,
        Format::Egg,
        Format::Gzip,
        Format::InstallShield,
        Format::Iso,
        Format::Lha,
        Format::Lz4,
        Format::Lzip,
        Format::Lzma,
        Format::Rar,
        Format::SevenZ,
        Format::Sis,
        Format::Szdd,
        Format::Tar,
        Format::Xar,
        Format::Xz,
        Format::Zip,
        Format::Zstd,
    ];

    /// The format that the first bytes tell, of those for which ClamAV has no
    /// file type (lzip, LZ4, Zstandard, ...).
    pub fn recognize(bytes: &[u8]) -> Option<Format> {
        archive::recognize::recognize(bytes)
    }

    /// Whether an archive of this format starts here, by more than its magic.
    /// For places in the middle of a file, where magic may stand by accident.
    pub fn starts(self, bytes: &[u8]) -> bool {
        archive::recognize::starts(self, bytes)
    }

    /// How long the archive says that it is, in formats that say so in front.
    pub fn declared_length(self, bytes: &[u8]) -> Option<u64> {
        archive::recognize::length(self, bytes)
    }
}

/// The visitor that [`open`] hands parts to; `Break` stops the walk.
pub type Visit<'v> = dyn FnMut(Part<'_>) -> ControlFlow<()> + 'v;

/// Pushes each part of `bytes`, read as `format`, to `visit`.
///
/// Returns what of the container *itself* was not looked at: `None` means that
/// every part was visited (or that the visitor stopped the walk). What is
/// missing of a single part stands in [`Part::shortfall`]. Takes time linear in
/// `bytes` plus the bytes of the parts, which are charged to `budget`.
pub fn open(
    format: Format,
    bytes: &[u8],
    budget: &Budget<'_>,
    visit: &mut Visit<'_>,
) -> Option<Shortfall> {
    match format {
        Format::Alz => archive::alz::open(bytes, budget, visit),
        Format::Ar => archive::ar::open(bytes, budget, visit),
        Format::Arj => archive::arj::open(bytes, budget, visit),
        Format::Bzip2 => archive::bzip2::open(bytes, budget, visit),
        Format::Cabinet => archive::cabinet::open(bytes, budget, visit),
        Format::Chm => archive::chm::open(bytes, budget, visit),
        Format::Compress => archive::compress::open(bytes, budget, visit),
        Format::Cpio => archive::cpio::open(bytes, budget, visit),
        Format::Egg => archive::egg::open(bytes, budget, visit),
        Format::ActiveMime => document::xml::open_active_mime(bytes, budget, visit),
        Format::Calendar => document::calendar::open(bytes, budget, visit),
        Format::Gzip => archive::gzip::open(bytes, budget, visit),
        Format::InstallShield => archive::installshield::open(bytes, budget, visit),
        Format::Iso => archive::iso::open(bytes, budget, visit),
        Format::Lha => archive::lha::open(bytes, budget, visit),
        Format::Lz4 => archive::lz4::open(bytes, budget, visit),
        Format::Lzip => archive::lzip::open(bytes, budget, visit),
        Format::Lzma => archive::lzma::open(bytes, budget, visit),
        Format::Mail => mail::open(bytes, budget, visit),
        Format::Rar => archive::rar::open(bytes, budget, visit),
        Format::SevenZ => archive::sevenz::open(bytes, budget, visit),
        Format::Sis => archive::sis::open(bytes, budget, visit),
        Format::Szdd => archive::szdd::open(bytes, budget, visit),
        Format::Tar => archive::tar::open(bytes, budget, visit),
        Format::Xar => archive::xar::open(bytes, budget, visit),
        Format::Xz => archive::xz::open(bytes, budget, visit),
        Format::Ole2 => document::ole::open(bytes, budget, visit),
        Format::OneNote => document::onenote::open(bytes, budget, visit),
        Format::Pdf => document::pdf::open(bytes, budget, visit),
        Format::Rtf => document::rtf::open(bytes, budget, visit),
        Format::Swf => document::swf::open(bytes, budget, visit),
        Format::Tnef => document::tnef::open(bytes, budget, visit),
        Format::BinHex | Format::Uuencode => mail::open_text(bytes, budget, visit),
        Format::XmlOffice => document::xml::open(bytes, budget, visit),
        Format::Zip => archive::zip::open(bytes, budget, visit),
        Format::Zstd => archive::zstd::open(bytes, budget, visit),
    }
}

/// What bytes are that ClamAV has no type for, though they hold files: their
/// first bytes say so.
pub fn untyped(bytes: &[u8]) -> Option<Format> {
    if document::calendar::is_calendar(bytes) {
        Some(Format::Calendar)
    } else if document::xml::is_active_mime(bytes) {
        Some(Format::ActiveMime)
    } else {
        None
    }
}
