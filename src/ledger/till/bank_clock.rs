//! What time it is to the bank, as its answers say. Pure.
//!
//! Invariant: it is never ahead of the bank, so that no window is named before the bank has come to it, and nobody is
//! asked to come back too early.

use std::time::{Duration, Instant};

use tollgate_base::clock::millis;

/// The bank's clock; nothing is known of it before its first answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BankClock(Option<(Instant, u64)>);

impl BankClock {
    /// Takes in what an answer said (Unix time, ms) that was asked for at `sent` and is here at `now`.
    pub(super) fn hear(&mut self, said: u64, sent: Instant, now: Instant) {
        let way = millis(now.saturating_duration_since(sent));
        // What an earlier answer said is closer, unless the bank's clock has been set since.
        let known = self
            .at(now)
            .filter(|known| (said..=said + way + 1).contains(known));
        if known.is_none() {
            self.0 = Some((now, said));
        }
    }

    /// What time it is at least (Unix time, ms).
    pub(super) fn at(&self, now: Instant) -> Option<u64> {
        let (then, said) = self.0?;
        let since: Duration = now.saturating_duration_since(then);
        Some(said.saturating_add(millis(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_ahead_of_the_bank_and_follows_it() {
        let start = tollgate_base::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut clock = BankClock::default();
        assert_eq!(clock.at(start), None);
        // The bank's clock says 1,000,000 at `start`. Answers take 5 ms on their way.
        for (sent, asked, heard) in [(0, 5, 10), (100, 145, 150), (200, 201, 290)] {
            clock.hear(1_000_000 + asked, at(sent), at(heard));
            let known = clock.at(at(heard)).unwrap();
            assert!(
                known <= 1_000_000 + heard && known >= 1_000_000 + heard - 5,
                "{known}"
            );
        }
        for set in [2_000_000, 500_000] {
            clock.hear(set, at(300), at(302));
            assert_eq!(clock.at(at(312)), Some(set + 10), "it was set");
        }
    }
}
