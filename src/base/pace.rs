//! How often somebody may do something: so many times at once, and then one more each so often.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Most of those who are remembered.
const MOST: usize = 4_096;

/// A token bucket for each of many. Invariant: the memory is bounded, however many there are; who has waited longest is
/// forgotten, and has the whole burst again.
#[derive(Debug)]
pub struct Pace<K> {
    burst: u32,
    every: Duration,
    /// When each would have used up what it has, had it kept to the pace.
    until: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash + Clone> Pace<K> {
    /// `burst` times at once, then one more each `every`.
    pub fn new(burst: u32, every: Duration) -> Pace<K> {
        let until = Mutex::default();
        Pace {
            burst,
            every,
            until,
        }
    }

    /// Returns how long `who` must wait; `None`: not at all.
    pub fn wait(&self, who: &K, now: Instant) -> Option<Duration> {
        let until = *self.until.lock().get(who)?;
        self.early(until, now)
    }

    /// Counts one, whether it was waited for or not.
    pub fn count(&self, who: &K, now: Instant) {
        let mut all = self.until.lock();
        let until = entry(&mut all, who, now);
        *until = (*until).max(now) + self.every;
    }

    /// Counts one.
    ///
    /// # Errors
    /// How long `who` must wait for it; it is not counted then.
    pub fn take(&self, who: &K, now: Instant) -> Result<(), Duration> {
        let mut all = self.until.lock();
        let until = entry(&mut all, who, now);
        if let Some(early) = self.early(*until, now) {
            return Err(early);
        }
        *until = (*until).max(now) + self.every;
        Ok(())
    }

    /// How much too early one more is.
    fn early(&self, until: Instant, now: Instant) -> Option<Duration> {
        let spent = until.saturating_duration_since(now) + self.every;
        let early = spent.checked_sub(self.every * self.burst)?;
        (!early.is_zero()).then_some(early)
    }
}

fn entry<'a, K: Eq + Hash + Clone>(
    all: &'a mut HashMap<K, Instant>,
    who: &K,
    now: Instant,
) -> &'a mut Instant {
    if all.len() >= MOST && !all.contains_key(who) {
        all.retain(|_, until| *until > now);
        if all.len() >= MOST
            && let Some((first, _)) = all.iter().min_by_key(|(_, until)| **until)
        {
            let first = first.clone();
            all.remove(&first);
        }
    }
    all.entry(who.clone()).or_insert(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const EVERY: Duration = Duration::from_millis(50);

    #[test]
    fn bursts_are_taken_and_then_some_a_second() {
        let (pace, now) = (Pace::new(240, EVERY), clock::now());
        let takes = |who: &'static str, at| {
            let taken = std::iter::repeat_with(|| pace.take(&who, at));
            taken.take_while(Result::is_ok).count()
        };
        assert_eq!(takes("a", now), 240);
        assert_eq!(takes("b", now), 240, "each for itself");
        assert_eq!(pace.take(&"a", now), Err(EVERY));
        assert_eq!(takes("a", now + EVERY), 1);
        assert_eq!(takes("a", now + Duration::from_secs(2)), 39);
        assert_eq!(takes("a", now + Duration::from_secs(3600)), 240);
    }

    #[test]
    fn what_is_counted_all_the_same_is_waited_for() {
        let (pace, now) = (Pace::new(2, EVERY), clock::now());
        for waits in [None, None, Some(EVERY), Some(EVERY * 2)] {
            assert_eq!(pace.wait(&"a", now), waits);
            pace.count(&"a", now);
        }
        assert_eq!(pace.wait(&"b", now), None);
        assert_eq!(pace.wait(&"a", now + EVERY * 3), None);
    }

    #[test]
    fn memory_is_bounded() {
        let (pace, now) = (Pace::new(2, EVERY), clock::now());
        for who in 0..3 * MOST {
            pace.count(&who, now);
        }
        assert_eq!(pace.until.lock().len(), MOST);
    }
}
