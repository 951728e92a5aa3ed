//! The words, so that every place that refuses says the same.

mod access;
mod answer;
mod credits;
mod http;
mod idempotency;

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::{Code, GatewayError};
use crate::request::BadRequest;

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
