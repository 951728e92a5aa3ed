//! What holds for an account's requests, as it is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Meta, Open, Rest, is_default};
use tollgate_config::Config;
use tollgate_config::access::least;

/// An account's gateway configuration; its id is the account's. What is absent is as the YAML says for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// From the request to the commit, over all attempts (ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_timeout: Option<u64>,
    /// From the start of an attempt to its commit (ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request_timeout: Option<u64>,
    /// The longest prompt that is not refused (tokens).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) max_input_tokens: Open<Cap>,
    /// The longest answer: requests' own limits are lowered to it (tokens).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) max_output_tokens: Open<Cap>,
    /// What the operator has set for the account, in the place of what the YAML says for all. The account's own
    /// settings stay inside it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) operator: OperatorSettings,
}

/// What the operator has set for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatorSettings {
    /// From the request to the commit, over all attempts (ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total_timeout: Option<u64>,
    /// From the start of an attempt to its commit (ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) per_request_timeout: Option<u64>,
    /// The longest prompt that is not refused (tokens).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_input_tokens: Option<u64>,
    /// The longest answer: requests' own limits are lowered to it (tokens).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_output_tokens: Option<u64>,
    /// What is not known here.
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// What holds for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// From the request to the commit, over all attempts.
    pub(crate) total: Duration,
    /// From the start of an attempt to its commit.
    pub(crate) per_request: Duration,
    /// The longest prompt that is not refused (tokens); `None`: any.
    pub(crate) max_input_tokens: Option<u64>,
    /// The longest answer (tokens); `None`: as the model's.
    pub(crate) max_output_tokens: Option<u64>,
}

impl Settings {
    /// What the operator has set, for this account or else for all.
    pub(crate) fn bounds(&self, config: &Config) -> Held {
        let own = &self.operator;
        let time = |own: Option<u64>, common| own.map_or(common, Duration::from_millis);
        Held {
            total: time(own.total_timeout, config.timeouts.total),
            per_request: time(own.per_request_timeout, config.timeouts.per_request),
            max_input_tokens: own.max_input_tokens.or(config.limits.max_input_tokens),
            max_output_tokens: own.max_output_tokens.or(config.limits.max_output_tokens),
        }
    }

    /// What holds: the account's own settings, as far as they are inside the operator's.
    pub(crate) fn held(&self, config: &Config) -> Held {
        let bounds = self.bounds(config);
        let time = |own: Option<u64>, bound: Duration| {
            own.map_or(bound, |own| Duration::from_millis(own).min(bound))
        };
        Held {
            total: time(self.total_timeout, bounds.total),
            per_request: time(self.per_request_timeout, bounds.per_request),
            max_input_tokens: self.max_input_tokens.within(bounds.max_input_tokens),
            max_output_tokens: self.max_output_tokens.within(bounds.max_output_tokens),
        }
    }

    /// Whether this gateway knows its limits. If not, it must not serve: an unknown limit would be none.
    pub(super) fn are_understood(&self) -> bool {
        let all = [&self.max_input_tokens, &self.max_output_tokens];
        let own = all.into_iter().all(|cap| match cap {
            Open::Known(Cap::Tokens { rest, .. }) => rest.is_silent(),
            Open::Known(Cap::Default | Cap::Cleared) => true,
            Open::Newer(_) => false,
        });
        own && self.operator.rest.is_silent()
    }
}

/// A limit that an account may have of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Cap {
    /// As the operator says.
    #[default]
    Default,
    /// As the operator says, once its own was cleared. Earlier versions took that for no limit.
    Cleared,
    /// This many.
    #[serde(untagged)]
    Tokens {
        /// How many.
        tokens: u64,
        /// What is not known here.
        #[serde(flatten)]
        rest: Rest,
    },
}

impl From<u64> for Cap {
    fn from(tokens: u64) -> Cap {
        let rest = Rest::default();
        Cap::Tokens { tokens, rest }
    }
}

impl Open<Cap> {
    /// The limit that holds inside the operator's: 0, if it is not known here.
    fn within(&self, bound: Option<u64>) -> Option<u64> {
        match self {
            Open::Known(Cap::Default | Cap::Cleared) => bound,
            Open::Known(Cap::Tokens { tokens, .. }) => least(Some(*tokens), bound),
            Open::Newer(_) => Some(0),
        }
    }
}
