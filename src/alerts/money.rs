//! Looks at money: budgets, credits, what keys spend, whether books balance. It reads what banks keep added up, never
//! events.
//!
//! An account of which nothing was spent since it was looked at is passed over, for a while. Days that are over are read
//! once a day; only today's and yesterday's totals are read each time, as what was spent just before midnight may be told
//! after it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::spend::{DAYS, Spend, reached};
use crate::words::{self, Left, Used};
use crate::{Alert, Raised};
use tollgate_base::clock::millis;
use tollgate_config::Alerts;
use tollgate_config::access::Snapshot;
use tollgate_config::types::AlertEvent;
use tollgate_ledger::bank::{Bank, Books, Day, Meter};
use tollgate_ledger::till::window::{day, window};
use tollgate_ledger::{HOUSE, NanoUsd};
use tollgate_store::StoreError;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long the names of what has no end hold.
const LONG: u64 = 400 * DAY_MS;

/// How long an account of which nothing is spent is not looked at.
const IDLE: u64 = 10 * 60 * 1000;

/// What is known of an account since it was looked at.
#[derive(Default)]
struct Known {
    /// The day that the days before are counted from.
    day: Day,
    /// By access key, what was spent day by day; those that spent nothing are absent.
    keys: HashMap<Arc<str>, Spend>,
    /// When it was looked at (Unix time, ms), and what it had spent then today and yesterday.
    looked: Option<(u64, NanoUsd)>,
}

/// What the snapshot says of an account.
#[derive(Default)]
struct Wanted {
    /// By meter, what may be spent (nano-dollars).
    budgets: BTreeMap<Meter, i64>,
    /// The access keys that are charged to each subject that has a budget.
    keys: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// How shared budgets are called.
    names: HashMap<Arc<str>, String>,
    /// By the budget of each value of a tag, what may be spent (nano-dollars); its subject is what theirs begin with.
    each: BTreeMap<Meter, i64>,
}

/// Remembers between two looks what does not change any more.
#[derive(Default)]
pub struct Money {
    accounts: HashMap<String, Known>,
}

impl Money {
    /// Looks at all accounts, and returns what is to be raised, again each time that it is so.
    ///
    /// # Errors
    /// Those of the bank: then some accounts were not looked at.
    pub async fn look(
        &mut self,
        bank: &dyn Bank,
        snapshot: &Snapshot,
        settings: &Alerts,
        now_ms: u64,
    ) -> Result<Vec<Raised>, StoreError> {
        let wanted = wanted(snapshot);
        let nothing = Wanted::default();
        let accounts = bank.accounts().await?;
        self.accounts
            .retain(|id, _| accounts.binary_search(id).is_ok());
        let mut found = Vec::new();
        for id in accounts {
            let known = self.accounts.entry(id.clone()).or_default();
            let recent = known.catch_up(bank, &id, now_ms).await?;
            let same = |(at, spent): (u64, NanoUsd)| spent == recent && now_ms < at + IDLE;
            if known.looked.is_some_and(same) {
                continue;
            }
            let account = Account {
                id: &id,
                keys: &known.keys,
                settings,
                now_ms,
            };
            let wanted = wanted.get(&*id).unwrap_or(&nothing);
            let meters: Vec<Meter> = wanted.budgets.keys().cloned().collect();
            if !meters.is_empty() {
                let used = bank.used(&id, &meters).await?;
                account.budgets(wanted, &used, &mut found);
            }
            for (budget, most) in &wanted.each {
                account.values(bank, (budget, *most), &mut found).await?;
            }
            account.money(&bank.books(&id).await?, &mut found);
            account.unusual(&mut found);
            known.looked = Some((now_ms, recent));
        }
        Ok(found)
    }
}

/// What accounts have budgets for, by their ids.
fn wanted(snapshot: &Snapshot) -> HashMap<&str, Wanted> {
    let mut all: HashMap<&str, Wanted> = HashMap::new();
    for key in snapshot.access_keys() {
        let each = key.configuration.iter().flat_map(|own| &own.each);
        for limit in each.flat_map(|(_, limits)| limits.iter()) {
            let wanted = all.entry(&key.account).or_default();
            wanted.each.insert(limit.meter.clone(), limit.most);
        }
        let budgets = key
            .limits
            .iter()
            .filter(|limit| limit.meter.measure.is_budget());
        for limit in budgets {
            let wanted = all.entry(&key.account).or_default();
            let subject = &limit.meter.subject;
            if let Some((_, Some(budget))) = snapshot.budget(subject)
                && let Some(name) = &budget.name
            {
                wanted.names.insert(subject.clone(), name.clone());
            }
            wanted.budgets.insert(limit.meter.clone(), limit.most);
            let keys = wanted.keys.entry(limit.meter.subject.clone()).or_default();
            if keys.last() != Some(&key.id) {
                keys.push(key.id.clone());
            }
        }
    }
    all
}

impl Known {
    /// Reads what was spent since, and returns what was today and yesterday.
    async fn catch_up(
        &mut self,
        bank: &dyn Bank,
        account: &str,
        now_ms: u64,
    ) -> Result<NanoUsd, StoreError> {
        let today = day(now_ms);
        let back = |days: u32| Day(today.0.saturating_sub(days));
        if self.looked.is_none() || self.day != today {
            let all = u32::try_from(DAYS).unwrap_or(u32::MAX);
            let rows = bank.rollups(account, back(all), back(2)).await?;
            self.keys.clear();
            for row in rows {
                let spend = self.keys.entry(row.access_key).or_default();
                spend.add(today.0.saturating_sub(row.day.0), row.cost);
            }
            self.day = today;
            self.looked = None;
        }
        let rows = bank.rollups(account, back(1), today).await?;
        self.keys.values_mut().for_each(Spend::forget_recent);
        let mut recent = NanoUsd::ZERO;
        for row in rows {
            recent += row.cost;
            let spend = self.keys.entry(row.access_key).or_default();
            spend.add(today.0.saturating_sub(row.day.0), row.cost);
        }
        Ok(recent)
    }
}

/// An account that is looked at.
struct Account<'a> {
    id: &'a str,
    keys: &'a HashMap<Arc<str>, Spend>,
    settings: &'a Alerts,
    now_ms: u64,
}

impl Account<'_> {
    fn budgets(&self, wanted: &Wanted, used: &[(u64, i64)], found: &mut Vec<Raised>) {
        for ((meter, most), (begun, used)) in wanted.budgets.iter().zip(used) {
            let (start, end) = window(meter.measure, self.now_ms / 1_000);
            let anew_ms = end.checked_mul(1_000);
            // What was used in another window is over.
            let used = if *begun == start { *used } else { 0 };
            let budget = Used {
                account: self.id,
                meter,
                name: wanted.names.get(&meter.subject).map(|name| &**name),
                used: NanoUsd(used),
                most: NanoUsd(*most),
                anew_ms,
            };
            let (name, until) = self.thresholds(&budget, start, found);
            let left = NanoUsd(most.saturating_sub(used));
            let ends = self.forecast(left, &self.spend(meter, wanted));
            if let Some(at) = ends.filter(|at| anew_ms.is_none_or(|anew| *at < anew)) {
                found.push(Raised {
                    event: AlertEvent::Budget,
                    names: vec![format!("{name}/forecast")],
                    until_ms: until,
                    alert: budget.forecast(at),
                });
            }
        }
    }

    /// The budgets of a tag's values.
    ///
    /// # Errors
    /// Those of the bank.
    async fn values(
        &self,
        bank: &dyn Bank,
        (budget, most): (&Meter, i64),
        found: &mut Vec<Raised>,
    ) -> Result<(), StoreError> {
        let Some(first) = self.settings.thresholds.iter().min() else {
            return Ok(());
        };
        let (start, end) = window(budget.measure, self.now_ms / 1_000);
        let least = i128::from(most) * i128::from(*first) / 100;
        let least = i64::try_from(least).unwrap_or(i64::MAX);
        for (subject, used) in bank.most_used(self.id, budget, start, least).await? {
            let meter = Meter {
                subject,
                measure: budget.measure,
            };
            let budget = Used {
                account: self.id,
                meter: &meter,
                name: None,
                used: NanoUsd(used),
                most: NanoUsd(most),
                anew_ms: end.checked_mul(1_000),
            };
            self.thresholds(&budget, start, found);
        }
        Ok(())
    }

    /// Raises the highest threshold that a budget has reached in the window that began then (Unix time, s). Returns what
    /// its alerts are named by, and until when these names hold.
    fn thresholds(&self, budget: &Used<'_>, start: u64, found: &mut Vec<Raised>) -> (String, u64) {
        let (used, most) = (budget.used.0, budget.most.0);
        let name = format!("budget/{}/{}/{start}/{most}", self.id, budget.meter);
        let until_ms = budget.anew_ms.unwrap_or(self.now_ms + LONG);
        if let Some((percent, below)) = reached(used, most, &self.settings.thresholds) {
            found.push(Raised {
                event: AlertEvent::Budget,
                names: names(&name, percent, &below),
                until_ms,
                alert: budget.reached(percent),
            });
        }
        (name, until_ms)
    }

    /// What a budget's access keys have spent.
    fn spend(&self, meter: &Meter, wanted: &Wanted) -> Spend {
        let mut all = Spend::default();
        let keys = wanted.keys.get(&meter.subject).into_iter().flatten();
        for spend in keys.filter_map(|key| self.keys.get(key)) {
            all.add_all(spend);
        }
        all
    }

    /// When what is left will be spent, if that is soon enough to be told (Unix time, ms).
    fn forecast(&self, left: NanoUsd, spend: &Spend) -> Option<u64> {
        let soon = self.settings.forecast?;
        let ms = spend.reaches(left, self.now_ms % DAY_MS)?;
        let told = left > NanoUsd::ZERO && ms < millis(soon);
        told.then(|| self.now_ms.saturating_add(ms))
    }

    /// What an account has left, and whether its books balance.
    fn money(&self, books: &Books, found: &mut Vec<Raised>) {
        let faults = books.faults();
        if !faults.is_empty() {
            found.push(Raised {
                event: AlertEvent::Books,
                names: vec![format!("books/{}", self.id)],
                until_ms: self.again_ms(),
                alert: words::unbalanced(self.id, &faults),
            });
        }
        // Nobody grants the house anything, and where nothing was granted nothing can be used up.
        if self.id == HOUSE || books.granted <= NanoUsd::ZERO {
            return;
        }
        let open = books.grants.iter().filter(|grant| {
            let over = |end: u64| end.saturating_mul(1_000) <= self.now_ms;
            grant.remaining > NanoUsd::ZERO && !grant.expires.is_some_and(over)
        });
        let (mut granted, mut left) = (NanoUsd::ZERO, NanoUsd(-books.debt.0));
        for grant in open {
            granted += grant.amount;
            left += grant.remaining;
        }
        if granted == NanoUsd::ZERO {
            granted = books
                .grants
                .last()
                .map_or(NanoUsd::DOLLAR, |last| last.amount);
        }
        let name = format!("credits/{}/{}", self.id, books.granted.0);
        let credits = Left {
            account: self.id,
            left,
            granted,
        };
        let event = AlertEvent::Credits;
        let used = granted.0.saturating_sub(left.0);
        if let Some((percent, below)) = reached(used, granted.0, &self.settings.thresholds) {
            found.push(Raised {
                event,
                names: names(&name, percent, &below),
                until_ms: self.now_ms + LONG,
                alert: credits.reached(percent),
            });
        }
        let mut spend = Spend::default();
        self.keys.values().for_each(|key| spend.add_all(key));
        if let Some(at) = self.forecast(left, &spend) {
            found.push(Raised {
                event,
                names: vec![format!("{name}/forecast")],
                until_ms: self.now_ms + LONG,
                alert: credits.forecast(at),
            });
        }
    }

    /// Access keys that spend far more than usual.
    fn unusual(&self, found: &mut Vec<Raised>) {
        let Alerts {
            unusual_times: times,
            unusual_least: least,
            ..
        } = *self.settings;
        let today = day(self.now_ms).0;
        for (key, spend) in self.keys {
            if let Some(figures) = spend.unusual(times, least) {
                found.push(Raised {
                    event: AlertEvent::Spend,
                    names: vec![format!("spend/{}/{key}/{today}", self.id)],
                    until_ms: self.now_ms + 2 * DAY_MS,
                    alert: words::unusual(self.id, key, figures),
                });
            }
        }
    }

    fn again_ms(&self) -> u64 {
        self.now_ms.saturating_add(millis(self.settings.repeat))
    }
}

/// The names of a threshold, and of those below it.
fn names(name: &str, percent: u8, below: &[u8]) -> Vec<String> {
    let all = std::iter::once(&percent).chain(below);
    all.map(|percent| format!("{name}/{percent}")).collect()
}

/// What is raised of a provider's open breaker.
pub fn open_breaker(provider: &str, settings: &Alerts, now_ms: u64) -> Raised {
    Raised {
        event: AlertEvent::Breaker,
        names: vec![format!("breaker/{provider}")],
        until_ms: now_ms.saturating_add(millis(settings.repeat)),
        alert: words::open_breaker(provider),
    }
}

/// What is raised of a bank that is away since a time (Unix time, ms), or was until another.
pub fn unreachable(since_ms: u64, until_ms: Option<u64>) -> Alert {
    words::away(since_ms, until_ms)
}

/// What is raised of prices that are too old: those of feeds, by when each was last read (Unix time, ms; `None` is never),
/// or the built-in ones if there is no feed.
pub fn prices(
    feeds: &[(Arc<str>, Option<u64>)],
    built_in_ms: u64,
    settings: &Alerts,
    now_ms: u64,
) -> Vec<Raised> {
    let Some(most) = settings.prices_older_than else {
        return Vec::new();
    };
    let old = |feed: Option<&str>, from_ms: u64| {
        let is_old = now_ms.saturating_sub(from_ms) > millis(most);
        is_old.then(|| Raised {
            event: AlertEvent::Prices,
            names: vec![format!("prices/{}", feed.unwrap_or_default())],
            until_ms: now_ms.saturating_add(millis(settings.repeat)),
            alert: words::old_prices(feed, from_ms, most),
        })
    };
    let of_feeds = feeds.iter().filter_map(|(id, read)| {
        // Until a feed is read, what is below it holds.
        old(Some(id), read.unwrap_or(built_in_ms))
    });
    let built_in = old(None, built_in_ms).filter(|_| feeds.is_empty());
    of_feeds.chain(built_in).collect()
}

#[cfg(test)]
mod tests;
