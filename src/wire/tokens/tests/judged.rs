//! What commits, what fails, and what is no answer.

use super::*;
use crate::report::Usage;

#[test]
fn what_commits() {
    use Surface::{ChatCompletions as Chat, Messages, Responses};
    for (surface, data, commits) in [
        (
            Chat,
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            false,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":null}}]}"#,
            false,
        ),
        (Chat, r#"{"choices":[],"prompt_filter_results":[]}"#, false),
        (
            Chat,
            r#"{"choices":[{"delta":{"content":[{"type":"text","text":"parts"}]}}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{"function_call":{"name":"f"}}}]}"#,
            true,
        ),
        (Chat, r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#, true),
        (Chat, r#"{"choices":[{"delta":{"refusal":"no"}}]}"#, true),
        (
            Chat,
            r#"{"choices":[{"delta":{"audio":{"id":"a"}}}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{}},{"delta":{"content":"second choice"}}]}"#,
            true,
        ),
        (Chat, r#"{"choices":"what","model":7}"#, false),
        (Chat, r#"[1,2]"#, false),
        (Chat, r#""text""#, false),
        (
            Chat,
            r#"{"choices":[{"delta":{"content":"a"}}],"choices":[{"delta":{"content":"last wins"}}]}"#,
            true,
        ),
        (Messages, r#"{"type":"ping"}"#, false),
        (
            Messages,
            r#"{"type":"unheard_of","delta":{"text":"x"}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"content_block_start","content_block":{"type":"redacted_thinking","data":"x"}}"#,
            true,
        ),
        (
            Messages,
            r#"{"type":"content_block_start","content_block":{"type":"server_tool_use","name":"s"}}"#,
            true,
        ),
        (
            Messages,
            r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"s"}}"#,
            true,
        ),
        (
            Messages,
            r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":""}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"message_delta","delta":{"stop_reason":null}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
            true,
        ),
        (Messages, r#"{"type":"message_stop"}"#, true),
        (
            Responses,
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            false,
        ),
        (
            Responses,
            r#"{"type":"response.output_item.added","item":{"type":"custom_tool_call","name":"t"}}"#,
            true,
        ),
        (
            Responses,
            r#"{"type":"response.output_item.done","item":{"type":"compaction"}}"#,
            true,
        ),
        (
            Responses,
            r#"{"type":"response.output_text.delta","delta":""}"#,
            false,
        ),
        (
            Responses,
            r#"{"type":"response.custom_tool_call_input.delta","delta":"x"}"#,
            true,
        ),
        (
            Responses,
            r#"{"type":"response.content_part.added","part":{"type":"output_text","text":""}}"#,
            false,
        ),
        (
            Responses,
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            true,
        ),
    ] {
        let seen = streamed(surface, false, &format!("data: {data}\n\n"));
        assert_eq!(seen.committed, commits, "{data}");
        assert_eq!(seen.failure, None, "{data}");
    }
}

#[test]
fn failures_inside_streams() {
    use Surface::{ChatCompletions as Chat, Messages, Responses};
    for (surface, stream, want, kind) in [
        (
            Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            529,
            "overloaded_error",
        ),
        (
            Messages,
            "data: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"\"}}\n\n",
            500,
            "api_error",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"quota\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}\n\n",
            429,
            "insufficient_quota",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}\n\n",
            429,
            "rate_limit_exceeded",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"bad key\",\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}\n\n",
            401,
            "invalid_api_key",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"code\":null}}\n\n",
            400,
            "invalid_request_error",
        ),
        (
            Chat,
            "data: {\"id\":\"x\",\"error\":{\"code\":502,\"message\":\"up\"},\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
            502,
            "error",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"x\",\"code\":\"503\"}}\n\n",
            503,
            "error",
        ),
        (Chat, "data: {\"error\":\"plain words\"}\n\n", 500, "error"),
        (
            Chat,
            "data: {\"object\":\"error\",\"message\":\"m\",\"code\":400}\n\n",
            400,
            "error",
        ),
        (
            Chat,
            "event: error\ndata: Internal Server Error\n\n",
            500,
            "error",
        ),
        (
            Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
            500,
            "server_error",
        ),
        (
            Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n",
            429,
            "rate_limit_exceeded",
        ),
        (
            Responses,
            "data: {\"type\":\"response.failed\"}\n\n",
            500,
            "response.failed",
        ),
        (
            Responses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_is_overloaded\",\"message\":\"m\"}\n\n",
            503,
            "server_is_overloaded",
        ),
        (
            Responses,
            "data: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\",\"message\":\"m\"}}\n\n",
            400,
            "context_length_exceeded",
        ),
        (Chat, "data: oops\n\n", 0, "malformed"),
        (Chat, "data: {\"choices\":[\n\n", 0, "malformed"),
        (
            Messages,
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"cut in the mid",
            0,
            "malformed",
        ),
    ] {
        let seen = streamed(surface, false, stream);
        assert_eq!(
            status(seen.failure),
            Some((want, kind.to_owned())),
            "{stream}"
        );
        assert!(!seen.committed, "no content: {stream}");
        let later =
            format!("{stream}data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}]}}\n\n");
        assert!(
            !streamed(surface, false, &later).committed,
            "what follows a failure is no content: {stream}"
        );
    }
    for harmless in [
        "data: {\"error\":null,\"choices\":[]}\n\n",
        "data:\n\n",
        "data:  \n\n",
        "data: {\"error\":{}}\n\n",
    ] {
        assert_eq!(streamed(Chat, false, harmless).failure, None, "{harmless}");
    }
    // JSON that no Rust text can hold is JSON all the same.
    assert_eq!(
        streamed(Chat, false, "data: {\"model\":\"\\ud83d\",\"n\":1e999}\n\n").failure,
        None,
        "half a pair"
    );
}

#[test]
fn a_failure_after_content_is_told_with_it() {
    let mut observer = Observer::stream(Surface::ChatCompletions, false);
    let seen = observer.feed(Bytes::from_static(
        b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"error\":{\"type\":\"server_error\"}}\n\n",
    ));
    assert!(seen.content, "content came first");
    assert_eq!(
        status(seen.failure),
        Some((500, "server_error".to_owned())),
        "and then the failure"
    );
    assert!(!observer.may_end(), "no end was seen");
}

#[test]
fn whole_answers_judged() {
    let chat = Endpoint::Generate(Surface::ChatCompletions);
    for (body, want) in [
        ("", Some((0, "malformed"))),
        ("<html>", Some((0, "malformed"))),
        ("{\"choices\":[", Some((0, "malformed"))),
        (
            r#"{"error":{"type":"server_error","message":"m"}}"#,
            Some((500, "server_error")),
        ),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            Some((529, "overloaded_error")),
        ),
        (
            r#"{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded"}}"#,
            Some((429, "rate_limit_exceeded")),
        ),
        (
            r#"{"object":"error","message":"m","code":404}"#,
            Some((404, "error")),
        ),
        (r#"{"error":null,"choices":[]}"#, None),
        (r#"{"choices":[],"choices":[]}"#, None),
        ("[]", None),
    ] {
        let seen = whole(chat, body);
        assert_eq!(
            status(seen.failure),
            want.map(|(status, kind)| (status, kind.to_owned())),
            "{body}"
        );
        assert_eq!(seen.committed, want.is_none(), "{body}");
    }
    let counted = whole(Endpoint::CountTokens, r#"{"input_tokens":14}"#);
    assert_eq!(
        (counted.facts.0, counted.committed),
        (None, true),
        "a count is no usage"
    );
    let embedded = whole(
        Endpoint::Generate(Surface::Embeddings),
        r#"{"object":"list","data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
    );
    assert_eq!(embedded.facts.0, Some(Usage::tokens(8, 0)), "embeddings");
}
