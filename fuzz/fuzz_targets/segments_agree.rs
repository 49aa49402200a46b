#![no_main]
//! One engine of several segments finds what engines of one segment each find.
use std::collections::BTreeSet;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use quahog_engine::{Engine, Layer, Look, Scratch, Segment, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, Lines, SetBuilder};
use quahog_testkit::ArbitraryCase;

fn segment(case: &ArbitraryCase) -> Arc<Segment> {
    let mut builder = SetBuilder::new();
    for (name, text) in &case.files {
        let Some(format) = Format::from_file_name(name) else { continue };
        builder.source(name, false);
        for line in Lines::new(text.as_bytes()).filter(|l| !l.is_blank() && !l.is_comment()) {
            let _ = builder.line(format, line.number, line.text);
        }
    }
    Arc::new(Segment::new(builder.finish()).expect("small tables"))
}

fn names(segments: &[Arc<Segment>], haystack: &[u8]) -> BTreeSet<String> {
    let engine = Engine::from_segments(segments.to_vec()).expect("small tables");
    let layer = Layer::new(haystack, FileType::BINARY_DATA, None);
    let mut hits = Vec::new();
    engine
        .scan(&layer, Look::Raw, &mut Scratch::default(), &Unmetered, &mut hits)
        .expect("nothing calls it off");
    hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect()
}

fuzz_target!(|cases: (ArbitraryCase, ArbitraryCase, ArbitraryCase)| {
    let (a, b, c) = cases;
    let segments = [segment(&a), segment(&b), segment(&c)];
    for haystack in [&a.haystack, &b.haystack, &c.haystack] {
        if haystack.len() > 4096 {
            return;
        }
        let mut expected = BTreeSet::new();
        for one in segments.chunks(1) {
            expected.extend(names(one, haystack));
        }
        assert_eq!(names(&segments, haystack), expected);
    }
});
