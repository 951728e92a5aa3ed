//! How often an account may have its prompts counted: many at once, as agents do that begin together, two dozen each, and
//! then some a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tollgate_wire::GatewayError;

/// So many at once.
const BURST: u32 = 240;

/// One more each.
const EVERY: Duration = Duration::from_millis(50);

/// When each account would have used up what it has, had it asked at the pace of [`EVERY`].
#[derive(Default)]
pub struct Pace(Mutex<HashMap<Arc<str>, Instant>>);

impl Pace {
    /// One more count.
    ///
    /// # Errors
    /// If there were too many; when there may be another.
    pub fn count(&self, account: &Arc<str>, now: Instant) -> Result<(), GatewayError> {
        let mut all = self.0.lock();
        let used_until = match all.get_mut(account) {
            Some(until) => until,
            None => all.entry(account.clone()).or_insert(now),
        };
        let until = (*used_until).max(now) + EVERY;
        let early = until.saturating_duration_since(now + EVERY * BURST);
        if early.is_zero() {
            *used_until = until;
            return Ok(());
        }
        let most = format!("{BURST} counts of tokens at once, then one each {EVERY:?}");
        Err(GatewayError::limit_reached(&most, Some(early)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_base::clock;

    #[test]
    fn bursts_are_taken_and_then_some_a_second() {
        let (pace, now) = (Pace::default(), clock::now());
        let counts = |account: &str, at| {
            let account = account.into();
            let taken = std::iter::repeat_with(|| pace.count(&account, at));
            taken.take_while(Result::is_ok).count()
        };
        assert_eq!(counts("a", now), 240);
        assert_eq!(counts("b", now), 240, "each for itself");
        assert_eq!(counts("a", now + EVERY), 1);
        assert_eq!(counts("a", now + Duration::from_secs(2)), 39);
        assert_eq!(counts("a", now + Duration::from_secs(3600)), 240);
    }
}
