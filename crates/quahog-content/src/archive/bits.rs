//! Bits of a buffer, in either order, and a code that is read from them.

/// Bits from the lowest of each byte on.
pub(super) struct LowBits<'b> {
    bytes: &'b [u8],
    /// The next bit.
    at: usize,
}

impl<'b> LowBits<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> LowBits<'b> {
        LowBits { bytes, at: 0 }
    }

    /// The next bits, at most 16; zeros behind the end.
    pub(super) fn peek(&self, count: u32) -> u32 {
        let byte = |nth: usize| {
            self.bytes.get(self.at / 8 + nth).copied().map_or(0, u32::from) << (8 * nth)
        };
        (byte(0) | byte(1) | byte(2)) >> (self.at % 8) & ((1 << count) - 1)
    }

    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// The next bits, at most 16; `None` behind the end.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let value = self.peek(count);
        self.skip(count).map(|()| value)
    }
}

/// Bits from the highest of each byte on.
pub(super) struct HighBits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> HighBits<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> HighBits<'b> {
        HighBits { bytes, at: 0 }
    }

    /// The next bits, at most 16; `None` behind the end.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let byte = |nth: usize| {
            self.bytes.get(self.at / 8 + nth).copied().map_or(0, u32::from) << (16 - 8 * nth)
        };
        let window = (byte(0) | byte(1) | byte(2)) << (8 + self.at % 8);
        self.at += count as usize;
        (self.at <= 8 * self.bytes.len()).then_some(if count == 0 {
            0
        } else {
            window >> (32 - count)
        })
    }
}

/// Appends `length` bytes that stand `distance` before the end, which may
/// overlap what is appended. Before the start there are zeros.
pub(super) fn copy_back(out: &mut Vec<u8>, distance: usize, length: usize) {
    for _ in 0..length {
        let byte = out.len().checked_sub(distance).and_then(|at| out.get(at)).copied();
        out.push(byte.unwrap_or_default());
    }
}
