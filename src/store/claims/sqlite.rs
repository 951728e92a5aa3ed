//! Claims in the gateway's file.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Result as Sql, params};

use super::{Bounds, Claimed, SWEPT, Ticket};
use crate::StoreError;
use crate::sqlite::{At, Worker};
use tollgate_base::clock::millis;

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// When what begins now and lasts so long is over.
fn due(at: At<'_>, time: Duration) -> i64 {
    signed(at.now.told.saturating_add(millis(time)))
}

/// Forgets what has ended: this name if it is, and some others.
fn sweep(at: At<'_>, ticket: &Ticket) -> Sql<()> {
    let now = signed(at.now.told);
    at.connection
        .prepare_cached("DELETE FROM claims WHERE account = ?1 AND name = ?2 AND due <= ?3")?
        .execute(params![ticket.account, ticket.name, now])?;
    at.connection
        .prepare_cached(
            "DELETE FROM claims WHERE id IN (SELECT id FROM claims WHERE due <= ?1 LIMIT ?2)",
        )?
        .execute(params![now, SWEPT])
        .map(drop)
}

pub(super) async fn claim(
    worker: &Worker,
    ticket: &Ticket,
    lease: Duration,
) -> Result<Claimed, StoreError> {
    let ticket = ticket.clone();
    worker.write(move |at| claimed(at, &ticket, lease)).await
}

fn claimed(at: At<'_>, ticket: &Ticket, lease: Duration) -> Sql<Claimed> {
    sweep(at, ticket)?;
    let found: Option<(String, i64, bool, String)> = at
        .connection
        .prepare_cached(
            "SELECT of, number, kept IS NOT NULL, value FROM claims WHERE account = ?1 AND name = ?2",
        )?
        .query_row(params![ticket.account, ticket.name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    match found {
        Some((of, ..)) if of != ticket.of => return Ok(Claimed::Differs),
        Some((_, _, true, value)) => return Ok(Claimed::Kept(value)),
        Some((_, number, ..)) if number.cast_unsigned() != ticket.number => {
            return Ok(Claimed::Busy);
        }
        _ => {}
    }
    at.connection
        .prepare_cached(
            "INSERT INTO claims (account, name, of, number, due) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET due = excluded.due",
        )?
        .execute(params![
            ticket.account,
            ticket.name,
            ticket.of,
            ticket.number.cast_signed(),
            due(at, lease)
        ])?;
    Ok(Claimed::Yes)
}

pub(super) async fn hold(
    worker: &Worker,
    ticket: &Ticket,
    lease: Duration,
) -> Result<bool, StoreError> {
    let ticket = ticket.clone();
    worker
        .write(move |at| {
            sweep(at, &ticket)?;
            let (number, until) = (ticket.number.cast_signed(), due(at, lease));
            let held = match lease.is_zero() {
                true => at
                    .connection
                    .prepare_cached(
                        "DELETE FROM claims WHERE account = ?1 AND name = ?2 AND number = ?3 AND kept IS NULL",
                    )?
                    .execute(params![ticket.account, ticket.name, number])?,
                false => at
                    .connection
                    .prepare_cached(
                        "UPDATE claims SET due = ?4
                         WHERE account = ?1 AND name = ?2 AND number = ?3 AND kept IS NULL",
                    )?
                    .execute(params![ticket.account, ticket.name, number, until])?,
            };
            Ok(held == 1)
        })
        .await
}

pub(super) async fn keep(
    worker: &Worker,
    ticket: &Ticket,
    value: &str,
    time: Duration,
    bounds: Bounds,
) -> Result<bool, StoreError> {
    let (ticket, value) = (ticket.clone(), value.to_owned());
    worker
        .write(move |at| kept(at, &ticket, &value, time, bounds))
        .await
}

fn kept(at: At<'_>, ticket: &Ticket, value: &str, time: Duration, bounds: Bounds) -> Sql<bool> {
    sweep(at, ticket)?;
    let size = u64::try_from(value.len()).unwrap_or(u64::MAX);
    let held = at
        .connection
        .prepare_cached(
            "UPDATE claims SET kept = ?4, due = ?5, size = ?6, value = ?7
             WHERE account = ?1 AND name = ?2 AND number = ?3 AND kept IS NULL",
        )?
        .execute(params![
            ticket.account,
            ticket.name,
            ticket.number.cast_signed(),
            signed(at.now.told),
            due(at, time),
            signed(size),
            value
        ])?;
    if held == 0 {
        return Ok(false);
    }
    // Counted from the newest one, which stays whatever its size is.
    at.connection
        .prepare_cached(
            "DELETE FROM claims WHERE id IN (SELECT id FROM
                (SELECT id, name, count(*) OVER newest AS names, sum(size) OVER newest AS bytes FROM claims
                 WHERE account = ?1 AND kept IS NOT NULL
                 WINDOW newest AS (ORDER BY kept DESC, id DESC ROWS UNBOUNDED PRECEDING))
             WHERE name <> ?2 AND (names > ?3 OR bytes > ?4))",
        )?
        .execute(params![
            ticket.account,
            ticket.name,
            signed(bounds.names),
            signed(bounds.bytes)
        ])?;
    Ok(true)
}
