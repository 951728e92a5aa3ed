//! The one place that reads the machine's clocks. Everything else is handed a time.
//!
//! The wall clock is believed as long as it goes with the one that runs since the machine was started; see [`Steady`].

mod steady;
mod watched;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

pub use steady::{Reading, SETTLED, SLACK, Steady};
pub use watched::Watched;

/// What this process has seen of its clocks.
static STEADY: Lazy<Mutex<Steady>> = Lazy::new(|| Mutex::new(Steady::new(raw(), since_boot())));

/// Returns the monotonic clock, for durations and deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the wall clock, for time stamps that leave the process: what the machine says, unless that has jumped just
/// now.
pub fn wall() -> SystemTime {
    UNIX_EPOCH + unix()
}

/// Time since the Unix epoch by the wall clock; zero if the clock stands before 1970.
pub fn unix() -> Duration {
    read().told
}

/// Returns milliseconds since the Unix epoch; zero before 1970.
pub fn unix_ms(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

/// Returns milliseconds since the Unix epoch by the wall clock.
pub fn wall_ms() -> u64 {
    millis(unix())
}

/// Returns a duration's milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Both times that the process goes by.
pub fn read() -> Reading {
    steady(|steady| steady.read(raw(), since_boot()))
}

/// Takes in what a database had seen last of the time (Unix time, ms), when it is opened.
pub fn recall(last_ms: u64) {
    let last = Duration::from_millis(last_ms);
    steady(|steady| steady.recall(last, raw(), since_boot()));
}

fn steady<T>(work: impl FnOnce(&mut Steady) -> T) -> T {
    work(&mut STEADY.lock().unwrap_or_else(PoisonError::into_inner))
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn raw() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Goes on while the machine is suspended, where the system has such a clock: then waking up is no jump.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}
