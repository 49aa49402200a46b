//! Shadow: a proven candidate looks at a sample of the live mail, beside the
//! engine in force, and only the difference is told.
//!
//! Scanners hand over a copy of a mail when the shadow is ready for one, and
//! never wait for it. The shadow scans on the builder's thread and rests after
//! each mail for as long as its share of a processor asks for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quahog_engine::Engine;

use super::builder::Control;
use super::config::ShadowConfig;
use super::{Live, Snapshot};
use crate::scan::{ScanReport, Settings};

/// The largest mail that is copied.
const MAX_MAIL: usize = 4 << 20;
/// Names that are told.
const MAX_NAMES: usize = 100;

/// A mail, and what the running engine said of it.
struct Sample {
    mail: Vec<u8>,
    settings: Settings,
    found: Option<String>,
    generation: u64,
    took: Duration,
}

/// Where scanners leave samples.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    active: AtomicBool,
    sender: Mutex<Option<SyncSender<Sample>>>,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sample({} bytes)", self.mail.len())
    }
}

/// The difference.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) mails: u64,
    pub(super) new: u64,
    pub(super) lost: u64,
    pub(super) signatures: BTreeMap<String, u64>,
    pub(super) cost: f64,
}

impl Slot {
    /// Whether samples are wanted.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Leaves a sample, if the shadow is ready for one.
    pub(crate) fn offer(
        &self,
        mail: &[u8],
        settings: &Settings,
        report: &ScanReport,
        took: Duration,
    ) {
        if mail.len() > MAX_MAIL {
            return;
        }
        let Ok(sender) = self.sender.try_lock() else { return };
        let Some(sender) = sender.as_ref() else { return };
        let sample = Sample {
            mail: mail.to_vec(),
            settings: settings.clone(),
            found: first(report),
            generation: report.generation(),
            took,
        };
        // A full channel means that the shadow is at work.
        let _ = sender.try_send(sample);
    }

    fn open(&self) -> Receiver<Sample> {
        let (sender, receiver) = sync_channel(1);
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.active.store(true, Ordering::Relaxed);
        receiver
    }

    fn close(&self) {
        self.active.store(false, Ordering::Relaxed);
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Compares until there were mails enough, or time is up.
    pub(super) fn run(
        &self,
        candidate: &Engine,
        rule: &ShadowConfig,
        running: &Snapshot,
        control: &Control,
    ) -> Seen {
        let samples = self.open();
        let live = Live::new(candidate.clone());
        let until = Instant::now() + rule.longest;
        let mut seen = Seen::default();
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        while seen.mails < rule.mails && Instant::now() < until && !control.is_stopped() {
            let Ok(sample) = samples.recv_timeout(Duration::from_millis(50)) else { continue };
            if sample.generation != running.generation() {
                continue;
            }
            let mut settings = sample.settings;
            settings.cancel = None;
            let started = Instant::now();
            let report = live.scanner_with(settings).scan(&sample.mail);
            let took = started.elapsed();
            ours += took;
            theirs += sample.took;
            seen.mails += 1;
            match (sample.found, first(&report)) {
                (None, Some(name)) => {
                    seen.new += 1;
                    if seen.signatures.len() < MAX_NAMES || seen.signatures.contains_key(&name) {
                        *seen.signatures.entry(name).or_default() += 1;
                    }
                }
                (Some(_), None) => seen.lost += 1,
                _ => {}
            }
            let rest = took.mul_f64((1.0 / rule.cpu.max(0.001)) - 1.0);
            std::thread::sleep(rest.min(Duration::from_secs(1)));
        }
        self.close();
        seen.cost = ours.as_secs_f64() / theirs.as_secs_f64().max(1e-9);
        seen
    }
}

/// The name that a mail would be refused for.
fn first(report: &ScanReport) -> Option<String> {
    report.detections().first().map(|found| found.name().to_owned())
}
