//! The set: columns and arenas.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::body::Pattern;
use crate::model::lists::{ContainerRow, PasswordRow, PhishingColumns};
pub(crate) use crate::model::packed::{BodyRow, CodeRange, LogicalRow, SubKind, SubRow, Subs};
use crate::model::rows::Rows;
use crate::model::table::{PackedTable, Sections, Table};
use crate::model::{
    Block, ByteCompare, Container, DigestKind, Expression, FileType, HashColumns, HashedPart,
    IconMetrics, Macro, Offset, Origin, Password, Pcre, Phishing, SigId, SigKind, Target,
};
use crate::regex::Flags;
use crate::yara::Program;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct YaraRow {
    pub(crate) program: CodeRange,
    pub(crate) first_string: u32,
    pub(crate) n_strings: u32,
    pub(crate) private: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct YaraStringRow {
    /// A pattern, or the text of a regular expression.
    pub(crate) code: CodeRange,
    /// The plain form beside the wide one.
    pub(crate) second: Option<CodeRange>,
    pub(crate) is_regex: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct MagicRow {
    pub(crate) kind: MagicKind,
    pub(crate) offset: Offset,
    pub(crate) code: CodeRange,
    pub(crate) file_type: FileType,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CertificateRow {
    pub(crate) subject: [u8; 20],
    pub(crate) serial: Option<[u8; 20]>,
    pub(crate) modulus: CodeRange,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TrustedRow {
    pub(crate) certificate: CertificateRow,
    pub(crate) name: Box<[u8]>,
    pub(crate) uses: CertificateUses,
    pub(crate) not_before: u64,
}

/// What a certificate is trusted to do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertificateUses {
    /// Sign programs, or stand above certificates that do.
    pub code: bool,
    /// Say when something was signed, or stand above certificates that do.
    pub time: bool,
    /// Sign certificates.
    pub issuing: bool,
}

/// A trusted certificate: what it signs, itself or through certificates that it
/// stands above, is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<'s> {
    /// The name of the rule.
    pub name: &'s [u8],
    /// The SHA-1 of the content of its subject.
    pub subject: &'s [u8; 20],
    /// The SHA-1 of its serial number; that of none counts for all.
    pub serial: Option<&'s [u8; 20]>,
    /// The modulus of its key, without leading zeros. The exponent is 65537
    /// whatever the line says, as in clamscan 1.4.6.
    pub modulus: &'s [u8],
    /// What it is trusted to do.
    pub uses: CertificateUses,
    /// Certificates that are valid from before this time, in seconds since
    /// 1970-01-01 UTC, are not trusted for it.
    pub not_before: u64,
}

/// A blocked certificate: programs that carry it alert by its name.
///
/// Everything that is given must be the same.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'s> {
    /// Its identity.
    pub id: SigId,
    /// The SHA-1 of the content of its subject.
    pub subject: &'s [u8; 20],
    /// The SHA-1 of its serial number.
    pub serial: Option<&'s [u8; 20]>,
    /// The modulus of its key, without leading zeros.
    pub modulus: &'s [u8],
}

/// An icon that logical signatures refer to by one of its groups.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct IconRow {
    pub(crate) name: Box<[u8]>,
    pub(crate) groups: [Box<[u8]>; 2],
    pub(crate) metrics: IconMetrics,
}

/// An icon that logical signatures refer to by one of its groups.
#[derive(Clone, Copy, Debug)]
pub struct Icon<'s> {
    /// Its name.
    pub name: &'s [u8],
    /// Its groups, one for each of the two attributes.
    pub groups: [&'s [u8]; 2],
    /// What it looks like.
    pub metrics: &'s IconMetrics,
}

/// How a file type's magic is looked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum MagicKind {
    /// Bytes at a place in the first bytes of a layer.
    Bytes,
    /// A pattern, where nothing else is known, and all through text.
    Pattern,
    /// Bytes that mark a partition.
    Partition,
}

/// A file type's magic.
#[derive(Clone, Copy, Debug)]
pub struct Magic<'s> {
    /// How it is looked for.
    pub kind: MagicKind,
    /// Where it may start; absolute for [`MagicKind::Bytes`].
    pub offset: Offset,
    /// What is looked for; one literal for [`MagicKind::Bytes`].
    pub pattern: Pattern<'s>,
    /// What the layer is, then.
    pub file_type: FileType,
}

/// A body signature.
#[derive(Clone, Copy, Debug)]
pub struct Body<'s> {
    /// Its identity.
    pub id: SigId,
    /// The layers that it is for.
    pub target: Target,
    /// Where its pattern may start.
    pub offset: Offset,
    /// What it looks for.
    pub pattern: Pattern<'s>,
    /// Whether ClamAV searches it before the others of its window (exact
    /// bytes, target 0 or 1), which decides who is first in first-match mode.
    pub is_static: bool,
}

/// A logical signature.
#[derive(Clone, Copy, Debug)]
pub struct Logical<'s> {
    /// Its identity.
    pub id: SigId,
    /// The layers that it applies to.
    pub block: &'s Block,
    /// What must hold.
    pub expression: Expression<'s>,
    /// Where it holds, a program would have to decide, which is not run.
    pub runs_program: bool,
    set: &'s SignatureSet,
    first_sub: u32,
    n_subs: u8,
}

/// A subsignature.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Subsignature<'s> {
    /// A body pattern, or two whose counts add up.
    Hex {
        /// Where the pattern may start.
        offset: Offset,
        /// What it looks for.
        pattern: Pattern<'s>,
        /// The plain form beside a wide one (`::wa`).
        second: Option<Pattern<'s>>,
    },
    /// A number near the last match of another subsignature.
    ByteCompare(ByteCompare),
    /// The perceptual hash of a picture.
    FuzzyImage(u64),
    /// A member of a macro group near the subsignature before.
    Macro(Macro),
    /// A regular expression.
    Pcre(Pcre<'s>),
}

impl<'s> Logical<'s> {
    /// The number of subsignatures, 1 to 64.
    pub fn n_subsignatures(self) -> usize {
        usize::from(self.n_subs)
    }

    /// The subsignatures, 0 first.
    pub fn subsignatures(self) -> impl ExactSizeIterator<Item = Subsignature<'s>> {
        let start = self.first_sub as usize;
        let set = self.set;
        let end = (start + self.n_subsignatures()).min(set.columns.subs.len());
        let rows = (start.min(end)..end).map(move |at| set.columns.subs.get(at));
        rows.map(move |row| match row {
            Some(row) => set.subsignature_of(&row),
            // Not below the number of rows.
            None => Subsignature::FuzzyImage(0),
        })
    }

    /// A subsignature by its number.
    pub fn subsignature(self, id: usize) -> Option<Subsignature<'s>> {
        if id >= self.n_subsignatures() {
            return None;
        }
        let row = self.set.columns.subs.get(self.first_sub as usize + id)?;
        Some(self.set.subsignature_of(&row))
    }
}

/// A YARA rule. It is for layers of every kind.
#[derive(Clone, Copy, Debug)]
pub struct YaraRule<'s> {
    /// Its identity.
    pub id: SigId,
    /// What must hold.
    pub condition: Program<'s>,
    /// It is for other rules, and reports nothing.
    pub private: bool,
    /// Where its strings begin among those of all rules.
    pub first_string: usize,
    /// How many strings it has.
    pub n_strings: usize,
}

/// A string of a YARA rule.
#[derive(Clone, Copy, Debug)]
pub enum YaraString<'s> {
    /// A body pattern, or two whose matches add up.
    Pattern {
        /// What is looked for.
        pattern: Pattern<'s>,
        /// The plain form beside a wide one.
        second: Option<Pattern<'s>>,
    },
    /// A regular expression in the common language of
    /// [`yara`](crate::yara); only its first match counts.
    Regex(&'s [u8]),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) official: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub(crate) sources: Vec<Source>,
    pub(crate) code: Table<u8>,
    pub(crate) body_rows: Rows,
    pub(crate) bodies: PackedTable<BodyRow>,
    pub(crate) logical_rows: Rows,
    pub(crate) logicals: PackedTable<LogicalRow>,
    pub(crate) subs: Subs,
    /// How many of `subs` are regular expressions.
    pub(crate) n_pcres: u32,
    pub(crate) blocks: Vec<Block>,
    pub(crate) hash_rows: [Rows; 3],
    pub(crate) hashes: [HashColumns; 3],
    pub(crate) allowed: [HashColumns; 3],
    /// By part, then kind of digest.
    pub(crate) part_rows: [[Rows; 3]; 2],
    pub(crate) parts: [[HashColumns; 3]; 2],
    pub(crate) certificate_rows: Rows,
    pub(crate) certificates: Vec<CertificateRow>,
    pub(crate) trusted: Vec<TrustedRow>,
    pub(crate) icons: Vec<IconRow>,
    pub(crate) magics: Vec<MagicRow>,
    pub(crate) container_rows: Rows,
    pub(crate) containers: Vec<ContainerRow>,
    pub(crate) phishing: PhishingColumns,
    pub(crate) passwords: Vec<PasswordRow>,
    /// A "self-protect first" database is there.
    pub(crate) raw_first: bool,
    pub(crate) yara_rows: Rows,
    pub(crate) yara: Vec<YaraRow>,
    pub(crate) yara_strings: Vec<YaraStringRow>,
}

impl Columns {
    /// Names and places of all kinds.
    fn rows_mut(&mut self) -> impl Iterator<Item = &mut Rows> {
        let hashes = self.hash_rows.iter_mut().chain(self.part_rows.iter_mut().flatten());
        hashes.chain([
            &mut self.body_rows,
            &mut self.logical_rows,
            &mut self.container_rows,
            &mut self.certificate_rows,
            &mut self.yara_rows,
        ])
    }

    /// Hashes of all kinds.
    fn hashes_mut(&mut self) -> impl Iterator<Item = &mut HashColumns> {
        let hashes = self.hashes.iter_mut().chain(&mut self.allowed);
        hashes.chain(self.parts.iter_mut().flatten())
    }

    /// Drops what only serves building.
    pub(crate) fn seal(&mut self) {
        self.rows_mut().for_each(Rows::seal);
        for columns in self.hashes_mut() {
            columns.seal();
        }
        self.code.seal();
        self.bodies.0.seal();
        self.logicals.0.seal();
        self.subs.seal();
    }

    fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.code)?;
        s.table(&mut self.bodies.0)?;
        s.table(&mut self.logicals.0)?;
        self.subs.sections(s)?;
        self.rows_mut().try_for_each(|rows| rows.sections(s))?;
        self.hashes_mut().try_for_each(|columns| columns.sections(s))?;
        s.rest(&mut self.sources)?;
        s.rest(&mut self.blocks)?;
        s.rest(&mut self.n_pcres)?;
        s.rest(&mut self.certificates)?;
        s.rest(&mut self.trusted)?;
        s.rest(&mut self.icons)?;
        s.rest(&mut self.magics)?;
        s.rest(&mut self.containers)?;
        s.rest(&mut self.phishing)?;
        s.rest(&mut self.passwords)?;
        s.rest(&mut self.raw_first)?;
        s.rest(&mut self.yara)?;
        s.rest(&mut self.yara_strings)
    }
}

/// Checked signatures, ready to be compiled. Immutable.
#[derive(Clone, Debug, Default)]
pub struct SignatureSet {
    pub(crate) columns: Columns,
}

impl SignatureSet {
    /// Goes through all that the set is made of, to write or to read an image.
    ///
    /// # Errors
    ///
    /// Those of `sections`.
    pub fn sections<S: Sections>(&mut self, sections: &mut S) -> Result<(), S::Error> {
        self.columns.sections(sections)
    }

    /// The number of signatures, entries of allow lists, phishing lists,
    /// trusted certificates and passwords among them.
    pub fn len(&self) -> usize {
        let columns = &self.columns;
        let hashes: usize = columns.hashes.iter().map(HashColumns::len).sum();
        let allowed: usize = columns.allowed.iter().map(HashColumns::len).sum();
        let parts: usize = columns.parts.iter().flatten().map(HashColumns::len).sum();
        let lists = columns.containers.len() + columns.phishing.len() + columns.passwords.len();
        columns.bodies.len()
            + columns.logicals.len()
            + columns.yara.len()
            + columns.certificates.len()
            + columns.trusted.len()
            + hashes
            + allowed
            + parts
            + lists
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body signatures, in the order of their lines.
    pub fn bodies(&self) -> impl ExactSizeIterator<Item = Body<'_>> {
        self.columns.bodies.iter().enumerate().map(|(index, row)| self.body_of(index, &row))
    }

    /// A body signature by its position.
    pub fn body(&self, index: usize) -> Option<Body<'_>> {
        Some(self.body_of(index, &self.columns.bodies.get(index)?))
    }

    fn body_of(&self, index: usize, row: &BodyRow) -> Body<'_> {
        Body {
            id: SigId::new(SigKind::Body, index),
            target: row.target,
            offset: row.offset,
            pattern: Pattern::new(self.code(row.code)),
            is_static: row.is_static,
        }
    }

    /// The logical signatures, in the order of their lines.
    pub fn logicals(&self) -> impl ExactSizeIterator<Item = Logical<'_>> {
        self.columns.logicals.iter().enumerate().map(|(index, row)| self.logical_of(index, &row))
    }

    /// A logical signature by its position.
    pub fn logical(&self, index: usize) -> Option<Logical<'_>> {
        Some(self.logical_of(index, &self.columns.logicals.get(index)?))
    }

    fn logical_of(&self, index: usize, row: &LogicalRow) -> Logical<'_> {
        Logical {
            id: SigId::new(SigKind::Logical, index),
            // The builder made the row after its block; a damaged image may not
            // have it.
            block: self.columns.blocks.get(row.block as usize).unwrap_or(Block::unknown()),
            expression: Expression::new(self.code(row.expression)),
            runs_program: row.runs_program,
            set: self,
            first_sub: row.first_sub,
            n_subs: row.n_subs,
        }
    }

    /// The YARA rules, in the order of their texts.
    pub fn yara_rules(&self) -> impl ExactSizeIterator<Item = YaraRule<'_>> {
        self.columns.yara.iter().enumerate().map(|(index, row)| self.yara_of(index, row))
    }

    /// A YARA rule by its position.
    pub fn yara_rule(&self, index: usize) -> Option<YaraRule<'_>> {
        Some(self.yara_of(index, self.columns.yara.get(index)?))
    }

    fn yara_of(&self, index: usize, row: &YaraRow) -> YaraRule<'_> {
        YaraRule {
            id: SigId::new(SigKind::Yara, index),
            condition: Program::new(self.code(row.program)),
            private: row.private,
            first_string: row.first_string as usize,
            n_strings: row.n_strings as usize,
        }
    }

    /// The strings of all YARA rules.
    pub fn yara_strings(&self) -> impl ExactSizeIterator<Item = YaraString<'_>> {
        self.columns.yara_strings.iter().map(|row| self.yara_string_of(row))
    }

    /// A string of a YARA rule by its position among those of all rules.
    pub fn yara_string(&self, index: usize) -> Option<YaraString<'_>> {
        Some(self.yara_string_of(self.columns.yara_strings.get(index)?))
    }

    fn yara_string_of(&self, row: &YaraStringRow) -> YaraString<'_> {
        if row.is_regex {
            return YaraString::Regex(self.code(row.code));
        }
        YaraString::Pattern {
            pattern: Pattern::new(self.code(row.code)),
            second: row.second.map(|code| Pattern::new(self.code(code))),
        }
    }

    /// The file hashes of one kind; a row's position is that of its [`SigId`].
    pub fn hashes(&self, kind: DigestKind) -> &HashColumns {
        &self.columns.hashes[kind as usize]
    }

    fn subsignature_of(&self, row: &SubRow) -> Subsignature<'_> {
        let code = self.code(row.code);
        // The builder wrote what is read here: nothing is ever left out.
        let none =
            Subsignature::Hex { offset: row.offset, pattern: Pattern::new(&[]), second: None };
        match row.kind {
            SubKind::Hex => Subsignature::Hex {
                offset: row.offset,
                pattern: Pattern::new(code),
                second: row.second.map(|code| Pattern::new(self.code(code))),
            },
            SubKind::ByteCompare => {
                ByteCompare::decode(code).map_or(none, Subsignature::ByteCompare)
            }
            SubKind::FuzzyImage => code
                .first_chunk()
                .map_or(none, |&hash| Subsignature::FuzzyImage(u64::from_le_bytes(hash))),
            SubKind::Macro => Macro::decode(code).map_or(none, Subsignature::Macro),
            SubKind::Pcre { flags, index } => Subsignature::Pcre(Pcre {
                offset: row.offset,
                trigger: Expression::new(code),
                text: self.code(row.second.unwrap_or_default()),
                flags: Flags::from_bits(flags),
                index: index as usize,
            }),
        }
    }

    /// The number of regular expressions, of which each has an
    /// [index](Pcre::index).
    pub fn n_pcres(&self) -> usize {
        // A damaged image may say anything.
        (self.columns.n_pcres as usize).min(self.columns.subs.len())
    }

    /// The identity of the hash in this row.
    pub fn hash_id(&self, kind: DigestKind, row: usize) -> SigId {
        SigId::new(SigKind::Hash(kind), row)
    }

    /// The hashes of one part of executables, of one kind.
    pub fn part_hashes(&self, part: HashedPart, kind: DigestKind) -> &HashColumns {
        &self.columns.parts[part as usize][kind as usize]
    }

    /// The identity of the part's hash in this row.
    pub fn part_hash_id(&self, part: HashedPart, kind: DigestKind, row: usize) -> SigId {
        SigId::new(SigKind::PartHash(part, kind), row)
    }

    /// The blocked certificates, in the order of their lines.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = Certificate<'_>> {
        self.columns.certificates.iter().enumerate().map(|(index, row)| Certificate {
            id: SigId::new(SigKind::Certificate, index),
            subject: &row.subject,
            serial: row.serial.as_ref(),
            modulus: self.code(row.modulus),
        })
    }

    /// The trusted certificates, in the order of their lines.
    pub fn trusted(&self) -> impl ExactSizeIterator<Item = Trusted<'_>> {
        self.columns.trusted.iter().map(|row| Trusted {
            name: &row.name,
            subject: &row.certificate.subject,
            serial: row.certificate.serial.as_ref(),
            modulus: self.code(row.certificate.modulus),
            uses: row.uses,
            not_before: row.not_before,
        })
    }

    /// Icons, in the order of their lines. They are not counted by
    /// [`len`](Self::len): they detect nothing of themselves.
    pub fn icons(&self) -> impl ExactSizeIterator<Item = Icon<'_>> {
        self.columns.icons.iter().map(|row| Icon {
            name: &row.name,
            groups: [&row.groups[0], &row.groups[1]],
            metrics: &row.metrics,
        })
    }

    /// The files that are allowed, by their digests of one kind.
    pub fn allowed(&self, kind: DigestKind) -> &HashColumns {
        &self.columns.allowed[kind as usize]
    }

    /// File type magic, in the order of its lines. It is not counted by
    /// [`len`](Self::len): it types layers and detects nothing.
    pub fn magics(&self) -> impl ExactSizeIterator<Item = Magic<'_>> {
        self.columns.magics.iter().map(|row| self.magic_in(row))
    }

    /// A line of magic.
    pub fn magic(&self, index: usize) -> Option<Magic<'_>> {
        self.columns.magics.get(index).map(|row| self.magic_in(row))
    }

    fn magic_in(&self, row: &MagicRow) -> Magic<'_> {
        Magic {
            kind: row.kind,
            offset: row.offset,
            pattern: Pattern::new(self.code(row.code)),
            file_type: row.file_type,
        }
    }

    /// The signatures of container metadata, in the order of their lines.
    pub fn containers(&self) -> impl ExactSizeIterator<Item = Container<'_>> {
        self.columns.containers.iter().enumerate().map(|(index, row)| Container {
            id: SigId::new(SigKind::Container, index),
            file_type: row.file_type,
            container_size: row.container_size,
            packed_size: row.packed_size,
            size: row.size,
            encrypted: row.encrypted,
            position: row.position,
            pattern: row.pattern.map(|pattern| pattern.regex(&self.columns.code)),
        })
    }

    /// The phishing lists.
    pub fn phishing(&self) -> Phishing<'_> {
        Phishing { columns: &self.columns.phishing, code: &self.columns.code }
    }

    /// Passwords of archives, in the order of their lines; the last is tried
    /// first.
    pub fn passwords(&self) -> impl ExactSizeIterator<Item = Password<'_>> {
        self.columns
            .passwords
            .iter()
            .map(|row| Password { file_type: row.file_type, bytes: self.code(row.code) })
    }

    /// Whether layers are to be searched before what is inside them, as a
    /// `.sdb` asks for.
    pub fn is_raw_first(&self) -> bool {
        self.columns.raw_first
    }

    /// A set of the file type magic of `sets` alone, one after the other.
    pub fn magic_of(sets: &[&SignatureSet]) -> SignatureSet {
        let mut columns = Columns::default();
        for set in sets {
            for row in &set.columns.magics {
                let start = columns.code.len();
                columns.code.to_mut().extend_from_slice(set.code(row.code));
                let code = CodeRange::new(start, columns.code.len());
                columns.magics.push(MagicRow { code, ..row.clone() });
            }
        }
        columns.seal();
        SignatureSet { columns }
    }

    fn rows(&self, kind: SigKind) -> &Rows {
        match kind {
            SigKind::Body => &self.columns.body_rows,
            SigKind::Hash(kind) => &self.columns.hash_rows[kind as usize],
            SigKind::PartHash(part, kind) => &self.columns.part_rows[part as usize][kind as usize],
            SigKind::Logical => &self.columns.logical_rows,
            SigKind::Certificate => &self.columns.certificate_rows,
            SigKind::Container => &self.columns.container_rows,
            SigKind::Yara => &self.columns.yara_rows,
        }
    }

    /// All signatures, by kind. Entries of lists are none.
    pub fn ids(&self) -> impl Iterator<Item = SigId> {
        let hashes = DigestKind::ALL.map(SigKind::Hash);
        let parts = HashedPart::ALL
            .into_iter()
            .flat_map(|part| DigestKind::ALL.map(|kind| SigKind::PartHash(part, kind)));
        [SigKind::Body, SigKind::Logical, SigKind::Yara, SigKind::Container, SigKind::Certificate]
            .into_iter()
            .chain(hashes)
            .chain(parts)
            .flat_map(|kind| (0..self.rows(kind).len()).map(move |index| SigId::new(kind, index)))
    }

    /// The name of a signature, as it is in the database.
    pub fn name(&self, id: SigId) -> Cow<'_, [u8]> {
        self.rows(id.kind()).name(id.index())
    }

    /// Where a signature was defined.
    pub fn origin(&self, id: SigId) -> Option<Origin<'_>> {
        let (source, line) = self.rows(id.kind()).run(id.index())?;
        let source = self.columns.sources.get(source as usize)?;
        Some(Origin { source: &source.name, line, official: source.official })
    }

    fn code(&self, range: CodeRange) -> &[u8] {
        range.of(&self.columns.code)
    }
}
