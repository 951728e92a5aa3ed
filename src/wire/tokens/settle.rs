//! What an attempt is settled with: the provider's figures, ours where it reported none.

use super::{Encoding, Observer};
use crate::report::{Context, Usage};

/// What an attempt is charged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The figures.
    pub usage: Usage,
    /// What was not standard about how it was served.
    pub served: Context,
    /// How often the model ran for it, at least once: each time within its limits.
    pub passes: u64,
    /// Whether any of the figures is not the provider's last word: our own count, a report before the end, or
    /// one that cannot be.
    pub estimated: bool,
}

impl Settled {
    /// Returns what `observer` saw, with our own count where the provider reported nothing. `model` chooses the
    /// tokenizer; `prompt` counts the prompt and is called only when needed.
    ///
    /// This may tokenize a whole answer (tens of milliseconds per megabyte): call it after the last
    /// byte has gone, not before.
    pub fn of(observer: &Observer, model: &str, prompt: impl FnOnce() -> u64) -> Settled {
        let reported = observer.usage().filter(|usage| usage.input() > 0);
        let mut settled = Settled {
            usage: reported.unwrap_or_else(|| observer.with_tools(Usage::tokens(prompt(), 0))),
            served: observer.served().clone(),
            passes: observer.passes(),
            estimated: reported.is_none(),
        };
        if reported.is_none() || !observer.usage_final() {
            let counted = observer.count_output(Encoding::of_model(model));
            let output = settled.usage.output().max(counted);
            settled.usage.set_output(output);
            settled.estimated = true;
        }
        settled
    }

    /// Holds it to what can be: each of the prompts is no longer than the model's context window, an answer no longer than
    /// its longest, times the answers that were asked for. What is more is not believed, and marked.
    #[must_use]
    pub fn within(
        mut self,
        context_window: Option<u64>,
        max_output: Option<u64>,
        (prompts, answers): (u64, u64),
    ) -> Settled {
        let most = |limit: Option<u64>, times: u64| {
            limit.map_or(u64::MAX, |limit| limit.saturating_mul(times))
        };
        let longest = max_output.or(context_window);
        let (input, output) = (
            most(context_window, self.passes.saturating_mul(prompts)),
            most(longest, self.passes.saturating_mul(answers)),
        );
        if self.usage.input() > input {
            self.usage.set_input(input);
            self.estimated = true;
        }
        if self.usage.output() > output {
            self.usage.set_output(output);
            self.estimated = true;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Surface;

    #[test]
    fn a_broken_message_keeps_the_reported_prompt_and_counts_its_text() {
        let mut observer = Observer::stream(Surface::Messages, false);
        let _seen = observer.feed(Bytes::from_static(
            b"data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":50,\"output_tokens\":1}}}\n\n\
              data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"one two three four\"}}\n\n",
        ));
        let settled = Settled::of(&observer, "claude-x", || {
            unreachable!("the prompt was reported")
        });
        assert_eq!(
            settled,
            Settled {
                usage: Usage::tokens(50, 4),
                served: Context::STANDARD,
                passes: 1,
                estimated: true
            }
        );
    }

    #[test]
    fn each_prompt_of_a_batch_may_fill_the_window() {
        for (reported, believed) in [(50_000, 50_000), (900_000, 819_200)] {
            let settled = Settled {
                usage: Usage::tokens(reported, 0),
                served: Context::STANDARD,
                passes: 1,
                estimated: false,
            };
            let within = settled.within(Some(8_192), None, (100, 1));
            assert_eq!(within.usage.input(), believed);
            assert_eq!(within.estimated, reported != believed);
        }
    }

    #[test]
    fn nothing_reported_is_counted_throughout() {
        let observer = Observer::stream(Surface::ChatCompletions, false);
        let settled = Settled::of(&observer, "gpt-4o", || 7);
        assert_eq!(
            settled,
            Settled {
                usage: Usage::tokens(7, 0),
                served: Context::STANDARD,
                passes: 1,
                estimated: true
            }
        );
    }
}
