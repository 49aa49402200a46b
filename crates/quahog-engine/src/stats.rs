//! What signatures cost while they are scanned with.
//!
//! Few signatures are looked at whole in a scan: those of which a literal stood
//! there with the right bytes around it. For these the work is counted, in the
//! units of a [`Meter`], so the figures of a run are the same on every machine.
//! It is cheap enough to stay on.

use std::cell::Cell;
use std::collections::HashMap;

use quahog_sig::model::SigId;

use crate::engine::Engine;
use crate::meter::{Interrupted, Meter, RegexLimits};
use crate::prefilter::SigRef;

/// What a signature has cost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureCost {
    /// Its segment of the engine.
    pub segment: usize,
    /// The signature.
    pub id: SigId,
    /// How often it was looked at whole.
    pub checks: u64,
    /// How often it matched.
    pub hits: u64,
    /// The work of these looks, about a byte touched each.
    pub units: u64,
}

/// Signatures for which figures are kept: more are not looked at whole by
/// honest mail in years, and hostile mail must not fill the memory.
const MAX_ROWS: usize = 1 << 14;

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    checks: u64,
    hits: u64,
    units: u64,
}

/// The figures of a thread.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: HashMap<(usize, SigRef), Row>,
}

impl Tally {
    pub(crate) fn add(&mut self, segment: usize, signature: SigRef, hits: usize, units: u64) {
        let key = (segment, signature);
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            return;
        }
        let row = self.rows.entry(key).or_default();
        row.checks += 1;
        row.hits += hits as u64;
        row.units = row.units.saturating_add(units);
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// The figures, what costs most first.
    pub(crate) fn costs(&self, engine: &Engine) -> Vec<SignatureCost> {
        let cost = |(&(segment, signature), row): (&(usize, SigRef), &Row)| {
            let set = engine.segments().get(segment)?.signatures();
            let id = if let Some(index) = signature.as_yara() {
                set.yara_rule(index)?.id
            } else {
                match signature.unpack() {
                    (index, true) => set.logical(index)?.id,
                    (index, false) => set.body(index)?.id,
                }
            };
            let Row { checks, hits, units } = *row;
            Some(SignatureCost { segment, id, checks, hits, units })
        };
        let mut costs: Vec<SignatureCost> = self.rows.iter().filter_map(cost).collect();
        costs.sort_unstable_by_key(|cost| (std::cmp::Reverse(cost.units), cost.segment, cost.id));
        costs
    }
}

/// Counts what goes to another meter.
pub(crate) struct Counting<'m> {
    meter: &'m dyn Meter,
    units: Cell<u64>,
}

impl<'m> Counting<'m> {
    pub(crate) fn new(meter: &'m dyn Meter) -> Counting<'m> {
        Counting { meter, units: Cell::new(0) }
    }

    /// The units since this was asked last.
    pub(crate) fn take(&self) -> u64 {
        self.units.take()
    }
}

impl Meter for Counting<'_> {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        self.units.set(self.units.get().saturating_add(work));
        self.meter.tick(work)
    }

    fn gave_up(&self) {
        self.meter.gave_up();
    }

    fn regex_limits(&self) -> RegexLimits {
        self.meter.regex_limits()
    }
}
