//! Messages between a drawer and the bank: written, repeated until they are acknowledged, kept for a while.

use std::time::{Duration, Instant};

use super::super::batch::Totals;
use super::super::purse::{Purse, Told};
use super::{Drawer, State, append};
use crate::NanoUsd;
use crate::bank::{Exchange, Holder, MeterExchange, Reply};
use crate::events::stored;
use crate::journal::{Journal, Record, Segment};
use tollgate_store::StoreError;

/// Acknowledged messages that are kept, in case a bank that lost its newest writes (a failover) asks for them.
const KEPT: usize = 16;

/// A message, and what to release when it is acknowledged.
#[derive(Clone)]
pub(crate) struct Letter {
    /// What is sent.
    pub exchange: Exchange,
    releases: Vec<(Segment, u32)>,
}

/// Why a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It is time.
    Flush,
    /// Requests wait.
    Urgent,
    /// The till closes.
    Close,
}

/// A message's content, taken out under the lock and made up outside.
struct Cut {
    number: u64,
    money: Told,
    meters: Vec<MeterExchange>,
    settled: Totals,
    events: stored::Writer,
    releases: Vec<(Segment, u32)>,
}

impl Drawer {
    /// The next message to send, if there is one: the oldest that is not acknowledged, else a new one if there is
    /// anything to say. Until [`Drawer::acknowledge`] there is no other.
    pub(crate) fn letter(
        &self,
        occasion: Occasion,
        borrows: bool,
        holder: Holder,
        lease: Duration,
        journal: &Journal,
        now: Instant,
    ) -> Option<Exchange> {
        let cut = {
            let mut state = self.state.lock();
            if state.in_flight {
                return None;
            }
            if let Some(oldest) = state.letters.front() {
                let again = oldest.exchange.clone();
                state.in_flight = true;
                return Some(again);
            }
            if !state.has_news(occasion, lease, now) {
                return None;
            }
            let cut = state.cut(&self.account, borrows, journal)?;
            state.in_flight = true;
            cut
        };
        let (rollups, spent) = cut.settled.finish();
        debug_assert_eq!(spent.0, cut.money.used, "totals are what was settled");
        let exchange = Exchange {
            account: self.account.clone(),
            holder,
            number: cut.number,
            oldest: cut.number,
            spent,
            returned: NanoUsd(cut.money.returned),
            need: NanoUsd(if borrows { cut.money.need } else { 0 }),
            want: NanoUsd(if borrows { cut.money.want } else { 0 }),
            lease,
            close: occasion == Occasion::Close,
            meters: cut.meters,
            rollups,
            events: cut.events.finish(),
        };
        let mut state = self.state.lock();
        let oldest = state.kept.front().map(|letter| letter.exchange.number);
        let exchange = Exchange {
            oldest: oldest.unwrap_or(cut.number),
            ..exchange
        };
        state.letters.push_back(Letter {
            exchange: exchange.clone(),
            releases: cut.releases,
        });
        Some(exchange)
    }

    /// Takes in the answer to the message sent at `sent`. Says whether another one should follow at once.
    pub(crate) fn acknowledge(
        &self,
        answer: Result<Reply, StoreError>,
        sent: Instant,
        lease: Duration,
        journal: &Journal,
    ) -> bool {
        let mut state = self.state.lock();
        state.in_flight = false;
        let follow = match answer {
            Ok(reply) => {
                let follow = state.take_in(&self.account, &reply, sent + lease, journal);
                // One that is behind is told again what it forgot, before anything it says is news.
                if state.away && state.letters.is_empty() {
                    log::info!("account `{}`: the bank answers again", self.account);
                    state.away = false;
                }
                follow
            }
            Err(error) => {
                if !state.away {
                    log::error!(
                        "account `{}`: the bank does not answer: {error}",
                        self.account
                    );
                }
                state.away = true;
                false
            }
        };
        let answered = if state.away {
            state.number + 1
        } else {
            state.number - state.letters.len() as u64
        };
        let waits = !state.away && state.newcomers > 0;
        drop(state);
        self.answered.send_replace(answered);
        follow || waits
    }
}

impl State {
    fn has_news(&mut self, occasion: Occasion, lease: Duration, now: Instant) -> bool {
        self.forfeit(now);
        let needed = self.money.needed > 0 || self.meters.values().any(|m| m.purse.needed > 0);
        match occasion {
            Occasion::Urgent => needed || (self.recall && self.money.unspent > 0),
            Occasion::Close => self.number > 0 || !self.settled.is_empty(),
            Occasion::Flush => {
                // What is lent at all, so that it is not reaped from under requests in flight.
                let lent = |purse: &Purse| purse.held > 0 && purse.held + purse.unspent > 0;
                let lent = lent(&self.money) || self.meters.values().any(|m| lent(&m.purse));
                let renew = lent && self.lease_by.is_none_or(|by| now + lease / 2 >= by);
                let idle = self.money.unspent > 0
                    || self.meters.values().any(|meter| meter.purse.unspent > 0);
                let settled =
                    !self.settled.is_empty() || self.meters.values().any(|m| m.purse.used > 0);
                // Of requests that used nothing there may be nothing but their records in the journal.
                let records = !self.releases.is_empty();
                needed || settled || idle || renew || records || !self.events.is_empty()
            }
        }
    }

    /// Takes everything that is to be told out of the books, and marks it in the journal. `None` if the journal
    /// cannot be written: then it stays, for later.
    fn cut(&mut self, account: &str, borrows: bool, journal: &Journal) -> Option<Cut> {
        while let Some(waiting) = self.unwritten.last() {
            let event = waiting.event.as_deref();
            let segment = append(journal, account, waiting.hold, waiting.at_ms, event).ok()?;
            self.releases.push((segment, 1));
            self.unwritten.pop();
        }
        let number = self.number + 1;
        let mark = journal
            .append(&Record::Cut { account, number })
            .inspect_err(|error| log::error!("account `{account}`: nothing is told to the bank: the journal cannot be written: {error}"))
            .ok()?;
        self.releases.push((mark, 1));
        self.number = number;
        self.newcomers = 0;
        let recalled = self.recall || !borrows;
        let money = self.money.tell(recalled);
        let meters = self
            .meters
            .iter_mut()
            .filter(|(_, meter)| !meter.purse.is_quiet())
            .map(|(name, meter)| {
                let told = meter.purse.tell(self.recall);
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
        let events = self.events.next();
        Some(Cut {
            number,
            money,
            meters,
            settled: std::mem::take(&mut self.settled),
            events: std::mem::replace(&mut self.events, events),
            releases: merged(std::mem::take(&mut self.releases)),
        })
    }

    /// Says whether another message should follow at once.
    fn take_in(
        &mut self,
        account: &str,
        reply: &Reply,
        lease_by: Instant,
        journal: &Journal,
    ) -> bool {
        let Some(sent) = self.letters.front().map(|l| l.exchange.number) else {
            return false;
        };
        if reply.last < sent {
            // It has forgotten messages that it had acknowledged; they are repeated in their order.
            log::warn!(
                "account `{account}`: the bank has messages up to {} of {}; repeating",
                reply.last,
                sent - 1
            );
            while self
                .kept
                .back()
                .is_some_and(|letter| letter.exchange.number > reply.last)
            {
                self.letters.extend(self.kept.pop_back());
                self.letters.rotate_right(1);
            }
            let oldest = self.letters.front().map(|letter| letter.exchange.number);
            for letter in &mut self.letters {
                letter.exchange.oldest = oldest.unwrap_or(sent);
            }
            return true;
        }
        let mut of_sent = None;
        while self
            .letters
            .front()
            .is_some_and(|letter| letter.exchange.number <= reply.last)
        {
            let Some(letter) = self.letters.pop_front() else {
                break;
            };
            for (segment, count) in &letter.releases {
                journal.release(*segment, *count);
            }
            of_sent.get_or_insert_with(|| letter.exchange.meters.clone());
            self.kept.push_back(Letter {
                releases: Vec::new(),
                ..letter
            });
            if self.kept.len() > KEPT {
                self.kept.pop_front();
            }
        }
        // Not needed for exactness, only so that a restart repeats less.
        if let Ok(segment) = journal.append(&Record::Acked {
            account,
            number: reply.last,
        }) {
            journal.release(segment, 1);
        }
        self.free = reply.free;
        self.floats = reply.floats;
        self.recall = reply.recall;
        if !self.letters.is_empty() {
            return true;
        }
        self.lease_by = Some(lease_by);
        self.money.told(reply.float.0);
        for (told, said) in of_sent.iter().flatten().zip(&reply.meters) {
            let Some(meter) = self.meters.get_mut(&told.meter) else {
                continue;
            };
            if said.window > meter.window {
                meter.begin(said.window);
            }
            if said.window == meter.window {
                meter.used = said.used;
                meter.purse.told(said.float);
            }
        }
        // What came back from a recall is for others; tell at once what is not held.
        reply.recall && self.money.unspent > 0 && self.money.needed == 0
    }
}

/// One entry a segment.
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
