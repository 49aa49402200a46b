//! The cell of the engine in force, and what it is made of.
//!
//! Under `--cfg loom` the locks and atomics are loom's, so that a model can try
//! every interleaving of a swap and of the mute mask.

use std::sync::{Arc, PoisonError};

#[cfg(loom)]
pub(crate) use loom::sync::{
    RwLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    RwLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Holds a value that readers take whole and one writer at a time replaces.
#[derive(Debug)]
pub(crate) struct Cell<T> {
    // Held for the copy of a pointer and nothing else: no reader waits for a
    // build, a drop or I/O, and nothing in there can panic.
    current: RwLock<Arc<T>>,
}

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Cell<T> {
        Cell { current: RwLock::new(Arc::new(value)) }
    }

    /// The value in force.
    pub(crate) fn load(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another value in force, and gives back the one before.
    pub(crate) fn swap(&self, next: Arc<T>) -> Arc<T> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, next)
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::super::mute;
    use super::*;

    /// A reader sees one generation or the other, never goes back, and the old
    /// one lives as long as it is held.
    #[test]
    fn a_swap_is_seen_whole_and_in_order() {
        loom::model(|| {
            let cell = loom::sync::Arc::new(Cell::new([0u64; 2]));
            let reader = {
                let cell = cell.clone();
                loom::thread::spawn(move || {
                    let first = cell.load();
                    let second = cell.load();
                    assert_eq!(first[0], first[1]);
                    assert_eq!(second[0], second[1]);
                    assert!(second[0] >= first[0]);
                })
            };
            let old = cell.swap(Arc::new([1, 1]));
            assert_eq!(*old, [0, 0]);
            let old = cell.swap(Arc::new([2, 2]));
            assert_eq!(*old, [1, 1]);
            reader.join().unwrap();
        });
    }

    /// A mute that was set before a scan began is seen by it, and two writers
    /// lose no bit of each other.
    #[test]
    fn a_mute_is_seen_and_none_is_lost() {
        loom::model(|| {
            let mask = loom::sync::Arc::new(mute::model_mask());
            let other = {
                let mask = mask.clone();
                loom::thread::spawn(move || {
                    mute::model_set(&mask, 1, true);
                    assert!(mute::model_test(&mask, 1));
                })
            };
            mute::model_set(&mask, 2, true);
            assert!(mute::model_test(&mask, 2));
            other.join().unwrap();
            assert!(mute::model_test(&mask, 1) && mute::model_test(&mask, 2));
            assert_eq!(mask.len(), 2);
        });
    }
}
