//! An interpreter of x86, 32 bits: what programs that unpack themselves are
//! written in. Whatever else they might do ends the run.

mod arithmetic;
mod calls;

use super::memory::{Fault, Memory};
use arithmetic::Width::{self, Byte, Long, Word};

/// Why a program runs no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// It reached for memory that is not there.
    Fault,
    /// It has an instruction that is not known here, or one that asks the system.
    Unknown,
    /// It asks for something that is not known here, or is at its end.
    System,
    /// It wants to be asked behind each instruction.
    Step,
}

impl From<Fault> for Stop {
    fn from(Fault: Fault) -> Stop {
        Stop::Fault
    }
}

const EAX: usize = 0;
const ECX: usize = 1;
const EDX: usize = 2;
const EBX: usize = 3;
const ESP: usize = 4;
const EBP: usize = 5;
const ESI: usize = 6;
const EDI: usize = 7;

/// The registers.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    registers: [u32; 8],
    pub(super) at: u32,
    carry: bool,
    overflow: bool,
    zero: bool,
    sign: bool,
    adjust: bool,
    /// The byte whose parity counts.
    parity: u8,
    down: bool,
    /// Whether its handler is called behind the next instruction.
    stepping: bool,
    /// Whether the last instruction led somewhere else.
    pub(super) jumped: bool,
}

/// Where an operand is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Register(usize),
    Memory(u32),
}

/// An instruction that is read.
struct Code {
    bytes: [u8; 16],
    next: usize,
    /// `Long`, or `Word` behind its prefix.
    width: Width,
    segment: u32,
    repeat: Option<bool>,
}

impl Code {
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.next).copied().ok_or(Stop::Unknown)?;
        self.next += 1;
        Ok(byte)
    }

    /// A number of this width.
    fn number(&mut self, width: Width) -> Result<u32, Stop> {
        let mut number = 0;
        for at in 0..width.bytes() {
            number |= u32::from(self.byte()?) << (8 * at);
        }
        Ok(number)
    }

    /// A byte with its sign.
    fn short(&mut self) -> Result<u32, Stop> {
        Ok(Byte.signed(self.byte()?.into()) as u32)
    }

    fn of(&self, is_byte: bool) -> Width {
        if is_byte { Byte } else { self.width }
    }
}

impl Cpu {
    /// At the start of a program, with a stack that ends nowhere.
    pub(super) fn new(entry: u32) -> Cpu {
        let mut cpu = Cpu { at: entry, ..Cpu::default() };
        cpu.registers[ESP] = Memory::stack();
        cpu
    }

    /// Runs one instruction; a repeated one runs as often as it says, up to `most`
    /// times, and goes on when it is run again. Gives how often.
    pub(super) fn step(&mut self, memory: &mut Memory, most: u32) -> Result<u32, Stop> {
        let stepping = self.stepping;
        let times = self.instruction(memory, most)?;
        if stepping && self.stepping { Err(Stop::Step) } else { Ok(times) }
    }

    fn instruction(&mut self, memory: &mut Memory, most: u32) -> Result<u32, Stop> {
        let bytes = memory.code(self.at)?;
        let mut code = Code { bytes, next: 0, width: Long, segment: 0, repeat: None };
        self.jumped = false;
        let opcode = loop {
            match code.byte()? {
                0x66 => code.width = Word,
                0x64 => code.segment = Memory::block(),
                0x26 | 0x2e | 0x36 | 0x3e | 0xf0 => {}
                0xf2 => code.repeat = Some(false),
                0xf3 => code.repeat = Some(true),
                opcode => break opcode,
            }
        };
        let times = match opcode {
            0x0f => {
                self.two_bytes(&mut code, memory)?;
                1
            }
            0xa4..=0xa7 | 0xaa..=0xaf => {
                let (times, is_whole) = self.strings(opcode, &code, memory, most)?;
                if !is_whole {
                    return Ok(times);
                }
                times
            }
            _ => {
                self.one_byte(opcode, &mut code, memory)?;
                1
            }
        };
        if !self.jumped {
            self.at = self.at.wrapping_add(code.next as u32);
        }
        Ok(times)
    }

    fn one_byte(&mut self, opcode: u8, code: &mut Code, memory: &mut Memory) -> Result<(), Stop> {
        let register = usize::from(opcode & 7);
        let wide = code.of(opcode & 1 == 0);
        match opcode {
            0x00..=0x3f if opcode & 7 < 6 => {
                let (to, right) = if opcode & 7 < 4 {
                    let (other, place) = self.operands(code)?;
                    let other = Place::Register(other);
                    let (to, from) = if opcode & 2 == 0 { (place, other) } else { (other, place) };
                    (to, self.get(memory, from, wide)?)
                } else {
                    (Place::Register(EAX), code.number(wide)?)
                };
                self.apply(memory, opcode >> 3, to, right, wide)?;
            }
            0x06 | 0x0e | 0x16 | 0x1e => self.push(memory, Long, 0x23)?,
            0x07 | 0x17 | 0x1f => {
                self.pop(memory, Long)?;
            }
            0x40..=0x4f => {
                let place = Place::Register(register);
                self.count(memory, place, code.width, opcode >= 0x48)?;
            }
            0x50..=0x57 => self.push(memory, code.width, self.registers[register])?,
            0x58..=0x5f => {
                let value = self.pop(memory, code.width)?;
                self.set(memory, Place::Register(register), code.width, value)?;
            }
            0x60 => {
                let registers = self.registers;
                for value in registers {
                    self.push(memory, code.width, value)?;
                }
            }
            0x61 => {
                for register in (0..8).rev() {
                    let value = self.pop(memory, code.width)?;
                    if register != ESP {
                        self.set(memory, Place::Register(register), code.width, value)?;
                    }
                }
            }
            0x68 => {
                let number = code.number(code.width)?;
                self.push(memory, code.width, number)?;
            }
            0x6a => {
                let number = code.short()?;
                self.push(memory, code.width, number)?;
            }
            0x69 | 0x6b => {
                let (to, place) = self.operands(code)?;
                let number = if opcode == 0x69 { code.number(code.width)? } else { code.short()? };
                let value = self.get(memory, place, code.width)?;
                self.multiply(memory, to, value, number, code.width)?;
            }
            0x70..=0x7f => {
                let by = code.short()?;
                self.jump_if(self.holds(opcode), by, code);
            }
            0x80..=0x83 => {
                let (kind, place) = self.operands(code)?;
                let number = if opcode == 0x81 { code.number(wide)? } else { code.short()? };
                self.apply(memory, kind as u8, place, number & wide.mask(), wide)?;
            }
            0x84..=0x87 => {
                let (other, place) = self.operands(code)?;
                let left = self.get(memory, place, wide)?;
                let right = self.get(memory, Place::Register(other), wide)?;
                if opcode < 0x86 {
                    self.logical(left & right, wide);
                } else {
                    self.set(memory, place, wide, right)?;
                    self.set(memory, Place::Register(other), wide, left)?;
                }
            }
            0x88..=0x8b => {
                let (other, place) = self.operands(code)?;
                let other = Place::Register(other);
                let (to, from) = if opcode < 0x8a { (place, other) } else { (other, place) };
                let value = self.get(memory, from, wide)?;
                self.set(memory, to, wide, value)?;
            }
            0x8d => match self.operands(code)? {
                (to, Place::Memory(address)) => {
                    let address = address.wrapping_sub(code.segment);
                    self.set(memory, Place::Register(to), code.width, address)?;
                }
                _ => return Err(Stop::Unknown),
            },
            0x8f => {
                let value = self.pop(memory, code.width)?;
                let (_, place) = self.operands(code)?;
                self.set(memory, place, code.width, value)?;
            }
            0x90 => {}
            0x91..=0x97 => {
                let (a, b) = (Place::Register(EAX), Place::Register(register));
                let (left, right) =
                    (self.get(memory, a, code.width)?, self.get(memory, b, code.width)?);
                self.set(memory, a, code.width, right)?;
                self.set(memory, b, code.width, left)?;
            }
            0x98 => {
                let from = if code.width == Long { Word } else { Byte };
                let value = from.signed(self.registers[EAX]) as u32;
                self.set(memory, Place::Register(EAX), code.width, value)?;
            }
            0x99 => {
                let sign = code.width.signed(self.registers[EAX]) >> 31;
                self.set(memory, Place::Register(EDX), code.width, sign as u32)?;
            }
            0x9c => self.push(memory, code.width, self.flags())?,
            0x9d => {
                let flags = self.pop(memory, code.width)?;
                self.set_all_flags(flags);
            }
            0x9e => self.set_flags(self.registers[EAX] >> 8),
            0x9f => {
                let flags = self.flags() & 0xff;
                self.registers[EAX] = self.registers[EAX] & !0xff00 | flags << 8;
            }
            0xa0..=0xa3 => {
                let place = Place::Memory(code.number(Long)?.wrapping_add(code.segment));
                let a = Place::Register(EAX);
                let (to, from) = if opcode < 0xa2 { (a, place) } else { (place, a) };
                let value = self.get(memory, from, wide)?;
                self.set(memory, to, wide, value)?;
            }
            0xa8 | 0xa9 => {
                let number = code.number(wide)?;
                let value = self.get(memory, Place::Register(EAX), wide)?;
                self.logical(value & number, wide);
            }
            0xb0..=0xbf => {
                let width = code.of(opcode < 0xb8);
                let number = code.number(width)?;
                self.set(memory, Place::Register(register), width, number)?;
            }
            0xc0 | 0xc1 | 0xd0..=0xd3 => {
                let (kind, place) = self.operands(code)?;
                let by = match opcode {
                    0xc0 | 0xc1 => code.byte()?.into(),
                    0xd0 | 0xd1 => 1,
                    _ => self.registers[ECX] & 0xff,
                };
                self.shift(memory, kind, place, by & 31, wide)?;
            }
            0xc2 | 0xc3 => {
                let more = if opcode == 0xc2 { code.number(Word)? } else { 0 };
                let to = self.pop(memory, Long)?;
                self.registers[ESP] = self.registers[ESP].wrapping_add(more);
                self.jump(to);
            }
            0xc6 | 0xc7 => {
                let (_, place) = self.operands(code)?;
                let number = code.number(wide)?;
                self.set(memory, place, wide, number)?;
            }
            0xc8 => {
                let room = code.number(Word)?;
                if code.byte()? != 0 {
                    return Err(Stop::Unknown);
                }
                self.push(memory, Long, self.registers[EBP])?;
                self.registers[EBP] = self.registers[ESP];
                self.registers[ESP] = self.registers[ESP].wrapping_sub(room);
            }
            0xc9 => {
                self.registers[ESP] = self.registers[EBP];
                self.registers[EBP] = self.pop(memory, Long)?;
            }
            0xd6 => {
                self.registers[EAX] =
                    self.registers[EAX] & !0xff | if self.carry { 0xff } else { 0 }
            }
            0xd7 => {
                let place = self.registers[EBX].wrapping_add(self.registers[EAX] & 0xff);
                let [byte] = memory.read(place.wrapping_add(code.segment))?;
                self.registers[EAX] = self.registers[EAX] & !0xff | u32::from(byte);
            }
            0xe0..=0xe3 => {
                let by = code.short()?;
                if opcode != 0xe3 {
                    self.registers[ECX] = self.registers[ECX].wrapping_sub(1);
                }
                let holds = match opcode {
                    0xe0 => self.registers[ECX] != 0 && !self.zero,
                    0xe1 => self.registers[ECX] != 0 && self.zero,
                    0xe2 => self.registers[ECX] != 0,
                    _ => self.registers[ECX] == 0,
                };
                self.jump_if(holds, by, code);
            }
            0xe8 => {
                let by = code.number(Long)?;
                let next = self.at.wrapping_add(code.next as u32);
                self.push(memory, Long, next)?;
                self.jump(next.wrapping_add(by));
            }
            0xe9 => {
                let by = code.number(Long)?;
                self.jump_if(true, by, code);
            }
            0xeb => {
                let by = code.short()?;
                self.jump_if(true, by, code);
            }
            0xf5 => self.carry = !self.carry,
            0xf6 | 0xf7 => self.third_group(wide, code, memory)?,
            0xf8 | 0xf9 => self.carry = opcode == 0xf9,
            0xfa | 0xfb => {}
            0xfc | 0xfd => self.down = opcode == 0xfd,
            0xfe | 0xff => self.fifth_group(wide, code, memory)?,
            _ => return Err(Stop::Unknown),
        }
        Ok(())
    }

    fn two_bytes(&mut self, code: &mut Code, memory: &mut Memory) -> Result<(), Stop> {
        let opcode = code.byte()?;
        match opcode {
            0x18..=0x1f => {
                self.operands(code)?;
            }
            0x31 => {
                // A clock that goes on.
                self.registers[EAX] = self.registers[EAX].wrapping_add(0x1234);
                self.registers[EDX] = 0;
            }
            0x40..=0x4f => {
                let (to, place) = self.operands(code)?;
                let value = self.get(memory, place, code.width)?;
                if self.holds(opcode) {
                    self.set(memory, Place::Register(to), code.width, value)?;
                }
            }
            0x80..=0x8f => {
                let by = code.number(Long)?;
                self.jump_if(self.holds(opcode), by, code);
            }
            0x90..=0x9f => {
                let (_, place) = self.operands(code)?;
                let value = u32::from(self.holds(opcode));
                self.set(memory, place, Byte, value)?;
            }
            0xa2 => {
                self.registers[EAX] = 0;
                (self.registers[EBX], self.registers[ECX], self.registers[EDX]) = (0, 0, 0);
            }
            0xa3 | 0xab | 0xb3 | 0xbb | 0xba => {
                let (other, mut place) = self.operands(code)?;
                let width = code.width;
                let (kind, bit) = if opcode == 0xba {
                    (other & 3, code.byte()?.into())
                } else {
                    let bit = self.registers[other];
                    if let Place::Memory(at) = &mut place {
                        let words = (width.signed(bit) >> width.bits().ilog2()) as u32;
                        *at = at.wrapping_add(words.wrapping_mul(width.bytes()));
                    }
                    (usize::from(opcode >> 3 & 3), bit)
                };
                let bit = 1 << (bit % width.bits());
                let value = self.get(memory, place, width)?;
                self.carry = value & bit != 0;
                match kind {
                    1 => self.set(memory, place, width, value | bit)?,
                    2 => self.set(memory, place, width, value & !bit)?,
                    3 => self.set(memory, place, width, value ^ bit)?,
                    _ => {}
                }
            }
            0xa4 | 0xa5 | 0xac | 0xad => {
                let (other, place) = self.operands(code)?;
                let by = if opcode & 1 == 0 { code.byte()?.into() } else { self.registers[ECX] };
                let (by, width) = (by & 31, code.width);
                if by == 0 {
                    return Ok(());
                }
                let value = u64::from(self.get(memory, place, width)?);
                let more = u64::from(self.get(memory, Place::Register(other), width)?);
                let bits = width.bits();
                let (result, out) = if opcode < 0xa8 {
                    ((value << bits | more) << by >> bits, value >> (bits.max(by) - by))
                } else {
                    let both = more << bits | value;
                    (both >> by, both >> (by - 1))
                };
                let result = result as u32 & width.mask(); // the lower half
                self.set(memory, place, width, result)?;
                self.carry = out & 1 == 1;
                self.result(result, width);
            }
            0xaf => {
                let (to, place) = self.operands(code)?;
                let value = self.get(memory, place, code.width)?;
                self.multiply(memory, to, value, self.registers[to], code.width)?;
            }
            0xb0 | 0xb1 => {
                let width = code.of(opcode == 0xb0);
                let (other, place) = self.operands(code)?;
                let value = self.get(memory, place, width)?;
                let known = self.get(memory, Place::Register(EAX), width)?;
                self.arithmetic(7, known, value, width);
                if self.zero {
                    let new = self.get(memory, Place::Register(other), width)?;
                    self.set(memory, place, width, new)?;
                } else {
                    self.set(memory, Place::Register(EAX), width, value)?;
                }
            }
            0xb6 | 0xb7 | 0xbe | 0xbf => {
                let from = if opcode & 1 == 0 { Byte } else { Word };
                let (to, place) = self.operands(code)?;
                let value = self.get(memory, place, from)?;
                let value = if opcode < 0xb8 { value } else { from.signed(value) as u32 };
                self.set(memory, Place::Register(to), code.width, value)?;
            }
            0xbc | 0xbd => {
                let (to, place) = self.operands(code)?;
                let value = self.get(memory, place, code.width)?;
                self.zero = value == 0;
                if value != 0 {
                    let bit = if opcode == 0xbc { value.trailing_zeros() } else { value.ilog2() };
                    self.set(memory, Place::Register(to), code.width, bit)?;
                }
            }
            0xc0 | 0xc1 => {
                let width = code.of(opcode == 0xc0);
                let (other, place) = self.operands(code)?;
                let value = self.get(memory, place, width)?;
                let more = self.get(memory, Place::Register(other), width)?;
                let sum = self.arithmetic(0, value, more, width).unwrap_or(value);
                self.set(memory, Place::Register(other), width, value)?;
                self.set(memory, place, width, sum)?;
            }
            0xc8..=0xcf => {
                let register = &mut self.registers[usize::from(opcode & 7)];
                *register = register.swap_bytes();
            }
            _ => return Err(Stop::Unknown),
        }
        Ok(())
    }

    /// `test`, `not`, `neg`, `mul`, `imul`, `div`, `idiv`.
    fn third_group(
        &mut self,
        width: Width,
        code: &mut Code,
        memory: &mut Memory,
    ) -> Result<(), Stop> {
        let (kind, place) = self.operands(code)?;
        let value = self.get(memory, place, width)?;
        let bits = width.bits();
        match kind {
            0 | 1 => {
                let number = code.number(width)?;
                self.logical(value & number, width);
            }
            2 => self.set(memory, place, width, !value)?,
            3 => {
                let result = self.arithmetic(5, 0, value, width).unwrap_or(0);
                self.set(memory, place, width, result)?;
            }
            4 | 5 => {
                let a = self.get(memory, Place::Register(EAX), width)?;
                let product = if kind == 4 {
                    u64::from(a) * u64::from(value)
                } else {
                    (i64::from(width.signed(a)) * i64::from(width.signed(value))) as u64
                };
                let (low, high) = (product as u32 & width.mask(), (product >> bits) as u32);
                self.set_pair(low, high, width);
                let plain = if kind == 4 { 0 } else { (width.signed(low) >> 31) as u32 };
                self.carry = (high ^ plain) & width.mask() != 0;
                self.overflow = self.carry;
            }
            _ => {
                let (low, high) = self.pair(width);
                let whole = u64::from(high) << bits | u64::from(low);
                if value == 0 {
                    return Err(Stop::Unknown);
                }
                let (quotient, rest) = if kind == 6 {
                    let value = u64::from(value);
                    if whole / value > width.mask().into() {
                        return Err(Stop::Unknown);
                    }
                    (whole / value, whole % value)
                } else {
                    let shift = 64 - 2 * bits;
                    let (whole, value) =
                        ((whole << shift) as i64 >> shift, i64::from(width.signed(value)));
                    let (quotient, rest) = (whole.wrapping_div(value), whole.wrapping_rem(value));
                    if i64::from(width.signed(quotient as u32)) != quotient {
                        return Err(Stop::Unknown);
                    }
                    (quotient as u64, rest as u64)
                };
                self.set_pair(quotient as u32 & width.mask(), rest as u32, width);
            }
        }
        Ok(())
    }

    /// `inc`, `dec`, `call`, `jmp`, `push`.
    fn fifth_group(
        &mut self,
        width: Width,
        code: &mut Code,
        memory: &mut Memory,
    ) -> Result<(), Stop> {
        let (kind, place) = self.operands(code)?;
        match kind {
            0 | 1 => self.count(memory, place, width, kind == 1)?,
            2 | 4 if width == Long => {
                let to = self.get(memory, place, Long)?;
                if kind == 2 {
                    self.push(memory, Long, self.at.wrapping_add(code.next as u32))?;
                }
                self.jump(to);
            }
            6 if width != Byte => {
                let value = self.get(memory, place, width)?;
                self.push(memory, width, value)?;
            }
            _ => return Err(Stop::Unknown),
        }
        Ok(())
    }

    /// The instructions on strings. Gives how often it was run, and whether it is done.
    fn strings(
        &mut self,
        opcode: u8,
        code: &Code,
        memory: &mut Memory,
        most: u32,
    ) -> Result<(u32, bool), Stop> {
        let width = code.of(opcode & 1 == 0);
        let by = if self.down { width.bytes().wrapping_neg() } else { width.bytes() };
        let mut times = 0;
        loop {
            if code.repeat.is_some() && self.registers[ECX] == 0 {
                return Ok((times.max(1), true));
            }
            if times == most {
                return Ok((times, false));
            }
            let from = Place::Memory(self.registers[ESI].wrapping_add(code.segment));
            let to = Place::Memory(self.registers[EDI]);
            let a = Place::Register(EAX);
            let (moves_from, moves_to) = match opcode & 0xfe {
                0xa4 => {
                    let value = self.get(memory, from, width)?;
                    self.set(memory, to, width, value)?;
                    (true, true)
                }
                0xa6 => {
                    let left = self.get(memory, from, width)?;
                    let right = self.get(memory, to, width)?;
                    self.arithmetic(7, left, right, width);
                    (true, true)
                }
                0xaa => {
                    self.set(memory, to, width, self.registers[EAX])?;
                    (false, true)
                }
                0xac => {
                    let value = self.get(memory, from, width)?;
                    self.set(memory, a, width, value)?;
                    (true, false)
                }
                _ => {
                    let left = self.get(memory, a, width)?;
                    let right = self.get(memory, to, width)?;
                    self.arithmetic(7, left, right, width);
                    (false, true)
                }
            };
            if moves_from {
                self.registers[ESI] = self.registers[ESI].wrapping_add(by);
            }
            if moves_to {
                self.registers[EDI] = self.registers[EDI].wrapping_add(by);
            }
            times += 1;
            let Some(while_equal) = code.repeat else { return Ok((times, true)) };
            self.registers[ECX] = self.registers[ECX].wrapping_sub(1);
            let compares = matches!(opcode & 0xfe, 0xa6 | 0xae);
            if compares && self.zero != while_equal {
                return Ok((times, true));
            }
        }
    }

    /// Reads where the operands are: the register, and the place that may be one.
    fn operands(&self, code: &mut Code) -> Result<(usize, Place), Stop> {
        let byte = code.byte()?;
        let (mode, register, base) = (byte >> 6, byte >> 3 & 7, usize::from(byte & 7));
        let register = usize::from(register);
        if mode == 3 {
            return Ok((register, Place::Register(base)));
        }
        let mut address = code.segment;
        let mut add = |value: u32| address = address.wrapping_add(value);
        match base {
            ESP => {
                let byte = code.byte()?;
                let (scale, index, base) = (byte >> 6, byte >> 3 & 7, usize::from(byte & 7));
                if usize::from(index) != ESP {
                    add(self.registers[usize::from(index)] << scale);
                }
                if base == EBP && mode == 0 {
                    add(code.number(Long)?);
                } else {
                    add(self.registers[base]);
                }
            }
            EBP if mode == 0 => add(code.number(Long)?),
            _ => add(self.registers[base]),
        }
        match mode {
            1 => add(code.short()?),
            2 => add(code.number(Long)?),
            _ => {}
        }
        Ok((register, Place::Memory(address)))
    }

    fn get(&self, memory: &Memory, place: Place, width: Width) -> Result<u32, Stop> {
        Ok(match (place, width) {
            (Place::Register(register), Byte) => {
                self.registers[register & 3] >> (8 * (register >> 2)) & 0xff
            }
            (Place::Register(register), _) => self.registers[register] & width.mask(),
            (Place::Memory(at), Byte) => memory.read::<1>(at)?[0].into(),
            (Place::Memory(at), Word) => u16::from_le_bytes(memory.read(at)?).into(),
            (Place::Memory(at), Long) => u32::from_le_bytes(memory.read(at)?),
        })
    }

    fn set(
        &mut self,
        memory: &mut Memory,
        place: Place,
        width: Width,
        value: u32,
    ) -> Result<(), Stop> {
        let [low, second, ..] = value.to_le_bytes();
        match (place, width) {
            (Place::Register(register), Byte) => {
                let shift = 8 * (register >> 2);
                let register = &mut self.registers[register & 3];
                *register = *register & !(0xff << shift) | u32::from(low) << shift;
            }
            (Place::Register(register), _) => {
                let register = &mut self.registers[register];
                *register = *register & !width.mask() | value & width.mask();
            }
            (Place::Memory(at), Byte) => memory.write(at, [low])?,
            (Place::Memory(at), Word) => memory.write(at, [low, second])?,
            (Place::Memory(at), Long) => memory.write(at, value.to_le_bytes())?,
        }
        Ok(())
    }

    fn push(&mut self, memory: &mut Memory, width: Width, value: u32) -> Result<(), Stop> {
        let at = self.registers[ESP].wrapping_sub(width.bytes());
        self.set(memory, Place::Memory(at), width, value)?;
        self.registers[ESP] = at;
        Ok(())
    }

    fn pop(&mut self, memory: &Memory, width: Width) -> Result<u32, Stop> {
        let value = self.get(memory, Place::Memory(self.registers[ESP]), width)?;
        self.registers[ESP] = self.registers[ESP].wrapping_add(width.bytes());
        Ok(value)
    }

    fn jump(&mut self, to: u32) {
        self.at = to;
        self.jumped = true;
    }

    fn jump_if(&mut self, holds: bool, by: u32, code: &Code) {
        if holds {
            self.jump(self.at.wrapping_add(code.next as u32).wrapping_add(by));
        }
    }

    fn pair(&self, width: Width) -> (u32, u32) {
        match width {
            Byte => (self.registers[EAX] & 0xff, self.registers[EAX] >> 8 & 0xff),
            _ => (self.registers[EAX] & width.mask(), self.registers[EDX] & width.mask()),
        }
    }

    fn set_pair(&mut self, low: u32, high: u32, width: Width) {
        let mask = width.mask();
        match width {
            Byte => {
                let both = low & mask | (high & mask) << 8;
                self.registers[EAX] = self.registers[EAX] & !0xffff | both;
            }
            _ => {
                self.registers[EAX] = self.registers[EAX] & !mask | low & mask;
                self.registers[EDX] = self.registers[EDX] & !mask | high & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags that instructions compute.
    const FLAGS: u32 = 0x8d5;

    #[test]
    fn instructions_do_what_a_processor_does() {
        let mut n_run = 0;
        for line in include_str!("../../../tests/packer/vectors.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let mut words = line.split(' ');
            let code = words.next().expect("an instruction");
            let numbers: Vec<u32> =
                words.map(|word| u32::from_str_radix(word, 16).expect("a number")).collect();
            let [a, c, d, b, flags, a2, c2, d2, b2, flags2, defined] = numbers[..] else {
                panic!("eleven numbers: {line}")
            };
            let mut image = vec![0x90; 16];
            for (byte, at) in image.iter_mut().zip((0..code.len()).step_by(2)) {
                *byte = u8::from_str_radix(&code[at..at + 2], 16).expect("a byte");
            }
            let mut memory = Memory::new(0x40_0000, image);
            let mut cpu = Cpu::new(0x40_0000);
            cpu.registers[..4].copy_from_slice(&[a, c, d, b]);
            cpu.set_flags(flags);
            cpu.overflow = flags & 0x800 != 0;
            assert_eq!(cpu.step(&mut memory, 1), Ok(1), "{line}");
            assert_eq!(cpu.at as usize, 0x40_0000 + code.len() / 2, "{line}");
            assert_eq!(cpu.registers[..4], [a2, c2, d2, b2], "{line}: {:x?}", cpu.registers);
            let differ = (cpu.flags() ^ flags2) & defined & FLAGS;
            assert_eq!(differ, 0, "{line}: {:x}", cpu.flags());
            n_run += 1;
        }
        assert!(n_run > 500, "{n_run}");
    }
}
