//! One attempt, as the usage list tells it.
//!
//! The JSON form has the fields of the control plane's `AIGatewayUsageEvent`, in `camelCase`, and
//! beyond them: account, surface, outcome, cache-write tokens, latencies, `estimated`, `orphaned`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::KeyKind;
use crate::cost::Sheet;
use crate::journal::{Attempt, flag};
use tollgate_base::Timestamp;
use tollgate_wire::Surface;
use tollgate_wire::report::{Context, Usage};

/// One attempt of one client request.
#[derive(Clone, Debug)]
pub struct UsageEvent {
    /// Unique among all events; from [`EventIds`].
    pub id: EventId,
    /// When the attempt was over.
    pub event_time: Timestamp,
    /// Shared by the attempts of one client request; may be the client's own, so not unique.
    pub request_id: Arc<str>,
    /// Whose request it was: the access key's id, never its token.
    pub access_key_id: Arc<str>,
    /// Who owns the access key.
    pub account: Arc<str>,
    /// The API shape that the client called.
    pub surface: Surface,
    /// The provider's id.
    pub provider: Arc<str>,
    /// The provider's name, for people.
    pub provider_display_name: Arc<str>,
    /// The model's id, as the provider knows it.
    pub model: Arc<str>,
    /// The model's name, for people; its id where the catalog does not know it.
    pub model_display_name: Arc<str>,
    /// Whether the catalog does not know the model, whose id is then whatever the caller wrote.
    pub unlisted: bool,
    /// The attempt's place in its request, from 1.
    pub attempt_number: u32,
    /// Whether the request ended with this attempt.
    pub is_final_attempt: bool,
    /// The provider's HTTP status; 0 if it never answered one.
    pub status_code: u16,
    /// How the attempt ended, as a label from a fixed set, the same as in metrics.
    pub outcome: Cow<'static, str>,
    /// Whether a deadline ended it.
    pub timed_out: bool,
    /// Whether it failed: timed out, never answered, or answered 4xx or 5xx.
    pub is_error: bool,
    /// Whether the client asked for a stream.
    pub is_streaming: bool,
    /// The provider's finish reason; empty if it gave none.
    pub stop_reason: String,
    /// The provider's own id of the request; empty if it named none, and where the event was made up from a journal.
    pub provider_request_id: Arc<str>,
    /// What was used, as reported or counted.
    pub tokens: Usage,
    /// What was not standard about how it was served.
    pub served: Context,
    /// Whether `tokens` is our own count because the provider reported none.
    pub estimated: bool,
    /// Whether the process died before the attempt settled, so that it is charged at its estimate.
    pub orphaned: bool,
    /// Nano-dollars (10⁻⁹ USD) charged for the attempt; 0 where nothing is charged.
    pub total_cost: i64,
    /// The rates that it was charged at; `None` where nothing is charged, or what was held was.
    pub sheet: Option<Arc<Sheet>>,
    /// Whether some of what was served has no price, so that the dearest known was taken.
    pub assumed: bool,
    /// Whether it is charged what was held, because that is more than what is known of its use.
    pub held: bool,
    /// Who pays the provider.
    pub key_source: KeyKind,
    /// The provider key's id.
    pub provider_key_id: Arc<str>,
    /// The provider key, redacted.
    pub provider_key_display_name: Arc<str>,
    /// From the start of the attempt to its commit; `None` if it never committed.
    pub latency_to_commit: Option<Duration>,
    /// From the start of the attempt to its end.
    pub latency: Duration,
}

impl UsageEvent {
    /// When the attempt was over (Unix time, ms).
    pub fn at_ms(&self) -> u64 {
        let since = self.event_time.0.duration_since(UNIX_EPOCH);
        millis(since.unwrap_or_default())
    }

    /// As a journal keeps it.
    pub(crate) fn journalled(&self) -> Attempt<&str, &Sheet> {
        let flags = [
            (flag::TIMED_OUT, self.timed_out),
            (flag::ERROR, self.is_error),
            (flag::STREAMING, self.is_streaming),
            (flag::ESTIMATED, self.estimated),
            (flag::ASSUMED, self.assumed),
            (flag::HELD, self.held),
            (flag::MANAGED, self.key_source == KeyKind::Managed),
            (flag::FINAL, self.is_final_attempt),
            (flag::UNLISTED, self.unlisted),
        ];
        Attempt {
            id: self.id.parts(),
            provider: (&self.provider, &self.provider_display_name),
            model: (&self.model, &self.model_display_name),
            key: (&self.provider_key_id, &self.provider_key_display_name),
            number: self.attempt_number,
            flags: flags
                .into_iter()
                .filter(|(_, set)| *set)
                .map(|(bit, _)| bit)
                .sum(),
            status: self.status_code,
            outcome: &self.outcome,
            stop_reason: &self.stop_reason,
            usage: self.tokens,
            served: self.served.clone(),
            cost: self.total_cost,
            sheet: self.sheet.as_deref(),
            latency_ms: (self.latency_to_commit.map(millis), millis(self.latency)),
        }
    }

    /// What a journal kept, with what the request's hold says.
    pub(crate) fn replayed(
        attempt: Attempt<String, Arc<Sheet>>,
        at_ms: u64,
        account: Arc<str>,
        access_key: Arc<str>,
        request_id: Arc<str>,
        surface: Surface,
    ) -> UsageEvent {
        let is = |bit: u16| attempt.flags & bit != 0;
        UsageEvent {
            id: EventId::made_up(attempt.id.0, attempt.id.1),
            event_time: Timestamp(UNIX_EPOCH + Duration::from_millis(at_ms)),
            request_id,
            access_key_id: access_key,
            account,
            surface,
            unlisted: is(flag::UNLISTED),
            attempt_number: attempt.number,
            is_final_attempt: is(flag::FINAL),
            status_code: attempt.status,
            timed_out: is(flag::TIMED_OUT),
            is_error: is(flag::ERROR),
            is_streaming: is(flag::STREAMING),
            tokens: attempt.usage,
            estimated: is(flag::ESTIMATED),
            orphaned: false,
            total_cost: attempt.cost,
            assumed: is(flag::ASSUMED),
            held: is(flag::HELD),
            key_source: if is(flag::MANAGED) {
                KeyKind::Managed
            } else {
                KeyKind::User
            },
            provider: attempt.provider.0.into(),
            provider_display_name: attempt.provider.1.into(),
            model: attempt.model.0.into(),
            model_display_name: attempt.model.1.into(),
            outcome: attempt.outcome.into(),
            stop_reason: attempt.stop_reason,
            provider_request_id: "".into(),
            served: attempt.served,
            sheet: attempt.sheet,
            provider_key_id: attempt.key.0.into(),
            provider_key_display_name: attempt.key.1.into(),
            latency_to_commit: attempt.latency_ms.0.map(Duration::from_millis),
            latency: Duration::from_millis(attempt.latency_ms.1),
        }
    }
}

/// The JSON form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire<'a> {
    pub id: EventId,
    pub event_time: Timestamp,
    pub request_id: &'a str,
    pub access_key_id: &'a str,
    pub account: &'a str,
    pub surface: &'a str,
    pub provider: &'a str,
    pub provider_display_name: &'a str,
    pub model: &'a str,
    pub model_display_name: &'a str,
    pub attempt_number: u32,
    pub is_final_attempt: bool,
    pub status_code: u16,
    pub outcome: &'a str,
    pub timed_out: bool,
    pub is_error: bool,
    pub is_streaming: bool,
    pub stop_reason: &'a str,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    pub total_cost: String,
    pub key_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_key_display_name: Option<&'a str>,
    pub estimated: bool,
    pub orphaned: bool,
    pub latency_to_commit_ms: Option<u64>,
    pub latency_ms: u64,
    /// Everything that was used, each unit once.
    pub units: Units,
    /// How it was served, as far as its price depends on it.
    pub served: &'a Context,
    pub assumed: bool,
    pub held: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub provider_request_id: &'a str,
}

/// Units and quantities by name.
pub(super) struct Units(pub Usage);

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .units()
                .map(|(unit, quantity)| (unit.name(), quantity)),
        )
    }
}

/// Whole milliseconds, saturating.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Nano-dollars as a decimal string with five places, rounded half away from zero.
pub fn dollars(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let units = (nanos.unsigned_abs() + 5_000) / 10_000;
    let sign = if units == 0 { "" } else { sign };
    format!("{sign}{}.{:05}", units / 100_000, units % 100_000)
}

/// Identifies one event: who made it, and which of theirs it is. Prints as `evt_` and 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    origin: u64,
    sequence: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{:016x}{:016x}", self.origin, self.sequence)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl EventId {
    /// The id of an event that is made up again from a journal: the same each time.
    pub fn made_up(origin: u64, sequence: u64) -> EventId {
        EventId { origin, sequence }
    }

    /// The id of an event that a hold alone tells of: the same each time.
    pub(crate) fn of_hold(replica: u64, epoch: u64, hold: u64) -> EventId {
        EventId::made_up(replica.rotate_left(32) ^ epoch, hold)
    }

    /// Who made it, and which of theirs it is.
    pub(crate) fn parts(self) -> (u64, u64) {
        (self.origin, self.sequence)
    }
}

/// Hands out event ids that no other process hands out.
#[derive(Debug)]
pub struct EventIds {
    origin: u64,
    next: AtomicU64,
}

impl EventIds {
    /// Ids of one process; `origin` must be random, drawn anew at each start.
    pub fn new(origin: u64) -> Self {
        EventIds {
            origin,
            next: AtomicU64::new(0),
        }
    }

    /// An id that was not handed out before.
    pub fn next(&self) -> EventId {
        EventId {
            origin: self.origin,
            sequence: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A final, successful attempt.
    pub(crate) fn sample(ids: &EventIds, request: &str) -> UsageEvent {
        UsageEvent {
            id: ids.next(),
            event_time: Timestamp(UNIX_EPOCH + Duration::from_millis(1_767_225_599_999)),
            request_id: request.into(),
            access_key_id: "app".into(),
            account: "default".into(),
            surface: Surface::ChatCompletions,
            provider: "openai".into(),
            provider_display_name: "OpenAI".into(),
            model: "gpt-4o".into(),
            model_display_name: "GPT-4o".into(),
            unlisted: false,
            attempt_number: 1,
            is_final_attempt: true,
            status_code: 200,
            outcome: "ok".into(),
            timed_out: false,
            is_error: false,
            is_streaming: true,
            stop_reason: "stop".to_owned(),
            provider_request_id: "".into(),
            tokens: Usage::of(10, 4, 1, 7, 3),
            served: Context::STANDARD,
            estimated: false,
            orphaned: false,
            total_cost: 0,
            sheet: None,
            assumed: false,
            held: false,
            key_source: KeyKind::User,
            provider_key_id: "openai-main".into(),
            provider_key_display_name: "sk-proj-ab***wxyz".into(),
            latency_to_commit: Some(Duration::from_micros(120_900)),
            latency: Duration::from_secs(2),
        }
    }

    #[test]
    fn has_every_required_field_of_the_control_plane() {
        let json = serde_json::to_value(sample(&EventIds::new(1), "r1")).unwrap();
        for field in [
            "id",
            "eventTime",
            "requestId",
            "accessKeyId",
            "provider",
            "providerDisplayName",
            "model",
            "modelDisplayName",
            "attemptNumber",
            "isFinalAttempt",
            "statusCode",
            "timedOut",
            "isError",
            "isStreaming",
            "stopReason",
            "inputTokens",
            "outputTokens",
            "cacheReadTokens",
            "reasoningTokens",
            "totalCost",
            "keySource",
        ] {
            assert!(
                json.get(field).is_some_and(|v| !v.is_null()),
                "{field} must be there: {json}"
            );
        }
        assert_eq!(json["eventTime"], "2025-12-31T23:59:59.999Z");
        assert_eq!(json["latencyToCommitMs"], 120, "whole milliseconds");
        assert_eq!(json["providerKeyId"], "openai-main");
    }

    #[test]
    fn a_managed_key_is_not_named() {
        let event = UsageEvent {
            key_source: KeyKind::Managed,
            ..sample(&EventIds::new(1), "r1")
        };
        let json = serde_json::to_value(event).unwrap();
        assert_eq!(json["keySource"], "managed");
        assert!(json.get("providerKeyId").is_none(), "{json}");
        assert!(json.get("providerKeyDisplayName").is_none(), "{json}");
    }

    #[test]
    fn money_has_five_places() {
        for (nanos, expected) in [
            (0, "0.00000"),
            (4_999, "0.00000"),
            (5_000, "0.00001"),
            (1_234_567_890, "1.23457"),
            (-4_999, "0.00000"),
            (-1_000_000_000, "-1.00000"),
            (i64::MIN, "-9223372036.85478"),
        ] {
            assert_eq!(dollars(nanos), expected, "{nanos} nano-dollars");
        }
    }

    #[test]
    fn ids_differ() {
        let (one, other) = (EventIds::new(1), EventIds::new(2));
        let all = [one.next(), one.next(), other.next(), other.next()].map(|id| id.to_string());
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }
}
