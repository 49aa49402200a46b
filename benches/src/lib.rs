//! Inputs of the benches: made here, the same on every machine, and shaped
//! like the real thing (a fifth of `::i` patterns, gaps, most signatures for
//! PE files, mails of text, HTML and attachments).
//!
//! They measure change, not standing: figures to be quoted come from the pairs
//! against clamscan in `benches/peers`, on real mail and the full-size database.

use std::fmt::Write as _;

use quahog_sig::{Format, Lines, SetBuilder, SignatureSet};
use quahog_testkit::builders::mail::{Encoding, Part, message};

/// A small generator of numbers (xorshift), the same on every machine.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

const WORDS: &str = "the of and to in is that for message invoice attached please account bank \
    update http www com click here order your payment we with this from have been document open \
    Content-Type text/plain function return var string value size table width border";

/// Text that reads a little like mail.
pub fn prose(numbers: &mut Numbers, len: usize) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::with_capacity(len + 16);
    while text.len() < len {
        text.push_str(words[numbers.below(words.len() as u64) as usize]);
        text.push(if numbers.below(12) == 0 { '\n' } else { ' ' });
    }
    text
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn literal(numbers: &mut Numbers, len: u64) -> String {
    let start = numbers.below(200) as usize;
    let text = prose(numbers, 260);
    let bytes = text.bytes().skip(start).take(len as usize / 2);
    let noise: Vec<u8> = (0..len / 2 + 2).map(|_| numbers.below(256) as u8).collect();
    hex(bytes.chain(noise))
}

/// Lines of an `.ndb`.
pub fn body_lines(count: usize) -> String {
    let mut numbers = Numbers::new(1);
    (0..count).fold(String::new(), |mut text, n| {
        let target = [1, 1, 1, 0, 3, 7, 4, 2][numbers.below(8) as usize];
        let gap = ["", "*", "{2-20}", "??"][numbers.below(4) as usize];
        let (a, b) = (literal(&mut numbers, 24), literal(&mut numbers, 16));
        let _ = writeln!(text, "Bench.Body-{n}:{target}:*:{a}{gap}{b}");
        text
    })
}

/// Lines of an `.ldb`.
pub fn logical_lines(count: usize) -> String {
    let mut numbers = Numbers::new(2);
    (0..count).fold(String::new(), |mut text, n| {
        let target = [1, 1, 1, 1, 1, 0, 2, 7][numbers.below(8) as usize];
        let subs: Vec<String> = (0..3)
            .map(|_| {
                let modifier = ["", "", "", "::i", "::w"][numbers.below(5) as usize];
                literal(&mut numbers, 20) + modifier
            })
            .collect();
        let _ = writeln!(
            text,
            "Bench.Logical-{n};Engine:51-255,Target:{target};0&1&2;{}",
            subs.join(";")
        );
        text
    })
}

/// Lines of an `.hdb`.
pub fn hash_lines(count: usize) -> String {
    let mut numbers = Numbers::new(3);
    (0..count).fold(String::new(), |mut text, n| {
        let digest = hex((0..16).map(|_| numbers.below(256) as u8));
        let _ = writeln!(text, "{digest}:{}:Bench.Hash-{n}", 1 + numbers.below(2_000_000));
        text
    })
}

/// Parses lines that must all be admitted.
///
/// # Panics
///
/// One of them is not.
pub fn parse(files: &[(Format, &str)]) -> SignatureSet {
    let mut builder = SetBuilder::new();
    for (format, text) in files {
        builder.source(format.extension(), false);
        for line in Lines::new(text.as_bytes()) {
            builder.line(*format, line.number, line.text).expect("a line of the bench");
        }
    }
    builder.finish()
}

/// A token that every twentieth mail carries, and the line that finds it.
pub const PLANTED: &str = "quahog-bench-planted-token";

/// The signature of [`PLANTED`].
pub fn planted_line() -> String {
    format!("Bench.Planted:0:*:{}\n", hex(PLANTED.bytes()))
}

/// Which mails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Of text and HTML.
    Text,
    /// With an attachment in base64 each.
    Attachments,
    /// Of both kinds, and messages in messages.
    Mix,
}

/// Mails of a kind, and how many of them are planted.
pub fn mails(count: usize, kind: Kind) -> (Vec<Vec<u8>>, usize) {
    let mut numbers = Numbers::new(4);
    let mut planted = 0;
    let mails = (0..count)
        .map(|n| {
            let len = 500 + numbers.below(20_000) as usize;
            let text = prose(&mut numbers, len);
            let html = format!("<html><body><p>{}</p></body></html>", prose(&mut numbers, len));
            let mut blob: Vec<u8> = (0..len * 2)
                .map(|at| (numbers.below(256) as u8) & if at % 3 == 0 { 0x7f } else { 0xff })
                .collect();
            let form = match kind {
                Kind::Text => 1 + n % 2,
                Kind::Attachments => 0,
                Kind::Mix => n % 4,
            };
            if n % 20 == 0 && form == 0 {
                planted += 1;
                blob.extend_from_slice(PLANTED.as_bytes());
            }
            let part = match form {
                0 => Part::mixed([
                    Part::text(&text),
                    Part::attachment("blob.bin", &blob, Encoding::Base64),
                ]),
                1 => Part::text(&text),
                2 => Part::alternative([Part::text(&text), Part::html(&html)]),
                _ => Part::mixed([Part::html(&html), Part::rfc822("inner", Part::text(&text))]),
            };
            message("bench", &part)
        })
        .collect();
    (mails, planted)
}
