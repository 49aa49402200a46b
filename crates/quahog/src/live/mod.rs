//! The engine that answers, and its replacement between two messages.
//!
//! A [`Live`] holds the current [`Snapshot`] behind one cell. A scanner takes
//! the snapshot when a message begins and keeps it until the message ends, so
//! a report never mixes two generations, and a promotion never waits for a
//! scan nor a scan for a promotion.

use std::sync::{Arc, PoisonError, RwLock};

use quahog_engine::Engine;

use crate::scan::{Scanner, Settings};

/// What one scan answers from: an engine, and which promotion it came by.
#[derive(Clone, Debug)]
pub struct Snapshot {
    generation: u64,
    engine: Option<Engine>,
}

impl Snapshot {
    /// The number of promotions until then; 0 is the state of the beginning.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The engine; `None` as long as there is none.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }
}

/// The engine in force, one for each process. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct Live {
    // The lock is held for the copy of a pointer and nothing else.
    current: Arc<RwLock<Arc<Snapshot>>>,
}

impl Live {
    /// Answers with `engine` from the start.
    pub fn new(engine: Engine) -> Live {
        Live::with(Some(engine))
    }

    /// Answers [`Verdict::Unavailable`](crate::Verdict::Unavailable) until an
    /// engine is promoted: no engine is not an engine that finds nothing.
    pub fn empty() -> Live {
        Live::with(None)
    }

    fn with(engine: Option<Engine>) -> Live {
        Live { current: Arc::new(RwLock::new(Arc::new(Snapshot { generation: 0, engine }))) }
    }

    /// What a scan that begins now answers from.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        // Nothing can panic while the lock is held, so it cannot be poisoned.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `engine` in force for every message that begins from now on, and
    /// gives its generation. Scans that run keep the engine that they began
    /// with; it is freed when the last of them ends.
    pub fn promote(&self, engine: Engine) -> u64 {
        let old;
        let generation;
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            generation = current.generation + 1;
            let next = Arc::new(Snapshot { generation, engine: Some(engine) });
            old = std::mem::replace(&mut *current, next);
        }
        // Freeing an engine takes time: after the lock is let go.
        drop(old);
        generation
    }

    /// A scanner with the default settings, one for each thread.
    pub fn scanner(&self) -> Scanner {
        self.scanner_with(Settings::default())
    }

    /// A scanner with these settings.
    pub fn scanner_with(&self, settings: Settings) -> Scanner {
        Scanner::new(self.clone(), settings)
    }
}
