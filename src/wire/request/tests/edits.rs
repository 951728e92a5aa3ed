//! What rendering changes, byte for byte.

use super::*;

#[test]
fn without_a_change_the_bytes_are_the_same_allocation() {
    let json = Bytes::from(r#" { "mod\u0065l" : "gpt\u002d4o", "x":[1, 2] , "stream":true } "#);
    let body = RequestBody::parse(CHAT, json.clone()).unwrap();
    let edit = Edit {
        strip: &["temperature"],
        max_output_tokens: Some(5),
        ..no_edit(&body)
    };
    let out = body.render(&edit);
    assert_eq!(out.as_ptr(), json.as_ptr(), "no copy");
    assert_eq!(out.len(), json.len());
}

#[test]
fn splices() {
    let plain = Edit {
        model: "up",
        strip: &[],
        max_output_tokens: None,
        include_usage: false,
        limit: None,
    };
    let usage = Edit {
        include_usage: true,
        ..plain
    };
    let clamp = Edit {
        max_output_tokens: Some(100),
        ..plain
    };
    let limit = Edit {
        limit: Some("max_completion_tokens"),
        ..clamp
    };
    let strip = Edit {
        strip: &[
            "temperature",
            "max_tokens",
            "stream_options",
            "model",
            "stream",
        ],
        ..plain
    };
    let cases: &[(&str, Endpoint, Edit<'_>, &str, &str)] = &[
        (
            "the model in its place",
            CHAT,
            plain,
            r#"{"a": 1 , "model" : "x:up" ,"b":[ ]}"#,
            r#"{"a": 1 , "model" : "up" ,"b":[ ]}"#,
        ),
        (
            "a limit where there is none",
            CHAT,
            limit,
            r#"{"model":"up" }"#,
            r#"{"model":"up","max_completion_tokens":100 }"#,
        ),
        (
            "a limit in the place of one that says nothing",
            CHAT,
            limit,
            r#"{"max_tokens":null,"model":"up","max_completion_tokens":null}"#,
            r#"{"model":"up","max_completion_tokens":100}"#,
        ),
        (
            "no limit beside another",
            CHAT,
            limit,
            r#"{"model":"up","max_tokens":7}"#,
            r#"{"model":"up","max_tokens":7}"#,
        ),
        (
            "the same model",
            CHAT,
            plain,
            r#"{"model":"up"}"#,
            r#"{"model":"up"}"#,
        ),
        (
            "models in the middle",
            CHAT,
            plain,
            r#"{"model":"up" , "models":["b"] , "c":1}"#,
            r#"{"model":"up" , "c":1}"#,
        ),
        (
            "models first",
            CHAT,
            plain,
            r#"{ "models" : ["b"] , "model":"up","c":1}"#,
            r#"{ "model":"up","c":1}"#,
        ),
        (
            "models last",
            CHAT,
            plain,
            r#"{"model":"up","models":[] }"#,
            r#"{"model":"up" }"#,
        ),
        (
            "several first",
            CHAT,
            plain,
            r#"{"models":[],"models":["b"],"Model":1,"model":"up"}"#,
            r#"{"model":"up"}"#,
        ),
        (
            "an earlier duplicate",
            CHAT,
            plain,
            r#"{"model":"a","z":0,"model":"b"}"#,
            r#"{"z":0,"model":"up"}"#,
        ),
        (
            "an escaped duplicate",
            CHAT,
            plain,
            r#"{"model":"up","mod\u0065l":"b"}"#,
            r#"{"mod\u0065l":"up"}"#,
        ),
        (
            "every other spelling",
            CHAT,
            plain,
            r#"{"model":"a","MODEL":"e1","Model":"e2","model\u0000":"e3","modelx":1}"#,
            r#"{"model":"up","modelx":1}"#,
        ),
        (
            "folds outside ASCII",
            CHAT,
            plain,
            "{\"model\":\"up\",\"\u{17f}tream\":true,\"max_to\u{212a}ens\":9}",
            r#"{"model":"up"}"#,
        ),
        (
            "not another surface's",
            EMBEDDINGS,
            plain,
            r#"{"model":"up","Stream":1,"MAX_TOKENS":2}"#,
            r#"{"model":"up","Stream":1,"MAX_TOKENS":2}"#,
        ),
        (
            "duplicates of a limit",
            CHAT,
            clamp,
            r#"{"model":"up","max_tokens":5,"max_tokens":500}"#,
            r#"{"model":"up","max_tokens":100}"#,
        ),
        (
            "a limit is lowered",
            CHAT,
            clamp,
            r#"{"max_tokens": 101,"model":"up"}"#,
            r#"{"max_tokens": 100,"model":"up"}"#,
        ),
        (
            "a limit is not raised",
            CHAT,
            clamp,
            r#"{"model":"up","max_tokens":100,"max_completion_tokens":99}"#,
            r#"{"model":"up","max_tokens":100,"max_completion_tokens":99}"#,
        ),
        (
            "both limits",
            CHAT,
            clamp,
            r#"{"model":"up","max_tokens":1000,"max_completion_tokens":2000}"#,
            r#"{"model":"up","max_tokens":100,"max_completion_tokens":100}"#,
        ),
        (
            "no limit is added",
            MESSAGES,
            clamp,
            r#"{"model":"up","max_tokens":null}"#,
            r#"{"model":"up","max_tokens":null}"#,
        ),
        (
            "only the surface's limit",
            RESPONSES,
            clamp,
            r#"{"model":"up","max_tokens":900,"max_output_tokens":900}"#,
            r#"{"model":"up","max_tokens":900,"max_output_tokens":100}"#,
        ),
        (
            "strip",
            CHAT,
            strip,
            r#"{"temperature":1,"model":"x","tempera\u0074ure":2,"stream":true,"max_tokens":5,"top":{"temperature":3}}"#,
            r#"{"model":"up","stream":true,"top":{"temperature":3}}"#,
        ),
        (
            "quotes and unicode in an id",
            CHAT,
            Edit {
                model: "a\"b\\c/é",
                ..plain
            },
            r#"{"model":"x"}"#,
            r#"{"model":"a\"b\\c/é"}"#,
        ),
        (
            "usage is asked for",
            CHAT,
            usage,
            r#"{"model":"up","stream":true}"#,
            r#"{"model":"up","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "usage, and the last is cut",
            COMPLETIONS,
            usage,
            r#"{"model":"up","stream":true,"models":[] }"#,
            r#"{"model":"up","stream":true,"stream_options":{"include_usage":true} }"#,
        ),
        (
            "usage over null",
            CHAT,
            usage,
            r#"{"stream_options":null,"model":"up","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"up","stream":true}"#,
        ),
        (
            "usage into nothing",
            CHAT,
            usage,
            r#"{"stream_options":{ },"model":"up","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"up","stream":true}"#,
        ),
        (
            "usage merges",
            CHAT,
            usage,
            r#"{"stream_options":{"include_usage":false, "obfuscate" : 1},"model":"up","stream":true}"#,
            r#"{"stream_options":{"obfuscate" : 1,"include_usage":true},"model":"up","stream":true}"#,
        ),
        (
            "usage once",
            CHAT,
            usage,
            r#"{"stream_options":{"a":1,"include_usage":true,"Include_Usage":false},"model":"up","stream":true}"#,
            r#"{"stream_options":{"a":1,"include_usage":true},"model":"up","stream":true}"#,
        ),
        (
            "usage as it is",
            CHAT,
            usage,
            r#"{"stream_options":{ "include_usage": true },"model":"up","stream":true}"#,
            r#"{"stream_options":{ "include_usage": true },"model":"up","stream":true}"#,
        ),
        (
            "odd options stay",
            CHAT,
            usage,
            r#"{"stream_options":"x","model":"up","stream":true}"#,
            r#"{"stream_options":"x","model":"up","stream":true}"#,
        ),
        (
            "duplicate options",
            CHAT,
            usage,
            r#"{"stream_options":{"include_usage":true},"stream_options":{},"model":"up","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"up","stream":true}"#,
        ),
        (
            "no usage without a stream",
            CHAT,
            usage,
            r#"{"model":"up","stream":false}"#,
            r#"{"model":"up","stream":false}"#,
        ),
        (
            "no usage on responses",
            RESPONSES,
            usage,
            r#"{"model":"up","stream":true}"#,
            r#"{"model":"up","stream":true}"#,
        ),
        (
            "no usage on messages",
            MESSAGES,
            usage,
            r#"{"model":"up","stream":true}"#,
            r#"{"model":"up","stream":true}"#,
        ),
        (
            "no usage where it is refused",
            CHAT,
            Edit {
                include_usage: true,
                ..strip
            },
            r#"{"model":"up","stream":true,"stream_options":{}}"#,
            r#"{"model":"up","stream":true}"#,
        ),
    ];
    for (name, endpoint, edit, json, want) in cases {
        let body = parse(*endpoint, json);
        assert_eq!(rendered(&body, edit), *want, "{name}");
    }
}
