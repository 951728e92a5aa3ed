//! What is counted.

use super::*;

fn pieces(endpoint: Endpoint, json: &str) -> (Vec<String>, u64) {
    let mut pieces = Vec::new();
    let ids = parse(endpoint, json).prompt_text(&mut |text| pieces.push(text.to_owned()));
    (pieces, ids)
}

#[test]
fn text_and_nothing_else() {
    let cases: &[(&str, Endpoint, &str, &[&str])] = &[
        (
            "chat",
            CHAT,
            r#"{"model":"m","messages":[{"role":"user","content":"a\nb"},{"role":"user","content":[{"type":"text","text":"c"},{"type":"image_url","image_url":{"url":"data:x"}}]}]}"#,
            &["a\nb", "c"],
        ),
        (
            "chat tool calls",
            CHAT,
            r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"i","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},{"role":"tool","tool_call_id":"i","content":"r"}]}"#,
            &["f", "{\"x\":1}", "r"],
        ),
        (
            "tools as written",
            CHAT,
            r#"{"model":"m","tools":[{"type":"function", "x":1}]}"#,
            &[r#"[{"type":"function", "x":1}]"#],
        ),
        (
            "audio",
            CHAT,
            r#"{"model":"m","messages":[{"content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}"#,
            &[],
        ),
        (
            "messages",
            MESSAGES,
            r#"{"model":"m","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}]}"#,
            &["s", "r"],
        ),
        (
            "tool use",
            MESSAGES,
            r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"S"},{"type":"tool_use","id":"i","name":"n","input":{"q": "v"}}]}]}"#,
            &["t", "n", r#"{"q": "v"}"#],
        ),
        (
            "image",
            MESSAGES,
            r#"{"model":"m","messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#,
            &[],
        ),
        (
            "text document",
            MESSAGES,
            r#"{"model":"m","messages":[{"content":[{"type":"document","source":{"data":"doc","type":"text","media_type":"text/plain"},"title":"T"}]}]}"#,
            &["doc", "T"],
        ),
        (
            "redacted",
            MESSAGES,
            r#"{"model":"m","messages":[{"content":[{"type":"redacted_thinking","data":"AAAA"}]}]}"#,
            &[],
        ),
        (
            "responses string",
            RESPONSES,
            r#"{"model":"m","input":"hi","instructions":"be"}"#,
            &["hi", "be"],
        ),
        (
            "responses items",
            RESPONSES,
            r#"{"model":"m","input":[{"type":"message","id":"msg_1","role":"developer","content":[{"type":"input_text","text":"d"}]},{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"E"},{"type":"function_call","name":"f","arguments":"{}","call_id":"c"},{"type":"function_call_output","call_id":"c","output":"o"},{"type":"custom_tool_call","name":"p","input":"i"}]}"#,
            &["d", "s", "f", "{}", "o", "p", "i"],
        ),
        (
            "prompts",
            COMPLETIONS,
            r#"{"model":"m","prompt":["a","b"],"suffix":"z","user":"no"}"#,
            &["a", "b", "z"],
        ),
        (
            "embeddings",
            EMBEDDINGS,
            r#"{"model":"m","input":"a"}"#,
            &["a"],
        ),
        (
            "odd shapes",
            CHAT,
            r#"{"model":"m","messages":{"content":{"content":["x",[["y"]],null,1,true]}},"system":7}"#,
            &["x", "y"],
        ),
        (
            "a lone surrogate",
            CHAT,
            r#"{"model":"m","messages":"a\ud800"}"#,
            &[r"a\ud800"],
        ),
        (
            "the rest is not the prompt",
            CHAT,
            r#"{"model":"m","metadata":{"text":"no"},"stop":["no"]}"#,
            &[],
        ),
    ];
    for (name, endpoint, json, want) in cases {
        let (pieces, ids) = pieces(*endpoint, json);
        assert_eq!(pieces, *want, "{name}");
        assert_eq!(ids, 0, "{name}");
    }
}

#[test]
fn token_ids_are_counted_where_they_are_prompts() {
    assert_eq!(
        pieces(EMBEDDINGS, r#"{"model":"m","input":[1,22,333]}"#),
        (vec![], 3)
    );
    assert_eq!(
        pieces(COMPLETIONS, r#"{"model":"m","prompt":[[1,2],[3]]}"#),
        (vec![], 3)
    );
    assert_eq!(
        pieces(EMBEDDINGS, r#"{"model":"m","input":[{"n":5}]}"#),
        (vec![], 0)
    );
    assert_eq!(
        pieces(RESPONSES, r#"{"model":"m","input":[1,2]}"#),
        (vec![], 0)
    );
}
