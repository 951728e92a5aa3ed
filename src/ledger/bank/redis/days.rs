//! Daily totals as they are read: sealed days with one call for many, the others row by row.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use redis::Value;

use tollgate_store::StoreError;
use tollgate_store::redis::{Call, read, strange};

use super::scripts::{DAYS, ROLLUPS, SEAL};
use super::wire::{ROLLUP_KEYS, TAG_KEYS, amount, summed};
use super::{RedisBank, sealed};
use crate::NanoUsd;
use crate::bank::sealed::Part;
use crate::bank::{Day, Rollup};

/// How many daily totals are read with one call: Redis does nothing else meanwhile.
const ROWS: usize = 100;

/// About how many costs of daily totals are read with one command.
const COSTS: usize = 1_000;

/// The keys of the totals that a part is made of.
fn keys(part: Part) -> [&'static str; 4] {
    match part {
        Part::Each | Part::ByModel => ROLLUP_KEYS,
        Part::ByTag => TAG_KEYS,
    }
}

/// A day that has totals.
struct Found {
    day: Day,
    /// How often it was added to, as Redis says it.
    added: String,
    /// Empty if it is not sealed.
    sealed: Vec<u8>,
}

impl RedisBank {
    /// A part of the totals of some days, both included.
    pub(super) async fn part(
        &self,
        account: &str,
        part: Part,
        days: (Day, Day),
    ) -> Result<Vec<Rollup>, StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let found = self.days(account, part, days).await?;
        let (mut added, mut days) = (HashMap::new(), Vec::with_capacity(found.len()));
        for one in found {
            added.insert(one.day, one.added);
            days.push((one.day, one.sealed));
        }
        let added = &added;
        let read = move |day: Day| async move {
            let rows = self.day(account, part, day).await?;
            if let Some(added) = added.get(&day)
                && sealed::is_over(day, self.redis.moment().sure)
                && let Err(error) = self.seal(account, part, (day, added), &rows).await
            {
                // It is read row by row again.
                log::debug!("a day's totals could not be kept sealed: {error}");
            }
            Ok::<_, StoreError>(rows)
        };
        let rows = sealed::all(days, part, read).await?;
        summed(rows.iter().map(|row| row.cost))?;
        Ok(rows)
    }

    /// Which days have totals.
    async fn days(
        &self,
        account: &str,
        part: Part,
        (from, to): (Day, Day),
    ) -> Result<Vec<Found>, StoreError> {
        let [_, _, days, sealed] = keys(part).map(|name| self.redis.keys.of(account, name));
        let (mut found, mut next) = (Vec::new(), Some(from.0));
        while let Some(from) = next {
            let call = Call::new(&DAYS, vec![sealed.clone(), days.clone()]);
            let call = call.with(from).with(to.0).with(part.name());
            // Others wait for a page, not for all of them; so each has a deadline of its own.
            let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
            let (are_all, some): (bool, Vec<(u32, String, Vec<u8>)>) = read(answer)?;
            let last = some.last().and_then(|(day, ..)| day.checked_add(1));
            next = last.filter(|_| !are_all);
            found.extend(some.into_iter().map(|(day, added, sealed)| Found {
                day: Day(day),
                added,
                sealed,
            }));
        }
        Ok(found)
    }

    /// All totals of a day.
    async fn day(&self, account: &str, part: Part, day: Day) -> Result<Vec<Rollup>, StoreError> {
        let names = keys(part).map(|name| self.redis.keys.of(account, name));
        let (mut rows, mut offset) = (BTreeMap::new(), 0);
        loop {
            let call = Call::new(&ROLLUPS, names[..3].to_vec());
            let call = call.with(day.0).with(day.0).with(offset).with(ROWS);
            let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
            let page = read_rollups(answer)?;
            let last = page.len() < ROWS;
            // Rows that come in between make pages overlap.
            rows.extend(page.into_iter().map(|row| (place(&row), row)));
            if last {
                return Ok(rows.into_values().collect());
            }
            offset += ROWS;
        }
    }

    /// Keeps a day sealed, unless it was added to since it was read.
    async fn seal(
        &self,
        account: &str,
        part: Part,
        (day, added): (Day, &str),
        rows: &[Rollup],
    ) -> Result<(), StoreError> {
        let [.., sealed] = keys(part).map(|name| self.redis.keys.of(account, name));
        let mut call = Call::new(&SEAL, vec![sealed]).with(day.0).with(added);
        for part in part.together() {
            if let Some(totals) = sealed::seal(&part.of(rows.to_vec())) {
                call.push(part.name());
                call.push(totals);
            }
        }
        self.redis
            .call(&call, self.redis.deadline())
            .await
            .map(drop)
    }

    /// The costs of all daily totals together, added up anew.
    pub(super) async fn recount(&self, account: &str) -> Result<NanoUsd, StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let key = self.redis.keys.of(account, "costs");
        // While the table grows or shrinks, a scan may say some twice.
        let (mut costs, mut cursor) = (HashMap::new(), 0);
        loop {
            let mut some = redis::cmd("HSCAN");
            some.arg(&key).arg(cursor).arg("COUNT").arg(COSTS);
            // Others wait for a page, not for all of them; so each has a deadline of its own.
            let answer = self.redis.send(&key, &some, self.redis.deadline()).await?;
            let (next, page): (u64, Vec<(String, i64)>) = read(answer)?;
            costs.extend(page);
            if next == 0 {
                return summed(costs.into_values().map(NanoUsd));
            }
            cursor = next;
        }
    }
}

/// Where a row stands among all: by its day and its names.
type Place = (Day, [Arc<str>; 4]);

/// Where this row stands.
fn place(row: &Rollup) -> Place {
    let names = [&row.access_key, &row.provider, &row.model, &row.tag];
    (row.day, names.map(Arc::clone))
}

/// Reads the answer of `rollups.lua`.
pub(super) fn read_rollups(answer: Value) -> Result<Vec<Rollup>, StoreError> {
    let (figures, costs): (Vec<Option<String>>, Vec<Option<String>>) = read(answer)?;
    let (rows, rest) = figures.as_chunks::<9>();
    if rows.len() != costs.len() || !rest.is_empty() {
        return Err(strange("a page of daily totals"));
    }
    let rows = rows.iter().zip(&costs);
    rows.map(|(row, cost)| {
        read_rollup(row, cost.as_deref()).ok_or_else(|| strange("a daily total"))
    })
    .collect()
}

/// A row of its name, its counters, of which one that was never counted is not there, and its cost.
fn read_rollup([name, counters @ ..]: &[Option<String>; 9], cost: Option<&str>) -> Option<Rollup> {
    let named = named(name.as_ref()?)?;
    let mut read = [0; 8];
    for (counter, text) in read.iter_mut().zip(counters) {
        *counter = text
            .as_deref()
            .unwrap_or("0")
            .parse::<i64>()
            .ok()?
            .try_into()
            .ok()?;
    }
    let row = Rollup {
        cost: amount(cost?.parse().ok()?).ok()?,
        ..named
    };
    Some(row.with_counters(read))
}

/// What a row is a total of, by its name.
fn named(name: &str) -> Option<Rollup> {
    let by_tag = || {
        let (day, tag) = serde_json::from_str(name).ok()?;
        Some(Rollup {
            day,
            tag,
            ..Rollup::default()
        })
    };
    match serde_json::from_str(name) {
        Ok((day, access_key, provider, model)) => Some(Rollup {
            day,
            access_key,
            provider,
            model,
            ..Rollup::default()
        }),
        Err(_) => by_tag(),
    }
}
