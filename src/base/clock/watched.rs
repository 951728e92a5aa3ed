//! The clock of another machine, which is believed as this machine's own is: as long as it goes with the one that runs
//! since boot.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::steady::UNWATCHED;
use super::{Reading, SLACK, Steady, since_boot, unix};

/// Reads another machine's clock. Whether this machine's own wall clock is right does not matter to it.
#[derive(Debug, Default)]
pub struct Watched(Mutex<Option<Seen>>);

/// What was heard of it last.
#[derive(Debug)]
struct Seen {
    steady: Steady,
    reading: Reading,
    /// By this machine's clock since boot.
    at: Duration,
}

impl Watched {
    /// Takes in what it says now, since the Unix epoch; `noted` is what others had come to before, of which only the
    /// first call makes use.
    pub fn hear(&self, said: Duration, noted: Option<Duration>) -> Reading {
        self.hear_at(said, noted, unix(), since_boot())
    }

    /// Returns what to go by now; `None` until something was heard.
    pub fn read(&self) -> Option<Reading> {
        self.read_at(since_boot())
    }

    fn hear_at(
        &self,
        said: Duration,
        noted: Option<Duration>,
        own: Duration,
        at: Duration,
    ) -> Reading {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let steady = seen.take().map(|seen| seen.steady);
        let mut steady = steady.unwrap_or_else(|| begun(said, noted, own, at));
        let reading = steady.read(said, at);
        *seen = Some(Seen {
            steady,
            reading,
            at,
        });
        reading
    }

    fn read_at(&self, at: Duration) -> Option<Reading> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().map(|seen| {
            let since = at.saturating_sub(seen.at);
            Reading {
                told: seen.reading.told + since,
                sure: seen.reading.sure + since,
                raw: seen.reading.raw + since,
                ..seen.reading
            }
        })
    }
}

/// It is believed at first, unless what was noted goes on with this machine's clock and not with it.
fn begun(said: Duration, noted: Option<Duration>, own: Duration, at: Duration) -> Steady {
    let goes_on = |time: Duration| {
        noted.is_some_and(|noted| time + SLACK >= noted && time <= noted + UNWATCHED)
    };
    let believed = if goes_on(own) && !goes_on(said) {
        own
    } else {
        said
    };
    let mut steady = Steady::new(believed, at);
    if let Some(noted) = noted {
        steady.recall(noted, believed, at);
    }
    steady
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn its_own_time_counts_whatever_this_machine_says() {
        for own in [NOW - HOUR, NOW, NOW + HOUR, NOW + 24 * HOUR] {
            for noted in [None, Some(NOW - seconds(4))] {
                let watched = Watched::default();
                assert_eq!(watched.read_at(HOUR), None);
                let reading = watched.hear_at(NOW, noted, own, HOUR);
                assert_eq!((reading.told, reading.sure), (NOW, NOW), "{own:?}");
                let later = watched.read_at(HOUR + seconds(5)).unwrap();
                assert_eq!(later.told, NOW + seconds(5));
            }
        }
    }

    #[test]
    fn a_jump_is_not_followed_at_once_and_is_none_when_it_is_over() {
        let watched = Watched::default();
        watched.hear_at(NOW, None, NOW, HOUR);
        for ahead in [NOW + 400 * 24 * HOUR, NOW - 24 * HOUR] {
            let reading = watched.hear_at(ahead, None, NOW, HOUR + seconds(5));
            assert_eq!(reading.told, NOW + seconds(5));
            let still = watched.read_at(HOUR + seconds(9)).unwrap();
            assert_eq!(still.told, NOW + seconds(9));
        }
        let back = watched.hear_at(NOW + seconds(10), None, NOW, HOUR + seconds(10));
        assert_eq!(
            (back.told, back.sure),
            (NOW + seconds(10), NOW + seconds(10))
        );
    }

    #[test]
    fn one_that_had_jumped_before_this_process_began_is_known_by_what_was_noted() {
        let watched = Watched::default();
        let noted = Some(NOW - seconds(4));
        let reading = watched.hear_at(NOW + 400 * 24 * HOUR, noted, NOW, HOUR);
        assert_eq!(reading.told, NOW);
        // Nobody was there for a day, and both say so.
        let watched = Watched::default();
        let reading = watched.hear_at(NOW + 24 * HOUR, noted, NOW + 24 * HOUR, HOUR);
        assert_eq!(
            (reading.told, reading.sure),
            (NOW + 24 * HOUR, NOW - seconds(4))
        );
    }
}
