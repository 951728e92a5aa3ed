//! Configurations and access keys.

use std::collections::BTreeMap;
use tollgate_wire::request::Paid;

use super::Checker;
use crate::DEFAULT_ACCOUNT;
use crate::catalog::ModelRef;
use crate::secrets::token;
use crate::yaml::nearest::did_you_mean_or_list;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::types::{KeySelection, Step, StepKeys};
use crate::yaml::valid::AccessKey;

/// What an id that stands in a token is.
pub(super) const TOKEN_ID: &str =
    "use lowercase letters, digits, `-` and `_`, at most 63, a letter or digit first";

impl Checker<'_> {
    pub(super) fn configurations(
        &mut self,
        configurations: &[types::Configuration],
        providers: &[types::Provider],
        provider_ids: &[String],
    ) {
        let top = Place::top("configurations");
        let ids = configurations
            .iter()
            .enumerate()
            .map(|(i, one)| (top.index(i).key("id"), &*one.id));
        self.unique("configuration", ids);
        for (i, configuration) in configurations.iter().enumerate() {
            let place = top.index(i);
            self.timeouts(&place.key("timeouts"), &configuration.timeouts);
            self.members(&place.key("retry"), configuration.retry.wrong());
            if let Some(hedge) = &configuration.hedge {
                self.members(&place.key("hedge"), hedge.wrong());
            }
            let idempotency = &configuration.idempotency;
            self.members(&place.key("idempotency"), idempotency.wrong());
            let limits = place.key("limits");
            self.token_limits(&limits, &configuration.limits.tokens());
            self.rate_limits(&limits, &configuration.limits.rates());
            self.tags(&place, configuration);
            self.stored_id(&place.key("id"), "a configuration's id", &configuration.id);
            self.allow_lists(&place.key("access"), &configuration.access, provider_ids);
            let mut targets: BTreeMap<String, Place> = BTreeMap::new();
            for (i, rule) in configuration.router.rules.iter().enumerate() {
                let place = place.key("router").key("rules").index(i);
                let Some((provider, target)) = self.rule_target(&place, rule, provider_ids) else {
                    continue;
                };
                if let Some(first) = targets.get(&target) {
                    let at = self.merged.locate(first);
                    let message =
                        format!("the rule at {at} is for the same, and only it would ever serve");
                    self.fault(
                        &place,
                        message,
                        Some("join their steps in one rule".to_owned()),
                    );
                }
                targets.insert(target, place.clone());
                self.steps(&place.key("steps"), &rule.steps, &provider, providers);
            }
        }
    }

    fn allow_lists(&mut self, place: &Place, access: &types::Access, provider_ids: &[String]) {
        let (providers, models) = (
            place.key("providers").key("allow"),
            place.key("models").key("allow"),
        );
        for (list, place) in [(&access.providers, &providers), (&access.models, &models)] {
            if list.allow.as_ref().is_some_and(Vec::is_empty) {
                self.warn(
                    place,
                    "an empty list allows nothing",
                    Some("leave it out to allow all".to_owned()),
                );
            }
        }
        let options = place.key("options").key("allow");
        for (i, option) in access.options.allow.iter().flatten().enumerate() {
            let name = option.split_once('=').map_or(&**option, |(name, _)| name);
            self.known(&options.index(i), "option", name, Paid::OPTIONS);
        }
        for (i, id) in access.providers.allow.iter().flatten().enumerate() {
            self.known_provider(&providers.index(i), id, provider_ids);
        }
        for (i, text) in access.models.allow.iter().flatten().enumerate() {
            let Some(model) = self.model_ref(&models.index(i), text, provider_ids) else {
                continue;
            };
            let allowed = access.providers.allow.as_ref();
            if allowed.is_some_and(|allowed| !allowed.iter().any(|id| **id == *model.provider)) {
                let message = format!(
                    "`{}` is not among the allowed providers, so this allows nothing",
                    model.provider
                );
                self.warn(&models.index(i), message, None);
            }
        }
    }

    fn known_provider(&mut self, place: &Place, id: &str, ids: &[String]) {
        self.known(place, "provider", id, ids.iter().map(String::as_str));
    }

    fn model_ref(
        &mut self,
        place: &Place,
        text: &str,
        provider_ids: &[String],
    ) -> Option<ModelRef> {
        let Some(model) = ModelRef::parse(text) else {
            let hint = Some("write `provider/model` or `provider:model`".to_owned());
            self.fault(
                place,
                format!("`{text}` does not say which provider's model it means"),
                hint,
            );
            return None;
        };
        self.known_provider(place, &model.provider, provider_ids);
        Some(model)
    }

    /// The provider a rule is about, and what it is for in one form.
    fn rule_target(
        &mut self,
        place: &Place,
        rule: &types::Rule,
        provider_ids: &[String],
    ) -> Option<(String, String)> {
        match (&rule.provider, &rule.model) {
            (Some(provider), None) => {
                self.known_provider(&place.key("provider"), provider, provider_ids);
                Some((provider.clone(), provider.clone()))
            }
            (None, Some(text)) => {
                let model = self.model_ref(&place.key("model"), text, provider_ids)?;
                Some((model.provider.to_string(), model.canonical()))
            }
            (Some(_), Some(_)) => {
                let hint = Some(
                    "keep `model` (`provider/model`) for one model, `provider` for all of them"
                        .to_owned(),
                );
                self.fault(
                    place,
                    "a rule is for a provider or for a model, not for both",
                    hint,
                );
                None
            }
            (None, None) => {
                let hint = Some("add `provider`, or `model` as `provider/model`".to_owned());
                self.fault(place, "the rule does not say what it is for", hint);
                None
            }
        }
    }

    fn steps(
        &mut self,
        place: &Place,
        steps: &[Step],
        provider_id: &str,
        providers: &[types::Provider],
    ) {
        if steps.is_empty() {
            let hint = Some("add `{ type: user }` or `{ type: managed }`".to_owned());
            self.fault(
                &place.parent().unwrap_or_default(),
                "a rule without steps serves nothing",
                hint,
            );
        }
        for (i, step) in steps.iter().enumerate() {
            let (kind, other, chosen) = match step {
                Step::User(chosen) => ("user", "managed", chosen),
                Step::Managed(chosen) => ("managed", "user", chosen),
            };
            let step = place.index(i);
            let (place, keys) = (step.key("keys"), &chosen.keys);
            if keys.as_ref().is_some_and(Vec::is_empty) {
                let hint = Some("leave it out for all of the provider's keys".to_owned());
                self.warn(
                    &place,
                    "an empty list of keys makes a step that serves nothing",
                    hint,
                );
            }
            for (i, key) in keys.iter().flatten().enumerate() {
                self.step_key(&place.index(i), key, (kind, other), provider_id, providers);
            }
            self.weights(
                &step.key("weights"),
                chosen,
                (kind, other),
                provider_id,
                providers,
            );
        }
    }

    /// Weights are of the step's own keys, and of sessions only.
    fn weights(
        &mut self,
        place: &Place,
        chosen: &StepKeys,
        kinds: (&str, &str),
        provider_id: &str,
        providers: &[types::Provider],
    ) {
        let otherwise = chosen.keys.as_ref().map(|_| KeySelection::Ordered);
        let ordered = chosen.key_selection.or(otherwise) == Some(KeySelection::Ordered);
        if ordered && !chosen.weights.is_empty() {
            let hint = Some("write `key_selection: session`, or leave `weights` out".to_owned());
            self.fault(place, "keys that are tried in order have no weights", hint);
        }
        for id in chosen.weights.keys() {
            let place = place.key(id);
            match &chosen.keys {
                Some(keys) if !keys.contains(id) => {
                    let hint = Some("name it under `keys` as well".to_owned());
                    self.fault(&place, format!("`{id}` is no key of the step"), hint);
                }
                Some(_) => {}
                None => self.step_key(&place, id, kinds, provider_id, providers),
            }
        }
    }

    fn step_key(
        &mut self,
        place: &Place,
        key: &str,
        (kind, other): (&str, &str),
        provider_id: &str,
        providers: &[types::Provider],
    ) {
        if self.lost_ids {
            return;
        }
        let ids = |provider: &types::Provider, kind: &str| -> Vec<String> {
            let keys = if kind == "user" {
                &provider.keys
            } else {
                &provider.managed_keys
            };
            keys.iter().map(|key| key.id.clone()).collect()
        };
        let provider = providers.iter().find(|provider| provider.id == provider_id);
        let right = provider
            .map(|provider| ids(provider, kind))
            .unwrap_or_default();
        if right.iter().any(|id| id == key) {
            return;
        }
        if provider.is_some_and(|provider| ids(provider, other).iter().any(|id| id == key)) {
            let hint = Some(format!("name it in a step of `type: {other}`"));
            return self.fault(
                place,
                format!("`{key}` is a {other} key of `{provider_id}`, not a {kind} key"),
                hint,
            );
        }
        let elsewhere = providers.iter().find(|provider| {
            ids(provider, "user")
                .iter()
                .chain(&ids(provider, "managed"))
                .any(|id| id == key)
        });
        if let Some(elsewhere) = elsewhere {
            let message = format!(
                "`{key}` belongs to `{}`, and this rule is for `{provider_id}`",
                elsewhere.id
            );
            return self.fault(place, message, None);
        }
        let hint = did_you_mean_or_list(key, "there are", right.iter().map(String::as_str));
        self.fault(
            place,
            format!("`{provider_id}` has no {kind} key `{key}`"),
            hint,
        );
    }

    pub(super) fn access_keys(&mut self, file: &types::File, accounts: &[&str]) -> Vec<AccessKey> {
        let top = Place::top("access_keys");
        let ids = file
            .access_keys
            .iter()
            .enumerate()
            .map(|(i, key)| (top.index(i).key("id"), &*key.id));
        self.unique("access key", ids);
        if file.access_keys.is_empty() && !self.lost_ids {
            let hint = Some("make one with `tollgate key new --id app`".to_owned());
            self.warn(
                &top,
                "there are no access keys here, so only those that the admin API made are answered",
                hint,
            );
        }
        let mut digests: BTreeMap<[u8; 32], Place> = BTreeMap::new();
        let mut all = Vec::new();
        for (i, key) in file.access_keys.iter().enumerate() {
            let place = top.index(i);
            if !key.id.is_empty() && !token::is_id(&key.id) {
                let hint = Some(TOKEN_ID.to_owned());
                self.fault(
                    &place.key("id"),
                    format!("`{}` cannot be an access key's id", key.id),
                    hint,
                );
            }
            self.known_account(&place, key.account.as_deref(), accounts);
            if let Some(id) = &key.configuration {
                let ids = file
                    .configurations
                    .iter()
                    .map(|configuration| configuration.id.as_str());
                self.known(&place.key("configuration"), "configuration", id, ids);
            }
            self.rate_limits(&place.key("limits"), &key.limits);
            if let Some(id) = &key.budget {
                let account = key.account.as_deref().unwrap_or(DEFAULT_ACCOUNT);
                self.budget_of(&place.key("budget"), id, account, &file.budgets);
            }
            let Some(digest) = self.digest(&place, &key.sha256) else {
                continue;
            };
            if let Some(first) = digests.insert(digest, place.clone()) {
                let message = format!(
                    "the key at {} has the same digest",
                    self.merged.locate(&first)
                );
                self.fault(
                    &place.key("sha256"),
                    message,
                    Some("every key needs a token of its own".to_owned()),
                );
            }
            all.push(AccessKey {
                spec: key.clone(),
                digest,
            });
        }
        all
    }

    /// A token's digest, as `tollgate key new` prints it; `None` if it was a fault.
    pub(super) fn digest(&mut self, place: &Place, text: &str) -> Option<[u8; 32]> {
        let at = place.key("sha256");
        let digest = token::from_hex(text);
        if text.is_empty() {
            let hint = Some("`tollgate key new` prints it".to_owned());
            self.fault(place, "`sha256` is missing", hint);
        } else if token::parse(text).is_some() || token::parse_admin(text).is_some() {
            let hint = Some(
                "keep only its SHA-256 here, and make a new one if others can read this file"
                    .to_owned(),
            );
            self.fault(&at, "this is the token itself", hint);
        } else if digest.is_none() {
            let hint = Some("`tollgate key new` prints it".to_owned());
            self.fault(
                &at,
                "this is not a SHA-256 digest of 64 hexadecimal digits",
                hint,
            );
        }
        digest
    }
}
