//! What a request orders besides text: service tiers, fast mode, hosted tools, audio, several answers. Whatever a
//! provider may bill is found wherever a provider may read it: every spelling of a member counts, and every
//! occurrence. Sources: the API references of OpenAI, Anthropic, xAI, Perplexity and OpenRouter.

mod kept;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;

use self::kept::{is_kept, is_letter, refers};
use super::RequestBody;
use super::index::Member;
use super::names::Name;
use super::scan::unescape;
use crate::report::{Context, Dimension, Unit};
use crate::words::Words;
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
    /// How many prompts, at least 1: texts of a text completion, or to embed.
    pub prompts: u64,
    /// About how many prompt tokens there may be that the body does not show: images and files that it points to,
    /// turns that the provider keeps.
    pub unseen: u64,
    /// The dearest that its prompt may be counted as: written to a cache where it has marks.
    pub prompt: Unit,
    /// How large a container of code may be, GB: one of 64 GB costs what 64 of 1 GB do.
    pub container_gb: u64,
    /// Whether the part that was looked at last may refer to what its provider keeps.
    is_doubtful: bool,
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
    /// What the provider keeps for whoever owns the key, or lets it call in their name: earlier answers, conversations,
    /// files, vector stores, containers, MCP servers.
    Kept,
    /// Another route to the model than the one that its price is for.
    Route,
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
            Paid::Kept => "provider_state",
            Paid::Route => "provider_routing",
        }
    }

    /// Those that are served on the operator's word alone.
    pub const ON_TRUST: [&'static str; 4] =
        ["tools", "background", "provider_state", "provider_routing"];

    /// The names of all options.
    pub const OPTIONS: [&'static str; 13] = [
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
        "provider_state",
        "provider_routing",
    ];
}

/// An image that is pointed to has as many tokens at most, about (Anthropic: width × height / 750, at most 4,784).
pub(super) const IMAGE: u64 = 4_784;

/// A file that is pointed to, or the turns that a provider keeps, about.
pub(super) const FILE: u64 = 32_768;

/// The largest container that is to be had (OpenAI).
const MOST_GB: u64 = 64;

/// What shows parts of a prompt that are not text. A name in quotes is a key or a value of its own: inside a text its
/// quotes would be escaped.
const PARTS: [(&str, Part); 16] = [
    ("\"input_audio\"", Part::Audio),
    ("\"audio_url\"", Part::Audio),
    ("\"image_url\"", Part::Image),
    ("\"input_image\"", Part::Image),
    ("\"image\"", Part::Image),
    ("\"file_id\"", Part::File),
    ("\"file_url\"", Part::File),
    ("\"video_url\"", Part::File),
    ("\"https://", Part::Pointer),
    ("\"http://", Part::Pointer),
    ("\"cache_control\"", Part::CacheMark),
    ("\"ttl\"", Part::CacheTime),
    ("\"file_ids\"", Part::Kept),
    ("\"item_reference\"", Part::Kept),
    ("\"container_upload\"", Part::Kept),
    ("\\u00", Part::Escape),
];

#[derive(Clone, Copy)]
enum Part {
    Audio,
    Image,
    File,
    Pointer,
    CacheMark,
    CacheTime,
    Kept,
    Escape,
}

/// Finds them all in one pass.
#[expect(clippy::expect_used, reason = "the patterns are constants")]
static FINDER: LazyLock<Words> =
    LazyLock::new(|| Words::new(PARTS.map(|(text, _)| text)).expect("a few short words"));

/// The most that `n` and `best_of` are believed.
const MOST_ANSWERS: u64 = 128;

impl Default for Asked {
    fn default() -> Self {
        Asked {
            context: Context::STANDARD,
            extras: Vec::new(),
            answers: 1,
            prompts: 1,
            unseen: 0,
            prompt: Unit::Input,
            container_gb: 1,
            is_doubtful: false,
        }
    }
}

impl RequestBody {
    /// What it orders besides text.
    pub fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        let (mut several, mut prompts) = (1, 1);
        let responds = self.endpoint == Endpoint::Generate(Surface::Responses);
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
                    prompts = prompts.max(texts(value));
                }
                "input" if self.endpoint == Endpoint::Generate(Surface::Embeddings) => {
                    asked.prompts = asked.prompts.max(texts(value));
                }
                "previous_response_id" | "conversation" | "container" if value != b"null" => {
                    asked.unseen += FILE;
                    asked.add(Paid::Kept, key);
                }
                "prompt" if responds && value != b"null" => asked.add(Paid::Kept, key),
                "mcp_servers" if value != b"null" => asked.add(Paid::Kept, key),
                "provider" | "preset" | "plugins" | "route" if value != b"null" => {
                    asked.add(Paid::Route, key);
                }
                "messages" | "input" | "system" => {
                    asked.content(&self.bytes, &member.value);
                    if asked.is_doubtful && refers(value)
                        || kept::names(self.endpoint.surface(), &key, value, asked.is_doubtful)
                    {
                        asked.add(Paid::Kept, key);
                    }
                }
                _ => {}
            }
        }
        asked.prompts = asked.prompts.max(prompts);
        asked.answers = several.clamp(1, MOST_ANSWERS).saturating_mul(prompts);
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
            let choice = serde_json::from_slice::<Value>(&self.bytes[member.value.clone()]);
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
        let (mut place, mut hosted, mut own) = (0, Vec::new(), false);
        if value.first() != Some(&b'[') {
            return;
        }
        // The body was validated.
        let _read = skip::array(value, 0, |at| {
            let end = skip::value(value, at)?;
            // A tool that says twice what it is, is whatever of it may be billed.
            let (mut kinds, mut kept) = (Vec::new(), false);
            skip::members(&value[at..end], |key, value| match &*key_of(key) {
                "type" => kinds.push(value),
                "container" | "environment" => {
                    self.container_gb = self.container_gb.max(gigabytes(value));
                    kept |= is_kept(value);
                }
                "vector_store_ids" | "server_url" | "connector_id" => kept = true,
                _ => {}
            })
            .unwrap_or_default();
            let read = |kind| serde_json::from_slice::<String>(kind).unwrap_or_default();
            match kinds.into_iter().find_map(|kind| billed(&read(kind))) {
                Some(what) => hosted.push((what, format!("tools[{place}].type"))),
                None => own = true,
            }
            if kept {
                self.add(Paid::Kept, format!("tools[{place}]"));
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

    /// Parts that are not text.
    fn content(&mut self, body: &[u8], value: &Range<usize>) {
        let mut counts = [0_u64; 8];
        let value = &body[value.clone()];
        FINDER.each(value, |word, at| {
            let (_, part) = PARTS[word];
            let plain = matches!(part, Part::Escape) && !is_letter(&value[at.end..]);
            counts[part as usize] += u64::from(!plain);
        });
        let count = |part: Part| counts[part as usize];
        if count(Part::Audio) > 0 {
            let param = "messages[].content".to_owned();
            self.add(Paid::Unit(Unit::InputAudio), param);
        }
        self.is_doubtful = count(Part::File) + count(Part::Kept) + count(Part::Escape) > 0;
        let (images, pointers) = (count(Part::Image), count(Part::Pointer));
        self.unseen = self
            .unseen
            .saturating_add(images.min(pointers.max(images / 2)).saturating_mul(IMAGE))
            .saturating_add(count(Part::File).saturating_mul(FILE));
        if count(Part::CacheMark) > 0 {
            let hour = count(Part::CacheTime) > 0;
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

/// How large the container is that this orders, as in `{"memory_limit": "4g"}`; what is not understood is the largest.
fn gigabytes(container: &[u8]) -> u64 {
    let container = serde_json::from_slice::<Value>(container).unwrap_or_default();
    let said = match &container["memory_limit"] {
        Value::Null => return 1,
        Value::String(text) => text.trim_end_matches(['g', 'G', 'b', 'B', ' ']).parse(),
        other => other.to_string().parse(),
    };
    said.unwrap_or(MOST_GB).clamp(1, MOST_GB)
}

/// What a key says that stands between its quotes.
fn key_of(written: &[u8]) -> Cow<'_, str> {
    if written.contains(&b'\\') {
        let quoted = [b"\"", written, b"\""].concat();
        return Cow::Owned(unescape(&quoted).into_owned());
    }
    String::from_utf8_lossy(written)
}

/// A number of answers. Some providers take one that is written as a float or a text; what cannot be read may be any.
fn number(json: &[u8]) -> u64 {
    let text = match serde_json::from_slice(json) {
        Ok(Value::Null) => return 1,
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => return MOST_ANSWERS,
    };
    let number: f64 = text.trim().parse().unwrap_or(f64::NAN);
    let mut counts = 1..MOST_ANSWERS;
    let counted =
        counts.find(|count| u32::try_from(*count).is_ok_and(|count| number <= f64::from(count)));
    counted.unwrap_or(MOST_ANSWERS)
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
mod tests;
