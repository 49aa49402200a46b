//! Who a signature is: its kind, its place among these, and where it was defined.

use std::fmt;

/// A kind of signature.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SigKind {
    /// A body signature.
    Body,
    /// A blocked certificate of programs.
    Certificate,
    /// A file hash.
    Hash(DigestKind),
    /// A hash of a part of an executable.
    PartHash(HashedPart, DigestKind),
    /// A logical signature.
    Logical,
    /// A signature of container metadata.
    Container,
    /// A YARA rule.
    Yara,
}

/// A part of an executable that hashes are made of.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HashedPart {
    /// The bytes of a section.
    Section,
    /// The text of the imports.
    Imports,
}

impl HashedPart {
    /// Both, in the order in which they are compared.
    pub const ALL: [HashedPart; 2] = [HashedPart::Section, HashedPart::Imports];
}

/// A cryptographic digest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs)]
pub enum DigestKind {
    Md5,
    Sha1,
    Sha256,
}

impl DigestKind {
    /// All kinds, in the order in which they are compared.
    pub const ALL: [DigestKind; 3] = [DigestKind::Md5, DigestKind::Sha1, DigestKind::Sha256];

    /// Its length in bytes.
    // A digest is never empty.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        match self {
            DigestKind::Md5 => 16,
            DigestKind::Sha1 => 20,
            DigestKind::Sha256 => 32,
        }
    }

    /// The kind whose digests have this many bytes.
    pub fn of_len(len: usize) -> Option<DigestKind> {
        DigestKind::ALL.into_iter().find(|kind| kind.len() == len)
    }
}

/// A digest of any kind.
pub type Digest<'d> = &'d [u8];

/// The identity of a signature inside its set.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SigId(u32);

const KIND_SHIFT: u32 = 28;

impl SigId {
    /// The signature at `index` of its kind; positions past 2^28 wrap, and
    /// [`SetBuilder`](crate::SetBuilder) admits no more than that.
    pub(crate) fn new(kind: SigKind, index: usize) -> SigId {
        let tag = match kind {
            SigKind::Body => 0,
            SigKind::Logical => 1,
            SigKind::Hash(kind) => 2 + kind as u32,
            SigKind::PartHash(part, kind) => 5 + 3 * part as u32 + kind as u32,
            SigKind::Container => 11,
            SigKind::Yara => 12,
            SigKind::Certificate => 13,
        };
        // The mask cuts what the builder never lets grow.
        SigId(tag << KIND_SHIFT | (index as u32 & ((1 << KIND_SHIFT) - 1)))
    }

    /// What kind of signature it is.
    pub fn kind(self) -> SigKind {
        match self.0 >> KIND_SHIFT {
            0 => SigKind::Body,
            1 => SigKind::Logical,
            2 => SigKind::Hash(DigestKind::Md5),
            3 => SigKind::Hash(DigestKind::Sha1),
            4 => SigKind::Hash(DigestKind::Sha256),
            tag @ 5..11 => {
                let part = if tag < 8 { HashedPart::Section } else { HashedPart::Imports };
                let kind = DigestKind::ALL[(tag as usize - 5) % 3];
                SigKind::PartHash(part, kind)
            }
            11 => SigKind::Container,
            13 => SigKind::Certificate,
            _ => SigKind::Yara,
        }
    }

    /// Its position among its kind.
    pub fn index(self) -> usize {
        (self.0 & ((1 << KIND_SHIFT) - 1)) as usize
    }
}

impl fmt::Debug for SigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.kind(), self.index())
    }
}

/// Where a signature was defined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin<'s> {
    /// The database: a file name, or `container/member`.
    pub source: &'s str,
    /// The number of its line, from 1.
    pub line: u32,
    /// Whether it came from an officially signed container: then its name is
    /// reported as it is, and with `.UNOFFICIAL` otherwise.
    pub official: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_keep_kind_and_index() {
        let hashes = DigestKind::ALL.map(SigKind::Hash);
        let parts = HashedPart::ALL
            .into_iter()
            .flat_map(|part| DigestKind::ALL.map(|kind| SigKind::PartHash(part, kind)));
        let others = [SigKind::Body, SigKind::Certificate, SigKind::Container, SigKind::Logical];
        for kind in others.into_iter().chain(hashes).chain(parts) {
            let id = SigId::new(kind, 123_456_789);
            assert_eq!((id.kind(), id.index()), (kind, 123_456_789));
        }
    }
}
