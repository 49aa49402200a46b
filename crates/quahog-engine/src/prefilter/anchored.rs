//! Literals that may stand at one place of a buffer only.
//!
//! For each such place and length the bytes that stand there are looked up, so
//! the cost goes with the number of different places, some hundreds in real
//! sets, and not with the number of literals or the size of the buffer.

use quahog_sig::model::table::{Sections, Table};

use super::probe::hash_long;

/// Literals are known by at most this many bytes.
const MAX: usize = 8;

/// Bits of the filter.
const FILTER: usize = 1 << 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Anchored {
    /// Where to look and how many bytes, sorted.
    places: Table<[u32; 2]>,
    /// A bit for each hash.
    filter: Table<u64>,
    /// The hash of a place and its bytes, in two halves, the upper one first, and
    /// the text; sorted.
    texts: Table<[u32; 3]>,
}

/// A place and the bytes there, folded, as one number.
fn hash(at: u32, bytes: &[u8]) -> u64 {
    let mut gram = [0; MAX];
    gram.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let place = u64::from(at) << 4 | bytes.len() as u64; // at most 8
    (u64::from(hash_long(gram)) << 32 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn halves(hash: u64) -> [u32; 2] {
    [(hash >> 32) as u32, hash as u32]
}

fn bit(hash: u64) -> usize {
    (hash >> 48) as usize % FILTER
}

impl Anchored {
    /// Indexes texts, each with its place and its number.
    pub(super) fn new<'t>(indexed: impl Iterator<Item = (u32, &'t [u8], u32)>) -> Anchored {
        let (mut places, mut texts) = (Vec::new(), Vec::new());
        let mut filter = Vec::new();
        for (at, bytes, text) in indexed {
            let bytes = &bytes[..bytes.len().min(MAX)];
            places.push([at, bytes.len() as u32]); // at most 8
            let hash = hash(at, bytes);
            let [upper, lower] = halves(hash);
            texts.push([upper, lower, text]);
            filter.resize(FILTER / 64, 0u64);
            filter[bit(hash) / 64] |= 1 << (bit(hash) % 64);
        }
        places.sort_unstable();
        places.dedup();
        texts.sort_unstable();
        Anchored { places: places.into(), filter: filter.into(), texts: texts.into() }
    }

    /// The texts that may stand at their place, and that place.
    pub(super) fn find(&self, haystack: &[u8]) -> impl Iterator<Item = (u32, usize)> {
        let places = self.places.iter().take_while(|place| (place[0] as usize) < haystack.len());
        let all = &self.texts[..];
        places.flat_map(move |&[at, len]| {
            let start = at as usize;
            let window = haystack.get(start..start.saturating_add(len as usize));
            let hash = window.map(|window| hash(at, window)).filter(|&hash| self.may_hold(hash));
            let key = hash.map(halves);
            let first = key.map(|key| all.partition_point(|&[a, b, _]| [a, b] < key));
            let texts = first.and_then(|first| all.get(first..)).unwrap_or_default();
            let same = texts.iter().take_while(move |&&[a, b, _]| Some([a, b]) == key);
            same.map(move |&[_, _, text]| (text, start))
        })
    }

    fn may_hold(&self, hash: u64) -> bool {
        let bit = bit(hash);
        self.filter.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    pub(super) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.places)?;
        s.table(&mut self.filter)?;
        s.table(&mut self.texts)
    }

    /// How many places are looked at.
    pub(super) fn n_places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&self.places[..]) + size_of_val(&self.filter[..]) + size_of_val(&self.texts[..])
    }
}
