//! What threads share without waiting: the cell of the engine in force, and
//! the bits of the mute mask.
//!
//! Under `--cfg loom` the locks and atomics are loom's, so that a model can try
//! every interleaving of a swap and of the mute mask.

use std::sync::{Arc, PoisonError};

#[cfg(loom)]
use loom::sync::{
    RwLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(loom))]
use std::sync::{
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

/// Bits that any thread sets and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    /// How many are set: readers look at no other word while it is 0.
    count: AtomicUsize,
    words: Vec<AtomicU64>,
}

impl Bits {
    /// This many bits, none of them set.
    pub(crate) fn new(len: usize) -> Bits {
        let words = (0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Bits { count: AtomicUsize::new(0), words }
    }

    fn word(&self, bit: usize) -> Option<(&AtomicU64, u64)> {
        Some((self.words.get(bit / 64)?, 1 << (bit % 64)))
    }

    /// Whether a bit is set.
    pub(crate) fn test(&self, bit: usize) -> bool {
        // Acquire: whoever sees the count sees the bit that it counts.
        self.len() != 0
            && self.word(bit).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Sets or clears a bit. Whether that changed anything.
    pub(crate) fn set(&self, bit: usize, on: bool) -> bool {
        let Some((word, bit)) = self.word(bit) else { return false };
        if on {
            let is_new = word.fetch_or(bit, Ordering::AcqRel) & bit == 0;
            if is_new {
                self.count.fetch_add(1, Ordering::AcqRel);
            }
            return is_new;
        }
        let was = word.fetch_and(!bit, Ordering::AcqRel) & bit != 0;
        if was {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        was
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

#[cfg(all(test, loom))]
mod model {
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
            let mask = loom::sync::Arc::new(Bits::new(64));
            let other = {
                let mask = mask.clone();
                loom::thread::spawn(move || {
                    mask.set(1, true);
                    assert!(mask.test(1));
                })
            };
            mask.set(2, true);
            assert!(mask.test(2));
            other.join().unwrap();
            assert!(mask.test(1) && mask.test(2));
            assert_eq!(mask.len(), 2);
        });
    }
}
