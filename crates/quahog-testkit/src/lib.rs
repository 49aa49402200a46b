//! What the tests of quahog share: cases, a slow matcher that is right by
//! definition, generators and builders.
//!
//! * [`mod@reference`] decides what a match is, without speed and without sharing
//!   a line with the engine.
//! * [`conformance`] reads recorded verdicts of clamscan and counts how many
//!   an implementation reproduces.
//! * [`cases`] runs the hand-written cases of `testdata/`.
//! * [`generate`] makes random signatures and haystacks for differential tests.
//! * [`builders`] makes small databases and mails.
//!
//! This crate is for tests only. It never depends on the engine, so that the
//! engine can be compared with it.

#![forbid(unsafe_code)]

pub mod reference;

pub mod conformance;

mod case;

pub mod entries;
pub mod generate;
mod generate_yara;

pub mod builders;

pub use self::case::{Case, Cases, ExpectedMatch, Found, cases};
pub use self::entries::ContainerCase;
pub use self::generate::ArbitraryCase;
pub use self::generate_yara::YaraCase;

/// Decodes hex digits.
fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [_, _] if pair.iter().all(u8::is_ascii_hexdigit) => {
                u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
            }
            _ => None,
        })
        .collect()
}
