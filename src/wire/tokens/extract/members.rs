//! What of a document the observer looks at, on any surface: if it reads more of a payload, more is needed here.

/// How a member of the top level is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keep {
    /// As it is, if it is short.
    #[default]
    AsItIs,
    /// What is looked at in it, texts as far as they are counted.
    Looked,
}

/// The member of this key in the top level of a whole answer or of a stream's event, if it is looked at.
pub(super) fn member(key: &[u8]) -> Option<(&'static str, Keep)> {
    use Keep::{AsItIs, Looked};
    Some(match key {
        b"id" => ("id", AsItIs),
        b"type" => ("type", AsItIs),
        b"model" => ("model", AsItIs),
        b"object" => ("object", AsItIs),
        b"choices" => ("choices", Looked),
        b"usage" => ("usage", AsItIs),
        b"input_tokens" => ("input_tokens", AsItIs),
        b"service_tier" => ("service_tier", AsItIs),
        b"content" => ("content", Looked),
        b"stop_reason" => ("stop_reason", AsItIs),
        b"status" => ("status", AsItIs),
        b"output" => ("output", Looked),
        b"error" => ("error", Looked),
        b"errors" => ("errors", Looked),
        b"detail" => ("detail", Looked),
        b"error_msg" => ("error_msg", Looked),
        b"error_message" => ("error_message", Looked),
        b"incomplete_details" => ("incomplete_details", AsItIs),
        b"x_groq" => ("x_groq", AsItIs),
        b"tool_usage" => ("tool_usage", AsItIs),
        b"data" => ("data", AsItIs),
        b"code" => ("code", AsItIs),
        b"message" => ("message", Looked),
        b"index" => ("index", AsItIs),
        b"delta" => ("delta", Looked),
        b"content_block" => ("content_block", Looked),
        b"item" => ("item", Looked),
        b"response" => ("response", Looked),
        _ => return None,
    })
}

/// How a value deeper inside is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// As its own members say.
    #[default]
    Look,
    /// With all that is in it.
    All,
    /// Not at all.
    Leave,
}

/// How the value of this key is kept, inside a member that is looked into.
pub(super) fn way(key: &[u8]) -> Way {
    match key {
        b"text"
        | b"content"
        | b"message"
        | b"delta"
        | b"thinking"
        | b"reasoning"
        | b"reasoning_content"
        | b"refusal"
        | b"summary"
        | b"transcript"
        | b"audio"
        | b"tool_calls"
        | b"function_call"
        | b"function"
        | b"custom"
        | b"name"
        | b"arguments"
        | b"partial_json"
        | b"finish_reason"
        | b"stop_reason"
        | b"type"
        | b"role"
        | b"index"
        | b"id"
        | b"model"
        | b"status"
        | b"error"
        | b"errors"
        | b"detail"
        | b"error_msg"
        | b"error_message"
        | b"msg"
        | b"loc"
        | b"metadata"
        | b"raw"
        | b"code"
        | b"service_tier"
        | b"incomplete_details"
        | b"reason"
        | b"action"
        | b"container_id" => Way::Look,
        b"input" | b"usage" | b"tool_usage" => Way::All,
        _ => Way::Leave,
    }
}

/// Whether an item's `type`, as it is written, is that of a call of a tool that the provider runs.
pub(super) fn is_tool(kind: &[u8]) -> bool {
    matches!(
        kind,
        b"\"web_search_call\"" | b"\"file_search_call\"" | b"\"code_interpreter_call\""
    )
}
