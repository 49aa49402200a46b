//! Executables: what their headers say, and what never panics.

use proptest::prelude::*;
use quahog_engine::exe::{Headers, Section, embedded, universal_slices};
use quahog_engine::{Interrupted, Meter, Unmetered};
use quahog_sig::model::FileType;
use quahog_testkit::builders::exe::{
    Elf, Import, MachO, Pe, PeSection, icon_group, imports, resources, universal, utf16,
    version_info,
};

const TEXT: PeSection = PeSection { address: 0x1000, memory_len: 0x200, offset: 0x400, len: 0x200 };
const DATA: PeSection = PeSection { address: 0x2000, memory_len: 0x200, offset: 0x600, len: 0x200 };

fn pe() -> Pe {
    Pe { entry: 0x1010, sections: vec![TEXT, DATA], len: 0x800, ..Pe::default() }
}

/// Entry point, and offsets and lengths of the sections; `None` if broken.
fn read(bytes: &[u8], file_type: FileType) -> Option<(u64, Vec<(u64, u64)>)> {
    match Headers::read(bytes, file_type) {
        Headers::Sound(e) => {
            let pairs = e.sections().iter().map(|&Section { offset, len }| (offset, len));
            Some((e.entry(), pairs.collect()))
        }
        Headers::Broken => None,
        Headers::None => panic!("an executable type"),
    }
}

fn read_pe(pe: &Pe) -> Option<(u64, Vec<(u64, u64)>)> {
    read(&pe.build(), FileType::MSEXE)
}

#[test]
fn a_plain_pe_file_is_read() {
    for wide in [false, true] {
        let pe = Pe { wide, ..pe() };
        assert_eq!(read_pe(&pe), Some((0x410, vec![(0x400, 0x200), (0x600, 0x200)])));
    }
}

// Offsets and lengths are rounded, and what lies past the end is cut; all of
// it observed of clamscan 1.4.6.
#[test]
fn sections_are_rounded_and_clipped() {
    let sections = |file_alignment, rows: [(u32, u32); 2], entry| {
        let mut pe = Pe { file_alignment, entry, len: 0x1008, ..pe() };
        for (section, (offset, len)) in pe.sections.iter_mut().zip(rows) {
            (section.offset, section.len) = (offset, len);
        }
        read_pe(&pe).map(|(_, sections)| sections)
    };
    let rounded = [(0x401, 0x1ff), (0x7ff, 0x201)];
    assert_eq!(sections(0x200, rounded, 0x1010), Some(vec![(0x400, 0x200), (0x600, 0x400)]));
    assert_eq!(sections(0x10, rounded, 0x1010), Some(vec![(0x400, 0x200), (0x7f0, 0x210)]));
    assert_eq!(sections(0, rounded, 0x1010), Some(vec![(0x401, 0x1ff), (0x7ff, 0x201)]));
    // One section at a multiple of 512 makes that the unit of all.
    let sector = [(0x401, 0x1ff), (0x600, 0x201)];
    assert_eq!(sections(0x1000, sector, 0x1010), Some(vec![(0x400, 0x200), (0x600, 0x400)]));
    assert_eq!(sections(0x1000, rounded, 0x1010), Some(vec![(0, 0x1000), (0, 0x1000)]));
    let outside = [(0x400, 0x200), (0x4000, 0x200)];
    assert_eq!(sections(0x200, outside, 0x1010), Some(vec![(0x400, 0x200), (0x4000, 0)]));
    let past = [(0x400, 0x200), (0xe00, 0x4000)];
    assert_eq!(sections(0x200, past, 0x1010), Some(vec![(0x400, 0x200), (0xe00, 0x208)]));
    let huge = [(0x400, 0x8000_0000), (0x600, 0x200)];
    assert_eq!(sections(0x200, huge, 0x1010), Some(vec![(0x400, 0xc08), (0x600, 0x200)]));
}

#[test]
fn an_entry_point_lies_in_the_header_or_in_the_last_section_that_has_it() {
    let entry = |entry| read_pe(&Pe { entry, len: 0x4000, ..pe() }).map(|read| read.0);
    assert_eq!(entry(0), Some(0));
    // The length of the header counts in units of memory.
    assert_eq!(entry(0xfff), Some(0xfff));
    assert_eq!(entry(0x11ff), Some(0x5ff));
    assert_eq!(entry(0x1200), None);
    assert_eq!(entry(0x2001), Some(0x601));
    assert_eq!(entry(0x9000), None);
    let mut twice = pe();
    twice.sections[1].address = 0x1000;
    assert_eq!(read_pe(&twice).map(|read| read.0), Some(0x610));
}

#[test]
fn headers_that_make_no_sense_are_broken() {
    assert_eq!(read_pe(&Pe { n_sections: Some(0), ..pe() }), None);
    assert_eq!(read_pe(&Pe { n_sections: Some(3000), ..pe() }), None);
    assert_eq!(read_pe(&Pe { header: 0, ..pe() }), None);
    assert_eq!(read_pe(&Pe { header: 0x7f0, ..pe() }), None);
    let mut high = pe();
    high.sections[1].address = 0x8000_0000;
    assert_eq!(read_pe(&high), None);
    assert_eq!(read(b"MZ", FileType::MSEXE), None);
    assert_eq!(read(b"\x7fELF", FileType::ELF), None);
    assert_eq!(read(b"\xfe\xed\xfa\xce", FileType::MACHO), None);
    assert!(matches!(Headers::read(b"MZ", FileType::ZIP), Headers::None));
}

/// A PE file of one section with imports and version information.
fn with_tables(wide: bool, dlls: &[(&str, &[Import<'_>])]) -> Vec<u8> {
    let mut tables = imports(0x1000, dlls, wide);
    tables.resize(tables.len().next_multiple_of(16), 0);
    let at = 0x1000 + tables.len() as u32;
    let list =
        [(3, 1, b"no version".to_vec()), (16, 1, version_info(&[("Key", "Value"), ("B", "")]))];
    let resources = resources(at, &list);
    let mut directories = [(0, 0); 16];
    directories[1] = (0x1000, 20 * (dlls.len() as u32 + 1));
    directories[2] = (at, resources.len() as u32);
    tables.extend(resources);
    let len = tables.len() as u32;
    let section = PeSection { address: 0x1000, memory_len: len, offset: 0x400, len };
    let mut pe = Pe { wide, directories, sections: vec![section], ..Pe::default() };
    pe.len = 0x400 + tables.len();
    pe.place(0x400, &tables);
    pe.build()
}

#[test]
fn imports_are_named_in_the_order_of_their_tables() {
    use Import::{Name, Number};
    let dlls: &[(&str, &[Import<'_>])] = &[
        ("KERNEL32.dll", &[Name("ExitProcess"), Number(5)]),
        ("WS2_32.DLL", &[Number(1), Number(2), Number(9999)]),
        ("OleAut32.dll", &[Number(2)]),
        ("a.b.dll", &[Name("X")]),
        ("x.OCX", &[Name("?f@@YA"), Name("")]),
        ("y.exe", &[]),
        ("z.drv", &[Name("Y")]),
    ];
    let expected = "kernel32.exitprocess,kernel32.ord5,ws2_32.accept,ws2_32.bind,ws2_32.ord9999,\
                    oleaut32.sysallocstring,a.b.dll.x,x.?f@@ya,x.,z.drv.y";
    for wide in [false, true] {
        let bytes = with_tables(wide, dlls);
        let headers = Headers::read(&bytes, FileType::MSEXE);
        let text = headers.sound().unwrap().imports(&bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(text), expected);
    }
}

#[test]
fn version_keys_are_found() {
    let bytes = with_tables(false, &[]);
    let headers = Headers::read(&bytes, FileType::MSEXE);
    let keys = headers.sound().unwrap().version_keys(&bytes);
    let [first, second] = keys else { panic!("two keys: {keys:?}") };
    assert!(bytes[*first..].starts_with(&utf16("Key\0")));
    assert!(bytes[*second..].starts_with(&utf16("B\0")));
}

/// A PE file with these resources alone.
fn with_resources(list: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let table = resources(0x1000, list);
    let len = table.len() as u32;
    let section = PeSection { address: 0x1000, memory_len: len, offset: 0x400, len };
    let mut pe = Pe { entry: 0x1000, sections: vec![section], ..Pe::default() };
    pe.directories[2] = (0x1000, len);
    pe.len = 0x400 + table.len();
    pe.place(0x400, &table);
    pe.build()
}

/// The icons of a file, by their first byte.
fn icons(bytes: &[u8]) -> Vec<u8> {
    let headers = Headers::read(bytes, FileType::MSEXE);
    headers.sound().unwrap().icons(bytes).into_iter().map(|at| bytes[at]).collect()
}

// The first group counts, and its entries in their order; all of it observed
// of clamscan 1.4.6.
#[test]
fn icons_are_those_that_the_first_group_names() {
    let icon = |number: u32| (3, number, vec![number as u8; 4]);
    let file = |groups: &[&[u16]]| {
        let groups = groups.iter().zip(7..).map(|(icons, n)| (14, n, icon_group(icons)));
        icons(&with_resources(
            &[icon(1), icon(2), icon(3)].into_iter().chain(groups).collect::<Vec<_>>(),
        ))
    };
    assert_eq!(file(&[&[2, 1]]), [2, 1]);
    assert_eq!(file(&[&[2], &[1]]), [2]);
    assert_eq!(file(&[&[], &[1]]), [0; 0]);
    assert_eq!(file(&[&[9, 1, 1]]), [1, 1]);
    // 100 are looked at; one more says that there are more.
    assert_eq!(file(&[&[3; 200]]).len(), 101);
    // What a group counts has to be there.
    let mut cut = icon_group(&[1, 2]);
    cut[4] = 200;
    assert_eq!(icons(&with_resources(&[icon(1), icon(2), (14, 1, cut)])), [1, 2]);
    assert_eq!(icons(&with_resources(&[icon(1), (14, 1, vec![0, 0, 1])])), [0; 0]);
}

/// Imports that refer to one list of functions again and again end.
#[test]
fn tables_that_repeat_themselves_are_given_up() {
    let functions: Vec<Import<'_>> = (0..2000).map(Import::Number).collect();
    let mut bytes = with_tables(false, &[("k.dll", &functions)]);
    let headers = Headers::read(&bytes, FileType::MSEXE);
    assert!(headers.sound().unwrap().imports(&bytes).is_some());
    // The same descriptor a thousand times, at the end of the file.
    let descriptor = bytes[0x400..0x414].to_vec();
    let at = bytes.len();
    bytes.extend(descriptor.repeat(1000));
    let (low, len) = (bytes.len() - 0x400, bytes.len() as u32 - 0x400);
    assert!(low > 20_000);
    let table = (0x40 + 24 + 96 + 8, 0x40 + 24 + 224);
    bytes[table.0..table.0 + 4].copy_from_slice(&(0x1000 + at as u32 - 0x400).to_le_bytes());
    bytes[table.0 + 4..table.0 + 8].copy_from_slice(&20_000u32.to_le_bytes());
    bytes[table.1 + 16..table.1 + 20].copy_from_slice(&len.to_le_bytes());
    let headers = Headers::read(&bytes, FileType::MSEXE);
    assert_eq!(headers.sound().unwrap().imports(&bytes), None);
}

#[test]
fn elf_files_of_all_four_kinds_are_read() {
    for (wide, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let elf = Elf {
            wide,
            big,
            entry: 0x8010,
            segments: vec![(0, 0x1000, 0x100), (0x100, 0x8000, 0x100)],
            sections: vec![(0x100, 0x40), (0x5000, 0x60)],
            table: 0x200,
            len: 0x400,
            placed: Vec::new(),
        };
        let read = |elf: &Elf| read(&elf.build(), FileType::ELF);
        assert_eq!(read(&elf), Some((0x110, vec![(0x100, 0x40), (0x5000, 0x60)])));
        assert_eq!(read(&Elf { entry: 0x9000, ..elf.clone() }), None);
        let none = Elf { segments: Vec::new(), sections: Vec::new(), ..elf.clone() };
        assert_eq!(read(&none), Some((0, Vec::new())));
        assert_eq!(read(&Elf { table: 0x3f0, ..elf }), None);
    }
}

#[test]
fn mach_o_files_of_all_four_kinds_are_read() {
    for (wide, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let mach_o = MachO {
            wide,
            big,
            entry: Some(0x1110),
            sections: vec![(0x1000, 0x200, 0x40), (0x1100, 0x300, 0x60)],
            len: 0x400,
            placed: Vec::new(),
        };
        let read = |mach_o: &MachO| read(&mach_o.build(), FileType::MACHO);
        assert_eq!(read(&mach_o), Some((0x310, vec![(0x200, 0x40), (0x300, 0x60)])));
        assert_eq!(read(&MachO { entry: None, ..mach_o.clone() }).map(|r| r.0), Some(0));
        assert_eq!(read(&MachO { len: 0x60, ..mach_o }), None);
    }
}

#[test]
fn universal_binaries_are_cut_into_their_programs() {
    let bytes = universal(&[b"first program".to_vec(), b"second".to_vec()]);
    let slices: Vec<&[u8]> = universal_slices(&bytes).into_iter().map(|s| &bytes[s]).collect();
    assert_eq!(slices, [&b"first program"[..], b"second"]);
    assert!(matches!(Headers::read(&bytes, FileType::MACHO_UNIBIN), Headers::Broken));
    assert!(universal_slices(b"\xca\xfe\xba\xbe\0\0\0\xff").is_empty());
}

#[test]
fn a_program_inside_is_found_if_its_headers_are_sound() {
    let inner = pe().build();
    let find = |bytes: &[u8]| embedded(bytes, &Unmetered).unwrap();
    assert_eq!(find(&inner), None);
    assert_eq!(find(&[b"x".repeat(100), inner.clone()].concat()), Some(100));
    let broken = Pe { n_sections: Some(0), ..pe() }.build();
    assert_eq!(find(&[broken.clone(), broken, inner].concat()), Some(0x1000));
    // 300 bytes between the marks are the most.
    let far = |header| find(&[b"x".to_vec(), Pe { header, ..pe() }.build()].concat());
    assert_eq!((far(302), far(303)), (Some(1), None));
}

/// Counts what it is charged.
#[derive(Default)]
struct Counter(std::cell::Cell<u64>);

impl Meter for Counter {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        self.0.set(self.0.get() + work);
        Ok(())
    }
}

/// Marks in great number cost no more than a constant times their bytes.
#[test]
fn marks_of_programs_are_looked_at_once() {
    let counter = Counter::default();
    let bytes = b"MZPE\0\0".repeat(20_000);
    assert_eq!(embedded(&bytes, &counter), Ok(None));
    assert!(counter.0.get() < 32 * bytes.len() as u64, "{}", counter.0.get());
}

fn read_all(bytes: &[u8]) {
    for file_type in [FileType::MSEXE, FileType::ELF, FileType::MACHO, FileType::MACHO_UNIBIN] {
        if let Some(executable) = Headers::read(bytes, file_type).sound() {
            for &key in executable.version_keys(bytes) {
                assert!(key < bytes.len());
            }
            executable.imports(bytes);
            for at in executable.icons(bytes) {
                assert!(at <= bytes.len());
            }
        }
    }
    for slice in universal_slices(bytes) {
        assert!(slice.end <= bytes.len());
    }
    embedded(bytes, &Unmetered).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        kind in 0..5usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let magic: &[u8] =
            [&b"MZ"[..], b"\x7fELF\x01\x01", b"\x7fELF\x02\x02", b"\xfe\xed\xfa\xce", b"\xca\xfe\xba\xbe"][kind];
        read_all(&[magic, &bytes].concat());
    }

    #[test]
    fn spoiled_headers_are_read_without_a_panic(
        wide in any::<bool>(),
        edits in proptest::collection::vec((0..0x700usize, any::<u32>()), 1..12),
        len in 0..0x900usize,
    ) {
        let mut bytes = with_tables(wide, &[("k.dll", &[Import::Name("f"), Import::Number(3)])]);
        for (at, value) in edits {
            let value = value.to_le_bytes();
            let at = at.min(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&value);
        }
        bytes.truncate(bytes.len().max(len) - len.min(bytes.len()) / 8);
        read_all(&bytes);
    }
}

/// As many sections as a header can name, all over each other, and tables that
/// look up an address for every few bytes.
#[test]
fn the_most_sections_cost_little_time() {
    let n = 65_000;
    let table = 0x40 + 24 + 224;
    let body = (table + 40 * n as usize).next_multiple_of(0x1000) as u32;
    let sections: Vec<PeSection> = (0..n)
        .map(|at| PeSection { address: 0x1000 + at, memory_len: 1, offset: body, len: 0x40_0000 })
        .collect();
    let mut directories = [(0, 0); 16];
    directories[1] = (0x2_0000, 40);
    let thunks = 0x3000u32.to_le_bytes().repeat(300_000);
    let mut pe = Pe {
        entry: 0x1000 + n,
        section_alignment: 1,
        file_alignment: 1,
        sections,
        directories,
        len: body as usize + 0x40_0000,
        ..Pe::default()
    };
    // The last section decides: what is at its address is at the start of it.
    let at = (body + 0x2_0000 - (0x1000 + n - 1)) as usize;
    let descriptor = [0x4_0000u32, 0, 0, 0x2_0100, 0x4_0000].map(u32::to_le_bytes).concat();
    pe.place(at, &descriptor);
    pe.place(at + 0x100, b"k.dll\0");
    pe.place(at + 0x2_0000, &thunks);
    let bytes = pe.build();
    let start = std::time::Instant::now();
    let headers = Headers::read(&bytes, FileType::MSEXE);
    let executable = headers.sound().unwrap();
    assert_eq!(executable.entry(), u64::from(body) + 1);
    assert!(executable.imports(&bytes).is_none_or(|text| text.len() > 600_000));
    // Some 100 ms without optimisation; minutes, were each look-up linear.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// Headers over headers, each with the most sections, and none of them sound.
#[test]
fn headers_without_sense_are_given_up() {
    // A DOS header, a PE header that claims 65,535 sections, and so on.
    let header = [&b"MZ"[..], &[0; 58], &64u32.to_le_bytes(), b"PE\0\0\x4c\x01\xff\xff", &[0; 56]];
    let counter = Counter::default();
    let bytes = header.concat().repeat(40_000);
    assert_eq!(embedded(&bytes, &counter), Ok(None));
    assert!(counter.0.get() < 16 * bytes.len() as u64, "{}", counter.0.get());
}
