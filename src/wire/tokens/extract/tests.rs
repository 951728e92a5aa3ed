//! What is kept does not depend on the pieces, is JSON, is bounded, and is what the document says.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::skip::tests::serde_accepts;

/// Bounds that short documents reach.
const TIGHT: Bounds = Bounds {
    text: 40,
    looked: 120,
    longest: 24,
    short: 6,
};

fn extract<'a>(bounds: Bounds, pieces: impl IntoIterator<Item = &'a [u8]>) -> Kept {
    let mut walk = Walk::within(bounds);
    pieces.into_iter().for_each(|piece| walk.push(piece));
    walk.finish()
}

/// Everything that is known of it.
fn account(kept: &Kept) -> impl PartialEq + std::fmt::Debug {
    let ended = matches!(kept.end, End::Whole | End::Cut);
    let slots: Vec<_> = kept
        .slots
        .iter()
        .map(|slot| {
            let value = String::from_utf8_lossy(kept.bytes(slot)).into_owned();
            // Of what turned out to be no JSON only the length of the whole is reported.
            (
                slot.name,
                value,
                ended.then_some((slot.measure(), slot.cut)),
            )
        })
        .collect();
    let reason = kept.finish_reason().map(<[u8]>::to_vec);
    (
        kept.end,
        kept.is_object,
        kept.length,
        kept.tools,
        slots,
        reason,
    )
}

/// Texts as they are written in JSON.
fn text() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "word ",
        "é",
        "漢",
        "🙂",
        "\\n",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud83d",
        "{",
        "\\\"usage\\\":",
    ]);
    prop::collection::vec(part, 0..12).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "model",
        "usage",
        "choices",
        "content",
        "output",
        "type",
        "error",
        "message",
        "delta",
        "text",
        "input",
        "item",
        "response",
        "finish_reason",
        "name",
        "other",
        "logprobs",
        "data",
        "u\\u0073age",
    ])
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text(),
        prop::sample::select(vec![
            "0",
            "-1.5e+3",
            "12345678901234567890",
            "true",
            "null",
            "[ ]",
            "{\t}",
            "\"stop\"",
            "\"web_search_call\"",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec((key(), inner), 0..5).prop_map(object),
        ]
    })
}

fn object(members: Vec<(&str, String)>) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("\"{key}\" :{value}"))
        .collect();
    format!("{{{}}}", members.join(" ,"))
}

fn document() -> impl Strategy<Value = String> {
    prop::collection::vec((key(), value()), 0..8).prop_map(object)
}

pub(in crate::tokens) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        3 => Just(vec![]),
        1 => prop::collection::vec(any::<u8>(), 1..3),
        1 => prop::sample::select(vec!["}", "]", "\"", ",", "\\"]).prop_map(|put| put.as_bytes().to_vec()),
    ];
    (
        document(),
        damage,
        any::<prop::sample::Index>(),
        prop::option::of(any::<prop::sample::Index>()),
    )
        .prop_map(|(document, damage, at, cut)| {
            let mut bytes = document.into_bytes();
            let at = at.index(bytes.len() + 1);
            let end = (at + damage.len()).min(bytes.len());
            bytes.splice(at..end, damage);
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_split_keeps_the_same(bytes in damaged(), size in 1usize..50, tight: bool) {
        let bounds = if tight { TIGHT } else { BOUNDS };
        let whole = extract(bounds, [&*bytes]);
        let split = extract(bounds, bytes.chunks(size));
        let single = extract(bounds, bytes.chunks(1));
        let said = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(account(&whole), account(&split), "in {}: {}", size, said);
        prop_assert_eq!(account(&whole), account(&single), "{}", said);
    }

    #[test]
    fn what_is_kept_is_json_and_bounded(bytes in damaged(), size in 1usize..50) {
        let kept = extract(TIGHT, bytes.chunks(size));
        let said = String::from_utf8_lossy(&bytes);
        for slot in kept.slots.iter().filter(|slot| !slot.at.is_empty()) {
            let value = std::str::from_utf8(kept.bytes(slot));
            prop_assert!(value.is_ok_and(serde_accepts), "{:?} of {}", value, said);
        }
        let document = String::from_utf8(kept.document());
        prop_assert!(document.is_ok_and(|document| serde_accepts(&document)), "{}", said);
        let looked: usize = kept.slots.iter().map(Slot::takes).sum();
        // What is open must be closed, and what is left out leaves `null`.
        prop_assert!(looked <= TIGHT.looked + 40, "{} of {}", looked, said);
        prop_assert!(kept.bytes.len() <= 2 * TIGHT.looked + 40 + 24 * TIGHT.longest, "{}", said);
        let text: usize = kept.slots.iter().map(|slot| slot.text).sum();
        prop_assert!(text <= TIGHT.text, "{}", said);
    }

    #[test]
    fn the_verdict_is_that_of_serde_json(bytes in damaged(), size in 1usize..50) {
        let kept = extract(BOUNDS, bytes.chunks(size));
        let json = std::str::from_utf8(&bytes).is_ok_and(serde_accepts);
        prop_assert_eq!(kept.end == End::Whole, json, "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn small_members_are_kept_as_they_are(members in prop::collection::vec((key(), value()), 0..8), size in 1usize..50) {
        let json = object(members.clone());
        let kept = extract(BOUNDS, json.as_bytes().chunks(size));
        for name in ["model", "usage", "type"] {
            let last = members.iter().rev().find(|(key, _)| *key == name);
            let want = last.map(|(_, value)| value.as_bytes()).filter(|value| *value != b"null");
            prop_assert_eq!(kept.value(name), want, "{}", json);
        }
    }

    #[test]
    fn texts_that_are_looked_at_are_kept(members in prop::collection::vec((key(), value()), 0..8), size in 1usize..50) {
        // A key counts as it is written.
        let json = object(members).replace("u\\u0073age", "unused");
        let kept = extract(BOUNDS, json.as_bytes().chunks(size));
        prop_assert_eq!(kept.cut(), 0);
        let (Ok(whole), Ok(looked)) = (
            serde_json::from_str::<Value>(&json), serde_json::from_slice::<Value>(&kept.document()),
        ) else {
            return Ok(()); // half a character is none of a reader's that builds
        };
        for name in ["choices", "content", "error"] {
            if let Some(value) = whole.get(name) {
                let want = looked_at(value.clone());
                prop_assert_eq!(looked.get(name), Some(&want), "{}", json);
            }
        }
    }
}

/// What is kept of a value that is looked into.
fn looked_at(value: Value) -> Value {
    match value {
        Value::Array(all) => all.into_iter().map(looked_at).collect(),
        Value::Object(all) => {
            let all = all.into_iter().map(|(key, value)| {
                let value = match members::way(key.as_bytes()) {
                    members::Way::Look => looked_at(value),
                    members::Way::All => value,
                    members::Way::Leave => Value::Null,
                };
                (key, value)
            });
            Value::Object(all.collect())
        }
        other => other,
    }
}

#[test]
fn a_member_given_again_and_again_takes_no_more_than_one() {
    let choice = r#"[{"text":"a text of its own"}]"#;
    let json = format!(
        "{{{}\"choices\":[{{\"text\":\"last\"}}],\"usage\":{{}}}}",
        format!("\"choices\":{choice},\"usage\":1,").repeat(1000)
    );
    for size in [1, 100, 1 << 20] {
        let kept = extract(TIGHT, json.as_bytes().chunks(size));
        assert_eq!(kept.value("choices"), Some(&br#"[{"text":"last"}]"#[..]));
        assert_eq!(kept.value("usage"), Some(&b"{}"[..]));
        assert!(kept.bytes.len() < 3 * TIGHT.looked, "{}", kept.bytes.len());
    }
}

#[test]
fn a_text_over_its_bound_is_cut_and_the_rest_of_its_member_is_kept() {
    let text = "ab\\n\\ud83d\\ude00é".repeat(100);
    let json = format!(
        r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}},{{"text":"more","finish_reason":null}}]}}"#
    );
    let kept = extract(TIGHT, [json.as_bytes()]);
    let value: Value =
        serde_json::from_slice(kept.value("choices").expect("choices")).expect("JSON");
    let said = value[0]["message"]["content"].as_str().expect("a text");
    assert!(
        "ab\n😀é".repeat(100).starts_with(said) && said.len() > 20,
        "{said}"
    );
    assert_eq!(value[1]["text"], "more", "a short text is kept");
    assert_eq!(kept.finish_reason(), Some(&b"\"stop\""[..]));
    assert!(
        kept.cut() > (text.len() - TIGHT.text) as u64,
        "{}",
        kept.cut()
    );
}

#[test]
fn a_document_that_breaks_off_keeps_what_it_said() {
    let json = r#"{"id":"x","usage":{"a":1},"content":[{"type":"text","text":"some words"#;
    let kept = extract(BOUNDS, [json.as_bytes()]);
    assert_eq!((kept.end, kept.is_object), (End::Cut, true));
    assert_eq!(kept.value("usage"), Some(&br#"{"a":1}"#[..]));
    let content = kept.value("content").expect("content");
    assert_eq!(content, br#"[{"type":"text","text":"some words"}]"#);
    let kept = extract(BOUNDS, [&br#"{"usage":{"prompt_tokens":1"#[..]]);
    assert_eq!(kept.value("usage"), None, "half a member is none");
}

#[test]
fn calls_of_tools_that_the_provider_ran_are_noticed_by_the_items_themselves() {
    for (output, tools) in [
        (
            r#"[{"type":"message"},{"id":"ws_1","type":"web_search_call"}]"#,
            true,
        ),
        (r#"[{"type":"file_search_call"}]"#, true),
        (r#"[{"type" : "code_interpreter_call" }]"#, true),
        (
            r#"[{"type":"message","content":[{"type":"web_search_call"}]},"web_search_call"]"#,
            false,
        ),
        (
            r#"[{"name":"web_search_call","action":{"type":"web_search_call"}}]"#,
            false,
        ),
        (r#"[]"#, false),
    ] {
        for json in [
            format!(r#"{{"output":{output}}}"#),
            format!(r#"{{"output":[1],"output":{output}}}"#),
        ] {
            for size in [1, 9, 10_000] {
                let kept = extract(BOUNDS, json.as_bytes().chunks(size));
                assert_eq!(kept.tools, tools, "{json} in {size}");
            }
        }
    }
}
