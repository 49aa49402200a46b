//! Tables: columns of plain numbers.
//!
//! While a set is built, a table is a vector that grows. Once it is
//! [sealed](Table::seal) it is a piece of shared bytes: cheap to clone, and the
//! same whether those bytes were made here or are a piece of an image file.
//! Numbers have the byte order of the machine; an image says which.
//!
//! Whoever reads a table may be reading a file that somebody has damaged, so
//! no number in one is believed: an index is looked up with `get`, a range is
//! checked, and what does not decode is nothing.

use std::fmt;
use std::ops::Deref;

use bytemuck::Pod;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Plain numbers, or arrays of them.
pub trait Plain: Pod + Send + Sync {}

impl<T: Pod + Send + Sync> Plain for T {}

/// A column of plain numbers; reads as a slice.
#[derive(Clone)]
pub struct Table<T> {
    /// The rows, while the table is built.
    own: Vec<T>,
    /// The rows, once it is sealed and not empty: aligned for `T`, and a whole
    /// number of them.
    shared: Bytes,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { own: Vec::new(), shared: Bytes::new() }
    }
}

impl<T: Plain> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if self.shared.is_empty() {
            &self.own
        } else {
            bytemuck::try_cast_slice(&self.shared).unwrap_or_default()
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Plain> From<Vec<T>> for Table<T> {
    /// A sealed table of these rows. Nothing is copied.
    fn from(rows: Vec<T>) -> Table<T> {
        let mut table = Table { own: rows, shared: Bytes::new() };
        table.seal();
        table
    }
}

impl<T: Plain> FromIterator<T> for Table<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Table<T> {
        Vec::from_iter(rows).into()
    }
}

/// Rows that bytes lie in.
struct Owner<T>(Vec<T>);

impl<T: Plain> AsRef<[u8]> for Owner<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl<T: Plain> Table<T> {
    /// The rows, to be changed; copies them if the table was sealed.
    pub fn to_mut(&mut self) -> &mut Vec<T> {
        if !self.shared.is_empty() {
            self.own = self.to_vec();
            self.shared = Bytes::new();
        }
        &mut self.own
    }

    /// Ends the building: drops what was set aside for growth.
    pub fn seal(&mut self) {
        let mut rows = std::mem::take(&mut self.own);
        if !rows.is_empty() {
            rows.shrink_to_fit();
            self.shared = Bytes::from_owner(Owner(rows));
        }
    }

    /// The table as bytes. Costs a copy if it is not sealed.
    pub fn bytes(&self) -> Bytes {
        if self.shared.is_empty() {
            Bytes::copy_from_slice(bytemuck::cast_slice(&self.own))
        } else {
            self.shared.clone()
        }
    }

    /// The table that these bytes are; `None` if they are no whole number of
    /// rows. Costs a copy if they are not aligned, and nothing otherwise.
    pub fn from_bytes(bytes: Bytes) -> Option<Table<T>> {
        if bytes.is_empty() {
            return Some(Table::default());
        }
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return None;
        }
        let aligned = bytemuck::try_cast_slice::<u8, T>(&bytes).is_ok();
        Some(match aligned {
            true => Table { own: Vec::new(), shared: bytes },
            false => bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect(),
        })
    }
}

/// A row that is kept as a few numbers.
pub(crate) trait Packed: Sized {
    /// The numbers.
    type Words: Plain;

    fn pack(&self) -> Self::Words;

    /// Takes any numbers: those that mean nothing give some row or other.
    fn unpack(words: &Self::Words) -> Self;
}

/// A table of rows that are kept as a few numbers each.
#[derive(Clone)]
pub(crate) struct PackedTable<R: Packed>(pub(crate) Table<R::Words>);

impl<R: Packed> Default for PackedTable<R> {
    fn default() -> PackedTable<R> {
        PackedTable(Table::default())
    }
}

impl<R: Packed + fmt::Debug> fmt::Debug for PackedTable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<R: Packed> PackedTable<R> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[allow(clippy::needless_pass_by_value)] // as `Vec::push` does
    pub(crate) fn push(&mut self, row: R) {
        self.0.to_mut().push(row.pack());
    }

    pub(crate) fn extend(&mut self, rows: impl Iterator<Item = R>) {
        self.0.to_mut().extend(rows.map(|row| row.pack()));
    }

    pub(crate) fn get(&self, at: usize) -> Option<R> {
        self.0.get(at).map(R::unpack)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = R> {
        self.0.iter().map(R::unpack)
    }

    /// Changes the last row.
    pub(crate) fn change_last(&mut self, change: impl FnOnce(&mut R)) {
        if let Some(words) = self.0.to_mut().last_mut() {
            let mut row = R::unpack(words);
            change(&mut row);
            *words = row.pack();
        }
    }
}

/// Goes through everything that a compiled form is made of, in a fixed order.
///
/// One listing serves writing and reading: what writes an image takes the
/// sections as they are, what reads one puts those of the image in their place.
pub trait Sections {
    /// What can be wrong with a section.
    type Error;

    /// A table.
    ///
    /// # Errors
    ///
    /// The image has none here, or one of another shape.
    fn table<T: Plain>(&mut self, table: &mut Table<T>) -> Result<(), Self::Error>;

    /// Anything else: small things, which are decoded when an image is opened.
    ///
    /// # Errors
    ///
    /// The image has none here, or something else.
    fn rest<R: Serialize + DeserializeOwned>(&mut self, rest: &mut R) -> Result<(), Self::Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_the_same_sealed_or_not_and_from_bytes() {
        let mut table = Table::default();
        table.to_mut().extend([[1u32, 2], [3, 4]]);
        assert_eq!(table.len(), 2);
        table.seal();
        assert_eq!(table[1], [3, 4]);
        let again: Table<[u32; 2]> = Table::from_bytes(table.bytes()).expect("whole rows");
        assert_eq!(&again[..], &table[..]);
        // Bytes that are not aligned are copied.
        let mut shifted = vec![0];
        shifted.extend_from_slice(&table.bytes());
        let again = Table::<[u32; 2]>::from_bytes(Bytes::from(shifted).slice(1..));
        assert_eq!(&again.expect("whole rows")[..], &table[..]);
        assert!(Table::<[u32; 2]>::from_bytes(table.bytes().slice(1..)).is_none());
        table.to_mut().push([5, 6]);
        assert_eq!(table.len(), 3);
        assert!(Table::<u32>::from_bytes(Bytes::new()).is_some_and(|table| table.is_empty()));
    }
}
