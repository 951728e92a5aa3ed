//! What the audit log keeps of each change: who, what, before and after, without secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::resource::Open;
use tollgate_config::secrets::token;

/// Bytes of JSON of a resource that are kept as they are: an account would fill the store of all with the forms that
/// its configurations had, which no quota counts.
const WHOLE: usize = 16 * 1_024;

/// Bytes of a member of a larger one.
const MEMBER: usize = 1_024;

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditActor")]
pub struct Actor {
    /// The API key's id.
    pub id: String,
    /// Its name at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's `x-request-id`, as in the gateway's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "AuditAction")]
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

/// A resource as it is kept. Of a large one each large member is replaced by its length and its digest, so that it
/// shows whether it changed; what says who may see the entry is small.
pub(super) fn bounded(mut resource: Value) -> Value {
    if resource.to_string().len() <= WHOLE {
        return resource;
    }
    for member in resource
        .as_object_mut()
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        let text = member.to_string();
        if text.len() > MEMBER {
            *member = told(&text);
        }
    }
    let text = resource.to_string();
    if text.len() > WHOLE {
        told(&text)
    } else {
        resource
    }
}

fn told(text: &str) -> Value {
    let digest = token::to_hex(&Sha256::digest(text).into());
    json!({"bytes": text.len(), "sha256": digest})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_resource_is_bounded() {
        let small = json!({"account": "a", "spec": {"allow": vec!["x"; 100]}});
        assert_eq!(bounded(small.clone()), small);
        let of = |last: &str| {
            let mut allow = vec!["openai:gpt"; 2_000];
            allow.push(last);
            bounded(json!({"account": "a", "scope": "a", "spec": {"allow": allow}}))
        };
        let large = of("x");
        assert!(large.to_string().len() < MEMBER, "{large}");
        assert_eq!(
            (&large["account"], &large["scope"]),
            (&json!("a"), &json!("a"))
        );
        assert!(large["spec"]["bytes"].as_u64() > Some(20_000), "{large}");
        assert_eq!(
            (&large, large == of("y")),
            (&of("x"), false),
            "a change shows"
        );
        let many: serde_json::Map<String, Value> =
            (0..5_000).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(bounded(Value::Object(many)).to_string().len() < MEMBER);
    }
}
