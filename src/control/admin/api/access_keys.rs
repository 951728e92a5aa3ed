//! Access keys: what applications send.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budgets;
use super::crud::{self, Named};
use super::limits::RateLimits;
use super::managed::{Change, Managed, New, NoFilter, Seen, Shown};
use super::resource::{Labels, time};
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::go_duration;
use crate::admin::input::{Body, Id};
use crate::admin::operation::{Operation, Tag, post};
use crate::admin::page::page;
use crate::admin::patch::Patch;
use crate::resource::{AccessKey, Configuration, Former, Rest, SharedBudget};
use crate::{Action, Document, Draft, View};
use tollgate_base::{clock, redact};
use tollgate_config::secrets::Token;

/// How long a replaced token may work on.
const LONGEST_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn operations() -> Vec<Operation> {
    let mut all = crud::operations::<AccessKey>();
    all.push(
        post("/access-keys/{id}/rotate", "RotateAIGatewayAccessKey")
            .tag(AccessKey::TAG)
            .summary("Rotate an AI Gateway access key")
            .description(
                "Gives the key another token: the answer holds it, and it is shown only this once. The token before \
                 works on for `gracePeriod`, so that applications can be changed meanwhile; one that was replaced earlier \
                 stops now.",
            )
            .status(http::StatusCode::OK)
            .errors(&[Code::Declared])
            .handler(rotate),
    );
    all
}

/// How a key's token is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AIGatewayAccessKeyRotate {
    /// How long the token before works on, as a Go duration string (`1h30m`), at most `720h`. Defaults to `0s`: every
    /// replica refuses it within a second.
    grace_period: Option<String>,
}

async fn rotate(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayAccessKeyRotate>,
) -> Result<Shown<AccessKey>, ApiError> {
    // Whether there is such a key comes before whether the time is fine.
    context.refresh().await;
    context.look(|view| context.find::<AccessKey>(view, &id))?;
    let grace = grace(body.grace_period.as_deref())
        .map_err(|what| ApiError::invalid("gracePeriod", what))?;
    let token = Token::generate(&id).map_err(ApiError::internal)?;
    let replace = |key: &mut AccessKey, _: &Change<'_, AccessKey>, _: &mut Draft| {
        let until = clock::wall_ms().saturating_add(grace);
        key.former = (grace > 0).then(|| Former {
            sha256: key.sha256,
            until,
            rest: Rest::default(),
        });
        key.sha256 = token.digest();
        key.redacted = redact(token.expose());
        Ok(())
    };
    crud::change(&context, &id, Action::Rotate, replace).await?;
    crud::show_once(context, Id(id), Some(token.expose().to_owned())).await
}

/// A grace in milliseconds.
fn grace(text: Option<&str>) -> Result<u64, &'static str> {
    let Some(text) = text else {
        return Ok(0);
    };
    let grace = go_duration::parse(text).ok_or("must be a Go duration, as in 30m or 24h")?;
    if grace > LONGEST_GRACE {
        return Err("must be at most 720h");
    }
    u64::try_from(grace.as_millis()).map_err(|_| "must be at most 720h")
}

page! { "A page of access keys." AIGatewayAccessKeyList { ai_gateway_access_keys: Shown<AccessKey> } }

/// An access key, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sent {
    #[serde(flatten)]
    labels: Labels,
    /// ID of an access key configuration to link; without one all is allowed.
    access_key_configuration_id: Patch<String>,
    /// What it may use over time, besides what its configuration limits. An object replaces all limits.
    limits: Patch<RateLimits>,
    /// ID of the budget that it is part of.
    budget_id: Patch<String>,
}

/// An access key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
    /// Plaintext access key token. Only returned when the key is first created, and when it is rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Redacted display form of the access key token.
    key_redacted: String,
    /// Until when the token before the last rotation works, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    former_token_until: Option<String>,
    /// Timestamp when the access key was last used, within ten seconds; null if it never was.
    #[schemars(extend("format" = "date-time"))]
    last_used: Option<String>,
    /// Linked access key configuration, or null for allow-all scope.
    access_key_configuration: Option<Named>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// What it may use over time, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<RateLimits>,
    /// The budget that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Named>,
}

impl Managed for AccessKey {
    type Sent = Sent;
    type Own = Own;
    type List = AIGatewayAccessKeyList;
    type Filter = NoFilter;

    const TAG: &'static Tag = &Tag {
        name: "AI Gateway Access Keys",
        description: "Manage access keys: what applications send to the proxy.",
        one: "an AI Gateway access key",
    };
    const WORDS: &'static Words = words!(
        "access-keys", "AIGatewayAccessKey", "an" "AI Gateway access key", "access key",
        [
            "",
            "The answer holds the token, which is shown only this once. It works on every replica within a second.",
            "",
            "Omit a field to leave it unchanged; send null to clear it.",
            "It is refused by every replica within a second; requests under way are finished.",
        ]
    );
    const IS_USED: bool = true;

    fn begin(context: &Context, _: &Sent) -> Result<New<Self>, ApiError> {
        let mut new = New::<Self>::of(context);
        let token = Token::generate(&new.id).map_err(ApiError::internal)?;
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
        sent.labels.apply(&mut self.meta);
        // One that is linked already may be gone from the configuration file; that hinders no other change.
        if let Patch::Value(id) = &sent.access_key_configuration_id {
            linked(change.known.context, change.known.view, id)?;
        }
        let id = sent.access_key_configuration_id.clone();
        id.apply(&mut self.configuration);
        let limits = |limits: RateLimits| limits.checked("limits", &self.limits.own);
        let limits = sent.limits.clone().try_map(limits)?;
        limits.set(&mut self.limits.own);
        if let Patch::Value(id) = &sent.budget_id {
            budgets::owned(change.known.context, change.known.view, "budgetId", id)?;
        }
        sent.budget_id.clone().apply(&mut self.limits.shared);
        Ok(())
    }

    fn own(&self, context: &Context, view: View<'_>, seen: Seen) -> Own {
        let linked = self.configuration.as_deref();
        let shared = self.limits.shared.as_deref();
        let former = self.former.as_ref();
        let former = former.filter(|former| former.until > clock::wall_ms());
        Own {
            token: seen.token,
            key_redacted: self.redacted.clone(),
            former_token_until: former.map(|former| time(former.until)),
            last_used: seen.last_used,
            access_key_configuration: linked.map(|id| context.named::<Configuration>(view, id)),
            account_id: context.other_account(self.meta()),
            limits: RateLimits::shown(&self.limits.own),
            budget: shared.map(|id| context.named::<SharedBudget>(view, id)),
        }
    }
}

/// Sees that a configuration that is to be linked is the account's. Whoever acts for all accounts may also link what
/// the configuration file declares; others do not see it, and would use up what its keys may use together.
fn linked(context: &Context, view: View<'_>, id: &str) -> Result<(), ApiError> {
    match view.get::<Configuration>(id) {
        Some(found) if context.owns(&found.resource.meta) => Ok(()),
        Some(found) if found.declared && context.caller.account.is_none() => Ok(()),
        _ => Err(ApiError::invalid(
            "accessKeyConfigurationId",
            "names no access key configuration of the account",
        )),
    }
}
