//! Times the walk through messages, without signatures, beside mail-parser
//! alone: `cargo run --release -p quahog --example walking -- MAILS [--limit N]`
//!
//! Prints a line for each: name, seconds of CPU for all messages (the best of
//! three), bytes, and how many parts were met. `benches/peers/walk.py` pairs
//! this with clamscan.
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use quahog::{Engine, Input, Live, Settings};
use quahog_content::{Budget, Format, Limits, open};
use quahog_sig::SetBuilder;

/// The time that this thread has spent, where the system tells; else the time.
fn spent(work: &mut dyn FnMut() -> u64) -> (Duration, u64) {
    let told = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    let (begin, before) = (Instant::now(), told());
    let count = work();
    match (before, told()) {
        (Some(before), Some(after)) => (after.saturating_sub(before), count),
        _ => (begin.elapsed(), count),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from).ok_or("usage: walking MAILS [--limit N]")?;
    let limit = match arguments.next().as_deref() {
        Some("--limit") => arguments.next().ok_or("--limit needs a number")?.parse()?,
        _ => usize::MAX,
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    paths.truncate(limit);
    let mails: Vec<Vec<u8>> = paths.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let bytes: usize = mails.iter().map(Vec::len).sum();

    let live = Live::new(Engine::new(SetBuilder::new().finish())?);
    let mut scanner = live.scanner_with(Settings::default().input(Input::Message));
    let mut walk = || mails.iter().map(|mail| scanner.scan(mail).stats().layers).sum::<u64>();
    // The parts of the messages themselves, and nothing of what is in them:
    // about what mail-parser does.
    let mut parts = || {
        let mut count = 0;
        for mail in &mails {
            let budget = Budget::new(Limits::default());
            let _ = open(Format::Mail, mail, &budget, &mut |part| {
                count += u64::from(part.bytes.is_some());
                ControlFlow::Continue(())
            });
        }
        count
    };
    let parser = MessageParser::default();
    let mut peer = || {
        let messages = mails.iter().filter_map(|mail| parser.parse(mail));
        messages.map(|message| message.parts.len() as u64).sum()
    };
    let contenders: [(&str, &mut dyn FnMut() -> u64); 3] =
        [("walk", &mut walk), ("parts", &mut parts), ("mail-parser", &mut peer)];
    for (name, work) in contenders {
        let best = (0..3).map(|_| spent(work)).min().unwrap_or_default();
        println!("{name} {:.6} {bytes} {}", best.0.as_secs_f64(), best.1);
    }
    Ok(())
}
