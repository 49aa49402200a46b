//! Twice the input is twice the work, whatever it is made of.
//!
//! Work is counted in fuel, which is the same on every machine; that fuel is
//! honest is seen by the time that the thread spends, which has much more room,
//! for machines are busy.

use std::time::{Duration, Instant};

use quahog::{Database, Engine, Input, Limits, Live, Scanner, Settings};
use quahog_testkit::builders::attack::{Attack, attacks};

/// The most that doubling the input may cost, and doubling it three times.
const DOUBLED: f64 = 2.3;
const EIGHTFOLD: f64 = DOUBLED * DOUBLED * DOUBLED;

/// The time that this thread has spent, where the system tells; else the time.
fn spent(work: impl FnOnce()) -> Duration {
    let told = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    let (begin, before) = (Instant::now(), told());
    work();
    match (before, told()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => begin.elapsed(),
    }
}

fn scanner(live: &Live, attack: &Attack) -> Scanner {
    let limits = Limits { parts: u32::MAX, fuel: u64::MAX - 1, ..Limits::default() };
    let input = if attack.is_message { Input::Message } else { Input::Any };
    live.scanner_with(Settings::default().input(input).limits(limits))
}

#[test]
fn twice_the_input_is_twice_the_work() {
    // Below that the limit of depth is most of the input.
    const LEN: usize = 6 << 10;
    let engine = Engine::new(Database::demonstration().into_signatures()).expect("a small engine");
    let live = Live::new(engine);
    let mut wrong = Vec::new();
    for attack in attacks() {
        let mut scanner = scanner(&live, &attack);
        let inputs = [1, 2, 4, 8].map(|times| (attack.make)(times * LEN));
        let work = inputs.each_ref().map(|input| scanner.scan(input).stats().work);
        let mut lengths = inputs.windows(2).zip(work.windows(2));
        // Depth has its limit, so that work may as well stop growing.
        let doubles = lengths.all(|(input, work)| {
            let longer = input[1].len() as f64 / input[0].len() as f64;
            work[1] as f64 / work[0] as f64 <= DOUBLED * longer / 2.0
        });
        let mut time = |input: &[u8]| spent(|| drop(scanner.scan(input)));
        // Other work on the machine can spoil one measurement, not all; and
        // what is that short is not slow.
        let honest = (0..6).any(|_| {
            let slow = time(&inputs[3]);
            slow < Duration::from_millis(20)
                || slow.as_secs_f64() / time(&inputs[0]).as_secs_f64().max(1e-3) < EIGHTFOLD
        });
        if !doubles || !honest {
            wrong.push((attack.name, work, inputs.each_ref().map(|input| time(input))));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
