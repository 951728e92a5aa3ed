//! Messages that are made up from a journal: what an earlier life left to report, and what a bank has forgotten.
//!
//! Invariant: the messages are the same however often they are made up from one journal, so whatever was charged is
//! charged once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::batch::Totals;
use super::history::{Gaps, History, PastAccount, PastCharge, PastMessage, content, spent};
use super::window::window;
use crate::NanoUsd;
use crate::bank::{Exchange, Holder, Mark, Meter, MeterExchange, Reply};
use crate::events::{Flag, stored};
use crate::journal::{JournalError, Life, OwnedRecord};

/// What is left to report of an account in one name; the last message closes its allotment.
pub(super) struct Rest {
    account: Arc<str>,
    pub messages: Vec<Exchange>,
    /// Of the messages, how many the bank has.
    told: usize,
    /// Of those, how many are known to be the ones it has, by their mark.
    sure: usize,
    /// The last message's number.
    pub highest: u64,
    /// What is charged in this name once all is reported; `None` if the journal does not show it any more.
    pub total: Option<NanoUsd>,
}

/// Messages that a bank has forgotten, and what distinguishes the charges of each from others.
pub(super) struct Forgotten {
    pub messages: Vec<(Exchange, u64)>,
    /// There are no others before or between them.
    pub complete: bool,
}

impl History {
    /// How many settlements are to be reported, and how many of them are orphans.
    pub(super) fn counts(&self) -> (usize, usize) {
        let charges = || {
            self.accounts.values().flat_map(|account| {
                let told = account.told.values();
                told.flat_map(|message| &message.charges)
                    .chain(&account.untold)
            })
        };
        let orphans = charges()
            .filter(|charge| charge.event.attempt.is(Flag::Orphaned))
            .count();
        (charges().count() - orphans, orphans)
    }

    /// Each account's messages, in order.
    pub(super) fn rests(self, lease: Duration) -> Vec<Rest> {
        let accounts = self.accounts.into_iter();
        accounts
            .map(|(account, past)| Rest::of(account, past, lease))
            .collect()
    }

    /// Reads what a bank has forgotten, for each of the accounts.
    ///
    /// # Errors
    /// When a record is not what was written.
    pub(super) fn forgotten(
        holder: Holder,
        records: impl Iterator<Item = Result<OwnedRecord, JournalError>>,
        gaps: &Gaps,
        lease: Duration,
    ) -> Result<HashMap<String, Forgotten>, JournalError> {
        let mut history = History::of_gaps(holder, records, gaps.clone())?;
        let read = history.gaps.take().unwrap_or_default();
        let found = gaps.iter().map(|(account, gap)| {
            let complete = read.get(account) == Some(gap);
            let past = history.accounts.remove(account.as_str());
            let name: Arc<str> = account.as_str().into();
            let message = |holder, (number, past): (u64, PastMessage)| {
                let content = content(&past.charges);
                let made = Made {
                    account: &name,
                    holder,
                    number,
                    marks: (past.before, past.mark),
                    charges: &past.charges,
                };
                (made.message(lease, false), content)
            };
            let messages = past.map_or_else(Vec::new, |past| {
                let told = past.told.into_iter();
                told.map(|told| message(past.holder, told)).collect()
            });
            let forgotten = Forgotten { messages, complete };
            (account.clone(), forgotten)
        });
        Ok(found.collect())
    }
}

impl Rest {
    /// The segments of a journal are deleted as what is in them is reported, and so may be all that shows how far an
    /// account's messages were counted. Then nothing is left of it but what was in no message: that is reported in the
    /// name of the holder's [`heir`], and the allotment goes back when its lease ends.
    fn of(account: Arc<str>, past: PastAccount, lease: Duration) -> Rest {
        let known = past.marked > 0 || past.mark != Mark::NONE;
        let number = past.marked.saturating_add(1);
        let (holder, mark) = if known {
            (past.holder, past.mark)
        } else {
            let heir = heir(past.holder);
            (heir, Mark::first(heir.replica))
        };
        let made = |number, marks, charges: &[PastCharge], close| {
            let made = Made {
                account: &account,
                holder,
                number,
                marks,
                charges,
            };
            made.message(lease, close)
        };
        let told = past.told.iter();
        let told = told.map(|(number, message)| {
            let marks = (message.before, message.mark);
            made(*number, marks, &message.charges, false)
        });
        let marks = (mark, mark.then(number, content(&past.untold)));
        let last = made(number, marks, &past.untold, true);
        Rest {
            messages: told.chain([last]).collect(),
            account: account.clone(),
            told: 0,
            sure: 0,
            highest: number,
            total: (past.total)
                .map(|total| NanoUsd::saturating_sum([total, spent(&past.untold)]).or_zero()),
        }
    }

    /// Whose money.
    pub(super) fn account(&self) -> &Arc<str> {
        &self.account
    }

    /// The next message to send.
    pub(super) fn next(&self) -> Option<&Exchange> {
        self.messages.get(self.told)
    }

    /// The bank has the next message, now or before.
    pub(super) fn applied(&mut self, reply: &Reply) {
        if self.next().is_some_and(|next| next.number == reply.last) {
            self.sure = self.told + 1;
        }
        self.told += 1;
    }

    /// Goes back to a number, if it is here.
    pub(super) fn step_back(&mut self, number: u64) -> bool {
        let place = self.messages.iter().position(|m| m.number == number);
        let here = place.filter(|place| *place < self.told);
        here.map(|place| self.told = place).is_some()
    }

    /// Tells what the bank had forgotten before the next message.
    pub(super) fn repeat(&mut self, forgotten: Forgotten) {
        let Forgotten { messages, complete } = forgotten;
        if messages.is_empty() && complete {
            // What is missing cannot be had.
            if let Some(next) = self.messages.get_mut(self.told) {
                next.oldest = next.number;
            }
        }
        let mut again: Vec<Exchange> = messages.into_iter().map(|(message, _)| message).collect();
        if let Some(first) = again.first_mut() {
            first.oldest = first.number;
        }
        self.messages.splice(self.told..self.told, again);
    }

    /// The bank has another history of this name. What it may not have of this one, in a name that depends on it alone;
    /// `None` if that charges nothing.
    pub(super) fn in_another_name(mut self) -> Option<Rest> {
        let mut messages = self.messages.split_off(self.sure);
        let nonce = Mark::first(messages.last()?.mark.number()).number();
        let mut mark = Mark::first(nonce);
        for (message, number) in messages.iter_mut().zip(1..) {
            message.holder.replica = nonce;
            (message.number, message.oldest) = (number, 1);
            message.before = mark;
            mark = mark.then(number, message.mark.number());
            message.mark = mark;
        }
        let total = NanoUsd::saturating_sum(messages.iter().map(|message| message.spent));
        (total > NanoUsd::ZERO).then(|| Rest {
            account: self.account,
            told: 0,
            sure: 0,
            highest: messages.len() as u64,
            total: Some(total),
            messages,
        })
    }
}

/// Who counts anew for a holder. Other than the holder, and as unlikely to be anybody else.
fn heir(holder: Holder) -> Holder {
    Holder {
        replica: !holder.replica,
        ..holder
    }
}

/// Returns what an earlier life has to report to the bank, if that has forgotten nothing: each account's messages, in
/// their order.
///
/// # Errors
/// When its journal is corrupt; nothing is changed then.
pub fn replay(life: &Life, lease: Duration) -> Result<Vec<Vec<Exchange>>, JournalError> {
    let rests = History::of(life)?.rests(lease);
    Ok(rests.into_iter().map(|rest| rest.messages).collect())
}

/// A message to make up.
struct Made<'a> {
    account: &'a Arc<str>,
    holder: Holder,
    number: u64,
    /// Of the message before, and its own.
    marks: (Mark, Mark),
    charges: &'a [PastCharge],
}

impl Made<'_> {
    fn message(self, lease: Duration, close: bool) -> Exchange {
        let (mut totals, mut events) = (Totals::default(), stored::Writer::default());
        for PastCharge { event, .. } in self.charges {
            let event = event.borrowed();
            totals.add(&event);
            events.push(&event);
        }
        let (rollups, tags, spent) = totals.finish();
        Exchange {
            before: self.marks.0,
            mark: self.marks.1,
            spent,
            close,
            meters: meters(self.charges),
            rollups,
            tags,
            events: events.finish(),
            ..Exchange::empty(self.account.clone(), self.holder, self.number, lease)
        }
    }
}

/// What was spent of budgets.
fn meters(charges: &[PastCharge]) -> Vec<MeterExchange> {
    let mut used: BTreeMap<(Meter, u64), i64> = BTreeMap::new();
    for charge in charges {
        for subject in &charge.subjects {
            if let Ok(meter) = subject.parse::<Meter>() {
                let (start, _) = window(meter.measure, charge.event.at_ms / 1000);
                let used = used.entry((meter, start)).or_default();
                *used = used.saturating_add(charge.event.attempt.cost.0);
            }
        }
    }
    // Each meter once; of two windows the newer, since the older one is over.
    let newest: BTreeMap<Meter, (u64, i64)> = used
        .into_iter()
        .map(|((meter, window), used)| (meter, (window, used)))
        .collect();
    let exchange = |(meter, (window, used))| MeterExchange {
        meter,
        window,
        limit: NanoUsd::TOTAL.0,
        used,
        returned: 0,
        need: 0,
        want: 0,
    };
    newest.into_iter().map(exchange).collect()
}
