//! Limits and budgets of access keys and configurations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::error::ApiError;
use crate::admin::patch::Patch;
use tollgate_config::types;
use tollgate_config::units::Usd;

/// What may be used over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimits {
    /// Requests in a minute, by the clock (UTC); further ones are refused with 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    requests_per_minute: Option<u64>,
    /// Tokens in a minute, by the clock (UTC), prompts and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    tokens_per_minute: Option<u64>,
    /// Requests under way at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    concurrent_requests: Option<u64>,
    /// What may be charged: at most one budget a day, one a month and one in total.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    budgets: Option<Vec<Budget>>,
}

/// What may be charged in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Budget {
    /// US dollars, an exact decimal as in `20.00`.
    #[schemars(regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    usd: String,
    /// The time: a UTC day, a UTC month, or for ever.
    per: types::Per,
}

impl RateLimits {
    /// As the rest of the program writes them. `field` is where they stand in the body.
    ///
    /// # Errors
    /// 422: two budgets for one time, a budget of nothing.
    pub(super) fn checked(&self, field: &str) -> Result<types::RateLimits, ApiError> {
        let mut budgets = Vec::new();
        let mut seen = Vec::new();
        for (place, budget) in self.budgets.iter().flatten().enumerate() {
            let at = |name: &str| format!("{field}.budgets.{place}.{name}");
            let usd: Usd = budget
                .usd
                .parse()
                .map_err(|_| ApiError::invalid(at("usd"), "must be US dollars, as in 20.00"))?;
            if usd.micros() == 0 {
                return Err(ApiError::invalid(at("usd"), "must be more than 0"));
            }
            if seen.contains(&budget.per) {
                return Err(ApiError::invalid(at("per"), "must not be there twice"));
            }
            seen.push(budget.per);
            budgets.push(types::Budget {
                usd: Some(usd),
                per: Some(budget.per),
            });
        }
        Ok(types::RateLimits {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            concurrent_requests: self.concurrent_requests,
            budget: types::Budgets::List(budgets),
        })
    }

    /// As clients see them; `None` if nothing is limited.
    pub(super) fn shown(limits: &types::RateLimits) -> Option<RateLimits> {
        let budgets = limits.budget.list().iter().filter_map(|budget| {
            Some(Budget {
                usd: budget.usd?.to_string(),
                per: budget.per?,
            })
        });
        let budgets: Vec<Budget> = budgets.collect();
        let shown = RateLimits {
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            concurrent_requests: limits.concurrent_requests,
            budgets: Some(budgets).filter(|budgets| !budgets.is_empty()),
        };
        Some(shown).filter(|shown| *shown != RateLimits::default())
    }
}

impl<T> Patch<T> {
    /// Applies the update to a field that has a value for "nothing".
    pub(super) fn set(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Patch::Absent => {}
            Patch::Null => *field = T::default(),
            Patch::Value(value) => *field = value,
        }
    }
}
