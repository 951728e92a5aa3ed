//! Usage events as a bank stores them: a batch in a compact, versioned binary form.
//!
//! Invariant: what is read back serializes to the JSON of the event that was written, to the byte.
//!
//! The form: a version byte, then [`postcard`] of `Batch`. Names and rates repeat within a batch, so each is written
//! once and referred to by its place; an event takes about 70 bytes, most of them its request's id and its own.

mod first;
mod writer;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};

pub use writer::Writer;

use super::event::{Units, Wire, dollars, millis};
use super::{EventId, UsageEvent};
use crate::KeyKind;
use crate::NanoUsd;
use crate::bank::Events;
use crate::cost::Sheet;
use tollgate_base::Timestamp;
use tollgate_wire::report::{Context, Usage};

/// The form that is written. A change of [`Batch`] or [`Row`] gets a new number, and this form is still read.
const VERSION: u8 = 3;

/// The form before: its rows lack the provider's own id of the request.
const SECOND: u8 = 2;

/// One attempt, as [`UsageEvent`] has it, with borrowed texts. Both serialize to the same JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent<'a> {
    /// Unique among all events.
    pub id: EventId,
    /// When the attempt was over (Unix time, ms).
    pub at_ms: u64,
    /// Shared by the attempts of one client request.
    pub request_id: &'a str,
    /// The access key's id.
    pub access_key_id: &'a str,
    /// Who owns the access key.
    pub account: &'a str,
    /// The name of the API shape that the client called.
    pub surface: &'a str,
    /// The provider's id.
    pub provider: &'a str,
    /// The provider's name, for people.
    pub provider_display_name: &'a str,
    /// The model's id, as the provider knows it.
    pub model: &'a str,
    /// The model's name, for people.
    pub model_display_name: &'a str,
    /// The attempt's place in its request, from 1.
    pub attempt_number: u32,
    /// Whether the request ended with this attempt.
    pub is_final_attempt: bool,
    /// The provider's HTTP status; 0 if it never answered one.
    pub status_code: u16,
    /// How the attempt ended.
    pub outcome: &'a str,
    /// Whether a deadline ended it.
    pub timed_out: bool,
    /// Whether it failed.
    pub is_error: bool,
    /// Whether the client asked for a stream.
    pub is_streaming: bool,
    /// The provider's finish reason; empty if it gave none.
    pub stop_reason: &'a str,
    /// The provider's own id of the request; empty if it is not known.
    pub provider_request_id: &'a str,
    /// What was used, as reported or counted.
    pub tokens: Usage,
    /// What was not standard about how it was served.
    pub served: Context,
    /// Whether `tokens` is our own count.
    pub estimated: bool,
    /// Whether the process died before the attempt settled, so that it is charged at its estimate.
    pub orphaned: bool,
    /// What was charged for the attempt.
    pub total_cost: NanoUsd,
    /// The rates that it was charged at; `None` if nothing or what was held is charged, or an older version kept none.
    pub sheet: Option<Arc<Sheet>>,
    /// Whether some of what was served has no price, so that the dearest known was taken.
    pub assumed: bool,
    /// Whether it is charged what was held, because that is more than what is known of its use.
    pub held: bool,
    /// Id and redacted text of the user's provider key; `None` for a managed one.
    pub user_key: Option<(&'a str, &'a str)>,
    /// The managed provider key's id, which only operators are told, so that the JSON leaves it out; empty for a user's
    /// key, and where it is not known.
    pub managed_key: &'a str,
    /// From the start of the attempt to its commit (ms); `None` if it never committed.
    pub latency_to_commit_ms: Option<u64>,
    /// From the start of the attempt to its end (ms).
    pub latency_ms: u64,
}

impl Serialize for UsageEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredEvent::from(self).serialize(serializer)
    }
}

impl<'a> From<&'a UsageEvent> for StoredEvent<'a> {
    fn from(event: &'a UsageEvent) -> Self {
        let user_key = event.key_source == KeyKind::User;
        StoredEvent {
            id: event.id,
            at_ms: event.at_ms(),
            request_id: &event.request_id,
            access_key_id: &event.access_key_id,
            account: &event.account,
            surface: event.surface.name(),
            provider: &event.provider,
            provider_display_name: &event.provider_display_name,
            model: &event.model,
            model_display_name: &event.model_display_name,
            attempt_number: event.attempt_number,
            is_final_attempt: event.is_final_attempt,
            status_code: event.status_code,
            outcome: &event.outcome,
            timed_out: event.timed_out,
            is_error: event.is_error,
            is_streaming: event.is_streaming,
            stop_reason: &event.stop_reason,
            provider_request_id: &event.provider_request_id,
            tokens: event.tokens,
            served: event.served.clone(),
            estimated: event.estimated,
            orphaned: event.orphaned,
            total_cost: NanoUsd(event.total_cost),
            sheet: event.sheet.clone(),
            assumed: event.assumed,
            held: event.held,
            managed_key: if user_key { "" } else { &event.provider_key_id },
            user_key: user_key
                .then_some((&*event.provider_key_id, &*event.provider_key_display_name)),
            latency_to_commit_ms: event.latency_to_commit.map(millis),
            latency_ms: millis(event.latency),
        }
    }
}

impl Serialize for StoredEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.at_ms));
        Wire {
            id: self.id,
            event_time: Timestamp(time.unwrap_or(UNIX_EPOCH)),
            request_id: self.request_id,
            access_key_id: self.access_key_id,
            account: self.account,
            surface: self.surface,
            provider: self.provider,
            provider_display_name: self.provider_display_name,
            model: self.model,
            model_display_name: self.model_display_name,
            attempt_number: self.attempt_number,
            is_final_attempt: self.is_final_attempt,
            status_code: self.status_code,
            outcome: self.outcome,
            timed_out: self.timed_out,
            is_error: self.is_error,
            is_streaming: self.is_streaming,
            stop_reason: self.stop_reason,
            input_tokens: self.tokens.input(),
            output_tokens: self.tokens.output(),
            cache_read_tokens: self.tokens.cached_read(),
            cache_write_tokens: self.tokens.cache_write(),
            reasoning_tokens: self.tokens.reasoning(),
            total_cost: dollars(self.total_cost.0),
            key_source: if self.user_key.is_some() {
                "user"
            } else {
                "managed"
            },
            provider_key_id: self.user_key.map(|(id, _)| id),
            provider_key_display_name: self.user_key.map(|(_, name)| name),
            estimated: self.estimated,
            orphaned: self.orphaned,
            latency_to_commit_ms: self.latency_to_commit_ms,
            latency_ms: self.latency_ms,
            units: Units(self.tokens),
            served: &self.served,
            assumed: self.assumed,
            held: self.held,
            provider_request_id: self.provider_request_id,
        }
        .serialize(serializer)
    }
}

/// Why stored events cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// A newer version wrote them.
    #[error(
        "usage events of form {0} were written by a newer version of Tollgate; this one reads form {VERSION}"
    )]
    Newer(u8),
    /// They are not what any version writes.
    #[error("stored usage events are damaged: {0}")]
    Damaged(String),
}

/// What follows the version byte. A row `R` is a [`Row`]; since form 3, with the provider's own id of the request.
#[derive(Deserialize)]
struct Batch<'a, R> {
    /// The processes that made the events' ids, usually one.
    origins: Vec<u64>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    sheets: Vec<Arc<Sheet>>,
    rows: Vec<R>,
}

/// One event. A text is told by its place in [`Batch::texts`]; only `request_id`, which rarely repeats, is written out.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    /// The place in [`Batch::origins`] of its id's first part.
    origin: u32,
    /// The second part of its id.
    sequence: u64,
    /// When the attempt was over, counted from the earliest of the batch (ms).
    after: u64,
    request_id: &'a str,
    access_key_id: u32,
    account: u32,
    surface: u32,
    provider: u32,
    provider_display_name: u32,
    model: u32,
    model_display_name: u32,
    attempt_number: u32,
    /// Final, timed out, error, streaming, estimated, orphaned, assumed, held, user: from the lowest bit on.
    flags: u16,
    status_code: u16,
    outcome: u32,
    stop_reason: u32,
    tokens: Usage,
    served: Context,
    /// Nano-dollars.
    total_cost: i64,
    /// Its place in [`Batch::sheets`].
    sheet: Option<u32>,
    /// The user's or the managed provider key's id, as the flag `user` says.
    key_id: u32,
    /// The user's provider key, redacted; an empty text for a managed one.
    key_name: u32,
    latency_to_commit_ms: Option<u64>,
    latency_ms: u64,
}

/// Writes a batch; `None` if there are no events.
pub fn encode(events: &[Arc<UsageEvent>]) -> Option<Events> {
    let mut batch = Writer::default();
    for event in events {
        batch.push(&StoredEvent::from(&**event));
    }
    batch.finish()
}

/// Reads a batch, in the order in which it was written.
///
/// # Errors
/// [`StoredError::Newer`] if a newer version wrote it; [`StoredError::Damaged`] if no version did.
pub fn decode(events: &Events) -> Result<Vec<StoredEvent<'_>>, StoredError> {
    let damaged = |what: &str| StoredError::Damaged(what.to_owned());
    let (version, rest) = events
        .bytes
        .split_first()
        .ok_or_else(|| damaged("they are empty"))?;
    match *version {
        first::VERSION => return first::decode(rest, events.from_ms),
        SECOND => {
            let batch: Batch<'_, Row<'_>> = read(rest)?;
            let rows = batch.rows.iter();
            let stored = rows.map(|row| unpack(&batch, row, "", events.from_ms));
            stored.collect::<Option<_>>()
        }
        VERSION => {
            let batch: Batch<'_, (Row<'_>, &str)> = read(rest)?;
            let rows = batch.rows.iter();
            let stored = rows.map(|(row, own_id)| unpack(&batch, row, own_id, events.from_ms));
            stored.collect()
        }
        0 => return Err(damaged("they have no version")),
        newer => return Err(StoredError::Newer(newer)),
    }
    .ok_or_else(|| damaged("one refers to something that is not there"))
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoredError> {
    postcard::from_bytes(bytes).map_err(|error| StoredError::Damaged(error.to_string()))
}

/// Makes an event of its row; `None` if the row refers to a place that the batch does not have.
fn unpack<'a, R>(
    batch: &Batch<'a, R>,
    row: &Row<'a>,
    provider_request_id: &'a str,
    from_ms: u64,
) -> Option<StoredEvent<'a>> {
    let text = |place: u32| {
        let text = batch.texts.get(index(place));
        text.copied()
    };
    let flag = |bit: u8| row.flags >> bit & 1 == 1;
    let origin = batch.origins.get(index(row.origin))?;
    let sheet = match row.sheet {
        Some(place) => Some(batch.sheets.get(index(place))?.clone()),
        None => None,
    };
    let (key_id, key_name, user) = (text(row.key_id)?, text(row.key_name)?, flag(8));
    Some(StoredEvent {
        id: EventId::made_up(*origin, row.sequence),
        at_ms: from_ms.saturating_add(row.after),
        request_id: row.request_id,
        access_key_id: text(row.access_key_id)?,
        account: text(row.account)?,
        surface: text(row.surface)?,
        provider: text(row.provider)?,
        provider_display_name: text(row.provider_display_name)?,
        model: text(row.model)?,
        model_display_name: text(row.model_display_name)?,
        attempt_number: row.attempt_number,
        is_final_attempt: flag(0),
        status_code: row.status_code,
        outcome: text(row.outcome)?,
        timed_out: flag(1),
        is_error: flag(2),
        is_streaming: flag(3),
        stop_reason: text(row.stop_reason)?,
        provider_request_id,
        tokens: row.tokens,
        served: row.served.clone(),
        estimated: flag(4),
        orphaned: flag(5),
        total_cost: NanoUsd(row.total_cost),
        sheet,
        assumed: flag(6),
        held: flag(7),
        user_key: user.then_some((key_id, key_name)),
        managed_key: if user { "" } else { key_id },
        latency_to_commit_ms: row.latency_to_commit_ms,
        latency_ms: row.latency_ms,
    })
}

/// Returns a place as an index; one that does not fit is out of any list.
fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
