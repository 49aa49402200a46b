//! What instructions compute, and the flags that they leave.

use super::Width::{Byte, Long, Word};
use super::{Cpu, Memory, Place, Stop};

/// How wide an operand is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Width {
    Byte,
    Word,
    Long,
}

impl Width {
    pub(super) fn bits(self) -> u32 {
        match self {
            Byte => 8,
            Word => 16,
            Long => 32,
        }
    }

    pub(super) fn mask(self) -> u32 {
        u32::MAX >> (32 - self.bits())
    }

    pub(super) fn top(self) -> u32 {
        1 << (self.bits() - 1)
    }

    pub(super) fn bytes(self) -> u32 {
        self.bits() / 8
    }

    /// A number of this width, with its sign.
    pub(super) fn signed(self, value: u32) -> i32 {
        let shift = 32 - self.bits();
        ((value << shift) as i32) >> shift
    }
}

impl Cpu {
    pub(super) fn result(&mut self, result: u32, width: Width) {
        self.zero = result & width.mask() == 0;
        self.sign = result & width.top() != 0;
        self.parity = result as u8; // the lowest byte counts
    }

    pub(super) fn logical(&mut self, result: u32, width: Width) {
        (self.carry, self.overflow, self.adjust) = (false, false, false);
        self.result(result, width);
    }

    /// One of the eight operations of two numbers; `cmp` has no result.
    pub(super) fn arithmetic(
        &mut self,
        kind: u8,
        left: u32,
        right: u32,
        width: Width,
    ) -> Option<u32> {
        let carry = u32::from(self.carry && matches!(kind, 2 | 3));
        let mask = width.mask();
        let result = match kind {
            0 | 2 => {
                let sum = u64::from(left) + u64::from(right) + u64::from(carry);
                let result = sum as u32 & mask;
                self.carry = sum > mask.into();
                self.overflow = (left ^ result) & (right ^ result) & width.top() != 0;
                self.adjust = (left ^ right ^ result) & 0x10 != 0;
                result
            }
            1 | 4 | 6 => {
                let result = match kind {
                    1 => left | right,
                    4 => left & right,
                    _ => left ^ right,
                };
                self.logical(result, width);
                return Some(result);
            }
            _ => {
                let result = left.wrapping_sub(right).wrapping_sub(carry) & mask;
                self.carry = u64::from(left) < u64::from(right) + u64::from(carry);
                self.overflow = (left ^ right) & (left ^ result) & width.top() != 0;
                self.adjust = (left ^ right ^ result) & 0x10 != 0;
                result
            }
        };
        self.result(result, width);
        (kind != 7).then_some(result)
    }

    /// Does one of these with a place and a number, which goes there if it is any.
    pub(super) fn apply(
        &mut self,
        memory: &mut Memory,
        kind: u8,
        to: Place,
        right: u32,
        width: Width,
    ) -> Result<(), Stop> {
        let left = self.get(memory, to, width)?;
        let result = self.arithmetic(kind, left, right, width);
        result.map_or(Ok(()), |result| self.set(memory, to, width, result))
    }

    /// `inc` or `dec`, which leave the carry as it is.
    pub(super) fn count(
        &mut self,
        memory: &mut Memory,
        place: Place,
        width: Width,
        down: bool,
    ) -> Result<(), Stop> {
        let carry = self.carry;
        let value = self.get(memory, place, width)?;
        let result = self.arithmetic(if down { 5 } else { 0 }, value, 1, width);
        self.carry = carry;
        self.set(memory, place, width, result.unwrap_or(value))
    }

    pub(super) fn multiply(
        &mut self,
        memory: &mut Memory,
        to: usize,
        a: u32,
        b: u32,
        width: Width,
    ) -> Result<(), Stop> {
        let product = i64::from(width.signed(a)) * i64::from(width.signed(b));
        let result = product as u32 & width.mask();
        self.carry = i64::from(width.signed(result)) != product;
        self.overflow = self.carry;
        self.set(memory, Place::Register(to), width, result)
    }

    /// One of the eight shifts, by less than 32.
    pub(super) fn shift(
        &mut self,
        memory: &mut Memory,
        kind: usize,
        place: Place,
        by: u32,
        width: Width,
    ) -> Result<(), Stop> {
        if by == 0 {
            return Ok(());
        }
        let (bits, mask) = (width.bits(), width.mask());
        let value = self.get(memory, place, width)?;
        let wide = u64::from(value);
        let result = match kind {
            0 | 1 => {
                let by = by % bits;
                let turned = if kind == 0 { by } else { (bits - by) % bits };
                let result = (wide << turned | wide >> ((bits - turned) % bits)) as u32 & mask;
                self.carry = if kind == 0 { result & 1 != 0 } else { result & width.top() != 0 };
                self.overflow = (result ^ value) & width.top() != 0;
                return self.set(memory, place, width, result);
            }
            2 | 3 => {
                // The carry is one bit more.
                let all = wide | u64::from(self.carry) << bits;
                let by = by % (bits + 1);
                let turned = if kind == 2 { by } else { (bits + 1 - by) % (bits + 1) };
                let both = u128::from(all);
                let both = (both << turned | both >> (bits + 1 - turned)) as u64;
                self.carry = both >> bits & 1 == 1;
                let result = both as u32 & mask;
                self.overflow = (result ^ value) & width.top() != 0;
                return self.set(memory, place, width, result);
            }
            4 | 6 => {
                self.carry = by <= bits && wide >> (bits - by) & 1 == 1;
                let result = (wide << by) as u32 & mask;
                self.overflow = (result & width.top() != 0) != self.carry;
                result
            }
            5 => {
                self.carry = wide >> (by - 1) & 1 == 1;
                self.overflow = value & width.top() != 0;
                (wide >> by) as u32
            }
            _ => {
                let signed = i64::from(width.signed(value));
                self.carry = signed >> (by - 1) & 1 == 1;
                self.overflow = false;
                (signed >> by) as u32 & mask
            }
        };
        self.result(result, width);
        self.set(memory, place, width, result)
    }

    pub(super) fn holds(&self, condition: u8) -> bool {
        let holds = match condition >> 1 & 7 {
            0 => self.overflow,
            1 => self.carry,
            2 => self.zero,
            3 => self.carry || self.zero,
            4 => self.sign,
            5 => self.parity.count_ones().is_multiple_of(2),
            6 => self.sign != self.overflow,
            _ => self.zero || self.sign != self.overflow,
        };
        holds != (condition & 1 == 1)
    }

    pub(super) fn flags(&self) -> u32 {
        let bits = [
            (self.carry, 0),
            (self.parity.count_ones().is_multiple_of(2), 2),
            (self.adjust, 4),
            (self.zero, 6),
            (self.sign, 7),
            (self.stepping, 8),
            (self.down, 10),
            (self.overflow, 11),
        ];
        bits.iter().fold(0x202, |flags, &(set, bit)| flags | u32::from(set) << bit)
    }

    pub(super) fn set_all_flags(&mut self, flags: u32) {
        self.set_flags(flags);
        self.down = flags & 0x400 != 0;
        self.overflow = flags & 0x800 != 0;
        self.stepping = flags & 0x100 != 0;
    }

    /// Sets the flags that are in the lowest byte.
    pub(super) fn set_flags(&mut self, flags: u32) {
        self.carry = flags & 1 != 0;
        self.parity = if flags & 4 != 0 { 0 } else { 1 };
        self.adjust = flags & 0x10 != 0;
        self.zero = flags & 0x40 != 0;
        self.sign = flags & 0x80 != 0;
    }
}
