//! What a request orders besides text: service tiers, fast mode, hosted tools, audio, several answers. Whatever a
//! provider may bill is found wherever a provider may read it: every spelling of a member counts, and every
//! occurrence. Sources: the API references of OpenAI, Anthropic, xAI, Perplexity and OpenRouter.

mod kept;
mod parts;
mod tools;

use serde_json::Value;

use self::kept::refers;
pub(super) use self::parts::{FILE, IMAGE};
use super::RequestBody;
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
    /// Returns its name in a configuration's `access.options`.
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
    /// Returns whether it orders slower processing for less money: a `service_tier` of `flex` or `batch`.
    pub fn is_batch(&self) -> bool {
        let tiers = self.members.iter().filter(|member| {
            member.name == Name::Other
                && member.key(&self.bytes).eq_ignore_ascii_case("service_tier")
        });
        tiers
            .map(|member| &self.bytes[member.value.clone()])
            .any(|value| {
                value.eq_ignore_ascii_case(b"\"flex\"") || value.eq_ignore_ascii_case(b"\"batch\"")
            })
    }

    /// Returns whether its provider keeps what comes of it, as it may be told or is its habit: sent twice, it is kept twice.
    pub fn is_stored(&self) -> bool {
        let members = self.members.iter();
        let mut said = members
            .filter(|member| member.key(&self.bytes).eq_ignore_ascii_case("store"))
            .map(|member| &self.bytes[member.value.clone()]);
        if self.endpoint == Endpoint::Generate(Surface::Responses) {
            let mut says = false;
            let all = said.all(|value| {
                says = true;
                value == b"false"
            });
            return !(says && all);
        }
        said.any(|value| value != b"false" && value != b"null")
    }

    /// Returns what it orders besides text.
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
