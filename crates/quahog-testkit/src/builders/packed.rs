//! A program that unpacks itself, by a key of one byte: in 32 bits, for Windows.
//!
//! ```
//! use quahog_testkit::builders::packed::{WRITABLE, program, unpacker};
//!
//! let file = program(&unpacker(b""), WRITABLE, b"what it unpacks");
//! assert!(file.starts_with(b"MZ") && file.len() == 0xe00);
//! ```

/// The address of the image.
const BASE: u32 = 0x40_0000;
/// The address of the section that unpacks, and what it enters at.
const PACKER: u32 = 0x3000;
/// Where its bytes lie in the file; and where in these the imports, and the text.
pub const PLACE: usize = 0x400;
const IMPORTS: usize = 0x100;
/// See [`PLACE`].
pub const PACKED: usize = 0x200;
/// Each byte of the text is the exclusive or of it.
pub const KEY: u8 = 0x5a;

/// Numbers, their lowest bytes first.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A program with a hollow section and one with these flags and this code, of 0x100
/// bytes at most, which has a text to unpack, of 0x800.
///
/// It imports two functions, whose addresses come to 0x403140 and behind that.
pub fn program(code: &[u8], flags: u32, text: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x40];
    file[..2].copy_from_slice(b"MZ");
    file[60] = 0x40;
    file.extend(b"PE\0\0\x4c\x01\x02\0");
    file.extend(words(&[0, 0, 0, 0x0102_00e0, 0x10b, 0, 0, 0, PACKER, 0, 0, BASE, 0x1000, 0x200]));
    file.extend(words(&[0, 0, 0, 0, 0x5000, 0x400, 0, 2, 0, 0, 0, 0, 0, 16]));
    let mut directories = [0; 32];
    directories[2] = PACKER + IMPORTS as u32;
    file.extend(words(&directories));
    file.extend(b"hollow\0\0");
    file.extend(words(&[0x2000, 0x1000, 0, PLACE as u32, 0, 0, 0, 0xe000_0080]));
    file.extend(b"packer\0\0");
    file.extend(words(&[0x1000, PACKER, 0xa00, PLACE as u32, 0, 0, 0, flags]));
    file.resize(PLACE, 0);
    file.extend(code);
    file.resize(PLACE + IMPORTS, 0);
    let place = PACKER + IMPORTS as u32;
    file.extend(words(&[0, 0, 0, place + 0x28, place + 0x40, 0, 0, 0, 0, 0]));
    file.extend(b"kernel32.dll\0");
    file.resize(PLACE + IMPORTS + 0x40, 0);
    file.extend(words(&[place + 0x50, place + 0x70, 0]));
    file.resize(PLACE + IMPORTS + 0x50, 0);
    file.extend(b"\0\0GetProcAddress\0");
    file.resize(PLACE + IMPORTS + 0x70, 0);
    file.extend(b"\0\0LoadLibraryA\0");
    file.resize(PLACE + PACKED, 0);
    file.extend(text.iter().map(|byte| byte ^ KEY));
    file.resize(PLACE + PACKED + 0x800, KEY);
    file
}

/// The flags of a section of code that is written to.
pub const WRITABLE: u32 = 0xe000_0020;

/// Code that decodes the text to the first section, at 0x401000, does something, and
/// leaves for 0x401010.
pub fn unpacker(between: &[u8]) -> Vec<u8> {
    let mut code = vec![0x60, 0xbe]; // pushad; mov esi, PACKED
    code.extend((BASE + PACKER + PACKED as u32).to_le_bytes());
    code.push(0xbf); // mov edi, 0x401000
    code.extend((BASE + 0x1000).to_le_bytes());
    code.extend(b"\xb9\0\x08\0\0"); // mov ecx, 0x800
    code.extend(b"\xac\x34\x5a\xaa\xe2\xfa"); // lodsb; xor al, KEY; stosb; loop
    code.extend(between);
    code.push(0x61); // popad
    code.push(0x68); // push 0x401010
    code.extend((BASE + 0x1010).to_le_bytes());
    code.push(0xc3); // ret
    code
}
