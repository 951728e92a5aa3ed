//! API keys: what programs and people send to the admin API.
//!
//! Invariant: nobody hands out more than they have. Only the role `full` may create keys, and a key for one account
//! creates keys for that account, and does not see those for all accounts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::managed::{Change, Managed, New, NoFilter, Seen, Shown};
use super::resource::Labels;
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::auth;
use crate::admin::error::ApiError;
use crate::admin::operation::Tag;
use crate::admin::page::page;
use crate::admin::patch::Patch;
use crate::resource::{Account, ApiKey, Open};
use crate::{DEFAULT_ACCOUNT, Draft, View};
use tollgate_base::redact;
use tollgate_config::secrets::{Role, Token};

page! { "A page of API keys." AIGatewayAPIKeyList { ai_gateway_api_keys: Shown<ApiKey> } }

/// An API key, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sent {
    #[serde(flatten)]
    labels: Labels,
    /// What it may do. Defaults to `full`.
    role: Patch<Role>,
    /// The one account it may act for. Defaults to the acting account, if that is not `default`; a caller that may act
    /// for all accounts, acting for `default`, creates a key for all accounts.
    #[schemars(length(min = 1, max = 128))]
    account_id: Option<String>,
}

/// An API key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
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

impl Managed for ApiKey {
    type Sent = Sent;
    type Own = Own;
    type List = AIGatewayAPIKeyList;
    type Filter = NoFilter;

    const TAG: &'static Tag = &Tag {
        name: "AI Gateway API Keys",
        description: "Manage API keys: what programs and people send to this API.",
        one: "an AI Gateway API key",
    };
    const WORDS: &'static Words = words!(
        "api-keys", "AIGatewayAPIKey", "an" "AI Gateway API key", "API key",
        [
            "The acting account's. Those for all accounts are listed with the account `default`, to callers that may act \
             for all accounts.",
            "The answer holds the token, which is shown only this once. It works on every gateway of the fleet within a \
             second.",
            "",
            "Omit a field to leave it unchanged; send null to clear it.",
            "It is refused by every gateway of the fleet within a second. It may be the caller's own.",
        ]
    );
    const FIXED: &'static [&'static str] = &["accountId"];
    const IS_USED: bool = true;

    fn begin(context: &Context, sent: &Sent) -> Result<New<Self>, ApiError> {
        let scope = scope(context, sent.account_id.as_deref())?;
        let mut new = New::<Self>::of(context);
        let token = Token::generate_admin(&new.id).map_err(ApiError::internal)?;
        let account = scope.as_deref().unwrap_or(DEFAULT_ACCOUNT);
        account.clone_into(&mut new.resource.meta.account);
        new.resource.scope = scope;
        new.resource.sha256 = token.digest();
        new.resource.redacted = redact(token.expose());
        new.token = Some(token.expose().to_owned());
        Ok(new)
    }

    fn apply(
        &mut self,
        sent: &Sent,
        change: &Change<'_, Self>,
        _: &mut Draft,
    ) -> Result<(), ApiError> {
        let account = change.known.view.get::<Account>(&self.meta.account);
        if change.old.is_none() && account.is_none() {
            return Err(ApiError::invalid("accountId", "names no account"));
        }
        sent.labels.apply(&mut self.meta);
        sent.role.clone().set(&mut self.role);
        Ok(())
    }

    fn own(&self, context: &Context, _: View<'_>, seen: Seen) -> Own {
        let sees_all = context.caller.account.is_none();
        Own {
            token: seen.token,
            key_redacted: self.redacted.clone(),
            last_used: seen.last_used,
            role: Some(self.role.clone()).filter(|role| *role != Open::Known(Role::Full)),
            // Whoever may act for one account sees that one's keys only.
            account_id: self.scope.clone().filter(|_| sees_all),
        }
    }

    fn is_visible(&self, context: &Context) -> bool {
        context.owns(&self.meta) && (context.caller.account.is_none() || self.scope.is_some())
    }
}

/// The one account that a new key may act for; `None`: all.
fn scope(context: &Context, named: Option<&str>) -> Result<Option<String>, ApiError> {
    if named.is_some() {
        let account = auth::account(&context.caller, named)?;
        return Ok(Some(account.to_string()));
    }
    let everywhere = context.caller.account.is_none() && *context.account == *DEFAULT_ACCOUNT;
    Ok((!everywhere).then(|| context.account.to_string()))
}
