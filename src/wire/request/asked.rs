//! What a request orders besides text: service tiers, fast mode, hosted tools, audio, several answers. Whatever a
//! provider may bill is found wherever a provider may read it: every spelling of a member counts, and every
//! occurrence. Sources: the API references of OpenAI, Anthropic, xAI, Perplexity and OpenRouter.

use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;

use super::RequestBody;
use super::index::Member;
use super::names::Name;
use crate::report::{Context, Dimension, Unit};
use crate::{Endpoint, Surface, skip};

/// What a request orders besides text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How it shall be served, where that is not the standard.
    pub context: Context,
    /// What a provider may bill for itself, with the member that orders it.
    pub extras: Vec<Extra>,
    /// How many answers, at least 1: `n`, `best_of`, and prompts given as a list.
    pub answers: u64,
    /// About how many prompt tokens there may be that the body does not show: images and files that it points to,
    /// turns that the provider keeps.
    pub unseen: u64,
    /// The dearest that its prompt may be counted as: written to a cache where it has marks.
    pub prompt: Unit,
}

/// Something that a provider may bill for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// What.
    pub what: Paid,
    /// The member that orders it, as in `tools[2].type`.
    pub param: String,
}

/// What costs more than text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paid {
    /// Units of this kind.
    Unit(Unit),
    /// What is served in another way than usual.
    Served(Dimension),
    /// A tool that the provider runs, and that this gateway does not know.
    Tool,
    /// An answer that goes on without its client, so that nobody sees what it uses.
    Background,
}

impl Paid {
    /// Its name in a configuration's `access.options`.
    pub fn option(&self) -> &'static str {
        match self {
            Paid::Served(dimension) => dimension.name(),
            Paid::Unit(Unit::InputAudio | Unit::OutputAudio) => "audio",
            Paid::Unit(Unit::OutputImage) => "images",
            Paid::Unit(unit) => unit.name(),
            Paid::Tool => "tools",
            Paid::Background => "background",
        }
    }

    /// The names of all options.
    pub const OPTIONS: [&'static str; 11] = [
        "service_tier",
        "speed",
        "inference_geo",
        "search_type",
        "web_search",
        "file_search",
        "code_container",
        "audio",
        "images",
        "tools",
        "background",
    ];
}

/// An image that is pointed to has as many tokens at most, about (Anthropic: width × height / 750, at most 4,784).
const IMAGE: u64 = 4_784;

/// A file that is pointed to, or the turns that a provider keeps, about.
const FILE: u64 = 32_768;

/// The most that `n` and `best_of` are believed.
const MOST_ANSWERS: u64 = 128;

impl Default for Asked {
    fn default() -> Self {
        Asked {
            context: Context::STANDARD,
            extras: Vec::new(),
            answers: 1,
            unseen: 0,
            prompt: Unit::Input,
        }
    }
}

impl RequestBody {
    /// What it orders besides text.
    pub fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        let (mut several, mut prompts) = (1, 1);
        for member in self
            .members
            .iter()
            .filter(|member| member.name == Name::Other)
        {
            let key = member.key(&self.bytes).to_ascii_lowercase();
            let value = &self.bytes[member.value.clone()];
            match &*key {
                "service_tier" => asked.serve(Dimension::ServiceTier, &key, value),
                "speed" => asked.serve(Dimension::Speed, &key, value),
                "inference_geo" => asked.serve(Dimension::InferenceGeo, &key, value),
                "search_type" => asked.serve(Dimension::SearchType, &key, value),
                "tools" => asked.tools(value, self.forces_hosted_tool()),
                "web_search_options" | "search_parameters" if value != b"null" => {
                    asked.add(Paid::Unit(Unit::WebSearch), key);
                }
                "audio" if value != b"null" => asked.add(Paid::Unit(Unit::OutputAudio), key),
                "modalities" => asked.modalities(value),
                "background" if value != b"false" && value != b"null" => {
                    asked.add(Paid::Background, key);
                }
                "n" | "best_of" => several = several.max(number(value)),
                "prompt" if self.endpoint == Endpoint::Generate(Surface::Completions) => {
                    prompts = texts(value);
                }
                "previous_response_id" | "conversation" | "container" if value != b"null" => {
                    asked.unseen += FILE;
                }
                "messages" | "input" | "system" => asked.content(&self.bytes, &member.value),
                _ => {}
            }
        }
        asked.answers = several
            .clamp(1, MOST_ANSWERS)
            .saturating_mul(prompts.max(1));
        asked
    }
}

impl RequestBody {
    /// Whether it says that one of the provider's own tools must be used.
    fn forces_hosted_tool(&self) -> bool {
        let is_choice = |member: &&Member| {
            let other = member.name == Name::Other;
            other && member.key(&self.bytes).eq_ignore_ascii_case("tool_choice")
        };
        self.members.iter().filter(is_choice).any(|member| {
            let choice =
                serde_json::from_slice::<serde_json::Value>(&self.bytes[member.value.clone()]);
            let choice = choice.unwrap_or_default();
            let named = |key: &str| {
                choice[key].as_str().is_some_and(|kind| {
                    !matches!(kind, "tool" | "any" | "auto" | "none" | "allowed_tools")
                        && billed(kind).is_some()
                })
            };
            named("type") || named("name")
        })
    }
}

impl Asked {
    /// Searches of the web that every answer takes: chat completions do not report theirs.
    pub fn searches(&self) -> u64 {
        let asks = |extra: &Extra| extra.param == "web_search_options";
        u64::from(self.extras.iter().any(asks))
    }

    fn add(&mut self, what: Paid, param: String) {
        if !self.extras.iter().any(|extra| extra.what == what) {
            self.extras.push(Extra { what, param });
        }
    }

    fn serve(&mut self, dimension: Dimension, key: &str, value: &[u8]) {
        if let Ok(value) = serde_json::from_slice::<String>(value) {
            let before = self.context.get(dimension).map(str::to_owned);
            self.context.set(dimension, &value);
            match (before, self.context.get(dimension)) {
                // Of two values the one that is not the standard counts.
                (Some(before), None) => self.context.set(dimension, &before),
                (_, Some(_)) => self.add(Paid::Served(dimension), key.to_owned()),
                (None, None) => {}
            }
        }
    }

    fn tools(&mut self, value: &[u8], forced: bool) {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Tool<'a> {
            #[serde(borrow, rename = "type")]
            kind: std::borrow::Cow<'a, str>,
        }
        let (mut place, mut hosted, mut own) = (0, Vec::new(), false);
        if value.first() != Some(&b'[') {
            return;
        }
        // The body was validated.
        let _read = skip::array(value, 0, |at| {
            let end = skip::value(value, at)?;
            let tool: Tool<'_> = serde_json::from_slice(&value[at..end]).unwrap_or_default();
            match billed(&tool.kind) {
                Some(what) => hosted.push((what, format!("tools[{place}].type"))),
                None => own = true,
            }
            place += 1;
            Ok(end)
        });
        // Agents offer hosted tools beside their own with every request, and hardly ever use them: what is used is
        // charged all the same. One that stands alone, is forced, or is not known is ordered.
        for (what, param) in hosted {
            if !own || forced || what == Paid::Tool {
                self.add(what, param);
            }
        }
    }

    fn modalities(&mut self, value: &[u8]) {
        let all: Vec<String> = serde_json::from_slice(value).unwrap_or_default();
        for modality in all {
            let unit = match modality.to_ascii_lowercase().as_str() {
                "audio" => Unit::OutputAudio,
                "image" => Unit::OutputImage,
                "video" => Unit::OutputVideo,
                _ => continue,
            };
            self.add(Paid::Unit(unit), "modalities".to_owned());
        }
    }

    /// Parts that are not text. A name in quotes is a key or a value of its own: inside a text its quotes would be
    /// escaped.
    fn content(&mut self, body: &[u8], value: &Range<usize>) {
        let json = &body[value.clone()];
        let count = |needle: &str| memmem::find_iter(json, needle.as_bytes()).count() as u64;
        if count("\"input_audio\"") > 0 || count("\"audio_url\"") > 0 {
            self.add(
                Paid::Unit(Unit::InputAudio),
                "messages[].content".to_owned(),
            );
        }
        let images = count("\"image_url\"") + count("\"input_image\"") + count("\"image\"");
        let files = count("\"file_id\"") + count("\"file_url\"") + count("\"video_url\"");
        let pointers = count("\"https://") + count("\"http://");
        self.unseen = self
            .unseen
            .saturating_add(images.min(pointers.max(images / 2)).saturating_mul(IMAGE))
            .saturating_add(files.saturating_mul(FILE));
        if count("\"cache_control\"") > 0 {
            let hour = count("\"ttl\"") > 0;
            let unit = if hour {
                Unit::CacheWrite1h
            } else {
                Unit::CacheWrite
            };
            self.prompt = self.prompt.max(unit);
        }
    }
}

/// Which unit a tool is billed by; `None` if the client runs it, or it costs no more than its tokens.
fn billed(kind: &str) -> Option<Paid> {
    let starts = |names: &[&str]| names.iter().any(|name| kind.starts_with(name));
    if matches!(kind, "" | "function" | "custom" | "namespace")
        || starts(&[
            "local_shell",
            "apply_patch",
            "tool_search",
            "bash",
            "text_editor",
            "computer",
            "memory",
            "mcp",
            "web_fetch",
        ])
    {
        return None;
    }
    let unit = if starts(&["web_search", "x_search", "live_search", "openrouter:web"]) {
        Unit::WebSearch
    } else if starts(&["file_search", "collections_search", "document_"]) {
        Unit::FileSearch
    } else if starts(&["code_interpreter", "code_execution", "shell"]) {
        Unit::CodeContainer
    } else if starts(&["image_generation"]) {
        Unit::OutputImage
    } else {
        return Some(Paid::Tool);
    };
    Some(Paid::Unit(unit))
}

fn number(json: &[u8]) -> u64 {
    serde_json::from_slice(json).unwrap_or(1)
}

/// How many prompts a text completion has: as many as its list has texts or lists of tokens.
fn texts(json: &[u8]) -> u64 {
    let mut count = 0;
    let mut numbers = false;
    if json.first() != Some(&b'[') {
        return 1;
    }
    let _read = skip::array(json, 0, |at| {
        numbers |= json.get(at).is_some_and(u8::is_ascii_digit);
        count += 1;
        skip::value(json, at)
    });
    if numbers { 1 } else { count }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn asked(surface: Surface, mut body: Value) -> Asked {
        body["model"] = json!("m");
        let bytes = Bytes::from(body.to_string());
        RequestBody::parse(Endpoint::Generate(surface), bytes)
            .unwrap()
            .asked()
    }

    #[test]
    fn everything_that_may_be_billed_is_found() {
        let chat = Surface::ChatCompletions;
        for (surface, body, option, param) in [
            (
                chat,
                json!({"service_tier": "priority"}),
                "service_tier",
                "service_tier",
            ),
            (
                chat,
                json!({"Service_Tier": "flex"}),
                "service_tier",
                "service_tier",
            ),
            (
                Surface::Messages,
                json!({"speed": "fast"}),
                "speed",
                "speed",
            ),
            (
                Surface::Messages,
                json!({"inference_geo": "us"}),
                "inference_geo",
                "inference_geo",
            ),
            (
                chat,
                json!({"web_search_options": {}}),
                "web_search",
                "web_search_options",
            ),
            (
                chat,
                json!({"modalities": ["text", "audio"]}),
                "audio",
                "modalities",
            ),
            (chat, json!({"audio": {"voice": "x"}}), "audio", "audio"),
            (
                chat,
                json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
                "audio",
                "messages[].content",
            ),
            (
                Surface::Messages,
                json!({"tools": [{"name": "f", "input_schema": {}}, {"type": "web_search_20260209", "name": "web_search"}],
                    "tool_choice": {"type": "web_search"}}),
                "web_search",
                "tools[1].type",
            ),
            (
                Surface::Responses,
                json!({"tools": [{"type": "file_search"}]}),
                "file_search",
                "tools[0].type",
            ),
            (
                Surface::Responses,
                json!({"tools": [{"type": "code_interpreter"}]}),
                "code_container",
                "tools[0].type",
            ),
            (
                Surface::Responses,
                json!({"tools": [{"type": "image_generation"}]}),
                "images",
                "tools[0].type",
            ),
            (
                Surface::Responses,
                json!({"tools": [{"type": "mind_reading"}]}),
                "tools",
                "tools[0].type",
            ),
            (
                Surface::Responses,
                json!({"background": true}),
                "background",
                "background",
            ),
        ] {
            let asked = asked(surface, body.clone());
            let found: Vec<_> = asked
                .extras
                .iter()
                .map(|extra| (extra.what.option(), &*extra.param))
                .collect();
            assert_eq!(found, [(option, param)], "{body}");
            assert!(Paid::OPTIONS.contains(&option));
        }
    }

    #[test]
    fn what_costs_no_more_than_text_is_no_extra() {
        for body in [
            json!({"service_tier": "auto", "speed": "standard", "background": false, "audio": null}),
            json!({"tools": [{"type": "function", "function": {}}, {"type": "custom"}, {"name": "f"},
                {"type": "bash_20250124"}, {"type": "local_shell"}, {"type": "web_fetch_20250910"},
                {"type": "web_search"}, {"type": "code_interpreter"}]}),
            json!({"messages": [{"role": "user", "content": "say \"input_audio\" and \"service_tier\": \"priority\""}]}),
            json!({"modalities": ["text"], "metadata": {"service_tier": "priority"}}),
        ] {
            let asked = asked(Surface::ChatCompletions, body.clone());
            assert_eq!(
                (asked.extras, asked.context),
                (Vec::new(), Context::STANDARD),
                "{body}"
            );
        }
    }

    #[test]
    fn of_two_spellings_the_one_that_is_not_the_standard_counts() {
        let bytes = Bytes::from_static(
            br#"{"model":"m","service_tier":"priority","service_tier":"default","SERVICE_TIER":"auto"}"#,
        );
        let body = RequestBody::parse(Endpoint::Generate(Surface::ChatCompletions), bytes).unwrap();
        assert_eq!(body.asked().context.to_string(), "service_tier=priority");
    }

    #[test]
    fn answers_and_unseen_tokens_are_counted() {
        for (surface, body, answers) in [
            (Surface::ChatCompletions, json!({}), 1),
            (Surface::ChatCompletions, json!({"n": 4}), 4),
            (Surface::ChatCompletions, json!({"n": "4"}), 1),
            (Surface::ChatCompletions, json!({"n": 1_000_000}), 128),
            (
                Surface::Completions,
                json!({"prompt": ["a", "b", "c"], "n": 2, "best_of": 5}),
                15,
            ),
            (Surface::Completions, json!({"prompt": [1, 2, 3]}), 1),
            (Surface::Completions, json!({"prompt": [[1, 2], [3]]}), 2),
        ] {
            assert_eq!(asked(surface, body.clone()).answers, answers, "{body}");
        }
        let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}});
        let body = json!({"messages": [{"role": "user", "content": [image.clone(), image]}]});
        assert!(asked(Surface::ChatCompletions, body).unseen >= 2 * IMAGE);
        let marked = json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]});
        assert_eq!(asked(Surface::Messages, marked).prompt, Unit::CacheWrite1h);
    }
}
