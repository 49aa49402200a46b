//! The memory of a program that runs: its image, a stack, and what it asks for.

/// Where the stack lies, its size, and the block that threads have.
const STACK: u32 = 0x0010_0000;
const STACK_LEN: usize = 1 << 18;
const BLOCK: u32 = 0x7ffd_e000;
const BLOCK_LEN: usize = 0x2000;
const HEAP: u32 = 0x2000_0000;

/// Bytes that share a mark of having been written.
const GRAIN: usize = 16;

/// The memory.
#[derive(Debug)]
pub(super) struct Memory {
    /// The image first: nearly everything is there.
    regions: [Region; 4],
    /// Which grains of the image were written.
    written: Vec<u64>,
    /// How many grains those are.
    n_written: usize,
    /// What the heap may have.
    most: usize,
}

#[derive(Debug)]
struct Region {
    base: u32,
    bytes: Vec<u8>,
}

/// The program reached for memory that is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fault;

impl Memory {
    /// The image of a program at its address; it may ask for as much again.
    pub(super) fn new(base: u32, image: Vec<u8>) -> Memory {
        let (grains, most) = (image.len().div_ceil(GRAIN), image.len());
        let region = |base, bytes| Region { base, bytes };
        let mut memory = Memory {
            regions: [
                region(base, image),
                region(STACK, vec![0; STACK_LEN]),
                region(HEAP, Vec::new()),
                region(BLOCK, vec![0; BLOCK_LEN]),
            ],
            written: vec![0; grains.div_ceil(64)],
            n_written: 0,
            most,
        };
        // What the program can learn of itself: its block, and the one module that it
        // is, in a list of its own.
        let (process, list, module) = (BLOCK + 0x1000, BLOCK + 0x1200, BLOCK + 0x1300);
        let known = [
            (BLOCK, u32::MAX),
            (BLOCK + 0x18, BLOCK),
            (BLOCK + 0x30, process),
            (process + 8, base),
            (process + 0xc, list),
            (list + 0xc, module),
            (module, list + 0xc),
            (module + 0x18, base),
            (module + 0x20, most as u32), // it was 32 bits in the header
        ];
        for (at, value) in known {
            let _ = memory.write(at, value.to_le_bytes()); // it is there
        }
        memory
    }

    /// Where a stack begins, with room above it.
    pub(super) fn stack() -> u32 {
        STACK + STACK_LEN as u32 - 0x1000
    }

    /// Where `fs` leads.
    pub(super) fn block() -> u32 {
        BLOCK
    }

    pub(super) fn base(&self) -> u32 {
        self.regions[0].base
    }

    pub(super) fn image(&self) -> &[u8] {
        &self.regions[0].bytes
    }

    /// How many bytes of the image were written, about.
    pub(super) fn n_written(&self) -> usize {
        self.n_written * GRAIN
    }

    /// Whether something was written about there.
    pub(super) fn is_written(&self, at: u32) -> bool {
        let grain = at.wrapping_sub(self.base()) as usize / GRAIN;
        self.written.get(grain / 64).is_some_and(|word| word >> (grain % 64) & 1 == 1)
    }

    fn find(&self, at: u32, len: usize) -> Result<(usize, usize), Fault> {
        for (number, region) in self.regions.iter().enumerate() {
            let place = at.wrapping_sub(region.base) as usize;
            if place < region.bytes.len() && region.bytes.len() - place >= len {
                return Ok((number, place));
            }
        }
        Err(Fault)
    }

    pub(super) fn read<const N: usize>(&self, at: u32) -> Result<[u8; N], Fault> {
        let (number, place) = self.find(at, N)?;
        let bytes = self.regions[number].bytes[place..].first_chunk();
        bytes.copied().ok_or(Fault)
    }

    pub(super) fn write<const N: usize>(&mut self, at: u32, bytes: [u8; N]) -> Result<(), Fault> {
        let (number, place) = self.find(at, N)?;
        self.regions[number].bytes[place..place + N].copy_from_slice(&bytes);
        if number == 0 {
            for grain in [place / GRAIN, (place + N - 1) / GRAIN] {
                // The image has the grain.
                let (word, bit) = (&mut self.written[grain / 64], 1 << (grain % 64));
                self.n_written += usize::from(*word & bit == 0);
                *word |= bit;
            }
        }
        Ok(())
    }

    /// The bytes of an instruction; zeros where there are fewer.
    pub(super) fn code(&self, at: u32) -> Result<[u8; 16], Fault> {
        let (number, place) = self.find(at, 1)?;
        let bytes = &self.regions[number].bytes[place..];
        if let Some(whole) = bytes.first_chunk() {
            return Ok(*whole);
        }
        let mut code = [0; 16];
        code.iter_mut().zip(bytes).for_each(|(code, byte)| *code = *byte);
        Ok(code)
    }

    /// A text that ends with a zero, as far as it has 256 bytes.
    pub(super) fn text(&self, at: u32) -> Vec<u8> {
        let bytes = (0..256).map_while(|n| self.read::<1>(at.wrapping_add(n)).ok());
        bytes.flatten().take_while(|&byte| byte != 0).collect()
    }

    /// Sets memory aside; `None` if there is no more.
    pub(super) fn allocate(&mut self, len: u32) -> Option<u32> {
        let len = (len as usize).checked_next_multiple_of(0x1000)?;
        let heap = &mut self.regions[2];
        let start = heap.bytes.len();
        if len == 0 || len > self.most.saturating_sub(start) {
            return None;
        }
        heap.bytes.resize(start + len, 0);
        Some(HEAP + start as u32) // the image is smaller than 4 GiB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_known() {
        let mut memory = Memory::new(0x40_0000, vec![0; 0x3000]);
        assert_eq!(memory.n_written(), 0);
        memory.write(0x40_001e, [1, 2, 3, 4]).expect("it is there");
        assert_eq!(memory.read(0x40_001f), Ok([2, 3]));
        memory.write(0x40_0010, [1; 8]).expect("it is there");
        assert_eq!(memory.n_written(), 2 * GRAIN);
        assert!(memory.is_written(0x40_002f) && !memory.is_written(0x40_0030));
        assert_eq!(memory.write(0x40_2ffd, [0; 4]), Err(Fault));
        assert_eq!(memory.read::<1>(0), Err(Fault));
        assert_eq!(memory.code(0x40_2fff), Ok([0; 16]));
        assert_eq!(memory.allocate(0x2001), Some(HEAP));
        assert_eq!(memory.allocate(1), None);
        assert!(memory.write(HEAP + 0x2fff, [1]).is_ok());
        assert_eq!(memory.text(HEAP + 0x2fff), [1]);
    }
}
