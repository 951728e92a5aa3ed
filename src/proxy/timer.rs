//! The timer that a request under way sleeps on.
//!
//! It is Pingora's own, which a thread of its own looks after in steps of 10 ms: setting it costs a look
//! into a map. A timer of tokio's would wake the worker's poller, with a system call, at every request.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use pingora_timeout::fast_timeout::fast_sleep;

/// Sleeps, over as many calls as it takes.
#[derive(Default)]
pub struct Timer(Option<Set>);

struct Set {
    to: Instant,
    sleep: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Timer {
    /// Sleeps from `now` until `at`, or until an earlier time that it was set to before: waking early is
    /// cheaper than setting it anew. May be up to 10 ms late. Dropped while it sleeps, it stays set.
    pub async fn sleep(&mut self, now: Instant, at: Instant) {
        let set = match self.0.take().filter(|set| now < set.to && set.to <= at) {
            Some(set) => set,
            None => Set {
                to: at,
                sleep: Box::pin(fast_sleep(at.saturating_duration_since(now))),
            },
        };
        self.0.insert(set).sleep.as_mut().await;
        self.0 = None;
    }
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
        timer.sleep(clock::now(), after(50)).await;
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
}
