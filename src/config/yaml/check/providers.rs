//! Providers, their credentials and models.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};

use super::Checker;
use crate::catalog::Auth;
use crate::catalog::BaseUrl;
use crate::catalog::ErrorRule;
use crate::yaml::demo::DEMO_PROVIDER;
use crate::yaml::document::beside;
use crate::yaml::nearest::did_you_mean;
use crate::yaml::place::Place;
use crate::yaml::types;

/// Headers that carry a credential: `keys` and `auth` are for those.
const CREDENTIAL_HEADERS: [&str; 5] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "cookie",
];
/// Headers that the gateway itself writes.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
];

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
                if let Some(account) = &key.account {
                    self.known(
                        &place.key("account"),
                        "account",
                        account,
                        accounts.iter().copied(),
                    );
                }
            }
            self.models(&place.key("models"), &provider.models);
        }
    }

    fn provider(&mut self, place: &Place, provider: &mut types::Provider, demo: bool) {
        let id = provider.id.as_str();
        if !id.is_empty() && !is_provider_id(id) {
            let hint = Some(
                "use lowercase letters, digits, `-`, `_` and `.`; `/` and `:` separate models"
                    .to_owned(),
            );
            self.fault(
                &place.key("id"),
                format!("`{id}` cannot be a provider's id"),
                hint,
            );
        } else if id == DEMO_PROVIDER && demo {
            let hint = Some("choose another id, or remove `demo.listen`".to_owned());
            self.fault(
                &place.key("id"),
                "`demo` is the built-in demo provider",
                hint,
            );
        } else if !id.is_empty()
            && provider.base_url.is_none()
            && self.built_in.provider(id).is_none()
        {
            let known = self.built_in.providers().iter().map(|known| &*known.id);
            let hint = did_you_mean(id, known).unwrap_or_else(|| "add `base_url`".to_owned());
            self.fault(
                place,
                format!("`{id}` is not built in, and has no `base_url`"),
                Some(hint),
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
        for (name, value) in &provider.headers {
            self.header(&place.key("headers").key(name), name, value);
        }
        if let Some(ca) = &mut provider.ca {
            let at = place.key("ca");
            *ca = beside(self.merged.file_of(&at), ca);
            self.pem(&at, ca, "a certificate", super::listeners::has_certificate);
        }
        if provider.surfaces.as_ref().is_some_and(Vec::is_empty) {
            self.fault(
                &place.key("surfaces"),
                "a provider without a surface cannot be called",
                None,
            );
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

    fn header(&mut self, place: &Place, name: &str, value: &str) {
        let lower = name.to_ascii_lowercase();
        if CREDENTIAL_HEADERS.contains(&lower.as_str()) {
            let hint =
                Some("put the credential under `keys`; `auth` says how it travels".to_owned());
            self.fault(
                place,
                "a credential does not belong among the headers",
                hint,
            );
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            self.fault(
                place,
                "the gateway writes this header itself",
                Some("remove it".to_owned()),
            );
        } else if name.parse::<HeaderName>().is_err() {
            self.fault(place, "this is not a header's name", None);
        } else if HeaderValue::from_str(value).is_err() {
            self.fault(place, "this is not a header's value", None);
        }
    }

    fn models(&mut self, place: &Place, models: &[types::Model]) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (i, model) in models.iter().enumerate() {
            let place = place.index(i);
            if model.id.is_empty() {
                self.fault(&place, "`id` is missing", None);
                continue;
            }
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
            for (key, number) in [
                ("context_window", model.context_window),
                ("max_output_tokens", model.max_output_tokens),
            ] {
                if number == Some(0) {
                    self.fault(
                        &place.key(key),
                        "must be more than 0",
                        Some("leave it out if it is not known".to_owned()),
                    );
                }
            }
            if model.surfaces.as_ref().is_some_and(Vec::is_empty) {
                self.fault(
                    &place.key("surfaces"),
                    "a model without a surface cannot be called",
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

/// Whether a host's name can only stand for something near: `localhost`, `*.internal`, `*.local`, bare names.
pub fn is_private_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    !host.contains('.') || ["localhost", "internal", "local"].contains(&last)
}

/// Whether it can be a custom provider's id: what stands before the first `:` or `/` of a model's.
pub fn is_provider_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    id.len() <= 63
        && id.bytes().next().is_some_and(plain)
        && id
            .bytes()
            .all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}
