//! Conditions in compact form: a flat program for a machine with a stack.
//!
//! Values are numbers of 64 bits or *undefined*: the offset of a match that is
//! not there, bytes outside of the buffer, a division by 0. A comparison with
//! something undefined is false, other operations pass it on.
//!
//! Jumps lead forwards, but for that of [`Op::Next`], which ends a loop. Every
//! reader here takes any bytes at all: what is cut or senseless ends the
//! program.

use crate::body::write_varint;

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    ShiftLeft,
    ShiftRight,
    /// `&`, and `and`: an undefined side makes it 0.
    And,
    /// `|`, and `or`: an undefined side counts for nothing.
    Or,
    /// `^`
    Xor,
}

const ARITHMETIC: [Arithmetic; 10] = [
    Arithmetic::Add,
    Arithmetic::Subtract,
    Arithmetic::Multiply,
    Arithmetic::Divide,
    Arithmetic::Remainder,
    Arithmetic::ShiftLeft,
    Arithmetic::ShiftRight,
    Arithmetic::And,
    Arithmetic::Or,
    Arithmetic::Xor,
];

impl Arithmetic {
    /// The result, wrapping at 64 bits; `None` is undefined. Shift counts are
    /// taken modulo 64, as the processors do that ClamAV leaves it to.
    pub fn apply(self, left: Option<i64>, right: Option<i64>) -> Option<i64> {
        match self {
            Arithmetic::And => return Some(left.zip(right).map_or(0, |(a, b)| a & b)),
            Arithmetic::Or => {
                return match (left, right) {
                    (Some(a), Some(b)) => Some(a | b),
                    (a, b) => a.or(b),
                };
            }
            _ => {}
        }
        let (a, b) = (left?, right?);
        // The mask leaves six bits.
        let shift = (b & 63) as u32;
        match self {
            Arithmetic::Add => Some(a.wrapping_add(b)),
            Arithmetic::Subtract => Some(a.wrapping_sub(b)),
            Arithmetic::Multiply => Some(a.wrapping_mul(b)),
            Arithmetic::Divide => (b != 0).then(|| a.wrapping_div(b)),
            Arithmetic::Remainder => (b != 0).then(|| a.wrapping_rem(b)),
            Arithmetic::ShiftLeft => Some(a << shift),
            Arithmetic::ShiftRight => Some(a >> shift),
            Arithmetic::And | Arithmetic::Or => None,
            Arithmetic::Xor => Some(a ^ b),
        }
    }
}

/// A comparison of two numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
pub enum Relation {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    More,
    MoreEqual,
}

const RELATIONS: [Relation; 6] = [
    Relation::Equal,
    Relation::NotEqual,
    Relation::Less,
    Relation::LessEqual,
    Relation::More,
    Relation::MoreEqual,
];

impl Relation {
    /// Whether it holds; never with something undefined.
    pub fn holds(self, left: Option<i64>, right: Option<i64>) -> bool {
        let Some((a, b)) = left.zip(right) else { return false };
        match self {
            Relation::Equal => a == b,
            Relation::NotEqual => a != b,
            Relation::Less => a < b,
            Relation::LessEqual => a <= b,
            Relation::More => a > b,
            Relation::MoreEqual => a >= b,
        }
    }
}

/// A number in the bytes of a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Read {
    /// How many bytes: 1, 2 or 4.
    pub width: u8,
    /// Whether the highest bit is a sign.
    pub signed: bool,
    /// Whether the highest byte comes first.
    pub big_endian: bool,
}

impl Read {
    /// The number at `offset`. The very last byte of a layer cannot be read
    /// (clamscan 1.4.6).
    pub fn at(self, bytes: &[u8], offset: Option<i64>) -> Option<i64> {
        let start = usize::try_from(offset?).ok()?;
        let end = start.checked_add(usize::from(self.width))?;
        if end >= bytes.len() {
            return None;
        }
        let window = bytes.get(start..end)?;
        let join = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        let value = if self.big_endian {
            window.iter().fold(0, join)
        } else {
            window.iter().rev().fold(0, join)
        };
        // Only the bytes that were read are reinterpreted.
        Some(match (self.signed, self.width) {
            (true, 1) => i64::from(value as u8 as i8),
            (true, 2) => i64::from(value as u16 as i16),
            (true, _) => i64::from(value as i32),
            (false, _) => i64::from(value),
        })
    }
}

/// A string of the rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StringRef {
    /// That of the loop around.
    Current,
    /// By its position among the rule's strings.
    Index(u32),
}

/// Positions of strings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Strings<'c> {
    code: &'c [u8],
}

impl<'c> Strings<'c> {
    /// The positions, in written order; one may come twice.
    pub fn iter(self) -> impl Iterator<Item = u32> + Clone + 'c {
        let mut reader = Reader { code: self.code, pos: 0 };
        std::iter::from_fn(move || reader.varint())
    }
}

/// A step of a program. What it takes from the stack is written `a b -- c`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op<'c> {
    /// `a b -- c`
    Arithmetic(Arithmetic),
    /// `offset -- truth`: whether the string starts there.
    At(StringRef),
    /// `a b -- truth`
    Compare(Relation),
    /// `a -- b`
    Complement,
    /// `-- n`: how often the string matches.
    Count(StringRef),
    /// `-- offset`: where execution begins.
    EntryPoint,
    /// `-- size`
    FileSize,
    /// `-- truth`: whether the string matches.
    Found(StringRef),
    /// `low high -- truth`: whether the string starts between the two.
    In(StringRef),
    /// `a -- a`: goes on at the position if `a` is 0 or undefined, which it
    /// makes 0.
    JumpIfFalse(usize),
    /// `a -- a`: goes on at the position if `a` is neither 0 nor undefined.
    JumpIfTrue(usize),
    /// `quantifier low high --`: begins a loop.
    LoopRange,
    /// `quantifier --`: begins a loop over strings.
    LoopStrings(Strings<'c>),
    /// `quantifier a b .. --`: begins a loop over so many numbers.
    LoopValues(u32),
    /// `value --`, or `value -- sum` where the loop ends: goes back to the position
    /// for the next turn. `plain` says that the value is always 0 or 1.
    Next {
        /// Where the body of the loop begins.
        body: usize,
        /// Whether the value is always 0 or 1.
        plain: bool,
    },
    /// `a -- truth`; what is undefined stays so.
    Not,
    /// `quantifier -- truth`: whether so many of the strings match.
    Of(Strings<'c>),
    /// `index -- offset`: where the match with this number starts, from 1.
    Offset(StringRef),
    /// `-- a`
    Push(i64),
    /// `-- undefined`; as a quantifier it means "all".
    PushUndefined,
    /// `offset -- a`
    Read(Read),
    /// `-- truth`: whether another rule holds.
    Rule(u32),
    /// `-- a`: the number of the loop so many loops around, from the outermost.
    Variable(u8),
}

const AND_ON: u8 = 0x40;

/// A condition in compact form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Program<'c> {
    code: &'c [u8],
}

impl<'c> Program<'c> {
    /// Reads a program.
    pub fn new(code: &'c [u8]) -> Program<'c> {
        Program { code }
    }

    /// The step at a position, and the position behind it; none at the end.
    pub fn step(self, pos: usize) -> Option<(Op<'c>, usize)> {
        let mut reader = Reader { code: self.code, pos };
        let op = reader.op()?;
        Some((op, reader.pos))
    }

    /// The steps as they are written, jumps not followed.
    pub fn steps(self) -> impl Iterator<Item = Op<'c>> {
        let mut pos = 0;
        std::iter::from_fn(move || {
            let (op, next) = self.step(pos)?;
            pos = next;
            Some(op)
        })
    }

    /// The rules that it asks for.
    pub fn rules(self) -> impl Iterator<Item = u32> {
        self.steps().filter_map(|op| if let Op::Rule(index) = op { Some(index) } else { None })
    }
}

#[derive(Clone, Debug)]
struct Reader<'c> {
    code: &'c [u8],
    pos: usize,
}

impl<'c> Reader<'c> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.code.get(self.pos)?;
        self.pos += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn string(&mut self) -> Option<StringRef> {
        Some(match self.varint()? {
            0 => StringRef::Current,
            index => StringRef::Index(index - 1),
        })
    }

    fn strings(&mut self) -> Option<Strings<'c>> {
        let len = self.varint()? as usize;
        let code = self.code.get(self.pos..self.pos.checked_add(len)?)?;
        self.pos += len;
        Some(Strings { code })
    }

    /// A jump forwards, over so many bytes.
    fn forwards(&mut self) -> Option<usize> {
        let bytes = self.code.get(self.pos..)?.first_chunk::<4>()?;
        self.pos += 4;
        self.pos.checked_add(u32::from_le_bytes(*bytes) as usize)
    }

    fn op(&mut self) -> Option<Op<'c>> {
        let op = self.byte()?;
        if op & AND_ON != 0 {
            let at = usize::from(op & !AND_ON);
            if let Some(&arithmetic) = ARITHMETIC.get(at) {
                return Some(Op::Arithmetic(arithmetic));
            }
            return Some(Op::Compare(*RELATIONS.get(at.checked_sub(ARITHMETIC.len())?)?));
        }
        Some(match op {
            0 => Op::At(self.string()?),
            1 => Op::Complement,
            2 => Op::Count(self.string()?),
            3 => Op::EntryPoint,
            4 => Op::FileSize,
            5 => Op::Found(self.string()?),
            6 => Op::In(self.string()?),
            7 => Op::JumpIfFalse(self.forwards()?),
            8 => Op::JumpIfTrue(self.forwards()?),
            9 => Op::LoopRange,
            10 => Op::LoopStrings(self.strings()?),
            11 => Op::LoopValues(self.varint()?),
            12 | 13 => {
                let start = self.pos - 1;
                let body = start.checked_sub(self.varint()? as usize)?;
                Op::Next { body, plain: op == 13 }
            }
            14 => Op::Not,
            15 => Op::Of(self.strings()?),
            16 => Op::Offset(self.string()?),
            17 => {
                let bytes = self.code.get(self.pos..)?.first_chunk::<8>()?;
                self.pos += 8;
                Op::Push(i64::from_le_bytes(*bytes))
            }
            18 => Op::PushUndefined,
            19 => {
                let flags = self.byte()?;
                let (signed, big_endian) = (flags & 8 != 0, flags & 16 != 0);
                Op::Read(Read { width: flags & 7, signed, big_endian })
            }
            20 => Op::Rule(self.varint()?),
            21 => Op::Variable(self.byte()?),
            // A small number.
            22 => Op::Push(i64::from(self.byte()?)),
            _ => return None,
        })
    }
}

/// Writes a program.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) code: Vec<u8>,
}

impl Writer {
    fn string(&mut self, op: u8, string: StringRef) {
        self.code.push(op);
        let number = match string {
            StringRef::Current => 0,
            StringRef::Index(index) => index.saturating_add(1),
        };
        write_varint(&mut self.code, number);
    }

    fn strings(&mut self, op: u8, strings: &[u32]) {
        self.code.push(op);
        let mut list = Vec::new();
        strings.iter().for_each(|&index| write_varint(&mut list, index));
        write_varint(&mut self.code, u32::try_from(list.len()).unwrap_or(u32::MAX));
        self.code.extend_from_slice(&list);
    }

    /// Writes a jump whose target is not known yet; [`land`](Self::land) sets it.
    pub(super) fn jump(&mut self, if_true: bool) -> usize {
        self.code.push(if if_true { 8 } else { 7 });
        self.code.extend_from_slice(&[0; 4]);
        self.code.len()
    }

    /// Makes a jump lead here.
    pub(super) fn land(&mut self, jump: usize) {
        let distance = u32::try_from(self.code.len() - jump).unwrap_or(u32::MAX);
        self.code[jump - 4..jump].copy_from_slice(&distance.to_le_bytes());
    }

    pub(super) fn loop_strings(&mut self, strings: &[u32]) {
        self.strings(10, strings);
    }

    pub(super) fn of(&mut self, strings: &[u32]) {
        self.strings(15, strings);
    }

    /// Ends the loop whose body begins at `body`.
    pub(super) fn next(&mut self, body: usize, plain: bool) {
        let distance = u32::try_from(self.code.len() - body).unwrap_or(u32::MAX);
        self.code.push(if plain { 13 } else { 12 });
        write_varint(&mut self.code, distance);
    }

    /// Writes a step that has neither a target nor a set.
    pub(super) fn op(&mut self, op: Op<'_>) {
        match op {
            Op::Arithmetic(arithmetic) => {
                let at = ARITHMETIC.iter().position(|&known| known == arithmetic).unwrap_or(0);
                self.code.push(AND_ON | at as u8); // ten of them
            }
            Op::Compare(relation) => {
                let at = RELATIONS.iter().position(|&known| known == relation).unwrap_or(0);
                self.code.push(AND_ON | (ARITHMETIC.len() + at) as u8); // sixteen of both
            }
            Op::At(string) => self.string(0, string),
            Op::Complement => self.code.push(1),
            Op::Count(string) => self.string(2, string),
            Op::EntryPoint => self.code.push(3),
            Op::FileSize => self.code.push(4),
            Op::Found(string) => self.string(5, string),
            Op::In(string) => self.string(6, string),
            Op::LoopRange => self.code.push(9),
            Op::LoopValues(count) => {
                self.code.push(11);
                write_varint(&mut self.code, count);
            }
            Op::Not => self.code.push(14),
            Op::Offset(string) => self.string(16, string),
            Op::Push(value) => match u8::try_from(value) {
                Ok(small) => self.code.extend_from_slice(&[22, small]),
                Err(_) => {
                    self.code.push(17);
                    self.code.extend_from_slice(&value.to_le_bytes());
                }
            },
            Op::PushUndefined => self.code.push(18),
            Op::Read(read) => {
                let signed = if read.signed { 8 } else { 0 };
                let big = if read.big_endian { 16 } else { 0 };
                self.code.extend_from_slice(&[19, read.width | signed | big]);
            }
            Op::Rule(index) => {
                self.code.push(20);
                write_varint(&mut self.code, index);
            }
            Op::Variable(index) => self.code.extend_from_slice(&[21, index]),
            // Written by methods of their own.
            Op::JumpIfFalse(_)
            | Op::JumpIfTrue(_)
            | Op::LoopStrings(_)
            | Op::Next { .. }
            | Op::Of(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_back_as_written() {
        let ops = [
            Op::Push(3),
            Op::Push(-7),
            Op::Arithmetic(Arithmetic::Xor),
            Op::Compare(Relation::MoreEqual),
            Op::Found(StringRef::Current),
            Op::Count(StringRef::Index(300)),
            Op::Read(Read { width: 2, signed: true, big_endian: false }),
            Op::Rule(7),
            Op::Variable(3),
        ];
        let mut writer = Writer::default();
        ops.iter().for_each(|&op| writer.op(op));
        assert_eq!(Program::new(&writer.code).steps().collect::<Vec<_>>(), ops);

        let mut writer = Writer::default();
        let jump = writer.jump(true);
        writer.of(&[1, 200, 1]);
        let body = writer.code.len();
        writer.op(Op::Not);
        writer.next(body, true);
        writer.land(jump);
        let program = Program::new(&writer.code);
        let steps: Vec<_> = program.steps().collect();
        assert_eq!(steps[0], Op::JumpIfTrue(writer.code.len()));
        assert!(matches!(steps[1], Op::Of(set) if set.iter().eq([1, 200, 1])));
        assert_eq!(steps[3], Op::Next { body, plain: true });
    }

    #[test]
    fn any_bytes_can_be_read() {
        let mut seed = 1u32;
        for len in 0..60 {
            for _ in 0..200 {
                let code: Vec<u8> = (0..len)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (seed >> 24) as u8 & 0x5f
                    })
                    .collect();
                assert!(Program::new(&code).steps().count() <= len);
            }
        }
    }

    #[test]
    fn the_last_byte_cannot_be_read() {
        let read = Read { width: 2, signed: false, big_endian: false };
        assert_eq!(read.at(b"MZ.", Some(0)), Some(0x5a4d));
        assert_eq!(read.at(b"MZ", Some(0)), None);
        assert_eq!(read.at(b"MZ..", Some(-1)), None);
        assert_eq!(read.at(b"MZ..", None), None);
        let read = Read { width: 4, signed: true, big_endian: true };
        assert_eq!(read.at(b"\xff\xff\xff\xfe.", Some(0)), Some(-2));
    }
}
