//! What a till and its bank say to each other about one account.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::mark::Mark;
use super::meter::{MeterExchange, MeterReply};
use crate::NanoUsd;
use tollgate_store::StoreError;
use tollgate_store::redis::EXACT;

/// One life of one replica's till: who borrows an allotment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The replica: random, kept beside its journal.
    pub replica: u64,
    /// Rises with each of the replica's starts.
    pub epoch: u64,
}

/// 16 hexadecimal digits, a dot, and the epoch.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.replica, self.epoch)
    }
}

impl FromStr for Holder {
    type Err = String;

    fn from_str(text: &str) -> Result<Holder, String> {
        let parts = text.split_once('.').and_then(|(replica, epoch)| {
            Some(Holder {
                replica: u64::from_str_radix(replica, 16).ok()?,
                epoch: epoch.parse().ok()?,
            })
        });
        parts.ok_or_else(|| format!("`{text}` is not the name of an allotment's holder"))
    }
}

/// A message of a till about one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Whose money.
    pub account: Arc<str>,
    /// Who asks.
    pub holder: Holder,
    /// Counts this holder's messages about this account, from 1.
    pub number: u64,
    /// The oldest number that the holder could still repeat. A bank that has not seen a number between its last
    /// one and this message answers without applying anything, so that the holder repeats those first; unless it
    /// cannot, because `oldest` is past them.
    pub oldest: u64,
    /// The mark of the holder's message before this one. If the bank has another one, this message is somebody else's
    /// in the holder's name: it changes nothing.
    pub before: Mark,
    /// This message's own mark.
    pub mark: Mark,
    /// What was settled since the last message, at least 0. Taken from the allotment first, then from what is free.
    pub spent: NanoUsd,
    /// Part of the allotment that is not needed any more, at least 0.
    pub returned: NanoUsd,
    /// What is missing to admit requests that wait, at least 0.
    pub need: NanoUsd,
    /// What would be comfortable to borrow, at least `need`.
    pub want: NanoUsd,
    /// How long the allotment is lent for, from now on.
    pub lease: Duration,
    /// The holder ends: what is left of its allotment, and of its meters, returns.
    pub close: bool,
    /// The same for limits; each meter at most once.
    pub meters: Vec<MeterExchange>,
    /// What to add to daily totals; their costs add up to `spent`.
    pub rollups: Vec<Rollup>,
    /// What to add to daily totals by tag. Of a request they count each tag, and nothing if it has none.
    pub tags: Vec<Rollup>,
    /// The usage events behind `spent`.
    pub events: Option<Events>,
}

impl Exchange {
    /// Returns a message that changes nothing but the lease: its holder could still repeat all before it, and it has no
    /// marks.
    pub fn empty(account: Arc<str>, holder: Holder, number: u64, lease: Duration) -> Exchange {
        Exchange {
            account,
            holder,
            number,
            oldest: 1,
            before: Mark::NONE,
            mark: Mark::NONE,
            spent: NanoUsd::ZERO,
            returned: NanoUsd::ZERO,
            need: NanoUsd::ZERO,
            want: NanoUsd::ZERO,
            lease,
            close: false,
            meters: Vec::new(),
            rollups: Vec::new(),
            tags: Vec::new(),
            events: None,
        }
    }

    /// Returns whether a bank may apply it; every bank asks this first.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if an amount is negative or beyond what can be counted, if daily totals do not add up to
    /// what was spent, or if a number is beyond 2⁵³, where Lua's would not be exact.
    pub fn check(&self) -> Result<(), StoreError> {
        let fault = self.fault();
        let Some(what) = fault else { return Ok(()) };
        Err(StoreError::Refused(format!(
            "message {} of {} about account `{}` has {what}",
            self.number, self.holder, self.account
        )))
    }

    fn fault(&self) -> Option<&'static str> {
        let money = [self.spent, self.returned, self.need, self.want];
        let costs = || self.rollups.iter().map(|row| row.cost);
        let units =
            (self.meters.iter()).flat_map(|part| [part.used, part.returned, part.need, part.want]);
        let by_tag = || self.tags.iter().map(|row| row.cost);
        let amounts = || money.into_iter().chain(costs()).chain(by_tag());
        let numbers = [self.number, self.oldest];
        let mut numbers = (numbers.into_iter()).chain(self.meters.iter().map(|part| part.window));
        let total: i128 = costs().map(|cost| i128::from(cost.0)).sum();
        if amounts().any(|amount| amount < NanoUsd::ZERO)
            || units.into_iter().any(|units| units < 0)
        {
            Some("a negative amount")
        } else if amounts().any(|amount| amount > NanoUsd::TOTAL) {
            Some("an amount beyond what can be counted")
        } else if numbers.any(|number| number >= EXACT) {
            Some("a number beyond 2^53")
        } else if total != i128::from(self.spent.0) {
            Some("daily totals that are not what was spent")
        } else {
            None
        }
    }
}

/// A bank's answer to an [`Exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The last number applied for this holder and account: the message's own if it was applied, now or before.
    pub last: u64,
    /// That number's mark, as it was applied.
    pub mark: Mark,
    /// All that was charged in this holder's name.
    pub charged: NanoUsd,
    /// The newest life of the holder's replica, from this one on, that had a message about the account applied; 0 if
    /// there is none. Above the holder's own epoch, another one has begun since.
    pub newest: u64,
    /// What time it is to the bank (Unix time, ms): windows of limits begin and end by it.
    pub now: u64,
    /// What the holder has borrowed now, at least 0.
    pub allotment: NanoUsd,
    /// What nobody has borrowed; negative if more was spent than was granted.
    pub free: NanoUsd,
    /// All allotments of the account, this one included.
    pub allotments: NanoUsd,
    /// Somebody needs more money than is free: return what is not held.
    pub recall: bool,
    /// For each meter of the message, in its order.
    pub meters: Vec<MeterReply>,
}

/// What an answer says of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is applied, now or before.
    Applied,
    /// Messages before it are not there: the bank has forgotten them.
    Behind,
    /// The bank has another history of this name: somebody else speaks in it.
    Foreign,
}

impl Reply {
    /// Judges the answer to a message with this number and this mark; `highest` is the last number that its sender has
    /// ever used.
    pub(crate) fn verdict(&self, (number, mark): (u64, Mark), highest: u64) -> Verdict {
        if mark != Mark::NONE && self.last > highest {
            return Verdict::Foreign;
        }
        match self.last.checked_sub(number) {
            Some(0) if !self.mark.fits(mark) => Verdict::Foreign,
            Some(_) => Verdict::Applied,
            // The next one, and yet not applied.
            None if self.last + 1 == number => Verdict::Foreign,
            None => Verdict::Behind,
        }
    }
}

/// A day of Unix time: days since 1970-01-01, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u32);

/// Totals of one day, by what they were used with. Each combination of the first five fields is one total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Which day.
    pub day: Day,
    /// The access key's id.
    pub access_key: Arc<str>,
    /// The provider's id.
    pub provider: Arc<str>,
    /// The model, as the provider knows it.
    pub model: Arc<str>,
    /// The tag, as in `customer=42`, of totals by tag, which name no access key, provider and model; empty in all others.
    pub tag: Arc<str>,
    /// Requests that ended with this model.
    pub requests: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Of them, those charged at their estimate because the replica died.
    pub orphaned: u64,
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Of them, those read from a provider's cache.
    pub cached_read: u64,
    /// Of them, those written to a provider's cache.
    pub cache_write: u64,
    /// Answer tokens, reasoning included.
    pub output: u64,
    /// Of them, those spent on reasoning.
    pub reasoning: u64,
    /// What was charged.
    pub cost: NanoUsd,
}

impl Rollup {
    /// Returns what it counts, the cost aside, in the order of its fields.
    pub(crate) fn counters(&self) -> [u64; 8] {
        [
            self.requests,
            self.failed,
            self.orphaned,
            self.input,
            self.cached_read,
            self.cache_write,
            self.output,
            self.reasoning,
        ]
    }

    /// Returns the same, to change them.
    pub(crate) fn counters_mut(&mut self) -> [&mut u64; 8] {
        [
            &mut self.requests,
            &mut self.failed,
            &mut self.orphaned,
            &mut self.input,
            &mut self.cached_read,
            &mut self.cache_write,
            &mut self.output,
            &mut self.reasoning,
        ]
    }

    /// Returns it with these counters instead of its own.
    pub(crate) fn with_counters(mut self, counters: [u64; 8]) -> Rollup {
        for (own, counter) in self.counters_mut().into_iter().zip(counters) {
            *own = counter;
        }
        self
    }
}

/// Usage events of one batch; to a bank, bytes with a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// How many.
    pub count: u32,
    /// When the first ended (Unix time, ms).
    pub from_ms: u64,
    /// When the last ended (Unix time, ms).
    pub to_ms: u64,
    /// As `usage` writes them.
    pub bytes: Bytes,
    /// Of each, by the id of its request, when it ended, as `bank/index.rs` writes it. Empty where that is not known, and of
    /// what a bank returns.
    pub ids: Bytes,
}
