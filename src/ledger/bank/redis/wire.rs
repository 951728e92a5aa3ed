//! What scripts are given, and what they answer.

use bytes::Bytes;
use redis::Value;

use tollgate_store::redis::{Call, EXACT, Keys, read, strange};
use tollgate_store::{Moment, StoreError};

use super::scripts::{BOOKS, EXCHANGE, GRANT};
use crate::bank::{
    Allotment, Books, Day, Events, Exchange, Grant, Mark, Meter, MeterReply, NewGrant, Reply,
    Rollup,
};
use crate::{NanoUsd, OTHER};

pub(super) const DAY_MS: u64 = 86_400_000;

/// Where costs, rows and days of daily totals are, and days that are sealed.
pub(super) const ROLLUP_KEYS: [&str; 4] = ["costs", "rollups", "days", "sealed"];

/// The same of those by tag.
pub(super) const TAG_KEYS: [&str; 4] = ["tag_costs", "tag_rollups", "tag_days", "tag_sealed"];

/// The days of which ids of requests are kept.
pub(super) const ID_DAYS: &str = "id_days";

/// Where the ids are of requests whose batches ended that day.
pub(super) fn ids(keys: &Keys, account: &str, day: u64) -> String {
    keys.of(account, &format!("ids:{day}"))
}

/// The call of `exchange.lua`.
///
/// # Errors
/// [`Exchange::check`].
pub(super) fn exchange(keys: &Keys, message: &Exchange) -> Result<Call, StoreError> {
    message.check()?;
    let mut call = Call::new(&EXCHANGE, exchange_keys(keys, message));
    call.push(message.holder.to_string());
    call.push(message.number);
    call.push(message.oldest);
    call.push(message.before.number());
    call.push(message.mark.number());
    for amount in [message.spent, message.returned, message.need, message.want] {
        call.push(amount.0);
    }
    call.push(
        u64::try_from(message.lease.as_millis())
            .unwrap_or(u64::MAX)
            .min(EXACT / 2),
    );
    call.push(u8::from(message.close));
    call.push(message.meters.len());
    for part in &message.meters {
        call.push(part.meter.to_string());
        call.push(part.window);
        call.push(part.limit.max(0));
        call.push(part.used);
        for units in [part.returned, part.need, part.want] {
            call.push(u64::try_from(units).unwrap_or(0).min(EXACT - 1));
        }
    }
    call.push(message.rollups.len());
    for row in &message.rollups {
        call.push(row.day.0);
        call.push(name(row));
        count(&mut call, row);
    }
    call.push(message.tags.len());
    for row in &message.tags {
        let (tag, _) = row.tag.split_once('=').unwrap_or((&row.tag, ""));
        call.push(row.day.0);
        call.push(name_of_tag(row.day, &row.tag));
        call.push(format!("values:{}:{tag}", row.day.0));
        call.push(name_of_tag(row.day, &format!("{tag}={OTHER}")));
        count(&mut call, row);
    }
    call.push(u8::from(message.events.is_some()));
    if let Some(events) = &message.events {
        call.push(events.count);
        call.push(events.from_ms);
        call.push(events.to_ms);
        call.push(&events.bytes[..]);
        call.push(ended(events));
        call.push(&events.ids[..]);
    }
    Ok(call)
}

/// The keys of `exchange.lua`: those of what a message does not tell of are left out at the end.
fn exchange_keys(keys: &Keys, message: &Exchange) -> Vec<String> {
    let account = &*message.account;
    let mut names = account_keys(keys, account);
    let totals = !message.rollups.is_empty() || !message.tags.is_empty();
    if totals || message.events.is_some() {
        let more = ROLLUP_KEYS.into_iter().chain(["events", ID_DAYS]);
        names.extend(more.map(|name| keys.of(account, name)));
        names.push(ids(keys, account, message.events.as_ref().map_or(0, ended)));
    }
    if !message.tags.is_empty() {
        names.extend(TAG_KEYS.map(|name| keys.of(account, name)));
    }
    names
}

/// The day on which a batch ended.
fn ended(events: &Events) -> u64 {
    events.to_ms / DAY_MS
}

/// With the server's clock as this process has watched it, which every script about an account asks beside the clock
/// itself.
pub(super) fn timed(call: Call, now: Moment) -> Call {
    call.with(now.told).with(now.sure)
}

/// A row's name: what it is a total of. JSON, as any of it may contain anything.
fn name(row: &Rollup) -> String {
    serde_json::json!([row.day, row.access_key, row.provider, row.model]).to_string()
}

/// The name of a row by tag.
fn name_of_tag(day: Day, tag: &str) -> String {
    serde_json::json!([day, tag]).to_string()
}

/// What a row counts, and its cost.
fn count(call: &mut Call, row: &Rollup) {
    for counter in row.counters() {
        call.push(counter.min(i64::MAX.unsigned_abs()));
    }
    call.push(row.cost.0);
}

/// Reads the answer of `exchange.lua` to a message.
pub(super) fn reply(message: &Exchange, answer: Value) -> Result<Reply, StoreError> {
    let figures: Vec<i64> = read(answer)?;
    let [
        last,
        allotment,
        free,
        allotments,
        recall,
        mark,
        charged,
        newest,
        now,
        meters @ ..,
    ] = &figures[..]
    else {
        return Err(strange("an answer to an exchange"));
    };
    if meters.len() != 5 * message.meters.len() {
        return Err(strange("an answer to an exchange"));
    }
    let number = |figure: i64| u64::try_from(figure).map_err(|_| strange("a number or a time"));
    let meter = |row: &[i64]| {
        let [window, allotment, used, lent, recall] = *row else {
            return Err(strange("a meter"));
        };
        Ok(MeterReply {
            window: number(window)?,
            allotment: amount(allotment)?.0,
            used: amount(used)?.0,
            lent: amount(lent)?.0,
            recall: recall != 0,
        })
    };
    Ok(Reply {
        last: number(*last)?,
        mark: Mark::kept(number(*mark)?),
        charged: amount(*charged.max(&0))?,
        newest: number(*newest)?,
        now: number(*now)?,
        allotment: amount(*allotment)?,
        free: amount(*free)?,
        allotments: amount(*allotments)?,
        recall: *recall != 0,
        meters: meters.chunks(5).map(meter).collect::<Result<_, _>>()?,
    })
}

/// Reads what is stored of so many meters: `<window>;<holder>=<lent>…`, and what was used.
pub(super) fn read_used(answer: Value, meters: usize) -> Result<Vec<(u64, i64)>, StoreError> {
    let stored: Vec<Option<String>> = read(answer)?;
    if stored.len() != 2 * meters {
        return Err(strange("what was used of limits"));
    }
    let meter = |pair: &[Option<String>]| {
        let [Some(state), used] = pair else {
            return Ok((0, 0));
        };
        let window = state.split(';').next().and_then(|start| start.parse().ok());
        let used = used.as_deref().map_or(Some(0), |used| used.parse().ok());
        window.zip(used).ok_or_else(|| strange("a meter"))
    };
    stored.chunks(2).map(meter).collect()
}

/// A pattern of Redis for names that begin so.
pub(super) fn beginning(name: &str) -> String {
    let escaped = name.chars().flat_map(|char| {
        let escape = matches!(char, '*' | '?' | '[' | ']' | '\\').then_some('\\');
        escape.into_iter().chain([char])
    });
    escaped.chain(['*']).collect()
}

/// A meter and when its window began, of a field and its value; `None` if they are about something else.
pub(super) fn window(field: &[String]) -> Option<(Meter, u64)> {
    let [name, state] = field else { return None };
    let window = state.split(';').next()?.parse().ok()?;
    Some((name.parse().ok()?, window))
}

/// Money, or units of a limit: more than can be counted is nothing that a script of ours has left.
pub(super) fn amount(units: i64) -> Result<NanoUsd, StoreError> {
    let most = NanoUsd::TOTAL.0;
    let counted = (-most..=most).contains(&units);
    let amount = counted.then_some(NanoUsd(units));
    amount.ok_or_else(|| strange("an amount that can be counted"))
}

/// Amounts that are added up.
pub(super) fn summed(amounts: impl Iterator<Item = NanoUsd>) -> Result<NanoUsd, StoreError> {
    amount(NanoUsd::saturating_sum(amounts).0)
}

/// The call of `grant.lua`.
pub(super) fn grant(keys: &Keys, account: &str, grant: &NewGrant) -> Call {
    let call = Call::new(&GRANT, account_keys(keys, account))
        .with(&grant.id)
        .with(grant.amount.0);
    let call = match grant.expires_after {
        None => call.with(""),
        Some(after) => call.with(after.as_secs().min(EXACT / 2)),
    };
    call.with(&grant.note)
}

/// The call of `books.lua`.
pub(super) fn books(keys: &Keys, account: &str) -> Call {
    let mut names = account_keys(keys, account);
    names.push(keys.of(account, "costs"));
    Call::new(&BOOKS, names)
}

/// Reads the answer of `books.lua`.
pub(super) fn read_books(answer: Value) -> Result<Books, StoreError> {
    let parts: Vec<Value> = read(answer)?;
    let Ok(
        [
            granted,
            spent,
            expired,
            free,
            debt,
            counted,
            added,
            grants,
            allotments,
        ],
    ) = <[Value; 9]>::try_from(parts)
    else {
        return Err(strange("an account's books"));
    };
    let amount = |value| amount(read(value)?);
    let spent = amount(spent)?;
    let (counted, added) = (amount(counted)?, amount(added)?);
    let mut allotments = read::<Vec<Vec<String>>>(allotments)?
        .iter()
        .map(|row| allotment(row))
        .collect::<Result<Vec<_>, _>>()?;
    allotments.sort_unstable_by_key(|allotment| allotment.holder);
    summed(allotments.iter().map(|allotment| allotment.amount))?;
    Ok(Books {
        granted: amount(granted)?,
        spent,
        expired: amount(expired)?,
        free: amount(free)?,
        debt: amount(debt)?,
        grants: read::<Vec<Vec<String>>>(grants)?
            .into_iter()
            .map(read_grant)
            .collect::<Result<_, _>>()?,
        allotments,
        // Counted as they came and added up now; should one of them be wrong, it is the one to show.
        rolled_up: if added == spent { counted } else { added },
    })
}

fn read_grant(row: Vec<String>) -> Result<Grant, StoreError> {
    let Ok([id, amount, remaining, expired, created, expires, note]) = <[String; 7]>::try_from(row)
    else {
        return Err(strange("a grant"));
    };
    let amount_of =
        |text: &str| self::amount(text.parse().map_err(|_| strange("a grant's amount"))?);
    let time_of = |text: &str| text.parse().map_err(|_| strange("a grant's time"));
    Ok(Grant {
        amount: amount_of(&amount)?,
        remaining: amount_of(&remaining)?,
        expired: amount_of(&expired)?,
        created: time_of(&created)?,
        expires: if expires.is_empty() {
            None
        } else {
            Some(time_of(&expires)?)
        },
        id,
        note,
    })
}

fn allotment(row: &[String]) -> Result<Allotment, StoreError> {
    let read = || {
        let [holder, amount, last, until] = row else {
            return None;
        };
        Some(Allotment {
            holder: holder.parse().ok()?,
            amount: self::amount(amount.parse().ok()?).ok()?,
            last: last.parse().ok()?,
            lease_until: until.parse().ok()?,
        })
    };
    read().ok_or_else(|| strange("an allotment"))
}

/// What `events.lua` found.
pub(super) struct Batches {
    /// How many were looked at.
    pub(super) looked: usize,
    /// When the last one of those ended (Unix time, ms).
    pub(super) ended: u64,
    /// How many of those ended then.
    pub(super) same: usize,
    /// Those that begin early enough, each with its number.
    pub(super) found: Vec<(u64, Events)>,
}

/// Reads the answer of `events.lua`.
pub(super) fn read_batches(answer: Value) -> Result<Batches, StoreError> {
    let (looked, ended, same, found): (usize, u64, usize, Vec<Vec<u8>>) = read(answer)?;
    let found = found.iter().map(|stored| read_events(stored));
    Ok(Batches {
        looked,
        ended,
        same,
        found: found.collect::<Result<_, _>>()?,
    })
}

/// Reads what `exchange.lua` stored of a batch of events: `number:from:to:count:bytes`. The number, for which
/// batches are distinguished, comes first.
fn read_events(stored: &[u8]) -> Result<(u64, Events), StoreError> {
    let read = || {
        let parts: Vec<&[u8]> = stored.splitn(5, |byte| *byte == b':').collect();
        let [batch, from, to, count, bytes] = parts[..] else {
            return None;
        };
        let number = |text| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
        let events = Events {
            count: u32::try_from(number(count)?).ok()?,
            from_ms: number(from)?,
            to_ms: number(to)?,
            bytes: Bytes::copy_from_slice(bytes),
            ids: Bytes::new(),
        };
        Some((number(batch)?, events))
    };
    read().ok_or_else(|| strange("a batch of usage events"))
}

/// The keys of an account that scripts begin with, in the order of `account.lua`.
fn account_keys(keys: &Keys, account: &str) -> Vec<String> {
    let names = [
        "state", "grants", "open", "holders", "leases", "ended", "meters",
    ];
    names.iter().map(|name| keys.of(account, name)).collect()
}
