//! Work beside mail, so that mail does not notice.

use std::cell::Cell;
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

/// How often is looked whether an idle thread gets anything, and how much of the
/// time that must be.
const LOOK: Duration = Duration::from_secs(2);
const SHARE: u32 = 20;

thread_local! {
    /// When the work of this thread began: on the wall, and of the processor's time.
    static BEGUN: Cell<(Instant, Duration)> = Cell::new((Instant::now(), cpu_time()));
}

/// Takes a low priority once the thread got less than its share.
fn look() -> Option<Instant> {
    let (wall, cpu) = BEGUN.get();
    if cpu_time().saturating_sub(cpu) * SHARE < wall.elapsed() {
        be_nice();
        return None;
    }
    Some(Instant::now() + LOOK)
}

/// The processor's time that this thread took, where the system knows it.
#[cfg(unix)]
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(not(unix))]
pub(crate) fn cpu_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

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

    /// Does work on it: idle by policy, or with a low priority if that comes to
    /// nothing, and with rests.
    pub(crate) fn work<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(|| {
            be_idle();
            let begun = Instant::now();
            BEGUN.set((begun, cpu_time()));
            pace::during(Pace { work: WORK, rest: REST, look: Some((begun + LOOK, look)) }, work)
        })
    }
}
