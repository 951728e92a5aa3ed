//! A bank in memory: the pure reference behind a lock. It shows that the suite asks for nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tollgate_base::clock;
use tollgate_ledger::bank::account::Account;
use tollgate_ledger::bank::{
    Bank, Books, CreditStore, Day, EventReader, Events, Exchange, Meter, NewGrant, Reply, Rollup,
};
use tollgate_ledger::events::stored;
use tollgate_ledger::events::totals::ByTag;
use tollgate_store::StoreError;

use crate::contract::{Opened, Store};
use crate::memory::MemoryStore;

/// The store is the bank.
#[derive(Clone, Default)]
pub struct Plain(Arc<Mutex<BTreeMap<String, Kept>>>, MemoryStore);

/// An account and what is stored with it.
#[derive(Default)]
struct Kept {
    account: Account,
    rollups: Vec<Rollup>,
    tags: ByTag,
    events: Vec<Events>,
}

fn now() -> u64 {
    u64::try_from(clock::unix().as_millis()).unwrap()
}

fn add(rollups: &mut Vec<Rollup>, new: &Rollup) {
    let key = |one: &Rollup| {
        (
            one.day,
            one.access_key.clone(),
            one.provider.clone(),
            one.model.clone(),
        )
    };
    match rollups.iter_mut().find(|old| key(old) == key(new)) {
        None => rollups.push(new.clone()),
        Some(old) => old.add_all(new),
    }
}

#[async_trait]
impl Store for Plain {
    async fn fresh() -> Self {
        Plain::default()
    }

    async fn open(&self) -> Opened {
        Opened {
            bank: Arc::new(self.clone()),
            resources: Arc::new(self.1.clone()),
        }
    }
}

#[async_trait]
impl CreditStore for Plain {
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
        let mut all = self.0.lock();
        let answers = messages.iter().map(|message| {
            let kept = all.entry(message.account.to_string()).or_default();
            let known = |kept: &Kept| kept.account.holders.get(&message.holder).map(|h| h.last);
            let before = known(kept);
            message.check()?;
            kept.account.admits(message)?;
            let reply = kept.account.exchange(message, now());
            if known(kept) != before {
                message
                    .rollups
                    .iter()
                    .for_each(|new| add(&mut kept.rollups, new));
                for new in &message.tags {
                    let (name, value) = new.tag.split_once('=').unwrap();
                    kept.tags.total(new.day, name, value).add_all(new);
                }
                kept.events.extend(message.events.clone());
                kept.events.sort_by_key(|batch| batch.to_ms);
            }
            Ok(reply)
        });
        answers.collect()
    }

    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, StoreError> {
        grant.check()?;
        let mut all = self.0.lock();
        let kept = all.entry(account.to_owned()).or_default();
        Ok(kept.account.grant(grant, now()))
    }

    async fn books(&self, account: &str) -> Result<Books, StoreError> {
        let mut all = self.0.lock();
        let Some(kept) = all.get_mut(account) else {
            return Ok(Books::default());
        };
        let now = now();
        kept.account.tick(now);
        let rolled_up = kept.rollups.iter().map(|rollup| rollup.cost).sum();
        Ok(kept.account.books(rolled_up, now))
    }
}

#[async_trait]
impl Bank for Plain {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.0.lock().keys().cloned().collect())
    }

    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, StoreError> {
        let all = self.0.lock();
        let rollups = all.get(account).into_iter().flat_map(|kept| &kept.rollups);
        Ok(rollups
            .filter(|rollup| (from..=to).contains(&rollup.day))
            .cloned()
            .collect())
    }

    async fn tag_rollups(
        &self,
        account: &str,
        name: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        let all = self.0.lock();
        let rows = all
            .get(account)
            .into_iter()
            .flat_map(|kept| kept.tags.rows());
        let of = |row: &&Rollup| row.tag.split_once('=').is_some_and(|(own, _)| own == name);
        let rows = rows.filter(of).filter(|row| (from..=to).contains(&row.day));
        Ok(rows.cloned().collect())
    }

    async fn used(&self, account: &str, meters: &[Meter]) -> Result<Vec<(u64, i64)>, StoreError> {
        let mut all = self.0.lock();
        let kept = all.entry(account.to_owned()).or_default();
        Ok(kept.account.used(meters))
    }

    async fn most_used(
        &self,
        account: &str,
        budget: &Meter,
        window: u64,
        least: i64,
    ) -> Result<Vec<(Arc<str>, i64)>, StoreError> {
        let mut all = self.0.lock();
        let kept = all.entry(account.to_owned()).or_default();
        Ok(kept.account.most_used(budget, window, least))
    }

    async fn forget_meters(&self, account: &str, now: u64) -> Result<(), StoreError> {
        let mut all = self.0.lock();
        let kept = all.entry(account.to_owned()).or_default();
        kept.account.forget_meters(now);
        Ok(())
    }

    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), StoreError> {
        if let Some(kept) = self.0.lock().get_mut(account) {
            kept.events.retain(|batch| batch.to_ms >= before_ms);
        }
        Ok(())
    }
}

#[async_trait]
impl EventReader for Plain {
    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, StoreError> {
        let all = self.0.lock();
        let batches = all.get(account).into_iter().flat_map(|kept| &kept.events);
        let mut found: Vec<Events> = Vec::new();
        let mut count = 0;
        for batch in batches.rev() {
            if count < at_least && batch.from_ms <= to_ms && batch.to_ms >= from_ms {
                count += usize::try_from(batch.count).unwrap();
                found.push(batch.clone());
            }
        }
        Ok(found)
    }

    async fn request_span(
        &self,
        account: &str,
        request: &str,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        let all = self.0.lock();
        let batches = all.get(account).into_iter().flat_map(|kept| &kept.events);
        let (mut found, mut unknown) = (None, None);
        for batch in batches {
            let events = stored::decode(batch).unwrap_or_default();
            if batch.ids.is_empty() {
                unknown = Some((0, u64::MAX));
            }
            let own = events.iter().filter(|event| event.request.id == request);
            found = own.fold(found, |found: Option<(u64, u64)>, event| {
                let (from, to) = found.unwrap_or((event.at_ms, event.at_ms));
                Some((from.min(event.at_ms), to.max(event.at_ms)))
            });
        }
        Ok(found.or(unknown))
    }
}
