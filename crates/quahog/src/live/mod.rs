//! The engine that answers, and its replacement between two messages: *an
//! update can never take your mail down*.
//!
//! A [`Live`] holds the current [`Snapshot`] behind one cell. A scanner takes
//! the snapshot when a message begins and keeps it until the message ends, so
//! a report never mixes two generations, and a promotion never waits for a
//! scan nor a scan for a promotion.
//!
//! What comes to be in force passes three stages, which are types. A
//! [`Candidate`] is compiled apart from everything that runs; [`prove`] makes a
//! [`Proven`] of it; [`Live::promote`] takes nothing else. A step that fails
//! drops the candidate, tells one [`Event`] with the reasons, remembers the
//! candidate by the digest of what it was made of, and leaves what runs as it
//! was. [`Live::start`] does all of that on a thread of its own, keeps the last
//! two good generations on disk, and is the way for a mail server.
//!
//! [`prove`]: Candidate::prove

mod build;
mod compile;
pub mod config;
mod event;
mod prove;

mod builder;
mod mute;
mod probes;
mod shadow;
mod state;
mod sync;
#[cfg(feature = "watch")]
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use quahog_engine::{Engine, Fingerprint};

use crate::database::{LoadReport, Versions};
use crate::scan::{Scanner, Settings};

pub use build::{Candidate, Rejected};
pub use builder::{Outcome, StartError, Starter, Ticket};
pub use compile::HelperFault;
pub use config::{Config, ConfigError};
pub use event::{Event, Observer, Provenance, Refusal};
pub use mute::{Mute, MuteError};
pub use prove::{Proof, Proven, SelfTest};

use build::InForce;
use config::MuteConfig;
use event::Notices;
pub(crate) use mute::Mask;
use mute::{Mails, Tally, Young};
use state::State;
use sync::Cell;

/// What one scan answers from: an engine, and which promotion it came by.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    engine: Option<Engine>,
    /// What the engine was made of; empty if its caller made it.
    sources: Vec<Arc<InForce>>,
    id: String,
    mask: Mask,
}

/// A source of a snapshot.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct SourceInfo {
    /// Its file name.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: String,
    /// The version, if it is a container.
    pub version: Option<u32>,
    /// Its signatures in force.
    pub n_signatures: usize,
}

impl Snapshot {
    fn new(generation: u64, engine: Option<Engine>) -> Snapshot {
        let mask = engine.as_ref().map(Mask::new).unwrap_or_default();
        let id = engine.as_ref().map_or_else(String::new, |e| e.fingerprint().to_string());
        Snapshot { generation, engine, sources: Vec::new(), id, mask }
    }

    /// The number of promotions until then; 0 is the state of the beginning.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The engine; `None` as long as there is none.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Who answers: equal fingerprints give equal answers, but for mutes.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.engine.as_ref().map(Engine::fingerprint)
    }

    /// The sources, one for each segment of the engine and in their order;
    /// empty if the caller made the engine.
    pub fn sources(&self) -> Vec<SourceInfo> {
        let info = |source: &Arc<InForce>| {
            let version = match &source.facts.file.outcome {
                crate::database::Outcome::Loaded { header, .. } => {
                    header.as_ref().map(|header| header.version())
                }
                _ => None,
            };
            SourceInfo {
                name: source.name(),
                digest: build::hex(&source.digest),
                version,
                n_signatures: source.segment.signatures().len(),
            }
        };
        self.sources.iter().map(info).collect()
    }

    /// Signatures that are muted.
    pub fn n_muted(&self) -> usize {
        self.mask.len()
    }

    pub(crate) fn mask(&self) -> &Mask {
        &self.mask
    }
}

/// Why a proven candidate was not promoted.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PromoteError {
    /// Scans hold on to two older generations.
    #[error("three generations are in use")]
    Busy,
    /// It could not be kept on disk, so a restart would lose it.
    #[error("the state cannot be written: {0}")]
    Storage(String),
}

/// The most generations alive, the candidate among them.
const MAX_GENERATIONS: usize = 3;

/// What clones of a [`Live`] share.
#[derive(Debug)]
pub(crate) struct Shared {
    cell: Cell<Snapshot>,
    /// Held while something is put in force, and by nobody who scans.
    book: Mutex<Book>,
    notices: Notices,
    /// Locked only where a signature was found, and only while one is young.
    mails: Mails,
    tally: Mutex<Tally>,
    /// Whether scans count for the tally.
    counting: AtomicBool,
    mute_rule: MuteConfig,
    shadow: shadow::Slot,
}

/// What whoever promotes needs to know.
#[derive(Debug, Default)]
struct Book {
    mutes: Vec<Mute>,
    /// The signed databases that were in force.
    versions: Versions,
    state: Option<State>,
    /// Generations that may still be in use.
    alive: Vec<Weak<Snapshot>>,
}

impl Book {
    fn alive(&mut self) -> usize {
        self.alive.retain(|generation| generation.strong_count() > 0);
        self.alive.len()
    }
}

impl Shared {
    fn new(engine: Option<Engine>, notices: Notices, mute_rule: MuteConfig) -> Arc<Shared> {
        let cell = Cell::new(Snapshot::new(0, engine));
        let book = Book { alive: vec![Arc::downgrade(&cell.load())], ..Book::default() };
        Arc::new(Shared {
            cell,
            book: Mutex::new(book),
            notices,
            mails: Mails::default(),
            tally: Mutex::default(),
            counting: AtomicBool::new(false),
            mute_rule,
            shadow: shadow::Slot::default(),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Generations in use, without a candidate.
    fn n_alive(&self) -> usize {
        self.book().alive()
    }

    fn promote(&self, proven: Proven) -> Result<u64, PromoteError> {
        let Proven { candidate, .. } = proven;
        let Candidate { engine, sources, report, id, provenance, events } = candidate;
        let mut told = events;
        // Takes long, so nobody waits for it. Of two promotions at once one is compared
        // with what was in force before both: who is young is a matter of counting.
        let young = self.young_after(&sources);
        let mut book = self.book();
        // The candidate becomes one of them.
        if book.alive() >= MAX_GENERATIONS {
            return Err(PromoteError::Busy);
        }
        if let Some(state) = &mut book.state
            && provenance == Provenance::Configured
        {
            state.keep(&id, &sources).map_err(|error| PromoteError::Storage(error.to_string()))?;
        }
        // Who goes back by hand means it; a start from the state means nothing.
        if provenance != Provenance::LastGood {
            told.extend(accept(&mut book, &report));
        }
        let mask = Mask::new(&engine);
        let before = self.cell.load();
        let generation = before.generation + 1;
        let sources: Vec<_> = sources.into_iter().map(without_bytes).collect();
        let withdrawn = restore_mutes(&mut book.mutes, &mask, &engine, &sources);
        if !withdrawn.is_empty() {
            told.extend(self.keep_mutes(&mut book));
        }
        told.extend(withdrawn);
        let grown = young.map(|young| {
            self.counting.store(!young.is_empty(), Ordering::Relaxed);
            self.tally().replace(Arc::new(young))
        });
        let n_signatures = engine.stats().n_signatures;
        let fingerprint = engine.fingerprint().to_string();
        drop(before);
        let next = Arc::new(Snapshot { generation, engine: Some(engine), sources, id, mask });
        book.alive.push(Arc::downgrade(&next));
        let old = self.cell.swap(next);
        let alive = book.alive();
        drop((book, grown));
        metrics::gauge!("quahog_generation").set(generation as f64);
        metrics::gauge!("quahog_signatures").set(n_signatures as f64);
        metrics::gauge!("quahog_generations_alive").set(alive as f64);
        release(old);
        told.iter().for_each(|event| self.notices.tell(event));
        self.notices.tell(&Event::Promoted { generation, fingerprint, n_signatures, provenance });
        Ok(generation)
    }

    pub(crate) fn shadow(&self) -> &shadow::Slot {
        &self.shadow
    }

    /// Who is young once these sources are in force; linear in what changes.
    fn young_after(&self, sources: &[Arc<InForce>]) -> Option<Young> {
        let before = self.cell.load();
        before.engine.as_ref()?;
        let replaced = sources.iter().filter_map(|source| {
            let old = before.sources.iter().find(|old| old.path == source.path)?;
            let changed = !Arc::ptr_eq(&old.segment, &source.segment);
            changed.then_some((&*old.segment, &*source.segment))
        });
        let young = self.tally().young();
        Some(mute::young_after(&young, replaced, self.mute_rule.young, Instant::now()))
    }

    /// Counts a scan for the rule that mutes, if anything is young.
    pub(crate) fn count(
        &self,
        snapshot: &Snapshot,
        input: &[u8],
        found: &[(usize, quahog_sig::SigId)],
    ) {
        if !self.counting.load(Ordering::Relaxed) {
            return;
        }
        let Some(engine) = snapshot.engine() else { return };
        self.mails.add(input);
        if found.is_empty() {
            return;
        }
        let young = self.tally().young();
        let mut sketch = Vec::new();
        let mut suspects = Vec::new();
        for &(at, id) in found {
            let Some(segment) = engine.segments().get(at) else { continue };
            let name = mute::mix(&segment.signatures().name(id));
            if !young.contains_key(&name) {
                continue;
            }
            if sketch.is_empty() {
                sketch = mute::sketch(input);
            }
            let (all, now) = (self.mails.count(), Instant::now());
            let said = self.tally().hit(name, &sketch, all, &self.mute_rule, now);
            suspects.extend(said.map(|said| (at, id, said)));
        }
        for (at, id, said) in suspects {
            let Some(segment) = engine.segments().get(at) else { continue };
            let why = format!("rule: found in {:.1} % of mails", said.share * 100.0);
            let mute = mute::of_id(segment, id, &why, true);
            let name = mute.name.clone();
            let muted = said.room && self.mute_rule.by_rule;
            self.notices.tell(&Event::FalseAlarm { name, share: said.share, muted });
            if muted {
                self.add_mutes(vec![mute]);
            }
        }
    }

    fn add_mutes(&self, mutes: Vec<Mute>) {
        let silence = |mute: &Mute| {
            let snapshot = self.cell.load();
            if let Some(engine) = &snapshot.engine {
                snapshot.mask.apply(engine, mute, true);
            }
        };
        // At once; a promotion may have the book for a while.
        mutes.iter().for_each(silence);
        let mut book = self.book();
        let mut told = Vec::new();
        for mute in mutes {
            // In what was promoted meanwhile.
            silence(&mute);
            told.push(Event::Muted {
                name: mute.name.clone(),
                source: mute.source.clone(),
                why: mute.why.clone(),
            });
            let is_known = book
                .mutes
                .iter()
                .any(|known| known.name == mute.name && known.definition == mute.definition);
            if !is_known {
                book.mutes.push(mute);
            }
        }
        told.extend(self.keep_mutes(&mut book));
        drop(book);
        told.iter().for_each(|event| self.notices.tell(event));
    }

    fn keep_mutes(&self, book: &mut Book) -> Option<Event> {
        let Book { mutes, state, .. } = book;
        let error = state.as_mut()?.keep_mutes(mutes).err()?;
        Some(Event::StateFailed { error: error.to_string() })
    }
}

/// Remembers the signed databases that are in force from now on.
fn accept(book: &mut Book, report: &LoadReport) -> Option<Event> {
    let before = book.versions.clone();
    book.versions.accept(report);
    if book.versions == before {
        return None;
    }
    let error = book.state.as_ref()?.keep_versions(&book.versions).err()?;
    Some(Event::StateFailed { error: format!("versions: {error}") })
}

/// The bytes are on disk, or are not needed.
fn without_bytes(source: Arc<InForce>) -> Arc<InForce> {
    match Arc::try_unwrap(source) {
        Ok(mut source) => {
            source.raw = None;
            Arc::new(source)
        }
        // Shared with the generation before: it has none.
        Err(source) => source,
    }
}

/// Silences in a new engine what was silenced before, unless its source has
/// fixed or withdrawn it.
fn restore_mutes(
    mutes: &mut Vec<Mute>,
    mask: &Mask,
    engine: &Engine,
    sources: &[Arc<InForce>],
) -> Vec<Event> {
    let mut told = Vec::new();
    mutes.retain(|mute| {
        if mask.apply(engine, mute, true) {
            return true;
        }
        // A source that is away for now may come back with it.
        let file = mute.source.split('/').next().unwrap_or_default();
        let is_here = sources.is_empty() || sources.iter().any(|source| source.name() == file);
        if is_here {
            let why = "its source changed or withdrew it".to_owned();
            told.push(Event::Unmuted { name: mute.name.clone(), why });
        }
        !is_here
    });
    told
}

/// Frees a generation on this thread, or, if scans still hold it, on one that
/// waits for them: never on theirs.
fn release(old: Arc<Snapshot>) {
    // Nobody can take another share of what is no longer in the cell.
    if Arc::strong_count(&old) == 1 {
        drop(old);
        return;
    }
    let wait = move || {
        let mut pause = Duration::from_millis(1);
        while Arc::strong_count(&old) > 1 {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        drop(old);
    };
    // Without a thread to spare, the last scan frees it after all.
    let _ = std::thread::Builder::new().name("quahog-reaper".to_owned()).spawn(wait);
}

/// The engine in force, one for each process. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct Live {
    shared: Arc<Shared>,
    builder: Option<Arc<builder::Builder>>,
}

impl Live {
    /// Loads, proves and promotes what `config` names, and goes on doing so
    /// when asked by [`reload`](Self::reload), by a watched folder or by time.
    ///
    /// It returns when the first generation is decided: the configured
    /// databases if they prove themselves, else the last good ones from the
    /// state folder, else none, and every scan answers `Unavailable`: an empty
    /// engine would find nothing and say so with confidence.
    ///
    /// # Errors
    ///
    /// The configuration contradicts itself, or the state folder cannot be used
    /// or is used by another process. Broken databases are no error: see
    /// [`Event`].
    pub fn start(config: &Config) -> Result<Live, StartError> {
        Starter::new(config).start()
    }

    /// Answers with `engine` from the start: for tests, and for callers who
    /// prove by themselves.
    pub fn new(engine: Engine) -> Live {
        Live::with(Some(engine))
    }

    /// Answers [`Verdict::Unavailable`](crate::Verdict::Unavailable) until an
    /// engine is promoted: no engine is not an engine that finds nothing.
    pub fn empty() -> Live {
        Live::with(None)
    }

    fn with(engine: Option<Engine>) -> Live {
        let shared = Shared::new(engine, Notices::new(None), MuteConfig::default());
        Live { shared, builder: None }
    }

    /// What a scan that begins now answers from.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.cell.load()
    }

    /// Puts a proven candidate in force for every message that begins from now
    /// on, and gives its generation. Scans that run keep the engine that they
    /// began with; it is freed when the last of them ends, on no scan's thread.
    ///
    /// # Errors
    ///
    /// Two older generations are still in use, or the state takes no copy. What
    /// was in force stays.
    pub fn promote(&self, proven: Proven) -> Result<u64, PromoteError> {
        self.shared.promote(proven)
    }

    /// Puts an engine in force that its caller proved by himself. Nothing is
    /// kept on disk, and nothing bounds how many generations scans hold.
    pub fn replace(&self, engine: Engine) -> u64 {
        let mut book = self.shared.book();
        let generation = self.shared.cell.load().generation + 1;
        let next = Snapshot::new(generation, Some(engine));
        if let Some(engine) = &next.engine {
            restore_mutes(&mut book.mutes, &next.mask, engine, &[]);
        }
        let next = Arc::new(next);
        book.alive();
        book.alive.push(Arc::downgrade(&next));
        let old = self.shared.cell.swap(next);
        drop(book);
        release(old);
        generation
    }

    /// Asks for a look at the databases. Any number of requests until the
    /// build begins are one.
    pub fn reload(&self) -> Ticket {
        self.request(builder::Request::Look)
    }

    /// Goes back to the generation before, which stays until the databases
    /// become others than those that were left.
    pub fn roll_back(&self) -> Ticket {
        self.request(builder::Request::RollBack)
    }

    fn request(&self, request: builder::Request) -> Ticket {
        match &self.builder {
            Some(builder) => builder.request(request),
            None => Ticket::not_configured(),
        }
    }

    /// Silences every signature of this name, with or without `.UNOFFICIAL`,
    /// from the next message on; gives how many. It stays silent until its
    /// source changes or withdraws it.
    ///
    /// # Errors
    ///
    /// There is no such signature, or it is a hash, which finds one file only.
    pub fn mute(&self, name: &str, why: &str) -> Result<usize, MuteError> {
        let snapshot = self.snapshot();
        let unknown = || MuteError::Unknown(name.to_owned());
        let engine = snapshot.engine().ok_or_else(unknown)?;
        let mutes = mute::mutes(engine, name, &format!("by hand: {why}"))?;
        let count = mutes.len();
        self.shared.add_mutes(mutes);
        Ok(count)
    }

    /// Lets the signatures of this name be heard again; gives how many mutes
    /// were ended.
    pub fn unmute(&self, name: &str) -> usize {
        let bare = name.strip_suffix(".UNOFFICIAL").unwrap_or(name);
        let mut book = self.shared.book();
        let snapshot = self.shared.cell.load();
        let (ended, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut book.mutes).into_iter().partition(|mute| mute.name == bare);
        book.mutes = left;
        for mute in &ended {
            if let Some(engine) = &snapshot.engine {
                snapshot.mask.apply(engine, mute, false);
            }
        }
        let failed = self.shared.keep_mutes(&mut book);
        drop(book);
        failed.iter().for_each(|event| self.shared.notices.tell(event));
        for mute in &ended {
            let (name, why) = (mute.name.clone(), "by hand".to_owned());
            self.shared.notices.tell(&Event::Unmuted { name, why });
        }
        ended.len()
    }

    /// The mutes in force, whether or not their signature is loaded.
    pub fn mutes(&self) -> Vec<Mute> {
        self.shared.book().mutes.clone()
    }

    /// Generations in use: the current one, and those that scans still hold.
    pub fn n_generations(&self) -> usize {
        self.shared.n_alive()
    }

    /// A scanner with the default settings, one for each thread.
    pub fn scanner(&self) -> Scanner {
        self.scanner_with(Settings::default())
    }

    /// A scanner with these settings.
    pub fn scanner_with(&self, settings: Settings) -> Scanner {
        Scanner::new(self.clone(), settings)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}
