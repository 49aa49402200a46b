//! Office documents: zips whose names say so (clamscan 1.4.6).

use memchr::memmem;
use quahog_sig::model::FileType;

/// How far from its start a zip is searched for the headers of its first members.
const HEAD: usize = 32 << 10;
/// Headers of first members.
const FIRST: usize = 3;
/// Entries of the directory.
const MAX_ENTRIES: usize = 10_000;
/// How far from the end of a zip the end of its directory is searched for: what
/// the longest comment allows.
const TAIL: usize = (64 << 10) + 22;

/// The type that the names in a zip give it: those in the headers of its first
/// three members, and if one of them is a name of office documents, all those in
/// its directory.
///
/// Cost: a search of the first 32 KiB, and then of the last 64 KiB and a walk over
/// at most 10,000 entries.
pub(super) fn of_zip(zip: &[u8]) -> Option<FileType> {
    let head = &zip[..zip.len().min(HEAD)];
    let headers = memmem::find_iter(head, b"PK\x03\x04").take(FIRST);
    let names: Vec<&[u8]> = headers.filter_map(|at| name(zip, at, 26, 30)).collect();
    if let Some(file_type) = names.iter().find_map(|name| by_name(name)) {
        return Some(file_type);
    }
    let is_likely =
        |name: &&[u8]| name.starts_with(b"[Content_Types].xml") || name.starts_with(b"docProps/");
    if !names.iter().any(is_likely) {
        return None;
    }
    let tail = zip.len().saturating_sub(TAIL);
    let end = tail + memmem::rfind(&zip[tail..], b"PK\x05\x06")?;
    let mut at = number(zip, end + 16, 4)?;
    for _ in 0..MAX_ENTRIES {
        if !zip.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let name = name(zip, at, 28, 46)?;
        if let Some(file_type) = by_name(name) {
            return Some(file_type);
        }
        at += 46 + name.len() + number(zip, at + 30, 2)? + number(zip, at + 32, 2)?;
    }
    None
}

/// The name in the header at a place, which has its length and its bytes so far
/// behind its start.
fn name(zip: &[u8], header: usize, length: usize, bytes: usize) -> Option<&[u8]> {
    let length = number(zip, header + length, 2)?;
    zip.get(header + bytes..)?.get(..length)
}

/// A number of two or four bytes.
fn number(zip: &[u8], at: usize, len: usize) -> Option<usize> {
    let bytes = zip.get(at..)?.get(..len)?;
    Some(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
}

fn by_name(name: &[u8]) -> Option<FileType> {
    let of = [
        (&b"word/"[..], FileType::OOXML_WORD),
        (b"xl/", FileType::OOXML_XL),
        (b"ppt/", FileType::OOXML_PPT),
        (b"Contents/content.hpf", FileType::OOXML_HWP),
    ];
    of.iter().find(|(start, _)| name.starts_with(start)).map(|&(_, file_type)| file_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip of empty members with these names, and others in its directory.
    fn zip(names: &[&str], directory: &[&str]) -> Vec<u8> {
        let mut zip = Vec::new();
        let name_of = |zip: &mut Vec<u8>, start: &[u8], len_at: usize, size: usize, name: &str| {
            let mut header = vec![0; size];
            header[..4].copy_from_slice(start);
            header[len_at] = name.len() as u8; // short names
            zip.extend(header);
            zip.extend(name.as_bytes());
        };
        for name in names {
            name_of(&mut zip, b"PK\x03\x04", 26, 30, name);
        }
        let start = zip.len() as u32; // short zips
        for name in directory {
            name_of(&mut zip, b"PK\x01\x02", 28, 46, name);
        }
        zip.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0");
        zip.extend(start.to_le_bytes());
        zip.extend([0, 0]);
        zip
    }

    /// What clamscan 1.4.6 made of zips with such names.
    #[test]
    fn names_tell_office_documents_from_other_zips() {
        use FileType as F;
        const TYPES: &str = "[Content_Types].xml";
        let same: &[(&[&str], Option<FileType>)] = &[
            (&["word/d.xml"], Some(F::OOXML_WORD)),
            (&["o1", "o2", "xl/d.xml"], Some(F::OOXML_XL)),
            (&["o1", "o2", "o3", "word/d.xml"], None),
            (&[TYPES, "a", "b", "c", "ppt/d.xml"], Some(F::OOXML_PPT)),
            (&["docProps/x.xml", "a", "b", "c", "ppt/d.xml"], Some(F::OOXML_PPT)),
            (&["a", "b", "c", TYPES, "ppt/d.xml"], None),
            (&["_rels/.rels", "a", "b", "c", "xl/a"], None),
            (&["mimetype", "Contents/content.hpf"], Some(F::OOXML_HWP)),
            (&["Word/d.xml"], None),
            (&["a/word/d.xml"], None),
            (&[TYPES, "xl/a", "word/b"], Some(F::OOXML_XL)),
            (&[], None),
        ];
        for (names, file_type) in same {
            assert_eq!(of_zip(&zip(names, names)), *file_type, "{names:?}");
        }
        // Behind the first three the directory counts, and not the headers.
        let first = [TYPES, "a", "b", "word/d.xml"];
        assert_eq!(of_zip(&zip(&first, &[TYPES, "a", "b", "d.xml"])), None);
        assert_eq!(of_zip(&zip(&[TYPES, "a", "b", "d.xml"], &first)), Some(F::OOXML_WORD));
    }

    #[test]
    fn damaged_zips_are_only_zips() {
        let whole = zip(&["[Content_Types].xml", "a", "b"], &["[Content_Types].xml", "word/d"]);
        assert_eq!(of_zip(&whole), Some(FileType::OOXML_WORD));
        for end in 0..whole.len() {
            assert!(of_zip(&whole[..end]).is_none() || end > whole.len() - 3, "{end}");
        }
    }
}
