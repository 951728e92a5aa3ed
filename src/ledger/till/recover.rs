//! What an earlier life of this replica left: read from its journal, told to the bank.
//!
//! Invariant: the messages are the same however often they are made up from one journal, and those that the
//! bank may have seen have the numbers they were sent with; so whatever was charged is charged once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Settled, Totals, made_up};
use super::charge::Charge;
use super::window::window;
use crate::NanoUsd;
use crate::bank::{Exchange, Holder, Meter, MeterExchange};
use crate::events::stored;
use crate::events::stored::StoredEvent;
use crate::journal::{JournalError, Life, OwnedRecord};
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

/// See the module.
#[derive(Default)]
pub(super) struct Past {
    accounts: BTreeMap<String, PastAccount>,
    holds: HashMap<u64, PastHold>,
}

#[derive(Default)]
struct PastAccount {
    /// The last number that was marked, or acknowledged; 0 if nothing shows it any more.
    marked: u64,
    /// What the marked messages say that may not have been applied.
    told: BTreeMap<u64, Vec<PastCharge>>,
    /// What was settled after the last mark.
    untold: Vec<PastCharge>,
}

struct PastHold {
    at_ms: u64,
    account: String,
    access_key: Arc<str>,
    request_id: Arc<str>,
    surface: Surface,
    provider: Arc<str>,
    model: Arc<str>,
    estimate: NanoUsd,
    prompt_tokens: u64,
    subjects: Vec<String>,
}

/// A settlement with its hold.
struct PastCharge {
    settled: Settled,
    subjects: Vec<String>,
}

impl Past {
    /// Reads a journal to its end.
    ///
    /// # Errors
    /// When it is corrupt; nothing is changed then.
    pub(super) fn read(life: &Life) -> Result<Past, JournalError> {
        let mut past = Past::default();
        if let Some(cut) = life.truncated() {
            log::info!(
                "journal: a process died while it wrote: {} bytes at {} of {} are no whole record, and left out",
                cut.bytes,
                cut.offset,
                cut.file.display()
            );
        }
        for record in life.records()? {
            past.take_in(record?);
        }
        past.orphan();
        Ok(past)
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
                    account,
                    access_key: access_key.into(),
                    request_id: request_id.into(),
                    surface: Surface::ALL
                        .into_iter()
                        .find(|known| known.name() == surface)
                        .unwrap_or(Surface::ChatCompletions),
                    provider: provider.into(),
                    model: model.into(),
                    estimate: NanoUsd(estimate),
                    prompt_tokens,
                    subjects,
                };
                self.holds.insert(id, hold);
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
                // Its hold may have been released with its segment: then this one was told long ago.
                let Some(hold) = self.holds.remove(&id) else {
                    return;
                };
                let served = !provider.is_empty();
                let charge = Charge {
                    provider: if served {
                        provider.into()
                    } else {
                        hold.provider.clone()
                    },
                    model: if served {
                        model.into()
                    } else {
                        hold.model.clone()
                    },
                    managed,
                    status,
                    estimated,
                    failed: !(200..300).contains(&status),
                    last: served,
                    orphaned: false,
                    usage: Usage::of(usage[0], usage[1], usage[2], usage[3], usage[4]),
                    cost: NanoUsd(cost),
                };
                self.charge(id, hold, at_ms, charge);
            }
            OwnedRecord::Cut { account, number } => {
                let account = self.accounts.entry(account).or_default();
                account.marked = account.marked.max(number);
                let told = std::mem::take(&mut account.untold);
                account.told.insert(number, told);
            }
            OwnedRecord::Acked { account, number } => {
                let account = self.accounts.entry(account).or_default();
                account.marked = account.marked.max(number);
                account.told = account.told.split_off(&(number + 1));
            }
        }
    }

    /// Requests that were in flight when the replica died are charged at their estimates.
    fn orphan(&mut self) {
        let mut orphans: Vec<(u64, PastHold)> = self.holds.drain().collect();
        orphans.sort_unstable_by_key(|(id, _)| *id);
        for (id, hold) in orphans {
            let charge = Charge {
                provider: hold.provider.clone(),
                model: hold.model.clone(),
                managed: false,
                status: 0,
                estimated: true,
                failed: true,
                last: true,
                orphaned: true,
                usage: Usage::tokens(hold.prompt_tokens, 0),
                cost: hold.estimate,
            };
            let at_ms = hold.at_ms;
            self.charge(id, hold, at_ms, charge);
        }
    }

    fn charge(&mut self, id: u64, hold: PastHold, at_ms: u64, charge: Charge) {
        let account = self.accounts.entry(hold.account).or_default();
        account.untold.push(PastCharge {
            settled: Settled {
                id,
                at_ms,
                access_key: hold.access_key,
                request_id: hold.request_id,
                surface: hold.surface,
                charge,
            },
            subjects: hold.subjects,
        });
    }

    /// How many settlements are to be told, and how many of them are orphans.
    pub(super) fn counts(&self) -> (usize, usize) {
        let charges = || {
            self.accounts
                .values()
                .flat_map(|account| account.told.values().flatten().chain(&account.untold))
        };
        let orphans = charges().filter(|c| c.settled.charge.orphaned).count();
        (charges().count() - orphans, orphans)
    }

    /// Each account's messages, in order; the last one closes its float.
    ///
    /// The segments of a journal are deleted as what is in them is told, and so may be all that shows how far an
    /// account's messages were counted. Then nothing is left of it but what was in no message: that is told in the
    /// name of the holder's [`heir`], and the float goes back when its lease ends.
    pub(super) fn messages(self, holder: Holder, lease: Duration) -> Vec<Vec<Exchange>> {
        let of_account = |(name, past): (String, PastAccount)| {
            let account: Arc<str> = name.into();
            let sender = if past.marked == 0 {
                heir(holder)
            } else {
                holder
            };
            let oldest = past.told.keys().next().copied().unwrap_or(past.marked + 1);
            let last = (past.marked + 1, past.untold, true);
            let told = past
                .told
                .into_iter()
                .map(|(number, told)| (number, told, false));
            told.chain([last])
                .map(|(number, charges, close)| {
                    let (mut totals, mut events) = (Totals::default(), stored::Writer::default());
                    for PastCharge { settled, .. } in &charges {
                        totals.add(settled.at_ms, &settled.access_key, &settled.charge);
                        if settled.charge.last {
                            let event = made_up(&account, holder, settled);
                            events.push(&StoredEvent::from(&event));
                        }
                    }
                    let (rollups, spent) = totals.finish();
                    Exchange {
                        account: account.clone(),
                        holder: sender,
                        number,
                        oldest,
                        spent,
                        returned: NanoUsd::ZERO,
                        need: NanoUsd::ZERO,
                        want: NanoUsd::ZERO,
                        lease,
                        close,
                        meters: meters(&charges),
                        rollups,
                        events: events.finish(),
                    }
                })
                .collect()
        };
        self.accounts.into_iter().map(of_account).collect()
    }
}

/// Who counts anew for a holder. Other than the holder, and as unlikely to be anybody else.
fn heir(holder: Holder) -> Holder {
    Holder {
        replica: !holder.replica,
        ..holder
    }
}

/// What a restart tells the bank of an earlier life: each account's messages, in their order.
///
/// # Errors
/// When its journal is corrupt; nothing is changed then.
pub fn replay(life: &Life, lease: Duration) -> Result<Vec<Vec<Exchange>>, JournalError> {
    Ok(Past::read(life)?.messages(life.holder(), lease))
}

/// What was spent of budgets.
fn meters(charges: &[PastCharge]) -> Vec<MeterExchange> {
    let mut used: BTreeMap<(Meter, u64), i64> = BTreeMap::new();
    for charge in charges {
        for subject in &charge.subjects {
            if let Ok(meter) = subject.parse::<Meter>() {
                let (start, _) = window(meter.measure, charge.settled.at_ms / 1000);
                *used.entry((meter, start)).or_default() += charge.settled.charge.cost.0;
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
        limit: i64::MAX / 4,
        used,
        returned: 0,
        need: 0,
        want: 0,
    };
    newest.into_iter().map(exchange).collect()
}
