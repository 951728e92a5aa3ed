//! Steps of routing rules, as they are stored.

use serde::{Deserialize, Serialize};

use super::Form;
use crate::resource::newer::{Open, Rest};
use tollgate_config::types;

/// A step of a routing rule. One of an unknown type is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// Whose keys.
    #[serde(rename = "type")]
    pub(crate) kind: Open<StepKind>,
    /// Which keys, in this order; without, all of the provider's.
    #[serde(default)]
    pub(crate) keys: Option<Vec<String>>,
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
        let (kind, keys) = match yaml {
            types::Step::User { keys } => (StepKind::User, keys),
            types::Step::Managed { keys } => (StepKind::Managed, keys),
        };
        Step {
            kind: kind.into(),
            keys: keys.clone(),
            rest: Rest::default(),
        }
    }

    fn read(&self) -> Option<types::Step> {
        let keys = self.keys.clone();
        Some(match self.kind.known()? {
            StepKind::User => types::Step::User { keys },
            StepKind::Managed => types::Step::Managed { keys },
        })
    }
}
