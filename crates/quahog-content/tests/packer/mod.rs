//! Programs that unpack themselves.

use proptest::prelude::*;
use quahog_content::packer::{Unpacked, unpack};
use quahog_content::{Budget, Limits, Shortfall};
use quahog_testkit::builders::packed::{self, KEY, PACKED, PLACE, WRITABLE, unpacker};

/// What is packed: 0x800 bytes.
fn text() -> Vec<u8> {
    (0..0x800u32).map(|n| ((n * n) >> 5) as u8).collect()
}

fn program(code: &[u8], flags: u32) -> Vec<u8> {
    packed::program(code, flags, &text())
}

fn unpacked(file: &[u8]) -> Unpacked {
    unpack(file, &Budget::new(Limits::default()))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[test]
fn a_program_is_run_until_it_is_unpacked() {
    // Asks for a function by a name that it has written, and calls none.
    let asks =
        b"\x68\x03\x31\x40\0\xff\x15\x44\x31\x40\0\x68\x03\x31\x40\0\x50\xff\x15\x40\x31\x40\0";
    for between in [&b""[..], asks] {
        let found = unpacked(&program(&unpacker(between), WRITABLE));
        assert_eq!(found.shortfall, None);
        let image = found.program.expect("it is unpacked");
        assert_eq!(image[0x1000..0x1800], text());
        // It enters where it went on, and what unpacked it is gone.
        assert_eq!((number(&image, 0x68), image[0x46], image.len()), (0x1010, 1, 0x3000));
        // The section lies in the file where it does in memory.
        let section = 0x40 + 24 + 0xe0;
        assert_eq!(number(&image, section + 16), 0x2000);
        assert_eq!(number(&image, section + 20), 0x1000);
    }
}

#[test]
fn its_own_handlers_are_called() {
    // The handler goes on five bytes further, or where it was.
    let handler = |by: u8| {
        let mut code = vec![0xeb, 14]; // over it
        code.extend(b"\x8b\x44\x24\x0c\x83\x80\xb8\0\0\0"); // mov eax, [esp+12]; add [eax+184], by
        code.extend([by, 0x31, 0xc0, 0xc3]); // xor eax, eax; ret
        code.extend(b"\xe8\0\0\0\0\x58\x83\xe8\x13\x50"); // push where it is
        code.extend(b"\x64\xff\x35\0\0\0\0\x64\x89\x25\0\0\0\0"); // into the chain
        code
    };
    let leave = b"\x64\x8f\x05\0\0\0\0\x58";
    // mov [0], eax; and then the flag that asks for a call behind each instruction.
    let faults = [&handler(5)[..], b"\xa3\0\0\0\0", leave].concat();
    let steps = [&handler(0)[..], b"\x9c\x80\x4c\x24\x01\x01\x9d\x90\x90", leave].concat();
    for between in [faults, steps] {
        let found = unpacked(&program(&unpacker(&between), WRITABLE));
        assert_eq!(found.shortfall, None);
        let image = found.program.expect("it is unpacked");
        assert_eq!((number(&image, 0x68), &image[0x1000..0x1800]), (0x1010, &text()[..]));
    }
    // A handler that goes on where it was ends, too.
    let endless = [&handler(0)[..], b"\xa3\0\0\0\0"].concat();
    let budget = Budget::new(Limits::default());
    unpack(&program(&unpacker(&endless), WRITABLE), &budget);
    assert!(budget.work() < 8 << 20, "{}", budget.work());
}

#[test]
fn headers_that_were_packed_come_back() {
    // Behind what it has decoded it writes the headers that it was packed with.
    let header = &program(&[], WRITABLE)[0x40..0x40 + 24 + 0xe0 + 80];
    let mut own = header.to_vec();
    own[40..44].copy_from_slice(&0x1010u32.to_le_bytes());
    own[24 + 0xe0..24 + 0xe0 + 5].copy_from_slice(b".text");
    let mut file = program(&unpacker(b""), WRITABLE);
    let from = PLACE + PACKED + 0x400;
    file[from..from + own.len()].iter_mut().zip(&own).for_each(|(to, byte)| *to = byte ^ KEY);
    let image = unpacked(&file).program.expect("it is unpacked");
    assert_eq!((number(&image, 60), number(&image, 0xd0 + 40)), (0xd0, 0x1010));
    assert_eq!(image[0xd0 + 24 + 0xe0..][..5], *b".text");
    assert_eq!(image.len(), 0x4000);
}

#[test]
fn what_unpacks_nothing_is_no_packed_program() {
    let ordinary = program(&unpacker(b""), 0x6000_0020);
    assert!(unpacked(&ordinary).program.is_none());
    // Its second instruction asks for something unknown, or is none.
    for code in [&b"\x90\xff\x15\x48\x31\x40\0"[..], b"\x90\x0f\x0b", b"\xff\xff", b"\xa1\0\0\0\0"]
    {
        let found = unpacked(&program(code, WRITABLE));
        assert_eq!((found.program, found.shortfall), (None, None));
    }
    assert!(unpacked(b"MZ").program.is_none() && unpacked(b"").program.is_none());
}

#[test]
fn what_comes_half_way_is_told_and_handed_over() {
    let found = unpacked(&program(&unpacker(b"\x0f\x0b"), WRITABLE));
    assert_eq!(found.shortfall, Some(Shortfall::Unsupported));
    let image = found.program.expect("what there is");
    assert_eq!(image[0x1000..0x1800], text());
}

#[test]
fn a_program_that_never_ends_does() {
    // jmp $; and a copy that never stops.
    for code in [&b"\xeb\xfe"[..], b"\xb9\xff\xff\xff\xff\xbe\0\x10\x40\0\x89\xf7\xf3\xa4\xeb\xf0"]
    {
        let budget = Budget::new(Limits::default());
        let found = unpack(&program(code, WRITABLE), &budget);
        if code.len() == 2 {
            assert_eq!(found.shortfall, Some(Shortfall::Fuel));
        }
        assert!(budget.work() < 8 << 20, "{}", budget.work());
    }
    // All of an input together, too.
    let budget = Budget::new(Limits::default());
    for _ in 0..40 {
        unpack(&program(b"\xeb\xfe", WRITABLE), &budget);
    }
    assert!(budget.work() < 70 << 20, "{}", budget.work());
    let limits = Limits { fuel: 1 << 16, ..Limits::default() };
    let found = unpack(&program(b"\xeb\xfe", WRITABLE), &Budget::new(limits));
    assert_eq!(found.shortfall, Some(Shortfall::Fuel));
}

#[test]
fn an_image_that_is_too_large_is_not_made() {
    for (size, shortfall) in [(u32::MAX, Shortfall::Unsupported), (31 << 20, Shortfall::Expansion)]
    {
        let mut file = program(&unpacker(b""), WRITABLE);
        file[0x40 + 80..0x40 + 84].copy_from_slice(&size.to_le_bytes());
        let found = unpacked(&file);
        assert_eq!((found.program, found.shortfall), (None, Some(shortfall)));
    }
}

proptest! {
    #[test]
    fn any_code_runs_within_bounds(
        code in proptest::collection::vec(any::<u8>(), 1..0x100),
        damage in proptest::collection::vec((0..0x400usize, any::<u8>()), 0..8),
    ) {
        let mut file = program(&code, WRITABLE);
        damage.iter().for_each(|&(at, byte)| file[at] = byte);
        let budget = Budget::new(Limits { fuel: 1 << 18, ..Limits::default() });
        let found = unpack(&file, &budget);
        prop_assert!(found.program.is_none_or(|image| image.len() <= 17 << 20));
    }
}
