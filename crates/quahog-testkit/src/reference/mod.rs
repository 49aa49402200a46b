//! The reference interpreter: slow, obvious, and the definition of a match.
//!
//! Input are database files as text and one [`View`] (the bytes that are
//! searched and what is known of them), output is the sorted list of
//! [`Match`]es. The engine is right when it finds the same; so nothing here is
//! shared with it, not even the parser: two independent readings of the
//! specification have to agree.
//!
//! | module | section of the specification |
//! |---|---|
//! | this one | 0 files and lines, 3 `.db` and `.ndb`, 5.3 ignore lists |
//! | [`body`] | 2 body patterns |
//! | `offset` | 3.2 offsets |
//! | `logical`, `logic` | 4 logical signatures and their expressions |
//! | `exe` | 3.2, 4.1 what the headers of executables say |
//! | `icon` | 5.8 icons |
//! | `compare`, `pcre` | 4.6 byte compares, 4.7 regular expressions |
//! | `hash` | 1 hash signatures and allow lists |
//! | `container` | 5.1 container metadata, for an entry and not for a view |
//!
//! What the reference cannot decide (the less plain regular expressions) it
//! reads as far as loading refuses it and then names in
//! [`Verdict::unsupported`]; it never guesses.
//!
//! Cost: each pattern is tried at each byte. Haystacks of 10 000 bytes and
//! databases of 100 lines take a fraction of a second.
//!
//! ```
//! use quahog_testkit::reference::{Database, Options, View};
//!
//! let files = [("x.ndb", "Test.Gap:0:*:4142{2-4}4344")];
//! let database = Database::load(&files, &Options::strict())?;
//! let matches = database.matches(&View::new(b"AB..CD"));
//! assert_eq!(matches[0].name(), "Test.Gap");
//! assert_eq!(matches[0].spans(), [0..6]);
//! # Ok::<(), quahog_testkit::reference::LoadError>(())
//! ```

pub mod body;
mod compare;
mod container;
mod exe;
mod file_type;
mod hash;
mod icon;
mod logic;
mod logical;
mod offset;
mod pcre;
mod yara;

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use self::body::{Body, Demands, Modifiers};
pub use self::container::{Entry, container_line_matches};
use self::exe::Program;
pub use self::hash::Digests;
use self::hash::{Hash, md5_hex};
use self::icon::Icon;
use self::logical::{Logical, TooManySteps};
use self::offset::Offset;

/// The functionality level that the reference stands for.
const FLEVEL: i64 = 216;

/// Why a line is refused: one sentence.
type Reason = &'static str;

/// How databases are loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The first refused line refuses the set; otherwise it is left out.
    pub strict: bool,
    /// Files of potentially unwanted applications (`.ndu` and so on).
    pub pua: Pua,
}

/// Which entries of `.ndu`, `.ldu`, `.hdu` and `.hsu` are loaded.
#[derive(Clone, Debug, Default)]
pub enum Pua {
    /// None.
    #[default]
    Off,
    /// All.
    On,
    /// Those of the named categories.
    Include(Vec<String>),
    /// Those of other categories than the named ones.
    Exclude(Vec<String>),
}

/// Why, and where, a database was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct LoadError {
    /// Name of the file.
    pub file: String,
    /// Number of the line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What the reference cannot decide.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum UnsupportedKind {
    /// A whole database format.
    Format,
    /// A regular expression that is not of the plainest kind, or takes too
    /// many steps.
    Pcre,
}

/// Loaded signatures.
#[derive(Clone, Debug, Default)]
pub struct Database {
    signatures: Vec<Signature>,
    allowed: Vec<Hash>,
    icons: Vec<Icon>,
    refused: Vec<LoadError>,
    formats: BTreeSet<String>,
}

/// One signature.
#[derive(Clone, Debug)]
struct Signature {
    name: String,
    target: u32,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Body(Body, Offset),
    File(Hash),
    Imports(Hash),
    Section(Hash),
    Logical(Logical),
    Yara(yara::Rule),
}

/// One buffer that is searched, and what is known of it.
///
/// [`new`](View::new) makes a plain view of unknown type; the fields tell more.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The bytes that are searched.
    pub bytes: &'a [u8],
    /// Numbers of the targets whose signatures are searched for.
    pub targets: Vec<u32>,
    /// Size of the layer, which `FileSize` asks about: for normalised text
    /// this is not the length of the view.
    pub size: u64,
    /// Digests of the view itself; `None` if it is not hashed (normalised
    /// text).
    pub digests: Option<Digests>,
    /// For a normalised view, digests of the layer that it was made from,
    /// which is no parent but counts for allow lists.
    pub source: Option<Digests>,
    /// The perceptual hash, if the layer is a picture.
    pub picture: Option<u64>,
    /// The layers around this one, innermost first.
    pub ancestors: Vec<Ancestor>,
}

/// A layer around the one that is searched.
#[derive(Clone, Debug)]
pub struct Ancestor {
    /// The file type, such as `CL_TYPE_ZIP`.
    pub file_type: String,
    /// The digests, for allow lists.
    pub digests: Digests,
}

/// A signature that matches.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Match {
    name: String,
    count: u64,
    spans: Vec<Span>,
    subsignatures: Vec<Hits>,
}

/// Hits of one subsignature of a logical signature.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Hits {
    count: u64,
    spans: Vec<Span>,
}

/// A range that can be sorted.
type Span = (usize, usize);

/// The names found in a view.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Names as they are reported, with `.UNOFFICIAL`.
    pub names: BTreeSet<String>,
    /// What was not decided, with the name of the signature or the file.
    pub unsupported: BTreeSet<(UnsupportedKind, String)>,
}

impl Options {
    /// The first refused line refuses the whole set, as clamscan has it.
    pub fn strict() -> Options {
        Options { strict: true, pua: Pua::Off }
    }
}

impl<'a> View<'a> {
    /// A view of bytes of no special type: generic signatures, no parent.
    pub fn new(bytes: &'a [u8]) -> View<'a> {
        View {
            bytes,
            targets: vec![0],
            size: bytes.len() as u64, // no `usize` is wider
            digests: Some(Digests::of(bytes)),
            source: None,
            picture: None,
            ancestors: Vec::new(),
        }
    }

    /// The same view, searched for signatures of these targets.
    pub fn with_targets(self, targets: impl IntoIterator<Item = u32>) -> View<'a> {
        View { targets: targets.into_iter().collect(), ..self }
    }
}

impl Match {
    /// Name of the signature, without `.UNOFFICIAL`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often it matches: hits of a body pattern, 1 for a hash, the value
    /// of the expression for a logical signature (0 if it asks for absence).
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where it matches, in order: one span for each counted hit.
    ///
    /// A span goes from the start of the first part to the nearest end of the
    /// last one. Where several chains of parts lead to the same last part, the
    /// longest is told. Logical signatures have the spans of all their
    /// subsignatures.
    pub fn spans(&self) -> Vec<Range<usize>> {
        self.spans.iter().map(|&(start, end)| start..end).collect()
    }

    /// The hits of each subsignature, in order; empty if it is no logical
    /// signature.
    pub fn subsignatures(&self) -> &[Hits] {
        &self.subsignatures
    }
}

impl Hits {
    /// How often the subsignature matches.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where it matches.
    pub fn spans(&self) -> Vec<Range<usize>> {
        self.spans.iter().map(|&(start, end)| start..end).collect()
    }
}

impl Database {
    /// Loads database files: pairs of a name and a text.
    ///
    /// The kind of a file follows from the extension of its name; a file
    /// without a known one is not loaded. Ignore lists work on all files,
    /// wherever they stand.
    ///
    /// # Errors
    ///
    /// With [`Options::strict`], the first line that clamscan refuses.
    /// Otherwise never: see [`refused`](Database::refused).
    pub fn load<N, T>(files: &[(N, T)], options: &Options) -> Result<Database, LoadError>
    where
        N: AsRef<str>,
        T: AsRef<[u8]>,
    {
        let mut loader = Loader { options, database: Database::default(), ignored: Vec::new() };
        let is_list = |name: &str| matches!(extension(name).as_str(), "ign" | "ign2");
        for lists in [true, false] {
            for (name, text) in files {
                if is_list(name.as_ref()) == lists {
                    loader.file(name.as_ref(), text.as_ref())?;
                }
            }
        }
        Ok(loader.database)
    }

    /// The lines that were left out because they are malformed.
    pub fn refused(&self) -> &[LoadError] {
        &self.refused
    }

    /// Whether clamscan may lose hits of a signature through branches of
    /// different length or classes: a difference that is no mistake.
    ///
    /// `name` is the name without `.UNOFFICIAL`.
    pub fn clamscan_may_lose(&self, name: &str) -> bool {
        self.signatures.iter().filter(|signature| signature.name == name).any(|signature| {
            match &signature.rule {
                Rule::Body(body, _) => body.clamscan_may_lose(),
                Rule::File(_) | Rule::Imports(_) | Rule::Section(_) | Rule::Yara(_) => false,
                Rule::Logical(logical) => logical.clamscan_may_lose(),
            }
        })
    }

    /// The signatures that match, sorted by name, each one told once for each
    /// line it stands on.
    ///
    /// This is matching alone: no allow list, no smallest layer. Signatures
    /// that the reference cannot decide are not among them.
    pub fn matches(&self, view: &View<'_>) -> Vec<Match> {
        let searched = self.signatures.iter().filter(|s| view.targets.contains(&s.target));
        let mut matches: Vec<Match> = searched
            .filter(|signature| signature.rule.unsupported().is_none())
            .filter_map(|signature| signature.search(view, self).ok().flatten())
            .collect();
        matches.sort();
        matches
    }

    /// What is reported for a layer in which `view` is searched: names of all
    /// matches, after the allow list.
    pub fn verdict(&self, view: &View<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        // Layers of five bytes or less are not looked at at all.
        if view.size <= 5 {
            return verdict;
        }
        for format in &self.formats {
            verdict.unsupported.insert((UnsupportedKind::Format, format.clone()));
        }
        for signature in self.signatures.iter().filter(|s| view.targets.contains(&s.target)) {
            let beyond = || signature.search(view, self).is_err();
            let kind = signature.rule.unsupported();
            if let Some(kind) = kind.or_else(|| beyond().then_some(UnsupportedKind::Pcre)) {
                verdict.unsupported.insert((kind, signature.name.clone()));
            }
        }
        if !self.is_allowed(view) {
            let matches = self.matches(view).into_iter();
            verdict.names = matches.map(|found| format!("{}.UNOFFICIAL", found.name)).collect();
        }
        verdict
    }

    /// Whether the view or a layer around it is on the allow list.
    fn is_allowed(&self, view: &View<'_>) -> bool {
        let around = view.ancestors.iter().map(|ancestor| &ancestor.digests);
        let mut layers = around.chain(&view.source).chain(&view.digests);
        layers.any(|digests| self.allowed.iter().any(|hash| hash.matches(digests)))
    }
}

impl Signature {
    fn search(&self, view: &View<'_>, database: &Database) -> Result<Option<Match>, TooManySteps> {
        let Database { signatures: all, icons, .. } = database;
        let length = view.bytes.len();
        let (count, spans, subsignatures) = match &self.rule {
            // A member of a macro group never alerts alone.
            Rule::Body(_, Offset::MacroGroup(_)) => return Ok(None),
            Rule::Body(body, offset) => {
                let program = Program::of(view);
                let accepts = |start| offset.accepts(start, length, &program);
                let found = body.search(view.bytes, accepts);
                (found.len() as u64, spans(&found), Vec::new()) // no `usize` is wider
            }
            Rule::File(hash) => {
                let found = view.digests.as_ref().is_some_and(|digests| hash.matches(digests));
                (u64::from(found), if found { vec![(0, length)] } else { Vec::new() }, Vec::new())
            }
            Rule::Section(hash) => {
                let program = Program::of(view);
                let mut spans: Vec<Span> = program
                    .hashed_sections(length)
                    .filter(|&(start, end)| hash.matches(&Digests::of(&view.bytes[start..end])))
                    .collect();
                spans.sort_unstable();
                (spans.len() as u64, spans, Vec::new())
            }
            Rule::Imports(hash) => {
                let text = Program::of(view).imports(view.bytes);
                let found = text.is_some_and(|text| hash.matches(&Digests::of(&text)));
                (u64::from(found), Vec::new(), Vec::new())
            }
            Rule::Yara(rule) => {
                let found = !rule.private && rule.holds(view);
                (u64::from(found), Vec::new(), Vec::new())
            }
            Rule::Logical(logical) => {
                let members = |wanted: i64| {
                    let mut found = Vec::new();
                    for signature in all.iter().filter(|other| other.target == self.target) {
                        if let Rule::Body(body, Offset::MacroGroup(group)) = &signature.rule
                            && *group == wanted
                        {
                            found.extend(body.search(view.bytes, |_| true));
                        }
                    }
                    found
                };
                let Some((count, hits)) = logical.evaluate(view, &members, icons)? else {
                    return Ok(None);
                };
                let hits: Vec<Hits> = hits
                    .iter()
                    .map(|hits| Hits { count: hits.count, spans: spans(&hits.occurrences) })
                    .collect();
                let mut all: Vec<Span> = hits.iter().flat_map(|hits| hits.spans.clone()).collect();
                all.sort_unstable();
                return Ok(Some(Match {
                    name: self.name.clone(),
                    count,
                    spans: all,
                    subsignatures: hits,
                }));
            }
        };
        Ok((count > 0).then(|| Match { name: self.name.clone(), count, spans, subsignatures }))
    }
}

fn spans(occurrences: &[body::Occurrence]) -> Vec<Span> {
    let mut spans: Vec<Span> = occurrences.iter().map(|found| (found.start, found.end)).collect();
    spans.sort_unstable();
    spans
}

impl Rule {
    fn unsupported(&self) -> Option<UnsupportedKind> {
        match self {
            Rule::Body(..) | Rule::File(_) | Rule::Imports(_) | Rule::Section(_) => None,
            Rule::Logical(logical) => logical.unsupported(),
            Rule::Yara(rule) => (!rule.is_decided()).then_some(UnsupportedKind::Pcre),
        }
    }
}

/// Loading: files, lines, names.
struct Loader<'a> {
    options: &'a Options,
    database: Database,
    ignored: Vec<Ignored>,
}

/// An entry of an ignore list.
struct Ignored {
    name: String,
    /// MD5 of the ignored line, if only that line is meant.
    md5: Option<String>,
}

impl Loader<'_> {
    fn file(&mut self, name: &str, text: &[u8]) -> Result<(), LoadError> {
        let extension = extension(name);
        match extension.as_str() {
            "ndu" | "ldu" | "hdu" | "hsu" | "mdu" | "msu"
                if matches!(self.options.pua, Pua::Off) =>
            {
                return Ok(());
            }
            "db" | "ndb" | "ndu" | "ldb" | "ldu" | "hdb" | "hsb" | "hdu" | "hsu" | "fp" | "sfp"
            | "ign" | "ign2" | "mdb" | "msb" | "mdu" | "msu" | "imp" | "idb" => {}
            "yar" | "yara" => return self.rules(name, text),
            "sdb" | "cfg" | "info" | "cbc" | "ioc" | "cdb" | "zmd" | "rmd" | "ftm" | "pdb"
            | "gdb" | "wdb" | "crb" | "cat" | "pwdb" | "cvd" | "cld" | "cud" => {
                self.database.formats.insert(name.to_owned());
                return Ok(());
            }
            _ => return Ok(()),
        }
        if text.is_empty() {
            let may_be_empty = matches!(extension.as_str(), "ign" | "ign2");
            return if may_be_empty { Ok(()) } else { self.refuse(name, 0, "empty file") };
        }
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for (index, raw) in text.split(|&byte| byte == b'\n').enumerate() {
            let end = raw.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
            let raw = &raw[..end];
            if raw.starts_with(b"#") {
                continue;
            }
            let line = String::from_utf8_lossy(raw);
            if let Err(reason) = self.line(&extension, &line, raw) {
                self.refuse(name, index + 1, reason)?;
            }
        }
        Ok(())
    }

    /// YARA rules. One that is in error is left out, unless it is the last one
    /// and its hex string is refused: then clamscan refuses the file.
    fn rules(&mut self, name: &str, text: &[u8]) -> Result<(), LoadError> {
        let mut last = None;
        for parsed in yara::parse(&String::from_utf8_lossy(text)) {
            last = match parsed {
                Ok(rule) => {
                    let name = format!("YARA.{}", rule.name);
                    let rule = Rule::Yara(rule);
                    self.database.signatures.push(Signature { name, target: 0, rule });
                    None
                }
                Err((line, reason)) => {
                    let error = LoadError { file: name.to_owned(), line, reason };
                    self.database.refused.push(error.clone());
                    Some(error)
                }
            };
        }
        match last {
            Some(error) if self.options.strict && error.reason == yara::ALONE => Err(error),
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, file: &str, line: usize, reason: Reason) -> Result<(), LoadError> {
        let error = LoadError { file: file.to_owned(), line, reason };
        if self.options.strict {
            return Err(error);
        }
        self.database.refused.push(error);
        Ok(())
    }

    fn line(&mut self, extension: &str, line: &str, raw: &[u8]) -> Result<(), Reason> {
        if line.is_empty() {
            return Err("blank line");
        }
        if matches!(extension, "ign" | "ign2") {
            self.ignored.push(Ignored::parse(line)?);
            return Ok(());
        }
        let raw_name = match extension {
            "db" => line.split_once('=').ok_or("no `=` after the name")?.0,
            "ldb" | "ldu" => logical::name(line)?,
            "ndb" | "ndu" => colon_fields(line, 4..=6)?[0],
            "idb" => colon_fields(line, 4..=4)?[0],
            _ => colon_fields(line, 3..=5)?[2],
        };
        // What is not wanted is not read any further.
        if extension.ends_with('u') && !self.options.pua.wants(raw_name)
            || self.ignored.iter().any(|entry| entry.means(raw_name, raw))
        {
            return Ok(());
        }
        if extension == "idb" {
            self.database.icons.push(Icon::parse(&colon_fields(line, 4..=4)?)?);
            return Ok(());
        }
        let parsed = match extension {
            "db" => db(line)?,
            "ndb" | "ndu" => ndb(line)?,
            "ldb" | "ldu" => {
                Logical::parse(line)?.map(|logical| (logical.target, Rule::Logical(logical)))
            }
            "mdb" | "msb" | "mdu" | "msu" => {
                Hash::parse_section(line)?.map(|hash| (PE_TARGET, Rule::Section(hash)))
            }
            "imp" => Hash::parse_imports(line)?.map(|hash| (PE_TARGET, Rule::Imports(hash))),
            _ => Hash::parse(line)?.map(|hash| (ANY_TARGET, Rule::File(hash))),
        };
        let Some((target, rule)) = parsed else { return Ok(()) };
        let name = raw_name.split(" (Clam)").next().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err("empty name");
        }
        match rule {
            Rule::File(hash) if matches!(extension, "fp" | "sfp") => {
                self.database.allowed.push(hash);
            }
            rule => self.database.signatures.push(Signature { name, target, rule }),
        }
        Ok(())
    }
}

/// The fields between colons, if there are as many as there may be.
fn colon_fields(line: &str, wanted: RangeInclusive<usize>) -> Result<Vec<&str>, Reason> {
    let fields: Vec<&str> = line.split(':').collect();
    if wanted.contains(&fields.len()) { Ok(fields) } else { Err("wrong number of fields") }
}

/// Hash signatures are compared with every layer.
const ANY_TARGET: u32 = 0;

/// Hashes of parts of a program are compared with PE files only.
const PE_TARGET: u32 = 1;

impl Pua {
    /// Whether an entry of a `*u` file is loaded.
    fn wants(&self, name: &str) -> bool {
        let listed = |categories: &[String]| {
            let rest = name.strip_prefix("PUA")?;
            let category = rest.rfind('.').map(|dot| &rest[..dot])?;
            Some(format!(".{}.", categories.join(".")).contains(category))
        };
        match self {
            Pua::Off => false,
            Pua::On => true,
            Pua::Include(categories) => listed(categories) == Some(true),
            Pua::Exclude(categories) => listed(categories) == Some(false),
        }
    }
}

impl Ignored {
    /// Whether the line `raw` with the name `name` is meant.
    ///
    /// The name loses one `.UNOFFICIAL`, or else everything from the first
    /// `.{` on if it ends in `}`; what the list says is taken literally.
    fn means(&self, name: &str, raw: &[u8]) -> bool {
        let cut = match name.strip_suffix(".UNOFFICIAL") {
            Some(cut) => cut,
            None if name.ends_with('}') => name.split(".{").next().unwrap_or(name),
            None => name,
        };
        self.name == cut && self.md5.as_ref().is_none_or(|md5| *md5 == md5_hex(raw))
    }

    /// Parses `name`, `name:md5` or the old `db:line:name`.
    fn parse(line: &str) -> Result<Ignored, Reason> {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [name] => Ok(Ignored { name: (*name).to_owned(), md5: None }),
            [name, md5] => {
                if md5.len() != 32 || !md5.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err("MD5 of an ignored line is not 32 hex digits");
                }
                let md5 = Some(md5.to_ascii_lowercase());
                Ok(Ignored { name: (*name).to_owned(), md5 })
            }
            [_, _, name] => Ok(Ignored { name: (*name).to_owned(), md5: None }),
            _ => Err("an ignored line has one to three fields"),
        }
    }
}

/// `name=pattern`: target 0, anywhere.
fn db(line: &str) -> Result<Option<(u32, Rule)>, Reason> {
    let (_, pattern) = line.split_once('=').ok_or("no `=` after the name")?;
    if pattern.starts_with('=') {
        return Ok(None);
    }
    let demands = Demands { three_exact: true, filter: true };
    let body = Body::parse(pattern, Modifiers::default(), demands)?;
    Ok(Some((0, Rule::Body(body, Offset::Any))))
}

/// `name:target:offset:pattern[:minfl[:maxfl]]`.
fn ndb(line: &str) -> Result<Option<(u32, Rule)>, Reason> {
    let fields = colon_fields(line, 4..=6)?;
    let [_, target, offset, pattern, levels @ ..] = fields.as_slice() else {
        return Err("wrong number of fields");
    };
    let level = |index: usize, default| match levels.get(index) {
        None => Ok(default),
        // Levels have no sign (clamscan 1.4.6: 4141634342 is newer than all).
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(text
            .bytes()
            .fold(0_i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')))),
        Some(_) => Err("functionality level is not a number"),
    };
    if !(level(0, 0)?..=level(1, i64::MAX)?).contains(&FLEVEL) {
        return Ok(None);
    }
    let target = if *target == "*" { Some(0) } else { number(target) };
    let target = match target.map(u32::try_from) {
        Some(Ok(target @ 0..15)) => target,
        Some(_) => return Ok(None),
        None => return Err("target is not a number"),
    };
    let offset = Offset::parse(offset, target)?;
    let macro_or_resource = matches!(
        offset,
        Offset::MacroGroup(_) | Offset::At { base: offset::Base::VersionInfo, .. }
    );
    let demands = Demands {
        three_exact: !macro_or_resource && (target == 0 || (target == 1 && !offset.floats())),
        filter: matches!(target, 0 | 1 | 4 | 7),
    };
    let body = Body::parse(pattern, Modifiers::default(), demands)?;
    Ok(Some((target, Rule::Body(body, offset))))
}

/// The extension of a file name, in lower case.
fn extension(name: &str) -> String {
    name.rsplit_once('.').map_or_else(String::new, |(_, end)| end.to_ascii_lowercase())
}

/// Zero or more digits; the empty text is 0. Values go through a C `int`.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| atoi(text))
}

/// The number at the start of a text, or 0, as C's `atoi` finds it.
fn atoi(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut value = 0_i64;
    for digit in text.bytes().map_while(|byte| (byte as char).to_digit(10)) {
        value = value.saturating_mul(10).saturating_add(i64::from(digit));
    }
    let value = if negative { -value } else { value };
    // The upper half is cut off on purpose: overflow is not detected there.
    i64::from(value as i32)
}

/// `min-max`, both numbers.
fn range(text: &str) -> Option<(i64, i64)> {
    let (min, max) = text.split_once('-')?;
    Some((number(min)?, number(max)?))
}
