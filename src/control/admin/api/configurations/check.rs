//! What allow lists and routing rules refer to must be there, and must fit together. The YAML's own checks of the
//! same are in `config::check`, which speaks of files and lines.

use std::collections::BTreeMap;

use super::inline::Inline;
use super::router::{
    AccessScope, KeySelectionStrategy, RouterRuleWrite, RouterStepKeyWrite, RouterStepWrite,
    RouterWrite,
};
use super::serving::OPERATORS;
use crate::admin::api::faults::Faults;
use crate::admin::api::known::{Known, KnownProvider};
use crate::admin::api::provider_keys::TENANTS;
use crate::resource::forms::{self, Step, StepKind};
use crate::resource::{Open, ProviderKey, Rest};
use tollgate_config::catalog::ModelRef;
use tollgate_config::types::KeySelection;
use tollgate_wire::request::Paid;
use tollgate_wire::tags;

/// The steps of all rules together at most, and their keys: each is compared with what there is, while others wait.
const MOST: usize = 1_000;

/// What is wrong with a tag's name.
pub(super) const TAG_NAME: &str = "must be lowercase letters, digits, `_`, `-` and `.`, at most 64";

/// The allow lists, every provider by its `providerId`, in the place of the `old` ones; what is not shown of those
/// stays.
pub(super) fn access(
    known: &Known<'_>,
    sent: &AccessScope,
    old: &forms::Access,
    faults: &mut Faults,
) -> forms::Access {
    let list = |sent: &Option<super::router::AccessDimension>| {
        sent.as_ref().and_then(|dimension| dimension.allow.clone())
    };
    let providers = list(&sent.providers).map(|all| {
        let entries = all.into_iter().enumerate().map(|(place, name)| {
            let field = format!("access.providers.allow.{place}");
            match provider(known, &name, field, faults) {
                Some(provider) => provider.id.to_string(),
                None => name,
            }
        });
        entries.collect()
    });
    let models = list(&sent.models).map(|all| {
        let entries = all.into_iter().enumerate().map(|(place, name)| {
            let field = format!("access.models.allow.{place}");
            match model(known, &name, field, faults) {
                Some((name, _)) => name,
                None => name,
            }
        });
        entries.collect()
    });
    let options = list(&sent.options);
    let may_manage = known.context.may_manage().is_ok();
    for (place, option) in options.iter().flatten().enumerate() {
        let name = option.split_once('=').map_or(&**option, |(name, _)| name);
        let had = old.options.allow.iter().flatten().any(|had| had == option);
        if Paid::ON_TRUST.contains(&name) && !may_manage && !had {
            faults.at(format!("access.options.allow.{place}"), OPERATORS);
        }
        if !Paid::OPTIONS.contains(&name) {
            let what = format!("is none of {}", Paid::OPTIONS.join(", "));
            faults.at(format!("access.options.allow.{place}"), what);
        }
    }
    let tags = list(&sent.tags);
    for (place, name) in tags.iter().flatten().enumerate() {
        if !tags::is_name(name) {
            faults.at(format!("access.tags.allow.{place}"), TAG_NAME);
        }
    }
    forms::Access {
        tags: forms::AllowList {
            allow: tags,
            ..old.tags.clone()
        },
        options: forms::AllowList {
            allow: options,
            ..old.options.clone()
        },
        providers: forms::AllowList {
            allow: providers,
            ..old.providers.clone()
        },
        models: forms::AllowList {
            allow: models,
            ..old.models.clone()
        },
        ..old.clone()
    }
}

fn provider(
    known: &Known<'_>,
    name: &str,
    field: String,
    faults: &mut Faults,
) -> Option<KnownProvider> {
    let provider = known.provider(name);
    if provider.is_none() {
        let what = known.unknown(name, faults);
        faults.at(field, what);
    }
    provider
}

/// A model with its provider, the provider by its `providerId`.
fn model(
    known: &Known<'_>,
    text: &str,
    field: String,
    faults: &mut Faults,
) -> Option<(String, KnownProvider)> {
    let Some(parsed) = ModelRef::parse(text) else {
        let what =
            "does not say which provider's model it means; write provider:model or provider/model";
        faults.at(field, what);
        return None;
    };
    let provider = provider(known, &parsed.provider, field, faults)?;
    // Written as it was, but for a provider that was named by its resource's id.
    let rest = text.get(parsed.provider.len()..).unwrap_or_default();
    Some((format!("{}{rest}", provider.id), provider))
}

/// The rules, in the place of the `old` ones, and the provider keys that are to be created with them. What is not
/// shown stays: of the router, of a rule for the same, and of the same step in it.
pub(super) fn router(
    known: &Known<'_>,
    sent: &RouterWrite,
    old: &forms::Router,
    inline: &Inline,
    faults: &mut Faults,
) -> (forms::Router, Vec<(String, ProviderKey)>) {
    let mut created = Vec::new();
    let steps = || sent.rules().iter().flat_map(|rule| &rule.steps);
    let keys = steps().filter_map(|step| step.keys.as_ref());
    if steps().count() > MOST || keys.map(Vec::len).sum::<usize>() > MOST {
        let what = format!("must have at most {MOST} steps and {MOST} keys in all");
        faults.at("router.rules", what);
        return (old.clone(), created);
    }
    let mut targets: BTreeMap<String, usize> = BTreeMap::new();
    let mut rules = Vec::new();
    for (place, rule) in sent.rules().iter().enumerate() {
        let field = format!("router.rules.{place}");
        let Some(target) = target(known, rule, &field, faults) else {
            continue;
        };
        if let Some(first) = targets.get(&target.name) {
            let what =
                format!("is for the same as router.rules.{first}; join their steps in one rule");
            faults.at(&field, what);
        }
        targets.entry(target.name).or_insert(place);
        let mut steps = Vec::new();
        for (place, step) in rule.steps.iter().enumerate() {
            let mut step = StepCheck {
                known,
                provider: &target.provider,
                step,
                field: format!("{field}.steps.{place}"),
                inline,
                created: &mut created,
                faults,
            };
            steps.push(step.checked());
        }
        let mut rule = forms::Rule {
            provider: target.written_provider,
            model: target.written_model,
            steps,
            rest: Rest::default(),
        };
        let same =
            |old: &&forms::Rule| (&old.provider, &old.model) == (&rule.provider, &rule.model);
        if let Some(old) = old.rules.iter().find(same) {
            rule.rest = old.rest.clone();
            for step in &mut rule.steps {
                let same = |old: &&Step| (&old.kind, &old.keys) == (&step.kind, &step.keys);
                let old = old.steps.iter().find(same);
                step.rest = old.map_or_else(Rest::default, |old| old.rest.clone());
            }
        }
        rules.push(rule);
    }
    let rest = old.rest.clone();
    (forms::Router { rules, rest }, created)
}

/// What a rule is for.
struct Target {
    provider: KnownProvider,
    /// In one form, however it is written.
    name: String,
    written_provider: Option<String>,
    written_model: Option<String>,
}

fn target(
    known: &Known<'_>,
    rule: &RouterRuleWrite,
    field: &str,
    faults: &mut Faults,
) -> Option<Target> {
    if rule.provider.is_none() && rule.model.is_none() {
        faults.at(field, "does not say what it is for; add provider or model");
        return None;
    }
    let own = rule.provider.as_ref();
    let own = own.map(|name| provider(known, name, format!("{field}.provider"), faults));
    let models = rule.model.as_ref();
    let models = models.map(|text| model(known, text, format!("{field}.model"), faults));
    // What is written and cannot be understood was noted.
    let (own, model) = match (own, models) {
        (Some(None), _) | (_, Some(None)) => return None,
        (own, model) => (own.flatten(), model.flatten()),
    };
    if let (Some(own), Some((_, other))) = (&own, &model)
        && own.id != other.id
    {
        let what = "is a model of another provider than the rule's; leave provider out, or make them agree";
        faults.at(format!("{field}.model"), what);
        return None;
    }
    let name = match &model {
        Some((text, _)) => ModelRef::parse(text)?.canonical(),
        None => own.as_ref().map(|own| own.id.to_string())?,
    };
    Some(Target {
        written_provider: own.as_ref().map(|own| own.id.to_string()),
        written_model: model.as_ref().map(|(text, _)| text.clone()),
        provider: model.map(|(_, provider)| provider).or(own)?,
        name,
    })
}

/// One step under examination.
struct StepCheck<'a> {
    known: &'a Known<'a>,
    provider: &'a KnownProvider,
    step: &'a RouterStepWrite,
    field: String,
    inline: &'a Inline,
    created: &'a mut Vec<(String, ProviderKey)>,
    faults: &'a mut Faults,
}

impl StepCheck<'_> {
    fn checked(&mut self) -> Step {
        let sent = self.step.keys.as_deref();
        let strategy = self.step.key_selection_strategy;
        let selection = strategy.map(KeySelectionStrategy::stored);
        let mut weights = BTreeMap::new();
        let keys = sent.map(|keys| {
            let mut ids = Vec::with_capacity(keys.len());
            for (place, key) in keys.iter().enumerate() {
                let field = format!("{}.keys.{place}", self.field);
                if key.weight.is_some() && selection != Some(KeySelection::Session) {
                    let what = "has no meaning for keys that are tried in order; select by session";
                    self.faults.at(format!("{field}.weight"), what);
                }
                let Some(id) = self.key(field, key) else {
                    continue;
                };
                weights.extend(key.weight.map(|weight| (id.clone(), weight)));
                ids.push(id);
            }
            ids
        });
        let none = sent.is_none_or(<[_]>::is_empty);
        let managed = self.step.r#type.is_managed();
        let kind = if managed {
            StepKind::Managed
        } else {
            StepKind::User
        };
        if managed {
            let created =
                |(_, key): &(String, ProviderKey)| key.managed && key.provider == *self.provider.id;
            let possible = self.provider.built_in
                || self.known.has_managed_keys(&self.provider.id)
                || self.created.iter().any(created);
            if !possible {
                let what = "cannot be managed: only built-in providers, and those with managed keys, have such steps";
                self.faults.at(format!("{}.type", self.field), what);
            }
        } else if none && self.provider.needs_key {
            let what = "is required in a step of type user; name at least one provider key";
            self.faults.at(format!("{}.keys", self.field), what);
        }
        Step {
            kind: kind.into(),
            // An empty list would be a step that serves nothing.
            keys: keys.filter(|_| !none),
            key_selection: selection.map(Open::Known),
            weights,
            rest: Rest::default(),
        }
    }

    /// The id of one of the step's keys.
    fn key(&mut self, field: String, key: &RouterStepKeyWrite) -> Option<String> {
        match (&key.id, &key.name, &key.value) {
            (Some(id), None, None) => {
                if let Some(what) = self.unfit(id) {
                    self.faults.at(format!("{field}.id"), what);
                }
                Some(id.clone())
            }
            (None, Some(_), Some(_)) => {
                let made = self.inline.at(self.known, &field, &self.provider.id);
                let (id, key) = self.faults.take(made)??;
                if key.managed && self.provider.tenants {
                    self.faults.at(format!("{}.type", self.field), TENANTS);
                }
                self.created.push((id.clone(), key));
                Some(id)
            }
            (None, Some(_), None) => {
                self.faults.at(
                    format!("{field}.value"),
                    "is required with name; or give the id of a provider key",
                );
                None
            }
            (None, None, Some(_)) => {
                self.faults
                    .at(format!("{field}.name"), "is required with value");
                None
            }
            (Some(_), _, _) | (None, None, None) => {
                let what = "must have either id, or name and value";
                self.faults.at(field, what);
                None
            }
        }
    }

    /// Why a step cannot have a key.
    fn unfit(&self, id: &str) -> Option<&'static str> {
        let managed = self.step.r#type.is_managed();
        let context = self.known.context;
        let found = self.known.view.get::<ProviderKey>(id).filter(|found| {
            let key = &found.resource;
            // Whoever acts for all accounts may route any of them to a key that serves them all.
            context.owns(&key.meta) || (key.managed && context.caller.account.is_none())
        });
        let Some(found) = found else {
            return Some("names no provider key of the account");
        };
        let key = found.resource;
        if key.provider != *self.provider.id {
            Some("is a key of another provider than the rule's")
        } else if key.managed && !managed {
            Some("is a managed key; name it in a step of type managed")
        } else if !key.managed && managed {
            Some("is not a managed key; name it in a step of type user")
        } else {
            None
        }
    }
}
