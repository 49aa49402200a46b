//! From mail to a report, from a small buffer to one, and what hostile data
//! costs beside harmless data.
#![allow(missing_docs)] // criterion_group! makes a function that cannot be documented
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quahog::{Engine, Input, Live, Settings, scan_batch};
use quahog_benches::{Kind, Numbers};
use quahog_benches::{body_lines, hash_lines, logical_lines, mails, parse, planted_line, prose};
use quahog_sig::Format;

/// So many signatures of the full shape are `1`.
const FULL: usize = 10_000;

fn live(scale: f64) -> Live {
    let scale = (FULL as f64 * scale) as usize;
    let bodies = body_lines(scale) + &planted_line();
    let set = parse(&[
        (Format::Ndb, &bodies),
        (Format::Ldb, &logical_lines(2 * scale)),
        (Format::Hdb, &hash_lines(20 * scale)),
    ]);
    Live::new(Engine::new(set).expect("an engine"))
}

/// A fixed price for every object would show here, and grow with the set.
fn tiny_object(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tiny_object");
    let tiny = b"A short answer: thank you, the invoice has been received and will be paid.\n";
    for scale in [0.01, 0.1, 1.0] {
        let live = live(scale);
        let mut scanner = live.scanner();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(scale), |b| {
            b.iter(|| assert!(scanner.scan(black_box(tiny)).detections().is_empty()));
        });
    }
    group.finish();
}

/// A buffer whose size is listed, so that it is hashed and looked up.
fn hash_lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash_lookup");
    for (name, found) in [("absent", 0), ("present", 1)] {
        let mut lines = hash_lines(200_000);
        // The MD5 of sixteen letters `a`, and one that nothing has.
        let digest = ["00000000000000000000000000000000", "23ca472302f49b3ea5592b146a312da0"];
        lines.push_str(&format!("{}:16:Bench.Listed\n", digest[found]));
        let live = Live::new(Engine::new(parse(&[(Format::Hdb, &lines)])).expect("an engine"));
        let mut scanner = live.scanner();
        group.bench_function(name, |b| {
            b.iter(|| {
                assert_eq!(scanner.scan(black_box(b"aaaaaaaaaaaaaaaa")).detections().len(), found);
            });
        });
    }
    group.finish();
}

fn mail(criterion: &mut Criterion) {
    let settings = Settings::default().input(Input::Message).all_matches(true);
    let live = live(0.5);
    let mut group = criterion.benchmark_group("mail");
    group.sample_size(10);
    for (name, kind) in [("text", Kind::Text), ("attach", Kind::Attachments), ("mix", Kind::Mix)] {
        let (mails, planted) = mails(200, kind);
        let bytes: usize = mails.iter().map(Vec::len).sum();
        let mut scanner = live.scanner_with(settings.clone());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new(name, "1 thread"), |b| {
            b.iter(|| {
                let infected = mails
                    .iter()
                    .filter(|mail| !scanner.scan(black_box(mail)).detections().is_empty());
                assert_eq!(infected.count(), planted);
            });
        });
        group.bench_function(BenchmarkId::new(name, "all threads"), |b| {
            b.iter(|| {
                let reports = scan_batch(&live, &settings, black_box(&mails));
                let infected = reports.iter().filter(|report| !report.detections().is_empty());
                assert_eq!(infected.count(), planted);
            });
        });
    }
    group.finish();
}

/// Many signatures that begin alike: regular expressions that ask for the same
/// bytes, and families that share a pattern whose literal is a frequent one. The
/// time goes with what a view holds, not with how many they are.
fn families(criterion: &mut Criterion) {
    let mut numbers = Numbers::new(11);
    let noise = (0..100_000).map(|_| numbers.below(256) as u8);
    let packed = b"PK".iter().copied().chain(noise).collect::<Vec<_>>();
    let text = prose(&mut Numbers::new(12), 100_000).into_bytes();
    let expression = |n: usize| {
        format!(
            "Bench.Expression-{n};Engine:81-255,Target:0;1;0:504b;0/(DHL|FedEx){n}.{{0,99}}[.]exe/\n"
        )
    };
    let shared =
        |n: usize| format!("Bench.Shared-{n};Engine:51-255,Target:0;0>250;(71|7a){{2}}696e766f\n");
    let mut group = criterion.benchmark_group("families");
    for (name, view, line) in [
        ("expressions", &packed, &expression as &dyn Fn(usize) -> String),
        ("shared", &text, &shared),
    ] {
        for count in [4, 40, 400] {
            let lines: String = (0..count).map(line).collect();
            let live = Live::new(Engine::new(parse(&[(Format::Ldb, &lines)])).expect("an engine"));
            let mut scanner = live.scanner();
            group.throughput(Throughput::Bytes(view.len() as u64));
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| assert!(scanner.scan(black_box(view)).detections().is_empty()));
            });
        }
    }
    group.finish();
}

/// Hostile data beside harmless data of the same length.
fn adversarial(criterion: &mut Criterion) {
    const LEN: usize = 1 << 20;
    let live = live(0.5);
    let mut scanner = live.scanner_with(Settings::default().all_matches(true));
    let clean = prose(&mut Numbers::new(9), LEN).into_bytes();
    let gram: Vec<u8> = b"invoice ".iter().copied().cycle().take(LEN).collect();
    let parts = (0..LEN / 64).fold(
        b"Content-Type: multipart/mixed; boundary=b\n\n".to_vec(),
        |mut mail, n| {
            mail.extend_from_slice(b"--b\nContent-Type: application/x\n\nsome bytes of part ");
            mail.extend_from_slice(format!("{n:9}\n").as_bytes());
            mail
        },
    );
    let mut zip = clean[..LEN / 16].to_vec();
    for _ in 0..16 {
        zip = zipped(&zip);
    }
    let mut group = criterion.benchmark_group("adversarial");
    group.sample_size(10);
    let mut median = |input: &[u8]| {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let started = Instant::now();
                let _ = black_box(scanner.scan(black_box(input)));
                started.elapsed().as_secs_f64() / input.len() as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[2]
    };
    let base = median(&clean);
    let cases = [
        ("clean", clean.clone()),
        ("zeros", vec![0; LEN]),
        ("one-gram", gram),
        ("many-parts", parts),
        ("deep-zip", zip),
    ];
    for (name, input) in &cases {
        println!(
            "adversarial/{name}: {:.2} of the time of harmless text, a byte",
            median(input) / base
        );
        let mut scanner = live.scanner_with(Settings::default().all_matches(true));
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(*name, |b| {
            b.iter(|| assert!(scanner.scan(black_box(input)).detections().is_empty()));
        });
    }
    group.finish();
}

/// A zip of one stored member.
fn zipped(member: &[u8]) -> Vec<u8> {
    let size = (member.len() as u32).to_le_bytes();
    let mut zip = Vec::new();
    // A local header without a checksum, which nothing here looks at.
    let head =
        [&b"PK\x03\x04\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &size, &size, b"\x01\0\0\0a"].concat();
    // Writing to a vector cannot fail.
    let _ = zip.write_all(&head);
    let _ = zip.write_all(member);
    let start = (zip.len() as u32).to_le_bytes();
    let central = [
        &b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0"[..],
        &size,
        &size,
        b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a",
    ]
    .concat();
    let _ = zip.write_all(&central);
    let len = (central.len() as u32).to_le_bytes();
    let _ =
        zip.write_all(&[&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &len, &start, b"\0\0"].concat());
    zip
}

criterion_group!(benches, tiny_object, hash_lookup, mail, families, adversarial);
criterion_main!(benches);
