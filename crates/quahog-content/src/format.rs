//! The formats: what can be opened, how far, by whom.
//!
//! A new format is one file in this crate, and one entry in the table below:
//! its variant, the function that opens it, the switch that it hangs on, the
//! file types that ClamAV has for it, and what the manual says of it. The
//! table of the manual is made from this one.

use std::fmt::Write as _;

use crate::{Budget, Shortfall, Visit, archive, document, mail};

/// What the manual says of a format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// What people call it.
    pub name: &'static str,
    /// How far it is opened.
    pub depth: &'static str,
    /// Who reads it: code of this crate (`own`), and crates.
    pub by: &'static str,
    /// Bounds of its own, beside those of the [`Budget`].
    pub limits: &'static str,
}

/// What kind of thing a format is: what a user can ask not to be opened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Switch {
    /// Nothing that can be asked for.
    Always,
    /// An archive, or a compressed file.
    Archive,
    /// A message, or something that only messages hold.
    Mail,
    /// An OLE2 document.
    Ole2,
    /// A OneNote document.
    OneNote,
    /// PDF.
    Pdf,
    /// Flash.
    Swf,
    /// A document that is XML.
    XmlDocuments,
}

macro_rules! formats {
    (
        archives {
            $($(#[doc = $archive_doc:literal])* $archive:ident => $open_archive:path,
                $archive_switch:ident, [$($archive_type:literal),*], $archive_facts:expr;)*
        }
        others {
            $($(#[doc = $doc:literal])* $format:ident => $open:path,
                $switch:ident, [$($type:literal),*], $facts:expr;)*
        }
    ) => {
        /// What this crate can open.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Format {
            $($(#[doc = $archive_doc])* $archive,)*
            $($(#[doc = $doc])* $format,)*
        }

        impl Format {
            /// The archives and compressed streams among the formats.
            pub const ARCHIVES: &[Format] = &[$(Format::$archive,)*];

            /// The other formats.
            pub const OTHERS: &[Format] = &[$(Format::$format,)*];

            /// What the manual says of it.
            pub fn facts(self) -> Facts {
                match self {
                    $(Format::$archive => $archive_facts,)*
                    $(Format::$format => $facts,)*
                }
            }

            /// What a user can ask not to be opened, and this with it.
            pub fn switch(self) -> Switch {
                match self {
                    $(Format::$archive => Switch::$archive_switch,)*
                    $(Format::$format => Switch::$switch,)*
                }
            }

            /// The names of its file types in ClamAV, without `CL_TYPE_`; none
            /// for what [`recognize`](Self::recognize) tells.
            pub fn types(self) -> &'static [&'static str] {
                match self {
                    $(Format::$archive => &[$($archive_type),*],)*
                    $(Format::$format => &[$($type),*],)*
                }
            }

            /// The format of a file type, by its name without `CL_TYPE_`.
            pub fn of_type(name: &str) -> Option<Format> {
                match name {
                    $($($archive_type => Some(Format::$archive),)*)*
                    $($($type => Some(Format::$format),)*)*
                    _ => None,
                }
            }
        }

        /// Pushes each part of `bytes`, read as `format`, to `visit`.
        ///
        /// Returns what of the container *itself* was not looked at: `None` means
        /// that every part was visited (or that the visitor stopped the walk). What
        /// is missing of a single part stands in [`Part::shortfall`]. Takes time
        /// linear in `bytes` plus the bytes of the parts, which are charged to
        /// `budget`.
        ///
        /// [`Part::shortfall`]: crate::Part::shortfall
        pub fn open(
            format: Format,
            bytes: &[u8],
            budget: &Budget<'_>,
            visit: &mut Visit<'_>,
        ) -> Option<Shortfall> {
            match format {
                $(Format::$archive => $open_archive(bytes, budget, visit),)*
                $(Format::$format => $open(bytes, budget, visit),)*
            }
        }
    };
}

formats! {
    archives {
        /// A zip archive.
        Zip => archive::zip::open, Archive,
            ["ZIP", "ZIPSFX", "OOXML_WORD", "OOXML_PPT", "OOXML_XL", "OOXML_HWP"], Facts {
            name: "zip; OOXML, ODF, jar",
            depth: "stored, deflate, deflate64, bzip2, LZMA, Zstandard, xz, PPMd, shrink, \
                reduce, implode; directory and local headers, and what only one of them \
                names; zip64, streamed, prefixed, damaged, one volume of several; the \
                traditional encryption with known passwords",
            by: "own walker; flate2, deflate64, bzip2, lzma-rust2, ruzstd, ppmd-rust, own",
            limits: "re-reading at most 4 times the archive",
        };
        /// gzip, of one or more members (RFC 1952).
        Gzip => archive::gzip::open, Archive, ["GZ"], Facts {
            name: "gzip",
            depth: "any number of members",
            by: "flate2",
            limits: "",
        };
        /// bzip2, of one or more streams.
        Bzip2 => archive::bzip2::open, Archive, ["BZ"], Facts {
            name: "bzip2",
            depth: "any number of streams",
            by: "bzip2",
            limits: "",
        };
        /// xz, of one or more streams.
        Xz => archive::xz::open, Archive, ["XZ"], Facts {
            name: "xz",
            depth: "any number of streams, all checks and filters",
            by: "lzma-rust2",
            limits: "dictionaries of 128 MiB",
        };
        /// lzip, of one or more members.
        Lzip => archive::lzip::open, Archive, [], Facts {
            name: "lzip",
            depth: "any number of members",
            by: "lzma-rust2",
            limits: "dictionaries of 128 MiB",
        };
        /// Zstandard frames.
        Zstd => archive::zstd::open, Archive, [], Facts {
            name: "Zstandard",
            depth: "any number of frames",
            by: "ruzstd",
            limits: "dictionaries of 128 MiB",
        };
        /// LZ4 frames.
        Lz4 => archive::lz4::open, Archive, [], Facts {
            name: "LZ4",
            depth: "any number of frames",
            by: "lz4_flex",
            limits: "",
        };
        /// An `.lzma` file.
        Lzma => archive::lzma::open, Archive, [], Facts {
            name: "LZMA (`.lzma`)",
            depth: "whole files, by the headers that encoders write, for it has no magic",
            by: "lzma-rust2",
            limits: "a dictionary as large as the part may be",
        };
        /// compress (`.Z`).
        Compress => archive::compress::open, Archive, [], Facts {
            name: "compress (`.Z`)",
            depth: "whole files",
            by: "own",
            limits: "",
        };
        /// A tar archive of any dialect.
        Tar => archive::tar::open, Archive, ["OLD_TAR", "POSIX_TAR"], Facts {
            name: "tar",
            depth: "v7, ustar, GNU, pax, sparse files of all forms; goes on behind zeros and \
                damage",
            by: "own walker",
            limits: "holes of sparse files are filled up to 32 MiB",
        };
        /// A cpio archive in any of its forms.
        Cpio => archive::cpio::open, Archive,
            ["CPIO_CRC", "CPIO_NEWC", "CPIO_ODC", "CPIO_OLD"], Facts {
            name: "cpio",
            depth: "odc, newc, crc, binary of both byte orders",
            by: "own walker",
            limits: "",
        };
        /// An archive of ar, as linkers and Debian's packages have it.
        Ar => archive::ar::open, Archive, [], Facts {
            name: "ar",
            depth: "GNU's and BSD's long names",
            by: "own walker",
            limits: "",
        };
        /// A 7z archive.
        SevenZ => archive::sevenz::open, Archive, ["7Z", "7ZSFX"], Facts {
            name: "7z",
            depth: "copy, LZMA, LZMA2, PPMd, bzip2, deflate, deflate64, Zstandard, BCJ and BCJ2 \
                filters, delta; packed headers; what is encrypted is named",
            by: "own walker; lzma-rust2, ppmd-rust, bzip2, flate2, deflate64, ruzstd",
            limits: "dictionaries of 128 MiB, 32 coders",
        };
        /// A RAR archive.
        Rar => archive::rar::open, Archive, ["RAR", "RARSFX"], Facts {
            name: "RAR",
            depth: "versions 2, 3 and 5, solid too, with the filters for programs and delta; \
                not: encrypted, PPMd and audio blocks, the filters for pictures and sound, \
                versions before 2",
            by: "own",
            limits: "the window of a solid archive is kept up to 32 MiB",
        };
        /// A cabinet of Windows.
        Cabinet => archive::cabinet::open, Archive, ["MSCAB", "CABSFX"], Facts {
            name: "cabinets",
            depth: "stored, MSZIP, LZX; not: Quantum, what lies in another cabinet",
            by: "own walker; flate2, lzxd",
            limits: "",
        };
        /// Compiled help (CHM).
        Chm => archive::chm::open, Archive, ["MSCHM"], Facts {
            name: "compiled help (CHM)",
            depth: "stored and LZX",
            by: "own walker; lzxd",
            limits: "",
        };
        /// An LHA archive (`.lzh`).
        Lha => archive::lha::open, Archive, ["LHA_LZH"], Facts {
            name: "LHA",
            depth: "headers of levels 0 to 3, methods lh0, lh1, lh4 to lh7, lhx, lzs, lz4, lz5, \
                pm0 to pm2; not: lh2, lh3",
            by: "own walker; delharc, own",
            limits: "",
        };
        /// An ARJ archive.
        Arj => archive::arj::open, Archive, ["ARJ", "ARJSFX"], Facts {
            name: "ARJ",
            depth: "methods 0 to 4; not: what is encrypted",
            by: "own walker; delharc, own",
            limits: "",
        };
        /// A CD image (ISO 9660).
        Iso => archive::iso::open, Archive, ["ISO9660"], Facts {
            name: "ISO 9660",
            depth: "with Joliet, raw sectors, files of several extents",
            by: "own walker",
            limits: "",
        };
        /// A file compressed by COMPRESS.EXE.
        Szdd => archive::szdd::open, Archive, ["MSSZDD"], Facts {
            name: "COMPRESS.EXE (SZDD)",
            depth: "both forms",
            by: "own",
            limits: "",
        };
        /// An archive of ALZip.
        Alz => archive::alz::open, Archive, ["ALZ"], Facts {
            name: "ALZ",
            depth: "stored, deflate, bzip2; not: what is encrypted",
            by: "own walker; flate2, bzip2",
            limits: "",
        };
        /// An archive of ALZip, in its later format.
        Egg => archive::egg::open, Archive, ["EGG", "EGGSFX"], Facts {
            name: "EGG",
            depth: "stored, deflate, bzip2, LZMA; not: AZO, solid ones, what is encrypted",
            by: "own walker; flate2, bzip2, lzma-rust2",
            limits: "",
        };
        /// A xar archive.
        Xar => archive::xar::open, Archive, ["XAR"], Facts {
            name: "xar",
            depth: "gzip, bzip2, LZMA, xz; the table of contents too",
            by: "own walker; flate2, bzip2, lzma-rust2",
            limits: "a table of 32 MiB",
        };
        /// A setup program of InstallShield.
        InstallShield => archive::installshield::open, Archive, ["ISHIELD_MSI"], Facts {
            name: "InstallShield setups",
            depth: "coded files behind the program; files as they are, and those inside of \
                InstallShield's own cabinets of versions 5 and later; not: files that go \
                over two cabinets",
            by: "own; flate2",
            limits: "",
        };
        /// A setup program of NSIS.
        Nsis => archive::nsis::open, Archive, ["NULSFT"], Facts {
            name: "NSIS setups",
            depth: "scripts and files, without their names, each packed or all as one; stored, \
                deflate, LZMA; not: bzip2, filters",
            by: "own walker; flate2, lzma-rust2",
            limits: "dictionaries of 128 MiB",
        };
        /// A Symbian package.
        Sis => archive::sis::open, Archive, ["SIS"], Facts {
            name: "Symbian packages (SIS)",
            depth: "of EPOC and since Symbian 9; not: options in old ones",
            by: "own walker; flate2",
            limits: "",
        };
    }
    others {
        /// An Internet message (RFC 5322), MIME or not, or an mbox of several.
        Mail => mail::open, Mail, ["MAIL", "MHTML"], Facts {
            name: "messages (RFC 5322, MIME, mbox)",
            depth: "multiparts, base64, quoted-printable, uuencode, yEnc, BinHex; names of RFC \
                2047 and 2231; where mail readers disagree, every reading",
            by: "own walker",
            limits: "`mail_depth`, 200 multiparts",
        };
        /// Outlook's `winmail.dat`.
        Tnef => document::tnef::open, Mail, ["TNEF"], Facts {
            name: "TNEF",
            depth: "attachments under their longest names, embedded objects, bodies",
            by: "own walker",
            limits: "",
        };
        /// uuencode, and whatever else a text has encoded in it.
        Uuencode => mail::open_text, Mail, ["UUENCODED"], Facts {
            name: "uuencode, yEnc",
            depth: "the files in a text",
            by: "own",
            limits: "",
        };
        /// BinHex 4.0, and whatever else a text has encoded in it.
        BinHex => mail::open_text, Mail, ["BINHEX"], Facts {
            name: "BinHex",
            depth: "both forks of the files in a text",
            by: "own",
            limits: "",
        };
        /// A calendar or an address card.
        Calendar => document::calendar::open, Mail, [], Facts {
            name: "iCalendar, vCard",
            depth: "attachments in base64 and `data:` URLs",
            by: "own walker",
            limits: "",
        };
        /// *ActiveMime*, which Office puts macros in beside web pages.
        ActiveMime => document::xml::open_active_mime, Mail, [], Facts {
            name: "ActiveMime",
            depth: "what is packed in it",
            by: "own walker; flate2",
            limits: "",
        };
        /// An OLE2 compound file: Office up to 2003, Outlook messages, HWP.
        Ole2 => document::ole::open, Ole2, ["HWPOLE2", "MSOLE2"], Facts {
            name: "OLE2 (Office to 2003, Outlook messages, HWP 5, installers)",
            depth: "every stream, linked or not; embedded files and objects; sources of VBA as \
                text, listed or hidden, and in the normal form of ClamAV; pictures of \
                drawings; attachments and packed bodies of messages under their names; OOXML that is \
                encrypted with Excel's default password (AES, standard and agile), and workbooks \
                (RC4, obfuscation); not: other encrypted documents; Excel 4 macros are told of, \
                not written out",
            by: "own walker; flate2, aes",
            limits: "reading at most 4 times the document; 4 keys made of passwords for an input",
        };
        /// A script of Microsoft's script encoder.
        EncodedScript => document::screnc::open, Always, ["SCRENC"], Facts {
            name: "encoded scripts (JSE, VBE)",
            depth: "each script decoded; those in HTML, too",
            by: "own",
            limits: "",
        };
        /// PDF.
        Pdf => document::pdf::open, Pdf, ["PDF"], Facts {
            name: "PDF",
            depth: "every stream through its filters (Flate, LZW, ASCII85, ASCIIHex, RunLength, \
                predictors), object streams, JavaScript as written and as read, embedded \
                files under their names; decrypted if the user password is empty (RC4, \
                AES-128, AES-256); not: other passwords; pictures keep their compression",
            by: "own walker; flate2, aes",
            limits: "reading at most 4 times the document",
        };
        /// Rich text.
        Rtf => document::rtf::open, Always, ["RTF"], Facts {
            name: "RTF",
            depth: "objects and pictures, hexadecimal or binary, the file inside of a packager's \
                object",
            by: "own walker",
            limits: "",
        };
        /// A Windows shortcut.
        Shortcut => document::shortcut::open, Always, ["LNK"], Facts {
            name: "Windows shortcuts (LNK)",
            depth: "paths and arguments as one text, and what follows the last block",
            by: "own",
            limits: "",
        };
        /// A OneNote section.
        OneNote => document::onenote::open, OneNote, ["ONENOTE"], Facts {
            name: "OneNote",
            depth: "attached files, of the program and of the web; not: names of files",
            by: "own walker",
            limits: "reading at most 4 times the document",
        };
        /// A document of Word, Excel or HWP that is one XML file.
        XmlOffice => document::xml::open, XmlDocuments, ["XML_HWP", "XML_WORD", "XML_XL"], Facts {
            name: "XML of Word and Excel 2003, flat OPC, HWPML",
            depth: "binary data, ActiveMime unpacked",
            by: "own walker; flate2",
            limits: "",
        };
        /// A Flash film.
        Swf => document::swf::open, Swf, ["SWF"], Facts {
            name: "Flash",
            depth: "the film without its compression (zlib, LZMA)",
            by: "own; flate2, lzma-rust2",
            limits: "",
        };
    }
}

impl Format {
    /// The format that the first bytes tell, of those for which ClamAV has no
    /// file type (lzip, LZ4, calendars, ...).
    pub fn recognize(bytes: &[u8]) -> Option<Format> {
        if let Some(archive) = archive::recognize::recognize(bytes) {
            Some(archive)
        } else if document::calendar::is_calendar(bytes) {
            Some(Format::Calendar)
        } else if document::xml::is_active_mime(bytes) {
            Some(Format::ActiveMime)
        } else {
            None
        }
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

    /// The table of these formats in Markdown, as the manual has it.
    pub fn table(formats: &[Format]) -> String {
        let mut table = "| format | how far | by | limits |\n|---|---|---|---|\n".to_owned();
        for format in formats {
            let Facts { name, depth, by, limits } = format.facts();
            // Writing to a string does not fail.
            let _ = writeln!(table, "| {name} | {depth} | {by} | {limits} |");
        }
        table
    }
}
