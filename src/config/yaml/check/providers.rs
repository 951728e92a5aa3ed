//! Providers, their credentials and models, as far as their files matter: all else is the catalog's to say.

use std::collections::BTreeSet;

use super::Checker;
use crate::catalog::Auth;
use crate::catalog::BaseUrl;
use crate::catalog::ErrorRule;
use crate::yaml::demo::DEMO_PROVIDER;
use crate::yaml::document::beside;
use crate::yaml::place::Place;
use crate::yaml::types;

impl Checker<'_> {
    pub(super) fn providers(
        &mut self,
        providers: &mut [types::Provider],
        accounts: &[&str],
        demo: bool,
    ) {
        let top = Place::top("providers");
        self.unique(
            "provider",
            providers
                .iter()
                .enumerate()
                .map(|(i, provider)| (top.index(i).key("id"), &*provider.id)),
        );
        let keys: Vec<(Place, &str)> = providers
            .iter()
            .enumerate()
            .flat_map(|(i, provider)| key_places(&top.index(i), provider))
            .map(|(place, key)| (place.key("id"), &*key.id))
            .collect();
        self.unique("provider key", keys);
        for (i, provider) in providers.iter_mut().enumerate() {
            let place = top.index(i);
            self.provider(&place, provider, demo);
            for (place, key) in key_places(&place, provider) {
                self.kept_id(&place.key("id"), "a provider key's id", &key.id);
                self.known_account(&place, key.account.as_deref(), accounts);
            }
            self.models(&place.key("models"), &provider.models);
        }
    }

    fn provider(&mut self, place: &Place, provider: &mut types::Provider, demo: bool) {
        if provider.id == DEMO_PROVIDER && demo {
            let hint = Some("choose another id, or remove `demo.listen`".to_owned());
            self.fault(
                &place.key("id"),
                "`demo` is the built-in demo provider",
                hint,
            );
        }
        // What a base URL must not be is the catalog's to say; what a name stands for shows with the first request.
        let url = provider.base_url.as_deref().map(BaseUrl::parse);
        if let Some(Ok(url)) = url
            && !url.tls
            && url.address().is_none()
            && !is_private_name(&url.host)
        {
            self.warn(
                &place.key("base_url"),
                "plain http is only spoken if this name stands for a loopback or private address",
                Some("write https:// if it does not".to_owned()),
            );
        }
        if let Some(ca) = &mut provider.ca {
            let at = place.key("ca");
            *ca = beside(self.merged.file_of(&at), ca);
            self.pem(&at, ca, "a certificate", super::tls::has_certificate);
        }
        if provider.auth == Some(Auth::None)
            && !(provider.keys.is_empty() && provider.managed_keys.is_empty())
        {
            self.warn(
                &place.key("auth"),
                "with `auth: none` the provider's keys are never sent",
                None,
            );
        }
        self.error_rules(&place.key("error_rules"), &provider.error_rules);
        self.timeouts(&place.key("timeouts"), &provider.timeouts);
        for (i, key) in provider.managed_keys.iter().enumerate() {
            if key.account.is_some() {
                let at = place.key("managed_keys").index(i).key("account");
                self.warn(
                    &at,
                    "a managed key serves every account; this is ignored",
                    None,
                );
            }
        }
    }

    fn error_rules(&mut self, place: &Place, rules: &[ErrorRule]) {
        for (i, rule) in rules.iter().enumerate() {
            let place = place.index(i);
            for (j, status) in rule.statuses.iter().enumerate() {
                if !(400..600).contains(status) {
                    let at = place.key("statuses").index(j);
                    self.fault(
                        &at,
                        format!("{status} is no error's status: use 400 to 599"),
                        None,
                    );
                }
            }
            let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
            if !says(&rule.code) && !says(&rule.message) {
                let hint = Some("add `code`, or how its `message` begins".to_owned());
                self.fault(&place, "this rule fits every error", hint);
            }
        }
    }

    fn models(&mut self, place: &Place, models: &[types::Model]) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (i, model) in models.iter().enumerate() {
            let place = place.index(i);
            let ids = std::iter::once((place.key("id"), &model.id));
            let aliases = model
                .aliases
                .iter()
                .enumerate()
                .map(|(i, alias)| (place.key("aliases").index(i), alias));
            for (at, name) in ids.chain(aliases) {
                if !names.insert(name.to_ascii_lowercase()) {
                    let message = format!(
                        "this provider already has a model `{name}` (upper and lower case are the same)"
                    );
                    self.fault(&at, message, None);
                }
            }
            if let (Some(window), Some(output)) = (model.context_window, model.max_output_tokens)
                && output > window
            {
                self.warn(
                    &place.key("max_output_tokens"),
                    "this is more than `context_window`",
                    None,
                );
            }
            let tiers = model
                .prices
                .as_ref()
                .map_or(&[][..], |prices| &prices.tiers);
            for (j, pair) in tiers.windows(2).enumerate() {
                if pair[0].above >= pair[1].above {
                    let at = place.key("prices").key("tiers").index(j + 1).key("above");
                    self.fault(&at, "tiers stand in the order of rising `above`", None);
                }
            }
            self.timeouts(&place.key("timeouts"), &model.timeouts);
        }
    }
}

/// A provider's credentials of both kinds, with their places.
pub(super) fn key_places<'p>(
    place: &Place,
    provider: &'p types::Provider,
) -> impl Iterator<Item = (Place, &'p types::ProviderKey)> + use<'p> {
    let (user, managed) = (place.key("keys"), place.key("managed_keys"));
    let user = provider
        .keys
        .iter()
        .enumerate()
        .map(move |(i, key)| (user.index(i), key));
    user.chain(
        provider
            .managed_keys
            .iter()
            .enumerate()
            .map(move |(i, key)| (managed.index(i), key)),
    )
}

/// Returns whether a host's name can only stand for something near: `localhost`, `*.internal`, `*.local`, bare names.
pub fn is_private_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    !host.contains('.') || ["localhost", "internal", "local"].contains(&last)
}
