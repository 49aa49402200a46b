//! Data made to be slow: twice the data is twice the work, whatever it is made of.
//!
//! Work is counted in the meter's units, which are the same on every machine;
//! that units are honest is seen by the time that a thread spends, which has
//! much more room, for machines are busy.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use quahog_engine::{Engine, Interrupted, Layer, Look, Meter, Scratch};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};
use quahog_testkit::builders::exe::{Pe, PeSection};

/// An attack: signatures, and data of about a length.
struct Attack {
    name: &'static str,
    lines: Vec<(Format, String)>,
    data: fn(usize) -> Vec<u8>,
    file_type: FileType,
}

fn repeated(piece: &[u8], len: usize) -> Vec<u8> {
    piece.iter().copied().cycle().take(len).collect()
}

fn all_a(len: usize) -> Vec<u8> {
    repeated(b"A", len)
}

fn ndb(patterns: impl IntoIterator<Item = String>) -> Vec<(Format, String)> {
    let lines = patterns.into_iter().enumerate();
    lines.map(|(n, pattern)| (Format::Ndb, format!("N-{n}:0:*:{pattern}"))).collect()
}

fn ldb(lines: impl IntoIterator<Item = String>) -> Vec<(Format, String)> {
    let lines = lines.into_iter().enumerate();
    lines.map(|(n, line)| (Format::Ldb, format!("L-{n};Engine:81-255,Target:0;{line}"))).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Every attack of the list on matchers, one or more for each of its numbers.
fn attacks() -> Vec<Attack> {
    let attack = |name, lines, data| Attack { name, lines, data, file_type: FileType::BINARY_DATA };
    let one = |pattern: &str| ndb([pattern.to_owned()]);
    vec![
        // 1: data of nothing but a literal that many share.
        attack(
            "shared anchor",
            ndb((0..200).map(|n| format!("41414141*{}", hex(&format!("{n:03}x"))))),
            all_a,
        ),
        attack(
            "shared long anchor",
            ndb((0..200).map(|n| format!("{}*{}", "41".repeat(16), hex(&format!("{n:03}x"))))),
            all_a,
        ),
        // 2: all but the last byte of a literal.
        attack("near anchor", one(&format!("{}42", "41".repeat(15))), all_a),
        attack("near short anchor", one("41414142"), all_a),
        attack(
            "near anchors",
            ndb((0..500).map(|n| format!("{}{}", "41".repeat(12), hex(&format!("{n:03}"))))),
            all_a,
        ),
        // 3: chains of which the last part is missing.
        attack("open chain", one(&["ABAB", "CDCD", "EFEF", "GHGH"].map(hex).join("*")), |len| {
            repeated(b"ABABCDCDEFEF", len)
        }),
        attack("open chain of one literal", one(&["41414141"; 12].join("*")), |len| {
            repeated(b"AAAAAAAAB", len)
        }),
        // 4: bounded gaps with starts everywhere.
        attack("wide gap", one("41414141{0-1000000}42424242"), all_a),
        attack("wide gaps", one("41414141{1-9999}41414141{1-9999}42424242"), all_a),
        attack("narrow gap", one("41414141{-100}42424242"), all_a),
        attack("wide gaps that meet", one("41414141{1-500000}42424242{1-500000}43434343"), |len| {
            repeated(b"AAAABBBB", len)
        }),
        // 5: counts of what overlaps itself.
        attack("counted overlaps", ldb(["0>99999999;61616161".to_owned()]), |len| {
            repeated(b"a", len)
        }),
        attack(
            "counted sums",
            ldb(["(0|1|2)>99999999,3;6161;61616161;626262".to_owned()]),
            |len| repeated(b"aaab", len),
        ),
        // 6: alternatives inside alternatives.
        attack(
            "alternatives",
            one(&["(4141|4142|4143)"; 8].join("").replacen('(', "4141(", 1)),
            all_a,
        ),
        attack("branches", one("41414141(41|4141(41|414141)|41414141)(41|4141)4242"), all_a),
        // 7: classes, nibbles, and only two fixed bytes.
        attack("nibbles", one("4141?1?1?1?14?4?4?4?4242"), all_a),
        attack("negated", one("4141!(4242|4343)!(42)!(4343|4242)4242"), all_a),
        // 8: places from the end.
        attack(
            "from the end",
            {
                let lines =
                    (0..200).map(|n| format!("E-{n}:0:EOF-{},4000:414141{n:02x}", 5000 + n));
                lines.map(|line| (Format::Ndb, line)).collect()
            },
            all_a,
        ),
        Attack {
            name: "sections",
            lines: (0..200)
                .map(|n| (Format::Ndb, format!("S-{n}:1:S{n}+0,900000:41414142")))
                .collect(),
            data: |len| {
                let mut pe = Pe { len, ..Pe::default() };
                pe.sections = (0..u32::try_from(len / 400).unwrap_or(0).min(65_535))
                    .map(|n| PeSection {
                        address: 0x1000 + n * 0x1000,
                        memory_len: 0x1000,
                        offset: 0x200,
                        len: 0x200,
                    })
                    .collect();
                let mut bytes = pe.build();
                let from = bytes.len() / 2;
                bytes[from..].fill(b'A');
                bytes
            },
            file_type: FileType::MSEXE,
        },
        // 9: regular expressions whose trigger stands everywhere.
        attack("expression", ldb(["1;61616161;0/a+b+c/".to_owned()]), |len| repeated(b"a", len)),
        attack(
            "expression with choices",
            ldb(["1;61616161;0/(a+)+b|x.*y.*z|a.{1,900}z/s".to_owned()]),
            |len| repeated(b"aaaaaaaax", len),
        ),
        // 10: many that all pass at the same byte.
        attack(
            "all at once",
            ndb((0..2000).map(|n| format!("4142434445464748*{}", hex(&format!("{n:05}"))))),
            |len| {
                let mut data = repeated(b"z", len);
                data[..8].copy_from_slice(b"ABCDEFGH");
                data
            },
        ),
        // 12: magic of files everywhere.
        attack("magic", one("504b0304504b0304*00112233"), |len| repeated(b"PK\x03\x04MZ", len)),
    ]
}

/// Counts, and allows everything.
#[derive(Default)]
struct Counter(Cell<u64>);

impl Meter for Counter {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        self.0.set(self.0.get() + work);
        Ok(())
    }
}

/// The time that this thread has spent, where the system tells; else the time.
fn spent() -> Duration {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    let elapsed = || BEGINNING.get_or_init(Instant::now).elapsed();
    nanoseconds.map_or_else(elapsed, Duration::from_nanos)
}

/// The units and the least time of some scans.
fn cost(engine: &Engine, data: &[u8], file_type: FileType) -> (u64, Duration) {
    let mut scratch = Scratch::default();
    let runs = (0..3).map(|_| {
        let meter = Counter::default();
        let layer = Layer::new(data, file_type, None);
        let started = spent();
        let mut hits = Vec::new();
        engine.scan(&layer, Look::Raw, &mut scratch, &meter, &mut hits).expect("all is allowed");
        let inside = engine.identify_content(data, FileType::TEXT_ASCII, &mut scratch, &meter);
        inside.expect("all is allowed");
        (meter.0.get(), spent().saturating_sub(started))
    });
    runs.reduce(|a, b| (a.0, a.1.min(b.1))).unwrap_or_default()
}

#[test]
fn twice_the_data_is_twice_the_work() {
    const LEN: usize = 32 << 10;
    let mut wrong = Vec::new();
    for Attack { name, lines, data, file_type } in attacks() {
        let mut builder = SetBuilder::new();
        for (format, line) in &lines {
            if let Err(error) = builder.line(*format, 1, line.as_bytes()) {
                panic!("{name}: {line}: {error}");
            }
        }
        let engine = Engine::new(builder.finish()).expect("small tables");
        let costs = [1, 2, 4, 8].map(|times| cost(&engine, &data(times * LEN), file_type));
        let [(least, fast), .., (most, slow)] = costs;
        let doubles = costs.windows(2).all(|two| two[1].0 as f64 <= 2.3 * two[0].0 as f64);
        // What is quadratic takes 64 times as long. Some systems tell the time in
        // ticks.
        const TICK: Duration = Duration::from_millis(4);
        let honest = slow < Duration::from_millis(20) || slow < 28 * fast.max(TICK);
        println!(
            "{name}: {:.1} to {:.1} units a byte, {slow:?} for {} KiB",
            least as f64 / LEN as f64,
            most as f64 / (8 * LEN) as f64,
            (8 * LEN) >> 10
        );
        if !doubles || !honest {
            wrong.push(format!("{name}: {costs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
