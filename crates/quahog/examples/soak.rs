//! Reloads under load: does mail notice an update?
//!
//! ```sh
//! cargo run --release -p quahog --example soak -- --reloads 1000 --scans 100000
//! ```
//!
//! Two scanning threads answer mails that come by a clock, at half of what
//! they were measured to manage at least; beside them the databases change again and
//! again. Every generation names the same token differently, so each report can
//! be held against the generations that were in force while it was made. The
//! last line says what came of it; the exit status is 1 if an answer was wrong
//! or missing.
//!
//! `--database DIR` adds the databases of a folder to the built-in ones, `--mail
//! DIR` takes the mails of another; `--load 90` sets the load in per cent,
//! `--full` changes the whole set with each reload and not a tenth of it;
//! `--helper QUAHOG` lets that program compile. `--null` reloads nothing and has a
//! thread of the builder's priority count for as long as a reload takes: what that
//! costs mail is the machine's doing. `--write DIR` writes databases and mails for
//! somebody else and ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quahog::live::{Event, Outcome, Starter};
use quahog::{Input, LiveConfig, Settings, Verdict};

/// What every mail carries and every generation finds.
const TOKEN: &str = "soak-token-4711";
/// Threads that scan.
const THREADS: usize = 2;
/// Signatures of the built-in set: with a tenth of them changed a reload takes so
/// little that ten thousand fit into twenty minutes.
const SIGNATURES: usize = 5_000;

/// Bytes of an adversarial input of the proof; a server has larger ones.
const ADVERSARIAL: u64 = 8 << 10;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Reloads in all.
    pub reloads: u64,
    /// Scans at least.
    pub scans: u64,
    /// Databases beside the built-in ones.
    pub database: Option<PathBuf>,
    /// Mails in place of the built-in ones.
    pub mail: Option<PathBuf>,
    /// Load, in per cent of the capacity.
    pub load: u32,
    /// Whether each reload changes the whole set.
    pub full: bool,
    /// The program that compiles.
    pub helper: Option<PathBuf>,
    /// Whether a thread that counts takes the place of reloads.
    pub null: bool,
    /// Signatures of the built-in set.
    pub signatures: usize,
    /// By how much the built-in mails are smaller.
    pub smaller: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            reloads: 200,
            scans: 20_000,
            database: None,
            mail: None,
            load: 50,
            full: false,
            helper: None,
            null: false,
            signatures: SIGNATURES,
            smaller: 1,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// Reloads that were promoted.
    pub reloads: u64,
    /// Scans that were answered.
    pub scans: u64,
    /// Answers of a generation that was not in force, or of none or two.
    pub wrong: u64,
    /// Mails without an answer, and reloads that were refused.
    pub dropped: u64,
    /// The 99th hundredth of the scans beside a reload, by that of the others.
    pub p99_ratio: f64,
    /// The most memory by that at rest.
    pub peak_ratio: f64,
    /// Growth of the memory at rest, in KiB for each thousand reloads.
    pub slope_kib: f64,
    /// The rest of the line.
    pub more: String,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { reloads, scans, wrong, dropped, p99_ratio, peak_ratio, slope_kib, more } =
            self;
        write!(
            f,
            "soak: reloads={reloads} scans={scans} wrong={wrong} dropped={dropped} \
             p99_ratio={p99_ratio:.3} peak_ratio={peak_ratio:.3} slope_kib={slope_kib:.1} {more}"
        )
    }
}

/// A random sequence that is the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Lines of body signatures that stand in no mail.
fn signatures(prefix: &str, count: usize, seed: u64) -> String {
    let mut random = Random(seed | 1);
    (0..count)
        .map(|n| {
            let (a, b, c) = (random.next(), random.next(), random.next() as u32);
            format!("{prefix}.{n}:0:*:{a:016x}{{2-12}}{b:016x}??{c:08x}\n")
        })
        .collect()
}

/// Mails of a size that takes about a millisecond: text, HTML and attachments.
fn mails(smaller: u64) -> Vec<Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words = "the of and to in is you that it he was for on are with as his they at be this \
                 meeting invoice budget travel regards please find attached minutes quarter report";
    let words: Vec<_> = words.split(' ').collect();
    (0..32u64)
        .map(|number| {
            let mut text = format!(
                "From: a{number}@example.org\r\nTo: b@example.com\r\nSubject: mail {number}\r\n\
                 MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n\
                 --=_b\r\nContent-Type: text/plain\r\n\r\n{TOKEN} {number}\r\n"
            );
            let lines = (40 + number * 6) / smaller;
            for _ in 0..lines {
                for _ in 0..12 {
                    text.push_str(words[(random.next() >> 8) as usize % words.len()]);
                    text.push(' ');
                }
                text.push_str("\r\n");
            }
            text.push_str("--=_b\r\nContent-Type: application/octet-stream\r\n");
            text.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
            const DIGITS: &[u8] =
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            for _ in 0..(200 + number * 20) / smaller {
                for _ in 0..76 {
                    text.push(char::from(DIGITS[(random.next() >> 20) as usize % 64]));
                }
                text.push_str("\r\n");
            }
            text.push_str("--=_b--\r\n");
            text.into_bytes()
        })
        .collect()
}

fn mails_of(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut mails = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.is_file()).take(2_000) {
        let mut mail = std::fs::read(path)?;
        mail.extend_from_slice(format!("\r\n{TOKEN}\r\n").as_bytes());
        mails.push(mail);
    }
    Ok(mails)
}

/// Memory in use, in KiB, where the system tells it.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}

/// How often each latency was seen, with a resolution of 3 %. Of a fixed size: a
/// list would grow with the scans, and the memory of the course with it.
struct Latencies([u64; 64 * 32]);

impl Latencies {
    fn new() -> Mutex<Latencies> {
        Mutex::new(Latencies([0; 64 * 32]))
    }

    /// The octave of a number of microseconds, and in it one of 32 steps.
    fn add(&mut self, micros: u64) {
        let octave = micros.max(1).ilog2();
        let step = (micros.max(1) << (63 - octave)) >> 58 & 31;
        self.0[octave as usize * 32 + step as usize] += 1; // 64 octaves, 32 steps
    }

    /// The latency in milliseconds below which this share of all lies.
    fn below(&self, share: f64) -> f64 {
        let all: u64 = self.0.iter().sum();
        let wanted = (all as f64 * share).ceil() as u64; // a share of it lies in it
        let mut seen = 0;
        for (at, &n) in self.0.iter().enumerate() {
            seen += n;
            if n > 0 && seen >= wanted {
                let (octave, step) = ((at / 32) as i32, (at % 32) as f64);
                return 2f64.powi(octave) * (1.0 + (step + 1.0) / 32.0) / 1_000.0;
            }
        }
        0.0
    }
}

/// The slope of a line through the points, per step.
fn slope(points: &[u64]) -> f64 {
    let n = points.len() as f64;
    if points.len() < 2 {
        return 0.0;
    }
    let mean_x = (n - 1.0) / 2.0;
    let mean_y = points.iter().sum::<u64>() as f64 / n;
    let mut over = 0.0;
    let mut under = 0.0;
    for (x, y) in points.iter().enumerate() {
        over += (x as f64 - mean_x) * (*y as f64 - mean_y);
        under += (x as f64 - mean_x).powi(2);
    }
    over / under
}

/// What the threads share.
struct Course {
    /// The numbers of the first and the last generation that a scan may name:
    /// what was in force, and what is being put in force.
    settled: AtomicU64,
    offered: AtomicU64,
    /// Odd while a reload runs.
    phase: AtomicU64,
    /// When the last one ended, in microseconds after the course began.
    ended: AtomicU64,
    begun: Instant,
    done: AtomicBool,
    wrong: AtomicU64,
    dropped: AtomicU64,
    scans: AtomicU64,
    /// Microseconds, beside a reload and apart from any.
    beside: Mutex<Latencies>,
    apart: Mutex<Latencies>,
    counting: AtomicBool,
}

impl Course {
    fn end_phase(&self) {
        // A course takes far less than 2^64 us.
        self.ended.store(self.begun.elapsed().as_micros() as u64, Ordering::SeqCst);
        self.phase.fetch_add(1, Ordering::SeqCst);
    }
}

/// A mail on the clock, answered and judged.
fn answer(scanner: &mut quahog::Scanner, mail: &[u8], course: &Course, due: Instant) {
    let (first, phase) =
        (course.settled.load(Ordering::SeqCst), course.phase.load(Ordering::SeqCst));
    let report = scanner.scan(mail);
    let last = course.offered.load(Ordering::SeqCst);
    let took = due.elapsed();
    // A mail that was due while a reload ran may have waited for it.
    let ended = course.begun + Duration::from_micros(course.ended.load(Ordering::SeqCst));
    let beside = phase % 2 == 1 || course.phase.load(Ordering::SeqCst) != phase || due < ended;
    match report.verdict() {
        Verdict::Infected(_) => {
            let mut numbers: Vec<u64> = report
                .detections()
                .iter()
                .filter_map(|found| {
                    found.name().strip_prefix("Gen.")?.split('.').next()?.parse().ok()
                })
                .collect();
            // The message and its part are two objects.
            numbers.dedup();
            let right = numbers.len() == 1 && (first..=last).contains(&numbers[0]);
            if !right {
                course.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
        Verdict::Clean => _ = course.wrong.fetch_add(1, Ordering::Relaxed),
        Verdict::Unavailable => _ = course.dropped.fetch_add(1, Ordering::Relaxed),
    }
    course.scans.fetch_add(1, Ordering::Relaxed);
    if course.counting.load(Ordering::Relaxed) {
        let list = if beside { &course.beside } else { &course.apart };
        // Nobody panics while holding it; times are far below 2^64 us.
        list.lock().expect("a lock").add(took.as_micros() as u64);
    }
}

/// Runs a soak in a folder of its own.
pub fn run(options: &Options) -> Result<Summary, Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("quahog-soak-{}", std::process::id()));
    let databases = folder.join("databases");
    std::fs::create_dir_all(&databases)?;
    let summary = run_in(options, &folder, &databases);
    let _ = std::fs::remove_dir_all(&folder);
    summary
}

fn run_in(
    options: &Options,
    folder: &Path,
    databases: &Path,
) -> Result<Summary, Box<dyn std::error::Error>> {
    let big = options.signatures - options.signatures / 10;
    std::fs::write(databases.join("main.ndb"), signatures("Main", big, 1))?;
    if let Some(more) = &options.database {
        for entry in std::fs::read_dir(more)?.flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), databases.join(entry.file_name()))?;
        }
    }
    let mails = match &options.mail {
        Some(folder) => mails_of(folder)?,
        None => mails(options.smaller.max(1)),
    };
    // A file is replaced by renaming, as updaters do.
    let publish = |number: u64| -> std::io::Result<()> {
        let token: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut text = format!("Gen.{number}:0:*:{token}\n");
        text.push_str(&signatures("Daily", options.signatures / 10, number + 2));
        let new = folder.join("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, databases.join("daily.ndb"))?;
        if options.full {
            std::fs::write(&new, signatures("Main", big, number + 3))?;
            std::fs::rename(&new, databases.join("main.ndb"))?;
        }
        Ok(())
    };
    publish(0)?;

    let mut config = LiveConfig::new([databases]).state(folder.join("state"));
    config.build.helper = options.helper.clone();
    // The proof is the same for a set of any size, and the most of a reload of this one.
    config.proof.adversarial_size = ADVERSARIAL;
    let refused: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&refused);
    let live = Starter::new(&config)
        .observer(move |event: &Event| {
            if event.is_warning() {
                heard.lock().expect("a lock").push(event.to_string());
            }
        })
        .start()?;
    let settings = Settings::default().input(Input::Message).all_matches(true);

    // The capacity: as fast as it goes.
    let course = Course {
        settled: AtomicU64::new(0),
        offered: AtomicU64::new(0),
        phase: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        begun: Instant::now(),
        done: AtomicBool::new(false),
        wrong: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        scans: AtomicU64::new(0),
        beside: Latencies::new(),
        apart: Latencies::new(),
        counting: AtomicBool::new(false),
    };
    // In the slowest of some spans: what a processor shared with others can be
    // counted on for.
    let span = Duration::from_millis(if options.scans < 10_000 { 30 } else { 500 });
    let stop = AtomicBool::new(false);
    let capacity = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut scanner = live.scanner_with(settings.clone());
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    answer(&mut scanner, &mails[at % mails.len()], &course, Instant::now());
                    at += 1;
                }
            });
        }
        let least = (0..SPANS).map(|_| {
            std::thread::sleep(span);
            course.scans.swap(0, Ordering::Relaxed)
        });
        let least = least.min().unwrap_or_default().max(1);
        stop.store(true, Ordering::Relaxed);
        least as f64 / span.as_secs_f64()
    });
    course.scans.store(0, Ordering::Relaxed);
    let interval =
        Duration::from_secs_f64(THREADS as f64 * 100.0 / capacity / f64::from(options.load));
    course.counting.store(true, Ordering::Relaxed);

    let mut at_rest: Vec<u64> = Vec::new();
    let mut most_alive = 0;
    let mut reload_time = Duration::ZERO;
    let peak = AtomicU64::new(0);
    let started = Instant::now();
    let reloads = std::thread::scope(|scope| -> Result<u64, Box<dyn std::error::Error>> {
        let stop = Stop(&course);
        for thread in 0..THREADS {
            let (live, mails, course, settings) = (&live, &mails, &course, &settings);
            scope.spawn(move || {
                let mut scanner = live.scanner_with(settings.clone());
                let mut due = Instant::now() + interval.mul_f64(thread as f64 / THREADS as f64);
                let mut at = thread;
                while !course.done.load(Ordering::Relaxed) {
                    if let Some(left) = due.checked_duration_since(Instant::now()) {
                        std::thread::sleep(left);
                    }
                    answer(&mut scanner, &mails[at % mails.len()], course, due);
                    due += interval;
                    at += THREADS;
                }
            });
        }
        let (course, peak) = (&course, &peak);
        scope.spawn(move || {
            while !course.done.load(Ordering::Relaxed) {
                peak.fetch_max(memory(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut promoted = 0;
        for number in 1..=options.reloads {
            if options.null {
                course.phase.fetch_add(1, Ordering::SeqCst);
                std::thread::scope(|scope| scope.spawn(count_nicely).join())
                    .map_err(|_| "count")?;
                course.phase.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(NULL_RELOAD / 4);
                at_rest.push(memory());
                continue;
            }
            publish(number)?;
            course.offered.store(number, Ordering::SeqCst);
            course.phase.fetch_add(1, Ordering::SeqCst);
            let before = Instant::now();
            match live.reload().wait(Some(Duration::from_secs(600))) {
                Some(Outcome::Promoted { .. }) => {
                    promoted += 1;
                    course.settled.store(number, Ordering::SeqCst);
                }
                other => {
                    eprintln!("reload {number}: {other:?}");
                    course.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            let took = before.elapsed();
            course.end_phase();
            most_alive = most_alive.max(live.n_generations());
            reload_time += took;
            // A quarter as long without a reload as with one, so that both can be compared.
            std::thread::sleep((took / 4).min(Duration::from_secs(2)));
            at_rest.push(memory());
        }
        while course.scans.load(Ordering::Relaxed) < options.scans {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(stop);
        Ok(promoted)
    })?;

    let mut sorted = at_rest.clone();
    sorted.sort_unstable();
    let rest = sorted.get(sorted.len() / 2).copied().unwrap_or(1).max(1);
    let settled = &at_rest[at_rest.len() / 5..];
    let beside = course.beside.into_inner().map_err(|_| "a thread panicked")?;
    let apart = course.apart.into_inner().map_err(|_| "a thread panicked")?;
    let (p99_beside, p99_apart) = (beside.below(0.99), apart.below(0.99));
    let p50 = apart.below(0.5);
    let longest = beside.below(1.0);
    for line in refused.lock().expect("a lock").iter().take(5) {
        eprintln!("event: {line}");
    }
    Ok(Summary {
        reloads,
        scans: course.scans.into_inner(),
        wrong: course.wrong.into_inner(),
        dropped: course.dropped.into_inner(),
        p99_ratio: p99_beside / p99_apart.max(0.001),
        peak_ratio: peak.into_inner() as f64 / rest as f64,
        slope_kib: slope(settled) * 1_000.0,
        more: format!(
            "load={} capacity_per_s={capacity:.0} p50_ms={p50:.2} p99_ms={p99_apart:.2} \
             p99_reload_ms={p99_beside:.2} max_reload_ms={longest:.2} reload_ms={:.0} rest_mib={} \
             alive={most_alive} seconds={:.0}",
            options.load,
            reload_time.as_secs_f64() * 1_000.0 / options.reloads.max(1) as f64,
            rest >> 10,
            started.elapsed().as_secs_f64(),
        ),
    })
}

/// Spans in which the capacity is measured.
const SPANS: u32 = 10;

/// About as long as a reload takes.
const NULL_RELOAD: Duration = Duration::from_millis(60);

/// Takes a processor as the builder's thread does, and nothing else.
fn count_nicely() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
    }
    let started = Instant::now();
    let mut number = 1u64;
    while started.elapsed() < NULL_RELOAD {
        let rested = Instant::now();
        while rested.elapsed() < Duration::from_micros(500) {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Writes the databases and mails of a course.
#[allow(dead_code)] // a test calls `run`
fn write(options: &Options, folder: &Path) -> std::io::Result<()> {
    let (databases, in_mails) = (folder.join("databases"), folder.join("mails"));
    std::fs::create_dir_all(&databases)?;
    std::fs::create_dir_all(&in_mails)?;
    let tenth = options.signatures / 10;
    std::fs::write(databases.join("main.ndb"), signatures("Main", options.signatures - tenth, 1))?;
    let token: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    let daily = format!("Gen.0:0:*:{token}\n") + &signatures("Daily", tenth, 2);
    std::fs::write(databases.join("daily.ndb"), daily)?;
    for (at, mail) in mails(options.smaller.max(1)).iter().enumerate() {
        std::fs::write(in_mails.join(format!("{at:02}.eml")), mail)?;
    }
    Ok(())
}

/// Ends the threads, also when an error ends the course.
struct Stop<'c>(&'c Course);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}

/// The command line.
#[allow(dead_code)] // a test calls `run`
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--reloads" => options.reloads = value()?.parse()?,
            "--scans" => options.scans = value()?.parse()?,
            "--database" => options.database = Some(value()?.into()),
            "--mail" => options.mail = Some(value()?.into()),
            "--load" => options.load = value()?.parse()?,
            "--signatures" => options.signatures = value()?.parse()?,
            "--full" => options.full = true,
            "--null" => options.null = true,
            "--helper" => options.helper = Some(std::fs::canonicalize(value()?)?),
            "--write" => return Ok(write(&options, Path::new(&value()?))?),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let summary = run(&options)?;
    println!("{summary}");
    if summary.wrong + summary.dropped > 0 {
        std::process::exit(1);
    }
    Ok(())
}
