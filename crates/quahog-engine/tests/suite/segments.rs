//! An engine of several segments finds what engines of one each find.

use std::collections::BTreeSet;
use std::sync::Arc;

use quahog_engine::{Engine, Segment};
use quahog_testkit::ArbitraryCase;

use super::{names, read, scan};

#[test]
fn several_segments_find_what_each_finds() {
    let mut n_names = 0;
    for seed in 0..400 {
        // Three databases on one haystack, some of which bring many literals.
        let cases = [seed, seed + 1_000, seed + 2_000].map(ArbitraryCase::from_seed);
        let segments: Vec<Arc<Segment>> = cases
            .iter()
            .map(|case| Arc::new(Segment::new(read(&case.files).0).expect("small tables")))
            .collect();
        let engine = |segments: &[Arc<Segment>]| {
            Engine::from_segments(segments.to_vec()).expect("small tables")
        };
        let all = engine(&segments);
        for case in &cases {
            let mut expected = BTreeSet::new();
            for segment in segments.chunks(1) {
                let one = engine(segment);
                expected.extend(names(&one, &scan(&one, &case.haystack, &case.targets)));
            }
            let found = names(&all, &scan(&all, &case.haystack, &case.targets));
            // An allow list of one is the word of all.
            if !found.is_empty() {
                assert_eq!(found, expected, "seed {seed}");
            }
            n_names += found.len();
        }
    }
    assert!(n_names > 400, "{n_names}");
}
