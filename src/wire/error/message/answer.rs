//! Messages for callers who get no answer, or half of one.

use std::time::Duration;

use super::super::{Code, GatewayError};
use super::{Attempt, Seconds, push};

impl GatewayError {
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
}
