//! Tokens in each dialect's words, so that a price reads the same from either.
//!
//! OpenAI counts cached tokens inside the prompt, Anthropic beside it; reading and writing keep to
//! [`crate::report::Usage`], in which they are inside.

use serde_json::{Value, json};

use crate::report::Usage;

/// As chat completions have it.
pub(super) fn chat(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input(),
        "completion_tokens": usage.output(),
        "total_tokens": usage.total(),
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_read(), "cache_write_tokens": usage.cache_write(),
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning()},
    })
}

/// As responses have it.
pub(super) fn responses(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input(),
        "input_tokens_details": {
            "cached_tokens": usage.cached_read(), "cache_write_tokens": usage.cache_write(),
        },
        "output_tokens": usage.output(),
        "output_tokens_details": {"reasoning_tokens": usage.reasoning()},
        "total_tokens": usage.total(),
    })
}

/// As messages have it: `input_tokens` without what was cached.
pub(super) fn messages(usage: Usage) -> Value {
    let cached = usage.cached_read() + usage.cache_write();
    json!({
        "input_tokens": usage.input().saturating_sub(cached),
        "cache_creation_input_tokens": usage.cache_write(),
        "cache_read_input_tokens": usage.cached_read(),
        "cache_creation": null,
        "output_tokens": usage.output(),
        "output_tokens_details": {"thinking_tokens": usage.reasoning()},
        "server_tool_use": null,
        "inference_geo": null,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Dialect;
    use crate::report::figures::Figures;
    use crate::report::lenient::Raw;

    fn read(dialect: Dialect, usage: &Value) -> Option<Usage> {
        Figures::of(Raw(Some(usage.to_string().as_bytes())))?.usage(dialect, false)
    }

    proptest! {
        #[test]
        fn a_price_reads_the_same_from_every_dialect(
            plain in 1..1u64 << 30, cached_read in 0..1u64 << 20, cache_write in 0..1u64 << 20,
            output in 1..1u64 << 20, share in 0..=100u64,
        ) {
            let input = plain + cached_read + cache_write;
            let usage = Usage::of(input, cached_read, cache_write, output, output * share / 200);
            for (dialect, written) in [
                (Dialect::OpenAi, chat(usage)),
                (Dialect::OpenAi, responses(usage)),
                (Dialect::Anthropic, messages(usage)),
            ] {
                prop_assert_eq!(read(dialect, &written), Some(usage), "{}", written);
            }
        }
    }
}
