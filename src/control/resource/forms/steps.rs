//! Steps of routing rules, as they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Form;
use crate::resource::newer::{Open, Rest};
use tollgate_config::types;
use tollgate_config::types::KeySelection;

/// A step of a routing rule. One of an unknown type is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// Whose keys.
    #[serde(rename = "type")]
    pub(crate) kind: Open<StepKind>,
    /// Which keys, in this order; without, all of the provider's.
    #[serde(default)]
    pub(crate) keys: Option<Vec<String>>,
    /// Which is tried first. One that is not known here is as if nothing were said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_selection: Option<Open<KeySelection>>,
    /// Shares of the sessions by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) weights: BTreeMap<String, u32>,
    /// What is not known here.
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// Whose keys a step tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepKind {
    /// The account's own.
    User,
    /// The operator's.
    #[serde(alias = "ngrok")]
    Managed,
}

impl Form<types::Step> for Step {
    fn of(yaml: &types::Step) -> Self {
        let (kind, chosen) = match yaml {
            types::Step::User(chosen) => (StepKind::User, chosen),
            types::Step::Managed(chosen) => (StepKind::Managed, chosen),
        };
        Step {
            kind: kind.into(),
            keys: chosen.keys.clone(),
            key_selection: chosen.key_selection.map(Open::Known),
            weights: chosen.weights.clone(),
            rest: Rest::default(),
        }
    }

    fn read(&self) -> Option<types::Step> {
        let selection = self.key_selection.as_ref();
        let chosen = types::StepKeys {
            keys: self.keys.clone(),
            key_selection: selection.and_then(Open::known).copied(),
            weights: self.weights.clone(),
        };
        Some(match self.kind.known()? {
            StepKind::User => types::Step::User(chosen),
            StepKind::Managed => types::Step::Managed(chosen),
        })
    }
}
