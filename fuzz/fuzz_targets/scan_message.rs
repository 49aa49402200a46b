#![no_main]
//! Any input gets a report, the same one each time, within its limits.
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use quahog::{Database, Engine, Input, Limits, Live, Settings};

static LIVE: LazyLock<Live> = LazyLock::new(|| {
    let signatures = Database::demonstration().into_signatures();
    Live::new(Engine::new(signatures).expect("a small engine"))
});

fuzz_target!(|data: &[u8]| {
    let Some((&first, input)) = data.split_first() else { return };
    let limits = Limits {
        part_bytes: 1 << 20,
        total_bytes: 4 << 20,
        parts: 500,
        fuel: 200 << 20,
        ..Limits::default()
    };
    let settings = Settings::default()
        .input(if first & 1 == 1 { Input::Message } else { Input::Any })
        .all_matches(first & 2 == 2)
        .limits(limits);
    let mut scanner = LIVE.scanner_with(settings);
    let report = scanner.scan(input);
    let again = scanner.scan(input);
    assert_eq!(report.detections(), again.detections());
    assert_eq!(report.completeness(), again.completeness());
    assert!(report.stats().layers <= 501);
});
