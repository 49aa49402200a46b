//! Tests from outside, one module for each area.

mod archive;
mod document;
mod mail;
mod packer;
mod text;

use std::time::{Duration, Instant};

/// How long `work` keeps its thread busy: processor time where the system
/// tells it, so that other work on the machine spoils no measurement.
fn busy_time(work: impl FnOnce()) -> Duration {
    let on_cpu = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    let (wall, cpu) = (Instant::now(), on_cpu());
    work();
    match (cpu, on_cpu()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => wall.elapsed(),
    }
}
