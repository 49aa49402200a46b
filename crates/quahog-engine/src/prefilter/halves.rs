//! Grams known by the halves of their bytes, for sets of very few needles.
//!
//! Eight classes of grams are looked up at once, a bit each: see [`Halves`]. A
//! class lets through every gram made of halves of its members, so those that have
//! halves in common share one.

use crate::literal::{self, fold};

/// Which halves of each byte stand in some grams of `N` bytes, all folded, by
/// classes of grams: bit `k` of an element says that a gram of class `k` has a byte
/// with this half there. For each byte the lower and the upper half.
pub(crate) type Halves<const N: usize> = [[[u8; 16]; 2]; N];

/// The bytes of a gram; `None` where any byte will do.
pub(super) type Known<const N: usize> = [Option<u8>; N];

/// Classes, a bit of an element of [`Halves`] each.
const CLASSES: usize = 8;

/// Classes to begin with: of more grams, neighbours start in one.
const MOST: usize = 128;

/// The halves of some grams, in classes that let few other bytes through.
pub(super) fn halves<const N: usize>(mut grams: Vec<Known<N>>) -> Halves<N> {
    grams.sort_unstable();
    grams.dedup();
    let mut classes: Vec<Class<N>> = grams
        .chunks(grams.len().div_ceil(MOST).max(1))
        .map(|grams| grams.iter().map(Class::of).reduce(Class::with).unwrap_or_default())
        .collect();
    let frequencies = literal::byte_frequencies();
    let alone = |class: &Class<N>| class.passes(&frequencies);
    // What more a class of two lets through than both alone, of each two.
    let more = |one: &Class<N>, two: &Class<N>| {
        one.with(*two).passes(&frequencies) - alone(one) - alone(two)
    };
    let mut costs: Vec<Vec<f64>> = classes
        .iter()
        .enumerate()
        .map(|(number, one)| classes[..number].iter().map(|two| more(one, two)).collect())
        .collect();
    while classes.len() > CLASSES {
        let all = costs.iter().enumerate();
        let all = all.flat_map(|(one, costs)| {
            costs.iter().enumerate().map(move |(two, &cost)| (cost, one, two))
        });
        let Some((_, one, two)) = all.min_by(|(a, ..), (b, ..)| a.total_cmp(b)) else { break };
        classes[two] = classes[two].with(classes[one]);
        // The last class takes the place of the one that went.
        classes.swap_remove(one);
        costs.pop();
        for changed in [one, two].into_iter().filter(|&changed| changed < classes.len()) {
            for other in (0..classes.len()).filter(|&other| other != changed) {
                let (upper, lower) = (changed.max(other), changed.min(other));
                costs[upper][lower] = more(&classes[upper], &classes[lower]);
            }
        }
    }
    let mut halves = [[[0; 16]; 2]; N];
    for (number, Class(bytes)) in classes.iter().enumerate() {
        for (places, known) in halves.iter_mut().zip(bytes) {
            for (place, known) in places.iter_mut().zip(known) {
                for (half, classes) in place.iter_mut().enumerate() {
                    *classes |= u8::from(known >> half & 1 == 1) << number;
                }
            }
        }
    }
    halves
}

/// The lower and the upper halves of each byte of some grams, a bit each.
#[derive(Clone, Copy)]
struct Class<const N: usize>([[u16; 2]; N]);

impl<const N: usize> Default for Class<N> {
    fn default() -> Class<N> {
        Class([[0; 2]; N])
    }
}

impl<const N: usize> Class<N> {
    fn of(gram: &Known<N>) -> Class<N> {
        Class(gram.map(|byte| match byte.map(fold) {
            Some(byte) => [1 << (byte & 15), 1 << (byte >> 4)],
            None => [u16::MAX; 2],
        }))
    }

    fn with(self, Class(others): Class<N>) -> Class<N> {
        let Class(mut bytes) = self;
        let halves = bytes.as_flattened_mut().iter_mut();
        halves.zip(others.as_flattened()).for_each(|(half, other)| *half |= other);
        Class(bytes)
    }

    /// The share of all places that it lets through, about: bytes are taken for
    /// independent.
    fn passes(&self, frequencies: &[f64; 256]) -> f64 {
        let of_byte = |[low, high]: [u16; 2]| -> f64 {
            let bytes = bits(high).flat_map(|high| bits(low).map(move |low| high << 4 | low));
            bytes.map(|byte| frequencies[byte]).sum()
        };
        self.0.iter().map(|&byte| of_byte(byte)).product()
    }
}

/// The numbers of the bits that are set.
fn bits(mut word: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.checked_ilog2()? as usize;
        word ^= 1 << bit;
        Some(bit)
    })
}
