//! File types: what a layer is, by the names of the signature language.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! file_types {
    ($($constant:ident)*) => {
        /// A file type, `CL_TYPE_...` in signatures.
        ///
        /// Which bytes have which type is decided by the file type magic in force,
        /// which is data; this is only the list of names.
        #[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub struct FileType(u8);

        #[repr(u8)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Number { $($constant,)* }

        #[allow(missing_docs)] // the names of the language
        impl FileType {
            $(pub const $constant: FileType = FileType(Number::$constant as u8);)*
        }

        const NAMES: &[&str] = &[$(stringify!($constant),)*];
    };
}

// In the order of rank where that matters: of two types found in the same
// text, the later one wins (signatures.md 6.2).
file_types! {
    ANY TEXT_ASCII TEXT_UTF8 TEXT_UTF16LE TEXT_UTF16BE BINARY_DATA
    MSEXE ELF MACHO MACHO_UNIBIN JAVA PYTHON_COMPILED POSIX_TAR OLD_TAR CPIO_OLD CPIO_ODC
    CPIO_NEWC CPIO_CRC GZ ZIP BZ RAR ARJ MSSZDD MSOLE2 MSCAB MSCHM SIS SCRENC GRAPHICS GIF RIFF
    BINHEX TNEF CRYPTFF PDF UUENCODED SCRIPT HTML_UTF16 RTF PNG JPEG TIFF
    GPT APM LNK XDP EGG EGGSFX UDF ONENOTE ALZ LHA_LZH
    SEVENZ SEVENZSFX SWF DMG ISO9660 XAR XZ OOXML_WORD OOXML_PPT OOXML_XL OOXML_HWP HWP3 HWPOLE2
    XML_WORD XML_XL XML_HWP INTERNAL PS
    HTML MHTML MAIL SFX ZIPSFX RARSFX CABSFX ARJSFX NULSFT AUTOIT ISHIELD_MSI
    PART_ANY PART_HFSPLUS MBR IGNORED
}

impl FileType {
    /// The type of this name (`CL_TYPE_ZIP`).
    pub fn from_name(name: &[u8]) -> Option<FileType> {
        let name = std::str::from_utf8(name.strip_prefix(b"CL_TYPE_")?).ok()?;
        let name = match name {
            "7Z" => "SEVENZ",
            "7ZSFX" => "SEVENZSFX",
            "SEVENZ" | "SEVENZSFX" => return None,
            other => other,
        };
        let at = NAMES.iter().position(|&known| known == name)?;
        u8::try_from(at).ok().map(FileType)
    }

    /// Its name, without `CL_TYPE_`.
    pub fn name(self) -> &'static str {
        match NAMES.get(usize::from(self.0)).copied() {
            Some("SEVENZ") => "7Z",
            Some("SEVENZSFX") => "7ZSFX",
            Some(name) => name,
            None => "ANY",
        }
    }

    /// Whether it is a zip that is an office document.
    pub fn is_office(self) -> bool {
        use FileType as F;
        matches!(self, F::OOXML_WORD | F::OOXML_PPT | F::OOXML_XL | F::OOXML_HWP)
    }

    /// Whether a signature that names a container means this one: an office
    /// document is found by its own type and as a zip (clamscan 1.4.6).
    pub fn fits(self, wanted: FileType) -> bool {
        self == wanted || wanted == FileType::ZIP && self.is_office()
    }

    /// Whether it is text, of whatever encoding.
    pub fn is_text(self) -> bool {
        use FileType as F;
        matches!(self, F::TEXT_ASCII | F::TEXT_UTF8 | F::TEXT_UTF16LE | F::TEXT_UTF16BE)
    }
}

impl fmt::Debug for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CL_TYPE_{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for name in ["CL_TYPE_ZIP", "CL_TYPE_7Z", "CL_TYPE_ANY", "CL_TYPE_IGNORED"] {
            assert_eq!(FileType::from_name(name.as_bytes()).unwrap().to_string(), name);
        }
        assert_eq!(FileType::from_name(b"CL_TYPE_NONE"), None);
        assert_eq!(FileType::from_name(b"ZIP"), None);
    }
}
