//! Messages between a cache and the bank: written, and repeated until they are acknowledged.

use std::time::{Duration, Instant};

use super::super::batch::Totals;
use super::super::bucket::{Bucket, Statement};
use super::meters::KEPT;
use super::names::Stamp;
use super::{AccountCache, AccountState, Next, Outgoing};
use crate::NanoUsd;
use crate::bank::{Exchange, MeterExchange, Reply, Verdict};
use crate::events::stored;
use crate::journal::{Journal, Record, Segment};
use tollgate_store::StoreError;

/// Why a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The flush interval is over.
    Flush,
    /// Requests wait, or an answer asked for another message.
    Urgent,
    /// The till closes.
    Close,
}

/// What a new message says, cut out of the account's state under its lock; the message is made of it without the lock.
struct Cut {
    /// The message's number and marks.
    stamp: Stamp,
    /// What distinguishes its charges from others.
    content: u64,
    money: Statement,
    meters: Vec<MeterExchange>,
    settled: Totals,
    events: stored::Writer,
    /// How many journal records of each segment are released when it is acknowledged.
    releases: Vec<(Segment, u32)>,
}

impl AccountCache {
    /// Returns the next message to send, if there is one: the oldest that is not acknowledged, else a new one if there
    /// is anything to say, else a question whether the bank has all that it was sent, if that may have changed. There
    /// is none until the last one is answered ([`AccountCache::acknowledge`]), nor if the journal cannot be written.
    /// `borrows`: whether money is borrowed; limits are either way. `connection` is the one that leads to the bank.
    pub(crate) fn outgoing(
        &self,
        occasion: Occasion,
        borrows: bool,
        connection: Option<u64>,
        lease: Duration,
        journal: &Journal,
        now: Instant,
    ) -> Option<Exchange> {
        let cut = {
            let mut state = self.state.lock();
            if state.in_flight {
                return None;
            }
            // `Ok` is still to be made a message, without the lock; `Err` is no error but a message that is whole.
            let cut = if let Some(oldest) = state.outbox.front() {
                Err(oldest.exchange.clone())
            } else if state.has_news(occasion, lease, now) {
                Ok(state.cut(&self.account, borrows, journal, now)?)
            } else {
                Err(state.question(&self.account, connection, lease, now)?)
            };
            // Keeps others out until this message is in the outbox, too.
            state.in_flight = true;
            state.asked = Some((now, connection));
            match cut {
                Ok(cut) => cut,
                Err(message) => return Some(message),
            }
        };
        let (rollups, tags, spent) = cut.settled.finish();
        debug_assert_eq!(spent.0, cut.money.used, "totals are what was settled");
        let exchange = Exchange {
            spent,
            returned: NanoUsd(cut.money.returned),
            need: NanoUsd(if borrows { cut.money.need } else { 0 }),
            want: NanoUsd(if borrows { cut.money.want } else { 0 }),
            close: occasion == Occasion::Close,
            meters: cut.meters,
            rollups,
            tags,
            events: cut.events.finish(),
            ..cut.stamp.empty(self.account.clone(), lease)
        };
        self.state.lock().outbox.push_back(Outgoing {
            exchange: exchange.clone(),
            content: cut.content,
            releases: cut.releases,
        });
        Some(exchange)
    }

    /// Takes in the answer to the message sent at `sent`, which is here at `now`. Returns what follows.
    pub(crate) fn acknowledge(
        &self,
        answer: Result<Reply, StoreError>,
        (sent, now): (Instant, Instant),
        lease: Duration,
        journal: &Journal,
    ) -> Next {
        let mut state = self.state.lock();
        state.in_flight = false;
        let next = match answer {
            Ok(reply) => {
                state.clock.hear(reply.now, sent, now);
                let next = state.take_in(&self.account, &reply, sent + lease, journal);
                state.heard = state.asked;
                state.in_flight = next == Next::Remind;
                // The bank is back only once it has all messages: what it says before that may be out of date.
                if state.away && state.outbox.is_empty() && next != Next::Remind {
                    log::info!("account `{}`: the bank answers again", self.account);
                    state.away = false;
                }
                next
            }
            Err(error) => {
                if !state.away {
                    log::error!(
                        "account `{}`: the bank does not answer: {error}",
                        self.account
                    );
                }
                state.away = true;
                Next::Rest
            }
        };
        // While the bank is away, nobody goes on waiting: the next message counts as answered, too.
        let answered = if state.away {
            state.number + 1
        } else {
            state.number - state.outbox.len() as u64
        };
        let somebody_waits = !state.away && state.newcomers > 0;
        drop(state);
        self.answered.send_replace(answered);
        if next == Next::Rest && somebody_waits {
            Next::Write
        } else {
            next
        }
    }
}

impl AccountState {
    /// Returns whether there is anything to report to the bank on this occasion.
    fn has_news(&mut self, occasion: Occasion, lease: Duration, now: Instant) -> bool {
        self.forfeit(now);
        let needed = self.money.needed > 0 || self.meters.values().any(|m| m.bucket.needed > 0);
        match occasion {
            Occasion::Urgent => needed || (self.money.recalled && self.money.unspent > 0),
            Occasion::Close => self.number > 0 || !self.settled.is_empty(),
            Occasion::Flush => {
                // A lease is renewed while requests hold any of what was lent: else the bank would lend that to others.
                let is_held = |bucket: &Bucket| bucket.held > 0 && bucket.held + bucket.unspent > 0;
                let held = is_held(&self.money) || self.meters.values().any(|m| is_held(&m.bucket));
                let renew = held && self.lease_by.is_none_or(|by| now + lease / 2 >= by);
                // Of this a message may return what is not needed.
                let unspent = self.money.unspent > 0
                    || self.meters.values().any(|meter| meter.bucket.unspent > 0);
                let settled =
                    !self.settled.is_empty() || self.meters.values().any(|m| m.bucket.used > 0);
                // Requests that used nothing leave no more than journal records, which the next message releases.
                let records = !self.releases.is_empty();
                needed
                    || settled
                    || unspent
                    || renew
                    || records
                    || self.stale
                    || !self.events.is_empty()
            }
        }
    }

    /// Takes out everything that is to be reported to the bank, and marks the place in the journal. `None` if the
    /// journal cannot be written: then all of it stays, for later.
    fn cut(
        &mut self,
        account: &str,
        borrows: bool,
        journal: &Journal,
        now: Instant,
    ) -> Option<Cut> {
        self.write_rest(account, journal).ok()?;
        let content = self.content;
        let stamp = self.chain(journal).stamp(content, NanoUsd(self.money.used));
        let segment = journal
            .append(&stamp.record(account))
            .inspect_err(|error| log::error!("account `{account}`: nothing is told to the bank: the journal cannot be written: {error}"))
            .ok()?;
        self.releases.push((segment, 1));
        self.chain = Some(stamp.chain());
        self.number += 1;
        (self.content, self.stale) = (0, false);
        self.newcomers = 0;
        let money = self.money.tell(now, borrows);
        let meters = self
            .meters
            .iter_mut()
            .filter(|(_, meter)| !meter.bucket.is_quiet())
            .map(|(name, meter)| {
                let told = meter.bucket.tell(now, true);
                MeterExchange {
                    meter: name.clone(),
                    window: meter.window,
                    limit: meter.most,
                    used: told.used,
                    returned: told.returned,
                    need: told.need,
                    want: told.want,
                }
            })
            .collect();
        let next_events = self.events.next();
        Some(Cut {
            stamp,
            content,
            money,
            meters,
            settled: std::mem::take(&mut self.settled),
            events: std::mem::replace(&mut self.events, next_events),
            releases: merged(std::mem::take(&mut self.releases)),
        })
    }

    /// Takes in what the bank answered. Returns what follows.
    fn take_in(
        &mut self,
        account: &str,
        reply: &Reply,
        lease_by: Instant,
        journal: &Journal,
    ) -> Next {
        match self.verdict(reply, journal) {
            Verdict::Applied => {}
            Verdict::Behind => return self.fall_behind(account, reply),
            Verdict::Foreign => return self.rename(account, reply, journal),
        }
        // The meters of the oldest message that this acknowledges; a question has none.
        let mut sent_meters = None;
        while self
            .outbox
            .front()
            .is_some_and(|outgoing| outgoing.exchange.number <= reply.last)
        {
            let Some(outgoing) = self.outbox.pop_front() else {
                break;
            };
            for (segment, count) in &outgoing.releases {
                journal.release(*segment, *count);
            }
            sent_meters.get_or_insert(outgoing.exchange.meters);
        }
        // A restart is exact without this record; with it, it repeats less.
        if sent_meters.is_some()
            && let Ok(segment) = journal.append(&Record::Heard {
                account,
                replica: self.chain(journal).holder().replica,
                number: reply.last,
            })
        {
            journal.release(segment, 1);
        }
        self.notice_newer(account, reply, journal);
        self.free = reply.free;
        self.allotments = reply.allotments;
        if !self.outbox.is_empty() {
            return Next::Write;
        }
        self.balance(account, reply, journal);
        // A question renews no lease. One that was over ends when the question was sent: what the answer says is lent
        // is forfeited again at once.
        let until = self.lease_by.or(self.asked.map(|(sent, _)| sent));
        let is_question = sent_meters.is_none();
        self.lease_by = if is_question { until } else { Some(lease_by) };
        self.money
            .told(reply.allotment.0, reply.free.0, reply.recall);
        for (sent, said) in sent_meters.iter().flatten().zip(&reply.meters) {
            let Some(meter) = self.meters.get_mut(&sent.meter) else {
                continue;
            };
            // The bank is in a later window: this one is over. If it is in an earlier one, it has lent nothing of this
            // one, which is asked for again once it has begun there.
            if said.window > meter.window {
                meter.begin(said.window, false);
            }
            if said.window == meter.window {
                meter.used = said.used;
                let taken = said.used.saturating_add(said.lent);
                let free = meter.most.saturating_sub(taken);
                meter.bucket.told(said.allotment, free, said.recall);
            }
        }
        // All that was said has been answered: of these the bank has lent nothing here.
        if self.meters.len() > KEPT {
            self.meters.let_go();
        }
        // The bank needs for others what is not held here: return it at once.
        if reply.recall && self.money.unspent > 0 && self.money.needed == 0 {
            Next::Write
        } else {
            Next::Rest
        }
    }
}

/// Adds up the counts of each segment.
fn merged(mut releases: Vec<(Segment, u32)>) -> Vec<(Segment, u32)> {
    releases.sort_unstable();
    releases.dedup_by(|next, first| {
        let same = next.0 == first.0;
        if same {
            first.1 += next.1;
        }
        same
    });
    releases
}
