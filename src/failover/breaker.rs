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
//! Invariant: between two failures that open the breaker, at most one probe per lease is admitted.

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

/// One provider's breaker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// How often it opened since it was last closed.
    trips: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Half-open once the time is over.
    Open {
        until: Instant,
    },
    /// Half-open with the probe under way.
    Probing {
        lease: Instant,
    },
}

impl Default for State {
    fn default() -> State {
        State::Closed { failures: 0 }
    }
}

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
    /// A name for metrics and the operator.
    pub fn label(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

impl Breaker {
    /// The state at `now`.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if until > now => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Until when the provider had better be left alone: while open, and while another request probes.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until: end } | State::Probing { lease: end } => {
                (end > now).then_some(end)
            }
        }
    }

    /// An attempt is about to begin. In half-open the first one becomes the probe. False says that the
    /// provider had better be left alone.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        if self.until(now).is_some() {
            return false;
        }
        if !matches!(self.state, State::Closed { .. }) {
            self.state = State::Probing {
                lease: now.checked_add(LEASE).unwrap_or(now),
            };
        }
        true
    }

    /// The transport failed. Failures of requests that went out while it is open change nothing.
    pub(crate) fn on_failure(&mut self, now: Instant, salt: u64) {
        match &mut self.state {
            State::Closed { failures } if *failures + 1 < THRESHOLD => *failures += 1,
            State::Open { until } if *until > now => {}
            State::Closed { .. } | State::Open { .. } | State::Probing { .. } => {
                self.trips = self.trips.saturating_add(1);
                let open = backoff(self.trips, FIRST, LONGEST, salt);
                self.state = State::Open {
                    until: now.checked_add(open).unwrap_or(now),
                };
            }
        }
    }

    /// An attempt ended and says nothing of the transport, as when the client hung up. If it was the
    /// probe, the next request is.
    pub(crate) fn on_neither(&mut self, now: Instant) {
        if matches!(self.state, State::Probing { .. }) {
            self.state = State::Open { until: now };
        }
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

    /// Until when the provider had better be left alone, see `Breaker::until`.
    pub fn until(&self, provider: &str, now: Instant) -> Option<Instant> {
        if self.all_closed() {
            return None;
        }
        self.providers.lock().get(provider)?.until(now)
    }

    /// An attempt is about to begin, see `Breaker::begin`.
    pub fn begin(&self, provider: &str, now: Instant) -> bool {
        self.all_closed()
            || self
                .providers
                .lock()
                .get_mut(provider)
                .is_none_or(|breaker| breaker.begin(now))
    }

    /// The provider answered, which closes its breaker. Says whether it had opened.
    pub fn on_success(&self, provider: &str) -> bool {
        if self.all_closed() {
            return false;
        }
        let mut providers = self.providers.lock();
        let closed = providers.remove(provider);
        self.entries.store(providers.len(), Ordering::Relaxed);
        closed.is_some_and(|breaker| breaker.trips > 0)
    }

    /// The transport failed, see [`Breaker::on_failure`].
    pub(crate) fn on_failure(&self, provider: &Arc<str>, now: Instant) {
        let mut providers = self.providers.lock();
        let breaker = providers.entry(provider.clone()).or_default();
        breaker.on_failure(now, salt(self.seed, provider));
        self.entries.store(providers.len(), Ordering::Relaxed);
    }

    /// An attempt ended and says nothing of the transport, see [`Breaker::on_neither`].
    pub(crate) fn on_neither(&self, provider: &str, now: Instant) {
        if self.all_closed() {
            return;
        }
        if let Some(breaker) = self.providers.lock().get_mut(provider) {
            breaker.on_neither(now);
        }
    }

    /// The provider's state.
    pub fn state(&self, provider: &str, now: Instant) -> BreakerState {
        self.providers
            .lock()
            .get(provider)
            .map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// Every provider whose breaker is not closed, by id, with the end of its being left alone.
    pub fn list(&self, now: Instant) -> Vec<(Arc<str>, BreakerState, Option<Instant>)> {
        let mut list: Vec<_> = self
            .providers
            .lock()
            .iter()
            .map(|(id, breaker)| (id.clone(), breaker.state(now), breaker.until(now)))
            .filter(|&(_, state, _)| state != BreakerState::Closed)
            .collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }

    fn all_closed(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tripped(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            breaker.on_failure(now, 1);
        }
        breaker
    }

    #[test]
    fn opens_at_the_threshold_and_no_sooner() {
        let now = tollgate_base::clock::now();
        let mut breaker = Breaker::default();
        for failure in 1..THRESHOLD {
            breaker.on_failure(now, 1);
            assert_eq!(
                breaker.state(now),
                BreakerState::Closed,
                "after {failure} failures"
            );
        }
        breaker = Breaker::default();
        for _ in 1..THRESHOLD {
            breaker.on_failure(now, 1);
        }
        assert_eq!(
            breaker.state(now),
            BreakerState::Closed,
            "a success between makes them not consecutive"
        );
        breaker.on_failure(now, 1);
        assert_eq!(breaker.state(now), BreakerState::Open);
        let open = breaker.until(now).unwrap() - now;
        assert!(open >= FIRST && open <= FIRST * 5 / 4, "{open:?}");
    }

    #[test]
    fn half_open_lets_one_probe_through() {
        let now = tollgate_base::clock::now();
        let mut breaker = tripped(now);
        let later = breaker.until(now).unwrap();
        assert!(!breaker.begin(now), "open");
        assert_eq!(
            (breaker.state(later), breaker.until(later)),
            (BreakerState::HalfOpen, None)
        );
        assert!(breaker.begin(later), "the first is the probe");
        assert!(!breaker.begin(later), "the second is not");
        assert_eq!(
            breaker.until(later),
            Some(later + LEASE),
            "to others it looks open"
        );
        assert!(
            breaker.begin(later + LEASE),
            "a probe that never ends does not lock the provider out"
        );
    }

    #[test]
    fn a_failed_probe_doubles_the_time_and_a_good_one_closes() {
        let mut now = tollgate_base::clock::now();
        let mut breaker = tripped(now);
        for expected in [5, 10, 20, 40, 48, 48] {
            let expected = Duration::from_secs(expected);
            let open = breaker.until(now).unwrap() - now;
            assert!(
                open >= expected && open <= expected * 5 / 4,
                "{open:?} is not {expected:?}"
            );
            now += open;
            assert!(breaker.begin(now));
            breaker.on_failure(now, 1);
        }
        now = breaker.until(now).unwrap();
        assert!(breaker.begin(now));
        breaker = Breaker::default();
        assert_eq!(breaker.state(now), BreakerState::Closed);
        for _ in 0..THRESHOLD {
            breaker.on_failure(now, 1);
        }
        let again = breaker.until(now).unwrap() - now;
        assert!(
            again <= FIRST * 5 / 4,
            "the next trip starts over, but is {again:?}"
        );
    }

    #[test]
    fn a_probe_whose_client_hangs_up_makes_room_for_the_next() {
        let now = tollgate_base::clock::now();
        let mut breaker = tripped(now);
        let later = breaker.until(now).unwrap();
        assert!(breaker.begin(later));
        breaker.on_neither(later);
        assert!(breaker.begin(later), "the next request probes");
    }

    #[test]
    fn stragglers_do_not_keep_it_open() {
        let now = tollgate_base::clock::now();
        let mut breaker = tripped(now);
        let until = breaker.until(now);
        for _ in 0..50 {
            breaker.on_failure(now, 1);
        }
        assert_eq!(breaker.until(now), until);
    }

    #[test]
    fn providers_do_not_share_a_breaker() {
        let now = tollgate_base::clock::now();
        let breakers = Breakers::new(3);
        let (bad, good): (Arc<str>, Arc<str>) = ("bad".into(), "good".into());
        for _ in 0..THRESHOLD {
            breakers.on_failure(&bad, now);
        }
        breakers.on_failure(&good, now);
        assert!(breakers.until(&bad, now).is_some() && !breakers.begin(&bad, now));
        assert!(breakers.until(&good, now).is_none() && breakers.begin(&good, now));
        let list = breakers.list(now);
        assert_eq!(
            (list.len(), &*list[0].0, list[0].1),
            (1, "bad", BreakerState::Open)
        );
        breakers.on_success(&bad);
        breakers.on_success(&good);
        assert!(breakers.all_closed(), "a look is one atomic load again");
    }

    proptest! {
        /// Between two failures at most one probe is admitted per lease, whatever happens otherwise;
        /// and never anyone while it is open.
        #[test]
        fn at_most_one_probe_per_lease(events in proptest::collection::vec((0u8..8, 0u64..8_000), 1..200)) {
            let mut now = tollgate_base::clock::now();
            let mut breaker = Breaker::default();
            let mut probe: Option<Instant> = None;
            for (event, later) in events {
                now += Duration::from_millis(later);
                match event {
                    0 => { breaker = Breaker::default(); probe = None; }
                    1 => { breaker.on_neither(now); probe = None; }
                    2..=5 => { breaker.on_failure(now, 5); probe = None; }
                    _ => {
                        let before = breaker.state(now);
                        let admitted = breaker.begin(now);
                        match before {
                            BreakerState::Closed => prop_assert!(admitted),
                            BreakerState::Open => prop_assert!(!admitted),
                            BreakerState::HalfOpen => {
                                let busy = probe.is_some_and(|since| now < since + LEASE);
                                prop_assert_eq!(admitted, !busy);
                                if admitted { probe = Some(now); }
                            }
                        }
                    }
                }
            }
        }
    }
}
