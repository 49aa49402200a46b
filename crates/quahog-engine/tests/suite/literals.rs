//! The literal stage finds every literal at every place, whatever the number of
//! literals, which decides by what they are found, and whatever the processor.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use quahog_engine::{Engine, Kernel, Scratch, Segment};
use quahog_sig::model::Target;
use quahog_sig::{Format, SetBuilder};

/// Numbers that look random and are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % n
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        const BYTES: &[u8] = b"abcABCxyz019 \0\0\x10\x30\xff\n@`";
        (0..len).map(|_| BYTES[self.below(BYTES.len())]).collect()
    }
}

/// A segment of so many literals of 2 to 40 bytes, some in either case.
fn segment(numbers: &mut Numbers, n: usize) -> (Arc<Segment>, Vec<Vec<u8>>) {
    let mut builder = SetBuilder::new();
    let mut texts = Vec::new();
    for number in 1..=n as u32 {
        let len = match numbers.below(20) {
            0 => 2 + numbers.below(2),
            1..8 => 4 + numbers.below(7),
            _ => 11 + numbers.below(30),
        };
        let text = numbers.bytes(len);
        let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
        let (format, line) = match numbers.below(3) {
            0 => (Format::Ldb, format!("N-{number};Target:0;0;{hex}::i")),
            _ if len < 4 => (Format::Ldb, format!("N-{number};Target:0;0;{hex}")),
            _ => (Format::Ndb, format!("N-{number}:0:*:{hex}")),
        };
        builder.line(format, number, line.as_bytes()).expect("a good line");
        texts.push(text);
    }
    (Arc::new(Segment::new(builder.finish()).expect("small tables")), texts)
}

fn haystack(numbers: &mut Numbers, texts: &[Vec<u8>]) -> Vec<u8> {
    let mut haystack = Vec::new();
    while haystack.len() < 40_000 {
        let len = numbers.below(20);
        haystack.extend(numbers.bytes(len));
        let mut text = texts[numbers.below(texts.len())].clone();
        if numbers.below(2) == 0 {
            text.make_ascii_uppercase();
        }
        haystack.extend(text);
    }
    // No third byte stands behind it.
    haystack.extend(texts.iter().find(|text| text.len() == 2).into_iter().flatten());
    haystack
}

/// How often the literals of an engine stand in a haystack, one by one.
fn count(engine: &Engine, haystack: &[u8]) -> u64 {
    let lower = haystack.to_ascii_lowercase();
    [(false, haystack), (true, &lower)]
        .into_iter()
        .map(|(nocase, haystack)| {
            let literals = engine.literals(Target::ANY).filter(|&(_, any)| any == nocase);
            let literals: Vec<&[u8]> = literals.map(|(text, _)| text).collect();
            let automaton = AhoCorasick::new(literals).expect("few literals");
            automaton.find_overlapping_iter(haystack).count() as u64
        })
        .sum()
}

#[test]
fn every_kernel_finds_every_literal_of_sets_of_every_size() {
    let mut numbers = Numbers(7);
    // Very few, few, and many: the last have more than 4,096 short grams.
    let sizes = [1, 10, 47, 60, 400, 16_000];
    let all: Vec<_> = sizes.iter().map(|&n| segment(&mut numbers, n)).collect();
    let mut check = |which: &[usize]| {
        let segments = which.iter().map(|&at| Arc::clone(&all[at].0)).collect();
        let engine = Engine::from_segments(segments).expect("an engine");
        let texts: Vec<Vec<u8>> = which.iter().flat_map(|&at| all[at].1.clone()).collect();
        let haystack = haystack(&mut numbers, &texts);
        let expected = count(&engine, &haystack);
        assert!(expected > 1_000, "{expected}");
        for kernel in Kernel::available() {
            let mut scratch = Scratch::default();
            scratch.set_kernel(kernel);
            for from in [0, 1, 7] {
                let haystack = &haystack[from..];
                let found = engine.literal_stage(Target::ANY, haystack, &mut scratch).texts;
                let expected = if from == 0 { expected } else { count(&engine, haystack) };
                assert_eq!(found, expected, "{which:?}, {}, from {from}", kernel.name());
            }
        }
    };
    for at in 0..sizes.len() {
        check(&[at]);
    }
    // Their filters are merged, of one kind or of several.
    for which in [[1, 2], [1, 3], [3, 4], [2, 5], [4, 5]] {
        check(&which);
    }
    check(&[0, 1, 2, 3, 4, 5]);
}
