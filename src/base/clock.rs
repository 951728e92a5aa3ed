//! The one place that reads the machine's clocks. Everything else is handed a time.
//!
//! The wall clock is believed as long as it goes with the one that runs since the machine was started; see [`Steady`].

mod steady;
mod watched;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

pub use steady::{Reading, SETTLED, SLACK, Steady};
use steady::{duration, nanos};
pub use watched::Watched;

/// What this process has seen of its clocks.
static STEADY: Lazy<Mutex<Steady>> = Lazy::new(|| Mutex::new(Steady::new(raw(), since_boot())));

/// What the wall clock was ahead of the other one when it was read last, and until when (by the other one) that is good
/// enough for everybody; in ns.
static AHEAD: AtomicI64 = AtomicI64::new(0);
static FRESH_UNTIL: AtomicI64 = AtomicI64::new(0);

/// How long it is. Every request asks for the time, and none of them is to wait for another one.
const FRESH: Duration = Duration::from_millis(10);

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

/// Returns the time since the Unix epoch by the wall clock; zero if the clock stands before 1970.
pub fn unix() -> Duration {
    let now = nanos(since_boot());
    let left = FRESH_UNTIL.load(Ordering::Acquire) - now;
    if (1..=nanos(FRESH)).contains(&left) {
        return duration(AHEAD.load(Ordering::Relaxed) + now);
    }
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

/// Returns both times that the process goes by.
pub fn read() -> Reading {
    steady(|steady| {
        let other = since_boot();
        let reading = steady.read(raw(), other);
        AHEAD.store(nanos(reading.told) - nanos(other), Ordering::Relaxed);
        FRESH_UNTIL.store(nanos(other + FRESH), Ordering::Release);
        reading
    })
}

/// Takes in what a database had seen last of the time (Unix time, ms), when it is opened.
pub fn recall(last_ms: u64) {
    let last = Duration::from_millis(last_ms);
    steady(|steady| {
        steady.recall(last, raw(), since_boot());
        FRESH_UNTIL.store(0, Ordering::Release);
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_goes_on_between_two_looks_at_the_wall_clock() {
        let first = read().raw;
        let mut last = unix();
        while last < first + FRESH * 3 {
            let (before, time, after) = (raw(), unix(), raw());
            let slewed = Duration::from_millis(1);
            assert!(before <= time + slewed && time <= after + slewed);
            last = time;
        }
    }
}
