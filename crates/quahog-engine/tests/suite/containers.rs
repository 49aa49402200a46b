//! Container metadata held to the reference.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use quahog_engine::{Engine, Layer, PartEntry, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};
use quahog_testkit::ContainerCase;
use quahog_testkit::reference::container_line_matches;

/// The case of a number.
fn case(seed: u64) -> ContainerCase {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let bytes: Vec<u8> = (0..1_024).map(|_| byte()).collect();
    ContainerCase::arbitrary(&mut Unstructured::new(&bytes)).expect("a case")
}

#[test]
fn random_entries_agree_with_the_reference() {
    let (mut n_matches, mut n_refused) = (0_u64, 0_u64);
    let seeds = crate::seeds(1_500);
    for seed in seeds.clone() {
        let ContainerCase { lines, entry } = case(seed);
        let mut builder = SetBuilder::new();
        let mut expected = BTreeSet::new();
        for (number, line) in lines.iter().enumerate() {
            let admitted = builder.line(Format::Cdb, number as u32 + 1, line.as_bytes());
            let holds = container_line_matches(line, &entry);
            assert_eq!(admitted.is_err(), holds.is_err(), "{seed}: {line}: {admitted:?} {holds:?}");
            n_refused += u64::from(holds.is_err());
            if holds == Ok(true) {
                expected.insert(format!("N{number}.UNOFFICIAL"));
            }
        }
        let engine = Engine::new(builder.finish()).expect("an engine");
        let bytes = vec![0; usize::try_from(entry.container_size).expect("a small container")];
        let file_type = FileType::from_name(entry.file_type.as_bytes()).expect("a type");
        let part = PartEntry {
            name: &entry.name,
            packed_size: entry.packed_size,
            size: entry.size,
            encrypted: entry.encrypted,
            position: entry.position,
        };
        let mut hits = Vec::new();
        let container = Layer::new(&bytes, file_type, None);
        engine.scan_entry(&container, &part, &Unmetered, &mut hits).expect("nothing calls it off");
        let found: BTreeSet<String> =
            hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect();
        assert_eq!(found, expected, "{seed}: {lines:?} {entry:?}");
        n_matches += expected.len() as u64;
    }
    let n_cases = seeds.end - seeds.start;
    assert!(
        n_matches * 10 > n_cases && n_refused * 10 > n_cases,
        "{n_matches} matches, {n_refused} refused"
    );
}
