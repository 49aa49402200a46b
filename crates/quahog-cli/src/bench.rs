//! `bench`: how fast the user's own databases are on the user's own mail.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use quahog::scan::SignatureCost;
use quahog::{Input, Live, Scanner, Settings};

use crate::console::{Console, escape, reason};
use crate::scan::paths::{Met, Name, Paths};
use crate::{Exit, databases, files};

/// Measures throughput, latency and memory on your own databases and mail
///
/// Reads the files into memory, looks at each once to warm up, and then at all of
/// them over and over, on one thread. Times are of the wall clock: on a busy machine
/// compare runs with care. The signatures that cost most come last; what they cost
/// is counted in units of about a byte touched, which are the same everywhere.
///
/// Exit code: 0, or 2 if nothing could be measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Files, and folders with what lies below them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    databases: databases::EngineOptions,
    /// Take the files for messages, whatever their first bytes look like
    #[arg(long, value_name = "WHAT", value_parser = ["mail"])]
    assume: Option<String>,
    /// Go on for so long
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Read no more than so much
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = crate::arguments::size)]
    max_read: u64,
    /// Show so many of the signatures that cost most
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

/// The largest file that is taken.
const MAX_FILE: u64 = 100 << 20;

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let Some((engine, _)) = databases::engine(&options.databases, console)? else {
        return Ok(Exit::Error);
    };
    let loaded = started.elapsed();
    let known = engine.stats().n_signatures;
    let at_rest = resident();
    let inputs = read(options, console);
    if inputs.is_empty() {
        console.error("there is no file to measure with");
        return Ok(Exit::Error);
    }
    let mut settings = Settings::default();
    settings.all_matches = true;
    if options.assume.is_some() {
        settings.input = Input::Message;
    }
    let live = Live::new(engine);
    let mut scanner = live.scanner_with(settings);
    let mut n_found = 0;
    for input in &inputs {
        n_found += usize::from(!scanner.scan(input).detections().is_empty());
    }
    console.begin("measuring");
    let latencies = measure(&mut scanner, &inputs, Duration::from_secs(options.seconds));
    console.end();

    let n_bytes: usize = inputs.iter().map(Vec::len).sum();
    console.line(&format!("signatures: {known}, ready in {:.3} s", loaded.as_secs_f64()))?;
    console.line(&format!(
        "files: {}, {:.1} MB, something found in {n_found}",
        inputs.len(),
        n_bytes as f64 / 1e6
    ))?;
    let spent: Duration = latencies.iter().map(|&(_, took)| took).sum();
    let scanned: usize = latencies.iter().map(|&(bytes, _)| bytes).sum();
    let seconds = spent.as_secs_f64().max(1e-9);
    console.line(&format!(
        "throughput: {:.1} files/s, {:.2} MB/s on one thread ({} looks)",
        latencies.len() as f64 / seconds,
        scanned as f64 / 1e6 / seconds,
        latencies.len()
    ))?;
    let mut times: Vec<Duration> = latencies.iter().map(|&(_, took)| took).collect();
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize; // cut below
        let time = times.get(index.min(times.len() - 1)).copied().unwrap_or_default();
        format!("{:.3}", time.as_secs_f64() * 1e3)
    };
    console.line(&format!(
        "latency in ms: p50 {}, p90 {}, p99 {}, p99.9 {}, longest {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    ))?;
    if let (Some(rest), Some(now)) = (at_rest, resident()) {
        let mb = |kib: u64| kib as f64 / 1024.0;
        let files = n_bytes as f64 / f64::from(1 << 20);
        console.line(&format!(
            "memory in MiB: {:.0} with the signatures, {:.0} now, {files:.0} of it files",
            mb(rest),
            mb(now)
        ))?;
    }
    costs(&scanner, options.top, console)?;
    Ok(Exit::Fine)
}

/// The files, as far as they may be read.
fn read(options: &Options, console: &Console) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    let mut room = options.max_read;
    for met in Paths::below(&options.paths) {
        let path = match met {
            Met::File(Name::Path(path)) => path,
            Met::Failed(name, why) => {
                let name = escape(name.shown());
                console.diagnostic(&format!("{name}: {} ERROR", escape(why)));
                continue;
            }
            Met::File(Name::Stdin) | Met::Passed(..) => continue,
        };
        match files::read(&path, MAX_FILE) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => match room.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    room = left;
                    inputs.push(bytes);
                }
                None => {
                    console.warning("more files than --max-read allows: the rest is left out");
                    return inputs;
                }
            },
            Err(error) => {
                let path = escape(&path);
                console.diagnostic(&format!("{path}: {} ERROR", escape(reason(&error))));
            }
        }
    }
    inputs
}

/// Looks at all inputs until the time is over, and at all at least once; gives
/// the bytes and the time of each look.
fn measure(scanner: &mut Scanner, inputs: &[Vec<u8>], time: Duration) -> Vec<(usize, Duration)> {
    let started = Instant::now();
    let mut latencies = Vec::new();
    while latencies.len() < inputs.len() || started.elapsed() < time {
        for input in inputs {
            let before = Instant::now();
            let report = scanner.scan(input);
            std::hint::black_box(&report);
            latencies.push((input.len(), before.elapsed()));
        }
    }
    latencies
}

/// Shows which signatures cost most.
fn costs(scanner: &Scanner, top: usize, console: &Console) -> anyhow::Result<()> {
    let costs = scanner.costs();
    let all: u64 = costs.iter().map(|(_, cost)| cost.units).sum();
    console.line(&format!("signatures that were looked at whole: {}", costs.len()))?;
    for (name, SignatureCost { checks, hits, units, .. }) in costs.into_iter().take(top) {
        let share = 100.0 * units as f64 / all.max(1) as f64;
        let name = escape(name);
        console.line(&format!(
            "    {share:5.1} % of their work: {name} ({checks} looks, {hits} matches, {units} units)"
        ))?;
    }
    Ok(())
}

/// The memory of this process that is in RAM, in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
