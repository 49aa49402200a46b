//! Any text is read as YARA rules without harm, its errors lie inside its
//! lines, and rules that load run to an end on any bytes; random rules that
//! are sound give what the reference interpreter gives.

use std::cell::Cell;
use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use quahog_engine::{Engine, Interrupted, Layer, Look, Meter, Scratch};
use quahog_sig::model::FileType;
use quahog_sig::{Diagnostic, Format, SetBuilder};
use quahog_testkit::YaraCase;
use quahog_testkit::reference::{Database, Options, View};

/// So much work, and no more: conditions can ask for loops without end.
struct Fuel(Cell<u64>);

impl Meter for Fuel {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        let left = self.0.get().checked_sub(work).ok_or(Interrupted)?;
        self.0.set(left);
        Ok(())
    }
}

/// The names found, or nothing where the work was too much.
fn scan(text: &[u8], strict: bool, haystack: &[u8]) -> Option<BTreeSet<String>> {
    let mut builder = SetBuilder::new().strict_frames(strict);
    builder.source("fuzz.yar", false);
    builder.document(Format::Yar, text, &mut |entry| {
        if let Err(error) = entry.outcome {
            assert!(error.span().end() <= entry.line.text.len(), "{error}");
            let line = entry.line;
            let _ = Diagnostic::new("fuzz.yar", line.number, line.text, error).render();
        }
    });
    let engine = Engine::new(builder.finish()).expect("small tables");
    let layer = Layer::new(haystack, FileType::BINARY_DATA, None);
    let mut hits = Vec::new();
    let fuel = Fuel(Cell::new(10_000_000));
    engine.scan(&layer, Look::Raw, &mut Scratch::default(), &fuel, &mut hits).ok()?;
    Some(hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect())
}

/// Holds `data` to that.
pub(crate) fn run(data: &[u8]) {
    let middle = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (text, haystack) = data.split_at(middle);
    scan(text, false, haystack);

    let Ok(case) = YaraCase::arbitrary(&mut Unstructured::new(data)) else { return };
    let files = [("case.yar", &case.text)];
    let Ok(database) = Database::load(&files, &Options::default()) else { return };
    let wanted = database.verdict(&View::new(&case.haystack).with_targets([14, 0]));
    if let Some(found) = scan(case.text.as_bytes(), true, &case.haystack) {
        assert_eq!(found, wanted.names, "{}", case.text);
    }
}
