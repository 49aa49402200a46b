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
//!    at every place; where these are few, two places share a look, and where all
//!    needles are very few, all are known so, and first by halves of bytes. All bytes are folded by setting bit 5, so that one table
//!    serves signatures that ignore case.
//! 2. *bucket*: the entries of the table whose gram has the same hash, and for
//!    long ones the same eleven bytes in and around it, so that data made of what
//!    many needles share does not lead to all of them.
//! 3. *text*: the whole literal, exactly or without case.
//! 4. *check*: four bytes on each side, as far as the pattern knows them, or the
//!    first four of the buffer, then the caller's look at the elements around the
//!    literal, once for all signatures in which these are the same. What failed here
//!    [`MAX_FAILS`] times in a buffer is taken for good, so data made of one needle
//!    costs no more than a bounded number of checks.
//!
//! Needles of two and three bytes are found by the halves of their bytes and a
//! table of pairs, and those that may stand at one place only by looking there.
//! What is sized by the number of signatures lives as long as the scratch memory,
//! and a scan touches only the entries of what it meets.

mod anchored;
mod build;
pub(crate) mod halves;
pub(crate) mod probe;
mod user;

pub(crate) use build::{PrefilterBuilder, Rarest, expense, expense_of_anchored, rare_places};
pub(crate) use user::Near;

use std::ops::BitOr;

use crate::literal;
use crate::meter::{Interrupted, Meter};
use anchored::Anchored;
use halves::Halves;
pub use probe::Kernel;
use probe::{Candidate, Probes};
use quahog_sig::model::table::{Plain, Sections, Table};
use user::{PackedRun, Run};
pub(crate) use user::{SigRef, User};

/// The needles of the signatures that one kind of layer needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefilter {
    filters: Filters,
    /// Grams of 8 bytes at every fourth place.
    long: Grams,
    /// Grams of 4 bytes at every place.
    short: Grams,
    /// Needles of two and three bytes: their first two, folded, and the text;
    /// sorted.
    pairs: Table<[u32; 2]>,
    /// For each word of the filter for pairs where the pairs of its bits begin in
    /// `pairs`, and where the last end; empty if there are none.
    pair_words: Table<u32>,
    /// Needles that may stand at one place only.
    anchored: Anchored,
    /// A [`Text`] each.
    texts: Table<[u32; 4]>,
    /// The bytes of the texts.
    arena: Table<u8>,
    /// A [`Run`] each.
    runs: Table<PackedRun>,
    /// The users of all runs, a [`SigRef`] each.
    users: Table<u32>,
}

/// What stands in front of the tables: which places are worth a look.
///
/// Those of several prefilters can be merged, so that one pass serves all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    /// Two bits of a word for each gram of 8 bytes; the number of words is a
    /// power of two, or 0 if there are no grams.
    long: Table<u32>,
    /// The same for grams of 4 bytes.
    short: Table<u32>,
    /// Instead of `short`, if these are few: see [`Probes::Few`].
    few: Table<u32>,
    /// The [`Halves`] of the grams of 4 bytes, if these are very few.
    screen: Table<u8>,
    /// A bit for each pair of folded bytes with which a needle of two or three
    /// bytes begins; empty if there are none.
    pairs: Table<u64>,
    /// The [`Halves`] of these needles, empty if there are none; of those of two
    /// bytes, any third byte is known.
    halves: Table<u8>,
}

impl Filters {
    /// The filters that pass what one of these passes.
    pub(crate) fn merged<'f>(all: impl Iterator<Item = &'f Filters> + Clone) -> Filters {
        Filters {
            long: merge_grams(all.clone().map(|filters| &filters.long)),
            short: merge_grams(all.clone().map(|filters| &filters.short)),
            few: match all.clone().all(|f| f.short.is_empty() || !f.few.is_empty()) {
                true => merge_grams(all.clone().map(|filters| &filters.few)),
                false => Table::default(),
            },
            screen: match all.clone().all(|f| f.short.is_empty() || !f.screen.is_empty()) {
                true => {
                    merge_bits(size_of::<Halves<4>>(), all.clone().map(|filters| &filters.screen))
                }
                false => Table::default(),
            },
            pairs: merge_bits(PAIR_WORDS, all.clone().map(|filters| &filters.pairs)),
            halves: merge_bits(size_of::<Halves<3>>(), all.map(|filters| &filters.halves)),
        }
    }

    fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.long)?;
        s.table(&mut self.short)?;
        s.table(&mut self.few)?;
        s.table(&mut self.screen)?;
        s.table(&mut self.pairs)?;
        s.table(&mut self.halves)
    }
}

/// The table of the only one of these that is not empty, if that is so.
fn only<'f, T: Plain>(all: impl Iterator<Item = &'f Table<T>>) -> Option<Table<T>> {
    let mut some = all.filter(|table| !table.is_empty());
    let first = some.next().cloned().unwrap_or_default();
    some.next().is_none().then_some(first)
}

fn merge_grams<'f>(all: impl Iterator<Item = &'f Table<u32>> + Clone) -> Table<u32> {
    if let Some(only) = only(all.clone()) {
        return only;
    }
    let words = all.clone().map(|table| table.len()).max().unwrap_or(0);
    let mut merged = vec![0; words];
    for table in all.filter(|table| !table.is_empty()) {
        // The word is chosen by the upper bits of a hash, so a word of a small
        // filter becomes a run of words of a large one.
        let run = words / table.len();
        for (words, word) in merged.chunks_mut(run).zip(table.iter()) {
            words.iter_mut().for_each(|merged| *merged |= word);
        }
    }
    merged.into()
}

/// Sets the bits that are set in one of these tables, which have this length or
/// none.
fn merge_bits<'f, T: Plain + Default + BitOr<Output = T>>(
    len: usize,
    all: impl Iterator<Item = &'f Table<T>> + Clone,
) -> Table<T> {
    if let Some(only) = only(all.clone()) {
        return only;
    }
    let mut merged = vec![T::default(); len];
    for table in all {
        merged.iter_mut().zip(table.iter()).for_each(|(merged, &word)| *merged = *merged | word);
    }
    merged.into()
}

/// Words of the filter for pairs.
const PAIR_WORDS: usize = 1024;

/// A table of grams: buckets.
#[derive(Clone, Debug, Default)]
struct Grams {
    /// Where the entries of a bucket begin; one more than there are buckets,
    /// whose number is a power of two.
    starts: Table<u32>,
    /// An [`Entry`] each; those of a bucket sorted by their prints.
    entries: Table<[u32; 2]>,
}

/// A gram of a needle.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// What it is known by: see [`probe::print_long`] and [`probe::hash_short`].
    print: u32,
    /// Below [`MAX_TEXTS`].
    text: u32,
    /// Where in the text the gram begins.
    at: u8,
}

/// Different needles of a prefilter.
const MAX_TEXTS: usize = 1 << 24;

impl Entry {
    fn pack(self) -> [u32; 2] {
        [self.print, self.text << 8 | u32::from(self.at)]
    }

    fn unpack([print, rest]: [u32; 2]) -> Entry {
        Entry { print, text: rest >> 8, at: rest as u8 } // the lower eight bits
    }
}

/// A literal, of one or more signatures.
#[derive(Clone, Copy, Debug)]
struct Text {
    start: u32,
    len: u8,
    nocase: bool,
    first_run: u32,
    n_runs: u32,
}

impl Text {
    fn pack(self) -> [u32; 4] {
        let form = u32::from(self.len) | u32::from(self.nocase) << 8;
        [self.start, form, self.first_run, self.n_runs]
    }

    fn unpack([start, form, first_run, n_runs]: [u32; 4]) -> Text {
        let len = form as u8; // the lower eight bits
        Text { start, len, nocase: form >> 8 & 1 == 1, first_run, n_runs }
    }
}

/// Memory of a search.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) kernel: Kernel,
    /// For each run of each prefilter how often it failed its check; [`LIVE`] once
    /// it passed.
    states: Vec<u16>,
    /// Where the runs of each prefilter begin in `states`.
    firsts: Vec<usize>,
    /// The runs whose state is not 0.
    touched: Vec<usize>,
    /// What the probes passed on.
    candidates: Vec<Candidate>,
    /// Those of these whose buckets are not empty, as many as were found last.
    spots: Vec<Spot>,
    /// Texts that may stand at a place, to be looked at together.
    hints: Vec<Hint>,
}

/// A run that needs no more checks in this buffer.
const LIVE: u16 = u16::MAX;

/// What the caller knows of the users of literals.
pub(crate) trait Judge {
    /// Whether a signature of a segment may match this buffer at all.
    fn applies(&self, segment: usize, signature: SigRef) -> bool;

    /// Whether what stands around a literal fits, which begins at `at`; the same
    /// for all users that have the same surroundings.
    fn fit(&mut self, segment: usize, user: &User, at: usize) -> Fit;
}

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

/// What the stages of a search passed on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Passed {
    /// Places that the filters passed on.
    pub probes: u64,
    /// Entries of the tables that have the print of a place.
    pub entries: u64,
    /// Literals that stand there, each time; those that may stand at one place
    /// only are not counted.
    pub texts: u64,
    /// Signatures reported.
    pub signatures: u64,
}

/// What is searched for: the prefilters of an engine's segments, and the
/// filters of all of them.
#[derive(Clone, Copy)]
pub(crate) struct Sieve<'p> {
    pub(crate) filters: &'p Filters,
    pub(crate) n_segments: usize,
    /// That of a segment, if it has one.
    pub(crate) prefilter: &'p dyn Fn(usize) -> Option<&'p Prefilter>,
}

impl Sieve<'_> {
    /// Appends to `out` the signatures that may match `haystack`, each with the
    /// number of its segment; one with several needles may come more than once.
    ///
    /// What stands around a literal is not asked for any more once it did not fit
    /// about [`MAX_FAILS`] times.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn find(
        self,
        haystack: &[u8],
        seen: &mut Seen,
        meter: &dyn Meter,
        judge: &mut dyn Judge,
        out: &mut Vec<(usize, SigRef)>,
    ) -> Result<Passed, Interrupted> {
        let Seen { kernel, states, firsts, touched, candidates, spots, hints } = seen;
        firsts.clear();
        let mut n_runs = 0;
        for segment in 0..self.n_segments {
            firsts.push(n_runs);
            n_runs += (self.prefilter)(segment).map_or(0, |prefilter| prefilter.runs.len());
        }
        if states.len() < n_runs {
            states.resize(n_runs, 0);
        }
        let max_fails = MAX_FAILS + haystack.len() / FAIL_BYTES;
        let mut search = Search {
            sieve: self,
            kernel: *kernel,
            haystack,
            states,
            firsts,
            touched,
            spots,
            hints,
            judge,
            out,
            passed: Passed::default(),
            max_fails: u16::try_from(max_fails).unwrap_or(LIVE - 1),
            work: 0,
        };
        let result = search.run(candidates, meter);
        let passed = search.passed;
        for user in seen.touched.drain(..) {
            if let Some(state) = seen.states.get_mut(user) {
                *state = 0;
            }
        }
        result.map(|()| passed)
    }
}

impl Prefilter {
    /// What stands in front of its tables.
    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// The literals that are searched for everywhere, and whether case does not
    /// matter.
    pub(crate) fn literals(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let anchored = self.anchored.numbers();
        let texts = self.texts.iter().zip(0u32..).filter(move |(_, n)| !anchored.contains(n));
        texts.filter_map(|(&text, _)| {
            let text = Text::unpack(text);
            let start = text.start as usize;
            let bytes = self.arena.get(start..start + usize::from(text.len))?;
            Some((bytes, text.nocase))
        })
    }

    /// Those of [`pairs`](Self::pairs) that have their bit in the same word of the
    /// filter.
    fn pairs_of_word(&self, pair: u32) -> &[[u32; 2]] {
        let words = self.pair_words.get(pair as usize >> 6..).and_then(|rest| rest.first_chunk());
        let [start, end] = words.copied().unwrap_or_default();
        self.pairs.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The number of different needles.
    pub(crate) fn n_triggers(&self) -> usize {
        self.texts.len()
    }

    /// Heap bytes, about.
    pub(crate) fn memory(&self) -> usize {
        let grams = |grams: &Grams| 4 * grams.starts.len() + size_of_val(&grams.entries[..]);
        let filters = &self.filters;
        4 * (filters.long.len() + filters.short.len() + filters.few.len())
            + 8 * filters.pairs.len()
            + filters.halves.len()
            + filters.screen.len()
            + grams(&self.long)
            + grams(&self.short)
            + size_of_val(&self.pairs[..])
            + size_of_val(&self.pair_words[..])
            + self.anchored.memory()
            + size_of_val(&self.texts[..])
            + self.arena.len()
            + size_of_val(&self.runs[..])
            + size_of_val(&self.users[..])
    }

    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        self.filters.sections(s)?;
        self.long.sections(s)?;
        self.short.sections(s)?;
        s.table(&mut self.pairs)?;
        s.table(&mut self.pair_words)?;
        self.anchored.sections(s)?;
        s.table(&mut self.texts)?;
        s.table(&mut self.arena)?;
        s.table(&mut self.runs)?;
        s.table(&mut self.users)
    }

    /// Whether the filters have the form that the probes rely on.
    pub(crate) fn is_sound(&self) -> bool {
        [&self.filters.long, &self.filters.short, &self.filters.few].into_iter().all(|filter| {
            let words = filter.len();
            words == 0 || words.is_power_of_two() && words <= 1 << probe::MAX_BITS
        })
    }
}

/// The table of a [`Grams`], ready to be looked into.
#[derive(Clone, Copy)]
struct Buckets<'g> {
    starts: &'g [u32],
    entries: &'g [[u32; 2]],
    /// How far a hash is shifted to give a bucket.
    shift: u32,
}

impl<'g> Buckets<'g> {
    /// Where the entries of a bucket begin and end.
    fn range(self, hash: u32) -> [u32; 2] {
        // The upper bits choose the bucket; there are as many buckets as fit.
        let bucket = hash.checked_shr(self.shift).unwrap_or(0) as usize;
        self.starts.get(bucket..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
    }
}

/// A candidate, and the entries of its bucket, of which the first is at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    candidate: Candidate,
    start: u32,
    end: u32,
    first: [u32; 2],
}

/// A text that may stand at a place.
#[derive(Clone, Copy, Debug)]
struct Hint {
    text: u32,
    at: usize,
}

/// Texts that are looked at together.
const MAX_HINTS: usize = 256;

impl Grams {
    fn buckets(&self) -> Buckets<'_> {
        let starts = &self.starts[..];
        let shift = 32u32.saturating_sub(starts.len().max(2).ilog2());
        Buckets { starts, entries: &self.entries, shift }
    }

    fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.starts)?;
        s.table(&mut self.entries)
    }
}

struct Search<'p, 'h, 's> {
    sieve: Sieve<'p>,
    kernel: Kernel,
    haystack: &'h [u8],
    states: &'s mut [u16],
    firsts: &'s [usize],
    touched: &'s mut Vec<usize>,
    spots: &'s mut Vec<Spot>,
    hints: &'s mut Vec<Hint>,
    judge: &'s mut dyn Judge,
    out: &'s mut Vec<(usize, SigRef)>,
    passed: Passed,
    max_fails: u16,
    /// Work that the meter was not told of yet.
    work: u64,
}

impl<'p> Search<'p, '_, '_> {
    fn run(
        &mut self,
        candidates: &mut Vec<Candidate>,
        meter: &dyn Meter,
    ) -> Result<(), Interrupted> {
        for (segment, prefilter) in self.prefilters() {
            meter.tick(prefilter.anchored.n_places() as u64)?;
            for (text, at) in prefilter.anchored.find(self.haystack) {
                self.passed.entries += 1;
                self.text(segment, prefilter, text, at);
            }
        }
        self.passed.texts = 0;
        let Filters { long, short, few, screen, pairs, halves } = self.sieve.filters;
        let (long, short, few, pairs) = (&long[..], &short[..], &few[..], &pairs[..]);
        let short = match few {
            [] => (short, Probes::Short),
            _ => (few, Probes::Few(bytemuck::try_from_bytes(screen).ok())),
        };
        let halves = bytemuck::try_from_bytes(halves).ok();
        let mut from = 0;
        while from < self.haystack.len() {
            let to = self.haystack.len().min(from + BLOCK);
            meter.tick((to - from) as u64)?;
            // A gram that begins in the block may end behind it, and vectors read on
            // further.
            let end = self.haystack.len().min(to + 128);
            let block = self.haystack.get(from..end).unwrap_or_default();
            for (filter, probes) in [(long, Probes::Long), short] {
                if filter.is_empty() {
                    continue;
                }
                candidates.clear();
                probes.run(self.kernel, filter, block, to - from, candidates);
                self.passed.probes += candidates.len() as u64;
                // Each place is worth about as much as the bytes that lead to it.
                meter.tick(4 * candidates.len() as u64)?;
                for (segment, prefilter) in self.prefilters() {
                    self.grams(segment, prefilter, probes, from, block, candidates);
                }
                meter.tick(std::mem::take(&mut self.work))?;
            }
            if let Some(halves) = halves {
                candidates.clear();
                probe::run_pairs(self.kernel, (halves, pairs), block, to - from, candidates);
                meter.tick(candidates.len() as u64)?;
                self.pairs(from, candidates);
            }
            meter.tick(std::mem::take(&mut self.work))?;
            from = to;
        }
        Ok(())
    }

    fn prefilters(&self) -> impl Iterator<Item = (usize, &'p Prefilter)> + use<'p> {
        let Sieve { n_segments, prefilter, .. } = self.sieve;
        (0..n_segments).filter_map(move |segment| Some((segment, prefilter(segment)?)))
    }

    fn grams(
        &mut self,
        segment: usize,
        prefilter: &Prefilter,
        probes: Probes<'_>,
        from: usize,
        block: &[u8],
        candidates: &[Candidate],
    ) {
        let mut spots = std::mem::take(self.spots);
        let (grams, filter) = match probes {
            Probes::Long => (&prefilter.long, &prefilter.filters.long),
            Probes::Short => (&prefilter.short, &prefilter.filters.short),
            Probes::Few(_) => (&prefilter.short, &prefilter.filters.few),
        };
        let (filter, alone) = (&filter[..], self.sieve.n_segments == 1);
        let buckets = grams.buckets();
        // First all looks at the table of buckets, then all at the entries: these do
        // not wait for each other, and no branch on what they find.
        spots.resize(spots.len().max(candidates.len()), Spot::default());
        let mut n_spots = 0;
        for &candidate in candidates {
            // What passed the filter of all may not pass its own.
            if !alone && !probes.passes(filter, block, candidate) {
                continue;
            }
            let [start, end] = buckets.range(candidate.hash);
            if let Some(spot) = spots.get_mut(n_spots) {
                *spot = Spot { candidate, start, end, first: [0; 2] };
            }
            n_spots += usize::from(start < end);
        }
        let found = spots.get_mut(..n_spots).unwrap_or_default();
        for spot in &mut *found {
            spot.first = buckets.entries.get(spot.start as usize).copied().unwrap_or_default();
        }
        for &Spot { candidate: Candidate { at, hash }, start, end, first } in &*found {
            let place = from + at as usize;
            let is_print = |print: u32| match probes {
                Probes::Short | Probes::Few(_) => print == hash,
                Probes::Long => {
                    let shift = probe::shift_of(print);
                    probe::print_at(self.haystack, place, hash, shift) == Some(print)
                }
            };
            if end - start == 1 {
                if is_print(first[0]) {
                    self.entry(segment, prefilter, first, place);
                }
                continue;
            }
            let bucket = buckets.entries.get(start as usize..end as usize).unwrap_or_default();
            // Few have more than some entries.
            if bucket.len() <= 8 {
                for &entry in bucket {
                    if is_print(entry[0]) {
                        self.entry(segment, prefilter, entry, place);
                    }
                }
                continue;
            }
            match probes {
                Probes::Short | Probes::Few(_) => {
                    self.entries(segment, prefilter, bucket, hash, place);
                }
                Probes::Long => {
                    for shift in 0..4 {
                        if let Some(print) = probe::print_at(self.haystack, place, hash, shift) {
                            self.entries(segment, prefilter, bucket, print, place);
                        }
                    }
                }
            }
        }
        *self.spots = spots;
        self.hinted(segment, prefilter);
    }

    /// Looks at the entries of a bucket that have a print.
    fn entries(
        &mut self,
        segment: usize,
        prefilter: &Prefilter,
        bucket: &[[u32; 2]],
        print: u32,
        place: usize,
    ) {
        let first = bucket.partition_point(|&[other, _]| other < print);
        let same = bucket.get(first..).unwrap_or_default();
        for &entry in same.iter().take_while(|&&[other, _]| other == print) {
            self.entry(segment, prefilter, entry, place);
        }
    }

    fn entry(&mut self, segment: usize, prefilter: &Prefilter, entry: [u32; 2], place: usize) {
        let entry = Entry::unpack(entry);
        if let Some(at) = place.checked_sub(usize::from(entry.at)) {
            self.hint(segment, prefilter, entry.text, at);
        }
    }

    fn hint(&mut self, segment: usize, prefilter: &Prefilter, text: u32, at: usize) {
        self.passed.entries += 1;
        self.hints.push(Hint { text, at });
        if self.hints.len() >= MAX_HINTS {
            self.hinted(segment, prefilter);
        }
    }

    /// Looks at the texts that were hinted at. Each is in two tables, and no look at
    /// them waits for another.
    fn hinted(&mut self, segment: usize, prefilter: &Prefilter) {
        let mut hints = std::mem::take(self.hints);
        let start = |hint: &Hint| prefilter.texts.get(hint.text as usize).map_or(0, |text| text[0]);
        let first = |hint| prefilter.arena.get(start(hint) as usize).copied().unwrap_or(0);
        std::hint::black_box(hints.iter().fold(0, |all, hint| all ^ first(hint)));
        for Hint { text, at } in hints.drain(..) {
            self.text(segment, prefilter, text, at);
        }
        *self.hints = hints;
    }

    fn pairs(&mut self, from: usize, candidates: &[Candidate]) {
        self.passed.probes += candidates.len() as u64;
        for (segment, prefilter) in self.prefilters() {
            for &Candidate { at, hash: pair } in candidates {
                let texts = prefilter.pairs_of_word(pair);
                let first = texts.partition_point(|&[other, _]| other < pair);
                let texts = texts.get(first..).unwrap_or_default();
                for &[_, text] in texts.iter().take_while(|&&[other, _]| other == pair) {
                    self.hint(segment, prefilter, text, from + at as usize);
                }
            }
            self.hinted(segment, prefilter);
        }
    }

    /// Looks whether a text stands at a place, and at those who have it.
    fn text(&mut self, segment: usize, prefilter: &Prefilter, text: u32, at: usize) {
        let Some(&text) = prefilter.texts.get(text as usize) else { return };
        let text = Text::unpack(text);
        self.work += 8;
        let len = usize::from(text.len);
        let start = text.start as usize;
        let (Some(window), Some(bytes)) =
            (self.haystack.get(at..at + len), prefilter.arena.get(start..start + len))
        else {
            return;
        };
        let same = if text.nocase { literal::eq_folded(window, bytes) } else { window == bytes };
        if !same {
            return;
        }
        self.passed.texts += 1;
        let first = text.first_run as usize;
        let runs = prefilter.runs.get(first..).unwrap_or_default();
        let states = first + self.firsts.get(segment).copied().unwrap_or(0);
        for (at_run, number) in (0..text.n_runs as usize).zip(states..) {
            let Some(&run) = runs.get(at_run) else { return };
            self.work += 4;
            let run = Run::unpack(run);
            if run.allows(self.haystack, at, len) {
                let end = runs.get(at_run + 1).map_or(u32::MAX, |&next| Run::unpack(next).first);
                let end = prefilter.users.len().min(end as usize);
                let users = prefilter.users.get(run.first as usize..end).unwrap_or_default();
                self.alike(segment, &run, users, number, at);
            }
        }
    }

    /// Looks at users of a literal that have the same surroundings.
    fn alike(&mut self, segment: usize, run: &Run, users: &[u32], number: usize, at: usize) {
        let Some(state) = self.states.get_mut(number) else { return };
        let users = users.iter().map(|&user| SigRef::from_number(user));
        let Some(signature) = users.clone().next() else { return };
        if *state == LIVE {
            return;
        }
        if *state == 0 {
            self.touched.push(number);
            if !run.everywhere && !users.clone().any(|user| self.judge.applies(segment, user)) {
                *state = LIVE;
                return;
            }
        }
        match self.judge.fit(segment, &User { signature, place: run.place }, at) {
            Fit::Never => *state = LIVE,
            Fit::No if *state < self.max_fails => *state += 1,
            Fit::No | Fit::Yes => {
                *state = LIVE;
                for user in users {
                    if run.everywhere || self.judge.applies(segment, user) {
                        self.passed.signatures += 1;
                        self.out.push((segment, user));
                    }
                }
            }
        }
    }
}
