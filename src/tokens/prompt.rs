//! The tokens of a prompt, estimated where the provider reports none.
//!
//! Formula: the tokens of every text in the prompt (message contents, roles, names, tool definitions
//! as JSON), plus 3 per message, plus 3 that prime the answer. Source: OpenAI's cookbook, "How to
//! count tokens with tiktoken", whose `tokens_per_message` is 3 for every chat model since
//! gpt-3.5-turbo-0613. Images, audio and files are not in it.

use super::Encoding;

/// Tokens that frame each message.
pub const PER_MESSAGE: u64 = 3;

/// Tokens that prime the answer of a conversation.
pub const PRIMING: u64 = 3;

/// Tokens of a prompt of `messages` messages, 0 for a bare text (completions, embeddings). `each` is
/// handed a function and calls it with every text of the prompt.
pub fn estimate_prompt(
    encoding: Encoding,
    messages: u64,
    each: impl FnOnce(&mut dyn FnMut(&str)),
) -> u64 {
    let mut total: u64 = match messages {
        0 => 0,
        messages => messages.saturating_mul(PER_MESSAGE).saturating_add(PRIMING),
    };
    each(&mut |text| total = total.saturating_add(encoding.count(text)));
    total
}

/// At most this many tokens are in `bytes` bytes of text, whatever the text: each token of these
/// vocabularies is at least one byte. For admission, which wants a bound at no cost.
pub fn at_most(bytes: usize) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_and_bare_texts_are_not() {
        let texts = |each: &mut dyn FnMut(&str)| ["user", "hello world"].into_iter().for_each(each);
        assert_eq!(
            estimate_prompt(Encoding::O200k, 1, texts),
            3 + 3 + 1 + 2,
            "one message"
        );
        assert_eq!(
            estimate_prompt(Encoding::O200k, 0, texts),
            1 + 2,
            "bare texts"
        );
    }
}
