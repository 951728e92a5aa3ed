//! What a journal shows of each account: its messages to the bank, as far as they are still there, and what is in none.
//!
//! What a journal says is not believed to add up: where a figure ends, sums do, and every bank refuses what comes of that.
//!
//! Invariant: read again, a journal shows the same; and messages that the bank may have seen have the numbers and the
//! marks that they were sent with.

mod account;

use std::collections::{BTreeMap, HashMap};

pub(super) use account::{PastAccount, PastCharge, PastMessage, content, spent};

use super::recovered::Held;
use crate::bank::{Holder, Mark};
use crate::events::{EventId, UsageEvent};
use crate::journal::{JournalError, Life, OwnedRecord};
use crate::{KeyKind, NanoUsd};
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

/// Most charges that are read into memory for messages which the bank has forgotten; the rest is read after they are
/// told.
const AT_ONCE: usize = 50_000;

/// Messages that a bank has forgotten, by account: the first and the last.
pub(super) type Gaps = HashMap<String, (u64, u64)>;

/// Holds what a journal shows of each account.
pub(super) struct History {
    holder: Holder,
    /// Before an account's first message, if it shows that nothing of it is missing.
    first: Mark,
    pub accounts: BTreeMap<String, PastAccount>,
    holds: HashMap<u64, PastHold>,
    /// Only these messages are read, and no further than up to what does not fit; `None`: those that are not
    /// acknowledged.
    pub gaps: Option<Gaps>,
    /// Charges of them so far.
    read: usize,
}

struct PastHold {
    at_ms: u64,
    who: Held,
    estimate: NanoUsd,
    prompt_tokens: u64,
    subjects: Vec<String>,
}

impl History {
    /// Reads an earlier life to its end; requests that were in flight are charged at their estimates.
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
                account,
                access_key,
                request_id,
                surface,
                provider,
                model,
                estimate,
                prompt_tokens,
                subjects,
            } => {
                let hold = PastHold {
                    at_ms,
                    who: Held {
                        account: account.into(),
                        access_key: access_key.into(),
                        request_id: request_id.into(),
                        surface: surface_named(&surface),
                        provider: provider.into(),
                        model: model.into(),
                    },
                    estimate: NanoUsd(estimate),
                    prompt_tokens,
                    subjects,
                };
                self.holds.insert(id, hold);
            }
            // Its hold may have been deleted with its segment: then what settles it was told long ago.
            OwnedRecord::Settled { id, at_ms, attempt } => {
                if let (Some(hold), Some(attempt)) = (self.holds.remove(&id), attempt) {
                    let Held {
                        account,
                        access_key,
                        request_id,
                        surface,
                        ..
                    } = hold.who;
                    let event = UsageEvent::replayed(
                        attempt, at_ms, account, access_key, request_id, surface,
                    );
                    self.charge(event, hold.subjects);
                }
            }
            OwnedRecord::Charged {
                at_ms,
                account,
                access_key,
                request_id,
                surface,
                attempt,
            } => {
                let surface = surface_named(&surface);
                let (account, access_key) = (account.into(), access_key.into());
                let event = UsageEvent::replayed(
                    attempt,
                    at_ms,
                    account,
                    access_key,
                    request_id.into(),
                    surface,
                );
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
                    (hold.who.provider, hold.who.model) = (provider.into(), model.into());
                }
                let [input, read, write, output, reasoning] = usage;
                let event = UsageEvent {
                    status_code: status,
                    is_error: !(200..300).contains(&status),
                    is_final_attempt: served,
                    tokens: Usage::of(input, read, write, output, reasoning),
                    estimated,
                    total_cost: cost,
                    key_source: if managed {
                        KeyKind::Managed
                    } else {
                        KeyKind::User
                    },
                    ..hold.who.event(self.id_of(id), at_ms)
                };
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

    fn heard(&mut self, account: String, number: u64) {
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
        account: String,
        number: u64,
        (before, mark): (Mark, Mark),
        total: Option<NanoUsd>,
    ) {
        let room = self.read < AT_ONCE;
        let gap = self.gaps.as_mut().map(|gaps| gaps.get_mut(&account));
        let wanted = match gap {
            None => true,
            Some(None) => false,
            Some(Some((first, last))) => {
                let wanted = (*first..=*last).contains(&number);
                if wanted && !room {
                    // What comes after it would be told out of order.
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

    /// Requests that were in flight when the replica died are charged at their estimates.
    pub(super) fn orphan(&mut self) {
        let mut orphans: Vec<(u64, PastHold)> = self.holds.drain().collect();
        orphans.sort_unstable_by_key(|(id, _)| *id);
        for (id, hold) in orphans {
            let event = hold.who.orphan(
                self.id_of(id),
                hold.at_ms,
                hold.prompt_tokens,
                hold.estimate,
            );
            self.charge(event, hold.subjects);
        }
    }

    fn id_of(&self, hold: u64) -> EventId {
        EventId::of_hold(self.holder.replica, self.holder.epoch, hold)
    }

    fn charge(&mut self, event: UsageEvent, subjects: Vec<String>) {
        let of_others = |gaps: &Gaps| !gaps.contains_key(&*event.account);
        if self.gaps.as_ref().is_some_and(of_others) {
            return;
        }
        let past = self.account(event.account.to_string());
        past.untold.push(PastCharge { event, subjects });
    }

    fn account(&mut self, account: String) -> &mut PastAccount {
        let (holder, first) = (self.holder, self.first);
        let entry = self.accounts.entry(account);
        entry.or_insert_with(|| PastAccount::new(holder, first))
    }
}

/// The surface with this name.
fn surface_named(name: &str) -> Surface {
    let known = Surface::ALL.into_iter().find(|known| known.name() == name);
    known.unwrap_or(Surface::ChatCompletions)
}
