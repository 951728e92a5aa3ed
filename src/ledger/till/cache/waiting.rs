//! What is missing in a cache: requests that wait for it, and answers that go on meanwhile.
//!
//! Invariant: what is needed is the sum of what they miss, of money and of each limit; whoever counts in counts out
//! the same.

use std::time::Instant;

use tokio::sync::watch;

use super::super::{Ask, Extension, Policy};
use super::meters::{countable, units};
use super::{AccountCache, AccountState, Taken};
use crate::NanoUsd;
use crate::bank::Meter;

/// A request that waits for the bank; what it needs counts as needed until this is dropped.
pub(crate) struct Waiting<'a> {
    cache: &'a AccountCache,
    estimate: i64,
    units: Vec<(Meter, i64)>,
    until: u64,
    answered: watch::Receiver<u64>,
}

impl AccountCache {
    /// Counts what a request needs until it has been answered.
    pub(crate) fn wait(&self, ask: &Ask<'_>, policy: Policy, round: usize) -> Waiting<'_> {
        let tokens = countable(ask.tokens);
        let mut state = self.state.lock();
        // What is counted in is what will be counted out, even if a bucket is made in between.
        let mut units: Vec<(Meter, i64)> = ask
            .limits
            .iter()
            .filter(|limit| state.meters.contains_key(&limit.meter))
            .map(|limit| {
                let need = units(limit, ask.estimate, tokens);
                (limit.meter.clone(), need)
            })
            .collect();
        // What did not fit into the overdraft is held at its worst case.
        let exposed = (ask.worst - ask.estimate).or_zero();
        let fits = exposed <= policy.overdraft;
        if policy.enforced && exposed > NanoUsd::ZERO && fits {
            state.overdraft(policy.overdraft);
            units.push((Meter::overdraft(), exposed.0));
        }
        let held = if policy.enforced && (round > 0 || !fits) {
            ask.worst
        } else {
            ask.estimate
        };
        state.need(held.0, &units, 1);
        state.newcomers += 1;
        Waiting {
            cache: self,
            estimate: held.0,
            units,
            until: state.number + 1,
            answered: self.answered.subscribe(),
        }
    }

    /// Takes more money for a request in flight, or asks the bank for it.
    pub(crate) fn extend(
        &self,
        taken: &mut Taken,
        more: NanoUsd,
        policy: Policy,
        now: Instant,
    ) -> Extension {
        let answered = *self.answered.borrow();
        let mut state = self.state.lock();
        state.forfeit(now);
        if !policy.enforced || state.money.unspent >= more.0 {
            if let Some((needed, _)) = taken.asked.take() {
                state.money.needed -= i128::from(needed);
            }
            state.money.take(more.0);
            state.extend_budgets(taken, more);
            taken.estimate += more;
            taken.held += more;
            state.release_exposed(taken, more);
            return Extension::Granted;
        }
        match taken.asked {
            None => {
                state.money.needed += i128::from(more.0);
                state.newcomers += 1;
                taken.asked = Some((more.0, state.number + 1));
                Extension::Asked
            }
            Some((_, until)) if answered < until || state.away => Extension::Asked,
            // What this request holds itself does not come back for it.
            Some(_) if state.left() - taken.held < more => Extension::Gone,
            Some(_) => Extension::Asked,
        }
    }
}

impl Waiting<'_> {
    /// Until a message that says what this request needs was answered, or has failed.
    pub(crate) async fn answered(&self) {
        let mut answered = self.answered.clone();
        // The sender lives as long as the cache.
        let _gone = answered
            .wait_for(|count| *count >= self.until)
            .await
            .is_err();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.cache.state.lock().need(self.estimate, &self.units, -1);
    }
}

impl AccountState {
    /// What is set aside now is not exposed any more.
    fn release_exposed(&mut self, taken: &mut Taken, more: NanoUsd) {
        let less = taken.exposed.min(more);
        if less > NanoUsd::ZERO
            && let Some(overdraft) = self.meters.get_mut(&Meter::overdraft())
        {
            overdraft.bucket.settle(less.0, 0);
            taken.exposed -= less;
        }
    }

    fn need(&mut self, estimate: i64, units: &[(Meter, i64)], sign: i128) {
        self.money.needed += sign * i128::from(estimate);
        for (meter, need) in units {
            if let Some(meter) = self.meters.get_mut(meter) {
                meter.bucket.needed += sign * i128::from(*need);
            }
        }
    }

    /// More of what a request takes from its budgets, whether or not it is there; as with money, it gives back as
    /// much as it took.
    fn extend_budgets(&mut self, taken: &Taken, more: NanoUsd) {
        for (limit, begun) in taken.limits.iter().zip(&taken.begun) {
            let meter = self.meters.get_mut(&limit.meter);
            if let Some(meter) = meter.filter(|meter| meter.begun == *begun)
                && limit.meter.measure.is_budget()
            {
                let promised = |held| units(limit, held, taken.tokens);
                meter
                    .bucket
                    .take(promised(taken.held + more) - promised(taken.held));
            }
        }
    }
}
