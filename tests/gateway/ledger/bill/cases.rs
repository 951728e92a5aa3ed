//! What providers bill, and what is charged for it.

use serde_json::{Value, json};

use super::{CHAT, MESSAGES, RESPONSES};

/// US dollars per million tokens, as Anthropic's Sonnet.
pub fn sonnet() -> Value {
    json!({"input": 3, "cached_read": 0.3, "cache_write": 3.75, "output": 15})
}

/// What a request is charged, without the fee's 0.05 USD per million tokens.
pub struct Case {
    /// What is billed.
    pub name: &'static str,
    pub path: &'static str,
    /// Beside model and messages.
    pub asks: Value,
    /// The provider's.
    pub answer: Value,
    pub prices: Value,
    /// Input, cached read, cache write, output, reasoning.
    pub figures: [u64; 5],
    /// Nano-dollars, the fee included.
    pub cost: i64,
    pub assumed: bool,
}

/// A chat's answer with this usage.
pub fn chat(usage: Value) -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]})
}

/// A message with this usage.
pub fn message(usage: Value) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage,
        "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "stop_sequence": null})
}

/// Every unit, on every surface that has it.
pub fn cases() -> Vec<Case> {
    let priority = json!({"input": 3, "output": 15, "variants": [
        {"when": {"service_tier": "priority"}, "prices": {"input": 7.5, "output": 37.5}},
        {"when": {"service_tier": "flex"}, "prices": {"input": 1.5, "output": 7.5}}]});
    let fast = json!({"input": 5, "output": 25, "web_search": 10, "variants": [
        {"when": {"speed": "fast", "inference_geo": "us"}, "prices": {"input": 11, "output": 55}},
        {"when": {"speed": "fast"}, "prices": {"input": 10, "output": 50}}]});
    let tier = |served: &str| {
        let mut answer = chat(
            json!({"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}),
        );
        answer["service_tier"] = json!(served);
        answer["choices"][0]["message"]["content"] = json!("");
        answer
    };
    let case = |name, path, asks, answer, prices, figures, cost| Case {
        name,
        path,
        asks,
        answer,
        prices,
        figures,
        cost,
        assumed: false,
    };
    vec![
        case(
            "one-hour cache writes",
            MESSAGES,
            json!({}),
            message(json!({"input_tokens": 10,
            "cache_creation_input_tokens": 1_000_000, "cache_read_input_tokens": 0, "output_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000_000}})),
            sonnet(),
            [1_000_010, 0, 1_000_000, 10, 0],
            6_050_181_000,
        ),
        case(
            "iterations of a compaction",
            MESSAGES,
            json!({}),
            message(json!({"input_tokens": 23_000,
            "output_tokens": 1_000, "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000}]})),
            sonnet(),
            [203_000, 0, 0, 4_500, 0],
            686_875_000,
        ),
        case(
            "thoughts that only the total tells",
            CHAT,
            json!({}),
            chat(json!({"prompt_tokens": 20, "completion_tokens": 424, "total_tokens": 1_016})),
            sonnet(),
            [20, 0, 0, 996, 572],
            15_050_800,
        ),
        case(
            "fast mode in a region",
            MESSAGES,
            json!({"speed": "fast", "inference_geo": "us"}),
            message(
                json!({"input_tokens": 1_000, "output_tokens": 1_000, "speed": "fast", "inference_geo": "us"}),
            ),
            fast.clone(),
            [1_000, 0, 0, 1_000, 0],
            66_100_000,
        ),
        case(
            "web searches",
            MESSAGES,
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            message(json!({"input_tokens": 1_000, "output_tokens": 1_000,
                "server_tool_use": {"web_search_requests": 5}})),
            fast,
            [1_000, 0, 0, 1_000, 0],
            30_000_000 + 50_000_000 + 100_000,
        ),
        case(
            "asked priority, served priority",
            CHAT,
            json!({"service_tier": "priority"}),
            tier("priority"),
            priority.clone(),
            [1_000_000, 0, 0, 0, 0],
            7_550_000_000,
        ),
        case(
            "asked priority, served default",
            CHAT,
            json!({"service_tier": "priority"}),
            tier("default"),
            priority.clone(),
            [1_000_000, 0, 0, 0, 0],
            3_050_000_000,
        ),
        case(
            "asked nothing, served priority",
            CHAT,
            json!({}),
            tier("priority"),
            priority.clone(),
            [1_000_000, 0, 0, 0, 0],
            7_550_000_000,
        ),
        case(
            "asked flex, served flex",
            CHAT,
            json!({"service_tier": "flex"}),
            tier("flex"),
            priority,
            [1_000_000, 0, 0, 0, 0],
            1_550_000_000,
        ),
        Case {
            assumed: true,
            ..case(
                "served a tier that has no price",
                CHAT,
                json!({}),
                tier("priority"),
                sonnet(),
                [1_000_000, 0, 0, 0, 0],
                7_550_000_000,
            )
        },
        case(
            "audio both ways",
            CHAT,
            json!({"modalities": ["text", "audio"], "audio": {"voice": "v"}}),
            chat(
                json!({"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000,
                "prompt_tokens_details": {"audio_tokens": 900}, "completion_tokens_details": {"audio_tokens": 900}}),
            ),
            json!({"input": 3, "output": 15, "input_audio": 40, "output_audio": 80}),
            [1_000, 0, 0, 1_000, 0],
            300_000 + 36_000_000 + 1_500_000 + 72_000_000 + 100_000,
        ),
        Case {
            assumed: true,
            ..case(
                "audio that has no price",
                CHAT,
                json!({}),
                chat(
                    json!({"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000,
                "prompt_tokens_details": {"audio_tokens": 900}, "completion_tokens_details": {"audio_tokens": 900}}),
                ),
                sonnet(),
                [1_000, 0, 0, 1_000, 0],
                300_000 + 13_500_000 + 1_500_000 + 13_500_000 + 100_000,
            )
        },
        case(
            "a search of a response",
            RESPONSES,
            json!({"tools": [{"type": "web_search"}]}),
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                "output": [{"type": "message", "id": "m1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "hello", "annotations": []}]}],
                "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
                "tool_usage": {"web_search": {"num_requests": 2}}}),
            json!({"input": 3, "output": 15, "web_search": 10}),
            [100, 0, 0, 10, 0],
            300_000 + 150_000 + 20_000_000 + 5_500,
        ),
        case(
            "a container of 4 GB",
            RESPONSES,
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]}),
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                "output": [
                    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "container_id": "cntr_1"},
                    {"type": "code_interpreter_call", "id": "ci_2", "status": "completed", "container_id": "cntr_1"}],
                "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}}),
            json!({"input": 3, "output": 15, "code_container": 30}),
            [100, 0, 0, 10, 0],
            300_000 + 150_000 + 4 * 30_000_000 + 5_500,
        ),
        case(
            "figures that are texts, floats and nulls",
            CHAT,
            json!({}),
            chat(
                json!({"prompt_tokens": "20", "completion_tokens": 4.0, "total_tokens": null,
                "prompt_tokens_details": null}),
            ),
            sonnet(),
            [20, 0, 0, 4, 0],
            60_000 + 60_000 + 1_200,
        ),
    ]
}
