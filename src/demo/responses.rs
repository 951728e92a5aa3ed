//! `POST /v1/responses`

use serde_json::Value;

use super::error::Failure;
use super::play::Frame;
use super::prompt::{self, Prompt};
use super::reply::Reply;
use super::{Shape, Surface, write};
use tollgate_wire::translate;

/// Responses.
pub(super) struct Responses;

impl Shape for Responses {
    const SURFACE: Surface = Surface::Responses;

    fn read(body: &Value) -> Prompt {
        let input = body.get("input").unwrap_or(&Value::Null);
        let items = input.as_array().map_or(&[][..], Vec::as_slice);
        let content = |item: &Value| prompt::text(item.get("content").unwrap_or(&Value::Null));
        let asked = |item: &&Value| prompt::string(item, "role") == "user";
        let returned = |item: &&Value| prompt::string(item, "type") == "function_call_output";
        let output = |item: &Value| prompt::text(item.get("output").unwrap_or(&Value::Null));
        let said = |item: &Value| prompt::words(&content(item)) + prompt::words(&output(item));
        let functions = prompt::list(body, "tools").iter();
        let functions = functions.filter(|tool| prompt::string(tool, "type") == "function");
        let system = prompt::words(prompt::string(body, "instructions"));
        Prompt {
            user: match input.as_str() {
                Some(text) => text.to_owned(),
                None => items.iter().rfind(asked).map(content).unwrap_or_default(),
            },
            tool_result: items.last().filter(returned).map(output),
            tools: prompt::tools(functions, "parameters"),
            choice: prompt::choice(body),
            schema: body.pointer("/text/format/schema").cloned(),
            words: system
                + input.as_str().map_or(0, prompt::words)
                + items.iter().map(said).sum::<usize>(),
            stream: prompt::flag(body, "stream"),
            include_usage: true,
            max_tokens: prompt::limit(body, &["max_output_tokens"]),
            echo: translate::response_echo(body.to_string().as_bytes()),
        }
    }

    fn failed(reply: &Reply, failure: &Failure) -> Vec<Frame> {
        write::failed_response(reply, failure)
    }
}
