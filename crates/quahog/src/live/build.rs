//! From files to a candidate: read, verify, admit, weigh, compile.
//!
//! Each file becomes one immutable segment. What did not change since the
//! running generation is neither verified nor compiled again: its segment is
//! shared. A source that is refused does not take the others down: its previous
//! version stays, if there is one.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use quahog_engine::image::FORMAT;
use quahog_engine::{Cost, Engine, Segment, costs};
use quahog_sig::ast::Ignore;
use quahog_sig::{FLEVEL, IgnoreList, SignatureSet};
use sha2::{Digest, Sha256};

use super::Snapshot;
use super::compile::{Compiler, HelperFault};
use super::config::{AdmissionConfig, Config, CostConfig, RefusedSource, machine_memory};
use super::event::{Event, Provenance, Refusal};
use super::state::{Kept, KeptImage};
use crate::database::parts::{self, Facts, Part, RawPart};
use crate::database::{
    Config as Loading, Counts, Event as Note, LoadReport, Outcome, RefusedForCost, Trusted,
    Versions, exceeds,
};

/// A source in force: a segment, and what it was made of.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) path: PathBuf,
    /// Of its bytes.
    pub(crate) digest: [u8; 32],
    /// Of all ignore lists that it was admitted under.
    ignores: [u8; 32],
    pub(crate) facts: Facts,
    report: LoadReport,
    pub(crate) segment: Arc<Segment>,
    /// Its bytes, until they are kept elsewhere.
    pub(crate) raw: Option<Bytes>,
    /// The digest of all that the segment was made under, but for the bytes: who
    /// made it, the configuration, the ignore lists.
    pub(crate) key: String,
}

impl InForce {
    /// Its file name.
    pub(crate) fn name(&self) -> String {
        file_name(&self.path)
    }

    /// What became of its lines: by member, and what was left out for its cost.
    pub(crate) fn lines(&self) -> (Vec<(String, Counts)>, Vec<RefusedForCost>) {
        let members = self.report.files.iter().flat_map(|file| &file.members);
        let members = members.map(|member| (member.name.clone(), member.counts)).collect();
        (members, self.report.refused.clone())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// A compiled engine apart from everything that runs: nothing is known of it
/// but that it compiled. See [`prove`](Candidate::prove).
#[derive(Debug)]
pub struct Candidate {
    pub(super) engine: Engine,
    pub(super) sources: Vec<Arc<InForce>>,
    pub(super) report: LoadReport,
    pub(super) id: String,
    pub(super) provenance: Provenance,
    /// What is to be told of the sources, whatever becomes of the candidate.
    pub(super) events: Vec<Event>,
}

/// A candidate that was refused, and why.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub(super) candidate: String,
    pub(super) reasons: Vec<Refusal>,
    pub(super) events: Vec<Event>,
    /// Whether the same bytes would fail again.
    pub(super) lasting: bool,
}

impl Rejected {
    pub(super) fn new(candidate: &str, reasons: Vec<Refusal>) -> Rejected {
        let lasting = reasons.iter().all(|reason| {
            !matches!(
                reason,
                Refusal::Busy
                    | Refusal::Latency { .. }
                    | Refusal::Budget { .. }
                    | Refusal::Helper { fault: HelperFault::NotStarted, .. }
                    | Refusal::Load { .. }
                    | Refusal::KnownBad { .. }
                    | Refusal::Shadow { .. }
                    | Refusal::Storage { .. }
                    | Refusal::Unreadable { .. }
            )
        });
        Rejected { candidate: candidate.to_owned(), reasons, events: Vec::new(), lasting }
    }

    /// Who was refused: the digest of all that it was made of.
    pub fn candidate(&self) -> &str {
        &self.candidate
    }

    /// Why; never empty.
    pub fn reasons(&self) -> &[Refusal] {
        &self.reasons
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("candidate refused")?;
        for (at, reason) in self.reasons.iter().enumerate() {
            write!(f, "{} {reason}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}

/// What building came to.
pub(super) enum Built {
    /// The same bytes are running.
    Unchanged,
    Candidate(Box<Candidate>),
}

/// Where the bytes of a build come from.
pub(super) enum From<'f> {
    /// The files that the configuration names.
    Files,
    /// The state: paths as they were, bytes that were verified once, and images
    /// of some of them.
    Kept(&'f Kept),
}

/// What a build is made with.
pub(super) struct Order<'o> {
    pub(super) config: &'o Config,
    /// What is in force; unchanged sources share its segments.
    pub(super) running: &'o Snapshot,
    pub(super) from: From<'o>,
    /// Candidates that are refused before they are compiled.
    pub(super) bad: &'o HashSet<String>,
    /// Whether what is running is built again.
    pub(super) forced: bool,
    pub(super) compiler: Compiler<'o>,
    /// What was in force before.
    pub(super) versions: Versions,
    /// Seconds since 1970-01-01 UTC.
    pub(super) now: u64,
}

impl Candidate {
    /// A candidate that its caller compiled.
    pub fn new(engine: Engine) -> Candidate {
        let id = engine.fingerprint().to_string();
        Candidate {
            engine,
            sources: Vec::new(),
            report: LoadReport::default(),
            id,
            provenance: Provenance::Caller,
            events: Vec::new(),
        }
    }

    /// Builds a candidate of what `config` names, beside `running`: unchanged
    /// sources share its segments. Uses the rayon pool that its caller installed.
    ///
    /// # Errors
    ///
    /// Nothing could be loaded, the whole breaks a threshold, or it cannot be
    /// compiled.
    pub fn build(config: &Config, running: &Snapshot) -> Result<Candidate, Rejected> {
        let order = Order {
            config,
            running,
            from: From::Files,
            bad: &HashSet::new(),
            forced: true,
            compiler: Compiler::new(&config.build),
            versions: Versions::default(),
            now: seconds(SystemTime::now()),
        };
        match build(&order)? {
            Built::Candidate(candidate) => Ok(*candidate),
            Built::Unchanged => Err(Rejected::new("", vec![Refusal::Empty])),
        }
    }

    /// The compiled engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What was loaded, and what was left out and why.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// The digest of everything that it was made of.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Seconds since 1970; a clock before that is a clock that was never set.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Builds a candidate.
pub(super) fn build(order: &Order<'_>) -> Result<Built, Rejected> {
    let &Order { config, running, ref from, bad, forced, .. } = order;
    let mut loading = config.loading().now(order.now).remembered(order.versions.clone());
    let whole = |reason| Rejected::new("", vec![reason]);
    let mut events = Vec::new();
    let mut report = LoadReport::default();
    let has_running = running.engine().is_some();
    let before: HashMap<&Path, &Arc<InForce>> =
        running.sources.iter().map(|source| (source.path.as_path(), source)).collect();

    // Read every file; open those that are new.
    let mut raws = HashMap::new();
    let mut opened = Vec::new();
    let mut take = |raw: RawPart, opened: &mut Vec<Part>, loading: &Loading| {
        let path = raw.path().to_owned();
        if let Some(error) = raw.denied().filter(|_| RawPart::is_candidate(&path)) {
            // As if it were damaged: whatever was in force of it stays.
            raws.insert(path.clone(), (Err(error.to_string()), None));
        }
        if let Some(digest) = raw.digest() {
            raws.insert(path.clone(), (Ok(digest), raw.bytes().cloned()));
            if let Some(known) = before.get(path.as_path()).filter(|known| known.digest == digest) {
                opened.push(Part::known(&known.facts));
                return;
            }
        }
        opened.extend(raw.open(loading));
    };
    match from {
        From::Files => {
            parts::read(&loading, |raw| take(raw, &mut opened, &loading))
                .map_err(|e| whole(Refusal::Load { error: e.to_string() }))?;
        }
        From::Kept(kept) => {
            // Each was chosen and named when it was kept.
            loading = loading.official_only(false).remembered(Versions::default());
            for (path, bytes) in &kept.sources {
                take(RawPart::of(path, bytes.clone()), &mut opened, &loading);
            }
        }
    }
    let chosen = parts::choose(opened);

    let mut ignore = IgnoreList::default();
    let mut digest = Sha256::new();
    for part in chosen.iter().filter(|part| part.is_loaded()) {
        part.ignores(&mut ignore, &mut digest);
    }
    let ignores: [u8; 32] = digest.finalize().into();

    // What segments are made under.
    let mut key = Sha256::new();
    key.update(format!("{:?} {:?} {FLEVEL}", config.database, config.cost));
    key.update(format!("{} {FORMAT} {ignores:?}", env!("CARGO_PKG_VERSION")));
    let key = hex(&key.finalize());

    // Who the candidate is.
    let mut identity = Sha256::new();
    identity.update(format!("{:?} {:?}", config.database, config.admission));
    identity.update(format!("{:?} {ignores:?}", config.cost));
    for part in &chosen {
        identity.update(part.path().as_os_str().as_encoded_bytes());
        match raws.get(part.path()) {
            Some((Ok(digest), _)) if part.is_loaded() => identity.update(digest),
            Some((Ok(digest), _)) => identity.update([&b"refused"[..], digest].concat()),
            _ => identity.update(b"unreadable"),
        }
    }
    let id = hex(&identity.finalize()[..16]);
    if bad.contains(&id) {
        return Err(Rejected::new(&id, vec![Refusal::KnownBad { candidate: id.clone() }]));
    }
    if !forced && has_running && running.id == id {
        return Ok(Built::Unchanged);
    }

    estimate_memory(config, &chosen).map_err(|r| Rejected::new(&id, vec![r]))?;
    let mut sources: Vec<Arc<InForce>> = Vec::new();
    let mut refused_any: Vec<Refusal> = Vec::new();
    for part in chosen {
        let path = part.path().to_owned();
        let previous = before.get(path.as_path()).map(|source| Arc::clone(source));
        let (found, raw) = raws.remove(&path).unwrap_or((Err("not read".to_owned()), None));
        let outcome = match (found, part.refusal()) {
            (Err(error), _) => Err(Refusal::Unreadable { error }),
            (Ok(_), Some(_)) if let Some(replayed) = part.replayed() => {
                Err(Refusal::Replayed { replayed })
            }
            (Ok(_), Some(error)) => Err(Refusal::Unreadable { error: error.to_owned() }),
            (Ok(_), None) if !part.is_loaded() => {
                // Another of its name was taken: that is no refusal.
                report.join(LoadReport::of(part.file().clone()));
                continue;
            }
            (Ok(digest), None) => match previous.as_ref() {
                Some(known) if known.digest == digest && known.ignores == ignores => {
                    sources.push(Arc::clone(known));
                    report.join(known.report.clone());
                    continue;
                }
                _ if let From::Kept(kept) = from
                    && let Some(image) =
                        image_of(order, kept, &path, &digest, &key, &mut events) =>
                {
                    let mut file = part.file().clone();
                    file.members = image.members;
                    let mut one = LoadReport::of(file);
                    one.refused = image.refused;
                    Ok((image.segment, one, part, digest, raw))
                }
                previous => {
                    // Known, but the ignore lists changed: read it again.
                    let part = match raw.clone().filter(|_| part.text_bytes() == 0) {
                        Some(bytes) => RawPart::of(&path, bytes).open(&loading).unwrap_or(part),
                        None => part,
                    };
                    let source = Source { part: &part, ignore: &ignore, loading: &loading };
                    let weighed = source.weigh(config, previous, has_running, &mut events);
                    weighed.and_then(|(set, one)| {
                        let segment = order.compiler.compile(set)?;
                        Ok((segment, one, part, digest, raw))
                    })
                }
            },
        };
        match outcome {
            Ok((segment, one, part, digest, raw)) => {
                let file = one.files.first().cloned();
                report.join(one.clone());
                let Some(file) = file else { continue };
                let facts = part.facts(crate::database::FileReport {
                    // The counts stand in the report; facts are for choosing.
                    members: Vec::new(),
                    ..file
                });
                let segment = Arc::new(segment);
                sources.push(Arc::new(InForce {
                    path,
                    digest,
                    ignores,
                    facts,
                    report: one,
                    segment,
                    raw,
                    key: key.clone(),
                }));
            }
            // It says nothing of the source: the next look tries again.
            Err(reason @ Refusal::Helper { fault: HelperFault::NotStarted, .. }) => {
                let mut rejected = Rejected::new(&id, vec![reason]);
                rejected.events = events;
                return Err(rejected);
            }
            Err(reason) => {
                let kept_previous = previous.is_some()
                    && config.admission.refused_source == RefusedSource::KeepPrevious;
                events.push(Event::SourceRefused {
                    source: file_name(&path),
                    reason: reason.clone(),
                    kept_previous,
                });
                let outcome =
                    Outcome::Refused { reason: reason.to_string(), replaced: kept_previous };
                let file =
                    crate::database::FileReport { path, outcome, taken: None, members: Vec::new() };
                report.join(LoadReport::of(file));
                match previous {
                    Some(previous) if kept_previous => {
                        report.join(previous.report.clone());
                        sources.push(previous);
                    }
                    _ => refused_any.push(reason),
                }
            }
        }
    }
    let fail = |reasons: Vec<Refusal>, events: Vec<Event>| {
        let mut rejected = Rejected::new(&id, reasons);
        rejected.events = events;
        Err(rejected)
    };
    if !refused_any.is_empty() && config.admission.refused_source == RefusedSource::RefuseAll {
        return fail(refused_any, events);
    }
    if let Err(reason) = check_required(config, &sources) {
        return fail(vec![reason], events);
    }
    let total: usize = sources.iter().map(|source| source.segment.signatures().len()).sum();
    if total == 0 && !config.database.allow_empty {
        let reasons = if refused_any.is_empty() { vec![Refusal::Empty] } else { refused_any };
        return fail(reasons, events);
    }
    // Counts are exact in a double.
    let (ignored, of) = (report.counts().ignored, report.counts().ignored + total as u64);
    if ignored as f64 > of as f64 * config.admission.ignored_warn {
        events.push(Event::Ignored { ignored, of });
    }
    if let Some(engine) = running.engine() {
        let (from, to) = (engine.stats().n_signatures as u64, total as u64);
        // A few ignored names are somebody's will; a list that names everything
        // is a mistake.
        let ignored = report.counts().ignored.min(MIN_IGNORED.max(from / 100));
        if is_shrunk(&config.admission, from, to + ignored) {
            return fail(vec![Refusal::Shrunk { source: String::new(), from, to }], events);
        }
    }
    let segments = sources.iter().map(|source| Arc::clone(&source.segment)).collect();
    let engine = match Engine::from_segments(segments) {
        Ok(engine) => engine,
        Err(error) => return fail(vec![Refusal::Build { error: error.to_string() }], events),
    };
    let provenance = match from {
        From::Files => Provenance::Configured,
        From::Kept(_) => Provenance::LastGood,
    };
    let candidate = Candidate { engine, sources, report, id, provenance, events };
    Ok(Built::Candidate(Box::new(candidate)))
}

/// The image of a kept source. One that is damaged is told, and the source is
/// compiled again.
fn image_of(
    order: &Order<'_>,
    kept: &Kept,
    path: &Path,
    digest: &[u8; 32],
    key: &str,
    events: &mut Vec<Event>,
) -> Option<KeptImage> {
    match kept.images.read(digest, key, |file| order.compiler.bytes(file)) {
        Ok(image) => image,
        Err(error) => {
            let error = format!("the image of {}: {error}", file_name(path));
            events.push(Event::StateFailed { error });
            None
        }
    }
}

/// One source on its way into a set.
struct Source<'s> {
    part: &'s Part,
    ignore: &'s IgnoreList,
    loading: &'s Loading,
}

impl Source<'_> {
    /// Admits the lines of a source and judges what came of them.
    fn weigh(
        &self,
        config: &Config,
        previous: Option<&Arc<InForce>>,
        has_running: bool,
        events: &mut Vec<Event>,
    ) -> Result<(SignatureSet, LoadReport), Refusal> {
        let load = |e: crate::LoadError| Refusal::Load { error: e.to_string() };
        let (set, report) = self.part.admit(self.loading, self.ignore.clone()).map_err(load)?;
        let (set, report) = self.within_cost(&config.cost, set, report).map_err(load)?;
        let counts = report.counts();
        let source = file_name(self.part.path());
        let (header, is_signed) = match &self.part.file().outcome {
            Outcome::Loaded { header, trust } => (header.as_deref(), *trust != Trusted::Unsigned),
            _ => (None, false),
        };
        let needs = header.map_or(0, quahog_cvd::Header::flevel);
        for note in &report.events {
            // Of these `live` has events of its own.
            if !matches!(note, Note::Newer { .. } | Note::Outdated { .. } | Note::Stale { .. }) {
                events.push(Event::Noted { source: source.clone(), note: note.clone() });
            }
        }
        if needs > FLEVEL || exceeds(counts.newer, counts.said(), config.admission.newer_warn) {
            events.push(Event::Newer {
                source: source.clone(),
                needs,
                have: FLEVEL,
                lines: counts.newer,
            });
        }
        let judged = config.admission.thresholds().judge(is_signed, &counts);
        let refusal = judged.err().map(Refusal::from).or_else(|| {
            let from = previous?.segment.signatures().len() as u64;
            // What somebody ignores is not lost.
            let to = set.len() as u64 + counts.ignored + counts.refused;
            is_shrunk(&config.admission, from, to).then_some(Refusal::Shrunk { source, from, to })
        });
        match refusal {
            // An empty engine protects nobody.
            Some(refusal) if has_running => Err(refusal),
            Some(reason) => {
                let source = file_name(self.part.path());
                events.push(Event::SourceRefused { source, reason, kept_previous: false });
                Ok((set, report))
            }
            None => Ok((set, report)),
        }
    }

    /// Leaves out what would cost too much, and says why.
    fn within_cost(
        &self,
        ceiling: &CostConfig,
        set: SignatureSet,
        report: LoadReport,
    ) -> Result<(SignatureSet, LoadReport), crate::LoadError> {
        let dear = too_dear(&set, ceiling);
        if dear.is_empty() {
            return Ok((set, report));
        }
        let mut ignore = self.ignore.clone();
        let mut refused = Vec::with_capacity(dear.len());
        for (cost, reason) in dear {
            let Some(origin) = set.origin(cost.id) else { continue };
            let Some(line) = self.part.line(origin.source, origin.line) else { continue };
            let line_md5: [u8; 16] = <md5::Md5 as md5::Digest>::digest(line).into();
            ignore.add(&Ignore { name: &set.name(cost.id), line_md5: Some(line_md5) });
            refused.push(RefusedForCost {
                name: String::from_utf8_lossy(&set.name(cost.id)).into_owned(),
                source: origin.source.to_owned(),
                line: origin.line,
                reason,
            });
        }
        let before = report.counts().ignored;
        // Not two of them at a time.
        drop(set);
        let (set, mut again) = self.part.admit(self.loading, ignore)?;
        // What was ignored in addition was refused.
        let more = again.counts().ignored.saturating_sub(before);
        if let Some(file) = again.files.first_mut() {
            let mut left = more;
            for member in &mut file.members {
                let here = refused.iter().filter(|r| r.source == member.name).count() as u64;
                let here = here.min(left).min(member.counts.ignored);
                member.counts.ignored -= here;
                member.counts.refused += here;
                left -= here;
            }
        }
        refused.truncate(100);
        again.refused = refused;
        Ok((set, again))
    }
}

/// The signatures that ask for too much, and why.
fn too_dear(set: &SignatureSet, ceiling: &CostConfig) -> Vec<(Cost, String)> {
    let mut dear = Vec::new();
    let mut fair: Vec<Cost> = Vec::new();
    let mut shared: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut always = 0usize;
    for cost in costs(set) {
        let Some(literal) = &cost.literal else {
            always += 1;
            if always > ceiling.always {
                let reason =
                    format!("the source has {} others without any literal", ceiling.always);
                dear.push((cost, reason));
            }
            continue;
        };
        if cost.places > ceiling.signature {
            let reason = format!(
                "a literal of {} bytes, {}, stands at {:.1} % of places",
                literal.len(),
                spaced(literal),
                cost.places * 100.0
            );
            dear.push((cost, reason));
            continue;
        }
        if (1..8).contains(&literal.len()) {
            let users = shared.entry(literal.clone()).or_default();
            *users += 1;
            if *users > ceiling.shared_literal {
                let reason = format!(
                    "its literal {} is shared by {} others",
                    spaced(literal),
                    ceiling.shared_literal
                );
                dear.push((cost, reason));
                continue;
            }
        }
        fair.push(cost);
    }
    let mut sum: f64 = fair.iter().map(|cost| cost.places).sum();
    if sum > ceiling.source {
        fair.sort_by(|a, b| b.places.total_cmp(&a.places));
        for cost in fair {
            if sum <= ceiling.source {
                break;
            }
            sum -= cost.places;
            let reason = format!(
                "the source asks for more than {} places a byte, this one for {:.4}",
                ceiling.source, cost.places
            );
            dear.push((cost, reason));
        }
    }
    dear
}

/// The first bytes in hex.
fn spaced(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ignored signatures that are never too many.
const MIN_IGNORED: u64 = 10;

/// Whether less than the least share is left.
fn is_shrunk(admission: &AdmissionConfig, from: u64, to: u64) -> bool {
    // Counts of signatures are exact in a double, and their shares nearly so.
    (to as f64) < from as f64 * admission.least_kept - 1e-6
}

/// Bytes that an engine takes for each byte of text, at most: a guess on the
/// safe side. A load of 671 MB in the shape of the official databases, nearly
/// all of it hashes, had its peak at 723 MB, text included.
const ENGINE_PER_TEXT: u64 = 4;

/// Refuses before it is built what this machine could not hold.
fn estimate_memory(config: &Config, parts: &[Part]) -> Result<(), Refusal> {
    let new = parts.iter().filter(|part| part.is_loaded());
    let needs = new.map(Part::text_bytes).sum::<u64>().saturating_mul(ENGINE_PER_TEXT);
    let half = machine_memory().map(|bytes| bytes / 2);
    let Some(allowed) = config.proof.memory.or(half) else { return Ok(()) };
    if needs > allowed { Err(Refusal::Memory { needs, allowed }) } else { Ok(()) }
}

fn check_required(config: &Config, sources: &[Arc<InForce>]) -> Result<(), Refusal> {
    for required in &config.database.required {
        let is_here = sources.iter().any(|source| {
            source.path.file_stem().is_some_and(|stem| stem.to_string_lossy() == *required)
        });
        if !is_here {
            return Err(Refusal::Missing { database: required.clone() });
        }
    }
    Ok(())
}

/// When the newest signed database of a snapshot was made, and its name.
pub(super) fn newest(snapshot: &Snapshot) -> Option<(u64, String)> {
    let made = |source: &Arc<InForce>| match &source.facts.file.outcome {
        Outcome::Loaded { header: Some(header), trust } if *trust != Trusted::Unsigned => {
            Some((header.build_time(), source.name()))
        }
        _ => None,
    };
    snapshot.sources.iter().filter_map(made).max()
}
