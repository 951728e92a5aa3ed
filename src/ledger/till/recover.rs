//! What an earlier life of this replica left: read from its journal, told to the bank.
//!
//! Invariant: the messages are the same however often they are made up from one journal, and those that the
//! bank may have seen have the numbers they were sent with; so whatever was charged is charged once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::batch::Totals;
use super::recovered::Held;
use super::window::window;
use crate::bank::{Exchange, Holder, Meter, MeterExchange};
use crate::events::stored;
use crate::events::stored::StoredEvent;
use crate::events::{EventId, UsageEvent};
use crate::journal::{JournalError, Life, OwnedRecord};
use crate::{KeyKind, NanoUsd};
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

/// See the module.
pub(super) struct Past {
    /// Whose journal it is.
    holder: Holder,
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
    who: Held,
    estimate: NanoUsd,
    prompt_tokens: u64,
    subjects: Vec<String>,
}

/// A charge, and the budgets that it counts towards.
struct PastCharge {
    event: UsageEvent,
    subjects: Vec<String>,
}

impl Past {
    /// Reads a journal to its end.
    ///
    /// # Errors
    /// When it is corrupt; nothing is changed then.
    pub(super) fn read(life: &Life) -> Result<Past, JournalError> {
        let mut past = Past {
            holder: life.holder(),
            accounts: BTreeMap::new(),
            holds: HashMap::new(),
        };
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
            // Its hold may have been released with its segment: then what settles it was told long ago.
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
        let account = self.accounts.entry(event.account.to_string()).or_default();
        account.untold.push(PastCharge { event, subjects });
    }

    /// How many settlements are to be told, and how many of them are orphans.
    pub(super) fn counts(&self) -> (usize, usize) {
        let charges = || {
            self.accounts
                .values()
                .flat_map(|account| account.told.values().flatten().chain(&account.untold))
        };
        let orphans = charges().filter(|charge| charge.event.orphaned).count();
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
                    for PastCharge { event, .. } in &charges {
                        totals.add(event);
                        events.push(&StoredEvent::from(event));
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

/// The surface with this name.
fn surface_named(name: &str) -> Surface {
    let known = Surface::ALL.into_iter().find(|known| known.name() == name);
    known.unwrap_or(Surface::ChatCompletions)
}

/// What was spent of budgets.
fn meters(charges: &[PastCharge]) -> Vec<MeterExchange> {
    let mut used: BTreeMap<(Meter, u64), i64> = BTreeMap::new();
    for charge in charges {
        for subject in &charge.subjects {
            if let Ok(meter) = subject.parse::<Meter>() {
                let (start, _) = window(meter.measure, charge.event.at_ms() / 1000);
                *used.entry((meter, start)).or_default() += charge.event.total_cost;
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
