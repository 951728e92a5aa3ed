//! What a configuration allows, and which routing rule serves a model. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::{Configuration, Hedge, ModelRef, Rule, RuleTarget, Step, limits};
use crate::units::Span;
use crate::yaml::types;
use tollgate_ledger::KeyKind;
use tollgate_wire::tags::{SESSION, Tags};

impl ModelRef {
    /// Reads `provider/model` or `provider:model`. Only the first separator counts: a model's id may contain
    /// both characters, a provider's neither. `None` if a part is missing.
    pub fn parse(text: &str) -> Option<ModelRef> {
        let (provider, model) = text.split_once(['/', ':'])?;
        if provider.is_empty() || model.is_empty() {
            return None;
        }
        Some(ModelRef {
            provider: provider.into(),
            model: model.into(),
        })
    }

    /// Returns whether this refers to that model: the provider exactly, the model without regard to ASCII case. The
    /// provider may be written twice, as in `openai:openai/gpt-4o`, and once where a model's own id begins with it: Groq's
    /// `groq/compound` is that, and no `groq/groq/compound`.
    pub fn is(&self, provider: &str, model: &str) -> bool {
        let same =
            |one: Option<&str>, other: &str| one.is_some_and(|one| one.eq_ignore_ascii_case(other));
        &*self.provider == provider
            && (same(Some(&self.model), model)
                || same(self.behind_provider(&self.model), model)
                || same(self.behind_provider(model), &self.model))
    }

    /// Returns it in one form, the same for all ways to write it: `openai/gpt-4o`.
    pub fn canonical(&self) -> String {
        let model = self.behind_provider(&self.model).unwrap_or(&self.model);
        format!("{}/{}", self.provider, model.to_ascii_lowercase())
    }

    /// Returns what follows in a model's id that begins with the provider, else `None`.
    fn behind_provider<'m>(&self, model: &'m str) -> Option<&'m str> {
        let (first, rest) = model.split_once('/')?;
        first.eq_ignore_ascii_case(&self.provider).then_some(rest)
    }
}

impl Configuration {
    /// Returns whether the provider's id is on the allow list, or there is no list.
    pub fn allows_provider(&self, provider: &str) -> bool {
        self.providers
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|id| &**id == provider))
    }

    /// Returns whether both the provider and the model are allowed.
    pub fn allows_model(&self, provider: &str, model: &str) -> bool {
        self.allows_provider(provider)
            && self
                .models
                .as_ref()
                .is_none_or(|allowed| allowed.iter().any(|entry| entry.is(provider, model)))
    }

    /// Returns the routing rule for the model: its own, else its provider's. `None` if there is neither: then the
    /// user's keys are tried before the managed ones.
    pub fn rule_for(&self, provider: &str, model: &str) -> Option<&Rule> {
        let of_model = |rule: &&Rule| matches!(&rule.target, RuleTarget::Model(target) if target.is(provider, model));
        let of_provider =
            |rule: &&Rule| matches!(&rule.target, RuleTarget::Provider(id) if &**id == provider);
        self.rules
            .iter()
            .find(of_model)
            .or_else(|| self.rules.iter().find(of_provider))
    }
}

impl Configuration {
    /// Returns whether its access keys may order a paid option, with this value if it takes one, as in
    /// `service_tier=flex`. Without a list all are allowed; whether an option has a price is checked elsewhere.
    pub fn allows_option(&self, option: &str, value: Option<&str>) -> bool {
        self.options
            .as_ref()
            .is_none_or(|list| lists(list, option, value))
    }

    /// Sees that a request may have these tags, and has those whose values have budgets; its session is told otherwise,
    /// if it must.
    ///
    /// # Errors
    /// The name of the tag that it may not have, or must.
    pub fn check_tags<'a>(&'a self, tags: &'a Tags) -> Result<(), WrongTag<'a>> {
        let refused = |name: &str| match &self.tags {
            Some(allowed) => !allowed.iter().any(|known| **known == *name),
            None => false,
        };
        if let Some((name, _)) = tags.iter().find(|(name, _)| refused(name)) {
            return Err(WrongTag::NotAllowed(name));
        }
        let mut needed = self.each.iter().map(|(name, _)| &**name);
        match needed.find(|name| *name != SESSION && tags.get(name).is_none()) {
            Some(missing) => Err(WrongTag::Missing(missing)),
            None => Ok(()),
        }
    }

    /// Returns whether each session has a budget.
    pub fn limits_sessions(&self) -> bool {
        self.each.iter().any(|(name, _)| &**name == SESSION)
    }

    /// Returns whether an option is listed by its name alone: one that has no price is served only then.
    pub fn lists_option(&self, option: &str) -> bool {
        self.options
            .as_ref()
            .is_some_and(|list| lists(list, option, None))
    }
}

/// What is wrong with the tags of a request, by a tag's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongTag<'a> {
    /// It must not be there.
    NotAllowed(&'a str),
    /// It must be there.
    Missing(&'a str),
}

/// Returns whether a list has the option: by its name alone, which stands for all values, or as `name=value`.
fn lists(list: &[String], option: &str, value: Option<&str>) -> bool {
    list.iter().any(|entry| match entry.split_once('=') {
        None => entry == option,
        Some((name, known)) => {
            name == option && value.is_some_and(|value| value.eq_ignore_ascii_case(known))
        }
    })
}

impl From<&types::Configuration> for Configuration {
    /// Takes a configuration that has been checked. Model references that do not parse are left out, and allow nothing.
    fn from(written: &types::Configuration) -> Self {
        let shared = |list: &Vec<String>| list.iter().map(|id| Arc::from(id.as_str())).collect();
        Configuration {
            id: written.id.as_str().into(),
            providers: written.access.providers.allow.as_ref().map(shared),
            models: written.access.models.allow.as_ref().map(|list| {
                list.iter()
                    .filter_map(|text| ModelRef::parse(text))
                    .collect()
            }),
            options: written.access.options.allow.clone(),
            tags: written.access.tags.allow.as_ref().map(shared),
            rules: written.router.rules.iter().filter_map(rule).collect(),
            failover: written.failover,
            cache_hints: written.cache_hints,
            retry: written.retry.clone(),
            hedge: written.hedge.as_ref().map(Hedge::from),
            commit: written.commit.unwrap_or_default(),
            stop_on: written.stop_on.clone(),
            priority: written.priority.unwrap_or_default(),
            idempotency: written.idempotency.clone(),
            timeouts: written.timeouts.overrides(),
            max_input_tokens: written.limits.max_input_tokens,
            max_output_tokens: written.limits.max_output_tokens,
            bounded: false,
            limits: limits::of(
                &format!("configuration:{}", written.id),
                &written.limits.rates(),
            ),
            each: limits::of_tags(&written.id, &written.limits.tags),
            newer: false,
        }
    }
}

impl From<&types::Hedge> for Hedge {
    fn from(written: &types::Hedge) -> Self {
        let at_least = written.at_least.map(Span::duration);
        Hedge {
            at_least: at_least.unwrap_or(Duration::from_millis(500)),
            percent: written.budget_percent.unwrap_or(2),
        }
    }
}

/// Makes a rule of what was written; `None` if it says no target, or one that does not parse.
fn rule(written: &types::Rule) -> Option<Rule> {
    let target = match (&written.provider, &written.model) {
        (Some(provider), None) => RuleTarget::Provider(provider.as_str().into()),
        // Where both are written, the check has seen to it that the provider is the model's.
        (_, Some(model)) => RuleTarget::Model(ModelRef::parse(model)?),
        (None, None) => return None,
    };
    let steps = written.steps.iter().map(|step| {
        let (kind, chosen) = match step {
            types::Step::User(chosen) => (KeyKind::User, chosen),
            types::Step::Managed(chosen) => (KeyKind::Managed, chosen),
        };
        let weights = chosen.weights.iter();
        Step {
            kind,
            keys: (chosen.keys.as_ref())
                .map(|ids| ids.iter().map(|id| Arc::from(id.as_str())).collect()),
            selection: chosen.key_selection,
            weights: weights
                .map(|(id, weight)| (Arc::from(id.as_str()), *weight))
                .collect(),
        }
    });
    Some(Rule {
        target,
        steps: steps.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(yaml: &str) -> Configuration {
        Configuration::from(&crate::from_yaml::<types::Configuration>(yaml).unwrap())
    }

    #[test]
    fn only_the_first_separator_splits_a_model_reference() {
        for (text, provider, model) in [
            ("openai/gpt-4o", "openai", "gpt-4o"),
            ("openai:gpt-4o", "openai", "gpt-4o"),
            (
                "openrouter/meta-llama/llama-3:free",
                "openrouter",
                "meta-llama/llama-3:free",
            ),
            (
                "openrouter:meta-llama/llama-3:free",
                "openrouter",
                "meta-llama/llama-3:free",
            ),
            ("my-vllm:a:b/c", "my-vllm", "a:b/c"),
        ] {
            let parsed = ModelRef::parse(text).unwrap();
            assert_eq!(
                (&*parsed.provider, &*parsed.model),
                (provider, model),
                "{text}"
            );
        }
        for text in ["", "gpt-4o", "/gpt-4o", "openai/", ":x"] {
            assert_eq!(ModelRef::parse(text), None, "{text}");
        }
    }

    #[test]
    fn all_ways_to_write_a_model_are_one() {
        for text in [
            "openai/gpt-4o",
            "openai:GPT-4o",
            "openai:openai/gpt-4o",
            "openai/openai/GPT-4O",
        ] {
            let canonical = ModelRef::parse(text).unwrap().canonical();
            assert_eq!(canonical, "openai/gpt-4o", "{text}");
        }
        let other = ModelRef::parse("openrouter:openai/gpt-4o").unwrap();
        assert_eq!(other.canonical(), "openrouter/openai/gpt-4o");
    }

    #[test]
    fn allow_lists_hold_both_for_providers_and_for_models() {
        let open = configuration("id: open");
        assert!(open.allows_provider("any") && open.allows_model("any", "thing"));

        let providers = configuration("{ id: a, access: { providers: { allow: [openai] } } }");
        assert!(providers.allows_model("openai", "whatever"));
        assert!(
            !providers.allows_provider("OpenAI"),
            "provider ids are exact"
        );
        assert!(!providers.allows_model("anthropic", "claude"));

        let models = configuration(
            "{ id: a, access: { models: { allow: [openai/gpt-4o, 'openrouter:x/Y:free'] } } }",
        );
        assert!(
            models.allows_provider("anthropic"),
            "an absent provider list allows every provider"
        );
        assert!(
            models.allows_model("openai", "GPT-4o"),
            "model ids are compared without regard to case"
        );
        assert!(models.allows_model("openrouter", "x/y:FREE"));
        assert!(
            !models.allows_model("openai", "gpt-4o-mini"),
            "no prefix matching"
        );
        assert!(
            !models.allows_model("azure", "gpt-4o"),
            "the provider counts"
        );

        let twice =
            configuration("{ id: a, access: { models: { allow: ['openai:openai/gpt-4o'] } } }");
        assert!(twice.allows_model("openai", "GPT-4o"));
        assert!(twice.allows_model("openai", "openai/gpt-4o"));
        assert!(!twice.allows_model("groq", "gpt-4o"));

        for text in ["groq/compound", "groq:groq/compound", "groq/groq/Compound"] {
            let own = configuration(&format!(
                "{{ id: a, access: {{ models: {{ allow: ['{text}'] }} }} }}"
            ));
            assert!(own.allows_model("groq", "groq/compound"), "{text}");
            assert!(!own.allows_model("groq", "groq/compound-mini"), "{text}");
            assert!(!own.allows_model("openrouter", "groq/compound"), "{text}");
        }

        let both = configuration(
            "{ id: a, access: { providers: { allow: [groq] }, models: { allow: [openai/gpt-4o] } } }",
        );
        assert!(
            !both.allows_model("openai", "gpt-4o"),
            "both lists must allow"
        );

        let nothing = configuration("{ id: a, access: { models: { allow: [] } } }");
        assert!(
            !nothing.allows_model("openai", "gpt-4o"),
            "an empty list allows nothing"
        );
    }

    #[test]
    fn a_model_rule_beats_a_provider_rule_wherever_it_stands() {
        let configuration = configuration(
            "{ id: a, router: { rules: [
                { provider: openai, steps: [{ type: managed }] },
                { model: 'openai:gpt-4o', steps: [{ type: user, keys: [k1, k2] }, { type: managed, keys: [m] }] } ] } }",
        );
        let rule = configuration.rule_for("openai", "GPT-4O").unwrap();
        assert_eq!(rule.steps.len(), 2);
        assert_eq!(rule.steps[0].kind, KeyKind::User);
        assert_eq!(
            rule.steps[0].keys.as_deref(),
            Some(&["k1".into(), "k2".into()][..])
        );
        let rule = configuration.rule_for("openai", "o3").unwrap();
        assert_eq!(
            (rule.steps[0].kind, &rule.steps[0].keys),
            (KeyKind::Managed, &None)
        );
        assert!(configuration.rule_for("anthropic", "gpt-4o").is_none());
    }

    #[test]
    fn a_rule_finds_a_model_whose_id_begins_with_its_provider() {
        let configuration = configuration(
            "{ id: a, router: { rules: [{ model: openrouter/auto, steps: [{ type: user }] }] } }",
        );
        assert!(
            configuration
                .rule_for("openrouter", "openrouter/auto")
                .is_some()
        );
        assert!(
            configuration
                .rule_for("openrouter", "openai/auto")
                .is_none()
        );
    }
}
