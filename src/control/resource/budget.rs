//! Budgets that access keys share, and what a key is part of.

use serde::{Deserialize, Serialize};

use super::forms::{self, Form as _};
use super::{Meta, is_default};
use tollgate_config::types;

/// What an access key may use over time. Its budget stands here because a gateway that does not know it refuses the key's
/// requests then; elsewhere it would ignore it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyLimits {
    /// The id of the budget that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shared: Option<String>,
    /// What it may use itself.
    #[serde(flatten)]
    pub(crate) own: forms::RateLimits,
}

/// What access keys may use together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBudget {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// The id of the budget that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What may be used over time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) limits: forms::RateLimits,
}

impl SharedBudget {
    /// One that the configuration files declare.
    pub(crate) fn declared(meta: Meta, budget: &types::SharedBudget) -> SharedBudget {
        SharedBudget {
            meta,
            parent: budget.parent.clone(),
            limits: forms::RateLimits::of(&budget.limits),
        }
    }
}
