//! Scans small inputs that are large inside, or slow, and says what each costs:
//! `cargo run --release -p quahog --example bombs -- [--database PATH] [--write FOLDER] [NAME...]`
//! or, for inputs that are made to be slow, `... --example bombs -- --doubling [NAME...]`
//!
//! Each must end within a second (of its thread) and 64 MiB above what the process takes
//! between two scans, and say that something was left out, if it is. With
//! `--write` the inputs are kept, for other programs to be tried with. With
//! `--doubling`, inputs of 1 and of 2 MiB are scanned, and the longer ones must
//! not take more than 2.3 times as long.
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use quahog::{Completeness, Config, Database, Engine, Input, Limits, Live, Settings};
use quahog_testkit::builders::attack::attacks;
use quahog_testkit::builders::bomb::bombs;

/// What a scan may take.
const SECONDS: f64 = 1.0;
const MIB: f64 = 64.0;

/// A figure of this process, in MiB; `None` where the system tells none.
fn memory(of: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(of))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut database, mut write, mut names) = (None, None, Vec::new());
    let (mut one, mut doubling) = (None, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--database" => database = arguments.next(),
            "--doubling" => doubling = true,
            "--write" => write = arguments.next().map(PathBuf::from),
            // One file, for the process that does the work.
            "--one" => one = arguments.next().zip(arguments.next()),
            _ => names.push(argument),
        }
    }
    if let Some((path, kind)) = one {
        return scan(database.as_deref(), &path, kind == "message");
    }
    if doubling {
        return double(&names);
    }
    let folder = write.clone().unwrap_or_else(std::env::temp_dir);
    let mut bad = 0;
    for bomb in bombs(1) {
        if !names.is_empty() && !names.iter().any(|name| name == bomb.name) {
            continue;
        }
        let path = folder.join(format!("bomb-{}", bomb.name.replace(' ', "-")));
        std::fs::write(&path, &bomb.bytes)?;
        // A process of its own, whose memory nothing else has touched.
        let mut child = Command::new(std::env::current_exe()?);
        if let Some(database) = &database {
            child.args(["--database", database]);
        }
        let kind = if bomb.is_message { "message" } else { "any" };
        let output = child.arg("--one").arg(&path).arg(kind).output()?;
        if write.is_none() {
            std::fs::remove_file(&path)?;
        }
        let line = String::from_utf8(output.stdout)?;
        let [seconds, above, layers, reasons] = line.trim().split('\t').collect::<Vec<_>>()[..]
        else {
            return Err(format!("{}: no answer", bomb.name).into());
        };
        let wrong = seconds.parse::<f64>()? > SECONDS
            || above.parse::<f64>().is_ok_and(|above| above > MIB)
            || bomb.is_cut && reasons == "complete";
        bad += u32::from(wrong);
        println!(
            "{:28} {:>9} B: {seconds} s, {above} MiB above idle, {layers} layers, {reasons}{}",
            bomb.name,
            bomb.bytes.len(),
            if wrong { " <- too much" } else { "" },
        );
    }
    if bad > 0 {
        return Err(format!("{bad} cost too much").into());
    }
    Ok(())
}

/// Scans one file and prints seconds, MiB, layers and what is missing.
fn scan(
    database: Option<&str>,
    path: &str,
    is_message: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let signatures = match database {
        Some(path) => Database::load(&Config::new([path]))?.0.into_signatures(),
        None => Database::demonstration().into_signatures(),
    };
    let live = Live::new(Engine::new(signatures)?);
    let input = if is_message { Input::Message } else { Input::Any };
    let mut scanner = live.scanner_with(Settings::default().all_matches(true).input(input));
    let bytes = std::fs::read(path)?;
    let _ = scanner.scan(b"something short");
    // Linux forgets the highest mark when it is asked to.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let idle = memory("VmRSS");
    let begin = spent();
    let report = scanner.scan(&bytes);
    let seconds = (spent() - begin).as_secs_f64();
    let above = memory("VmHWM").zip(idle).map(|(high, idle)| high - idle);
    let mut reasons: Vec<_> = match report.completeness() {
        Completeness::Complete => vec!["complete"],
        Completeness::Incomplete(missing) => missing.iter().map(|m| m.reason.code()).collect(),
    };
    reasons.sort_unstable();
    reasons.dedup();
    println!(
        "{seconds:.3}\t{}\t{}\t{}",
        above.map_or("?".to_owned(), |above| format!("{above:.1}")),
        report.stats().layers,
        reasons.join(", "),
    );
    Ok(())
}

/// The time that this thread has spent, where the system tells; else the time.
fn spent() -> Duration {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    let elapsed = || BEGINNING.get_or_init(Instant::now).elapsed();
    nanoseconds.map_or_else(elapsed, Duration::from_nanos)
}

/// The most that twice the input may take.
const DOUBLED: f64 = 2.3;

/// Scans slow inputs of one size and of twice that.
fn double(names: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let live = Live::new(Engine::new(Database::demonstration().into_signatures())?);
    let limits = Limits { parts: u32::MAX, ..Limits::default() };
    let mut bad = 0;
    for attack in attacks() {
        if !names.is_empty() && !names.iter().any(|name| name == attack.name) {
            continue;
        }
        let input = if attack.is_message { Input::Message } else { Input::Any };
        let mut scanner = live.scanner_with(Settings::default().input(input).limits(limits));
        let inputs = [1, 2].map(|times| (attack.make)(times << 20));
        // Some systems tell the time in ticks of four milliseconds.
        let mut time = |input: &[u8], times: u32| {
            let begin = spent();
            (0..times).for_each(|_| drop(scanner.scan(input)));
            (spent() - begin).as_secs_f64() / f64::from(times)
        };
        let mut times = 1;
        while time(&inputs[0], times) * f64::from(times) < 0.05 && times < 1000 {
            times *= 2;
        }
        let mut best = [f64::MAX; 2];
        // Other work on the machine makes some runs longer, and none shorter.
        for round in 0..10 {
            for (input, best) in inputs.iter().zip(&mut best) {
                *best = best.min(time(input, times));
            }
            if round >= 1 && best[1] / best[0] <= DOUBLED {
                break;
            }
        }
        let wrong = best[1] / best[0] > DOUBLED;
        bad += u32::from(wrong);
        println!(
            "{:44} {:7.2} MB/s, twice as much takes {:.2} times as long{}",
            attack.name,
            inputs[1].len() as f64 / 1e6 / best[1],
            best[1] / best[0],
            if wrong { " <- too much" } else { "" },
        );
    }
    if bad > 0 {
        return Err(format!("{bad} are not linear").into());
    }
    Ok(())
}
