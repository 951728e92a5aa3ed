//! Figures as OpenAI counts them.

use super::super::{Unit, Usage};
use super::Figures;

impl Figures {
    /// Returns the usage as OpenAI counts: cached tokens are inside the prompt, reasoning inside the answer.
    pub(super) fn openai(&self, prompt_only: bool) -> Option<Usage> {
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
        // The answer is what the total says, where that is more: thoughts that are counted nowhere else, or reasoning
        // that is counted beside the completion.
        let mut output = told.max(rest.unwrap_or(0));
        if self.beside {
            output = output.max(told + reasoning + citations);
        }
        let mut usage = Usage::default();
        self.divide_prompt(input, &mut usage);
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

    /// Divides the `input` tokens of a prompt among their units.
    fn divide_prompt(&self, input: u64, usage: &mut Usage) {
        let inside = &self.inside;
        let cached = inside.cached.or(self.cached).unwrap_or(0);
        let writes = inside.cache_write.or(self.cache_creation).unwrap_or(0);
        let cached_media = |told: Option<u64>| told.unwrap_or(0).min(cached);
        take(
            usage,
            input,
            &[
                (Unit::CachedAudio, cached_media(inside.cached_audio)),
                (Unit::CachedImage, cached_media(inside.cached_image)),
            ],
        );
        let of_media = usage.input();
        let beside_cached = |told: Option<u64>, cached| told.unwrap_or(0).saturating_sub(cached);
        let audio = beside_cached(inside.audio, usage[Unit::CachedAudio]);
        let image = beside_cached(inside.image, usage[Unit::CachedImage]);
        take(
            usage,
            input,
            &[
                (Unit::CachedRead, cached.saturating_sub(of_media)),
                (Unit::CacheWrite, writes),
                (Unit::InputAudio, audio),
                (Unit::InputImage, image),
                (Unit::InputVideo, inside.video.unwrap_or(0)),
            ],
        );
        usage[Unit::Input] = input - usage.input();
    }
}

/// Gives each part what it is said to have, as long as the whole has any.
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
