//! The section `llm`: models by their names, and virtual ones that choose among them.

use std::collections::BTreeMap;

use tollgate_config::foreign::Node;

use super::super::Note;
use super::super::plan::Route;
use super::super::reader::{Reader, heaviest_first};
use super::Said;

impl Reader {
    /// Reads the section.
    pub(super) fn models(&mut self, llm: &Node<'_>) {
        let mut timeouts = BTreeMap::new();
        self.policies(llm.get("policies").as_ref(), &mut timeouts);
        for (name, node) in llm.members() {
            match name {
                "models" | "virtualModels" | "providers" | "policies" => {}
                "port" | "tls" => self.note(
                    &node,
                    format!("`llm.{name}`: see `proxy.listen` and `proxy.tls`"),
                ),
                _ => self.note(&node, format!("`llm.{name}` has no counterpart")),
            }
        }
        let providers = llm.items_of("providers");
        let mut made: Vec<(&str, Route)> = Vec::new();
        for model in llm.items_of("models") {
            let Some(name) = model.text_of("name") else {
                let hint = "write the name that clients ask for";
                self.faults.push(model.fault("`name` is missing", hint));
                continue;
            };
            let Some(route) = self.model(&model, name, &providers, &timeouts) else {
                continue;
            };
            made.push((name, route.clone()));
            if model.text_of("visibility") == Some("internal") {
                continue;
            }
            match route.model {
                Some(_) => self.add(name, route),
                None => self.add_open(route),
            }
        }
        for model in llm.items_of("virtualModels") {
            self.virtual_model(&model, &made);
        }
    }

    fn model(
        &mut self,
        model: &Node<'_>,
        name: &str,
        providers: &[Node<'_>],
        timeouts: &BTreeMap<&'static str, String>,
    ) -> Option<Route> {
        // What a provider of the file's own says holds where the model says nothing.
        let word = model.get("provider");
        let shared = word.as_ref().and_then(|word| {
            let named = word.text_of("reference").or_else(|| word.text())?;
            let is_it = |one: &&Node<'_>| one.text_of("name") == Some(named);
            providers.iter().find(is_it).cloned()
        });
        let param = |name: &str| {
            let shared = || shared.as_ref().and_then(|shared| param_of(shared, name));
            param_of(model, name).or_else(shared)
        };
        let mut notes = Vec::new();
        for (member, node) in model.members() {
            match member {
                "name" | "provider" | "params" | "visibility" | "auth" => {}
                "matches" => {
                    let words = "conditions on headers have no counterpart: entries of one name are tried in the file's order";
                    notes.push(Note::at(node.line(), words));
                }
                "health" => notes.push(Note::at(
                    node.line(),
                    "`health`: keys rest and providers are shut by themselves",
                )),
                _ => notes.push(Note::at(
                    node.line(),
                    format!("`{member}` has no counterpart"),
                )),
            }
        }
        let wild = name.contains('*');
        if wild && name != "*" {
            let words = format!("`{name}`: all of the provider's models, by `provider:model`");
            notes.push(Note::at(model.line(), words));
        }
        let auth = model.get("auth").and_then(|auth| auth.get("key"));
        let key = auth.and_then(|key| key.get("value").or(Some(key)));
        let upstream = param("model").and_then(|model| model.text());
        let provider = match &shared {
            Some(shared) => shared.get("provider"),
            None => word,
        };
        self.entry(Said {
            at: model,
            provider,
            key: param("apiKey").or(key),
            base: param("baseUrl"),
            host: param("hostOverride").and_then(|node| super::host(&node, false)),
            model: upstream.or((!wild).then_some(name)),
            timeouts: timeouts.clone(),
            notes,
        })
    }

    fn virtual_model(&mut self, model: &Node<'_>, made: &[(&str, Route)]) {
        let routing = model.get("routing");
        let (Some(name), Some(routing)) = (model.text_of("name"), routing) else {
            let hint = "write its name, and `routing`";
            return self
                .faults
                .push(model.fault("a virtual model has both `name` and `routing`", hint));
        };
        let Some((mode, how)) = routing.members().into_iter().next() else {
            return self.note(model, format!("left out: `{name}` has no targets"));
        };
        let mut targets = how.items_of("targets");
        let mut note = None;
        match mode {
            "weighted" => {
                heaviest_first(&mut targets);
                note =
                    Some("`weighted`: the heaviest target is tried first, and the others after it");
            }
            "failover" => {
                let order = |target: &Node<'_>| target.number_of("priority").unwrap_or_default();
                targets.sort_by(|a, b| order(a).total_cmp(&order(b)));
            }
            "conditional" => {
                note = Some("`when` has no counterpart: the targets are tried in the file's order");
            }
            _ => {
                note = Some(
                    "this routing has no counterpart: the targets are tried in the file's order",
                )
            }
        }
        for target in &targets {
            let wanted = target.text_of("model").unwrap_or_default();
            let found: Vec<Route> = made
                .iter()
                .filter(|(known, route)| *known == wanted && route.model.is_some())
                .map(|(_, route)| route.clone())
                .collect();
            if found.is_empty() {
                self.note(
                    target,
                    format!("a target of `{name}` is left out: no model of the file has its name"),
                );
            }
            for mut route in found {
                route
                    .notes
                    .extend(note.map(|words| Note::at(how.line(), words)));
                self.add(name, route);
            }
        }
    }
}

fn param_of<'f>(node: &Node<'f>, name: &str) -> Option<Node<'f>> {
    node.get("params")?.get(name)
}
