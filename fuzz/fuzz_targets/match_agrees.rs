#![no_main]
//! The engine finds exactly the names that the reference interpreter finds.
use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use quahog_engine::{Engine, Layer, Look, Scratch, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, Lines, SetBuilder};
use quahog_testkit::ArbitraryCase;
use quahog_testkit::reference::{Database, Options};

fuzz_target!(|case: ArbitraryCase| {
    if case.haystack.len() > 4096 {
        return;
    }
    let Ok(database) = Database::load(&case.files, &Options::default()) else { return };
    let mut builder = SetBuilder::new().strict_frames(true);
    for (name, text) in &case.files {
        let Some(format) = Format::from_file_name(name) else { return };
        builder.source(name, false);
        for line in Lines::new(text.as_bytes()).filter(|l| !l.is_blank() && !l.is_comment()) {
            let _ = builder.line(format, line.number, line.text);
        }
    }
    let engine = Engine::new(builder.finish()).expect("small tables");
    let layer = Layer::new(&case.haystack, FileType::BINARY_DATA, None);
    let mut hits = Vec::new();
    engine
        .scan(&layer, Look::Raw, &mut Scratch::default(), &Unmetered, &mut hits)
        .expect("nothing calls it off");
    let mut found: BTreeSet<String> =
        hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect();
    let verdict = database.verdict(&case.view());
    for (_, name) in &verdict.unsupported {
        found.remove(&format!("{name}.UNOFFICIAL"));
    }
    assert_eq!(found, verdict.names);
});
