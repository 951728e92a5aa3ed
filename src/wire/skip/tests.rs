use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::text::escape;
use super::*;

fn accepts(json: &[u8]) -> bool {
    value(json, space(json, 0)).is_ok_and(|end| space(json, end) == json.len())
}

pub(crate) fn serde_accepts(json: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json).is_ok()
}

#[test]
fn depth_is_counted_exactly() {
    let nested = |levels: usize| "[{\"a\":".repeat(levels / 2) + "1" + &"}]".repeat(levels / 2);
    assert!(accepts(nested(MAX_DEPTH - 2).as_bytes()));
    assert!(
        accepts(format!("[{}]", nested(MAX_DEPTH - 2)).as_bytes()),
        "127 below the body's own"
    );
    assert!(!accepts(nested(MAX_DEPTH).as_bytes()));
    assert!(
        accepts(format!("[{}[]]", "[],".repeat(5000)).as_bytes()),
        "brackets are not levels"
    );
    assert!(
        accepts(format!("[\"{}\"]", "[".repeat(5000)).as_bytes()),
        "nor are those in strings"
    );
}

#[test]
fn finds_the_end_wherever_it_stands() {
    for len in 1..200 {
        for at in 0..len {
            for (what, width) in [
                ("\"", 1),
                ("\\\"", 2),
                ("\\\\", 2),
                ("\\u00e9", 6),
                ("\n", 1),
                ("\u{1f}", 1),
            ] {
                let fill = if at % 2 == 0 { "\u{7f}" } else { " " };
                let text = format!("{}{what}{}\"", fill.repeat(at), fill.repeat(len - at));
                let found = string(text.as_bytes(), 0);
                let whole = at + width + (len - at) + 1;
                let right = match what {
                    "\"" => found == Ok(at + 1),
                    "\n" | "\u{1f}" => found.is_err_and(|fault| fault.at == at),
                    _ => found == Ok(whole),
                };
                assert!(right, "{what:?} at {at} of {len}: {found:?}");
            }
        }
    }
}

#[test]
fn hands_over_what_is_inside() {
    let inside = |json: &'static [u8]| {
        let mut found: Vec<&[u8]> = Vec::new();
        let read = if json.first() == Some(&b'{') {
            members(json, |key, value| found.extend([key, value]))
        } else {
            let end = array(json, 0, |at| {
                let end = value(json, at)?;
                found.push(&json[at..end]);
                Ok(end)
            });
            end.and_then(|end| nothing(json, end))
        };
        read.map(|()| found)
    };
    for (json, expected) in [
        (&b"[]"[..], vec![]),
        (b"{ }\n", vec![]),
        (
            br#"[1 , [2, "],"],{"a":[]} ] "#,
            vec![&b"1"[..], br#"[2, "],"]"#, br#"{"a":[]}"#],
        ),
        (
            br#"{"a" : 1, "\"b" :{"c":","} }"#,
            vec![&b"a"[..], b"1", br#"\"b"#, br#"{"c":","}"#],
        ),
    ] {
        assert_eq!(inside(json), Ok(expected), "{json:?}");
    }
    for not_one in [
        &b""[..],
        b"null",
        b"[1",
        b"[1,]",
        b"[,]",
        b"[1]2",
        b"[1}",
        b"{",
        b"{}2",
        br#"{"a"}"#,
        br#"{"a":1,}"#,
        br#"{"a":1]"#,
        b"{1:1}",
    ] {
        assert!(inside(not_one).is_err(), "{not_one:?}");
    }
}

/// Texts that are nearly JSON: its tokens in any order.
pub(crate) fn tokens() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\t",
        "\r",
        "\u{c}",
        "\"",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"\\u12\"",
        "\"\\x\"",
        "\"\\\\\"",
        "\"\t\"",
        "\"é\u{7f}\"",
        "0",
        "-",
        "-0",
        "01",
        "1.",
        "1.5",
        ".5",
        "1e",
        "1E+5",
        "1e-",
        "12",
        "true",
        "tru",
        "false",
        "null",
        "nul",
        "\\",
        "+1",
        "\u{feff}",
        "\0",
        "/",
    ]);
    prop::collection::vec(token, 0..8).prop_map(|tokens| tokens.concat())
}

pub(crate) fn valid() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "0",
            "-1.5e+3",
            "true",
            "null",
            "\"\\ud800\\n\"",
            "[ ]",
            "{\t}"
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec(inner, 0..5).prop_map(|all| {
                let all: Vec<_> = all.iter().map(|value| format!("\"k\" :{value}")).collect();
                format!("{{{}}}", all.join(" ,"))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_serde_json_on_tokens(json in tokens()) {
        prop_assert_eq!(accepts(json.as_bytes()), serde_accepts(&json), "{:?}", json);
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_json(
        json in valid(), at in any::<prop::sample::Index>(), cut in 0usize..3, put in tokens(),
    ) {
        prop_assert!(accepts(json.as_bytes()), "{:?}", json);
        let mut chars: Vec<char> = json.chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, put.chars().take(3));
        let json: String = chars.into_iter().collect();
        prop_assert_eq!(accepts(json.as_bytes()), serde_accepts(&json), "{:?}", json);
    }
}

/// As [`string`], a byte at a time.
fn slowly(json: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(json, at).ok()?,
            b' '.. => at += 1,
            _ => return None,
        }
    }
}

#[test]
fn runs_of_backslashes_end_strings_or_not_wherever_they_stand() {
    for offset in 0..150 {
        for run in 0..7 {
            for tail in ["", "n", "\"", "u00e9", "u00g9", "x", "\u{1}"] {
                for rest in [0, 70] {
                    let json = format!(
                        "\"{}{}{tail}{}\"]",
                        "a".repeat(offset),
                        "\\".repeat(run),
                        "n\\\\".repeat(rest)
                    );
                    let json = json.as_bytes();
                    assert_eq!(
                        string(json, 1).ok(),
                        slowly(json, 1),
                        "{}",
                        String::from_utf8_lossy(json)
                    );
                }
            }
        }
    }
}
