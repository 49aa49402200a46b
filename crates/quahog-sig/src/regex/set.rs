//! Sets of bytes.

use std::fmt;

/// A set of bytes.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: ByteSet = ByteSet([0; 4]);
    /// All bytes.
    pub const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    /// A set of some bytes.
    pub fn of(bytes: &[u8]) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        bytes.iter().for_each(|&byte| set.insert(byte));
        set
    }

    /// The bytes from `low` to `high`, both among them.
    pub fn range(low: u8, high: u8) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        (low..=high).for_each(|byte| set.insert(byte));
        set
    }

    /// Whether `byte` is in it.
    #[inline]
    pub fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// What is in either.
    pub fn union(self, other: ByteSet) -> ByteSet {
        let mut set = self;
        set.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
        set
    }

    /// What is not in it.
    pub fn negated(self) -> ByteSet {
        ByteSet(self.0.map(|word| !word))
    }

    /// With each ASCII letter its other case.
    pub fn folded(self) -> ByteSet {
        let mut set = self;
        for byte in self.iter().filter(u8::is_ascii_alphabetic) {
            set.insert(byte ^ 0x20);
        }
        set
    }

    /// The number of bytes in it.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        *self == ByteSet::EMPTY
    }

    /// The bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        let set = *self;
        (0..=u8::MAX).filter(move |&byte| set.contains(byte))
    }

    /// The runs of bytes, as first and last.
    pub fn ranges(&self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if u16::from(*last) + 1 == u16::from(byte) => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (low, high) in self.ranges() {
            write!(f, "{}", low.escape_ascii())?;
            if low < high {
                write!(f, "-{}", high.escape_ascii())?;
            }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_know_their_runs() {
        let set = ByteSet::of(b"zxyA\xff\x00").union(ByteSet::range(b'0', b'9'));
        assert_eq!(set.len(), 16);
        let runs = [(0, 0), (b'0', b'9'), (b'A', b'A'), (b'x', b'z'), (255, 255)];
        assert_eq!(set.ranges(), runs);
        assert_eq!(set.negated().len(), 240);
        assert!(set.folded().contains(b'a') && set.folded().contains(b'Z'));
    }
}
