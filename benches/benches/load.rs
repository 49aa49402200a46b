//! From text to an engine, and from an image to one.
#![allow(missing_docs)] // criterion_group! makes a function that cannot be documented
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quahog::{Engine, image};
use quahog_benches::{body_lines, hash_lines, logical_lines, parse};
use quahog_engine::Segment;
use quahog_sig::Format;

/// Counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for (format, text, count) in [
        (Format::Hdb, hash_lines(100_000), 100_000),
        (Format::Ndb, body_lines(10_000), 10_000),
        (Format::Ldb, logical_lines(10_000), 10_000),
    ] {
        let name = format.extension();
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new(name, "parse"), &text, |b, text| {
            b.iter(|| assert_eq!(parse(&[(format, text)]).len() as u64, count));
        });
        let before = IN_USE.load(Ordering::Relaxed);
        let set = parse(&[(format, &text)]);
        group.bench_function(BenchmarkId::new(name, "compile"), |b| {
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
        let engine = Engine::new(set).expect("an engine");
        let bytes = IN_USE.load(Ordering::Relaxed) - before;
        println!("load/{name}: {:.1} bytes a signature", bytes as f64 / count as f64);
        drop(engine);
    }
    let set = parse(&[
        (Format::Hdb, &hash_lines(100_000)),
        (Format::Ndb, &body_lines(10_000)),
        (Format::Ldb, &logical_lines(10_000)),
    ]);
    let image = Segment::new(set).map(|s| s.image(Vec::new())).expect("a segment");
    let image = bytes::Bytes::from(image.expect("an image").concat());
    group.throughput(Throughput::Elements(120_000));
    for (name, check) in [("mapped", image::Check::Structure), ("checked", image::Check::Digest)] {
        group.bench_function(BenchmarkId::new("compiled", name), |b| {
            b.iter(|| {
                let segment = Segment::open(black_box(&image), check).expect("a segment");
                assert_eq!(segment.signatures().len(), 120_000);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
