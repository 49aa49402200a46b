//! Scans files with databases and tells all names found, a line for each file:
//! `cargo run --release -p quahog --example names -- [--strict] DATABASE... -- FILE...`
use std::io::Write;

use quahog::{Config, Database, Engine, Live, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let strict = arguments.next_if(|argument| argument == "--strict").is_some();
    let databases: Vec<_> = arguments.by_ref().take_while(|argument| argument != "--").collect();
    let config = Config::new(databases).strict(strict);
    let (database, report) = match Database::load(&config) {
        Ok(loaded) => loaded,
        Err(error) => {
            println!("refused: {error}");
            return Ok(());
        }
    };
    println!("loaded: {}", report.counts());
    let live = Live::new(Engine::new(database.into_signatures())?);
    let mut scanner = live.scanner_with(Settings::default().all_matches(true));
    let mut out = std::io::stdout().lock();
    for path in arguments {
        let report = scanner.scan(&std::fs::read(&path)?);
        let names: Vec<_> = report.detections().iter().map(quahog::Detection::name).collect();
        writeln!(out, "{}: {}", path.to_string_lossy(), names.join(" "))?;
    }
    Ok(())
}
