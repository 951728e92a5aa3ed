//! Why credits, limits and budgets refuse a request, as its caller is told.

use std::time::{Duration, UNIX_EPOCH};

use super::context::Caller;
use tollgate_base::Timestamp;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Limit, Measure, Per, Period, TAG};
use tollgate_ledger::till::Refusal;
use tollgate_wire::GatewayError;
use tollgate_wire::error::RateLimit;

/// Returns what the caller is answered for a refusal at a time (Unix time, s).
pub fn refused(refusal: Refusal, caller: &Caller, at: u64) -> GatewayError {
    match refusal {
        Refusal::OutOfCredits { estimate, left } => {
            GatewayError::out_of_credits(&estimate.to_string(), &left.or_zero().to_string())
        }
        Refusal::Held => GatewayError::credits_held(Duration::from_secs(1)),
        Refusal::Exposed {
            worst,
            left,
            overdraft,
            ..
        } => GatewayError::overdraft_reached(
            &worst.to_string(),
            &left.or_zero().to_string(),
            &overdraft.to_string(),
            Duration::from_secs(1),
        ),
        Refusal::TooManyLimits => {
            let what = "as many values of tags in use at once as are counted";
            GatewayError::limit_reached(what, Some(Duration::from_secs(1)))
        }
        Refusal::BankAway => GatewayError::bank_unreachable(),
        Refusal::JournalFull => GatewayError::journal_full(),
        Refusal::Limit {
            limit,
            left,
            need,
            retry_after,
            reset,
        } => {
            let mut what = describe(&limit, left, need);
            let subject = &*limit.meter.subject;
            if let Some((id, budget)) = caller.snapshot.budget(subject) {
                let name = budget.and_then(|budget| budget.name.as_deref());
                what = format!("the budget `{}`, {what}", name.unwrap_or(id));
            }
            let is_of = |tag: &(&str, &str)| subject.ends_with(&format!(":{}={}", tag.0, tag.1));
            if subject.starts_with(TAG)
                && let Some((name, value)) = caller.tags.iter().find(is_of)
            {
                what = format!("the tag `{name}={value}`, {what}");
            }
            if let (Measure::Budget(_), Some(reset)) = (limit.meter.measure, reset) {
                // Budgets begin at minutes; clocks differ by less.
                let seconds = at.saturating_add(reset.as_secs()).saturating_add(30) / 60 * 60;
                if let Some(anew) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
                    what = format!("{what}; it begins anew at {}", Timestamp(anew));
                }
            }
            let error = GatewayError::limit_reached(&what, retry_after);
            match unit(limit.meter.measure) {
                Some(unit) => error.with_rate_limit(RateLimit {
                    unit,
                    limit: limit.most,
                    remaining: left,
                    reset: reset.unwrap_or_default(),
                }),
                None => error,
            }
        }
    }
}

/// As OpenAI's and Anthropic's headers name it; budgets have no such header.
fn unit(measure: Measure) -> Option<&'static str> {
    match measure {
        Measure::RequestsPerMinute | Measure::ConcurrentRequests => Some("requests"),
        Measure::TokensPerMinute => Some("tokens"),
        _ => None,
    }
}

fn describe(limit: &Limit, left: i64, need: i64) -> String {
    let most = limit.most;
    let dollars = |period: Period| {
        let window = match period.per() {
            Per::Total => "in total".to_owned(),
            per => format!("per {}", per.name()),
        };
        format!(
            "a budget of {} {window}, of which {} are left; this request may cost {}",
            NanoUsd(most),
            NanoUsd(left),
            NanoUsd(need)
        )
    };
    match limit.meter.measure {
        Measure::RequestsPerMinute => format!("{most} requests per minute"),
        Measure::TokensPerMinute => format!(
            "{most} tokens per minute, of which {left} are left; this request may use {need}"
        ),
        Measure::ConcurrentRequests => format!("{most} requests at the same time"),
        Measure::Budget(period) => dollars(period),
    }
}
