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

mod anthropic;
mod json;
mod openai;
mod read;

use super::{Context, Unit, Usage};
use crate::Dialect;

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

impl Figures {
    /// What was not standard about how the answer was served.
    pub(crate) fn served(&self) -> &Context {
        &self.served
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
