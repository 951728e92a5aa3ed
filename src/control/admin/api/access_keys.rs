//! Access keys: what applications send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits::RateLimits;
use super::resource::Made;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Operation, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;
use crate::resource;
use crate::resource::Configuration;
use crate::{Action, Document, Found, View};
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_base::redact;
use tollgate_config::secrets::Token;

const WHAT: &str = "access key";

const TAG: Tag = Tag {
    name: "AI Gateway Access Keys",
    description: "Manage access keys: what applications send to the proxy.",
    one: "an AI Gateway access key",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/access-keys", "ListAIGatewayAccessKeys")
            .tag(&TAG)
            .summary("List AI Gateway access keys")
            .handler(list),
        post("/access-keys", "CreateAIGatewayAccessKey")
            .tag(&TAG)
            .summary("Create an AI Gateway access key")
            .description("The answer holds the token, which is shown only this once. It works on every replica within a second.")
            .handler(create),
        get("/access-keys/{id}", "GetAIGatewayAccessKey")
            .tag(&TAG)
            .summary("Get an AI Gateway access key")
            .handler(show),
        patch("/access-keys/{id}", "UpdateAIGatewayAccessKey")
            .tag(&TAG)
            .summary("Update an AI Gateway access key")
            .description("Omit a field to leave it unchanged; send null to clear it.")
            .errors(&[Code::Declared])
            .handler(update),
        delete("/access-keys/{id}", "DeleteAIGatewayAccessKey")
            .tag(&TAG)
            .summary("Delete an AI Gateway access key")
            .description("It is refused by every replica within a second; requests under way are finished.")
            .errors(&[Code::Declared])
            .handler(remove),
    ]
}

page! { "A page of access keys." AIGatewayAccessKeyList { ai_gateway_access_keys: AIGatewayAccessKey } }

/// An access key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayAccessKey {
    /// Unique identifier for this access key.
    id: String,
    /// URI of this AI Gateway Access Key API resource.
    uri: String,
    /// User-friendly label for this access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Human-readable description of this access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(flatten)]
    made: Made,
    /// Plaintext access key token. Only returned when the key is first created.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Redacted display form of the access key token.
    key_redacted: String,
    /// Timestamp when the access key was last used, within ten seconds; null if it never was.
    #[schemars(extend("format" = "date-time"))]
    last_used: Option<String>,
    /// Linked access key configuration, or null for allow-all scope.
    access_key_configuration: Option<ConfigurationRef>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// What it may use over time, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<RateLimits>,
}

/// The configuration that an access key is held to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ConfigurationRef {
    /// Configuration ID.
    id: String,
    /// URI of the linked configuration resource.
    uri: String,
    /// Configuration name.
    name: String,
}

/// A new access key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayAccessKeyCreate {
    /// User-friendly label for this access key.
    #[schemars(length(max = 255))]
    name: Option<String>,
    /// Human-readable description of this access key.
    #[schemars(length(max = 255))]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this access key.
    #[schemars(length(max = 4096))]
    metadata: Option<String>,
    /// ID of an access key configuration to link. Omit for allow-all scope.
    access_key_configuration_id: Option<String>,
    /// What it may use over time, besides what its configuration limits.
    limits: Option<RateLimits>,
}

/// Changes to an access key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct AIGatewayAccessKeyUpdate {
    /// User-friendly label for this access key.
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Human-readable description of this access key.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Arbitrary user-defined metadata for this access key.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
    /// ID of an access key configuration. Set to null to revert to allow-all scope.
    access_key_configuration_id: Patch<String>,
    /// What it may use over time; null lifts all limits, and an object replaces them all.
    limits: Patch<RateLimits>,
}

async fn list(
    context: Context,
    Query(query): Query<PageQuery>,
) -> Result<AIGatewayAccessKeyList, ApiError> {
    let page = context.page_of::<resource::AccessKey>(&query).await;
    let mut used = context.last_used(&page.items).await.into_iter();
    Ok(AIGatewayAccessKeyList::of(page, |key| {
        shown(&context, &key, used.next().flatten())
    }))
}

async fn show(context: Context, Id(id): Id) -> Result<AIGatewayAccessKey, ApiError> {
    let found = [context.find::<resource::AccessKey>(&id, WHAT).await?];
    let used = context.last_used(&found).await.into_iter().next().flatten();
    Ok(shown(&context, &found[0], used))
}

async fn create(
    context: Context,
    Body(body): Body<AIGatewayAccessKeyCreate>,
) -> Result<AIGatewayAccessKey, ApiError> {
    let mut meta = context.meta();
    meta.name = body.name;
    meta.description = body.description;
    meta.metadata = body.metadata;
    let id = id::new(resource::AccessKey::PREFIX, clock::wall_ms());
    let token = Token::generate(&id).map_err(ApiError::internal)?;
    let key = resource::AccessKey {
        meta,
        configuration: body.access_key_configuration_id,
        sha256: token.digest(),
        redacted: redact(token.expose()),
        limits: match &body.limits {
            Some(limits) => limits.checked("limits", &Default::default())?,
            None => Default::default(),
        },
    };
    let actor = context.actor();
    context
        .change(|view, draft| {
            linked(&context, view, key.configuration.as_deref())?;
            draft.create(&actor, &id, &key);
            Ok(())
        })
        .await?;
    let found = Found {
        id: id.as_str().into(),
        resource: key.into(),
        declared: false,
    };
    let mut answer = shown(&context, &found, None);
    answer.token = Some(token.expose().to_owned());
    Ok(answer)
}

async fn update(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayAccessKeyUpdate>,
) -> Result<AIGatewayAccessKey, ApiError> {
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = context.find_own::<resource::AccessKey>(view, &id, WHAT)?;
            let mut new = (*old).clone();
            body.name.clone().apply(&mut new.meta.name);
            body.description.clone().apply(&mut new.meta.description);
            body.metadata.clone().apply(&mut new.meta.metadata);
            // One that is linked already may be gone from the configuration file; that hinders no other change.
            if let Patch::Value(id) = &body.access_key_configuration_id {
                linked(&context, view, Some(id))?;
            }
            body.access_key_configuration_id
                .clone()
                .apply(&mut new.configuration);
            let limits = |limits: RateLimits| limits.checked("limits", &old.limits);
            body.limits.clone().try_map(limits)?.set(&mut new.limits);
            context.touch(&mut new.meta);
            draft.update(&actor, Action::Update, &id, &*old, &new);
            Ok(())
        })
        .await?;
    show(context, Id(id)).await
}

async fn remove(context: Context, Id(id): Id) -> Result<(), ApiError> {
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = context.find_own::<resource::AccessKey>(view, &id, WHAT)?;
            draft.delete(&actor, &id, &*old);
            Ok(())
        })
        .await
}

/// Sees that a configuration that is to be linked is the account's. Whoever acts for all accounts may also link what
/// the configuration file declares; others do not see it, and would use up what its keys may use together.
fn linked(context: &Context, view: View<'_>, id: Option<&str>) -> Result<(), ApiError> {
    let Some(id) = id else { return Ok(()) };
    match view.get::<Configuration>(id) {
        Some(found) if context.owns(&found.resource.meta) => Ok(()),
        Some(found) if found.declared && context.caller.account.is_none() => Ok(()),
        _ => Err(ApiError::invalid(
            "accessKeyConfigurationId",
            "names no access key configuration of the account",
        )),
    }
}

fn shown(
    context: &Context,
    found: &Found<resource::AccessKey>,
    last_used: Option<String>,
) -> AIGatewayAccessKey {
    let (id, key) = (&*found.id, &*found.resource);
    let name = |id: &str| {
        let found = context.look(|view| view.get::<Configuration>(id));
        found.and_then(|found| found.resource.meta.name.clone())
    };
    AIGatewayAccessKey {
        id: id.to_owned(),
        uri: context.uri(&["access-keys", id]),
        name: key.meta.name.clone(),
        description: key.meta.description.clone(),
        metadata: key.meta.metadata.clone(),
        made: context.made(&key.meta),
        token: None,
        key_redacted: key.redacted.clone(),
        last_used,
        access_key_configuration: key.configuration.as_deref().map(|id| ConfigurationRef {
            id: id.to_owned(),
            uri: context.uri(&["access-key-configurations", id]),
            name: name(id).unwrap_or_else(|| id.to_owned()),
        }),
        account_id: context.other_account(&key.meta),
        limits: RateLimits::shown(&key.limits),
    }
}
