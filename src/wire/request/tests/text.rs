//! What is counted, and what is kept.

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
        let (pieces, _) = pieces(*endpoint, json);
        assert_eq!(pieces, *want, "{name}");
    }
}

#[test]
fn what_is_no_text_counts_by_a_bound() {
    let sealed = "E".repeat(4_000);
    let long = "E".repeat(1 << 20);
    let cases: &[(Endpoint, String, u64)] = &[
        (
            CHAT,
            format!(r#"{{"image_url":{{"url":"data:image/png;base64,{long}"}}}}"#),
            4_784,
        ),
        (
            CHAT,
            r#"{"image_url":{"url":"data:image/png;base64,AAAA"}}"#.to_owned(),
            28,
        ),
        (
            CHAT,
            r#"{"image_url":{"url":"https://x.example/a.png"}}"#.to_owned(),
            0,
        ),
        (
            MESSAGES,
            format!(r#"{{"source":{{"media_type":"image/png","data":"{long}"}}}}"#),
            4_784,
        ),
        (
            MESSAGES,
            format!(r#"{{"source":{{"data":"{long}","media_type":"image/png"}}}}"#),
            4_784,
        ),
        (
            CHAT,
            format!(r#"{{"file":{{"file_data":"{sealed}"}}}}"#),
            1_000,
        ),
        (
            CHAT,
            format!(r#"{{"file":{{"file_data":"{long}"}}}}"#),
            32_768,
        ),
        (
            RESPONSES,
            format!(r#"{{"encrypted_content":"{sealed}"}}"#),
            1_000,
        ),
        (
            MESSAGES,
            format!(r#"{{"type":"redacted_thinking","data":"{sealed}"}}"#),
            1_000,
        ),
        (
            MESSAGES,
            r#"{"type":"thinking","thinking":"","signature":"S"}"#.to_owned(),
            0,
        ),
    ];
    for (endpoint, part, want) in cases {
        let name = if *endpoint == RESPONSES {
            "input"
        } else {
            "messages"
        };
        let json = format!(r#"{{"model":"m","{name}":[{{"content":[{part}]}}]}}"#);
        let (pieces, known) = pieces(*endpoint, &json);
        assert_eq!((pieces.len(), known), (0, *want), "{:.80}", part);
    }
    for member in [
        r#""response_format":{"json_schema":{"schema":{"type":"object"}}}"#,
        r#""prediction":{"type":"content","content":"predicted"}"#,
    ] {
        let (pieces, _) = pieces(CHAT, &format!(r#"{{"model":"m",{member}}}"#));
        assert_eq!(pieces.len(), 1, "{member}");
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

#[test]
fn what_its_provider_keeps_is_known_by_any_spelling() {
    for (endpoint, more, stored) in [
        (CHAT, "", false),
        (CHAT, r#","store":null"#, false),
        (CHAT, r#","store":false"#, false),
        (CHAT, r#","store":true"#, true),
        (CHAT, r#","Store":1,"store":false"#, true),
        (RESPONSES, "", true),
        (RESPONSES, r#","store":null"#, true),
        (RESPONSES, r#","store":false"#, false),
        (RESPONSES, r#","store":false,"st\u006fre":true"#, true),
    ] {
        let json = format!(r#"{{"model":"m"{more}}}"#);
        let body = parse(endpoint, &json);
        assert_eq!(body.is_stored(), stored, "{endpoint:?} {json}");
    }
}
