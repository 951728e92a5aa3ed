//! Allow lists and routing rules, as clients write and see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::View;
use crate::admin::api::known::{KeySource, KeySourceWrite};
use crate::admin::api::managed::Managed;
use crate::resource::forms::{self, StepKind};
use crate::resource::{Open, ProviderKey};
use tollgate_base::Secret;
use tollgate_config::types::KeySelection;

/// Which providers and models are reachable. What is absent restricts nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct AccessScope {
    /// Provider scope. Entries are provider ids, as in `openai`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) providers: Option<AccessDimension>,
    /// Model scope. Entries are model ids (e.g. `openai:gpt-4o`, `openai/gpt-4.1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) models: Option<AccessDimension>,
    /// What requests may order besides text, where it costs more: `service_tier`, `web_search`, `audio`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) options: Option<AccessDimension>,
    /// Names of the tags that requests may have (`x-tollgate-tags`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<AccessDimension>,
}

/// An allow list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct AccessDimension {
    /// Allowed entries (exact strings; no wildcards). Omit to impose no restriction on this dimension; an empty
    /// array means nothing is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub(super) allow: Option<Vec<String>>,
}

impl AccessScope {
    /// As clients see it; `None` if all is allowed.
    pub(super) fn shown(access: &forms::Access) -> Option<AccessScope> {
        let dimension = |list: &forms::AllowList| {
            let allow = list.allow.clone()?;
            Some(AccessDimension { allow: Some(allow) })
        };
        let shown = AccessScope {
            providers: dimension(&access.providers),
            models: dimension(&access.models),
            options: dimension(&access.options),
            tags: dimension(&access.tags),
        };
        let any = [&shown.providers, &shown.models, &shown.options, &shown.tags]
            .into_iter()
            .any(Option::is_some);
        any.then_some(shown)
    }
}

/// Routing configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Router {
    /// A rule for a model beats a rule for its provider.
    rules: Vec<RouterRule>,
}

/// A routing rule.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RouterRule {
    /// The provider it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The one model it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Fallback chain. Steps run in order.
    steps: Vec<RouterStep>,
}

/// A step of a routing rule.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouterStep {
    /// Whose keys.
    r#type: Open<KeySource>,
    /// The keys, in the order in which they are tried; absent: all of the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<RouterStepKey>>,
    /// How one of the keys is selected; absent where all of the provider's are: as the gateway's `key_selection` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_selection_strategy: Option<Open<KeySelectionStrategy>>,
}

/// A provider key of a step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouterStepKey {
    /// Provider key ID.
    id: String,
    /// User-defined label.
    name: String,
    /// Redacted display form of the key value.
    key_redacted: String,
    /// Its share of the sessions; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

/// How a key is selected.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeySelectionStrategy {
    /// Keys are tried in list order.
    Ordered,
    /// Each session has its own order of the keys, so that its prompt cache is met again; keys serve sessions by their
    /// weights.
    Session,
}

impl KeySelectionStrategy {
    /// As it is stored.
    pub(super) fn stored(self) -> KeySelection {
        match self {
            KeySelectionStrategy::Ordered => KeySelection::Ordered,
            KeySelectionStrategy::Session => KeySelection::Session,
        }
    }

    fn shown(stored: &KeySelection) -> KeySelectionStrategy {
        match stored {
            KeySelection::Ordered => KeySelectionStrategy::Ordered,
            KeySelection::Session => KeySelectionStrategy::Session,
        }
    }
}

impl Router {
    /// As clients see it; `None` without rules.
    pub(super) fn shown(view: View<'_>, router: &forms::Router) -> Option<Router> {
        let rules = router.rules.iter().map(|rule| RouterRule {
            provider: rule.provider.clone(),
            model: rule.model.clone(),
            steps: rule.steps.iter().map(|one| step(view, one)).collect(),
        });
        let rules: Vec<RouterRule> = rules.collect();
        (!rules.is_empty()).then_some(Router { rules })
    }
}

fn step(view: View<'_>, step: &forms::Step) -> RouterStep {
    let r#type = step.kind.map(|kind| match kind {
        StepKind::User => KeySource::User,
        StepKind::Managed => KeySource::Managed,
    });
    let keys = &step.keys;
    let key = |id: &String| {
        let weight = step.weights.get(id).copied();
        match view.get::<ProviderKey>(id) {
            Some(found) => RouterStepKey {
                id: id.clone(),
                name: found.resource.label(id),
                key_redacted: found.resource.redacted.clone(),
                weight,
            },
            // The configuration file declared it, and does not any more.
            None => RouterStepKey {
                id: id.clone(),
                name: id.clone(),
                key_redacted: "***".to_owned(),
                weight,
            },
        }
    };
    let selection = step.key_selection.as_ref();
    RouterStep {
        r#type,
        keys: keys.as_ref().map(|ids| ids.iter().map(key).collect()),
        key_selection_strategy: match (selection, keys) {
            (Some(stored), _) => Some(stored.map(KeySelectionStrategy::shown)),
            (None, keys) => keys.as_ref().map(|_| KeySelectionStrategy::Ordered.into()),
        },
    }
}

/// Routing configuration, to be written.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RouterWrite {
    /// At most one for each provider and one for each model; all of them have at most 1000 steps and 1000 keys.
    #[schemars(length(max = 1000))]
    pub(super) rules: Option<Vec<RouterRuleWrite>>,
}

impl RouterWrite {
    /// The rules, none if they are not said.
    pub(super) fn rules(&self) -> &[RouterRuleWrite] {
        self.rules.as_deref().unwrap_or_default()
    }
}

/// A routing rule, to be written. Scope it by `provider`, `model`, or both; a model's rule beats its provider's.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RouterRuleWrite {
    /// The provider it is for.
    pub(super) provider: Option<String>,
    /// The one model it is for, with its provider (e.g. `openai:gpt-5.5`).
    pub(super) model: Option<String>,
    /// Fallback chain. Steps run in order.
    #[schemars(length(min = 1, max = 100))]
    pub(super) steps: Vec<RouterStepWrite>,
}

/// A step of a routing rule, to be written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouterStepWrite {
    /// `user` for the account's own keys; `managed` for the operator's (built-in providers, and those with managed
    /// keys).
    pub(super) r#type: KeySourceWrite,
    /// Provider keys for this step. Required when type is `user`; a `managed` step without it has all.
    #[schemars(length(max = 100))]
    pub(super) keys: Option<Vec<RouterStepKeyWrite>>,
    /// How to select among the step's keys. Default: `keys` in their order, of all as the gateway's `key_selection` says.
    pub(super) key_selection_strategy: Option<KeySelectionStrategy>,
}

/// Either attach an existing provider key by `id`, or create a new one with `name` and `value`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RouterStepKeyWrite {
    /// ID of an existing provider key to attach.
    pub(super) id: Option<String>,
    /// Label for a new key. Required with `value`.
    #[schemars(length(max = 255))]
    pub(super) name: Option<String>,
    /// Plaintext key value for a new key. Write-only; never returned on read.
    #[schemars(length(min = 1, max = 16384))]
    pub(super) value: Option<Secret>,
    /// Its share of the sessions, where they are spread over the keys. Default 1.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) weight: Option<u32>,
}
