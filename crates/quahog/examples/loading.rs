//! Loads databases and says how long that took and what it weighs:
//! `cargo run --release -p quahog --example loading -- PATH...`
use std::time::Instant;

use quahog::{Config, Database, Engine};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let (database, report) = Database::load(&Config::new(std::env::args_os().skip(1)))?;
    println!("parsed in {:.3} s", begin.elapsed().as_secs_f64());
    for member in report.files.iter().flat_map(|file| &file.members) {
        println!("{}: {} lines: {}", member.name, member.counts.lines, member.counts);
    }
    println!("total: {}", report.counts());
    for diagnostic in report
        .diagnostics
        .iter()
        .filter(|d| d.error.kind().severity() != quahog::sig::Severity::Unsupported)
        .take(20)
    {
        println!("{}", diagnostic.render());
    }
    let begin = Instant::now();
    let engine = Engine::new(database.into_signatures())?;
    println!("compiled in {:.3} s: {:?}", begin.elapsed().as_secs_f64(), engine.stats());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
        .for_each(|l| println!("{l}"));
    Ok(())
}
