//! Providers: custom ones, which the account defines. Built-in ones are in the catalog and are not managed here.

mod models;
mod surfaces;
mod written;

use super::managed::{Change, Managed, New, NoFilter, Seen, Shown};
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::operation::Tag;
use crate::admin::page::page;
use crate::resource::{Configuration, Provider, ProviderKey, forms};
use crate::{Draft, View};
use tollgate_config::catalog::{BaseUrl, ModelRef};
use tollgate_config::{Config, DEMO_PROVIDER};
use written::{Own, Sent};

page! { "A page of custom providers." AIGatewayProviderList { ai_gateway_providers: Shown<Provider> } }

impl Managed for Provider {
    type Sent = Sent;
    type Own = Own;
    type List = AIGatewayProviderList;
    type Filter = NoFilter;

    const TAG: &'static Tag = &Tag {
        name: "AI Gateway Providers",
        description: "Manage custom providers: self-hosted or third-party endpoints. Built-in ones are in the catalog.",
        one: "an AI Gateway provider",
    };
    const WORDS: &'static Words = words!(
        "providers", "AIGatewayProvider", "an" "AI Gateway provider", "provider",
        [
            "Built-in providers are at /catalog/providers.",
            "",
            "",
            "The providerId is immutable. The base URL moves to another host only while the provider has no keys, \
             which were given for the one that it was. Omit models to leave them alone; a list replaces the existing set, and \
             models that stay keep their ids. One that has managed keys is changed with an API key for all accounts only.",
            "Refused while a provider key or an access key configuration refers to it. One whose providerId the \
             configuration file declares as well is hidden by that, and can be deleted.",
        ]
    );
    const REQUIRED: &'static [&'static str] = &["providerId", "name", "baseUrl"];
    const FIXED: &'static [&'static str] = &["providerId"];
    const IS_NAMED: bool = true;
    const ERRORS: [&'static [Code]; 3] = [&[Code::Conflict], &[Code::Conflict], &[Code::InUse]];

    fn begin(context: &Context, sent: &Sent) -> Result<New<Self>, ApiError> {
        let mut new = New::<Self>::of(context);
        new.resource.spec.id = sent.provider_id.clone().unwrap_or_default();
        Ok(new)
    }

    fn apply(
        &mut self,
        sent: &Sent,
        change: &Change<'_, Self>,
        _: &mut Draft,
    ) -> Result<(), ApiError> {
        let known = &change.known;
        let scoped = known.context.caller.account.is_some();
        if let Some(old) = change.old
            && scoped
            && known.has_managed_keys(&old.spec.id)
        {
            // Its prices are what the operator is paid for its own keys.
            return Err(ApiError::new(
                Code::OtherAccount,
                "a managed key serves with this provider: only an API key for all accounts may change it",
            ));
        }
        *self = written::applied(self, sent, known.config, scoped)?;
        match change.old {
            Some(old) => keys_stay(known.view, old, self),
            None => free(known.context, known.view, known.config, &self.spec.id),
        }
    }

    /// What a name stands for shows with the first request; whoever reads the log may hear of it now.
    fn applied(&self, id: &str, sent: &Sent) {
        let url = sent.base_url.as_deref();
        if url.is_some_and(written::is_doubtful) {
            log::warn!(
                "the provider {id} has a plain http base URL: it is only spoken if its name stands for a loopback or \
                 private address"
            );
        }
    }

    fn leave(&self, change: &Change<'_, Self>, _: &mut Draft) -> Result<(), ApiError> {
        // What refers to one that the configuration hides means the other one.
        let is_hidden = change
            .known
            .config
            .catalog
            .provider(&self.spec.id)
            .is_some();
        match used_by(change.known.view, &self.spec.id).filter(|_| !is_hidden) {
            Some(by) => Err(ApiError::in_use(Provider::WORDS.what, &by)),
            None => Ok(()),
        }
    }

    fn own(&self, context: &Context, _: View<'_>, _: Seen) -> Own {
        written::own(self, context)
    }

    fn label(&self, _: &str) -> String {
        let name = self.meta.name.as_ref();
        name.unwrap_or(&self.spec.id).clone()
    }

    /// Where a built-in provider is to be found.
    fn missing(context: &Context, id: &str) -> ApiError {
        let catalog = context.state.catalog();
        let known = catalog.provider(id);
        if id != DEMO_PROVIDER && known.is_none_or(|known| !known.built_in) {
            return ApiError::not_found(Provider::WORDS.what);
        }
        ApiError::new(
            Code::NotFound,
            "this provider is built in and is not managed here; see /catalog/providers, and /provider-keys for its keys",
        )
    }
}

/// Sees that no provider of the gateway has this `providerId`, and that no other account waits for one with it: its
/// keys would be sent to wherever this one is.
fn free(
    context: &Context,
    view: View<'_>,
    config: &Config,
    provider_id: &str,
) -> Result<(), ApiError> {
    let why = match config.catalog.provider(provider_id) {
        Some(known) if known.built_in => {
            "this providerId is built in: its models are at /catalog/models, its keys at /provider-keys; choose \
             another one for a provider of your own"
        }
        Some(_) => {
            "the configuration file declares a provider with this providerId; choose another"
        }
        None if provider_id == DEMO_PROVIDER => {
            "this providerId is reserved for the built-in demo provider; choose another"
        }
        None if view
            .all::<Provider>()
            .any(|found| found.resource.spec.id == provider_id) =>
        {
            "another provider has this providerId; choose another"
        }
        None if view.all::<ProviderKey>().any(|found| {
            found.resource.provider == provider_id && !context.owns(&found.resource.meta)
        }) =>
        {
            "another account has keys for a provider with this providerId; choose another"
        }
        None => return Ok(()),
    };
    Err(ApiError::conflict(why))
}

/// Sees that keys are sent where they were given for.
fn keys_stay(view: View<'_>, old: &Provider, new: &Provider) -> Result<(), ApiError> {
    let place = |provider: &Provider| {
        let url = BaseUrl::parse(provider.spec.base_url.as_deref()?).ok()?;
        Some((url.tls, url.host, url.port))
    };
    if place(old) == place(new) {
        return Ok(());
    }
    let mut keys = view.all::<ProviderKey>();
    let Some(key) = keys.find(|found| found.resource.provider == old.spec.id) else {
        return Ok(());
    };
    Err(ApiError::conflict(format!(
        "the provider has keys, which were given for the host that its base URL has: delete them (there is {}), change \
         the base URL, and create them again",
        key.id
    )))
}

/// What refers to a provider.
fn used_by(view: View<'_>, provider_id: &str) -> Option<String> {
    let mut keys = view.all::<ProviderKey>();
    if let Some(key) = keys.find(|found| found.resource.provider == provider_id) {
        return Some(format!("the provider key {}", key.id));
    }
    let mut configurations = view.all::<Configuration>();
    let found = configurations.find(|found| names(&found.resource.spec, provider_id))?;
    Some(format!("the access key configuration {}", found.id))
}

fn names(spec: &forms::Configuration, provider_id: &str) -> bool {
    let is = |model: &String| {
        ModelRef::parse(model).is_some_and(|model| *model.provider == *provider_id)
    };
    let access = &spec.access;
    let mut providers = access.providers.allow.iter().flatten();
    let mut models = access.models.allow.iter().flatten();
    let mut rules = spec.router.rules.iter();
    providers.any(|id| id == provider_id)
        || models.any(is)
        || rules.any(|rule| {
            rule.provider.as_deref() == Some(provider_id) || rule.model.as_ref().is_some_and(is)
        })
}
