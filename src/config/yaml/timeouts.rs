//! Which timeouts hold for a request.

use crate::catalog::TimeoutOverrides;
use crate::yaml::Timeouts;

/// Returns the timeouts that hold: each by itself, the most specific scope that sets it wins
/// (configuration, then model, then provider, then account, then global).
pub fn effective(
    global: &Timeouts,
    account: &TimeoutOverrides,
    provider: &TimeoutOverrides,
    model: &TimeoutOverrides,
    configuration: &TimeoutOverrides,
) -> Timeouts {
    [account, provider, model, configuration]
        .into_iter()
        .fold(*global, |wider, own| Timeouts {
            per_request: own.per_request.unwrap_or(wider.per_request),
            whole_answer: own.whole_answer.unwrap_or(wider.whole_answer),
            total: own.total.unwrap_or(wider.total),
            stream_idle: own.stream_idle.unwrap_or(wider.stream_idle),
            hold: own.hold.unwrap_or(wider.hold),
            keepalive: own.keepalive.unwrap_or(wider.keepalive),
            queue: own.queue.unwrap_or(wider.queue),
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_timeout_comes_from_the_most_specific_scope_that_sets_it() {
        let secs = |n| Some(Duration::from_secs(n));
        let account = TimeoutOverrides {
            stream_idle: secs(9),
            hold: secs(9),
            ..Default::default()
        };
        let provider = TimeoutOverrides {
            per_request: secs(1),
            total: secs(1),
            stream_idle: secs(1),
            ..Default::default()
        };
        let model = TimeoutOverrides {
            per_request: secs(2),
            total: secs(2),
            ..Default::default()
        };
        let configuration = TimeoutOverrides {
            per_request: secs(3),
            keepalive: secs(0),
            ..Default::default()
        };
        let got = effective(
            &Timeouts::default(),
            &account,
            &provider,
            &model,
            &configuration,
        );
        assert_eq!(Some(got.per_request), secs(3), "configuration beats model");
        assert_eq!(Some(got.total), secs(2), "model beats provider");
        assert_eq!(Some(got.stream_idle), secs(1), "provider beats account");
        assert_eq!(Some(got.hold), secs(9), "account beats global");
        assert_eq!(
            got.keepalive,
            Duration::ZERO,
            "zero is a value, not an absence"
        );
    }
}
