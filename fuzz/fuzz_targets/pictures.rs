#![no_main]
//! Any bytes are looked at as any picture, for damage and for what it shows,
//! without a panic; and they say the same twice.
//!
//! The first byte picks what the frame is read as.

use libfuzzer_sys::fuzz_target;
use quahog_content::damage::{Picture, of_picture};
use quahog_content::{Budget, Limits, picture};

const PICTURES: [Picture; 4] = [Picture::Gif, Picture::Jpeg, Picture::Png, Picture::Tiff];

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let kind = PICTURES[usize::from(first) % PICTURES.len()];
    let limits = Limits { fuel: 4 << 20, ..Limits::default() };
    let look = || {
        let budget = Budget::new(limits);
        (of_picture(kind, bytes, &budget), picture::hash(bytes, &budget))
    };
    assert_eq!(look(), look());
});
