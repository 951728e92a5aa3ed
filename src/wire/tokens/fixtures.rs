//! The same answer streamed and whole, on every surface, after the providers' public references.

use crate::report::Usage;
use crate::{Endpoint, Surface};

/// One answer in both forms, and what an observer must see in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixture {
    pub name: &'static str,
    pub surface: Surface,
    /// The whole stream.
    pub stream: &'static str,
    /// Bytes of the stream before the event that commits, and with it.
    pub commit: &'static str,
    pub whole: &'static str,
    pub usage: Usage,
    pub model: &'static str,
    pub finish: &'static str,
    pub text: &'static str,
}

impl Fixture {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Generate(self.surface)
    }
}

pub(crate) const CHAT: Fixture = Fixture {
    name: "OpenAI chat completion with a usage chunk",
    surface: Surface::ChatCompletions,
    stream: concat!(
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"Héllo"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":" \"wor\u006cd\""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":16,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0}}}"#,
        "\n\n",
        "data: [DONE]\n\n",
    ),
    commit: r#"{"content":"Héllo"}"#,
    whole: r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Héllo \"world\"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":16,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0}},"service_tier":"default"}"#,
    usage: Usage::of(19, 16, 0, 10, 4),
    model: "gpt-4o-2024-08-06",
    finish: "stop",
    text: "Héllo \"world\"",
};

pub(crate) const TOOLS: Fixture = Fixture {
    name: "DeepSeek tool call with reasoning, usage in the last content chunk, CRLF and comments",
    surface: Surface::ChatCompletions,
    stream: concat!(
        ": keep-alive\r\n\r\n",
        r#"data: {"id":"d","model":"deepseek-v4","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"finish_reason":null}]}"#,
        "\r\n\r\n",
        r#"data: {"id":"d","model":"deepseek-v4","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Weather."},"finish_reason":null}]}"#,
        "\r\n\r\n",
        ": keep-alive\r\n\r\n",
        r#"data: {"id":"d","model":"deepseek-v4","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_0","type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]}"#,
        "\r\n\r\n",
        r#"data: {"id":"d","model":"deepseek-v4","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Zürich\"}"}}]},"finish_reason":null}]}"#,
        "\r\n\r\n",
        r#"data: {"id":"d","model":"deepseek-v4","choices":[{"index":0,"delta":{"content":""},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":100,"completion_tokens":21,"total_tokens":121,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        "\r\n\r\n",
        "data: [DONE]\r\n\r\n",
    ),
    commit: r#"{"content":null,"reasoning_content":"Weather."}"#,
    whole: r#"{"id":"d","model":"deepseek-v4","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"Weather.","tool_calls":[{"index":0,"id":"call_0","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Zürich\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":100,"completion_tokens":21,"total_tokens":121,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens_details":{"reasoning_tokens":3}}}"#,
    usage: Usage::of(100, 64, 0, 21, 3),
    model: "deepseek-v4",
    finish: "tool_calls",
    text: "Weather.get_weather{\"city\":\"Zürich\"}",
};

pub(crate) const GROQ: Fixture = Fixture {
    name: "Groq, usage under x_groq",
    surface: Surface::ChatCompletions,
    stream: concat!(
        r#"data: {"id":"g","model":"llama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"x_groq":{"id":"req_1"}}"#,
        "\n\n",
        r#"data: {"id":"g","model":"llama","choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"g","model":"llama","choices":[{"index":0,"delta":{},"finish_reason":"length"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.01,"prompt_tokens":7,"prompt_time":0.003,"completion_tokens":1,"total_tokens":8}}}"#,
        "\n\n",
        "data: [DONE]\n\n",
    ),
    commit: r#"{"content":"ok"}"#,
    whole: r#"{"id":"g","model":"llama","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"length"}],"usage":{"queue_time":0.01,"prompt_tokens":7,"completion_tokens":1,"total_tokens":8},"x_groq":{"id":"req_1"}}"#,
    usage: Usage::of(7, 0, 0, 1, 0),
    model: "llama",
    finish: "length",
    text: "ok",
};

pub(crate) const COMPLETION: Fixture = Fixture {
    name: "text completion",
    surface: Surface::Completions,
    stream: concat!(
        r#"data: {"id":"t","object":"text_completion","model":"gpt-3.5-turbo-instruct","choices":[{"text":"","index":0,"logprobs":null,"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"t","object":"text_completion","model":"gpt-3.5-turbo-instruct","choices":[{"text":" is a","index":0,"logprobs":null,"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"t","object":"text_completion","model":"gpt-3.5-turbo-instruct","choices":[{"text":" test","index":0,"logprobs":null,"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"t","object":"text_completion","model":"gpt-3.5-turbo-instruct","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}"#,
        "\n\n",
        "data: [DONE]\n\n",
    ),
    commit: r#"{"text":" is a""#,
    whole: r#"{"id":"t","object":"text_completion","model":"gpt-3.5-turbo-instruct","choices":[{"text":" is a test","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}"#,
    usage: Usage::of(5, 0, 0, 3, 0),
    model: "gpt-3.5-turbo-instruct",
    finish: "stop",
    text: " is a test",
};

pub(crate) const MESSAGE: Fixture = Fixture {
    name: "Anthropic message with thinking and a tool",
    surface: Surface::Messages,
    stream: concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-opus-5","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"output_tokens":1}}}"#,
        "\n\n",
        "event: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        "\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me see."}}"#,
        "\n\n",
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}"#,
        "\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: content_block_start\n",
        r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        "\n\n",
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Checking 漢字"}}"#,
        "\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
        "event: content_block_start\n",
        r#"data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}}"#,
        "\n\n",
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        "\n\n",
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Rome\"}"}}"#,
        "\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
        "event: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"output_tokens":89}}"#,
        "\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
    commit: "Let me see.",
    whole: r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[{"type":"thinking","thinking":"Let me see.","signature":"EqQB"},{"type":"text","text":"Checking 漢字"},{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"city":"Rome"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},"output_tokens":89,"service_tier":"standard"}}"#,
    usage: Usage::of(2125, 2000, 100, 89, 0),
    model: "claude-opus-5",
    finish: "tool_use",
    text: "Let me see.Checking 漢字get_weather{\"city\":\"Rome\"}",
};

pub(crate) const RESPONSE: Fixture = Fixture {
    name: "OpenAI response with reasoning and a function call",
    surface: Surface::Responses,
    stream: concat!(
        "event: response.created\n",
        r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","error":null,"incomplete_details":null,"model":"gpt-5.2","output":[],"usage":null}}"#,
        "\n\n",
        "event: response.output_item.added\n",
        r#"data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}"#,
        "\n\n",
        "event: response.reasoning_summary_text.delta\n",
        r#"data: {"type":"response.reasoning_summary_text.delta","sequence_number":2,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"Thinking."}"#,
        "\n\n",
        "event: response.output_item.done\n",
        r#"data: {"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Thinking."}]}}"#,
        "\n\n",
        "event: response.output_text.delta\n",
        r#"data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"Hi 🙂","logprobs":[]}"#,
        "\n\n",
        "event: response.output_item.added\n",
        r#"data: {"type":"response.output_item.added","sequence_number":5,"output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"get_weather"}}"#,
        "\n\n",
        "event: response.function_call_arguments.delta\n",
        r#"data: {"type":"response.function_call_arguments.delta","sequence_number":6,"item_id":"fc_1","output_index":2,"delta":"{\"a\":1}"}"#,
        "\n\n",
        "event: response.completed\n",
        r#"data: {"type":"response.completed","sequence_number":7,"response":{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"gpt-5.2","output":[],"usage":{"input_tokens":328,"input_tokens_details":{"cached_tokens":128},"output_tokens":52,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":380}}}"#,
        "\n\n",
    ),
    commit: r#""delta":"Thinking.""#,
    whole: r#"{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"gpt-5.2","output":[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Thinking."}]},{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi 🙂","annotations":[]}]},{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"call_1","name":"get_weather"}],"usage":{"input_tokens":328,"input_tokens_details":{"cached_tokens":128},"output_tokens":52,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":380}}"#,
    usage: Usage::of(328, 128, 0, 52, 20),
    model: "gpt-5.2",
    finish: "completed",
    text: "Thinking.Hi 🙂get_weather{\"a\":1}",
};

pub(crate) const ALL: [Fixture; 6] = [CHAT, TOOLS, GROQ, COMPLETION, MESSAGE, RESPONSE];
