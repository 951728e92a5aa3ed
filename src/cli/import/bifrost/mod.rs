//! Bifrost's `config.json`: providers with weighted keys. Clients name models `provider/model`, as they may here.
//!
//! Facts: <https://docs.getbifrost.ai/deployment-guides/config-json/providers>.

mod settings;

use std::collections::BTreeMap;

use tollgate_config::Faults;
use tollgate_config::foreign::{Foreign, Node};

use super::plan::{Details, Endpoint, Route, join};
use super::reader::{Reader, heaviest_first};
use super::values::{is_no_key, seconds, whole_answer};
use super::vendors::{self, Vendor};
use super::{Import, Note};

/// A credential, and which models it serves.
struct Key<'f> {
    node: Node<'f>,
    /// `None` is all of them.
    models: Option<Vec<&'f str>>,
    /// Names of models, and what they are called upstream.
    aliases: BTreeMap<&'f str, &'f str>,
}

/// Reads a configuration.
///
/// # Errors
///
/// Everything in it that cannot be read, with its line.
pub fn read(foreign: &Foreign) -> Result<Import, Faults> {
    let top = foreign.top();
    let mut reader = Reader::new("env.");
    match top.get("providers") {
        Some(providers) if providers.value().is_object() => {
            for (name, provider) in providers.members() {
                reader.provider(name, &provider);
            }
        }
        _ => {
            let hint = "give Bifrost's config.json, which has `providers` by their names";
            let fault = top.fault("this is no configuration of Bifrost's", hint);
            reader.faults.push(fault);
        }
    }
    settings::read(&top, &mut reader);
    reader.done("Bifrost", "bifrost")
}

impl Reader {
    fn provider(&mut self, name: &str, provider: &Node<'_>) {
        let network = provider.get("network_config");
        let custom = provider.get("custom_provider_config");
        let vendor = match &custom {
            Some(custom) => match custom.text_of("base_provider_type") {
                Some("anthropic") => Some((Vendor::BuiltIn("anthropic"), "")),
                Some("openai") => Some((Vendor::Own(false), "")),
                _ => None,
            },
            None => vendor(name),
        };
        let Some((vendor, usual)) = vendor else {
            let words = format!(
                "the provider `{name}` is left out: it has no API of OpenAI's or Anthropic's here"
            );
            return self.note(provider, words);
        };
        let keys = keys(provider);
        let keyless =
            custom.and_then(|custom| custom.get("is_key_less")?.value().as_bool()) == Some(true);
        let mut notes = Vec::new();
        let mut headers = BTreeMap::new();
        let mut timeouts = BTreeMap::new();
        if let Some(network) = &network {
            if let Some(more) = network.get("extra_headers") {
                self.values.headers(&more, &mut headers, &mut notes);
            }
            let timeout = network.get("default_request_timeout_in_seconds");
            if let Some(span) = timeout.and_then(|timeout| seconds(timeout.value())) {
                timeouts = whole_answer(&span);
            }
            let retries = network
                .get("max_retries")
                .and_then(|retries| retries.value().as_u64());
            let said = format!("`max_retries` of `{name}`");
            notes.extend(self.retries(network, &said, retries.unwrap_or(0)));
        }
        let mut at = Placed {
            name,
            provider,
            vendor: &vendor,
            usual,
            network: network.as_ref(),
            headers,
            timeouts,
            notes,
        };
        if keyless || keys.is_empty() {
            let keyless = keyless || matches!(vendor, Vendor::Local(..) | Vendor::Own(_));
            let variables = if keyless {
                Vec::new()
            } else {
                vec![usual.to_owned()]
            };
            if let Some(endpoint) = self.endpoint(&mut at, None, keyless) {
                self.serve(&at, "*", None, endpoint, variables);
            }
        }
        for key in &keys {
            self.key(&mut at, key);
        }
        self.share_open(name);
    }

    /// A key of all models serves those as well that other keys list.
    fn share_open(&mut self, provider: &str) {
        let open = format!("{provider}/*");
        let all = self.chains.iter().find(|(name, _)| *name == open);
        let all = all.map(|(_, routes)| routes.clone()).unwrap_or_default();
        for (name, routes) in &mut self.chains {
            let model = name.split_once('/').filter(|(first, _)| *first == provider);
            let Some((_, model)) = model.filter(|(_, model)| *model != "*") else {
                continue;
            };
            let model = self.values.text(model);
            // What has another id upstream is one key's own.
            if !routes
                .iter()
                .any(|route| route.model.as_ref() == Some(&model))
            {
                continue;
            }
            for route in &all {
                let route = Route {
                    model: Some(model.clone()),
                    ..route.clone()
                };
                join(routes, route);
            }
        }
    }

    /// Adds the routes of one key.
    fn key(&mut self, at: &mut Placed<'_, '_>, key: &Key<'_>) {
        let value = key.node.get("value");
        // As the API shows it: an object that names its variable, with `env.` or without.
        let named = value.as_ref().and_then(|value| value.text_of("env_var"));
        let named = named.filter(|name| !name.is_empty());
        let text = match named {
            Some(name) => format!("env.{}", name.trim_start_matches("env.")),
            None => {
                let text = value.as_ref().and_then(|value| value.text());
                text.unwrap_or_default().to_owned()
            }
        };
        let text = text.as_str();
        let local = matches!(at.vendor, Vendor::Local(..) | Vendor::Own(_));
        let nothing = text.is_empty() && at.usual.is_empty();
        let keyless = nothing || local && (text.is_empty() || is_no_key(text));
        let Some(endpoint) = self.endpoint(at, Some(key), keyless) else {
            return;
        };
        let variables = match self.values.variable(text) {
            Some(variable) => vec![variable],
            None if keyless => Vec::new(),
            None if text.is_empty() => vec![at.usual.to_owned()],
            None => {
                let line = value.as_ref().map_or(key.node.line(), Node::line);
                vec![self.values.moved(text, &endpoint.name, line, &mut at.notes)]
            }
        };
        for (alias, model) in &key.aliases {
            self.serve(at, alias, Some(*model), endpoint.clone(), variables.clone());
        }
        match &key.models {
            None => self.serve(at, "*", None, endpoint, variables),
            Some(models) => {
                for model in models
                    .iter()
                    .filter(|model| !key.aliases.contains_key(*model))
                {
                    self.serve(at, model, Some(*model), endpoint.clone(), variables.clone());
                }
            }
        }
    }

    /// Where a provider is, for one of its keys.
    fn endpoint(
        &mut self,
        at: &mut Placed<'_, '_>,
        key: Option<&Key<'_>>,
        keyless: bool,
    ) -> Option<Endpoint> {
        let of_key = key.and_then(|key| {
            let azure = key
                .node
                .get("azure_key_config")
                .and_then(|own| own.get("endpoint"));
            let url = |name: &str| key.node.get(name)?.get("url");
            azure
                .or_else(|| url("ollama_key_config"))
                .or_else(|| url("vllm_key_config"))
                .or_else(|| url("sgl_key_config"))
        });
        let node = of_key.or_else(|| at.network?.get("base_url"));
        let base = match &node {
            None => None,
            Some(node) => match self.values.base(node, &mut at.notes) {
                Ok(base) => Some(base),
                Err(fault) => {
                    self.faults.push(fault);
                    return None;
                }
            },
        };
        let Some(mut endpoint) = vendors::endpoint(at.vendor, base.as_deref()) else {
            let words = format!(
                "the provider `{}` is left out: its address is not said",
                at.name
            );
            self.note(at.provider, words);
            return None;
        };
        // So `provider/model` means what it did.
        if endpoint.base_url.is_some() {
            endpoint.name = at
                .name
                .to_ascii_lowercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        }
        endpoint.keyless = keyless;
        endpoint.headers = at.headers.clone();
        endpoint.timeouts = at.timeouts.clone();
        Some(endpoint)
    }

    /// Adds what serves a model, or all of a provider, under its public name.
    fn serve(
        &mut self,
        at: &Placed<'_, '_>,
        model: &str,
        id: Option<&str>,
        endpoint: Endpoint,
        variables: Vec<String>,
    ) {
        let name = format!("{}/{model}", at.name);
        let mut notes = at.notes.clone();
        if id.is_none() && endpoint.name != at.name {
            let words = format!("`{}/…` is called `{}/…` here", at.name, endpoint.name);
            notes.push(Note::at(at.provider.line(), words));
        }
        let route = Route {
            endpoint,
            model: id.map(|id| self.values.text(id)),
            variables,
            details: Details::default(),
            notes,
        };
        self.add(&name, route);
    }
}

/// A provider that is being read.
struct Placed<'p, 'f> {
    name: &'p str,
    provider: &'p Node<'f>,
    vendor: &'p Vendor,
    usual: &'static str,
    network: Option<&'p Node<'f>>,
    headers: BTreeMap<String, String>,
    timeouts: BTreeMap<&'static str, String>,
    notes: Vec<Note>,
}

/// A provider of Bifrost's by its name there.
fn vendor(name: &str) -> Option<(Vendor, &'static str)> {
    let prefix = match name {
        "fireworks" => "fireworks_ai",
        "together" => "together_ai",
        "nvidia" => "nvidia_nim",
        "sgl" => "xinference",
        other => other,
    };
    vendors::vendor(prefix)
}

fn keys<'f>(provider: &Node<'f>) -> Vec<Key<'f>> {
    let mut items = provider.items_of("keys");
    heaviest_first(&mut items);
    let read = |node: Node<'f>| {
        let listed = node.items_of("models");
        let models: Vec<&str> = listed.iter().filter_map(Node::text).collect();
        let deployments = node
            .get("azure_key_config")
            .and_then(|azure| azure.get("deployments"));
        let maps = [node.get("aliases"), deployments];
        let pairs = maps.into_iter().flatten().flat_map(|map| map.members());
        Key {
            models: (!models.is_empty() && !models.contains(&"*")).then_some(models),
            aliases: pairs
                .filter_map(|(name, model)| Some((name, model.text()?)))
                .collect(),
            node,
        }
    };
    items.into_iter().map(read).collect()
}
