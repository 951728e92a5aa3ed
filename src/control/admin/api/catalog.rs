//! The catalog: built-in and declared providers, their models and prices, as they are in force now.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prices::CatalogPrices;
use crate::admin::Context;
use crate::admin::error::ApiError;
use crate::admin::input::{Id, Query};
use crate::admin::operation::{Operation, Scope, Tag, get};
use crate::admin::page::{PageQuery, page};
use tollgate_config::catalog::Modality;
use tollgate_config::catalog::{Model, Provider};
use tollgate_wire::Surface;

const PROVIDERS: Tag = Tag {
    name: "Catalog",
    description: "The providers and models that this gateway knows, and their prices. Read-only.",
    one: "a provider or model of the catalog",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/catalog/providers", "ListCatalogProviders")
            .tag(&PROVIDERS)
            .summary("List the catalog's providers")
            .description("Providers that are built in or declared in the configuration.")
            .scope(Scope::Shared)
            .handler(list_providers),
        get("/catalog/providers/{id}", "GetCatalogProvider")
            .tag(&PROVIDERS)
            .summary("Get a provider of the catalog")
            .scope(Scope::Shared)
            .handler(get_provider),
        get("/catalog/models", "ListCatalogModels")
            .tag(&PROVIDERS)
            .summary("List the catalog's models")
            .description(
                "Models as `provider:model`, with prices in US dollars per million tokens.",
            )
            .scope(Scope::Shared)
            .handler(list_models),
        get("/catalog/models/{id}", "GetCatalogModel")
            .tag(&PROVIDERS)
            .summary("Get a model of the catalog")
            .description("By its id, `provider:model`; a `/` in it is written `%2F`.")
            .scope(Scope::Shared)
            .handler(get_model),
    ]
}

page! { "A page of the catalog's providers." CatalogProviderList { providers: CatalogProvider } }
page! { "A page of the catalog's models." CatalogModelList { models: CatalogModel } }

/// A provider that the gateway can call.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CatalogProvider {
    /// Identifier, as in `openai`.
    id: String,
    /// URI of this provider in the catalog.
    uri: String,
    /// For people.
    display_name: String,
    /// Where its API is.
    base_url: String,
    /// The API shapes it offers, as in `openai/chat-completions`.
    surfaces: Vec<String>,
    /// Whether it is built in, rather than declared or created.
    built_in: bool,
    /// Whether calls need a provider key.
    needs_key: bool,
    /// Whether models outside the catalog may be called as `provider:model`.
    passthrough: bool,
    /// How many models of it the catalog knows.
    model_count: usize,
}

/// A model of a provider.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CatalogModel {
    /// `provider:model`, as clients may call it.
    id: String,
    /// URI of this model in the catalog.
    uri: String,
    /// The provider's identifier.
    provider_id: String,
    /// The id that the provider knows.
    model_id: String,
    /// For people.
    display_name: String,
    /// Other ids that clients may use.
    aliases: Vec<String>,
    /// The API shapes it is offered on, as in `openai/chat-completions`.
    surfaces: Vec<String>,
    /// What it reads or makes.
    modalities: Vec<Modality>,
    /// Tokens of prompt and answer together; null if unknown.
    context_window: Option<u64>,
    /// Tokens of the longest answer; null if unknown.
    max_output_tokens: Option<u64>,
    /// What it costs.
    prices: CatalogPrices,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct ModelsQuery {
    /// Only returns models of this provider.
    provider: Option<String>,
    /// Only returns models whose id, name or alias has this text, whatever its case.
    #[schemars(length(max = 200))]
    search: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

async fn list_providers(
    context: Context,
    Query(query): Query<PageQuery>,
) -> Result<CatalogProviderList, ApiError> {
    let catalog = context.state.catalog();
    let visible = catalog.providers().iter();
    let visible = visible.filter(|provider| is_visible(&context, provider));
    let mut all: Vec<&Arc<Provider>> = visible.collect();
    all.sort_by(|one, other| other.id.cmp(&one.id));
    let page = context.page(&query, all, |provider| &provider.id);
    let show = |provider: &Arc<Provider>| show_provider(&context, provider);
    Ok(page.map(show).into())
}

async fn get_provider(context: Context, Id(id): Id) -> Result<CatalogProvider, ApiError> {
    let catalog = context.state.catalog();
    let provider = catalog.provider(&id);
    provider
        .filter(|provider| is_visible(&context, provider))
        .map(|provider| show_provider(&context, provider))
        .ok_or_else(|| ApiError::not_found("provider"))
}

async fn list_models(
    context: Context,
    Query(query): Query<ModelsQuery>,
) -> Result<CatalogModelList, ApiError> {
    let catalog = context.state.catalog();
    let wanted = |id: &str| query.provider.as_deref().is_none_or(|wanted| wanted == id);
    let providers = catalog
        .providers()
        .iter()
        .filter(|provider| is_visible(&context, provider) && wanted(&provider.id));
    let search = query.search.as_deref().unwrap_or_default().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&search);
    let found = |(id, _, model): &(String, &Provider, &Model)| {
        has(id) || has(&model.display_name) || model.aliases.iter().any(|alias| has(alias))
    };
    let mut all: Vec<(String, &Provider, &Model)> = providers
        .flat_map(|provider| {
            let models = provider.models.iter();
            models.map(|model| {
                (
                    format!("{}:{}", provider.id, model.id),
                    &**provider,
                    &**model,
                )
            })
        })
        .filter(found)
        .collect();
    all.sort_by(|(one, ..), (other, ..)| other.cmp(one));
    let page = context.page(&query.page, all, |(id, ..)| id);
    let show = |(id, provider, model)| show_model(&context, id, provider, model);
    Ok(page.map(show).into())
}

async fn get_model(context: Context, Id(id): Id) -> Result<CatalogModel, ApiError> {
    let catalog = context.state.catalog();
    let found = id.split_once(':').and_then(|(provider, model)| {
        let provider = catalog
            .provider(provider)
            .filter(|known| is_visible(&context, known))?;
        let model = provider.models.iter().find(|known| *known.id == *model)?;
        Some((provider, model))
    });
    let (provider, model) = found.ok_or_else(|| ApiError::not_found("model"))?;
    Ok(show_model(&context, id, provider, model))
}

/// Whether the caller may see a provider: those that other accounts created are no business of a caller for one account.
fn is_visible(context: &Context, provider: &Provider) -> bool {
    match (&context.caller.account, &provider.owner) {
        (Some(own), Some(owner)) => own == owner,
        _ => true,
    }
}

fn show_provider(context: &Context, provider: &Arc<Provider>) -> CatalogProvider {
    CatalogProvider {
        id: provider.id.to_string(),
        uri: context.uri(&["catalog", "providers", &provider.id]),
        display_name: provider.display_name.to_string(),
        base_url: provider.base_url.to_string(),
        surfaces: names(&provider.surfaces),
        built_in: provider.built_in,
        needs_key: provider.needs_key(),
        passthrough: provider.passthrough,
        model_count: provider.models.len(),
    }
}

fn show_model(context: &Context, id: String, provider: &Provider, model: &Model) -> CatalogModel {
    CatalogModel {
        uri: context.uri(&["catalog", "models", &id]),
        id,
        provider_id: provider.id.to_string(),
        model_id: model.id.to_string(),
        display_name: model.display_name.to_string(),
        aliases: model.aliases.clone(),
        surfaces: names(model.surfaces.as_deref().unwrap_or(&provider.surfaces)),
        modalities: model.modalities.clone(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        prices: CatalogPrices::of(&model.prices),
    }
}

fn names(surfaces: &[Surface]) -> Vec<String> {
    surfaces
        .iter()
        .map(|surface| surface.name().to_owned())
        .collect()
}
