//! Icons of programs, held to the reference interpreter.

use proptest::prelude::*;
use quahog_engine::Engine;
use quahog_testkit::builders::exe::{Pe, PeSection, icon_group, made_up_icon, resources};
use quahog_testkit::reference::{self, Options, View};

use crate::{names, read, scan};

/// A program that has these resources as its icons.
fn program(icons: &[Vec<u8>]) -> Vec<u8> {
    let numbers: Vec<u16> = (1..).take(icons.len()).collect();
    let icon = |(number, bytes): (&u16, &Vec<u8>)| (3, u32::from(*number), bytes.clone());
    let mut list: Vec<_> = numbers.iter().zip(icons).map(icon).collect();
    list.push((14, 1, icon_group(&numbers)));
    let table = resources(0x1000, &list);
    let len = table.len() as u32;
    let section = PeSection { address: 0x1000, memory_len: len, offset: 0x400, len };
    let mut pe = Pe { entry: 0x1000, sections: vec![section], ..Pe::default() };
    pe.directories[2] = (0x1000, len);
    pe.len = 0x400 + table.len();
    pe.place(0x400, &table);
    pe.build()
}

/// A signature for each line of `testdata/icon/pictures.txt`, by its number.
fn signatures() -> Vec<(String, String)> {
    let (mut idb, mut ldb) = (String::new(), String::new());
    let data = include_str!("../../../../testdata/icon/pictures.txt");
    for (n, line) in data.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let metrics = line.rsplit(' ').next().expect("a word");
        idb += &format!("I{n}:one{n}:{}:{metrics}\n", n % 3);
        ldb += &format!("A{n};Engine:52-255,Target:1,IconGroup1:one{n};0;4d5a\n");
    }
    ldb += "B;Engine:52-255,Target:1,IconGroup2:1;0;4d5a\n\
            C;Engine:52-255,Target:1,IconGroup1:one3,IconGroup2:*;0;4d5a\n\
            D;Engine:52-255,Target:1,IconGroup1:one3,IconGroup2:1;0;4d5a\n\
            E;Engine:52-255,Target:1,IconGroup1:none;0;4d5a\n";
    vec![("x.idb".to_owned(), idb), ("x.ldb".to_owned(), ldb)]
}

/// What engine and reference find; they have to agree.
fn found(files: &[(String, String)], bytes: &[u8]) -> Vec<String> {
    let (set, refused) = read(files);
    assert!(refused.is_empty(), "{refused:?}");
    let engine = Engine::new(set).expect("an engine");
    let database = reference::Database::load(files, &Options::strict()).expect("sound lines");
    let verdict = database.verdict(&View::new(bytes).with_targets([0, 1]));
    assert!(verdict.unsupported.is_empty(), "{:?}", verdict.unsupported);
    let mut hits = scan(&engine, bytes, &[1]);
    // A spoiled count of icons may be past the most that are looked at. Then the
    // engine leaves open what the reference does not find.
    hits.retain(|hit| engine.undecided(hit).is_none());
    let found = names(&engine, &hits);
    assert_eq!(found, verdict.names);
    found.into_iter().map(|name| name.trim_end_matches(".UNOFFICIAL").to_owned()).collect()
}

#[test]
fn an_icon_is_found_by_its_own_metrics() {
    let icon = made_up_icon(6, 32, 32, 24, true).build();
    assert_eq!(found(&signatures(), &program(&[icon])), ["A3", "C"]);
    let icons = [(3, 16, 24, false), (9, 32, 32, true)];
    let icons =
        icons.map(|(seed, size, bits, mask)| made_up_icon(seed, size, size, bits, mask).build());
    assert_eq!(found(&signatures(), &program(&icons)), ["A0", "A5"]);
    assert!(found(&signatures(), &program(&[])).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Sizes, depths and spoiled bytes: no panic, and the same names.
    #[test]
    fn any_icons_are_read_as_the_reference_reads_them(
        icons in proptest::collection::vec(
            (0..30u32, 14..70u32, 0..12u32, 0..8usize, any::<bool>()), 0..4),
        spoiled in proptest::collection::vec((0..1_000usize, any::<u8>()), 0..4),
        cut in 0..400usize,
    ) {
        let build = |(seed, width, less, depth, mask): (u32, u32, u32, usize, bool)| {
            let bits = [1, 4, 8, 16, 24, 32, 24, 32][depth];
            made_up_icon(seed, width, width.saturating_sub(less).max(1), bits, mask).build()
        };
        let mut bytes = program(&icons.into_iter().map(build).collect::<Vec<_>>());
        for (at, value) in spoiled {
            // Past the headers, where the tables of resources are.
            if let Some(byte) = bytes.get_mut(0x400 + at) {
                *byte = value;
            }
        }
        let room = bytes.len() - 0x400;
        bytes.truncate(bytes.len() - cut.min(room / 2));
        found(&signatures(), &bytes);
    }
}
