//! Limits and timeouts of a configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::TAG_NAME;
use crate::admin::api::faults::Faults;
use crate::admin::api::limits::{Budget, RateLimits};
use crate::admin::go_duration;
use crate::resource::forms;
use tollgate_config::units::Span;
use tollgate_wire::tags::is_name;

/// What may be used by one request, and over time by all keys of the configuration together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationLimits {
    /// Requests with more prompt tokens are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    max_input_tokens: Option<u64>,
    /// A request's own limit of answer tokens is lowered to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    max_output_tokens: Option<u64>,
    #[serde(flatten)]
    rates: RateLimits,
    /// By the name of a tag, what may be charged for each of its values. Requests without that tag are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 8))]
    tags: Option<BTreeMap<String, Vec<Budget>>>,
}

impl ConfigurationLimits {
    /// As they are stored, in the place of the `old` ones; what is not shown of those stays.
    pub(super) fn read(&self, old: &forms::Limits, faults: &mut Faults) -> forms::Limits {
        let rates = faults
            .take(self.rates.checked("limits", &old.rates()))
            .unwrap_or_default();
        let mut tags = BTreeMap::new();
        for (name, sent) in self.tags.iter().flatten() {
            let field = format!("limits.tags.{name}");
            if !is_name(name) {
                faults.at("limits.tags", format!("a name {TAG_NAME}"));
                continue;
            }
            let nothing = forms::Budgets::default();
            let before = old.tags.get(name).unwrap_or(&nothing);
            if let Some(budgets) = faults.take(Budget::checked(&field, sent, before)) {
                tags.insert(name.clone(), budgets);
            }
        }
        forms::Limits {
            max_input_tokens: self.max_input_tokens,
            max_output_tokens: self.max_output_tokens,
            requests_per_minute: rates.requests_per_minute,
            tokens_per_minute: rates.tokens_per_minute,
            concurrent_requests: rates.concurrent_requests,
            budget: rates.budget,
            tags,
            rest: rates.rest,
        }
    }

    /// As clients see them; `None` if nothing is limited.
    pub(super) fn shown(limits: &forms::Limits) -> Option<ConfigurationLimits> {
        let tags = limits.tags.iter();
        let tags = tags.map(|(name, budgets)| (name.clone(), Budget::all_shown(budgets)));
        let shown = ConfigurationLimits {
            max_input_tokens: limits.max_input_tokens,
            max_output_tokens: limits.max_output_tokens,
            rates: RateLimits::shown(&limits.rates()).unwrap_or_default(),
            tags: Some(tags.collect()).filter(|tags: &BTreeMap<_, _>| !tags.is_empty()),
        };
        Some(shown).filter(|shown| *shown != ConfigurationLimits::default())
    }
}

/// Timeouts, as Go duration strings (`30s`, `1m0s`), at most `24h`. What is absent is as the gateway has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationTimeouts {
    /// From the start of an attempt to the first sign of life of its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_request: Option<String>,
    /// From the start of an attempt to the end of an answer that is not streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_answer: Option<String>,
    /// From the request to the start of its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<String>,
    /// Silence inside a stream that has shown life.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_idle: Option<String>,
    /// How long a streaming client waits for a status before it is given `200` and keep-alive comments.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    /// How long a request waits, while all that may serve it rest or have no quota left, for one that soon has. A gateway
    /// lets requests of an account wait no longer than its own configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
}

impl ConfigurationTimeouts {
    /// As they are stored, in the place of the `old` ones; what is not shown of those stays.
    pub(super) fn read(&self, old: &forms::Timeouts, faults: &mut Faults) -> forms::Timeouts {
        let mut time = |name: &str, text: &Option<String>| {
            let read = go_duration::timeout(text.as_ref()?);
            read.map(Span)
                .map_err(|what| faults.at(format!("timeouts.{name}"), what))
                .ok()
        };
        let times = forms::Timeouts {
            per_request: time("perRequest", &self.per_request),
            whole_answer: time("wholeAnswer", &self.whole_answer),
            total: time("total", &self.total),
            stream_idle: time("streamIdle", &self.stream_idle),
            hold: time("hold", &self.hold),
            queue: time("queue", &self.queue),
            ..old.clone()
        };
        if let (Some(per_request), Some(total)) = (times.per_request, times.total)
            && per_request > total
        {
            faults.at("timeouts.perRequest", "must not be more than total");
        }
        times
    }

    /// As clients see them; `None` if there are none.
    pub(super) fn shown(times: &forms::Timeouts) -> Option<ConfigurationTimeouts> {
        let show = |time: Option<Span>| time.map(|time| go_duration::show(Duration::from(time)));
        let shown = ConfigurationTimeouts {
            per_request: show(times.per_request),
            whole_answer: show(times.whole_answer),
            total: show(times.total),
            stream_idle: show(times.stream_idle),
            hold: show(times.hold),
            queue: show(times.queue),
        };
        Some(shown).filter(|shown| *shown != ConfigurationTimeouts::default())
    }
}
