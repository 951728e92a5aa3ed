//! Usage as each dialect spells it, read into the one model.
//!
//! One reader knows the names of all dialects, because they do not collide and because compatible
//! providers mix them. Sources: the public API references of OpenAI (`usage` of chat completions,
//! completions, embeddings, responses), Anthropic (`usage` of messages), DeepSeek
//! (`prompt_cache_hit_tokens`), Moonshot (`cached_tokens`), Groq (`x_groq.usage`), xAI (reasoning
//! beside the completion, not inside it).

use serde::Deserialize;

use super::Usage;
use super::lenient::{Figure, Maybe};
use crate::dialect::Dialect;

/// A `usage` object, whoever wrote it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Figures {
    prompt_tokens: Figure,
    completion_tokens: Figure,
    total_tokens: Figure,
    input_tokens: Figure,
    output_tokens: Figure,
    cached_tokens: Figure,
    prompt_cache_hit_tokens: Figure,
    cache_creation_input_tokens: Figure,
    cache_read_input_tokens: Figure,
    prompt_tokens_details: Maybe<Details>,
    input_tokens_details: Maybe<Details>,
    completion_tokens_details: Maybe<Details>,
    output_tokens_details: Maybe<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Figure,
    cache_write_tokens: Figure,
    reasoning_tokens: Figure,
    thinking_tokens: Figure,
}

impl<T: Clone> Clone for Maybe<T> {
    fn clone(&self) -> Self {
        Maybe(self.0.clone())
    }
}

impl<T: Copy> Copy for Maybe<T> {}

impl Figures {
    /// The usage, if the prompt is reported, and the output too unless `prompt_only` (embeddings).
    pub fn usage(&self, dialect: Dialect, prompt_only: bool) -> Option<Usage> {
        match dialect {
            Dialect::OpenAi => self.openai(prompt_only),
            Dialect::Anthropic => self
                .anthropic(Usage::default())
                .filter(|_| self.input_tokens.0.is_some() && self.output_tokens.0.is_some()),
        }
    }

    fn openai(&self, prompt_only: bool) -> Option<Usage> {
        let inside = self
            .prompt_tokens_details
            .0
            .or(self.input_tokens_details.0)
            .unwrap_or_default();
        let outside = self
            .completion_tokens_details
            .0
            .or(self.output_tokens_details.0)
            .unwrap_or_default();
        let input = self.prompt_tokens.0.or(self.input_tokens.0)?;
        let rest = self
            .total_tokens
            .0
            .and_then(|total| total.checked_sub(input));
        let output = self.completion_tokens.0.or(self.output_tokens.0).or(rest);
        let mut output = if prompt_only {
            output.unwrap_or(0)
        } else {
            output?
        };
        let reasoning = outside.reasoning_tokens.0.unwrap_or(0);
        // xAI counts reasoning beside the completion; the total gives it away.
        if reasoning > 0 && rest == output.checked_add(reasoning) {
            output += reasoning;
        }
        let cached_read = inside
            .cached_tokens
            .0
            .or(self.prompt_cache_hit_tokens.0)
            .or(self.cached_tokens.0);
        let cached_read = cached_read.unwrap_or(0).min(input);
        Some(Usage {
            input,
            cached_read,
            cache_write: inside
                .cache_write_tokens
                .0
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
    pub fn anthropic(&self, earlier: Usage) -> Option<Usage> {
        let input = [
            self.input_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        ];
        let reports_prompt = input
            .iter()
            .any(|figure| figure.0.is_some_and(|tokens| tokens > 0));
        if self.output_tokens.0.is_none() && input.iter().all(|figure| figure.0.is_none()) {
            return None;
        }
        let mut usage = earlier;
        if reports_prompt {
            let uncached = earlier
                .input
                .saturating_sub(earlier.cached_read)
                .saturating_sub(earlier.cache_write);
            usage.cached_read = self
                .cache_read_input_tokens
                .0
                .unwrap_or(earlier.cached_read);
            usage.cache_write = self
                .cache_creation_input_tokens
                .0
                .unwrap_or(earlier.cache_write);
            usage.input =
                self.input_tokens.0.unwrap_or(uncached) + usage.cached_read + usage.cache_write;
        }
        usage.output = self.output_tokens.0.unwrap_or(earlier.output);
        let details = self.output_tokens_details.0.unwrap_or_default();
        let reasoning = details
            .thinking_tokens
            .0
            .or(details.reasoning_tokens.0)
            .unwrap_or(earlier.reasoning);
        usage.reasoning = reasoning.min(usage.output);
        Some(usage)
    }

    /// Whether the answer's own tokens are reported.
    pub fn reports_output(&self) -> bool {
        self.output_tokens.0.is_some()
    }
}

/// Where Groq puts the usage of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Groq {
    pub usage: Maybe<Figures>,
}
