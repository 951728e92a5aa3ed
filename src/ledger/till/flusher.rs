//! Carries messages between the till and the bank, in the background: regularly, and at once when requests wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Till;
use super::cache::{AccountCache, Next, Occasion};
use super::history::{Gaps, History};
use crate::bank::{Books, CreditStore, Exchange, Reply};
use tollgate_base::clock;
use tollgate_store::StoreError;

/// Most messages in one call to the bank while the till is open.
const AT_ONCE: usize = 256;

/// Pause between two readings of the books for metrics.
const AUDIT: Duration = Duration::from_secs(30);

/// Most accounts whose books are read each time.
const AUDITED: usize = 500;

/// How the flusher has done, for metrics.
pub trait Observer: Send + Sync {
    /// Notes one call to the bank: how many messages it had, how many of them failed, and how long it took.
    fn called(&self, messages: usize, failed: usize, took: Duration);

    /// Notes the bank's books of accounts that the till serves (500 at most), read about every 30 s.
    fn read(&self, books: &[Books]);
}

/// Carries messages between a till and its bank.
pub struct Flusher {
    pub(super) till: Arc<Till>,
    bank: Arc<dyn CreditStore>,
    observer: Arc<dyn Observer>,
}

impl Flusher {
    /// Returns a flusher between a till and a bank; [`Flusher::run`] sets it to work.
    pub fn new(
        till: Arc<Till>,
        bank: Arc<dyn CreditStore>,
        observer: Arc<dyn Observer>,
    ) -> Flusher {
        Flusher {
            till,
            bank,
            observer,
        }
    }

    /// Reads the bank's books of accounts that the till serves, for the observer; logs those that do not balance. Never
    /// ends.
    pub async fn audit(&self) {
        loop {
            let mut books = Vec::new();
            for cache in self.till.all_caches().iter().take(AUDITED) {
                // An error is no news: that the bank is away is logged and counted where messages are sent.
                if let Ok(read) = self.bank.books(&cache.account).await {
                    let faults = read.faults();
                    if !faults.is_empty() {
                        log::error!("account `{}` does not balance: {faults:?}", cache.account);
                    }
                    books.push(read);
                }
            }
            self.observer.read(&books);
            tokio::time::sleep(AUDIT).await;
        }
    }

    /// Sends messages until `stop` is true; then returns what is left of the allotments, as far as the bank answers.
    pub async fn run(self: Arc<Flusher>, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(self.till.rhythm.flush);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut calls = JoinSet::new();
        let upkeep = tokio::spawn(self.clone().upkeep());
        loop {
            let (caches, occasion) = tokio::select! {
                _ = tick.tick() => (self.till.all_caches(), Occasion::Flush),
                () = self.till.wake.notified() => {
                    (std::mem::take(&mut *self.till.urgent.lock()), Occasion::Urgent)
                }
                // Takes calls that have ended out of the set.
                Some(_) = calls.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let outgoing = self.outgoing(&caches, occasion);
            for part in outgoing.chunks(AT_ONCE) {
                let (flusher, part) = (self.clone(), part.to_vec());
                calls.spawn(async move { flusher.deliver(part).await });
            }
        }
        // Not `join_all`, which panics if a call has panicked.
        while calls.join_next().await.is_some() {}
        upkeep.abort();
        self.close().await;
    }

    /// Maintains the journal; logs when it can no longer be written, and when it can again. A task of its own: it waits
    /// for the disk, and calls to the bank must not wait with it.
    async fn upkeep(self: Arc<Flusher>) {
        let mut was_ready = true;
        loop {
            let till = self.till.clone();
            let maintain = move || (till.journal.maintain(), till.journal.ready());
            if let Ok((done, ready)) = tokio::task::spawn_blocking(maintain).await {
                match (was_ready, ready, done.fault) {
                    (true, false, fault) => log::error!(
                        "requests are refused: the journal cannot be written: {}",
                        fault.map_or_else(
                            || "an earlier error".to_owned(),
                            |fault| fault.to_string()
                        )
                    ),
                    (false, true, _) => log::info!("the journal can be written again"),
                    _ => {}
                }
                was_ready = ready;
            }
            tokio::time::sleep(self.till.rhythm.flush).await;
        }
    }

    /// Sends messages in one call and has each cache take in its answer.
    async fn deliver(&self, outgoing: Vec<(Arc<AccountCache>, Exchange)>) {
        let (caches, messages): (Vec<_>, Vec<_>) = outgoing.into_iter().unzip();
        let mut pending = Pending {
            till: &self.till,
            // Set again below; this one is for a call that breaks off before.
            sent: clock::now(),
            caches: caches.into(),
            behind: Vec::new(),
            broken_off: "the call broke off: this is a fault of the gateway".to_owned(),
        };
        // The journal first: a power cut must not take out of it what the bank was sent.
        if let Err(error) = self.till.on_disk().await {
            pending.broken_off =
                format!("it is not asked while the journal is not on disk: {error}");
            return;
        }
        pending.sent = clock::now();
        for answer in self.call(&messages).await {
            pending.answered(answer);
        }
        let behind = std::mem::take(&mut pending.behind);
        if !behind.is_empty() {
            self.remind(behind).await;
        }
    }

    /// Reads from the journal the messages of these accounts that the bank has forgotten, on a thread that may wait for
    /// the disk, and has them sent again.
    async fn remind(&self, behind: Vec<Arc<AccountCache>>) {
        let gap = |cache: &Arc<AccountCache>| Some((cache.account.to_string(), cache.gap()?));
        let gaps: Gaps = behind.iter().filter_map(gap).collect();
        let (till, lease) = (self.till.clone(), self.till.rhythm.lease);
        let reading = tokio::task::spawn_blocking(move || {
            till.journal
                .read(|pages| History::forgotten(till.holder(), pages.records()?, &gaps, lease))
        });
        let mut found = match reading.await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                log::error!("what the bank has forgotten cannot be read: {error}");
                None
            }
            Err(error) => {
                log::error!("what the bank has forgotten was not read: {error}");
                None
            }
        };
        for cache in behind {
            let forgotten = found
                .as_mut()
                .and_then(|found| found.remove(&*cache.account));
            let was_read = forgotten.is_some();
            cache.repeat(forgotten);
            if was_read {
                self.till.urge(cache);
            }
        }
    }

    /// Returns the next message of each account that has one.
    fn outgoing(
        &self,
        caches: &[Arc<AccountCache>],
        occasion: Occasion,
    ) -> Vec<(Arc<AccountCache>, Exchange)> {
        let till = &self.till;
        // Where credits are not enforced, requests are only counted: nothing is borrowed for them.
        let (borrows, now) = (till.policy.read().enforced, clock::now());
        let next_message = |cache: &Arc<AccountCache>| {
            let connection = self.bank.connection(&cache.account);
            let lease = till.rhythm.lease;
            let message =
                cache.outgoing(occasion, borrows, connection, lease, &till.journal, now)?;
            Some((cache.clone(), message))
        };
        caches.iter().filter_map(next_message).collect()
    }

    /// Calls the bank and returns one answer for each message: an error where the bank gave none.
    pub(super) async fn call(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
        let began = clock::now();
        let mut answers = self.bank.exchange(messages).await;
        answers.resize_with(messages.len(), || {
            Err(StoreError::Corrupt(
                "the bank did not answer a message".to_owned(),
            ))
        });
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        let took = clock::now().duration_since(began);
        self.observer.called(messages.len(), failed, took);
        answers
    }

    /// Reports what was settled to the bank and returns every allotment. What it does not answer is sent after the next
    /// start.
    async fn close(&self) {
        // An account repeats what was not answered before it closes, so that one round may not be enough.
        for _ in 0..3 {
            let outgoing = self.outgoing(&self.till.all_caches(), Occasion::Close);
            if outgoing.is_empty() {
                return;
            }
            let all_close = outgoing.iter().all(|(_, message)| message.close);
            self.deliver(outgoing).await;
            if all_close {
                return;
            }
        }
    }
}

/// Caches whose messages are with the bank, in the messages' order. Dropping it tells those that have no answer yet
/// that the call failed, so that none waits for ever.
struct Pending<'a> {
    till: &'a Arc<Till>,
    /// When the call began.
    sent: Instant,
    caches: VecDeque<Arc<AccountCache>>,
    /// Those of whose messages the bank has forgotten some.
    behind: Vec<Arc<AccountCache>>,
    /// Why those without an answer have none.
    broken_off: String,
}

impl Pending<'_> {
    /// Gives the first cache its answer, and does what follows from it.
    fn answered(&mut self, answer: Result<Reply, StoreError>) {
        let Some(cache) = self.caches.pop_front() else {
            return;
        };
        let lease = self.till.rhythm.lease;
        let times = (self.sent, clock::now());
        match cache.acknowledge(answer, times, lease, &self.till.journal) {
            Next::Rest => {}
            Next::Write => self.till.urge(cache),
            Next::Remind => self.behind.push(cache),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        while !self.caches.is_empty() {
            let why = self.broken_off.clone();
            self.answered(Err(StoreError::Away(why)));
        }
    }
}

impl Till {
    /// Returns the caches of all accounts, in no particular order.
    pub(super) fn all_caches(&self) -> Vec<Arc<AccountCache>> {
        self.caches.read().values().cloned().collect()
    }

    /// Has the flusher send this account's next message now, instead of at the next tick.
    pub(super) fn urge(&self, cache: Arc<AccountCache>) {
        self.urgent.lock().push(cache);
        self.wake.notify_one();
    }
}
