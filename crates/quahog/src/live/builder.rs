//! The builder: one thread of low priority that loads, proves and promotes.
//!
//! Requests are coalesced: any number of them until a build begins are answered
//! by that build. While a build runs, one more can wait. So many offers at once
//! build at most twice.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::build::{self, Built, From, Order};
use super::compile::{Compiler, OpenImage};
use super::config::{Config, ConfigError};
use super::event::{Event, Notices, Observer, Provenance, Refusal};
use super::prove::message_of;
use super::state::{OpenError, State};
use super::{Candidate, Live, MAX_GENERATIONS, PromoteError, Proven, Rejected, SelfTest, Shared};
use crate::beside::Workshop;
use crate::scan::Scanner;

/// What a request came to.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Outcome {
    /// There is nothing to build from: see [`Live::start`](super::Live::start).
    NotConfigured,
    /// A new generation is in force.
    Promoted {
        /// Its number.
        generation: u64,
    },
    /// It was refused; what ran goes on.
    Refused(Rejected),
    /// It is what is running.
    Unchanged,
}

/// Why nothing was started.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A folder of probes cannot be read.
    #[error("probes: {0}")]
    Probes(std::io::Error),
    /// The state folder is used by another process.
    #[error("{0}")]
    Locked(String),
    /// The state folder cannot be used.
    #[error("state: {0}")]
    State(String),
    /// The system gives no thread.
    #[error("no thread: {0}")]
    Thread(std::io::Error),
}

/// Starts a [`Live`] with more than a configuration.
pub struct Starter {
    config: Config,
    observer: Option<Arc<dyn Observer>>,
    checks: Vec<Box<dyn FnOnce(SelfTest) -> SelfTest>>,
    clock: Clock,
    open: Option<OpenImage>,
}

/// Tells the time.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl std::fmt::Debug for Starter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starter").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Starter {
    /// With this configuration.
    pub fn new(config: &Config) -> Starter {
        Starter {
            config: config.clone(),
            observer: None,
            checks: Vec::new(),
            clock: Arc::new(SystemTime::now),
            open: None,
        }
    }

    /// Tells `observer` what happens.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Starter {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Adds a check to the proof, see [`SelfTest::check`].
    pub fn check(
        mut self,
        name: &str,
        check: impl Fn(&mut Scanner) -> Result<(), String> + Send + Sync + 'static,
    ) -> Starter {
        let name = name.to_owned();
        self.checks.push(Box::new(move |test| test.check(&name, check)));
        self
    }

    /// Asks another clock for the time of day, by which databases are too new or
    /// [`Stale`](Event::Stale). Nothing else hangs on it: deadlines are monotonic.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Starter {
        self.clock = Arc::new(clock);
        self
    }

    /// Lets `open` make bytes of the file that a [helper](super::config::BuildConfig::helper)
    /// wrote, in place of reading it: a program that may map files maps it, and
    /// the tables stay out of its own memory. Nobody else has the file, it has no
    /// name, and nobody writes it any longer.
    pub fn open_image(
        mut self,
        open: impl Fn(File) -> std::io::Result<Bytes> + Send + Sync + 'static,
    ) -> Starter {
        self.open = Some(Arc::new(open));
        self
    }

    /// Starts, see [`Live::start`](super::Live::start).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start(self) -> Result<Live, StartError> {
        self.config.check()?;
        let test = SelfTest::new(&self.config.proof).map_err(StartError::Probes)?;
        let test = self.checks.into_iter().fold(test, |test, check| check(test));
        let state = match &self.config.state.folder {
            Some(folder) => Some(State::open(folder).map_err(|error| match error {
                OpenError::Locked { .. } => StartError::Locked(error.to_string()),
                OpenError::Io { .. } => StartError::State(error.to_string()),
            })?),
            None => None,
        };
        let shared = Shared::new(None, Notices::new(self.observer), self.config.mute);
        if let Some(state) = state {
            let (mutes, versions) = (state.mutes(), state.versions());
            let mut book = shared.book();
            let mut set_aside = state.set_aside.clone();
            match versions {
                Ok((versions, unknown)) => {
                    book.versions = versions;
                    set_aside.extend(unknown);
                }
                Err(error) => {
                    let error = format!("versions: {error}");
                    shared.notices.tell(&Event::StateFailed { error });
                }
            }
            for path in set_aside {
                shared.notices.tell(&Event::StateSetAside { path });
            }
            match mutes {
                Ok(mutes) => book.mutes = mutes,
                Err(error) => {
                    shared.notices.tell(&Event::StateFailed { error: format!("mutes: {error}") });
                }
            }
            book.state = Some(state);
        }
        let builder = Builder::spawn(self.config, test, &shared, (self.clock, self.open))?;
        // The first build decides what is in force.
        builder.request(Request::Look).wait(None);
        Ok(Live { shared, builder: Some(Arc::new(builder)) })
    }
}

/// What is asked of the builder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Request {
    Look,
    RollBack,
}

/// Requests and answers. Builds are numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Desk {
    begun: u64,
    finished: u64,
    pending: bool,
    roll_back: bool,
    stop: bool,
    last: Option<Outcome>,
}

#[derive(Debug, Default)]
pub(super) struct Control {
    desk: Mutex<Desk>,
    changed: Condvar,
}

impl Control {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.desk().stop
    }

    pub(super) fn request(&self, request: Request) -> u64 {
        let mut desk = self.desk();
        desk.pending = true;
        desk.roll_back |= request == Request::RollBack;
        self.changed.notify_all();
        desk.begun + 1
    }
}

/// The answer to a request, in time.
#[derive(Debug)]
#[must_use = "dropping it does not end the build"]
pub struct Ticket {
    control: Option<Arc<Control>>,
    number: u64,
}

impl Ticket {
    pub(super) fn not_configured() -> Ticket {
        Ticket { control: None, number: 0 }
    }

    /// Waits for the build that answers the request, at most so long; `None`
    /// waits for as long as it takes. The answer is that of the latest build.
    pub fn wait(self, at_most: Option<Duration>) -> Option<Outcome> {
        let Some(control) = self.control else { return Some(Outcome::NotConfigured) };
        let until = at_most.and_then(|time| Instant::now().checked_add(time));
        let mut desk = control.desk();
        while desk.finished < self.number {
            if desk.stop {
                return None;
            }
            desk = match until {
                None => control.changed.wait(desk).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now())?;
                    let waited = control.changed.wait_timeout(desk, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        desk.last.clone()
    }
}

/// The thread, for as long as somebody holds the [`Live`].
#[derive(Debug)]
pub(crate) struct Builder {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
    #[cfg(feature = "watch")]
    _watch: Option<super::watch::Watch>,
}

impl Builder {
    fn spawn(
        config: Config,
        test: SelfTest,
        shared: &Arc<Shared>,
        (clock, open): (Clock, Option<OpenImage>),
    ) -> Result<Builder, StartError> {
        let control = Arc::new(Control::default());
        #[cfg(feature = "watch")]
        let watch = match config.watch.enabled {
            true => {
                let watch = super::watch::Watch::start(&config, &control);
                Some(watch.map_err(|e| StartError::Thread(std::io::Error::other(e)))?)
            }
            false => None,
        };
        let workshop = Workshop::open().map_err(StartError::Thread)?;
        let work = Work {
            config,
            test,
            shared: Arc::clone(shared),
            control: Arc::clone(&control),
            bad: HashSet::new(),
            told: HashMap::new(),
            clock,
            open,
            stale: None,
            is_first: true,
        };
        let thread = std::thread::Builder::new()
            .name("quahog-builder".to_owned())
            .spawn(move || work.run(&workshop))
            .map_err(StartError::Thread)?;
        Ok(Builder {
            control,
            thread: Some(thread),
            #[cfg(feature = "watch")]
            _watch: watch,
        })
    }

    pub(super) fn request(&self, request: Request) -> Ticket {
        let number = self.control.request(request);
        Ticket { control: Some(Arc::clone(&self.control)), number }
    }
}

impl Drop for Builder {
    /// Waits for the build that runs, so that the state folder is free after.
    fn drop(&mut self) {
        {
            let mut desk = self.control.desk();
            desk.stop = true;
            self.control.changed.notify_all();
        }
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in it was told as an event.
            let _ = thread.join();
        }
    }
}

/// Candidates that are remembered as bad.
const MAX_BAD: usize = 256;
/// How long a build waits for scans to let go of old generations.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the thread knows.
struct Work {
    config: Config,
    test: SelfTest,
    shared: Arc<Shared>,
    control: Arc<Control>,
    bad: HashSet<String>,
    /// What was said of each source last, so that it is said once.
    told: HashMap<String, Refusal>,
    clock: Clock,
    open: Option<OpenImage>,
    /// When the newest database was made that was told to be stale, and how many
    /// days old it was then.
    stale: Option<(u64, u64)>,
    is_first: bool,
}

impl Work {
    fn run(mut self, workshop: &Workshop) {
        let poll = Some(self.config.watch.poll).filter(|poll| !poll.is_zero());
        loop {
            let (number, roll_back) = {
                let mut desk = self.control.desk();
                let idle_since = Instant::now();
                while !desk.pending && !desk.stop {
                    let left = poll.map(|poll| poll.saturating_sub(idle_since.elapsed()));
                    desk = match left {
                        None => self.control.changed.wait(desk),
                        Some(left) if left.is_zero() => {
                            desk.pending = true;
                            break;
                        }
                        Some(left) => {
                            let waited = self.control.changed.wait_timeout(desk, left);
                            Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
                        }
                    }
                    .unwrap_or_else(PoisonError::into_inner);
                }
                if desk.stop {
                    self.control.changed.notify_all();
                    return;
                }
                desk.pending = false;
                desk.begun += 1;
                (desk.begun, std::mem::take(&mut desk.roll_back))
            };
            let started = Instant::now();
            let outcome = match roll_back {
                true => self.beside(workshop, Work::roll_back),
                false if std::mem::take(&mut self.is_first) => self.first(workshop),
                false => self.beside(workshop, Work::look),
            };
            self.look_at_age();
            metrics::histogram!("quahog_build_seconds").record(started.elapsed().as_secs_f64());
            let mut desk = self.control.desk();
            desk.finished = number;
            desk.last = Some(outcome);
            self.control.changed.notify_all();
        }
    }

    /// The first build: the last good generation answers until the configured
    /// databases have proved themselves, and lends them the segments of what
    /// did not change.
    fn first(&mut self, workshop: &Workshop) -> Outcome {
        self.beside(workshop, |work| match work.last_good(0, Provenance::LastGood) {
            Some(generation) => Outcome::Promoted { generation },
            None => Outcome::Unchanged,
        });
        let outcome = self.beside(workshop, Work::look);
        if self.shared.cell.load().engine().is_none() {
            self.shared.notices.tell(&Event::Unavailable);
        }
        outcome
    }

    /// Does one build so that mail does not notice; with all processors, if there
    /// is no engine yet that answers any.
    fn beside(
        &mut self,
        workshop: &Workshop,
        build: impl FnOnce(&mut Work) -> Outcome + Send,
    ) -> Outcome {
        let is_serving = self.shared.cell.load().engine().is_some();
        let build = || self.caught(build);
        match is_serving {
            true => workshop.work(build),
            false => build(),
        }
    }

    /// A panic in a build is an answer like another.
    fn caught(&mut self, build: impl FnOnce(&mut Work) -> Outcome) -> Outcome {
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| build(self)));
        match tried {
            Ok(outcome) => outcome,
            Err(panic) => {
                let message = message_of(&*panic);
                self.refuse(Rejected::new("", vec![Refusal::Panicked { message }]))
            }
        }
    }

    /// Puts the newest kept generation in force that reads and proves itself,
    /// of those after the first `skip`.
    fn last_good(&mut self, skip: usize, provenance: Provenance) -> Option<u64> {
        let numbers = {
            let book = self.shared.book();
            book.state.as_ref()?.generations()
        };
        for number in numbers.into_iter().skip(skip) {
            // A name without the lock: the folder is ours.
            let kept = self.shared.book().state.as_ref()?.read(number);
            let promoted = kept.map_err(|error| error.to_string()).and_then(|kept| {
                let running = self.shared.cell.load();
                let built = self.build(&running, From::Kept(&kept), &HashSet::new());
                let candidate = match built.map_err(|rejected| rejected.to_string())? {
                    Built::Candidate(candidate) => candidate,
                    Built::Unchanged => return Err("unchanged".to_owned()),
                };
                let mut candidate = *candidate;
                candidate.provenance = provenance;
                let proven = self.prove(candidate, &running);
                drop(running);
                let proven = proven.map_err(|rejected| rejected.to_string())?;
                let promoted = self.shared.promote(proven).map_err(|error| error.to_string());
                promoted.inspect(|_| self.keep_images())
            });
            match promoted {
                Ok(generation) => return Some(generation),
                Err(error) => {
                    let error = format!("generation {number}: {error}");
                    self.shared.notices.tell(&Event::StateFailed { error });
                }
            }
        }
        None
    }

    fn build(
        &self,
        running: &super::Snapshot,
        from: From<'_>,
        bad: &HashSet<String>,
    ) -> Result<Built, Rejected> {
        let is_stopped = || self.control.is_stopped();
        let folder = self.config.state.folder.clone().unwrap_or_else(std::env::temp_dir);
        let compiler = Compiler {
            folder,
            open: self.open.clone(),
            is_stopped: &is_stopped,
            ..Compiler::new(&self.config.build)
        };
        let order = Order {
            config: &self.config,
            running,
            forced: matches!(from, From::Kept(_)),
            from,
            bad,
            compiler,
            versions: self.shared.book().versions.clone(),
            now: build::seconds((self.clock)()),
        };
        build::build(&order)
    }

    /// Keeps the images of what is in force. They save time and nothing else, so
    /// what was promoted stays if there is no room for them.
    fn keep_images(&self) {
        if !self.config.state.images {
            return;
        }
        let Some(images) = self.shared.book().state.as_ref().map(State::images) else { return };
        if let Err(error) = images.keep(&self.shared.cell.load().sources) {
            let error = format!("no image is kept: {error}");
            self.shared.notices.tell(&Event::StateFailed { error });
        }
    }

    /// Tells how old the newest signed database is that is in force. Updates that
    /// no longer come bring no candidate, so every look asks.
    fn look_at_age(&mut self) {
        let Some((made, source)) = build::newest(&self.shared.cell.load()) else { return };
        let age = build::seconds((self.clock)()).saturating_sub(made);
        // Ages are far below 2^53 s.
        metrics::gauge!("quahog_database_age_seconds").set(age as f64);
        let told = (made, age / 86_400);
        if age > self.config.database.stale_after.as_secs() && self.stale != Some(told) {
            self.stale = Some(told);
            self.shared.notices.tell(&Event::Stale { source, age });
        }
    }

    fn prove(&self, candidate: Candidate, running: &super::Snapshot) -> Result<Proven, Rejected> {
        candidate.prove(&self.test, running)
    }

    /// Looks at the databases, and does what they ask for.
    fn look(&mut self) -> Outcome {
        match self.attempt() {
            Ok(outcome) => outcome,
            Err(rejected) => self.refuse(rejected),
        }
    }

    fn attempt(&mut self) -> Result<Outcome, Rejected> {
        self.wait_for_room()?;
        let running = self.shared.cell.load();
        let built = self.build(&running, From::Files, &self.bad)?;
        let mut candidate = match built {
            Built::Unchanged => return Ok(Outcome::Unchanged),
            Built::Candidate(candidate) => *candidate,
        };
        let events = std::mem::take(&mut candidate.events);
        match self.decide(candidate, running, &events) {
            Ok(outcome) => {
                self.news(events).iter().for_each(|event| self.shared.notices.tell(event));
                Ok(outcome)
            }
            Err(mut rejected) => {
                rejected.events = events;
                Err(rejected)
            }
        }
    }

    fn decide(
        &self,
        candidate: Candidate,
        running: Arc<super::Snapshot>,
        events: &[Event],
    ) -> Result<Outcome, Rejected> {
        let is_same = running.engine().is_some()
            && candidate.sources.len() == running.sources.len()
            && candidate
                .sources
                .iter()
                .zip(&running.sources)
                .all(|(new, old)| Arc::ptr_eq(&new.segment, &old.segment));
        if is_same {
            // Every source that changed was refused, or none did.
            let reasons: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    Event::SourceRefused { reason, .. } => Some(reason.clone()),
                    _ => None,
                })
                .collect();
            if reasons.is_empty() {
                return Ok(Outcome::Unchanged);
            }
            let mut rejected = Rejected::new(candidate.id(), reasons);
            // The same bytes, unless they could not be read, give the same.
            rejected.lasting = true;
            return Err(rejected);
        }
        let proven = self.prove(candidate, &running)?;
        if self.config.shadow.enabled && running.engine().is_some() {
            self.shadow(&proven, &running)?;
        }
        let id = proven.candidate().id().to_owned();
        drop(running);
        match self.shared.promote(proven) {
            Ok(generation) => {
                self.keep_images();
                Ok(Outcome::Promoted { generation })
            }
            Err(PromoteError::Busy) => Err(Rejected::new(&id, vec![Refusal::Busy])),
            Err(PromoteError::Storage(error)) => {
                Err(Rejected::new(&id, vec![Refusal::Storage { error }]))
            }
        }
    }

    /// Leaves out what was said of a source before.
    fn news(&mut self, events: Vec<Event>) -> Vec<Event> {
        let mut told = HashMap::new();
        let news = events
            .into_iter()
            .filter(|event| {
                let Event::SourceRefused { source, reason, .. } = event else { return true };
                told.insert(source.clone(), reason.clone());
                self.told.get(source) != Some(reason)
            })
            .collect();
        self.told = told;
        news
    }

    fn wait_for_room(&self) -> Result<(), Rejected> {
        let until = Instant::now() + PATIENCE;
        while self.shared.n_alive() >= MAX_GENERATIONS {
            if Instant::now() >= until || self.control.is_stopped() {
                return Err(Rejected::new("", vec![Refusal::Busy]));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Tells why a candidate was refused, unless that was told before.
    fn refuse(&mut self, mut rejected: Rejected) -> Outcome {
        let is_known = matches!(rejected.reasons.as_slice(), [Refusal::KnownBad { .. }]);
        if !is_known {
            let events = std::mem::take(&mut rejected.events);
            self.news(events).iter().for_each(|event| self.shared.notices.tell(event));
            self.shared.notices.tell(&Event::Refused {
                candidate: rejected.candidate.clone(),
                reasons: rejected.reasons.clone(),
                kept: self.shared.cell.load().generation(),
            });
            if rejected.lasting && !rejected.candidate.is_empty() {
                if self.bad.len() >= MAX_BAD {
                    self.bad.clear();
                }
                self.bad.insert(rejected.candidate.clone());
            }
        }
        Outcome::Refused(rejected)
    }

    fn roll_back(&mut self) -> Outcome {
        let running = self.shared.cell.load();
        let (from, id) = (running.generation(), running.id.clone());
        drop(running);
        let newest = {
            let book = self.shared.book();
            book.state.as_ref().and_then(|state| state.generations().first().copied())
        };
        match self.last_good(1, Provenance::RollBack) {
            Some(generation) => {
                // What was left comes back only when it has changed.
                self.bad.insert(id);
                let forgotten = newest.and_then(|number| {
                    self.shared.book().state.as_mut().and_then(|state| state.forget(number).err())
                });
                if let Some(error) = forgotten {
                    self.shared.notices.tell(&Event::StateFailed { error: error.to_string() });
                }
                self.shared.notices.tell(&Event::RolledBack { from, generation });
                Outcome::Promoted { generation }
            }
            None => {
                let error = "there is no generation before".to_owned();
                self.refuse(Rejected::new("", vec![Refusal::Load { error }]))
            }
        }
    }

    fn shadow(&self, proven: &Proven, running: &super::Snapshot) -> Result<(), Rejected> {
        let rule = &self.config.shadow;
        let candidate = proven.candidate();
        let seen = self.shared.shadow.run(candidate.engine(), rule, running, &self.control);
        let (mails, new, lost) = (seen.mails, seen.new, seen.lost);
        self.shared.notices.tell(&Event::Shadowed {
            mails,
            new,
            lost,
            signatures: seen.signatures,
            cost: seen.cost,
        });
        // Counts of mails are exact in a double.
        let over = |count: u64, share: f64| count as f64 > mails as f64 * share;
        if over(new, rule.new) || over(lost, rule.lost) {
            return Err(Rejected::new(candidate.id(), vec![Refusal::Shadow { new, lost, mails }]));
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// F13: while a read stalls, scans go on and none of them waits for it.
    #[test]
    fn fault_13_slow_storage() {
        const STALL: Duration = Duration::from_millis(3_000);
        let folder = std::env::temp_dir().join(format!("quahog-slow-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let slow = folder.join(format!("slow-{}.ndb", STALL.as_millis()));
        std::fs::write(folder.join("a.ndb"), "Gen.1:0:*:746f6b656e2d61\n").unwrap();
        let live = Live::start(&Config::new([&folder])).unwrap();
        std::fs::write(&slow, "Slow.1:0:*:746f6b656e2d62\n").unwrap();
        let started = Instant::now();
        let ticket = live.reload();
        let (mut scanner, mut longest, mut n_scans) = (live.scanner(), Duration::ZERO, 0);
        while started.elapsed() < STALL {
            let begun = Instant::now();
            assert_eq!(scanner.scan(b"a token-a").detections().len(), 1);
            longest = longest.max(begun.elapsed());
            n_scans += 1;
        }
        assert_eq!(live.snapshot().generation(), 1, "the read stalls");
        // Whatever else the machine does, it does not take a scan half of the stall.
        assert!(longest < STALL / 2 && n_scans > 100, "{longest:?}, {n_scans} scans");
        assert!(matches!(ticket.wait(None), Some(Outcome::Promoted { generation: 2 })));
        assert_eq!(scanner.scan(b"a token-b").detections().len(), 1);
        drop((scanner, live));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
