use super::*;
use crate::events::EventIds;

/// A final, successful attempt.
pub(crate) fn sample<'a>(ids: &EventIds, request: &'a str) -> UsageEvent<'a> {
    Event {
        at_ms: 1_767_225_599_999,
        request: Request {
            account: "default",
            access_key: "app",
            id: request,
            surface: "openai/chat-completions",
        },
        provider_request_id: "",
        attempt: Attempt {
            id: ids.next(),
            provider: Named {
                id: "openai",
                name: "OpenAI",
            },
            model: Named {
                id: "gpt-4o",
                name: "GPT-4o",
            },
            key: Named {
                id: "openai-main",
                name: "sk-proj-ab***wxyz",
            },
            number: 1,
            flags: Flags::default()
                .with(Flag::Final, true)
                .with(Flag::Streaming, true),
            status: 200,
            outcome: "ok",
            stop_reason: "stop",
            usage: Usage::of(10, 4, 1, 7, 3),
            latency: Latency {
                to_commit_ms: Some(120),
                total_ms: 2_000,
            },
            ..Attempt::default()
        },
    }
}

#[test]
fn has_every_required_field_of_the_control_plane() {
    let json = serde_json::to_value(sample(&EventIds::new(1), "r1").shown()).unwrap();
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
    let mut event = sample(&EventIds::new(1), "r1");
    event.attempt.mark(Flag::Managed, true);
    let json = serde_json::to_value(event.shown()).unwrap();
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
