//! The words, so that every place that refuses says the same.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::{Code, GatewayError};
use crate::Surface;
use crate::request::BadRequest;
use crate::translate::Refusal;

/// One attempt, for the message that lists them. Never a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The model as the provider knows it.
    pub model: &'a str,
    /// What became of it in a few words, for example `429 rate limited`.
    pub outcome: &'a str,
}

impl From<BadRequest> for GatewayError {
    fn from(bad: BadRequest) -> Self {
        let error = GatewayError::new(Code::InvalidBody, bad.message);
        match bad.param {
            Some(param) => error.with_param(param),
            None => error,
        }
    }
}

impl GatewayError {
    /// 401: nothing was sent as a key.
    pub fn key_missing() -> Self {
        Self::new(
            Code::Unauthorized,
            "Incorrect API key provided: none. Send an access key as `Authorization: Bearer tg-...` or \
             `x-api-key: tg-...`.",
        )
    }

    /// 401: what was sent is malformed, unknown or deleted; it does not say which, and never echoes it.
    pub fn key_incorrect() -> Self {
        Self::new(
            Code::Unauthorized,
            "Incorrect API key provided. Send an access key of this gateway; `tollgate key new` makes one.",
        )
    }

    /// 400: there is no credential for a provider.
    pub fn provider_key_missing(provider: &str) -> Self {
        Self::new(
            Code::ProviderKeyMissing,
            format!(
                "provider key missing: there is no credential for the provider `{provider}`. Add one under \
                 `providers` in the configuration, or call another provider's model."
            ),
        )
        .with_param("model")
    }

    /// 422: the configuration does not allow the provider.
    pub fn provider_not_allowed(provider: &str, model: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "provider not allowed: this access key's configuration does not allow the provider \
                 `{provider}`, which `{model}` asks for. `GET /v1/models` lists what it may call."
            ),
        )
        .with_param("model")
    }

    /// 422: the configuration does not allow the model.
    pub fn model_not_allowed(model: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "model not allowed: this access key's configuration does not allow the model `{model}`. \
                 `GET /v1/models` lists what it may call."
            ),
        )
        .with_param("model")
    }

    /// 422: the model is not in the catalog; `nearest` are ids that come close, best first.
    pub fn model_unknown<S: Display>(model: &str, nearest: &[S]) -> Self {
        let mut message = format!("model unknown: `{model}` is not in the catalog.");
        suggest(&mut message, nearest);
        message.push_str(" A model outside the catalog is called as `provider:model`.");
        Self::new(Code::ModelUnknown, message).with_param("model")
    }

    /// 422: the model is not in the catalog, and its provider takes no others; `nearest` are ids that come close,
    /// best first.
    pub fn model_not_passed_through<S: Display>(
        model: &str,
        provider: &str,
        nearest: &[S],
    ) -> Self {
        let mut message = format!(
            "model unknown: `{model}` is not in the catalog, and `{provider}` takes no other models."
        );
        suggest(&mut message, nearest);
        Self::new(Code::ModelUnknown, message).with_param("model")
    }

    /// 422: nobody who has the model offers the API that was called.
    pub fn surface_unavailable(
        model: &str,
        provider: &str,
        called: Surface,
        offered: &[Surface],
    ) -> Self {
        let mut message = format!(
            "surface not available: `{provider}` does not offer `{called}` for `{model}`",
            called = called.name()
        );
        for (n, surface) in offered.iter().enumerate() {
            let lead = if n == 0 { "; it offers " } else { ", " };
            push(&mut message, format_args!("{lead}`{}`", surface.name()));
        }
        message.push_str(". Call the model through an API that it has.");
        Self::new(Code::SurfaceUnavailable, message).with_param("model")
    }

    /// 422: the field cannot be said in the API of any provider that has the model, and leaving it out would
    /// change what is asked for.
    pub fn not_carried(refusal: &Refusal, called: Surface) -> Self {
        Self::new(
            Code::NotCarried,
            format!(
                "{refusal}. Leave it out, or call a model that its provider offers through `{called}`.",
                called = called.name()
            ),
        )
        .with_param(refusal.field.clone())
    }

    /// 502: the only candidate could not be reached. `reason` is a few words, for example `connection refused`.
    pub fn unreachable(provider: &str, model: &str, reason: &str) -> Self {
        Self::new(
            Code::Unreachable,
            format!("The provider could not be reached: {provider} {model}: {reason}."),
        )
    }

    /// 503: all candidates failed, one line for each attempt.
    pub fn all_failed<'a>(attempts: impl IntoIterator<Item = Attempt<'a>>) -> Self {
        let mut message = String::from("All candidates failed:");
        for Attempt {
            provider,
            model,
            outcome,
        } in attempts
        {
            push(
                &mut message,
                format_args!("\n- {provider} {model}: {outcome}"),
            );
        }
        Self::new(Code::AllFailed, message)
    }

    /// 504: the total timeout passed before an answer began.
    pub fn timed_out(total: Duration) -> Self {
        Self::new(
            Code::TimedOut,
            format!(
                "No provider answered within the total timeout of {} s.",
                Seconds(total)
            ),
        )
    }

    /// 413: more prompt tokens than allowed.
    pub fn input_too_large(tokens: u64, limit: u64) -> Self {
        Self::new(
            Code::TooLarge,
            format!(
                "The prompt is too long: {tokens} tokens > {limit} maximum. `max_input_tokens` allows no more."
            ),
        )
    }

    /// 413: a longer body than allowed, in bytes.
    pub fn body_too_large(limit: u64) -> Self {
        Self::new(
            Code::TooLarge,
            format!("The request body is too large: `max_body` allows {limit} bytes."),
        )
    }

    /// 429: a limit or budget is reached; `what` names it with its figure, for example
    /// `600 requests per minute`. Without a time to try again, the request can never be served as it is.
    pub fn limit_reached(what: &str, retry_after: Option<Duration>) -> Self {
        match retry_after {
            Some(wait) => Self::new(
                Code::LimitReached,
                format!(
                    "Rate limit reached: {what}. Try again in {} s.",
                    Seconds(wait)
                ),
            )
            .with_retry_after(wait),
            None => Self::new(
                Code::LimitReached,
                format!("Limit reached: {what}. Waiting does not help; ask for a higher limit."),
            ),
        }
    }

    /// 429: the account's credits are held by requests in flight.
    pub fn credits_held(retry_after: Duration) -> Self {
        Self::new(
            Code::CreditsHeld,
            format!(
                "The account's credits are held by requests in flight. Try again in {} s.",
                Seconds(retry_after)
            ),
        )
        .with_retry_after(retry_after)
    }

    /// 503: the bank cannot be asked.
    pub fn bank_unreachable() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The gateway cannot reach its ledger, so it cannot tell whether the account has credits. Try again \
             shortly.",
        )
    }

    /// 503: the access key may be one that this replica has not read yet.
    pub fn keys_not_read() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The gateway has just started and cannot read its access keys yet. Try again shortly.",
        )
    }

    /// 503: what the access key is held to only a newer gateway understands.
    pub fn key_of_newer() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The access key is held to limits that this gateway does not understand, because a newer one has written \
             them. Try again shortly.",
        )
    }

    /// 503: the replica's journal cannot be written.
    pub fn journal_full() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The gateway cannot write its journal (is its disk full?), so it cannot promise credits. Try again shortly.",
        )
    }

    /// 403: out of credits. `estimate` is what the request may cost, `left` what the account has.
    pub fn out_of_credits(estimate: &str, left: &str) -> Self {
        Self::new(
            Code::OutOfCredits,
            format!(
                "Out of credits: this request may cost {estimate}, and the account has {left} left. Add credits to go on."
            ),
        )
    }

    /// 422: credits would pay for the model, and its price is not known.
    pub fn price_unknown(model: &str) -> Self {
        Self::new(
            Code::PriceUnknown,
            format!(
                "The price of `{model}` is not known, so credits cannot pay for it. Use a provider key of your own, or \
                 ask the operator to configure its prices."
            ),
        )
        .with_param("model")
    }

    /// 422: the configuration does not allow what the request orders besides text.
    pub fn option_not_allowed(option: &str, param: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "option not allowed: this access key's configuration does not allow `{option}`, which `{param}` orders. \
                 Leave it out, or ask the operator to list it under `access.options`."
            ),
        )
        .with_param(param)
    }

    /// 422: credits would pay for what the request orders besides text, and its price is not known.
    pub fn option_unpriced(option: &str, param: &str, model: &str) -> Self {
        Self::new(
            Code::PriceUnknown,
            format!(
                "The price of `{option}` with `{model}` is not known, so credits cannot pay for what `{param}` orders. \
                 Leave it out, use a provider key of your own, or ask the operator to configure its price."
            ),
        )
        .with_param(param)
    }

    /// 422: what the provider keeps under a key that accounts share is not known to be the caller's.
    pub fn kept_refused(param: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "`{param}` refers to what the provider keeps, or calls others, in the name of a key that other accounts \
                 share. Send the whole conversation instead, use a provider key of your own, or ask the operator to list \
                 `provider_state` under `access.options`."
            ),
        )
        .with_param(param)
    }

    /// 422: the operator pays for another route than the one whose price is known.
    pub fn route_refused(param: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "`{param}` changes the route to the model, and what it costs, with a key that the operator pays for. Leave \
                 it out, use a provider key of your own, or ask the operator to list `provider_routing` under \
                 `access.options`."
            ),
        )
        .with_param(param)
    }

    /// 422: nobody would see what an answer in the background uses.
    pub fn background_refused(param: &str) -> Self {
        Self::new(
            Code::PriceUnknown,
            format!(
                "An answer in the background goes on without its client, so that nobody sees what it uses, and credits \
                 cannot pay for it. Leave `{param}` out, use a provider key of your own, or ask the operator to list \
                 `background` under `access.options`."
            ),
        )
        .with_param(param)
    }

    /// 429: the request may cost more, beyond what it is expected to cost, than its account may be overdrawn by.
    pub fn overdraft_reached(
        worst: &str,
        left: &str,
        overdraft: &str,
        retry_after: Duration,
    ) -> Self {
        Self::new(
            Code::CreditsHeld,
            format!(
                "This request may cost up to {worst}, of which the account has {left} that no request in flight holds, \
                 and requests in flight may cost {overdraft} beyond what is held for them. Lower its token limit, try \
                 again in {} s, or ask the operator to raise `ledger.overdraft`.",
                Seconds(retry_after)
            ),
        )
        .with_retry_after(retry_after)
    }

    /// 404: an unknown path. The path is not repeated: it may carry anything.
    pub fn unknown_path() -> Self {
        Self::new(
            Code::UnknownPath,
            "Unknown path. This gateway serves /v1/chat/completions, /v1/completions, /v1/embeddings, \
             /v1/responses, /v1/messages, /v1/messages/count_tokens and /v1/models; a base URL for OpenAI SDKs \
             ends in /v1, one for Anthropic SDKs does not.",
        )
    }

    /// 404 for `GET /v1/models/{id}`: no such model, or not for this key.
    pub fn model_not_listed(model: &str) -> Self {
        Self::new(
            Code::UnknownPath,
            format!("The model `{model}` does not exist or this access key may not call it."),
        )
        .with_param("model")
    }

    /// 405: the path takes only `allowed`, as in an `Allow` header.
    pub fn method_not_allowed(allowed: &str) -> Self {
        Self::new(
            Code::MethodNotAllowed,
            format!("Method not allowed: this path takes {allowed}."),
        )
    }

    /// 426: a WebSocket upgrade.
    pub fn upgrade_required() -> Self {
        Self::new(
            Code::UpgradeRequired,
            "WebSocket is not offered here. Send `POST /v1/responses` with `\"stream\": true` instead.",
        )
    }

    /// 431: the request's head is larger than `limit` bytes.
    pub fn head_too_large(limit: u64) -> Self {
        Self::new(
            Code::HeadTooLarge,
            format!("The request's headers are too large: `max_headers` allows {limit} bytes."),
        )
    }

    /// 431: the request's head has more than `limit` lines.
    pub fn too_many_headers(limit: u64) -> Self {
        Self::new(
            Code::HeadTooLarge,
            format!("The request has too many headers: {limit} are taken."),
        )
    }

    /// 414: the request's target is longer than `limit` bytes.
    pub fn target_too_long(limit: u64) -> Self {
        Self::new(
            Code::TargetTooLong,
            format!("The request's URL is too long: it may have {limit} bytes at most."),
        )
    }

    /// 400: what was sent is not HTTP as the RFCs have it. It is of no use to send it again.
    pub fn malformed(why: &str) -> Self {
        Self::new(Code::Malformed, format!("Malformed request: {why}."))
    }

    /// 415: the body's content encoding is not understood.
    pub fn unsupported_encoding() -> Self {
        Self::new(
            Code::UnsupportedEncoding,
            "The request body's Content-Encoding is not supported. Send the body as plain JSON.",
        )
    }

    /// 408: the client was too slow.
    pub fn request_timeout() -> Self {
        Self::new(
            Code::RequestTimeout,
            "The request did not arrive in time. Send it again.",
        )
    }

    /// 503: too many requests under way.
    pub fn overloaded() -> Self {
        Self::new(
            Code::Overloaded,
            "The gateway is overloaded: as much is under way as it takes at once, or as is your account's share of it. \
             Try again shortly.",
        )
        .with_retry_after(Duration::from_secs(1))
    }

    /// 503: shutting down.
    pub fn shutting_down() -> Self {
        Self::new(
            Code::ShuttingDown,
            "The gateway is shutting down. Try again.",
        )
        .with_retry_after(Duration::from_secs(1))
    }

    /// The provider's answer broke off after it had begun.
    pub fn stream_broken(provider: &str) -> Self {
        Self::new(
            Code::StreamBroken,
            format!("The answer is incomplete: the stream from `{provider}` broke off. Try again."),
        )
    }

    /// The provider fell silent after its answer had begun.
    pub fn stream_idle(provider: &str, idle: Duration) -> Self {
        Self::new(
            Code::StreamIdle,
            format!(
                "The answer is incomplete: `{provider}` was silent for {} s. Try again.",
                Seconds(idle)
            ),
        )
    }

    /// 500: the gateway's own fault; the details are in its log.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "The gateway made an error. Its log has the details under this request's x-request-id.",
        )
    }
}

/// "Did you mean …?", if anything comes close.
fn suggest<S: Display>(message: &mut String, nearest: &[S]) {
    for (n, id) in nearest.iter().enumerate() {
        let lead = if n == 0 { " Did you mean " } else { ", " };
        push(message, format_args!("{lead}`{id}`"));
    }
    if !nearest.is_empty() {
        message.push('?');
    }
}

/// Appends to a text, which cannot fail.
fn push(text: &mut String, args: std::fmt::Arguments<'_>) {
    if text.write_fmt(args).is_err() {
        // Writing into a `String` never fails; a `Display` that does is left out.
    }
}

/// Seconds with up to three decimals, and none that say nothing.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}", self.0.as_secs()),
            ms => write!(
                f,
                "{}.{}",
                self.0.as_secs(),
                format!("{ms:03}").trim_end_matches('0')
            ),
        }
    }
}
