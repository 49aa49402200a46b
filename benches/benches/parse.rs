//! From text to a signature set.
#![allow(missing_docs)] // criterion_group! makes a function that cannot be documented
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quahog_benches::{body_lines, hash_lines, logical_lines, parse};
use quahog_sig::Format;

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (format, text, count) in [
        (Format::Ndb, body_lines(10_000), 10_000),
        (Format::Ldb, logical_lines(10_000), 10_000),
        (Format::Hdb, hash_lines(100_000), 100_000),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(format.extension()),
            &text,
            |b, text| {
                b.iter(|| assert_eq!(parse(&[(format, text)]).len(), count));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
