//! Answers that say what was counted, in both APIs' forms.

use serde_json::{Value, json};

use crate::common::script::Script;

/// An answer that says what it counted.
pub struct Counted<'a> {
    pub stream: bool,
    pub model: &'a Value,
    pub tier: &'a str,
    pub input: u64,
    pub cached: u64,
    pub output: u64,
    pub pause: u64,
}

impl Counted<'_> {
    /// As a chat completion.
    pub fn chat(&self) -> Script {
        let (input, output) = (self.input, self.output);
        let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": self.cached}});
        let answer = |object: &str, choices: Value| {
            json!({"id": "chatcmpl-1", "object": object, "created": 1, "model": self.model,
                "service_tier": self.tier, "choices": choices})
        };
        if !self.stream {
            let message = json!({"role": "assistant", "content": "counted"});
            let choice = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
            let mut whole = answer("chat.completion", choice);
            whole["usage"] = usage;
            return Script::json(200, &whole);
        }
        let chunk = |choices: Value| answer("chat.completion.chunk", choices);
        let delta = |delta: Value, finish: Value| {
            chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]))
        };
        let word = delta(
            json!({"role": "assistant", "content": "counted"}),
            Value::Null,
        );
        let mut last = chunk(json!([]));
        last["usage"] = usage;
        Script::sse()
            .data(format!("data: {word}\n\n"))
            .wait(self.pause)
            .data(format!("data: {}\n\n", delta(json!({}), json!("stop"))))
            .data(format!("data: {last}\n\n"))
            .data("data: [DONE]\n\n")
    }

    /// As a message.
    pub fn message(&self) -> Script {
        let usage = |output: u64| {
            json!({"input_tokens": self.input - self.cached, "cache_read_input_tokens": self.cached,
                "cache_creation_input_tokens": 0, "output_tokens": output})
        };
        let whole = |content: Value, stop: Value, output: u64| {
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": self.model, "content": content,
                "stop_reason": stop, "stop_sequence": null, "usage": usage(output)})
        };
        if !self.stream {
            let content = json!([{"type": "text", "text": "counted"}]);
            return Script::json(200, &whole(content, json!("end_turn"), self.output));
        }
        let events = [
            json!({"type": "message_start", "message": whole(json!([]), Value::Null, 1)}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "counted"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": self.output}}),
            json!({"type": "message_stop"}),
        ];
        events.iter().fold(Script::sse(), |script, event| {
            let kind = event["type"].as_str().unwrap();
            let script = script.data(format!("event: {kind}\ndata: {event}\n\n"));
            if kind == "content_block_delta" {
                script.wait(self.pause)
            } else {
                script
            }
        })
    }
}
