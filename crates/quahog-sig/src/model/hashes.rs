//! Hashes: columns of digests and sizes.

use super::id::Digest;
use super::table::{Sections, Table};

/// Hashes of one kind, one row each.
#[derive(Clone, Debug, Default)]
pub struct HashColumns {
    digests: Table<u8>,
    sizes: Table<u32>,
}

/// The size that stands for `*`.
const ANY_SIZE: u32 = u32::MAX;

/// A row of [`HashColumns`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashEntry<'s> {
    /// The digest.
    pub digest: Digest<'s>,
    /// The size of the file; `None` for any.
    pub size: Option<u32>,
}

impl HashColumns {
    pub(crate) fn append(&mut self, other: &HashColumns) {
        self.digests.to_mut().extend_from_slice(&other.digests);
        self.sizes.to_mut().extend_from_slice(&other.sizes);
    }

    pub(crate) fn push(&mut self, digest: &[u8], size: Option<u32>) {
        self.digests.to_mut().extend_from_slice(digest);
        self.sizes.to_mut().push(size.unwrap_or(ANY_SIZE));
    }

    /// The columns, to be appended to: digests of one length, and a size each.
    pub(crate) fn to_mut(&mut self) -> (&mut Vec<u8>, &mut Vec<u32>) {
        (self.digests.to_mut(), self.sizes.to_mut())
    }

    /// Ends the building.
    pub(super) fn seal(&mut self) {
        self.digests.seal();
        self.sizes.seal();
    }

    pub(super) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.digests)?;
        s.table(&mut self.sizes)
    }

    /// All digests, one behind the other, and the sizes as they are kept.
    pub(super) fn columns(&self) -> (&[u8], &[u32]) {
        (&self.digests, &self.sizes)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// A row by its position.
    pub fn get(&self, row: usize) -> Option<HashEntry<'_>> {
        let len = self.digest_len();
        let &size = self.sizes.get(row)?;
        let start = row.checked_mul(len)?;
        let digest = self.digests.get(start..start + len)?;
        Some(HashEntry { digest, size: (size != ANY_SIZE).then_some(size) })
    }

    fn digest_len(&self) -> usize {
        self.digests.len().checked_div(self.sizes.len()).unwrap_or(1).max(1)
    }

    /// The rows, in the order of their lines.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = HashEntry<'_>> {
        let len = self.digest_len();
        self.digests
            .chunks_exact(len)
            .zip(self.sizes.iter())
            .map(|(digest, &size)| HashEntry { digest, size: (size != ANY_SIZE).then_some(size) })
    }
}
