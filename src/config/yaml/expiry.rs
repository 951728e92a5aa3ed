//! How long credits may be spent: a duration, or for ever.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::json_schema;

use super::by_text::{UnitError, by_text};
use super::units::Span;

/// How long credits may be spent: `365d`, or `never` for no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They expire after this.
    After(Span),
    /// They never expire.
    Never,
}

const EXPIRY_HELP: &str =
    "is not a time to expire after: write a duration, as in 365d or 12h, or `never`";

impl Expiry {
    /// A year, as unspent credits have unless something else is said.
    pub const DEFAULT: Expiry = Expiry::After(Span(Duration::from_secs(365 * 24 * 60 * 60)));

    /// Returns the duration; `None` is for ever.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Expiry::After(span) => Some(span.duration()),
            Expiry::Never => None,
        }
    }
}

impl FromStr for Expiry {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "never" {
            return Ok(Expiry::Never);
        }
        let span = text.parse::<Span>();
        span.map(Expiry::After)
            .map_err(|_| UnitError(format!("`{text}` {EXPIRY_HELP}")))
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expiry::After(span) => span.fmt(f),
            Expiry::Never => f.write_str("never"),
        }
    }
}

by_text!(
    Expiry,
    "a duration such as 365d, or `never`",
    json_schema!({
        "type": "string",
        "description": "A duration: `12h`, `90d`, `365d`; or `never`.",
        "pattern": "^(never|(?=[0-9])([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?)$",
        "patternErrorMessage": EXPIRY_HELP,
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_expire_after_a_while_or_never() {
        for (text, seconds) in [
            ("never", None),
            ("365d", Some(31_536_000)),
            ("1d12h", Some(129_600)),
        ] {
            let expiry: Expiry = text.parse().unwrap();
            assert_eq!(
                expiry.duration().map(|time| time.as_secs()),
                seconds,
                "{text}"
            );
            assert_eq!(expiry.to_string(), text, "it prints as it reads");
        }
        assert_eq!(Expiry::DEFAULT.to_string(), "365d");
        for text in ["", "Never", "1y", "365"] {
            let refused = text.parse::<Expiry>().expect_err(text);
            assert!(refused.to_string().contains("or `never`"), "{refused}");
        }
    }
}
