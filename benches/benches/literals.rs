//! The literal stage: this engine's kernels beside aho-corasick and daachorse,
//! on the same literals and streams, with equal counts of matches.
//!
//! With `QUAHOG_BENCH_DATABASE` (a folder of databases) and
//! `QUAHOG_BENCH_STREAMS` (a folder with `text.bin`, `html.bin`, `decoded.bin`,
//! `elf.bin`, `pe.bin`) it measures those; else what the benches make.
#![allow(missing_docs)] // criterion_group! makes a function that cannot be documented
use std::collections::HashSet;
use std::hint::black_box;

use aho_corasick::AhoCorasick;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use daachorse::DoubleArrayAhoCorasick;
use quahog::Engine;
use quahog_benches::{Numbers, body_lines, hash_lines, logical_lines, parse, prose};
use quahog_engine::{Kernel, Scratch};
use quahog_sig::Format;
use quahog_sig::model::Target;

/// The longest stream, and the most literals that the peers are given: theirs
/// are slow to build.
const STREAM: usize = 4 << 20;
const PEERS: usize = 50_000;

fn engine() -> Engine {
    match std::env::var("QUAHOG_BENCH_DATABASE") {
        Ok(folder) => {
            let config = quahog::Config::new([folder]);
            let (database, _) = quahog::Database::load(&config).expect("a database");
            Engine::new(database.into_signatures()).expect("an engine")
        }
        Err(_) => {
            println!("literals: QUAHOG_BENCH_DATABASE is not set: made signatures, made streams");
            let (bodies, logicals, hashes) =
                (body_lines(5_000), logical_lines(20_000), hash_lines(10));
            let texts = [(Format::Ndb, &bodies), (Format::Ldb, &logicals), (Format::Hdb, &hashes)];
            Engine::new(parse(&texts.map(|(format, text)| (format, text.as_str()))))
                .expect("an engine")
        }
    }
}

fn stream(name: &str) -> Vec<u8> {
    if let Ok(folder) = std::env::var("QUAHOG_BENCH_STREAMS") {
        let mut bytes = std::fs::read(format!("{folder}/{name}.bin")).expect("a stream");
        bytes.truncate(STREAM);
        return bytes;
    }
    let mut numbers = Numbers::new(name.len() as u64);
    let noise = name == "pe" || name == "elf";
    match noise {
        true => (0..STREAM).map(|_| numbers.below(256) as u8 & numbers.below(256) as u8).collect(),
        false => prose(&mut numbers, STREAM).into_bytes(),
    }
}

fn literals(criterion: &mut Criterion) {
    let engine = engine();
    let mut group = criterion.benchmark_group("literals");
    group.sample_size(10);
    for (name, target) in [
        ("text", Target::TEXT),
        ("html", Target::HTML),
        ("decoded", Target::OLE2),
        ("elf", Target::PE),
        ("pe", Target::PE),
    ] {
        let bytes = stream(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut scratch = Scratch::default();
        let passed = engine.literal_stage(target, &bytes, &mut scratch);
        let share = |n: u64| 100.0 * n as f64 / bytes.len() as f64;
        println!(
            "literals/{name}: {} literals; of the bytes {:.3} % pass the filter, {:.3} % have the \
             print of an entry, {:.4} % a literal",
            engine.literals(target).count(),
            share(passed.probes),
            share(passed.entries),
            share(passed.texts),
        );
        for kernel in Kernel::available() {
            scratch.set_kernel(kernel);
            group.bench_function(BenchmarkId::new(name, kernel.name()), |b| {
                b.iter(|| {
                    assert_eq!(
                        engine.literal_stage(target, black_box(&bytes), &mut scratch),
                        passed
                    );
                });
            });
        }
        peers(&mut group, name, &engine, target, &bytes);
    }
    group.finish();
}

/// The peers find literals whose case matters; so their matches are counted
/// against each other, and ours of the same literals against theirs.
fn peers(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    engine: &Engine,
    target: Target,
    bytes: &[u8],
) {
    let exact = engine.literals(target).filter(|(_, nocase)| !nocase);
    let mut seen = HashSet::new();
    let exact: Vec<&[u8]> =
        exact.map(|(text, _)| text).filter(|t| seen.insert(*t)).take(PEERS).collect();
    let contiguous = AhoCorasick::builder()
        .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
        .build(&exact)
        .expect("an automaton");
    let expected = contiguous.find_overlapping_iter(bytes).count();
    println!("literals/{name}: the peers search for {} of them", exact.len());
    group.bench_function(BenchmarkId::new(name, "aho-corasick"), |b| {
        b.iter(|| {
            assert_eq!(contiguous.find_overlapping_iter(black_box(bytes)).count(), expected);
        });
    });
    let double: DoubleArrayAhoCorasick<u32> =
        DoubleArrayAhoCorasick::new(&exact).expect("an automaton");
    group.bench_function(BenchmarkId::new(name, "daachorse"), |b| {
        b.iter(|| assert_eq!(double.find_overlapping_iter(black_box(bytes)).count(), expected));
    });
    // This engine on the same literals: a signature each.
    let lines: String = exact
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("Same-{n}:{}:*:{hex}\n", target.number())
        })
        .collect();
    let mut builder = quahog_sig::SetBuilder::new();
    builder.source("same.ndb", false);
    let mut refused = 0;
    for line in quahog_sig::Lines::new(lines.as_bytes()) {
        // A literal of two bytes may be too short for a signature.
        refused += usize::from(builder.line(Format::Ndb, line.number, line.text).is_err());
    }
    let own = Engine::new(builder.finish()).expect("an engine");
    let mut scratch = Scratch::default();
    let matches = own.literal_stage(target, bytes, &mut scratch).texts;
    println!(
        "literals/{name}: {expected} matches of theirs, {matches} of ours ({refused} literals too \
         short for a signature)"
    );
    assert!(refused > 0 || matches == expected as u64, "{matches} matches, {expected} expected");
    group.bench_function(BenchmarkId::new(name, "same-literals"), |b| {
        b.iter(|| {
            assert_eq!(own.literal_stage(target, black_box(bytes), &mut scratch).texts, matches);
        });
    });
}

criterion_group!(benches, literals);
criterion_main!(benches);
