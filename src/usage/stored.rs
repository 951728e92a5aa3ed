//! Usage events as a bank stores them: a batch in a compact, versioned binary form.
//!
//! Invariant: what is read back serializes to the JSON of the event that was written, to the byte.
//!
//! The form: a version byte, then [`postcard`] of [`Batch`]. Names repeat within a batch, so each is written
//! once and referred to by its place; an event takes about 70 bytes, most of them its request's id and its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize, Serializer};

use super::event::{Wire, dollars, millis};
use super::{EventId, Timestamp, UsageEvent};
use crate::access::KeyKind;
use crate::ledger::bank::Events;
use crate::ledger::money::NanoUsd;
use crate::tokens::Usage;

/// The form that is written. A change of [`Batch`] needs a new one, and reading this one still.
const VERSION: u8 = 1;

/// One attempt, as [`UsageEvent`] tells it; its texts are borrowed. Serializes as that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Tokens, as reported or counted.
    pub tokens: Usage,
    /// Whether `tokens` is our own count.
    pub estimated: bool,
    /// Whether it is charged at its estimate because the process died.
    pub orphaned: bool,
    /// What was charged.
    pub total_cost: NanoUsd,
    /// Id and redacted text of the user's provider key; `None` for a managed one, which is not named.
    pub user_key: Option<(&'a str, &'a str)>,
    /// From the start of the attempt to its commit (ms); `None` if it never committed.
    pub latency_to_commit_ms: Option<u64>,
    /// From the start of the attempt to its end (ms).
    pub latency_ms: u64,
}

impl<'a> From<&'a UsageEvent> for StoredEvent<'a> {
    fn from(event: &'a UsageEvent) -> Self {
        let user_key = event.key_source == KeyKind::User;
        StoredEvent {
            id: event.id,
            at_ms: at_ms(event),
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
            outcome: event.outcome,
            timed_out: event.timed_out,
            is_error: event.is_error,
            is_streaming: event.is_streaming,
            stop_reason: &event.stop_reason,
            tokens: event.tokens,
            estimated: event.estimated,
            orphaned: event.orphaned,
            total_cost: NanoUsd(event.total_cost),
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
            input_tokens: self.tokens.input,
            output_tokens: self.tokens.output,
            cache_read_tokens: self.tokens.cached_read,
            cache_write_tokens: self.tokens.cache_write,
            reasoning_tokens: self.tokens.reasoning,
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
        }
        .serialize(serializer)
    }
}

/// Why stored events cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// By this version, at least.
    #[error(
        "usage events of form {0} were written by a newer version of Tollgate; this one reads form {VERSION}"
    )]
    Newer(u8),
    /// They are not what was written.
    #[error("stored usage events are damaged: {0}")]
    Damaged(String),
}

/// What is written after the version.
#[derive(Deserialize)]
struct Batch<'a> {
    /// Of event ids; of one process usually.
    origins: Vec<u64>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
}

/// One event; what is a text is its place in [`Batch::texts`].
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    origin: u32,
    sequence: u64,
    /// After the first event of the batch (ms).
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
    /// Final, timed out, error, streaming, estimated, orphaned: from the lowest bit on.
    flags: u8,
    status_code: u16,
    outcome: u32,
    stop_reason: u32,
    tokens: Usage,
    total_cost: i64,
    user_key: Option<(u32, u32)>,
    latency_to_commit_ms: Option<u64>,
    latency_ms: u64,
}

/// Fields that are texts with a place.
const FIELDS: usize = 11;

/// A batch being written: each event is brought into its form as it comes.
#[derive(Default)]
pub struct Writer {
    origins: Vec<u64>,
    texts: Vec<Box<str>>,
    places: HashMap<Box<str>, u32, RandomState>,
    /// The place of what each field had last: most events of a batch share most of their texts.
    last: [u32; FIELDS],
    /// The rows, one after the other.
    rows: Vec<u8>,
    count: usize,
    from_ms: u64,
    to_ms: u64,
}

impl Writer {
    /// The batch after this one, which is likely to be about as long.
    pub fn next(&self) -> Writer {
        Writer {
            rows: Vec::with_capacity(self.rows.len()),
            ..Writer::default()
        }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an event.
    pub fn push(&mut self, event: &StoredEvent<'_>) {
        if self.is_empty() {
            (self.from_ms, self.to_ms) = (event.at_ms, event.at_ms);
        } else if event.at_ms < self.from_ms {
            // The clock was set back, or it is made up late: times are told after the first.
            self.rewrite(0, event.at_ms);
        }
        self.to_ms = self.to_ms.max(event.at_ms);
        self.append(event);
    }

    /// Leaves out the oldest events.
    pub fn forget(&mut self, oldest: usize) {
        self.rewrite(oldest, u64::MAX);
    }

    /// Writes all but the first `skip` events anew; their times are told after `from_ms`, or the first of theirs.
    fn rewrite(&mut self, skip: usize, from_ms: u64) {
        let Some(written) = std::mem::take(self).finish() else {
            return;
        };
        // What was written a moment ago can be read.
        let events = decode(&written).unwrap_or_default();
        let kept = events.get(skip..).unwrap_or_default();
        self.from_ms = kept
            .iter()
            .fold(from_ms, |from, event| from.min(event.at_ms));
        for event in kept {
            self.to_ms = self.to_ms.max(event.at_ms);
            self.append(event);
        }
    }

    fn append(&mut self, event: &StoredEvent<'_>) {
        let row = self.row(event);
        // Writing to memory cannot fail; if it did, the totals are stored all the same.
        match postcard::to_extend(&row, std::mem::take(&mut self.rows)) {
            Ok(rows) => {
                self.rows = rows;
                self.count += 1;
            }
            Err(_) => *self = Writer::default(),
        }
    }

    /// The batch; `None` if there are no events.
    pub fn finish(self) -> Option<Events> {
        if self.is_empty() {
            return None;
        }
        let room = Vec::with_capacity(ROOM + self.rows.len());
        let head = (VERSION, self.origins, self.texts, self.count);
        let mut bytes = postcard::to_extend(&head, room).ok()?;
        bytes.extend_from_slice(&self.rows);
        Some(Events {
            count: u32::try_from(self.count).unwrap_or(u32::MAX),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            bytes: Bytes::from(bytes),
        })
    }

    /// The place of a field's text, the same one each time.
    fn place(&mut self, field: usize, text: &str) -> u32 {
        let last = self.last[field];
        if self
            .texts
            .get(index(last))
            .is_some_and(|last| **last == *text)
        {
            return last;
        }
        let place = self.places.get(text).copied().unwrap_or_else(|| {
            let place = place(self.texts.len());
            self.texts.push(text.into());
            self.places.insert(text.into(), place);
            place
        });
        self.last[field] = place;
        place
    }

    fn origin(&mut self, origin: u64) -> u32 {
        let known = self.origins.iter().position(|known| *known == origin);
        place(known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        }))
    }

    fn row<'a>(&mut self, event: &StoredEvent<'a>) -> Row<'a> {
        let (origin, sequence) = event.id.parts();
        let flags = [
            event.is_final_attempt,
            event.timed_out,
            event.is_error,
            event.is_streaming,
            event.estimated,
            event.orphaned,
        ];
        Row {
            origin: self.origin(origin),
            sequence,
            after: event.at_ms - self.from_ms,
            request_id: event.request_id,
            access_key_id: self.place(0, event.access_key_id),
            account: self.place(1, event.account),
            surface: self.place(2, event.surface),
            provider: self.place(3, event.provider),
            provider_display_name: self.place(4, event.provider_display_name),
            model: self.place(5, event.model),
            model_display_name: self.place(6, event.model_display_name),
            attempt_number: event.attempt_number,
            flags: (0..)
                .zip(flags)
                .fold(0, |all, (bit, flag)| all | u8::from(flag) << bit),
            status_code: event.status_code,
            outcome: self.place(7, event.outcome),
            stop_reason: self.place(8, event.stop_reason),
            tokens: event.tokens,
            total_cost: event.total_cost.0,
            user_key: event
                .user_key
                .map(|(id, name)| (self.place(9, id), self.place(10, name))),
            latency_to_commit_ms: event.latency_to_commit_ms,
            latency_ms: event.latency_ms,
        }
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// About what a batch takes beside its rows, bytes.
const ROOM: usize = 256;

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
/// [`StoredError::Newer`] if a newer version wrote it; [`StoredError::Damaged`] if nothing did.
pub fn decode(events: &Events) -> Result<Vec<StoredEvent<'_>>, StoredError> {
    let damaged = |what: &str| StoredError::Damaged(what.to_owned());
    let (version, rest) = events
        .bytes
        .split_first()
        .ok_or_else(|| damaged("they are empty"))?;
    if *version != VERSION {
        return Err(StoredError::Newer(*version));
    }
    let batch: Batch<'_> =
        postcard::from_bytes(rest).map_err(|error| StoredError::Damaged(error.to_string()))?;
    let stored = batch
        .rows
        .iter()
        .map(|row| unpack(&batch, row, events.from_ms));
    stored
        .collect::<Option<_>>()
        .ok_or_else(|| damaged("one refers to a text that is not there"))
}

fn unpack<'a>(batch: &Batch<'a>, row: &Row<'a>, from_ms: u64) -> Option<StoredEvent<'a>> {
    let text = |place: u32| {
        let text = batch.texts.get(index(place));
        text.copied()
    };
    let flag = |bit: u8| row.flags >> bit & 1 == 1;
    let origin = batch.origins.get(index(row.origin))?;
    let user_key = match row.user_key {
        Some((id, name)) => Some((text(id)?, text(name)?)),
        None => None,
    };
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
        tokens: row.tokens,
        estimated: flag(4),
        orphaned: flag(5),
        total_cost: NanoUsd(row.total_cost),
        user_key,
        latency_to_commit_ms: row.latency_to_commit_ms,
        latency_ms: row.latency_ms,
    })
}

fn at_ms(event: &UsageEvent) -> u64 {
    let since = event.event_time.0.duration_since(UNIX_EPOCH);
    millis(since.unwrap_or_default())
}

#[cfg(test)]
mod tests;
