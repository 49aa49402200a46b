//! From mail to a report, and from a small buffer to one.
#![allow(missing_docs)] // criterion_group! makes a function that cannot be documented
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quahog::{Engine, Input, Live, Settings};
use quahog_benches::{body_lines, hash_lines, logical_lines, mails, parse, planted_line};
use quahog_sig::Format;

fn live(scale: usize) -> Live {
    let bodies = body_lines(scale) + &planted_line();
    let set = parse(&[
        (Format::Ndb, &bodies),
        (Format::Ldb, &logical_lines(2 * scale)),
        (Format::Hdb, &hash_lines(20 * scale)),
    ]);
    Live::new(Engine::new(set).expect("an engine"))
}

fn scanning(criterion: &mut Criterion) {
    let (mails, planted) = mails(200);
    let bytes: usize = mails.iter().map(Vec::len).sum();
    let settings = Settings::default().input(Input::Message).all_matches(true);
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(10);
    for scale in [100, 5_000] {
        let live = live(scale);
        let mut scanner = live.scanner_with(settings.clone());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("mail", scale), |b| {
            b.iter(|| {
                let infected = mails
                    .iter()
                    .filter(|mail| !scanner.scan(black_box(mail)).detections().is_empty());
                assert_eq!(infected.count(), planted);
            });
        });
        // A fixed price for every object would show here, and grow with the set.
        let tiny = b"A short answer: thank you, the invoice has been received and will be paid.\n";
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("tiny", scale), |b| {
            b.iter(|| assert!(scanner.scan(black_box(tiny)).detections().is_empty()));
        });
    }
    group.finish();
}

criterion_group!(benches, scanning);
criterion_main!(benches);
