//! The one judge of file types, from the magic in force.
//!
//! The table in `default.ftm` beside this file decides. Where databases bring a
//! table of their own (`.ftm`), that decides, too; and alone, once it has bytes
//! at a fixed place in it (clamscan 1.4.6, `testdata/scan/file_type.toml`).

mod office;

use quahog_sig::model::{FileType, MagicKind, SignatureSet};
use quahog_sig::{Format, Lines, SetBuilder};

use aho_corasick::{AhoCorasick, Input, MatchKind, Span, packed};
use quahog_sig::body::{Element, Pattern};
use quahog_sig::model::Base;

use crate::BuildError;
use crate::meter::{Interrupted, Meter, Unmetered};
use crate::offset::starts;
use crate::verify::{self, Buffers, Want};

/// How many bytes the first look at a layer takes in.
const HEAD: usize = 1024;

const DEFAULT_TABLE: &[u8] = include_bytes!("default.ftm");

/// What a layer holds somewhere, beside what its first bytes make it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Inside {
    /// HTML, whose views are looked at too.
    pub html: bool,
    /// A message whose parts are looked at too, [`FileType::MAIL`] or
    /// [`FileType::MHTML`]. Signatures for mail see the former only.
    pub message: Option<FileType>,
}

/// The magic in force.
#[derive(Debug)]
pub(crate) struct Identifier {
    set: SignatureSet,
    /// Bytes at fixed places, newest line first: the place, the bytes, the type.
    fixed: Vec<(usize, Vec<u8>, FileType)>,
    /// All patterns, for a few bytes.
    all: Patterns,
    html: Patterns,
    messages: Patterns,
    archives: Patterns,
}

/// Patterns that are found by a literal of each, in one pass.
#[derive(Debug)]
struct Patterns {
    finder: Finder,
    /// Each pattern's literal, and its row in the set.
    literals: Vec<(Vec<u8>, usize)>,
    /// Of how many types they are.
    n_types: usize,
}

/// Finds the literal that begins first.
#[derive(Debug)]
enum Finder {
    /// By the first bytes of all of them at once, which a few dozen may have.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Finder {
    fn new(literals: &[(Vec<u8>, usize)]) -> Result<Finder, BuildError> {
        let texts = literals.iter().map(|(literal, _)| literal);
        let config = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).clone();
        if let Some(searcher) = config.builder().extend(texts.clone()).build() {
            return Ok(Finder::Packed(searcher));
        }
        let builder = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).clone();
        let searcher = builder.build(texts).map_err(|e| BuildError::TooLarge(e.to_string()))?;
        Ok(Finder::Automaton(searcher))
    }

    /// Where the first one begins, from `from` on.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let span = Span { start: from, end: bytes.len() };
        let found = match self {
            Finder::Packed(searcher) => searcher.find_in(bytes, span),
            Finder::Automaton(searcher) => searcher.find(Input::new(bytes).span(span)),
        };
        found.map(|found| found.start())
    }
}

impl Patterns {
    fn new(set: &SignatureSet, wanted: fn(FileType) -> bool) -> Result<Patterns, BuildError> {
        let magics = set.magics().enumerate().filter(|(_, magic)| wanted(magic.file_type));
        let patterns = magics.filter(|(_, magic)| magic.kind == MagicKind::Pattern);
        let mut types = Vec::new();
        let mut literals = Vec::new();
        for (row, magic) in patterns {
            literals.extend(crate::plan::literal_of(magic.pattern).map(|text| (text, row)));
            if !types.contains(&magic.file_type) {
                types.push(magic.file_type);
            }
        }
        Ok(Patterns { finder: Finder::new(&literals)?, literals, n_types: types.len() })
    }

    /// Visits the row of each pattern whose literal stands in the bytes, once,
    /// until the visitor has enough.
    fn visit(
        &self,
        bytes: &[u8],
        mut visit: impl FnMut(usize) -> Result<Control, Interrupted>,
    ) -> Result<(), Interrupted> {
        let mut left: Vec<&(Vec<u8>, usize)> = Vec::new();
        let mut from = 0;
        while let Some(first) = self.finder.find(bytes, from) {
            if from == 0 {
                left.extend(&self.literals);
            }
            let rest = bytes.get(first..).unwrap_or_default();
            let mut enough = Ok(Control::GoOn);
            left.retain(|(literal, row)| {
                let here = matches!(enough, Ok(Control::GoOn)) && rest.starts_with(literal);
                if here {
                    enough = visit(*row);
                }
                !here
            });
            if enough? == Control::Enough || left.is_empty() {
                break;
            }
            from = first + 1;
        }
        Ok(())
    }
}

/// Whether a visitor wants more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Control {
    Enough,
    GoOn,
}

impl Identifier {
    /// The identifier with the magic of `sets`.
    pub(crate) fn new(sets: &[&SignatureSet]) -> Result<Identifier, BuildError> {
        let mut magics = sets.iter().flat_map(|set| set.magics());
        let default = match magics.any(|magic| magic.kind == MagicKind::Bytes) {
            true => SignatureSet::default(),
            false => default_table(),
        };
        let sets: Vec<&SignatureSet> = [&default].into_iter().chain(sets.iter().copied()).collect();
        let set = SignatureSet::magic_of(&sets);
        let bytes = set.magics().filter(|magic| magic.kind == MagicKind::Bytes);
        let mut fixed: Vec<_> = bytes
            .filter_map(|magic| {
                let Base::Absolute(at) = magic.offset.base else { return None };
                Some((at as usize, plain_text(magic.pattern)?, magic.file_type))
            })
            .collect();
        fixed.reverse();
        Ok(Identifier {
            all: Patterns::new(&set, |_| true)?,
            html: Patterns::new(&set, |file_type| file_type == FileType::HTML)?,
            messages: Patterns::new(&set, |t| [FileType::MAIL, FileType::MHTML].contains(&t))?,
            archives: Patterns::new(&set, is_archive_inside)?,
            fixed,
            set,
        })
    }

    /// The type of a buffer by its first bytes, and of a zip by the names in it.
    pub(crate) fn by_head(&self, bytes: &[u8], buffers: &mut Buffers) -> FileType {
        match self.by_magic(bytes, buffers) {
            FileType::ZIP => office::of_zip(bytes).unwrap_or(FileType::ZIP),
            other => other,
        }
    }

    fn by_magic(&self, bytes: &[u8], buffers: &mut Buffers) -> FileType {
        let head = &bytes[..bytes.len().min(HEAD)];
        // The newest line decides.
        let mut fixed = self.fixed.iter();
        let fixed =
            fixed.find(|(at, text, _)| head.get(*at..).is_some_and(|h| h.starts_with(text)));
        let is_plain = |t: FileType| t.is_text() || t == FileType::BINARY_DATA;
        let text = match fixed.map(|&(_, _, file_type)| file_type) {
            // Patterns say more of what magic calls plain, too.
            Some(plain) if is_plain(plain) => plain,
            Some(file_type) => return file_type,
            None if text_type(head) == FileType::BINARY_DATA && is_tar(head) => {
                return FileType::OLD_TAR;
            }
            None => text_type(head),
        };
        // Nothing is charged for one kilobyte.
        // A program that lies in the first bytes of what is not known makes
        // all of it one (clamscan 1.4.6).
        let whole = |t: FileType| !is_embedded(t) || t == FileType::MSEXE;
        let found = self.matching(&self.all, head, bytes.len(), whole, buffers, &Unmetered);
        match found.unwrap_or_default().into_iter().max() {
            Some(file_type) => file_type,
            None if matches!(text, FileType::TEXT_UTF16LE | FileType::TEXT_UTF16BE) => {
                let narrow = narrow(head);
                let html = &self.html;
                let found =
                    self.matching(html, &narrow, bytes.len(), |_| true, buffers, &Unmetered);
                if !found.unwrap_or_default().is_empty() { FileType::HTML } else { text }
            }
            None => text,
        }
    }

    /// What a layer of this type holds when all of it is searched. Each type
    /// may hold what clamscan 1.4.6 was seen to find in it.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn by_content(
        &self,
        bytes: &[u8],
        by_head: FileType,
        buffers: &mut Buffers,
        meter: &dyn Meter,
    ) -> Result<Inside, Interrupted> {
        use FileType as F;
        let (html, messages): (bool, &[FileType]) = match by_head {
            F::TEXT_ASCII | F::TEXT_UTF8 => (true, &[F::MHTML, F::MAIL]),
            F::TEXT_UTF16LE | F::TEXT_UTF16BE | F::BINARY_DATA => (false, &[F::MHTML]),
            F::GIF => (true, &[]),
            _ => return Ok(Inside::default()),
        };
        meter.tick(bytes.len() as u64 / 4)?;
        let mut find = |patterns: &Patterns, wanted: &[FileType]| {
            let wanted = |file_type: FileType| wanted.contains(&file_type);
            self.matching(patterns, bytes, bytes.len(), wanted, buffers, meter)
        };
        let html = if html { find(&self.html, &[F::HTML])? } else { Vec::new() };
        let messages =
            if messages.is_empty() { Vec::new() } else { find(&self.messages, messages)? };
        Ok(Inside { html: !html.is_empty(), message: messages.into_iter().max() })
    }

    /// Where in the bytes archives of other types lie by their magic, first
    /// what stands first.
    ///
    /// Takes a pass over the bytes, and one for each pattern whose literal stands
    /// in them.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn archives_inside(
        &self,
        bytes: &[u8],
        buffers: &mut Buffers,
        meter: &dyn Meter,
    ) -> Result<Vec<(usize, FileType)>, Interrupted> {
        let mut found = Vec::new();
        meter.tick(bytes.len() as u64 / 32)?;
        self.archives.visit(bytes, |row| {
            let Some(magic) = self.set.magic(row) else { return Ok(Control::GoOn) };
            let Some(starts) = starts(magic.offset, bytes.len()) else { return Ok(Control::GoOn) };
            meter.tick(bytes.len() as u64 / 32)?;
            let mut add = |start: usize, _| {
                found.push((start, magic.file_type));
                found.len() < MAX_INSIDE
            };
            verify::visit(magic.pattern, bytes, starts, buffers, meter, &mut add)?;
            Ok(Control::GoOn)
        })?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The wanted types some of whose patterns match; ends once it has all that
    /// the patterns can tell.
    fn matching(
        &self,
        patterns: &Patterns,
        bytes: &[u8],
        len: usize,
        wanted: impl Fn(FileType) -> bool,
        buffers: &mut Buffers,
        meter: &dyn Meter,
    ) -> Result<Vec<FileType>, Interrupted> {
        let mut types = Vec::new();
        patterns.visit(bytes, |row| {
            let Some(magic) = self.set.magic(row) else { return Ok(Control::GoOn) };
            if !wanted(magic.file_type) || types.contains(&magic.file_type) {
                return Ok(Control::GoOn);
            }
            let Some(starts) = starts(magic.offset, len) else { return Ok(Control::GoOn) };
            let found = verify::search(magic.pattern, bytes, starts, Want::First, buffers, meter)?;
            if found.first.is_some() {
                types.push(magic.file_type);
            }
            Ok(if types.len() < patterns.n_types { Control::GoOn } else { Control::Enough })
        })?;
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

/// The bytes of a pattern that has nothing else.
fn plain_text(pattern: Pattern<'_>) -> Option<Vec<u8>> {
    let elements = pattern.parts().flat_map(quahog_sig::body::Part::elements);
    let texts = elements.map(|element| match element {
        Element::Literal(text) => Some(text),
        _ => None,
    });
    texts.collect::<Option<Vec<_>>>().map(|texts| texts.concat())
}

/// Archives and images whose magic may stand anywhere in another file.
fn is_archive_inside(file_type: FileType) -> bool {
    use FileType as F;
    matches!(
        file_type,
        F::ZIPSFX
            | F::RARSFX
            | F::CABSFX
            | F::ARJSFX
            | F::SEVENZSFX
            | F::EGGSFX
            | F::NULSFT
            | F::AUTOIT
            | F::ISHIELD_MSI
            | F::ISO9660
            | F::UDF
            | F::DMG
    )
}

/// Places inside a file that are looked at, as archives.
const MAX_INSIDE: usize = 10_000;

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
            | F::ISO9660
            | F::UDF
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
        let identifier = Identifier::new(&[]).unwrap();
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
        // A page cannot be hidden by a tag of HTML before the message in it.
        let page = b"MIME-Version: 1.0\nX: <html>\nContent-Type: x\n\n";
        assert_eq!(identify(page), FileType::MHTML);
        assert_eq!(identify(b"<html lang=en>"), FileType::TEXT_ASCII);
        let html = b"\xff\xfe<\0h\0t\0m\0l\0>\0";
        assert_eq!(identify(html), FileType::HTML);
    }

    #[test]
    fn what_lies_behind_the_head_is_found_in_some_types_only() {
        let identifier = Identifier::new(&[]).unwrap();
        let inside = |bytes: &[u8], by_head| {
            identifier.by_content(bytes, by_head, &mut Buffers::default(), &Unmetered).unwrap()
        };
        let page = [&[b'x'; 2000][..], b"\nMIME-Version: 1\nContent-Type: x\n<html>"].concat();
        let message = Some(FileType::MHTML);
        for (by_head, expected) in [
            (FileType::TEXT_ASCII, Inside { html: true, message }),
            (FileType::TEXT_UTF16BE, Inside { html: false, message }),
            (FileType::BINARY_DATA, Inside { html: false, message }),
            (FileType::GIF, Inside { html: true, message: None }),
            (FileType::PNG, Inside::default()),
        ] {
            assert_eq!(inside(&page, by_head), expected, "{by_head}");
        }
    }

    #[test]
    fn archives_are_found_at_every_place_where_they_may_start() {
        let identifier = Identifier::new(&[]).unwrap();
        let bytes = b"PK\x03\x04..PK\x03\x04..7z\xbc\xaf\x27\x1c..MSCF\0\0\0\0.";
        let found = identifier.archives_inside(bytes, &mut Buffers::default(), &Unmetered);
        let expected = [
            (0, FileType::ZIPSFX),
            (6, FileType::ZIPSFX),
            (12, FileType::SEVENZSFX),
            (20, FileType::CABSFX),
        ];
        assert_eq!(found.unwrap(), expected);
    }
}
