//! What the audit log keeps of each change: who, what, before and after, without secrets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resource::Open;

/// Who changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// The API key's id.
    pub id: String,
    /// Its name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id, as in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Create,
    Update,
    Rotate,
    Delete,
    Grant,
    Clear,
    Reseal,
}

/// One change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audited {
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub(crate) action: Open<Action>,
    /// The resource's kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// What it was; null if it was not.
    #[serde(default)]
    pub before: Value,
    /// What it is; null if it is not any more.
    #[serde(default)]
    pub after: Value,
}
