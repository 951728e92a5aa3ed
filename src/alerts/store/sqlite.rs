//! Alerts in the gateway's file.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Result as Sql, params};

use super::{Claim, Delivery, KEPT, Outcome, State, Stored, read};
use tollgate_base::clock::millis;
use tollgate_store::StoreError;
use tollgate_store::sqlite::{At, Worker};

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) async fn raise(
    worker: &Worker,
    names: &[String],
    until_ms: u64,
    body: String,
    channels: &[String],
) -> Result<Option<u64>, StoreError> {
    let (names, channels) = (names.to_vec(), channels.to_vec());
    worker
        .write(move |at| raised(at, &names, until_ms, &body, &channels))
        .await
}

fn raised(
    at: At<'_>,
    names: &[String],
    until_ms: u64,
    body: &str,
    channels: &[String],
) -> Sql<Option<u64>> {
    let (connection, now) = (at.connection, signed(at.now.told));
    let known = connection
        .prepare_cached("SELECT 1 FROM alert_names WHERE name = ?1 AND until > ?2")?
        .exists(params![names.first(), now])?;
    if known {
        return Ok(None);
    }
    connection
        .prepare_cached("DELETE FROM alert_names WHERE until <= ?1")?
        .execute([now])?;
    for name in names {
        connection
            .prepare_cached(
                "INSERT INTO alert_names (name, until) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
            )?
            .execute(params![name, signed(until_ms)])?;
    }
    let number = connection
        .prepare_cached("INSERT INTO alerts (at, body) VALUES (?1, ?2)")?
        .insert(params![now, body])?;
    for channel in channels {
        connection
            .prepare_cached(
                "INSERT INTO alert_deliveries (alert, channel, state, tries, due, said)
                 VALUES (?1, ?2, 0, 0, ?3, '')",
            )?
            .execute(params![number, channel, now])?;
    }
    let old = number - signed(KEPT);
    for forget in [
        "DELETE FROM alert_deliveries WHERE alert <= ?1",
        "DELETE FROM alerts WHERE number <= ?1",
    ] {
        connection.prepare_cached(forget)?.execute([old])?;
    }
    Ok(Some(number.cast_unsigned()))
}

pub(super) async fn claim(
    worker: &Worker,
    channel: &str,
    lease: Duration,
) -> Result<Option<Claim>, StoreError> {
    let channel = channel.to_owned();
    worker
        .write(move |at| {
            let now = signed(at.now.told);
            let found = at
                .connection
                .prepare_cached(
                    "UPDATE alert_deliveries SET tries = tries + 1, due = ?3
                     WHERE (alert, channel) = (SELECT alert, channel FROM alert_deliveries
                        WHERE channel = ?1 AND state = 0 AND due <= ?2 ORDER BY due, alert LIMIT 1)
                     RETURNING alert, tries",
                )?
                .query_row(
                    params![channel, now, now.saturating_add(signed(millis(lease)))],
                    |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((number, tries)) = found else {
                return Ok(None);
            };
            let (at_ms, body): (i64, String) = at
                .connection
                .prepare_cached("SELECT at, body FROM alerts WHERE number = ?1")?
                .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(read(&body).map(|alert| Claim {
                number: number.cast_unsigned(),
                at_ms: at_ms.cast_unsigned(),
                alert,
                tries,
            }))
        })
        .await
}

pub(super) async fn settle(
    worker: &Worker,
    channel: &str,
    claim: &Claim,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let (channel, number, tries) = (channel.to_owned(), signed(claim.number), claim.tries);
    let (state, after, said) = outcome.parts();
    worker
        .write(move |at| {
            let due = signed(at.now.told.saturating_add(after));
            at.connection
                .prepare_cached(
                    // The number of tries names the claim: a later one took the delivery over.
                    "UPDATE alert_deliveries SET state = ?4, due = ?5, said = ?6
                     WHERE alert = ?1 AND channel = ?2 AND tries = ?3 AND state = 0",
                )?
                .execute(params![number, channel, tries, state.number(), due, said])
                .map(|changed| changed == 1)
        })
        .await
}

pub(super) async fn list(
    worker: &Worker,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let before = before.map_or(i64::MAX, signed);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    worker
        .read(move |at| {
            let rows: Vec<(i64, i64, String)> = at
                .connection
                .prepare_cached(
                    "SELECT number, at, body FROM alerts WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
                )?
                .query_map([before, limit], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect::<Sql<_>>()?;
            let mut found = Vec::with_capacity(rows.len());
            for (number, at_ms, body) in rows {
                let deliveries = deliveries(at, number)?;
                found.extend(read(&body).map(|alert| Stored {
                    number: number.cast_unsigned(),
                    at_ms: at_ms.cast_unsigned(),
                    alert,
                    deliveries,
                }));
            }
            Ok(found)
        })
        .await
}

fn deliveries(at: At<'_>, number: i64) -> Sql<Vec<Delivery>> {
    at.connection
        .prepare_cached(
            "SELECT channel, state, tries, said FROM alert_deliveries WHERE alert = ?1 ORDER BY channel",
        )?
        .query_map([number], |row| {
            Ok(Delivery {
                channel: row.get(0)?,
                state: State::read(row.get::<_, i64>(1)?.cast_unsigned()),
                tries: row.get(2)?,
                said: row.get(3)?,
            })
        })?
        .collect()
}

/// Returns true if the file can be read and written: a file has one gateway, which is always the one to look for alerts.
pub(super) async fn is_there(worker: &Worker) -> Result<bool, StoreError> {
    worker
        .write(|at| {
            at.connection
                .prepare_cached("SELECT 1 FROM store")?
                .exists([])
        })
        .await
}
