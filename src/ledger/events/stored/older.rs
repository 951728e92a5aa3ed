//! Forms that earlier versions wrote, whose rows are written field by field. The first had five figures of tokens, and
//! no rates; the second was never released.

use std::sync::Arc;

use serde::Deserialize;

use super::{StoredError, StoredEvent, at, read};
use crate::NanoUsd;
use crate::cost::Sheet;
use crate::events::event::{Attempt, Latency, Named, Request};
use crate::events::{EventId, Flag, Flags};
use tollgate_wire::report::{Context, Usage};

/// The version byte of what 0.1 wrote.
pub(super) const FIRST: u8 = 1;

/// The version byte of the last form whose rows are not events.
pub(super) const THIRD: u8 = 3;

/// What the bits of a row's flags say, from the lowest on.
const FLAGS: [Flag; 8] = [
    Flag::Final,
    Flag::TimedOut,
    Flag::Error,
    Flag::Streaming,
    Flag::Estimated,
    Flag::Orphaned,
    Flag::Assumed,
    Flag::Held,
];

/// The bit after those, since the third form: the key is its user's.
const USER: u16 = 1 << FLAGS.len();

/// How each row begins; a text is given by its place.
#[derive(Deserialize)]
struct Start<'a> {
    /// The place of its id's first part.
    origin: u32,
    sequence: u64,
    /// When the attempt was over, counted from the earliest of the batch (ms).
    after: u64,
    request_id: &'a str,
    access_key: u32,
    account: u32,
    surface: u32,
    provider: Named<u32>,
    model: Named<u32>,
    number: u32,
    /// See [`FLAGS`]; in the first form a byte below 64, which is the same.
    flags: u16,
    status: u16,
    outcome: u32,
    stop_reason: u32,
}

#[derive(Deserialize)]
struct First<'a> {
    origins: Vec<u64>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    #[serde(borrow)]
    rows: Vec<(Start<'a>, FirstEnd)>,
}

#[derive(Deserialize)]
struct FirstEnd {
    tokens: [u64; 5],
    cost: NanoUsd,
    user_key: Option<Named<u32>>,
    latency: Latency,
}

#[derive(Deserialize)]
struct Third<'a> {
    origins: Vec<u64>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    sheets: Vec<Arc<Sheet>>,
    #[serde(borrow)]
    rows: Vec<(Start<'a>, ThirdEnd<'a>)>,
}

#[derive(Deserialize)]
struct ThirdEnd<'a> {
    usage: Usage,
    served: Context,
    cost: NanoUsd,
    sheet: Option<u32>,
    key: Named<u32>,
    latency: Latency,
    provider_request_id: &'a str,
}

/// Reads what follows the version byte [`FIRST`].
pub(super) fn first(rest: &[u8], from_ms: u64) -> Result<Vec<StoredEvent<'_>>, StoredError> {
    let batch: First<'_> = read(rest)?;
    let rows = batch.rows.iter();
    rows.map(|row| batch.unpack(row, from_ms)).collect()
}

/// Reads what follows the version byte [`THIRD`].
pub(super) fn third(rest: &[u8], from_ms: u64) -> Result<Vec<StoredEvent<'_>>, StoredError> {
    let batch: Third<'_> = read(rest)?;
    let rows = batch.rows.iter();
    rows.map(|row| batch.unpack(row, from_ms)).collect()
}

impl<'a> First<'a> {
    fn unpack(
        &self,
        (start, end): &(Start<'a>, FirstEnd),
        from_ms: u64,
    ) -> Result<StoredEvent<'a>, StoredError> {
        let mut event = start.event(&self.origins, &self.texts, from_ms)?;
        let attempt = &mut event.attempt;
        match &end.user_key {
            Some(key) => attempt.key = named(&self.texts, key)?,
            None => attempt.mark(Flag::Managed, true),
        }
        let [input, read, write, output, reasoning] = end.tokens;
        attempt.usage = Usage::of(input, read, write, output, reasoning);
        (attempt.cost, attempt.latency) = (end.cost, end.latency);
        Ok(event)
    }
}

impl<'a> Third<'a> {
    fn unpack(
        &self,
        (start, end): &(Start<'a>, ThirdEnd<'a>),
        from_ms: u64,
    ) -> Result<StoredEvent<'a>, StoredError> {
        let mut event = start.event(&self.origins, &self.texts, from_ms)?;
        event.provider_request_id = end.provider_request_id;
        let attempt = &mut event.attempt;
        attempt.mark(Flag::Managed, start.flags & USER == 0);
        attempt.key = named(&self.texts, &end.key)?;
        attempt.sheet = match end.sheet {
            Some(sheet) => Some(at(&self.sheets, sheet)?),
            None => None,
        };
        (attempt.usage, attempt.served) = (end.usage, end.served.clone());
        (attempt.cost, attempt.latency) = (end.cost, end.latency);
        Ok(event)
    }
}

fn named<'a>(texts: &[&'a str], places: &Named<u32>) -> Result<Named<&'a str>, StoredError> {
    Ok(Named {
        id: at(texts, places.id)?,
        name: at(texts, places.name)?,
    })
}

impl<'a> Start<'a> {
    /// Makes an event of what it says; the rest is empty or zero.
    fn event(
        &self,
        origins: &[u64],
        texts: &[&'a str],
        from_ms: u64,
    ) -> Result<StoredEvent<'a>, StoredError> {
        let bits = FLAGS.iter().zip(0..);
        let flags = bits.fold(Flags::default(), |flags, (flag, bit)| {
            flags.with(*flag, self.flags >> bit & 1 == 1)
        });
        Ok(StoredEvent {
            at_ms: from_ms.saturating_add(self.after),
            request: Request {
                account: at(texts, self.account)?,
                access_key: at(texts, self.access_key)?,
                id: self.request_id,
                surface: at(texts, self.surface)?,
            },
            provider_request_id: "",
            attempt: Attempt {
                id: EventId::made_up(at(origins, self.origin)?, self.sequence),
                provider: named(texts, &self.provider)?,
                model: named(texts, &self.model)?,
                number: self.number,
                flags,
                status: self.status,
                outcome: at(texts, self.outcome)?,
                stop_reason: at(texts, self.stop_reason)?,
                ..Attempt::default()
            },
        })
    }
}
