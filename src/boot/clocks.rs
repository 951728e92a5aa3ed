//! Watches the clocks: logs when they jump or disagree, and has the database note the time for the next process.
//!
//! The time that the gateway uses is not the machine's while that is doubted (`tollgate_base::clock`).

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::metrics::Metrics;
use tollgate_base::Timestamp;
use tollgate_base::clock::{self, Reading, SETTLED, SLACK, millis};
use tollgate_store::Database;

/// How often the machine's clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How many looks lie between two at the database's.
const NOTE: u32 = 5;

/// What was logged last, so that it is logged once.
#[derive(Default)]
struct Said {
    jumps: u64,
    /// Whether the machine's clock differed from the time that is used.
    differs: bool,
    /// Whether the database server's differed from this machine's.
    server_differs: bool,
}

/// What is logged of the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It jumped, and back, between two looks.
    CameBack,
    /// It jumped, and is not used.
    Jumped,
    /// No process ran for long, so that nobody knows whether it jumped.
    Unwatched,
    /// It is used again.
    UsedAgain,
}

/// Looks at the machine's clock every second and at the database's every five; never ends.
pub async fn watch(database: Option<Database>, metrics: Arc<Metrics>) {
    let mut said = Said::default();
    let mut looks = 0;
    loop {
        said.machine(&clock::read(), &metrics);
        if let Some(database) = database.as_ref().filter(|_| looks % NOTE == 0) {
            match database.now().await {
                Ok(now) => {
                    let server = now.server.map(|server| (server, clock::wall_ms()));
                    if let Some((server, here)) = server {
                        said.server(server, here, &metrics);
                    }
                }
                Err(error) => log::debug!("the time is not noted: {error}"),
            }
        }
        looks = (looks + 1) % NOTE;
        tokio::time::sleep(LOOK).await;
    }
}

impl Said {
    fn machine(&mut self, reading: &Reading, metrics: &Metrics) {
        let [raw, told, sure] = [reading.raw, reading.told, reading.sure].map(millis);
        let (new, minutes) = (reading.jumps - self.jumps, SETTLED.as_secs() / 60);
        self.jumps = reading.jumps;
        let differs = raw.abs_diff(sure) > millis(SLACK);
        metrics.clock("machine", if differs { ahead(raw, sure) } else { 0 }, new);
        let is_right = raw.abs_diff(told) <= millis(SLACK);
        match self.word(new > 0, differs, is_right) {
            None => {}
            Some(Word::CameBack) => log::error!(
                "the machine's clock jumped for less than a second and came back: see what sets it"
            ),
            Some(Word::Jumped) => log::error!(
                "the machine's clock jumped: it says {}, and should say {}, which is used. If it is wrong, set it \
                 right; if it is right, it is believed after {minutes} minutes, and nothing expires or is forgotten \
                 by it for {minutes} more",
                time(raw),
                time(told)
            ),
            Some(Word::Unwatched) => log::warn!(
                "nobody has watched the clock since {}: what ended until {} is not used any more, and is booked as \
                 expired or forgotten once the clock has gone on for {minutes} minutes",
                time(sure),
                time(told)
            ),
            Some(Word::UsedAgain) => {
                log::info!("the machine's clock is used again, at {}", time(told));
            }
        }
        self.differs = differs;
    }

    /// Returns what there is to log of the machine's clock: whether it `jumped` since the last look, `differs` from the time
    /// that is used, and says what it should.
    fn word(&self, jumped: bool, differs: bool, is_right: bool) -> Option<Word> {
        match (jumped, is_right) {
            // That it jumped back to where it should be is no new trouble, if it was said that it is elsewhere.
            (true, true) if !self.differs => Some(Word::CameBack),
            (true, false) => Some(Word::Jumped),
            _ if differs && !self.differs => Some(Word::Unwatched),
            _ if self.differs && !differs => Some(Word::UsedAgain),
            _ => None,
        }
    }

    fn server(&mut self, server: u64, here: u64, metrics: &Metrics) {
        let differs = server.abs_diff(here) > millis(SLACK);
        metrics.clock("redis", if differs { ahead(server, here) } else { 0 }, 0);
        if differs && !self.server_differs {
            log::error!(
                "the clock of the ledger's Redis says {}, this machine's {}: limits, leases and grants go by that of \
                 Redis, and nothing is lost for good before both have come to its time. Set the wrong one right",
                time(server),
                time(here)
            );
        } else if self.server_differs && !differs {
            log::info!("the clocks of the ledger's Redis and of this machine agree again");
        }
        self.server_differs = differs;
    }
}

/// By how many seconds one is ahead of another.
fn ahead(one: u64, other: u64) -> i64 {
    (one.cast_signed() - other.cast_signed()) / 1_000
}

fn time(ms: u64) -> Timestamp {
    Timestamp(UNIX_EPOCH + Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_right_is_no_flicker() {
        let after = |differs| Said {
            differs,
            ..Said::default()
        };
        let said =
            |before, jumped, differs, is_right| after(before).word(jumped, differs, is_right);
        assert_eq!(said(false, true, true, false), Some(Word::Jumped));
        assert_eq!(said(true, false, true, false), None, "said once");
        assert_eq!(said(true, true, false, true), Some(Word::UsedAgain));
        assert_eq!(said(true, true, true, true), None);
        assert_eq!(said(false, true, false, true), Some(Word::CameBack));
        assert_eq!(said(true, true, true, false), Some(Word::Jumped));
        assert_eq!(said(false, false, true, true), Some(Word::Unwatched));
        assert_eq!(said(true, false, false, true), Some(Word::UsedAgain));
        assert_eq!(said(false, false, false, true), None);
    }
}
