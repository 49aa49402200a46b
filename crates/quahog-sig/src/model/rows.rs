//! Names and places of signatures, coded.
//!
//! Most names are a family and one or two numbers: `Win.Malware.Agent-1234-0`.
//! A row keeps a number of its family, which stands once for all that share it;
//! the first number is kept where it does not follow that of the row before. So a
//! name of 26 bytes takes about 3.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use super::table::{Sections, Table};
use crate::pace;

/// Names and places of a list of signatures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// The families, each once: a byte for the form of its names, and the text.
    families: Table<u8>,
    /// Where each family ends in `families`.
    ends: Table<u32>,
    /// For each row its family.
    codes: Table<u32>,
    /// The same instead of `codes`, once the list is sealed, if all fit.
    narrow: Table<u16>,
    /// From which row on the first numbers follow one another, and the number of
    /// that row. Rows without a number are passed over.
    first: Table<[u32; 2]>,
    /// The second numbers that are not 0, each with its row; sorted.
    second: Table<[u32; 2]>,
    /// A [`Run`] each.
    runs: Table<[u32; 3]>,
    /// A hash table of the families, while the list is built: 0 is none, others are
    /// one more than their number. At most half is in use.
    slots: Vec<u32>,
    /// The seed of its hashes.
    seed: u64,
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
    form: u8,
    first: u32,
    second: u16,
}

/// The family alone.
const WHOLE: u8 = 0;
/// `family-first`
const ONE: u8 = 1;
/// `family-first-second`
const TWO: u8 = 2;

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
    let (mut number, mut scale, mut rest) = (0, 1u32, name);
    let mut first = 0;
    while let [before @ .., byte @ b'0'..=b'9'] = rest {
        if name.len() - before.len() > 9 {
            return None;
        }
        first = u32::from(byte - b'0');
        number += scale * first;
        scale = scale.wrapping_mul(10); // of nine digits at most it is used
        rest = before;
    }
    let digits = name.len() - rest.len();
    let rest = rest.strip_suffix(b"-")?;
    (digits > 0 && (digits == 1 || first != 0)).then_some((rest, number))
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.codes.len() + self.narrow.len() // one of them is empty
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, name: &[u8], source: usize, line: u32) {
        self.writer().push(name, source, line);
    }

    /// What appends rows; cheaper for many.
    pub(crate) fn writer(&mut self) -> Writer<'_> {
        if !self.narrow.is_empty() {
            // There is to be room for families that do not fit.
            self.codes = self.narrow.iter().map(|&code| u32::from(code)).collect();
            self.narrow = Table::default();
        }
        Writer {
            families: self.families.to_mut(),
            ends: self.ends.to_mut(),
            codes: self.codes.to_mut(),
            first: self.first.to_mut(),
            second: self.second.to_mut(),
            runs: self.runs.to_mut(),
            slots: &mut self.slots,
            seed: &mut self.seed,
        }
    }

    /// The form of a family's names, and its text.
    fn known(&self, family: u32) -> (u8, &[u8]) {
        known(&self.families, &self.ends, family)
    }

    /// The form of a row's name, and its family.
    fn row(&self, index: usize) -> Option<(u8, &[u8])> {
        let narrow = || self.narrow.get(index).map(|&code| u32::from(code));
        let code = self.codes.get(index).copied().or_else(narrow)?;
        Some(self.known(code))
    }

    /// Appends the rows of another list.
    pub(crate) fn append(&mut self, other: &Rows) {
        let mut writer = self.writer();
        let base = writer.codes.len() as u32; // fewer than 2^28
        for &run in other.runs.iter() {
            let run = Run::new(run);
            writer.place(Run { first: base + run.first, ..run });
        }
        let families: Vec<u32> = (0..other.ends.len() as u32)
            .map(|family| {
                let (form, text) = other.known(family);
                writer.family(form, text)
            })
            .collect();
        let family = |code: usize| families.get(code).copied().unwrap_or(0);
        writer.codes.extend(other.codes.iter().map(|&code| family(code as usize)));
        writer.codes.extend(other.narrow.iter().map(|&code| family(code.into())));
        for &[row, number] in other.first.iter() {
            writer.number(base + row, number);
        }
        writer.second.extend(other.second.iter().map(|&[row, number]| [base + row, number]));
    }

    /// Whether the numbers of all families fit into 16 bits.
    fn are_narrow(&self) -> bool {
        self.ends.len() <= usize::from(u16::MAX) + 1
    }

    /// Drops what only serves building.
    pub(crate) fn seal(&mut self) {
        self.slots = Vec::new();
        if self.narrow.is_empty() && self.are_narrow() {
            // No wider: there are no more families.
            self.narrow = self.codes.iter().map(|&code| code as u16).collect();
            self.codes = Table::default();
        }
        self.families.seal();
        self.ends.seal();
        self.codes.seal();
        self.narrow.seal();
        self.first.seal();
        self.second.seal();
        self.runs.seal();
    }

    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.families)?;
        s.table(&mut self.ends)?;
        s.table(&mut self.codes)?;
        s.table(&mut self.narrow)?;
        s.table(&mut self.first)?;
        s.table(&mut self.second)?;
        s.table(&mut self.runs)
    }

    /// Bytes of names; past 4 GiB nothing more is admitted.
    pub(crate) fn name_bytes(&self) -> usize {
        self.families.len()
    }

    pub(crate) fn name(&self, index: usize) -> Cow<'_, [u8]> {
        let Some((form, family)) = self.row(index) else { return Cow::Borrowed(&[]) };
        if form == WHOLE {
            return Cow::Borrowed(family);
        }
        let mut name = Vec::with_capacity(family.len() + 16);
        self.write(index, &mut name);
        Cow::Owned(name)
    }

    /// Appends a name.
    pub(crate) fn write(&self, index: usize, out: &mut Vec<u8>) {
        let Some((form, family)) = self.row(index) else { return };
        out.extend_from_slice(family);
        if form != WHOLE {
            let at = self.first.partition_point(|&[row, _]| row as usize <= index);
            let known = at.checked_sub(1).and_then(|at| self.first.get(at));
            // An index is below 2^28, and no row of a sound list is behind it.
            let follows =
                |&[row, number]: &[u32; 2]| number.wrapping_add((index as u32).wrapping_sub(row));
            write_number(known.map_or(0, follows), out);
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
        tell(&(self.first.len() as u64).to_le_bytes());
        tell(&self.families);
        for ends in self.ends.chunks(TOLD) {
            tell(ends.iter().map(|end| end.to_le_bytes()).collect::<Vec<_>>().as_flattened());
        }
        for codes in self.codes.chunks(TOLD) {
            pace::point();
            if self.are_narrow() {
                // No wider: there are no more families.
                let codes = codes.iter().map(|&code| (code as u16).to_le_bytes());
                tell(codes.collect::<Vec<_>>().as_flattened());
            } else {
                let codes = codes.iter().map(|code| code.to_le_bytes());
                tell(codes.collect::<Vec<_>>().as_flattened());
            }
        }
        for codes in self.narrow.chunks(TOLD) {
            pace::point();
            let codes = codes.iter().map(|code| code.to_le_bytes());
            tell(codes.collect::<Vec<_>>().as_flattened());
        }
        for pairs in self.first.chunks(TOLD).chain(self.second.chunks(TOLD)) {
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

/// The columns of a list, to be appended to.
pub(crate) struct Writer<'r> {
    families: &'r mut Vec<u8>,
    ends: &'r mut Vec<u32>,
    codes: &'r mut Vec<u32>,
    first: &'r mut Vec<[u32; 2]>,
    second: &'r mut Vec<[u32; 2]>,
    runs: &'r mut Vec<[u32; 3]>,
    slots: &'r mut Vec<u32>,
    seed: &'r mut u64,
}

impl Writer<'_> {
    /// Whether there is no room for more.
    pub(crate) fn is_full(&self, most_rows: usize, most_bytes: usize) -> bool {
        self.codes.len() >= most_rows || self.families.len() > most_bytes
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, name: &[u8], source: usize, line: u32) {
        let index = self.codes.len();
        // Both fit: `SetBuilder` bounds the number of signatures and of sources.
        self.place(Run { first: index as u32, source: source as u32, line });
        let Coded { family, form, first, second } = Coded::new(name);
        let family = self.family(form, family);
        self.codes.push(family);
        if form != WHOLE {
            self.number(index as u32, first);
        }
        if second != 0 {
            self.second.push([index as u32, second.into()]);
        }
    }

    /// Notes the first number of a row, behind those of all rows before it.
    fn number(&mut self, row: u32, number: u32) {
        let follows = |&[first, start]: &[u32; 2]| number.wrapping_sub(start) == row - first;
        if !self.first.last().is_some_and(follows) {
            self.first.push([row, number]);
        }
    }

    /// Notes where the next row stands.
    fn place(&mut self, run: Run) {
        let goes_on = self.runs.last().is_some_and(|&last| {
            let last = Run::new(last);
            last.source == run.source && last.line.wrapping_add(run.first - last.first) == run.line
        });
        if !goes_on {
            self.runs.push([run.first, run.source, run.line]);
        }
    }

    /// The number of a family.
    fn family(&mut self, form: u8, family: &[u8]) -> u32 {
        // There are no more families than rows, of which there are fewer than
        // 2^28.
        let number = self.ends.len() as u32;
        if self.slots.len() <= 2 * number as usize {
            *self.seed = RandomState::new().hash_one(number);
            *self.slots = vec![0; (4 * number as usize).next_power_of_two().max(64)];
            for before in 0..number {
                let (form, family) = known(self.families, self.ends, before);
                let slot = self.slot(form, family).unwrap_or_else(|(slot, _)| slot);
                self.slots[slot] = before + 1;
            }
        }
        let slot = match self.slot(form, family) {
            Ok(slot) => slot,
            Err((_, known)) => return known,
        };
        self.families.push(form);
        self.families.extend_from_slice(family);
        self.ends.push(u32::try_from(self.families.len()).unwrap_or(u32::MAX));
        self.slots[slot] = number + 1;
        number
    }

    /// The slot for a new family; or that of a known one, and its number.
    fn slot(&self, form: u8, family: &[u8]) -> Result<usize, (usize, u32)> {
        let mask = self.slots.len() - 1; // a power of two
        let mut slot = hash(*self.seed, form, family) & mask;
        loop {
            let Some(before) = self.slots[slot].checked_sub(1) else { return Ok(slot) };
            if known(self.families, self.ends, before) == (form, family) {
                return Err((slot, before));
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// The form of a family's names, and its text.
fn known<'r>(families: &'r [u8], ends: &[u32], family: u32) -> (u8, &'r [u8]) {
    let end = |at: usize| ends.get(at).copied().unwrap_or(0) as usize;
    let at = family as usize;
    let start = at.checked_sub(1).map_or(0, end);
    let bytes = families.get(start..end(at)).unwrap_or_default();
    bytes.split_first().map_or((WHOLE, &[]), |(&form, text)| (form, text))
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

/// The hash of a family. Nobody who writes a database can know which ones have the
/// same: the seed is of this run.
fn hash(seed: u64, form: u8, family: &[u8]) -> usize {
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    };
    let (words, rest) = family.as_chunks();
    let start = seed ^ (family.len() as u64) << 8 ^ u64::from(form);
    let hash = words.iter().fold(start, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    fold(hash, rest) as usize
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
            pieced.append(&list(&NAMES[cut..]));
            assert_eq!(told(&pieced), told(&whole), "cut at {cut}");
            pieced.seal();
            assert_eq!(told(&pieced), told(&whole), "sealed, cut at {cut}");
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
        assert_eq!((rows.families.len(), rows.ends.len(), rows.first.len()), (17, 1, 1));
        rows.seal();
        assert_eq!((rows.codes.len(), rows.narrow.len()), (0, 1000));
    }
}
