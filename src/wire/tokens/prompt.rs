//! The tokens of a prompt, estimated where the provider reports none.
//!
//! Formula: the tokens of every text in the prompt (message contents, roles, names, tool definitions
//! as JSON), plus 3 per message, plus 3 that prime the answer. Source: OpenAI's cookbook, "How to
//! count tokens with tiktoken", whose `tokens_per_message` is 3 for every chat model since
//! gpt-3.5-turbo-0613. Images, audio and files that stand in the body are in it by a bound.

use super::Encoding;
use crate::report::floor_boundary;

/// Tokens that frame each message.
pub(crate) const PER_MESSAGE: u64 = 3;

/// Tokens that prime the answer of a conversation.
pub(crate) const PRIMING: u64 = 3;

/// Bytes of text that are counted one by one; what a longer prompt has beyond is taken to have as many
/// tokens a byte. Tens of megabytes are counted a second, and nobody's prompt may keep a core for one.
pub(crate) const COUNTED: usize = 1 << 20;

/// Counts a prompt's texts as they come.
#[derive(Clone, Debug)]
pub struct PromptCounter {
    encoding: Encoding,
    counted: usize,
    tokens: u64,
    beyond: u64,
    framing: u64,
    enough: u64,
}

impl PromptCounter {
    /// For a prompt of `messages` messages, 0 for a bare text (completions, embeddings).
    pub fn new(encoding: Encoding, messages: u64) -> PromptCounter {
        let framing = match messages {
            0 => 0,
            messages => messages.saturating_mul(PER_MESSAGE).saturating_add(PRIMING),
        };
        PromptCounter {
            encoding,
            counted: 0,
            tokens: 0,
            beyond: 0,
            framing,
            enough: u64::MAX,
        }
    }

    /// Stops counting one by one as soon as the total is over `tokens`: whoever asks only whether it is
    /// need not wait for more.
    #[must_use]
    pub fn until_over(mut self, tokens: u64) -> PromptCounter {
        self.enough = tokens;
        self
    }

    /// Adds one of the prompt's texts.
    pub fn push(&mut self, mut text: &str) {
        const STEP: usize = 64 * 1024;
        while !text.is_empty() && self.counted < COUNTED && self.total() <= self.enough {
            let (now, later) = text.split_at(floor_boundary(text, STEP));
            self.tokens = self.tokens.saturating_add(self.encoding.count(now));
            self.counted += now.len();
            text = later;
        }
        self.beyond += text.len() as u64;
    }

    /// Tokens known without counting.
    pub fn add(&mut self, tokens: u64) {
        self.framing = self.framing.saturating_add(tokens);
    }

    /// Returns the tokens of the prompt so far.
    pub fn total(&self) -> u64 {
        let per = self.counted.max(1) as u128;
        let beyond = u128::from(self.beyond) * u128::from(self.tokens) / per;
        let beyond = u64::try_from(beyond).unwrap_or(u64::MAX);
        self.framing
            .saturating_add(self.tokens)
            .saturating_add(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(messages: u64, texts: &[&str]) -> u64 {
        let mut counter = PromptCounter::new(Encoding::O200k, messages);
        texts.iter().for_each(|text| counter.push(text));
        counter.total()
    }

    #[test]
    fn messages_are_framed_and_bare_texts_are_not() {
        assert_eq!(
            total(1, &["user", "hello world"]),
            3 + 3 + 1 + 2,
            "one message"
        );
        assert_eq!(total(0, &["user", "hello world"]), 1 + 2, "bare texts");
    }

    #[test]
    fn what_is_beyond_the_bound_is_taken_to_be_like_the_rest() {
        let text = "hello world ".repeat(COUNTED / 12);
        let (once, thrice) = (total(0, &[&text]), total(0, &[&text, &text, &text]));
        assert!(
            thrice.abs_diff(3 * once) <= once / 100,
            "{thrice} tokens, of which {once} are a third"
        );
    }

    #[test]
    fn counting_stops_once_the_limit_is_passed() {
        let mut counter = PromptCounter::new(Encoding::O200k, 1).until_over(1_000);
        counter.push(&"hello world ".repeat(100_000));
        assert!(counter.total() > 1_000, "it is over the limit");
        assert!(
            counter.counted <= 64 * 1024,
            "{} bytes were counted",
            counter.counted
        );
    }
}
