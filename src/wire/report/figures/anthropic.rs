//! Figures as Anthropic counts them: what was cached stands beside the prompt, and later reports replace earlier ones.

use super::super::{Unit, Usage};
use super::Figures;

impl Figures {
    /// Returns `earlier` with what is reported here put in its place; `None` if nothing is reported.
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
            // The end of a stream repeats the sum without its parts, which the start has given.
            let told = self.cache_creation_5m.or(self.cache_creation_1h).is_some();
            let before = earlier[Unit::CacheWrite1h];
            let kept = (!told && self.cache_creation.is_some() && before > 0).then_some(before);
            let hour = self.cache_creation_1h.or(kept);
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
}
