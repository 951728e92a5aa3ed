//! What holds for all requests of an account.

use crate::catalog::TimeoutOverrides;
use crate::yaml::Config;

/// What holds for all requests of an account, unless something more specific says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// Refuse longer prompts.
    pub max_input_tokens: Option<u64>,
    /// Lower the request's own limit.
    pub max_output_tokens: Option<u64>,
    /// Whether they say what only a newer gateway understands, so that the account's requests are refused.
    pub newer: bool,
}

impl AccountSettings {
    /// Those of an account that has none of its own.
    pub fn common(config: &Config) -> AccountSettings {
        AccountSettings {
            timeouts: TimeoutOverrides::default(),
            max_input_tokens: config.limits.max_input_tokens,
            max_output_tokens: config.limits.max_output_tokens,
            newer: false,
        }
    }
}
