//! Whatever the expression and the bytes are, a search ends, nothing panics,
//! and the same search finds the same again.

use quahog_engine::{Engine, Layer, Look, Scratch, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};

/// Holds `data` to that.
pub(crate) fn run(data: &[u8]) {
    let Some(at) = data.iter().position(|&byte| byte == 0) else { return };
    let (pattern, haystack) = (&data[..at], &data[at + 1..]);
    if haystack.len() > 512 || pattern.len() > 256 {
        return;
    }
    // The trigger always holds, so the expression always runs.
    let mut builder = SetBuilder::new();
    let mut admitted = false;
    for (number, flags) in (1u32..).zip(["", "g", "is", "mgU", "xA"]) {
        let name = format!("X{number};Engine:81-255,Target:0;1;6162;0<9/");
        let line = [name.as_bytes(), pattern, b"/", flags.as_bytes()].concat();
        admitted |= builder.line(Format::Ldb, number, &line).is_ok();
    }
    if !admitted {
        return;
    }
    let engine = Engine::new(builder.finish()).expect("small tables");
    let mut scratch = Scratch::default();
    let mut scan = || {
        let layer = Layer::new(haystack, FileType::BINARY_DATA, None);
        let mut hits = Vec::new();
        engine
            .scan(&layer, Look::Raw, &mut scratch, &Unmetered, &mut hits)
            .expect("nothing calls it off");
        hits
    };
    let first = scan();
    assert_eq!(first, scan());
    for span in first.iter().filter_map(|hit| hit.span.clone()) {
        assert!(span.start <= span.end && span.end <= haystack.len());
    }
}
