//! A provider called once for each thing that it should do, to see whether it works.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fetch::{self, Call};
use tollgate_base::clock;
use tollgate_config::catalog::{Auth, Provider};
use tollgate_control::admin::health::{Trial, Tried};
use tollgate_wire::{Dialect, Endpoint, Surface};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// Most models whose ids are told.
const MODELS: usize = 100;
/// Most characters of a provider's own words that are repeated.
const WORDS: usize = 300;

/// Returns what calls of the provider found: its list of models first, and nothing else if it cannot be reached. Blocks.
pub fn probe(trial: &Trial) -> Vec<Tried> {
    let listed = call(trial, "models", Surface::ALL[0], None);
    let reached = Tried {
        what: "connection",
        fault: listed.fault.clone().filter(|_| listed.status.is_none()),
        models: Vec::new(),
        ..listed.clone()
    };
    if listed.status.is_none() {
        return vec![reached];
    }
    let mut tried = vec![reached, listed];
    for (surface, model) in &trial.calls {
        tried.push(match model {
            Some(model) => call(trial, surface.name(), *surface, Some(model)),
            None => Tried {
                what: surface.name(),
                status: None,
                took: Duration::ZERO,
                fault: Some("no model of it is known: name one".to_owned()),
                models: Vec::new(),
            },
        });
    }
    tried
}

/// Returns the headers that a provider wants, besides those of every request.
pub fn headers(provider: &Provider, surface: Surface, key: Option<&str>) -> Vec<(String, String)> {
    let mut headers = provider.headers.clone();
    if surface.dialect() == Dialect::Anthropic {
        headers.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
    }
    if let Some(key) = key {
        let (name, value) = match provider.auth_on(surface) {
            Auth::XApiKey => ("x-api-key", key.to_owned()),
            Auth::ApiKey => ("api-key", key.to_owned()),
            Auth::Bearer | Auth::None => ("authorization", format!("Bearer {key}")),
        };
        headers.push((name.to_owned(), value));
    }
    headers
}

/// Returns the URL of a path of a provider's API.
pub fn url(provider: &Provider, path: &str) -> String {
    let base = &provider.base_url;
    let scheme = if base.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", base.authority, base.join(path, None))
}

/// One call: of a surface with a model, or for the list of models.
fn call(trial: &Trial, what: &'static str, surface: Surface, model: Option<&str>) -> Tried {
    let provider = &*trial.provider;
    // A list of models is asked for as the provider's first surface is.
    let first = provider.surfaces.first().copied().unwrap_or(surface);
    let (path, by) = match model {
        Some(_) => (Endpoint::Generate(surface).upstream_path(), surface),
        None => ("/models", first),
    };
    let key = trial.key.as_ref();
    let (url, headers) = (
        url(provider, path),
        headers(provider, by, key.map(|key| key.value.expose())),
    );
    let body = model.map(|model| prompt(surface, model).to_string());
    let started = clock::now();
    let answer = fetch::call(&Call {
        url: &url,
        headers: &headers,
        body: body.as_deref(),
        ca: provider.ca.as_deref(),
        public_only: provider.public_only,
        patience: PATIENCE,
        most: LARGEST,
    });
    let mut tried = judged(what, started, answer, model.map(|_| surface));
    let masked = |text: String| match key.and_then(|key| key.mask().text(text.as_bytes())) {
        Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
        None => text,
    };
    tried.fault = tried.fault.map(masked);
    tried.models = tried.models.into_iter().map(masked).collect();
    tried
}

/// What an answer says of the provider. `surface`: whose answer it should be; `None`: the list of models.
fn judged(
    what: &'static str,
    started: Instant,
    answer: Result<fetch::Answer, String>,
    surface: Option<Surface>,
) -> Tried {
    let took = clock::now().saturating_duration_since(started);
    let mut tried = Tried {
        what,
        status: None,
        took,
        fault: None,
        models: Vec::new(),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            tried.fault = Some(why);
            return tried;
        }
    };
    tried.status = Some(answer.status);
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let expected = surface.map_or("data", member);
    tried.fault = match (answer.status, said.get(expected)) {
        (200..=299, Some(Value::Array(all))) => {
            if surface.is_none() {
                let ids = all.iter().filter_map(|one| one["id"].as_str());
                tried.models = ids.take(MODELS).map(plain).collect();
            }
            None
        }
        (200..=299, _) => Some(format!(
            "it answers without `{expected}`, so this is another API"
        )),
        (status, _) => Some(refusal(status, &said)),
    };
    tried
}

/// The member that every answer of a surface has.
fn member(surface: Surface) -> &'static str {
    match surface {
        Surface::ChatCompletions | Surface::Completions => "choices",
        Surface::Responses => "output",
        Surface::Embeddings => "data",
        Surface::Messages => "content",
    }
}

/// A short request.
fn prompt(surface: Surface, model: &str) -> Value {
    const SAY: &str = "Say hi.";
    let messages = json!([{"role": "user", "content": SAY}]);
    match surface {
        Surface::ChatCompletions | Surface::Messages => {
            json!({"model": model, "max_tokens": 16, "messages": messages})
        }
        Surface::Completions => json!({"model": model, "max_tokens": 16, "prompt": SAY}),
        Surface::Responses => json!({"model": model, "max_output_tokens": 16, "input": SAY}),
        Surface::Embeddings => json!({"model": model, "input": SAY}),
    }
}

fn refusal(status: u16, said: &Value) -> String {
    let words = [&said["error"]["message"], &said["error"], &said["message"]];
    let words = words.into_iter().find_map(Value::as_str).map(plain);
    let meaning = match status {
        401 | 403 => ": the key is not accepted",
        402 => ": the key has no credit",
        404 => ": there is no such API or model",
        429 => ": the key is at its limit",
        300..=399 => ": redirects are not followed, correct the base URL",
        500.. => ": the provider has trouble",
        _ => "",
    };
    match words {
        Some(words) if !words.is_empty() => format!("it answers {status}{meaning} (“{words}”)"),
        _ => format!("it answers {status}{meaning}"),
    }
}

/// A provider's words on one line, not more of them than anybody reads.
fn plain(words: &str) -> String {
    let line = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(WORDS).collect()
}
