//! `POST /v1/chat/completions`

use serde_json::Value;

use super::prompt::{self, Prompt};
use super::{Shape, Surface};

/// Chat completions.
pub(super) struct Chat;

impl Shape for Chat {
    const SURFACE: Surface = Surface::ChatCompletions;

    fn read(body: &Value) -> Prompt {
        let messages = prompt::list(body, "messages");
        let content =
            |message: &Value| prompt::text(message.get("content").unwrap_or(&Value::Null));
        let role = |message: &Value, role: &str| prompt::string(message, "role") == role;
        let functions = prompt::list(body, "tools")
            .iter()
            .filter_map(|tool| tool.get("function"));
        Prompt {
            user: messages
                .iter()
                .rfind(|message| role(message, "user"))
                .map(content)
                .unwrap_or_default(),
            tool_result: messages
                .last()
                .filter(|last| role(last, "tool"))
                .map(content),
            tools: prompt::tools(functions, "parameters"),
            choice: prompt::choice(body),
            schema: body.pointer("/response_format/json_schema/schema").cloned(),
            words: messages
                .iter()
                .map(|message| prompt::words(&content(message)))
                .sum(),
            stream: prompt::flag(body, "stream"),
            include_usage: include_usage(body),
            max_tokens: prompt::limit(body, &["max_completion_tokens", "max_tokens"]),
            ..Prompt::default()
        }
    }
}

/// Whether `stream_options` asks for a usage chunk.
pub(super) fn include_usage(body: &Value) -> bool {
    body.get("stream_options")
        .is_some_and(|options| prompt::flag(options, "include_usage"))
}
