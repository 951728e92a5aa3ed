//! The first form of stored events, which versions up to 0.1 wrote: five figures of tokens, and no rates.

use serde::Deserialize;

use super::{StoredError, StoredEvent, index};
use crate::NanoUsd;
use crate::events::EventId;
use tollgate_wire::report::{Context, Usage};

/// Its version byte.
pub(super) const VERSION: u8 = 1;

#[derive(Deserialize)]
struct Batch<'a> {
    origins: Vec<u64>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Row<'a> {
    pub origin: u32,
    pub sequence: u64,
    pub after: u64,
    pub request_id: &'a str,
    pub access_key_id: u32,
    pub account: u32,
    pub surface: u32,
    pub provider: u32,
    pub provider_display_name: u32,
    pub model: u32,
    pub model_display_name: u32,
    pub attempt_number: u32,
    /// Final, timed out, error, streaming, estimated, orphaned: from the lowest bit on.
    pub flags: u8,
    pub status_code: u16,
    pub outcome: u32,
    pub stop_reason: u32,
    pub tokens: [u64; 5],
    pub total_cost: i64,
    pub user_key: Option<(u32, u32)>,
    pub latency_to_commit_ms: Option<u64>,
    pub latency_ms: u64,
}

/// Reads what follows the version byte.
pub(super) fn decode(rest: &[u8], from_ms: u64) -> Result<Vec<StoredEvent<'_>>, StoredError> {
    let batch: Batch<'_> =
        postcard::from_bytes(rest).map_err(|error| StoredError::Damaged(error.to_string()))?;
    let stored = batch.rows.iter().map(|row| unpack(&batch, row, from_ms));
    stored
        .collect::<Option<_>>()
        .ok_or_else(|| StoredError::Damaged("one refers to a text that is not there".to_owned()))
}

fn unpack<'a>(batch: &Batch<'a>, row: &Row<'a>, from_ms: u64) -> Option<StoredEvent<'a>> {
    let text = |place: u32| batch.texts.get(index(place)).copied();
    let flag = |bit: u8| row.flags >> bit & 1 == 1;
    let [input, read, write, output, reasoning] = row.tokens;
    let user_key = match row.user_key {
        Some((id, name)) => Some((text(id)?, text(name)?)),
        None => None,
    };
    Some(StoredEvent {
        id: EventId::made_up(*batch.origins.get(index(row.origin))?, row.sequence),
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
        provider_request_id: "",
        tokens: Usage::of(input, read, write, output, reasoning),
        served: Context::STANDARD,
        estimated: flag(4),
        orphaned: flag(5),
        total_cost: NanoUsd(row.total_cost),
        sheet: None,
        assumed: false,
        held: false,
        user_key,
        managed_key: "",
        latency_to_commit_ms: row.latency_to_commit_ms,
        latency_ms: row.latency_ms,
    })
}
