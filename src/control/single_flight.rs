//! Does once what many ask for at the same time.
//!
//! Invariant: an answer is never older than the question. Whoever waits takes the answer of a flight that began after
//! it asked, so that no crowd, however large, waits for more than two flights.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Work that one caller does for all who ask meanwhile.
pub(super) struct SingleFlight<T> {
    begun: AtomicU64,
    /// The number of the last flight that ended with an answer to be shared.
    last: Mutex<Option<(u64, T)>>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        SingleFlight {
            begun: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }
}

/// The caller that does the work, for itself and for all who have asked before it began.
pub(super) struct Leader<'a, T> {
    number: u64,
    last: MutexGuard<'a, Option<(u64, T)>>,
}

impl<T> Leader<'_, T> {
    /// Ends the flight with an answer for all who have asked before it began.
    pub(crate) fn share(mut self, answer: T) {
        *self.last = Some((self.number, answer));
    }
}

impl<T: Clone> SingleFlight<T> {
    /// Waits to lead a flight, or for the answer of one that began after this was called.
    pub(crate) async fn wait(&self) -> Result<Leader<'_, T>, T> {
        let asked = self.begun.load(Ordering::SeqCst);
        let last = self.last.lock().await;
        if let Some((number, answer)) = &*last
            && *number > asked
        {
            return Err(answer.clone());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Leader { number, last })
    }

    /// Does the work, or takes the answer of a flight that began after this was called.
    pub(crate) async fn run<F: Future<Output = T>>(&self, work: impl FnOnce() -> F) -> T {
        match self.wait().await {
            Ok(leader) => {
                let answer = work().await;
                leader.share(answer.clone());
                answer
            }
            Err(answer) => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_waits_for_two_flights_and_no_answer_is_older_than_its_question() {
        let flights = SingleFlight::default();
        let done = AtomicU64::new(0);
        let ask = |after: u64| {
            let (flights, done) = (&flights, &done);
            async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                let before = done.load(Ordering::SeqCst);
                let answer = flights
                    .run(|| async {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        done.fetch_add(1, Ordering::SeqCst) + 1
                    })
                    .await;
                assert!(answer > before, "flight {answer} ended before it was asked");
                // The one that was under way began too early.
                if (1..100).contains(&after) {
                    assert_eq!(answer, 2, "asked after {after} ms");
                }
            }
        };
        join_all((0..100).map(ask)).await;
        assert_eq!(done.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flight_that_is_given_up_is_nobodys_answer() {
        let flights: SingleFlight<u32> = SingleFlight::default();
        let given_up = flights.run(|| async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            1
        });
        let given_up = tokio::time::timeout(Duration::from_secs(1), given_up);
        let (gone, answer) = tokio::join!(given_up, flights.run(|| async { 2 }));
        assert!(gone.is_err());
        assert_eq!(answer, 2);
    }
}
