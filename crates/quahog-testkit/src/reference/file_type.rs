//! Names of file types, as far as loading asks whether a name is known.

/// Whether `name` is a file type that signatures may name.
pub(super) fn is_known(name: &str) -> bool {
    name.strip_prefix("CL_TYPE_").is_some_and(|rest| NAMES.contains(&rest))
}

/// Whether an ancestor of this type is one that a signature names. Office documents
/// are zips, too (clamscan 1.4.6).
pub(super) fn fits(file_type: &str, wanted: &str) -> bool {
    file_type == wanted || wanted == "CL_TYPE_ZIP" && file_type.starts_with("CL_TYPE_OOXML_")
}

/// What clamscan 1.4.6 was seen to accept, without the common prefix.
#[rustfmt::skip]
const NAMES: [&str; 86] = [
    "7Z", "7ZSFX", "ALZ", "ANY", "APM", "ARJ", "ARJSFX", "AUTOIT", "BINARY_DATA",
    "BINHEX", "BZ", "CABSFX", "CPIO_CRC", "CPIO_NEWC", "CPIO_ODC", "CPIO_OLD", "CRYPTFF",
    "DMG", "EGG", "EGGSFX", "ELF", "GIF", "GPT", "GRAPHICS", "GZ", "HTML", "HTML_UTF16",
    "HWP3", "HWPOLE2", "IGNORED", "INTERNAL", "ISHIELD_MSI", "ISO9660", "JAVA", "JPEG",
    "LHA_LZH", "LNK", "MACHO", "MACHO_UNIBIN", "MAIL", "MBR", "MHTML", "MSCAB", "MSCHM",
    "MSEXE", "MSOLE2", "MSSZDD", "NULSFT", "OLD_TAR", "ONENOTE", "OOXML_HWP", "OOXML_PPT",
    "OOXML_WORD", "OOXML_XL", "PART_ANY", "PART_HFSPLUS", "PDF", "PNG", "POSIX_TAR", "PS",
    "PYTHON_COMPILED", "RAR", "RARSFX", "RIFF", "RTF", "SCRENC", "SCRIPT", "SFX", "SIS",
    "SWF", "TEXT_ASCII", "TEXT_UTF16BE", "TEXT_UTF16LE", "TEXT_UTF8", "TIFF", "TNEF",
    "UDF", "UUENCODED", "XAR", "XDP", "XML_HWP", "XML_WORD", "XML_XL", "XZ", "ZIP",
    "ZIPSFX",
];
