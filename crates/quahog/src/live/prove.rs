//! The proof: what a candidate must show before anybody relies on it.
//!
//! It must find EICAR if the running engine does, the operator's samples, and
//! what was made from its own signatures; it must find nothing in harmless
//! mails; it must be done with adversarial inputs in time; and it must be
//! neither much slower nor much larger than what is running. All of that is
//! done on the builder's thread, apart from everything that runs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quahog_engine::Engine;

use super::build::{Candidate, Rejected};
use super::config::ProofConfig;
use super::event::Refusal;
use super::{Live, Snapshot, probes};
use crate::beside::cpu_time;
use crate::scan::{Input, Scanner, Settings, Verdict};

/// A candidate that has proved itself: the only thing that can be promoted.
#[derive(Debug)]
pub struct Proven {
    pub(super) candidate: Candidate,
    proof: Proof,
}

impl Proven {
    /// What it showed.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The candidate.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }
}

/// What a candidate showed.
#[non_exhaustive]
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Proof {
    /// Samples that had to be detected.
    pub must_detect: usize,
    /// Mails that must not be.
    pub must_not_detect: usize,
    /// Samples made of body signatures, all found.
    pub bodies: usize,
    /// Samples made of logical signatures, all found.
    pub logicals: usize,
    /// Processor's time for the harmless mails.
    pub latency: Duration,
    /// Processor's time for the slowest adversarial input.
    pub adversarial: Duration,
    /// Bytes of its prefilters.
    pub prefilter_bytes: usize,
}

/// A check of the caller's own.
type Check = Arc<dyn Fn(&mut Scanner) -> Result<(), String> + Send + Sync>;

/// What every candidate is tried on.
#[derive(Clone, Default)]
pub struct SelfTest {
    config: ProofConfig,
    must_detect: Vec<(String, Vec<u8>)>,
    must_not_detect: Vec<(String, Vec<u8>)>,
    checks: Vec<(String, Check)>,
}

impl fmt::Debug for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfTest")
            .field("config", &self.config)
            .field("must_detect", &self.must_detect.len())
            .field("must_not_detect", &self.must_not_detect.len())
            .finish_non_exhaustive()
    }
}

/// Files of a folder of probes that are read.
const MAX_PROBES: usize = 10_000;
/// Bytes of all probes.
const MAX_BYTES: u64 = 256 << 20;
/// False alarms that are named.
const MAX_ALARMS: usize = 20;

impl SelfTest {
    /// Reads the operator's folders, if there are any.
    ///
    /// # Errors
    ///
    /// A folder cannot be read.
    pub fn new(config: &ProofConfig) -> std::io::Result<SelfTest> {
        let read = |folder: &Option<std::path::PathBuf>| match folder {
            Some(folder) => read_folder(folder),
            None => Ok(Vec::new()),
        };
        let mut must_not_detect = probes::harmless();
        must_not_detect.extend(read(&config.must_not_detect)?);
        Ok(SelfTest {
            must_detect: read(&config.must_detect)?,
            must_not_detect,
            config: config.clone(),
            checks: Vec::new(),
        })
    }

    /// Adds a check of the caller's own, with a scanner that answers from the
    /// candidate. An `Err`, or a panic, refuses the candidate.
    pub fn check(
        mut self,
        name: &str,
        check: impl Fn(&mut Scanner) -> Result<(), String> + Send + Sync + 'static,
    ) -> SelfTest {
        self.checks.push((name.to_owned(), Arc::new(check)));
        self
    }
}

fn read_folder(folder: &Path) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // What is no regular file is passed over; links are not followed.
        if entry.file_type()?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    let (mut probes, mut bytes) = (Vec::new(), 0);
    for path in paths.into_iter().take(MAX_PROBES) {
        let probe = std::fs::read(&path)?;
        bytes += probe.len() as u64;
        if bytes > MAX_BYTES {
            break;
        }
        probes.push((path.to_string_lossy().into_owned(), probe));
    }
    Ok(probes)
}

impl Candidate {
    /// Tries the candidate, and compares it with what is running.
    ///
    /// A panic in it is caught: it is the candidate's failure, and no end of
    /// the process.
    ///
    /// # Errors
    ///
    /// It did not show what it must, or cost what it must not.
    pub fn prove(self, test: &SelfTest, running: &Snapshot) -> Result<Proven, Rejected> {
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            try_on(&self.engine, test, running)
        }));
        let reasons = match tried {
            Ok(Ok(proof)) => return Ok(Proven { candidate: self, proof }),
            Ok(Err(reasons)) => reasons,
            Err(panic) => vec![Refusal::Panicked { message: message_of(&*panic) }],
        };
        let mut rejected = Rejected::new(&self.id, reasons);
        rejected.events = self.events;
        Err(rejected)
    }
}

/// What a panic said.
pub(super) fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn try_on(engine: &Engine, test: &SelfTest, running: &Snapshot) -> Result<Proof, Vec<Refusal>> {
    let config = &test.config;
    let mut proof = Proof { prefilter_bytes: engine.stats().prefilter_bytes, ..Proof::default() };
    if let Some(now) = running.engine() {
        let (needs, now) = (proof.prefilter_bytes as u64, now.stats().prefilter_bytes as u64);
        // A ratio of sizes needs no exact digits.
        let allowed = config.memory_floor.max((now as f64 * config.memory_ratio) as u64);
        if needs > allowed {
            return Err(vec![Refusal::Memory { needs, allowed }]);
        }
    }
    let live = Live::new(engine.clone());
    let any = live.scanner();
    let message = live.scanner_with(Settings::default().input(Input::Message));
    let mut scanners = [any, message];

    // What must be detected.
    let eicar = probes::eicar();
    let detects = |scanner: &mut Scanner, probe: &[u8]| {
        matches!(scanner.scan(probe).verdict(), Verdict::Infected(_))
    };
    let before = running
        .engine()
        .is_some_and(|engine| detects(&mut Live::new(engine.clone()).scanner(), &eicar));
    let mut missed = Vec::new();
    if before && !detects(&mut scanners[0], &eicar) {
        missed.push(Refusal::NotDetected { probe: "EICAR".to_owned() });
    }
    for (name, probe) in &test.must_detect {
        if !scanners.iter_mut().any(|scanner| detects(scanner, probe)) {
            missed.push(Refusal::NotDetected { probe: name.clone() });
        }
    }
    proof.must_detect = test.must_detect.len() + usize::from(before);
    let sampled = probes::sample(engine, config.samples);
    if let Some(name) = sampled.missed {
        missed.push(Refusal::NotDetected { probe: format!("a sample of {name}") });
    }
    (proof.bodies, proof.logicals) = (sampled.body.1, sampled.logical.1);
    if !missed.is_empty() {
        missed.truncate(MAX_ALARMS);
        return Err(missed);
    }

    // What must not be.
    let mut alarms = Vec::new();
    let watch = Watch::start();
    for (name, probe) in &test.must_not_detect {
        let settings = Settings::default().input(Input::Message).all_matches(true);
        let report = live.scanner_with(settings).scan(probe);
        for found in report.detections().iter().filter(|found| !found.source().is_empty()) {
            if alarms.len() < MAX_ALARMS {
                alarms.push(Refusal::CanaryMatched {
                    probe: name.clone(),
                    signature: found.name().to_owned(),
                    source: found.source().to_owned(),
                    line: found.line(),
                });
            }
        }
    }
    proof.latency = watch.took();
    proof.must_not_detect = test.must_not_detect.len();
    if !alarms.is_empty() {
        return Err(alarms);
    }

    // What it costs.
    // Bounded far below what a usize holds.
    for (name, input) in probes::adversarial(engine, config.adversarial_size as usize) {
        // Beside mail the builder gets a share of a processor, and that is no fault
        // of the candidate; but nothing goes on for ever.
        let longest = config.adversarial.saturating_mul(PATIENCE);
        let settings = Settings::default().deadline(Some(longest)).all_matches(true);
        let (started, watch) = (Instant::now(), Watch::start());
        let _report = live.scanner_with(settings).scan(&input);
        let (took, wall) = (watch.took(), started.elapsed());
        proof.adversarial = proof.adversarial.max(took);
        if took >= config.adversarial || wall >= longest {
            let took = if wall >= longest { wall } else { took };
            // Times are far below 2^64 ms.
            let (took, allowed) = (took.as_millis() as u64, config.adversarial.as_millis() as u64);
            return Err(vec![Refusal::Budget { probe: name, took, allowed }]);
        }
    }
    slower(config, test, engine, running, proof.latency)?;

    for (name, check) in &test.checks {
        if let Err(error) = check(&mut scanners[0]) {
            return Err(vec![Refusal::NotDetected { probe: format!("{name}: {error}") }]);
        }
    }
    Ok(proof)
}

/// How many times longer than its budget an adversarial input may take by the
/// clock on the wall.
const PATIENCE: u32 = 20;

/// Tells the processor's time that this thread takes.
struct Watch(Duration);

impl Watch {
    fn start() -> Watch {
        Watch(cpu_time())
    }

    fn took(&self) -> Duration {
        cpu_time().saturating_sub(self.0)
    }
}

/// Compares the times for harmless mails, if they are long enough to compare.
fn slower(
    config: &ProofConfig,
    test: &SelfTest,
    engine: &Engine,
    running: &Snapshot,
    first: Duration,
) -> Result<(), Vec<Refusal>> {
    let Some(now) = running.engine() else { return Ok(()) };
    if first <= config.latency_floor {
        return Ok(());
    }
    let time = |engine: &Engine| {
        let mut scanner = Live::new(engine.clone()).scanner();
        let watch = Watch::start();
        for (_, probe) in &test.must_not_detect {
            let _report = scanner.scan(probe);
        }
        watch.took()
    };
    // Of three tries the best: what else the machine does is not its fault.
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let ratio = time(engine).as_secs_f64() / time(now).as_secs_f64().max(1e-9);
        best = best.min(ratio);
        if best <= config.latency {
            return Ok(());
        }
    }
    Err(vec![Refusal::Latency { ratio: best, allowed: config.latency }])
}
