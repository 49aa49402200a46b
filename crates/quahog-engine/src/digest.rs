//! File hashes: which digests are listed, for which sizes.
//!
//! A digest is computed only if one of its kind could match a layer of that
//! size. The tables here index the columns of the signature set: 5 bytes for
//! each hash.

use quahog_sig::model::table::{Sections, Table};
use quahog_sig::model::{DigestKind, HashColumns};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::running::{self, Wanted};

/// An index over hash columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct HashIndex {
    /// Rows, by the top bits of their digests, those of a bucket in the order of
    /// their lines.
    order: Table<u32>,
    /// Where in `order` digests with these top bits begin; one more than there
    /// are buckets, whose number is a power of two.
    buckets: Table<u32>,
    /// The sizes that occur, sorted.
    sizes: Table<u32>,
    /// Whether a hash of files of any size is listed.
    any_size: bool,
}

impl HashIndex {
    pub(crate) fn new(columns: &HashColumns) -> HashIndex {
        if columns.is_empty() {
            return HashIndex::default();
        }
        // About four rows a bucket. The set holds less than 2^29 rows of a kind.
        let bits = (usize::BITS - (columns.len() / 4).leading_zeros()).clamp(1, 28);
        let bucket = |digest: &[u8]| (prefix(digest) >> (64 - bits)) as usize;
        let mut buckets = vec![0u32; (1 << bits) + 1];
        for entry in columns.iter() {
            buckets[bucket(entry.digest) + 1] += 1;
        }
        let mut sum = 0;
        for bucket in &mut buckets {
            sum += *bucket;
            *bucket = sum;
        }
        // Where the next row of each bucket goes; in the end, where the next
        // bucket begins.
        let mut order = vec![0u32; columns.len()];
        for (row, entry) in columns.iter().enumerate() {
            let next = &mut buckets[bucket(entry.digest)];
            order[*next as usize] = row as u32;
            *next += 1;
        }
        buckets.copy_within(..1 << bits, 1);
        buckets[0] = 0;
        let sizes = different(columns.iter().filter_map(|entry| entry.size), columns.len());
        HashIndex {
            any_size: columns.iter().any(|entry| entry.size.is_none()),
            order: order.into(),
            buckets: buckets.into(),
            sizes: sizes.into(),
        }
    }

    /// Whether a buffer of this size can be listed at all.
    pub(crate) fn may_hold(&self, size: usize) -> bool {
        self.any_size
            || u32::try_from(size).is_ok_and(|size| self.sizes.binary_search(&size).is_ok())
    }

    /// The rows of this digest: the last with this size, the last with any.
    pub(crate) fn find(
        &self,
        columns: &HashColumns,
        digest: &[u8],
        size: usize,
    ) -> [Option<usize>; 2] {
        let mut rows = [None; 2];
        let buckets = &self.buckets[..];
        let bits = buckets.len().max(2).ilog2();
        let top = prefix(digest).checked_shr(64u32.saturating_sub(bits)).unwrap_or(0);
        let bucket = top as usize; // as many bits as there are buckets
        let Some(&[start, end]) = buckets.get(bucket..bucket + 2) else { return rows };
        for &row in self.order.get(start as usize..end as usize).unwrap_or_default() {
            let Some(entry) = columns.get(row as usize) else { continue };
            if entry.digest != digest {
                continue;
            }
            match entry.size {
                None => rows[1] = Some(row as usize),
                Some(known) if known as usize == size => rows[0] = Some(row as usize),
                Some(_) => {}
            }
        }
        rows
    }
}

/// The different ones of about so many numbers, sorted.
fn different(numbers: impl Iterator<Item = u32>, about: usize) -> Vec<u32> {
    // Most sizes of files are small, so most are sorted by a bit each.
    let mut bits = vec![0u64; about.div_ceil(8)];
    let mut large = Vec::new();
    for number in numbers {
        match bits.get_mut(number as usize / 64) {
            Some(word) => *word |= 1 << (number % 64),
            None => large.push(number),
        }
    }
    large.sort_unstable();
    large.dedup();
    let mut sorted = Vec::new();
    for (word, first) in bits.into_iter().zip((0u32..).step_by(64)) {
        let mut left = word;
        while left != 0 {
            sorted.push(first + left.trailing_zeros());
            left &= left - 1;
        }
    }
    sorted.append(&mut large);
    sorted
}

/// The first eight bytes of a digest, as a number that sorts like them.
fn prefix(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |first: &[u8; 8]| u64::from_be_bytes(*first))
}

/// One index for each kind of digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct HashIndexes([HashIndex; 3]);

impl HashIndexes {
    pub(crate) fn new<'s>(columns: impl Fn(DigestKind) -> &'s HashColumns) -> HashIndexes {
        HashIndexes(DigestKind::ALL.map(|kind| HashIndex::new(columns(kind))))
    }

    /// Whether nothing is listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|index| index.order.is_empty())
    }

    /// Whether a buffer of this size can be listed by any digest.
    pub(crate) fn may_hold_any(&self, size: usize) -> bool {
        self.0.iter().any(|index| index.may_hold(size))
    }

    /// Which digests of a buffer of this size may be listed.
    pub(crate) fn wanted(&self, size: usize) -> Wanted {
        let may_hold = |kind| self.of(kind).may_hold(size);
        Wanted { md5: may_hold(DigestKind::Md5), sha256: may_hold(DigestKind::Sha256) }
    }

    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        for index in &mut self.0 {
            s.table(&mut index.order)?;
            s.table(&mut index.buckets)?;
            s.table(&mut index.sizes)?;
            s.rest(&mut index.any_size)?;
        }
        Ok(())
    }

    pub(crate) fn of(&self, kind: DigestKind) -> &HashIndex {
        &self.0[kind as usize]
    }
}

/// A digest of some bytes; what is longer than the kind is zero.
pub(crate) fn digest_of(kind: DigestKind, bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    match kind {
        DigestKind::Md5 => digest[..16].copy_from_slice(&running::md5(bytes)),
        DigestKind::Sha1 => digest[..20].copy_from_slice(&Sha1::digest(bytes)),
        DigestKind::Sha256 => digest.copy_from_slice(&Sha256::digest(bytes)),
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::different;

    #[test]
    fn numbers_are_sorted_each_once() {
        let numbers = [7, 64, 0, u32::MAX, 63, 7, 100_000, 65, u32::MAX, 9];
        for about in [0, 1, 10, 100, 20_000] {
            let expected = [0, 7, 9, 63, 64, 65, 100_000, u32::MAX];
            assert_eq!(different(numbers.into_iter(), about), expected, "{about}");
        }
    }
}
