//! Claims in Redis. Those of an account are in one hash slot, and each change is one script.

use std::time::Duration;

use redis::Value;

use super::{Bounds, Claimed, SWEPT, Ticket};
use crate::StoreError;
use crate::redis::{Call, EXACT, Redis, Script, read, strange};
use tollgate_base::clock::millis;

/// What scripts begin with.
const NAMES: &str = include_str!("lua/names.lua");

crate::scripts! {
    CLAIM = "tollgate:name-claim:1", NAMES, include_str!("lua/claim.lua");
    HOLD = "tollgate:name-hold:1", NAMES, include_str!("lua/hold.lua");
    KEEP = "tollgate:name-keep:1", NAMES, include_str!("lua/keep.lua");
}

fn call(script: &'static Script, redis: &Redis, ticket: &Ticket) -> Call {
    let keys = ["names", "names-due", "names-kept", "names-size"];
    let keys = keys.map(|name| redis.keys.of(&ticket.account, name));
    Call::new(script, keys.to_vec())
        .with(SWEPT)
        .with(&ticket.name)
        .with(ticket.number())
}

fn ms(duration: Duration) -> u64 {
    millis(duration).min(EXACT / 2)
}

async fn answer(redis: &Redis, call: &Call) -> Result<Value, StoreError> {
    let (answer, _) = redis.call(call, redis.deadline()).await?;
    Ok(answer)
}

pub(super) async fn claim(
    redis: &Redis,
    ticket: &Ticket,
    lease: Duration,
) -> Result<Claimed, StoreError> {
    let call = call(&CLAIM, redis, ticket).with(&ticket.of).with(ms(lease));
    let (found, value): (String, String) = read(answer(redis, &call).await?)?;
    match &*found {
        "yes" => Ok(Claimed::Yes),
        "busy" => Ok(Claimed::Busy),
        "differs" => Ok(Claimed::Differs),
        "kept" => Ok(Claimed::Kept(value)),
        _ => Err(strange("a name")),
    }
}

pub(super) async fn hold(
    redis: &Redis,
    ticket: &Ticket,
    lease: Duration,
) -> Result<bool, StoreError> {
    let call = call(&HOLD, redis, ticket).with(ms(lease));
    read(answer(redis, &call).await?)
}

pub(super) async fn keep(
    redis: &Redis,
    ticket: &Ticket,
    value: &str,
    time: Duration,
    bounds: Bounds,
) -> Result<bool, StoreError> {
    let call = call(&KEEP, redis, ticket)
        .with(value)
        .with(ms(time))
        .with(bounds.names.min(EXACT))
        .with(bounds.bytes.min(EXACT));
    read(answer(redis, &call).await?)
}
