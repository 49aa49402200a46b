//! Zip: members that are described twice, by readers' choice.
//!
//! A zip names each member in a local header before its data and again in a
//! directory at the end. Readers differ in which they believe, and hostile
//! archives disagree with themselves on purpose, so this walk hands out the
//! *union*: all that some reader would.
//!
//! 1. The directory. The last end record that leads to a usable one counts;
//!    its number of entries is ignored, and a distance between where
//!    the directory stands and where it should stand moves all offsets.
//! 2. Then the file from front to back: local headers that no directory entry
//!    led to, directory entries outside of that directory. Bytes that were
//!    handed out are skipped, so that a zip stored inside this one is opened
//!    by whoever looks at that member and not here.
//! 3. What the directory names and nobody could find is handed out without
//!    bytes.
//!
//! Where the two headers of a member disagree: packed data ends where its
//! stream ends, whatever the sizes say; stored data is handed out once for
//! each size claimed; with two methods both are tried; data that one header
//! calls encrypted is handed out if it reads as plain. A second name for the same data is
//! handed out without bytes and without a shortfall, for the name is evidence. A wrong
//! checksum changes nothing, because no byte is missing for it.
//!
//! Work is linear: the same data is decoded once, and data that overlaps is
//! decoded only until [`REREAD`] times the archive was read, and headers are read
//! as often. Positions count
//! from 1, directory first.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use memchr::memmem;

use super::cipher::{self, Cipher};
use super::fields::{u16_at, u32_at, u64_at};
use super::method::{self, Packed};
use super::{Ending, Inflater, Stop, crc32, decode_name};
use crate::{Budget, Entry, Part, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut walk = Walk {
        bytes,
        budget,
        visit,
        inflater: Inflater::new(),
        buffer: Vec::new(),
        position: 0,
        base: 0,
        data_left: REREAD.saturating_mul(bytes.len() as u64).saturating_add(LONGEST_HEADER),
        headers_left: REREAD.saturating_mul(bytes.len() as u64).saturating_add(LONGEST_HEADER),
        records: HashSet::new(),
        locals: HashMap::new(),
        handed_out: HashSet::new(),
        names: HashSet::new(),
        lost: Vec::new(),
    };
    match walk.directory().and_then(|()| walk.front_to_back()).and_then(|()| walk.lost()) {
        Err(Stop::Short(shortfall)) => Some(shortfall),
        Err(Stop::Visitor) => None,
        Ok(()) if walk.position == 0 && !is_empty_archive(bytes) => Some(Shortfall::Malformed),
        Ok(()) => None,
    }
}

/// What one header says of a member.
#[derive(Clone, Copy, Debug)]
struct Claim<'b> {
    name: &'b [u8],
    flags: u16,
    method: u16,
    crc32: u32,
    packed_size: u64,
    size: u64,
    /// Length of the header.
    length: usize,
    /// Where the local header is said to be (directory only).
    local_offset: u64,
}

impl Claim<'_> {
    fn encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }

    fn is_empty(&self) -> bool {
        self.packed_size == 0 && self.size == 0 && self.flags & FLAG_SIZES_FOLLOW == 0
    }
}

struct Walk<'b, 'w, 'v> {
    bytes: &'b [u8],
    budget: &'w Budget<'w>,
    visit: &'w mut Visit<'v>,
    inflater: Inflater,
    buffer: Vec<u8>,
    /// Of the member handed out last.
    position: u32,
    /// What offsets of the directory lack to those of the file.
    base: i64,
    /// Packed bytes that may still be decoded or handed out.
    data_left: u64,
    /// Bytes of headers that may still be read.
    headers_left: u64,
    /// Offsets of the directory records seen.
    records: HashSet<usize>,
    /// Local headers seen, and where the bytes handed out for them end.
    locals: HashMap<usize, usize>,
    /// Data handed out: where, how read, how long (0 if the stream says it).
    handed_out: HashSet<(usize, u16, usize)>,
    /// Names handed out for the data at an offset.
    names: HashSet<(usize, &'b [u8])>,
    /// Directory entries without a local header, and their positions.
    lost: Vec<(Claim<'b>, u32)>,
}

impl<'b> Walk<'b, '_, '_> {
    /// Hands out what the directory leads to.
    fn directory(&mut self) -> Result<(), Stop> {
        let finder = memmem::FinderRev::new(END_RECORD);
        let mut before = self.bytes.len();
        while let Some(end) = finder.rfind(self.bytes.get(..before).unwrap_or_default()) {
            self.budget.tick((before - end) as u64)?;
            before = end;
            let Some(start) = self.directory_start(end) else { continue };
            let known = self.locals.len();
            self.records_from(start)?;
            if self.locals.len() > known {
                break;
            }
        }
        Ok(())
    }

    /// Where the directory of the end record at `end` starts, and sets
    /// [`base`](Self::base).
    fn directory_start(&mut self, end: usize) -> Option<usize> {
        let record = self.bytes.get(end..)?;
        let mut size = u64::from(u32_at(record, 12)?);
        let mut offset = u64::from(u32_at(record, 16)?);
        let mut directory_end = end;
        if let Some(wide) = self.wide_end(end) {
            let record = self.bytes.get(wide..)?;
            // The 32-bit fields hold all ones where the 64-bit ones count;
            // readers differ about the other ones, so these count if usable.
            if size == ALL_ONES || offset == ALL_ONES {
                size = u64_at(record, 40)?;
                offset = u64_at(record, 48)?;
            }
            directory_end = wide;
        }
        let stands = usize::try_from(size).ok().and_then(|size| directory_end.checked_sub(size));
        let claimed = usize::try_from(offset).ok();
        for (start, moved) in [(stands, true), (claimed, false)] {
            let Some(start) = start else { continue };
            if self.bytes.get(start..).is_some_and(|at| at.starts_with(RECORD)) {
                // The difference is meant modulo 2^64.
                self.base = if moved { (start as i64).wrapping_sub(offset as i64) } else { 0 };
                return Some(start);
            }
        }
        None
    }

    /// The 64-bit end record that belongs to the end record at `end`.
    fn wide_end(&self, end: usize) -> Option<usize> {
        let locator_at = end.checked_sub(20)?;
        let locator = self.bytes.get(locator_at..)?;
        if !locator.starts_with(WIDE_LOCATOR) {
            return None;
        }
        let claimed = u64_at(locator, 8).and_then(|offset| usize::try_from(offset).ok());
        // It stands right before its locator unless it was extended.
        [locator_at.checked_sub(56), claimed]
            .into_iter()
            .flatten()
            .find(|&at| self.bytes.get(at..).is_some_and(|at| at.starts_with(WIDE_END)))
    }

    /// Hands out the members of a row of directory records. Returns where the
    /// row ends.
    fn records_from(&mut self, mut at: usize) -> Result<usize, Stop> {
        while let Some(claim) = directory_record(self.bytes.get(at..).unwrap_or_default()) {
            self.header(claim.length)?;
            if !self.records.insert(at) {
                break;
            }
            at += claim.length;
            self.record(claim)?;
        }
        Ok(at)
    }

    fn record(&mut self, claim: Claim<'b>) -> Result<(), Stop> {
        self.position = self.position.saturating_add(1);
        let position = self.position;
        let at = |offset: u64| {
            let at = usize::try_from(offset).ok()?;
            Some((at, local_header(self.bytes.get(at..)?)?))
        };
        let moved = at(claim.local_offset.wrapping_add_signed(self.base));
        let said = if self.base == 0 { None } else { at(claim.local_offset) };
        let found = [moved, said];
        // Of two places, one with another name is an accident.
        let named = found.iter().flatten().any(|(_, local)| local.name == claim.name);
        let mut lost = true;
        for (at, local) in found.into_iter().flatten() {
            if !named || local.name == claim.name {
                lost = false;
                self.member(at, &local, Some(&claim), position)?;
            }
        }
        if lost {
            self.lost.push((claim, position));
        }
        Ok(())
    }

    /// Hands out what no directory entry led to.
    fn front_to_back(&mut self) -> Result<(), Stop> {
        let finder = memmem::Finder::new(MARK);
        // The last of a name first, so that `pop` gives them in order.
        let mut lost: HashMap<&[u8], Vec<(Claim<'b>, u32)>> = HashMap::new();
        for &(claim, position) in self.lost.iter().rev() {
            lost.entry(claim.name).or_default().push((claim, position));
        }
        let mut at = 0;
        while let Some(gap) = finder.find(self.bytes.get(at..).unwrap_or_default()) {
            self.budget.tick(gap as u64 + 1)?;
            at += gap;
            let rest = self.bytes.get(at..).unwrap_or_default();
            if let Some(local) = local_header(rest) {
                let mut end = self.locals.get(&at).copied();
                if end.is_none() {
                    let found = lost.get_mut(local.name).and_then(Vec::pop);
                    let position = found.map_or_else(
                        || {
                            self.position = self.position.saturating_add(1);
                            self.position
                        },
                        |(_, position)| position,
                    );
                    self.member(at, &local, found.as_ref().map(|(claim, _)| claim), position)?;
                    end = self.locals.get(&at).copied();
                }
                at = end.unwrap_or(0).max(at + local.length);
            } else if rest.starts_with(RECORD) {
                if self.records.contains(&at) {
                    at += directory_record(rest).map_or(MARK.len(), |claim| claim.length);
                } else {
                    at = self.records_from(at)?.max(at + MARK.len());
                }
            } else {
                at += MARK.len();
            }
        }
        Ok(())
    }

    /// Hands out the names of members that were not found.
    fn lost(&mut self) -> Result<(), Stop> {
        let found: HashSet<&[u8]> = self.names.iter().map(|&(_, name)| name).collect();
        for (claim, position) in std::mem::take(&mut self.lost) {
            if found.contains(claim.name) {
                continue;
            }
            let entry = entry(&claim, None, position);
            self.hand_out(claim.name, entry, None, Some(Shortfall::Malformed))?;
        }
        Ok(())
    }

    /// Charges a header. Headers may overlap, or be led to often.
    fn header(&mut self, length: usize) -> Result<(), Stop> {
        let length = length as u64;
        self.budget.tick(length)?;
        self.headers_left =
            self.headers_left.checked_sub(length).ok_or(Stop::Short(Shortfall::Malformed))?;
        Ok(())
    }

    /// Hands out the member whose local header stands `at`, in each way in
    /// which its headers let it be read.
    fn member(
        &mut self,
        at: usize,
        local: &Claim<'b>,
        record: Option<&Claim<'b>>,
        position: u32,
    ) -> Result<(), Stop> {
        self.header(local.length)?;
        let start = at + local.length;
        self.locals.entry(at).or_insert(start);
        let main = record.unwrap_or(local);
        let entry = entry(main, Some(local), position);
        let name = main.name;
        let agreed = local.encrypted() && main.encrypted();
        let doubtful = local.encrypted() != main.encrypted();
        let empty = [main, local].iter().all(|claim| claim.is_empty());
        if agreed {
            if self.handed_out.insert((start, ENCRYPTED, 0)) {
                self.names.insert((start, name));
                if !self.decrypted(at, start, main, local, entry)? {
                    self.hand_out(name, entry, None, Some(Shortfall::Encrypted))?;
                }
            }
        } else {
            let methods = [main.method, local.method];
            let n_methods = if methods[0] == methods[1] { 1 } else { 2 };
            for (nth, &method) in methods.iter().take(n_methods).enumerate() {
                // Of two methods, the second is a guess: it must give bytes.
                let reading = Reading { at, start, name, entry, doubtful, empty, guess: nth > 0 };
                match method {
                    STORED => self.stored(&reading, main, local)?,
                    _ if is_open(method) => {
                        let size = main.size.max(local.size);
                        let said = Packed { method, flags: main.flags | local.flags, size };
                        let length = main.packed_size.max(local.packed_size);
                        self.packed(&reading, said, length)?;
                    }
                    _ => {
                        if nth == 0 && self.handed_out.insert((start, method, 0)) {
                            self.names.insert((start, name));
                            let why = if doubtful {
                                Shortfall::Encrypted
                            } else {
                                Shortfall::Unsupported
                            };
                            self.hand_out(name, entry, None, Some(why))?;
                        }
                    }
                }
            }
        }
        // Names not yet given for this data. When nothing was new, the data
        // was handed out under another name.
        for other in [name, local.name] {
            if self.names.insert((start, other)) {
                self.hand_out(other, entry, None, None)?;
            }
        }
        Ok(())
    }

    /// Hands out a member that one of the passwords opens, if one does; the
    /// last one is tried first.
    fn decrypted(
        &mut self,
        at: usize,
        start: usize,
        main: &Claim<'b>,
        local: &Claim<'b>,
        entry: Entry,
    ) -> Result<bool, Stop> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let lengths = [main.packed_size, local.packed_size].map(usize::try_from);
        let mut lengths = lengths.into_iter().flatten();
        let Some(data) = lengths.find_map(|length| rest.get(..length).filter(|d| !d.is_empty()))
        else {
            return Ok(false);
        };
        let Some((header, data)) = data.split_first_chunk::<{ cipher::HEADER }>() else {
            return Ok(false);
        };
        if !is_open(main.method) {
            return Ok(false);
        }
        // The high byte of the checksum, or of the time where that follows.
        let time = self.bytes.get(at + 11).copied();
        let checks = [Some((main.crc32 >> 24) as u8), Some((local.crc32 >> 24) as u8), time];
        for password in self.budget.known_passwords().iter().rev() {
            self.budget.tick(2 * cipher::HEADER as u64)?;
            let (mut cipher, mut header) = (Cipher::new(password), *header);
            cipher.decrypt(&mut header);
            if !checks.contains(&header.last().copied()) || data.len() as u64 > self.data_left {
                continue;
            }
            self.data_left -= data.len() as u64;
            self.budget.tick(data.len() as u64)?;
            let mut plain = data.to_vec();
            cipher.decrypt(&mut plain);
            let (room, over) = self.budget.part_room();
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let mut shortfall = None;
            if main.method != STORED {
                let packed = std::mem::take(&mut plain);
                let said = Packed { method: main.method, flags: main.flags, size: main.size };
                match self.unpack(said, &packed, &mut plain, room).1 {
                    Ending::Damaged | Ending::Unsupported => continue,
                    Ending::Stopped(why) => return Err(why.into()),
                    other => shortfall = other.shortfall(over),
                }
            } else if plain.len() > room {
                plain.truncate(room);
                shortfall = Some(over);
            }
            // One wrong password of some hundreds passes the check above.
            let sum = crc32(&plain);
            if shortfall.is_none() && ![main.crc32, local.crc32].contains(&sum) {
                continue;
            }
            self.budget.spend(plain.len() as u64);
            self.hand_out(main.name, entry, Some(&plain), shortfall)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Stored data: a slice of the archive for each size claimed.
    fn stored(
        &mut self,
        reading: &Reading<'b>,
        main: &Claim<'b>,
        local: &Claim<'b>,
    ) -> Result<(), Stop> {
        let rest = self.bytes.get(reading.start..).unwrap_or_default();
        let mut lengths = [main.packed_size, local.packed_size];
        if lengths == [0, 0] {
            lengths = [main.size, local.size];
        }
        if lengths == [0, 0] && local.flags & FLAG_SIZES_FOLLOW != 0 {
            lengths = [unknown_length(rest) as u64; 2];
        }
        // A size past the end counts only if no other one fits.
        let fits = |length: u64| usize::try_from(length).is_ok_and(|length| length <= rest.len());
        let [first, second] = lengths;
        let lengths = match (fits(first), fits(second)) {
            (true, true) if first == 0 => [second, second],
            (true, true) if second == 0 => [first, first],
            (true, true) | (false, false) => [first, second],
            (true, false) if first > 0 => [first, first],
            (false, true) if second > 0 => [second, second],
            _ => [first.max(second); 2],
        };
        for length in lengths {
            let whole = fits(length);
            // `fits` says that it cannot cut.
            let length = if whole { length as usize } else { rest.len() };
            let data = rest.get(..length).unwrap_or_default();
            let mut shortfall = (!whole).then_some(Shortfall::Malformed);
            if !self.handed_out.insert((reading.start, STORED, length)) {
                continue;
            }
            let mut kept = length as u64;
            if kept > self.data_left {
                (kept, shortfall) = (self.data_left, Some(Shortfall::Malformed));
            }
            self.data_left -= kept;
            let (room, over) = self.budget.part_room();
            if kept > room {
                (kept, shortfall) = (room, Some(over));
            }
            self.budget.spend(kept);
            // At most `length`, which is a `usize`.
            let data = data.get(..kept as usize).unwrap_or_default();
            if reading.doubtful && reading.entry.crc32 != Some(crc32(data)) {
                shortfall = shortfall.or(Some(Shortfall::Encrypted));
            }
            let end = reading.start + length;
            let seen = self.locals.entry(reading.at).or_insert(end);
            *seen = end.max(*seen);
            self.names.insert((reading.start, reading.name));
            self.hand_out(reading.name, reading.entry, Some(data), shortfall)?;
        }
        Ok(())
    }

    /// Packed data: up to the end of its stream, or as long as is said where
    /// the stream has no end of its own.
    fn packed(&mut self, reading: &Reading<'b>, said: Packed, length: u64) -> Result<(), Stop> {
        let key = (reading.start, said.method, 0);
        if self.handed_out.contains(&key) {
            return Ok(());
        }
        let rest = self.bytes.get(reading.start..).unwrap_or_default();
        let allowed = usize::try_from(self.data_left).unwrap_or(usize::MAX).min(rest.len());
        let mut data = rest.get(..allowed).unwrap_or_default();
        if said.method != DEFLATED && !method::ends_itself(said.method) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            data = data.get(..length).unwrap_or(data);
        }
        let (room, over) = self.budget.unpacked_room(data.len());
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut out = std::mem::take(&mut self.buffer);
        out.clear();
        let (mut used, ending) = self.unpack(said, data, &mut out, room);
        if said.method != DEFLATED && length > 0 {
            // Other decoders may read ahead.
            used = used.min(usize::try_from(length).unwrap_or(usize::MAX));
        }
        self.data_left = self.data_left.saturating_sub(used as u64);
        if ending == Ending::Damaged && reading.guess {
            self.buffer = out;
            return Ok(());
        }
        let (shortfall, stop) = match ending {
            // An empty file need not have a stream.
            Ending::Damaged if reading.empty && out.is_empty() => (None, None),
            Ending::Damaged if reading.doubtful => (Some(Shortfall::Encrypted), None),
            Ending::Stopped(why) => (Some(why), Some(why)),
            other => (other.shortfall(over), None),
        };
        if ending == Ending::Complete {
            let end = reading.start + used;
            let seen = self.locals.entry(reading.at).or_insert(end);
            *seen = end.max(*seen);
        }
        self.handed_out.insert(key);
        self.names.insert((reading.start, reading.name));
        self.budget.spend(out.len() as u64);
        let mut entry = reading.entry;
        if entry.packed_size == 0 && entry.size == 0 {
            // A stream that was written without looking back.
            (entry.packed_size, entry.size) = (used as u64, out.len() as u64);
        }
        let data = (shortfall != Some(Shortfall::Encrypted)).then_some(&*out);
        let result = self.hand_out(reading.name, entry, data, shortfall);
        // One large member must not hold its memory for all that follow.
        if out.capacity() <= LARGEST_BUFFER {
            self.buffer = out;
        }
        result?;
        stop.map_or(Ok(()), |why| Err(why.into()))
    }

    fn unpack(
        &mut self,
        said: Packed,
        data: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> (usize, Ending) {
        match said.method {
            DEFLATED => self.inflater.run(data, out, room, self.budget),
            _ => method::unpack(said, data, out, room, self.budget),
        }
    }

    fn hand_out(
        &mut self,
        name: &[u8],
        entry: Entry,
        bytes: Option<&[u8]>,
        shortfall: Option<Shortfall>,
    ) -> Result<(), Stop> {
        self.budget.part()?;
        let name: Cow<'_, str> = decode_name(name, code_page_437);
        match (self.visit)(Part {
            bytes,
            name: Some(name),
            shortfall,
            entry,
            declared: None,
            is_body: false,
            ambiguity: None,
        }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Visitor),
        }
    }
}

/// One way to read the data of a member.
struct Reading<'b> {
    /// The local header.
    at: usize,
    /// The data.
    start: usize,
    name: &'b [u8],
    entry: Entry,
    /// One header says encrypted, the other plain.
    doubtful: bool,
    /// The other header names another method.
    guess: bool,
    /// Both headers say that there is nothing.
    empty: bool,
}

fn entry(main: &Claim<'_>, local: Option<&Claim<'_>>, position: u32) -> Entry {
    Entry {
        position,
        packed_size: main.packed_size,
        size: main.size,
        crc32: Some(main.crc32),
        encrypted: main.encrypted() || local.is_some_and(Claim::encrypted),
    }
}

/// Parses `PK 03 04 version:2 flags:2 method:2 time:4 crc:4 packed:4 size:4
/// name-length:2 extra-length:2 name extra`.
fn local_header(bytes: &[u8]) -> Option<Claim<'_>> {
    if !bytes.starts_with(LOCAL) {
        return None;
    }
    let name_end = LOCAL_LENGTH + usize::from(u16_at(bytes, 26)?);
    let length = name_end + usize::from(u16_at(bytes, 28)?);
    let mut claim = Claim {
        name: bytes.get(LOCAL_LENGTH..name_end)?,
        flags: u16_at(bytes, 6)?,
        method: u16_at(bytes, 8)?,
        crc32: u32_at(bytes, 14)?,
        packed_size: u32_at(bytes, 18)?.into(),
        size: u32_at(bytes, 22)?.into(),
        length,
        local_offset: 0,
    };
    widen(&mut claim, bytes.get(name_end..length)?);
    Some(claim)
}

/// Parses `PK 01 02 made-by:2 version:2 flags:2 method:2 time:4 crc:4 packed:4
/// size:4 name-length:2 extra-length:2 comment-length:2 disk:2 internal:2
/// external:4 offset:4 name extra comment`. The comment may be cut off.
fn directory_record(bytes: &[u8]) -> Option<Claim<'_>> {
    if !bytes.starts_with(RECORD) {
        return None;
    }
    let name_end = RECORD_LENGTH + usize::from(u16_at(bytes, 28)?);
    let extra_end = name_end + usize::from(u16_at(bytes, 30)?);
    let mut claim = Claim {
        name: bytes.get(RECORD_LENGTH..name_end)?,
        flags: u16_at(bytes, 8)?,
        method: u16_at(bytes, 10)?,
        crc32: u32_at(bytes, 16)?,
        packed_size: u32_at(bytes, 20)?.into(),
        size: u32_at(bytes, 24)?.into(),
        length: extra_end + usize::from(u16_at(bytes, 32)?),
        local_offset: u32_at(bytes, 42)?.into(),
    };
    widen(&mut claim, bytes.get(name_end..extra_end)?);
    Some(claim)
}

/// Takes 64-bit fields from the extra field, for those that hold all ones.
fn widen(claim: &mut Claim<'_>, mut extra: &[u8]) {
    while let (Some(kind), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = 4 + usize::from(length);
        let Some(content) = extra.get(4..end) else { return };
        if kind == WIDE_FIELDS {
            let mut at = 0;
            for field in [&mut claim.size, &mut claim.packed_size, &mut claim.local_offset] {
                if *field == ALL_ONES
                    && let Some(wide) = u64_at(content, at)
                {
                    *field = wide;
                    at += 8;
                }
            }
            return;
        }
        extra = extra.get(end..).unwrap_or_default();
    }
}

/// The length of stored data whose header says that it follows the data: up
/// to a descriptor that agrees, or else up to the next header.
fn unknown_length(rest: &[u8]) -> usize {
    let finder = memmem::Finder::new(MARK);
    let mut at = 0;
    while let Some(gap) = finder.find(rest.get(at..).unwrap_or_default()) {
        at += gap;
        let here = rest.get(at..).unwrap_or_default();
        let agrees = here.starts_with(DESCRIPTOR)
            && (u32_at(here, 8).is_some_and(|size| u64::from(size) == at as u64)
                || u64_at(here, 8) == Some(at as u64));
        if agrees || here.starts_with(LOCAL) || here.starts_with(RECORD) {
            return at;
        }
        at += MARK.len();
    }
    rest.len()
}

/// Whether members of this method can be opened.
fn is_open(number: u16) -> bool {
    matches!(number, STORED | DEFLATED) || method::is_known(number)
}

/// Whether the file is an end record, as a zip without members is.
fn is_empty_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(END_RECORD) || bytes.starts_with(WIDE_END)
}

/// The upper half of the character set that names are in when they do not say.
fn code_page_437(byte: u8) -> char {
    CODE_PAGE_437.chars().nth(usize::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
    ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// How often the archive may be read to decode data that overlaps.
const REREAD: u64 = 4;

/// The largest output buffer that is kept for the next member.
const LARGEST_BUFFER: usize = 4 << 20;

const MARK: &[u8] = b"PK";
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
/// A directory record with name, extra field and comment, all as long as
/// they can be.
const LONGEST_HEADER: u64 = 46 + 3 * 0xffff;
const RECORD: &[u8] = b"PK\x01\x02";
const RECORD_LENGTH: usize = 46;
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const END_RECORD: &[u8] = b"PK\x05\x06";
const WIDE_END: &[u8] = b"PK\x06\x06";
const WIDE_LOCATOR: &[u8] = b"PK\x06\x07";

const FLAG_ENCRYPTED: u16 = 1;
/// Checksum and sizes stand behind the data.
const FLAG_SIZES_FOLLOW: u16 = 1 << 3;
/// The extra field with 64-bit sizes.
const WIDE_FIELDS: u16 = 1;
/// What a 32-bit field holds when a 64-bit one counts.
const ALL_ONES: u64 = 0xffff_ffff;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// No method, but a mark in the list of what was handed out.
const ENCRYPTED: u16 = 0xffff;
