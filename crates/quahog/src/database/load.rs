//! The load itself: list, open, verify, choose, gather ignores, admit.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use quahog_cvd::{Cvd, Kind, Rule, Trust, VerifiedCvd, detached};
use quahog_sig::ast::Ignore;
use quahog_sig::progress::{Stage, Steps, Tell};
use quahog_sig::{
    Diagnostic, ErrorKind, Format, Grammar, IgnoreList, Line, Lines, SetBuilder, Severity,
    SignatureSet, ioc,
};
use rayon::prelude::*;

use super::confine::Confinement;
use super::files::{self, NotRead, Opened};
use super::report::Event;
use super::versions::{Replayed, Taken};
use super::{
    Config, Counts, FileReport, LoadError, LoadReport, MemberReport, Outcome, SignPolicy, Trusted,
};

/// Text to be read line by line.
#[derive(Clone)]
pub(super) struct Text {
    /// `file` or `container/member`.
    pub(super) name: String,
    pub(super) format: Option<Format>,
    pub(super) bytes: Bytes,
    /// The file that the bytes are read from when they are admitted.
    pub(super) later: Option<Arc<File>>,
    /// What its source may say.
    pub(super) confinement: Confinement,
}

impl Text {
    /// Its bytes, wherever they are.
    fn len(&self) -> u64 {
        let file = self.later.as_ref().and_then(|file| file.metadata().ok());
        file.map_or(self.bytes.len() as u64, |data| data.len())
    }
}

/// A file on its way.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) report: FileReport,
    pub(super) official: bool,
    pub(super) texts: Vec<Text>,
    /// For choosing among containers of the same name.
    pub(super) container: Option<Container>,
    pub(super) events: Vec<Event>,
    /// Why it is refused, if for what was in force before.
    pub(super) replayed: Option<Replayed>,
}

/// What decides between containers.
#[derive(Clone, Debug)]
pub(super) struct Container {
    /// The database, in lower case.
    name: String,
    kind: Kind,
    version: u32,
}

pub(super) fn load(
    config: &Config,
    tell: Tell<'_>,
) -> Result<(SignatureSet, LoadReport), LoadError> {
    let mut sources = Vec::new();
    for path in &config.paths {
        let io = |error| LoadError::Io { path: path.clone(), error };
        let begin = sources.len();
        let mut unread = None;
        files::each(
            path,
            |_| true,
            |name| may_wait(config, name),
            |opened, named| match opened.result {
                Err(NotRead::Io(error)) if named => unread = Some(error),
                _ => sources.extend(source(config, opened, named)),
            },
        )
        .and_then(|()| unread.map_or(Ok(()), Err))
        .map_err(io)?;
        // What came while the folder was read stands where it always would.
        sources[begin..].sort_by(|a, b| a.report.path.cmp(&b.report.path));
    }
    choose(&mut sources);

    let mut of_refused = Vec::new();
    loop {
        // Without thresholds each text goes when it was read.
        let again = config.enforced.then(|| sources.clone());
        let (signatures, mut report, any_text) = admit_all(config, sources, tell)?;
        sources = again.unwrap_or_default();
        let mut any_broken = false;
        for (source, file) in sources.iter_mut().zip(&report.files) {
            let Outcome::Loaded { trust, .. } = &file.outcome else { continue };
            let is_signed = *trust != Trusted::Unsigned;
            if let Err(broken) = config.thresholds.judge(is_signed, &file.counts()) {
                any_broken = true;
                let is_here = |d: &&Diagnostic| file.members.iter().any(|m| m.name == d.source);
                of_refused.extend(report.diagnostics.iter().filter(is_here).cloned());
                source.refuse(broken.to_string());
            }
        }
        if any_broken {
            continue;
        }
        of_refused.into_iter().for_each(|diagnostic| report.keep(diagnostic));
        if !any_text {
            let paths = config.paths.clone();
            return Err(LoadError::Nothing { paths, report: Box::new(report) });
        }
        return Ok((signatures, report));
    }
}

/// Whether a file may be read while its lines are admitted: no line of it can
/// make the whole a refused one, nor is it needed twice.
fn may_wait(config: &Config, name: &str) -> bool {
    let loose = Format::from_file_name(name).filter(|_| Kind::of(name).is_none());
    !config.enforced && !config.strict && loose.is_some_and(SetBuilder::takes_pieces)
}

impl Source {
    /// Takes nothing of it.
    fn refuse(&mut self, reason: String) {
        self.report.outcome = Outcome::Refused { reason, replaced: false };
        self.report.taken = None;
        self.texts.clear();
        self.events.clear();
    }
}

/// Admits all that is not refused: signatures, what became of each file, and
/// whether there was any text.
fn admit_all(
    config: &Config,
    sources: Vec<Source>,
    tell: Tell<'_>,
) -> Result<(SignatureSet, LoadReport, bool), LoadError> {
    let texts = sources.iter().flat_map(|source| &source.texts);
    let steps = Steps::begin(tell, Stage::Reading, texts.map(Text::len).sum());
    let mut ignore = IgnoreList::default();
    let ignores = |text: &&Text| text.format.is_some_and(|f| f.grammar() == Grammar::Ignore);
    for source in &sources {
        for text in source.texts.iter().filter(ignores) {
            for line in lines(text) {
                let Some(format) = text.format else { continue };
                if !text.confinement.admits_line(format, line.text) {
                    continue;
                }
                // Bad lines are reported below, when every text is read.
                if let Ok(entry) = Ignore::parse(line.text) {
                    ignore.add(&entry);
                }
            }
        }
    }

    let mut builder = SetBuilder::new()
        .ignore(ignore)
        .pua(config.pua.clone())
        .phishing_signatures(config.phishing_signatures)
        .programs(config.programs)
        .strict_frames(config.strict);
    let mut report = LoadReport::default();
    let mut any_text = false;
    let mut buffers = [Vec::new(), Vec::new()];
    for source in sources {
        let mut file = source.report;
        report.events.extend(source.events);
        for text in source.texts {
            any_text |= text.format.is_some();
            let counts = match &text.later {
                None => {
                    let counts = admit(config, &text, source.official, &mut builder, &mut report)?;
                    steps.add(text.len());
                    counts
                }
                Some(large) => {
                    let counts = admit_large(
                        config,
                        &text,
                        large,
                        &mut buffers,
                        &steps,
                        &mut builder,
                        &mut report,
                    );
                    // What was admitted of it cannot be taken back.
                    let path = || file.path.clone();
                    counts.map_err(|error| LoadError::Io { path: path(), error })?
                }
            };
            let Text { name, format, .. } = text;
            file.members.push(MemberReport { name, format, counts });
        }
        if config.strict
            && let Outcome::Refused { reason, .. } = &file.outcome
        {
            let file = file.path.display().to_string();
            return Err(LoadError::StrictFile { file, reason: reason.clone() });
        }
        report.note(&file, &config.thresholds);
        report.files.push(file);
    }
    Ok((builder.finish(), report, any_text))
}

/// Lines that say something.
pub(super) fn lines(text: &Text) -> impl Iterator<Item = Line<'_>> {
    Lines::new(&text.bytes).filter(|line| !line.is_blank() && !line.is_comment())
}

/// Looks at one file. `named` means that the caller named it, and it was not
/// found in a folder.
pub(super) fn source(config: &Config, opened: Opened, named: bool) -> Option<Source> {
    let Opened { path, name, result, later } = opened;
    let plain = |outcome| {
        let report = FileReport { path: path.clone(), outcome, taken: None, members: Vec::new() };
        let (texts, events) = (Vec::new(), Vec::new());
        Some(Source { report, official: false, texts, container: None, events, replayed: None })
    };
    let passed_over = |reason: &str| plain(Outcome::PassedOver { reason: reason.to_owned() });
    let refused = |reason: String| plain(Outcome::Refused { reason, replaced: false });
    let kind = Kind::of(&name);
    let format = Format::from_file_name(&name);
    let bytes = match result {
        Ok(bytes) => bytes,
        Err(NotRead::Irregular) => return passed_over("not a regular file"),
        // It vanished, or is a dangling link.
        Err(NotRead::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return passed_over("gone");
        }
        Err(NotRead::Io(error)) if kind.is_some() || format.is_some() => {
            return refused(error.to_string());
        }
        Err(NotRead::Io(error)) => return passed_over(&error.to_string()),
    };
    if let Some(kind) = kind {
        if config.official_only && !named && kind == Kind::Cud {
            return passed_over("only official databases are taken");
        }
        let mut events = Vec::new();
        return match container(config, &path, &name, &bytes, &mut events) {
            Ok(loaded) => {
                let mut source = plain(loaded.outcome())?;
                source.official = loaded.trust.is_official();
                source.texts = loaded.texts(config, &name);
                source.container = Some(Container {
                    name: loaded.verified.database().to_lowercase(),
                    kind,
                    version: loaded.verified.header().version(),
                });
                source.report.taken = loaded.taken;
                source.events = events;
                Some(source)
            }
            Err(Unfit { reason, replayed }) => {
                let mut source = refused(reason)?;
                source.replayed = replayed;
                // So that a sibling of the same name can take its place.
                source.container = Some(Container { name: claimed(&name), kind, version: 0 });
                source.events = events;
                Some(source)
            }
        };
    }
    let Some(format) = format else {
        return passed_over("not a database by its extension");
    };
    if config.official_only && !named {
        return passed_over("only official databases are taken");
    }
    let mut source = plain(Outcome::Loaded { trust: Trusted::Unsigned, header: None })?;
    let confinement = Confinement::of_operator(config.fips);
    let later = later.map(Arc::new);
    source.texts.push(Text { name, format: Some(format), bytes, later, confinement });
    Some(source)
}

/// A container that every rule admits.
struct Loaded {
    verified: VerifiedCvd,
    trust: Trusted,
    taken: Option<Taken>,
}

impl Loaded {
    fn outcome(&self) -> Outcome {
        let header = Some(Box::new(self.verified.header().clone()));
        Outcome::Loaded { trust: self.trust.clone(), header }
    }

    fn texts(&self, config: &Config, name: &str) -> Vec<Text> {
        let confinement = Confinement::of(&config.trust, self.verified.trust(), config.fips);
        let text = |member: &quahog_cvd::Member| Text {
            name: format!("{name}/{}", member.name()),
            format: Format::from_file_name(member.name()),
            bytes: member.bytes().clone(),
            later: None,
            confinement: confinement.clone(),
        };
        self.verified.members().iter().map(text).collect()
    }
}

/// Why a container is refused.
struct Unfit {
    reason: String,
    replayed: Option<Replayed>,
}

impl From<String> for Unfit {
    fn from(reason: String) -> Unfit {
        Unfit { reason, replayed: None }
    }
}

impl From<Replayed> for Unfit {
    fn from(replayed: Replayed) -> Unfit {
        Unfit { reason: replayed.to_string(), replayed: Some(replayed) }
    }
}

/// Verifies a container and judges it by what is known of the day and of
/// yesterday.
fn container(
    config: &Config,
    path: &Path,
    name: &str,
    bytes: &Bytes,
    events: &mut Vec<Event>,
) -> Result<Loaded, Unfit> {
    let verified = Cvd::open(bytes.clone(), name)
        .and_then(|container| container.verify(&config.trust, &config.limits))
        .map_err(|error| error.to_string())?;
    let now = config.now.unwrap_or_else(|| {
        // A clock before 1970 is a clock that was never set.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    });
    let header = verified.header();
    header.refuse_future(now).map_err(|error| error.to_string())?;
    let database = verified.database();
    let signed = detached(config, path, name, bytes, &verified, now, events)?;
    let taken = Taken::new(&verified, signed);
    if let Some(taken) = &taken {
        config.versions.judge(taken)?;
        let version = taken.version();
        if let Some(from) = config.versions.version(taken)
            && version - from.min(version) > MANY_VERSIONS
        {
            events.push(Event::Jump { database: database.to_owned(), from, to: version });
        }
    }
    let age = now.saturating_sub(header.build_time()) / DAY;
    if database.eq_ignore_ascii_case("daily") && age > config.max_age {
        events.push(Event::Stale { database: database.to_owned(), days: age });
    }
    if header.build_time() > now.saturating_add(HOUR) {
        let seconds = header.build_time() - now;
        events.push(Event::Ahead { database: database.to_owned(), seconds });
    }
    if header.flevel() > quahog_sig::FLEVEL {
        events.push(Event::Outdated { database: database.to_owned(), flevel: header.flevel() });
    }
    let trust = match verified.trust() {
        Trust::Unsigned => Trusted::Unsigned,
        signed => Trusted::Signed(signed.clone()),
    };
    Ok(Loaded { verified, trust, taken })
}

/// Whether a detached signature stands behind a container.
fn detached(
    config: &Config,
    path: &Path,
    name: &str,
    bytes: &[u8],
    verified: &VerifiedCvd,
    now: u64,
    events: &mut Vec<Event>,
) -> Result<bool, String> {
    if verified.kind() != Kind::Cvd {
        return Ok(false);
    }
    let required = match config.sign {
        _ if config.fips => true,
        SignPolicy::Required => true,
        SignPolicy::LegacyAllowed => false,
        SignPolicy::UntilFirstSign => {
            config.versions.had_sign(verified.trust(), verified.database())
        }
    };
    let path = path.with_file_name(detached::name_for(name, verified.header().version()));
    if !config.anchors.is_empty() {
        let read = files::read_small(&path, detached::MAX_SIGN);
        let unread = match read {
            Ok(sign) => match config.anchors.verify(&sign, bytes, now) {
                Ok(_) => return Ok(true),
                // There is nothing in it that this version could look at.
                Err(error) if matches!(error.rule(), Rule::SignForm | Rule::SignLevel) => {
                    Some(error.to_string())
                }
                Err(error) => return Err(format!("{}: {error}", path.display())),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        events.extend(unread.map(|reason| Event::SignUnread { path: path.clone(), reason }));
    }
    if required {
        let why = if config.anchors.is_empty() {
            "a detached signature is required, and no certificates are given to verify it with"
        } else {
            "a detached signature is required, and none was found at"
        };
        return Err(format!("{why}: {}", path.display()));
    }
    Ok(false)
}

/// The name of the database that a file which was refused claims to hold: `main`
/// for `main.cvd` and `main-62.cvd`.
fn claimed(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase();
    match stem.rsplit_once('-') {
        Some((database, version)) if version.bytes().all(|b| b.is_ascii_digit()) => {
            database.to_owned()
        }
        _ => stem,
    }
}

/// Versions between two updates that are more than a mirror can have missed.
const MANY_VERSIONS: u32 = 1000;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Of containers of one database in one folder takes the newest that verified,
/// the official publisher's before anybody else's; of equal versions the `.cld`.
///
/// Another content under the version that was taken is refused: one of the two
/// is not what everybody has.
pub(super) fn choose(sources: &mut [Source]) {
    type Rank = (bool, u32, bool);
    let mut best: HashMap<(PathBuf, String), (Rank, usize)> = HashMap::new();
    let key = |source: &Source| {
        let container = source.container.as_ref().filter(|c| c.kind != Kind::Cud)?;
        let folder = source.report.path.parent().map(ToOwned::to_owned).unwrap_or_default();
        let rank = (source.official, container.version, container.kind == Kind::Cld);
        Some(((folder, container.name.clone()), rank))
    };
    for (at, source) in sources.iter().enumerate() {
        let loaded = matches!(source.report.outcome, Outcome::Loaded { .. });
        if let Some((key, rank)) = key(source).filter(|_| loaded) {
            let entry = best.entry(key).or_insert((rank, at));
            if rank > entry.0 {
                *entry = (rank, at);
            }
        }
    }
    for at in 0..sources.len() {
        let Some((key, (official, version, _))) = sources.get(at).and_then(key) else { continue };
        let Some(&((best_official, best_version, _), chosen)) = best.get(&key) else { continue };
        let taken = |at: usize| sources.get(at).and_then(|source| source.report.taken.as_ref());
        let equivocates = (official, version) == (best_official, best_version)
            && taken(at).zip(taken(chosen)).is_some_and(|(one, two)| !one.same_content(two));
        let Some(source) = sources.get_mut(at) else { continue };
        match &mut source.report.outcome {
            Outcome::Loaded { .. } if chosen != at => {
                source.report.outcome = if equivocates {
                    let reason =
                        format!("equivocation: version {version} was taken with other content");
                    Outcome::Refused { reason, replaced: false }
                } else {
                    let reason = "a newer container of the same name was taken".to_owned();
                    Outcome::PassedOver { reason }
                };
                source.report.taken = None;
                source.texts.clear();
                source.events.clear();
            }
            Outcome::Refused { replaced, .. } => *replaced = true,
            _ => {}
        }
    }
}

/// Reads the lines of one text.
pub(super) fn admit(
    config: &Config,
    text: &Text,
    official: bool,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Result<Counts, LoadError> {
    let mut counts = Counts::default();
    let Some(format) = text.format else {
        counts.lines = Lines::count_in(&text.bytes);
        counts.not_read = counts.lines;
        return Ok(counts);
    };
    if !text.confinement.admits(format) {
        counts.lines = Lines::count_in(&text.bytes);
        counts.untrusted = counts.lines;
        return Ok(counts);
    }
    if format.grammar() == Grammar::Catalogue {
        // Binary: it has no lines.
        counts.lines = 1;
        counts.not_read = 1;
        return Ok(counts);
    }
    builder.source(&text.name, official);
    if text.bytes.starts_with(b"\xef\xbb\xbf") {
        report.tell(Event::ByteOrderMark { source: text.name.clone() });
    }
    // In a loose file it is the same to everybody.
    let is_packed = text.name.contains('/');
    if is_packed && !format.is_document() && text.bytes.last().is_some_and(|&b| b != b'\n') {
        report.tell(Event::OpenEnd { source: text.name.clone() });
    }
    if format.grammar() == Grammar::Ioc {
        let name = text.name.rsplit('/').next().unwrap_or_default();
        for (number, line) in ioc::lines(name, &text.bytes) {
            counts.lines += 1;
            match builder.line(format, number, line.as_bytes()) {
                Ok(admission) => counts.admission(admission),
                Err(error) => {
                    counts.error(error.kind().severity());
                    let line = line.as_bytes();
                    report.keep(Diagnostic::new(&text.name, number, line, error));
                }
            }
        }
        return Ok(counts);
    }
    if format.is_document() {
        return admit_document(config, text, format, builder, report);
    }
    if !config.strict && SetBuilder::takes_pieces(format) && text.bytes.len() > PIECE {
        let mut pieces = Pieces::new(config, text, format, builder, report);
        for cuts in Lines::cuts(&text.bytes, PIECE).chunks(Pieces::at_a_time()) {
            pieces.wave(&text.bytes, cuts, 0, || ());
        }
        return Ok(pieces.finish());
    }
    let all = Lines::new(&text.bytes);
    let (counts, blank_before_end) = admit_lines(config, text, format, all, builder, report)?;
    if config.strict && format.is_read() {
        check_strictly(text, format, counts, blank_before_end)?;
    }
    Ok(counts)
}

/// Bytes of a piece, about: large enough that putting pieces together costs
/// little, small enough that all threads have some.
const PIECE: usize = if cfg!(test) { 48 } else { 1 << 20 };

/// Reads the lines of a large loose file while they are admitted; `buffers` may
/// hold anything.
fn admit_large(
    config: &Config,
    text: &Text,
    file: &File,
    buffers: &mut [Vec<u8>; 2],
    steps: &Steps<'_>,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> std::io::Result<Counts> {
    let Some(format) = text.format else { return Ok(Counts::default()) };
    builder.source(&text.name, false);
    let mut blocks = files::Blocks::new(file, PIECE * Pieces::at_a_time());
    let [block, next] = buffers;
    blocks.next(block)?;
    let mut cuts = Lines::cuts(block, PIECE);
    if block.starts_with(b"\xef\xbb\xbf") {
        report.tell(Event::ByteOrderMark { source: text.name.clone() });
    }
    let mut pieces = Pieces::new(config, text, format, builder, report);
    while !block.is_empty() {
        let before = pieces.n_lines();
        cuts = pieces
            .wave(block, &cuts, before, || blocks.next(next).map(|()| Lines::cuts(next, PIECE)))?;
        steps.add(block.len() as u64);
        std::mem::swap(block, next);
    }
    Ok(pieces.finish())
}

/// The lines of a text on their way into a set, on all threads of the pool.
struct Pieces<'l> {
    config: &'l Config,
    text: &'l Text,
    format: Format,
    builder: &'l mut SetBuilder,
    report: &'l mut LoadReport,
    counts: Counts,
    /// Pieces that were read and are not in the set.
    waiting: Vec<(SetBuilder, Counts, LoadReport)>,
}

impl<'l> Pieces<'l> {
    /// As many as keep all threads busy, so that not all are in memory twice.
    fn at_a_time() -> usize {
        8 * rayon::current_num_threads()
    }

    fn new(
        config: &'l Config,
        text: &'l Text,
        format: Format,
        builder: &'l mut SetBuilder,
        report: &'l mut LoadReport,
    ) -> Pieces<'l> {
        let (counts, waiting) = (Counts::default(), Vec::new());
        Pieces { config, text, format, builder, report, counts, waiting }
    }

    /// How many lines were read.
    fn n_lines(&self) -> u32 {
        let waiting = self.waiting.iter().map(|(_, counts, _)| counts.lines);
        u32::try_from(self.counts.lines + waiting.sum::<u64>()).unwrap_or(u32::MAX)
    }

    /// Reads the lines of some pieces of `bytes`, which stand behind so many other
    /// lines, while those of the wave before are put into the set, in their order,
    /// and something else is done.
    fn wave<T: Send>(
        &mut self,
        bytes: &[u8],
        cuts: &[(Range<usize>, u32)],
        before: u32,
        beside: impl FnOnce() -> T + Send,
    ) -> T {
        let empty = self.builder.piece();
        let (config, text, format) = (self.config, self.text, self.format);
        let read = |(place, lines): &(Range<usize>, u32)| {
            let lines = Lines::behind(&bytes[place.clone()], before.saturating_add(*lines));
            let (mut piece, mut report) = (empty.clone(), LoadReport::default());
            let read = admit_lines(config, text, format, lines, &mut piece, &mut report);
            // Only a strict load ends at a line.
            let counts = read.map(|(counts, _)| counts).unwrap_or_default();
            (piece, counts, report)
        };
        let (done, read) = rayon::join(
            || {
                self.append();
                beside()
            },
            || cuts.par_iter().map(read).collect::<Vec<_>>(),
        );
        self.waiting = read;
        done
    }

    /// Puts what waits into the set.
    fn append(&mut self) {
        for (piece, mut read, details) in self.waiting.drain(..) {
            if self.builder.has_room_for(&piece) {
                self.builder.append(&piece);
            } else {
                read.unsupported += std::mem::take(&mut read.admitted);
            }
            self.counts.add(&read);
            details.diagnostics.into_iter().for_each(|diagnostic| self.report.keep(diagnostic));
        }
    }

    /// What became of all lines.
    fn finish(mut self) -> Counts {
        self.append();
        self.counts
    }
}

/// Reads lines; gives also the first blank one, if there is any.
fn admit_lines<'t>(
    config: &Config,
    text: &Text,
    format: Format,
    mut lines: Lines<'t>,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Result<(Counts, Option<Line<'t>>), LoadError> {
    let mut counts = Counts::default();
    let mut blank_before_end = None;
    // Once for all lines, of which there are millions.
    let have_nul = lines.have_nul();
    let check = if have_nul { Line::check } else { Line::check_length };
    let quick = !have_nul && text.confinement.admits_all(format);
    loop {
        if quick {
            // Nearly all lines of a database are such.
            let plain = u64::from(builder.plain_hashes(format, &mut lines));
            counts.lines += plain;
            counts.admitted += plain;
        }
        let Some(line) = lines.next() else { break };
        counts.lines += 1;
        if line.is_comment() {
            counts.comments += 1;
            continue;
        }
        if line.is_blank() {
            counts.blank += 1;
            blank_before_end = blank_before_end.or(Some(line));
            continue;
        }
        if !format.is_read() {
            counts.not_read += 1;
            continue;
        }
        if !text.confinement.admits_line(format, line.text) {
            counts.untrusted += 1;
            continue;
        }
        match check(line).and_then(|()| builder.line(format, line.number, line.text)) {
            Ok(admission) => {
                counts.admission(admission);
                if config.strict && matches!(admission, quahog_sig::Admission::Odd(_)) {
                    let kind = quahog_sig::ErrorKind::Level;
                    let span = quahog_sig::Span::new(0, line.text.len());
                    return Err(strict(text, line, quahog_sig::Error::new(kind, span)));
                }
            }
            Err(error) => {
                let severity = error.kind().severity();
                counts.error(severity);
                // A container of an unknown type is refused, like magic for one.
                let typed = matches!(format.grammar(), Grammar::Container | Grammar::Magic);
                let refused = severity == Severity::Malformed
                    || typed && error.kind() == ErrorKind::FileTypeUnknown;
                if config.strict && refused {
                    return Err(strict(text, line, error));
                }
                report.keep(Diagnostic::new(&text.name, line.number, line.text, error));
            }
        }
    }
    Ok((counts, blank_before_end))
}

/// Reads a text whose entries are no lines. Each entry is counted as a line.
fn admit_document(
    config: &Config,
    text: &Text,
    format: Format,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Result<Counts, LoadError> {
    let mut counts = Counts::default();
    let refusal = builder.document(format, &text.bytes, &mut |entry| {
        counts.lines += 1;
        match entry.outcome {
            Ok(admission) => counts.admission(admission),
            Err(error) => {
                counts.error(error.kind().severity());
                let Line { number, text: line } = entry.line;
                report.keep(Diagnostic::new(&text.name, number, line, error));
            }
        }
    });
    match refusal {
        Some(refusal) if config.strict => Err(strict(text, refusal.line, refusal.error)),
        _ => Ok(counts),
    }
}

/// What ClamAV refuses beside malformed lines.
fn check_strictly(
    text: &Text,
    format: Format,
    counts: Counts,
    blank: Option<Line<'_>>,
) -> Result<(), LoadError> {
    let blanks_allowed = matches!(format.grammar(), Grammar::Phishing | Grammar::Feature);
    if let Some(line) = blank.filter(|_| !blanks_allowed) {
        let kind = quahog_sig::ErrorKind::Blank;
        let span = quahog_sig::Span::new(0, line.text.len());
        return Err(strict(text, line, quahog_sig::Error::new(kind, span)));
    }
    let reason = match format.grammar() {
        Grammar::Ignore | Grammar::Phishing | Grammar::Feature => return Ok(()),
        Grammar::Magic | Grammar::Password if counts.admitted == 0 => "no entry was loaded",
        _ if counts.lines == 0 => "the file is empty",
        _ => return Ok(()),
    };
    Err(LoadError::StrictFile { file: text.name.clone(), reason: reason.to_owned() })
}

fn strict(text: &Text, line: Line<'_>, error: quahog_sig::Error) -> LoadError {
    LoadError::Strict(Box::new(Diagnostic::new(&text.name, line.number, line.text, error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;

    #[test]
    fn a_large_file_is_read_in_blocks_as_it_is_whole() {
        let folder = std::env::temp_dir().join(format!("quahog-large-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mut text = "\u{feff}# a comment\n".to_owned();
        for n in 0..2_000 {
            let bad = if n % 100 == 7 { "?" } else { "" };
            text += &format!("Test.Name-{n}:0:*:{n:08x}{bad}\n\r\n");
        }
        std::fs::write(folder.join("x.ndb"), text + "Test.Last:0:*:616263").expect("a file");
        let load = |config: Config| {
            let (database, report) = Database::load(&config).expect("a database");
            let said = format!("{:?} {:?}", report.diagnostics, report.events);
            (database.into_signatures().digest(), report.counts(), said)
        };
        let in_blocks = load(Config::new([&folder]));
        assert_eq!((in_blocks.1.lines, in_blocks.1.admitted), (4_002, 1_981));
        assert_eq!(in_blocks, load(Config { enforced: true, ..Config::new([&folder]) }));
        // A leftover in the temporary folder hurts nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }
}
