//! Portkey's configs: a strategy over targets, each a provider with a key. A file has one of them, or several by their names.
//!
//! A config is no model: clients send it beside one. So a target that overrides the model becomes that model's name (and the
//! config's, if it has one); one that does not stands for all models of its provider.
//!
//! Facts: <https://portkey.ai/docs/api-reference/inference-api/config-object>.

use tollgate_config::Faults;
use tollgate_config::foreign::{Foreign, Node};

use super::plan::{Route, join};
use super::reader::{Reader, heaviest_first};
use super::target::Target;
use super::values::{seconds, whole_answer};
use super::vendors;
use super::{Import, Note};

/// How deep targets may stand in targets.
const DEEPEST: usize = 16;

/// Members of a config, by which one is known.
const CONFIG: [&str; 8] = [
    "strategy",
    "targets",
    "provider",
    "virtual_key",
    "virtualKey",
    "api_key",
    "apiKey",
    "override_params",
];

/// Reads a file of configs.
///
/// # Errors
///
/// Everything in it that cannot be read, with its line.
pub fn read(foreign: &Foreign) -> Result<Import, Faults> {
    let top = foreign.top();
    let mut reader = Reader::new("$");
    // As the API answers it.
    let inner = top.get("data").unwrap_or_else(|| top.clone());
    let config = inner.get("config").unwrap_or_else(|| inner.clone());
    if is_config(&config) {
        reader.config(None, &config);
    } else {
        let named: Vec<_> = config
            .members()
            .into_iter()
            .filter(|(_, node)| is_config(node))
            .collect();
        for (name, node) in &named {
            reader.config(Some(name), node);
        }
        if named.is_empty() {
            let hint = "give a file with a config (`strategy` and `targets`, or `provider`), or several by their names";
            reader
                .faults
                .push(top.fault("this is no config of Portkey's", hint));
        }
    }
    reader.done("Portkey", "portkey")
}

fn is_config(node: &Node<'_>) -> bool {
    CONFIG.iter().any(|name| node.get(name).is_some())
}

/// A member by its name, in snake case or in camel case: Portkey takes both.
fn get<'f>(node: &Node<'f>, name: &str) -> Option<Node<'f>> {
    node.get(name).or_else(|| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        let camel = words.fold(first, |mut camel, word| {
            let mut letters = word.chars();
            camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
            camel + letters.as_str()
        });
        node.get(&camel)
    })
}

/// What targets have of those that they stand in.
#[derive(Clone, Default)]
struct Inherited<'f> {
    model: Option<&'f str>,
    timeout: Option<String>,
}

impl Reader {
    fn config(&mut self, name: Option<&str>, config: &Node<'_>) {
        let mut routes = Vec::new();
        self.targets(config, &Inherited::default(), &mut routes, 0);
        let (named, open): (Vec<Route>, Vec<Route>) =
            routes.into_iter().partition(|route| route.model.is_some());
        for mut route in open {
            let name = format!("{}/*", route.endpoint.name);
            if !named.is_empty() {
                let words = "the other targets of its config have models of their own: name them in a request's `models`, after this one's";
                route.notes.push(Note::at(config.line(), words));
            }
            self.add(&name, route);
        }
        // A config's own name, and what its first target calls the model.
        let first = named.first().and_then(|route| route.model.clone());
        for name in name.map(str::to_owned).into_iter().chain(first) {
            for route in &named {
                self.add(&name, route.clone());
            }
        }
    }

    /// Adds what a config or a target stands for, in the order in which it is tried.
    fn targets<'f>(
        &mut self,
        node: &Node<'f>,
        above: &Inherited<'f>,
        routes: &mut Vec<Route>,
        depth: usize,
    ) {
        let mut own = above.clone();
        self.settings_of(node, &mut own);
        let targets = node.get("targets").map(|targets| targets.items());
        let Some(mut targets) = targets.filter(|_| depth < DEEPEST) else {
            return self.target(node, &own, routes);
        };
        let strategy = node.get("strategy");
        let mode = strategy
            .as_ref()
            .and_then(|strategy| strategy.text_of("mode"));
        match mode.unwrap_or("single") {
            "loadbalance" => {
                heaviest_first(&mut targets);
                self.note(
                    node,
                    "`loadbalance`: the heaviest target is tried first, and the others after it",
                );
            }
            "single" => targets.truncate(1),
            "conditional" => {
                self.note(
                    node,
                    "`conditions` have no counterpart: clients name the model that they mean",
                );
                for target in targets {
                    let mut own_routes = Vec::new();
                    self.targets(&target, &own, &mut own_routes, depth + 1);
                    for route in own_routes {
                        match target.text_of("name").filter(|_| route.model.is_some()) {
                            Some(name) => self.add(name, route),
                            None => routes.push(route),
                        }
                    }
                }
                return;
            }
            _ => {}
        }
        let codes = strategy.and_then(|strategy| get(&strategy, "on_status_codes"));
        if let Some(codes) = codes {
            self.note(&codes, "`on_status_codes`: which failures move on is fixed; a provider's `error_rules` add to them");
        }
        for target in targets {
            self.targets(&target, &own, routes, depth + 1);
        }
    }

    /// Reads what holds for a config or a target, and all in it.
    fn settings_of<'f>(&mut self, node: &Node<'f>, own: &mut Inherited<'f>) {
        let params = get(node, "override_params");
        for (name, value) in params.iter().flat_map(|params| params.members()) {
            match (name, value.text()) {
                ("model", Some(model)) => own.model = Some(model),
                _ => self.note(
                    &value,
                    format!("`override_params.{name}`: clients send it themselves"),
                ),
            }
        }
        if let Some(timeout) = get(node, "request_timeout") {
            // Milliseconds.
            let milliseconds = timeout.value().as_f64().map(|ms| ms / 1000.0);
            own.timeout = milliseconds.and_then(|value| seconds(&value.into()));
        }
        if let Some(attempts) = node.get("retry").and_then(|retry| retry.get("attempts")) {
            let asked = attempts.value().as_u64().unwrap_or(0);
            let note = self.retries(&attempts, "`retry.attempts`", asked);
            self.settings.notes.extend(note);
        }
        for (name, value) in node.members() {
            match name {
                "cache" => self.note(&value, "`cache`: answers are not cached"),
                "forward_headers" | "forwardHeaders" => {
                    self.note(
                        &value,
                        "`forward_headers`: see `forward_headers` of a provider",
                    );
                }
                _ if name.contains("guardrails") || name.ends_with("_hooks") => {
                    self.note(&value, format!("`{name}` have no counterpart"));
                }
                _ => {}
            }
        }
    }

    fn target<'f>(&mut self, node: &Node<'f>, own: &Inherited<'f>, routes: &mut Vec<Route>) {
        let said = |name: &str| get(node, name).and_then(|node| node.text());
        let kept = said("virtual_key");
        // `@team/model` is a model of the provider that is called `team` in Portkey.
        let slugged = own
            .model
            .and_then(|model| model.strip_prefix('@')?.split_once('/'));
        let model = slugged.map_or(own.model, |(_, model)| Some(model));
        let slug = said("provider").or(slugged.map(|(slug, _)| slug));
        let Some(word) = slug.or(kept) else {
            return self.note(node, "left out: no provider is said");
        };
        let plain = word.trim_start_matches('@');
        let known = prefix(plain);
        let guessed = plain.split(['-', '_', '/']).next().unwrap_or_default();
        let Some(prefix) = known.or_else(|| prefix(guessed)) else {
            let words = match said("provider").filter(|word| !word.starts_with('@')) {
                Some(word) => {
                    format!("left out: `{word}` has no API of OpenAI's or Anthropic's here")
                }
                None => {
                    "left out: the file does not say whose key it is; add a `provider`".to_owned()
                }
            };
            return self.note(node, words);
        };
        let mut notes = Vec::new();
        if known.is_none() {
            notes.push(Note::at(
                node.line(),
                format!("taken for `{prefix}`, by its name in Portkey"),
            ));
        }
        let resource = said("resource_name").or_else(|| said("azure_resource_name"));
        let deployment = said("deployment_id").or_else(|| said("azure_deployment_id"));
        let target = Target {
            at: node,
            prefix,
            key: get(node, "api_key"),
            // Who is named by `@team` has its key in Portkey as well.
            kept: kept.or_else(|| slug.filter(|slug| slug.starts_with('@') || slugged.is_some())),
            base: get(node, "custom_host"),
            address: resource
                .filter(|_| prefix == "azure")
                .map(|resource| format!("https://{resource}.openai.azure.com")),
            model: deployment.or(model),
        };
        if let Some(mut route) = self.route(&target, notes) {
            if let Some(span) = &own.timeout {
                route.endpoint.timeouts = whole_answer(span);
            }
            join(routes, route);
        }
    }
}

/// A provider of Portkey's by its name there.
fn prefix(name: &str) -> Option<&'static str> {
    let name = match name {
        "azure-openai" | "azure" => "azure",
        "google" | "gemini" => "gemini",
        "together-ai" | "together" => "together_ai",
        "mistral-ai" | "mistral" => "mistral",
        "fireworks-ai" | "fireworks" => "fireworks_ai",
        "x-ai" | "xai" | "grok" => "xai",
        "lmstudio" => "lm_studio",
        "vllm" => "hosted_vllm",
        other => [
            "openai",
            "anthropic",
            "groq",
            "deepseek",
            "openrouter",
            "cohere",
            "ollama",
            "cerebras",
            "sambanova",
            "deepinfra",
            "dashscope",
            "moonshot",
            "hyperbolic",
        ]
        .into_iter()
        .find(|known| *known == other)?,
    };
    vendors::vendor(name).map(|_| name)
}
