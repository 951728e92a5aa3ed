//! How requests are served: what is tried again, begun beside another, kept, and answered again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::api::faults::Faults;
use crate::admin::api::known::Known;
use crate::admin::go_duration;
use crate::admin::patch::Patch;
use crate::resource::Open;
use crate::resource::forms::{self, Form};
use tollgate_config::secrets::SealError;
use tollgate_config::types::{Commit, Priority, StopOn};
use tollgate_config::units::Span;

/// What is wrong with what the operator pays, where an account asks for it.
pub(super) const OPERATORS: &str =
    "is the operator's to allow, as it pays: use an API key for all accounts";

/// How requests are served, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SentServing {
    /// Whether a failed candidate is followed by the next one. Defaults to what the gateway does.
    failover: Patch<bool>,
    /// Whether providers are told what to keep of a translated prompt. Defaults to what the gateway does.
    cache_hints: Patch<bool>,
    /// Whether a candidate is tried again when no other is left. An object replaces it.
    retry: Patch<ConfigurationRetry>,
    /// Begins the next candidate beside one that is slow to answer; `{}` takes the defaults. What the one that loses costs
    /// is the operator's, so that only an API key for all accounts sets it. An object replaces it.
    hedge: Patch<ConfigurationHedge>,
    /// When an answer begins to leave. Default `first`.
    commit: Patch<Commit>,
    /// After which refusals no other model is tried.
    #[schemars(inner(length(max = 8)))]
    stop_on: Patch<Vec<StopOn>>,
    /// How soon answers are wanted, where requests wait for quota. Default `interactive`.
    priority: Patch<Priority>,
    /// Which requests that are sent again are answered again, and not charged. An object replaces it.
    idempotency: Patch<ConfigurationIdempotency>,
}

/// How requests are served, where that is not as the gateway has it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Serving {
    /// Whether a failed candidate is followed by the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<bool>,
    /// Whether providers are told what to keep of a translated prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_hints: Option<bool>,
    /// Whether a candidate is tried again when no other is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<ConfigurationRetry>,
    /// When the next candidate is begun beside one that is slow to answer; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge: Option<ConfigurationHedge>,
    /// When an answer begins to leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<Open<Commit>>,
    /// After which refusals no other model is tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_on: Vec<Open<StopOn>>,
    /// How soon answers are wanted, where requests wait for quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Open<Priority>>,
    /// Which requests that are sent again are answered again, and not charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency: Option<ConfigurationIdempotency>,
}

/// Whether the same model with the same key is tried again, when nothing else of the model is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationRetry {
    /// How often, at most 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    same: Option<u32>,
    /// The longest `Retry-After` that is waited for, as a Go duration, at most `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<String>,
}

/// When the next candidate is begun beside one of which nothing has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationHedge {
    /// The shortest wait, as a Go duration, `10ms` to `1m0s`. Default `500ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<String>,
    /// How many of 100 requests may be sent twice, 1 to 100. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_percent: Option<u32>,
}

/// Which requests that are sent again are answered again instead of being carried out twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationIdempotency {
    /// How long the answer of a request with an `Idempotency-Key` is kept, sealed, as a Go duration, at most `720h`; absent:
    /// the header means nothing. The operator keeps them, so that only an API key for all accounts sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// Whether a request that an SDK sends again gets the answer of the first one while that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    join_retries: Option<bool>,
}

impl SentServing {
    /// Applies what was sent; what is not shown of the old stays.
    pub(super) fn apply(
        &self,
        known: &Known<'_>,
        spec: &mut forms::Configuration,
        faults: &mut Faults,
    ) {
        self.failover.clone().apply(&mut spec.failover);
        self.cache_hints.clone().apply(&mut spec.cache_hints);
        self.commit.clone().apply(&mut spec.commit);
        self.priority.clone().apply(&mut spec.priority);
        match &self.stop_on {
            Patch::Absent => {}
            Patch::Null => spec.stop_on.clear(),
            Patch::Value(all) => spec.stop_on = all.iter().copied().map(Open::Known).collect(),
        }
        match &self.retry {
            Patch::Absent => {}
            Patch::Null => spec.retry = forms::Retry::default(),
            Patch::Value(retry) => spec.retry = retry.read(&spec.retry, faults),
        }
        let (hedge, store) = (spec.hedge.clone(), spec.idempotency.store);
        match &self.hedge {
            Patch::Absent => {}
            Patch::Null => spec.hedge = None,
            Patch::Value(sent) => {
                let old = hedge.clone().unwrap_or_default();
                spec.hedge = Some(sent.read(&old, faults));
            }
        }
        match &self.idempotency {
            Patch::Absent => {}
            Patch::Null => spec.idempotency = forms::Idempotency::default(),
            Patch::Value(sent) => spec.idempotency = sent.read(&spec.idempotency, faults),
        }
        let may_manage = known.context.may_manage().is_ok();
        if spec.hedge.is_some() && spec.hedge != hedge && !may_manage {
            faults.at("hedge", OPERATORS);
        }
        let is_kept_longer = spec.idempotency.store > store;
        if is_kept_longer && !may_manage {
            faults.at("idempotency.store", OPERATORS);
        }
        if is_kept_longer && known.config.secrets.current_id().is_none() {
            let what = format!("answers are kept sealed: {}", SealError::NoMasterKey);
            faults.at("idempotency.store", what);
        }
    }
}

impl Serving {
    /// How a configuration has requests served, as clients see it.
    pub(super) fn shown(spec: &forms::Configuration) -> Serving {
        let retry = ConfigurationRetry {
            same: spec.retry.same,
            most: spec.retry.most.map(shown),
        };
        let idempotency = ConfigurationIdempotency {
            store: spec.idempotency.store.map(shown),
            join_retries: spec.idempotency.join_retries,
        };
        Serving {
            failover: spec.failover,
            cache_hints: spec.cache_hints,
            retry: Some(retry).filter(|retry| *retry != ConfigurationRetry::default()),
            hedge: spec.hedge.as_ref().map(|hedge| ConfigurationHedge {
                at_least: hedge.at_least.map(shown),
                budget_percent: hedge.budget_percent,
            }),
            commit: spec.commit.clone(),
            stop_on: spec.stop_on.clone(),
            priority: spec.priority.clone(),
            idempotency: Some(idempotency)
                .filter(|idempotency| *idempotency != ConfigurationIdempotency::default()),
        }
    }
}

impl ConfigurationRetry {
    fn read(&self, old: &forms::Retry, faults: &mut Faults) -> forms::Retry {
        let read = forms::Retry {
            same: self.same,
            most: span("retry.most", self.most.as_ref(), faults),
            ..old.clone()
        };
        faults.members("retry", read.read().unwrap_or_default().wrong());
        read
    }
}

impl ConfigurationHedge {
    fn read(&self, old: &forms::Hedge, faults: &mut Faults) -> forms::Hedge {
        let read = forms::Hedge {
            at_least: span("hedge.atLeast", self.at_least.as_ref(), faults),
            budget_percent: self.budget_percent,
            ..old.clone()
        };
        faults.members("hedge", read.read().unwrap_or_default().wrong());
        read
    }
}

impl ConfigurationIdempotency {
    fn read(&self, old: &forms::Idempotency, faults: &mut Faults) -> forms::Idempotency {
        let read = forms::Idempotency {
            store: span("idempotency.store", self.store.as_ref(), faults),
            join_retries: self.join_retries,
            ..old.clone()
        };
        faults.members("idempotency", read.read().unwrap_or_default().wrong());
        read
    }
}

fn span(field: &str, text: Option<&String>, faults: &mut Faults) -> Option<Span> {
    let read = go_duration::whole_millis(text?);
    read.map(Span).map_err(|what| faults.at(field, what)).ok()
}

fn shown(span: Span) -> String {
    go_duration::show(span.duration())
}
