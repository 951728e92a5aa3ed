//! Daily totals as they are read: sealed where they are, and else row by row.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Result, Row, params};

use super::super::sealed::{self, Part};
use super::super::{Day, Rollup};
use super::image::number;
use super::record::figures;
use crate::NanoUsd;
use tollgate_store::sqlite::At;

/// Which days have totals, each with its part if that is sealed; both days included.
pub(super) fn days(
    at: At<'_>,
    account: &str,
    part: Part,
    (from, to): (Day, Day),
) -> Result<Vec<(Day, Vec<u8>)>> {
    let Some(account) = number(at, account)? else {
        return Ok(Vec::new());
    };
    let mut sealed = at
        .connection
        .prepare_cached(
            "SELECT day, totals FROM sealed_days WHERE account = ?1 AND part = ?2 AND day BETWEEN ?3 AND ?4",
        )?
        .query_map(params![account, part.name(), from.0, to.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<HashMap<u32, Vec<u8>>>>()?;
    let mut next_day = at.connection.prepare_cached(match part {
        Part::Each | Part::ByModel => {
            "SELECT day FROM rollups WHERE account = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day LIMIT 1"
        }
        Part::ByTag => {
            "SELECT day FROM tag_rollups WHERE account = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day LIMIT 1"
        }
    })?;
    let (mut days, mut next) = (Vec::new(), Some(from.0));
    while let Some(from) = next {
        let found = next_day
            .query_row(params![account, from, to.0], |row| row.get::<_, u32>(0))
            .optional()?;
        days.extend(found.map(|day| (Day(day), sealed.remove(&day).unwrap_or_default())));
        next = found.and_then(|day| day.checked_add(1));
    }
    Ok(days)
}

/// All totals of a day.
pub(super) fn day(at: At<'_>, account: &str, part: Part, day: Day) -> Result<Vec<Rollup>> {
    let Some(account) = number(at, account)? else {
        return Ok(Vec::new());
    };
    match part {
        Part::Each | Part::ByModel => by_key(at, account, day),
        Part::ByTag => by_tag(at, account, day),
    }
}

/// The same, and seals them: whoever adds to them later breaks the seal.
pub(super) fn seal(at: At<'_>, account: &str, part: Part, day: Day) -> Result<Vec<Rollup>> {
    let rows = self::day(at, account, part, day)?;
    let Some(account) = number(at, account)? else {
        return Ok(rows);
    };
    for part in part.together() {
        if let Some(totals) = sealed::seal(&part.of(rows.clone())) {
            at.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO sealed_days (account, part, day, totals) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![account, part.name(), day.0, totals])?;
        }
    }
    Ok(rows)
}

fn by_key(at: At<'_>, account: i64, day: Day) -> Result<Vec<Rollup>> {
    // One row's names are mostly those of the row before.
    let mut last: [Arc<str>; 3] = [""; 3].map(Arc::from);
    at.connection
        .prepare_cached(concat!(
            "SELECT day, ",
            figures!(),
            ", access_key, provider, model FROM rollups
             WHERE account = ?1 AND day = ?2 ORDER BY access_key, provider, model",
        ))?
        .query_map(params![account, day.0], |row| {
            for (column, last) in last.iter_mut().enumerate() {
                let name = row.get_ref(column + 10)?.as_str()?;
                if **last != *name {
                    *last = name.into();
                }
            }
            let [access_key, provider, model] = last.clone();
            Ok(Rollup {
                access_key,
                provider,
                model,
                ..rollup(row)?
            })
        })?
        .collect()
}

fn by_tag(at: At<'_>, account: i64, day: Day) -> Result<Vec<Rollup>> {
    at.connection
        .prepare_cached(concat!(
            "SELECT day, ",
            figures!(),
            ", tag FROM tag_rollups WHERE account = ?1 AND day = ?2 ORDER BY tag",
        ))?
        .query_map(params![account, day.0], |row| {
            Ok(Rollup {
                tag: row.get(10)?,
                ..rollup(row)?
            })
        })?
        .collect()
}

/// A row's day and figures.
fn rollup(row: &Row<'_>) -> Result<Rollup> {
    let mut counters = [0; 8];
    for (column, counter) in counters.iter_mut().enumerate() {
        *counter = row.get::<_, i64>(column + 1)?.cast_unsigned();
    }
    let one = Rollup {
        day: Day(row.get(0)?),
        cost: NanoUsd(row.get(9)?),
        ..Rollup::default()
    };
    Ok(one.with_counters(counters))
}
