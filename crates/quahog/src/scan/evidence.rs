//! Evidence: what a policy may want to know of a message in which nothing was
//! found.
//!
//! None of it is a detection, and none changes a verdict. It is met on the way:
//! flags of containers, names that are made to deceive, and three claims about
//! one object (its name, its declared type, its bytes) that cannot all be true.

use std::fmt;

use quahog_content::{Ambiguity, MACRO_SHEET, MACRO_SOURCE};
use quahog_sig::model::FileType;

/// Something that a policy may want to know, and of which object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// The object that it is about, as in [`Detection::object`](super::Detection::object).
    pub object: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.object.is_empty() {
            write!(f, "{}", self.kind)
        } else {
            write!(f, "{} in {}", self.kind, self.object.escape_debug())
        }
    }
}

/// What a policy may want to know.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EvidenceKind {
    /// Mail readers disagree on the reading; every reading was looked at. About
    /// the message if it is a boundary, else about the part.
    Ambiguous(Ambiguity),
    /// The name hides that the object is a program: `invoice.pdf.exe`, blanks
    /// before the last suffix, or a sign that turns the direction of writing.
    DoubleExtension,
    /// Encrypted; whether a known password opened it says the completeness.
    Encrypted,
    /// A sheet of Excel 4 macros; about the document.
    MacroSheet,
    /// A VBA project with source; about the OLE2 document that it is in.
    MacroVba,
    /// Of name, declared type and bytes two contradict each other.
    TypeMismatch,
}

impl EvidenceKind {
    /// A stable name for machines: `encrypted`, `ambiguous-boundary`, ...
    pub fn code(self) -> &'static str {
        match self {
            EvidenceKind::Ambiguous(Ambiguity::Boundary) => "ambiguous-boundary",
            EvidenceKind::Ambiguous(Ambiguity::Encoding) => "ambiguous-encoding",
            EvidenceKind::Ambiguous(Ambiguity::HeaderEnd) => "ambiguous-header-end",
            EvidenceKind::Ambiguous(Ambiguity::MediaType) => "ambiguous-media-type",
            EvidenceKind::Ambiguous(Ambiguity::Name) => "ambiguous-name",
            EvidenceKind::Ambiguous(_) => "ambiguous",
            EvidenceKind::DoubleExtension => "double-extension",
            EvidenceKind::Encrypted => "encrypted",
            EvidenceKind::MacroSheet => "macro-xlm",
            EvidenceKind::MacroVba => "macro-vba",
            EvidenceKind::TypeMismatch => "type-mismatch",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The macro that a part is, by what it is declared to be, or by its place in
/// an office document that is a zip archive.
pub(super) fn macro_of(declared: Option<&str>, name: &str) -> Option<EvidenceKind> {
    match declared {
        Some(MACRO_SOURCE) => Some(EvidenceKind::MacroVba),
        Some(MACRO_SHEET) => Some(EvidenceKind::MacroSheet),
        None if name.starts_with("xl/macrosheets/") => Some(EvidenceKind::MacroSheet),
        _ => None,
    }
}

/// Whether a name hides that it is one of a program.
pub(super) fn hides_a_program(name: &str) -> bool {
    // These two turn Latin letters around, and no name needs them.
    if name.contains(['\u{202d}', '\u{202e}']) {
        return true;
    }
    // What Windows leaves out at the end of a name.
    let name = file(name).trim_end_matches(['.', ' ']);
    let Some((stem, last)) = name.rsplit_once('.') else { return false };
    if !Suffix::of(last).is_some_and(|last| last.is_in(PROGRAMS)) {
        return false;
    }
    let shown = stem.trim_end();
    let blanks = stem[shown.len()..].chars().count();
    let decoy = shown.rsplit_once('.').and_then(|(_, suffix)| Suffix::of(suffix.trim()));
    blanks >= MANY_BLANKS || decoy.is_some_and(|decoy| decoy.is_in(DECOYS))
}

/// As many blanks push a suffix out of sight.
const MANY_BLANKS: usize = 8;

/// Suffixes of what Windows runs when it is opened.
const PROGRAMS: &[&str] = &[
    "bat", "chm", "cmd", "com", "cpl", "exe", "hta", "jar", "js", "jse", "lnk", "msi", "pif",
    "ps1", "reg", "scr", "vbe", "vbs", "wsf", "wsh",
];

/// Suffixes that such a name shows instead.
const DECOYS: &[&str] = &[
    "avi", "bmp", "csv", "doc", "docx", "eml", "gif", "jpeg", "jpg", "mov", "mp3", "mp4", "msg",
    "odp", "ods", "odt", "pdf", "png", "pps", "ppt", "pptx", "rtf", "tif", "tiff", "txt", "wav",
    "xls", "xlsx", "xml", "zip",
];

/// The last part of a path.
fn file(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// A suffix of a name, lower-case.
#[derive(Clone, Copy)]
struct Suffix {
    bytes: [u8; Suffix::LONGEST],
    length: usize,
}

impl Suffix {
    const LONGEST: usize = 8;

    fn of(text: &str) -> Option<Suffix> {
        let mut bytes = [0; Suffix::LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        bytes.make_ascii_lowercase();
        Some(Suffix { bytes, length: text.len() })
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn is_in(&self, list: &[&str]) -> bool {
        list.iter().any(|known| known.as_bytes() == self.text())
    }
}

/// A claim of what an object is: the contents that it allows, a bit for each.
/// No bit is no claim.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Claim(u32);

impl Claim {
    const ARCHIVE_7Z: Claim = Claim(1 << 0);
    const BZIP2: Claim = Claim(1 << 1);
    const CABINET: Claim = Claim(1 << 2);
    const DISC: Claim = Claim(1 << 3);
    const FLASH: Claim = Claim(1 << 4);
    const GZIP: Claim = Claim(1 << 5);
    const HTML: Claim = Claim(1 << 6);
    const JAVA: Claim = Claim(1 << 7);
    const LINK: Claim = Claim(1 << 8);
    const MESSAGE: Claim = Claim(1 << 9);
    const OLE2: Claim = Claim(1 << 10);
    const ONENOTE: Claim = Claim(1 << 11);
    const PDF: Claim = Claim(1 << 12);
    const PICTURE: Claim = Claim(1 << 13);
    const PROGRAM: Claim = Claim(1 << 14);
    const RAR: Claim = Claim(1 << 15);
    const RTF: Claim = Claim(1 << 16);
    const SOUND: Claim = Claim(1 << 17);
    const TAR: Claim = Claim(1 << 18);
    /// Plain text: what nothing else is told by.
    const TEXT: Claim = Claim(1 << 19);
    const TNEF: Claim = Claim(1 << 20);
    const XML: Claim = Claim(1 << 21);
    const XZ: Claim = Claim(1 << 22);
    const ZIP: Claim = Claim(1 << 23);

    /// What passes for text.
    const TEXTS: Claim = Claim::TEXT.or(Claim::HTML).or(Claim::MESSAGE).or(Claim::XML);
    /// What programs of an office open under the names of their old formats:
    /// they look at the bytes, so others write any of these.
    const OFFICE: Claim = Claim::OLE2.or(Claim::ZIP).or(Claim::RTF).or(Claim::TEXTS);
    /// New formats, and what these are when they are encrypted.
    const OOXML: Claim = Claim::ZIP.or(Claim::OLE2);

    const fn or(self, other: Claim) -> Claim {
        Claim(self.0 | other.0)
    }

    /// Whether both are claims, and no content is allowed by both.
    fn contradicts(self, other: Claim) -> bool {
        self.0 != 0 && other.0 != 0 && self.0 & other.0 == 0
    }

    /// What the suffix of a name says.
    pub(super) fn of_name(name: &str) -> Claim {
        let name = file(name).trim_end_matches(['.', ' ']);
        let suffix = name.rsplit_once('.').and_then(|(_, suffix)| Suffix::of(suffix));
        let Some(suffix) = suffix else { return Claim::default() };
        match suffix.text() {
            b"7z" => Claim::ARCHIVE_7Z,
            b"bz2" | b"tbz2" => Claim::BZIP2,
            b"cab" => Claim::CABINET,
            b"iso" => Claim::DISC,
            b"swf" => Claim::FLASH,
            b"gz" | b"tgz" => Claim::GZIP,
            b"htm" | b"html" | b"xhtml" | b"mht" | b"mhtml" | b"eml" => Claim::TEXTS,
            b"class" => Claim::JAVA,
            b"lnk" => Claim::LINK,
            b"msg" | b"msi" => Claim::OLE2,
            b"one" => Claim::ONENOTE,
            b"pdf" => Claim::PDF,
            b"bmp" | b"gif" | b"jpe" | b"jpeg" | b"jpg" | b"png" | b"tif" | b"tiff" | b"webp" => {
                Claim::PICTURE
            }
            b"cpl" | b"dll" | b"exe" | b"ocx" | b"pif" | b"scr" | b"sys" => Claim::PROGRAM,
            b"rar" => Claim::RAR,
            b"rtf" => Claim::RTF,
            b"avi" | b"mp3" | b"mp4" | b"wav" => Claim::SOUND,
            b"tar" => Claim::TAR,
            b"csv" | b"ics" | b"js" | b"json" | b"log" | b"md" | b"ps1" | b"svg" | b"txt"
            | b"vbs" | b"vcf" | b"xml" => Claim::TEXTS,
            b"xz" | b"txz" => Claim::XZ,
            b"apk" | b"epub" | b"jar" | b"odp" | b"ods" | b"odt" | b"zip" => Claim::ZIP,
            b"doc" | b"dot" | b"pot" | b"pps" | b"ppt" | b"xls" | b"xlt" => Claim::OFFICE,
            b"docm" | b"docx" | b"dotm" | b"dotx" | b"potm" | b"potx" | b"ppsm" | b"ppsx"
            | b"pptm" | b"pptx" | b"xlsb" | b"xlsm" | b"xlsx" | b"xltm" | b"xltx" => Claim::OOXML,
            _ => Claim::default(),
        }
    }

    /// What a media type says, lower-case and without parameters.
    pub(super) fn of_media_type(media: &str) -> Claim {
        let Some((kind, name)) = media.split_once('/') else { return Claim::default() };
        match (kind, name) {
            ("image", "svg+xml") => Claim::TEXTS,
            ("image", _) => Claim::PICTURE,
            ("audio" | "video", _) => Claim::SOUND,
            ("text", "rtf" | "richtext") => Claim::RTF.or(Claim::TEXTS),
            // Not of a message, but of ours.
            ("text", "x-vba") => Claim::default(),
            ("text", _) | ("application", "javascript" | "json" | "xml") => Claim::TEXTS,
            ("application", name) => Claim::of_application(name),
            _ => Claim::default(),
        }
    }

    fn of_application(name: &str) -> Claim {
        match name {
            "java-archive" | "x-zip" | "x-zip-compressed" | "zip" => Claim::ZIP,
            "gzip" | "x-gzip" => Claim::GZIP,
            "ms-tnef" => Claim::TNEF,
            "msword" | "vnd.ms-excel" | "vnd.ms-powerpoint" => Claim::OFFICE,
            "onenote" => Claim::ONENOTE,
            "pdf" | "x-pdf" => Claim::PDF,
            "rtf" => Claim::RTF,
            "vnd.microsoft.portable-executable" | "x-dosexec" | "x-msdownload" => Claim::PROGRAM,
            "vnd.ms-cab-compressed" => Claim::CABINET,
            "vnd.rar" | "x-rar" | "x-rar-compressed" => Claim::RAR,
            "x-7z-compressed" => Claim::ARCHIVE_7Z,
            "x-bzip2" => Claim::BZIP2,
            "x-iso9660-image" => Claim::DISC,
            "x-ms-shortcut" => Claim::LINK,
            "x-shockwave-flash" => Claim::FLASH,
            "x-tar" => Claim::TAR,
            "x-xz" => Claim::XZ,
            name if name.starts_with("vnd.openxmlformats") => Claim::OOXML,
            name if name.starts_with("vnd.oasis.opendocument") => Claim::ZIP,
            _ => Claim::default(),
        }
    }

    /// What the bytes say. Text and data of no known kind say nothing: no
    /// reader takes them for more than they are.
    fn of_bytes(file_type: FileType) -> Claim {
        use FileType as F;
        match file_type {
            F::SEVENZ => Claim::ARCHIVE_7Z,
            F::BZ => Claim::BZIP2,
            F::MSCAB => Claim::CABINET,
            F::ISO9660 | F::UDF => Claim::DISC,
            F::SWF => Claim::FLASH,
            F::GZ => Claim::GZIP,
            F::HTML | F::HTML_UTF16 => Claim::HTML,
            F::JAVA => Claim::JAVA,
            F::LNK => Claim::LINK,
            F::MAIL | F::MHTML => Claim::MESSAGE,
            F::MSOLE2 | F::HWPOLE2 => Claim::OLE2,
            F::ONENOTE => Claim::ONENOTE,
            F::PDF => Claim::PDF,
            F::GIF | F::GRAPHICS | F::JPEG | F::PNG | F::TIFF => Claim::PICTURE,
            F::MSEXE | F::ELF | F::MACHO | F::MACHO_UNIBIN => Claim::PROGRAM,
            F::RAR => Claim::RAR,
            F::RTF => Claim::RTF,
            // RIFF: films, sounds, and WebP.
            F::RIFF => Claim::SOUND.or(Claim::PICTURE),
            F::OLD_TAR | F::POSIX_TAR => Claim::TAR,
            F::TNEF => Claim::TNEF,
            F::XML_HWP | F::XML_WORD | F::XML_XL => Claim::XML,
            F::XZ => Claim::XZ,
            file_type if file_type.fits(F::ZIP) => Claim::ZIP,
            _ => Claim::default(),
        }
    }
}

/// What is said of an object before it is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    name: Claim,
    declared: Claim,
}

impl Claims {
    pub(super) fn new(name: &str, declared: Option<&str>) -> Claims {
        let declared = declared.map_or(Claim::default(), Claim::of_media_type);
        Claims { name: Claim::of_name(name), declared }
    }

    /// Whether two of name, declared type and bytes contradict each other.
    pub(super) fn disagree(self, file_type: Option<FileType>) -> bool {
        let bytes = file_type.map_or(Claim::default(), Claim::of_bytes);
        self.name.contradicts(self.declared)
            || self.name.contradicts(bytes)
            || self.declared.contradicts(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hide_a_program() {
        for name in [
            "invoice.pdf.exe",
            "INVOICE.PDF.EXE",
            "a/b.zip/invoice.docx.js",
            "invoice.pdf .scr",
            "invoice.pdf                              .exe",
            "invoice               .exe",
            "invoice.pdf.exe. .",
            "invoice\u{202e}fdp.exe",
            "photo_\u{202d}gpj.scr",
        ] {
            assert!(hides_a_program(name), "{name:?}");
        }
        for name in [
            "",
            ".",
            "..exe",
            "setup.exe",
            "setup 2.exe",
            "my setup.v1.2.exe",
            "jquery.min.js",
            "archive.tar.gz",
            "invoice.pdf.zip",
            "invoice.exe.pdf",
            "report.2024.01.pdf",
            "pdf.exe",
            "\u{200f}\u{5d0}\u{5d1}.pdf",
            "folder.pdf/setup.exe",
        ] {
            assert!(!hides_a_program(name), "{name:?}");
        }
    }

    #[test]
    fn claims_contradict_each_other_or_do_not() {
        use FileType as F;
        let disagree = |name, declared, bytes| Claims::new(name, declared).disagree(bytes);
        for (name, declared, bytes) in [
            ("a.pdf", None, Some(F::MSEXE)),
            ("a.jpg", Some("image/jpeg"), Some(F::HTML)),
            ("a.txt", Some("text/plain"), Some(F::ZIP)),
            ("a.exe", Some("application/pdf"), None),
            ("", Some("application/pdf"), Some(F::MSOLE2)),
            ("a.zip", Some("application/zip"), Some(F::RAR)),
        ] {
            assert!(disagree(name, declared, bytes), "{name} {declared:?} {bytes:?}");
        }
        for (name, declared, bytes) in [
            ("", None, Some(F::MSEXE)),
            ("a.pdf", Some("application/octet-stream"), Some(F::PDF)),
            ("a.jpg", Some("image/png"), Some(F::GIF)),
            ("a.doc", Some("application/msword"), Some(F::RTF)),
            ("a.csv", Some("application/vnd.ms-excel"), Some(F::TEXT_ASCII)),
            ("a.docx", None, Some(F::MSOLE2)),
            ("a.txt", Some("text/plain"), Some(F::MAIL)),
            ("a.pdf", Some("application/pdf"), Some(F::BINARY_DATA)),
            ("a.webp", Some("image/webp"), Some(F::RIFF)),
            ("a.unheard-of", Some("x/y"), Some(F::ELF)),
        ] {
            assert!(!disagree(name, declared, bytes), "{name} {declared:?} {bytes:?}");
        }
    }
}
