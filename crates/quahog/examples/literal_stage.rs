//! The literal stage alone, beside peers: `benches/peers/literals.py` runs it.
//!
//! ```text
//! cargo run --release -p quahog --example literal_stage -- \
//!     DATABASE --target 1 --export literals.txt --rounds 5 STREAM...
//! ```
//!
//! Writes the literals that are searched for in layers of a target, a line of
//! hex digits each, with `i ` before those whose case does not matter. Then
//! searches each stream so many times and prints a line for each round: the
//! stream, its bytes, the seconds that the thread spent, the literals that stood
//! there, and what the stages passed on.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use quahog::sig::model::Target;
use quahog::{Config, Database, Engine};
use quahog_engine::{Passed, Scratch};

/// Bytes that a round searches, at least.
const ROUND: usize = 200_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut database, mut target, mut rounds) = (None, 0, 3);
    let (mut export, mut streams) = (None, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument}: a value is missing"));
        match argument.as_str() {
            "--target" => target = value()?.parse()?,
            "--rounds" => rounds = value()?.parse()?,
            "--export" => export = Some(PathBuf::from(value()?)),
            _ if database.is_none() => database = Some(argument),
            _ => streams.push(argument),
        }
    }
    let database = database.ok_or("usage: literal_stage DATABASE [OPTION...] STREAM...")?;
    let target = Target::new(target).ok_or("no such target")?;
    let (database, _) = Database::load(&Config::new([database]))?;
    let engine = Engine::new(database.into_signatures())?;
    if let Some(path) = export {
        let mut text = String::new();
        for (literal, nocase) in engine.literals(target) {
            text.push_str(if nocase { "i " } else { "" });
            literal.iter().try_for_each(|byte| write!(text, "{byte:02x}"))?;
            text.push('\n');
        }
        std::fs::write(path, text)?;
    }
    let mut scratch = Scratch::default();
    for stream in streams {
        let bytes = std::fs::read(&stream)?;
        engine.literal_stage(target, &bytes, &mut scratch);
        // Some systems count the time of a thread in hundredths of a second.
        let times = ROUND.div_ceil(bytes.len().max(1));
        for _ in 0..rounds {
            let started = spent();
            let mut passed = Passed::default();
            for _ in 0..times {
                passed = engine.literal_stage(target, &bytes, &mut scratch);
            }
            let seconds = (spent() - started) / times as f64;
            let Passed { probes, entries, texts, .. } = passed;
            println!(
                "{stream} bytes={} seconds={seconds:.4} matches={texts} probes={probes} \
                 entries={entries}",
                bytes.len()
            );
        }
    }
    Ok(())
}

/// Seconds that this thread has spent, where the system tells; else the time.
fn spent() -> f64 {
    use std::sync::OnceLock;
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let elapsed = || BEGINNING.get_or_init(Instant::now).elapsed().as_secs_f64();
    nanoseconds.map_or_else(elapsed, |n| n / 1e9)
}
