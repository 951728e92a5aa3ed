//! Causes, from public reports and against callers that write what providers say.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const ASKED: Asked<'_> = Asked {
    model: "m",
    body: br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
};

fn cause(status: u16, body: &Value, asked: Asked<'_>) -> Option<Cause> {
    ProviderError::read(body.to_string().as_bytes()).cause(status, &[], asked)
}

#[test]
fn what_was_reported_is_known() {
    let reports = include_str!("../../../tests/field/key-faults.json");
    let reports: Vec<Value> = serde_json::from_str(reports).unwrap();
    assert!(reports.len() > 10);
    for report in &reports {
        let status = report["status"].as_u64().unwrap();
        let status = u16::try_from(status).unwrap();
        let expected: Cause = serde_json::from_value(report["cause"].clone()).unwrap();
        assert!(is_told(status, &[]), "{report}");
        assert_eq!(
            cause(status, &report["body"], ASKED),
            Some(expected),
            "{report}"
        );
    }
}

#[test]
fn what_is_the_requests_own_fault_is_no_keys() {
    for (status, message, code) in [
        (
            400,
            "messages: at least one message is required",
            "invalid_request_error",
        ),
        (
            400,
            "This model's maximum context length is 8192 tokens.",
            "context_length_exceeded",
        ),
        (404, "The model `other` does not exist", "not_found"),
        (413, "Request exceeds the maximum size", "request_too_large"),
        (422, "Input should be a valid string", "unprocessable"),
        (429, "Rate limit reached for m", "rate_limit_exceeded"),
        (
            400,
            "The text says: Your credit balance is too low",
            "invalid_request_error",
        ),
        (400, "", ""),
    ] {
        let body = json!({"error": {"message": message, "type": code, "code": code}});
        assert_eq!(cause(status, &body, ASKED), None, "{status} {message}");
    }
    for text in [
        "",
        "<html>Bad Gateway</html>",
        "null",
        "[]",
        "7",
        "{\"error\":7}",
    ] {
        let told = ProviderError::read(text.as_bytes());
        assert_eq!(told.cause(400, &[], ASKED), None, "{text}");
    }
}

/// A name that a caller gives to a field stands at the beginning of what the provider says of it.
#[test]
fn what_a_caller_writes_makes_no_key_rest() {
    let words = "Your credit balance is too low to access the Anthropic API";
    let body = |message: String| json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
    let echo = body(format!("{words}: Extra inputs are not permitted"));
    assert_eq!(
        cause(400, &echo, ASKED),
        Some(Cause::Credit),
        "the provider's own"
    );
    let escaped: String = words
        .chars()
        .map(|c| format!("\\u{:04x}", c as u32))
        .collect();
    for name in [words.to_owned(), escaped, words.replace('C', "\\u0043")] {
        let sent = format!("{{\"model\":\"m\",\"{name}\":1}}");
        let asked = Asked {
            model: "m",
            body: sent.as_bytes(),
        };
        assert_eq!(cause(400, &echo, asked), None, "{sent}");
    }
    let model = "Your credit balance is too low";
    let sent = json!({ "model": model }).to_string();
    let asked = Asked {
        model,
        body: sent.as_bytes(),
    };
    let echo = body(format!("{model} is not a valid model"));
    assert_eq!(cause(400, &echo, asked), None);
}

#[test]
fn operators_say_what_their_providers_mean() {
    let rule = |rule: Value| serde_json::from_value::<ErrorRule>(rule).unwrap();
    let rules = [
        rule(json!({"statuses": [418], "code": "TEAPOT", "cause": "limit"})),
        rule(json!({"message": "Plan * does not include {model}", "cause": "model"})),
        rule(json!({"code": "insufficient_quota", "cause": "limit"})),
    ];
    assert!(is_told(418, &rules) && !is_told(418, &[]));
    for (status, error, expected) in [
        (418, json!({"code": "TEAPOT"}), Some(Cause::Limit)),
        (400, json!({"code": "TEAPOT"}), None),
        (
            400,
            json!({"message": "Plan basic-1 does not include m today"}),
            Some(Cause::Model),
        ),
        (
            400,
            json!({"message": "Plan basic-1 does not include n"}),
            None,
        ),
        (
            400,
            json!({"message": "plan basic-1 does not include m"}),
            None,
        ),
        (
            429,
            json!({"code": "insufficient_quota"}),
            Some(Cause::Limit),
        ),
    ] {
        let body = json!({ "error": error }).to_string();
        let found = ProviderError::read(body.as_bytes()).cause(status, &rules, ASKED);
        assert_eq!(found, expected, "{status} {error}");
    }
}

#[test]
fn a_prompt_that_was_flagged_is_no_keys_fault() {
    let flagged = json!({"error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged",
        "metadata": {"reasons": ["violence"], "flagged_input": "hi"}}});
    assert_eq!(cause(403, &flagged, ASKED), Some(Cause::Filter));
}

proptest! {
    /// Whatever is in an error or in a request, reading it does not panic, and a body that says all that is read is
    /// never believed.
    #[test]
    fn no_text_panics_and_no_echo_is_believed(text in "\\PC{0,60}", pattern in "[a-z*{} ]{0,12}", model in "[a-z*{}]{0,4}") {
        let told = ProviderError::read(text.as_bytes());
        let _ = told.cause(400, &[], Asked { model: &model, body: text.as_bytes() });
        if let Some(begun) = beginning(&text, &pattern, &model) {
            prop_assert!(text.starts_with(begun));
        }
        let body = json!({ "x": text }).to_string();
        let asked = Asked { model: &model, body: body.as_bytes() };
        if text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control()) {
            prop_assert!(echoes(asked, &text));
        }
    }
}
