//! Limits and budgets of access keys and configurations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::money::amount;
use crate::admin::error::ApiError;
use crate::admin::patch::Patch;
use crate::resource::{Open, forms};
use tollgate_config::types::{Per, Weekday, Zone};
use tollgate_config::units::Usd;

/// What may be used over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimits {
    /// Requests in a minute, by the clock (UTC); further ones are refused with 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_000_000_000_000_000_u64))]
    requests_per_minute: Option<u64>,
    /// Tokens in a minute, by the clock (UTC), prompts and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_000_000_000_000_000_u64))]
    tokens_per_minute: Option<u64>,
    /// Requests under way at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_000_000_000_000_000_u64))]
    concurrent_requests: Option<u64>,
    /// What may be charged: at most one budget of each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    budgets: Option<Vec<Budget>>,
}

/// What may be charged in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Budget {
    /// US dollars, an exact decimal as in `20.00`.
    #[schemars(regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    usd: String,
    /// The time.
    per: Open<Per>,
    /// By whose clocks it begins: a time zone of the IANA database, as in `Europe/Berlin`. Defaults to `UTC`. With another
    /// one what was used counts from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    time_zone: Option<String>,
    /// The day that a week begins on. Defaults to `monday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    week_starts: Option<Open<Weekday>>,
}

impl RateLimits {
    /// As they are stored, in the place of the `old` ones; what is not shown of those stays. `field` is where they
    /// stand in the body.
    ///
    /// # Errors
    /// 422: two budgets for one time, a budget of nothing, or of more than one amount may be; no time zone; a week's day
    /// where there is no week.
    pub(super) fn checked(
        &self,
        field: &str,
        old: &forms::RateLimits,
    ) -> Result<forms::RateLimits, ApiError> {
        let sent = self.budgets.as_deref().unwrap_or_default();
        let budget = Budget::checked(&format!("{field}.budgets"), sent, &old.budget)?;
        Ok(forms::RateLimits {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            concurrent_requests: self.concurrent_requests,
            budget,
            rest: old.rest.clone(),
        })
    }

    /// As clients see them; `None` if nothing is limited.
    pub(super) fn shown(limits: &forms::RateLimits) -> Option<RateLimits> {
        let budgets = Budget::all_shown(&limits.budget);
        let shown = RateLimits {
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            concurrent_requests: limits.concurrent_requests,
            budgets: Some(budgets).filter(|budgets| !budgets.is_empty()),
        };
        Some(shown).filter(|shown| *shown != RateLimits::default())
    }
}

impl Budget {
    /// These as they are stored, in the place of the `old` ones; what is not shown of those stays. `field` is where they
    /// stand in the body.
    ///
    /// # Errors
    /// As [`RateLimits::checked`].
    pub(super) fn checked(
        field: &str,
        sent: &[Budget],
        old: &forms::Budgets,
    ) -> Result<forms::Budgets, ApiError> {
        let mut budgets = Vec::new();
        let mut seen = Vec::new();
        for (place, budget) in sent.iter().enumerate() {
            let at = |name: &str| format!("{field}.{place}.{name}");
            let usd: Usd = budget
                .usd
                .parse()
                .map_err(|_| ApiError::invalid(at("usd"), "must be US dollars, as in 20.00"))?;
            // As in the configuration file: what Redis counts exactly.
            amount(usd.micros().checked_mul(1_000))
                .map_err(|what| ApiError::invalid(at("usd"), what))?;
            if seen.contains(&budget.per) {
                return Err(ApiError::invalid(at("per"), "must not be there twice"));
            }
            seen.push(budget.per.clone());
            let zone = budget.time_zone.as_deref().map(str::parse::<Zone>);
            let zone = zone.transpose().map_err(|_| {
                ApiError::invalid(
                    at("timeZone"),
                    "must be an IANA time zone, as in Europe/Berlin",
                )
            })?;
            if budget.week_starts.is_some() && budget.per != Open::Known(Per::Week) {
                return Err(ApiError::invalid(at("weekStarts"), "is only for `week`"));
            }
            let per = Some(budget.per.clone());
            let same = old.list().iter().find(|old| old.per == per);
            budgets.push(forms::Budget {
                usd: Some(usd),
                time_zone: zone.map(Open::Known),
                week_starts: budget.week_starts.clone(),
                rest: same.cloned().unwrap_or_default().rest,
                per,
            });
        }
        let hidden = old.list().iter();
        budgets.extend(hidden.filter(|old| Budget::shown(old).is_none()).cloned());
        Ok(forms::Budgets::List(budgets))
    }

    /// As clients see them.
    pub(super) fn all_shown(budgets: &forms::Budgets) -> Vec<Budget> {
        budgets.list().iter().filter_map(Budget::shown).collect()
    }

    /// As clients see it; `None` if it is not one of dollars in a time.
    fn shown(budget: &forms::Budget) -> Option<Budget> {
        Some(Budget {
            usd: budget.usd?.to_string(),
            per: budget.per.clone()?,
            time_zone: budget.time_zone.as_ref().map(|zone| match zone {
                Open::Known(zone) => zone.name().to_owned(),
                Open::Newer(other) => other.as_str().unwrap_or_default().to_owned(),
            }),
            week_starts: budget.week_starts.clone(),
        })
    }
}

impl<T> Patch<T> {
    /// Applies the update to a field that has a value for "nothing".
    pub(super) fn set<U: Default + From<T>>(self, field: &mut U) {
        match self {
            Patch::Absent => {}
            Patch::Null => *field = U::default(),
            Patch::Value(value) => *field = value.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_ledger::NanoUsd;

    #[test]
    fn a_budget_is_more_than_nothing_and_can_be_counted() {
        let of = |usd: &str| {
            let limits = serde_json::json!({"budgets": [{"usd": usd, "per": "day"}]});
            let limits: RateLimits = serde_json::from_value(limits).unwrap();
            limits.checked("limits", &Default::default()).is_ok()
        };
        assert!(of("0.000001") && of("9000000"));
        assert!(!of("0") && !of("9000000.000001") && !of("999999999"));
    }

    #[test]
    fn the_most_of_a_limit_is_the_most_of_an_amount() {
        let schema = schemars::schema_for!(RateLimits).to_value();
        for limit in ["requestsPerMinute", "tokensPerMinute", "concurrentRequests"] {
            let most = schema["properties"][limit]["maximum"].as_i64();
            assert_eq!(most, Some(NanoUsd::MOST.0), "{limit}");
        }
    }
}
