//! Events of requests that a replica had settled, or had in flight, when it died: as far as its journal tells them.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::charge::Charge;
use crate::KeyKind;
use crate::events::{EventId, UsageEvent};
use tollgate_base::Timestamp;
use tollgate_wire::Surface;

/// What a journal tells of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovered<'a> {
    /// Its event's id.
    pub id: EventId,
    /// When it was settled; when it was admitted, if it never was (Unix time, ms).
    pub at_ms: u64,
    /// Whose credits it used.
    pub account: &'a Arc<str>,
    /// Who called.
    pub access_key: &'a Arc<str>,
    /// Its id.
    pub request_id: &'a str,
    /// The API that was called.
    pub surface: Surface,
    /// What it is charged.
    pub charge: &'a Charge,
}

/// The event. What the journal does not tell is empty or zero.
pub(super) fn recovered(known: &Recovered<'_>) -> UsageEvent {
    let charge = known.charge;
    UsageEvent {
        id: known.id,
        event_time: Timestamp(UNIX_EPOCH + Duration::from_millis(known.at_ms)),
        request_id: known.request_id.into(),
        access_key_id: known.access_key.clone(),
        account: known.account.clone(),
        surface: known.surface,
        provider: charge.provider.clone(),
        provider_display_name: charge.provider.clone(),
        model: charge.model.clone(),
        model_display_name: charge.model.clone(),
        attempt_number: 1,
        is_final_attempt: true,
        status_code: charge.status,
        outcome: if charge.orphaned { "orphaned" } else { "ok" },
        timed_out: false,
        is_error: charge.failed,
        is_streaming: false,
        stop_reason: String::new(),
        tokens: charge.usage,
        estimated: charge.estimated,
        orphaned: charge.orphaned,
        total_cost: charge.cost.0,
        key_source: if charge.managed {
            KeyKind::Managed
        } else {
            KeyKind::User
        },
        provider_key_id: "".into(),
        provider_key_display_name: "".into(),
        latency_to_commit: None,
        latency: Duration::ZERO,
    }
}
