//! What an error is about, whoever says it: some of them clients act upon, and know by their own dialect's words only.
//!
//! A provider's own name for it decides, and then its words. Sources of the words: the error references of OpenAI,
//! Azure, Anthropic, Google, Mistral, Groq, xAI, DeepSeek, Moonshot and OpenRouter, and the messages of vLLM, SGLang and
//! llama.cpp as their sources have them.

use crate::Dialect;

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The prompt, alone or with the answer that is asked for, is longer than the model's context.
    ContextLength,
    /// Prompt or answer were refused for what they say.
    ContentPolicy,
    /// The provider is not paid any more.
    Quota,
    /// The provider's key is none.
    Authentication,
    /// There is no such model.
    ModelNotFound,
    /// Too much at once.
    RateLimit,
    /// Anything else.
    Other,
}

impl Meaning {
    /// What an error of this name (`code`, else `type`), with these words and the status that says the same, is about.
    pub(crate) fn of(status: u16, kind: &str, message: &str) -> Meaning {
        let named = Meaning::of_name(kind);
        if named != Meaning::Other || status >= 500 {
            return named;
        }
        let message = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        match status {
            // Google says of any limit that a quota is exceeded.
            _ if kind == "RESOURCE_EXHAUSTED" => Meaning::RateLimit,
            _ if says(&QUOTA) => Meaning::Quota,
            402 => Meaning::Quota,
            429 => Meaning::RateLimit,
            _ if says(&CONTEXT_LENGTH) => Meaning::ContextLength,
            _ if says(&CONTENT_POLICY) => Meaning::ContentPolicy,
            401 => Meaning::Authentication,
            _ if says(&AUTHENTICATION) => Meaning::Authentication,
            _ => Meaning::Other,
        }
    }

    fn of_name(kind: &str) -> Meaning {
        match kind {
            "context_length_exceeded" | "exceed_context_size_error" => Meaning::ContextLength,
            "content_policy_violation"
            | "content_filter"
            | "invalid_prompt"
            | "data_inspection_failed"
            | "ResponsibleAIPolicyViolation" => Meaning::ContentPolicy,
            "insufficient_quota"
            | "billing_error"
            | "billing_not_active"
            | "billing_hard_limit_reached"
            | "insufficient_balance"
            | "exceeded_current_quota_error" => Meaning::Quota,
            "invalid_api_key"
            | "authentication_error"
            | "invalid_authentication_error"
            | "UNAUTHENTICATED" => Meaning::Authentication,
            "model_not_found" => Meaning::ModelNotFound,
            "rate_limit_error" | "rate_limit_exceeded" | "too_many_requests" => Meaning::RateLimit,
            _ => Meaning::Other,
        }
    }
}

/// OpenAI's `code` of a prompt that is too long.
pub(crate) const CONTEXT_LENGTH_EXCEEDED: &str = "context_length_exceeded";

const CONTEXT_LENGTH: [&str; 18] = [
    "prompt is too long",
    "input is too long",
    "exceed context limit",
    "context length",
    "context window",
    "context_length",
    "context size",
    "maximum context",
    "maximum prompt length",
    "input token count",
    "exceeds the maximum number of tokens",
    "reduce the length of the messages",
    "exceeded model token limit",
    "range of input length",
    "exceeds maximum input length",
    "tokens in request more than max tokens",
    "too many input tokens",
    "prompt contains too many tokens",
];

const CONTENT_POLICY: [&str; 10] = [
    "content policy",
    "content management policy",
    "content filter",
    "usage policy",
    "usage policies",
    "safety system",
    "responsible ai",
    "inappropriate content",
    "content exists risk",
    "prohibited content",
];

const QUOTA: [&str; 11] = [
    "exceeded your current quota",
    "insufficient balance",
    "insufficient account balance",
    "insufficient credits",
    "insufficient funds",
    "credit balance is too low",
    "used all available credits",
    "monthly spending limit",
    "billing hard limit",
    "check your billing",
    "please recharge",
];

const AUTHENTICATION: [&str; 7] = [
    "incorrect api key",
    "invalid api key",
    "invalid x-api-key",
    "api key not valid",
    "invalid api-key",
    "api key expired",
    "no auth credentials",
];

/// The figures of an error about a context's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlong {
    /// The prompt has so many tokens, of so many that fit.
    Prompt { tokens: u64, most: u64 },
    /// The prompt would fit, and not with the answer that is asked for.
    WithAnswer { prompt: u64, answer: u64, most: u64 },
}

impl Overlong {
    /// Returns the same in the words of a dialect's own API, by which its clients know that their prompt must be shortened.
    pub(crate) fn in_words(self, dialect: Dialect) -> String {
        match (self, dialect) {
            (Overlong::Prompt { tokens, most }, Dialect::OpenAi) => format!(
                "This model's maximum context length is {most} tokens. However, your messages resulted in {tokens} tokens"
            ),
            (Overlong::Prompt { tokens, most }, Dialect::Anthropic) => {
                format!("prompt is too long: {tokens} tokens > {most} maximum")
            }
            (
                Overlong::WithAnswer {
                    prompt,
                    answer,
                    most,
                },
                Dialect::OpenAi,
            ) => format!(
                "This model's maximum context length is {most} tokens. However, you requested {} tokens ({prompt} in the \
                 messages, {answer} in the completion)",
                prompt.saturating_add(answer)
            ),
            (
                Overlong::WithAnswer {
                    prompt,
                    answer,
                    most,
                },
                Dialect::Anthropic,
            ) => format!(
                "input length and `max_tokens` exceed context limit: {prompt} + {answer} > {most}, decrease input length or \
                 `max_tokens` and try again"
            ),
        }
    }

    /// The figures in an error's words, if they can be distinguished.
    pub(crate) fn of(message: &str) -> Option<Overlong> {
        let figures = figures(message);
        let lower = message.to_ascii_lowercase();
        let answer = match figures[..] {
            // OpenAI and vLLM: the limit, what was requested, and its two parts.
            [most, all, prompt, answer]
                if lower.contains("in the completion") && all == prompt + answer =>
            {
                Some((prompt, answer, most))
            }
            // vLLM: what is asked for, the limit, the prompt.
            [answer, most, prompt, ..]
                if lower.contains("max_tokens") && lower.contains("input tokens") =>
            {
                Some((prompt, answer, most))
            }
            // Anthropic: the prompt, what is asked for, the limit.
            [prompt, answer, most] if lower.contains("exceed context limit") => {
                Some((prompt, answer, most))
            }
            _ => None,
        };
        if let Some((prompt, answer, most)) = answer {
            let fits = prompt <= most && prompt.saturating_add(answer) > most;
            return fits.then_some(Overlong::WithAnswer {
                prompt,
                answer,
                most,
            });
        }
        // Two figures: the larger one is what there is.
        let large: Vec<u64> = figures
            .into_iter()
            .filter(|figure| *figure >= 256)
            .collect();
        match large[..] {
            [a, b] if a != b => Some(Overlong::Prompt {
                tokens: a.max(b),
                most: a.min(b),
            }),
            _ => None,
        }
    }
}

/// The whole numbers that stand for themselves in a text, up to eight.
fn figures(text: &str) -> Vec<u64> {
    let joined = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | ':');
    let words = text.split(|c: char| !joined(c));
    let words = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    let figure = |word: &str| {
        let digits = word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'_'));
        let plain: String = word.chars().filter(char::is_ascii_digit).collect();
        plain.parse().ok().filter(|_| digits)
    };
    words.filter_map(figure).take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vendors_say_of_long_prompts() {
        let prompt = |tokens, most| Some(Overlong::Prompt { tokens, most });
        let both = |prompt, answer, most| {
            Some(Overlong::WithAnswer {
                prompt,
                answer,
                most,
            })
        };
        for (message, figures) in [
            (
                "prompt is too long: 210000 tokens > 200000 maximum",
                prompt(210_000, 200_000),
            ),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
                both(190_000, 20_000, 200_000),
            ),
            (
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
                prompt(130_000, 128_000),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
                both(4_000, 1_000, 4_096),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 30000. This model's maximum context length is 128000 tokens and your request has 100000 input tokens (30000 > 128000 - 100000).",
                both(100_000, 30_000, 128_000),
            ),
            (
                "Your input exceeds the context window of this model. Please adjust your input and try again.",
                None,
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                prompt(1_200_000, 1_048_576),
            ),
            (
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                prompt(537_812, 131_072),
            ),
            (
                "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
                prompt(40_000, 32_768),
            ),
            (
                "Invalid request: Your request exceeded model token limit: 262144",
                None,
            ),
            ("Range of input length should be [1, 30720]", None),
            (
                "Please reduce the length of the messages or completion.",
                None,
            ),
            (
                "The input (5,000 tokens) is longer than the model's context length (4,096 tokens).",
                prompt(5_000, 4_096),
            ),
            (
                "the request exceeds the available context size. try increasing the context size or enable context shift",
                None,
            ),
        ] {
            assert_eq!(
                Meaning::of(400, "invalid_request_error", message),
                Meaning::ContextLength,
                "{message}"
            );
            assert_eq!(Overlong::of(message), figures, "{message}");
        }
    }

    #[test]
    fn what_vendors_say_of_the_rest() {
        use Meaning::*;
        for (status, kind, message, meaning) in [
            (
                429,
                "insufficient_quota",
                "You exceeded your current quota",
                Quota,
            ),
            (402, "error", "Insufficient Balance", Quota),
            (
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
                Quota,
            ),
            (
                403,
                "error",
                "Your team has either used all available credits or reached its monthly spending limit.",
                Quota,
            ),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan. Please retry in 30s.",
                RateLimit,
            ),
            (
                429,
                "tokens",
                "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 33000.",
                RateLimit,
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                Authentication,
            ),
            (401, "error", "no", Authentication),
            (
                400,
                "invalid_prompt",
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                ContentPolicy,
            ),
            (
                400,
                "error",
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                ContentPolicy,
            ),
            (
                400,
                "invalid_request_error",
                "max_tokens is too large: 5000. This model supports at most 4096 completion tokens.",
                Other,
            ),
            (
                404,
                "model_not_found",
                "The model `m` does not exist",
                ModelNotFound,
            ),
            (
                500,
                "error",
                "the context length of this error is unknown",
                Other,
            ),
        ] {
            assert_eq!(Meaning::of(status, kind, message), meaning, "{message}");
        }
    }
}
