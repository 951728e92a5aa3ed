//! What is counted over time, as the till counts it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::yaml::types::{Budgets, RateLimits};
use tollgate_ledger::bank::{Limit, Measure, Meter, Period, TAG};
use tollgate_wire::tags::Tags;

/// The limits that are written for `key:<id>`, `configuration:<id>` or `budget:<id>`, in the order of [`Measure`].
pub(super) fn of(subject: &str, written: &RateLimits) -> Arc<[Limit]> {
    let subject: Arc<str> = subject.into();
    let counts = [
        (Measure::RequestsPerMinute, written.requests_per_minute),
        (Measure::TokensPerMinute, written.tokens_per_minute),
        (Measure::ConcurrentRequests, written.concurrent_requests),
    ];
    let counts = counts
        .into_iter()
        .filter_map(|(measure, most)| Some((measure, most?)));
    let budgets = written.budget.list().iter().filter_map(|budget| {
        let (zone, starts) = (budget.time_zone, budget.week_starts);
        let period = Period::new(
            budget.per?,
            zone.unwrap_or_default(),
            starts.unwrap_or_default(),
        );
        Some((
            Measure::Budget(period),
            budget.usd?.micros().saturating_mul(1_000),
        ))
    });
    let mut limits: Vec<Limit> = counts
        .chain(budgets)
        .map(|(measure, most)| {
            let subject = subject.clone();
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            Limit::new(Meter { subject, measure }, most)
        })
        .collect();
    limits.sort_by_key(|limit| limit.meter.measure);
    limits.into()
}

/// The limits of an access key; most have none.
pub(super) fn of_key(id: &str, written: &RateLimits) -> Arc<[Limit]> {
    if *written == RateLimits::default() {
        Arc::default()
    } else {
        of(&format!("key:{id}"), written)
    }
}

/// The limits of each value of a configuration's tags, by the tag's name; each subject is to end in the value.
pub(super) fn of_tags(
    configuration: &str,
    written: &BTreeMap<String, Budgets>,
) -> Vec<(Arc<str>, Arc<[Limit]>)> {
    let each = written.iter().map(|(name, budgets)| {
        let budgets = RateLimits {
            budget: budgets.clone(),
            ..RateLimits::default()
        };
        let subject = format!("{TAG}{configuration}:{name}=");
        (name.as_str().into(), of(&subject, &budgets))
    });
    each.collect()
}

/// The limits that these tags have by their values.
pub(super) fn of_values(each: &[(Arc<str>, Arc<[Limit]>)], tags: &Tags) -> Arc<[Limit]> {
    let mut all = Vec::new();
    for (name, limits) in each {
        let (Some(value), Some(first)) = (tags.get(name), limits.first()) else {
            continue;
        };
        let subject: Arc<str> = format!("{}{value}", first.meter.subject).into();
        all.extend(limits.iter().map(|limit| {
            let (subject, measure) = (subject.clone(), limit.meter.measure);
            Limit::new(Meter { subject, measure }, limit.most)
        }));
    }
    all.into()
}

/// Two lists as one; the same allocation if one of them is empty.
pub(super) fn together(first: &Arc<[Limit]>, second: &Arc<[Limit]>) -> Arc<[Limit]> {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first.clone(),
        (true, false) => second.clone(),
        (false, false) => first.iter().chain(&**second).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_becomes_meters_with_units() {
        let written: RateLimits = crate::from_yaml(
            "{ requests_per_minute: 600, concurrent_requests: 3,
               budget: [{ usd: 20, per: total }, { usd: 0.000001, per: day },
                        { usd: 2, per: week, time_zone: europe/berlin, week_starts: sunday }] }",
        )
        .unwrap();
        let limits = of("key:app", &written);
        let shown: Vec<String> = limits
            .iter()
            .map(|limit| format!("{} {}", limit.meter, limit.most))
            .collect();
        assert_eq!(
            shown,
            [
                "key:app/requests_per_minute 600",
                "key:app/concurrent_requests 3",
                "key:app/budget_per_day 1000",
                "key:app/budget_per_week@Europe/Berlin,sunday 2000000000",
                "key:app/budget_total 20000000000",
            ]
        );
        assert!(of("key:app", &RateLimits::default()).is_empty());
    }
}
