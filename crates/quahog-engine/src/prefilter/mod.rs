//! The prefilter: finds in one pass which signatures are worth a full check.
//!
//! It never misses: a signature that matches is among those that it reports.
//! For each signature the [plan](crate::plan) chose *needles*, literals one of
//! which stands in every buffer that the signature matches. Needles are found
//! in four stages, each of which costs more than the one before and passes
//! little on:
//!
//! 1. *probe*: a word of a small filter for the bytes at a place. Long needles
//!    (11 bytes and more) are known by grams of 8 bytes, looked for at every
//!    fourth place only, so each has four of them in the filter, one for each
//!    way in which it can lie; shorter ones by one gram of 4 bytes, looked for
//!    at every place. All bytes are folded by setting bit 5, so that one table
//!    serves signatures that ignore case.
//! 2. *bucket*: the entries of the table whose gram has the same hash.
//! 3. *text*: the whole literal, exactly or without case.
//! 4. *check*: the caller's look at the elements around the literal. A needle
//!    that failed here [`MAX_FAILS`] times in a buffer is taken for good, so
//!    data made of one needle costs no more than a bounded number of checks.
//!
//! Needles of two and three bytes are found by a table of pairs, and those that
//! may stand at one place only by looking there. What is sized
//! by the number of signatures lives as long as the scratch memory, and a scan
//! touches only the entries of what it meets.

mod anchored;
mod build;
pub(crate) mod probe;

pub(crate) use build::{PrefilterBuilder, expense, expense_of_anchored};

use crate::literal::{self, fold};
use crate::meter::{Interrupted, Meter};
use crate::plan::Place;
use anchored::Anchored;
use probe::{Candidate, Probes};
use quahog_sig::model::table::{Sections, Table};

/// Which signature a needle belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SigRef(u32);

const LOGICAL: u32 = 1 << 31;
const YARA: u32 = 3 << 30;

impl SigRef {
    // Sets hold less than 2^29 signatures of a kind.
    pub(crate) fn body(index: usize) -> SigRef {
        SigRef(index as u32)
    }

    pub(crate) fn logical(index: usize) -> SigRef {
        SigRef(index as u32 | LOGICAL)
    }

    pub(crate) fn yara(index: usize) -> SigRef {
        SigRef(index as u32 | YARA)
    }

    /// As one number.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// The reference that a number is.
    pub(crate) fn from_number(number: u32) -> SigRef {
        SigRef(number)
    }

    /// The index of a YARA rule, if it is one.
    pub(crate) fn as_yara(self) -> Option<usize> {
        (self.0 & YARA == YARA).then_some((self.0 & !YARA) as usize)
    }

    /// The index, and whether it is that of a logical signature; not for YARA
    /// rules.
    pub(crate) fn unpack(self) -> (usize, bool) {
        ((self.0 & !LOGICAL) as usize, self.0 & LOGICAL != 0)
    }
}

/// The needles of the signatures that one kind of layer needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefilter {
    /// Grams of 8 bytes at every fourth place.
    long: Grams,
    /// Grams of 4 bytes at every place.
    short: Grams,
    /// Needles of two and three bytes, by their first two.
    pairs: Pairs,
    /// Needles that may stand at one place only.
    anchored: Anchored,
    /// A [`Text`] each.
    texts: Table<[u32; 4]>,
    /// The bytes of the texts.
    arena: Table<u8>,
    /// A [`User`] each.
    users: Table<[u32; 4]>,
}

/// A table of grams: a filter in front of buckets.
#[derive(Clone, Debug, Default)]
struct Grams {
    /// Two bits of a word for each gram; the number of words is a power of two.
    filter: Table<u32>,
    /// Where the entries of a bucket begin; one more than there are buckets,
    /// whose number is a power of two.
    starts: Table<u32>,
    /// An [`Entry`] each.
    entries: Table<[u32; 2]>,
}

/// A gram of a needle.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The hash of the gram.
    hash: u32,
    /// Below [`MAX_TEXTS`].
    text: u32,
    /// Where in the text the gram begins.
    at: u8,
}

/// Different needles of a prefilter.
const MAX_TEXTS: usize = 1 << 24;

impl Entry {
    fn pack(self) -> [u32; 2] {
        [self.hash, self.text << 8 | u32::from(self.at)]
    }

    fn unpack([hash, rest]: [u32; 2]) -> Entry {
        Entry { hash, text: rest >> 8, at: rest as u8 } // the lower eight bits
    }
}

/// A literal, of one or more signatures.
#[derive(Clone, Copy, Debug)]
struct Text {
    start: u32,
    len: u8,
    nocase: bool,
    first_user: u32,
    n_users: u32,
}

impl Text {
    fn pack(self) -> [u32; 4] {
        let form = u32::from(self.len) | u32::from(self.nocase) << 8;
        [self.start, form, self.first_user, self.n_users]
    }

    fn unpack([start, form, first_user, n_users]: [u32; 4]) -> Text {
        let len = form as u8; // the lower eight bits
        Text { start, len, nocase: form >> 8 & 1 == 1, first_user, n_users }
    }
}

/// A signature that has a literal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) signature: SigRef,
    pub(crate) place: Option<Place>,
}

impl User {
    fn pack(self) -> [u32; 4] {
        let Some(place) = self.place else { return [self.signature.0, 0, 0, 0] };
        let which = 1
            | u32::from(place.second) << 1
            | u32::from(place.subsignature) << 8
            | u32::from(place.part) << 16;
        [self.signature.0, which, place.before.0, place.before.1]
    }

    fn unpack([signature, which, min, max]: [u32; 4]) -> User {
        let place = Place {
            subsignature: (which >> 8) as u8, // these bits are its own
            second: which >> 1 & 1 == 1,
            part: (which >> 16) as u16, // the upper half
            before: (min, max),
        };
        User { signature: SigRef(signature), place: (which & 1 == 1).then_some(place) }
    }
}

/// Texts of two and three bytes.
#[derive(Clone, Debug, Default)]
struct Pairs {
    /// A bit for each pair of folded bytes with which a text begins; empty if
    /// there are none.
    filter: Table<u64>,
    /// The pair and the text, sorted by that pair.
    texts: Table<[u32; 2]>,
}

/// Memory of a search.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// For each user how often it failed its check; [`LIVE`] once it passed.
    states: Vec<u16>,
    /// The users whose state is not 0.
    touched: Vec<u32>,
    /// What the probes passed on.
    candidates: Vec<Candidate>,
}

/// A user that needs no more checks in this buffer.
const LIVE: u16 = u16::MAX;

/// What the caller sees around a literal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fit {
    /// The signature may match here.
    Yes,
    /// Not here.
    No,
    /// Nowhere in this buffer.
    Never,
}

/// Checks of one needle that may fail in a buffer before it is taken for good,
/// and bytes of the buffer for one more: that many checks cost about as much as
/// the search of all of it.
const MAX_FAILS: usize = 32;
const FAIL_BYTES: usize = 512;

/// Bytes between two looks at the meter; a multiple of 4, so that long grams are
/// looked for at the same places whatever the block.
const BLOCK: usize = 16 << 10;

/// Figures of a search, for benches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Passed {
    /// Places that the filters passed on.
    pub(crate) probes: u64,
    /// Entries whose gram has the hash of the place.
    pub(crate) entries: u64,
    /// Literals that stand there.
    pub(crate) texts: u64,
    /// Signatures reported.
    pub(crate) signatures: u64,
}

impl Prefilter {
    /// Appends to `out` the signatures that may match `haystack`; one with
    /// several needles may come more than once.
    ///
    /// `check` says whether what stands around a literal fits, given the place
    /// where the literal begins; after [`MAX_FAILS`] times it is not believed
    /// any more.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn find(
        &self,
        haystack: &[u8],
        seen: &mut Seen,
        meter: &dyn Meter,
        check: &mut dyn FnMut(&User, usize) -> Fit,
        out: &mut Vec<SigRef>,
    ) -> Result<Passed, Interrupted> {
        let Seen { states, touched, candidates } = seen;
        if states.len() < self.users.len() {
            states.resize(self.users.len(), 0);
        }
        let max_fails = MAX_FAILS + haystack.len() / FAIL_BYTES;
        let mut search = Search {
            prefilter: self,
            haystack,
            states,
            touched,
            check,
            out,
            passed: Passed::default(),
            max_fails: u16::try_from(max_fails).unwrap_or(LIVE - 1),
        };
        let result = search.run(candidates, meter);
        let passed = search.passed;
        for user in seen.touched.drain(..) {
            if let Some(state) = seen.states.get_mut(user as usize) {
                *state = 0;
            }
        }
        result.map(|()| passed)
    }

    /// The number of different needles.
    pub(crate) fn n_triggers(&self) -> usize {
        self.texts.len()
    }

    /// Heap bytes, about.
    pub(crate) fn memory(&self) -> usize {
        let grams = |grams: &Grams| {
            4 * (grams.filter.len() + grams.starts.len()) + size_of_val(&grams.entries[..])
        };
        let pairs = size_of_val(&self.pairs.filter[..]) + size_of_val(&self.pairs.texts[..]);
        grams(&self.long)
            + grams(&self.short)
            + pairs
            + self.anchored.memory()
            + size_of_val(&self.texts[..])
            + self.arena.len()
            + size_of_val(&self.users[..])
    }

    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        self.long.sections(s)?;
        self.short.sections(s)?;
        s.table(&mut self.pairs.filter)?;
        s.table(&mut self.pairs.texts)?;
        self.anchored.sections(s)?;
        s.table(&mut self.texts)?;
        s.table(&mut self.arena)?;
        s.table(&mut self.users)
    }

    /// Whether the filters have the form that the probes rely on.
    pub(crate) fn is_sound(&self) -> bool {
        [&self.long, &self.short].into_iter().all(|grams| {
            let words = grams.filter.len();
            words == 0 || words.is_power_of_two() && words <= 1 << probe::MAX_BITS
        })
    }
}

impl Grams {
    fn bucket(&self, hash: u32) -> &[[u32; 2]] {
        let bits = self.starts.len().max(2).ilog2();
        // The upper bits choose the bucket; there are as many buckets as fit.
        let bucket = hash.checked_shr(32u32.saturating_sub(bits)).unwrap_or(0) as usize;
        match self.starts.get(bucket..bucket + 2) {
            Some(&[start, end]) => {
                self.entries.get(start as usize..end as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.filter)?;
        s.table(&mut self.starts)?;
        s.table(&mut self.entries)
    }
}

struct Search<'p, 'h, 's> {
    prefilter: &'p Prefilter,
    haystack: &'h [u8],
    states: &'s mut [u16],
    touched: &'s mut Vec<u32>,
    check: &'s mut dyn FnMut(&User, usize) -> Fit,
    out: &'s mut Vec<SigRef>,
    passed: Passed,
    max_fails: u16,
}

impl Search<'_, '_, '_> {
    fn run(
        &mut self,
        candidates: &mut Vec<Candidate>,
        meter: &dyn Meter,
    ) -> Result<(), Interrupted> {
        let Prefilter { long, short, pairs, anchored, .. } = self.prefilter;
        meter.tick(anchored.n_places() as u64)?;
        for (text, at) in anchored.find(self.haystack) {
            self.passed.entries += 1;
            self.text(text, at);
        }
        let mut from = 0;
        while from < self.haystack.len() {
            let to = self.haystack.len().min(from + BLOCK);
            meter.tick((to - from) as u64)?;
            for (grams, probes) in [(long, Probes::Long), (short, Probes::Short)] {
                if grams.filter.is_empty() {
                    continue;
                }
                candidates.clear();
                // A gram that begins in the block may end behind it, and vectors
                // read on further.
                let end = self.haystack.len().min(to + 128);
                let block = self.haystack.get(from..end).unwrap_or_default();
                probes.run(&grams.filter, block, to - from, candidates);
                self.passed.probes += candidates.len() as u64;
                // Each place is worth about as much as the bytes that lead to it.
                meter.tick(4 * candidates.len() as u64)?;
                for candidate in candidates.iter() {
                    self.grams(grams, from, *candidate);
                }
            }
            if !pairs.filter.is_empty() {
                self.pairs(pairs, from..to);
            }
            from = to;
        }
        Ok(())
    }

    fn grams(&mut self, grams: &Grams, from: usize, candidate: Candidate) {
        let place = from + candidate.at as usize;
        for &entry in grams.bucket(candidate.hash) {
            let entry = Entry::unpack(entry);
            if entry.hash == candidate.hash
                && let Some(at) = place.checked_sub(usize::from(entry.at))
            {
                self.passed.entries += 1;
                self.text(entry.text, at);
            }
        }
    }

    fn pairs(&mut self, pairs: &Pairs, range: std::ops::Range<usize>) {
        let end = self.haystack.len().min(range.end + 1);
        let Some(slice) = self.haystack.get(range.start..end) else { return };
        let (filter, texts) = (&pairs.filter[..], &pairs.texts[..]);
        for (at, window) in slice.windows(2).enumerate() {
            let key = u16::from_le_bytes([fold(window[0]), fold(window[1])]);
            if filter.get(usize::from(key >> 6)).is_none_or(|word| word >> (key & 63) & 1 == 0) {
                continue;
            }
            self.passed.probes += 1;
            let key = u32::from(key);
            let first = texts.partition_point(|&[other, _]| other < key);
            let texts = texts.get(first..).unwrap_or_default();
            for &[_, text] in texts.iter().take_while(|&&[other, _]| other == key) {
                self.passed.entries += 1;
                self.text(text, range.start + at);
            }
        }
    }

    /// Looks whether a text stands at a place, and at those who have it.
    fn text(&mut self, text: u32, at: usize) {
        let Some(&text) = self.prefilter.texts.get(text as usize) else { return };
        let text = Text::unpack(text);
        let len = usize::from(text.len);
        let start = text.start as usize;
        let (Some(window), Some(bytes)) =
            (self.haystack.get(at..at + len), self.prefilter.arena.get(start..start + len))
        else {
            return;
        };
        let same = if text.nocase { literal::eq_folded(window, bytes) } else { window == bytes };
        if !same {
            return;
        }
        self.passed.texts += 1;
        let first = text.first_user as usize;
        for number in first..first + text.n_users as usize {
            let (Some(&user), Some(state)) =
                (self.prefilter.users.get(number), self.states.get_mut(number))
            else {
                return;
            };
            if *state == LIVE {
                continue;
            }
            if *state == 0 {
                self.touched.push(number as u32); // users are counted by `u32`
            }
            let user = User::unpack(user);
            match (self.check)(&user, at) {
                Fit::Never => *state = LIVE,
                Fit::No if *state < self.max_fails => *state += 1,
                Fit::No | Fit::Yes => {
                    *state = LIVE;
                    self.passed.signatures += 1;
                    self.out.push(user.signature);
                }
            }
        }
    }
}
