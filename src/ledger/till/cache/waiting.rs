//! Requests that wait for money or units that a cache lacks, and answers that go on while more money is asked for.
//!
//! Invariant: `needed` of each bucket is the sum of what all of them lack; each takes out of it what it has added.

use std::time::Instant;

use tokio::sync::watch;

use super::super::{Ask, Extension, Policy};
use super::meters::{countable, units};
use super::{AccountCache, AccountState, Taken};
use crate::NanoUsd;
use crate::bank::Meter;

/// A request that waits for the bank. What it needs is counted until this is dropped.
pub(crate) struct Waiting<'a> {
    cache: &'a AccountCache,
    /// The money that it needs (nano-dollars).
    money: i64,
    /// What it needs of each limit.
    units: Vec<(Meter, i64)>,
    /// The number of the first message that can say what it needs.
    until: u64,
    /// How many messages have been answered, or have failed.
    answered: watch::Receiver<u64>,
}

impl AccountCache {
    /// Counts what a request needs until the result is dropped. `round` is how often it has waited already.
    pub(crate) fn wait(&self, ask: &Ask<'_>, policy: Policy, round: usize) -> Waiting<'_> {
        let tokens = countable(ask.tokens);
        let mut state = self.state.lock();
        // A request that the overdraft cannot cover, or has not covered by now, is held at its worst case.
        let exposed = (ask.worst - ask.estimate).or_zero();
        let fits = exposed <= policy.overdraft;
        let held = if policy.enforced && (round > 0 || !fits) {
            ask.worst
        } else {
            ask.estimate
        };
        // A limit without a bucket is left out: if one were made meanwhile, the drop would take from it what was never
        // added.
        let mut units: Vec<(Meter, i64)> = ask
            .limits
            .iter()
            .filter(|limit| state.meters.contains(&limit.meter))
            .map(|limit| {
                let need = units(limit, held, tokens);
                (limit.meter.clone(), need)
            })
            .collect();
        if policy.enforced && exposed > NanoUsd::ZERO && fits {
            state.overdraft(policy.overdraft);
            units.push((Meter::overdraft(), exposed.0));
        }
        state.count_needed(held.0, &units, 1);
        state.newcomers += 1;
        Waiting {
            cache: self,
            money: held.0,
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
        // Of what is held at the worst case, some is there for this.
        let slack = (taken.held - taken.estimate).or_zero();
        let beyond = (more - slack).or_zero();
        if !policy.enforced || state.money.unspent >= beyond.0 {
            if let Some((needed, _)) = taken.asked.take() {
                state.money.needed -= i128::from(needed);
            }
            state.money.take(beyond.0, 0);
            state.extend_budgets(taken, beyond);
            taken.estimate += more;
            taken.held += beyond;
            state.release_exposed(taken, beyond);
            return Extension::Granted;
        }
        let needed = match taken.asked {
            Some((_, until)) if answered < until || state.away => return Extension::Asked,
            // What is left includes what requests hold. Others may give theirs back, this one cannot while it runs.
            Some(_) if state.left() - taken.held < beyond => return Extension::Gone,
            asked => asked.map_or(0, |(needed, _)| needed),
        };
        if beyond.0 > needed {
            state.money.needed += i128::from(beyond.0 - needed);
            state.newcomers += 1;
            taken.asked = Some((beyond.0, state.number + 1));
        }
        Extension::Asked
    }
}

impl Waiting<'_> {
    /// Waits until a message that says what this request needs was answered, or has failed.
    pub(crate) async fn answered(&self) {
        let mut answered = self.answered.clone();
        // It cannot fail: the sender lives as long as the cache.
        let _is_closed = answered
            .wait_for(|count| *count >= self.until)
            .await
            .is_err();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.state.lock();
        state.count_needed(self.money, &self.units, -1);
    }
}

impl AccountState {
    /// Gives back to the overdraft what the money just set aside covers.
    fn release_exposed(&mut self, taken: &mut Taken, more: NanoUsd) {
        let less = taken.exposed.min(more);
        if less > NanoUsd::ZERO {
            let overdraft = self.meters.overdraft();
            overdraft.bucket.settle(less.0, 0);
            taken.exposed -= less;
        }
    }

    /// Adds what a request needs to what is needed (`sign` 1), or takes it out again (-1).
    fn count_needed(&mut self, money: i64, units: &[(Meter, i64)], sign: i128) {
        self.money.needed += sign * i128::from(money);
        for (meter, need) in units {
            if let Some(meter) = self.meters.get_mut(meter) {
                meter.bucket.needed += sign * i128::from(*need);
            }
        }
    }

    /// Takes `more` from a request's budgets, whether or not it is there, as `release` will give it back: no more than
    /// the limit in all, and only in the window that the request began in.
    fn extend_budgets(&mut self, taken: &Taken, more: NanoUsd) {
        for (limit, place) in taken.limits.iter().zip(&taken.places) {
            let meter = self.meters.at_mut(limit, place);
            if let Some(meter) = meter.filter(|meter| meter.begun == place.begun)
                && limit.meter.measure.is_budget()
            {
                let promised = |held| units(limit, held, taken.tokens);
                meter
                    .bucket
                    .take(promised(taken.held + more) - promised(taken.held), 0);
            }
        }
    }
}
