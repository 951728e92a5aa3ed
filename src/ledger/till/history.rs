//! What a journal shows of each account: its messages to the bank, as far as they are still there, and what is in none.
//!
//! What a journal says is not believed to add up: where a figure ends, sums do, and every bank refuses what comes of that.
//!
//! Invariant: read again, a journal shows the same; and messages that the bank may have seen have the numbers and the
//! marks that they were sent with.

mod account;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(super) use account::{PastAccount, PastCharge, PastMessage, content, spent};

use crate::bank::{Holder, Mark};
use crate::events::{Event, EventId, Flag, Flags, OwnedEvent};
use crate::journal::{Held, JournalError, Life, OwnedRecord};
use crate::{HOUSE, NanoUsd};
use tollgate_wire::report::Usage;

/// Most charges that are read into memory for messages which the bank has forgotten; the rest is read after they are
/// sent.
const AT_ONCE: usize = 50_000;

/// Messages that a bank has forgotten, by account: the first and the last.
pub(super) type Gaps = HashMap<String, (u64, u64)>;

/// Holds what a journal shows of each account.
pub(super) struct History {
    holder: Holder,
    /// Before an account's first message, if it shows that nothing of it is missing.
    first: Mark,
    pub accounts: BTreeMap<Arc<str>, PastAccount>,
    holds: HashMap<u64, PastHold>,
    /// Only these messages are read, and no further than up to what does not fit; `None`: those that are not
    /// acknowledged.
    pub gaps: Option<Gaps>,
    /// Charges of them so far.
    read: usize,
}

struct PastHold {
    at_ms: u64,
    who: Held<Arc<str>>,
    estimate: NanoUsd,
    prompt_tokens: u64,
    subjects: Vec<String>,
    named: bool,
}

impl History {
    /// Reads an earlier life to its end; requests that were in flight are charged at their estimates, those that may be sent
    /// again by their name to the house.
    ///
    /// # Errors
    /// When it is corrupt; nothing is changed then.
    pub(super) fn of(life: &Life) -> Result<History, JournalError> {
        if let Some(cut) = life.truncated() {
            log::info!(
                "journal: a process died while it wrote: {} bytes at {} of {} are no whole record, and left out",
                cut.bytes,
                cut.offset,
                cut.file.display()
            );
        }
        let first = if life.is_whole() && life.nonce() != 0 {
            Mark::first(life.nonce())
        } else {
            Mark::NONE
        };
        let mut history = History::read(life.holder(), first, None, life.records()?)?;
        history.orphan();
        Ok(history)
    }

    /// Reads the messages that a bank has forgotten, as far as they are still there; not all at once where they are many.
    ///
    /// # Errors
    /// When a record is not what was written.
    pub(super) fn of_gaps(
        holder: Holder,
        records: impl Iterator<Item = Result<OwnedRecord, JournalError>>,
        gaps: Gaps,
    ) -> Result<History, JournalError> {
        History::read(holder, Mark::NONE, Some(gaps), records)
    }

    pub(super) fn read(
        holder: Holder,
        first: Mark,
        gaps: Option<Gaps>,
        records: impl Iterator<Item = Result<OwnedRecord, JournalError>>,
    ) -> Result<History, JournalError> {
        let mut history = History {
            holder,
            first,
            accounts: BTreeMap::new(),
            holds: HashMap::new(),
            gaps,
            read: 0,
        };
        for record in records {
            history.take_in(record?);
        }
        Ok(history)
    }

    fn take_in(&mut self, record: OwnedRecord) {
        match record {
            OwnedRecord::Hold {
                id,
                at_ms,
                who,
                estimate,
                prompt_tokens,
                subjects,
                named,
            } => {
                let hold = PastHold {
                    at_ms,
                    who,
                    estimate: NanoUsd(estimate),
                    prompt_tokens,
                    subjects,
                    named,
                };
                self.holds.insert(id, hold);
            }
            // Its hold may have been deleted with its segment: then what settles it was reported long ago.
            OwnedRecord::Settled { id, at_ms, attempt } => {
                if let (Some(hold), Some(attempt)) = (self.holds.remove(&id), attempt) {
                    let event = Event {
                        at_ms,
                        request: hold.who.request,
                        provider_request_id: Arc::default(),
                        attempt,
                    };
                    self.charge(event, hold.subjects);
                }
            }
            OwnedRecord::Charged {
                at_ms,
                request,
                attempt,
            } => {
                let event = Event {
                    at_ms,
                    request,
                    provider_request_id: Arc::default(),
                    attempt,
                };
                self.charge(event, Vec::new());
            }
            OwnedRecord::Settle {
                id,
                at_ms,
                cost,
                provider,
                model,
                managed,
                estimated,
                status,
                usage,
            } => {
                let Some(mut hold) = self.holds.remove(&id) else {
                    return;
                };
                let served = !provider.is_empty();
                if served {
                    (hold.who.provider, hold.who.model) = (provider, model);
                }
                let mut event = hold.who.event(self.id_of(id), at_ms);
                let attempt = &mut event.attempt;
                attempt.flags = Flags::default()
                    .with(Flag::Error, !(200..300).contains(&status))
                    .with(Flag::Estimated, estimated)
                    .with(Flag::Managed, managed)
                    .with(Flag::Final, served);
                let [input, read, write, output, reasoning] = usage;
                attempt.usage = Usage::of(input, read, write, output, reasoning);
                (attempt.status, attempt.cost) = (status, NanoUsd(cost));
                self.charge(event, hold.subjects);
            }
            OwnedRecord::Cut { account, number } => {
                self.mark_off(account, number, (Mark::NONE, Mark::NONE), None);
            }
            OwnedRecord::Told {
                account,
                replica,
                number,
                marks: (before, mark),
                total,
            } => {
                let past = self.account(account.clone());
                past.holder.replica = replica;
                let marks = (Mark::kept(before), Mark::kept(mark));
                self.mark_off(account, number, marks, Some(NanoUsd(total).or_zero()));
            }
            OwnedRecord::Acked { account, number } => self.heard(account, number),
            OwnedRecord::Heard {
                account,
                replica,
                number,
            } => {
                self.account(account.clone()).holder.replica = replica;
                self.heard(account, number);
            }
            OwnedRecord::Renamed {
                account,
                replica,
                nonce,
                after,
            } => {
                let all = self.gaps.is_none();
                let past = self.account(account);
                if !all {
                    // Gaps are in the name that came last.
                    past.told.clear();
                }
                past.rename(replica, nonce, after);
            }
        }
    }

    fn heard(&mut self, account: Arc<str>, number: u64) {
        let all = self.gaps.is_some();
        let past = self.account(account);
        if number > past.marked {
            (past.marked, past.mark, past.total) = (number, Mark::NONE, None);
        }
        if !all {
            past.told = past.told.split_off(&number.saturating_add(1));
        }
    }

    fn mark_off(
        &mut self,
        account: Arc<str>,
        number: u64,
        (before, mark): (Mark, Mark),
        total: Option<NanoUsd>,
    ) {
        let room = self.read < AT_ONCE;
        let gap = self.gaps.as_mut().map(|gaps| gaps.get_mut(&*account));
        let wanted = match gap {
            None => true,
            Some(None) => false,
            Some(Some((first, last))) => {
                let wanted = (*first..=*last).contains(&number);
                if wanted && !room {
                    // What comes after it would be reported out of order.
                    *last = number.saturating_sub(1);
                }
                wanted && room
            }
        };
        let past = self.account(account);
        let charges = std::mem::take(&mut past.untold);
        let read = charges.len();
        match total {
            Some(total) => past.mark_off(number, Some((before, mark, total)), charges),
            // Of a version that had neither.
            None => {
                let marked = past.marked.max(number);
                (past.mark, past.total) = (Mark::NONE, None);
                past.mark_off(number, None, charges);
                past.marked = marked;
            }
        }
        if wanted {
            self.read += read;
        } else {
            past.told.remove(&number);
        }
    }

    /// Requests that were in flight when the replica died are charged at their estimates. One that has a name is carried out
    /// anew when it is sent again, or has left its answer with the name: its account pays once, or never, so the house does.
    pub(super) fn orphan(&mut self) {
        let mut orphans: Vec<(u64, PastHold)> = self.holds.drain().collect();
        orphans.sort_unstable_by_key(|(id, _)| *id);
        for (id, hold) in orphans {
            let mut event = hold.who.orphan(
                self.id_of(id),
                hold.at_ms,
                hold.prompt_tokens,
                hold.estimate,
            );
            let mut subjects = hold.subjects;
            if hold.named {
                event.request.account = HOUSE.into();
                subjects.clear();
            }
            self.charge(event, subjects);
        }
    }

    fn id_of(&self, hold: u64) -> EventId {
        EventId::of_hold(self.holder.replica, self.holder.epoch, hold)
    }

    fn charge(&mut self, event: OwnedEvent, subjects: Vec<String>) {
        let account = event.request.account.clone();
        let of_others = |gaps: &Gaps| !gaps.contains_key(&*account);
        if self.gaps.as_ref().is_some_and(of_others) {
            return;
        }
        let past = self.account(account);
        past.untold.push(PastCharge { event, subjects });
    }

    fn account(&mut self, account: Arc<str>) -> &mut PastAccount {
        let (holder, first) = (self.holder, self.first);
        let entry = self.accounts.entry(account);
        entry.or_insert_with(|| PastAccount::new(holder, first))
    }
}
