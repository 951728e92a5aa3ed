//! How providers do, and whether one works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::managed::Managed as _;
use super::resource::time;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::health::{Health, Latency, Quota, Trial, Tried};
use crate::admin::input::{Body, Id};
use crate::admin::operation::{Operation, Scope, Tag, get, post};
use crate::resource::Provider;
use tollgate_base::clock;
use tollgate_config::access::{ProviderKey, Snapshot};
use tollgate_config::catalog;
use tollgate_ledger::KeyKind;
use tollgate_wire::Surface;

const TAG: Tag = Tag {
    name: "Provider health",
    description: "How providers do: attempts by outcome, breakers, latency, quotas, as one gateway has seen them.",
    one: "a provider",
};

/// Quotas of one provider that are listed, at most.
const QUOTAS: usize = 100;

/// When a refused trial may be sent again, in seconds.
const AGAIN: u64 = 5;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/provider-health", "ListProviderHealth")
            .tag(&TAG)
            .summary("List the health of providers")
            .description(
                "Providers that this gateway has called since it was started, or that it cannot reach. All that tenants made \
                 are one, `other`.",
            )
            .scope(Scope::AllAccounts)
            .handler(list),
        post("/providers/{id}/test", "TestAIGatewayProvider")
            .tag(Provider::TAG)
            .summary("Test an AI Gateway provider")
            .description(
                "Calls a custom provider, by its id, or any other by its `providerId`, to see whether it works: its list of \
                 models, then each of its API surfaces once, with a short prompt that its owner is billed for. Nothing \
                 of it is charged or limited here, and no key rests for it. The calls go where the proxy's would, and nowhere else. \
                 It takes up to 10 seconds a call; each account tests one at a time.",
            )
            .status(http::StatusCode::OK)
            .handler(test),
    ]
}

/// How providers do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderHealthList {
    /// By their ids.
    providers: Vec<ProviderHealth>,
    /// From the request to the first content of streamed answers, of all providers.
    first_token: ProviderLatency,
    /// From the request to the end of its answer, of all providers.
    duration: ProviderLatency,
    /// URI of this list resource.
    uri: String,
}

/// How a provider does.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderHealth {
    /// The provider's identifier.
    provider_id: String,
    /// Whether it can be reached. Requests go to others first while it is not `closed`.
    breaker: Breaker,
    /// Until when, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    breaker_until: Option<String>,
    /// Attempts since this gateway was started, by how they ended; the most frequent first.
    attempts: Vec<OutcomeCount>,
    /// From the request to the first content of streamed answers.
    first_token: ProviderLatency,
    /// From the request to the end of its answer.
    duration: ProviderLatency,
    /// What is left of its keys' limits, as far as its headers tell, estimated; the nearest to their end first, 100 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quotas: Vec<ProviderQuota>,
}

/// What is left of a provider key's limit for a model.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderQuota {
    /// The provider key.
    provider_key_id: String,
    /// The model as the provider knows it.
    model_id: String,
    /// `requests`, `tokens`, `input-tokens` or `output-tokens`.
    unit: &'static str,
    /// As much as there can be, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// What is left.
    remaining: u64,
    /// When all of it is back.
    #[schemars(extend("format" = "date-time"))]
    full_at: String,
}

/// A breaker's state, if only for one account.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Breaker {
    /// The provider can be reached.
    Closed,
    /// The next request finds out whether it can be reached.
    HalfOpen,
    /// It could not be reached.
    Open,
}

/// How often attempts ended so.
#[derive(Debug, Serialize, JsonSchema)]
struct OutcomeCount {
    /// As in the metrics: `ok`, `http_429`, `timeout`, …
    outcome: String,
    /// How often.
    count: u64,
}

/// About how long something takes, told from buckets; absent where nothing was seen.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderLatency {
    /// Half of all are as quick (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<u64>,
    /// 95 of 100 are as quick (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_ms: Option<u64>,
}

impl From<Latency> for ProviderLatency {
    fn from(latency: Latency) -> ProviderLatency {
        ProviderLatency {
            p50_ms: latency.p50.map(millis),
            p95_ms: latency.p95.map(millis),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

async fn list(context: Context) -> Result<ProviderHealthList, ApiError> {
    let (now, wall_ms) = (clock::now(), clock::wall_ms());
    let at = |until: Instant| {
        let left = millis(until.saturating_duration_since(now));
        time(wall_ms.saturating_add(left))
    };
    let quota = |quota: Quota| ProviderQuota {
        provider_key_id: quota.key.to_string(),
        model_id: quota.model.to_string(),
        unit: quota.unit,
        limit: quota.most,
        remaining: quota.left,
        full_at: at(quota.full),
    };
    let shown = |health: Health| {
        let until = health.shut.and_then(|shut| shut.until);
        let attempts = health.attempts.into_iter();
        let mut attempts: Vec<OutcomeCount> = attempts
            .map(|(outcome, count)| OutcomeCount { outcome, count })
            .collect();
        attempts.sort_by_key(|one| std::cmp::Reverse(one.count));
        ProviderHealth {
            provider_id: health.provider,
            breaker: match health.shut {
                None => Breaker::Closed,
                Some(shut) if shut.half_open => Breaker::HalfOpen,
                Some(_) => Breaker::Open,
            },
            breaker_until: until.map(at),
            attempts,
            quotas: health.quotas.into_iter().take(QUOTAS).map(quota).collect(),
            first_token: health.first_token.into(),
            duration: health.duration.into(),
        }
    };
    let health = context.state.process().health();
    Ok(ProviderHealthList {
        first_token: health.first_token.into(),
        duration: health.duration.into(),
        providers: health.providers.into_iter().map(shown).collect(),
        uri: context.here(),
    })
}

/// What to test a provider with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AIGatewayProviderTest {
    /// The model to call, as the provider knows it. Defaults to the first that is known for each surface.
    #[schemars(length(min = 1, max = 255))]
    model: Option<String>,
    /// The provider key to send. Defaults to the account's first, then, for callers that may act for all accounts, to the
    /// operator's first.
    #[schemars(length(max = 200))]
    provider_key_id: Option<String>,
}

/// What a test of a provider found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AIGatewayProviderTestResult {
    /// The provider's identifier.
    provider_id: String,
    /// The provider key that was sent; absent if none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_id: Option<String>,
    /// Whether every surface answers as it should.
    works: bool,
    /// What was tried, in order. What follows a failed connection is not.
    steps: Vec<ProviderTestStep>,
}

/// What was tried of a provider.
#[derive(Debug, Serialize, JsonSchema)]
struct ProviderTestStep {
    /// `connection`, `models`, or a surface, as in `openai/chat-completions`.
    step: &'static str,
    /// Whether it works. A provider need not list its models.
    works: bool,
    /// The HTTP status of the answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// From the call to the end of its answer.
    ms: u64,
    /// Why it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Models that the provider lists; 100 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
}

impl From<Tried> for ProviderTestStep {
    fn from(tried: Tried) -> ProviderTestStep {
        ProviderTestStep {
            step: tried.what,
            works: tried.fault.is_none(),
            status: tried.status,
            ms: millis(tried.took),
            reason: tried.fault,
            models: tried.models,
        }
    }
}

async fn test(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayProviderTest>,
) -> Result<AIGatewayProviderTestResult, ApiError> {
    context.refresh().await;
    let snapshot = context.control().served().load_full();
    let provider = context.tested(&snapshot, &id)?;
    let key = context.sent_in_test(&snapshot, &provider, body.provider_key_id.as_deref())?;
    let surfaces = provider.surfaces.iter();
    let calls: Vec<_> = surfaces
        .map(|surface| {
            (
                *surface,
                model_for(&provider, *surface, body.model.as_deref()),
            )
        })
        .collect();
    if calls.iter().all(|(_, model)| model.is_none()) {
        let what = "must be given: no model of this provider is known";
        return Err(ApiError::invalid("model", what));
    }
    let Some(running) = context.state.begin_trial(&context.account) else {
        let what =
            "a test of the account, or too many of others, are under way: wait until it has ended";
        return Err(ApiError::new(Code::Throttled, what).retry_after(AGAIN));
    };
    let trial = Trial {
        provider: provider.clone(),
        key: key.clone(),
        calls,
    };
    let process = context.state.process_handle();
    let tried = tokio::task::spawn_blocking(move || {
        let tried = process.probe(&trial);
        drop(running);
        tried
    });
    let tried = tried.await.map_err(ApiError::internal)?;
    log::info!(
        "admin API: {} tested the provider {}",
        context.caller.id,
        provider.id
    );
    let needed = |tried: &Tried| tried.what == "models" || tried.fault.is_none();
    Ok(AIGatewayProviderTestResult {
        provider_id: provider.id.to_string(),
        provider_key_id: key.map(|key| key.id.to_string()),
        works: tried.iter().all(needed),
        steps: tried.into_iter().map(ProviderTestStep::from).collect(),
    })
}

/// The model to call on a surface: the one that is asked for, or the first that is known to be there.
fn model_for(
    provider: &catalog::Provider,
    surface: Surface,
    asked: Option<&str>,
) -> Option<String> {
    if let Some(asked) = asked {
        return Some(asked.to_owned());
    }
    let mut known = provider.models.iter().filter(|model| {
        let own = model.surfaces.as_ref();
        own.is_none_or(|surfaces| surfaces.contains(&surface))
    });
    known.next().map(|model| model.id.to_string())
}

impl Context {
    /// The provider that is tested.
    ///
    /// # Errors
    /// 404; 409 if it cannot be called.
    fn tested(&self, snapshot: &Snapshot, id: &str) -> Result<Arc<catalog::Provider>, ApiError> {
        let own = self.look(|view| view.get::<Provider>(id));
        let own = own.filter(|found| found.resource.is_visible(self));
        let provider_id = own.as_ref().map_or(id, |found| &*found.resource.spec.id);
        let mine = |provider: &&Arc<catalog::Provider>| {
            let owner = provider.owner.as_ref();
            owner.is_none_or(|owner| *owner == self.account)
        };
        match snapshot.catalog.provider(provider_id).filter(mine) {
            Some(provider) => Ok(provider.clone()),
            None if own.is_some() => Err(ApiError::conflict(
                "this gateway does not call the provider: it does not understand it",
            )),
            None => Err(ApiError::not_found(Provider::WORDS.what)),
        }
    }

    /// The key that is sent in a test; `None` if the provider needs none.
    ///
    /// # Errors
    /// 422: there is none, or not this one.
    fn sent_in_test(
        &self,
        snapshot: &Snapshot,
        provider: &catalog::Provider,
        named: Option<&str>,
    ) -> Result<Option<Arc<ProviderKey>>, ApiError> {
        let keys = |kind| snapshot.provider_keys(&provider.id, &self.account, kind);
        let managed = match self.caller.account {
            None => keys(KeyKind::Managed),
            // Whoever tests with the operator's would use it for nothing.
            Some(_) => &[],
        };
        let mut known = keys(KeyKind::User).iter().chain(managed);
        let found = match named {
            Some(named) => known.find(|key| *key.id == *named),
            None => known.next(),
        };
        match found {
            Some(key) if provider.needs_key() || !key.value.expose().is_empty() => {
                Ok(Some(key.clone()))
            }
            Some(_) => Ok(None),
            None if named.is_none() && !provider.needs_key() => Ok(None),
            None => {
                let what = "names no provider key of this provider that the account may test with; add one first";
                Err(ApiError::invalid("providerKeyId", what))
            }
        }
    }
}
