//! One model of usage for every dialect.

use serde::{Deserialize, Serialize};

/// Tokens of one answer. Each figure is defined once, whatever the dialect calls it.
///
/// The parts do not overlap with their wholes being summed twice: `input` is the whole prompt,
/// `cached_read` and `cache_write` are parts of it; `output` is the whole completion, `reasoning`
/// is a part of it. (Anthropic reports `input_tokens` *without* the cached parts; reading adds them.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the whole prompt, cached ones included.
    pub input: u64,
    /// Prompt tokens that the provider read from its cache.
    pub cached_read: u64,
    /// Prompt tokens that the provider wrote to its cache.
    pub cache_write: u64,
    /// Tokens of the whole answer, reasoning included.
    pub output: u64,
    /// Answer tokens spent on reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// Input plus output: what the processing fee is charged on.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
