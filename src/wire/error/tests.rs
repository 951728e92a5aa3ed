//! Every error in every shape.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::*;
use crate::request::BadRequest;
use crate::translate::Refusal;

/// At least one error of every code, as the gateway says it.
fn all() -> Vec<GatewayError> {
    let second = Duration::from_secs(1);
    vec![
        GatewayError::unreachable("openai", "gpt-4o", "connection refused"),
        BadRequest {
            message: "Invalid type for 'stream': expected a boolean.".into(),
            param: Some("stream"),
        }
        .into(),
        BadRequest {
            message: "We could not parse the JSON body of your request: it is empty.".into(),
            param: None,
        }
        .into(),
        GatewayError::provider_key_missing("openai"),
        GatewayError::provider_not_allowed("openai", "openai:gpt-4o"),
        GatewayError::model_not_allowed("gpt-4o"),
        GatewayError::model_unknown("gtp-4o", &["gpt-4o", "gpt-4"]),
        GatewayError::model_unknown::<&str>("zzz", &[]),
        GatewayError::surface_unavailable(
            "claude-x",
            "anthropic",
            Surface::ChatCompletions,
            &[Surface::Messages],
        ),
        GatewayError::all_failed([
            Attempt {
                provider: "openai",
                model: "gpt-4o",
                outcome: "429 rate limited",
            },
            Attempt {
                provider: "my-vllm",
                model: "llama3.2",
                outcome: "connection refused",
            },
        ]),
        GatewayError::timed_out(Duration::from_millis(120_500)),
        GatewayError::input_too_large(9000, 8192),
        GatewayError::body_too_large(33_554_432),
        GatewayError::limit_reached("600 requests per minute", Some(second * 12)),
        GatewayError::credits_held(second),
        GatewayError::bank_unreachable(),
        GatewayError::unknown_path(),
        GatewayError::model_not_listed("gpt-5"),
        GatewayError::method_not_allowed("POST"),
        GatewayError::upgrade_required(),
        GatewayError::head_too_large(65_536),
        GatewayError::unsupported_encoding(),
        GatewayError::request_timeout(),
        GatewayError::malformed("its `Host` is missing"),
        GatewayError::target_too_long(65_536),
        GatewayError::too_many_headers(256),
        GatewayError::idempotency_in_use(second * 2),
        GatewayError::idempotency_spent(),
        GatewayError::idempotency_reused(),
        GatewayError::idempotency_malformed(255),
        GatewayError::idempotency_unreachable(),
        GatewayError::overloaded(),
        GatewayError::shutting_down(),
        GatewayError::stream_broken("openai"),
        GatewayError::stream_idle("openai", second * 60),
        GatewayError::internal(),
        GatewayError::out_of_credits("$0.02", "$0.01"),
        GatewayError::price_unknown("my-model"),
        GatewayError::not_carried(
            &Refusal {
                field: "n".into(),
                why: "the provider's API gives one answer; ask again for more".into(),
            },
            Surface::ChatCompletions,
        ),
        GatewayError::key_missing(),
        GatewayError::key_incorrect(),
    ]
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn every_code_has_an_error_and_every_code_is_different() {
    let said: HashSet<Code> = all().iter().map(|error| error.code).collect();
    for code in Code::ALL {
        assert!(said.contains(&code), "{code:?} has no constructor here");
    }
    let codes: HashSet<&str> = Code::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes.len(), Code::ALL.len(), "codes are unique");
}

#[test]
fn the_documented_table() {
    let table = [
        (Code::Unreachable, "ERR_TOLLGATE_3800", 502),
        (Code::InvalidBody, "ERR_TOLLGATE_3801", 400),
        (Code::ProviderKeyMissing, "ERR_TOLLGATE_3802", 400),
        (Code::NotAllowed, "ERR_TOLLGATE_3803", 422),
        (Code::ModelUnknown, "ERR_TOLLGATE_3804", 422),
        (Code::AllFailed, "ERR_TOLLGATE_3807", 503),
        (Code::NotCarried, "ERR_TOLLGATE_3808", 422),
        (Code::TimedOut, "ERR_TOLLGATE_3810", 504),
        (Code::TooLarge, "ERR_TOLLGATE_3811", 413),
        (Code::LimitReached, "ERR_TOLLGATE_3812", 429),
        (Code::CreditsHeld, "ERR_TOLLGATE_3813", 429),
        (Code::BankUnreachable, "ERR_TOLLGATE_3814", 503),
        (Code::IdempotencyInUse, "ERR_TOLLGATE_3828", 409),
        (Code::IdempotencyReused, "ERR_TOLLGATE_3829", 422),
        (Code::OutOfCredits, "ERR_TOLLGATE_4026", 403),
        (Code::Unauthorized, "ERR_TOLLGATE_27007", 401),
    ];
    for (code, name, status) in table {
        assert_eq!((code.code(), code.status().as_u16()), (name, status));
    }
}

#[test]
fn bodies() {
    for (name, dialect) in [
        ("openai", Dialect::OpenAi),
        ("anthropic", Dialect::Anthropic),
    ] {
        let mut lines = String::new();
        for error in all() {
            let body = error.body(dialect, "req-1");
            serde_json::from_slice::<Value>(&body).expect("JSON");
            writeln!(lines, "{} {}", error.status().as_u16(), text(body)).unwrap();
        }
        insta::assert_snapshot!(format!("bodies_{name}"), lines);
    }
}

#[test]
fn events() {
    for surface in Surface::ALL {
        let mut events = String::new();
        for error in [
            GatewayError::stream_broken("openai"),
            GatewayError::all_failed([
                Attempt {
                    provider: "a",
                    model: "m",
                    outcome: "500",
                },
                Attempt {
                    provider: "b",
                    model: "m",
                    outcome: "timed out",
                },
            ]),
        ] {
            let event = text(error.stream_event(surface, "req-1", 0));
            assert!(event.ends_with("\n\n"), "a whole event");
            assert_eq!(event.matches("\n\n").count(), 1, "one event");
            assert_eq!(
                event.matches("data: ").count(),
                1,
                "one line of data, though the message has several"
            );
            events.push_str(&event);
        }
        insta::assert_snapshot!(
            format!("event_{}", surface.name().replace('/', "_")),
            events
        );
    }
}

#[test]
fn a_401_is_known_by_its_words() {
    for error in [GatewayError::key_missing(), GatewayError::key_incorrect()] {
        assert!(
            error.message.contains("Incorrect API key provided"),
            "{error}"
        );
    }
}

#[test]
fn retry_after_is_whole_seconds_and_never_zero() {
    let after = |ms| GatewayError::credits_held(Duration::from_millis(ms)).retry_after_seconds();
    assert_eq!(after(0), Some(1));
    assert_eq!(after(400), Some(1));
    assert_eq!(after(1000), Some(1));
    assert_eq!(
        after(1001),
        Some(2),
        "rounded up: too early is refused again"
    );
    assert_eq!(GatewayError::internal().retry_after_seconds(), None);
}
