//! Work beside mail, so that mail does not notice.

use std::time::{Duration, Instant};

use quahog_sig::pace::{self, Pace};
#[cfg(target_os = "linux")]
use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// Lets everybody else go first: threads of Linux have policies of their own, and
/// one that is idle by policy leaves its processor to any other at once. A proof
/// does not mind, it counts the processor's time.
fn be_idle() {
    #[cfg(target_os = "linux")]
    {
        // Without the right to, it works at the priority that it has.
        let _ = set_policy(NormalThreadSchedulePolicy::Idle);
    }
}

/// Asks for a seventieth of a processor that others want whole: an idle thread
/// gets next to nothing of a machine that is busy for good.
fn be_nice() {
    #[cfg(target_os = "linux")]
    {
        let _ = set_policy(NormalThreadSchedulePolicy::Other);
    }
}

#[cfg(target_os = "linux")]
fn set_policy(policy: NormalThreadSchedulePolicy) -> Result<(), thread_priority::Error> {
    let policy = ThreadSchedulePolicy::Normal(policy);
    let thread = thread_priority::thread_native_id();
    thread_priority::set_thread_priority_and_policy(thread, ThreadPriority::Min, policy)
}

/// How long a build may be idle by policy.
const IDLE: Duration = Duration::from_secs(60);

/// Measured with the example `soak` on two processors: mail that meets a thread of
/// low priority, or one that is idle without rests, waits twice to four times as
/// long at the 99th percentile.
const WORK: Duration = Duration::from_micros(500);
const REST: Duration = Duration::from_micros(100);

/// One thread for work beside mail.
pub(crate) struct Workshop(rayon::ThreadPool);

impl Workshop {
    pub(crate) fn open() -> std::io::Result<Workshop> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "quahog-build".to_owned())
            .build();
        pool.map(Workshop).map_err(std::io::Error::other)
    }

    /// Does work on it: idle by policy for a minute, with a low priority after,
    /// and with rests all the time.
    pub(crate) fn work<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(|| {
            be_idle();
            let late = Some((Instant::now() + IDLE, be_nice as fn()));
            pace::during(Pace { work: WORK, rest: REST, late }, work)
        })
    }
}
