//! How a request would be served: which candidates in which order, and why no others.

use std::collections::HashSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::known::KeySource;
use super::managed::Managed as _;
use super::resource::time;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Query;
use crate::admin::operation::{Operation, Tag, get};
use crate::admin::plan::{Asked, Cooling, PassedOver, Place, Why};
use crate::resource::{AccessKey, Configuration, ProviderKey};
use tollgate_base::clock;
use tollgate_config::access::{self, AccountSettings, Snapshot};
use tollgate_ledger::KeyKind;
use tollgate_wire::{GatewayError, Surface};

const TAG: Tag = Tag {
    name: "Plan",
    description: "How a request would be served: which candidates in which order, and why no others.",
    one: "a plan",
};

/// What is passed over at most: a model may be offered by many providers with many keys.
const MOST: usize = 1_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/plan", "GetPlan")
            .tag(&TAG)
            .summary("Show how a request would be served")
            .description(
                "Plans as the proxy of this gateway would now, with the cool-downs and quotas that it knows of, and sends nothing. \
                 Name an access key, or an access key configuration for a key of the account that has it; with neither, the \
                 plan is that of a key without a configuration. What depends on a request's body (its length, what it \
                 orders besides text, whether it can be translated) is not looked at. Whoever acts for one account is \
                 told of the operator's keys no more than that they would be tried.",
            )
            .errors(&[Code::Conflict])
            .handler(plan),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PlanQuery {
    /// The model, as a request names it.
    #[schemars(length(min = 1, max = 1024))]
    model: String,
    /// The models that the request falls back to, in order.
    #[schemars(length(max = 31), inner(length(min = 1, max = 1024)))]
    #[serde(default)]
    models: Vec<String>,
    /// The API shape that is called. Defaults to `openai/chat-completions`.
    surface: Option<Surface>,
    /// The access key that calls.
    #[schemars(length(max = 200))]
    access_key_id: Option<String>,
    /// The access key configuration of the key that calls.
    #[schemars(length(max = 200))]
    access_key_configuration_id: Option<String>,
}

/// How a request would be served.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Plan {
    /// URI of this plan.
    uri: String,
    /// The API shape that is called.
    surface: Surface,
    /// What would be tried, in this order, until one answers.
    candidates: Vec<PlanCandidate>,
    /// What would not be tried; 1,000 at most.
    passed_over: Vec<PlanPassedOver>,
    /// What the request would be refused with, if nothing would be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<PlanRefusal>,
}

/// A candidate that would be tried.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PlanCandidate {
    #[serde(flatten)]
    place: PlanPlace,
    /// The API shape that the provider would be called on.
    surface: Surface,
    /// Why it comes after others; absent if it comes in its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling: Option<Cooling>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    cooling_until: Option<String>,
}

/// What would not be tried.
#[derive(Debug, Serialize, JsonSchema)]
struct PlanPassedOver {
    #[serde(flatten)]
    place: PlanPlace,
    /// Why.
    reason: Why,
}

/// A model at a provider, with the key that would be sent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PlanPlace {
    /// The model that was asked for.
    requested_model: String,
    /// The provider's identifier.
    provider_id: String,
    /// The model as the provider knows it.
    model_id: String,
    /// Whose provider key; absent where none is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_source: Option<KeySource>,
    /// The provider key; absent where none is meant, and for the operator's if the caller acts for one account.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_id: Option<String>,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_name: Option<String>,
}

/// What a request would be refused with.
#[derive(Debug, Serialize, JsonSchema)]
struct PlanRefusal {
    /// The HTTP status.
    status: u16,
    /// As in `ERR_TOLLGATE_3801`.
    code: &'static str,
    /// What is wrong and what to do.
    message: String,
}

impl From<&GatewayError> for PlanRefusal {
    fn from(error: &GatewayError) -> PlanRefusal {
        PlanRefusal {
            status: error.status().as_u16(),
            code: error.code.code(),
            message: error.message.clone(),
        }
    }
}

async fn plan(context: Context, Query(query): Query<PlanQuery>) -> Result<Plan, ApiError> {
    context.refresh().await;
    let snapshot = context.control().served().load_full();
    let key = context.planned_for(&snapshot, &query)?;
    let mut models = vec![query.model];
    models.extend(query.models);
    let asked = Asked {
        snapshot,
        key,
        surface: query.surface.unwrap_or(Surface::ChatCompletions),
        models,
    };
    let planned = context.state.process().plan(&asked);
    let (now, wall_ms) = (clock::now(), clock::wall_ms());
    let mut shown = Shown {
        context: &context,
        models: &asked.models,
        seen: HashSet::new(),
    };
    let candidates = planned.candidates.iter().filter_map(|candidate| {
        let until = candidate.cooling.map(|(_, until)| {
            let left = until.saturating_duration_since(now).as_millis();
            time(wall_ms.saturating_add(u64::try_from(left).unwrap_or(0)))
        });
        Some(PlanCandidate {
            place: shown.place(&candidate.place, "tried")?,
            surface: candidate.surface,
            cooling: candidate.cooling.map(|(why, _)| why),
            cooling_until: until,
        })
    });
    let candidates = candidates.collect();
    let passed_over = planned.passed_over.iter().filter_map(|passed| {
        let PassedOver { place, why } = passed;
        let place = shown.place(place, &format!("{why:?}"))?;
        Some(PlanPassedOver {
            place,
            reason: *why,
        })
    });
    Ok(Plan {
        passed_over: passed_over.take(MOST).collect(),
        uri: context.here(),
        surface: asked.surface,
        candidates,
        refusal: planned.refusal.as_ref().map(PlanRefusal::from),
    })
}

impl Context {
    /// The access key whose request is planned.
    ///
    /// # Errors
    /// 409: the gateway serves no such key; 422.
    fn planned_for(
        &self,
        snapshot: &Snapshot,
        query: &PlanQuery,
    ) -> Result<Arc<access::AccessKey>, ApiError> {
        const KEY: &str = "accessKeyId";
        const CONFIGURATION: &str = "accessKeyConfigurationId";
        let not_served = |what: &str| {
            ApiError::conflict(format!(
                "this gateway refuses the requests of this {what}: what it refers to is gone, or only a newer gateway \
                 understands it"
            ))
        };
        let served = |key: &&Arc<access::AccessKey>| !key.newer;
        match (&query.access_key_id, &query.access_key_configuration_id) {
            (Some(_), Some(_)) => Err(ApiError::invalid(
                CONFIGURATION,
                "must not stand beside accessKeyId: a key has its own",
            )),
            (Some(id), None) => {
                let found = self.look(|view| view.get::<AccessKey>(id));
                if !found.is_some_and(|found| found.resource.is_visible(self)) {
                    let what = "names no access key of the account";
                    return Err(ApiError::invalid(KEY, what));
                }
                let key = snapshot.access_key(id).filter(served);
                key.cloned().ok_or_else(|| not_served("access key"))
            }
            (None, Some(id)) => {
                let found = self.look(|view| view.get::<Configuration>(id));
                // What the file declares may be linked to keys of any account.
                let for_all = self.caller.account.is_none();
                let is_known = found.is_some_and(|found| {
                    found.resource.is_visible(self) || found.declared && for_all
                });
                if !is_known {
                    let what = "names no access key configuration of the account";
                    return Err(ApiError::invalid(CONFIGURATION, what));
                }
                let configuration = snapshot.configuration(id);
                let configuration = configuration.filter(|configuration| !configuration.newer);
                match configuration {
                    Some(configuration) => Ok(self.key_with(snapshot, Some(configuration.clone()))),
                    None => Err(not_served("configuration")),
                }
            }
            (None, None) => Ok(self.key_with(snapshot, None)),
        }
    }

    /// A key of the account that nobody has.
    fn key_with(
        &self,
        snapshot: &Snapshot,
        configuration: Option<Arc<access::Configuration>>,
    ) -> Arc<access::AccessKey> {
        Arc::new(access::AccessKey {
            id: "".into(),
            name: None,
            account: self.account.clone(),
            settings: AccountSettings::common(&snapshot.config).into(),
            configuration,
            digest: [0; 32],
            former: None,
            limits: Vec::new().into(),
            newer: false,
            used: access::Used::default(),
        })
    }
}

/// What the caller may see of a plan.
struct Shown<'a> {
    context: &'a Context,
    models: &'a [String],
    /// What was said without a key, so that it is said once.
    seen: HashSet<(usize, Arc<str>, Arc<str>, String)>,
}

impl Shown<'_> {
    /// A place as the caller sees it; `None` if that was `said` of it before.
    fn place(&mut self, place: &Place, said: &str) -> Option<PlanPlace> {
        let key = place.key.as_ref();
        let is_managed = key.is_some_and(|key| key.kind == KeyKind::Managed);
        let is_hidden = is_managed && self.context.caller.account.is_some();
        let about = || {
            let (provider, model) = (place.provider.clone(), place.model.clone());
            (place.index, provider, model, said.to_owned())
        };
        if is_hidden && !self.seen.insert(about()) {
            return None;
        }
        let named = key.filter(|_| !is_hidden);
        Some(PlanPlace {
            requested_model: self.models.get(place.index).cloned().unwrap_or_default(),
            provider_id: place.provider.to_string(),
            model_id: place.model.to_string(),
            key_source: key.map(|_| match is_managed {
                true => KeySource::Managed,
                false => KeySource::User,
            }),
            provider_key_id: named.map(|key| key.id.to_string()),
            provider_key_name: named.map(|key| {
                let found = self.context.look(|view| view.get::<ProviderKey>(&key.id));
                found.map_or_else(|| key.id.to_string(), |found| found.resource.label(&key.id))
            }),
        })
    }
}
