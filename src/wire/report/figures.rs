//! Usage as each dialect spells it, read into the one model.
//!
//! One reader knows the names of all dialects, because they do not collide and because compatible providers mix
//! them. What is odd (null, negative, absurd, a text that is no number) does not cost the rest. Sources: the public
//! API references of
//!
//! - OpenAI: `usage` of chat completions, completions, embeddings, responses and images; `tool_usage` of responses
//! - Anthropic: `usage` of messages, with `cache_creation`, `server_tool_use`, and the `iterations` of compaction,
//!   beside which the outer figures count the last one only
//! - Google: `usageMetadata`; thoughts that are only in the total of the compatible API
//! - xAI and Perplexity: reasoning, citations and searches beside the completion, not inside it
//! - OpenRouter (`cache_write_tokens`, `server_tool_use`), DeepSeek (`prompt_cache_hit_tokens`), Moonshot
//!   (`cached_tokens`), Groq (`x_groq.usage`), Bedrock (camel case), Cohere (`billed_units`)

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Context, Dimension, Unit, Usage};
use crate::{Dialect, skip};

/// A `usage` object as it is written; anything else has no figures.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl Written<'_> {
    pub(crate) fn figures(self) -> Option<Figures> {
        Figures::of(self.0?.get().as_bytes())
    }

    /// Adds the counts of tools that are told beside the usage.
    pub(crate) fn tools(self, figures: &mut Figures) {
        if let Some(json) = self.0 {
            figures.tools(json.get().as_bytes());
        }
    }
}

/// A `usage` object, whoever wrote it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The whole prompt, as OpenAI counts; without what was cached, as Anthropic does.
    prompt: Option<u64>,
    answer: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cache_creation: Option<u64>,
    /// Beside `cache_creation`: for how long.
    cache_creation_5m: Option<u64>,
    cache_creation_1h: Option<u64>,
    reasoning: Option<u64>,
    /// Reasoning and citations are not inside the answer.
    beside: bool,
    citations: Option<u64>,
    inside: Details,
    outside: Details,
    searches: Option<u64>,
    file_searches: Option<u64>,
    containers: Option<u64>,
    /// Tokens that a tool made images of, and of the images: beside prompt and answer.
    drawn_of: Option<u64>,
    drawn: Option<u64>,
    /// What was not standard about how the answer was served.
    served: Context,
    /// The sum of the parts that the outer figures do not sum, and how many they are.
    iterations: Option<(Usage, u64)>,
}

/// What a whole consists of.
#[derive(Clone, Copy, Debug, Default)]
struct Details {
    cached: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    audio: Option<u64>,
    image: Option<u64>,
    video: Option<u64>,
    cached_audio: Option<u64>,
    cached_image: Option<u64>,
}

/// The largest count that is believed, some thousand times the longest context window.
const BELIEVED: u32 = u32::MAX;

/// The most entries of a list inside a usage object that are read.
const ENTRIES: usize = 256;

/// A count. `None` for what is none: negative, absurdly large, no number. A fraction is dropped; digits in quotes
/// are a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, the fraction dropped on purpose"
)]
fn figure(json: &[u8]) -> Option<u64> {
    // Nearly always a few digits.
    if (1..10).contains(&json.len()) && json.iter().all(u8::is_ascii_digit) {
        let digits = json.iter().map(|digit| u64::from(digit - b'0'));
        return Some(digits.fold(0, |figure, digit| 10 * figure + digit));
    }
    let text = json
        .strip_prefix(b"\"")
        .and_then(|json| json.strip_suffix(b"\""));
    let number: f64 = serde_json::from_slice(text.map_or(json, <[u8]>::trim_ascii)).ok()?;
    let believed = (0.0..=f64::from(BELIEVED)).contains(&number);
    believed.then_some(number as u64)
}

/// The members of an object that are looked at; nothing of any other JSON.
fn members<'a>(json: &'a [u8], mut member: impl FnMut(&'a [u8], &'a [u8])) {
    if json.first() == Some(&b'{') {
        // What comes before a fault was good.
        let _read = skip::members(json, &mut member);
    }
}

/// The objects of a list; none of any other JSON.
fn objects<'a>(json: &'a [u8], mut object: impl FnMut(&'a [u8])) {
    let mut left = ENTRIES;
    if json.first() == Some(&b'[') {
        let _read = skip::array(json, 0, |at| {
            let end = skip::value(json, at)?;
            if left > 0 {
                left -= 1;
                object(&json[at..end]);
            }
            Ok(end)
        });
    }
}

/// A text between its quotes; escapes stay as they are written.
fn text(json: &[u8]) -> Option<&str> {
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inside).ok()
}

impl Details {
    fn read(&mut self, json: &[u8]) {
        members(json, |key, value| match key {
            b"cached_tokens" | b"cache_read_input_tokens" => self.cached = figure(value),
            b"cache_write_tokens" | b"cache_creation_tokens" => self.cache_write = figure(value),
            b"reasoning_tokens" | b"thinking_tokens" => self.reasoning = figure(value),
            b"audio_tokens" => self.audio = figure(value),
            b"image_tokens" => self.image = figure(value),
            b"video_tokens" => self.video = figure(value),
            b"cached_tokens_details" => members(value, |key, value| match key {
                b"audio_tokens" => self.cached_audio = figure(value),
                b"image_tokens" => self.cached_image = figure(value),
                _ => {}
            }),
            _ => {}
        });
    }

    /// Google's list of modalities, of a whole or of its cached part.
    fn modalities(&mut self, json: &[u8], cached: bool) {
        objects(json, |entry| {
            let (mut modality, mut tokens) = (None, None);
            members(entry, |key, value| match key {
                b"modality" => modality = text(value),
                b"tokenCount" => tokens = figure(value),
                _ => {}
            });
            let place = match (modality, cached) {
                (Some("AUDIO"), false) => &mut self.audio,
                (Some("AUDIO"), true) => &mut self.cached_audio,
                (Some("IMAGE" | "DOCUMENT"), false) => &mut self.image,
                (Some("IMAGE" | "DOCUMENT"), true) => &mut self.cached_image,
                (Some("VIDEO"), false) => &mut self.video,
                _ => return,
            };
            *place = Some(place.unwrap_or(0) + tokens.unwrap_or(0));
        });
    }
}

impl Figures {
    /// Reads a `usage` object, or the first of a list; `None` for any other JSON. What is odd inside does not cost the
    /// rest.
    pub(crate) fn of(json: &[u8]) -> Option<Figures> {
        if json.first() == Some(&b'[') {
            let mut first = None;
            objects(json, |object| {
                let is_object = object.first() == Some(&b'{');
                first = first.or(Some(object).filter(|_| is_object));
            });
            return Figures::of(first?);
        }
        let mut it = Figures::default();
        let mut hidden = None;
        let read = skip::members(json, |key, value| match key {
            b"prompt_tokens" | b"input_tokens" | b"promptTokenCount" | b"inputTokens" => {
                it.prompt = figure(value).or(it.prompt);
            }
            b"completion_tokens" | b"output_tokens" | b"candidatesTokenCount" | b"outputTokens" => {
                it.answer = figure(value).or(it.answer);
            }
            b"total_tokens" | b"totalTokenCount" => it.total = figure(value),
            b"cached_tokens"
            | b"prompt_cache_hit_tokens"
            | b"cache_read_input_tokens"
            | b"cacheReadInputTokens"
            | b"cachedContentTokenCount" => it.cached = figure(value).or(it.cached),
            b"cached_prompt_text_tokens" => {
                it.cached = figure(value).or(it.cached);
                it.beside = true;
            }
            b"cache_creation_input_tokens" | b"cacheWriteInputTokens" => {
                it.cache_creation = figure(value);
            }
            b"cache_creation" => members(value, |key, value| match key {
                b"ephemeral_5m_input_tokens" => it.cache_creation_5m = figure(value),
                b"ephemeral_1h_input_tokens" => it.cache_creation_1h = figure(value),
                _ => {}
            }),
            b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => {
                it.inside.read(value);
            }
            b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" => {
                it.outside.read(value);
            }
            b"promptTokensDetails" => it.inside.modalities(value, false),
            b"cacheTokensDetails" => it.inside.modalities(value, true),
            b"candidatesTokensDetails" => it.outside.modalities(value, false),
            b"thoughtsTokenCount" => hidden = figure(value),
            b"reasoning_tokens" => it.reasoning = figure(value),
            b"citation_tokens" => {
                it.citations = figure(value);
                it.beside = true;
            }
            b"num_sources_used" => it.searches = figure(value),
            b"num_search_queries" => {
                it.searches = figure(value);
                it.beside = true;
            }
            b"server_tool_use" | b"server_side_tool_usage_details" | b"tool_usage" => {
                it.tools(value);
            }
            b"tool_calls_details" => members(value, |key, value| {
                if key == b"search_web" {
                    members(value, |key, value| {
                        if key == b"invocation" {
                            it.searches = figure(value);
                        }
                    });
                }
            }),
            b"service_tier" => it.serve(Dimension::ServiceTier, value),
            b"speed" => it.serve(Dimension::Speed, value),
            b"inference_geo" => it.serve(Dimension::InferenceGeo, value),
            b"iterations" => {
                let (mut sum, mut passes) = (Usage::default(), 0);
                objects(value, |entry| {
                    if let Some(usage) =
                        Figures::of(entry).and_then(|it| it.anthropic(Usage::default()))
                    {
                        sum.add(&usage);
                        passes += 1;
                    }
                });
                it.iterations = (passes > 0).then_some((sum, passes));
            }
            _ => {}
        });
        read.ok()?;
        if let Some(thoughts) = hidden {
            it.answer = Some(it.answer.unwrap_or(0) + thoughts);
            it.outside.reasoning = Some(thoughts);
        }
        Some(it)
    }

    /// What was not standard about how the answer was served.
    pub(crate) fn served(&self) -> &Context {
        &self.served
    }

    /// Counts of tools that the provider ran, wherever they are told.
    pub(crate) fn tools(&mut self, json: &[u8]) {
        let mut add = |place: fn(&mut Figures) -> &mut Option<u64>, value: &[u8]| {
            let place = place(self);
            *place = figure(value)
                .map(|more| more + place.unwrap_or(0))
                .or(*place);
        };
        members(json, |key, value| match key {
            b"web_search_requests" | b"web_search_calls" | b"x_search_calls" => {
                add(|it| &mut it.searches, value);
            }
            b"file_search_calls" | b"document_search_calls" => {
                add(|it| &mut it.file_searches, value);
            }
            b"code_execution_requests" | b"code_interpreter_calls" => {
                add(|it| &mut it.containers, value);
            }
            b"image_gen" => members(value, |key, value| match key {
                b"input_tokens" => add(|it| &mut it.drawn_of, value),
                b"output_tokens" => add(|it| &mut it.drawn, value),
                _ => {}
            }),
            b"web_search" | b"file_search" | b"code_interpreter" => {
                let place: fn(&mut Figures) -> &mut Option<u64> = match key {
                    b"web_search" => |it| &mut it.searches,
                    b"file_search" => |it| &mut it.file_searches,
                    _ => |it| &mut it.containers,
                };
                members(value, |key, value| {
                    if matches!(key, b"num_requests" | b"requests") {
                        add(place, value);
                    }
                });
            }
            _ => {}
        });
    }

    fn serve(&mut self, dimension: Dimension, value: &[u8]) {
        if let Some(value) = text(value) {
            self.served.set(dimension, value);
        }
    }

    /// The usage, if the prompt is reported, and the output too unless `prompt_only` (embeddings).
    pub(crate) fn usage(&self, dialect: Dialect, prompt_only: bool) -> Option<Usage> {
        match dialect {
            Dialect::OpenAi => self.openai(prompt_only),
            Dialect::Anthropic => self
                .anthropic(Usage::default())
                .filter(|_| self.prompt.is_some() && self.answer.is_some()),
        }
    }

    fn openai(&self, prompt_only: bool) -> Option<Usage> {
        let input = self.prompt?;
        let rest = self.total.and_then(|total| total.checked_sub(input));
        let told = self.answer.or(rest);
        let told = if prompt_only {
            told.unwrap_or(0)
        } else {
            told?
        };
        let reasoning = self.outside.reasoning.or(self.reasoning).unwrap_or(0);
        let citations = self.citations.unwrap_or(0);
        // The answer is what the total says, where that is more: thoughts that are told nowhere else, or reasoning
        // that is counted beside the completion.
        let mut output = told.max(rest.unwrap_or(0));
        if self.beside {
            output = output.max(told + reasoning + citations);
        }
        let mut usage = Usage::default();
        let cached = self.inside.cached.or(self.cached).unwrap_or(0);
        let writes = (self.inside.cache_write)
            .or(self.cache_creation)
            .unwrap_or(0);
        take(
            &mut usage,
            input,
            &[
                (
                    Unit::CachedAudio,
                    self.inside.cached_audio.unwrap_or(0).min(cached),
                ),
                (
                    Unit::CachedImage,
                    self.inside.cached_image.unwrap_or(0).min(cached),
                ),
            ],
        );
        let of_media = usage.input();
        let audio = self
            .inside
            .audio
            .unwrap_or(0)
            .saturating_sub(usage[Unit::CachedAudio]);
        let image = self
            .inside
            .image
            .unwrap_or(0)
            .saturating_sub(usage[Unit::CachedImage]);
        take(
            &mut usage,
            input,
            &[
                (Unit::CachedRead, cached.saturating_sub(of_media)),
                (Unit::CacheWrite, writes),
                (Unit::InputAudio, audio),
                (Unit::InputImage, image),
                (Unit::InputVideo, self.inside.video.unwrap_or(0)),
            ],
        );
        usage[Unit::Input] = input - usage.input();
        take(
            &mut usage,
            output,
            &[
                (Unit::Citation, citations),
                (
                    Unit::Reasoning,
                    reasoning.max(output - told - citations.min(output - told)),
                ),
                (Unit::OutputAudio, self.outside.audio.unwrap_or(0)),
                (Unit::OutputImage, self.outside.image.unwrap_or(0)),
                (Unit::OutputVideo, self.outside.video.unwrap_or(0)),
            ],
        );
        usage[Unit::Output] = output - usage.output();
        self.count(&mut usage);
        Some(usage)
    }

    /// `earlier` with what is reported here put in its place; `None` if nothing is reported.
    ///
    /// Anthropic's later figures are cumulative and replace earlier ones. A prompt of nothing at all
    /// does not replace one that was reported: some compatible providers fill the place with zeros.
    pub(crate) fn anthropic(&self, earlier: Usage) -> Option<Usage> {
        if let Some((mut sum, _)) = self.iterations {
            self.count(&mut sum);
            return Some(sum);
        }
        let prompt = [self.prompt, self.cached, self.cache_creation];
        let reports_prompt = prompt
            .iter()
            .any(|figure| figure.is_some_and(|tokens| tokens > 0));
        if self.answer.is_none() && prompt.iter().all(Option::is_none) {
            return None;
        }
        let mut usage = earlier;
        if reports_prompt {
            if let Some(plain) = self.prompt {
                usage[Unit::Input] = plain;
            }
            if let Some(read) = self.cached {
                usage[Unit::CachedRead] = read;
            }
            let hour = self.cache_creation_1h;
            let minutes = (self.cache_creation)
                .map(|all| all.saturating_sub(hour.unwrap_or(0)))
                .or(self.cache_creation_5m);
            if minutes.is_some() || hour.is_some() {
                usage[Unit::CacheWrite] = minutes.unwrap_or(0);
                usage[Unit::CacheWrite1h] = hour
                    .unwrap_or(0)
                    .min(self.cache_creation.unwrap_or(u64::MAX));
            }
        }
        let output = self.answer.unwrap_or(earlier.output());
        let told = self.outside.reasoning.or(self.reasoning);
        let reasoning = told.unwrap_or(earlier.reasoning()).min(output);
        usage[Unit::Reasoning] = reasoning;
        usage[Unit::Output] = output - reasoning;
        self.count(&mut usage);
        Some(usage)
    }

    /// Tools and searches are counted in whole numbers of them.
    fn count(&self, usage: &mut Usage) {
        for (unit, told) in [
            (Unit::WebSearch, self.searches),
            (Unit::FileSearch, self.file_searches),
            (Unit::CodeContainer, self.containers),
        ] {
            if let Some(count) = told {
                usage[unit] = count;
            }
        }
        for (unit, told) in [
            (Unit::InputImage, self.drawn_of),
            (Unit::OutputImage, self.drawn),
        ] {
            usage[unit] = usage[unit].saturating_add(told.unwrap_or(0));
        }
    }

    /// How often the model ran for the answer: as often as it says, and once more for each search.
    pub(crate) fn passes(&self) -> u64 {
        let passes = self.iterations.map_or(1, |(_, passes)| passes);
        passes.saturating_add(self.searches.unwrap_or(0))
    }

    /// Whether the answer's own tokens are reported.
    pub(crate) fn reports_output(&self) -> bool {
        self.answer.is_some() || self.iterations.is_some()
    }
}

/// Gives each part what it is told to have, as long as the whole has any.
fn take(usage: &mut Usage, whole: u64, parts: &[(Unit, u64)]) {
    let of = parts.first().map_or(Unit::Input, |(unit, _)| *unit);
    let taken = if of.is_prompt() {
        usage.input()
    } else {
        usage.output()
    };
    let mut left = whole.saturating_sub(taken);
    for (unit, told) in parts {
        usage[*unit] = (*told).min(left);
        left -= usage[*unit];
    }
}

/// Where Groq puts the usage of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Groq<'a> {
    #[serde(borrow)]
    pub usage: Written<'a>,
}
