//! What of a key cools down: all of it, or what it does for a model at a class of endpoints.

use std::sync::Arc;

use tollgate_wire::{Endpoint, Surface};

/// Endpoints whose limits are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// What generates.
    Answers,
    /// Embeddings.
    Embeddings,
    /// `count_tokens`.
    Counting,
}

impl Class {
    const ALL: [Class; 3] = [Class::Answers, Class::Embeddings, Class::Counting];

    /// Its name between replicas.
    fn name(self) -> &'static str {
        match self {
            Class::Answers => "answers",
            Class::Embeddings => "embeddings",
            Class::Counting => "count_tokens",
        }
    }
}

impl From<Endpoint> for Class {
    fn from(endpoint: Endpoint) -> Class {
        match endpoint {
            Endpoint::CountTokens => Class::Counting,
            Endpoint::Generate(Surface::Embeddings) => Class::Embeddings,
            Endpoint::Generate(_) => Class::Answers,
        }
    }
}

/// What of a key cools down: all of it, or less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The model's id, as the provider knows it; `None` is all.
    pub model: Option<Arc<str>>,
    /// The class of endpoints; `None` is all.
    pub class: Option<Class>,
}

impl Scope {
    pub(crate) fn covers(&self, model: &str, class: Class) -> bool {
        self.class.is_none_or(|own| own == class)
            && self.model.as_ref().is_none_or(|own| **own == *model)
    }

    /// Returns the name under which replicas share the key's cool-down. A whole key's is its id; gateways that know no
    /// other scope take the rest for those of keys that they do not have.
    pub fn name(&self, key: &str) -> String {
        if *self == Scope::default() {
            return key.to_owned();
        }
        let model = self.model.as_deref().unwrap_or_default();
        let class = self.class.map(Class::name).unwrap_or_default();
        [key, "\n", model, "\n", class].concat()
    }

    /// Returns the key's id and the scope that a name stands for.
    pub fn of_name(name: &str) -> (&str, Scope) {
        let Some((key, rest)) = name.split_once('\n') else {
            return (name, Scope::default());
        };
        let (model, class) = rest.rsplit_once('\n').unwrap_or((rest, ""));
        let scope = Scope {
            model: (!model.is_empty()).then(|| model.into()),
            class: Class::ALL.into_iter().find(|known| known.name() == class),
        };
        (key, scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_known_again_by_its_name() {
        for model in [None, Some("m"), Some("vendor/m:free"), Some("odd\nname")] {
            for class in [None, Some(Class::Answers), Some(Class::Counting)] {
                let scope = Scope {
                    model: model.map(Arc::from),
                    class,
                };
                let name = scope.name("key");
                assert_eq!(Scope::of_name(&name), ("key", scope.clone()), "{scope:?}");
            }
        }
        let whole = Scope::default();
        assert_eq!(whole.name("key"), "key", "older gateways know whole keys");
    }
}
