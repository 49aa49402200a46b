//! Scans a folder of mails again and again and says how fast that goes:
//! `cargo run --release -p quahog --example scanning -- DATABASE MAILS [ROUNDS]`
use std::path::PathBuf;
use std::time::Instant;

use quahog::{Config, Database, Engine, Input, Live, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(database), Some(mails)) = (arguments.next(), arguments.next()) else {
        return Err("usage: scanning DATABASE MAILS [ROUNDS]".into());
    };
    let rounds = arguments.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(3);
    let begin = Instant::now();
    let (database, _) = Database::load(&Config::new([database]))?;
    let live = Live::new(Engine::new(database.into_signatures())?);
    println!("loaded in {:.2} s", begin.elapsed().as_secs_f64());
    let mails: Vec<Vec<u8>> = std::fs::read_dir(mails)?
        .map(|entry| std::fs::read(entry?.path()))
        .collect::<Result<_, _>>()?;
    let bytes: usize = mails.iter().map(Vec::len).sum();
    let mut scanner =
        live.scanner_with(Settings::default().input(Input::Message).all_matches(true));
    for _ in 0..rounds {
        let begin = Instant::now();
        let mut infected = 0;
        let mut viewed = 0;
        for mail in &mails {
            let report = scanner.scan(mail);
            infected += usize::from(!report.detections().is_empty());
            viewed += report.stats().view_bytes;
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{} mails, {infected} infected: {seconds:.3} s, {:.1} MB/s, {:.0} mails/s; \
             {:.1} MB/s of views",
            mails.len(),
            bytes as f64 / 1e6 / seconds,
            mails.len() as f64 / seconds,
            viewed as f64 / 1e6 / seconds,
        );
    }
    Ok(())
}
