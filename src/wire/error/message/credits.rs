//! Messages for callers whose limits or credits do not suffice.

use std::time::Duration;

use super::super::{Code, Dialect, GatewayError, Overlong};
use super::Seconds;

impl GatewayError {
    /// 413: more prompt tokens than allowed.
    pub fn input_too_large(tokens: u64, limit: u64) -> Self {
        let overlong = Overlong::Prompt {
            tokens,
            most: limit,
        };
        let words = overlong.in_words(Dialect::Anthropic);
        let message = format!("The {words}. `max_input_tokens` allows no more.");
        GatewayError {
            overlong: Some(overlong),
            ..Self::new(Code::TooLarge, message)
        }
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

    /// 503: the bank cannot be asked.
    pub fn bank_unreachable() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The gateway cannot reach its ledger, so it cannot tell whether the account has credits. Try again \
             shortly.",
        )
    }

    /// 503: the replica's journal cannot be written.
    pub fn journal_full() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The gateway cannot write its journal (is its disk full?), so it cannot promise credits. Try again shortly.",
        )
    }
}
