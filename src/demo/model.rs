//! The models, and which of them refuse.

use super::error::Failure;
use tollgate_wire::Dialect;

/// A model of the demo provider; the table in [`super`] says what each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Echo,
    Thinking,
    Long,
    NoUsage,
    NoDone,
    Slow,
    RateLimited,
    RateLimitedBare,
    Unauthorized,
    ContextTooLong,
    ServerError,
    Unavailable,
    OverloadedStatus,
    Silent,
    Stall,
    CutEarly,
    Cut,
    ErrorEvent,
    Overloaded,
    Malformed,
}

impl Model {
    /// Every model with its id and, for people, what it does.
    pub(super) const ALL: [(Model, &'static str, &'static str); 20] = [
        (Model::Echo, "echo", "Says what you said"),
        (Model::Thinking, "thinking", "Reasons first"),
        (Model::Long, "long", "Streams 2,000 events"),
        (Model::NoUsage, "no-usage", "Reports no usage"),
        (Model::NoDone, "no-done", "Ends without an end marker"),
        (Model::Slow, "slow", "First token after 2 s"),
        (Model::RateLimited, "429", "Rate limited, Retry-After: 1"),
        (
            Model::RateLimitedBare,
            "429-bare",
            "Rate limited, no Retry-After",
        ),
        (Model::Unauthorized, "401", "Refuses the credential"),
        (
            Model::ContextTooLong,
            "400-context",
            "Context length exceeded",
        ),
        (Model::ServerError, "500", "Server error"),
        (Model::Unavailable, "503", "Unavailable"),
        (Model::OverloadedStatus, "529", "Overloaded"),
        (Model::Silent, "silent", "Never answers"),
        (Model::Stall, "stall", "Headers, then silence"),
        (
            Model::CutEarly,
            "cut-early",
            "Drops the connection before content",
        ),
        (Model::Cut, "cut", "Drops the connection amid content"),
        (
            Model::ErrorEvent,
            "error-event",
            "An error as the first event",
        ),
        (
            Model::Overloaded,
            "overloaded",
            "An overload error before content",
        ),
        (Model::Malformed, "malformed", "A broken event amid content"),
    ];

    /// The model with this id.
    pub(super) fn of_id(id: &str) -> Option<Model> {
        Model::ALL
            .iter()
            .find(|(_, known, _)| known.eq_ignore_ascii_case(id))
            .map(|(model, _, _)| *model)
    }

    /// The refusal of a model that answers every request with an error status.
    pub(super) fn status_failure(self) -> Option<Failure> {
        Some(match self {
            Model::RateLimited => Failure::rate_limited(Some(1)),
            Model::RateLimitedBare => Failure::rate_limited(None),
            Model::Unauthorized => Failure::unauthorized(),
            Model::ContextTooLong => Failure::context_too_long(),
            Model::ServerError => Failure::server_error(500),
            Model::Unavailable => Failure::overloaded(503),
            Model::OverloadedStatus => Failure::overloaded(529),
            _ => return None,
        })
    }

    /// The error that a model sends as an event in a stream, and as a status otherwise.
    pub(super) fn event_failure(self, dialect: Dialect) -> Option<Failure> {
        Some(match (self, dialect) {
            (Model::ErrorEvent, _) => Failure::server_error(500),
            (Model::Overloaded, Dialect::Anthropic) => Failure::overloaded(529),
            (Model::Overloaded, Dialect::OpenAi) => Failure::overloaded(503),
            _ => return None,
        })
    }
}
