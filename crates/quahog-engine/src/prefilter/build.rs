//! Builds the tables: chooses for each literal the window that it is known by.

use super::anchored::Anchored;
use super::halves::halves;
use super::probe::{
    AROUND, MAX_BITS, Slot, around, hash_long, hash_short, pair_of, print_long, slot, slots_of_few,
};
use super::user::{Near, PackedRun, Run, Surroundings};
use super::{Entry, Filters, Grams, MAX_TEXTS, PAIR_WORDS, Prefilter, SigRef, Text, User};
use crate::BuildError;
use crate::literal::{self, fold};
use crate::plan::Needle;
use quahog_sig::model::table::Table;
use quahog_sig::progress::Steps;
use quahog_sig::{SignatureSet, pace};
use rayon::prelude::*;

/// The shortest literal that is known by grams of 8 bytes: wherever it lies,
/// one of them begins at a multiple of 4.
const LONG: usize = 11;
const SHORT: usize = 4;
/// Literals are cut to this length.
const MAX_TEXT: usize = u8::MAX as usize;
/// Words of the largest filter: 2 MiB, about what a second cache holds. A smaller
/// one is no faster, since it lets more places through.
const MAX_FILTER: usize = 1 << (MAX_BITS - 1);

/// Grams of 4 bytes that are few. More of them fill the words that stand for what
/// is common, such as zeros: with 35,000 twice as many places passed.
///
/// Sets of fuzzing are small, and take all ways.
const MAX_FEW: usize = if cfg!(fuzzing) { 8 } else { 4_096 };

/// Needles that are very few: then all are known by grams of 4 bytes, which are
/// found by their halves.
const MAX_VERY_FEW: usize = if cfg!(fuzzing) { 3 } else { 48 };

/// What it costs to look for a literal, as places to look at for each byte of
/// data: how often its grams stand there, and the share of its kind in what
/// every byte costs.
pub(crate) fn expense(text: &[u8]) -> f64 {
    match text.len() {
        0 => 1.0,
        1 => 0.1,
        2 | 3 => literal::frequency(text) + 1e-3,
        4..LONG => literal::rarest_window::<SHORT>(cut(text)).map_or(1.0, |(_, p)| p) + 3e-6,
        _ => {
            // The start of most is as rare as anything is worth.
            let least = |text| {
                let mut least = 4.0;
                fours(text, |_, sum| least = f64::min(least, sum));
                least / 4.0
            };
            match least(&text[..LONG]) {
                head if head < DENSITY / 100.0 => head,
                _ => least(cut(text)),
            }
        }
    }
}

/// The bytes of a literal that count.
fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(MAX_TEXT)]
}

/// Places of a literal, and how rare the four grams from there on are: eight
/// times the binary logarithm of how many bytes of data it takes to meet one.
pub(crate) type Rarest = [(u8, u8); 8];

/// Where in a literal the rarest grams begin that it may be known by: the best
/// place of each eighth of it, so that there is a choice where many literals
/// have the same. Of a long one only the head counts, if that has some places as
/// rare as anything is worth. All 0 if it has no such grams.
pub(crate) fn rare_places(text: &[u8]) -> Rarest {
    let text = cut(text);
    let mut places = best_places(&text[..text.len().min(HEAD)]);
    let rare = places.iter().filter(|(_, sum)| *sum < DENSITY / 25.0).count();
    if text.len() > HEAD && rare < 4 {
        places = best_places(text);
    }
    // Texts are at most 255 bytes long.
    places.map(|(at, sum)| (at as u8, (-8.0 * sum.log2()).clamp(0.0, 255.0) as u8))
}

/// Bytes of the head of a long literal.
const HEAD: usize = 48;

/// The place of each eighth of a text where four grams stand least often in data,
/// and how often they do together.
fn best_places(text: &[u8]) -> [(usize, f64); 8] {
    let n = text.len().saturating_sub(LONG - 1);
    let mut least = [(0, f64::INFINITY); 8];
    let mut eighth = 0;
    fours(text, |at, sum| {
        while at * 8 >= (eighth + 1) * n {
            eighth += 1;
        }
        if sum < least[eighth].1 {
            least[eighth] = (at, sum);
        }
    });
    least
}

/// Hands over each place of a literal where four grams of 8 bytes begin, one after
/// the other, and how often they stand in data, together.
fn fours(text: &[u8], mut take: impl FnMut(usize, f64)) {
    let mut last = [0.0; 4];
    literal::weigh::<8>(text, |at, number| {
        last = [last[1], last[2], last[3], number];
        if let Some(first) = at.checked_sub(3) {
            take(first, last.iter().sum());
        }
    });
}

/// What it costs to look for a literal at one place, in the same measure: a
/// buffer has some thousands of bytes. Two bytes may be the mark of all files of
/// a kind.
pub(crate) fn expense_of_anchored(text: &[u8]) -> f64 {
    if text.len() < SHORT { 2e-5 } else { 2e-7 }
}

/// A needle of a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Use<'n> {
    /// The number that the first eight bytes of the text are.
    first: u64,
    needle: &'n Needle<'n>,
    signature: SigRef,
    /// Whether the signature applies to every layer that it is looked for in.
    everywhere: bool,
}

/// Collects needles.
#[derive(Debug, Default)]
pub(crate) struct PrefilterBuilder<'n> {
    needles: Vec<Use<'n>>,
}

impl<'n> PrefilterBuilder<'n> {
    /// A builder that needs no more memory for so many.
    pub(crate) fn with_room(needles: usize) -> PrefilterBuilder<'n> {
        PrefilterBuilder { needles: Vec::with_capacity(needles) }
    }

    /// Adds a needle of a signature; `everywhere`: it applies to every layer that it
    /// is looked for in.
    pub(crate) fn add(&mut self, needle: &'n Needle<'n>, signature: SigRef, everywhere: bool) {
        let mut first = [0; 8];
        first.iter_mut().zip(needle.text.iter()).for_each(|(first, byte)| *first = *byte);
        let first = u64::from_be_bytes(first);
        self.needles.push(Use { first, needle, signature, everywhere });
    }

    /// Builds the tables; the signatures are those of `set`, and each needle is a
    /// step.
    ///
    /// # Errors
    ///
    /// They would have more than 2^32 entries.
    pub(crate) fn build(
        mut self,
        set: &SignatureSet,
        steps: &Steps<'_>,
    ) -> Result<Prefilter, BuildError> {
        self.needles.par_sort_unstable_by(|one, two| {
            one.first.cmp(&two.first).then_with(|| {
                let (a, b) = (one.needle, two.needle);
                (&a.text, a.nocase, a.anchor, one.signature, a.place).cmp(&(
                    &b.text,
                    b.nocase,
                    b.anchor,
                    two.signature,
                    b.place,
                ))
            })
        });
        let n_needles = self.needles.len();
        self.needles.dedup();
        steps.add((n_needles - self.needles.len()) as u64);
        let count =
            |n: usize| u32::try_from(n).map_err(|_| BuildError::TooLarge(format!("{n} needles")));
        count(self.needles.len())?;
        let groups: Vec<Group<'_, '_>> = self
            .needles
            .par_chunk_by(|one, two| {
                let (a, b) = (one.needle, two.needle);
                one.first == two.first
                    && (&a.text, a.nocase, a.anchor) == (&b.text, b.nocase, b.anchor)
            })
            .collect();
        let (texts, runs) =
            rayon::join(|| Texts::of_all(&groups, steps), || Runs::of_all(&groups, set));
        let all = texts?;
        drop(groups);
        drop(self.needles); // their memory is used for what follows
        let (long, short) = rayon::join(|| all.long_grams(), || all.short_grams());
        let Texts { mut texts, arena, mut pairs, anchored, .. } = all;
        let mut first_run = 0;
        for (text, &n_runs) in texts.iter_mut().zip(&runs.counts) {
            (text.first_run, text.n_runs) = (first_run, n_runs);
            first_run += n_runs; // there are no more than needles
        }
        pairs.sort_unstable();
        let texts_of_pairs = pairs.iter().map(|&[_, text]| &texts[text as usize]);
        let (pair_filter, halves) = pair_filter(texts_of_pairs.map(|text| {
            let start = text.start as usize;
            &arena[start..start + usize::from(text.len)]
        }));
        let (few, screen) = few(short.iter().map(|&(gram, _)| gram));
        let short = || grams(short.into_iter().map(|(_, gram)| gram).collect());
        let ((long_filter, long), (short_filter, short)) = rayon::join(|| grams(long), short);
        let filters = Filters {
            long: long_filter,
            short: short_filter,
            few,
            screen,
            pairs: pair_filter,
            halves,
        };
        Ok(Prefilter {
            filters,
            long,
            short,
            pair_words: pair_words(&pairs),
            pairs: pairs.into(),
            anchored: Anchored::new(
                anchored.iter().map(|(at, bytes, number)| (*at, &bytes[..], *number)),
            ),
            texts: texts.into_iter().map(Text::pack).collect(),
            arena: arena.into(),
            runs: runs.runs.into(),
            users: runs.users.into(),
        })
    }
}

/// Needles of the same text.
type Group<'g, 'n> = &'g [Use<'n>];

/// The texts of needles, and what each is found by: its number is in a list.
#[derive(Default)]
struct Texts {
    /// Their runs are not known yet.
    texts: Vec<Text>,
    arena: Vec<u8>,
    long: Vec<(u32, Rarest)>,
    short: Vec<u32>,
    /// The number of each pair, and a text.
    pairs: Vec<[u32; 2]>,
    anchored: Vec<(u32, Vec<u8>, u32)>,
}

impl Texts {
    /// Those of all groups.
    fn of_all(groups: &[Group<'_, '_>], steps: &Steps<'_>) -> Result<Texts, BuildError> {
        if groups.len() > MAX_TEXTS {
            return Err(BuildError::TooLarge(format!("{} literals", groups.len())));
        }
        let long = if groups.len() <= MAX_VERY_FEW { usize::MAX } else { LONG };
        let kept = |group: &Group<'_, '_>| group.first().map_or(0, |of| cut(&of.needle.text).len());
        let mut all = Texts {
            texts: Vec::with_capacity(groups.len()),
            arena: Vec::with_capacity(groups.par_iter().map(kept).sum()),
            long: Vec::with_capacity(groups.len()),
            ..Texts::default()
        };
        for (at, group) in groups.iter().enumerate() {
            if at % AHEAD == 0 {
                pace::point();
                let next = groups.get(at..).unwrap_or_default();
                fetch(next);
                steps.add(next.iter().take(AHEAD).map(|group| group.len() as u64).sum());
            }
            let Some(Use { needle, .. }) = group.first() else { continue };
            let bytes = cut(&needle.text);
            let number = all.texts.len() as u32; // at most `MAX_TEXTS`
            match bytes.len() {
                _ if needle.anchor.is_some() => {
                    all.anchored.extend(needle.anchor.map(|at| (at, bytes.to_vec(), number)));
                }
                0 | 1 => return Err(BuildError::TooLarge("a literal of one byte".to_owned())),
                2 | 3 => all.pairs.push([pair_of([bytes[0], bytes[1]]), number]),
                len if len < long => all.short.push(number),
                _ => all.long.push((number, needle.rarest)),
            }
            all.texts.push(Text {
                // Of `MAX_TEXTS` texts, none of which is longer than 255 bytes.
                start: all.arena.len() as u32,
                len: bytes.len() as u8,
                nocase: needle.nocase,
                first_run: 0,
                n_runs: 0,
            });
            all.arena.extend_from_slice(bytes);
        }
        Ok(all)
    }

    fn bytes(&self, text: u32) -> &[u8] {
        let text = &self.texts[text as usize];
        &self.arena[text.start as usize..][..usize::from(text.len)]
    }

    /// The grams of the long ones. They are chosen one after the other: each choice
    /// depends on those before.
    fn long_grams(&self) -> Vec<Gram> {
        let mut crowd = Crowd::new(self.long.len());
        let mut grams = Vec::with_capacity(4 * self.long.len());
        for &(text, rarest) in &self.long {
            pace::point();
            grams.extend(crowd.long(self.bytes(text), text, rarest));
        }
        grams
    }

    /// The same of the short ones, with the bytes of each gram.
    fn short_grams(&self) -> Vec<([u8; 4], Gram)> {
        let mut crowd = Crowd::new(self.short.len());
        let grams = self.short.iter().map(|&text| {
            pace::point();
            crowd.short(self.bytes(text), text)
        });
        grams.collect()
    }
}

/// Texts that are fetched at a time.
const AHEAD: usize = 32;

/// Looks at the next texts. They lie all over the memory, and are here sooner if
/// none waits for another.
fn fetch(groups: &[Group<'_, '_>]) {
    let firsts = groups.iter().take(AHEAD).filter_map(|group| group.first());
    let seen = firsts.map(|of| of.needle.text.first().copied().unwrap_or(0));
    std::hint::black_box(seen.fold(0, |all, byte| all ^ byte));
}

/// The users of texts, in runs.
#[derive(Default)]
struct Runs {
    runs: Vec<PackedRun>,
    users: Vec<u32>,
    /// How many runs each text has.
    counts: Vec<u32>,
}

impl Runs {
    /// Those of all groups, many groups at a time.
    fn of_all(groups: &[Group<'_, '_>], set: &SignatureSet) -> Runs {
        let pieces: Vec<Runs> = groups
            .par_chunks(4_096)
            .map(|groups| {
                let mut runs = Runs::default();
                groups.iter().for_each(|group| runs.add(group, set));
                runs
            })
            .collect();
        let sum = |len: fn(&Runs) -> usize| pieces.iter().map(len).sum();
        let mut all = Runs {
            runs: Vec::with_capacity(sum(|piece| piece.runs.len())),
            users: Vec::with_capacity(sum(|piece| piece.users.len())),
            counts: Vec::with_capacity(groups.len()),
        };
        for piece in pieces {
            let base = all.users.len() as u32; // no more than needles
            all.runs.extend(piece.runs.iter().map(|&run| {
                let run = Run::unpack(run);
                Run { first: base + run.first, ..run }.pack()
            }));
            all.users.extend(piece.users);
            all.counts.extend(piece.counts);
        }
        all
    }

    /// Appends the users of a literal, those with the same surroundings as a run.
    fn add(&mut self, group: Group<'_, '_>, set: &SignatureSet) {
        pace::point();
        let n_runs = self.runs.len();
        if let [alone] = group {
            self.run(&[(None, *alone)]);
        } else {
            let users = group.iter().map(|&user| {
                let (signature, place) = (user.signature, user.needle.place);
                (User { signature, place }.surroundings(set), user)
            });
            let mut users: Vec<_> = users.collect();
            // Stable: otherwise they stay in the order of their signatures.
            let key = |&(around, user): &(_, Use<'_>)| (around, user.needle.near);
            users.sort_by_key(key);
            users.chunk_by(|a, b| key(a) == key(b)).for_each(|alike| self.run(alike));
        }
        self.counts.push((self.runs.len() - n_runs) as u32);
    }

    /// Appends users with the same surroundings.
    fn run(&mut self, alike: &[(Option<Surroundings<'_>>, Use<'_>)]) {
        let Some((_, Use { needle, .. })) = alike.first() else { return };
        // A text that was cut has other neighbours.
        let is_whole = needle.text.len() <= MAX_TEXT || needle.place.is_none();
        let near = if is_whole { needle.near } else { Near::default() };
        // There are fewer than 2^32 needles, which the caller saw.
        let first = self.users.len() as u32;
        let everywhere = alike.iter().all(|(_, of)| of.everywhere);
        self.runs.push(Run { first, place: needle.place, near, everywhere }.pack());
        self.users.extend(alike.iter().map(|(_, of)| of.signature.number()));
    }
}

/// A gram of a text, before it is put into a table.
struct Gram {
    hash: u32,
    /// Its [`Entry`].
    entry: [u32; 2],
}

/// How many texts are known by a gram already, by its hash: grams that share a
/// slot are taken for one, which costs a worse choice and nothing else.
struct Crowd {
    counts: Vec<u16>,
    bits: u32,
}

/// What a new gram adds to the places that a filter passes on.
const DENSITY: f64 = 1e-7;

impl Crowd {
    /// For about so many texts.
    fn new(texts: usize) -> Crowd {
        let bits = texts.saturating_mul(8).next_power_of_two().ilog2().clamp(12, 20);
        #[expect(
            clippy::slow_vector_initialization,
            reason = "written to before it is read: pages that are read first are mapped twice"
        )]
        let mut counts = Vec::with_capacity(1 << bits);
        counts.resize(1 << bits, 0);
        Crowd { counts, bits }
    }

    fn slot(&self, hash: u32) -> usize {
        (hash >> (32 - self.bits)) as usize
    }

    /// The cost of one more text with this gram: each place where it stands
    /// leads to all of them.
    fn cost(&self, frequency: f64, hash: u32) -> f64 {
        match self.counts[self.slot(hash)] {
            0 => frequency + DENSITY,
            n => frequency * (f64::from(n) + 1.0),
        }
    }

    fn take(&mut self, hash: u32, print: u32, text: u32, at: usize) -> Gram {
        let slot = self.slot(hash);
        let n = &mut self.counts[slot];
        *n = n.saturating_add(1);
        let at = at as u8; // texts are at most 255 bytes long
        Gram { hash, entry: Entry { print, text, at }.pack() }
    }

    fn short(&mut self, bytes: &[u8], text: u32) -> ([u8; 4], Gram) {
        let gram = |window: &[u8]| window.first_chunk().copied().unwrap_or_default();
        let hash = |window: &[u8]| hash_short(gram(window));
        let (mut at, mut least) = (0, f64::INFINITY);
        literal::weigh::<SHORT>(bytes, |place, frequency| {
            let cost = self.cost(frequency, hash(&bytes[place..]));
            if cost < least {
                (at, least) = (place, cost);
            }
        });
        let hash = hash(&bytes[at..]);
        // The filter folds the gram, too.
        let gram = gram(&bytes[at..]).map(fold);
        (gram, self.take(hash, hash, text, at))
    }

    fn long(&mut self, bytes: &[u8], text: u32, rarest: Rarest) -> [Gram; 4] {
        let hash = |at: usize| hash_long(bytes[at..].first_chunk().copied().unwrap_or_default());
        let cost = |(at, rarity): (u8, u8)| {
            let each = literal::power(i32::from(rarity)) / 4.0;
            let grams = usize::from(at)..usize::from(at) + 4;
            grams.map(|at| self.cost(each, hash(at))).sum::<f64>()
        };
        let (mut at, mut least) = (0, f64::INFINITY);
        for place in rarest {
            let cost = cost(place);
            if cost < least {
                (at, least) = (usize::from(place.0), cost);
            }
            // Nothing is much better than four new grams that stand nowhere.
            if least < 4.1 * DENSITY {
                break;
            }
        }
        let window: [u8; AROUND] = bytes[at..].first_chunk().copied().unwrap_or_default();
        [0, 1, 2, 3].map(|shift| {
            let hash = hash(at + shift);
            let print = print_long(hash, shift, around(&window, shift));
            self.take(hash, print, text, at + shift)
        })
    }
}

/// The filter of grams of 4 bytes at even and at odd places, if they are few, and
/// their halves, if they are very few.
fn few(grams: impl Iterator<Item = [u8; 4]>) -> (Table<u32>, Table<u8>) {
    let mut grams: Vec<[u8; 4]> = grams.collect();
    grams.sort_unstable();
    grams.dedup();
    if grams.len() > MAX_FEW {
        return Default::default();
    }
    let slots = |bits| grams.iter().flat_map(move |&gram| slots_of_few(gram, bits));
    let screen = match grams.len() {
        1..=MAX_VERY_FEW => {
            bytemuck::bytes_of(&halves(grams.iter().map(|gram| gram.map(Some)).collect()))
                .to_vec()
                .into()
        }
        _ => Table::default(),
    };
    // A bit is all that a gram has in each of its two words, so these are many.
    (filter(16 * grams.len(), slots), screen)
}

/// The filter of some grams and their table.
fn grams(mut list: Vec<Gram>) -> (Table<u32>, Grams) {
    if list.is_empty() {
        return Default::default();
    }
    let bits = list.len().next_power_of_two().ilog2().clamp(1, 24);
    let bucket = |gram: &Gram| (gram.hash >> (32 - bits)) as usize;
    list.par_sort_unstable_by_key(|gram| gram.hash);
    let n_different = list.chunk_by(|a, b| a.hash == b.hash).count();
    let filter = filter(n_different, |bits| list.iter().map(move |gram| slot(gram.hash, bits)));
    let mut starts = vec![0u32; (1 << bits) + 1];
    for gram in &list {
        starts[bucket(gram) + 1] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    list.par_chunk_by_mut(|a, b| bucket(a) == bucket(b)).for_each(|grams| {
        pace::point();
        grams.sort_unstable_by_key(|gram| gram.entry);
    });
    let entries = list.into_iter().map(|gram| gram.entry).collect();
    (filter, Grams { starts: starts.into(), entries })
}

/// Where in sorted pairs those of each word of their filter begin.
fn pair_words(pairs: &[[u32; 2]]) -> Table<u32> {
    if pairs.is_empty() {
        return Table::default();
    }
    let first = |word: usize| pairs.partition_point(|&[pair, _]| (pair as usize) < word << 6);
    (0..=PAIR_WORDS).map(|word| first(word) as u32).collect()
}

/// The filter of the pairs with which needles of two and three bytes begin, and the
/// halves of these needles, all folded.
fn pair_filter<'t>(needles: impl Iterator<Item = &'t [u8]>) -> (Table<u64>, Table<u8>) {
    let (mut filter, mut grams) = (vec![0u64; PAIR_WORDS], Vec::new());
    for needle in needles {
        let [first, second, ref rest @ ..] = *needle else { continue };
        let pair = pair_of([first, second]);
        filter[pair as usize >> 6] |= 1 << (pair & 63);
        grams.push([Some(first), Some(second), rest.first().copied()]);
    }
    if grams.is_empty() {
        return Default::default();
    }
    (filter.into(), bytemuck::bytes_of(&halves(grams)).to_vec().into())
}

/// A filter of so many different slots.
fn filter<I: Iterator<Item = Slot>>(n: usize, slots: impl Fn(u32) -> I) -> Table<u32> {
    if n == 0 {
        return Table::default();
    }
    // Thirty-two bits and more for each, as far as the cache goes: then about three
    // places of a thousand pass without cause, which costs less than a larger
    // filter.
    let words = n.next_power_of_two().clamp(256, MAX_FILTER);
    let mut filter = vec![0u32; words];
    for (word, mask) in slots(words.ilog2()) {
        filter[word] |= mask;
    }
    filter.into()
}
