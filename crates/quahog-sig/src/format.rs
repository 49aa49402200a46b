//! Database formats, told apart by file extension.

/// A text database, one variant for each file extension.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs)] // the extensions; `grammar` says what they hold
pub enum Format {
    Cat,
    Cbc,
    Cdb,
    Cfg,
    Crb,
    Db,
    Fp,
    Ftm,
    Gdb,
    Hdb,
    Hdu,
    Hsb,
    Hsu,
    Idb,
    Ign,
    Ign2,
    Imp,
    Ioc,
    Ldb,
    Ldu,
    Mdb,
    Mdu,
    Msb,
    Msu,
    Ndb,
    Ndu,
    Pdb,
    Pwdb,
    Rmd,
    Sdb,
    Sfp,
    Wdb,
    Yar,
    Yara,
    Zmd,
}

/// How the lines of a format are built: several extensions share a grammar.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Grammar {
    /// `hash:size:name`, for files that are allowed.
    AllowHash,
    /// Archive passwords.
    Password,
    /// Bytecode programs.
    Bytecode,
    /// Binary Authenticode catalogues.
    Catalogue,
    /// Authenticode certificate rules.
    Certificate,
    /// Container metadata.
    Container,
    /// `name:target:offset:pattern`.
    Extended,
    /// Feature switches.
    Feature,
    /// `hash:size:name`.
    FileHash,
    /// Icon hashes.
    Icon,
    /// Names of signatures to leave out.
    Ignore,
    /// Import-table hashes.
    ImportHash,
    /// OpenIOC documents.
    Ioc,
    /// `name;block;expression;subsignatures`.
    Logical,
    /// File type magic.
    Magic,
    /// Phishing lists.
    Phishing,
    /// `size:hash:name` of PE sections.
    SectionHash,
    /// `name=pattern`.
    Simple,
    /// YARA rules.
    Yara,
    /// Obsolete zip and rar metadata.
    ZipRar,
}

/// A row for each variant, in their order.
static TABLE: &[(&str, Format, Grammar)] = &[
    ("cat", Format::Cat, Grammar::Catalogue),
    ("cbc", Format::Cbc, Grammar::Bytecode),
    ("cdb", Format::Cdb, Grammar::Container),
    ("cfg", Format::Cfg, Grammar::Feature),
    ("crb", Format::Crb, Grammar::Certificate),
    ("db", Format::Db, Grammar::Simple),
    ("fp", Format::Fp, Grammar::AllowHash),
    ("ftm", Format::Ftm, Grammar::Magic),
    ("gdb", Format::Gdb, Grammar::Phishing),
    ("hdb", Format::Hdb, Grammar::FileHash),
    ("hdu", Format::Hdu, Grammar::FileHash),
    ("hsb", Format::Hsb, Grammar::FileHash),
    ("hsu", Format::Hsu, Grammar::FileHash),
    ("idb", Format::Idb, Grammar::Icon),
    ("ign", Format::Ign, Grammar::Ignore),
    ("ign2", Format::Ign2, Grammar::Ignore),
    ("imp", Format::Imp, Grammar::ImportHash),
    ("ioc", Format::Ioc, Grammar::Ioc),
    ("ldb", Format::Ldb, Grammar::Logical),
    ("ldu", Format::Ldu, Grammar::Logical),
    ("mdb", Format::Mdb, Grammar::SectionHash),
    ("mdu", Format::Mdu, Grammar::SectionHash),
    ("msb", Format::Msb, Grammar::SectionHash),
    ("msu", Format::Msu, Grammar::SectionHash),
    ("ndb", Format::Ndb, Grammar::Extended),
    ("ndu", Format::Ndu, Grammar::Extended),
    ("pdb", Format::Pdb, Grammar::Phishing),
    ("pwdb", Format::Pwdb, Grammar::Password),
    ("rmd", Format::Rmd, Grammar::ZipRar),
    ("sdb", Format::Sdb, Grammar::Extended),
    ("sfp", Format::Sfp, Grammar::AllowHash),
    ("wdb", Format::Wdb, Grammar::Phishing),
    ("yar", Format::Yar, Grammar::Yara),
    ("yara", Format::Yara, Grammar::Yara),
    ("zmd", Format::Zmd, Grammar::ZipRar),
];

impl Format {
    /// The format of a file with this name, by its extension in either case.
    ///
    /// ```
    /// use quahog_sig::Format;
    /// assert_eq!(Format::from_file_name("local.NDB"), Some(Format::Ndb));
    /// assert_eq!(Format::from_file_name("local.ndb.bak"), None);
    /// ```
    pub fn from_file_name(name: &str) -> Option<Format> {
        let (_, extension) = name.rsplit_once('.')?;
        let row = TABLE.iter().find(|(e, ..)| e.eq_ignore_ascii_case(extension))?;
        Some(row.1)
    }

    /// The extension, without a dot.
    pub fn extension(self) -> &'static str {
        self.row().map_or("", |row| row.0)
    }

    /// Its row: they stand in the order of the variants.
    fn row(self) -> Option<&'static (&'static str, Format, Grammar)> {
        TABLE.get(self as usize)
    }

    /// How its lines are built.
    pub fn grammar(self) -> Grammar {
        self.row().map_or(Grammar::Ioc, |row| row.2)
    }

    /// Whether it holds signatures of possibly unwanted applications, which
    /// load only on demand.
    pub fn is_pua(self) -> bool {
        use Format::{Hdu, Hsu, Ldu, Mdu, Msu, Ndu};
        matches!(self, Hdu | Hsu | Ldu | Mdu | Msu | Ndu)
    }

    /// Whether its lines stand in the count of a container's header: all but
    /// what says how to look, and not what to find (sigtool 1.4.6, `--build`).
    pub fn is_counted(self) -> bool {
        use Format::{Cfg, Ftm, Ign, Ign2, Pwdb, Wdb};
        !matches!(self, Cfg | Ftm | Ign | Ign2 | Pwdb | Wdb)
    }

    /// Whether a file is read as a whole, by
    /// [`SetBuilder::document`](crate::SetBuilder::document), and not line by
    /// line.
    pub fn is_document(self) -> bool {
        matches!(self.grammar(), Grammar::Bytecode | Grammar::Yara)
    }

    /// Whether [`SetBuilder::line`](crate::SetBuilder::line) reads it.
    pub fn is_read(self) -> bool {
        !matches!(self.grammar(), Grammar::Bytecode | Grammar::Catalogue | Grammar::Yara)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_leads_back_to_its_format() {
        for &(extension, format, grammar) in TABLE {
            assert_eq!(format.row().map(|row| row.1), Some(format));
            assert_eq!(Format::from_file_name(&format!("x.{extension}")), Some(format));
            assert_eq!((format.extension(), format.grammar()), (extension, grammar));
        }
        assert_eq!(Format::from_file_name("x.info"), None);
        assert_eq!(Format::from_file_name("ndb"), None);
    }
}
