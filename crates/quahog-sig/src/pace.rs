//! Keeping pace: long work of a thread that nobody should notice.
//!
//! A thread of the lowest priority gives its processor to whoever wants it, and
//! still the others feel it: while it runs, a scheduler counts its processor as
//! taken, and may let two threads that have work wait for each other on the next.
//! A short sleep now and then undoes that, for a tenth of the time and more. So
//! loops that may take long, over lines, signatures and the like, call [`point`];
//! it returns at once on every thread that keeps no pace.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How a thread works: for so long, then it sleeps for so long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two sleeps, on the clock on the wall.
    pub work: Duration,
    /// Of a sleep, at least.
    pub rest: Duration,
    /// What to call on the thread after this time, and after any that it gives: work
    /// that gets no processor may want another priority.
    pub look: Option<(Instant, Look)>,
}

/// Looks how work goes, and says when to look again.
pub type Look = fn() -> Option<Instant>;

thread_local! {
    static PACE: Cell<Option<(Pace, Instant)>> = const { Cell::new(None) };
}

/// Does work on this thread that keeps the pace.
pub fn during<T>(pace: Pace, work: impl FnOnce() -> T) -> T {
    /// Puts back what was, after a panic too.
    struct Before(Option<(Pace, Instant)>);
    impl Drop for Before {
        fn drop(&mut self) {
            PACE.set(self.0);
        }
    }
    let _before = Before(PACE.replace(Some((pace, Instant::now()))));
    work()
}

/// A place in long work where it may rest. Cost: a load and a branch on a thread
/// that keeps no pace; the clock is read on one that does.
#[inline]
pub fn point() {
    if let Some((pace, since)) = PACE.get() {
        rest(pace, since);
    }
}

/// Long memory in pieces of 256 KiB, with a place to rest before each: for digests
/// and copies.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(256 << 10).inspect(|_| point())
}

#[cold]
fn rest(mut pace: Pace, since: Instant) {
    let now = Instant::now();
    if now.saturating_duration_since(since) < pace.work {
        return;
    }
    if let Some((_, look)) = pace.look.take_if(|(at, _)| now >= *at) {
        pace.look = look().map(|at| (at, look));
    }
    std::thread::sleep(pace.rest);
    PACE.set(Some((pace, Instant::now())));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn work_in_a_pace_rests_and_is_looked_at() {
        static LOOKS: AtomicU32 = AtomicU32::new(0);
        fn look() -> Option<Instant> {
            (LOOKS.fetch_add(1, Ordering::Relaxed) < 2).then(Instant::now)
        }
        let rest = Duration::from_millis(2);
        let pace = Pace { work: Duration::ZERO, rest, look: Some((Instant::now(), look)) };
        let started = Instant::now();
        let value = during(pace, || {
            (0..5).for_each(|_| point());
            7
        });
        assert!(started.elapsed() >= 5 * rest);
        assert_eq!((value, LOOKS.load(Ordering::Relaxed)), (7, 3));
        assert!(PACE.get().is_none(), "what comes after it keeps no pace");
    }

    #[test]
    fn a_panic_ends_the_pace() {
        let pace = Pace { work: Duration::ZERO, rest: Duration::ZERO, look: None };
        let tried = std::panic::catch_unwind(|| during(pace, || panic!("planned")));
        assert!(tried.is_err() && PACE.get().is_none());
    }
}
