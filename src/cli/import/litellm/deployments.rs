//! `model_list`: each entry is one model somewhere, under a public name.

use std::collections::BTreeMap;

use tollgate_config::catalog::Catalog;
use tollgate_config::foreign::Node;

use super::super::Note;
use super::super::plan::{Endpoint, Route};
use super::super::reader::Reader;
use super::super::values::is_no_key;
use super::super::vendors::{self, Vendor};
use super::details::details;

/// One entry.
pub struct Deployment {
    /// What clients call it.
    pub name: String,
    /// The lower the earlier, and then the heavier the earlier.
    pub order: i64,
    /// Its part of the traffic.
    pub weight: f64,
    /// What it becomes; `None` if it has no counterpart.
    pub route: Option<Route>,
    /// Why it has none.
    pub left_out: Option<Note>,
}

/// What a surface of ours serves; any other mode is left out.
const MODES: [&str; 4] = ["chat", "completion", "embedding", "responses"];

/// Models of OpenAI that make no text, where no `mode` says so.
const NO_TEXT: [&str; 6] = [
    "dall-e",
    "gpt-image",
    "whisper",
    "tts-",
    "sora",
    "omni-moderation",
];

/// Members of `litellm_params` that need no remark: they are read, or mean the default.
const READ: [&str; 22] = [
    "model",
    "api_key",
    "api_base",
    "base_url",
    "custom_llm_provider",
    "timeout",
    "stream_timeout",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "organization",
    "extra_headers",
    "headers",
    "order",
    "weight",
    "drop_params",
    "additional_drop_params",
    "model_info",
    "tags",
    "litellm_credential_name",
    "description",
];

/// Reads all entries. What is no entry at all is a fault.
pub fn read(
    list: &Node<'_>,
    credentials: &BTreeMap<&str, Node<'_>>,
    reader: &mut Reader,
) -> Vec<Deployment> {
    if !list.value().is_array() {
        let hint = "write `- model_name: …` for each model";
        reader
            .faults
            .push(list.fault("`model_list` is no list", hint));
    }
    let mut entries = Entries {
        catalog: Catalog::built_in(),
        credentials,
        reader,
    };
    let items = list.items();
    items
        .iter()
        .filter_map(|entry| entries.entry(entry))
        .collect()
}

/// Remarks where an address means something else here than in LiteLLM.
fn note_address(base: &str, vendor: &Vendor, line: usize, notes: &mut Vec<Note>) {
    let brings_own_path = matches!(vendor, Vendor::Azure | Vendor::Local("ollama", _));
    if base.ends_with('}') && brings_own_path {
        let words = "the variable of `api_base` must hold no path and no slash at its end";
        notes.push(Note::at(line, words));
    }
    let called = base.split("://").nth(1);
    let is_bare = called.is_some_and(|rest| !rest.trim_end_matches('/').contains('/'));
    if is_bare && !brings_own_path && !matches!(vendor, Vendor::BuiltIn("anthropic")) {
        let words =
            "LiteLLM calls an address without a path as it is; here it gets the usual one (`/v1`)";
        notes.push(Note::at(line, words));
    }
}

/// Names what an entry says that nothing here says.
fn not_carried(params: &Node<'_>) -> Option<Note> {
    let members = params.members();
    let names = members.iter().map(|(name, _)| *name);
    let lost = names.filter(|name| !READ.contains(name));
    let lost: Vec<String> = lost.map(|name| format!("`{name}`")).collect();
    let words = format!("without a counterpart: {}", lost.join(", "));
    (!lost.is_empty()).then(|| Note::at(params.line(), words))
}

struct Entries<'a> {
    catalog: Catalog,
    /// `credential_list`, by name.
    credentials: &'a BTreeMap<&'a str, Node<'a>>,
    reader: &'a mut Reader,
}

impl Entries<'_> {
    fn entry(&mut self, entry: &Node<'_>) -> Option<Deployment> {
        let hint = "write a `model_name`, and `litellm_params` with a `model`";
        let name = entry.text_of("model_name");
        let params = entry.get("litellm_params");
        let model = params.as_ref().and_then(|params| params.text_of("model"));
        let (Some(name), Some(params), Some(model)) = (name, &params, model) else {
            let missing = match (name, &params) {
                (None, _) => "`model_name` is missing",
                (_, None) => "`litellm_params` is missing",
                _ => "`litellm_params.model` is missing",
            };
            self.reader.faults.push(entry.fault(missing, hint));
            return None;
        };
        let info = entry.get("model_info");
        let number = |name: &str| {
            let info = || info.as_ref().and_then(|info| info.number_of(name));
            params.number_of(name).or_else(info)
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an order is a small number"
        )]
        let order = number("order").map_or(i64::MAX, |order| order as i64);
        let (route, left_out) = match self.route(entry, params, info.as_ref(), model) {
            Ok(route) => (Some(route), None),
            Err(why) => (
                None,
                Some(Note::at(
                    entry.line(),
                    format!("`{name}` is left out: {why}"),
                )),
            ),
        };
        Some(Deployment {
            name: name.to_owned(),
            order,
            weight: number("weight").unwrap_or(0.0),
            route,
            left_out,
        })
    }

    /// What an entry becomes, or why nothing.
    fn route(
        &mut self,
        entry: &Node<'_>,
        params: &Node<'_>,
        info: Option<&Node<'_>>,
        model: &str,
    ) -> Result<Route, String> {
        let mode = info.and_then(|info| info.text_of("mode"));
        if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
            return Err(format!("there is no API for the mode `{mode}`"));
        }
        let credential = params.text_of("litellm_credential_name");
        let credentials = self.credentials;
        let credential = credential.and_then(|name| credentials.get(name));
        let param = |name: &str| {
            let own = params.get(name);
            own.or_else(|| credential?.get("credential_values")?.get(name))
        };
        let base_node = param("api_base").or_else(|| param("base_url"));
        let asked = param("custom_llm_provider").and_then(|name| name.text());
        let (prefix, id) = self.split(model, asked, base_node.is_some())?;
        if prefix == "openai" && NO_TEXT.iter().any(|known| id.starts_with(known)) {
            return Err("it makes no text, and there is no API for it".to_owned());
        }
        let (vendor, usual) = vendors::vendor(&prefix).ok_or_else(|| {
            format!("`{prefix}` is no provider that is known here; if it has an API of OpenAI's or Anthropic's, declare it under `providers`")
        })?;
        let mut notes = Vec::new();
        let base = match &base_node {
            Some(node) => Some(self.reader.values.base(node, &mut notes).map_err(|fault| {
                self.reader.faults.push(fault);
                "its `api_base` is no address"
            })?),
            None => None,
        };
        let mut endpoint = vendors::endpoint(&vendor, base.as_deref())
            .ok_or("its `api_base` is not said: LiteLLM reads it from the environment")?;
        if let Some(base) = &base {
            note_address(base, &vendor, entry.line(), &mut notes);
        }
        let key = param("api_key");
        let known = (&vendor, usual, base.is_some());
        let variable = self.key(entry, key.as_ref(), known, &mut endpoint, &mut notes);
        if let Some(organization) = param("organization").and_then(|own| own.text()) {
            let organization = self.reader.values.text(organization);
            endpoint
                .headers
                .insert("openai-organization".to_owned(), organization);
        }
        for node in ["extra_headers", "headers"].into_iter().filter_map(param) {
            self.reader
                .values
                .headers(&node, &mut endpoint.headers, &mut notes);
        }
        let details = details(params, info, &mut notes);
        let id = id.strip_prefix("responses/").unwrap_or(&id).to_owned();
        let model = (!id.contains('*')).then(|| self.reader.values.text(&id));
        if self.reader.values.variable(&id).is_some() {
            notes.push(Note::at(
                entry.line(),
                "the variable of `model` must hold the provider's own id, without a prefix",
            ));
        }
        notes.extend(not_carried(params));
        Ok(Route {
            endpoint,
            model,
            variables: variable.into_iter().collect(),
            details,
            notes,
        })
    }

    /// The variable that will hold an entry's key; `None` if its endpoint wants no key. `known` is the vendor, the variable
    /// that LiteLLM reads by itself, and whether the entry says an address.
    fn key(
        &mut self,
        entry: &Node<'_>,
        key: Option<&Node<'_>>,
        (vendor, usual, has_base): (&Vendor, &str, bool),
        endpoint: &mut Endpoint,
        notes: &mut Vec<Note>,
    ) -> Option<String> {
        let values = &mut self.reader.values;
        let Some(value) = key.and_then(Node::text) else {
            endpoint.keyless = matches!(vendor, Vendor::Local(..));
            return (!endpoint.keyless).then(|| usual.to_owned());
        };
        let variable = values.variable(value);
        if variable.is_some() {
            return variable;
        }
        let may_be_keyless = matches!(vendor, Vendor::Local(..) | Vendor::Own(_))
            || endpoint.base_url.is_some() && has_base;
        if may_be_keyless && (value.is_empty() || is_no_key(value)) {
            endpoint.keyless = true;
            return None;
        }
        let line = key.map_or(entry.line(), Node::line);
        Some(values.moved(value, &endpoint.name, line, notes))
    }

    /// The provider's prefix, and the id as the provider knows it.
    fn split(
        &self,
        model: &str,
        asked: Option<&str>,
        has_base: bool,
    ) -> Result<(String, String), String> {
        if let Some(asked) = asked {
            let id = model.strip_prefix(&format!("{asked}/")).unwrap_or(model);
            return Ok((asked.to_owned(), id.to_owned()));
        }
        if self.reader.values.variable(model).is_some() {
            return Ok(("openai".to_owned(), model.to_owned()));
        }
        if let Some((prefix, id)) = model.split_once('/')
            && !id.is_empty()
        {
            return Ok((prefix.to_owned(), id.to_owned()));
        }
        if model == "*" {
            return Err("it stands for every provider: built-in ones answer by their models' ids once they have a key under `providers`".to_owned());
        }
        let found = self.catalog.resolve(model).ok();
        let first = found.as_ref().and_then(|found| found.first());
        let known = first.map(|found| &*found.provider.id);
        match known {
            Some(id @ ("openai" | "anthropic" | "deepseek")) => Ok((id.to_owned(), model.to_owned())),
            _ if model.starts_with("claude") => Ok(("anthropic".to_owned(), model.to_owned())),
            _ if model.starts_with("gemini") => Err("without a prefix it is Vertex AI's, whose identity is not supported; `gemini/…` is Google's AI Studio".to_owned()),
            _ if has_base || ["gpt-", "o1", "o3", "o4", "chatgpt", "text-embedding", "ft:"].iter().any(|known| model.starts_with(known)) => {
                Ok(("openai".to_owned(), model.to_owned()))
            }
            _ => Err("LiteLLM would guess its provider: write one in front, as in `openai/…`".to_owned()),
        }
    }
}
