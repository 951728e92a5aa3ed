//! Provider keys: upstream credentials. A value comes in, is sealed, and never goes out again.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use super::known::{KeySource, KeySourceWrite, Known};
use super::resource::Made;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Operation, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;
use crate::resource::{Configuration, CoolDownCleared, ProviderKey};
use crate::{Action, Document, Found, View};
use tollgate_base::Secret;
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::Config;
use tollgate_config::secrets::{SealError, Sealed};

const WHAT: &str = "provider key";

/// What is wrong with a managed key for a provider that a tenant made.
pub(super) const TENANTS: &str =
    "cannot be managed: the provider is a tenant's, which would be sent the operator's key";

const TAG: Tag = Tag {
    name: "AI Gateway Provider Keys",
    description: "Manage provider keys: the credentials that the gateway sends to providers.",
    one: "an AI Gateway provider key",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/provider-keys", "ListAIGatewayProviderAPIKeys")
            .tag(&TAG)
            .summary("List AI Gateway provider keys")
            .handler(list),
        post("/provider-keys", "CreateAIGatewayProviderAPIKey")
            .tag(&TAG)
            .summary("Create an AI Gateway provider key")
            .description("The value is stored encrypted and is never shown again.")
            .errors(&[Code::OtherAccount])
            .handler(create),
        get("/provider-keys/{id}", "GetAIGatewayProviderAPIKey")
            .tag(&TAG)
            .summary("Get an AI Gateway provider key")
            .handler(show),
        patch("/provider-keys/{id}", "UpdateAIGatewayProviderAPIKey")
            .tag(&TAG)
            .summary("Update an AI Gateway provider key")
            .description(
                "Omit a field to leave it unchanged; send null to clear it. The value changes by rotation.",
            )
            .errors(&[Code::Declared])
            .handler(update),
        delete("/provider-keys/{id}", "DeleteAIGatewayProviderAPIKey")
            .tag(&TAG)
            .summary("Delete an AI Gateway provider key")
            .description("Refused while a step of an access key configuration names it.")
            .errors(&[Code::Declared, Code::InUse])
            .handler(remove),
        post("/provider-keys/{id}/rotate", "RotateAIGatewayProviderAPIKey")
            .tag(&TAG)
            .summary("Rotate an AI Gateway provider key")
            .description(
                "Gives the key another value. Requests under way finish with the one they began with; a cool-down \
                 of the key ends.",
            )
            .status(http::StatusCode::OK)
            .errors(&[Code::Declared])
            .handler(rotate),
    ]
}

page! {
    "A page of provider keys."
    AIGatewayProviderAPIKeyList { ai_gateway_provider_keys: AIGatewayProviderAPIKeyDetail }
}

/// A provider key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProviderAPIKeyDetail {
    /// Unique identifier for this provider key.
    id: String,
    /// URI of this AI Gateway Provider Key API resource.
    uri: String,
    /// Which AI provider this key is for, for example `openai` or `anthropic`.
    provider_id: String,
    /// User-defined label for this provider key.
    name: String,
    /// Redacted display form of the key value.
    key_redacted: String,
    /// Human-readable description of this provider key.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this provider key.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(flatten)]
    made: Made,
    /// Timestamp when the provider key was last used, within ten seconds; null if it never was.
    #[schemars(extend("format" = "date-time"))]
    last_used: Option<String>,
    /// `managed` if the key is the operator's and serves every account; absent for an account's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_source: Option<KeySource>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// A new provider key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProviderAPIKeyCreate {
    /// Which AI provider this key is for, for example `openai` or `anthropic`.
    provider_id: String,
    /// Plaintext provider key value. Write-only; never returned in responses.
    #[schemars(length(min = 1, max = 16384))]
    value: Secret,
    /// User-defined label for this provider key.
    #[schemars(length(max = 255))]
    name: String,
    /// Human-readable description of this provider key.
    #[schemars(length(max = 255))]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this provider key.
    #[schemars(length(max = 4096))]
    metadata: Option<String>,
    /// `managed` for a key of the operator's, which serves every account; only API keys for all accounts may create
    /// one. Defaults to `user`.
    key_source: Option<KeySourceWrite>,
}

/// Changes to a provider key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AIGatewayProviderAPIKeyUpdate {
    /// User-defined label for this provider key; without one its ID is shown.
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Human-readable description of this provider key.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Arbitrary user-defined metadata for this provider key.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
}

/// A provider key's new value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayProviderAPIKeyRotate {
    /// Plaintext provider key value. Write-only; never returned in responses.
    #[schemars(length(min = 1, max = 16384))]
    value: Secret,
    /// User-defined label for this provider key.
    #[schemars(length(max = 255))]
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct KeysQuery {
    /// Only returns keys matching the provider.
    provider: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

async fn list(
    context: Context,
    Query(query): Query<KeysQuery>,
) -> Result<AIGatewayProviderAPIKeyList, ApiError> {
    context.refresh().await;
    let wanted = |key: &ProviderKey| {
        context.owns(&key.meta)
            && query
                .provider
                .as_ref()
                .is_none_or(|provider| *provider == key.provider)
    };
    let page = context.look(|view| {
        let all = view.below::<ProviderKey>(query.page.before_id.as_deref());
        let own = all.filter(|found| wanted(&found.resource));
        context.page(&query.page, own, |found| &found.id)
    });
    let mut used = context.last_used(&page.items).await.into_iter();
    Ok(AIGatewayProviderAPIKeyList::of(page, |key| {
        shown(&context, &key, used.next().flatten())
    }))
}

async fn show(context: Context, Id(id): Id) -> Result<AIGatewayProviderAPIKeyDetail, ApiError> {
    let found = [context.find::<ProviderKey>(&id, WHAT).await?];
    let used = context.last_used(&found).await.into_iter().next().flatten();
    Ok(shown(&context, &found[0], used))
}

async fn create(
    context: Context,
    Body(body): Body<AIGatewayProviderAPIKeyCreate>,
) -> Result<AIGatewayProviderAPIKeyDetail, ApiError> {
    let managed = body.key_source.is_some_and(KeySourceWrite::is_managed);
    if managed {
        context.may_manage()?;
    }
    let mut meta = context.meta();
    meta.name = Some(body.name);
    meta.description = body.description;
    meta.metadata = body.metadata;
    let config = context.control().config();
    let id = id::new(ProviderKey::PREFIX, clock::wall_ms());
    let mut faults = Faults::default();
    faults.take(storable(&config, &body.value, "value"));
    let actor = context.actor();
    let key = context
        .change(|view, draft| {
            let known = Known {
                context: &context,
                config: &config,
                view,
            };
            let mut faults = faults.clone();
            let provider = known.provider(&body.provider_id);
            if provider.is_none() {
                faults.at("providerId", known.unknown(&body.provider_id));
            }
            if managed && provider.as_ref().is_some_and(|known| known.tenants) {
                faults.at("keySource", TENANTS);
            }
            faults.none()?;
            let mut key = ProviderKey {
                meta: meta.clone(),
                provider: provider.map_or_else(String::new, |known| known.id.to_string()),
                managed,
                sealed: None,
                redacted: body.value.redacted().to_string(),
            };
            key.sealed = Some(known.seal(&id, &key, &body.value)?);
            draft.create(&actor, &id, &key);
            Ok(key)
        })
        .await?;
    let found = Found {
        id: id.as_str().into(),
        resource: key.into(),
        declared: false,
    };
    Ok(shown(&context, &found, None))
}

async fn update(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayProviderAPIKeyUpdate>,
) -> Result<AIGatewayProviderAPIKeyDetail, ApiError> {
    change(&context, &id, Action::Update, |_, new| {
        body.name.clone().apply(&mut new.meta.name);
        body.description.clone().apply(&mut new.meta.description);
        body.metadata.clone().apply(&mut new.meta.metadata);
        Ok(())
    })
    .await?;
    show(context, Id(id)).await
}

async fn rotate(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayProviderAPIKeyRotate>,
) -> Result<AIGatewayProviderAPIKeyDetail, ApiError> {
    // Whether there is such a key comes before whether its value is fine.
    context.find::<ProviderKey>(&id, WHAT).await?;
    let config = context.control().config();
    storable(&config, &body.value, "value")?;
    change(&context, &id, Action::Rotate, |known, new| {
        new.meta.name = Some(body.name.clone());
        new.sealed = Some(known.seal(&id, new, &body.value)?);
        new.redacted = body.value.redacted().to_string();
        Ok(())
    })
    .await?;
    show(context, Id(id)).await
}

async fn remove(context: Context, Id(id): Id) -> Result<(), ApiError> {
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = own(&context, view, &id)?;
            let mut configurations = view.all::<Configuration>();
            if let Some(by) = configurations.find(|found| names(&found.resource, &id)) {
                let by = format!("the access key configuration {}", by.id);
                return Err(ApiError::in_use(WHAT, &by));
            }
            let cleared = view.get::<CoolDownCleared>(&id);
            cleared.inspect(|found| draft.delete(&actor, &id, &*found.resource));
            draft.delete(&actor, &id, &*old);
            Ok(())
        })
        .await
}

async fn change(
    context: &Context,
    id: &str,
    action: Action,
    apply: impl Fn(&Known<'_>, &mut ProviderKey) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let (actor, config) = (context.actor(), context.control().config());
    context
        .change(|view, draft| {
            let old = own(context, view, id)?;
            let mut new = (*old).clone();
            let known = Known {
                context,
                config: &config,
                view,
            };
            apply(&known, &mut new)?;
            context.touch(&mut new.meta);
            draft.update(&actor, action, id, &*old, &new);
            Ok(())
        })
        .await
}

/// The account's key, if the caller may change it.
fn own(
    context: &Context,
    view: View<'_>,
    id: &str,
) -> Result<std::sync::Arc<ProviderKey>, ApiError> {
    let key = context.find_own::<ProviderKey>(view, id, WHAT)?;
    if key.managed {
        context.may_manage()?;
    }
    Ok(key)
}

/// Whether a step of the configuration names the provider key.
fn names(configuration: &Configuration, id: &str) -> bool {
    let rules = configuration.says.router.rules.iter();
    let mut keys = rules
        .flat_map(|rule| &rule.steps)
        .flat_map(|step| step.keys.iter().flatten());
    keys.any(|key| key == id)
}

/// Whether a value can be stored; `field` is where it stands in the body.
///
/// # Errors
/// 422: it cannot travel in a header, or there is no master key.
pub(super) fn storable(config: &Config, value: &Secret, field: &str) -> Result<(), ApiError> {
    let text = value.expose();
    // HeaderValue alone would let other bytes pass.
    if !text.is_ascii() || HeaderValue::from_str(text).is_err() || text.trim() != text {
        let what =
            "must be what an HTTP header can carry: one line of ASCII, without spaces around it";
        return Err(ApiError::invalid(field, what));
    }
    if config.secrets.current_id().is_none() {
        let what = format!("cannot be stored: {}", SealError::NoMasterKey);
        return Err(ApiError::invalid(field, what));
    }
    Ok(())
}

impl Known<'_> {
    /// A value as it is stored, for where this key is sent.
    ///
    /// # Errors
    /// 409: its provider is gone.
    pub(super) fn seal(
        &self,
        id: &str,
        key: &ProviderKey,
        value: &Secret,
    ) -> Result<Sealed, ApiError> {
        let catalog = self.context.state.catalog();
        let of = (&self.config.secrets, &*catalog);
        let sealed = self.view.seal_value(of, (id, key), value);
        sealed.map_err(ApiError::internal)?.ok_or_else(|| {
            ApiError::conflict(
                "the provider of this key is not there any more: make it first, or delete the key",
            )
        })
    }
}

/// What a key is called.
pub(super) fn label(found: &Found<ProviderKey>) -> String {
    let name = found.resource.meta.name.as_ref();
    name.map_or_else(|| found.id.to_string(), String::clone)
}

fn shown(
    context: &Context,
    found: &Found<ProviderKey>,
    last_used: Option<String>,
) -> AIGatewayProviderAPIKeyDetail {
    let (id, key) = (&*found.id, &*found.resource);
    AIGatewayProviderAPIKeyDetail {
        id: id.to_owned(),
        uri: context.uri(&["provider-keys", id]),
        provider_id: key.provider.clone(),
        name: label(found),
        key_redacted: key.redacted.clone(),
        description: key.meta.description.clone(),
        metadata: key.meta.metadata.clone(),
        made: context.made(&key.meta),
        last_used,
        key_source: key.managed.then_some(KeySource::Managed),
        account_id: context.other_account(&key.meta),
    }
}
