//! What an API key of the admin API may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an API key of the admin API may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    #[default]
    Full,
    /// Read everything.
    ReadOnly,
    /// Read usage, and the balance of credits.
    UsageOnly,
}
