//! Access key configurations: what access keys may call, and which credentials serve them.

mod bounds;
mod check;
mod inline;
mod router;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use super::known::Known;
use super::resource::Made;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Operation, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;
use crate::resource::{AccessKey, Configuration};
use crate::{Action, Document, Draft, Found, View};
use bounds::{ConfigurationLimits, ConfigurationTimeouts};
use inline::Inline;
use router::{AccessScope, Router, RouterWrite};
use tollgate_base::clock;
use tollgate_base::id;

const WHAT: &str = "access key configuration";

const TAG: Tag = Tag {
    name: "AI Gateway Access Key Configurations",
    description: "Manage what access keys may call, and which credentials serve them.",
    one: "an AI Gateway access key configuration",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/access-key-configurations", "ListAIGatewayAccessKeyConfigurations")
            .tag(&TAG)
            .summary("List AI Gateway access key configurations")
            .handler(list),
        post("/access-key-configurations", "CreateAIGatewayAccessKeyConfiguration")
            .tag(&TAG)
            .summary("Create an AI Gateway access key configuration")
            .description(
                "Attach it to access keys to control which providers and models each key may call and with what \
                 credentials. Provider keys that are written inline are created with it, all or nothing.",
            )
            .handler(create),
        get("/access-key-configurations/{id}", "GetAIGatewayAccessKeyConfiguration")
            .tag(&TAG)
            .summary("Get an AI Gateway access key configuration")
            .handler(show),
        patch("/access-key-configurations/{id}", "UpdateAIGatewayAccessKeyConfiguration")
            .tag(&TAG)
            .summary("Update an AI Gateway access key configuration")
            .description("Omit a field to leave it unchanged; send null to clear it. An object replaces the whole field.")
            .errors(&[Code::Declared])
            .handler(update),
        delete("/access-key-configurations/{id}", "DeleteAIGatewayAccessKeyConfiguration")
            .tag(&TAG)
            .summary("Delete an AI Gateway access key configuration")
            .description("Refused while an access key refers to it.")
            .errors(&[Code::Declared, Code::InUse])
            .handler(remove),
    ]
}

page! {
    "A page of access key configurations."
    AIGatewayAccessKeyConfigurationList { ai_gateway_access_key_configurations: AIGatewayAccessKeyConfiguration }
}

/// An access key configuration.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayAccessKeyConfiguration {
    /// Unique identifier for this configuration.
    id: String,
    /// URI of this AI Gateway Access Key Configuration API resource.
    uri: String,
    /// User-defined label for this configuration.
    name: String,
    /// Human-readable description.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Arbitrary user-defined metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(flatten)]
    made: Made,
    /// Which providers and models are reachable; absent allows all.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessScope>,
    /// Which credentials serve; absent: the account's own keys of the provider, then managed keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    router: Option<Router>,
    /// What may be used, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<ConfigurationLimits>,
    /// Whether a failed candidate is followed by the next one, if that is not as the gateway has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<bool>,
    /// Timeouts that are not as the gateway has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<ConfigurationTimeouts>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// A new access key configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayAccessKeyConfigurationCreate {
    /// User-defined label for this configuration.
    #[schemars(length(max = 255))]
    name: String,
    /// Human-readable description.
    #[schemars(length(max = 255))]
    description: Option<String>,
    /// Arbitrary user-defined metadata.
    #[schemars(length(max = 4096))]
    metadata: Option<String>,
    /// Which providers and models are reachable; absent allows all.
    access: Option<AccessScope>,
    /// Which credentials serve; absent: the account's own keys of the provider, then managed keys.
    router: Option<RouterWrite>,
    /// What may be used, by one request and over time, by all keys with this configuration together.
    limits: Option<ConfigurationLimits>,
    /// Whether a failed candidate is followed by the next one. Defaults to what the gateway does.
    failover: Option<bool>,
    /// Timeouts for callers with this configuration.
    timeouts: Option<ConfigurationTimeouts>,
}

/// Changes to an access key configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AIGatewayAccessKeyConfigurationUpdate {
    /// User-defined label for this configuration; without one its ID is shown.
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Human-readable description.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Arbitrary user-defined metadata.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
    /// Which providers and models are reachable; null allows all.
    access: Patch<AccessScope>,
    /// Which credentials serve; null for the default order.
    router: Patch<RouterWrite>,
    /// What may be used; null lifts all limits, and an object replaces them all.
    limits: Patch<ConfigurationLimits>,
    /// Whether a failed candidate is followed by the next one; null for what the gateway does.
    failover: Patch<bool>,
    /// Timeouts; null for the gateway's, and an object replaces them all.
    timeouts: Patch<ConfigurationTimeouts>,
}

async fn list(
    context: Context,
    Query(query): Query<PageQuery>,
) -> Result<AIGatewayAccessKeyConfigurationList, ApiError> {
    let page = context.page_of::<Configuration>(&query).await;
    let list = context.look(|view| {
        AIGatewayAccessKeyConfigurationList::of(page, |found| shown(&context, view, &found))
    });
    Ok(list)
}

async fn show(context: Context, Id(id): Id) -> Result<AIGatewayAccessKeyConfiguration, ApiError> {
    let found = context.find::<Configuration>(&id, WHAT).await?;
    Ok(context.look(|view| shown(&context, view, &found)))
}

async fn create(
    context: Context,
    Body(body): Body<AIGatewayAccessKeyConfigurationCreate>,
) -> Result<AIGatewayAccessKeyConfiguration, ApiError> {
    fn sent<T>(field: Option<T>) -> Patch<T> {
        field.map_or(Patch::Absent, Patch::Value)
    }
    let changes = AIGatewayAccessKeyConfigurationUpdate {
        name: Patch::Value(body.name),
        description: sent(body.description),
        metadata: sent(body.metadata),
        access: sent(body.access),
        router: sent(body.router),
        limits: sent(body.limits),
        failover: sent(body.failover),
        timeouts: sent(body.timeouts),
    };
    let id = id::new(Configuration::PREFIX, clock::wall_ms());
    let mut new = Configuration {
        meta: context.meta(),
        ..Configuration::default()
    };
    new.says.id.clone_from(&id);
    let change = Change::new(&context, changes)?;
    let actor = context.actor();
    context
        .change(|view, draft| {
            let new = change.applied(view, draft, &new)?;
            draft.create(&actor, &id, &new);
            Ok(())
        })
        .await?;
    show(context, Id(id)).await
}

async fn update(
    context: Context,
    Id(id): Id,
    Body(body): Body<AIGatewayAccessKeyConfigurationUpdate>,
) -> Result<AIGatewayAccessKeyConfiguration, ApiError> {
    let found = context.find::<Configuration>(&id, WHAT).await?;
    if found.declared {
        return Err(ApiError::declared(WHAT));
    }
    let change = Change::new(&context, body)?;
    let actor = context.actor();
    context
        .change(|view, draft| {
            let old = context.find_own::<Configuration>(view, &id, WHAT)?;
            let mut new = change.applied(view, draft, &old)?;
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
            let old = context.find_own::<Configuration>(view, &id, WHAT)?;
            let mut keys = view.all::<AccessKey>();
            if let Some(key) = keys.find(|key| key.resource.configuration.as_ref() == Some(&id)) {
                return Err(ApiError::in_use(
                    WHAT,
                    &format!("the access key {}", key.id),
                ));
            }
            draft.delete(&actor, &id, &*old);
            Ok(())
        })
        .await
}

/// What is to be changed, with everything made ready that does not depend on other resources.
struct Change<'a> {
    context: &'a Context,
    config: std::sync::Arc<tollgate_config::Config>,
    sent: AIGatewayAccessKeyConfigurationUpdate,
    inline: Inline,
    faults: Faults,
}

impl<'a> Change<'a> {
    /// # Errors
    /// 403 for managed keys of a caller for one account; 422 comes with the others' faults.
    fn new(
        context: &'a Context,
        sent: AIGatewayAccessKeyConfigurationUpdate,
    ) -> Result<Change<'a>, ApiError> {
        let config = context.control().config();
        let mut faults = Faults::default();
        let inline = match &sent.router {
            Patch::Value(router) => Inline::of(context, &config, router, &mut faults)?,
            _ => Inline::default(),
        };
        Ok(Change {
            context,
            config,
            sent,
            inline,
            faults,
        })
    }

    /// The configuration with the changes; keys that are written inline go into the draft.
    ///
    /// # Errors
    /// 422 with every fault.
    fn applied(
        &self,
        view: View<'_>,
        draft: &mut Draft,
        old: &Configuration,
    ) -> Result<Configuration, ApiError> {
        let known = Known {
            context: self.context,
            config: &self.config,
            view,
        };
        let mut faults = self.faults.clone();
        let mut new = old.clone();
        let (sent, says) = (&self.sent, &mut new.says);
        sent.name.clone().apply(&mut new.meta.name);
        sent.description.clone().apply(&mut new.meta.description);
        sent.metadata.clone().apply(&mut new.meta.metadata);
        sent.failover.clone().apply(&mut says.failover);
        match &sent.access {
            Patch::Absent => {}
            Patch::Null => says.access = Default::default(),
            Patch::Value(access) => {
                says.access = check::access(&known, access, &says.access, &mut faults)
            }
        }
        let mut keys = Vec::new();
        match &sent.router {
            Patch::Absent => {}
            Patch::Null => says.router = Default::default(),
            Patch::Value(router) => {
                (says.router, keys) =
                    check::router(&known, router, &says.router, &self.inline, &mut faults);
            }
        }
        match &sent.limits {
            Patch::Absent => {}
            Patch::Null => says.limits = Default::default(),
            Patch::Value(limits) => says.limits = limits.read(&says.limits, &mut faults),
        }
        match &sent.timeouts {
            Patch::Absent => {}
            Patch::Null => says.timeouts = Default::default(),
            Patch::Value(timeouts) => says.timeouts = timeouts.read(&says.timeouts, &mut faults),
        }
        faults.none()?;
        let actor = self.context.actor();
        for (id, key) in &keys {
            draft.create(&actor, id, key);
        }
        Ok(new)
    }
}

fn shown(
    context: &Context,
    view: View<'_>,
    found: &Found<Configuration>,
) -> AIGatewayAccessKeyConfiguration {
    let (id, configuration) = (&*found.id, &*found.resource);
    let (meta, says) = (&configuration.meta, &configuration.says);
    AIGatewayAccessKeyConfiguration {
        id: id.to_owned(),
        uri: context.uri(&["access-key-configurations", id]),
        name: meta.name.clone().unwrap_or_else(|| id.to_owned()),
        description: meta.description.clone(),
        metadata: meta.metadata.clone(),
        made: context.made(meta),
        access: AccessScope::shown(&says.access),
        router: Router::shown(view, &says.router),
        limits: ConfigurationLimits::shown(&says.limits),
        failover: says.failover,
        timeouts: ConfigurationTimeouts::shown(&says.timeouts),
        account_id: context.other_account(meta),
    }
}
