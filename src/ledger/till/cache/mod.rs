//! One account's part of the till. No I/O but the journal's appends; the time is passed in.
//!
//! Invariants: what is settled is in the journal before it is in the cache's books; a message to the bank says
//! exactly what the journal has between two of its marks. Both hold because settling and marking happen under
//! the cache's lock.

mod buckets;
mod meters;
mod names;
mod outbox;
mod records;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;

use buckets::{Buckets, Place};
use meters::{countable, units, used};
use names::Chain;
pub(super) use names::report_lost;
pub(super) use outbox::Occasion;
use records::Unwritten;

use super::bank_clock::BankClock;
use super::batch::Totals;
use super::bucket::Bucket;
use super::refusal::{Refusal, Short};
use super::{Ask, Policy, WhenAway};
use crate::NanoUsd;
use crate::bank::{Exchange, Limit};
use crate::events::{Flag, Request, UsageEvent, stored};
use crate::journal::{Held, Journal, Segment};
use tollgate_wire::Surface;

/// One account.
pub(crate) struct AccountCache {
    /// Whose.
    pub account: Arc<str>,
    state: Mutex<AccountState>,
    /// Counts messages that have been answered, or have failed.
    answered: watch::Sender<u64>,
}

#[derive(Default)]
struct AccountState {
    money: Bucket,
    meters: Buckets,
    /// What time it is to the bank.
    clock: BankClock,
    /// Until when the allotment may be used.
    lease_by: Option<Instant>,
    /// What the bank said last.
    free: NanoUsd,
    allotments: NanoUsd,
    /// The last call to the bank failed.
    away: bool,
    /// How many messages have been written.
    number: u64,
    /// In whose name they are counted.
    chain: Option<Chain>,
    /// When the last message was sent, and on which connection; and the last one that was answered.
    asked: Option<(Instant, Option<u64>)>,
    heard: Option<(Instant, Option<u64>)>,
    /// The first and the last of the messages that the bank has forgotten, while they are read from the journal.
    gap: Option<(u64, u64)>,
    /// The bank lacks messages that cannot be repeated: it is to pass over them.
    stale: bool,
    /// What cannot be charged any more.
    lost: NanoUsd,
    /// Requests that have begun to wait since the last message was written.
    newcomers: u64,
    /// Messages that are not acknowledged, oldest first.
    outbox: VecDeque<Outgoing>,
    in_flight: bool,
    /// What was settled since the last message was written.
    settled: Totals,
    /// What distinguishes that from other charges.
    content: u64,
    /// Settlements that the journal could not take yet.
    unwritten: Vec<Unwritten>,
    /// The events behind what was settled, as the bank keeps them.
    events: stored::Writer,
    events_dropped: u64,
    /// Journal records that are not needed once the next message is acknowledged.
    releases: Vec<(Segment, u32)>,
    /// Requests in flight.
    holds: u64,
}

/// A message, and what to release when it is acknowledged.
struct Outgoing {
    /// What is sent.
    exchange: Exchange,
    /// What distinguishes its charges from others.
    content: u64,
    releases: Vec<(Segment, u32)>,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Rest,
    /// Another message at once.
    Write,
    /// The bank has forgotten what [`AccountCache::gap`] says; nothing is sent until [`AccountCache::repeat`].
    Remind,
}

/// What [`AccountCache::take`] took.
pub(crate) struct Taken {
    /// Unique in this life of the till.
    pub id: u64,
    /// Where the hold is in the journal.
    pub segment: Option<Segment>,
    /// What it is expected to cost, with what it was extended by.
    pub estimate: NanoUsd,
    /// What is set aside: that, or the worst case.
    held: NanoUsd,
    /// What it may cost beyond that, out of the account's overdraft.
    exposed: NanoUsd,
    access_key: Arc<str>,
    request_id: Arc<str>,
    surface: Surface,
    provider: Arc<str>,
    model: Arc<str>,
    /// The prompt's, as admission knew them.
    pub prompt_tokens: u64,
    tokens: i64,
    limits: Arc<[Limit]>,
    /// Where the bucket of each limit is.
    places: Vec<Place>,
    /// More money that is asked for, and the message after which the answer is known.
    asked: Option<(i64, u64)>,
}

impl Taken {
    /// What is reported of its request.
    pub(crate) fn who<'a>(&'a self, account: &'a str) -> Held<&'a str> {
        Held {
            request: Request {
                account,
                access_key: &self.access_key,
                id: &self.request_id,
                surface: self.surface.name(),
            },
            provider: &self.provider,
            model: &self.model,
        }
    }

    /// The message after which it is known whether there is more money; `None` if none is asked for.
    pub(crate) fn asked(&self) -> Option<u64> {
        self.asked.map(|(_, message)| message)
    }
}

/// An account's figures at this till.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests in flight.
    pub holds: u64,
    /// Promised to them.
    pub held: NanoUsd,
    /// Borrowed and not promised.
    pub unspent: NanoUsd,
    /// Settled and not yet acknowledged by the bank.
    pub untold: NanoUsd,
    /// Nobody's, as the bank said last.
    pub free: NanoUsd,
    /// All replicas' allotments, as the bank said last.
    pub allotments: NanoUsd,
    /// Whether the last call to the bank failed.
    pub away: bool,
    /// Usage events dropped while the bank was away.
    pub events_dropped: u64,
    /// What the bank has forgotten and the journal does not have any more, since the start.
    pub lost: NanoUsd,
}

impl AccountCache {
    /// An empty one.
    pub(crate) fn new(account: Arc<str>) -> AccountCache {
        AccountCache {
            account,
            state: Mutex::default(),
            answered: watch::Sender::new(0),
        }
    }

    /// Takes what the request asks for out of every bucket, or nothing. `round` is how often it has waited for the bank.
    pub(crate) fn take(
        &self,
        ask: &Ask<'_>,
        policy: Policy,
        round: usize,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Taken, Short> {
        let tokens = countable(ask.tokens);
        let mut state = self.state.lock();
        state.forfeit(now);
        let may_overdraw = match policy.when_away {
            WhenAway::Allow(most) if state.away => Some(most),
            _ => None,
        };
        // While the bank is away, nothing comes for those who wait; and where there is not enough for all of them, who comes
        // first is first.
        let is_enough = i128::from(state.left().0) >= state.money.needed;
        let is_newcomer = round == 0 && !state.away && is_enough;
        let places = state.find_limits(ask, now, wall)?;
        if may_overdraw.is_none() {
            state.check_limits(ask, &places, ask.estimate, is_newcomer, (now, wall))?;
        }
        let beyond = may_overdraw.unwrap_or_default();
        let (mut held, mut exposed) = (ask.estimate, NanoUsd::ZERO);
        // Also where nothing is refused for want of credits: what is held and reported later has to be countable.
        let under_way = [state.money.held, state.money.used, ask.worst.0].map(i128::from);
        if under_way.iter().sum::<i128>() > i128::from(NanoUsd::TOTAL.0 / 2) {
            return Err(Short(Refusal::Held));
        }
        if policy.enforced {
            let available = NanoUsd(state.money.available(is_newcomer));
            if held > NanoUsd::ZERO && available + beyond < held {
                return Err(state.short(held));
            }
            if may_overdraw.is_none() {
                exposed = (ask.worst - ask.estimate).or_zero();
            }
            let overdraft = state.overdraft(policy.overdraft);
            if exposed.0 <= overdraft.unspent.max(0) {
                overdraft.take(exposed.0, 0);
            } else {
                // It does not fit in: it is held at its worst case, if that is there.
                let is_there = available >= ask.worst;
                let at = (now, wall);
                let fits = state.check_limits(ask, &places, ask.worst, is_newcomer, at);
                if !is_there || fits.is_err() {
                    return Err(state.exposed(ask, policy.overdraft));
                }
                (held, exposed) = (ask.worst, NanoUsd::ZERO);
            }
        }
        state.money.take(held.0, exposed.0);
        for (limit, place) in ask.limits.iter().zip(&places) {
            if let Some(meter) = state.meters.at_mut(limit, place) {
                let [least, most] = [held, held + exposed].map(|money| units(limit, money, tokens));
                meter.bucket.take(least, most - least);
            }
        }
        state.holds += 1;
        Ok(Taken {
            id: 0,
            segment: None,
            estimate: ask.estimate,
            held,
            exposed,
            access_key: ask.access_key.clone(),
            request_id: ask.request_id.clone(),
            surface: ask.surface,
            provider: ask.provider.clone(),
            model: ask.model.clone(),
            prompt_tokens: ask.prompt_tokens,
            tokens,
            limits: ask.limits.clone(),
            places,
            asked: None,
        })
    }

    /// Undoes [`AccountCache::take`]: the request was never admitted.
    pub(crate) fn give_back(&self, taken: &Taken) {
        let mut state = self.state.lock();
        state.release(taken, NanoUsd::ZERO, None);
    }

    /// Replaces what was taken by what was used, at a time (Unix time, ms): an event for each attempt, the last one final.
    /// Returns by how much the cost is over the hold, or zero, and the least that is left of the request's budgets.
    pub(crate) fn settle(
        &self,
        taken: &Taken,
        events: &[UsageEvent<'_>],
        journal: &Journal,
        at_ms: u64,
    ) -> (NanoUsd, Option<NanoUsd>) {
        let cost = events
            .iter()
            .map(|event| event.attempt.cost)
            .sum::<NanoUsd>();
        // A limit on tokens counts the answer that the caller got.
        let last = events.last().filter(|event| event.attempt.is(Flag::Final));
        let tokens = last.map_or(0, |event| event.attempt.usage.total());
        let mut state = self.state.lock();
        state.release(taken, cost, Some(countable(tokens)));
        state
            .releases
            .extend(taken.segment.map(|segment| (segment, 1)));
        state.write(Some(taken.id), at_ms, last, &self.account, journal);
        for event in events {
            state.add_charge(event);
        }
        ((cost - taken.held).or_zero(), state.left_of(taken))
    }

    /// Charges what nothing was held for.
    pub(crate) fn charge(&self, event: &UsageEvent<'_>, journal: &Journal) {
        let mut state = self.state.lock();
        state.money.charge(event.attempt.cost.0);
        state.write(None, event.at_ms, Some(event), &self.account, journal);
        state.add_charge(event);
    }

    /// Keeps an event that sums up to nothing.
    pub(crate) fn note(&self, event: &UsageEvent<'_>) {
        self.state.lock().add_event(event);
    }

    /// Whether the last call to the bank failed.
    pub(crate) fn is_away(&self) -> bool {
        self.state.lock().away
    }

    /// This till's figures.
    pub(crate) fn figures(&self) -> Figures {
        let state = self.state.lock();
        let told: NanoUsd = state.outbox.iter().map(|l| l.exchange.spent).sum();
        Figures {
            holds: state.holds,
            held: NanoUsd(state.money.held),
            unspent: NanoUsd(state.money.unspent),
            untold: NanoUsd(state.money.used) + told,
            free: state.free,
            allotments: state.allotments,
            away: state.away,
            events_dropped: state.events_dropped,
            lost: state.lost,
        }
    }
}

impl AccountState {
    /// After its lease the allotment may be somebody else's; the next answer says what is left.
    fn forfeit(&mut self, now: Instant) {
        if self.lease_by.is_some_and(|by| now >= by) {
            self.lose_allotment();
        }
    }

    fn lose_allotment(&mut self) {
        self.lease_by = None;
        self.money.unspent = self.money.unspent.min(0);
        for (_, meter) in self.meters.iter_mut() {
            meter.bucket.unspent = meter.bucket.unspent.min(0);
        }
    }

    fn release(&mut self, taken: &Taken, cost: NanoUsd, tokens: Option<i64>) {
        if let Some((needed, _)) = taken.asked {
            self.money.needed -= i128::from(needed);
        }
        self.holds -= 1;
        self.money.settle(taken.held.0, cost.0);
        if taken.exposed > NanoUsd::ZERO {
            let overdraft = self.meters.overdraft();
            overdraft.bucket.settle(taken.exposed.0, 0);
        }
        for (limit, place) in taken.limits.iter().zip(&taken.places) {
            let Some(meter) = self.meters.at_mut(limit, place) else {
                continue;
            };
            let measure = limit.meter.measure;
            let promised = units(limit, taken.held, taken.tokens);
            let used = tokens.map_or(0, |tokens| used(measure, cost, tokens));
            if meter.begun == place.begun {
                meter.bucket.settle(promised, used);
            } else if measure.is_budget() {
                // Money counts in the window in which it is spent; requests and tokens, in the one they came in.
                meter.bucket.settle(0, used);
            }
        }
    }

    /// Neither does the overdraft cover what this may cost beyond its hold, nor does the allotment its worst case.
    fn exposed(&self, ask: &Ask<'_>, overdraft: NanoUsd) -> Short {
        Short(Refusal::Exposed {
            worst: ask.worst,
            left: self.left(),
            exposed: ask.worst - ask.estimate,
            overdraft,
        })
    }

    /// What may be exposed out of the account's overdraft.
    fn overdraft(&mut self, most: NanoUsd) -> &mut Bucket {
        let overdraft = self.meters.overdraft();
        overdraft.most = most.0;
        &mut overdraft.bucket
    }

    /// What the account has, lent or not, as far as this replica knows: what is used here is known to be gone, what
    /// other replicas have used since they last reported is not.
    fn left(&self) -> NanoUsd {
        self.free + self.allotments - NanoUsd(self.money.used)
    }

    fn short(&self, estimate: NanoUsd) -> Short {
        let left = self.left();
        Short(if left < estimate {
            Refusal::OutOfCredits { estimate, left }
        } else {
            Refusal::Held
        })
    }
}
