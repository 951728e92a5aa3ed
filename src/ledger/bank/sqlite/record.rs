//! What is stored beside the money: daily totals and usage events.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{OptionalExtension as _, Result, Row, params};

use super::super::{Day, Events, Meter, Rollup};
use super::image::number;
use crate::NanoUsd;
use tollgate_store::sqlite::At;

/// Counts stop here, rather than overflow: a provider may report any number of tokens.
const MOST: i64 = 1 << 61;

/// Adds to daily totals.
pub(super) fn add_rollups(at: At<'_>, account: i64, rollups: &[Rollup]) -> Result<()> {
    let count = |count: u64| i64::try_from(count).unwrap_or(MOST).min(MOST);
    for rollup in rollups {
        // 2 × MOST bounds the stored sum, and one more MOST still fits an i64.
        at.connection
            .prepare_cached(
                "INSERT INTO rollups (account, day, access_key, provider, model, requests, failed, orphaned,
                 input, cached_read, cache_write, output, reasoning, cost)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT DO UPDATE SET
                 requests = min(requests + excluded.requests, 4611686018427387904),
                 failed = min(failed + excluded.failed, 4611686018427387904),
                 orphaned = min(orphaned + excluded.orphaned, 4611686018427387904),
                 input = min(input + excluded.input, 4611686018427387904),
                 cached_read = min(cached_read + excluded.cached_read, 4611686018427387904),
                 cache_write = min(cache_write + excluded.cache_write, 4611686018427387904),
                 output = min(output + excluded.output, 4611686018427387904),
                 reasoning = min(reasoning + excluded.reasoning, 4611686018427387904),
                 cost = cost + excluded.cost",
            )?
            .execute(params![
                account,
                rollup.day.0,
                rollup.access_key,
                rollup.provider,
                rollup.model,
                count(rollup.requests),
                count(rollup.failed),
                count(rollup.orphaned),
                count(rollup.input),
                count(rollup.cached_read),
                count(rollup.cache_write),
                count(rollup.output),
                count(rollup.reasoning),
                rollup.cost.0
            ])?;
    }
    Ok(())
}

/// The costs of all daily totals together.
pub(super) fn rolled_up(at: At<'_>, account: i64) -> Result<NanoUsd> {
    at.connection
        .prepare_cached("SELECT coalesce(sum(cost), 0) FROM rollups WHERE account = ?1")?
        .query_row([account], |row| row.get(0))
        .map(NanoUsd)
}

/// The same, of an account that may not be known.
pub(super) fn recounted(at: At<'_>, account: &str) -> Result<NanoUsd> {
    number(at, account)?.map_or(Ok(NanoUsd::ZERO), |account| rolled_up(at, account))
}

/// Daily totals by day, both days included.
pub(super) fn rollups(at: At<'_>, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>> {
    let Some(account) = number(at, account)? else {
        return Ok(Vec::new());
    };
    // One row's names are mostly those of the row before.
    let mut last: [Arc<str>; 3] = [""; 3].map(Arc::from);
    at.connection
        .prepare_cached(
            "SELECT day, access_key, provider, model, requests, failed, orphaned, input, cached_read,
             cache_write, output, reasoning, cost FROM rollups
             WHERE account = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day, access_key, provider, model",
        )?
        .query_map(params![account, from.0, to.0], |row| {
            for (column, last) in last.iter_mut().enumerate() {
                let name = row.get_ref(column + 1)?.as_str()?;
                if **last != *name {
                    *last = name.into();
                }
            }
            let [access_key, provider, model] = last.clone();
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Rollup {
                day: Day(row.get(0)?),
                access_key,
                provider,
                model,
                requests: count(4)?,
                failed: count(5)?,
                orphaned: count(6)?,
                input: count(7)?,
                cached_read: count(8)?,
                cache_write: count(9)?,
                output: count(10)?,
                reasoning: count(11)?,
                cost: NanoUsd(row.get(12)?),
            })
        })?
        .collect()
}

/// The window that each of these limits was last used in, and what was used in it.
pub(super) fn used(at: At<'_>, account: &str, meters: &[Meter]) -> Result<Vec<(u64, i64)>> {
    let Some(account) = number(at, account)? else {
        return Ok(vec![(0, 0); meters.len()]);
    };
    let mut statement = at.connection.prepare_cached(
        "SELECT window, used FROM meters WHERE account = ?1 AND subject = ?2 AND measure = ?3",
    )?;
    let each = meters.iter().map(|meter| {
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?));
        let named = params![account, meter.subject, meter.measure.to_string()];
        let found = statement.query_row(named, row);
        Ok(found.optional()?.unwrap_or_default())
    });
    each.collect()
}

/// Stores a batch of events.
pub(super) fn add_events(at: At<'_>, account: i64, events: &Events) -> Result<()> {
    at.connection
        .prepare_cached(
            "INSERT INTO events (account, from_ms, to_ms, count, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            account,
            time(events.from_ms),
            time(events.to_ms),
            events.count,
            &events.bytes[..]
        ])
        .map(drop)
}

/// Batches that may hold events of a time, newest first, until they hold enough.
pub(super) fn events(
    at: At<'_>,
    account: &str,
    from_ms: u64,
    to_ms: u64,
    at_least: usize,
) -> Result<Vec<Events>> {
    let Some(account) = number(at, account)? else {
        return Ok(Vec::new());
    };
    let mut statement = at.connection.prepare_cached(
        "SELECT from_ms, to_ms, count, bytes FROM events
         WHERE account = ?1 AND to_ms >= ?2 AND from_ms <= ?3 ORDER BY to_ms DESC, number DESC",
    )?;
    let mut rows = statement.query([account, time(from_ms), time(to_ms)])?;
    let (mut found, mut count) = (Vec::new(), 0);
    while count < at_least
        && let Some(row) = rows.next()?
    {
        let batch = Events {
            count: row.get(2)?,
            from_ms: row.get::<_, i64>(0)?.cast_unsigned(),
            to_ms: row.get::<_, i64>(1)?.cast_unsigned(),
            bytes: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        };
        count = count.saturating_add(usize::try_from(batch.count).unwrap_or(usize::MAX));
        found.push(batch);
    }
    Ok(found)
}

/// Forgets up to `most` batches that end before a time; says how many.
pub(super) fn forget(at: At<'_>, account: &str, before_ms: u64, most: usize) -> Result<usize> {
    let Some(account) = number(at, account)? else {
        return Ok(0);
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    at.connection
        .prepare_cached(
            "DELETE FROM events WHERE number IN
             (SELECT number FROM events WHERE account = ?1 AND to_ms < ?2 LIMIT ?3)",
        )?
        .execute([account, time(before_ms), most])
}

/// Ordered as it is, unlike the bits of a `u64`.
fn time(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
