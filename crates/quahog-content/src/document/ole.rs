//! OLE2 documents: Word, Excel, PowerPoint, Outlook messages, HWP, installers.
//!
//! Every stream is a part, named by its path. Out of streams of a known kind
//! come more parts:
//!
//! * `\x01Ole10Native`: the file that a user put in, under its own name;
//! * `PowerPoint Document`: embedded objects, inflated where they are packed;
//! * VBA projects: the source of each module, declared [`MACRO_SOURCE`], and
//!   all of them together in the normal form that signatures of ClamAV are
//!   written for;
//! * Outlook messages: attachments under their own names, the body that is
//!   compressed RTF;
//! * `Workbook`: a sheet of Excel 4 macros is told of, declared
//!   [`MACRO_SHEET`], without bytes: it is in the stream;
//! * HWP: streams inflated, if the header says that they are packed;
//! * `Pictures`, `Data`, `Workbook`: pictures of Office drawings.
//!
//! An encrypted document is [`Shortfall::Encrypted`] as a whole; its streams
//! are handed out as they are. A package or a workbook that opens with the
//! password that everybody has is a part.

use std::collections::{HashMap, HashSet};

use memchr::memmem;

use super::compound::{Compound, Kind, Node, is_compound};
use super::decode::{Frame, inflate, outlook_rtf};
use super::{
    About, Allowance, Outlet, Stop, length_at, narrow, office_crypt, u16_at, u32_at, u64_at, utf16,
    vba,
};
use crate::{Budget, Shortfall, Visit};

/// The declared type of a part that is the source of a macro.
pub const MACRO_SOURCE: &str = "text/x-vba";
/// The declared type of a sheet of Excel 4 macros.
pub const MACRO_SHEET: &str = "application/x-xlm";

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    // HWP puts the length of the file before an embedded one.
    let file = if is_compound(bytes) { bytes } else { bytes.get(4..).unwrap_or_default() };
    let Some(file) = is_compound(file).then(|| Compound::parse(file)).flatten() else {
        return Some(Shortfall::Malformed);
    };
    Outlet::run(budget, visit, |outlet| {
        // The tables were read once, all of them.
        budget.tick(bytes.len() as u64)?;
        let mut document = Document {
            file: &file,
            outlet,
            allowance: Allowance::of(bytes),
            packed: false,
            sources: HashSet::new(),
            project: Vec::new(),
            code_page: 0,
            buffer: Vec::new(),
        };
        document.projects_and_headers()?;
        document.streams()?;
        // Of sources that no list names.
        document.project()
    })
}

struct Document<'b, 'o, 'w, 'v, 'c> {
    file: &'b Compound<'b>,
    outlet: &'o mut Outlet<'w, 'v, 'c>,
    allowance: Allowance,
    /// An HWP document whose streams are deflated.
    packed: bool,
    /// Sources handed out: the start of their stream, and where in it.
    sources: HashSet<(u32, usize)>,
    /// Sources in their normal form, and the character set they are in.
    project: Vec<u8>,
    code_page: u16,
    buffer: Vec<u8>,
}

impl Document<'_, '_, '_, '_, '_> {
    /// Reads the streams that speak of others: those that say that all is
    /// encrypted, and the lists of modules.
    fn projects_and_headers(&mut self) -> Result<(), Stop> {
        let streams = self.file.by_name();
        let has = |name: &str| streams.keys().any(|(_, stream)| stream == name);
        let package = streams.get(&(Some(0), "encryptedpackage".to_owned()));
        let info = streams.get(&(Some(0), "encryptioninfo".to_owned()));
        if let (Some(&package), Some(&info)) = (package, info) {
            self.package(package, info)?;
        } else if has("encryptedpackage") && has("encryptioninfo") || has("encryptedsummary") {
            self.outlet.miss(Shortfall::Encrypted);
        }
        let mut lists: Vec<_> = streams
            .iter()
            .filter(|((_, name), _)| name == "dir" || name == "fileheader")
            .map(|((storage, name), &at)| (at, *storage, name == "dir"))
            .collect();
        // In the order of the file, not of the table of names.
        lists.sort_unstable();
        for (at, storage, is_list) in lists {
            let Some(node) = self.file.nodes.get(at) else { continue };
            let most = self.allowance.take(length(node).min(LONGEST_LIST));
            self.outlet.budget.tick(most as u64)?;
            let stream = self.file.stream(node, most);
            if !is_list {
                if stream.starts_with(b"HWP Document File") {
                    let flags = u32_at(&stream, 36).unwrap_or(0);
                    self.packed |= flags & 1 != 0;
                    if flags & 2 != 0 {
                        self.outlet.miss(Shortfall::Encrypted);
                    }
                }
                continue;
            }
            let mut dir = Vec::new();
            vba::decompress(&stream, &mut dir, LONGEST_LIST);
            self.outlet.budget.tick(dir.len() as u64)?;
            let project = vba::project(&dir);
            self.code_page = project.code_page;
            for module in project.modules {
                let key = (storage, module.stream.to_lowercase());
                let Some(node) = streams.get(&key).and_then(|&at| self.file.nodes.get(at)) else {
                    continue;
                };
                let most = self.allowance.take(length(node));
                let stream = self.file.stream(node, most);
                self.outlet.budget.tick(stream.len() as u64)?;
                let source = stream.get(module.offset..).unwrap_or_default();
                self.sources.insert((node.start, module.offset));
                self.source(&format!("{}.bas", module.stream), source)?;
            }
            self.project()?;
        }
        Ok(())
    }

    /// Hands out a package that is encrypted with the password that everybody
    /// has; else notes that it is encrypted.
    fn package(&mut self, package: usize, info: usize) -> Result<(), Stop> {
        let mut stream = |at: usize| {
            let node = self.file.nodes.get(at)?;
            let most = self.allowance.take(length(node));
            Some(self.file.stream(node, most))
        };
        let (info, package) = (stream(info), stream(package));
        let (info, package) = (info.unwrap_or_default(), package.unwrap_or_default());
        self.outlet.budget.tick((info.len() + package.len()) as u64)?;
        let room = self.outlet.room();
        match office_crypt::decrypt(&info, &package, room, self.outlet.budget) {
            Some(plain) => {
                let cut = u64_at(&package, 0).is_some_and(|size| size > room as u64);
                let shortfall = cut.then(|| self.outlet.over());
                let about = About { encrypted: true, shortfall, ..About::named("package") };
                self.outlet.hand(about, &plain)
            }
            None => {
                self.outlet.miss(Shortfall::Encrypted);
                Ok(())
            }
        }
    }

    /// Hands out the sources of a project together.
    fn project(&mut self) -> Result<(), Stop> {
        let project = std::mem::take(&mut self.project);
        if project.is_empty() {
            return Ok(());
        }
        self.outlet.hand(About::named("vba_project"), &project)
    }

    /// Hands out the source of a macro.
    fn source(&mut self, name: &str, container: &[u8]) -> Result<(), Stop> {
        let mut out = std::mem::take(&mut self.buffer);
        out.clear();
        let cut = vba::decompress(container, &mut out, self.outlet.room());
        self.outlet.budget.tick(out.len() as u64)?;
        let about = About {
            declared: Some(MACRO_SOURCE),
            shortfall: cut.then(|| self.outlet.over()),
            packed: Some(container.len()),
            ..About::named(name)
        };
        let done = if out.is_empty() { Ok(()) } else { self.outlet.hand(about, &out) };
        if self.project.len() < self.outlet.room() {
            self.outlet.budget.tick(out.len() as u64)?;
            self.project.extend_from_slice(b"\n\n");
            vba::normalize(&out, self.code_page, &mut self.project);
        }
        self.buffer = out;
        done
    }

    fn streams(&mut self) -> Result<(), Stop> {
        let mut seen = HashSet::new();
        let names = self.attachment_names();
        for (at, node) in self.file.nodes.iter().enumerate() {
            self.outlet.budget.tick(1)?;
            if node.kind != Kind::Stream || node.size == 0 || !seen.insert((node.start, node.size))
            {
                continue;
            }
            let granted = self.allowance.take(length(node));
            let room = granted.min(self.outlet.room());
            let stream = self.file.stream(node, room);
            let shortfall = if stream.len() < granted && room < granted {
                Some(self.outlet.over())
            } else if (stream.len() as u64) < node.size {
                Some(Shortfall::Malformed)
            } else {
                None
            };
            let path = self.file.path(at);
            let name = node
                .parent
                .filter(|_| node.name.starts_with(ATTACHMENT))
                .and_then(|storage| names.get(&storage))
                .map_or(path.as_str(), String::as_str);
            self.outlet.hand(About { shortfall, ..About::named(name) }, &stream)?;
            self.inside(node, &stream)?;
        }
        Ok(())
    }

    /// The file names of the attachments of a message, by storage; the longer
    /// kind of name before the shorter one.
    fn attachment_names(&self) -> HashMap<usize, String> {
        let mut names = HashMap::new();
        for property in ["__substg1.0_3707", "__substg1.0_3704"] {
            for node in &self.file.nodes {
                let Some(storage) = node.parent else { continue };
                if node.name.starts_with(property) && node.kind == Kind::Stream {
                    let text = self.file.stream(node, 1024);
                    let name = if node.name.ends_with("1F") { utf16(&text) } else { narrow(&text) };
                    names.entry(storage).or_insert(name);
                }
            }
        }
        names
    }

    /// Looks for what is in a stream of a known kind.
    fn inside(&mut self, node: &Node, stream: &[u8]) -> Result<(), Stop> {
        self.outlet.budget.tick(stream.len() as u64)?;
        for offset in vba::hidden_sources(stream) {
            self.outlet.budget.tick(1)?;
            if !self.sources.insert((node.start, offset)) {
                continue;
            }
            let source = stream.get(offset..).unwrap_or_default();
            let most = self.allowance.take(source.len().min(LONGEST_SOURCE));
            self.source(&format!("{}.bas", node.name), source.get(..most).unwrap_or(source))?;
        }
        match node.name.to_lowercase().as_str() {
            "\u{1}ole10native" => self.native(stream)?,
            "powerpoint document" => {
                self.objects(stream)?;
            }
            "pictures" | "data" => self.pictures(stream)?,
            "workbook" | "book" => self.workbook(stream)?,
            "worddocument" => {
                // FibBase: the identifier, and the flag fEncrypted.
                let flags = u16_at(stream, 10).unwrap_or(0);
                if u16_at(stream, 0) == Some(WORD) && flags & 0x100 != 0 {
                    self.outlet.miss(Shortfall::Encrypted);
                }
            }
            "current user" if u32_at(stream, 12) == Some(ENCRYPTED_SLIDES) => {
                self.outlet.miss(Shortfall::Encrypted);
            }
            name if name.starts_with("__substg1.0_1009") => {
                let mut out = std::mem::take(&mut self.buffer);
                out.clear();
                let ending = outlook_rtf(stream, &mut out, self.outlet.room());
                let about = About {
                    shortfall: ending.shortfall(self.outlet.over()),
                    packed: Some(stream.len()),
                    ..About::named("body.rtf")
                };
                let done = if out.is_empty() { Ok(()) } else { self.outlet.hand(about, &out) };
                self.buffer = out;
                done?;
            }
            _ if self.packed => self.inflated(&node.name, Frame::Raw, stream)?,
            _ => {}
        }
        Ok(())
    }

    fn inflated(&mut self, name: &str, frame: Frame, packed: &[u8]) -> Result<(), Stop> {
        let mut out = std::mem::take(&mut self.buffer);
        out.clear();
        let (used, ending) =
            inflate(packed, frame, &mut out, self.outlet.room(), self.outlet.budget);
        let about = About {
            shortfall: ending.shortfall(self.outlet.over()),
            packed: Some(used),
            ..About::named(name)
        };
        let done = if out.is_empty() { Ok(()) } else { self.outlet.hand(about, &out) };
        // One large object must not hold its memory for all that follow.
        if out.capacity() <= LARGEST_BUFFER {
            self.buffer = out;
        }
        done
    }

    fn native(&mut self, stream: &[u8]) -> Result<(), Stop> {
        match Native::parse(stream) {
            Some(native) => self.outlet.hand(About::named(&native.name), native.data),
            // Objects of other programs have no more than a length.
            None => self.outlet.hand(About::default(), stream.get(4..).unwrap_or_default()),
        }
    }

    /// `ExOleObjStg` atoms: `version-and-instance:2 type:2 length:4`, then the
    /// storage, or its length and a zlib stream. They are searched for, since
    /// a tree whose lengths lie would hide them.
    fn objects(&mut self, stream: &[u8]) -> Result<(), Stop> {
        for at in memmem::find_iter(stream, &OBJECT_STORAGE) {
            self.outlet.budget.tick(1)?;
            let Some(start) = at.checked_sub(2) else { continue };
            let (Some(kind), Some(length)) = (u16_at(stream, start), length_at(stream, at + 2))
            else {
                continue;
            };
            let body = stream.get(at + 6..).unwrap_or_default();
            let body = body.get(..length).unwrap_or(body);
            let body = body.get(..self.allowance.take(body.len())).unwrap_or_default();
            let name = format!("object at {start}");
            match kind {
                0x00 if is_compound(body) => self.outlet.hand(About::named(&name), body)?,
                0x10 => {
                    let packed = body.get(4..).unwrap_or_default();
                    if is_zlib(packed) {
                        self.inflated(&name, Frame::Zlib, packed)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Pictures of Office drawings: a record header, one or two digests, then
    /// a tag and the file, or a header of 34 bytes and a deflated metafile.
    fn pictures(&mut self, stream: &[u8]) -> Result<(), Stop> {
        for at in memchr::memchr_iter(0xf0, stream) {
            let Some(start) = at.checked_sub(3) else { continue };
            let (Some(instance), Some(length)) = (u16_at(stream, start), length_at(stream, at + 1))
            else {
                continue;
            };
            let kind = stream[at - 1];
            if instance & 0xf != 0 || !matches!(kind, 0x1a..=0x1f | 0x29 | 0x2a) {
                continue;
            }
            self.outlet.budget.tick(1)?;
            let body = stream.get(at + 5..).unwrap_or_default();
            let body = body.get(..length).unwrap_or(body);
            let digests = if instance >> 4 & 1 != 0 { 32 } else { 16 };
            let body = body.get(digests..).unwrap_or_default();
            let body = body.get(..self.allowance.take(body.len())).unwrap_or_default();
            let name = format!("picture at {start}");
            if matches!(kind, 0x1a..=0x1c) {
                match (body.get(32), body.get(34..)) {
                    (Some(0), Some(packed)) if is_zlib(packed) => {
                        self.inflated(&name, Frame::Zlib, packed)?;
                    }
                    (Some(0xfe), Some(plain)) => self.outlet.hand(About::named(&name), plain)?,
                    _ => {}
                }
            } else if let Some((_, picture)) = body.split_first()
                && !picture.is_empty()
            {
                self.outlet.hand(About::named(&name), picture)?;
            }
        }
        Ok(())
    }

    /// Records of a workbook: `type:2 length:2 data`.
    fn workbook(&mut self, stream: &[u8]) -> Result<(), Stop> {
        let mut rest = stream;
        let mut drawings = Vec::new();
        let mut first_sheet = false;
        while let (Some(kind), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) {
            self.outlet.budget.tick(1)?;
            let end = 4 + usize::from(length);
            let data = rest.get(4..end).unwrap_or_default();
            match kind {
                FILE_PASS if !first_sheet => {
                    // Names and drawings behind it are encrypted.
                    self.outlet.budget.tick(4 * stream.len() as u64)?;
                    let Some(plain) = office_crypt::workbook(stream, data) else {
                        self.outlet.miss(Shortfall::Encrypted);
                        return Ok(());
                    };
                    let about = About { encrypted: true, ..About::named("workbook") };
                    self.outlet.hand(about, &plain)?;
                    // It has no such record any more.
                    return self.workbook(&plain);
                }
                SHEET => {
                    first_sheet = true;
                    if data.get(5) == Some(&MACROS) {
                        let about = About { declared: Some(MACRO_SHEET), ..About::default() };
                        self.outlet.tell(about, 0)?;
                    }
                }
                DRAWING_GROUP | CONTINUE if kind == DRAWING_GROUP || !drawings.is_empty() => {
                    drawings.extend_from_slice(data);
                }
                END_OF_SHEET if !drawings.is_empty() => {
                    let drawings = std::mem::take(&mut drawings);
                    self.pictures(&drawings)?;
                }
                _ => {}
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        self.pictures(&drawings)
    }
}

/// What a packager put into a document.
pub(super) struct Native<'b> {
    pub(super) name: String,
    pub(super) data: &'b [u8],
}

impl<'b> Native<'b> {
    /// Parses `length:4 2:2 label 0 file 0 0:2 3:2 length:4 path length:4 data`.
    pub(super) fn parse(stream: &'b [u8]) -> Option<Native<'b>> {
        if u16_at(stream, 4)? != 2 {
            return None;
        }
        let rest = stream.get(6..)?;
        let (label, rest) = split_zero(rest)?;
        let (file, rest) = split_zero(rest)?;
        let path_length = length_at(rest, 4)?;
        let rest = rest.get(8..)?.get(path_length..)?;
        let length = length_at(rest, 0)?;
        let data = rest.get(4..)?;
        let name = narrow(if label.is_empty() { file } else { label });
        Some(Native { name, data: data.get(..length).unwrap_or(data) })
    }
}

fn split_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// Whether bytes begin as a zlib stream: method 8, and a header that checks.
pub(super) fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & 0xf == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

fn length(node: &Node) -> usize {
    usize::try_from(node.size).unwrap_or(usize::MAX)
}

/// A list of modules and references, decompressed.
const LONGEST_LIST: usize = 1 << 20;
/// Bytes of one source that are looked at where no list says how many.
const LONGEST_SOURCE: usize = 1 << 20;
/// The largest output buffer that is kept for the next object.
const LARGEST_BUFFER: usize = 4 << 20;

/// The property that holds the bytes of an attachment.
const ATTACHMENT: &str = "__substg1.0_3701";
const WORD: u16 = 0xa5ec;
const ENCRYPTED_SLIDES: u32 = 0xf3d1_c4df;
const OBJECT_STORAGE: [u8; 2] = 0x1011_u16.to_le_bytes();

const FILE_PASS: u16 = 0x2f;
const SHEET: u16 = 0x85;
const CONTINUE: u16 = 0x3c;
const DRAWING_GROUP: u16 = 0xeb;
const END_OF_SHEET: u16 = 0x0a;
/// The kind of a sheet that holds macros.
const MACROS: u8 = 1;
