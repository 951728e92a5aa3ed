//! The circuit breaker of a provider, which counts failures of the transport.
//!
//! ```text
//!              5 failures in a row                  the time is over
//!   ┌────────┐ ───────────────────▶ ┌────────────┐ ────────────────▶ ┌───────────┐
//!   │ closed │                      │    open    │                   │ half-open │
//!   └────────┘ ◀─── success ─────── │ 5 s … 60 s │ ◀─── failure ──── │ one probe │
//!       ▲                           └────────────┘  (twice as long)  └───────────┘
//!       └──────────────────────────── success ─────────────────────────────┘
//! ```
//!
//! Any answer is a success, a 500 included: the provider can be reached. An open breaker only moves
//! the provider's candidates to the end of the plan, so requests may still go out, and the success of
//! one of them closes it at once. While half-open, one request is let through as the probe, and to all
//! others the provider looks open until the probe has ended or its lease has run out.
//!
//! What one account's requests meet, they may have brought about. So there are two latches: failures in a row that are
//! all of one account shut the provider for that account only, and those of two or more for all. A failed probe shuts it
//! for the account that sent it, and for all again once that of another account has failed as well.
//!
//! Invariants: between two failures that open the breaker, at most one probe per lease is admitted; one account's
//! failures alone keep no other account out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff::{backoff, salt};

/// Failures in a row that open a breaker.
pub(crate) const THRESHOLD: u32 = 5;
/// How long it is open the first time.
pub const FIRST: Duration = Duration::from_secs(5);
/// How long it is open at most.
pub const LONGEST: Duration = Duration::from_secs(60);
/// After this, a probe that has not ended no longer keeps others out.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// The state as operators know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Candidates keep their place.
    Closed,
    /// Candidates go to the end.
    Open,
    /// One request is let through to see.
    HalfOpen,
}

impl BreakerState {
    /// Returns a name for metrics and the operator.
    pub fn label(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// For whom a provider has just been shut that was not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The account whose requests have failed: no other account's have.
    Account,
    /// Everybody.
    All,
}

/// What keeps requests out for a while.
#[derive(Clone, Copy, Debug, Default)]
struct Latch {
    state: LatchState,
    /// How often it was shut.
    trips: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum LatchState {
    #[default]
    Free,
    /// Half-open once the time is over.
    Shut { until: Instant },
    /// Half-open with the probe under way.
    Probing { lease: Instant },
}

impl Latch {
    fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            LatchState::Free => BreakerState::Closed,
            LatchState::Shut { until } if until > now => BreakerState::Open,
            LatchState::Shut { .. } | LatchState::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Until when requests had better stay out: while it is shut, and while another request probes.
    fn until(&self, now: Instant) -> Option<Instant> {
        match self.state {
            LatchState::Free => None,
            LatchState::Shut { until: end } | LatchState::Probing { lease: end } => {
                (end > now).then_some(end)
            }
        }
    }

    /// A request goes through; while half-open it is the probe.
    fn pass(&mut self, now: Instant) {
        if !matches!(self.state, LatchState::Free) {
            let lease = now.checked_add(LEASE).unwrap_or(now);
            self.state = LatchState::Probing { lease };
        }
    }

    /// The probe, if there was one, has ended: the next request is.
    fn probed(&mut self, now: Instant) {
        if matches!(self.state, LatchState::Probing { .. }) {
            self.state = LatchState::Shut { until: now };
        }
    }

    /// Shuts it, for longer each time; whether that is the first time.
    fn shut(&mut self, now: Instant, salt: u64) -> bool {
        self.trips = self.trips.saturating_add(1);
        let shut = backoff(self.trips, FIRST, LONGEST, salt);
        let until = now.checked_add(shut).unwrap_or(now);
        self.state = LatchState::Shut { until };
        self.trips == 1
    }
}

/// One provider's breaker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    /// Failures in a row, counted up to [`THRESHOLD`].
    failures: u32,
    /// Whose they are, as far as they came after it was last shut for all.
    whose: Whose,
    /// Keeps everybody out.
    all: Latch,
    /// Keeps the one account out whose failures they are.
    alone: Latch,
}

#[derive(Clone, Debug, Default)]
enum Whose {
    #[default]
    Nobodys,
    One(Arc<str>),
    Several,
}

impl Breaker {
    /// The state at `now`, if only for the account whose failures they are.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.all.state(now) {
            BreakerState::Closed => self.alone.state(now),
            state => state,
        }
    }

    /// Until when this account had better leave the provider alone: while open, and while another request probes.
    pub(crate) fn until(&self, account: &str, now: Instant) -> Option<Instant> {
        let alone = self.is_of(account).then(|| self.alone.until(now));
        // `None` is less than any `Some`.
        self.all.until(now).max(alone.flatten())
    }

    /// An attempt of this account is about to begin. In half-open the first one becomes the probe. False says that the
    /// provider had better be left alone.
    pub(crate) fn begin(&mut self, account: &str, now: Instant) -> bool {
        if self.until(account, now).is_some() {
            return false;
        }
        self.all.pass(now);
        if self.is_of(account) {
            self.alone.pass(now);
        }
        true
    }

    /// The transport failed. Failures of requests that went out while it is open change nothing.
    pub(crate) fn on_failure(
        &mut self,
        account: &Arc<str>,
        now: Instant,
        salt: u64,
    ) -> Option<Shut> {
        if self.all.state(now) == BreakerState::Open {
            return None;
        }
        self.all.probed(now);
        self.failures = (self.failures + 1).min(THRESHOLD);
        self.whose = match std::mem::take(&mut self.whose) {
            Whose::Nobodys => Whose::One(account.clone()),
            Whose::One(one) if one == *account => Whose::One(one),
            Whose::One(_) | Whose::Several => Whose::Several,
        };
        let alone = matches!(self.whose, Whose::One(_));
        if self.failures < THRESHOLD || alone && self.alone.state(now) == BreakerState::Open {
            return None;
        }
        if alone {
            let first = self.alone.shut(now, salt) && self.all.trips == 0;
            return first.then_some(Shut::Account);
        }
        (self.whose, self.alone) = (Whose::Nobodys, Latch::default());
        self.all.shut(now, salt).then_some(Shut::All)
    }

    /// An attempt of this account ended and says nothing of the transport, as when the client hung up. If it was the
    /// probe, the next request is.
    pub(crate) fn on_neither(&mut self, account: &str, now: Instant) {
        self.all.probed(now);
        if self.is_of(account) {
            self.alone.probed(now);
        }
    }

    fn is_of(&self, account: &str) -> bool {
        matches!(&self.whose, Whose::One(one) if **one == *account)
    }
}

/// The breakers of all providers. While all are closed without a failure, each method costs one atomic load.
#[derive(Debug)]
pub struct Breakers {
    /// How many entries `providers` has; changed only under its lock, read without it.
    entries: AtomicUsize,
    /// Only providers whose transport failed last; a success removes them.
    providers: Mutex<HashMap<Arc<str>, Breaker>>,
    seed: u64,
}

impl Breakers {
    /// All closed. The seed spreads the jitter of replicas; tests pass a fixed one.
    pub fn new(seed: u64) -> Breakers {
        Breakers {
            entries: AtomicUsize::new(0),
            providers: Mutex::new(HashMap::new()),
            seed,
        }
    }

    /// Returns until when this account had better leave the provider alone, see `Breaker::until`.
    pub fn until(&self, provider: &str, account: &str, now: Instant) -> Option<Instant> {
        if self.all_closed() {
            return None;
        }
        self.providers.lock().get(provider)?.until(account, now)
    }

    /// An attempt is about to begin, see `Breaker::begin`.
    pub fn begin(&self, provider: &str, account: &str, now: Instant) -> bool {
        self.all_closed()
            || self
                .providers
                .lock()
                .get_mut(provider)
                .is_none_or(|breaker| breaker.begin(account, now))
    }

    /// The provider answered, whoever asked, which closes its breaker. Says whether it had opened.
    pub fn on_success(&self, provider: &str) -> bool {
        if self.all_closed() {
            return false;
        }
        let mut providers = self.providers.lock();
        let closed = providers.remove(provider);
        self.entries.store(providers.len(), Ordering::Relaxed);
        closed.is_some_and(|breaker| breaker.all.trips > 0 || breaker.alone.trips > 0)
    }

    /// The transport failed, see [`Breaker::on_failure`].
    pub(crate) fn on_failure(
        &self,
        provider: &Arc<str>,
        account: &Arc<str>,
        now: Instant,
    ) -> Option<Shut> {
        let mut providers = self.providers.lock();
        let breaker = providers.entry(provider.clone()).or_default();
        let shut = breaker.on_failure(account, now, salt(self.seed, provider));
        self.entries.store(providers.len(), Ordering::Relaxed);
        shut
    }

    /// An attempt ended and says nothing of the transport, see [`Breaker::on_neither`].
    pub(crate) fn on_neither(&self, provider: &str, account: &str, now: Instant) {
        if self.all_closed() {
            return;
        }
        if let Some(breaker) = self.providers.lock().get_mut(provider) {
            breaker.on_neither(account, now);
        }
    }

    /// Returns the provider's state.
    pub fn state(&self, provider: &str, now: Instant) -> BreakerState {
        self.providers
            .lock()
            .get(provider)
            .map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// Returns until when anybody had better leave the provider alone, if only one account.
    pub fn ends(&self, provider: &str, now: Instant) -> Option<Instant> {
        let providers = self.providers.lock();
        let breaker = providers.get(provider)?;
        // `None` is less than any `Some`.
        breaker.all.until(now).max(breaker.alone.until(now))
    }

    fn all_closed(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests;
