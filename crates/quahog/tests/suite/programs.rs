//! Programs on their way through a scan: inside others, looked at again, and
//! by hashes of their parts.

use quahog_testkit::builders::exe::{
    Import, MachO, Pe, PeSection, icon_group, imports, made_up_icon, resources, universal,
};
use quahog_testkit::builders::packed;

use crate::{Folder, live, names, scan_all};
use quahog::Settings;

pub(crate) fn program(text: &[u8]) -> Vec<u8> {
    let section = PeSection { address: 0x1000, memory_len: 9, offset: 0x400, len: 0x200 };
    let mut pe = Pe { entry: 0x1000, sections: vec![section], len: 0x600, ..Pe::default() };
    pe.place(0x400, text);
    pe.build()
}

/// "token" at the entry point of a PE file.
const AT_ENTRY: &str = "At.Entry:1:EP+0:746f6b656e\n";

#[test]
fn a_program_inside_a_program_is_a_layer_of_its_own() {
    let inside = "In;Engine:51-255,Target:1,Container:CL_TYPE_MSEXE;0;EP+0:746f6b656e\n";
    let live = live(&Folder::of(&[("x.ndb", AT_ENTRY), ("x.ldb", inside)]));
    let both = [program(b"nothing"), b"..".to_vec(), program(b"token")].concat();
    let report = scan_all(&live, &both);
    assert_eq!(names(&report), ["At.Entry.UNOFFICIAL", "In.UNOFFICIAL"]);
    assert_eq!(report.detections()[0].object(), "program at 1538");
    assert_eq!(report.detections()[0].offset(), Some(0x400));
    // In the first bytes of something unknown it is one, too.
    let report = scan_all(&live, &[b"\x01\x02\0\x01\0\x01".to_vec(), program(b"token")].concat());
    assert_eq!(names(&report), ["At.Entry.UNOFFICIAL", "In.UNOFFICIAL"]);
    let far = [b"\x01\x02\0\x01\0\x01".repeat(500), program(b"token")].concat();
    assert!(names(&scan_all(&live, &far)).is_empty());
}

/// What it is packed with is one byte; what it was is found at its entry point.
#[test]
fn a_packed_program_is_looked_at_unpacked() {
    let live = live(&Folder::of(&[("x.ndb", AT_ENTRY)]));
    let text = [b"sixteen bytes...", &b"token"[..]].concat();
    let file = packed::program(&packed::unpacker(b""), packed::WRITABLE, &text);
    let report = scan_all(&live, &file);
    assert_eq!(names(&report), ["At.Entry.UNOFFICIAL"]);
    let found = &report.detections()[0];
    assert_eq!((found.object(), found.offset()), ("unpacked", Some(0x1010)));
    assert_eq!(report.completeness(), quahog::Completeness::Complete);
    let mut without = Settings::default();
    without.pe = false;
    assert!(names(&live.scanner_with(without).scan(&file)).is_empty());
}

/// Programs inside programs end with the depth, and it is said.
#[test]
fn programs_nest_no_deeper_than_allowed() {
    let live = live(&Folder::of(&[("x.ndb", AT_ENTRY)]));
    let many: Vec<u8> = (0..60).flat_map(|_| program(b"nothing")).collect();
    let report = scan_all(&live, &many);
    assert!(matches!(report.completeness(), quahog::Completeness::Incomplete(_)));
    assert!(report.stats().layers < 40, "{:?}", report.stats());
}

#[test]
fn programs_of_a_universal_binary_are_layers() {
    let live = live(&Folder::of(&[("x.ndb", "In.Section:9:S0+0:746f6b656e\n")]));
    let mach_o = |text: &[u8]| {
        let placed = vec![(0x200, text.to_vec())];
        let sections = vec![(0, 0x200, 9)];
        MachO { wide: true, big: false, entry: None, sections, len: 0x400, placed }.build()
    };
    let report = scan_all(&live, &universal(&[mach_o(b"nothing"), mach_o(b"token")]));
    assert_eq!(names(&report), ["In.Section.UNOFFICIAL"]);
    assert_eq!(report.detections()[0].object(), "#2");
}

/// The signature alerts, and the layer is looked at as what it says.
#[test]
fn a_handler_type_looks_at_the_layer_again() {
    let ldb = "Handled;Engine:51-255,Target:0,HandlerType:CL_TYPE_MSEXE;0;746f6b656e\n\
               Back;Engine:51-255,Target:1,HandlerType:CL_TYPE_ELF;0;746f6b656e\n";
    let live = live(&Folder::of(&[("x.ldb", ldb), ("x.ndb", "Seen:1:*:746f6b656e\n")]));
    let report = scan_all(&live, b"\x01\x02\0\x01\0\x01....token");
    let mut found = names(&report);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ["Back.UNOFFICIAL", "Handled.UNOFFICIAL", "Seen.UNOFFICIAL"]);
    assert!(report.stats().layers <= 2, "{:?}", report.stats());
}

#[test]
fn a_broken_program_loses_what_depends_on_its_end() {
    let ndb = format!("{AT_ENTRY}End:0:EOF-5:746f6b656e\nAny:0:*:746f6b656e\n");
    let live = live(&Folder::of(&[("x.ndb", ndb)]));
    let report = scan_all(&live, b"MZ and no more of a program than this token");
    assert_eq!(names(&report), ["Any.UNOFFICIAL"]);
    let report = scan_all(&live, b"NZ and no more of a program than this token");
    let mut found = names(&report);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ["Any.UNOFFICIAL", "End.UNOFFICIAL"]);
}

/// A program with "token" and as many icons, each of another picture.
fn with_icons(count: u16) -> Vec<u8> {
    let number = |n: u16| u32::from(n);
    let icon = |n| (3, number(n), made_up_icon(3 * number(n), 16, 16, 24, false).build());
    let mut list: Vec<_> = (1..=count).map(icon).collect();
    list.push((14, 1, icon_group(&(1..=count).collect::<Vec<_>>())));
    let table = resources(0x1010, &list);
    let len = 0x10 + table.len() as u32;
    let section = PeSection { address: 0x1000, memory_len: len, offset: 0x400, len };
    let mut pe = Pe { entry: 0x1000, sections: vec![section], ..Pe::default() };
    pe.len = 0x400 + len as usize;
    pe.directories[2] = (0x1010, len - 0x10);
    pe.place(0x400, b"token");
    pe.place(0x410, &table);
    pe.build()
}

/// Pictures by their numbers, as clamscan 1.4.6 prints them: 1 is that of the
/// first icon, and the other is like none.
#[test]
fn icons_decide_where_a_signature_asks_for_one() {
    let first = "10db20508d710a06bda00055bc050062e050b6a80009df0a08de0508d4\
                 00036b050b7500008f090b9205069109095a040214000a1a00001b0a001f202550";
    let other = "107b3000168306015c20a0105b07060be0a0b11c050bea0706cb0a0bbb060b\
                 6f00017c06018301068109086b03046705081b000a270a002a000039002b17";
    let ldb = "Icon;Engine:52-255,Target:1,IconGroup1:one,IconGroup2:*;0;746f6b656e\n";
    let scan = |group: &str, metrics: &str, program: &[u8]| {
        let idb = format!("I:{group}:two:{metrics}\n");
        let live = live(&Folder::of(&[("x.ldb", ldb.to_owned()), ("x.idb", idb)]));
        let report = scan_all(&live, program);
        let complete = report.completeness() == quahog::Completeness::Complete;
        (!names(&report).is_empty(), complete)
    };
    let program = with_icons(3);
    assert_eq!(scan("one", first, &program), (true, true));
    assert_eq!(scan("one", other, &program), (false, true));
    assert_eq!(scan("two", first, &program), (false, true));
    assert_eq!(scan("one", first, &with_icons(0)), (false, true));
    // More than 100 icons: what was not looked at is said, unless another was
    // enough.
    let program = with_icons(101);
    assert_eq!(scan("one", first, &program), (true, true));
    assert_eq!(scan("one", other, &program), (false, false));
}

/// A match may start at the first byte behind the section and at none after it.
#[test]
fn the_end_of_a_section_belongs_to_it() {
    let ndb = "At.End:1:SE0:746f6b656e21\nWild:1:SE0:746f6b??6e21\nShift:1:SE0,1:746f6b656e21\n";
    let live = live(&Folder::of(&[("x.ndb", ndb)]));
    let section = PeSection { address: 0x1000, memory_len: 9, offset: 0x400, len: 0x200 };
    let found = |at: usize| {
        let mut pe = Pe { entry: 0x1000, sections: vec![section], len: 0x800, ..Pe::default() };
        pe.place(at, b"token!");
        let report = scan_all(&live, &pe.build());
        names(&report).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let all = ["At.End.UNOFFICIAL", "Shift.UNOFFICIAL", "Wild.UNOFFICIAL"];
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    assert!(sorted(found(0x3ff)).is_empty());
    assert_eq!(sorted(found(0x400)), all);
    assert_eq!(sorted(found(0x600)), all);
    assert_eq!(sorted(found(0x601)), ["Shift.UNOFFICIAL"]);
}

/// clamscan finds plain bytes at the first byte of the section only, in files
/// of 256 KiB and more.
#[test]
fn plain_bytes_are_found_anywhere_in_a_section_of_a_large_program() {
    let ndb = "Plain:1:SE0:746f6b656e\nWild:1:SE0:746f6b??6e\n";
    let live = live(&Folder::of(&[("x.ndb", ndb)]));
    let section = PeSection { address: 0x1000, memory_len: 9, offset: 0x400, len: 0x200 };
    let mut pe = Pe { entry: 0x1000, sections: vec![section], len: 300_000, ..Pe::default() };
    pe.place(0x480, b"token");
    let report = scan_all(&live, &pe.build());
    let mut found = names(&report);
    found.sort_unstable();
    assert_eq!(found, ["Plain.UNOFFICIAL", "Wild.UNOFFICIAL"]);
}

/// clamscan 1.4.6 computes none for PE32+ that any of our files would have.
#[test]
fn imports_of_a_wide_program_have_the_hash_of_a_narrow_one() {
    // The MD5 of `k.f,k.ord3`, and its length.
    let live = live(&Folder::of(&[("x.imp", "77b8e6ce2b1e448b964e995609c8872d:10:Imports\n")]));
    for wide in [false, true] {
        let tables = imports(0x1000, &[("k.dll", &[Import::Name("f"), Import::Number(3)])], wide);
        let len = u32::try_from(tables.len()).expect("a short table");
        let mut directories = [(0, 0); 16];
        directories[1] = (0x1000, 40);
        let section = PeSection { address: 0x1000, memory_len: len, offset: 0x400, len };
        let mut pe = Pe { wide, directories, sections: vec![section], ..Pe::default() };
        pe.len = 0x400 + tables.len();
        pe.place(0x400, &tables);
        assert_eq!(names(&scan_all(&live, &pe.build())), ["Imports.UNOFFICIAL"], "{wide}");
    }
}

/// clamscan 1.4.6 gives up such a file whole.
#[test]
fn sections_without_sense_do_not_hide_others() {
    let live = live(&Folder::of(&[("x.ndb", "First:9:S0+0:746f6b656e\n")]));
    let placed = vec![(0x200, b"token".to_vec())];
    for sections in [
        vec![(0, 0x200, 9)],
        vec![(0, 0x200, 9), (0x100, 0x300, 0xffff_0000)],
        vec![(0, 0x200, 9), (0x100, 0xffff_ff00, 9)],
    ] {
        let (len, placed) = (0x400, placed.clone());
        let mach_o = MachO { wide: true, big: false, entry: None, sections, len, placed };
        assert_eq!(names(&scan_all(&live, &mach_o.build())), ["First.UNOFFICIAL"]);
    }
}
