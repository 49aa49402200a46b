//! How far long work is, for whoever waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a load is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// What is done at the moment.
    pub stage: Stage,
    /// Of this stage so much is done: of its `total`, which is known from its
    /// start on. The unit is the stage's.
    pub done: u64,
    /// All there is to do.
    pub total: u64,
}

/// A stage of a load, in order.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Reading lines; in bytes.
    Reading,
    /// Choosing by what each signature is found; in signatures.
    Planning,
    /// Building the tables; in literals, one for each table that it is in.
    Indexing,
}

/// Who is told. Called from the threads that do the work, from several at once, and
/// about a hundred times a stage; it should return soon.
pub type Tell<'t> = &'t (dyn Fn(Progress) + Sync);

/// Tells nobody.
pub const SILENT: Tell<'static> = &|_| {};

/// Counts the steps of a stage.
pub struct Steps<'t> {
    tell: Tell<'t>,
    stage: Stage,
    total: u64,
    /// It tells once for each `1 << every` steps.
    every: u32,
    done: AtomicU64,
}

/// How often a stage tells, about: at least so often, if it has as many steps, and
/// less than twice as often.
const TIMES: u64 = 100;

impl<'t> Steps<'t> {
    /// Begins a stage of so many steps, and says so.
    pub fn begin(tell: Tell<'t>, stage: Stage, total: u64) -> Steps<'t> {
        tell(Progress { stage, done: 0, total });
        let every = (total / TIMES).max(1).ilog2();
        Steps { tell, stage, total, every, done: AtomicU64::new(0) }
    }

    /// So many more are done. Cost: an atomic addition.
    pub fn add(&self, steps: u64) {
        let before = self.done.fetch_add(steps, Ordering::Relaxed);
        let done = before.saturating_add(steps).min(self.total);
        if before >> self.every != done >> self.every || before < self.total && done == self.total {
            (self.tell)(Progress { stage: self.stage, done, total: self.total });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_stage_tells_its_start_its_end_and_some_of_its_way() {
        let told = Mutex::new(Vec::new());
        let tell = |progress: Progress| told.lock().unwrap().push(progress.done);
        let steps = Steps::begin(&tell, Stage::Planning, 10_000);
        (0..10_000).for_each(|_| steps.add(1));
        let told = told.into_inner().unwrap();
        assert_eq!((told.first(), told.last()), (Some(&0), Some(&10_000)));
        // 2^6 is the largest such part of 10,000 hundredths: 0, 64, 128 to 10,000.
        assert_eq!(told.len(), 158);
        assert!(told.is_sorted());
    }
}
