//! The payload: a gzip stream around a tar, or a plain tar, bounded.
//!
//! The tar is walked *while* it is unpacked, and the `.info` is handed to the
//! caller as soon as it is complete. Published files carry it in the second
//! place, so a bomb or a forgery ends after some kilobytes: from there on every
//! header must be one that a signed list announced, with that size.
//!
//! The walker is our own because the format is not a tar that a general library
//! reads well: there is no `ustar` magic and no end-of-archive block, and
//! everything else that tar can say (links, devices, long names, sparse files)
//! is refused. Strictness matters more than reach here: two readers that see
//! different members in the same bytes are how a signed archive is subverted.
//!
//! Cost: linear time. Memory is what is unpacked, at most twice while the buffer
//! grows; three times the payload is reserved ahead, but never more than 512 MiB.
//! A plain tar is not copied at all. Sizes that a header declares allocate nothing.

use std::collections::HashSet;
use std::ops::Range;

use crate::error::{Error, Offset, Rule};
use crate::gzip;
use crate::header::HEADER_LEN;
use crate::info::Info;
use bytes::Bytes;

/// Bounds on one container, all inclusive.
///
/// The defaults are far above anything genuine (`main` unpacks to less than
/// half a GiB) and stop what is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the file. Default 1 GiB.
    pub file_bytes: u64,
    /// Bytes of the unpacked payload, tar headers included. Default 4 GiB.
    pub unpacked_bytes: u64,
    /// Unpacked bytes for each byte of the payload; 1 MiB is always free.
    /// Default 200.
    pub ratio: u64,
    /// Members, and lines in the `.info`. Default 4096.
    pub members: usize,
    /// Bytes of one member. Default 2 GiB.
    pub member_bytes: u64,
    /// Bytes of the `.info`. Default 1 MiB.
    pub info_bytes: u64,
    /// Bytes of `COPYING`. Default 1 MiB.
    pub copying_bytes: u64,
    /// Bytes of the script in a patch. Default 256 MiB.
    pub script_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            file_bytes: 1 << 30,
            unpacked_bytes: 4 << 30,
            ratio: 200,
            members: 4096,
            member_bytes: 2 << 30,
            info_bytes: 1 << 20,
            copying_bytes: 1 << 20,
            script_bytes: 256 << 20,
        }
    }
}

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Archive {
    /// The unpacked payload.
    pub(crate) bytes: Bytes,
    /// The members in their order, each with its bytes in `bytes`.
    pub(crate) entries: Vec<Entry>,
    /// What [`Gate::info`] made of the `.info`.
    pub(crate) info: Option<Info>,
}

/// A member of the archive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<str>,
    pub(crate) range: Range<usize>,
}

/// Decides, while the archive is read, what may be in it.
///
/// Without a gate ([`None`]) every well-formed archive is read, whatever its
/// `.info` says or whether there is one.
pub(crate) trait Gate {
    /// Judges the `.info`, whose name without suffix is `database`.
    fn info(&mut self, database: &str, text: Bytes) -> Result<Info, Error>;

    /// Judges a member by name and size; called once for each member but the
    /// `.info`, not before the `.info` is known.
    fn admit(&mut self, info: &Info, name: &str, size: u64) -> Result<(), Error>;
}

/// Unpacks and walks a payload.
pub(crate) fn read<'w>(
    payload: &Bytes,
    limits: &'w Limits,
    gate: Option<&'w mut dyn Gate>,
) -> Result<Archive, Error> {
    let mut walker = Walker::new(limits, gate);
    let bytes = if payload.starts_with(gzip::MAGIC) {
        let (room, over) = room(payload, limits);
        let mut step = |bytes: &[u8]| walker.advance(bytes);
        Bytes::from(gzip::inflate(payload, HEADER_LEN, room, over, &mut step)?)
    } else if payload.starts_with(b"COPYING") {
        if payload.len() as u64 > limits.unpacked_bytes {
            return Err(Error::new(Rule::UnpackedBytes));
        }
        payload.clone()
    } else {
        return Err(in_payload(Rule::PayloadForm, 0));
    };
    walker.advance(&bytes)?;
    let (entries, info) = walker.finish(&bytes)?;
    Ok(Archive { bytes, entries, info })
}

/// How many bytes may come out of a payload, and the rule that says so.
pub(crate) fn room(payload: &[u8], limits: &Limits) -> (u64, Rule) {
    let by_ratio = (payload.len() as u64).saturating_mul(limits.ratio).saturating_add(1 << 20);
    if by_ratio < limits.unpacked_bytes {
        (by_ratio, Rule::Ratio)
    } else {
        (limits.unpacked_bytes, Rule::UnpackedBytes)
    }
}

/// True for `[A-Za-z0-9_.-]{1,99}` without a dot in front: names that mean no
/// path, no option and no control code anywhere they may end up.
pub(crate) fn is_member_name(name: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    matches!(name.len(), 1..=99) && name.first() != Some(&b'.') && name.iter().all(plain)
}

/// Walks a tar whose bytes arrive bit by bit.
struct Walker<'w> {
    limits: &'w Limits,
    gate: Option<&'w mut dyn Gate>,
    entries: Vec<Entry>,
    names: HashSet<Box<str>>,
    info: Option<Info>,
    infos: usize,
    /// Where the next header block starts.
    next: usize,
    /// The member whose data have not all arrived.
    pending: Option<Entry>,
    /// Set at the first zero block: up to here all after it was zero.
    zero_until: Option<usize>,
}

impl<'w> Walker<'w> {
    fn new(limits: &'w Limits, gate: Option<&'w mut dyn Gate>) -> Walker<'w> {
        Walker {
            limits,
            gate,
            entries: Vec::new(),
            names: HashSet::new(),
            info: None,
            infos: 0,
            next: 0,
            pending: None,
            zero_until: None,
        }
    }

    /// Goes on as far as `bytes` reach. They begin where they always did.
    fn advance(&mut self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            if let Some(from) = self.zero_until {
                let rest = bytes.get(from..).unwrap_or_default();
                if let Some(at) = rest.iter().position(|b| *b != 0) {
                    return Err(unpacked(Rule::AfterEnd, from + at));
                }
                self.zero_until = Some(bytes.len());
                return Ok(());
            }
            if self.pending.is_some() {
                if bytes.len() < self.next {
                    return Ok(());
                }
                if let Some(entry) = self.pending.take() {
                    self.complete(entry, bytes)?;
                }
            }
            let Some(block) = bytes.get(self.next..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
                return Ok(());
            };
            if block.first() == Some(&0) {
                self.zero_until = Some(self.next);
            } else {
                self.header(block)?;
            }
        }
    }

    /// Reads a header block at `self.next`.
    fn header(&mut self, block: &[u8; BLOCK]) -> Result<(), Error> {
        let start = self.next;
        let (name, size) = tar_header(block).map_err(|(rule, at)| unpacked(rule, start + at))?;
        let fault = |rule| Err(unpacked(rule, start).member(name));
        if self.entries.len() >= self.limits.members {
            return fault(Rule::Members);
        }
        if size > self.limits.member_bytes {
            return fault(Rule::MemberBytes);
        }
        if name == COPYING && size > self.limits.copying_bytes {
            return fault(Rule::CopyingBytes);
        }
        let is_info = is_info(name);
        if is_info && size > self.limits.info_bytes {
            return fault(Rule::InfoBytes);
        }
        // At most 8^11 plus what is already in memory: no overflow in 64 bits.
        let data = start as u64 + BLOCK as u64;
        let padded = size.next_multiple_of(BLOCK as u64);
        if data + padded > self.limits.unpacked_bytes {
            return fault(Rule::UnpackedBytes);
        }
        let (Ok(data), Ok(end), Ok(next)) =
            (usize::try_from(data), usize::try_from(data + size), usize::try_from(data + padded))
        else {
            return fault(Rule::UnpackedBytes);
        };
        if !self.names.insert(name.into()) {
            return fault(Rule::DuplicateMember);
        }
        if is_info {
            self.infos += 1;
            if self.infos > 1 {
                return fault(Rule::ManyInfos);
            }
        } else if let Some(gate) = &mut self.gate {
            if is_nested(name) {
                return fault(Rule::NestedMember);
            }
            if let Some(info) = &self.info {
                gate.admit(info, name, size)?;
            }
        }
        self.pending = Some(Entry { name: name.into(), range: data..end });
        self.next = next;
        Ok(())
    }

    /// Takes a member of which data and padding have arrived.
    fn complete(&mut self, entry: Entry, bytes: &[u8]) -> Result<(), Error> {
        let padding = bytes.get(entry.range.end..self.next).unwrap_or_default();
        if let Some(at) = padding.iter().position(|b| *b != 0) {
            return Err(unpacked(Rule::TarFiller, entry.range.end + at).member(&entry.name));
        }
        if let (true, Some(gate)) = (is_info(&entry.name), &mut self.gate) {
            // Compared exactly here: a member called `X.INFO` is an `.info` to
            // nobody else, but a second name for one must not slip through.
            let Some(database) = entry.name.strip_suffix(".info") else {
                return Err(unpacked(Rule::InfoName, entry.range.start).member(&entry.name));
            };
            // A copy, because the buffer is still growing; at most 1 MiB.
            let text = Bytes::copy_from_slice(bytes.get(entry.range.clone()).unwrap_or_default());
            let info = gate.info(database, text)?;
            for earlier in &self.entries {
                gate.admit(&info, &earlier.name, earlier.range.len() as u64)?;
            }
            self.info = Some(info);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The members, once all bytes have been shown.
    fn finish(self, bytes: &[u8]) -> Result<(Vec<Entry>, Option<Info>), Error> {
        if let Some(entry) = self.pending {
            let cut_data = bytes.len() < entry.range.end;
            let rule = if cut_data { Rule::TarData } else { Rule::TarPadding };
            return Err(unpacked(rule, bytes.len()).member(&entry.name));
        }
        let block_cut = match self.zero_until {
            None => bytes.len() > self.next,
            Some(_) => !bytes.len().is_multiple_of(BLOCK),
        };
        if block_cut {
            return Err(unpacked(Rule::TarBlock, bytes.len()));
        }
        if self.gate.is_some() && self.info.is_none() {
            return Err(Error::new(Rule::NoInfo));
        }
        Ok((self.entries, self.info))
    }
}

/// Name and size of a plain file; an error is the rule and the byte.
fn tar_header(block: &[u8; BLOCK]) -> Result<(&str, u64), (Rule, usize)> {
    let field = |range: Range<usize>| block.get(range).unwrap_or_default();
    let stored = octal(field(CHECKSUM)).ok_or((Rule::TarChecksum, CHECKSUM.start))?;
    let sum = |bytes: &[u8]| bytes.iter().map(|b| u64::from(*b)).sum::<u64>();
    // The sum counts its own field as spaces.
    if stored != sum(block) - sum(field(CHECKSUM)) + 8 * u64::from(b' ') {
        return Err((Rule::TarChecksum, CHECKSUM.start));
    }
    if !matches!(field(TYPE), [0 | b'0']) {
        return Err((Rule::TarType, TYPE.start));
    }
    // What stands behind the first NUL of the name, in the name of a link or in
    // the prefix of newer formats would be part of the name to somebody else.
    let name = field(NAME);
    let (name, filler) = name.split_at(memchr::memchr(0, name).unwrap_or(name.len()));
    if !is_member_name(name) {
        return Err((Rule::TarName, 0));
    }
    let fillers = [(name.len(), filler), (LINK.start, field(LINK)), (PREFIX.start, field(PREFIX))];
    for (start, filler) in fillers {
        if let Some(at) = filler.iter().position(|b| *b != 0) {
            return Err((Rule::TarFiller, start + at));
        }
    }
    let size = octal(field(SIZE)).ok_or((Rule::TarSize, SIZE.start))?;
    match std::str::from_utf8(name) {
        Ok(name) => Ok((name, size)),
        Err(_) => Err((Rule::TarName, 0)),
    }
}

/// Octal digits, at least one, then NULs and spaces.
///
/// Fields are at most 12 bytes, so 36 bits.
fn octal(field: &[u8]) -> Option<u64> {
    let n_digits = field.iter().take_while(|b| matches!(b, b'0'..=b'7')).count();
    let (digits, end) = field.split_at_checked(n_digits)?;
    if digits.is_empty() || !end.iter().all(|b| matches!(b, 0 | b' ')) {
        return None;
    }
    Some(digits.iter().fold(0, |n, digit| n << 3 | u64::from(digit - b'0')))
}

fn is_info(name: &str) -> bool {
    has_extension(name, &["info"])
}

/// Members that ClamAV crashes on, or that would be a database in a database.
fn is_nested(name: &str) -> bool {
    has_extension(name, &["cvd", "cld", "cud", "yar", "yara", "ioc", "cat"])
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, last)| extensions.iter().any(|e| last.eq_ignore_ascii_case(e)))
}

fn in_payload(rule: Rule, at: usize) -> Error {
    Error::new(rule).at(Offset::File((HEADER_LEN + at) as u64))
}

fn unpacked(rule: Rule, at: usize) -> Error {
    Error::new(rule).at(Offset::Unpacked(at as u64))
}

pub(crate) const COPYING: &str = "COPYING";

/// A tar block.
pub(crate) const BLOCK: usize = 512;

pub(crate) const NAME: Range<usize> = 0..100;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const CHECKSUM: Range<usize> = 148..156;
const TYPE: Range<usize> = 156..157;
const LINK: Range<usize> = 157..257;
const PREFIX: Range<usize> = 345..512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_names_are_plain() {
        for good in ["a", "main.ndb", "7086472.cbc", "A_b-c.1", "a..b"] {
            assert!(is_member_name(good.as_bytes()), "{good}");
        }
        let long = "a".repeat(100);
        for bad in
            ["", ".", "..", ".bashrc", "a/b", "a\\b", "/etc/x", "a b", "a\n", "\u{e4}", &long]
        {
            assert!(!is_member_name(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn octal_numbers_have_digits_and_an_end() {
        for (field, number) in
            [(&b"46\0\0"[..], 38), (b"0046", 38), (b"46 \0", 38), (b"0\0\0\0", 0)]
        {
            assert_eq!(octal(field), Some(number));
        }
        assert_eq!(octal(b"777777777777"), Some((1 << 36) - 1));
        for bad in [
            &b""[..],
            b"\0\0\0",
            b"    ",
            b" 46\0",
            b"9\0",
            b"-1\0",
            b"46x\0",
            b"46\x0046",
            b"\x80\0\0\0\0\0\0\0\0\0\0\x26",
        ] {
            assert_eq!(octal(bad), None, "{bad:?}");
        }
    }
}
