//! Requests from the providers' public references, named with each, brought together where one page shows
//! several features.

use super::*;

/// The examples and the surfaces they are for.
pub(super) fn bodies() -> [(Surface, Value); 4] {
    [
        (CHAT, chat_agent()),
        (CHAT, chat_schema()),
        (MESSAGES, messages_agent()),
        (RESPONSES, responses_agent()),
    ]
}

/// platform.openai.com/docs/guides/function-calling, .../images-vision, .../pdf-files.
pub(super) fn chat_agent() -> Value {
    json!({
        "model": "gpt-4.1",
        "messages": [
            {"role": "developer", "content": "You are a helpful assistant."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is in these?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/boardwalk.jpg", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "file", "file": {"filename": "draft.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_12345xyz", "type": "function", "function": {"name": "get_weather", "arguments": "{\"location\":\"Paris, France\"}"}},
                {"id": "call.67890:abc", "type": "function", "function": {"name": "get_weather", "arguments": "{\"location\":\"Bogotá\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_12345xyz", "content": "14"},
            {"role": "tool", "tool_call_id": "call.67890:abc", "content": "18"},
            {"role": "system", "content": "Answer in Celsius."},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "get_weather",
            "description": "Get current temperature for a given location.",
            "parameters": {
                "type": "object",
                "properties": {"location": {"type": "string", "minLength": 1}},
                "required": ["location"],
                "additionalProperties": false,
            },
            "strict": true,
        }}],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "max_completion_tokens": 2000,
        "temperature": 1.4,
        "stop": ["END"],
        "seed": 7,
        "logprobs": true,
        "user": "user-1234",
        "service_tier": "flex",
        "stream": true,
        "stream_options": {"include_usage": true},
    })
}

/// platform.openai.com/docs/guides/structured-outputs, .../reasoning, .../prompt-caching.
pub(super) fn chat_schema() -> Value {
    json!({
        "model": "gpt-5.6-luna",
        "messages": [
            {"role": "system", "content": "Extract the event information."},
            {"role": "user", "content": "Alice and Bob are going to a science fair on Friday."},
        ],
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "calendar_event",
            "strict": true,
            "schema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "participants": {"type": "array", "items": {"type": "string"}}},
                "required": ["name", "participants"],
                "additionalProperties": false,
            },
        }},
        "reasoning_effort": "medium",
        "verbosity": "low",
        "prompt_cache_key": "events",
        "metadata": {"topic": "demo"},
    })
}

/// docs.claude.com/en/api/messages, platform.claude.com/docs "Tool use", "Vision", "PDF support", "Prompt
/// caching", "Extended thinking", "Structured outputs".
pub(super) fn messages_agent() -> Value {
    json!({
        "model": "claude-opus-4-8",
        "max_tokens": 16000,
        "system": [
            {"type": "text", "text": "You are an AI assistant tasked with analyzing literary works."},
            {"type": "text", "text": "<the entire contents of Pride and Prejudice>", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQSkZJRg=="}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/ant.jpg"}},
                {"type": "document", "title": "A report", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
                {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "Plain text."}},
                {"type": "text", "text": "Describe these."},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Let me look.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"},
                {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
                {"type": "text", "text": "I will check the weather."},
                {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "get_weather", "input": {"location": "San Francisco, CA", "unit": "celsius"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01A09q90qw90lq917835lq9", "is_error": true, "content": [
                    {"type": "text", "text": "15 degrees"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQSkZJRg=="}},
                ]},
                {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ]},
            {"role": "system", "content": "The user is in a hurry."},
        ],
        "tools": [
            {"name": "get_weather", "description": "Get the weather.", "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": false}}},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "{\"device_id\":\"0123456789012345678901234567890123456789\",\"session_id\":\"abc\"}"},
        "stop_sequences": ["\n\nHuman:"],
        "top_k": 5,
        "service_tier": "standard_only",
        "stream": true,
    })
}

/// platform.openai.com/docs/api-reference/responses/create, .../guides/function-calling (custom tools), and
/// the items that coding agents were seen to send.
pub(super) fn responses_agent() -> Value {
    json!({
        "model": "gpt-5.6-luna",
        "instructions": "You are a coding agent.",
        "input": [
            {"type": "message", "role": "developer", "id": "msg_1", "content": [{"type": "input_text", "text": "<permissions>read-only</permissions>"}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "What does main do?"},
                {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="},
                {"type": "input_file", "filename": "letter.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            ]},
            {"type": "reasoning", "id": "rs_68af4030", "summary": [{"type": "summary_text", "text": "I should look."}], "encrypted_content": "gAAAAABoISQ24OyVRYbkYfuk"},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read", "namespace": "files", "arguments": "{\"path\":\"main.rs\"}", "status": "completed"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin Patch\n*** End Patch"},
            {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "fn main() {}"}]},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"},
            {"role": "user", "content": "Go on."},
        ],
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs a command.", "strict": false, "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}},
            {"type": "namespace", "name": "files", "description": "Files.", "tools": [
                {"type": "function", "name": "read", "description": "Reads a file.", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
            ]},
            {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"}},
            {"type": "web_search"},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"effort": "high", "summary": "auto"},
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199",
        "client_metadata": {"session": "x"},
        "stream": true,
    })
}
