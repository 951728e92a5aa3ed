//! Accounts: who owns keys and credits.
//!
//! Invariant: what is deleted owned nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credits::bank_error;
use super::money::usd;
use super::resource::Made;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Operation, Scope, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;
use crate::resource::{AccessKey, Account, ApiKey, Configuration, Provider, ProviderKey, Settings};
use crate::{Action, Document, Found, Tabled, View};
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::secrets::token;
use tollgate_ledger::NanoUsd;

const WHAT: &str = "account";

const TAG: Tag = Tag {
    name: "Accounts",
    description: "Manage accounts: who owns keys and credits. Needs an API key for all accounts.",
    one: "an account",
};

pub(super) fn operations() -> Vec<Operation> {
    let all = [
        get("/accounts", "ListAccounts")
            .tag(&TAG)
            .summary("List accounts")
            .scope(Scope::AllAccounts)
            .handler(list),
        post("/accounts", "CreateAccount")
            .tag(&TAG)
            .summary("Create an account")
            .description("It begins without credits, unless the ledger has books of an earlier account with this id.")
            .scope(Scope::AllAccounts)
            .errors(&[Code::Conflict])
            .handler(create),
        get("/accounts/{id}", "GetAccount")
            .tag(&TAG)
            .summary("Get an account")
            .scope(Scope::AllAccounts)
            .handler(show),
        patch("/accounts/{id}", "UpdateAccount")
            .tag(&TAG)
            .summary("Update an account")
            .description("Omit a field to leave it unchanged; send null to clear it.")
            .scope(Scope::AllAccounts)
            .errors(&[Code::Declared])
            .handler(update),
        delete("/accounts/{id}", "DeleteAccount")
            .tag(&TAG)
            .summary("Delete an account")
            .description(
                "Refused while it has keys, configurations, providers or credits. Its usage and its books stay.",
            )
            .scope(Scope::AllAccounts)
            .errors(&[Code::Declared, Code::InUse, Code::Conflict])
            .handler(remove),
    ];
    all.into()
}

page! { "A page of accounts." AccountList { accounts: AccountShown } }

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Account")]
pub(super) struct AccountShown {
    /// Unique identifier for this account.
    id: String,
    /// URI of this account.
    uri: String,
    /// User-friendly label for this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Human-readable description of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(flatten)]
    made: Made,
}

/// A new account.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AccountCreate {
    /// What keys, requests and commands call it: lowercase letters, digits, `-` and `_`. Made up if absent.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    id: Option<String>,
    /// User-friendly label for this account.
    #[schemars(length(max = 255))]
    name: Option<String>,
    /// Human-readable description of this account.
    #[schemars(length(max = 255))]
    description: Option<String>,
    /// Arbitrary user-defined metadata for this account.
    #[schemars(length(max = 4096))]
    metadata: Option<String>,
}

/// Changes to an account.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct AccountUpdate {
    /// User-friendly label for this account.
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Human-readable description of this account.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Arbitrary user-defined metadata for this account.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
}

async fn list(context: Context, Query(query): Query<PageQuery>) -> Result<AccountList, ApiError> {
    context.refresh().await;
    let page = context.look(|view| {
        let all = view.below::<Account>(query.before_id.as_deref());
        context.page(&query, all, |found| &found.id)
    });
    Ok(AccountList::of(page, |found| shown(&context, &found)))
}

async fn show(context: Context, Id(id): Id) -> Result<AccountShown, ApiError> {
    context.refresh().await;
    let found = context.look(|view| find(view, &id))?;
    Ok(shown(&context, &found))
}

async fn create(
    context: Context,
    Body(body): Body<AccountCreate>,
) -> Result<AccountShown, ApiError> {
    let id = match body.id {
        Some(id) if !token::is_id(&id) => {
            let what = "must be lowercase letters, digits, `-` and `_`, at most 63";
            return Err(ApiError::invalid("id", what));
        }
        Some(id) => id,
        None => id::new(Account::PREFIX, clock::wall_ms()),
    };
    let mut meta = context.meta();
    meta.account.clone_from(&id);
    meta.name = body.name;
    meta.description = body.description;
    meta.metadata = body.metadata;
    let account = Account { meta };
    let actor = context.actor();
    context
        .change(|view, draft| {
            if view.get::<Account>(&id).is_some() {
                return Err(ApiError::conflict("there is an account with this id"));
            }
            draft.create(&actor, &id, &account);
            Ok(())
        })
        .await?;
    let found = Found {
        id: id.as_str().into(),
        resource: account.into(),
        declared: false,
    };
    Ok(shown(&context, &found))
}

async fn update(
    context: Context,
    Id(id): Id,
    Body(body): Body<AccountUpdate>,
) -> Result<AccountShown, ApiError> {
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = find_own(view, &id)?.resource;
            let mut new = (*old).clone();
            body.name.clone().apply(&mut new.meta.name);
            body.description.clone().apply(&mut new.meta.description);
            body.metadata.clone().apply(&mut new.meta.metadata);
            context.touch(&mut new.meta);
            draft.update(&actor, Action::Update, &id, &*old, &new);
            Ok(())
        })
        .await?;
    show(context, Id(id)).await
}

async fn remove(context: Context, Id(id): Id) -> Result<(), ApiError> {
    context.refresh().await;
    context.look(|view| find_own(view, &id).map(drop))?;
    if let Some(bank) = context.state.bank() {
        let books = bank.books(&id).await.map_err(bank_error)?;
        let left = books.free + books.lent();
        if left > NanoUsd::ZERO {
            return Err(ApiError::conflict(format!(
                "the account has credits left, USD {}: they must be spent or expire first",
                usd(left)
            )));
        }
    }
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = find_own(view, &id)?.resource;
            unused(view, &id)?;
            if let Some(settings) = view.get::<Settings>(&id) {
                draft.delete(&actor, &id, &*settings.resource);
            }
            draft.delete(&actor, &id, &*old);
            Ok(())
        })
        .await
}

/// Sees that nothing belongs to the account.
fn unused(view: View<'_>, account: &str) -> Result<(), ApiError> {
    fn owned<T: Tabled>(view: View<'_>, account: &str, what: &str) -> Result<(), ApiError> {
        let mut all = view.all::<T>();
        match all.find(|found| found.resource.meta().account == account) {
            Some(found) => Err(ApiError::in_use(WHAT, &format!("the {what} {}", found.id))),
            None => Ok(()),
        }
    }
    owned::<AccessKey>(view, account, "access key")?;
    owned::<ProviderKey>(view, account, "provider key")?;
    owned::<Provider>(view, account, "provider")?;
    owned::<Configuration>(view, account, "access key configuration")?;
    owned::<ApiKey>(view, account, "API key")
}

fn find(view: View<'_>, id: &str) -> Result<Found<Account>, ApiError> {
    view.get::<Account>(id)
        .ok_or_else(|| ApiError::new(Code::NotFound, "there is no account with this id"))
}

/// The same, to be changed.
fn find_own(view: View<'_>, id: &str) -> Result<Found<Account>, ApiError> {
    let found = find(view, id)?;
    if found.declared {
        return Err(ApiError::declared(WHAT));
    }
    Ok(found)
}

fn shown(context: &Context, found: &Found<Account>) -> AccountShown {
    let (id, account) = (&*found.id, &*found.resource);
    AccountShown {
        id: id.to_owned(),
        uri: context.uri(&["accounts", id]),
        name: account.meta.name.clone(),
        description: account.meta.description.clone(),
        metadata: account.meta.metadata.clone(),
        made: context.made(&account.meta),
    }
}
