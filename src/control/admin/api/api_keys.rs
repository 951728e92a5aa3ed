//! API keys: what programs and people send to the admin API.
//!
//! Invariant: nobody hands out more than they have. Only the role `full` may create keys, and a key for one account
//! creates keys for that account, and does not see those for all accounts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resource::Made;
use crate::admin::Context;
use crate::admin::auth;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Operation, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;
use crate::resource::{Account, ApiKey, Open};
use crate::{Action, DEFAULT_ACCOUNT, Document, Found, View};
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_base::redact;
use tollgate_config::secrets::{Role, Token};

const WHAT: &str = "API key";

const TAG: Tag = Tag {
    name: "AI Gateway API Keys",
    description: "Manage API keys: what programs and people send to this API.",
    one: "an AI Gateway API key",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api-keys", "ListAIGatewayAPIKeys")
            .tag(&TAG)
            .summary("List AI Gateway API keys")
            .description(
                "The acting account's. Those for all accounts are listed with the account `default`, to callers that \
                 may act for all accounts.",
            )
            .handler(list),
        post("/api-keys", "CreateAIGatewayAPIKey")
            .tag(&TAG)
            .summary("Create an AI Gateway API key")
            .description(
                "The answer holds the token, which is shown only this once. It works on every gateway of the fleet \
                 within a second.",
            )
            .handler(create),
        get("/api-keys/{id}", "GetAIGatewayAPIKey")
            .tag(&TAG)
            .summary("Get an AI Gateway API key")
            .handler(show),
        patch("/api-keys/{id}", "UpdateAIGatewayAPIKey")
            .tag(&TAG)
            .summary("Update an AI Gateway API key")
            .description("Omit a field to leave it unchanged; send null to clear it.")
            .errors(&[Code::Declared])
            .handler(update),
        delete("/api-keys/{id}", "DeleteAIGatewayAPIKey")
            .tag(&TAG)
            .summary("Delete an AI Gateway API key")
            .description("It is refused by every gateway of the fleet within a second. It may be the caller's own.")
            .errors(&[Code::Declared])
            .handler(remove),
    ]
}

page! { "A page of API keys." AIGatewayAPIKeyList { ai_gateway_api_keys: AIGatewayAPIKey } }

/// An API key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayAPIKey {
    /// Unique identifier for this API key.
    id: String,
    /// URI of this AI Gateway API Key API resource.
    uri: String,
    /// User-friendly label for this API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Human-readable description of this API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(flatten)]
    made: Made,
    /// Plaintext API key token. Only returned when the key is first created.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Redacted display form of the API key token.
    key_redacted: String,
    /// Timestamp when the API key was last used, within ten seconds; null if it never was.
    #[schemars(extend("format" = "date-time"))]
    last_used: Option<String>,
    /// What it may do, if that is not everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Open<Role>>,
    /// The one account it may act for; absent if it may act for all, and for callers that may act for one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// A new API key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayAPIKeyCreate {
    /// User-friendly label for this API key.
    #[schemars(length(max = 255))]
    name: Option<String>,
    /// Human-readable description of this API key.
    #[schemars(length(max = 255))]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this API key.
    #[schemars(length(max = 4096))]
    metadata: Option<String>,
    /// What it may do. Defaults to `full`.
    role: Option<Role>,
    /// The one account it may act for. Defaults to the acting account, if that is not `default`; a caller that may act
    /// for all accounts, acting for `default`, creates a key for all accounts.
    #[schemars(length(min = 1, max = 128))]
    account_id: Option<String>,
}

/// Changes to an API key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AIGatewayAPIKeyUpdate {
    /// User-friendly label for this API key.
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Human-readable description of this API key.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Arbitrary user-defined metadata for this API key.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
    /// What it may do; null is `full`.
    role: Patch<Role>,
}

async fn list(
    context: Context,
    Query(query): Query<PageQuery>,
) -> Result<AIGatewayAPIKeyList, ApiError> {
    context.refresh().await;
    let page = context.look(|view| {
        let all = view.below::<ApiKey>(query.before_id.as_deref());
        let own = all.filter(|found| visible(&context, &found.resource));
        context.page(&query, own, |found| &found.id)
    });
    let mut used = context.last_used(&page.items).await.into_iter();
    Ok(AIGatewayAPIKeyList::of(page, |key| {
        shown(&context, &key, used.next().flatten())
    }))
}

async fn show(context: Context, Id(id): Id) -> Result<AIGatewayAPIKey, ApiError> {
    context.refresh().await;
    let found = [context.look(|view| find(&context, view, &id))?];
    let used = context.last_used(&found).await.into_iter().next().flatten();
    Ok(shown(&context, &found[0], used))
}

async fn create(
    context: Context,
    Body(body): Body<AIGatewayAPIKeyCreate>,
) -> Result<AIGatewayAPIKey, ApiError> {
    let scope = scope(&context, body.account_id)?;
    let mut meta = context.meta();
    scope
        .as_deref()
        .unwrap_or(DEFAULT_ACCOUNT)
        .clone_into(&mut meta.account);
    meta.name = body.name;
    meta.description = body.description;
    meta.metadata = body.metadata;
    let id = id::new(ApiKey::PREFIX, clock::wall_ms());
    let token = Token::generate_admin(&id).map_err(ApiError::internal)?;
    let key = ApiKey {
        meta,
        sha256: token.digest(),
        redacted: redact(token.expose()),
        role: body.role.unwrap_or_default().into(),
        scope,
    };
    let actor = context.actor();
    context
        .change(|view, draft| {
            let account = view.get::<Account>(&key.meta.account);
            if account.is_none() {
                return Err(ApiError::invalid("accountId", "names no account"));
            }
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
    Body(body): Body<AIGatewayAPIKeyUpdate>,
) -> Result<AIGatewayAPIKey, ApiError> {
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = find_own(&context, view, &id)?.resource;
            let mut new = (*old).clone();
            body.name.clone().apply(&mut new.meta.name);
            body.description.clone().apply(&mut new.meta.description);
            body.metadata.clone().apply(&mut new.meta.metadata);
            body.role.clone().set(&mut new.role);
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
            let old = find_own(&context, view, &id)?.resource;
            draft.delete(&actor, &id, &*old);
            Ok(())
        })
        .await
}

/// The one account that a new key may act for; `None`: all.
fn scope(context: &Context, named: Option<String>) -> Result<Option<String>, ApiError> {
    if let Some(named) = named {
        let account = auth::account(&context.caller, Some(&named))?;
        return Ok(Some(account.to_string()));
    }
    let everywhere = context.caller.account.is_none() && *context.account == *DEFAULT_ACCOUNT;
    Ok((!everywhere).then(|| context.account.to_string()))
}

/// Whether the caller may see this key.
fn visible(context: &Context, key: &ApiKey) -> bool {
    context.owns(&key.meta) && (context.caller.account.is_none() || key.scope.is_some())
}

fn find(context: &Context, view: View<'_>, id: &str) -> Result<Found<ApiKey>, ApiError> {
    let found = context.find_in::<ApiKey>(view, id, WHAT)?;
    if visible(context, &found.resource) {
        return Ok(found);
    }
    Err(ApiError::not_found(WHAT))
}

/// The same, to be changed.
fn find_own(context: &Context, view: View<'_>, id: &str) -> Result<Found<ApiKey>, ApiError> {
    let found = find(context, view, id)?;
    if found.declared {
        return Err(ApiError::declared(WHAT));
    }
    Ok(found)
}

fn shown(context: &Context, found: &Found<ApiKey>, last_used: Option<String>) -> AIGatewayAPIKey {
    let (id, key) = (&*found.id, &*found.resource);
    AIGatewayAPIKey {
        id: id.to_owned(),
        uri: context.uri(&["api-keys", id]),
        name: key.meta.name.clone(),
        description: key.meta.description.clone(),
        metadata: key.meta.metadata.clone(),
        made: context.made(&key.meta),
        token: None,
        key_redacted: key.redacted.clone(),
        last_used,
        role: Some(key.role.clone()).filter(|role| *role != Open::Known(Role::Full)),
        // Whoever may act for one account sees that one's keys only.
        account_id: key
            .scope
            .clone()
            .filter(|_| context.caller.account.is_none()),
    }
}
