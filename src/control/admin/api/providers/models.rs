//! The models of a custom provider.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::api::faults::Faults;
use crate::admin::api::prices::ModelPrices;
use crate::resource::{Open, Provider, forms};
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::catalog::{self, Catalog, Effort, Thoughts};

const PREFIX: &str = "mod_";

/// A model of a custom provider.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProviderModel {
    /// Unique identifier for this model.
    id: String,
    /// Model identifier (for example "llama-3").
    model_id: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Other ids that clients may use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    /// Tokens of prompt and answer together, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    /// Tokens of the longest answer, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    /// What it can do and takes, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<ModelCapabilities>,
    /// What it costs, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<ModelPrices>,
    /// Other providers that have its id or one of its aliases, if there are any: a request that names the model without
    /// a provider goes to them first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    preceded_by: Vec<String>,
}

/// What a model can do and takes; what is absent is not known, and allowed. Requests are adapted to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModelCapabilities {
    /// Whether it reasons before it answers. With false, efforts and thinking are not sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<bool>,
    /// Whether its reasoning can be turned off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toggle: Option<bool>,
    /// The efforts of reasoning that it takes; another one becomes the nearest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    efforts: Option<Vec<Open<Effort>>>,
    /// Where in chat messages it wants its own thoughts back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thoughts: Option<Open<Thoughts>>,
    /// Whether it takes `temperature` and `top_p`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<bool>,
    /// Whether it takes a schema for its answer. With false, it is asked for one in the system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    structured_output: Option<bool>,
}

impl ModelCapabilities {
    fn stored(&self, old: Option<forms::Capabilities>) -> forms::Capabilities {
        forms::Capabilities {
            reasoning: self.reasoning,
            toggle: self.toggle,
            efforts: self.efforts.clone(),
            thoughts: self.thoughts.clone(),
            temperature: self.temperature,
            structured_output: self.structured_output,
            ..old.unwrap_or_default()
        }
    }

    fn shown(stored: &forms::Capabilities) -> ModelCapabilities {
        ModelCapabilities {
            reasoning: stored.reasoning,
            toggle: stored.toggle,
            efforts: stored.efforts.clone(),
            thoughts: stored.thoughts.clone(),
            temperature: stored.temperature,
            structured_output: stored.structured_output,
        }
    }
}

/// A model, to be created.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProviderModelCreate {
    /// Model identifier (for example "llama-3"): the one that the provider knows.
    #[schemars(length(min = 1, max = 255))]
    model_id: String,
    /// For people.
    #[schemars(length(max = 255))]
    display_name: Option<String>,
    /// Other ids that clients may use.
    #[schemars(length(max = 100))]
    aliases: Option<Vec<String>>,
    /// Tokens of prompt and answer together.
    #[schemars(range(min = 1))]
    context_window: Option<u64>,
    /// Tokens of the longest answer; a request's own limit is lowered to this.
    #[schemars(range(min = 1))]
    max_output_tokens: Option<u64>,
    /// What it can do and takes.
    capabilities: Option<ModelCapabilities>,
    /// What it costs; a managed key can only serve a model whose prices are known.
    prices: Option<ModelPrices>,
}

/// Puts these models in the place of the provider's. Those that it had keep their ids, and what is not shown of them.
pub(super) fn replace(
    provider: &mut Provider,
    written: &[AIGatewayProviderModelCreate],
    faults: &mut Faults,
) {
    let mut names = HashSet::new();
    let mut name = |at: String, name: &str, faults: &mut Faults| {
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            faults.at(at, "must have no spaces and not be empty");
        } else if name.len() > 1_024 {
            faults.at(at, "must have at most 1024 bytes");
        } else if !names.insert(name.to_ascii_lowercase()) {
            let what = "is there twice: ids and aliases are compared without regard to case";
            faults.at(at, what);
        }
    };
    // Looked up, since there may be as many as fit into a body.
    let old = provider.spec.models.iter().zip(&provider.model_ids);
    let known: HashMap<&str, _> = old.map(|old| (&*old.0.id, old)).collect();
    let now = clock::wall_ms();
    let (mut models, mut ids) = (Vec::new(), Vec::new());
    for (place, model) in written.iter().enumerate() {
        name(format!("models.{place}.modelId"), &model.model_id, faults);
        let (old, id) = known.get(&*model.model_id).copied().unzip();
        ids.push(id.cloned().unwrap_or_else(|| id::new(PREFIX, now)));
        let old = old.cloned().unwrap_or_default();
        let prices = model.prices.as_ref();
        models.push(forms::Model {
            id: model.model_id.clone(),
            display_name: model.display_name.clone(),
            aliases: model.aliases.clone().unwrap_or_default(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            capabilities: model
                .capabilities
                .as_ref()
                .map(|known| known.stored(old.capabilities.clone())),
            prices: prices
                .map(|prices| prices.stored(old.prices, &format!("models.{place}.prices"), faults)),
            ..old
        });
    }
    for (place, model) in models.iter().enumerate() {
        for (number, alias) in model.aliases.iter().enumerate() {
            name(format!("models.{place}.aliases.{number}"), alias, faults);
        }
    }
    provider.spec.models = models;
    provider.model_ids = ids;
}

/// The providers that come before this one where a request names the model without a provider.
fn preceding(catalog: &Catalog, provider: &Provider, model: &forms::Model) -> Vec<String> {
    let may = |known: &catalog::Provider| {
        let owner = known.owner.as_deref();
        owner.is_none_or(|owner| owner == provider.meta.account)
    };
    let mut all: Vec<String> = Vec::new();
    for name in std::iter::once(&model.id).chain(&model.aliases) {
        let before = catalog.bare(name, may).into_iter();
        let before = before.take_while(|known| *known.id != *provider.spec.id);
        for known in before {
            if all.iter().all(|other| **other != *known.id) {
                all.push(known.id.to_string());
            }
        }
    }
    all
}

/// The provider's models, as clients see them.
pub(super) fn shown(provider: &Provider, catalog: &Catalog) -> Vec<AIGatewayProviderModel> {
    let models = provider.spec.models.iter().zip(&provider.model_ids);
    models
        .map(|(model, id)| AIGatewayProviderModel {
            id: id.clone(),
            model_id: model.id.clone(),
            display_name: model.display_name.clone(),
            aliases: model.aliases.clone(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            capabilities: model.capabilities.as_ref().map(ModelCapabilities::shown),
            prices: model.prices.as_ref().map(ModelPrices::shown),
            preceded_by: preceding(catalog, provider, model),
        })
        .collect()
}
