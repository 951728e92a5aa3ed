//! Why a request is not admitted.

use std::time::Duration;

use crate::NanoUsd;
use crate::bank::Limit;
use crate::bank::Measure;

/// Why a request is not admitted; each is a value that the proxy turns into an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The account's credits do not cover it, not even with all that is lent.
    OutOfCredits {
        /// What it may cost.
        estimate: NanoUsd,
        /// What is left.
        left: NanoUsd,
    },
    /// The credits that it needs are held by requests in flight, or lent to other replicas.
    Held,
    /// It may cost more than what is expected by more than the account may be overdrawn, and its worst case cannot be
    /// held.
    Exposed {
        /// What it may cost at most.
        worst: NanoUsd,
        /// What is left.
        left: NanoUsd,
        /// What it may cost beyond what is expected.
        exposed: NanoUsd,
        /// What all requests in flight may cost beyond what is held for them.
        overdraft: NanoUsd,
    },
    /// A limit or a budget is reached.
    Limit {
        /// Which.
        limit: Limit,
        /// What is left of it now, at least 0.
        left: i64,
        /// What the request needs of it.
        need: i64,
        /// When to try again; `None` when it can never be served.
        retry_after: Option<Duration>,
        /// When the window ends; `None` if it has none.
        reset: Option<Duration>,
    },
    /// The account has as many limits in use at once as are counted: those of tags are as many as clients say.
    TooManyLimits,
    /// The bank does not answer, and the allotment does not cover it.
    BankAway,
    /// The journal cannot be written: the disk is full, or broken.
    JournalFull,
}

/// What a cache lacks for a request, with what the bank said last.
#[derive(Clone, Debug)]
pub(crate) struct Short(pub(super) Refusal);

impl Short {
    /// Whether no answer of the bank could change it: what has been used in a window stays used, and what is over
    /// the whole limit never fits.
    pub(crate) fn is_final(&self) -> bool {
        match &self.0 {
            Refusal::Limit {
                limit, left, need, ..
            } => *left < *need && limit.meter.measure != Measure::ConcurrentRequests,
            Refusal::TooManyLimits => true,
            _ => false,
        }
    }

    /// Whether not even everything that is lent would be enough, by what the bank said last.
    pub(crate) fn is_out_of_credits(&self) -> bool {
        match self.0 {
            Refusal::OutOfCredits { .. } => true,
            Refusal::Exposed {
                worst,
                left,
                exposed,
                overdraft,
            } => exposed > overdraft && left < worst,
            _ => false,
        }
    }

    /// The refusal, after the bank has answered.
    pub(crate) fn refusal(self) -> Refusal {
        self.0
    }

    /// The refusal while the bank is away: what is short might be had from it.
    pub(crate) fn while_away(self) -> Refusal {
        match self.0 {
            // Its window is known to be used up.
            limit @ Refusal::Limit {
                retry_after: None, ..
            } => limit,
            _ => Refusal::BankAway,
        }
    }
}
