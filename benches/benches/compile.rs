//! From a signature set to an engine.
#![allow(missing_docs)] // criterion_group! makes a function that cannot be documented
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quahog_benches::{body_lines, hash_lines, logical_lines, parse};
use quahog_engine::Engine;
use quahog_sig::Format;

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for (name, format, text, count) in [
        ("bodies", Format::Ndb, body_lines(10_000), 10_000),
        ("logicals", Format::Ldb, logical_lines(10_000), 10_000),
        ("hashes", Format::Hdb, hash_lines(100_000), 100_000),
    ] {
        let set = parse(&[(format, &text)]);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_batched(
                || set.clone(),
                |set| {
                    let engine = Engine::new(set).expect("an engine");
                    assert_eq!(engine.stats().n_signatures as u64, count);
                    engine
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, compiling);
criterion_main!(benches);
