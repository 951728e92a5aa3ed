//! Bodies that are refused, with the words their senders read.

use super::super::index::MAX_MEMBERS;
use super::*;

fn refusal(endpoint: Endpoint, json: &[u8]) -> BadRequest {
    match RequestBody::parse(endpoint, Bytes::copy_from_slice(json)) {
        Err(error) => error,
        Ok(_) => panic!("accepted {:.200}", String::from_utf8_lossy(json)),
    }
}

#[test]
fn refuses_what_is_not_one_json_object() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"\"model\"", "not a JSON object"),
        (b"model=gpt-4o", "not a JSON object"),
        (b"\xef\xbb\xbf{\"model\":\"a\"}", "byte order mark"),
        (b"{\"model\":\"a\"", "unexpected end at line 1 column 13"),
        (b"{\"model\":\"a\"}x", "trailing characters"),
        (b"{\"model\":\"a\"}{}", "trailing characters"),
        (b"{\"model\":\"a\"}\0", "trailing characters"),
        (b"{\"model\":\"a\",}", "expected a key in double quotes"),
        (b"{\"model\":\"a\" \"b\":1}", "expected `,` or `}`"),
        (
            b"{'model':'a'}",
            "expected a key in double quotes at line 1 column 2",
        ),
        (
            b"{model:\"a\"}",
            "expected a key in double quotes at line 1 column 2",
        ),
        (
            b"{\"model\":\"a\",\"x\":01}",
            "invalid number at line 1 column 19",
        ),
        (b"{\"model\":\"a\",\"x\":NaN}", "expected a value"),
        (b"{\"model\":\"a\",\"x\":\"\x01\"}", "control character"),
        (b"{\"model\":\"a\",\"x\":\"\n\"}", "control character"),
        (b"{\"model\":\"a\",\"x\":\"\\q\"}", "invalid escape"),
        (b"{\"model\":\"a\",\"x\":[1,]}", "expected a value"),
        (
            b"{\"model\":\"a\",\"x\":\"\xff\"}",
            "not valid UTF-8 at byte 18",
        ),
        (
            b"{\"model\":\"a\",\"x\":\"\xed\xa0\x80\"}",
            "not valid UTF-8",
        ),
        (b"{\"model\":\"a\",\"x\":\"\xc0\x80\"}", "not valid UTF-8"),
        (
            b"{\"\\ud800\":1,\"model\":\"a\"}",
            "lone surrogate in a key",
        ),
        (
            b"{\"model\":\"a\",\n\n \"x\":}",
            "expected a value at line 3 column 6",
        ),
        (b"\xff\xfe{\0\"\0", "not valid UTF-8"),
    ];
    for (json, why) in cases {
        let error = refusal(CHAT, json);
        let shown = String::from_utf8_lossy(json);
        assert!(error.message.contains(why), "{shown}: {error}");
        assert!(
            error
                .message
                .starts_with("We could not parse the JSON body"),
            "{shown}: {error}"
        );
        assert_eq!(error.param, None, "{shown}");
    }
}

#[test]
fn refuses_wrong_types_by_name() {
    let too_many = format!(
        r#"{{"model":"a","models":[{}"x"]}}"#,
        r#""x","#.repeat(MAX_FALLBACKS)
    );
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_MODEL + 1));
    let cases: &[(Endpoint, &str, &str, &str)] = &[
        (CHAT, "{}", "model", "you must provide a model parameter"),
        (
            CHAT,
            r#"{"models":["a"]}"#,
            "model",
            "you must provide a model parameter",
        ),
        (
            CHAT,
            r#"{"Model":"a"}"#,
            "model",
            "you must provide a model parameter",
        ),
        (CHAT, r#"{"model":null}"#, "model", "expected a string"),
        (CHAT, r#"{"model":7}"#, "model", "expected a string"),
        (CHAT, r#"{"model":["a"]}"#, "model", "expected a string"),
        (CHAT, r#"{"model":{"a":"b"}}"#, "model", "expected a string"),
        (
            CHAT,
            r#"{"model":"a","model":7}"#,
            "model",
            "expected a string",
        ),
        (CHAT, r#"{"model":"\ud800"}"#, "model", "expected a string"),
        (CHAT, r#"{"model":""}"#, "model", "must not be empty"),
        (
            CHAT,
            r#"{"model":"a\u0000b"}"#,
            "model",
            "control characters",
        ),
        (
            CHAT,
            r#"{"model":"a\r\nx-evil: 1"}"#,
            "model",
            "control characters",
        ),
        (CHAT, &long, "model", "at most 1024 bytes"),
        (
            CHAT,
            r#"{"model":"a","models":"b"}"#,
            "models",
            "expected an array of strings",
        ),
        (
            CHAT,
            r#"{"model":"a","models":{}}"#,
            "models",
            "expected an array of strings",
        ),
        (
            CHAT,
            r#"{"model":"a","models":["b",1]}"#,
            "models",
            "expected an array of strings",
        ),
        (
            CHAT,
            r#"{"model":"a","models":[["b"]]}"#,
            "models",
            "expected an array of strings",
        ),
        (
            CHAT,
            r#"{"model":"a","models":["b",""]}"#,
            "models",
            "must not be empty",
        ),
        (CHAT, &too_many, "models", "at most 32"),
        (
            CHAT,
            r#"{"model":"a","stream":"true"}"#,
            "stream",
            "expected a boolean",
        ),
        (
            CHAT,
            r#"{"model":"a","stream":1}"#,
            "stream",
            "expected a boolean",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":-1}"#,
            "max_tokens",
            "expected a positive integer",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":-0}"#,
            "max_tokens",
            "expected a positive integer",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":"5"}"#,
            "max_tokens",
            "expected a positive integer",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":true}"#,
            "max_tokens",
            "expected a positive integer",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":5.0}"#,
            "max_tokens",
            "without fraction or exponent",
        ),
        (
            CHAT,
            r#"{"model":"a","max_completion_tokens":1e3}"#,
            "max_completion_tokens",
            "without fraction",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":9007199254740992}"#,
            "max_tokens",
            "at most 9007199254740991",
        ),
        (
            CHAT,
            r#"{"model":"a","max_tokens":99999999999999999999999}"#,
            "max_tokens",
            "at most 9007199254740991",
        ),
        (
            RESPONSES,
            r#"{"model":"a","max_output_tokens":[]}"#,
            "max_output_tokens",
            "expected a positive integer",
        ),
        (
            MESSAGES,
            r#"{"model":"a","max_tokens":{}}"#,
            "max_tokens",
            "expected a positive integer",
        ),
        (
            COMPLETIONS,
            r#"{"model":"a","max_tokens":"many"}"#,
            "max_tokens",
            "expected a positive integer",
        ),
        (
            EMBEDDINGS,
            r#"{"input":"x"}"#,
            "model",
            "you must provide a model parameter",
        ),
        (
            Endpoint::CountTokens,
            r#"{"model":1}"#,
            "model",
            "expected a string",
        ),
    ];
    for (endpoint, json, param, why) in cases {
        let error = refusal(*endpoint, json.as_bytes());
        assert!(error.message.contains(why), "{json:.80}: {error}");
        assert_eq!(error.param, Some(*param), "{json:.80}");
    }
}

#[test]
fn refuses_depth_and_width_without_a_stack() {
    let nest = |levels: usize| {
        format!(
            r#"{{"model":"a","x":{}{}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    parse(CHAT, &nest(MAX_DEPTH - 1));
    assert!(
        refusal(CHAT, nest(MAX_DEPTH).as_bytes())
            .message
            .contains("at most 128 levels")
    );
    let mut bomb = br#"{"model":"a","x":"#.to_vec();
    bomb.resize(32 << 20, b'[');
    assert!(
        refusal(CHAT, &bomb).message.contains("at most 128 levels"),
        "32 MiB of brackets"
    );
    let objects = format!(r#"{{"model":"a","x":{}"#, r#"{"a":"#.repeat(1 << 20));
    assert!(
        refusal(CHAT, objects.as_bytes())
            .message
            .contains("at most 128 levels")
    );

    let wide = |members: usize| format!(r#"{{"model":"a"{}}}"#, r#","x":1"#.repeat(members - 1));
    parse(CHAT, &wide(MAX_MEMBERS));
    assert!(
        refusal(CHAT, wide(MAX_MEMBERS + 1).as_bytes())
            .message
            .contains("more than 1024 members")
    );
}

#[test]
fn never_quotes_the_body() {
    for json in [
        r#"{"model":"a","x":"sk-secret" sk-secret}"#,
        r#"{"model":{"sk-secret":1}}"#,
        r#"{"model":"a","max_tokens":"sk-secret"}"#,
        r#"{"model":"a","stream":"sk-secret"}"#,
        r#"{"model":"a","models":[{"x":"sk-secret"}]}"#,
        r#"{"model":"a","models":"sk-secret"}"#,
        r#""sk-secret""#,
    ] {
        let error = refusal(CHAT, json.as_bytes());
        assert!(!error.message.contains("secret"), "{json}: {error}");
    }
}
