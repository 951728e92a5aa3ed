//! Accounts: who owns keys and credits.
//!
//! Invariant: what is deleted owned nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credits::bank_error;
use super::managed::{Change, Managed, New, NoFilter, Seen, Shown};
use super::money::usd;
use super::resource::Labels;
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::operation::{Scope, Tag};
use crate::admin::page::page;
use crate::admin::patch::Patch;
use crate::resource::{
    AccessKey, Account, ApiKey, Configuration, Provider, ProviderKey, Settings, SharedBudget,
};
use crate::{Draft, View};
use tollgate_config::secrets::token;
use tollgate_ledger::{HOUSE, NanoUsd};

page! { "A page of accounts." AccountList { accounts: Shown<Account> } }

/// An account, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Sent {
    /// What keys, requests and commands call it: lowercase letters, digits, `-` and `_`. Made up if absent.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    id: Option<String>,
    #[serde(flatten)]
    labels: Labels,
    /// Its share of the turns beside other accounts', where requests wait for providers' quotas; 1 if absent.
    #[schemars(range(min = 1, max = 1000))]
    weight: Patch<u32>,
}

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Own {
    /// Its share of the turns, where requests wait for providers' quotas, if that is not 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

impl Managed for Account {
    type Sent = Sent;
    type Own = Own;
    type List = AccountList;
    type Filter = NoFilter;

    const TAG: &'static Tag = &Tag {
        name: "Accounts",
        description: "Manage accounts: who owns keys and credits. Needs an API key for all accounts.",
        one: "an account",
    };
    const WORDS: &'static Words = words!(
        "accounts", "Account", "an" "account", "account",
        [
            "",
            "It begins without credits, unless the ledger has books of an earlier account with this id.",
            "",
            "Omit a field to leave it unchanged; send null to clear it.",
            "Refused while it has keys, configurations, budgets, providers or credits. Its usage and its books stay.",
        ]
    );
    const FIXED: &'static [&'static str] = &["id"];
    const SCOPE: Scope = Scope::AllAccounts;
    const ERRORS: [&'static [Code]; 3] = [&[Code::Conflict], &[], &[Code::InUse, Code::Conflict]];

    fn begin(context: &Context, sent: &Sent) -> Result<New<Self>, ApiError> {
        let mut new = New::<Self>::of(context);
        if let Some(id) = &sent.id {
            if !token::is_id(id) {
                let what = "must be lowercase letters, digits, `-` and `_`, at most 63";
                return Err(ApiError::invalid("id", what));
            }
            if id == HOUSE {
                let what = "is who pays for failed attempts with managed keys; choose another one";
                return Err(ApiError::invalid("id", what));
            }
            new.id.clone_from(id);
        }
        new.resource.meta.account.clone_from(&new.id);
        Ok(new)
    }

    fn apply(
        &mut self,
        sent: &Sent,
        change: &Change<'_, Self>,
        _: &mut Draft,
    ) -> Result<(), ApiError> {
        let there = change.known.view.get::<Account>(change.id);
        if change.old.is_none() && there.is_some() {
            return Err(ApiError::conflict("there is an account with this id"));
        }
        sent.labels.apply(&mut self.meta);
        sent.weight.clone().apply(&mut self.weight);
        Ok(())
    }

    async fn may_leave(context: &Context, id: &str) -> Result<(), ApiError> {
        context.refresh().await;
        context.look(|view| context.find_own::<Account>(view, id))?;
        let Some(bank) = context.state.bank() else {
            return Ok(());
        };
        let books = bank.books(id).await.map_err(bank_error)?;
        let left = books.free + books.lent();
        if left > NanoUsd::ZERO {
            return Err(ApiError::conflict(format!(
                "the account has credits left, USD {}: they must be spent or expire first",
                usd(left)
            )));
        }
        Ok(())
    }

    fn leave(&self, change: &Change<'_, Self>, draft: &mut Draft) -> Result<(), ApiError> {
        let view = change.known.view;
        unused::<AccessKey>(view, change.id)?;
        unused::<ProviderKey>(view, change.id)?;
        unused::<Provider>(view, change.id)?;
        unused::<Configuration>(view, change.id)?;
        unused::<SharedBudget>(view, change.id)?;
        unused::<ApiKey>(view, change.id)?;
        if let Some(settings) = view.get::<Settings>(change.id) {
            draft.delete(change.actor, change.id, &*settings.resource);
        }
        Ok(())
    }

    fn own(&self, _: &Context, _: View<'_>, _: Seen) -> Own {
        Own {
            weight: self.weight,
        }
    }

    fn is_visible(&self, _: &Context) -> bool {
        true
    }

    fn missing(_: &Context, _: &str) -> ApiError {
        ApiError::new(Code::NotFound, "there is no account with this id")
    }
}

/// Sees that nothing of a kind belongs to the account.
fn unused<K: Managed>(view: View<'_>, account: &str) -> Result<(), ApiError> {
    let mut all = view.all::<K>();
    match all.find(|found| found.resource.meta().account == account) {
        Some(found) => {
            let by = format!("the {} {}", K::WORDS.what, found.id);
            Err(ApiError::in_use(Account::WORDS.what, &by))
        }
        None => Ok(()),
    }
}
