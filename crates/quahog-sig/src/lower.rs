//! From syntax to meaning: whole signatures, or none.

mod lists;
mod pieces;
mod program;
mod quick;

use std::borrow::Cow;

pub use self::program::Programs;
use crate::ast::{self, Extended, Field, Icon, Logical, Magic, Record, Simple, Subsignature};
use crate::body::{self, Modifiers, Rules};
use crate::model::set::{
    BodyRow, CodeRange, IconRow, LogicalRow, MagicKind, MagicRow, Source, SubKind, SubRow,
};
use crate::model::subsignature::{check_image, check_pcre};
use crate::model::{
    Base, Block, ByteCompare, Columns, DigestKind, Expression, FileType, HashedPart, IconMetrics,
    Macro, Offset, SignatureSet, Target,
};
use crate::{Error, ErrorKind, FLEVEL, Format, Grammar, IgnoreList, Level, Span};

/// What became of a line that is not in error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It is part of the set.
    Admitted,
    /// It is part of the set, though ClamAV 1.4.6 refuses it.
    Odd(Oddity),
    /// It is part of the set, as a trigger of a program that is not run.
    Program,
    /// It is left out by a rule.
    Skipped(Skip),
}

/// What ClamAV 1.4.6 refuses and quahog reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Oddity {
    /// A hash of files of any size (`*`) that does not demand level 73.
    AnySizeLevel,
    /// A rule with `uint16be` or its kin.
    BigEndian,
    /// A rule of more than 64 strings.
    ManyStrings,
    /// A rule behind one in error, whose strings ClamAV takes for its own.
    RuleBefore,
    /// A rule with a string of one byte.
    ShortString,
    /// A rule with a string that ClamAV cannot read as it is written: a comment
    /// or carriage return in a hex string, or a very long text.
    StringLayout,
}

impl Oddity {
    /// What ClamAV refuses.
    pub fn reason(self) -> &'static str {
        match self {
            Oddity::AnySizeLevel => "a hash of any size below level 73",
            Oddity::BigEndian => "big-endian numbers",
            Oddity::ManyStrings => "more than 64 strings",
            Oddity::RuleBefore => "strings of a rule before it, which is in error",
            Oddity::ShortString => "a string of one byte",
            Oddity::StringLayout => {
                "a comment or carriage return in a hex string, or a very long text"
            }
        }
    }
}

/// By which rule a line is left out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Skip {
    /// On an ignore list.
    Ignored,
    /// Written for a newer functionality level.
    Newer,
    /// Written for an older functionality level only.
    Obsolete,
    /// Signatures of phishing were not asked for.
    Phishing,
    /// Bytecode was not asked for, or not of this source.
    Program,
    /// Possibly unwanted applications were not asked for, or not of this category.
    Pua,
    /// `name==...` in a `.db`, or a target that nothing uses.
    Unused,
}

/// Which signatures of possibly unwanted applications load.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PuaFilter {
    /// Whether any do.
    pub enabled: bool,
    /// If not empty, only these categories.
    pub include: Vec<String>,
    /// Not these categories, whatever `include` says.
    pub exclude: Vec<String>,
}

impl PuaFilter {
    /// Whether a signature of a `*u` database loads.
    ///
    /// The category of `PUA.Win.Tool.X-1` is `Win.Tool`. It is listed if one of
    /// the values is a run of its components: `Win`, `Tool`, `Win.Tool`. A name
    /// without category loads only if no list is given.
    pub fn admits(&self, name: &[u8]) -> bool {
        if !self.enabled {
            return false;
        }
        if self.include.is_empty() && self.exclude.is_empty() {
            return true;
        }
        let Some(rest) = name.strip_prefix(b"PUA.") else { return false };
        let Some(end) = memchr::memrchr(b'.', rest) else { return false };
        let category: Vec<&[u8]> = rest[..end].split(|&b| b == b'.').collect();
        let listed = |values: &[String]| {
            values.iter().any(|value| {
                let value: Vec<&[u8]> = value.as_bytes().split(|&b| b == b'.').collect();
                category.windows(value.len()).any(|run| run == value)
            })
        };
        (self.include.is_empty() || listed(&self.include)) && !listed(&self.exclude)
    }
}

/// The most signatures of one kind, and bytes of an arena.
const MAX_ROWS: usize = 1 << 28;
const MAX_ARENA: usize = u32::MAX as usize - (1 << 24);

/// Admits lines into a [`SignatureSet`].
#[derive(Clone, Debug, Default)]
pub struct SetBuilder {
    without_phishing: bool,
    programs: Programs,
    pub(crate) columns: Columns,
    pub(crate) ignore: IgnoreList,
    pub(crate) yara: crate::yara::Names,
    pua: PuaFilter,
    strict_frames: bool,
    /// How large all regular expressions are, written out.
    expansion: usize,
    /// Where in `columns.blocks` the block that asks for nothing but a target is.
    plain_blocks: [Option<u32>; Target::COUNT],
}

impl SetBuilder {
    /// An empty set, nothing ignored, no possibly unwanted applications.
    pub fn new() -> SetBuilder {
        SetBuilder::default()
    }

    /// Leaves out what these lists cover.
    pub fn ignore(mut self, list: IgnoreList) -> SetBuilder {
        self.ignore = list;
        self
    }

    /// Says which signatures of possibly unwanted applications load.
    pub fn pua(mut self, filter: PuaFilter) -> SetBuilder {
        self.pua = filter;
        self
    }

    /// Whether signatures load whose names begin with `HTML.Phishing` or
    /// `Email.Phishing`; by default they do.
    pub fn phishing_signatures(mut self, load: bool) -> SetBuilder {
        self.without_phishing = !load;
        self
    }

    /// Counts the fields of a line, and reads the expression of a logical one,
    /// before its level is looked at, as ClamAV does: a line for another engine
    /// with a field too many is an error then. Rules that ClamAV does not run
    /// are left out, too.
    pub fn strict_frames(mut self, strict: bool) -> SetBuilder {
        self.strict_frames = strict;
        self
    }

    /// Begins a source: lines that follow come from there.
    pub fn source(&mut self, name: &str, official: bool) {
        self.columns.sources.push(Source { name: name.to_owned(), official });
    }

    /// Ends the building.
    pub fn finish(mut self) -> SignatureSet {
        let columns = &mut self.columns;
        columns.n_pcres = columns.subs.number_pcres(&columns.code);
        columns.seal();
        SignatureSet { columns: self.columns }
    }

    /// Whether what ClamAV refuses is left out.
    pub(crate) fn strict(&self) -> bool {
        self.strict_frames
    }

    /// Whether the set has no room for one more.
    pub(crate) fn is_full(&self) -> bool {
        self.columns.code.len() > MAX_ARENA
            || self.columns.yara_strings.len() >= MAX_ROWS
            || self.columns.yara.len() >= MAX_ROWS
    }

    /// Reads one line, which is neither blank nor a comment, and admits its
    /// signature whole or not at all.
    ///
    /// Lines of ignore lists belong into an [`IgnoreList`]; here they are only
    /// checked.
    ///
    /// # Errors
    ///
    /// The line is malformed, or holds a construct that is unknown or not
    /// implemented. The set is as it was.
    pub fn line(&mut self, format: Format, number: u32, line: &[u8]) -> Result<Admission, Error> {
        match Level::of(format, line) {
            Level::Range(min, _) if min > FLEVEL => return self.skip(format, line, Skip::Newer),
            Level::Range(_, max) if max < FLEVEL => return self.skip(format, line, Skip::Obsolete),
            _ => {}
        }
        if format.is_pua() && !self.pua.enabled {
            return Ok(Admission::Skipped(Skip::Pua));
        }
        if self.columns.sources.is_empty() {
            self.source("", false);
        }
        let code = self.columns.code.len();
        let (subs, pcres) = (self.columns.subs.len(), self.columns.n_pcres);
        let line = NumberedLine { number, text: line, format };
        let admission = match Record::parse(format, line.text)? {
            Record::Certificate(record) => self.certificate(line, &record),
            Record::Container(record) => self.container(line, &record),
            Record::Feature(record) => self.feature(&record),
            Record::Password(record) => self.password(&record),
            Record::Phishing(record) => self.phishing(line, &record),
            Record::ZipRar(record) => self.zip_rar(line, &record),
            Record::Extended(record) => self.extended(line, &record),
            Record::FileHash(record) => self.hash(line, record.hash, record.size, record.name),
            Record::Icon(record) => self.icon(line, &record),
            Record::Ignore(_) => return Ok(Admission::Admitted),
            Record::Logical(record) => self.logical(line, &record),
            Record::Magic(record) => self.magic(&record),
            Record::SectionHash(record) => self.hash(line, record.hash, record.size, record.name),
            Record::Simple(record) => self.simple(line, &record),
        };
        if !matches!(admission, Ok(Admission::Admitted | Admission::Odd(_))) {
            self.columns.code.to_mut().truncate(code);
            self.columns.subs.truncate(subs);
            self.columns.n_pcres = pcres;
        }
        admission
    }

    /// Leaves out a line by its level, unread but for what `strict_frames` asks.
    fn skip(&self, format: Format, line: &[u8], skip: Skip) -> Result<Admission, Error> {
        if self.strict_frames
            && format.is_read()
            && let Record::Logical(record) = Record::parse(format, line)?
        {
            expression(format, &record, &mut Vec::new())?;
        }
        Ok(Admission::Skipped(skip))
    }

    /// Checks a name and says by which rule its signature is left out, if so.
    fn name<'l>(
        &self,
        line: NumberedLine<'l>,
        name: Field<'l>,
    ) -> Result<Result<&'l [u8], Skip>, Error> {
        if name.text.is_empty() {
            return Err(name.error(ErrorKind::NameEmpty));
        }
        let full = self.columns.code.len() > MAX_ARENA
            || self.columns.bodies.len() >= MAX_ROWS
            || self.columns.logicals.len() >= MAX_ROWS
            || self.columns.containers.len() >= MAX_ROWS
            || self
                .columns
                .hash_rows
                .iter()
                .chain(self.columns.part_rows.iter().flatten())
                .any(|rows| rows.len() >= MAX_ROWS || rows.name_bytes() > MAX_ARENA);
        if full {
            return Err(name.error(ErrorKind::Unsupported("a set of this size")));
        }
        if line.format.is_pua() && !self.pua.admits(name.text) {
            return Ok(Err(Skip::Pua));
        }
        let phishing: [&[u8]; 2] = [b"HTML.Phishing", b"Email.Phishing"];
        if self.without_phishing && phishing.iter().any(|prefix| name.text.starts_with(prefix)) {
            return Ok(Err(Skip::Phishing));
        }
        if self.ignore.covers(name.text, line.text) {
            return Ok(Err(Skip::Ignored));
        }
        // ` (Clam)` and all after it is no part of a name.
        let end = match memchr::memchr(b'(', name.text) {
            None => None,
            Some(_) => memchr::memmem::find(name.text, b" (Clam)"),
        };
        let end = end.unwrap_or(name.text.len());
        Ok(Ok(&name.text[..end]))
    }

    fn simple(&mut self, line: NumberedLine<'_>, record: &Simple<'_>) -> Result<Admission, Error> {
        let Some(pattern) = record.pattern else { return Ok(Admission::Skipped(Skip::Unused)) };
        let name = match self.name(line, record.name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        self.body(line, name, Target::ANY, Offset::ANY, pattern)
    }

    fn extended(
        &mut self,
        line: NumberedLine<'_>,
        record: &Extended<'_>,
    ) -> Result<Admission, Error> {
        for level in [record.min_level, record.max_level].into_iter().flatten() {
            level.number(ErrorKind::Level)?;
        }
        let target = match record.target.text {
            b"*" => 0,
            _ => record.target.number(ErrorKind::Target)?,
        };
        let Some(target) = Target::new(target) else {
            return Ok(Admission::Skipped(Skip::Unused));
        };
        let name = match self.name(line, record.name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        let offset = Offset::parse(record.offset, target)?;
        self.body(line, name, target, offset, record.pattern)
    }

    fn body(
        &mut self,
        line: NumberedLine<'_>,
        name: &[u8],
        target: Target,
        offset: Offset,
        pattern: Field<'_>,
    ) -> Result<Admission, Error> {
        let special = matches!(offset.base, Base::VersionInfo | Base::Macro(_));
        let three_plain_bytes =
            !special && (target == Target::ANY || (target == Target::PE && offset.is_fixed()));
        let rules = Rules { three_plain_bytes, filtered: target.is_filtered(), ..Rules::default() };
        let start = self.columns.code.len();
        let n_plain = self.pattern(pattern.text, pattern.span, false, &rules)?;
        let is_static = !special
            && matches!(target, Target::ANY | Target::PE)
            && n_plain.is_some_and(|n| n >= 3);
        let code = CodeRange::new(start, self.columns.code.len());
        self.columns.bodies.push(BodyRow { target, offset, code, is_static });
        self.columns.raw_first |= line.format == Format::Sdb;
        self.columns.body_rows.push(name, self.columns.sources.len() - 1, line.number);
        Ok(Admission::Admitted)
    }

    /// Admits a hash of a file, a section or imports.
    fn hash(
        &mut self,
        line: NumberedLine<'_>,
        hash: Field<'_>,
        size: Field<'_>,
        name: Field<'_>,
    ) -> Result<Admission, Error> {
        let Some(kind) =
            DigestKind::of_len(hash.text.len() / 2).filter(|_| hash.text.len().is_multiple_of(2))
        else {
            return Err(hash.error(ErrorKind::HashLength));
        };
        let mut digest = [0; 32];
        let digest = &mut digest[..kind.len()];
        if !body::decode_hex(hash.text, digest) {
            return Err(hash.error(ErrorKind::HexDigit));
        }
        let size = match size.text {
            b"*" => None,
            text => match std::str::from_utf8(text).ok().and_then(|t| t.parse::<u32>().ok()) {
                // `parse` takes a sign, which a size has not.
                Some(size) if size != 0 && size != u32::MAX && text[0].is_ascii_digit() => {
                    Some(size)
                }
                _ => return Err(size.error(ErrorKind::Size)),
            },
        };
        let name = match self.name(line, name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        let source = self.columns.sources.len() - 1;
        let part = match line.format.grammar() {
            Grammar::SectionHash => Some(HashedPart::Section),
            Grammar::ImportHash => Some(HashedPart::Imports),
            _ => None,
        };
        if line.format.grammar() == Grammar::AllowHash {
            self.columns.allowed[kind as usize].push(digest, size);
        } else if let Some(part) = part {
            self.columns.parts[part as usize][kind as usize].push(digest, size);
            let rows = &mut self.columns.part_rows[part as usize][kind as usize];
            rows.push(name, source, line.number);
        } else {
            self.columns.hashes[kind as usize].push(digest, size);
            self.columns.hash_rows[kind as usize].push(name, source, line.number);
        }
        let old = !matches!(Level::of(line.format, line.text), Level::Range(min, _) if min >= 73);
        if size.is_none() && old && part != Some(HashedPart::Imports) {
            return Ok(Admission::Odd(Oddity::AnySizeLevel));
        }
        Ok(Admission::Admitted)
    }

    fn icon(&mut self, line: NumberedLine<'_>, record: &Icon<'_>) -> Result<Admission, Error> {
        let metrics = IconMetrics::parse(record.metrics)?;
        let name = match self.name(line, record.name)? {
            Ok(name) => name.into(),
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        let groups = record.groups.map(|group| group.text.into());
        self.columns.icons.push(IconRow { name, groups, metrics });
        Ok(Admission::Admitted)
    }

    fn logical(
        &mut self,
        line: NumberedLine<'_>,
        record: &Logical<'_>,
    ) -> Result<Admission, Error> {
        let name = match self.name(line, record.name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        let start = self.columns.code.len();
        let n_subs = expression(line.format, record, self.columns.code.to_mut())?;
        let expression = CodeRange::new(start, self.columns.code.len());
        let block = match Block::parse(record)? {
            Ok(block) => block,
            Err(_) => return Ok(Admission::Skipped(Skip::Unused)),
        };
        let first_sub = self.columns.subs.len();
        // What is malformed outweighs what is only not implemented.
        let mut unsupported = None;
        for (index, &field) in record.subsignatures.iter().enumerate() {
            match self.subsignature(field, index, block.target) {
                Ok(row) => self.columns.subs.push(&row),
                Err(e) if matches!(e.kind(), ErrorKind::Unsupported(_)) => {
                    unsupported = unsupported.or(Some(e));
                }
                Err(e) => return Err(e),
            }
        }
        if let Some(error) = unsupported {
            return Err(error);
        }
        // Both fit: `name` has checked that there is room.
        let row = LogicalRow {
            block: self.block(block),
            expression,
            first_sub: first_sub as u32,
            n_subs,
            runs_program: false,
        };
        self.columns.logicals.push(row);
        self.columns.logical_rows.push(name, self.columns.sources.len() - 1, line.number);
        Ok(Admission::Admitted)
    }

    fn magic(&mut self, record: &Magic<'_>) -> Result<Admission, Error> {
        for level in [record.min_level, record.max_level].into_iter().flatten() {
            level.number(ErrorKind::Level)?;
        }
        let kind = match record.kind.text {
            b"0" => MagicKind::Bytes,
            b"1" => MagicKind::Pattern,
            b"4" => MagicKind::Partition,
            _ => return Ok(Admission::Skipped(Skip::Unused)),
        };
        let file_type = |field: Field<'_>| {
            FileType::from_name(field.text).ok_or(field.error(ErrorKind::FileTypeUnknown))
        };
        file_type(record.required)?;
        let file_type = file_type(record.file_type)?;
        let offset = Offset::parse(record.offset, Target::ANY)?;
        if kind != MagicKind::Pattern && !matches!(offset.base, Base::Absolute(_)) {
            return Err(record.offset.error(ErrorKind::Offset));
        }
        let place = |e: Error| e.shifted(record.magic.span.start());
        let body = body::parse(record.magic.text).map_err(place)?;
        if kind != MagicKind::Pattern && !body.is_plain() {
            return Err(record.magic.error(ErrorKind::HexDigit));
        }
        let start = self.columns.code.len();
        body.compile(&Rules::default(), self.columns.code.to_mut()).map_err(place)?;
        let code = CodeRange::new(start, self.columns.code.len());
        self.columns.magics.push(MagicRow { kind, offset, code, file_type });
        Ok(Admission::Admitted)
    }

    /// The number of a block; all that ask for nothing but a target share one.
    fn block(&mut self, block: Block) -> u32 {
        let next = self.columns.blocks.len() as u32;
        if block.is_plain() {
            let plain = &mut self.plain_blocks[block.target.index()];
            if let Some(known) = *plain {
                return known;
            }
            *plain = Some(next);
        }
        self.columns.blocks.push(block);
        next
    }

    fn subsignature(
        &mut self,
        field: Field<'_>,
        index: usize,
        target: Target,
    ) -> Result<SubRow, Error> {
        let (offset, pattern, modifiers) = match Subsignature::parse(field) {
            Subsignature::Hex { offset, pattern, modifiers } => (offset, pattern, modifiers),
            Subsignature::ByteCompare(field) => {
                let compare = ByteCompare::check(&ast::ByteCompare::parse(field)?)?;
                return Ok(self.coded(SubKind::ByteCompare, |code| compare.encode(code)));
            }
            Subsignature::FuzzyImage(field) => {
                let hash = check_image(&ast::FuzzyImage::parse(field)?)?;
                let encode = |code: &mut Vec<u8>| code.extend(hash.to_le_bytes());
                return Ok(self.coded(SubKind::FuzzyImage, encode));
            }
            Subsignature::Macro(field) => {
                let found = Macro::check(&ast::Macro::parse(field)?)?;
                return Ok(self.coded(SubKind::Macro, |code| found.encode(code)));
            }
            Subsignature::Pcre(field) => return self.pcre(field, index, target),
        };
        let offset = offset.map_or(Ok(Offset::ANY), |offset| Offset::parse(offset, target))?;
        if matches!(offset.base, Base::Macro(_)) {
            return Err(field.error(ErrorKind::Offset));
        }
        let modifiers = modifiers.map_or(Ok(Modifiers::default()), Modifiers::parse)?;
        let rules = Rules {
            nocase: modifiers.nocase,
            generic_alternates: modifiers.any(),
            wide_words: modifiers.wide,
            three_plain_bytes: false,
            filtered: target.is_filtered(),
            short_parts: false,
        };
        let mut text = Cow::Borrowed(pattern.text);
        if modifiers.fullword {
            text = body::fullword(&text).into();
        }
        let both = modifiers.wide && modifiers.ascii;
        let mut compiled = |text: &[u8], rules: &Rules| {
            let start = self.columns.code.len();
            self.pattern(text, pattern.span, modifiers.any(), rules)?;
            Ok(CodeRange::new(start, self.columns.code.len()))
        };
        let plain = Rules { wide_words: false, ..rules };
        let second = both.then(|| compiled(&text, &plain)).transpose()?;
        if modifiers.wide {
            text = body::wide(&text).into();
        }
        let code = compiled(&text, &rules)?;
        Ok(SubRow { offset, code, second, kind: SubKind::Hex })
    }

    /// A subsignature that keeps what it says in the arena.
    fn coded(&mut self, kind: SubKind, encode: impl FnOnce(&mut Vec<u8>)) -> SubRow {
        let start = self.columns.code.len();
        encode(self.columns.code.to_mut());
        let code = CodeRange::new(start, self.columns.code.len());
        SubRow { offset: Offset::ANY, code, second: None, kind }
    }

    fn pcre(&mut self, field: Field<'_>, index: usize, target: Target) -> Result<SubRow, Error> {
        let pcre = ast::Pcre::parse(field)?;
        let start = self.columns.code.len();
        let (mut offset, flags) = check_pcre(&pcre, index, target, self.columns.code.to_mut())?;
        match offset.base {
            // A regular expression takes it for `*`, as in clamscan 1.4.6.
            Base::VersionInfo => offset = Offset::ANY,
            Base::Macro(_) => return Err(field.error(ErrorKind::Offset)),
            _ => {}
        }
        let trigger = CodeRange::new(start, self.columns.code.len());
        let start = self.columns.code.len();
        self.columns.code.to_mut().extend_from_slice(pcre.regex.text);
        let text = CodeRange::new(start, self.columns.code.len());
        let kind = SubKind::Pcre { flags: flags.bits(), index: self.columns.n_pcres };
        self.columns.n_pcres += 1;
        Ok(SubRow { offset, code: trigger, second: Some(text), kind })
    }

    /// Compiles a pattern into the arena; gives how many bytes it is if it is
    /// nothing else. The text of one with modifiers was rewritten, so an error in
    /// it is an error of the whole field.
    fn pattern(
        &mut self,
        text: &[u8],
        span: Span,
        rewritten: bool,
        rules: &Rules,
    ) -> Result<Option<usize>, Error> {
        let code = self.columns.code.to_mut();
        if let Some(n) = body::compile_plain(text, rules, code) {
            return Ok(Some(n));
        }
        let place = |e: Error| {
            if rewritten { Error::new(e.kind(), span) } else { e.shifted(span.start()) }
        };
        let body = body::parse(text).map_err(place)?;
        body.compile(rules, code).map_err(place)?;
        Ok(body.is_plain().then(|| body.n_exact()))
    }
}

/// Compiles the expression of a logical signature; gives the number of its
/// subsignatures, of which it must use the last.
///
/// That of a program may leave out the last ones: the program counts those.
fn expression(format: Format, record: &Logical<'_>, code: &mut Vec<u8>) -> Result<u8, Error> {
    let wrong = record.expression.error(ErrorKind::SubsignatureCount);
    let n_subs = u8::try_from(record.subsignatures.len()).ok().filter(|&n| n <= 64);
    let n_subs = n_subs.ok_or(wrong)?;
    let highest = Expression::compile(record.expression, code)?;
    let used = highest + 1;
    let enough = used == n_subs || format == Format::Cbc && used < n_subs;
    if enough { Ok(n_subs) } else { Err(wrong) }
}

#[derive(Clone, Copy)]
struct NumberedLine<'l> {
    number: u32,
    text: &'l [u8],
    format: Format,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(format: Format, line: &str) -> Result<Admission, &'static str> {
        SetBuilder::new().line(format, 1, line.as_bytes()).map_err(|e| e.kind().code())
    }

    #[test]
    fn levels_decide_before_anything_else() {
        assert_eq!(admit(Format::Ndb, "A:0:*:x:300"), Ok(Admission::Skipped(Skip::Newer)));
        assert_eq!(admit(Format::Ndb, "A:0:*:x:1:50:x"), Ok(Admission::Skipped(Skip::Obsolete)));
        assert_eq!(admit(Format::Ldb, "A;Engine:300-400"), Ok(Admission::Skipped(Skip::Newer)));
        assert_eq!(admit(Format::Ndb, "A:0:*:616263:a"), Err("level"));
    }

    #[test]
    fn a_signature_is_admitted_whole_or_not_at_all() {
        let mut builder = SetBuilder::new();
        let good = b"A;Target:0;0&1;6162;6364";
        let bad = b"B;Target:0;0&1;6162;63";
        assert!(builder.line(Format::Ldb, 1, good).is_ok());
        let (code, subs) = (builder.columns.code.len(), builder.columns.subs.len());
        assert!(builder.line(Format::Ldb, 2, bad).is_err());
        assert_eq!((builder.columns.code.len(), builder.columns.subs.len()), (code, subs));
        assert_eq!(builder.finish().len(), 1);
    }

    #[test]
    fn three_plain_bytes_are_asked_for_in_some_targets_only() {
        for (line, ok) in [
            ("A:0:*:6162", false),
            ("A:0:6:6162", false),
            ("A:1:6:6162", false),
            ("A:1:*:6162", true),
            ("A:1:6,4:6162", true),
            ("A:2:*:6162", true),
            ("A:0:*:6162??", true),
        ] {
            assert_eq!(admit(Format::Ndb, line).is_ok(), ok, "{line}");
        }
    }

    #[test]
    fn hash_lines() {
        let md5 = "6b875428a97a85cab2f19f595921545d";
        assert_eq!(admit(Format::Hdb, &format!("{md5}:26:A")), Ok(Admission::Admitted));
        assert_eq!(
            admit(Format::Hsb, &format!("{md5}:*:A")),
            Ok(Admission::Odd(Oddity::AnySizeLevel))
        );
        assert_eq!(admit(Format::Hsb, &format!("{md5}:*:A:73")), Ok(Admission::Admitted));
        for size in ["0", "-1", "+1", "0x10", "4294967295", "", "1 "] {
            assert_eq!(admit(Format::Hdb, &format!("{md5}:{size}:A")), Err("size"), "{size}");
        }
        assert_eq!(admit(Format::Hdb, &format!("{md5}:26:")), Err("name-empty"));
    }

    #[test]
    fn pua_categories_are_sets_of_components() {
        let filter = |include: &[&str], exclude: &[&str]| PuaFilter {
            enabled: true,
            include: include.iter().map(ToString::to_string).collect(),
            exclude: exclude.iter().map(ToString::to_string).collect(),
        };
        assert!(filter(&[], &[]).admits(b"Anything"));
        assert!(!filter(&[], &["Win"]).admits(b"PUA.Win.A"));
        assert!(filter(&["Win", "Unix"], &[]).admits(b"PUA.Win.Tool.A"));
        assert!(filter(&["Win.Tool"], &[]).admits(b"PUA.Win.Tool.A"));
        assert!(!filter(&["Unix"], &[]).admits(b"PUA.Win.A"));
        assert!(!filter(&["Win"], &[]).admits(b"Win.A"));
        assert!(!PuaFilter::default().admits(b"PUA.Win.A"));
    }

    #[test]
    fn names_lose_what_follows_clam() {
        let mut builder = SetBuilder::new();
        builder.line(Format::Ndb, 1, b"Foo (Clam)x:0:*:616263").unwrap();
        let set = builder.finish();
        let id = set.body(0).unwrap().id;
        assert_eq!(set.name(id), &b"Foo"[..]);
    }
}
