//! The one judge of file types, from the magic in force.
//!
//! If a database brings its own table (`.ftm`), that alone decides; otherwise
//! the table in `default.ftm` beside this file does, in the same format.

use quahog_sig::model::{FileType, MagicKind, SignatureSet};
use quahog_sig::{Format, Lines, SetBuilder};

use aho_corasick::AhoCorasick;
use quahog_sig::body::Pattern;

use crate::BuildError;
use crate::meter::{Interrupted, Meter, Unmetered};
use crate::offset::starts;
use crate::verify::{self, Buffers, Want};

/// How many bytes the first look at a layer takes in.
const HEAD: usize = 1024;

const DEFAULT_TABLE: &[u8] = include_bytes!("default.ftm");

/// The magic in force.
#[derive(Debug)]
pub(crate) struct Identifier {
    set: SignatureSet,
    /// Finds the patterns that may stand in a text, by a literal of each.
    patterns: AhoCorasick,
    /// The rows of the patterns' literals.
    rows: Vec<usize>,
}

impl Identifier {
    /// The identifier with the magic of `set`, or the default one.
    pub(crate) fn new(set: &SignatureSet) -> Result<Identifier, BuildError> {
        let set = if set.magics().len() > 0 { set.magic_only() } else { default_table() };
        let mut rows = Vec::new();
        let mut texts = Vec::new();
        for (row, magic) in set.magics().enumerate() {
            if magic.kind == MagicKind::Pattern
                && let Some(text) = crate::plan::of_body(magic.pattern)
            {
                rows.push(row);
                texts.push(text);
            }
        }
        let patterns = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&texts)
            .map_err(|e| BuildError::TooLarge(e.to_string()))?;
        Ok(Identifier { set, patterns, rows })
    }

    /// The type of a buffer by its first bytes.
    pub(crate) fn by_head(&self, bytes: &[u8], buffers: &mut Buffers) -> FileType {
        let head = &bytes[..bytes.len().min(HEAD)];
        // The newest line decides.
        let magics: Vec<_> = self.set.magics().collect();
        let fixed = magics.iter().rev().find(|magic| {
            magic.kind == MagicKind::Bytes && matches_at_start(magic.pattern, head, magic.offset)
        });
        if let Some(magic) = fixed {
            return magic.file_type;
        }
        let text = text_type(head);
        if text == FileType::BINARY_DATA && is_tar(head) {
            return FileType::OLD_TAR;
        }
        // Nothing is charged for one kilobyte.
        let found = self.by_pattern(head, bytes.len(), buffers, &Unmetered);
        match found.unwrap_or_default().into_iter().filter(|t| !is_embedded(*t)).max() {
            Some(file_type) => file_type,
            None if matches!(text, FileType::TEXT_UTF16LE | FileType::TEXT_UTF16BE) => {
                let narrow = narrow(head);
                let found = self.by_pattern(&narrow, bytes.len(), buffers, &Unmetered);
                let html = found.unwrap_or_default().contains(&FileType::HTML);
                if html { FileType::HTML } else { text }
            }
            None => text,
        }
    }

    /// What a text turns out to be when all of it is searched: HTML or mail.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn by_content(
        &self,
        bytes: &[u8],
        buffers: &mut Buffers,
        meter: &dyn Meter,
    ) -> Result<Option<FileType>, Interrupted> {
        meter.tick(bytes.len() as u64 / 4)?;
        let found = self.by_pattern(bytes, bytes.len(), buffers, meter)?;
        Ok(found.into_iter().filter(|t| matches!(*t, FileType::HTML | FileType::MAIL)).max())
    }

    /// The types whose patterns match.
    fn by_pattern(
        &self,
        bytes: &[u8],
        len: usize,
        buffers: &mut Buffers,
        meter: &dyn Meter,
    ) -> Result<Vec<FileType>, Interrupted> {
        let mut types = Vec::new();
        let mut tried = vec![false; self.rows.len()];
        let magics: Vec<_> = self.set.magics().collect();
        for hit in self.patterns.find_overlapping_iter(bytes) {
            let at = hit.pattern().as_usize();
            if std::mem::replace(&mut tried[at], true) {
                continue;
            }
            let magic = magics[self.rows[at]];
            if types.contains(&magic.file_type) {
                continue;
            }
            let Some(starts) = starts(magic.offset, len) else { continue };
            let found = verify::search(magic.pattern, bytes, starts, Want::First, buffers, meter)?;
            if found.first.is_some() {
                types.push(magic.file_type);
            }
        }
        Ok(types)
    }
}

fn default_table() -> SignatureSet {
    let mut builder = SetBuilder::new();
    for line in Lines::new(DEFAULT_TABLE).filter(|line| !line.is_blank() && !line.is_comment()) {
        // A test reads every line of the table.
        let _ = builder.line(Format::Ftm, line.number, line.text);
    }
    builder.finish()
}

/// Whether the one literal of the pattern stands at its absolute offset.
fn matches_at_start(pattern: Pattern<'_>, head: &[u8], offset: quahog_sig::model::Offset) -> bool {
    let quahog_sig::model::Base::Absolute(at) = offset.base else { return false };
    let mut rest = head.get(at as usize..).unwrap_or_default();
    pattern.parts().flat_map(quahog_sig::body::Part::elements).all(|element| match element {
        quahog_sig::body::Element::Literal(text) => match rest.strip_prefix(text) {
            Some(tail) => {
                rest = tail;
                true
            }
            None => false,
        },
        _ => false,
    })
}

/// Types that a pattern finds *inside* something else: they are carved out
/// there and do not say what the whole is.
fn is_embedded(file_type: FileType) -> bool {
    use FileType as F;
    matches!(
        file_type,
        F::MSEXE
            | F::ZIPSFX
            | F::RARSFX
            | F::CABSFX
            | F::ARJSFX
            | F::SEVENZSFX
            | F::NULSFT
            | F::AUTOIT
            | F::ISHIELD_MSI
            | F::PDF
            | F::MBR
            | F::DMG
    )
}

/// Text or binary, by the first bytes.
fn text_type(head: &[u8]) -> FileType {
    if head.iter().all(|&b| is_text_byte(b)) {
        return FileType::TEXT_ASCII;
    }
    let bad = |unit: u16| unit < 0x80 && !is_text_byte(unit as u8);
    let units = |big: bool, from: usize| {
        head.get(from..).unwrap_or_default().chunks_exact(2).map(move |pair| {
            let pair = [pair[0], pair[1]];
            if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        })
    };
    let mostly_good = |big| units(big, 2).filter(|&u| bad(u)).count() * 2 < units(big, 2).count();
    match head {
        [0xff, 0xfe, ..] if mostly_good(false) => FileType::TEXT_UTF16LE,
        [0xfe, 0xff, ..] if mostly_good(true) => FileType::TEXT_UTF16BE,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => FileType::BINARY_DATA,
        _ if !units(true, 2).any(bad) => FileType::TEXT_UTF16BE,
        _ => FileType::BINARY_DATA,
    }
}

fn is_text_byte(byte: u8) -> bool {
    matches!(byte, 0x07..=0x0a | 0x0c | 0x0d | 0x1b | 0x20..=0x7e | 0x80..=0xff)
}

/// UTF-16 with everything but ASCII dropped.
fn narrow(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|&b| b != 0 && b < 0x80).collect()
}

/// Whether the first block is a tar header, by its checksum.
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else { return false };
    let field = &block[148..156];
    let digits = field.iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    let declared =
        digits.fold(0u32, |sum, b| sum.wrapping_mul(8).wrapping_add(u32::from(b - b'0')));
    let sum = |signed: bool| {
        block.iter().enumerate().fold(0i64, |sum, (at, &byte)| {
            let byte = if (148..156).contains(&at) { b' ' } else { byte };
            sum + if signed { i64::from(byte as i8) } else { i64::from(byte) }
        })
    };
    declared != 0 && (i64::from(declared) == sum(false) || i64::from(declared) == sum(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(bytes: &[u8]) -> FileType {
        let identifier = Identifier::new(&SignatureSet::default()).unwrap();
        identifier.by_head(bytes, &mut Buffers::default())
    }

    #[test]
    fn every_line_of_the_default_table_is_read() {
        let lines = Lines::new(DEFAULT_TABLE).filter(|l| !l.is_blank() && !l.is_comment()).count();
        assert!(lines > 100);
        let mut builder = SetBuilder::new();
        for line in Lines::new(DEFAULT_TABLE).filter(|l| !l.is_blank() && !l.is_comment()) {
            builder.line(Format::Ftm, line.number, line.text).unwrap();
        }
        assert_eq!(builder.finish().magics().len(), lines);
    }

    #[test]
    fn fixed_magic_decides_first() {
        assert_eq!(identify(b"PK\x03\x04......"), FileType::ZIP);
        assert_eq!(identify(b"Received: from x"), FileType::MAIL);
        assert_eq!(identify(b"subject: x\n\nhello"), FileType::TEXT_ASCII);
        assert_eq!(identify(b"\x1f\x8b\x08\0......"), FileType::GZ);
        assert_eq!(identify(b"{\\rtf1"), FileType::RTF);
    }

    #[test]
    fn text_is_told_from_binary() {
        assert_eq!(identify(b"hello\n"), FileType::TEXT_ASCII);
        assert_eq!(identify("h\u{e9}llo".as_bytes()), FileType::TEXT_ASCII);
        assert_eq!(identify(b"\x01\x02\x00\x01\x00\x01hello"), FileType::BINARY_DATA);
        assert_eq!(identify(b"\xff\xfeh\0e\0l\0l\0o\0"), FileType::TEXT_UTF16LE);
    }

    #[test]
    fn patterns_type_texts() {
        assert_eq!(identify(b"some <html> text"), FileType::HTML);
        assert_eq!(identify(b"X: y\nFrom: a\nMIME-Version: 1.0\n\nx"), FileType::MAIL);
        assert_eq!(identify(b"<html lang=en>"), FileType::TEXT_ASCII);
        let html = b"\xff\xfe<\0h\0t\0m\0l\0>\0";
        assert_eq!(identify(html), FileType::HTML);
    }
}
