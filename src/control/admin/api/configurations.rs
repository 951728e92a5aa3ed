//! Access key configurations: what access keys may call, and which credentials serve them.

mod bounds;
mod check;
mod inline;
mod router;
mod serving;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use super::managed::{Change, Managed, New, NoFilter, Seen, Shown};
use super::resource::Labels;
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::operation::Tag;
use crate::admin::page::page;
use crate::admin::patch::Patch;
use crate::resource::{AccessKey, Configuration, Open};
use crate::{Draft, View};
use bounds::{ConfigurationLimits, ConfigurationTimeouts};
use inline::Inline;
use router::{AccessScope, Router, RouterWrite};
use serving::{SentServing, Serving};
use tollgate_config::types::Per;
use tollgate_wire::tags::SESSION;

page! {
    "A page of access key configurations."
    AIGatewayAccessKeyConfigurationList { ai_gateway_access_key_configurations: Shown<Configuration> }
}

/// An access key configuration, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sent {
    #[serde(flatten)]
    labels: Labels,
    /// Which providers and models are reachable; absent allows all.
    access: Patch<AccessScope>,
    /// Which credentials serve; absent: the account's own keys of the provider, then managed keys.
    router: Patch<RouterWrite>,
    /// What may be used, by one request and over time, by all keys with this configuration together. An object
    /// replaces all limits.
    limits: Patch<ConfigurationLimits>,
    #[serde(flatten)]
    serving: SentServing,
    /// Timeouts for callers with this configuration. An object replaces them all.
    timeouts: Patch<ConfigurationTimeouts>,
}

/// An access key configuration.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
    /// Which providers and models are reachable; absent allows all.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessScope>,
    /// Which credentials serve; absent: the account's own keys of the provider, then managed keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    router: Option<Router>,
    /// What may be used, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<ConfigurationLimits>,
    #[serde(flatten)]
    serving: Serving,
    /// Timeouts that are not as the gateway has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<ConfigurationTimeouts>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

impl Managed for Configuration {
    type Sent = Sent;
    type Own = Own;
    type List = AIGatewayAccessKeyConfigurationList;
    type Filter = NoFilter;

    const TAG: &'static Tag = &Tag {
        name: "AI Gateway Access Key Configurations",
        description: "Manage what access keys may call, and which credentials serve them.",
        one: "an AI Gateway access key configuration",
    };
    const WORDS: &'static Words = words!(
        "access-key-configurations", "AIGatewayAccessKeyConfiguration",
        "an" "AI Gateway access key configuration", "access key configuration",
        [
            "",
            "Attach it to access keys to control which providers and models each key may call and with what \
             credentials. Provider keys that are written inline are created with it, all or nothing.",
            "",
            "Omit a field to leave it unchanged; send null to clear it. An object replaces the whole field.",
            "Refused while an access key refers to it.",
        ]
    );
    const REQUIRED: &'static [&'static str] = &["name"];
    const IS_NAMED: bool = true;
    const ERRORS: [&'static [Code]; 3] = [&[], &[], &[Code::InUse]];

    fn begin(context: &Context, _: &Sent) -> Result<New<Self>, ApiError> {
        let mut new = New::<Self>::of(context);
        new.resource.spec.id.clone_from(&new.id);
        Ok(new)
    }

    /// Keys that are written inline go into the draft.
    fn apply(
        &mut self,
        sent: &Sent,
        change: &Change<'_, Self>,
        draft: &mut Draft,
    ) -> Result<(), ApiError> {
        let known = &change.known;
        let mut faults = Faults::default();
        let spec = &mut self.spec;
        sent.labels.apply(&mut self.meta);
        sent.serving.apply(known, spec, &mut faults);
        match &sent.access {
            Patch::Absent => {}
            Patch::Null => spec.access = Default::default(),
            Patch::Value(access) => {
                spec.access = check::access(known, access, &spec.access, &mut faults);
            }
        }
        let mut keys = Vec::new();
        match &sent.router {
            Patch::Absent => {}
            Patch::Null => spec.router = Default::default(),
            Patch::Value(router) => {
                let inline = Inline::of(known.context, known.config, router, &mut faults)?;
                (spec.router, keys) =
                    check::router(known, router, &spec.router, &inline, &mut faults);
            }
        }
        match &sent.limits {
            Patch::Absent => {}
            Patch::Null => spec.limits = Default::default(),
            Patch::Value(limits) => spec.limits = limits.read(&spec.limits, &mut faults),
        }
        match &sent.timeouts {
            Patch::Absent => {}
            Patch::Null => spec.timeouts = Default::default(),
            Patch::Value(timeouts) => spec.timeouts = timeouts.read(&spec.timeouts, &mut faults),
        }
        let allowed = spec.access.tags.allow.as_ref();
        for (name, budgets) in &spec.limits.tags {
            let for_good = Some(Open::Known(Per::Total));
            if name == SESSION && budgets.list().iter().any(|one| one.per == for_good) {
                let what = "must be of a time that ends, as sessions come without end";
                faults.at(format!("limits.tags.{name}"), what);
            }
            if allowed.is_some_and(|allowed| !allowed.contains(name)) {
                let what = "is of a tag that `access.tags` does not allow";
                faults.at(format!("limits.tags.{name}"), what);
            }
        }
        faults.none()?;
        for (id, key) in &keys {
            draft.create(change.actor, id, key);
        }
        Ok(())
    }

    fn leave(&self, change: &Change<'_, Self>, _: &mut Draft) -> Result<(), ApiError> {
        let mut keys = change.known.view.all::<AccessKey>();
        let linked = |key: &AccessKey| key.configuration.as_deref() == Some(change.id);
        match keys.find(|key| linked(&key.resource)) {
            Some(key) => {
                let by = format!("the access key {}", key.id);
                Err(ApiError::in_use(Configuration::WORDS.what, &by))
            }
            None => Ok(()),
        }
    }

    fn own(&self, context: &Context, view: View<'_>, _: Seen) -> Own {
        let spec = &self.spec;
        Own {
            access: AccessScope::shown(&spec.access),
            router: Router::shown(view, &spec.router),
            limits: ConfigurationLimits::shown(&spec.limits),
            serving: Serving::shown(spec),
            timeouts: ConfigurationTimeouts::shown(&spec.timeouts),
            account_id: context.other_account(&self.meta),
        }
    }
}
