//! Provider keys: upstream credentials. A value comes in, is sealed, and never goes out again.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crud;
use super::faults::Faults;
use super::known::{KeySource, KeySourceWrite, Known};
use super::managed::{Change, Managed, Seen, Shown};
use super::resource::Labels;
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id};
use crate::admin::operation::{Operation, Tag, post};
use crate::admin::page::page;
use crate::resource::{Configuration, CoolDownCleared, ProviderKey};
use crate::{Action, Draft, View};
use tollgate_base::Secret;
use tollgate_config::Config;
use tollgate_config::secrets::{SealError, Sealed};

/// What is wrong with a managed key for a provider that a tenant made.
pub(super) const TENANTS: &str =
    "cannot be managed: the provider is a tenant's, which would be sent the operator's key";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = crud::operations::<ProviderKey>();
    all.push(
        post("/provider-keys/{id}/rotate", "RotateAIGatewayProviderAPIKey")
            .tag(ProviderKey::TAG)
            .summary("Rotate an AI Gateway provider key")
            .description(
                "Gives the key another value. Requests under way finish with the one they began with; a cool-down \
                 of the key ends.",
            )
            .status(http::StatusCode::OK)
            .errors(&[Code::Declared])
            .handler(rotate),
    );
    all
}

page! {
    "A page of provider keys."
    AIGatewayProviderAPIKeyList { ai_gateway_provider_keys: Shown<ProviderKey> }
}

/// A provider key, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sent {
    /// Which AI provider this key is for, for example `openai` or `anthropic`.
    provider_id: Option<String>,
    /// Plaintext provider key value. Write-only; never returned in responses.
    #[schemars(length(min = 1, max = 16384))]
    value: Option<Secret>,
    #[serde(flatten)]
    labels: Labels,
    /// `managed` for a key of the operator's, which serves every account; only API keys for all accounts may create
    /// one. Defaults to `user`.
    key_source: Option<KeySourceWrite>,
}

/// A provider key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
    /// Which AI provider this key is for, for example `openai` or `anthropic`.
    provider_id: String,
    /// Redacted display form of the key value.
    key_redacted: String,
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

/// Which keys are listed.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Filter {
    /// Only returns keys matching the provider.
    provider: Option<String>,
}

impl Managed for ProviderKey {
    type Sent = Sent;
    type Own = Own;
    type List = AIGatewayProviderAPIKeyList;
    type Filter = Filter;

    const TAG: &'static Tag = &Tag {
        name: "AI Gateway Provider Keys",
        description: "Manage provider keys: the credentials that the gateway sends to providers.",
        one: "an AI Gateway provider key",
    };
    const WORDS: &'static Words = words!(
        "provider-keys", "AIGatewayProviderAPIKey", "an" "AI Gateway provider key", "provider key",
        [
            "",
            "The value is stored encrypted and is never shown again.",
            "",
            "Omit a field to leave it unchanged; send null to clear it. The value changes by rotation.",
            "Refused while a step of an access key configuration names it.",
        ]
    );
    const SHOWN: &'static str = "AIGatewayProviderAPIKeyDetail";
    const REQUIRED: &'static [&'static str] = &["providerId", "value", "name"];
    const FIXED: &'static [&'static str] = &["providerId", "value", "keySource"];
    const IS_NAMED: bool = true;
    const IS_USED: bool = true;
    const ERRORS: [&'static [Code]; 3] = [&[Code::OtherAccount], &[], &[Code::InUse]];

    fn apply(
        &mut self,
        sent: &Sent,
        change: &Change<'_, Self>,
        _: &mut Draft,
    ) -> Result<(), ApiError> {
        sent.labels.apply(&mut self.meta);
        match (&sent.provider_id, &sent.value) {
            (Some(provider), Some(value)) if change.old.is_none() => {
                self.managed = sent.key_source.is_some_and(KeySourceWrite::is_managed);
                self.place(provider, value, change)
            }
            _ => Ok(()),
        }
    }

    fn leave(&self, change: &Change<'_, Self>, draft: &mut Draft) -> Result<(), ApiError> {
        let view = change.known.view;
        let mut configurations = view.all::<Configuration>();
        if let Some(by) = configurations.find(|found| names(&found.resource, change.id)) {
            let by = format!("the access key configuration {}", by.id);
            return Err(ApiError::in_use(ProviderKey::WORDS.what, &by));
        }
        let cleared = view.get::<CoolDownCleared>(change.id);
        cleared.inspect(|found| draft.delete(change.actor, change.id, &*found.resource));
        Ok(())
    }

    fn own(&self, context: &Context, _: View<'_>, seen: Seen) -> Own {
        Own {
            provider_id: self.provider.clone(),
            key_redacted: self.redacted.clone(),
            last_used: seen.last_used,
            key_source: self.managed.then_some(KeySource::Managed),
            account_id: context.other_account(&self.meta),
        }
    }

    fn may_change(&self, context: &Context) -> Result<(), ApiError> {
        match self.managed {
            true => context.may_manage(),
            false => Ok(()),
        }
    }

    fn passes(&self, filter: &Filter) -> bool {
        let wanted = filter.provider.as_ref();
        wanted.is_none_or(|wanted| *wanted == self.provider)
    }
}

impl ProviderKey {
    /// Makes it a key of a provider, with a value.
    ///
    /// # Errors
    /// 403; 422 with every fault.
    fn place(
        &mut self,
        provider: &str,
        value: &Secret,
        change: &Change<'_, Self>,
    ) -> Result<(), ApiError> {
        let known = &change.known;
        self.may_change(known.context)?;
        let mut faults = Faults::default();
        faults.take(storable(known.config, value, "value"));
        let found = known.provider(provider);
        match &found {
            None => {
                let what = known.unknown(provider, &faults);
                faults.at("providerId", what);
            }
            Some(found) if self.managed && found.tenants => faults.at("keySource", TENANTS),
            Some(found) => self.provider = found.id.to_string(),
        }
        faults.none()?;
        self.fill(value, change)
    }

    /// Gives it a value.
    ///
    /// # Errors
    /// 409: its provider is gone.
    fn fill(&mut self, value: &Secret, change: &Change<'_, Self>) -> Result<(), ApiError> {
        self.sealed = Some(change.known.seal(change.id, self, value)?);
        self.redacted = value.redacted().to_string();
        Ok(())
    }
}

async fn rotate(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayProviderAPIKeyRotate>,
) -> Result<Shown<ProviderKey>, ApiError> {
    // Whether there is such a key comes before whether its value is fine.
    context.refresh().await;
    context.look(|view| context.find::<ProviderKey>(view, &id))?;
    storable(&context.control().config(), &body.value, "value")?;
    let refill = |key: &mut ProviderKey, change: &Change<'_, ProviderKey>, _: &mut Draft| {
        key.meta.name = Some(body.name.clone());
        key.fill(&body.value, change)
    };
    crud::change(&context, &id, Action::Rotate, refill).await?;
    crud::show(context, Id(id)).await
}

/// Whether a step of the configuration names the provider key.
fn names(configuration: &Configuration, id: &str) -> bool {
    let rules = configuration.spec.router.rules.iter();
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
