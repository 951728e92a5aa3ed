//! What the `model` of a request names.
//!
//! # The rules
//!
//! 1. `provider:model`, when the text before the first `:` is a known provider's exact id, is that provider,
//!    whatever follows. A first segment that is no known provider is part of a bare id: ids contain `:`.
//! 2. A bare id or alias that some provider has, without regard to ASCII case: every such provider, in the
//!    catalog's order. `openai/gpt-oss-20b` is such an id (Groq's).
//! 3. `provider/model`, when the text before the first `/` is a known provider's exact id: as in 1.
//! 4. Anything else is unknown.
//!
//! In 1 and 3, a model whose id begins with its provider's may be named without that: `groq/compound` is Groq's model of
//! that id, as no other of Groq's is called `compound`.
//!
//! In 1 and 3, a model outside the catalog passes through if the provider allows. A model that is not [bare]
//! (OpenRouter's `openai/gpt-5`, and all whose ids are other vendors' names) is found by 1 and 3 alone.
//!
//! [bare]: Model::bare
//!
//! The id that goes upstream is the canonical one of the catalog, with two exceptions: an alias that the
//! provider knows itself (a dated snapshot such as `gpt-4o-2024-08-06`: the catalog's own aliases are all of
//! this kind) goes up as it is, because the client has pinned a version by it; and an id that passes through
//! goes up exactly as written. An alias that the YAML adds is the gateway's own, and never goes upstream.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::feeds::Layers;
use super::model::Model;
use super::nearest::nearest;
use super::provider::Provider;
use tollgate_wire::Surface;

/// Every known provider and model, with an index for requests. Immutable. The default one is empty; see
/// [`Catalog::built_in`].
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    providers: Vec<Arc<Provider>>,
    /// Aliases that a provider knows itself: (provider, lower-case alias).
    wire_aliases: Arc<HashSet<(Arc<str>, String)>>,
    by_id: HashMap<Arc<str>, usize>,
    /// By lower-case name; each provider at most once, in the catalog's order.
    by_name: HashMap<Box<str>, Vec<Named>>,
    /// Prices that were laid over the built-in ones.
    feeds: Layers,
}

/// A provider's model under one of its names.
#[derive(Clone, Debug)]
struct Named {
    provider: usize,
    model: Arc<Model>,
    upstream_id: Arc<str>,
}

/// One provider's answer to what a model id names.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// What is known about it; `None` for a model that passes through.
    pub model: Option<Arc<Model>>,
    /// The id to send upstream.
    pub upstream_id: Arc<str>,
}

/// Why a model id names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No provider has it, and it has no provider in front.
    Model {
        /// At most three known ids that look like it, the most alike first.
        nearest: Vec<String>,
    },
    /// The provider in front of it does not have it, and takes only models that the catalog knows.
    NotPassedThrough {
        /// The provider's id.
        provider: Arc<str>,
        /// At most three of its models that look like it, as `provider:model`.
        nearest: Vec<String>,
    },
}

impl Unknown {
    /// At most three known ids that look like what was asked for, the most alike first.
    pub fn nearest(&self) -> &[String] {
        match self {
            Unknown::Model { nearest } | Unknown::NotPassedThrough { nearest, .. } => nearest,
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Model { .. } => {
                f.write_str("model unknown: not in the catalog and no provider prefix")?
            }
            Unknown::NotPassedThrough { provider, .. } => {
                write!(
                    f,
                    "model unknown: the provider {provider} takes only models that the catalog knows"
                )?;
            }
        }
        match self.nearest() {
            [] => Ok(()),
            nearest => write!(f, "; did you mean {}?", nearest.join(", ")),
        }
    }
}

impl std::error::Error for Unknown {}

impl Resolved {
    /// Returns whether the model can be called on `surface` at this provider.
    pub fn offers(&self, surface: Surface) -> bool {
        self.surfaces().contains(&surface)
    }

    /// Returns the API shapes the model is offered on: its own, or else the provider's.
    pub fn surfaces(&self) -> &[Surface] {
        let own = self
            .model
            .as_ref()
            .and_then(|model| model.surfaces.as_deref());
        own.unwrap_or(&self.provider.surfaces)
    }

    /// Top-level request fields to remove: the provider's, then the model's.
    pub fn unsupported_parameters(&self) -> impl Iterator<Item = &str> {
        let model = self
            .model
            .iter()
            .flat_map(|model| &model.unsupported_parameters);
        self.provider
            .unsupported_parameters
            .iter()
            .chain(model)
            .map(String::as_str)
    }
}

impl Catalog {
    /// Builds the index. Of two models of a provider with one name, an id wins over an alias, and then the
    /// earlier one; of two providers with one id, the earlier one.
    pub fn of(
        providers: Vec<Arc<Provider>>,
        wire_aliases: Arc<HashSet<(Arc<str>, String)>>,
    ) -> Catalog {
        let mut catalog = Catalog {
            providers: Vec::new(),
            wire_aliases,
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            feeds: Layers::default(),
        };
        for (position, provider) in providers.iter().enumerate() {
            catalog.by_id.entry(provider.id.clone()).or_insert(position);
            for model in &provider.models {
                catalog.name(&model.id, position, model, model.id.clone());
            }
            for model in &provider.models {
                for alias in &model.aliases {
                    let known = (provider.id.clone(), alias.to_ascii_lowercase());
                    let on_the_wire = catalog.wire_aliases.contains(&known);
                    let upstream_id = if on_the_wire {
                        Arc::from(alias.as_str())
                    } else {
                        model.id.clone()
                    };
                    catalog.name(alias, position, model, upstream_id);
                }
            }
        }
        catalog.providers = providers;
        catalog
    }

    fn name(&mut self, name: &str, provider: usize, model: &Arc<Model>, upstream_id: Arc<str>) {
        let named = self
            .by_name
            .entry(name.to_ascii_lowercase().into_boxed_str())
            .or_default();
        if named.iter().all(|other| other.provider != provider) {
            named.push(Named {
                provider,
                model: model.clone(),
                upstream_id,
            });
        }
    }

    /// Returns every provider, in the order in which a bare id tries them: the YAML's, then the built-in ones, then
    /// those that were made at run time, the eldest first.
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// Returns the provider with exactly this id.
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.by_id
            .get(id)
            .and_then(|position| self.providers.get(*position))
    }

    /// Returns the providers that a model's id or alias goes to without a provider in front, in their order, as if the
    /// catalog had only those that `may` accepts.
    pub fn bare(&self, name: &str, may: impl Fn(&Provider) -> bool) -> Vec<&Arc<Provider>> {
        let named = self.named(name).unwrap_or_default().iter();
        let bare = named.filter(|named| named.model.bare);
        bare.filter_map(|named| self.providers.get(named.provider))
            .filter(|provider| may(provider))
            .collect()
    }

    /// Changes what is known of a provider, but for its id and its models.
    #[cfg(test)]
    pub(crate) fn change(&mut self, provider: &str, change: impl FnOnce(&mut Provider)) {
        let known = self.by_id.get(provider);
        if let Some(known) = known.and_then(|position| self.providers.get_mut(*position)) {
            change(Arc::make_mut(known));
        }
    }

    /// The feeds whose prices were laid over the built-in ones.
    pub(crate) fn feeds(&self) -> &Layers {
        &self.feeds
    }

    /// Notes which feeds' prices were laid over the built-in ones.
    pub(crate) fn set_feeds(&mut self, feeds: Layers) {
        self.feeds = feeds;
    }

    /// Aliases that a provider knows itself: (provider, lower-case alias).
    pub(crate) fn wire_aliases(&self) -> &Arc<HashSet<(Arc<str>, String)>> {
        &self.wire_aliases
    }

    /// Returns what `requested` names, at least one provider; the rules are this module's documentation.
    ///
    /// # Errors
    /// [`Unknown`] when it names nothing; only then are suggestions searched for.
    pub fn resolve(&self, requested: &str) -> Result<Vec<Resolved>, Unknown> {
        self.resolve_among(requested, |_| true)
    }

    /// Returns the same, as if the catalog had only those providers that `may` accepts: what one account calls its own
    /// providers and models changes nothing for others.
    ///
    /// # Errors
    /// As [`Catalog::resolve`].
    pub fn resolve_among(
        &self,
        requested: &str,
        may: impl Fn(&Provider) -> bool,
    ) -> Result<Vec<Resolved>, Unknown> {
        if let Some((provider, model)) = self.split(requested, ':')
            && may(provider)
        {
            return self
                .resolve_at(provider, model)
                .map(|resolved| vec![resolved]);
        }
        if let Some(named) = self.named(requested) {
            let bare = named.iter().filter(|named| named.model.bare);
            let found = bare.filter_map(|named| self.resolved(named));
            let found: Vec<Resolved> = found.filter(|found| may(&found.provider)).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if let Some((provider, model)) = self.split(requested, '/')
            && may(provider)
        {
            return self
                .resolve_at(provider, model)
                .map(|resolved| vec![resolved]);
        }
        let known = self.providers.iter().filter(|provider| may(provider));
        let known: Vec<Arc<Provider>> = known.cloned().collect();
        Err(Unknown::Model {
            nearest: nearest(requested, &known),
        })
    }

    /// What `model` (an id, an alias, or anything if the provider passes models through) names at `provider`.
    ///
    /// # Errors
    /// [`Unknown`] when it names nothing there.
    pub(crate) fn resolve_at(
        &self,
        provider: &Arc<Provider>,
        model: &str,
    ) -> Result<Resolved, Unknown> {
        let here = |named: &&Named| {
            self.providers
                .get(named.provider)
                .is_some_and(|other| other.id == provider.id)
        };
        let find = |name: &str| {
            let named = self.named(name).unwrap_or_default();
            named
                .iter()
                .find(here)
                .and_then(|named| self.resolved(named))
        };
        let in_full = || find(&format!("{}/{model}", provider.id));
        if let Some(resolved) = find(model).or_else(in_full) {
            return Ok(resolved);
        }
        if provider.passthrough {
            return Ok(Resolved {
                provider: provider.clone(),
                model: None,
                upstream_id: Arc::from(model),
            });
        }
        let nearest = nearest(model, std::slice::from_ref(provider));
        let nearest = nearest
            .into_iter()
            .map(|id| format!("{}:{id}", provider.id))
            .collect();
        Err(Unknown::NotPassedThrough {
            provider: provider.id.clone(),
            nearest,
        })
    }

    /// The known provider before the first `separator`, and what follows if it is not empty.
    fn split<'a>(&self, requested: &'a str, separator: char) -> Option<(&Arc<Provider>, &'a str)> {
        let (provider, model) = requested.split_once(separator)?;
        let provider = self.provider(provider)?;
        (!model.is_empty()).then_some((provider, model))
    }

    /// The models with this name, without regard to ASCII case. Does not allocate, but for a long name with
    /// capitals in it.
    fn named(&self, name: &str) -> Option<&[Named]> {
        let found = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let mut buffer = [0_u8; 128];
            match buffer.get_mut(..name.len()) {
                Some(lower) => {
                    lower.copy_from_slice(name.as_bytes());
                    lower.make_ascii_lowercase();
                    self.by_name.get(str::from_utf8(lower).ok()?)
                }
                None => self.by_name.get(name.to_ascii_lowercase().as_str()),
            }
        } else {
            self.by_name.get(name)
        };
        found.map(Vec::as_slice)
    }

    fn resolved(&self, named: &Named) -> Option<Resolved> {
        let provider = self.providers.get(named.provider)?;
        Some(Resolved {
            provider: provider.clone(),
            model: Some(named.model.clone()),
            upstream_id: named.upstream_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
