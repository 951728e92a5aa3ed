//! What holds for all requests of an account.

use crate::catalog::TimeoutOverrides;
use crate::yaml::Config;

/// What holds for all requests of an account, unless something more specific says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// The longest prompt that is not refused, in tokens; `None` is no limit.
    pub max_input_tokens: Option<u64>,
    /// The longest answer that a request may ask for, in tokens: its own limit is lowered to this. `None` is no limit.
    pub max_output_tokens: Option<u64>,
    /// Its share of the turns, where requests wait for quota: 1 to 1000.
    pub weight: u32,
    /// Whether the settings say what only a newer gateway understands, so that the account's requests are refused.
    pub newer: bool,
}

impl AccountSettings {
    /// Returns the settings of an account that has none of its own.
    pub fn common(config: &Config) -> AccountSettings {
        AccountSettings {
            timeouts: TimeoutOverrides::default(),
            max_input_tokens: config.limits.max_input_tokens,
            max_output_tokens: config.limits.max_output_tokens,
            weight: 1,
            newer: false,
        }
    }
}
