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
