//! What the system does for a program that unpacks itself: next to nothing.

use std::collections::HashMap;

use super::cpu::{Cpu, Stop};
use super::memory::Memory;

/// Where the functions of the system would be: each has an address there.
const FUNCTIONS: u32 = 0x7000_0000;
/// Where a handler returns to.
const BACK: u32 = 0x7100_0000;
/// Where its libraries would be.
const LIBRARY: u32 = 0x7700_0000;
/// Functions that a program may ask for.
const MOST: usize = 4096;

/// The functions that the program knows the addresses of.
#[derive(Debug, Default)]
pub(super) struct System {
    names: Vec<Vec<u8>>,
    known: HashMap<Vec<u8>, u32>,
}

impl System {
    /// The address of a function; behind so many, one that nothing is known of.
    pub(super) fn address(&mut self, name: &[u8]) -> u32 {
        if let Some(address) = self.known.get(name) {
            return *address;
        }
        let address = FUNCTIONS + 16 * self.names.len() as u32; // `MOST` at most
        if self.names.len() < MOST {
            self.names.push(name.to_vec());
            self.known.insert(name.to_vec(), address);
        }
        address
    }

    /// Whether an address is that of a function.
    pub(super) fn has(&self, at: u32) -> bool {
        (at.wrapping_sub(FUNCTIONS) as usize) <= 16 * MOST || at == BACK
    }

    /// Has the program's own handler see to what it cannot do.
    pub(super) fn raise(&self, cpu: &mut Cpu, memory: &mut Memory) -> Result<bool, Stop> {
        cpu.raise(memory, BACK)
    }

    /// Does what the function at which the program is does, and returns from it.
    pub(super) fn serve(&mut self, cpu: &mut Cpu, memory: &mut Memory) -> Result<(), Stop> {
        if cpu.at == BACK {
            return cpu.resume(memory);
        }
        let number = cpu.at.wrapping_sub(FUNCTIONS) as usize / 16;
        let name = self.names.get(number).map_or(&b""[..], |name| &name[..]);
        if name == b"GetProcAddress" {
            let text = match cpu.argument(memory, 1)? {
                number @ ..0x1_0000 => format!("#{number}").into_bytes(),
                at => memory.text(at),
            };
            let is_asked = cpu.argument(memory, 0)? != 0 && !text.is_empty();
            let address = if is_asked { self.address(&text) } else { 0 };
            return cpu.give_back(memory, address, 2);
        }
        let argument = |number| cpu.argument(memory, number);
        let (value, n_arguments) = match name {
            b"LoadLibraryA" | b"GetModuleHandleA" | b"LoadLibraryW" | b"GetModuleHandleW" => {
                let library = match argument(0)? {
                    0 => memory.base(),
                    name if memory.text(name).is_empty() => 0,
                    _ => LIBRARY,
                };
                (library, 1)
            }
            b"LoadLibraryExA" => (LIBRARY, 3),
            b"VirtualAlloc" => {
                let len = argument(1)?;
                (memory.allocate(len).unwrap_or(0), 4)
            }
            b"GlobalAlloc" | b"LocalAlloc" => {
                let len = argument(1)?;
                (memory.allocate(len).unwrap_or(0), 2)
            }
            b"HeapAlloc" | b"RtlAllocateHeap" => {
                let len = argument(2)?;
                (memory.allocate(len).unwrap_or(0), 3)
            }
            b"VirtualProtect" => {
                let [old, kind] = [argument(3)?, 0x40u32];
                memory.write(old, kind.to_le_bytes())?;
                (1, 4)
            }
            b"HeapCreate" | b"HeapFree" | b"VirtualFree" => (1, 3),
            b"GetProcessHeap"
            | b"GetCurrentProcess"
            | b"GetCurrentThreadId"
            | b"GetTickCount"
            | b"GetVersion" => (1, 0),
            b"IsDebuggerPresent" | b"GetLastError" => (0, 0),
            b"GetModuleFileNameA" => (0, 3),
            b"CreateFileA" => (u32::MAX, 7),
            b"SetUnhandledExceptionFilter" => (0, 1),
            b"FreeLibrary" | b"GlobalFree" | b"LocalFree" | b"CloseHandle" => (0, 1),
            _ => return Err(Stop::System),
        };
        cpu.give_back(memory, value, n_arguments)
    }
}
