//! Alerts in Redis. All of it is in one hash slot, and each change is one script.

use std::time::Duration;

use super::{Claim, Delivery, KEPT, Outcome, State, Stored, read as parse};
use tollgate_base::clock::millis;
use tollgate_store::StoreError;
use tollgate_store::redis::{Call, EXACT, Redis, read, strange};

/// What scripts begin with.
const TIME: &str = include_str!("lua/time.lua");

tollgate_store::scripts! {
    RAISE = "tollgate:alert-raise:1", TIME, include_str!("lua/raise.lua");
    CLAIM = "tollgate:alert-claim:1", TIME, include_str!("lua/claim.lua");
    SETTLE = "tollgate:alert-settle:1", TIME, include_str!("lua/settle.lua");
    LEAD = "tollgate:alert-lead:1", include_str!("lua/lead.lua");
}

fn due(redis: &Redis, channel: &str) -> String {
    redis.keys.shared(&format!("alerts-due:{channel}"))
}

fn ms(duration: Duration) -> u64 {
    millis(duration).min(EXACT / 2)
}

pub(super) async fn raise(
    redis: &Redis,
    names: &[String],
    until_ms: u64,
    body: &str,
    channels: &[String],
) -> Result<Option<u64>, StoreError> {
    let keys = ["alerts", "alert-names", "alert-count"].map(|name| redis.keys.shared(name));
    let mut keys = keys.to_vec();
    keys.extend(channels.iter().map(|channel| due(redis, channel)));
    let mut call = Call::new(&RAISE, keys)
        .with(until_ms.min(EXACT / 2))
        .with(KEPT)
        .with(body)
        .with(channels.join(","))
        .with(channels.len());
    for text in channels.iter().chain(names) {
        call.push(text);
    }
    let (answer, _) = redis.call(&call, redis.deadline()).await?;
    let number: u64 = read(answer)?;
    Ok((number > 0).then_some(number))
}

pub(super) async fn claim(
    redis: &Redis,
    channel: &str,
    lease: Duration,
) -> Result<Option<Claim>, StoreError> {
    let keys = vec![redis.keys.shared("alerts"), due(redis, channel)];
    let call = Call::new(&CLAIM, keys).with(channel).with(ms(lease));
    let (answer, _) = redis.call(&call, redis.deadline()).await?;
    let found: Vec<String> = read(answer)?;
    let [number, record, tries] = &found[..] else {
        return Ok(None);
    };
    let (at_ms, _, body) = record_of(record)?;
    let figure = |text: &str| text.parse().map_err(|_| strange("an alert"));
    let (number, tries) = (figure(number)?, figure(tries)?);
    Ok(parse(body).map(|alert| Claim {
        number,
        at_ms,
        alert,
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
    }))
}

pub(super) async fn settle(
    redis: &Redis,
    channel: &str,
    claim: &Claim,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let keys = vec![redis.keys.shared("alerts"), due(redis, channel)];
    let (state, after, said) = outcome.parts();
    let call = Call::new(&SETTLE, keys)
        .with(claim.number)
        .with(channel)
        .with(claim.tries)
        .with(state.number())
        .with(after.min(EXACT / 2))
        .with(said);
    let (answer, _) = redis.call(&call, redis.deadline()).await?;
    read(answer)
}

pub(super) async fn list(
    redis: &Redis,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let key = redis.keys.shared("alert-count");
    let question = redis::cmd("GET").arg(&key).clone();
    let count: Option<u64> = read(redis.send(&key, &question, redis.deadline()).await?)?;
    // Numbers have no gaps.
    let last = before.map_or(u64::MAX, |before| before.saturating_sub(1));
    let last = last.min(count.unwrap_or(0));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let numbers: Vec<u64> = (last.saturating_sub(limit) + 1..=last).rev().collect();
    let names: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let records = fields(redis, &names).await?;
    let mut wanted = Vec::new();
    for (number, record) in numbers.iter().zip(&records) {
        if let Some(record) = record {
            let (_, channels, _) = record_of(record)?;
            let channels = channels.split(',').filter(|channel| !channel.is_empty());
            wanted.extend(channels.map(|channel| (*number, channel.to_owned())));
        }
    }
    wanted.sort_unstable();
    let names: Vec<String> = wanted
        .iter()
        .map(|(number, channel)| format!("{number}:{channel}"))
        .collect();
    let states = fields(redis, &names).await?;
    let mut found = Vec::new();
    for (number, record) in numbers.into_iter().zip(&records) {
        let Some(record) = record else { continue };
        let (at_ms, _, body) = record_of(record)?;
        let mut deliveries = Vec::new();
        let own = wanted.iter().zip(&states);
        for ((_, channel), state) in own.filter(|((of, _), _)| *of == number) {
            deliveries.extend(
                state
                    .as_deref()
                    .map(|state| delivery(channel, state))
                    .transpose()?,
            );
        }
        found.extend(parse(body).map(|alert| Stored {
            number,
            at_ms,
            alert,
            deliveries,
        }));
    }
    Ok(found)
}

pub(super) async fn lead(redis: &Redis, who: u64, lease: Duration) -> Result<bool, StoreError> {
    let call = Call::new(&LEAD, vec![redis.keys.shared("alert-leader")]);
    let call = call.with(format!("{who:016x}")).with(ms(lease).max(1));
    let (answer, _) = redis.call(&call, redis.deadline()).await?;
    read(answer)
}

async fn fields(redis: &Redis, names: &[String]) -> Result<Vec<Option<String>>, StoreError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let key = redis.keys.shared("alerts");
    let mut question = redis::cmd("HMGET");
    question.arg(&key).arg(names);
    read(redis.send(&key, &question, redis.deadline()).await?)
}

/// When, to which channels, what: `<Unix ms> <channels, with commas> <document>`.
fn record_of(record: &str) -> Result<(u64, &str, &str), StoreError> {
    let parts = record.split_once(' ').and_then(|(at, rest)| {
        let (channels, body) = rest.split_once(' ')?;
        Some((at.parse().ok()?, channels, body))
    });
    parts.ok_or_else(|| strange("an alert"))
}

/// `<state> <tries> <what was said>`
fn delivery(channel: &str, state: &str) -> Result<Delivery, StoreError> {
    let mut parts = state.splitn(3, ' ');
    let mut number = || parts.next().and_then(|text| text.parse::<u64>().ok());
    let (state, tries) = number().zip(number()).ok_or_else(|| strange("an alert"))?;
    Ok(Delivery {
        channel: channel.to_owned(),
        state: State::read(state),
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        said: parts.next().unwrap_or_default().to_owned(),
    })
}
