//! Bodies, good and bad, and the laws of editing them.

mod bad;
mod edits;
mod laws;
mod text;

use bytes::Bytes;

use super::*;
use crate::{Endpoint, Surface};

const CHAT: Endpoint = Endpoint::Generate(Surface::ChatCompletions);
const COMPLETIONS: Endpoint = Endpoint::Generate(Surface::Completions);
const RESPONSES: Endpoint = Endpoint::Generate(Surface::Responses);
const EMBEDDINGS: Endpoint = Endpoint::Generate(Surface::Embeddings);
const MESSAGES: Endpoint = Endpoint::Generate(Surface::Messages);

fn parse(endpoint: Endpoint, json: &str) -> RequestBody {
    RequestBody::parse(endpoint, Bytes::copy_from_slice(json.as_bytes()))
        .unwrap_or_else(|error| panic!("{json:.200} was refused: {error}"))
}

/// Changes nothing but what rendering always changes.
fn no_edit(body: &RequestBody) -> Edit<'_> {
    Edit {
        model: body.model(),
        strip: &[],
        max_output_tokens: None,
        include_usage: false,
        limit: None,
    }
}

fn rendered(body: &RequestBody, edit: &Edit<'_>) -> String {
    String::from_utf8(body.render(edit).to_vec()).expect("rendering keeps UTF-8")
}

#[test]
fn reads_what_each_surface_has() {
    // endpoint, body, model, fallbacks, stream, wants usage, limit
    type Case = (
        Endpoint,
        &'static str,
        &'static str,
        &'static [&'static str],
        bool,
        bool,
        Option<u64>,
    );
    let cases: &[Case] = &[
        (CHAT, r#"{"model":"m"}"#, "m", &[], false, false, None),
        (
            CHAT,
            "\r\n\t {\"model\" :\n\"m\"} \n",
            "m",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"openai:gpt-4o","stream":true}"#,
            "openai:gpt-4o",
            &[],
            true,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","models":["b","c:d/e:f"]}"#,
            "a",
            &["b", "c:d/e:f"],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","models":[],"stream":false}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","models":null,"stream":null,"max_tokens":null}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":5}"#,
            "a",
            &[],
            false,
            false,
            Some(5),
        ),
        (
            CHAT,
            r#"{"model":"a","max_completion_tokens":7,"max_tokens":5}"#,
            "a",
            &[],
            false,
            false,
            Some(7),
        ),
        (
            CHAT,
            r#"{"model":"a","max_output_tokens":-1}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":9007199254740991}"#,
            "a",
            &[],
            false,
            false,
            Some(MAX_TOKEN_LIMIT),
        ),
        (
            COMPLETIONS,
            r#"{"model":"a","max_tokens":0,"prompt":"x"}"#,
            "a",
            &[],
            false,
            false,
            Some(0),
        ),
        (
            COMPLETIONS,
            r#"{"model":"a","max_completion_tokens":"x"}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            RESPONSES,
            r#"{"model":"a","max_output_tokens":3,"stream":true}"#,
            "a",
            &[],
            true,
            false,
            Some(3),
        ),
        (
            RESPONSES,
            r#"{"model":"a","max_tokens":3.5,"stream_options":[]}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            MESSAGES,
            r#"{"model":"a","max_tokens":32000,"stream":true}"#,
            "a",
            &[],
            true,
            false,
            Some(32000),
        ),
        (
            EMBEDDINGS,
            r#"{"model":"a","stream":true,"max_tokens":"x"}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            Endpoint::CountTokens,
            r#"{"model":"a","stream":true,"max_tokens":1}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            "a",
            &[],
            true,
            true,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":false}}"#,
            "a",
            &[],
            true,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","stream":true,"stream_options":null}"#,
            "a",
            &[],
            true,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","stream_options":{"include_usage":true}}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            RESPONSES,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            "a",
            &[],
            true,
            false,
            None,
        ),
        // The last of several wins, however it is spelled.
        (
            CHAT,
            r#"{"model":"a","model":"b"}"#,
            "b",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"a","mod\u0065l":"b"}"#,
            "b",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":7,"model":"b","stream":"x","stream":true}"#,
            "b",
            &[],
            true,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"b","Model":"c","MODEL":7,"model\u0000x":"d"}"#,
            "b",
            &[],
            false,
            false,
            None,
        ),
        // Odd, but JSON: lone surrogates, NULs and huge numbers in what is not ours.
        (
            CHAT,
            r#"{"model":"a","messages":["\ud800","\u0000"],"seed":1e999,"n":-0,"x":123456789012345678901234567890}"#,
            "a",
            &[],
            false,
            false,
            None,
        ),
        (
            CHAT,
            r#"{"model":"gpt\u002d4o \ud83d\ude00"}"#,
            "gpt-4o 😀",
            &[],
            false,
            false,
            None,
        ),
    ];
    for &(endpoint, json, model, fallbacks, stream, wants_usage, limit) in cases {
        let body = parse(endpoint, json);
        assert_eq!(body.model(), model, "{json}");
        assert_eq!(body.fallbacks(), fallbacks, "{json}");
        assert_eq!(body.stream(), stream, "{json}");
        assert_eq!(body.wants_usage_chunk(), wants_usage, "{json}");
        assert_eq!(body.max_output_tokens(), limit, "{json}");
        assert_eq!(body.prompt_bound(), json.len() as u64, "{json}");
    }
}

#[test]
fn a_body_of_few_values_is_read_as_any_other() {
    let few =
        |json: &str, values| RequestBody::parse_few(CHAT, &Bytes::from(json.to_owned()), values);
    // Keys are no values.
    let json = r#"{"model":"m","messages":[{"role":"user","content":"hi"},[1,[]]]}"#;
    let read = few(json, 8).unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", parse(CHAT, json)));
    for fewer in 0..8 {
        assert!(few(json, fewer).is_none(), "{fewer}");
    }
    for bad in [
        "",
        "[]",
        r#"{"model":1}"#,
        r#"{"model":"m","x":[1,}"#,
        "{\"model\":\"m\"}}",
    ] {
        let whole = RequestBody::parse(CHAT, Bytes::from(bad.to_owned()));
        assert_eq!(
            few(bad, 8).unwrap().unwrap_err(),
            whole.unwrap_err(),
            "{bad}"
        );
    }
}
