//! The bank's operations on money, each within a transaction: an image, what [`super::super::account`] does to
//! it, and what changed.

use rusqlite::Result;

use super::super::{Books, Exchange, Grant, NewGrant, Reply};
use super::image::{Applied, Image, number};
use super::record;
use crate::NanoUsd;
use tollgate_store::StoreError;
use tollgate_store::sqlite::At;

/// Applies a message, unless it was applied before or one before it is missing.
///
/// # Errors
/// Within: why it is refused; then nothing is changed.
pub(super) fn exchange(
    at: At<'_>,
    message: &Exchange,
) -> Result<std::result::Result<Reply, StoreError>> {
    let number = number_or_new(at, &message.account)?;
    let mut image = Image::load(at, number, Some(message))?;
    let account = &mut image.account;
    if let Err(refused) = account.admits(message) {
        return Ok(Err(refused));
    }
    account.tick(at.now);
    let last = account.holders.get(&message.holder).map(|own| own.last);
    let reply = account.exchange(message, at.now);
    let applied = account.holders.get(&message.holder).map(|own| own.last) != last;
    let applied = applied.then_some(Applied {
        holder: message.holder,
        closes: message.close,
    });
    image.save(at, applied)?;
    if applied.is_some() {
        record::add_rollups(at, number, &message.rollups)?;
        record::add_tag_rollups(at, number, &message.tags)?;
        if let Some(events) = &message.events {
            record::add_events(at, number, events)?;
        }
    }
    Ok(Ok(reply))
}

/// Puts credits in; false if the account has this grant already.
///
/// # Errors
/// Within: why it is refused; then nothing is changed.
pub(super) fn grant(
    at: At<'_>,
    account: &str,
    new: &NewGrant,
) -> Result<std::result::Result<bool, StoreError>> {
    let number = number_or_new(at, account)?;
    let known = at
        .connection
        .prepare_cached("SELECT 1 FROM grants WHERE account = ?1 AND id = ?2")?
        .exists((number, &new.id))?;
    if known {
        return Ok(Ok(false));
    }
    let mut image = Image::load(at, number, None)?;
    if let Err(refused) = image.account.admits_grant(new.amount) {
        return Ok(Err(refused));
    }
    let added = image.account.grant(new, at.now);
    image.save(at, None)?;
    Ok(Ok(added))
}

/// The ids of all accounts, sorted.
pub(super) fn accounts(at: At<'_>) -> Result<Vec<String>> {
    at.connection
        .prepare_cached("SELECT id FROM accounts ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The books as of now, with what is due expired and reaped. What is said twice (in totals, grants, rollups) is
/// read from where it is kept, so that a difference shows.
pub(super) fn books(at: At<'_>, account: &str) -> Result<Books> {
    let Some(number) = number(at, account)? else {
        return Ok(Books::default());
    };
    let mut image = Image::load(at, number, None)?;
    image.account.tick(at.now);
    let rolled_up = record::rolled_up(at, number)?;
    let mut books = image.account.books(rolled_up, at.now);
    image.save(at, None)?;
    books.grants = grants(at, number)?;
    Ok(books)
}

fn grants(at: At<'_>, number: i64) -> Result<Vec<Grant>> {
    at.connection
        .prepare_cached(
            "SELECT id, amount, remaining, expired, created, expires, note FROM grants
             WHERE account = ?1 ORDER BY number",
        )?
        .query_map([number], |row| {
            Ok(Grant {
                id: row.get(0)?,
                amount: NanoUsd(row.get(1)?),
                remaining: NanoUsd(row.get(2)?),
                expired: NanoUsd(row.get(3)?),
                created: row.get::<_, i64>(4)?.cast_unsigned(),
                expires: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
                note: row.get(6)?,
            })
        })?
        .collect()
}

fn number_or_new(at: At<'_>, account: &str) -> Result<i64> {
    match number(at, account)? {
        Some(number) => Ok(number),
        None => at
            .connection
            .prepare_cached("INSERT INTO accounts (id) VALUES (?1)")?
            .insert([account]),
    }
}
