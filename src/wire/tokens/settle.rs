//! What an attempt is settled with: the provider's figures, ours where it reported none.

use super::{Encoding, Tap};
use crate::report::Usage;

/// The tokens an attempt is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The figures.
    pub usage: Usage,
    /// Whether any of them is not the provider's last word: our own count, or a report before the end.
    pub estimated: bool,
}

impl Settled {
    /// What `tap` saw, with our own count where the provider reported nothing. `model` chooses the
    /// tokenizer; `prompt` counts the prompt and is called only when needed.
    ///
    /// This may tokenize a whole answer (tens of milliseconds per megabyte): call it after the last
    /// byte has gone, not before.
    pub fn of(tap: &Tap, model: &str, prompt: impl FnOnce() -> u64) -> Settled {
        let usage = match tap.usage() {
            Some(usage) if tap.usage_final() => {
                return Settled {
                    usage,
                    estimated: false,
                };
            }
            Some(usage) => usage,
            None => Usage {
                input: prompt(),
                ..Usage::default()
            },
        };
        let counted = tap.count_output(Encoding::of_model(model));
        Settled {
            usage: Usage {
                output: usage.output.max(counted),
                ..usage
            },
            estimated: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Surface;

    #[test]
    fn a_broken_message_keeps_the_reported_prompt_and_counts_its_text() {
        let mut tap = Tap::stream(Surface::Messages, false);
        let _seen = tap.feed(Bytes::from_static(
            b"data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":50,\"output_tokens\":1}}}\n\n\
              data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"one two three four\"}}\n\n",
        ));
        let settled = Settled::of(&tap, "claude-x", || unreachable!("the prompt was reported"));
        assert_eq!(
            settled,
            Settled {
                usage: Usage {
                    input: 50,
                    output: 4,
                    ..Usage::default()
                },
                estimated: true
            }
        );
    }

    #[test]
    fn nothing_reported_is_counted_throughout() {
        let tap = Tap::stream(Surface::ChatCompletions, false);
        let settled = Settled::of(&tap, "gpt-4o", || 7);
        assert_eq!(
            settled,
            Settled {
                usage: Usage {
                    input: 7,
                    ..Usage::default()
                },
                estimated: true
            }
        );
    }
}
