//! Ignore lists: signatures that their owner wants left out.

use std::collections::HashMap;
use std::sync::Arc;

use md5::{Digest, Md5};

use crate::ast::Ignore;

/// The union of all ignore lists in force.
///
/// It is collected from every source *before* signatures are read, so that the
/// order of files means nothing.
#[derive(Clone, Debug)]
pub struct IgnoreList {
    entries: Arc<HashMap<Vec<u8>, Entry>>,
    /// A bit for the end of each name: most names are told from it.
    ends: Arc<[u64; 64]>,
}

/// A bit of the filter, by the length of a name and its last eight bytes.
fn end_bit(name: &[u8]) -> usize {
    let word = match name.last_chunk() {
        Some(last) => u64::from_be_bytes(*last),
        None => name.iter().fold(name.len() as u64, |word, &byte| word << 8 ^ u64::from(byte)),
    };
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize
}

/// What is ignored under one name.
#[derive(Clone, Debug, Default)]
struct Entry {
    always: bool,
    lines: Vec<[u8; 16]>,
}

impl Default for IgnoreList {
    fn default() -> IgnoreList {
        IgnoreList { entries: Arc::default(), ends: Arc::new([0; 64]) }
    }
}

impl IgnoreList {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Ignore<'_>) {
        let bit = end_bit(entry.name);
        Arc::make_mut(&mut self.ends)[bit / 64] |= 1 << (bit % 64);
        let known = Arc::make_mut(&mut self.entries).entry(entry.name.to_vec()).or_default();
        match entry.line_md5 {
            None => known.always = true,
            Some(md5) => known.lines.push(md5),
        }
    }

    /// The number of names in the list.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is ignored.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a signature of this name may have to be left out; costs next to
    /// nothing where not.
    pub(crate) fn may_cover(&self, name: &[u8]) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let bit = end_bit(bare_name(name));
        self.ends[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether the signature `name`, defined by `line`, is to be left out.
    ///
    /// The name is compared without a trailing `.UNOFFICIAL` or `.{...}`; the
    /// entry is taken as it stands (case `ign-004`).
    pub fn covers(&self, name: &[u8], line: &[u8]) -> bool {
        if !self.may_cover(name) {
            return false;
        }
        let Some(entry) = self.entries.get(bare_name(name)) else { return false };
        entry.always || {
            let md5: [u8; 16] = Md5::digest(line).into();
            entry.lines.contains(&md5)
        }
    }
}

/// The name without `.UNOFFICIAL` or a group such as `.{CAV}` at its end.
fn bare_name(name: &[u8]) -> &[u8] {
    if let Some(bare) = name.strip_suffix(b".UNOFFICIAL") {
        return bare;
    }
    if name.ends_with(b"}")
        && let Some(at) = name.windows(2).position(|pair| pair == b".{")
    {
        return &name[..at];
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_pins_the_definition() {
        let line = b"Sig.One:0:*:68656c6c6f";
        let mut list = IgnoreList::default();
        list.add(&Ignore { name: b"Sig.One", line_md5: Some(Md5::digest(line).into()) });
        assert!(list.covers(b"Sig.One", line));
        assert!(!list.covers(b"Sig.One", b"Sig.One:0:*:68656c6c70"));
        assert!(!list.covers(b"sig.one", line));
    }

    #[test]
    fn suffixes_of_the_signature_are_cut() {
        assert_eq!(bare_name(b"A.B.UNOFFICIAL"), b"A.B");
        assert_eq!(bare_name(b"A.B.{CAV}"), b"A.B");
        assert_eq!(bare_name(b"{HEX}a.1"), b"{HEX}a.1");
    }
}
