//! Usage as each dialect spells it, read into the one model.
//!
//! One reader knows the names of all dialects, because they do not collide and because compatible
//! providers mix them. Sources: the public API references of OpenAI (`usage` of chat completions,
//! completions, embeddings, responses), Anthropic (`usage` of messages), DeepSeek
//! (`prompt_cache_hit_tokens`), Moonshot (`cached_tokens`), Groq (`x_groq.usage`), xAI (reasoning
//! beside the completion, not inside it).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Usage;
use crate::{Dialect, skip};

/// A `usage` object as it is written; anything else has no figures.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl Written<'_> {
    pub(crate) fn figures(self) -> Option<Figures> {
        Figures::of(self.0?.get().as_bytes())
    }
}

/// A `usage` object, whoever wrote it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    prompt_cache_hit_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Details {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    thinking_tokens: Option<u64>,
}

/// The largest count of tokens that is believed, some thousand times the longest context window.
const BELIEVED: u32 = u32::MAX;

/// A count of tokens. `None` for what is none: negative, absurdly large, no number. A fraction is dropped.
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
    let number: f64 = serde_json::from_slice(json).ok()?;
    let believed = (0.0..=f64::from(BELIEVED)).contains(&number);
    believed.then_some(number as u64)
}

impl Details {
    fn of(json: &[u8]) -> Option<Details> {
        let mut it = Details::default();
        let read = skip::members(json, |key, value| match key {
            b"cached_tokens" => it.cached_tokens = figure(value),
            b"cache_write_tokens" => it.cache_write_tokens = figure(value),
            b"reasoning_tokens" => it.reasoning_tokens = figure(value),
            b"thinking_tokens" => it.thinking_tokens = figure(value),
            _ => {}
        });
        read.ok().map(|()| it)
    }
}

impl Figures {
    /// Reads a `usage` object; `None` for any other JSON. What is odd inside does not cost the rest.
    pub(crate) fn of(json: &[u8]) -> Option<Figures> {
        let mut it = Figures::default();
        let read = skip::members(json, |key, value| match key {
            b"prompt_tokens" => it.prompt_tokens = figure(value),
            b"completion_tokens" => it.completion_tokens = figure(value),
            b"total_tokens" => it.total_tokens = figure(value),
            b"input_tokens" => it.input_tokens = figure(value),
            b"output_tokens" => it.output_tokens = figure(value),
            b"cached_tokens" => it.cached_tokens = figure(value),
            b"prompt_cache_hit_tokens" => it.prompt_cache_hit_tokens = figure(value),
            b"cache_creation_input_tokens" => it.cache_creation_input_tokens = figure(value),
            b"cache_read_input_tokens" => it.cache_read_input_tokens = figure(value),
            b"prompt_tokens_details" => it.prompt_tokens_details = Details::of(value),
            b"input_tokens_details" => it.input_tokens_details = Details::of(value),
            b"completion_tokens_details" => it.completion_tokens_details = Details::of(value),
            b"output_tokens_details" => it.output_tokens_details = Details::of(value),
            _ => {}
        });
        read.ok().map(|()| it)
    }

    /// The usage, if the prompt is reported, and the output too unless `prompt_only` (embeddings).
    pub(crate) fn usage(&self, dialect: Dialect, prompt_only: bool) -> Option<Usage> {
        match dialect {
            Dialect::OpenAi => self.openai(prompt_only),
            Dialect::Anthropic => self
                .anthropic(Usage::default())
                .filter(|_| self.input_tokens.is_some() && self.output_tokens.is_some()),
        }
    }

    fn openai(&self, prompt_only: bool) -> Option<Usage> {
        let inside = self
            .prompt_tokens_details
            .or(self.input_tokens_details)
            .unwrap_or_default();
        let outside = self
            .completion_tokens_details
            .or(self.output_tokens_details)
            .unwrap_or_default();
        let input = self.prompt_tokens.or(self.input_tokens)?;
        let rest = self.total_tokens.and_then(|total| total.checked_sub(input));
        let output = self.completion_tokens.or(self.output_tokens).or(rest);
        let mut output = if prompt_only {
            output.unwrap_or(0)
        } else {
            output?
        };
        let reasoning = outside.reasoning_tokens.unwrap_or(0);
        // xAI counts reasoning beside the completion; the total gives it away.
        if reasoning > 0 && rest == output.checked_add(reasoning) {
            output += reasoning;
        }
        let cached_read = inside
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens);
        let cached_read = cached_read.unwrap_or(0).min(input);
        Some(Usage {
            input,
            cached_read,
            cache_write: inside
                .cache_write_tokens
                .unwrap_or(0)
                .min(input - cached_read),
            output,
            reasoning: reasoning.min(output),
        })
    }

    /// `earlier` with what is reported here put in its place; `None` if nothing is reported.
    ///
    /// Anthropic's later figures are cumulative and replace earlier ones. A prompt of nothing at all
    /// does not replace one that was reported: some compatible providers fill the place with zeros.
    pub(crate) fn anthropic(&self, earlier: Usage) -> Option<Usage> {
        let input = [
            self.input_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        ];
        let reports_prompt = input
            .iter()
            .any(|figure| figure.is_some_and(|tokens| tokens > 0));
        if self.output_tokens.is_none() && input.iter().all(|figure| figure.is_none()) {
            return None;
        }
        let mut usage = earlier;
        if reports_prompt {
            let uncached = earlier
                .input
                .saturating_sub(earlier.cached_read)
                .saturating_sub(earlier.cache_write);
            usage.cached_read = self.cache_read_input_tokens.unwrap_or(earlier.cached_read);
            usage.cache_write = self
                .cache_creation_input_tokens
                .unwrap_or(earlier.cache_write);
            usage.input =
                self.input_tokens.unwrap_or(uncached) + usage.cached_read + usage.cache_write;
        }
        usage.output = self.output_tokens.unwrap_or(earlier.output);
        let details = self.output_tokens_details.unwrap_or_default();
        let reasoning = details
            .thinking_tokens
            .or(details.reasoning_tokens)
            .unwrap_or(earlier.reasoning);
        usage.reasoning = reasoning.min(usage.output);
        Some(usage)
    }

    /// Whether the answer's own tokens are reported.
    pub(crate) fn reports_output(&self) -> bool {
        self.output_tokens.is_some()
    }
}

/// Where Groq puts the usage of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Groq<'a> {
    #[serde(borrow)]
    pub usage: Written<'a>,
}
