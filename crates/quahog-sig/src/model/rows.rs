//! Names and places of signatures, coded.
//!
//! Most names are a family and one or two numbers: `Win.Malware.Agent-1234-0`.
//! A row keeps the numbers, and the family once for all that share it, so a
//! name of 26 bytes takes about 8.

use std::borrow::Cow;
use std::collections::HashMap;

use super::table::{Sections, Table};
use crate::pace;

/// Names and places of a list of signatures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    families: Table<u8>,
    /// Where each family ends in `families`.
    ends: Table<u32>,
    /// For each row its family, and in the upper two bits its form.
    codes: Table<u32>,
    first: Table<u32>,
    /// The second numbers that are not 0, each with its row; sorted.
    second: Table<[u32; 2]>,
    /// A [`Run`] each.
    runs: Table<[u32; 3]>,
    /// Families that were met lately, each at the slot of its hash: 0 is none,
    /// others are one more than their number. A family that lost its slot is
    /// kept once more, which costs memory and changes nothing.
    lately: Vec<u32>,
}

/// Rows whose lines follow one another.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u32,
    source: u32,
    line: u32,
}

impl Run {
    fn new([first, source, line]: [u32; 3]) -> Run {
        Run { first, source, line }
    }
}

/// A name taken apart.
struct Coded<'n> {
    family: &'n [u8],
    form: u32,
    first: u32,
    second: u16,
}

const FORM_SHIFT: u32 = 30;
/// The family alone.
const WHOLE: u32 = 0;
/// `family-first`
const ONE: u32 = 1;
/// `family-first-second`
const TWO: u32 = 2;

const SLOTS: usize = 1 << 16;

/// Rows that are told of at a time.
const TOLD: usize = 1 << 12;

impl<'n> Coded<'n> {
    fn new(name: &'n [u8]) -> Coded<'n> {
        let whole = Coded { family: name, form: WHOLE, first: 0, second: 0 };
        let Some((rest, last)) = number_at_end(name) else { return whole };
        if let Ok(second) = u16::try_from(last)
            && let Some((family, first)) = number_at_end(rest)
        {
            return Coded { family, form: TWO, first, second };
        }
        Coded { family: rest, form: ONE, first: last, second: 0 }
    }
}

/// Takes `-123` off the end of a name, if the text can be made from the number
/// again.
fn number_at_end(name: &[u8]) -> Option<(&[u8], u32)> {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, text) = name.split_at(name.len() - digits);
    let rest = rest.strip_suffix(b"-")?;
    if !(1..=9).contains(&digits) || digits > 1 && text.first() == Some(&b'0') {
        return None;
    }
    Some((rest, text.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))))
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.codes.len()
    }

    pub(crate) fn push(&mut self, name: &[u8], source: usize, line: u32) {
        let index = self.codes.len();
        // Both fit: `SetBuilder` bounds the number of signatures and of sources.
        self.place(Run { first: index as u32, source: source as u32, line });
        let coded = Coded::new(name);
        let family = self.family(coded.family);
        self.codes.to_mut().push(family | coded.form << FORM_SHIFT);
        self.first.to_mut().push(coded.first);
        if coded.second != 0 {
            self.second.to_mut().push([index as u32, coded.second.into()]);
        }
    }

    /// Notes where the next row stands.
    fn place(&mut self, run: Run) {
        let goes_on = self.runs.last().is_some_and(|&last| {
            let last = Run::new(last);
            last.source == run.source && last.line.wrapping_add(run.first - last.first) == run.line
        });
        if !goes_on {
            self.runs.to_mut().push([run.first, run.source, run.line]);
        }
    }

    /// The number of a family.
    fn family(&mut self, family: &[u8]) -> u32 {
        if self.lately.is_empty() {
            self.lately = vec![0; SLOTS];
        }
        let slot = slot(family);
        let known = self.lately.get(slot).copied().unwrap_or(0).checked_sub(1);
        if let Some(known) = known
            && self.text(known) == family
        {
            return known;
        }
        // There are no more families than rows, of which there are fewer than
        // 2^28.
        let number = self.ends.len() as u32;
        self.families.to_mut().extend_from_slice(family);
        self.ends.to_mut().push(u32::try_from(self.families.len()).unwrap_or(u32::MAX));
        if let Some(place) = self.lately.get_mut(slot) {
            *place = number + 1;
        }
        number
    }

    fn text(&self, family: u32) -> &[u8] {
        let end = |at: usize| self.ends.get(at).copied().unwrap_or(0) as usize;
        let at = family as usize;
        let start = at.checked_sub(1).map_or(0, end);
        self.families.get(start..end(at)).unwrap_or_default()
    }

    /// Appends the rows of another list.
    pub(crate) fn append(&mut self, other: &Rows) {
        let base = self.codes.len() as u32; // fewer than 2^28
        for &run in other.runs.iter() {
            let run = Run::new(run);
            self.place(Run { first: base + run.first, ..run });
        }
        let families: Vec<u32> =
            (0..other.ends.len() as u32).map(|family| self.family(other.text(family))).collect();
        let low = (1 << FORM_SHIFT) - 1;
        self.codes.to_mut().extend(other.codes.iter().map(|code| {
            let family = families.get((code & low) as usize).copied().unwrap_or(0);
            family | code & !low
        }));
        self.first.to_mut().extend_from_slice(&other.first);
        let second = other.second.iter().map(|&[row, number]| [base + row, number]);
        self.second.to_mut().extend(second);
    }

    /// Drops what only serves building.
    pub(crate) fn seal(&mut self) {
        self.lately = Vec::new();
        self.families.seal();
        self.ends.seal();
        self.codes.seal();
        self.first.seal();
        self.second.seal();
        self.runs.seal();
    }

    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.families)?;
        s.table(&mut self.ends)?;
        s.table(&mut self.codes)?;
        s.table(&mut self.first)?;
        s.table(&mut self.second)?;
        s.table(&mut self.runs)
    }

    /// Bytes of names; past 4 GiB nothing more is admitted.
    pub(crate) fn name_bytes(&self) -> usize {
        self.families.len()
    }

    pub(crate) fn name(&self, index: usize) -> Cow<'_, [u8]> {
        let Some(&code) = self.codes.get(index) else { return Cow::Borrowed(&[]) };
        let family = self.text(code & ((1 << FORM_SHIFT) - 1));
        if code >> FORM_SHIFT == WHOLE {
            return Cow::Borrowed(family);
        }
        let mut name = Vec::with_capacity(family.len() + 16);
        self.write(index, &mut name);
        Cow::Owned(name)
    }

    /// Appends a name.
    pub(crate) fn write(&self, index: usize, out: &mut Vec<u8>) {
        let Some(&code) = self.codes.get(index) else { return };
        out.extend_from_slice(self.text(code & ((1 << FORM_SHIFT) - 1)));
        let form = code >> FORM_SHIFT;
        if form != WHOLE {
            write_number(self.first.get(index).copied().unwrap_or(0), out);
        }
        if form == TWO {
            let at = self.second.partition_point(|&[row, _]| (row as usize) < index);
            let known = self.second.get(at).filter(|&&[row, _]| row as usize == index);
            write_number(known.map_or(0, |&[_, number]| number), out);
        }
    }

    /// Hands over pieces of bytes that tell all names, and are the same for lists
    /// of the same names.
    pub(crate) fn tell_names(&self, mut tell: impl FnMut(&[u8])) {
        // A family may be kept more than once: the first one counts.
        let mut numbers = HashMap::new();
        let mut texts = Vec::new();
        let numbers: Vec<u32> = (0..self.ends.len() as u32)
            .map(|family| {
                let next = numbers.len() as u32;
                let text = self.text(family);
                *numbers.entry(text).or_insert_with(|| {
                    texts.extend_from_slice(text);
                    texts.push(b'\n');
                    next
                })
            })
            .collect();
        tell(&texts);
        let low = (1 << FORM_SHIFT) - 1;
        for (codes, firsts) in self.codes.chunks(TOLD).zip(self.first.chunks(TOLD)) {
            pace::point();
            let family = |code: u32| numbers.get((code & low) as usize).copied().unwrap_or(0);
            let pairs = codes.iter().zip(firsts);
            let pairs: Vec<[[u8; 4]; 2]> = pairs
                .map(|(&code, &first)| [family(code) | code & !low, first].map(u32::to_le_bytes))
                .collect();
            tell(pairs.as_flattened().as_flattened());
        }
        for pairs in self.second.chunks(TOLD) {
            let pairs: Vec<_> = pairs.iter().map(|pair| pair.map(u32::to_le_bytes)).collect();
            tell(pairs.as_flattened().as_flattened());
        }
    }

    /// The source and the line of a row.
    pub(crate) fn run(&self, index: usize) -> Option<(u32, u32)> {
        let at = self.runs.partition_point(|run| run[0] as usize <= index).checked_sub(1)?;
        let run = Run::new(*self.runs.get(at)?);
        // An index is below 2^28, and so is its distance.
        Some((run.source, run.line.wrapping_add((index as u32).wrapping_sub(run.first))))
    }
}

/// Appends `-123`.
fn write_number(mut number: u32, out: &mut Vec<u8>) {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1; // 10 digits hold every number
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push(b'-');
    out.extend_from_slice(&digits[at..]);
}

/// The slot of a family, by its length, and the eight bytes at its start, in its
/// middle and at its end.
fn slot(family: &[u8]) -> usize {
    let word = |at: usize| match family.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(word) => u64::from_le_bytes(*word),
        // All that there is.
        None => family.iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    let len = family.len();
    let [first, middle, last] = [0, (len / 2).saturating_sub(4), len.saturating_sub(8)].map(word);
    let mixed = (first ^ last.rotate_left(21) ^ middle.rotate_left(42) ^ len as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 48) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "Win.Malware.Agent-1234567-0",
        "Win.Malware.Agent-1234567-00",
        "Win.Malware.Agent-0123-1",
        "Win.Malware.Agent-7",
        "Win.Malware.Agent-99999999999-3",
        "Win.Malware.Agent-12-70000",
        "-1-2",
        "1-2-3-4",
        "A",
        "-",
        "{HEX}php.base64.23",
        "Win.Malware.Agent-1-1",
    ];

    #[test]
    fn names_and_places_come_back() {
        let mut rows = Rows::default();
        for (name, line) in NAMES.iter().zip(10..) {
            rows.push(name.as_bytes(), 3, line);
        }
        let mut more = Rows::default();
        for (name, line) in NAMES.iter().zip(22..) {
            more.push(name.as_bytes(), 3, line);
        }
        rows.append(&more);
        rows.seal();
        assert_eq!((rows.len(), rows.runs.len()), (2 * NAMES.len(), 1));
        for (index, name) in NAMES.iter().chain(NAMES).enumerate() {
            assert_eq!(rows.name(index), name.as_bytes());
            assert_eq!(rows.run(index), Some((3, 10 + index as u32)));
        }
        assert_eq!(rows.name(99), &b""[..]);
    }

    #[test]
    fn names_are_told_whatever_the_way_they_came() {
        let told = |rows: &Rows| {
            let mut all = Vec::new();
            rows.tell_names(|bytes| all.extend_from_slice(bytes));
            all
        };
        let list = |names: &[&str]| {
            let mut rows = Rows::default();
            names.iter().zip(1..).for_each(|(name, line)| rows.push(name.as_bytes(), 0, line));
            rows
        };
        let whole = list(NAMES);
        for cut in 0..NAMES.len() {
            let mut pieced = list(&NAMES[..cut]);
            // As if every family had lost its slot.
            pieced.lately.clear();
            pieced.append(&list(&NAMES[cut..]));
            assert_eq!(told(&pieced), told(&whole), "cut at {cut}");
        }
        let mut names = NAMES.to_vec();
        for at in 0..NAMES.len() {
            names[at] = "Win.Malware.Agent-2-1";
            assert_ne!(told(&list(&names)), told(&whole), "another name at {at}");
            names[at] = NAMES[at];
        }
    }

    #[test]
    fn a_row_costs_few_bytes() {
        let mut rows = Rows::default();
        for line in 0..1000 {
            rows.push(format!("Win.Trojan.Agent-{line}-1").as_bytes(), 0, line);
        }
        assert_eq!((rows.families.len(), rows.ends.len()), (16, 1));
    }
}
