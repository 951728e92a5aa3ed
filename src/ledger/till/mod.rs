//! The replica's own money, an account at a time: admission and settlement without asking the bank.
//!
//! ```text
//!   admit ──► cache.take ──► journal: Hold ──► the request goes upstream
//!   settle ─► cache.settle + journal: Settled ──► the last byte goes to the client
//!   flusher ─► cache.cut + journal: Told ──► bank.exchange ──► cache.acknowledge + journal: Heard
//! ```
//!
//! One `AccountCache` an account. What a cache lacks is borrowed: a request that finds too little waits for one
//! exchange with the bank, and is refused only after the bank's answer. Near the end of an account's credits the
//! bank lends no more than what requests wait for, so that each admission asks it.
//!
//! Overspending is bounded: an answer may cost more than its hold, which is an estimate. What all requests in flight
//! may cost beyond their holds is itself borrowed from the bank, out of the account's overdraft ([`Policy`]); a
//! request that does not fit in is held at its worst case, or refused. [`Till::worst`] is the most that a single
//! answer has exceeded its hold by.

mod bank_clock;
mod batch;
mod bucket;
mod cache;
mod flusher;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod history;
mod past;
mod recover;
mod recovered;
mod refusal;
pub mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use cache::AccountCache;
pub use cache::Figures;
pub use flusher::{Flusher, Observer};
pub use recover::replay;
pub use refusal::Refusal;

use super::bank::{CreditStore, Holder};
use super::journal::{Journal, Record};
use super::money::NanoUsd;
use crate::HOUSE;
use crate::bank::Limit;
use crate::events::{EventId, UsageEvent};
use tollgate_store::StoreError;
use tollgate_wire::Surface;

/// What to do for a request that the cache cannot back while the bank is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAway {
    /// Refuse it.
    Deny,
    /// Serve it, up to this much beyond the allotment, for each account.
    Allow(NanoUsd),
}

/// How a till does business; may change while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Refuse requests that credits do not cover; otherwise they are only counted.
    pub enforced: bool,
    /// See [`WhenAway`].
    pub when_away: WhenAway,
    /// What the requests in flight of an account may cost at most beyond what is held for them, over all replicas.
    /// One that does not fit in is held at its worst case.
    pub overdraft: NanoUsd,
}

/// How a till talks to its bank.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// How often what was settled is reported.
    pub flush: Duration,
    /// How long allotments are borrowed for.
    pub lease: Duration,
    /// Deadline of a call.
    pub timeout: Duration,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Whose money.
    pub account: &'a Arc<str>,
    /// Who calls.
    pub access_key: &'a Arc<str>,
    /// For the journal.
    pub request_id: &'a Arc<str>,
    /// For the journal.
    pub surface: Surface,
    /// The first candidate's provider, for the journal.
    pub provider: &'a Arc<str>,
    /// The first candidate's model, for the journal.
    pub model: &'a Arc<str>,
    /// What it is expected to cost.
    pub estimate: NanoUsd,
    /// What it may cost at most, at least `estimate`.
    pub worst: NanoUsd,
    /// Its prompt.
    pub prompt_tokens: u64,
    /// Its prompt and its answer.
    pub tokens: u64,
    /// What it is held to.
    pub limits: &'a Arc<[Limit]>,
    /// Whether its client may send it again by a name, and pays the answer that it then gets: where this one's end is not
    /// known, the house pays.
    pub named: bool,
}

/// Admits and settles requests from the replica's own money.
pub struct Till {
    journal: Arc<Journal>,
    caches: RwLock<HashMap<Arc<str>, Arc<AccountCache>, RandomState>>,
    policy: RwLock<Policy>,
    rhythm: Rhythm,
    urgent: Mutex<Vec<Arc<AccountCache>>>,
    wake: Notify,
    next_hold: AtomicU64,
    worst: AtomicI64,
}

/// Money set aside for one request. Dropped without being settled, as by a panic, it is charged whole, as it would be
/// after a crash: what its request used is not known.
pub struct Hold {
    till: Arc<Till>,
    cache: Arc<AccountCache>,
    taken: cache::Taken,
    /// See [`Ask::named`].
    named: bool,
    /// It is durable, so that its request may go upstream.
    stands: bool,
    settled: bool,
}

/// What became of [`Hold::extend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// It is set aside.
    Granted,
    /// The bank is asked, or does not answer; try again with the next piece of the answer.
    Asked,
    /// There is no more.
    Gone,
}

impl Till {
    /// Returns a till with empty caches.
    pub fn new(journal: Arc<Journal>, policy: Policy, rhythm: Rhythm) -> Till {
        Till {
            journal,
            caches: RwLock::default(),
            policy: RwLock::new(policy),
            rhythm,
            urgent: Mutex::default(),
            wake: Notify::new(),
            next_hold: AtomicU64::new(1),
            worst: AtomicI64::new(0),
        }
    }

    /// Returns who borrows this till's allotments.
    pub fn holder(&self) -> Holder {
        self.journal.holder()
    }

    /// Changes how it does business from now on.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write() = policy;
    }

    /// Returns the most that one answer has cost more than its hold, since the start.
    pub fn worst(&self) -> NanoUsd {
        NanoUsd(self.worst.load(Ordering::Relaxed))
    }

    /// Returns every account that this till has dealt with, with its figures.
    pub fn figures(&self) -> Vec<(Arc<str>, Figures)> {
        let caches = self.caches.read();
        caches
            .values()
            .map(|cache| (cache.account.clone(), cache.figures()))
            .collect()
    }

    /// Returns the replica's journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Sets aside what a request may cost, and its units of every limit.
    ///
    /// Returns at once while the cache has enough; else after the bank's answer, or its deadline.
    ///
    /// # Errors
    /// Why the request cannot be served now.
    pub async fn admit(self: &Arc<Till>, ask: &Ask<'_>, now: Instant) -> Result<Hold, Refusal> {
        self.admit_by(ask, now, self.deadline(now)).await
    }

    /// Returns when a request that begins to ask now is answered at last: the call that is under way, and the next one.
    pub fn deadline(&self, now: Instant) -> Instant {
        now + self.rhythm.timeout * 2
    }

    /// Returns the same, by a deadline.
    ///
    /// # Errors
    /// As [`Till::admit`].
    pub async fn admit_by(
        self: &Arc<Till>,
        ask: &Ask<'_>,
        now: Instant,
        by: Instant,
    ) -> Result<Hold, Refusal> {
        if !self.journal.ready() {
            return Err(Refusal::JournalFull);
        }
        let cache = self.cache(ask.account);
        let policy = *self.policy.read();
        let mut now = now;
        for round in 0..ROUNDS {
            let wall = tollgate_base::clock::wall();
            match cache.take(ask, policy, round, now, wall) {
                Ok(taken) => return self.promise(cache, taken, ask, wall).await,
                Err(short) if short.is_final() => return Err(short.refusal()),
                Err(short) if cache.is_away() => return Err(short.while_away()),
                Err(short) if round > 0 && short.is_out_of_credits() => return Err(short.refusal()),
                Err(_) => {}
            }
            let waiting = cache.wait(ask, policy, round);
            self.urgent.lock().push(cache.clone());
            self.wake.notify_one();
            let patience = by.saturating_duration_since(now);
            if tokio::time::timeout(patience, waiting.answered())
                .await
                .is_err()
            {
                return Err(Refusal::BankAway);
            }
            drop(waiting);
            now = tollgate_base::clock::now();
        }
        let wall = tollgate_base::clock::wall();
        match cache.take(ask, policy, ROUNDS, now, wall) {
            Ok(taken) => self.promise(cache, taken, ask, wall).await,
            Err(short) => Err(if cache.is_away() {
                short.while_away()
            } else {
                short.refusal()
            }),
        }
    }

    /// Journals a hold; from then on it counts, whatever happens to this process.
    async fn promise(
        self: &Arc<Till>,
        cache: Arc<AccountCache>,
        mut taken: cache::Taken,
        ask: &Ask<'_>,
        wall: SystemTime,
    ) -> Result<Hold, Refusal> {
        taken.id = self.next_hold.fetch_add(1, Ordering::Relaxed);
        let budgets = ask
            .limits
            .iter()
            .filter(|limit| limit.meter.measure.is_budget());
        let subjects: Vec<&str> = budgets.map(Limit::name).collect();
        let appended = self.journal.append(&Record::Hold {
            id: taken.id,
            at_ms: tollgate_base::clock::unix_ms(wall),
            who: taken.who(ask.account),
            estimate: ask.estimate.0,
            prompt_tokens: ask.prompt_tokens,
            subjects: &subjects,
            named: ask.named,
        });
        match appended {
            Ok(segment) => taken.segment = Some(segment),
            Err(error) => {
                log::error!("a request is refused: the journal cannot be written: {error}");
                cache.give_back(&taken);
                return Err(Refusal::JournalFull);
            }
        }
        let mut hold = Hold {
            till: self.clone(),
            cache,
            taken,
            named: ask.named,
            stands: false,
            settled: false,
        };
        hold.stands = self.journal.on_disk().await.is_ok();
        if hold.stands {
            Ok(hold)
        } else {
            Err(Refusal::JournalFull)
        }
    }

    /// Waits until what was settled before is as durable as the journal promises.
    ///
    /// # Errors
    /// The disk fails; the settlements count all the same, as long as there is power.
    pub async fn on_disk(&self) -> std::io::Result<()> {
        self.journal.on_disk().await
    }

    /// Charges the event's account what nothing was held for.
    pub fn charge(&self, event: &UsageEvent<'_>) {
        self.cache(event.request.account)
            .charge(event, &self.journal);
    }

    /// Keeps the event of an attempt that costs nothing, and counts towards nothing, until the next message to the
    /// bank.
    pub fn note(&self, event: &UsageEvent<'_>) {
        self.cache(event.request.account).note(event);
    }

    fn cache(&self, account: &str) -> Arc<AccountCache> {
        if let Some(cache) = self.caches.read().get(account) {
            return cache.clone();
        }
        let account: Arc<str> = account.into();
        let mut caches = self.caches.write();
        caches
            .entry(account.clone())
            .or_insert_with(|| Arc::new(AccountCache::new(account)))
            .clone()
    }
}

/// How often a request asks the bank before it is refused: another one may have taken what was lent.
const ROUNDS: usize = 3;

impl Hold {
    /// Returns what was set aside.
    pub fn estimate(&self) -> NanoUsd {
        self.taken.estimate
    }

    /// Returns the tokens of its prompt, as admission knew them.
    pub fn prompt_tokens(&self) -> u64 {
        self.taken.prompt_tokens
    }

    /// Returns where it was set aside.
    pub fn till(&self) -> &Arc<Till> {
        &self.till
    }

    /// Sets aside more for an answer that has become longer than expected; does not wait.
    pub fn extend(&mut self, more: NanoUsd) -> Extension {
        let policy = *self.till.policy.read();
        let before = self.taken.asked();
        let extension =
            self.cache
                .extend(&mut self.taken, more, policy, tollgate_base::clock::now());
        if self.taken.asked().is_some() && self.taken.asked() != before {
            self.till.urge(self.cache.clone());
        }
        extension
    }

    /// Replaces the hold by what was used: an event for each attempt, the last one final; none if nothing was tried.
    /// When this returns, a crash loses nothing of it; a power cut neither once it is [`Till::on_disk`]. Returns the least
    /// that is then left of the request's budgets, as far as this replica knows; `None` if it has none.
    pub fn settle(mut self, events: &[UsageEvent<'_>]) -> Option<NanoUsd> {
        self.settled = true;
        let at_ms = events.last().map(|event| event.at_ms);
        self.close(events, at_ms.unwrap_or_else(tollgate_base::clock::wall_ms))
    }

    fn close(&self, events: &[UsageEvent<'_>], at_ms: u64) -> Option<NanoUsd> {
        let (over, left) = self
            .cache
            .settle(&self.taken, events, &self.till.journal, at_ms);
        self.till.worst.fetch_max(over.0, Ordering::Relaxed);
        left
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let at_ms = tollgate_base::clock::wall_ms();
        if !self.stands {
            self.close(&[], at_ms);
            return;
        }
        let holder = self.till.holder();
        let mut orphan = self.taken.who(&self.cache.account).orphan(
            EventId::of_hold(holder.replica, holder.epoch, self.taken.id),
            at_ms,
            self.taken.prompt_tokens,
            self.taken.estimate,
        );
        if self.named {
            orphan.request.account = HOUSE;
            self.till.charge(&orphan);
            self.close(&[], at_ms);
            return;
        }
        self.close(&[orphan], at_ms);
    }
}

/// Gives grants of the configuration to the bank, each once.
///
/// # Errors
/// What the bank says.
pub async fn grant(
    bank: &dyn CreditStore,
    account: &str,
    grants: &[super::bank::NewGrant],
) -> Result<(), StoreError> {
    for grant in grants {
        if bank.grant(account, grant).await? {
            log::info!(
                "account `{account}`: granted {} (`{}`)",
                grant.amount,
                grant.id
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
