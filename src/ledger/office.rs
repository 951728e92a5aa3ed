//! The ledger of this process, put together: what the walk of a request needs of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::estimate::Estimates;
use super::till::{Refusal, Till};

/// One per process that keeps money.
pub struct Ledger {
    /// Holds and settles.
    pub till: Arc<Till>,
    /// Expects answers' lengths.
    pub estimates: Estimates,
    refusals: [AtomicU64; REASONS.len()],
}

/// Why requests are refused, as metrics name it.
pub(crate) const REASONS: [&str; 6] = [
    "out_of_credits",
    "held",
    "limit",
    "bank_away",
    "journal",
    "overdraft",
];

impl Ledger {
    /// Returns a ledger whose estimates know nothing yet.
    pub fn new(till: Arc<Till>) -> Ledger {
        Ledger {
            till,
            estimates: Estimates::default(),
            refusals: Default::default(),
        }
    }

    /// Takes note of a refusal.
    pub fn refused(&self, refusal: &Refusal) {
        let reason = match refusal {
            Refusal::OutOfCredits { .. } => 0,
            Refusal::Held => 1,
            Refusal::Limit { .. } | Refusal::TooManyLimits => 2,
            Refusal::BankAway => 3,
            Refusal::JournalFull => 4,
            Refusal::Exposed { .. } => 5,
        };
        self.refusals[reason].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many requests were refused, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(
            self.refusals
                .iter()
                .map(|count| count.load(Ordering::Relaxed)),
        )
    }
}
