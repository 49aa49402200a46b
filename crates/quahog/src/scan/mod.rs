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

mod evidence;
mod explain;
mod tree;

use std::sync::Arc;

use quahog_content::{Budget, Shortfall};
use quahog_engine::{Engine, Scratch};
use rayon::prelude::*;

use crate::live::{Live, Snapshot};

pub use evidence::{Evidence, EvidenceKind};
pub use explain::{Explainable, Explained, Explanations};
pub use quahog_content::Ambiguity;
pub use quahog_engine::explain::{Conclusion, Explanation, Fact};
pub use quahog_engine::{RegexLimits, SignatureCost};
pub use report::{Completeness, Detection, Missing, ScanReport, ScanStats, Verdict};
pub use settings::{Input, Settings, ViewLimits};
pub use tree::{Digests, Node};

/// Looks at messages; one for each thread, reused from message to message.
///
/// It answers from the generation in force when a message begins, and notices
/// a new one before the next.
#[derive(Debug)]
pub struct Scanner {
    live: Live,
    settings: Settings,
    scratch: Scratch,
    /// The generation that answered last.
    generation: u64,
}

impl Scanner {
    pub(crate) fn new(live: Live, settings: Settings) -> Scanner {
        Scanner { live, settings, scratch: Scratch::default(), generation: 0 }
    }

    /// What signatures have cost this scanner since the generation in force was
    /// promoted, with their reported names, what costs most first. Counted for
    /// signatures that are searched for; lookups of hashes cost next to nothing.
    pub fn costs(&self) -> Vec<(String, SignatureCost)> {
        let snapshot = self.live.snapshot();
        let Some(engine) = snapshot.engine().filter(|_| snapshot.generation() == self.generation)
        else {
            return Vec::new();
        };
        let costs = self.scratch.costs(engine).into_iter();
        costs.map(|cost| (engine.reported_name(cost.segment, cost.id), cost)).collect()
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
        let shared = self.live.shared();
        if !shared.shadow().is_active() {
            return self.scan_with(&snapshot, input);
        }
        let started = std::time::Instant::now();
        let report = self.scan_with(&snapshot, input);
        let took = started.elapsed();
        self.live.shared().shadow().offer(input, &self.settings, &report, took);
        report
    }

    /// Looks at `input` and says why the signatures of a name match it, or how
    /// far they came; the name may lack its `.UNOFFICIAL`.
    ///
    /// Every match is looked for, whatever the settings say. Takes some times as
    /// long as a scan, under the same limits.
    pub fn explain(&mut self, input: &[u8], name: &str) -> Explanations {
        let snapshot = self.live.snapshot();
        let Some(engine) = snapshot.engine() else {
            let report = ScanReport::unavailable(snapshot.generation());
            return Explanations { signatures: Vec::new(), looks: Vec::new(), report };
        };
        let watched = engine.named(name);
        let settings = Settings { all_matches: true, ..self.settings.clone() };
        let budget = budget(&settings, engine);
        let walk = walk::Walk::new(engine, &settings, &budget, &mut self.scratch).watch(&watched);
        let (findings, looks) = walk.run_explained(input);
        let report = findings.into_report(snapshot.generation(), engine.fingerprint());
        let signatures = watched.iter().map(|&id| Explainable::new(engine, id)).collect();
        Explanations { signatures, looks, report }
    }

    fn scan_with(&mut self, snapshot: &Arc<Snapshot>, input: &[u8]) -> ScanReport {
        let Some(engine) = snapshot.engine() else {
            return ScanReport::unavailable(snapshot.generation());
        };
        if self.generation != snapshot.generation() {
            self.generation = snapshot.generation();
            self.scratch.forget_costs();
        }
        let budget = budget(&self.settings, engine);
        let (settings, scratch) = (&self.settings, &mut self.scratch);
        // Hostile bytes must not end the process, even where we made a mistake.
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            walk::Walk::new(engine, settings, &budget, scratch).muted(snapshot.mask()).run(input)
        }));
        let findings = walked.unwrap_or_else(|_| {
            // What was in use may be in any state.
            self.scratch = Scratch::default();
            metrics::counter!("quahog_scan_panics_total").increment(1);
            let mut findings = report::Findings::default();
            findings.missing(Shortfall::Panicked, String::new());
            findings
        });
        self.live.shared().count(snapshot, input, &findings.signatures);
        findings.into_report(snapshot.generation(), engine.fingerprint())
    }
}

/// A full budget for one input.
fn budget<'s>(settings: &'s Settings, engine: &'s Engine) -> Budget<'s> {
    let mut limits = settings.limits;
    if let Some(most) = settings.recursion {
        // As deep as clamscan reads multiparts, with that setting.
        limits.mail_depth = limits.mail_depth.min(most.saturating_add(1));
    }
    Budget::new(limits)
        .passwords(engine.zip_passwords())
        .deadline(settings.deadline.map(|limit| std::time::Instant::now() + limit))
        .cancel(settings.cancel.as_deref())
        .at_looks(quahog_sig::pace::point)
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

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{Completeness, Database, Engine, Live, Shortfall, Verdict};

    /// F27: the process lives, the report says what happened, and the next
    /// message is scanned as ever.
    #[test]
    fn fault_27_a_panic_is_a_gap_in_the_report() {
        let engine = Engine::new(Database::demonstration().into_signatures()).unwrap();
        let mut scanner = Live::new(engine).scanner();
        for _ in 0..100 {
            let report = scanner.scan(super::walk::PANIC);
            assert_eq!(report.verdict(), Verdict::Clean);
            let Completeness::Incomplete([missing]) = report.completeness() else {
                panic!("{report:?}")
            };
            assert_eq!(missing.reason, Shortfall::Panicked);
            let report = scanner.scan(b"quahog-demo-lure, quahog-demo-link");
            assert_eq!(report.detections().len(), 1);
        }
    }

    #[test]
    fn a_panic_in_a_part_leaves_the_others() {
        let engine = Engine::new(Database::demonstration().into_signatures()).unwrap();
        let settings = crate::Settings::default().input(crate::Input::Message);
        let mut scanner = Live::new(engine).scanner_with(settings);
        let head = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n";
        // Each part is base64, so that the message itself has no match.
        let lure = "Content-Transfer-Encoding: base64\n\n\
            cXVhaG9nLWRlbW8tbHVyZSwgcXVhaG9nLWRlbW8tbGluaw==";
        let panic = "Content-Type: a/b; name=p\nContent-Transfer-Encoding: base64\n\n\
            cGFuaWMsIHBsZWFzZQ==";
        let mail = format!("{head}--b\n{panic}\n--b\n{lure}\n--b--\n");
        let report = scanner.scan(mail.as_bytes());
        assert_eq!(report.detections().len(), 1, "{report:?}");
        let Completeness::Incomplete([missing]) = report.completeness() else {
            panic!("{report:?}")
        };
        assert_eq!((missing.reason, &*missing.object), (Shortfall::Panicked, "p"));
    }
}
