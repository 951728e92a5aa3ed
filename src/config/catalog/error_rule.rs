//! What a provider's errors mean, where the operator knows better than the built-in table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is at fault where a provider answers an error.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ErrorCause {
    /// The key's account has no credit left, or has reached its spending limit.
    Credit,
    /// The key is not accepted: invalid, expired, disabled, not entitled.
    Key,
    /// The key may not use this model.
    Model,
    /// The request is beyond what the key may use at a time.
    Limit,
    /// The request itself: no key is to blame, whatever the status.
    Request,
    /// What the request says was refused by a content filter.
    Filter,
}

/// Says what some errors of a provider mean. All that is given must fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// HTTP statuses, 400 to 599. Default: 400, 403, 404, 413, 422 and 429.
    #[serde(default)]
    pub statuses: Vec<u16>,
    /// A type, code, status or reason in the error, as a whole.
    #[serde(default)]
    pub code: Option<String>,
    /// How its message begins. `{model}` stands for the model's id, `*` for one word.
    #[serde(default)]
    pub message: Option<String>,
    /// What is at fault. `credit` and `key` let the key cool down for 5 minutes, `model` lets it cool down for this model,
    /// `limit` for as long as the provider asks; the next key is tried. `request` and `filter` let nothing cool down.
    pub cause: ErrorCause,
}
