//! The part of an account that an operation can touch, read from rows, and written back where it changed.
//!
//! An [`Image`] leaves out what cannot matter: grants with nothing left, holders whose lease is over, meters that
//! the message does not name. [`Account`] does the same to the image as it would do to the whole.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Result, Row, params};

use super::super::account::{Account, Borrower, MeterState, REMEMBERED};
use super::super::{Exchange, Grant, Holder, Mark, Meter};
use crate::NanoUsd;
use tollgate_store::sqlite::At;

/// An account's image, and what its rows say.
pub(super) struct Image {
    /// The account's row.
    pub number: i64,
    pub account: Account,
    before: Account,
    /// Rows of the grants, in the image's order.
    grants: Vec<i64>,
    meters: BTreeMap<Meter, i64>,
    /// Of the holders, those that are open in their rows.
    open: Vec<Holder>,
}

/// Who had a message applied.
#[derive(Clone, Copy)]
pub(super) struct Applied {
    pub holder: Holder,
    pub closes: bool,
}

impl Image {
    /// Reads what matters to an operation at this moment, and to this message if there is one.
    pub(super) fn load(at: At<'_>, number: i64, message: Option<&Exchange>) -> Result<Image> {
        let mut account = totals(at, number)?;
        let mut grants = Vec::new();
        for row in live_grants(at, number)? {
            grants.push(row.0);
            account.grants.push(row.1);
        }
        account.holders = open_holders(at, number)?;
        let open: Vec<Holder> = account.holders.keys().copied().collect();
        let mut meters = BTreeMap::new();
        if let Some(message) = message {
            for (holder, borrower) in this_and_newer_lives(at, number, message.holder)? {
                account.holders.entry(holder).or_insert(borrower);
            }
            for part in &message.meters {
                if let Some((row, state)) = meter(at, number, &part.meter)? {
                    meters.insert(part.meter.clone(), row);
                    account.meters.insert(part.meter.clone(), state);
                }
            }
        }
        for holder in &open {
            if account.holders[holder].lease_until <= at.now.sure {
                forget_meter_allotments(at, number, *holder)?;
                for meter in account.meters.values_mut() {
                    meter.lent.remove(holder);
                }
            }
        }
        Ok(Image {
            number,
            before: account.clone(),
            account,
            grants,
            meters,
            open,
        })
    }

    /// Writes what differs from the rows.
    pub(super) fn save(mut self, at: At<'_>, applied: Option<Applied>) -> Result<()> {
        self.save_totals(at)?;
        self.save_grants(at)?;
        self.save_holders(at, applied)?;
        self.save_meters(at)?;
        match applied {
            Some(Applied {
                holder,
                closes: true,
            }) => forget_meter_allotments(at, self.number, holder),
            _ => Ok(()),
        }
    }

    fn save_totals(&self, at: At<'_>) -> Result<()> {
        let figures = |of: &Account| {
            let money = [of.granted, of.spent, of.expired, of.free, of.debt].map(|sum| sum.0);
            (money, of.recall_until.cast_signed())
        };
        let ([granted, spent, expired, free, debt], recall_until) = figures(&self.account);
        if figures(&self.account) != figures(&self.before) {
            at.connection
                .prepare_cached(
                    "UPDATE accounts SET granted = ?2, spent = ?3, expired = ?4, free = ?5, debt = ?6,
                     recall_until = ?7 WHERE number = ?1",
                )?
                .execute(params![
                    self.number,
                    granted,
                    spent,
                    expired,
                    free,
                    debt,
                    recall_until
                ])?;
        }
        Ok(())
    }

    fn save_grants(&self, at: At<'_>) -> Result<()> {
        let known = self.grants.iter().zip(&self.before.grants);
        for (grant, (row, before)) in self.account.grants.iter().zip(known) {
            if (grant.remaining, grant.expired) != (before.remaining, before.expired) {
                at.connection
                    .prepare_cached(
                        "UPDATE grants SET remaining = ?2, expired = ?3 WHERE number = ?1",
                    )?
                    .execute([*row, grant.remaining.0, grant.expired.0])?;
            }
        }
        for grant in &self.account.grants[self.grants.len()..] {
            at.connection
                .prepare_cached(
                    "INSERT INTO grants (account, id, amount, remaining, expired, created, expires, note)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    self.number,
                    grant.id,
                    grant.amount.0,
                    grant.remaining.0,
                    grant.expired.0,
                    grant.created.cast_signed(),
                    grant.expires.map(u64::cast_signed),
                    grant.note
                ])?;
        }
        Ok(())
    }

    fn save_holders(&self, at: At<'_>, applied: Option<Applied>) -> Result<()> {
        for (holder, borrower) in &self.account.holders {
            let before = self.before.holders.get(holder);
            let was_open = self.open.contains(holder);
            let open = match applied {
                Some(applied) if applied.holder == *holder => !applied.closes,
                _ => was_open && borrower.lease_until > at.now.sure,
            };
            if before.is_none() {
                forget_holders(at, self.number)?;
            }
            if before != Some(borrower) || was_open != open {
                at.connection
                    .prepare_cached(
                        "INSERT INTO holders (account, replica, epoch, float, last, lease_until, open, mark, charged)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                         ON CONFLICT DO UPDATE SET float = excluded.float, last = excluded.last,
                         lease_until = excluded.lease_until, open = excluded.open, mark = excluded.mark,
                         charged = excluded.charged",
                    )?
                    .execute(params![
                        self.number,
                        holder.replica.cast_signed(),
                        holder.epoch.cast_signed(),
                        borrower.allotment.0,
                        borrower.last.cast_signed(),
                        borrower.lease_until.cast_signed(),
                        open,
                        borrower.mark.number().cast_signed(),
                        borrower.charged.0
                    ])?;
            }
        }
        for holder in self.before.holders.keys() {
            if !self.account.holders.contains_key(holder) {
                forget_holder(at, self.number, *holder)?;
            }
        }
        Ok(())
    }

    fn save_meters(&mut self, at: At<'_>) -> Result<()> {
        let nothing = MeterState::default();
        for (meter, state) in &self.account.meters {
            let before = self.before.meters.get(meter).unwrap_or(&nothing);
            let figures = |of: &MeterState| {
                let times = [of.window, of.recall_until].map(u64::cast_signed);
                (times, of.used)
            };
            let ([window, recall_until], used) = figures(state);
            let row = match self.meters.get(meter) {
                Some(row) => {
                    if figures(state) != figures(before) {
                        at.connection
                            .prepare_cached(
                                "UPDATE meters SET window = ?2, used = ?3, recall_until = ?4
                                 WHERE number = ?1",
                            )?
                            .execute([*row, window, used, recall_until])?;
                    }
                    *row
                }
                None => at
                    .connection
                    .prepare_cached(
                        "INSERT INTO meters (account, subject, measure, window, used, recall_until)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .insert(params![
                        self.number,
                        meter.subject,
                        meter.measure.to_string(),
                        window,
                        used,
                        recall_until
                    ])?,
            };
            for (holder, units) in &state.lent {
                if before.lent.get(holder) != Some(units) {
                    at.connection
                        .prepare_cached(
                            "INSERT INTO meter_floats (meter, replica, epoch, units) VALUES (?1, ?2, ?3, ?4)
                             ON CONFLICT DO UPDATE SET units = excluded.units",
                        )?
                        .execute([
                            row,
                            holder.replica.cast_signed(),
                            holder.epoch.cast_signed(),
                            *units,
                        ])?;
                }
            }
            for holder in before.lent.keys() {
                if !state.lent.contains_key(holder) {
                    at.connection
                        .prepare_cached(
                            "DELETE FROM meter_floats WHERE meter = ?1 AND replica = ?2 AND epoch = ?3",
                        )?
                        .execute([
                            row,
                            holder.replica.cast_signed(),
                            holder.epoch.cast_signed(),
                        ])?;
                }
            }
        }
        Ok(())
    }
}

fn totals(at: At<'_>, number: i64) -> Result<Account> {
    at.connection
        .prepare_cached(
            "SELECT granted, spent, expired, free, debt, recall_until FROM accounts WHERE number = ?1",
        )?
        .query_row([number], |row| {
            Ok(Account {
                granted: NanoUsd(row.get(0)?),
                spent: NanoUsd(row.get(1)?),
                expired: NanoUsd(row.get(2)?),
                free: NanoUsd(row.get(3)?),
                debt: NanoUsd(row.get(4)?),
                recall_until: row.get::<_, i64>(5)?.cast_unsigned(),
                ..Account::default()
            })
        })
}

/// Grants that have something left, with their rows; without id and note, which do not matter here.
fn live_grants(at: At<'_>, number: i64) -> Result<Vec<(i64, Grant)>> {
    at.connection
        .prepare_cached(
            "SELECT number, amount, remaining, expired, created, expires FROM grants
             WHERE account = ?1 AND remaining > 0 ORDER BY number",
        )?
        .query_map([number], |row| {
            let grant = Grant {
                id: String::new(),
                amount: NanoUsd(row.get(1)?),
                remaining: NanoUsd(row.get(2)?),
                expired: NanoUsd(row.get(3)?),
                created: row.get::<_, i64>(4)?.cast_unsigned(),
                expires: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
                note: String::new(),
            };
            Ok((row.get(0)?, grant))
        })?
        .collect()
}

fn open_holders(at: At<'_>, number: i64) -> Result<BTreeMap<Holder, Borrower>> {
    at.connection
        .prepare_cached(
            "SELECT float, last, lease_until, mark, charged, replica, epoch FROM holders
             WHERE account = ?1 AND open = 1",
        )?
        .query_map([number], |row| Ok((holder(row, 5)?, borrower(row)?)))?
        .collect()
}

/// A holder, and later lives of its replica, open or not.
fn this_and_newer_lives(
    at: At<'_>,
    number: i64,
    this: Holder,
) -> Result<BTreeMap<Holder, Borrower>> {
    at.connection
        .prepare_cached(
            "SELECT float, last, lease_until, mark, charged, replica, epoch FROM holders
             WHERE account = ?1 AND replica = ?2 AND epoch >= ?3",
        )?
        .query_map(of(number, this), |row| {
            Ok((holder(row, 5)?, borrower(row)?))
        })?
        .collect()
}

fn meter(at: At<'_>, number: i64, meter: &Meter) -> Result<Option<(i64, MeterState)>> {
    let found = at
        .connection
        .prepare_cached(
            "SELECT number, window, used, recall_until FROM meters
             WHERE account = ?1 AND subject = ?2 AND measure = ?3",
        )?
        .query_row(
            params![number, meter.subject, meter.measure.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let Some((row, window, used, recall_until)) = found else {
        return Ok(None);
    };
    let lent = at
        .connection
        .prepare_cached("SELECT units, replica, epoch FROM meter_floats WHERE meter = ?1")?
        .query_map([row], |row| Ok((holder(row, 1)?, row.get(0)?)))?
        .collect::<Result<_>>()?;
    let state = MeterState {
        window: i64::cast_unsigned(window),
        used,
        lent,
        recall_until: i64::cast_unsigned(recall_until),
    };
    Ok(Some((row, state)))
}

fn borrower(row: &Row<'_>) -> Result<Borrower> {
    Ok(Borrower {
        allotment: NanoUsd(row.get(0)?),
        last: row.get::<_, i64>(1)?.cast_unsigned(),
        lease_until: row.get::<_, i64>(2)?.cast_unsigned(),
        mark: Mark::kept(row.get::<_, i64>(3)?.cast_unsigned()),
        charged: NanoUsd(row.get(4)?),
    })
}

fn holder(row: &Row<'_>, column: usize) -> Result<Holder> {
    Ok(Holder {
        replica: row.get::<_, i64>(column)?.cast_unsigned(),
        epoch: row.get::<_, i64>(column + 1)?.cast_unsigned(),
    })
}

/// The parameters account, replica, epoch.
fn of(number: i64, holder: Holder) -> [i64; 3] {
    [
        number,
        holder.replica.cast_signed(),
        holder.epoch.cast_signed(),
    ]
}

/// Takes back what a holder has borrowed of all meters of an account.
fn forget_meter_allotments(at: At<'_>, number: i64, holder: Holder) -> Result<()> {
    at.connection
        .prepare_cached(
            "DELETE FROM meter_floats WHERE replica = ?2 AND epoch = ?3
             AND meter IN (SELECT number FROM meters WHERE account = ?1)",
        )?
        .execute(of(number, holder))
        .map(drop)
}

fn forget_holder(at: At<'_>, number: i64, holder: Holder) -> Result<()> {
    at.connection
        .prepare_cached("DELETE FROM holders WHERE account = ?1 AND replica = ?2 AND epoch = ?3")?
        .execute(of(number, holder))
        .map(drop)
}

/// Forgets holders that are long gone. Asked when a new one comes, so that their number stays bounded.
fn forget_holders(at: At<'_>, number: i64) -> Result<()> {
    let remembered = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
    let before = at.now.sure.saturating_sub(remembered);
    at.connection
        .prepare_cached(
            "DELETE FROM holders WHERE account = ?1 AND open = 0 AND lease_until <= ?2",
        )?
        .execute([number, before.cast_signed()])
        .map(drop)
}

/// The row of an account, if it is known.
pub(super) fn number(at: At<'_>, account: &str) -> Result<Option<i64>> {
    at.connection
        .prepare_cached("SELECT number FROM accounts WHERE id = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()
}
