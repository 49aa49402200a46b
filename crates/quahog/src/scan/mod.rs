//! Scanning: from a message to a report.
//!
//! A [`Scanner`] walks a message from layer to layer: it asks the engine what
//! each buffer is, opens what can be opened, makes the normalised views that
//! signatures are written for, and has the engine look at each. Hostile bytes
//! are data: there is no error here. What was not looked at stands in the
//! report's [`Completeness`].

mod report;
mod settings;
mod walk;

use std::sync::Arc;

use quahog_content::Budget;
use quahog_engine::Scratch;
use rayon::prelude::*;

use crate::live::{Live, Snapshot};

pub use quahog_engine::RegexLimits;
pub use report::{Completeness, Detection, Missing, ScanReport, ScanStats, Verdict};
pub use settings::{Input, Settings, ViewLimits};

/// Looks at messages; one for each thread, reused from message to message.
///
/// It answers from the generation in force when a message begins, and notices
/// a new one before the next.
#[derive(Debug)]
pub struct Scanner {
    live: Live,
    settings: Settings,
    scratch: Scratch,
}

impl Scanner {
    pub(crate) fn new(live: Live, settings: Settings) -> Scanner {
        Scanner { live, settings, scratch: Scratch::default() }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks at `input` and everything inside it.
    ///
    /// Blocks its thread with CPU work and spawns nothing. Takes time linear in
    /// the bytes of all layers, bounded by the settings' limits.
    #[must_use = "a report that nobody reads is mail that nobody judged"]
    pub fn scan(&mut self, input: &[u8]) -> ScanReport {
        let snapshot = self.live.snapshot();
        self.scan_with(&snapshot, input)
    }

    fn scan_with(&mut self, snapshot: &Arc<Snapshot>, input: &[u8]) -> ScanReport {
        let Some(engine) = snapshot.engine() else {
            return ScanReport::unavailable(snapshot.generation());
        };
        let mut limits = self.settings.limits;
        if let Some(most) = self.settings.recursion {
            // As deep as clamscan reads multiparts, with that setting.
            limits.mail_depth = limits.mail_depth.min(most.saturating_add(1));
        }
        let budget = Budget::new(limits)
            .passwords(engine.zip_passwords())
            .deadline(self.settings.deadline.map(|limit| std::time::Instant::now() + limit))
            .cancel(self.settings.cancel.as_deref());
        let walk = walk::Walk::new(engine, &self.settings, &budget, &mut self.scratch);
        walk.run(input).into_report(snapshot.generation(), engine.fingerprint())
    }
}

/// Looks at many inputs at once, on the rayon pool that the caller installed.
///
/// All reports come from one generation, in the order of the inputs.
#[must_use = "a report that nobody reads is mail that nobody judged"]
pub fn scan_batch<I>(live: &Live, settings: &Settings, inputs: &[I]) -> Vec<ScanReport>
where
    I: AsRef<[u8]> + Sync,
{
    let snapshot = live.snapshot();
    let scanner = || live.scanner_with(settings.clone());
    inputs
        .par_iter()
        .map_init(scanner, |scanner, input| scanner.scan_with(&snapshot, input.as_ref()))
        .collect()
}
