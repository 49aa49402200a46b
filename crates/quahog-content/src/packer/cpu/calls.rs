//! How a program calls the system, and is called by it.

use super::Width::Long;
use super::{Cpu, EAX, ESP, Memory, Place, Stop};

/// Where a context, in which the system keeps what a program did, has each register,
/// its place and its flags; and how long it is.
const CONTEXT: [u32; 8] = [0xb0, 0xac, 0xa8, 0xa4, 0xc4, 0xb4, 0xa0, 0x9c];
const CONTEXT_AT: u32 = 0xb8;
const CONTEXT_FLAGS: u32 = 0xc0;
const CONTEXT_LEN: u32 = 0x2cc;

impl Cpu {
    /// Returns from a function that was called with so many arguments.
    pub(in crate::packer) fn give_back(
        &mut self,
        memory: &Memory,
        value: u32,
        n_arguments: u32,
    ) -> Result<(), Stop> {
        self.registers[EAX] = value;
        let to = self.pop(memory, Long)?;
        self.registers[ESP] = self.registers[ESP].wrapping_add(4 * n_arguments);
        self.jump(to);
        Ok(())
    }

    /// An argument of a function that was just called.
    pub(in crate::packer) fn argument(&self, memory: &Memory, number: u32) -> Result<u32, Stop> {
        let at = self.registers[ESP].wrapping_add(4 + 4 * number);
        self.get(memory, Place::Memory(at), Long)
    }

    /// Calls the handler that the program has for what it cannot do, as the system
    /// does; says whether it has one. What was done so far is put by on the stack, and
    /// the handler returns to `back`.
    pub(in crate::packer) fn raise(
        &mut self,
        memory: &mut Memory,
        back: u32,
    ) -> Result<bool, Stop> {
        let frame = self.get(memory, Place::Memory(Memory::block()), Long)?;
        let (Ok(handler), true) = (memory.read(frame.wrapping_add(4)), frame != u32::MAX) else {
            return Ok(false);
        };
        let code = if self.stepping { 0x8000_0004 } else { 0xc000_0005 };
        self.stepping = false;
        let context = (self.registers[ESP] & !3).wrapping_sub(CONTEXT_LEN);
        let record = context.wrapping_sub(0x50);
        for (register, place) in CONTEXT.into_iter().enumerate() {
            let value = self.registers[register].to_le_bytes();
            memory.write(context.wrapping_add(place), value)?;
        }
        memory.write(context.wrapping_add(CONTEXT_AT), self.at.to_le_bytes())?;
        memory.write(context.wrapping_add(CONTEXT_FLAGS), self.flags().to_le_bytes())?;
        for (place, value) in [(0, code), (4, 0), (8, 0), (12, self.at), (16, 0)] {
            memory.write(record.wrapping_add(place), u32::to_le_bytes(value))?;
        }
        // The system has a handler of its own, for what goes wrong in this one.
        self.registers[ESP] = record;
        self.push(memory, Long, back)?;
        self.push(memory, Long, frame)?;
        memory.write(Memory::block(), self.registers[ESP].to_le_bytes())?;
        for value in [0, context, frame, record, back] {
            self.push(memory, Long, value)?;
        }
        self.at = u32::from_le_bytes(handler);
        self.jumped = false;
        Ok(true)
    }

    /// Goes on as a handler says that has returned.
    pub(in crate::packer) fn resume(&mut self, memory: &mut Memory) -> Result<(), Stop> {
        // The arguments that it was called with are still there.
        let argument = |number: u32| memory.read(self.registers[ESP].wrapping_add(4 * number));
        let [frame, context] = [argument(1)?, argument(2)?].map(u32::from_le_bytes);
        memory.write(Memory::block(), frame.to_le_bytes())?;
        if self.registers[EAX] != 0 {
            return Err(Stop::System);
        }
        let word = |place: u32| memory.read(context.wrapping_add(place)).map(u32::from_le_bytes);
        for (register, place) in CONTEXT.into_iter().enumerate() {
            self.registers[register] = word(place)?;
        }
        let flags = word(CONTEXT_FLAGS)?;
        self.set_all_flags(flags);
        self.at = word(CONTEXT_AT)?;
        self.jumped = false;
        Ok(())
    }
}
