#![no_main]
//! Any bytes are walked as any archive without a panic, and what is handed out
//! stays within the budget.
//!
//! The first byte picks the format.

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use quahog_content::{Budget, Format, Limits, open};

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let format = Format::ARCHIVES[usize::from(first) % Format::ARCHIVES.len()];
    let limits = Limits {
        part_bytes: 1 << 18,
        total_bytes: 1 << 20,
        parts: 1000,
        fuel: 1 << 24,
        ..Limits::default()
    };
    let budget = Budget::new(limits);
    let (mut parts, mut total) = (0, 0);
    open(format, bytes, &budget, &mut |part| {
        parts += 1;
        let length = part.bytes.map_or(0, <[u8]>::len);
        assert!(length <= 1 << 18, "a part is too long");
        total += length;
        ControlFlow::Continue(())
    });
    assert!(parts <= 1000 && total <= 1 << 20, "more than the budget");
    let _ = Format::recognize(bytes);
});
