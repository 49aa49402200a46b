//! The quick way for the lines of which there are millions.
//!
//! Nearly all lines of a database are hashes in their plainest form. They are
//! read here in one pass, without a syntax tree; whatever is not plain is left
//! to the way that all lines can go, which decides what it means. A test holds
//! the two together.

use memchr::memchr2;

use super::{Admission, MAX_ARENA, MAX_ROWS, SetBuilder};
use crate::body::decode_hex;
use crate::model::{DigestKind, HashedPart};
use crate::{FLEVEL, Format, Grammar};

/// Reads `2 * N` hex digits.
fn digest<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut digest = [0; N];
    decode_hex(text, &mut digest).then_some(digest)
}

/// Cuts off a digest and the colon behind it, by its length.
fn cut_digest(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = [32, 64, 40].into_iter().find(|&len| text.get(len) == Some(&b':'))?;
    Some((&text[..len], &text[len + 1..]))
}

/// Cuts off a number of up to nine digits and the colon behind it.
fn cut_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().take(10).position(|&byte| byte == b':')?;
    Some((&text[..len], &text[len + 1..]))
}

/// Reads a number of up to nine digits.
fn short_number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter()
        .try_fold(0, |n, &digit| digit.is_ascii_digit().then(|| n * 10 + u32::from(digit - b'0')))
}

impl SetBuilder {
    /// Admits a plain line of hashes; `None` if it is not plain.
    pub(super) fn quick_hash(
        &mut self,
        format: Format,
        number: u32,
        line: &[u8],
    ) -> Option<Admission> {
        let part = match format.grammar() {
            Grammar::FileHash | Grammar::AllowHash => None,
            Grammar::SectionHash => Some(HashedPart::Section),
            _ => return None,
        };
        if format.is_pua() || self.without_phishing || self.columns.sources.is_empty() {
            return None;
        }
        let (hash, size, rest) = if part.is_some() {
            let (size, rest) = cut_number(line)?;
            let (hash, rest) = cut_digest(rest)?;
            (hash, size, rest)
        } else {
            let (hash, rest) = cut_digest(line)?;
            let (size, rest) = cut_number(rest)?;
            (hash, size, rest)
        };
        let size = short_number(size).filter(|&size| size != 0)?;
        let name = match memchr2(b':', b'(', rest) {
            None => rest,
            Some(end) => {
                let level = rest[end..].strip_prefix(b":")?;
                short_number(level).filter(|&level| level <= FLEVEL)?;
                &rest[..end]
            }
        };
        if name.is_empty() || self.ignore.may_cover(name) {
            return None;
        }
        let source = self.columns.sources.len() - 1;
        let columns = &mut self.columns;
        // Which kind it is goes with the length, not with the format.
        let (kind, digest) = match hash.len() {
            32 => (DigestKind::Md5, widen(digest::<16>(hash)?)),
            40 => (DigestKind::Sha1, widen(digest::<20>(hash)?)),
            64 => (DigestKind::Sha256, digest::<32>(hash)?),
            _ => return None,
        };
        let digest = &digest[..kind.len()];
        let (hashes, rows) = match part {
            Some(part) => (
                &mut columns.parts[part as usize][kind as usize],
                Some(&mut columns.part_rows[part as usize][kind as usize]),
            ),
            None if format.grammar() == Grammar::AllowHash => {
                (&mut columns.allowed[kind as usize], None)
            }
            None => {
                (&mut columns.hashes[kind as usize], Some(&mut columns.hash_rows[kind as usize]))
            }
        };
        if let Some(rows) = rows {
            if rows.len() >= MAX_ROWS || rows.name_bytes() > MAX_ARENA {
                return None;
            }
            rows.push(name, source, number);
        }
        hashes.push(digest, Some(size));
        Some(Admission::Admitted)
    }
}

fn widen<const N: usize>(digest: [u8; N]) -> [u8; 32] {
    let mut wide = [0; 32];
    wide.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    wide
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IgnoreList;
    use crate::ast::Ignore;

    #[test]
    fn the_quick_way_leads_where_the_long_one_does() {
        let md5 = "6b875428a97a85cab2f19f595921545d";
        let sha1 = "6B875428a97a85cab2f19f595921545d00112233";
        let mut ignore = IgnoreList::default();
        ignore.add(&Ignore::parse(b"Ignored-1-0").expect("an entry"));
        let hashes = [md5, sha1, &md5.repeat(2), "6g875428a97a85cab2f19f595921545d", "00", ""];
        let sizes = ["26", "0", "*", "4294967294", "4294967295", "007", "", "1x", "999999999"];
        let names = ["A", "", "Win.X-1-0", "X (Clam)", "X(1)", "Ignored-1-0", "Ignored-1-0.{A}"];
        let levels = ["", ":", ":73", ":216", ":217", ":x", ":73:255", ":73:99", ":73:255:1"];
        let mut n_quick = 0;
        for format in [Format::Hdb, Format::Mdb, Format::Fp, Format::Hdu, Format::Imp] {
            for (hash, size) in hashes.iter().flat_map(|h| sizes.map(|s| (h, s))) {
                for (name, level) in names.iter().flat_map(|n| levels.map(|l| (n, l))) {
                    let line = match format {
                        Format::Mdb => format!("{size}:{hash}:{name}{level}"),
                        _ => format!("{hash}:{size}:{name}{level}"),
                    };
                    let mut long = SetBuilder::new().ignore(ignore.clone());
                    long.source("x", false);
                    let mut quick = long.clone();
                    let expected = long.any_line(format, 7, line.as_bytes());
                    if let Some(admission) = quick.quick_hash(format, 7, line.as_bytes()) {
                        n_quick += 1;
                        assert_eq!(Ok(admission), expected, "{line}");
                        assert_eq!(quick.finish().digest(), long.finish().digest(), "{line}");
                    } else {
                        assert_eq!(quick.finish().digest(), SetBuilder::new().finish().digest());
                    }
                }
            }
        }
        assert!(n_quick > 100, "{n_quick}");
    }
}
