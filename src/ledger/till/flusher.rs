//! Carries messages between the till and the bank, in the background.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Till;
use super::cache::{AccountCache, Next, Occasion};
use super::history::{Gaps, History};
use crate::bank::{Bank, Books, Exchange, Reply};
use tollgate_base::clock;
use tollgate_store::StoreError;

/// Most messages in one call to the bank.
const AT_ONCE: usize = 256;

/// How often the books are read for metrics.
const AUDIT: Duration = Duration::from_secs(30);

/// Most accounts whose books are read.
const AUDITED: usize = 500;

/// How the flusher has done, for metrics.
pub trait Observer: Send + Sync {
    /// One call to the bank: how many messages, how many failed, and how long it took.
    fn called(&self, messages: usize, failed: usize, took: Duration);

    /// The bank's books of the accounts that the till serves, read now and then.
    fn read(&self, books: &[Books]);
}

/// Carries messages between a till and its bank.
pub struct Flusher {
    pub(super) till: Arc<Till>,
    bank: Arc<dyn Bank>,
    observer: Arc<dyn Observer>,
}

impl Flusher {
    /// A flusher between a till and a bank.
    pub fn new(till: Arc<Till>, bank: Arc<dyn Bank>, observer: Arc<dyn Observer>) -> Flusher {
        Flusher {
            till,
            bank,
            observer,
        }
    }

    /// Reads the books of the accounts that the till serves, for the observer; never ends.
    pub async fn audit(&self) {
        loop {
            let mut books = Vec::new();
            for cache in self.till.all_caches().iter().take(AUDITED) {
                // A bank that is away shows in other figures.
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

    /// Works until it is told to stop; then gives everything back, as far as the bank answers.
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
                Some(_) = calls.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let outgoing = self.outgoing(&caches, occasion);
            for part in outgoing.chunks(AT_ONCE) {
                let (flusher, part) = (self.clone(), part.to_vec());
                calls.spawn(async move { flusher.deliver(part).await });
            }
        }
        // Not join_all, which panics where a call did.
        while calls.join_next().await.is_some() {}
        upkeep.abort();
        self.close().await;
    }

    /// Looks after the journal; says so when it becomes unusable, or usable again. It waits for the disk, which
    /// nobody who waits for the bank shall.
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

    /// Sends messages and takes in their answers.
    async fn deliver(&self, outgoing: Vec<(Arc<AccountCache>, Exchange)>) {
        let (caches, messages): (Vec<_>, Vec<_>) = outgoing.into_iter().unzip();
        let mut pending = Pending {
            till: &self.till,
            sent: clock::now(),
            caches: caches.into(),
            behind: Vec::new(),
        };
        // What the bank was told, a power cut must not take out of the journal.
        if let Err(error) = self.till.on_disk().await {
            log::error!("nothing is told to the bank: {error}");
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

    /// Reads from the journal what the bank has forgotten about accounts, away from this thread, to tell it again.
    async fn remind(&self, behind: Vec<Arc<AccountCache>>) {
        let gap = |cache: &Arc<AccountCache>| Some((cache.account.to_string(), cache.gap()?));
        let gaps: Gaps = behind.iter().filter_map(gap).collect();
        let (till, lease) = (self.till.clone(), self.till.rhythm.lease);
        let read = tokio::task::spawn_blocking(move || {
            till.journal
                .read(|pages| History::forgotten(till.holder(), pages.records()?, &gaps, lease))
        });
        let mut found = match read.await {
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
            let read = forgotten.is_some();
            cache.repeat(forgotten);
            if read {
                self.till.urge(cache);
            }
        }
    }

    fn outgoing(
        &self,
        caches: &[Arc<AccountCache>],
        occasion: Occasion,
    ) -> Vec<(Arc<AccountCache>, Exchange)> {
        let till = &self.till;
        let (borrows, now) = (till.policy.read().enforced, clock::now());
        let outgoing = |cache: &Arc<AccountCache>| {
            let connection = self.bank.connection(&cache.account);
            let lease = till.rhythm.lease;
            let message =
                cache.outgoing(occasion, borrows, connection, lease, &till.journal, now)?;
            Some((cache.clone(), message))
        };
        caches.iter().filter_map(outgoing).collect()
    }

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

    /// Tells what is settled and returns every allotment. What the bank does not answer is told after the next start.
    async fn close(&self) {
        for _ in 0..3 {
            let outgoing = self.outgoing(&self.till.all_caches(), Occasion::Close);
            if outgoing.is_empty() {
                return;
            }
            let done = outgoing.iter().all(|(_, message)| message.close);
            self.deliver(outgoing).await;
            if done {
                return;
            }
        }
    }
}

/// AccountCaches whose messages are with the bank. Each hears of its answer, even if the call ends without one.
struct Pending<'a> {
    till: &'a Arc<Till>,
    sent: Instant,
    caches: VecDeque<Arc<AccountCache>>,
    /// Those about which the bank has forgotten something.
    behind: Vec<Arc<AccountCache>>,
}

impl Pending<'_> {
    /// The answer to the first one.
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
            self.answered(Err(StoreError::Away(
                "the call broke off: this is a fault of the gateway".to_owned(),
            )));
        }
    }
}

impl Till {
    pub(super) fn all_caches(&self) -> Vec<Arc<AccountCache>> {
        self.caches.read().values().cloned().collect()
    }

    pub(super) fn urge(&self, cache: Arc<AccountCache>) {
        self.urgent.lock().push(cache);
        self.wake.notify_one();
    }
}
