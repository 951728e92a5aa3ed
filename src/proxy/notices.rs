//! What is logged at `warn` of keys and providers that go out and come back: a few lines a minute, however
//! many requests meet them.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines in [`WHILE`]; more are counted.
const MOST: u32 = 20;

const WHILE: Duration = Duration::from_secs(60);

/// Writes notices to the process log.
#[derive(Default)]
pub struct Notices(Mutex<Window>);

#[derive(Default)]
struct Window {
    /// When the time began in which `told` lines were logged.
    since: Option<Instant>,
    told: u32,
    left_out: u32,
}

impl Notices {
    /// Writes a line, unless there were many just now; the next one says how many were left out.
    pub fn warn(&self, line: fmt::Arguments<'_>, now: Instant) {
        if let Some(left_out) = self.0.lock().take(now) {
            match left_out {
                0 => log::warn!("{line}"),
                many => log::warn!("{line} ({many} notices like it were left out)"),
            }
        }
    }
}

impl Window {
    /// How many were left out before this one; `None` if it is left out, too.
    fn take(&mut self, now: Instant) -> Option<u32> {
        if self.since.is_none_or(|since| now >= since + WHILE) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told >= MOST {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_base::clock;

    #[test]
    fn a_storm_is_a_few_lines() {
        let (mut state, now) = (Window::default(), clock::now());
        let told = (0..1_000).filter_map(|_| state.take(now)).count();
        assert_eq!(told, MOST as usize);
        assert_eq!(state.take(now + WHILE), Some(1_000 - MOST), "it says so");
        assert_eq!(state.take(now + WHILE), Some(0));
    }
}
