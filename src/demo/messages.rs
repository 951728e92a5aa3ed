//! `POST /v1/messages` and `POST /v1/messages/count_tokens`

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::prompt::{self, Prompt};
use super::{Shape, Surface, admit};
use tollgate_wire::Dialect;

/// Messages.
pub(super) struct Messages;

/// Counts a prompt's words.
pub(super) async fn count_tokens(body: bytes::Bytes) -> Response {
    match admit(Dialect::Anthropic, &body).await {
        Ok((_, body)) => super::json(
            StatusCode::OK,
            &json!({"input_tokens": Messages::read(&body).words}),
        ),
        Err(refusal) => refusal,
    }
}

impl Shape for Messages {
    const SURFACE: Surface = Surface::Messages;

    fn read(body: &Value) -> Prompt {
        let messages = prompt::list(body, "messages");
        let content =
            |message: &Value| prompt::text(message.get("content").unwrap_or(&Value::Null));
        let system = prompt::text(body.get("system").unwrap_or(&Value::Null));
        let results: Vec<String> = messages
            .last()
            .map_or(&[][..], |last| prompt::list(last, "content"))
            .iter()
            .filter(|block| prompt::string(block, "type") == "tool_result")
            .map(content)
            .collect();
        let asked = |message: &&Value| {
            prompt::string(message, "role") == "user" && !content(message).is_empty()
        };
        let said: usize = messages
            .iter()
            .map(|message| prompt::words(&content(message)))
            .sum();
        let returned: usize = results.iter().map(|result| prompt::words(result)).sum();
        Prompt {
            user: messages
                .iter()
                .rfind(asked)
                .map(content)
                .unwrap_or_default(),
            tool_result: (!results.is_empty()).then(|| results.join(" ")),
            tools: prompt::tools(prompt::list(body, "tools").iter(), "input_schema"),
            choice: prompt::choice(body),
            schema: body.pointer("/output_config/format/schema").cloned(),
            words: prompt::words(&system) + said + returned,
            stream: prompt::flag(body, "stream"),
            include_usage: true,
            max_tokens: prompt::limit(body, &["max_tokens"]),
            ..Prompt::default()
        }
    }
}
