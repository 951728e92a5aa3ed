//! Providers: custom ones, which the account defines. Built-in ones are in the catalog and are not managed here.

mod models;
mod surfaces;
mod written;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resource::Made;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Operation, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;
use crate::resource::{Configuration, Open, Provider, ProviderKey, forms};
use crate::{Action, Document, Found, View};
use models::{AIGatewayProviderModel, AIGatewayProviderModelCreate};
use surfaces::SupportedAPISurface;
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::catalog::ModelRef;
use tollgate_config::catalog::Vendor;
use tollgate_config::catalog::{Auth, BaseUrl};
use tollgate_config::{Config, DEMO_PROVIDER};

const WHAT: &str = "provider";

const TAG: Tag = Tag {
    name: "AI Gateway Providers",
    description: "Manage custom providers: self-hosted or third-party endpoints. Built-in ones are in the catalog.",
    one: "an AI Gateway provider",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/providers", "ListAIGatewayProviders")
            .tag(&TAG)
            .summary("List AI Gateway providers")
            .description("Built-in providers are at /catalog/providers.")
            .handler(list),
        post("/providers", "CreateAIGatewayProvider")
            .tag(&TAG)
            .summary("Create an AI Gateway provider")
            .errors(&[Code::Conflict])
            .handler(create),
        get("/providers/{id}", "GetAIGatewayProvider")
            .tag(&TAG)
            .summary("Get an AI Gateway provider")
            .handler(show),
        patch("/providers/{id}", "UpdateAIGatewayProvider")
            .tag(&TAG)
            .summary("Update an AI Gateway provider")
            .description(
                "The providerId is immutable. The base URL moves to another host only while the provider has no keys, \
                 which were given for the one that it was. Omit models to leave them alone; a list replaces the existing set, and \
                 models that stay keep their ids.",
            )
            .errors(&[Code::Conflict, Code::Declared])
            .handler(update),
        delete("/providers/{id}", "DeleteAIGatewayProvider")
            .tag(&TAG)
            .summary("Delete an AI Gateway provider")
            .description(
                "Refused while a provider key or an access key configuration refers to it. One whose providerId the \
                 configuration file declares as well is hidden by that, and can be deleted.",
            )
            .errors(&[Code::Declared, Code::InUse])
            .handler(remove),
    ]
}

page! { "A page of custom providers." AIGatewayProviderList { ai_gateway_providers: AIGatewayProvider } }

/// A custom provider.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProvider {
    /// Unique identifier for this provider.
    id: String,
    /// URI of this AI Gateway Provider API resource.
    uri: String,
    /// Provider identifier used as the address segment in model strings (for example "internal-vllm").
    provider_id: String,
    /// User-friendly label for this provider.
    name: String,
    /// Base URL of the provider's API endpoint.
    base_url: String,
    /// Arbitrary user-defined metadata for this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(flatten)]
    made: Made,
    /// API surfaces supported by this provider; if none is said, `openai/chat-completions`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    supported_api_surfaces: Vec<SupportedAPISurface>,
    /// Models exposed by this provider.
    models: Vec<AIGatewayProviderModel>,
    /// How a key travels to it, if not as the surface's format has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Open<Auth>>,
    /// Whose rules its API follows, if any vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<Open<Vendor>>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// A new custom provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProviderCreate {
    /// Provider identifier used as the address segment in model strings (for example "internal-vllm"): lowercase
    /// letters, digits, `-`, `_` and `.`. No other provider of the gateway may have it.
    #[schemars(length(min = 1, max = 255))]
    provider_id: String,
    /// User-friendly label for this provider.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// Base URL of the provider's API endpoint: https, or http to loopback and private addresses. Without a path,
    /// `/v1` is appended.
    #[schemars(length(min = 1, max = 2048))]
    base_url: String,
    /// Arbitrary user-defined metadata for this provider.
    #[schemars(length(max = 4096))]
    metadata: Option<String>,
    /// API surfaces supported by this provider. Defaults to `openai/chat-completions`.
    supported_api_surfaces: Option<Vec<SupportedAPISurface>>,
    /// Initial set of models exposed by this provider. Others can be called too, as `providerId:model`. A model id that
    /// other providers have goes to them first, unless it is called as `providerId:model`.
    models: Option<Vec<AIGatewayProviderModelCreate>>,
    /// How a key travels to it. Defaults to what the surface's format does.
    auth: Option<Auth>,
    /// Whose rules its API follows, so that requests are adapted to it as to that vendor's own API.
    vendor: Option<Vendor>,
}

/// Changes to a custom provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AIGatewayProviderUpdate {
    /// User-friendly label for this provider; without one its `providerId` is shown.
    #[schemars(length(min = 1, max = 255))]
    name: Patch<String>,
    /// Base URL of the provider's API endpoint; it cannot be cleared.
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
    /// Arbitrary user-defined metadata for this provider.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
    /// API surfaces supported by this provider; null for the default.
    supported_api_surfaces: Patch<Vec<SupportedAPISurface>>,
    /// Full replacement set for the models of this provider; null or an empty list clears them all.
    models: Patch<Vec<AIGatewayProviderModelCreate>>,
    /// How a key travels to it; null for what the surface's format does.
    auth: Patch<Auth>,
    /// Whose rules its API follows; null for nobody's.
    vendor: Patch<Vendor>,
}

async fn list(
    context: Context,
    Query(query): Query<PageQuery>,
) -> Result<AIGatewayProviderList, ApiError> {
    let page = context.page_of::<Provider>(&query).await;
    Ok(AIGatewayProviderList::of(page, |found| {
        shown(&context, &found)
    }))
}

async fn show(context: Context, Id(id): Id) -> Result<AIGatewayProvider, ApiError> {
    let found = context.find::<Provider>(&id, WHAT).await;
    Ok(shown(
        &context,
        &found.map_err(|error| elsewhere(&context, &id, error))?,
    ))
}

async fn create(
    context: Context,
    Body(body): Body<AIGatewayProviderCreate>,
) -> Result<AIGatewayProvider, ApiError> {
    let mut meta = context.meta();
    meta.name = Some(body.name.clone());
    meta.metadata = body.metadata.clone();
    let new = Provider {
        meta,
        says: forms::Provider {
            id: body.provider_id.clone(),
            ..forms::Provider::default()
        },
        ..Provider::default()
    };
    let changes = AIGatewayProviderUpdate {
        name: Patch::Value(body.name),
        base_url: Some(body.base_url),
        supported_api_surfaces: body
            .supported_api_surfaces
            .map_or(Patch::Absent, Patch::Value),
        models: body.models.map_or(Patch::Absent, Patch::Value),
        auth: body.auth.map_or(Patch::Absent, Patch::Value),
        vendor: body.vendor.map_or(Patch::Absent, Patch::Value),
        metadata: Patch::Absent,
    };
    let config = context.control().config();
    let new = written::applied(&new, &changes, &config, context.caller.account.is_some())?;
    let id = id::new(Provider::PREFIX, clock::wall_ms());
    let actor = context.actor();
    context
        .change(|view, draft| {
            free(&context, view, &config, &new.says.id)?;
            draft.create(&actor, &id, &new);
            Ok(())
        })
        .await?;
    warn_of_plain_http(&id, &new);
    let found = Found {
        id: id.as_str().into(),
        resource: new.into(),
        declared: false,
    };
    Ok(shown(&context, &found))
}

async fn update(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayProviderUpdate>,
) -> Result<AIGatewayProvider, ApiError> {
    let config = context.control().config();
    let actor = context.actor();
    let new = context
        .change(|view, draft| {
            let old = own(&context, view, &id)?;
            let mut new = written::applied(&old, &body, &config, context.caller.account.is_some())?;
            keys_stay(view, &old, &new)?;
            context.touch(&mut new.meta);
            draft.update(&actor, Action::Update, &id, &*old, &new);
            Ok(new)
        })
        .await?;
    if body.base_url.is_some() {
        warn_of_plain_http(&id, &new);
    }
    show(context, Id(id)).await
}

async fn remove(context: Context, Id(id): Id) -> Result<(), ApiError> {
    let (actor, config) = (context.actor(), context.control().config());
    context
        .change(|view, draft| {
            let old = own(&context, view, &id)?;
            // What refers to one that the configuration hides means the other one.
            let is_hidden = config.catalog.provider(&old.says.id).is_some();
            if let Some(by) = used_by(view, &old.says.id).filter(|_| !is_hidden) {
                return Err(ApiError::in_use(WHAT, &by));
            }
            draft.delete(&actor, &id, &*old);
            Ok(())
        })
        .await
}

/// The account's provider, to be changed.
fn own(context: &Context, view: View<'_>, id: &str) -> Result<std::sync::Arc<Provider>, ApiError> {
    let found = context.find_own::<Provider>(view, id, WHAT);
    found.map_err(|error| elsewhere(context, id, error))
}

/// Where a built-in provider is to be found.
fn elsewhere(context: &Context, id: &str, error: ApiError) -> ApiError {
    let catalog = context.state.catalog();
    let known = catalog.provider(id);
    if id != DEMO_PROVIDER && known.is_none_or(|known| !known.built_in) {
        return error;
    }
    ApiError::new(
        Code::NotFound,
        "this provider is built in and is not managed here; see /catalog/providers, and /provider-keys for its keys",
    )
}

/// Sees that no provider of the gateway has this `providerId`, and that no other account waits for one with it: its
/// keys would be sent to wherever this one is.
fn free(
    context: &Context,
    view: View<'_>,
    config: &Config,
    provider_id: &str,
) -> Result<(), ApiError> {
    let why = match config.catalog.provider(provider_id) {
        Some(known) if known.built_in => {
            "this providerId is built in: its models are at /catalog/models, its keys at /provider-keys; choose \
             another one for a provider of your own"
        }
        Some(_) => {
            "the configuration file declares a provider with this providerId; choose another"
        }
        None if provider_id == DEMO_PROVIDER => {
            "this providerId is reserved for the built-in demo provider; choose another"
        }
        None if view
            .all::<Provider>()
            .any(|found| found.resource.says.id == provider_id) =>
        {
            "another provider has this providerId; choose another"
        }
        None if view.all::<ProviderKey>().any(|found| {
            found.resource.provider == provider_id && !context.owns(&found.resource.meta)
        }) =>
        {
            "another account has keys for a provider with this providerId; choose another"
        }
        None => return Ok(()),
    };
    Err(ApiError::conflict(why))
}

/// Sees that keys are sent where they were given for.
fn keys_stay(view: View<'_>, old: &Provider, new: &Provider) -> Result<(), ApiError> {
    let place = |provider: &Provider| {
        let url = BaseUrl::parse(provider.says.base_url.as_deref()?).ok()?;
        Some((url.tls, url.host, url.port))
    };
    if place(old) == place(new) {
        return Ok(());
    }
    let mut keys = view.all::<ProviderKey>();
    let Some(key) = keys.find(|found| found.resource.provider == old.says.id) else {
        return Ok(());
    };
    Err(ApiError::conflict(format!(
        "the provider has keys, which were given for the host that its base URL has: delete them (there is {}), change \
         the base URL, and create them again",
        key.id
    )))
}

/// What refers to a provider.
fn used_by(view: View<'_>, provider_id: &str) -> Option<String> {
    let mut keys = view.all::<ProviderKey>();
    if let Some(key) = keys.find(|found| found.resource.provider == provider_id) {
        return Some(format!("the provider key {}", key.id));
    }
    let mut configurations = view.all::<Configuration>();
    let found = configurations.find(|found| names(&found.resource.says, provider_id))?;
    Some(format!("the access key configuration {}", found.id))
}

fn names(says: &forms::Configuration, provider_id: &str) -> bool {
    let is = |model: &String| {
        ModelRef::parse(model).is_some_and(|model| *model.provider == *provider_id)
    };
    let access = &says.access;
    let mut providers = access.providers.allow.iter().flatten();
    let mut models = access.models.allow.iter().flatten();
    let mut rules = says.router.rules.iter();
    providers.any(|id| id == provider_id)
        || models.any(is)
        || rules.any(|rule| {
            rule.provider.as_deref() == Some(provider_id) || rule.model.as_ref().is_some_and(is)
        })
}

/// What a name stands for shows with the first request; whoever reads the log may hear of it now.
fn warn_of_plain_http(id: &str, provider: &Provider) {
    let url = provider.says.base_url.as_deref();
    if url.is_some_and(written::is_doubtful) {
        log::warn!(
            "the provider {id} has a plain http base URL: it is only spoken if its name stands for a loopback or \
             private address"
        );
    }
}

fn shown(context: &Context, found: &Found<Provider>) -> AIGatewayProvider {
    let (id, provider) = (&*found.id, &*found.resource);
    let says = &provider.says;
    AIGatewayProvider {
        id: id.to_owned(),
        uri: context.uri(&["providers", id]),
        provider_id: says.id.clone(),
        name: provider
            .meta
            .name
            .clone()
            .unwrap_or_else(|| says.id.clone()),
        base_url: says.base_url.clone().unwrap_or_default(),
        metadata: provider.meta.metadata.clone(),
        made: context.made(&provider.meta),
        supported_api_surfaces: surfaces::shown(&provider.surfaces),
        models: models::shown(provider, &context.state.catalog()),
        auth: says.auth.clone(),
        vendor: says.vendor.clone(),
        account_id: context.other_account(&provider.meta),
    }
}
