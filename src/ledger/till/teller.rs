//! Carries messages between the till and the bank, in the background.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Till;
use super::drawer::{Drawer, Next, Occasion};
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

/// How the teller has done, for metrics.
pub trait Observer: Send + Sync {
    /// One call to the bank: how many messages, how many failed, and how long it took.
    fn called(&self, messages: usize, failed: usize, took: Duration);

    /// The bank's books of the accounts that the till serves, read now and then.
    fn read(&self, books: &[Books]);
}

/// See the module.
pub struct Teller {
    pub(super) till: Arc<Till>,
    bank: Arc<dyn Bank>,
    observer: Arc<dyn Observer>,
}

impl Teller {
    /// A teller between a till and a bank.
    pub fn new(till: Arc<Till>, bank: Arc<dyn Bank>, observer: Arc<dyn Observer>) -> Teller {
        Teller {
            till,
            bank,
            observer,
        }
    }

    /// Reads the books of the accounts that the till serves, for the observer; never ends.
    pub async fn audit(&self) {
        loop {
            let mut books = Vec::new();
            for drawer in self.till.all_drawers().iter().take(AUDITED) {
                // A bank that is away shows in other figures.
                if let Ok(read) = self.bank.books(&drawer.account).await {
                    let faults = read.faults();
                    if !faults.is_empty() {
                        log::error!("account `{}` does not balance: {faults:?}", drawer.account);
                    }
                    books.push(read);
                }
            }
            self.observer.read(&books);
            tokio::time::sleep(AUDIT).await;
        }
    }

    /// Works until it is told to stop; then gives everything back, as far as the bank answers.
    pub async fn run(self: Arc<Teller>, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(self.till.rhythm.flush);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut calls = JoinSet::new();
        let upkeep = tokio::spawn(self.clone().upkeep());
        loop {
            let (drawers, occasion) = tokio::select! {
                _ = tick.tick() => (self.till.all_drawers(), Occasion::Flush),
                () = self.till.wake.notified() => {
                    (std::mem::take(&mut *self.till.urgent.lock()), Occasion::Urgent)
                }
                Some(_) = calls.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let letters = self.letters(&drawers, occasion);
            for part in letters.chunks(AT_ONCE) {
                let (teller, part) = (self.clone(), part.to_vec());
                calls.spawn(async move { teller.deliver(part).await });
            }
        }
        // Not join_all, which panics where a call did.
        while calls.join_next().await.is_some() {}
        upkeep.abort();
        self.close().await;
    }

    /// Looks after the journal; says so when it becomes unusable, or usable again. It waits for the disk, which
    /// nobody who waits for the bank shall.
    async fn upkeep(self: Arc<Teller>) {
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
    async fn deliver(&self, letters: Vec<(Arc<Drawer>, Exchange)>) {
        let (drawers, messages): (Vec<_>, Vec<_>) = letters.into_iter().unzip();
        let mut pending = Pending {
            till: &self.till,
            sent: clock::now(),
            drawers: drawers.into(),
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
    async fn remind(&self, behind: Vec<Arc<Drawer>>) {
        let gap = |drawer: &Arc<Drawer>| Some((drawer.account.to_string(), drawer.gap()?));
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
        for drawer in behind {
            let forgotten = found
                .as_mut()
                .and_then(|found| found.remove(&*drawer.account));
            let read = forgotten.is_some();
            drawer.repeat(forgotten);
            if read {
                self.till.urge(drawer);
            }
        }
    }

    fn letters(&self, drawers: &[Arc<Drawer>], occasion: Occasion) -> Vec<(Arc<Drawer>, Exchange)> {
        let till = &self.till;
        let (borrows, now) = (till.policy.read().enforced, clock::now());
        let letter = |drawer: &Arc<Drawer>| {
            let connection = self.bank.connection(&drawer.account);
            let lease = till.rhythm.lease;
            let letter = drawer.letter(occasion, borrows, connection, lease, &till.journal, now)?;
            Some((drawer.clone(), letter))
        };
        drawers.iter().filter_map(letter).collect()
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
            let letters = self.letters(&self.till.all_drawers(), Occasion::Close);
            if letters.is_empty() {
                return;
            }
            let done = letters.iter().all(|(_, message)| message.close);
            self.deliver(letters).await;
            if done {
                return;
            }
        }
    }
}

/// Drawers whose messages are with the bank. Each hears of its answer, even if the call ends without one.
struct Pending<'a> {
    till: &'a Arc<Till>,
    sent: Instant,
    drawers: VecDeque<Arc<Drawer>>,
    /// Those about which the bank has forgotten something.
    behind: Vec<Arc<Drawer>>,
}

impl Pending<'_> {
    /// The answer to the first one.
    fn answered(&mut self, answer: Result<Reply, StoreError>) {
        let Some(drawer) = self.drawers.pop_front() else {
            return;
        };
        let lease = self.till.rhythm.lease;
        let times = (self.sent, clock::now());
        match drawer.acknowledge(answer, times, lease, &self.till.journal) {
            Next::Rest => {}
            Next::Write => self.till.urge(drawer),
            Next::Remind => self.behind.push(drawer),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        while !self.drawers.is_empty() {
            self.answered(Err(StoreError::Away(
                "the call broke off: this is a fault of the gateway".to_owned(),
            )));
        }
    }
}

impl Till {
    pub(super) fn all_drawers(&self) -> Vec<Arc<Drawer>> {
        self.drawers.read().values().cloned().collect()
    }

    pub(super) fn urge(&self, drawer: Arc<Drawer>) {
        self.urgent.lock().push(drawer);
        self.wake.notify_one();
    }
}
