#![no_main]
//! Any bytes, opened as the format that the first byte picks, end without a
//! panic and within the limits, whatever is opened in turn.
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use quahog_content::{Budget, Format, Limits, open};

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let format = Format::OTHERS[usize::from(first) % Format::OTHERS.len()];
    let limits = Limits {
        part_bytes: 1 << 20,
        total_bytes: 4 << 20,
        parts: 200,
        fuel: 100 << 20,
        ..Limits::default()
    };
    let budget = Budget::new(limits);
    let (mut n_parts, mut total) = (0, 0);
    let _ = open(format, bytes, &budget, &mut |part| {
        let found = part.bytes.unwrap_or_default();
        assert!(found.len() <= 1 << 20);
        n_parts += 1;
        total += found.len();
        // One level further down, under the same budget.
        if let Some(inner) = Format::recognize(found) {
            let _ = open(inner, found, &budget, &mut |_| ControlFlow::Continue(()));
        }
        ControlFlow::Continue(())
    });
    assert!(n_parts <= 200 && total <= 4 << 20);
});
