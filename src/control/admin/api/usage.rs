//! Usage events, page by page.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credits::bank_error;
use super::resource::time;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Query;
use crate::admin::operation::{Needs, Operation, Tag, get};
use crate::admin::page::{PageQuery, Paged, page};
use tollgate_base::clock;
use tollgate_ledger::KeyKind;
use tollgate_ledger::events::paging;
use tollgate_ledger::events::paging::{PageError, Position, Wanted};
use tollgate_ledger::events::stored::StoredEvent;
use tollgate_ledger::events::{Explanation, Flag, Line, dollars};

pub(super) const TAG: Tag = Tag {
    name: "AI Gateway Usage",
    description: "Usage events and aggregated usage of the acting account. Read-only.",
    one: "a usage event",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/usage", "ListAIGatewayUsage")
            .tag(&TAG)
            .summary("List AI Gateway usage events")
            .description(
                "One event per attempt, the newest first; attempts that were not the last ones of their requests only \
                 with `includeRetries`. Events are kept for `ledger.retention`. They get here within about a second \
                 of their end: later pages neither repeat nor lose events, and what ended after the first page was \
                 read is not on them. A page may have fewer events than `limit`, or none, and still lead on.",
            )
            .needs(Needs::Usage)
            .errors(&[Code::NotImplemented])
            .handler(list),
    ]
}

page! { "A page of usage events." AIGatewayUsageList { ai_gateway_usage: AIGatewayUsageEvent } }

/// One attempt of one client request.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayUsageEvent {
    /// Unique identifier for this attempt event.
    id: String,
    /// Timestamp at which the upstream attempt completed.
    #[schemars(extend("format" = "date-time"))]
    event_time: String,
    /// ID linking attempts that belong to the same client request.
    request_id: String,
    /// The AI Gateway access key that originated the request.
    access_key_id: String,
    /// AI provider canonical ID, for example `openai`.
    provider: String,
    /// Human-readable provider name.
    provider_display_name: String,
    /// Model canonical ID, for example `gpt-4o-mini`.
    model: String,
    /// Human-readable model name.
    model_display_name: String,
    /// 1-based attempt index in the retry chain.
    attempt_number: u32,
    /// True if this was the terminal attempt for the request.
    is_final_attempt: bool,
    /// HTTP status code returned by the upstream provider; 0 if it never answered.
    status_code: u16,
    /// True if the attempt timed out.
    timed_out: bool,
    /// True if this attempt was an error (timed out or HTTP 4xx/5xx).
    is_error: bool,
    /// True if the request was a streaming response.
    is_streaming: bool,
    /// Provider-reported finish reason.
    stop_reason: String,
    /// Provider-reported input tokens.
    input_tokens: u64,
    /// Provider-reported output tokens.
    output_tokens: u64,
    /// Tokens read from the provider cache.
    cache_read_tokens: u64,
    /// Reasoning tokens reported by the provider.
    reasoning_tokens: u64,
    /// Total cost in US dollars as a decimal string (5-place fractional precision).
    total_cost: String,
    /// Source of the provider credential. `managed` for the operator's keys, `user` for an account's own ones.
    key_source: &'static str,
    /// The provider key used, when `keySource` is `user`. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_id: Option<String>,
    /// Redacted display form of the provider key, when `keySource` is `user`. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_display_name: Option<String>,
    #[serde(flatten)]
    extended: Option<UsageExtension>,
}

/// What `extended=true` adds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UsageExtension {
    /// The API shape that the client called, as in `openai/chat-completions`. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    surface: Option<String>,
    /// What the client says that the request is for (`x-tollgate-tags`), if it says anything. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    /// The provider's own id of the request, if it named one. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_request_id: Option<String>,
    /// How the attempt ended, as in the metrics. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// Everything that was used, each unit once: tokens of text, audio, images and caches, searches, containers. Only
    /// with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<BTreeMap<&'static str, u64>>,
    /// What was not standard about how it was served, as in `service_tier=priority`. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    served_as: Option<String>,
    /// Whether some of it has no configured price, so that the dearest one known is charged. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed: Option<bool>,
    /// How the charge comes about: unit, quantity and rate, line by line. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<ChargeExplanation>,
    /// Tokens written to the provider cache. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    /// Whether the gateway counted the tokens because the provider reported none. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated: Option<bool>,
    /// Whether the attempt is charged at its estimate because the gateway died. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    orphaned: Option<bool>,
    /// Milliseconds to the first byte that was passed on. Only with `extended`, and absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_to_commit_ms: Option<u64>,
    /// Milliseconds to the end of the attempt. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
}

/// A charge that explains itself; amounts are US dollars, exact.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChargeExplanation {
    /// The units that were used, each at its rate; the processing fee (`fee`) last.
    lines: Vec<ChargeLine>,
    /// The sum of the lines before rounding.
    sum: String,
    /// What rounding to the nano-dollar added, or took away.
    rounding: String,
    /// What was charged, to the nano-dollar.
    total: String,
    /// What it was priced as: `standard`, or as in `service_tier=priority`.
    priced_as: String,
    /// The day from which the prices hold; empty if always.
    since: String,
    /// Where the prices come from; empty if credits do not pay the model's price.
    source: String,
    /// In words, where the sum is not all.
    notes: Vec<&'static str>,
}

/// A line of a charge.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChargeLine {
    /// What was used.
    unit: &'static str,
    /// How much of it.
    quantity: u64,
    /// US dollars for `per` of it.
    rate: String,
    /// How many the rate is for.
    per: u64,
    /// Quantity times rate.
    cost: String,
}

impl From<Explanation> for ChargeExplanation {
    fn from(explained: Explanation) -> Self {
        let line = |line: Line| ChargeLine {
            unit: line.unit,
            quantity: line.quantity,
            rate: line.rate,
            per: line.per,
            cost: line.cost,
        };
        ChargeExplanation {
            lines: explained.lines.into_iter().map(line).collect(),
            sum: explained.sum,
            rounding: explained.rounding,
            total: explained.total,
            priced_as: explained.priced_as,
            since: explained.since,
            source: explained.source,
            notes: explained.notes,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UsageQuery {
    /// Only return events with `eventTime` >= this RFC3339 timestamp.
    #[schemars(extend("format" = "date-time"))]
    start_time: String,
    /// Only return events with `eventTime` <= this RFC3339 timestamp. Defaults to now.
    #[schemars(extend("format" = "date-time"))]
    end_time: Option<String>,
    /// Filter results to a single AI Gateway access key.
    #[schemars(length(max = 200))]
    access_key_id: Option<String>,
    /// When true, include retry attempts in addition to the request-level terminal attempt. Defaults to false.
    include_retries: Option<bool>,
    /// When true, events have what Tollgate knows beyond the published fields. Defaults to false.
    extended: Option<bool>,
    /// Filter results to a single client request: all its attempts, with `includeRetries`.
    #[schemars(length(max = 200))]
    request_id: Option<String>,
    /// Filter results to a single provider, by its canonical ID.
    #[schemars(length(max = 200))]
    provider: Option<String>,
    /// Filter results to a single model, by its canonical ID.
    #[schemars(length(max = 200))]
    model: Option<String>,
    /// Filter results to a single tag, by its name and its value, as in `customer=42`.
    #[schemars(length(max = 200))]
    tag: Option<String>,
    /// Filter results to errors, or to what were none.
    is_error: Option<bool>,
    /// Cursor from a previous response's `nextPageUri`. Pass to fetch the next page.
    #[schemars(length(max = 200))]
    cursor: Option<String>,
    /// Maximum number of items to return. Defaults to 100 and may not exceed 100.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u8>,
}

/// Nanoseconds to a millisecond.
const MILLI: i128 = 1_000_000;

/// A time of the query, as nanoseconds of Unix time.
///
/// # Errors
/// 422.
pub(super) fn instant(name: &str, text: &str) -> Result<i128, ApiError> {
    let read = tollgate_base::time::instant(text);
    read.ok_or_else(|| {
        ApiError::invalid(name, "must be an RFC 3339 time, as in 2026-01-31T00:00:00Z")
    })
}

/// A window of time from the query, as nanoseconds of Unix time; without an end, until now.
///
/// # Errors
/// 422.
pub(super) fn window(start: &str, end: Option<&str>) -> Result<(i128, i128), ApiError> {
    let start = instant("startTime", start)?;
    let end = match end {
        Some(text) => Some(instant("endTime", text)?),
        None => None,
    };
    match end {
        Some(end) if end < start => {
            Err(ApiError::invalid("endTime", "must not be before startTime"))
        }
        Some(end) => Ok((start, end)),
        None => Ok((start, i128::from(clock::wall_ms()) * MILLI)),
    }
}

async fn list(
    context: Context,
    Query(query): Query<UsageQuery>,
) -> Result<AIGatewayUsageList, ApiError> {
    let bank = context.ledger()?;
    let (start, end) = window(&query.start_time, query.end_time.as_deref())?;
    let after: Option<Position> = match &query.cursor {
        Some(text) => Some(
            text.parse()
                .map_err(|_| ApiError::invalid("cursor", "must be the cursor of a nextPageUri"))?,
        ),
        None => None,
    };
    let tag = query.tag.as_deref().map(|tag| {
        tag.split_once('=').ok_or_else(|| {
            ApiError::invalid("tag", "must be a name and a value, as in customer=42")
        })
    });
    let tag = tag.transpose()?;
    let extended = query.extended == Some(true);
    let millis = |nanos: i128| u64::try_from(nanos.div_euclid(MILLI)).ok();
    // Events end at whole milliseconds, at or after the start.
    let (from_ms, to_ms) = (millis(start + MILLI - 1), millis(end));
    let page = match to_ms {
        Some(to_ms) => {
            let limit = PageQuery {
                before_id: None,
                limit: query.limit,
            }
            .limit();
            let wanted = Wanted {
                account: &context.account,
                from_ms: from_ms.unwrap_or(0),
                to_ms,
                access_key: query.access_key_id.as_deref(),
                request: query.request_id.as_deref(),
                provider: query.provider.as_deref(),
                model: query.model.as_deref(),
                tag,
                failed: query.is_error,
                retries: query.include_retries == Some(true),
                after,
                limit,
            };
            let page = paging::page(&*bank, wanted, |event| shown(event, extended)).await;
            page.map_err(page_error)?
        }
        // Nothing was used before 1970.
        None => paging::Page {
            events: Vec::new(),
            next: None,
        },
    };
    let paged = Paged {
        items: page.events,
        uri: context.here(),
        next_page_uri: page
            .next
            .map(|next| context.here_with("cursor", &next.to_string())),
    };
    Ok(paged.into())
}

/// Why events are not told.
pub(super) fn page_error(error: PageError) -> ApiError {
    match error {
        PageError::Bank(error) => bank_error(error),
        PageError::Stored(error) => ApiError::internal(error),
    }
}

fn shown(event: &StoredEvent<'_>, extended: bool) -> AIGatewayUsageEvent {
    let (request, attempt) = (&event.request, &event.attempt);
    let (key_source, user_key) = match attempt.key_kind() {
        KeyKind::User => ("user", Some(&attempt.key)),
        KeyKind::Managed => ("managed", None),
    };
    // One that was made up from the journal does not know its key.
    let user_key = user_key.filter(|key| !key.id.is_empty());
    AIGatewayUsageEvent {
        id: attempt.id.to_string(),
        event_time: time(event.at_ms),
        request_id: request.id.to_owned(),
        access_key_id: request.access_key.to_owned(),
        provider: attempt.provider.id.to_owned(),
        provider_display_name: attempt.provider.name.to_owned(),
        model: attempt.model.id.to_owned(),
        model_display_name: attempt.model.name.to_owned(),
        attempt_number: attempt.number,
        is_final_attempt: attempt.is(Flag::Final),
        status_code: attempt.status,
        timed_out: attempt.is(Flag::TimedOut),
        is_error: attempt.is(Flag::Error),
        is_streaming: attempt.is(Flag::Streaming),
        stop_reason: attempt.stop_reason.to_owned(),
        input_tokens: attempt.usage.input(),
        output_tokens: attempt.usage.output(),
        cache_read_tokens: attempt.usage.cached_read(),
        reasoning_tokens: attempt.usage.reasoning(),
        total_cost: dollars(attempt.cost.0),
        key_source,
        provider_key_id: user_key.map(|key| key.id.to_owned()),
        provider_key_display_name: user_key.map(|key| key.name.to_owned()),
        extended: extended.then(|| UsageExtension {
            surface: Some(request.surface.to_owned()),
            tags: attempt.tags.is_some().then(|| {
                let tags = attempt.tags();
                tags.map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect()
            }),
            provider_request_id: Some(event.provider_request_id)
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
            outcome: Some(attempt.outcome.to_owned()),
            units: Some(
                attempt
                    .usage
                    .units()
                    .map(|(unit, count)| (unit.name(), count))
                    .collect(),
            ),
            served_as: Some(attempt.served.to_string()),
            assumed: Some(attempt.is(Flag::Assumed)),
            charge: Some(Explanation::of(attempt).into()),
            cache_write_tokens: Some(attempt.usage.cache_write()),
            estimated: Some(attempt.is(Flag::Estimated)),
            orphaned: Some(attempt.is(Flag::Orphaned)),
            latency_to_commit_ms: attempt.latency.to_commit_ms,
            latency_ms: Some(attempt.latency.total_ms),
        }),
    }
}
