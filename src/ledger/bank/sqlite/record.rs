//! What is stored beside the money: daily totals and usage events.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension as _, Result, Row, params, params_from_iter};

use super::super::index::{Span, span};
use super::super::{Day, Events, MOST_USED, MOST_VALUES, Measure, Meter, Per, Rollup};
use super::image::number;
use crate::{NanoUsd, OTHER};
use tollgate_store::sqlite::At;

/// Counts stop here, rather than overflow: a provider may report any number of tokens.
const MOST: i64 = 1 << 61;

/// The columns of what daily totals count, in the order of [`Rollup::counters`].
macro_rules! figures {
    () => {
        "requests, failed, orphaned, input, cached_read, cache_write, output, reasoning, cost"
    };
}
pub(super) use figures;

/// Adds to the totals of a table, whose names are these columns and values, from `?12` on.
macro_rules! add {
    ($table:literal, $names:literal, $values:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (account, day, ",
            figures!(),
            ", ",
            $names,
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ",
            $values,
            // 2 × MOST bounds the stored sum, and one more MOST still fits an i64.
            ") ON CONFLICT DO UPDATE SET
             requests = min(requests + excluded.requests, 4611686018427387904),
             failed = min(failed + excluded.failed, 4611686018427387904),
             orphaned = min(orphaned + excluded.orphaned, 4611686018427387904),
             input = min(input + excluded.input, 4611686018427387904),
             cached_read = min(cached_read + excluded.cached_read, 4611686018427387904),
             cache_write = min(cache_write + excluded.cache_write, 4611686018427387904),
             output = min(output + excluded.output, 4611686018427387904),
             reasoning = min(reasoning + excluded.reasoning, 4611686018427387904),
             cost = cost + excluded.cost"
        )
    };
}

/// Adds to daily totals.
pub(super) fn add_rollups(at: At<'_>, account: i64, rollups: &[Rollup]) -> Result<()> {
    const ADD: &str = add!("rollups", "access_key, provider, model", "?12, ?13, ?14");
    for rollup in rollups {
        let names = [&*rollup.access_key, &rollup.provider, &rollup.model];
        add_rollup(at, ADD, account, rollup, &names)?;
    }
    Ok(())
}

/// Adds to daily totals by tag.
pub(super) fn add_tag_rollups(at: At<'_>, account: i64, rollups: &[Rollup]) -> Result<()> {
    const ADD: &str = add!("tag_rollups", "tag", "?12");
    for rollup in rollups {
        let tag = &*rollup.tag;
        let name = tag.split_once('=').map_or(tag, |(name, _)| name);
        match has_room(at, account, rollup.day, (name, tag))? {
            true => add_rollup(at, ADD, account, rollup, &[tag])?,
            false => add_rollup(at, ADD, account, rollup, &[&format!("{name}={OTHER}")])?,
        }
    }
    Ok(())
}

/// Whether a day tells a tag's value apart: it does already, or there are not too many.
fn has_room(at: At<'_>, account: i64, day: Day, (name, tag): (&str, &str)) -> Result<bool> {
    let known = at
        .connection
        .prepare_cached("SELECT 1 FROM tag_rollups WHERE account = ?1 AND day = ?2 AND tag = ?3")?
        .exists(params![account, day.0, tag])?;
    if known {
        return Ok(true);
    }
    let (first, end) = tags_of(name);
    let count = at
        .connection
        .prepare_cached(
            "SELECT count(*) FROM tag_rollups WHERE account = ?1 AND day = ?2 AND tag >= ?3 AND tag < ?4",
        )?
        .query_row(params![account, day.0, first, end], |row| row.get::<_, i64>(0))?;
    Ok(usize::try_from(count).is_ok_and(|count| count < MOST_VALUES))
}

/// All tags with a name are from the first of these on, and before the other.
fn tags_of(name: &str) -> (String, String) {
    (format!("{name}="), format!("{name}>"))
}

fn add_rollup(at: At<'_>, add: &str, account: i64, rollup: &Rollup, names: &[&str]) -> Result<()> {
    let counters = rollup
        .counters()
        .map(|count| i64::try_from(count).unwrap_or(MOST).min(MOST));
    let numbers = [account, rollup.day.0.into()].into_iter().chain(counters);
    let numbers = numbers.chain([rollup.cost.0]).map(SqlValue::from);
    let names = names.iter().map(|name| SqlValue::from((*name).to_owned()));
    at.connection
        .prepare_cached(add)?
        .execute(params_from_iter(numbers.chain(names)))
        .map(drop)
}

/// The costs of all daily totals together, as they were added up when they came.
pub(super) fn rolled_up(at: At<'_>, account: i64) -> Result<NanoUsd> {
    at.connection
        .prepare_cached("SELECT rolled_up FROM accounts WHERE number = ?1")?
        .query_row([account], |row| row.get(0))
        .map(NanoUsd)
}

/// The same, added up anew.
pub(super) fn recounted(at: At<'_>, account: &str) -> Result<NanoUsd> {
    let Some(account) = number(at, account)? else {
        return Ok(NanoUsd::ZERO);
    };
    at.connection
        .prepare_cached("SELECT coalesce(sum(cost), 0) FROM rollups WHERE account = ?1")?
        .query_row([account], |row| row.get(0))
        .map(NanoUsd)
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

/// The values of a tag of which at least so much was used in a window, those that used most first.
pub(super) fn most_used(
    at: At<'_>,
    account: &str,
    budget: &Meter,
    window: u64,
    least: i64,
) -> Result<Vec<(Arc<str>, i64)>> {
    let Some(account) = number(at, account)? else {
        return Ok(Vec::new());
    };
    let most = i64::try_from(MOST_USED).unwrap_or(i64::MAX);
    let first = &*budget.subject;
    let end = format!("{}>", first.trim_end_matches('='));
    at.connection
        .prepare_cached(
            "SELECT subject, used FROM meters
             WHERE account = ?1 AND subject >= ?2 AND subject < ?3 AND measure = ?4 AND window = ?5 AND used >= ?6
             ORDER BY used DESC LIMIT ?7",
        )?
        .query_map(
            params![
                account,
                first,
                end,
                budget.measure.to_string(),
                window.cast_signed(),
                least,
                most
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect()
}

/// Forgets up to `most` meters of tags' values, whose windows are long over, of each length; says how many of the one of which it
/// forgot most. What is lent of one returns first.
pub(super) fn forget_meters(at: At<'_>, account: &str, now: u64, most: usize) -> Result<usize> {
    let Some(account) = number(at, account)? else {
        return Ok(0);
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut forgotten = 0;
    for per in Per::ALL {
        let Some(before) = per.over_before(now) else {
            continue;
        };
        let measures = format!("{}*", Measure::budget(per));
        let count = at
            .connection
            .prepare_cached(
                "DELETE FROM meters WHERE number IN
                 (SELECT number FROM meters WHERE account = ?1 AND subject >= 'tag:' AND subject < 'tag;'
                  AND measure GLOB ?2 AND window > 0 AND window < ?3
                  AND NOT EXISTS (SELECT 1 FROM meter_floats WHERE meter = meters.number) LIMIT ?4)",
            )?
            .execute(params![account, measures, before.cast_signed(), most])?;
        forgotten = forgotten.max(count);
    }
    Ok(forgotten)
}

/// Stores a batch of events, and which requests it is about.
pub(super) fn add_events(at: At<'_>, account: i64, events: &Events) -> Result<()> {
    let batch = at
        .connection
        .prepare_cached(
            "INSERT INTO events (account, from_ms, to_ms, count, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(params![
            account,
            time(events.from_ms),
            time(events.to_ms),
            events.count,
            &events.bytes[..]
        ])?;
    if events.ids.is_empty() {
        return Ok(());
    }
    at.connection
        .prepare_cached("INSERT INTO event_ids (account, batch, ids) VALUES (?1, ?2, ?3)")?
        .execute(params![account, batch, &events.ids[..]])
        .map(drop)
}

/// Between which times events of a request ended. Batches that say nothing of their requests may be about any.
pub(super) fn request_span(at: At<'_>, account: &str, request: &str) -> Result<Option<Span>> {
    let Some(account) = number(at, account)? else {
        return Ok(None);
    };
    let mut statement = at
        .connection
        .prepare_cached("SELECT ids FROM event_ids WHERE account = ?1")?;
    let mut rows = statement.query([account])?;
    let (mut found, mut indexed) = (None, 0);
    while let Some(row) = rows.next()? {
        found = span(row.get_ref(0)?.as_blob()?, request, found);
        indexed += 1;
    }
    if found.is_some() {
        return Ok(found);
    }
    let all: i64 = at
        .connection
        .prepare_cached("SELECT count(*) FROM events WHERE account = ?1")?
        .query_row([account], |row| row.get(0))?;
    Ok((all > indexed).then_some((0, u64::MAX)))
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
            ids: Bytes::new(),
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
