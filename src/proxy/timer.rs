//! The timer that a request under way, and a connection between two of them, sleeps on.
//!
//! It is Pingora's own, which a thread of its own looks after in steps of 10 ms: setting it costs two looks into a map,
//! and four allocations. A timer of tokio's would wake the worker's poller, with a system call, at every request.
//! Nearly all of them are given up long before their time, and are left to whoever needs one next.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use pingora_timeout::fast_timeout::fast_sleep;

/// Timers that a thread keeps for others, at most.
const MOST_SPARE: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Set>> = const { RefCell::new(Vec::new()) };
}

/// Sleeps, over as many calls as it takes.
#[derive(Default)]
pub struct Timer(Option<Set>);

struct Set {
    to: Instant,
    sleep: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Timer {
    /// Sleeps from `now` until `at`, or until an earlier time that a timer was set to before: waking early is
    /// cheaper than setting it anew. May be up to 10 ms late. Dropped while it sleeps, it stays set.
    pub async fn sleep(&mut self, now: Instant, at: Instant) {
        let own = self.0.take().filter(|set| set.fits(now, at));
        let set = own.or_else(|| spare(now, at)).unwrap_or_else(|| Set {
            to: at,
            sleep: Box::pin(fast_sleep(at.saturating_duration_since(now))),
        });
        self.0.insert(set).sleep.as_mut().await;
        self.0 = None;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(set) = self.0.take() {
            // Where the thread ends, so do its timers.
            let kept = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < MOST_SPARE {
                    spare.push(set);
                }
            });
            kept.ok();
        }
    }
}

impl Set {
    /// Whether it wakes who sleeps until `at`, in time.
    fn fits(&self, now: Instant, at: Instant) -> bool {
        now < self.to && self.to <= at
    }
}

/// A timer that nobody sleeps on any more.
fn spare(now: Instant, at: Instant) -> Option<Set> {
    SPARE.with_borrow_mut(|spare| {
        // What was put back last is set to the latest time, as a rule.
        let place = spare.iter().rposition(|set| set.fits(now, at));
        if place.is_none() && spare.len() == MOST_SPARE {
            spare.retain(|set| now < set.to);
        }
        place.map(|place| spare.swap_remove(place))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tollgate_base::clock;

    #[tokio::test]
    async fn sleeps_on_where_it_was_interrupted() {
        let mut timer = Timer::default();
        let start = clock::now();
        let after = |millis| start + Duration::from_millis(millis);
        let far = timer.sleep(start, after(60_000));
        let interrupted = tokio::time::timeout(Duration::from_millis(5), far).await;
        assert!(interrupted.is_err(), "a minute has not passed");
        let mut now = clock::now();
        while now < after(50) {
            timer.sleep(now, after(50)).await;
            now = clock::now();
        }
        let woke = clock::now().duration_since(start);
        assert!(
            woke >= Duration::from_millis(45),
            "an earlier time is slept to: {woke:?}"
        );
        assert!(
            woke < Duration::from_secs(30),
            "an earlier time counts: {woke:?}"
        );

        let start = clock::now();
        let near = timer.sleep(start, start + Duration::from_millis(50));
        let interrupted = tokio::time::timeout(Duration::from_millis(5), near).await;
        assert!(interrupted.is_err(), "50 ms have not passed");
        timer
            .sleep(clock::now(), start + Duration::from_secs(60))
            .await;
        let woke = clock::now().duration_since(start);
        assert!(
            woke < Duration::from_secs(30),
            "what was set before still wakes: {woke:?}"
        );
    }

    #[tokio::test]
    async fn what_is_given_up_is_used_again() {
        let spares = || SPARE.with_borrow(Vec::len);
        let soon = Duration::from_millis(5);
        let start = clock::now();
        let sleep = async |secs| {
            let mut timer = Timer::default();
            let at = start + Duration::from_secs(secs);
            drop(tokio::time::timeout(soon, timer.sleep(clock::now(), at)).await);
            spares()
        };
        assert_eq!(sleep(60).await, 0, "it is set");
        assert_eq!(spares(), 1, "and kept for others");
        assert_eq!(sleep(90).await, 0, "which it wakes in time");
        assert_eq!(sleep(30).await, 1, "or not");
        assert_eq!(spares(), 2);
    }
}
