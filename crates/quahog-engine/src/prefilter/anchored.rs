//! Literals that may stand at one place of a buffer only.
//!
//! For each such place and length the bytes that stand there are looked up, so
//! the cost goes with the number of different places, some hundreds in real
//! sets, and not with the number of literals or the size of the buffer.

use super::probe::hash_long;

/// Literals are known by at most this many bytes.
const MAX: usize = 8;

/// Bits of the filter.
const FILTER: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct Anchored {
    /// Where to look and how many bytes, sorted.
    places: Vec<(u32, u8)>,
    /// A bit for each hash.
    filter: Vec<u64>,
    /// The hash of a place and its bytes, and the text; sorted.
    texts: Vec<(u64, u32)>,
}

/// A place and the bytes there, folded, as one number.
fn hash(at: u32, bytes: &[u8]) -> u64 {
    let mut gram = [0; MAX];
    gram.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let place = u64::from(at) << 4 | bytes.len() as u64; // at most 8
    (u64::from(hash_long(gram)) << 32 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn bit(hash: u64) -> usize {
    (hash >> 48) as usize % FILTER
}

impl Anchored {
    /// Indexes texts, each with its place and its number.
    pub(super) fn new<'t>(texts: impl Iterator<Item = (u32, &'t [u8], u32)>) -> Anchored {
        let mut anchored = Anchored::default();
        for (at, bytes, text) in texts {
            let bytes = &bytes[..bytes.len().min(MAX)];
            anchored.places.push((at, bytes.len() as u8)); // at most 8
            anchored.texts.push((hash(at, bytes), text));
        }
        anchored.places.sort_unstable();
        anchored.places.dedup();
        anchored.texts.sort_unstable();
        if !anchored.texts.is_empty() {
            anchored.filter = vec![0; FILTER / 64];
            for &(hash, _) in &anchored.texts {
                anchored.filter[bit(hash) / 64] |= 1 << (bit(hash) % 64);
            }
        }
        anchored
    }

    /// The texts that may stand at their place, and that place.
    pub(super) fn find(&self, haystack: &[u8]) -> impl Iterator<Item = (u32, usize)> {
        let places = self.places.iter().take_while(|place| (place.0 as usize) < haystack.len());
        places.flat_map(move |&(at, len)| {
            let start = at as usize;
            let window = haystack.get(start..start.saturating_add(usize::from(len)));
            let hash = window.map(|window| hash(at, window)).filter(|&hash| self.may_hold(hash));
            let first = hash.map(|hash| self.texts.partition_point(|&(other, _)| other < hash));
            let texts = first.map_or(&[][..], |first| &self.texts[first..]);
            let same = texts.iter().take_while(move |&&(other, _)| Some(other) == hash);
            same.map(move |&(_, text)| (text, start))
        })
    }

    fn may_hold(&self, hash: u64) -> bool {
        let bit = bit(hash);
        self.filter.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// How many places are looked at.
    pub(super) fn n_places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&self.places[..]) + size_of_val(&self.filter[..]) + size_of_val(&self.texts[..])
    }
}
