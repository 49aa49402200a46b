#![no_main]
//! Any bytes are run as a packed program within bounds, without a panic; and they
//! come to the same twice.

use libfuzzer_sys::fuzz_target;
use quahog_content::{Budget, Limits, packer};

fuzz_target!(|data: &[u8]| {
    let run = || {
        let budget = Budget::new(Limits { fuel: 1 << 20, ..Limits::default() });
        let found = packer::unpack(data, &budget);
        assert!(found.program.as_ref().is_none_or(|program| program.len() <= 32 << 20));
        (found.program, found.shortfall)
    };
    assert_eq!(run(), run());
});
