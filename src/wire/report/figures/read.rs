//! The names that all dialects have for usage.

use super::super::lenient::Raw;
use super::super::{Dimension, Usage};
use super::json::{figure, members, objects, text};
use super::{Details, Figures};
use crate::skip;

impl Figures {
    /// Reads a `usage` object, or the first of a list; `None` for any other JSON. What is odd inside does not cost the
    /// rest.
    pub(crate) fn of(usage: Raw<'_>) -> Option<Figures> {
        Figures::read(usage.0?)
    }

    fn read(json: &[u8]) -> Option<Figures> {
        if json.first() == Some(&b'[') {
            let mut first = None;
            objects(json, |object| {
                let is_object = object.first() == Some(&b'{');
                first = first.or(Some(object).filter(|_| is_object));
            });
            return Figures::read(first?);
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
                it.read_tools(value);
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
                        Figures::read(entry).and_then(|it| it.anthropic(Usage::default()))
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

    /// Adds the counts of tools that stand beside the usage.
    pub(crate) fn tools(&mut self, usage: Raw<'_>) {
        if let Some(json) = usage.0 {
            self.read_tools(json);
        }
    }

    /// Adds the counts of tools that the provider ran, wherever they stand.
    fn read_tools(&mut self, json: &[u8]) {
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
