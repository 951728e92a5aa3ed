//! The names of OpenTelemetry's GenAI conventions, version 0.1.0
//! (<https://github.com/open-telemetry/semantic-conventions-genai>), and of the conventions 1.45.0 that they build on.
//! Another version of them is another file, named after it. `gen_ai_0_1_0.tsv` has what the registries say of these names.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::attributes::text;
use tollgate_wire::vendor::Vendor;
use tollgate_wire::{Endpoint, Surface};

pub const OPERATION: &str = "gen_ai.operation.name";
pub const PROVIDER: &str = "gen_ai.provider.name";
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub const RESPONSE_ID: &str = "gen_ai.response.id";
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds from the start of an attempt.
pub const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// All of the prompt, cached parts included.
pub const INPUT: &str = "gen_ai.usage.input_tokens";
/// All of the answer, reasoning included.
pub const OUTPUT: &str = "gen_ai.usage.output_tokens";
pub const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub const CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
pub const REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
pub const ERROR_TYPE: &str = "error.type";
pub const HTTP_METHOD: &str = "http.request.method";
/// As it was sent, where `HTTP_METHOD` is `_OTHER`.
pub const HTTP_METHOD_SENT: &str = "http.request.method_original";
pub const HTTP_ROUTE: &str = "http.route";
pub const HTTP_STATUS: &str = "http.response.status_code";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";
pub const SERVICE_INSTANCE: &str = "service.instance.id";
pub const SERVICE_NAME: &str = "service.name";
pub const SERVICE_VERSION: &str = "service.version";
pub const URL_PATH: &str = "url.path";
pub const URL_SCHEME: &str = "url.scheme";

/// `input` or `output`.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";

/// Returns what the convention calls a metric of ours, and its unit.
pub fn metric(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "tollgate_request_duration_seconds" => Some(("gen_ai.server.request.duration", "s")),
        "tollgate_time_to_first_token_seconds" => Some(("gen_ai.server.time_to_first_token", "s")),
        "tollgate_time_per_output_token_seconds" => {
            Some(("gen_ai.server.time_per_output_token", "s"))
        }
        "tollgate_request_tokens" => Some(("gen_ai.client.token.usage", "{token}")),
        _ => None,
    }
}

/// Returns the attributes of such a metric, by its labels.
pub fn attributes<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(5);
    for (name, value) in labels {
        match name {
            "provider" => attributes.extend([
                text(PROVIDER, provider(Vendor::named(value), value)),
                text("tollgate.provider", value),
            ]),
            "model" => attributes.push(text(REQUEST_MODEL, value)),
            "kind" => attributes.push(text(TOKEN_TYPE, value)),
            "surface" => {
                let surface = Surface::ALL.into_iter().find(|one| one.name() == value);
                let operation = surface.map_or("chat", |one| operation(Endpoint::Generate(one)));
                attributes.push(text(OPERATION, operation));
                attributes.push(text("tollgate.surface", value));
            }
            other => attributes.push(text(other, value)),
        }
    }
    attributes
}

/// Returns what an endpoint does, one of the convention's words where it has one.
pub fn operation(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Generate(Surface::Completions) => "text_completion",
        Endpoint::Generate(Surface::Embeddings) => "embeddings",
        Endpoint::Generate(_) => "chat",
        Endpoint::CountTokens => "count_tokens",
    }
}

/// Returns whose API a provider speaks, one of the convention's words where it has one, else the provider's id.
pub fn provider(vendor: Option<Vendor>, id: &str) -> &str {
    match vendor {
        Some(Vendor::Openai) => "openai",
        Some(Vendor::Anthropic) => "anthropic",
        Some(Vendor::Google) => "gcp.gemini",
        Some(Vendor::Deepseek) => "deepseek",
        Some(Vendor::Moonshotai) => "moonshot_ai",
        Some(Vendor::Mistral) => "mistral_ai",
        Some(Vendor::Groq) => "groq",
        Some(Vendor::ZAi | Vendor::Openrouter) | None => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = include_str!("gen_ai_0_1_0.tsv");

    /// What is said of an attribute or a metric: type and words, or unit and instrument.
    fn facts(kind: &str, name: &str) -> Option<[&'static str; 2]> {
        FACTS.lines().find_map(|line| {
            let mut fields = line.split('\t');
            let is_it = fields.next() == Some(kind) && fields.next() == Some(name);
            is_it.then(|| [(); 2].map(|()| fields.next().unwrap_or_default()))
        })
    }

    fn is_word(name: &str, value: &str) -> bool {
        let words = facts("attribute", name).unwrap()[1];
        words.split(' ').any(|word| word == value)
    }

    #[test]
    fn every_name_is_the_conventions() {
        let source = include_str!("gen_ai_0_1_0.rs");
        let names = source.lines().filter(|line| line.starts_with("pub const "));
        let names: Vec<&str> = names.filter_map(|line| line.split('"').nth(1)).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in &names {
            assert!(facts("attribute", name).is_some(), "{name}");
        }
        // And none is listed that is not one of them.
        let listed = FACTS
            .lines()
            .filter_map(|line| line.strip_prefix("attribute\t"));
        for line in listed {
            let name = line.split('\t').next().unwrap();
            assert!(names.contains(&name), "{name} is not emitted");
        }
        for word in ["input", "output"] {
            assert!(is_word(TOKEN_TYPE, word), "{word}");
        }
    }

    #[test]
    fn every_metric_is_the_conventions() {
        for family in [
            "request_duration_seconds",
            "time_to_first_token_seconds",
            "time_per_output_token_seconds",
            "request_tokens",
        ] {
            let (name, unit) = metric(&format!("tollgate_{family}")).unwrap();
            assert_eq!(facts("metric", name), Some([unit, "histogram"]), "{family}");
        }
    }

    #[test]
    fn words_are_the_conventions_where_it_has_one() {
        // It has none for counting, and its words are not the only ones.
        for surface in Surface::ALL {
            let word = operation(Endpoint::Generate(surface));
            assert!(is_word(OPERATION, word), "{word}");
        }
        assert!(!is_word(OPERATION, operation(Endpoint::CountTokens)));
        for id in [
            "openai",
            "anthropic",
            "google",
            "deepseek",
            "moonshotai",
            "zai",
            "mistral",
            "groq",
            "openrouter",
        ] {
            let vendor = Vendor::named(id);
            let word = provider(vendor, id);
            assert!(word == id || is_word(PROVIDER, word), "{id}: {word}");
        }
        for (vendor, word) in [
            (Vendor::Google, "gcp.gemini"),
            (Vendor::Moonshotai, "moonshot_ai"),
            (Vendor::Mistral, "mistral_ai"),
        ] {
            assert_eq!(provider(Some(vendor), "mine"), word);
            assert!(is_word(PROVIDER, word), "{word}");
        }
    }
}
