//! Reading numbers out of headers that may end anywhere.

/// Bytes whose numbers have a known order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) big: bool,
}

impl<'b> Reader<'b> {
    pub(super) fn little(bytes: &'b [u8]) -> Reader<'b> {
        Reader { bytes, big: false }
    }

    fn array<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at).ok()?;
        self.bytes.get(at..)?.first_chunk().copied()
    }

    pub(super) fn u16(self, at: u64) -> Option<u16> {
        let array = self.array(at)?;
        Some(if self.big { u16::from_be_bytes(array) } else { u16::from_le_bytes(array) })
    }

    pub(super) fn u32(self, at: u64) -> Option<u32> {
        let array = self.array(at)?;
        Some(if self.big { u32::from_be_bytes(array) } else { u32::from_le_bytes(array) })
    }

    pub(super) fn u64(self, at: u64) -> Option<u64> {
        let array = self.array(at)?;
        Some(if self.big { u64::from_be_bytes(array) } else { u64::from_le_bytes(array) })
    }

    /// A number of 64 bits, or one of 32.
    pub(super) fn word(self, at: u64, wide: bool) -> Option<u64> {
        if wide { self.u64(at) } else { self.u32(at).map(u64::from) }
    }

    pub(super) fn len(self) -> u64 {
        // No `usize` is wider.
        self.bytes.len() as u64
    }
}
