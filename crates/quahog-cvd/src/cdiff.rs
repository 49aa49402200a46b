//! Patches (`.cdiff`): from one version of a database to the next.
//!
//! ```text
//! ClamAV-Diff:8:57:<gzip stream>:<signature>
//!             |  bytes of the script
//!             the version that it leads to
//! ```
//!
//! In the gzip stream is a script, a line for each command:
//!
//! ```text
//! OPEN mini.info              edits of a file, by the line numbers that it had
//! XCHG 1 ClamAV-VDB:14 ...    when it was opened; the word behind the number
//! DEL 2 mini.hdb:0            is a guard, with which the old line must begin
//! ADD mini.ldb:9:3c46...      at the end of the file
//! CLOSE
//! MOVE a.ndb b.ndb 3 Test.A 7 Test.F
//! UNLINK mini.hdb
//! ```
//!
//! [`Cdiff::open`] verifies the signature before it unpacks a byte, then reads
//! the whole script into a typed [`Script`]. [`Script::apply`] changes a copy:
//! a script that fails at its last line has changed nothing. [`apply`] leads a
//! verified container through several patches to a `.cld`, which is verified
//! like one that came from elsewhere. That is what makes the result trustworthy;
//! the signature on a patch is only a gate.
//!
//! ClamAV's reader drops the edits of a file that is never closed, takes the
//! later of two edits of a line, and moves lines to any path; here each is an
//! error, as is every other spelling that the generator does not use. A name in
//! a script is a key of [`Files`], and never a path.
//!
//! # Cost
//!
//! Reading a script takes linear time, and beside its text at most 16 bytes for
//! each byte of it. Applying takes linear time in the script and the files that
//! it opens, and files are rewritten at most 64 times their bytes in all
//! ([`Rule::PatchWork`]); memory is that of the changed files, twice.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::Bytes;

use crate::archive::{COPYING, Limits, is_member_name};
use crate::error::{Error, Offset, Rule};
use crate::header::decimal;
use crate::info::Info;
use crate::trust::{self, Trust, TrustStore};
use crate::{Cvd, Kind, VerifiedCvd, gzip, write};

/// The files of an unpacked database by their names, `COPYING` and `.info` too.
pub type Files = BTreeMap<Box<str>, Bytes>;

/// A patch whose frame is read and whose script is understood.
#[derive(Clone, Debug)]
pub struct Cdiff {
    version: u32,
    database: Box<str>,
    script: Script,
    trust: Trust,
}

impl Cdiff {
    /// Verifies and reads a patch.
    ///
    /// # Errors
    ///
    /// [`Rule::CdiffEmpty`] if there are no bytes: so a publisher says that there
    /// is no patch, and that the whole database is to be fetched. Else as
    /// [`TrustStore::verify_cdiff`] and [`Script::parse`].
    pub fn open(bytes: &[u8], trust: &TrustStore, limits: &Limits) -> Result<Cdiff, Error> {
        check_size(bytes, limits)?;
        let signed = trust.verify_cdiff(bytes)?;
        Cdiff::read(signed.frame(), signed.trust().clone(), limits)
    }

    /// Reads a patch without looking at its signature.
    ///
    /// For tools that show a patch, and for one that its maker did not sign. What
    /// it leads to is verified all the same.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for the signature.
    pub fn dangerous_unverified(bytes: &[u8], limits: &Limits) -> Result<Cdiff, Error> {
        check_size(bytes, limits)?;
        let (frame, _) = trust::split_cdiff(bytes)?;
        Cdiff::read(frame, Trust::Unsigned, limits)
    }

    fn read(frame: &[u8], trust: Trust, limits: &Limits) -> Result<Cdiff, Error> {
        let mut at = trust::CDIFF_MAGIC.len();
        let mut number = || -> Result<u64, Error> {
            let rest = frame.get(at..).unwrap_or_default();
            // No number has more digits than this.
            let head = rest.get(..21).unwrap_or(rest);
            let colon = memchr::memchr(b':', head);
            let digits = colon.and_then(|colon| head.get(..colon));
            let number = digits.and_then(|digits| decimal(digits).ok());
            let fault = || Error::new(Rule::CdiffNumber).at(Offset::File(at as u64));
            let number = number.ok_or_else(fault)?;
            at += colon.unwrap_or_default() + 1;
            Ok(number)
        };
        let version = number()?;
        let size = number()?;
        let fault = |rule| Error::new(rule).at(Offset::File(at as u64));
        let version = u32::try_from(version).map_err(|_| fault(Rule::CdiffNumber))?;
        if size > limits.script_bytes {
            return Err(fault(Rule::ScriptBytes));
        }
        let stream = frame.get(at..).unwrap_or_default();
        if !stream.starts_with(gzip::MAGIC) {
            return Err(fault(Rule::GzipHeader));
        }
        // The size is under the signature, so it is the exact bound.
        let script = gzip::inflate(stream, at, size, Rule::CdiffSize, &mut |_| Ok(()))?;
        if script.len() as u64 != size {
            return Err(fault(Rule::CdiffSize));
        }
        let script = Script::parse(script.into())?;
        let database = script.database().ok_or_else(|| script_fault(Rule::ScriptFirst, 0))?;
        Ok(Cdiff { version, database: database.into(), script, trust })
    }

    /// The version that the patch leads to.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The database that it is for, by the `.info` that it edits first.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// What it does.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Who signed it; [`Trust::Unsigned`] if nobody was asked.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// A container as a chain of patches made it.
#[derive(Clone, Debug)]
pub struct Patched {
    /// The bytes of the `.cld`.
    pub file: Bytes,
    /// The same, verified.
    pub container: VerifiedCvd,
}

/// Applies patches one after the other to a verified container.
///
/// Each must be for this database, signed by who signed the container (or
/// opened unverified), and lead from the version before it to the next. The
/// result is written as a `.cld` and verified whole, as if it came from
/// elsewhere, and must be signed by the same source. Nothing is left of a chain
/// that fails.
///
/// # Errors
///
/// [`Error::Untrusted`] for a patch that does not belong here; what
/// [`Script::apply`] and [`Cvd::verify`] say.
pub fn apply(
    base: &VerifiedCvd,
    patches: &[Cdiff],
    trust: &TrustStore,
    limits: &Limits,
) -> Result<Patched, Error> {
    if base.trust() == &Trust::Unsigned {
        return Err(Error::new(Rule::UnsignedBase));
    }
    let info_name = format!("{}.info", base.database());
    let mut files = base.files();
    let mut version = base.header().version();
    for patch in patches {
        if patch.database() != base.database() {
            return Err(Error::new(Rule::CdiffDatabase));
        }
        if patch.trust() != base.trust() && patch.trust() != &Trust::Unsigned {
            return Err(Error::new(Rule::CdiffSigner));
        }
        if version.checked_add(1) != Some(patch.version()) {
            return Err(Error::new(Rule::CdiffVersion));
        }
        files = patch.script().apply(&files, limits)?;
        let info = files.get(&*info_name).cloned().ok_or(Error::new(Rule::NoInfo))?;
        let info = Info::parse(info, Kind::Cld, limits)?;
        version = info.headline().version();
        if version != patch.version() {
            return Err(Error::new(Rule::CdiffVersion).member(&info_name));
        }
    }
    let file = Bytes::from(write::cld_of(&info_name, &files)?);
    let container = Cvd::open(file.clone(), &format!("{}.cld", base.database()))?;
    let container = container.verify(trust, limits)?;
    if container.trust() != base.trust() {
        return Err(Error::new(Rule::CdiffSigner));
    }
    Ok(Patched { file, container })
}

/// What a patch does to files.
#[derive(Clone, Debug)]
pub struct Script {
    text: Bytes,
    steps: Vec<Step>,
}

/// A part of the text of a script. It has 32-bit ends: a script is shorter.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    end: u32,
}

#[derive(Clone, Debug)]
struct Step {
    /// Where it stands in the text.
    at: usize,
    name: Piece,
    does: Does,
}

#[derive(Clone, Debug)]
enum Does {
    /// `OPEN` to `CLOSE`; the edits by their lines.
    Edit { edits: Vec<Edit>, added: Vec<Piece> },
    /// `MOVE` of these lines, guards included, to the end of another file.
    Move { to: Piece, first: (u64, Piece), last: (u64, Piece) },
    /// `UNLINK`.
    Unlink,
}

/// `DEL` or `XCHG`.
#[derive(Clone, Debug)]
struct Edit {
    line: u64,
    guard: Piece,
    /// The new line; `None` deletes.
    text: Option<Piece>,
}

impl Script {
    /// Reads the text of a script.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with the rule and the byte; [`Error::Limit`] from
    /// 4 GiB.
    pub fn parse(text: Bytes) -> Result<Script, Error> {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::new(Rule::ScriptBytes));
        }
        if let Some(at) = memchr::memchr(b'\r', &text) {
            return Err(script_fault(Rule::ScriptReturn, at));
        }
        let mut parser = Parser { text: &text, at: 0, open: None, steps: Vec::new() };
        while parser.at < text.len() {
            parser.line()?;
        }
        if let Some(step) = parser.open {
            return Err(script_fault(Rule::ScriptOpen, step.at));
        }
        Ok(Script { steps: parser.steps, text })
    }

    /// The text.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The database whose `.info` the script edits first; `None` if it begins
    /// with something else.
    pub fn database(&self) -> Option<&str> {
        let first = self.steps.first()?;
        matches!(first.does, Does::Edit { .. }).then_some(())?;
        std::str::from_utf8(self.piece(first.name)).ok()?.strip_suffix(".info")
    }

    /// Applies the script to a copy of `files`, and gives the copy.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] where the script does not fit the files, with the
    /// member and the byte of the script; [`Error::Limit`].
    pub fn apply(&self, files: &Files, limits: &Limits) -> Result<Files, Error> {
        let bytes: u64 = files.values().map(|file| file.len() as u64).sum();
        let mut work = Work {
            files: files.clone(),
            left: (bytes + self.text.len() as u64 + 4096).saturating_mul(MAX_REWRITES),
            limits,
        };
        for step in &self.steps {
            let name = self.name(step.name);
            let fault = |rule| script_fault(rule, step.at).member(name);
            match &step.does {
                Does::Edit { edits, added } => {
                    let old = work.files.get(name).cloned();
                    if old.is_none() && edits.is_empty() && added.is_empty() {
                        continue;
                    }
                    let old = old.unwrap_or_default();
                    let new = self.edit(&old, edits, added).map_err(|(rule, at)| {
                        script_fault(rule, at.unwrap_or(step.at)).member(name)
                    })?;
                    work.put(name, &old, new).map_err(fault)?;
                }
                Does::Move { to, first, last } => {
                    let to = self.name(*to);
                    let missing = |name: &str| script_fault(Rule::PatchFile, step.at).member(name);
                    let from = work.files.get(name).cloned().ok_or_else(|| missing(name))?;
                    let onto = work.files.get(to).cloned().ok_or_else(|| missing(to))?;
                    let range = self.range_of(&from, *first, *last).map_err(fault)?;
                    if onto.last().is_some_and(|last| *last != b'\n') {
                        return Err(script_fault(Rule::PatchEnd, step.at).member(to));
                    }
                    let moved = from.get(range.clone()).unwrap_or_default();
                    let grown = [&*onto, moved].concat();
                    let front = from.get(..range.start).unwrap_or_default();
                    let rest = from.get(range.end..).unwrap_or_default();
                    let shrunk = [front, rest].concat();
                    work.put(to, &onto, grown).map_err(fault)?;
                    work.put(name, &from, shrunk).map_err(fault)?;
                }
                Does::Unlink => {
                    if work.files.remove(name).is_none() {
                        return Err(fault(Rule::PatchFile));
                    }
                }
            }
        }
        let bytes: u64 = work.files.values().map(|file| file.len() as u64).sum();
        if bytes > limits.unpacked_bytes {
            return Err(Error::new(Rule::UnpackedBytes));
        }
        Ok(work.files)
    }

    /// The new text of a file. An error is the rule, and the place if it is
    /// another than the step's.
    fn edit(
        &self,
        old: &[u8],
        edits: &[Edit],
        added: &[Piece],
    ) -> Result<Vec<u8>, (Rule, Option<usize>)> {
        if old.last().is_some_and(|last| *last != b'\n') {
            return Err((Rule::PatchEnd, None));
        }
        let length = |piece: &Piece| (piece.end - piece.start) as usize + 1;
        let more: usize = edits.iter().filter_map(|edit| edit.text.as_ref()).map(length).sum();
        let more: usize = more + added.iter().map(length).sum::<usize>();
        let mut new = Vec::with_capacity(old.len() + more);
        let mut edits = edits.iter().peekable();
        let mut lines = Lines::of(old);
        // Untouched stretches are copied whole.
        let mut copied = 0;
        while let Some(edit) = edits.peek() {
            let at = || Some(edit.guard.start as usize);
            let Some((number, range)) = lines.next() else {
                return Err((Rule::PatchLine, at()));
            };
            if number < edit.line {
                continue;
            }
            let line = old.get(range.clone()).unwrap_or_default();
            if !line.starts_with(self.piece(edit.guard)) {
                return Err((Rule::PatchGuard, at()));
            }
            new.extend_from_slice(old.get(copied..range.start).unwrap_or_default());
            copied = range.end + 1;
            if let Some(text) = edit.text {
                new.extend_from_slice(self.piece(text));
                new.push(b'\n');
            }
            edits.next();
        }
        new.extend_from_slice(old.get(copied..).unwrap_or_default());
        for text in added {
            new.extend_from_slice(self.piece(*text));
            new.push(b'\n');
        }
        Ok(new)
    }

    /// The bytes of the lines from `first` to `last`, line ends included.
    fn range_of(
        &self,
        file: &[u8],
        first: (u64, Piece),
        last: (u64, Piece),
    ) -> Result<Range<usize>, Rule> {
        if file.last().is_some_and(|last| *last != b'\n') {
            return Err(Rule::PatchEnd);
        }
        let mut start = None;
        for (number, range) in Lines::of(file) {
            let guarded = |guard| {
                file.get(range.clone()).is_some_and(|line| line.starts_with(self.piece(guard)))
            };
            if number == first.0 {
                if !guarded(first.1) {
                    return Err(Rule::PatchGuard);
                }
                start = Some(range.start);
            }
            if number == last.0 {
                if !guarded(last.1) {
                    return Err(Rule::PatchGuard);
                }
                return start.map(|start| start..range.end + 1).ok_or(Rule::ScriptRange);
            }
        }
        Err(Rule::PatchLine)
    }

    fn piece(&self, piece: Piece) -> &[u8] {
        self.text.get(piece.start as usize..piece.end as usize).unwrap_or_default()
    }

    /// A name, of which the parser made sure that it is plain.
    fn name(&self, piece: Piece) -> &str {
        std::str::from_utf8(self.piece(piece)).unwrap_or_default()
    }
}

/// Files on their way.
struct Work<'l> {
    files: Files,
    /// Bytes that may still be rewritten.
    left: u64,
    limits: &'l Limits,
}

impl Work<'_> {
    fn put(&mut self, name: &str, old: &[u8], new: Vec<u8>) -> Result<(), Rule> {
        if new.len() as u64 > self.limits.member_bytes {
            return Err(Rule::MemberBytes);
        }
        let cost = old.len() as u64 + new.len() as u64;
        self.left = self.left.checked_sub(cost).ok_or(Rule::PatchWork)?;
        self.files.insert(name.into(), new.into());
        if self.files.len() > self.limits.members {
            return Err(Rule::Members);
        }
        Ok(())
    }
}

/// The lines of a file that ends in LF: number from 1, range without LF.
struct Lines<'f> {
    file: &'f [u8],
    at: usize,
    number: u64,
}

impl<'f> Lines<'f> {
    fn of(file: &'f [u8]) -> Lines<'f> {
        Lines { file, at: 0, number: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = (u64, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.file.get(self.at..)?;
        let end = self.at + memchr::memchr(b'\n', rest)?;
        let range = self.at..end;
        self.at = end + 1;
        self.number += 1;
        Some((self.number, range))
    }
}

struct Parser<'t> {
    text: &'t Bytes,
    at: usize,
    /// The file that is open.
    open: Option<Step>,
    steps: Vec<Step>,
}

impl Parser<'_> {
    /// Reads one line: a command, or a comment behind `#`.
    fn line(&mut self) -> Result<(), Error> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(length) = memchr::memchr(b'\n', rest) else {
            return Err(script_fault(Rule::ScriptEnd, start));
        };
        self.at = start + length + 1;
        let line = rest.get(..length).unwrap_or_default();
        if line.first() == Some(&b'#') {
            return Ok(());
        }
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let mut words = Words { line, start, at: word.len() };
        let fault = |rule| Err(script_fault(rule, start));
        match (word, &mut self.open) {
            (b"OPEN", None) => {
                let name = words.name()?;
                words.end()?;
                let does = Does::Edit { edits: Vec::new(), added: Vec::new() };
                self.open = Some(Step { at: start, name, does });
            }
            (b"CLOSE", open @ Some(_)) => {
                words.end()?;
                if let Some(mut step) = open.take() {
                    if let Does::Edit { edits, added } = &mut step.does {
                        // They may come in any order.
                        edits.sort_by_key(|edit| edit.line);
                        let twice = edits.windows(2).find_map(|pair| match pair {
                            [one, two] if one.line == two.line => Some(two.guard.start as usize),
                            _ => None,
                        });
                        if let Some(at) = twice {
                            return Err(script_fault(Rule::ScriptTwice, at));
                        }
                        edits.shrink_to_fit();
                        added.shrink_to_fit();
                    }
                    self.steps.push(step);
                }
            }
            (b"ADD" | b"DEL" | b"XCHG", Some(Step { does: Does::Edit { edits, added }, .. })) => {
                if word == b"ADD" {
                    added.push(words.rest()?);
                    return Ok(());
                }
                let line = words.number()?;
                let guard = words.guard()?;
                let text = match word {
                    b"XCHG" => Some(words.rest()?),
                    _ => None,
                };
                words.end()?;
                edits.push(Edit { line, guard, text });
            }
            (b"MOVE", None) => {
                let from = words.name()?;
                let to = words.name()?;
                let (first, first_guard) = (words.number()?, words.guard()?);
                let (last, last_guard) = (words.number()?, words.guard()?);
                words.end()?;
                if first >= last {
                    return fault(Rule::ScriptRange);
                }
                let name = |piece: Piece| self.text.get(piece.start as usize..piece.end as usize);
                if name(from) == name(to) {
                    return fault(Rule::ScriptName);
                }
                let does = Does::Move { to, first: (first, first_guard), last: (last, last_guard) };
                self.steps.push(Step { at: start, name: from, does });
            }
            (b"UNLINK", None) => {
                let name = words.name()?;
                words.end()?;
                self.steps.push(Step { at: start, name, does: Does::Unlink });
            }
            (b"OPEN" | b"MOVE" | b"UNLINK" | b"CLOSE" | b"ADD" | b"DEL" | b"XCHG", _) => {
                return fault(Rule::ScriptOrder);
            }
            _ => return fault(Rule::ScriptCommand),
        }
        Ok(())
    }
}

/// Takes the arguments of a command, each behind exactly one space.
struct Words<'l> {
    line: &'l [u8],
    /// Where the line stands in the script.
    start: usize,
    at: usize,
}

impl Words<'_> {
    /// The next argument: up to a space or the end.
    fn word(&mut self) -> Result<Piece, Error> {
        let start = self.space()?;
        let rest = self.line.get(start..).unwrap_or_default();
        self.at = start + memchr::memchr(b' ', rest).unwrap_or(rest.len());
        Ok(self.piece(start))
    }

    /// All that is left, be it nothing.
    fn rest(&mut self) -> Result<Piece, Error> {
        let start = self.space()?;
        self.at = self.line.len();
        Ok(self.piece(start))
    }

    fn space(&mut self) -> Result<usize, Error> {
        match self.line.get(self.at) {
            Some(b' ') => Ok(self.at + 1),
            _ => Err(script_fault(Rule::ScriptCommand, self.start + self.at)),
        }
    }

    fn end(&self) -> Result<(), Error> {
        if self.at == self.line.len() {
            return Ok(());
        }
        Err(script_fault(Rule::ScriptCommand, self.start + self.at))
    }

    fn name(&mut self) -> Result<Piece, Error> {
        let piece = self.word()?;
        if is_member_name(self.text(piece)) {
            return Ok(piece);
        }
        Err(script_fault(Rule::ScriptName, piece.start as usize))
    }

    fn number(&mut self) -> Result<u64, Error> {
        let piece = self.word()?;
        match decimal(self.text(piece)) {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(script_fault(Rule::ScriptNumber, piece.start as usize)),
        }
    }

    fn guard(&mut self) -> Result<Piece, Error> {
        let piece = self.word()?;
        if piece.start == piece.end {
            return Err(script_fault(Rule::ScriptGuard, piece.start as usize));
        }
        Ok(piece)
    }

    fn text(&self, piece: Piece) -> &[u8] {
        let range = piece.start as usize - self.start..piece.end as usize - self.start;
        self.line.get(range).unwrap_or_default()
    }

    /// From `start` of the line up to here. The parser made sure that the whole
    /// text has a 32-bit length, so no cast cuts.
    fn piece(&self, start: usize) -> Piece {
        Piece { start: (self.start + start) as u32, end: (self.start + self.at) as u32 }
    }
}

/// Writes the script that leads from the files of `old` to those of `new`.
///
/// A line is exchanged or deleted where that keeps the lines around it, and the
/// rest is added at the end, in linear time; the script is not the shortest.
/// That it does what it should is tried before it is given.
///
/// # Errors
///
/// [`write::WriteError::Unpatchable`] for a file that no script can make: one
/// with a carriage return, or without a line feed at its end.
pub fn diff(old: &VerifiedCvd, new: &VerifiedCvd) -> Result<Script, write::WriteError> {
    let (old_files, new_files) = (old.files(), new.files());
    let info = format!("{}.info", new.database());
    let mut text = Vec::new();
    // The .info comes first, by which the script is known.
    let first = new_files.get_key_value(&*info);
    let rest = new_files.iter().filter(|(name, _)| ***name != *info && ***name != *COPYING);
    for (name, new) in first.into_iter().chain(rest) {
        let old = old_files.get(name);
        if old == Some(new) && **name != *info {
            continue;
        }
        let unpatchable = || write::WriteError::Unpatchable(name.to_string());
        if new.last().is_some_and(|last| *last != b'\n') || memchr::memchr(b'\r', new).is_some() {
            return Err(unpatchable());
        }
        diff_file(&mut text, name, old.map(|old| &**old), new);
    }
    let gone = old_files.keys().filter(|name| !new_files.contains_key(*name));
    for name in gone.filter(|name| ***name != *COPYING) {
        text.extend_from_slice(format!("UNLINK {name}\n").as_bytes());
    }
    let wrong = |_| write::WriteError::Unpatchable(info.clone());
    let script = Script::parse(text.into()).map_err(wrong)?;
    let limits = Limits { unpacked_bytes: u64::MAX, member_bytes: u64::MAX, ..Limits::default() };
    let mut made = script.apply(&old_files, &limits).map_err(wrong)?;
    let mut wanted = new_files;
    // The licence text is in no list, and no patch carries it.
    made.remove(COPYING);
    wanted.remove(COPYING);
    if made != wanted || script.database() != Some(new.database()) {
        return Err(write::WriteError::Unpatchable(info));
    }
    Ok(script)
}

/// Writes the commands for one file.
fn diff_file(text: &mut Vec<u8>, name: &str, old: Option<&[u8]>, new: &[u8]) {
    let lines = |file| Lines::of(file).map(|(_, range)| file.get(range).unwrap_or_default());
    let mut command = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| text.extend_from_slice(part));
        text.push(b'\n');
    };
    let new: Vec<&[u8]> = lines(new).collect();
    let whole = old.is_none_or(|old| old.last().is_none_or(|last| *last == b'\n'));
    let old_lines: Vec<&[u8]> = old.map(|old| lines(old).collect()).unwrap_or_default();
    let edits = edits(&old_lines, &new).filter(|_| whole);
    let (edits, kept) = match edits {
        Some(edits) => edits,
        None => {
            // A line to be changed has no guard: the file is written anew.
            command(&[b"UNLINK ", name.as_bytes()]);
            (Vec::new(), 0)
        }
    };
    command(&[b"OPEN ", name.as_bytes()]);
    for Change { index, guard, text } in edits {
        let number = (index + 1).to_string();
        match text {
            None => command(&[b"DEL ", number.as_bytes(), b" ", guard]),
            Some(text) => command(&[b"XCHG ", number.as_bytes(), b" ", guard, b" ", text]),
        }
    }
    for line in new.get(kept..).unwrap_or_default() {
        command(&[b"ADD ", line]);
    }
    command(&[b"CLOSE"]);
}

/// An edit to be written.
struct Change<'f> {
    index: usize,
    guard: &'f [u8],
    text: Option<&'f [u8]>,
}

/// The edits that make the old lines the first of the new ones, and how many
/// these are. `None` if a line to be edited has no guard.
fn edits<'f>(old: &[&'f [u8]], new: &[&'f [u8]]) -> Option<(Vec<Change<'f>>, usize)> {
    let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, line) in old.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    let mut edits = Vec::new();
    let mut kept = 0;
    let mut gone_until = 0;
    for (index, line) in old.iter().enumerate() {
        let wanted = new.get(kept);
        if index >= gone_until {
            if wanted == Some(line) {
                kept += 1;
                continue;
            }
            // If the line wanted here comes later, what lies between is gone;
            // unless only this line changed.
            let one_changed = new.get(kept + 1).is_some_and(|n| old.get(index + 1) == Some(n));
            let later = wanted.and_then(|wanted| {
                let places = places.get(wanted)?;
                places.get(places.partition_point(|place| *place < index)).copied()
            });
            if let (Some(later), false) = (later, one_changed) {
                gone_until = later;
            }
        }
        let text = match wanted {
            Some(text) if index >= gone_until => {
                kept += 1;
                Some(*text)
            }
            _ => None,
        };
        // The generator of ClamAV takes as much.
        let head = line.get(..16).unwrap_or(line);
        let guard = head.split(|b| *b == b' ').next().filter(|guard| !guard.is_empty())?;
        edits.push(Change { index, guard, text });
    }
    Some((edits, kept))
}

fn check_size(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    if bytes.is_empty() {
        return Err(Error::new(Rule::CdiffEmpty));
    }
    if bytes.len() as u64 > limits.file_bytes {
        return Err(Error::new(Rule::FileBytes));
    }
    Ok(())
}

fn script_fault(rule: Rule, at: usize) -> Error {
    Error::new(rule).at(Offset::Script(at as u64))
}

/// How many times its bytes (and the script's) a database may be rewritten.
const MAX_REWRITES: u64 = 64;
