//! Events of requests whose own event is not there: that were in flight when their replica died, or when what served
//! them panicked, and those that an older version had settled.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::events::{EventId, UsageEvent};
use crate::{KeyKind, NanoUsd};
use tollgate_base::Timestamp;
use tollgate_wire::Surface;
use tollgate_wire::report::{Context, Usage};

/// What a hold tells of its request.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Whose credits it uses.
    pub account: Arc<str>,
    /// Who called.
    pub access_key: Arc<str>,
    /// The request's id.
    pub request_id: Arc<str>,
    /// The API that was called.
    pub surface: Surface,
    /// The provider it was expected to go to.
    pub provider: Arc<str>,
    /// The model it was expected to go to.
    pub model: Arc<str>,
}

impl Held {
    /// An event that says no more than this; the rest is empty or zero.
    pub(super) fn event(&self, id: EventId, at_ms: u64) -> UsageEvent {
        UsageEvent {
            id,
            event_time: Timestamp(UNIX_EPOCH + Duration::from_millis(at_ms)),
            request_id: self.request_id.clone(),
            access_key_id: self.access_key.clone(),
            account: self.account.clone(),
            surface: self.surface,
            provider: self.provider.clone(),
            provider_display_name: self.provider.clone(),
            model: self.model.clone(),
            model_display_name: self.model.clone(),
            unlisted: false,
            attempt_number: 1,
            is_final_attempt: true,
            status_code: 0,
            outcome: "ok".into(),
            timed_out: false,
            is_error: false,
            is_streaming: false,
            stop_reason: String::new(),
            provider_request_id: "".into(),
            tokens: Usage::default(),
            served: Context::STANDARD,
            estimated: false,
            orphaned: false,
            total_cost: 0,
            sheet: None,
            assumed: false,
            held: false,
            key_source: KeyKind::User,
            provider_key_id: "".into(),
            provider_key_display_name: "".into(),
            latency_to_commit: None,
            latency: Duration::ZERO,
        }
    }

    /// Nothing is known of it but what was held for it, which is charged.
    pub(super) fn orphan(
        &self,
        id: EventId,
        at_ms: u64,
        prompt_tokens: u64,
        estimate: NanoUsd,
    ) -> UsageEvent {
        UsageEvent {
            outcome: "orphaned".into(),
            is_error: true,
            tokens: Usage::tokens(prompt_tokens, 0),
            estimated: true,
            orphaned: true,
            held: true,
            total_cost: estimate.0,
            ..self.event(id, at_ms)
        }
    }
}
