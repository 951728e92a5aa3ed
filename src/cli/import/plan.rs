//! From names and what serves each, in order, to providers with models and aliases.
//!
//! A bare name goes to every provider of the YAML that has it, in the YAML's order. So a name's chain of routes becomes one
//! alias at each route's model, in providers that stand in the chain's order. Where one provider cannot take a route (the
//! name or the model is there already, for something else, or the provider stands too early), a further provider of the
//! same endpoint does.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_config::DEMO_PROVIDER;
use tollgate_config::catalog::Catalog;

use super::Note;

/// Where an API is, and how it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// What its first provider is called; a built-in provider's id if it is one.
    pub name: String,
    /// As the YAML says it, references included; `None` where the built-in provider's own holds.
    pub base_url: Option<String>,
    /// Whether no credential is sent.
    pub keyless: bool,
    /// `auth`, if it is not the dialect's.
    pub auth: Option<&'static str>,
    /// What it offers; empty where the built-in provider's own hold.
    pub surfaces: Vec<&'static str>,
    /// Whose rules it follows.
    pub vendor: Option<String>,
    /// Headers of every request, with values as the YAML says them.
    pub headers: BTreeMap<String, String>,
    /// Members of `timeouts`.
    pub timeouts: BTreeMap<&'static str, String>,
    /// Whether thoughts and cache marks go through it as another LiteLLM takes them.
    pub chat_extensions: bool,
}

/// What is said of a model, with values as the YAML says them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Details {
    /// Members of `timeouts`.
    pub timeouts: BTreeMap<&'static str, String>,
    /// USD per million tokens, by unit.
    pub prices: BTreeMap<&'static str, String>,
    /// The longest answer, tokens.
    pub max_output_tokens: Option<u64>,
    /// Fields that it refuses.
    pub unsupported: Vec<String>,
}

/// One model at one endpoint with its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where.
    pub endpoint: Endpoint,
    /// The id that goes upstream; `None` is all that the endpoint has.
    pub model: Option<String>,
    /// Names of environment variables, in the order in which their keys are tried.
    pub variables: Vec<String>,
    /// What is said of it.
    pub details: Details,
    /// What is remarked about it.
    pub notes: Vec<Note>,
}

impl Route {
    /// Returns whether both are the same model of the same endpoint, whatever the keys.
    pub fn is_like(&self, other: &Route) -> bool {
        self.endpoint == other.endpoint
            && self.model == other.model
            && self.details == other.details
    }
}

/// Adds a route to a chain; another key of one that is there joins it.
pub fn join(routes: &mut Vec<Route>, route: Route) {
    let Some(known) = routes.iter_mut().find(|known| known.is_like(&route)) else {
        routes.push(route);
        return;
    };
    for variable in route.variables {
        if !known.variables.contains(&variable) {
            known.variables.push(variable);
        }
    }
    for note in route.notes {
        if !known.notes.contains(&note) {
            known.notes.push(note);
        }
    }
}

/// A model of a provider that is made.
#[derive(Debug)]
pub struct Model {
    /// As in [`Route::model`].
    pub id: String,
    /// Names of it besides its id.
    pub aliases: Vec<String>,
    /// As in [`Route::variables`].
    pub variables: Vec<String>,
    /// What is said of it.
    pub details: Details,
    /// What is remarked about it.
    pub notes: Vec<Note>,
    /// The names it was placed under, in lower case.
    names: BTreeSet<String>,
}

/// A provider that is made.
#[derive(Debug)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Whether it is a built-in one, of which only keys and further models are said.
    pub built_in: bool,
    /// Its models.
    pub models: Vec<Model>,
    /// Every key of its models, in the order in which they were met.
    pub variables: Vec<String>,
    /// The keys of all models that are not listed; `None` if there are only those.
    pub open: Option<Vec<String>>,
    /// What is remarked about it as a whole.
    pub notes: Vec<Note>,
}

/// Makes providers of chains: (name, its routes in order).
pub fn providers(chains: &[(String, Vec<Route>)]) -> Vec<Provider> {
    let mut planner = Planner {
        catalog: Catalog::built_in(),
        names: chains
            .iter()
            .map(|(name, _)| called(name).to_ascii_lowercase())
            .collect(),
        used: BTreeSet::new(),
        made: Vec::new(),
    };
    for (name, routes) in chains {
        let (called, mut from) = (called(name), 0);
        for route in routes {
            let mut route = route.clone();
            if called != *name {
                let words = format!("`{name}` is called `{called}` here: an id has no spaces");
                route.notes.push(Note::general(words));
            }
            from = planner.place(&called, &route, from) + 1;
        }
    }
    planner.say_what_else_answers();
    planner.made
}

/// A name as an alias may be.
fn called(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("-")
}

struct Planner {
    catalog: Catalog,
    /// Every public name, in lower case.
    names: BTreeSet<String>,
    used: BTreeSet<String>,
    made: Vec<Provider>,
}

impl Planner {
    /// Puts a route behind what was placed of its chain so far; returns its provider's place.
    fn place(&mut self, name: &str, route: &Route, from: usize) -> usize {
        let found = (from..self.made.len()).find(|at| self.takes(&self.made[*at], name, route));
        let at = found.unwrap_or_else(|| {
            let made = self.make(&route.endpoint, name, route);
            self.made.push(made);
            self.made.len() - 1
        });
        let provider = &mut self.made[at];
        for variable in &route.variables {
            if !provider.variables.contains(variable) {
                provider.variables.push(variable.clone());
            }
        }
        let Some(id) = &route.model else {
            provider.open.get_or_insert_with(|| route.variables.clone());
            add_notes(&mut provider.notes, &route.notes);
            return at;
        };
        let known = provider.models.iter().position(|model| model.id == *id);
        let index = known.unwrap_or_else(|| {
            provider.models.push(Model {
                id: id.clone(),
                aliases: Vec::new(),
                variables: route.variables.clone(),
                details: route.details.clone(),
                notes: Vec::new(),
                names: BTreeSet::new(),
            });
            provider.models.len() - 1
        });
        let model = &mut provider.models[index];
        add_notes(&mut model.notes, &route.notes);
        model.names.insert(name.to_ascii_lowercase());
        let is_named = |alias: &String| alias.eq_ignore_ascii_case(name);
        if !id.eq_ignore_ascii_case(name) && !model.aliases.iter().any(is_named) {
            model.aliases.push(name.to_owned());
        }
        at
    }

    /// Whether a provider can serve the route under this name beside what it serves already.
    fn takes(&self, provider: &Provider, name: &str, route: &Route) -> bool {
        if provider.endpoint != route.endpoint {
            return false;
        }
        let Some(id) = &route.model else {
            return provider
                .open
                .as_ref()
                .is_none_or(|open| *open == route.variables);
        };
        // What it names by itself, as a built-in provider does.
        let known = provider
            .built_in
            .then(|| self.catalog.provider(&provider.id))
            .flatten();
        let elsewhere = known
            .and_then(|known| known.model(name))
            .is_some_and(|model| !model.id.eq_ignore_ascii_case(id) && !model.has_alias(id));
        let same = |model: &Model| {
            model.id == *id && model.variables == route.variables && model.details == route.details
        };
        let clashes = |model: &Model| {
            let has = |text: &str| {
                model.id.eq_ignore_ascii_case(text)
                    || model
                        .aliases
                        .iter()
                        .any(|alias| alias.eq_ignore_ascii_case(text))
            };
            has(name) || has(id)
        };
        !elsewhere
            && provider
                .models
                .iter()
                .all(|model| same(model) || !clashes(model))
    }

    /// A model whose own id is another public name serves that as well.
    fn say_what_else_answers(&mut self) {
        for model in self
            .made
            .iter_mut()
            .flat_map(|provider| &mut provider.models)
        {
            let id = model.id.to_ascii_lowercase();
            if self.names.contains(&id) && !model.names.contains(&id) {
                let words = format!(
                    "its id is also a public name: requests for `{}` may come here too",
                    model.id
                );
                model.notes.push(Note::general(words));
            }
        }
    }

    fn make(&mut self, endpoint: &Endpoint, name: &str, route: &Route) -> Provider {
        let provider_is_built_in = endpoint.base_url.is_none();
        let mut provider = Provider {
            id: endpoint.name.clone(),
            endpoint: endpoint.clone(),
            built_in: provider_is_built_in,
            models: Vec::new(),
            variables: Vec::new(),
            open: None,
            notes: Vec::new(),
        };
        // A provider of one's own cannot have a built-in one's id.
        let free = |id: &String| {
            let known = self.catalog.provider(id).is_some() || *id == DEMO_PROVIDER;
            // A name that begins with it would mean the provider alone.
            let meant = |name: &String| name.split_once(':').is_some_and(|(first, _)| first == id);
            let taken = known || self.names.iter().any(meant);
            !self.used.contains(id) && (provider_is_built_in || !taken)
        };
        if !free(&provider.id) || !self.takes(&provider, name, route) {
            provider.built_in = false;
            let numbered = (2_u32..).map(|number| format!("{}-{number}", endpoint.name));
            let mut numbered = numbered.filter(free);
            provider.id = numbered.next().unwrap_or_default();
        }
        self.used.insert(provider.id.clone());
        provider
    }
}

fn add_notes(notes: &mut Vec<Note>, more: &[Note]) {
    for note in more {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
}
