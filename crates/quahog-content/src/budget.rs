//! Limits, what is left of them, and what was not looked at for them.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Bounds of the work on one input, for the whole tree inside it.
///
/// `u64::MAX` and `u32::MAX` mean "no limit".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of one part; of a longer one the first bytes are kept.
    pub part_bytes: u64,
    /// Decoded bytes of all parts together.
    pub total_bytes: u64,
    /// Decoded bytes beyond a hundred times those that they are decoded from,
    /// of all parts together. What is real is seldom packed better than that,
    /// and a bomb always is: this ends it before it fills the memory.
    pub expansion_bytes: u64,
    /// Number of parts.
    pub parts: u32,
    /// Layers that containers make inside each other, archives and documents,
    /// the outermost container among them: with 2, what lies in an archive is
    /// looked at, and what lies in an archive in it is not.
    pub container_depth: u32,
    /// Messages and multiparts inside each other.
    pub mail_depth: u32,
    /// Deterministic units of work, about one for each byte touched.
    pub fuel: u64,
}

impl Default for Limits {
    /// ClamAV's defaults where it has them: 100 MiB a part, 400 MiB in all,
    /// 10,000 parts, 17 containers; mail nests to 50, 16 MiB may be packed
    /// better than a hundred times, fuel is unlimited.
    fn default() -> Limits {
        Limits {
            part_bytes: 100 << 20,
            total_bytes: 400 << 20,
            expansion_bytes: 16 << 20,
            parts: 10_000,
            container_depth: 17,
            mail_depth: 50,
            fuel: u64::MAX,
        }
    }
}

/// Why something was not looked at.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Shortfall {
    /// The caller called the scan off.
    Cancelled,
    /// The deadline passed.
    Deadline,
    /// Nested deeper than [`Limits::container_depth`] or [`Limits::mail_depth`].
    Depth,
    /// Encrypted, and no password fits.
    Encrypted,
    /// Packed so well that it looks like a bomb: beyond
    /// [`Limits::expansion_bytes`].
    Expansion,
    /// The [`Limits::fuel`] is used up, or what one search may take.
    Fuel,
    /// The container is damaged where its bytes were needed.
    Malformed,
    /// Our own code failed on it: a mistake of ours, please report it.
    Panicked,
    /// Longer than [`Limits::part_bytes`].
    PartBytes,
    /// More than [`Limits::parts`].
    Parts,
    /// A signature's program would have to decide, and programs are not run.
    Program,
    /// More than [`Limits::total_bytes`].
    TotalBytes,
    /// A form (method, version, ...) that is not implemented.
    Unsupported,
    /// Longer than what normalised views are made of.
    ViewBytes,
}

impl Shortfall {
    /// A stable name for machines: `part-bytes`, `encrypted`, ...
    pub fn code(self) -> &'static str {
        match self {
            Shortfall::Cancelled => "cancelled",
            Shortfall::Deadline => "deadline",
            Shortfall::Depth => "depth",
            Shortfall::Encrypted => "encrypted",
            Shortfall::Expansion => "expansion",
            Shortfall::Fuel => "fuel",
            Shortfall::Malformed => "malformed",
            Shortfall::Panicked => "panicked",
            Shortfall::PartBytes => "part-bytes",
            Shortfall::Parts => "parts",
            Shortfall::Program => "program",
            Shortfall::TotalBytes => "total-bytes",
            Shortfall::Unsupported => "unsupported",
            Shortfall::ViewBytes => "view-bytes",
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What is left of the [`Limits`] for one input.
///
/// One budget serves the whole tree: it is handed down by reference, never
/// copied, so that many small layers cost as much as one large one. Counters
/// are `Cell`s; a budget belongs to one thread.
#[derive(Debug)]
pub struct Budget<'c> {
    limits: Limits,
    bytes: Cell<u64>,
    expansion: Cell<u64>,
    parts: Cell<u32>,
    fuel: Cell<u64>,
    work: Cell<u64>,
    keys: Cell<u32>,
    steps: Cell<u64>,
    until_check: Cell<u64>,
    deadline: Option<Instant>,
    cancel: Option<&'c AtomicBool>,
    at_looks: Option<fn()>,
    passwords: &'c [Vec<u8>],
}

/// Keys that are made of passwords for one input. Each may take a tenth of a
/// second, and has next to no bytes to show for it.
pub(crate) const MAX_KEYS: u32 = 4;

/// Instructions of packed programs that are run for one input: about two seconds.
const MAX_STEPS: u64 = 1 << 26;

/// Fuel between two looks at the clock and the cancel flag.
const CHECK_INTERVAL: u64 = 64 << 10;

impl<'c> Budget<'c> {
    /// A full budget.
    pub fn new(limits: Limits) -> Budget<'c> {
        Budget {
            limits,
            bytes: Cell::new(limits.total_bytes),
            expansion: Cell::new(limits.expansion_bytes),
            parts: Cell::new(limits.parts),
            fuel: Cell::new(limits.fuel),
            work: Cell::new(0),
            keys: Cell::new(MAX_KEYS),
            steps: Cell::new(MAX_STEPS),
            until_check: Cell::new(0),
            deadline: None,
            cancel: None,
            at_looks: None,
            passwords: &[],
        }
    }

    /// Ends the work at a point in time. Without one, no clock is ever read.
    pub fn deadline(mut self, deadline: Option<Instant>) -> Budget<'c> {
        self.deadline = deadline;
        self
    }

    /// Ends the work when another thread sets the flag.
    pub fn cancel(mut self, flag: Option<&'c AtomicBool>) -> Budget<'c> {
        self.cancel = flag;
        self
    }

    /// Calls a function whenever the clock and the flag are looked at: at the
    /// start and after every 64 KiB of work, about.
    pub fn at_looks(mut self, call: fn()) -> Budget<'c> {
        self.at_looks = Some(call);
        self
    }

    /// Passwords to try on encrypted members of archives, the last one first.
    pub fn passwords(mut self, passwords: &'c [Vec<u8>]) -> Budget<'c> {
        self.passwords = passwords;
        self
    }

    /// The passwords that are tried.
    pub fn known_passwords(&self) -> &'c [Vec<u8>] {
        self.passwords
    }

    /// The limits that this budget was made from.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Charges `work` units (about one for each byte touched).
    ///
    /// # Errors
    ///
    /// Says why the work must end; every later call says so too.
    pub fn tick(&self, work: u64) -> Result<(), Shortfall> {
        self.work.set(self.work.get().saturating_add(work));
        let fuel = self.fuel.get();
        if fuel < work {
            self.fuel.set(0);
            return Err(Shortfall::Fuel);
        }
        // `u64::MAX` means no limit, so it must not run down.
        if fuel != u64::MAX {
            self.fuel.set(fuel - work);
        }
        let left = self.until_check.get();
        if left > work {
            self.until_check.set(left - work);
            return Ok(());
        }
        if let Some(reason) = self.called_off() {
            return Err(reason);
        }
        self.until_check.set(CHECK_INTERVAL);
        Ok(())
    }

    /// Why no more work may be done, if so.
    pub fn ended(&self) -> Option<Shortfall> {
        self.called_off().or((self.fuel.get() == 0).then_some(Shortfall::Fuel))
    }

    fn called_off(&self) -> Option<Shortfall> {
        if let Some(call) = self.at_looks {
            call();
        }
        if self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Some(Shortfall::Cancelled);
        }
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        late.then_some(Shortfall::Deadline)
    }

    /// The work that was charged so far.
    pub fn work(&self) -> u64 {
        self.work.get()
    }

    /// Charges one key that is made of a password in a way that is meant to
    /// take long; says whether it may be made.
    pub(crate) fn key(&self) -> bool {
        let left = self.keys.get();
        self.keys.set(left.saturating_sub(1));
        left > 0
    }

    /// Charges up to so many instructions of a program that is run to unpack itself;
    /// says how many are left of these.
    pub(crate) fn steps(&self, wanted: u64) -> u64 {
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(wanted));
        wanted.min(left)
    }

    /// Charges one more part.
    ///
    /// # Errors
    ///
    /// [`Shortfall::Parts`] if no more are allowed, or as [`tick`](Self::tick).
    pub fn part(&self) -> Result<(), Shortfall> {
        self.tick(1)?;
        let left = self.parts.get();
        if left == 0 {
            return Err(Shortfall::Parts);
        }
        if left != u32::MAX {
            self.parts.set(left - 1);
        }
        Ok(())
    }

    /// How many bytes the next part may have, and what to report if it is
    /// longer: the smaller of the limit for a part and what is left in all.
    pub fn part_room(&self) -> (u64, Shortfall) {
        let left = self.bytes.get();
        if left < self.limits.part_bytes {
            (left, Shortfall::TotalBytes)
        } else {
            (self.limits.part_bytes, Shortfall::PartBytes)
        }
    }

    /// As [`part_room`](Self::part_room), for a part that is decoded from
    /// `packed` bytes.
    pub fn unpacked_room(&self, packed: usize) -> (u64, Shortfall) {
        let (room, shortfall) = self.part_room();
        let most = self.expansion.get().saturating_add(usual(packed));
        if most < room { (most, Shortfall::Expansion) } else { (room, shortfall) }
    }

    /// What is left for bytes that are packed better than usual.
    pub(crate) fn expansion_left(&self) -> u64 {
        self.expansion.get()
    }

    /// Charges a decoder for what it has made of the bytes that it has used so
    /// far; `charged` is what it was charged before. Says whether it may go on.
    pub(crate) fn expand(&self, used: usize, made: usize, charged: &mut u64) -> bool {
        let beyond = (made as u64).saturating_sub(usual(used));
        let left = self.expansion.get();
        if left == u64::MAX {
            return true;
        }
        let more = beyond.saturating_sub(*charged);
        *charged += more.min(left);
        self.expansion.set(left.saturating_sub(more));
        more <= left
    }

    /// Charges the decoded bytes of a part. At most [`part_room`](Self::part_room)
    /// bytes should have been decoded.
    pub fn spend(&self, bytes: u64) {
        if self.bytes.get() != u64::MAX {
            self.bytes.set(self.bytes.get().saturating_sub(bytes));
        }
    }
}

/// As many bytes as are usually packed into so many.
fn usual(packed: usize) -> u64 {
    (packed as u64).saturating_mul(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_too_well_is_charged_once() {
        let budget = Budget::new(Limits { expansion_bytes: 1000, ..Limits::default() });
        let mut charged = 0;
        assert!(budget.expand(1, 100, &mut charged));
        assert_eq!(budget.unpacked_room(2), (1200, Shortfall::Expansion));
        assert!(budget.expand(2, 800, &mut charged));
        assert!(budget.expand(2, 900, &mut charged));
        // What comes after may be packed less well.
        assert!(budget.expand(20, 1000, &mut charged));
        assert_eq!((charged, budget.expansion_left()), (700, 300));
        assert!(!budget.expand(0, 301, &mut 0));
        assert_eq!(budget.expansion_left(), 0);
    }

    #[test]
    fn fuel_ends_and_stays_ended() {
        let budget = Budget::new(Limits { fuel: 10, ..Limits::default() });
        assert_eq!(budget.tick(9), Ok(()));
        assert_eq!(budget.tick(2), Err(Shortfall::Fuel));
        assert_eq!(budget.tick(1), Err(Shortfall::Fuel));
    }

    #[test]
    fn the_room_of_a_part_shrinks_with_what_was_spent() {
        let budget = Budget::new(Limits { part_bytes: 10, total_bytes: 15, ..Limits::default() });
        assert_eq!(budget.part_room(), (10, Shortfall::PartBytes));
        budget.spend(10);
        assert_eq!(budget.part_room(), (5, Shortfall::TotalBytes));
    }

    #[test]
    fn a_set_cancel_flag_ends_the_work() {
        let flag = AtomicBool::new(true);
        let budget = Budget::new(Limits::default()).cancel(Some(&flag));
        assert_eq!(budget.tick(1), Err(Shortfall::Cancelled));
    }
}
