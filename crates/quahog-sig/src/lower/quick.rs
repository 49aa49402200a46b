//! The quick way for the lines of which there are millions.
//!
//! Nearly all lines of a database are hashes in their plainest form. They are
//! read here in one pass, without a syntax tree; whatever is not plain is left
//! to the way that all lines can go, which decides what it means. A test holds
//! the two together.

use memchr::memchr3;

use super::{MAX_ARENA, MAX_ROWS, SetBuilder};
use crate::body::decode_hex;
use crate::model::rows::Writer;
use crate::model::{DigestKind, HashedPart};
use crate::{FLEVEL, Format, Grammar, IgnoreList, Lines, pace};

/// A plain line of hashes.
struct Plain<'t, const N: usize> {
    digest: [u8; N],
    size: u32,
    name: &'t [u8],
    /// Of the line, with its end.
    len: usize,
}

impl<'t, const N: usize> Plain<'t, N> {
    /// Reads the first line of a text if it is plain: `digest:size:name[:level]`, or,
    /// of a section, the size first.
    fn read(text: &'t [u8], size_first: bool) -> Option<Plain<'t, N>> {
        let (size, rest) = if size_first { number(text)? } else { (0, text) };
        let (digits, rest) = rest.split_at_checked(2 * N)?;
        let rest = rest.strip_prefix(b":")?;
        let (size, rest) = if size_first { (size, rest) } else { number(rest)? };
        let mut digest = [0; N];
        if size == 0 || !decode_hex(digits, &mut digest) {
            return None;
        }
        // What stands in parentheses may be no part of the name.
        let end = memchr3(b':', b'\n', b'(', rest).unwrap_or(rest.len());
        let (name, mut rest) = rest.split_at(end);
        if let Some(level) = rest.strip_prefix(b":") {
            let digits = level.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
            let (digits, behind) = level.split_at(digits);
            let value = |n, digit: &u8| n * 10 + u64::from(digit - b'0');
            if digits.is_empty() || digits.iter().fold(0, value) > u64::from(FLEVEL) {
                return None;
            }
            rest = behind;
        }
        let ends = matches!(rest.first(), None | Some(b'\n'));
        let len = text.len() - rest.len() + usize::from(!rest.is_empty());
        let plain = ends && !name.is_empty() && name.last() != Some(&b'\r') && len < Lines::MAX;
        plain.then_some(Plain { digest, size, name, len })
    }
}

/// Cuts off a number of up to nine digits and the colon behind it.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0;
    for (at, &byte) in text.iter().take(10).enumerate() {
        if byte == b':' && at > 0 {
            return Some((number, &text[at + 1..]));
        }
        if !byte.is_ascii_digit() || at == 9 {
            return None;
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    None
}

/// Where hashes of one kind go.
struct Columns<'c> {
    digests: &'c mut Vec<u8>,
    sizes: &'c mut Vec<u32>,
    /// Their names; those of files that are allowed have none.
    rows: Option<Writer<'c>>,
    source: usize,
    ignore: &'c IgnoreList,
}

impl Columns<'_> {
    /// Takes plain lines of this kind from the front; gives how many.
    fn take<const N: usize>(&mut self, lines: &mut Lines<'_>, size_first: bool) -> u32 {
        let (text, first) = lines.rest();
        let (mut taken, mut bytes) = (0, 0);
        while let Some(line) = Plain::<N>::read(&text[bytes..], size_first) {
            let full = self.rows.as_ref().is_some_and(|rows| rows.is_full(MAX_ROWS, MAX_ARENA));
            if full || self.ignore.may_cover(line.name) {
                break;
            }
            pace::point();
            self.digests.extend_from_slice(&line.digest);
            self.sizes.push(line.size);
            if let Some(rows) = &mut self.rows {
                rows.push(line.name, self.source, first.saturating_add(taken));
            }
            bytes += line.len;
            taken += 1;
        }
        lines.pass(taken, bytes);
        taken
    }
}

impl SetBuilder {
    /// Admits lines of hashes from the front of `lines`, as many as are plain: neither
    /// blank nor a comment, and each as [`line`](Self::line) would admit it. Gives how
    /// many.
    ///
    /// Lines with NUL bytes are not told apart: see [`Lines::have_nul`].
    pub fn plain_hashes(&mut self, format: Format, lines: &mut Lines<'_>) -> u32 {
        let mut taken = 0;
        loop {
            let more = self.plain_hashes_of_a_kind(format, lines);
            if more == 0 {
                return taken;
            }
            taken += more;
        }
    }

    fn plain_hashes_of_a_kind(&mut self, format: Format, lines: &mut Lines<'_>) -> u32 {
        let grammar = format.grammar();
        let part = match grammar {
            Grammar::FileHash | Grammar::AllowHash => None,
            Grammar::SectionHash => Some(HashedPart::Section),
            _ => return 0,
        };
        if format.is_pua() || self.without_phishing || self.columns.sources.is_empty() {
            return 0;
        }
        let (text, _) = lines.rest();
        let rest = if part.is_some() { number(text).map_or(text, |(_, rest)| rest) } else { text };
        // Which kind it is goes with the length, not with the format.
        let kinds = [(DigestKind::Md5, 32), (DigestKind::Sha256, 64), (DigestKind::Sha1, 40)];
        let kind = kinds.into_iter().find(|&(_, len)| rest.get(len) == Some(&b':'));
        let Some((kind, _)) = kind else { return 0 };
        let columns = &mut self.columns;
        let (hashes, rows) = match part {
            Some(part) => (
                &mut columns.parts[part as usize][kind as usize],
                Some(&mut columns.part_rows[part as usize][kind as usize]),
            ),
            None if grammar == Grammar::AllowHash => (&mut columns.allowed[kind as usize], None),
            None => {
                (&mut columns.hashes[kind as usize], Some(&mut columns.hash_rows[kind as usize]))
            }
        };
        let (digests, sizes) = hashes.to_mut();
        let mut columns = Columns {
            digests,
            sizes,
            rows: rows.map(|rows| rows.writer()),
            source: columns.sources.len() - 1,
            ignore: &self.ignore,
        };
        match kind {
            DigestKind::Md5 => columns.take::<16>(lines, part.is_some()),
            DigestKind::Sha1 => columns.take::<20>(lines, part.is_some()),
            DigestKind::Sha256 => columns.take::<32>(lines, part.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Admission;
    use crate::ast::Ignore;
    use crate::model::{SigId, SigKind, SignatureSet};

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
                    // Twice, and then what is not plain.
                    let text = format!("{line}\n{line}\n?\n");
                    let mut lines = Lines::new(text.as_bytes());
                    let taken = quick.plain_hashes(format, &mut lines);
                    let left = lines.next().map(|line| (line.number, line.text.len()));
                    if taken == 0 {
                        assert_eq!(quick.finish().digest(), SetBuilder::new().finish().digest());
                        assert_eq!(left, Some((1, line.len())));
                        continue;
                    }
                    n_quick += 1;
                    assert_eq!((taken, left), (2, Some((3, 1))), "{line}");
                    for number in 1..=2 {
                        let admission = long.line(format, number, line.as_bytes());
                        assert_eq!(admission, Ok(Admission::Admitted), "{line}");
                    }
                    let (quick, long) = (quick.finish(), long.finish());
                    assert_eq!(quick.digest(), long.digest(), "{line}");
                    let origins = |set: &SignatureSet| {
                        let ids = (0..2).map(|at| SigId::new(SigKind::Hash(DigestKind::Md5), at));
                        ids.map(|id| format!("{:?}", set.origin(id))).collect::<Vec<_>>()
                    };
                    assert_eq!(origins(&quick), origins(&long), "{line}");
                }
            }
        }
        assert!(n_quick > 100, "{n_quick}");
    }
}
