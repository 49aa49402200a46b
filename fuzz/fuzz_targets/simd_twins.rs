#![no_main]
//! The vector twins of the prefilter's probes find what its loops find.
use libfuzzer_sys::fuzz_target;
use quahog_engine::fuzzing::assert_twins;

fuzz_target!(|input: (u8, u16, u16, Vec<u32>, &[u8])| {
    let (bits, from, to, words, block) = input;
    if words.is_empty() {
        return;
    }
    let filter: Vec<u32> = words.iter().copied().cycle().take(1 << (bits % 13)).collect();
    let to = usize::from(to).min(block.len());
    assert_twins(&filter, block, usize::from(from).min(to)..to);
});
