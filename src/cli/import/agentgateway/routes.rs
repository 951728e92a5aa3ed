//! HTTP routes to AI backends. Where a path was what chose the backend, the model does now.

use std::collections::BTreeMap;

use tollgate_config::foreign::Node;

use super::super::Note;
use super::super::plan::Route;
use super::super::reader::{Reader, heaviest_first};
use super::Said;

impl Reader {
    /// Reads routes; those to other backends are left out with a remark.
    pub(super) fn routes(&mut self, routes: &Node<'_>) {
        for route in routes.items() {
            self.one_route(&route);
        }
    }

    fn one_route(&mut self, route: &Node<'_>) {
        let policies = route.get("policies");
        let mut timeouts = BTreeMap::new();
        let mut backends = route.items_of("backends");
        backends.retain(|backend| backend.get("ai").is_some());
        if backends.is_empty() {
            return self.note(route, "a route is left out: it leads to no model");
        }
        self.policies(policies.as_ref(), &mut timeouts);
        let ai = policies.as_ref().and_then(|policies| policies.get("ai"));
        for (name, node) in ai.iter().flat_map(|ai| ai.members()) {
            match name {
                "modelAliases" | "routes" | "models" => {}
                "promptGuard" => self.note(&node, "`promptGuard` has no counterpart"),
                "defaults" | "overrides" | "prompts" => {
                    self.note(&node, format!("`ai.{name}`: clients send it themselves"));
                }
                _ => self.note(&node, format!("`ai.{name}` has no counterpart")),
            }
        }
        heaviest_first(&mut backends);
        let mut made = Vec::new();
        for backend in &backends {
            self.backend(backend, policies.as_ref(), &timeouts, &mut made);
        }
        if let Some(path) = path(route) {
            for route in &mut made {
                let words = format!("was reached at `{path}`; clients name the model instead");
                route.notes.push(Note::at(backends[0].line(), words));
            }
        }
        let aliases = ai.and_then(|ai| ai.get("modelAliases"));
        for (alias, model) in aliases.iter().flat_map(|aliases| aliases.members()) {
            for route in &made {
                let model = model.text().map(|model| self.values.text(model));
                self.add(
                    alias,
                    Route {
                        model,
                        ..route.clone()
                    },
                );
            }
        }
        // All of them answer to what the first one calls the model.
        let name = made.iter().find_map(|route| route.model.clone());
        for route in made {
            match (&route.model, &name) {
                (Some(_), Some(name)) => self.add(name, route),
                _ => self.add_open(route),
            }
        }
    }

    /// Adds what a backend stands for, in the order in which it is tried.
    fn backend(
        &mut self,
        backend: &Node<'_>,
        of_route: Option<&Node<'_>>,
        timeouts: &BTreeMap<&'static str, String>,
        made: &mut Vec<Route>,
    ) {
        let Some(ai) = backend.get("ai") else { return };
        let groups = ai.items_of("groups");
        let grouped = groups.iter().flat_map(|group| group.items_of("providers"));
        let mut providers: Vec<Node<'_>> = grouped.collect();
        if providers.is_empty() {
            providers.push(ai.clone());
        }
        for provider in &providers {
            // The nearest one says it.
            let of = [
                provider.get("policies"),
                backend.get("policies"),
                of_route.cloned(),
            ];
            let of: Vec<Node<'_>> = of.into_iter().flatten().collect();
            let policy = |name: &str| of.iter().find_map(|policies| policies.get(name));
            let auth = policy("backendAuth").or_else(|| provider.get("backendAuth"));
            let key = auth.and_then(|auth| auth.get("key")).and_then(|key| {
                let inner = key.get("value");
                inner.or(Some(key))
            });
            let tls = policy("backendTLS").is_some() || provider.get("backendTLS").is_some();
            let host = provider
                .get("hostOverride")
                .and_then(|node| super::host(&node, tls));
            let prefix = provider
                .text_of("pathOverride")
                .or_else(|| provider.text_of("pathPrefix"))
                .unwrap_or("/v1");
            let prefix = ["/chat/completions", "/messages", "/responses"]
                .iter()
                .find_map(|end| prefix.strip_suffix(end))
                .unwrap_or(prefix);
            let said = Said {
                at: provider,
                provider: provider.get("provider"),
                key,
                base: None,
                host: host
                    .map(|(host, tls)| (format!("{host}{}", prefix.trim_end_matches('/')), tls)),
                model: None,
                timeouts: timeouts.clone(),
                notes: Vec::new(),
            };
            made.extend(self.entry(said));
        }
    }
}

/// The path that a route is for, if there is one besides the root.
fn path<'f>(route: &Node<'f>) -> Option<&'f str> {
    let path = route.get("matches")?.items().first()?.get("path")?;
    let said = path.text_of("pathPrefix").or_else(|| path.text_of("exact"));
    said.filter(|path| *path != "/")
}
