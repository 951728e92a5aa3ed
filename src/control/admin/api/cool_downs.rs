//! Provider keys that cool down, because their provider said so or does not accept them.
//!
//! Invariant: clearing is a change like any other, so every replica hears of it; the shared cool-down goes first, or
//! else replicas would hear of it again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::resource::time;
use crate::admin::Context;
use crate::admin::error::ApiError;
use crate::admin::input::Id;
use crate::admin::operation::{Operation, Scope, Tag, delete, get};
use crate::resource::{CoolDownCleared, ProviderKey};
use crate::{Action, Document};
use tollgate_base::clock;

const WHAT: &str = "provider key";

/// What stands for all provider keys.
const ALL: &str = "*";

const TAG: Tag = Tag {
    name: "Cool-downs",
    description: "Provider keys that are tried last for a while, because of a limit or a refusal: for a model, or for all.",
    one: "a provider key",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/cool-downs", "ListCoolDowns")
            .tag(&TAG)
            .summary("List cool-downs")
            .description(
                "What this gateway has seen, and what the others of its fleet have told it; the soonest to end first.",
            )
            .scope(Scope::Shared)
            .handler(list),
        delete("/cool-downs", "ClearCoolDowns")
            .tag(&TAG)
            .summary("Clear all cool-downs")
            .description("Every gateway of the fleet forgets them within a second.")
            .scope(Scope::AllAccounts)
            .handler(clear_all),
        delete("/cool-downs/{id}", "ClearCoolDown")
            .tag(&TAG)
            .summary("Clear a provider key's cool-downs")
            .description(
                "By the provider key's id, for all models. Every gateway of the fleet forgets it within a second; that it does not cool \
                 down is no error.",
            )
            .scope(Scope::Shared)
            .handler(clear),
    ]
}

/// The provider keys that cool down.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CoolDownList {
    /// The soonest to end first.
    cool_downs: Vec<CoolDown>,
    /// URI of this list resource.
    uri: String,
}

/// A provider key that cools down.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CoolDown {
    /// The provider key.
    provider_key_id: String,
    /// The only model that it cools down for; absent if it does for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
    /// Its provider; absent if the key is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    /// When it is tried in its turn again.
    #[schemars(extend("format" = "date-time"))]
    until: String,
    /// Why: the provider's status, as in `429`, or the outcome of the attempt as in the metrics.
    reason: String,
    /// Whether the other gateways of the fleet know of it.
    shared: bool,
}

async fn list(context: Context) -> Result<CoolDownList, ApiError> {
    context.refresh().await;
    let (now, wall_ms) = (clock::now(), clock::wall_ms());
    let mut all: BTreeMap<String, (u64, String, bool)> = BTreeMap::new();
    for key in context.state.process().cooling() {
        let left = key.until.saturating_duration_since(now).as_millis();
        let until = wall_ms.saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
        all.insert(key.name, (until, key.status.to_string(), false));
    }
    if let Some(shared) = context.state.cooldowns() {
        match shared.list().await {
            Ok(shared) => {
                for cooldown in shared {
                    let known = all.get(&cooldown.name).map_or(0, |(until, ..)| *until);
                    let until = cooldown.until_ms.max(known);
                    all.insert(cooldown.name, (until, cooldown.said, true));
                }
            }
            // What this replica knows is shown all the same.
            Err(error) => log::debug!("admin API: shared cool-downs are not known: {error}"),
        }
    }
    let mut all: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| visible(&context, parts(name).0))
        .collect();
    all.sort_by_key(|(_, (until, ..))| *until);
    let served = context.control().served();
    let snapshot = served.load();
    let shown = |(name, (until, reason, shared)): (String, (u64, String, bool))| {
        let (key, model) = parts(&name);
        let known = snapshot.provider_key(key);
        CoolDown {
            provider_key_id: key.to_owned(),
            model_id: model.map(str::to_owned),
            provider_id: known.map(|known| known.provider.to_string()),
            until: time(until),
            reason,
            shared,
        }
    };
    Ok(CoolDownList {
        cool_downs: all.into_iter().map(shown).collect(),
        uri: context.here(),
    })
}

/// The provider key and the model that a cool-down's name stands for; what follows is the class of endpoints.
fn parts(name: &str) -> (&str, Option<&str>) {
    let Some((key, scope)) = name.split_once('\n') else {
        return (name, None);
    };
    let model = scope.rsplit_once('\n').map_or(scope, |(model, _)| model);
    (key, Some(model).filter(|model| !model.is_empty()))
}

/// Whether the caller may see this provider key.
fn visible(context: &Context, key: &str) -> bool {
    let Some(own) = &context.caller.account else {
        return true;
    };
    let found = context.look(|view| view.get::<ProviderKey>(key));
    found.is_some_and(|found| *found.resource.meta().account == **own)
}

async fn clear(context: Context, Id(id): Id) -> Result<(), ApiError> {
    context.refresh().await;
    let known = context.look(|view| view.get::<ProviderKey>(&id).is_some());
    if !known || !visible(&context, &id) {
        return Err(ApiError::not_found(WHAT));
    }
    forget(&context, &id).await
}

async fn clear_all(context: Context) -> Result<(), ApiError> {
    forget(&context, ALL).await
}

async fn forget(context: &Context, id: &str) -> Result<(), ApiError> {
    if let Some(shared) = context.state.cooldowns() {
        let key = Some(id).filter(|id| *id != ALL);
        shared.clear(key).await.map_err(ApiError::store_away)?;
    }
    let actor = context.actor();
    let account = context.look(|view| {
        let key = view.get::<ProviderKey>(id);
        key.map(|found| found.resource.meta().account.clone())
    });
    context
        .change(|view, draft| {
            let old = view.get::<CoolDownCleared>(id).map(|found| found.resource);
            let mut meta = context.meta();
            if let Some(account) = &account {
                meta.account.clone_from(account);
            }
            if let Some(old) = &old {
                meta.created_at = old.meta.created_at;
                meta.created_by.clone_from(&old.meta.created_by);
            }
            if let Some(old) = &old {
                meta.rest = old.meta.rest.clone();
            }
            let new = CoolDownCleared { meta };
            draft.put(&actor, Action::Clear, id, old.as_deref(), &new);
            Ok(())
        })
        .await
}
