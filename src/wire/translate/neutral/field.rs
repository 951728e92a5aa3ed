//! What a field is called on each surface, so that a client reads its own words.

use crate::Surface;

/// A field that may have to be dropped or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Cache marks on blocks and tools.
    CacheControl,
    /// What requests with the same beginning share.
    CacheKey,
    /// How long a prefix is kept.
    CacheRetention,
    /// The probabilities of tokens.
    Logprobs,
    /// For answers that repeat.
    Seed,
    /// What ends the answer.
    Stop,
    /// Of sampling.
    Temperature,
    /// Of sampling.
    TopP,
    /// Of sampling.
    TopK,
    /// Of sampling.
    FrequencyPenalty,
    /// Of sampling.
    PresencePenalty,
    /// Of sampling.
    LogitBias,
    /// How hard to think.
    Effort,
    /// Whether to think.
    Thinks,
    /// What was thought, with what makes its provider believe it.
    Thinking,
    /// The shape of the answer.
    Format,
    /// What JSON Schema says and the target's schemas cannot.
    SchemaKeywords,
    /// How many words.
    Verbosity,
    /// The client's notes.
    Metadata,
    /// The tier.
    Tier,
    /// Results without calls, and calls without results.
    Results,
    /// Whether a result is an error.
    IsError,
    /// How closely to look at a picture.
    Detail,
    /// Grammars of custom tools.
    Grammar,
    /// `strict` of a tool.
    Strict,
    /// What JSON Schema says of a tool's arguments and the target's strict schemas cannot.
    ToolKeywords,
    /// Tools that the provider runs.
    HostedTools,
    /// Which tool is to be called.
    ToolChoice,
    /// Where a text is from.
    Citations,
}

impl Field {
    /// Its name on a surface.
    #[rustfmt::skip]
    pub(crate) fn name(self, surface: Surface) -> &'static str {
        let (chat, responses, messages) = match self {
            Field::CacheControl     => ("prompt_cache_breakpoint", "prompt_cache_breakpoint", "cache_control"),
            Field::CacheKey         => ("prompt_cache_key", "prompt_cache_key", "cache_control"),
            Field::CacheRetention   => ("prompt_cache_retention", "prompt_cache_retention", "cache_control"),
            Field::Logprobs         => ("logprobs", "top_logprobs", "logprobs"),
            Field::Seed             => ("seed", "seed", "seed"),
            Field::Stop             => ("stop", "stop", "stop_sequences"),
            Field::Temperature      => ("temperature", "temperature", "temperature"),
            Field::TopP             => ("top_p", "top_p", "top_p"),
            Field::TopK             => ("top_k", "top_k", "top_k"),
            Field::FrequencyPenalty => ("frequency_penalty", "frequency_penalty", "frequency_penalty"),
            Field::PresencePenalty  => ("presence_penalty", "presence_penalty", "presence_penalty"),
            Field::LogitBias        => ("logit_bias", "logit_bias", "logit_bias"),
            Field::Effort           => ("reasoning_effort", "reasoning", "output_config.effort"),
            Field::Thinks           => ("reasoning_effort", "reasoning", "thinking"),
            Field::Thinking         => ("messages.thinking_blocks", "input.reasoning", "messages.thinking"),
            Field::Format           => ("response_format", "text.format", "output_config.format"),
            Field::SchemaKeywords   => ("response_format.json_schema", "text.format.schema", "output_config.format.schema"),
            Field::Verbosity        => ("verbosity", "text.verbosity", "verbosity"),
            Field::Metadata         => ("metadata", "metadata", "metadata"),
            Field::Tier             => ("service_tier", "service_tier", "service_tier"),
            Field::Results          => ("messages.tool_calls", "input.function_call_output", "messages.tool_result"),
            Field::IsError          => ("messages.is_error", "input.is_error", "messages.tool_result.is_error"),
            Field::Detail           => ("messages.image_url.detail", "input.input_image.detail", "messages.image.detail"),
            Field::Grammar          => ("tools.custom.format", "tools.format", "tools.format"),
            Field::Strict           => ("tools.function.strict", "tools.strict", "tools.strict"),
            Field::ToolKeywords     => ("tools.function.parameters", "tools.parameters", "tools.input_schema"),
            Field::HostedTools      => ("tools", "tools", "tools"),
            Field::ToolChoice       => ("tool_choice", "tool_choice", "tool_choice"),
            Field::Citations        => ("messages.annotations", "input.annotations", "messages.citations"),
        };
        match surface {
            Surface::Responses => responses,
            Surface::Messages => messages,
            Surface::ChatCompletions | Surface::Completions | Surface::Embeddings => chat,
        }
    }
}
