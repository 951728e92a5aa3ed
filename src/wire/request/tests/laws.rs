//! Laws, against a model that works on lists of members.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

/// JSON texts, in spellings that a serializer would not choose.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        prop::sample::select(vec![
            "1.0",
            "-0",
            "1E+5",
            "1e400",
            "123456789012345678901",
            "\"\\ud800\"",
            "\"\\/\\u0041\""
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| format!("[ {} ]", values.join(" ,"))),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|members| object(&members, " ").trim().to_owned()),
        ]
    })
}

/// Spellings of keys, quotes included; some say the same as others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,3}".prop_map(|key| Value::from(key).to_string()),
        2 => any::<String>().prop_map(|key| Value::from(key).to_string()),
        1 => prop::sample::select(vec![r#""\u0061""#, r#""a\"b""#, r#""model2""#, r#""messages""#, r#""modèle""#])
            .prop_map(str::to_owned),
    ]
}

/// Members that routing reads, of the right type, in several spellings.
fn ours() -> impl Strategy<Value = (String, String)> {
    let of = |keys: Vec<&'static str>, values: Vec<&'static str>| {
        (prop::sample::select(keys), prop::sample::select(values))
            .prop_map(|(key, value)| (format!("\"{key}\""), value.to_owned()))
    };
    prop_oneof![
        of(
            vec!["model", r"mod\u0065l"],
            vec![r#""m1""#, r#""m\u0032""#, r#""p:x/y:z""#]
        ),
        of(
            vec!["Model", "MODEL", r"model\u0000"],
            vec![r#""evil""#, "7", "{}"]
        ),
        of(
            vec!["models", r"model\u0073"],
            vec![r#"["f1","f2"]"#, "[]", "null"]
        ),
        of(vec!["stream"], vec!["true", "false", "null"]),
        of(
            vec!["max_tokens", "max_completion_tokens"],
            vec!["1", "50", "5000", "null"]
        ),
        of(
            vec!["stream_options"],
            vec![
                r#"{"include_usage":false,"x":[ 1 ]}"#,
                r#"{"include_usage":true}"#,
                "{}",
                "null"
            ],
        ),
    ]
}

/// A body's members: arbitrary ones, and at least one `model`.
fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let any_member = prop_oneof![2 => (key(), value()), 1 => ours()];
    (
        prop::collection::vec(any_member, 0..12),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut members, at)| {
            let at = at.index(members.len() + 1);
            members.insert(at, (r#""model""#.to_owned(), r#""base""#.to_owned()));
            members
        })
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\n\t", "\r\n  "])
}

fn object(members: &[(String, String)], space: &str) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{key}{space}:{value}{space}"))
        .collect();
    format!(
        "{space}{{{space}{}}}{space}",
        members.join(&format!(",{space}"))
    )
}

fn say(key: &str) -> String {
    serde_json::from_str(key).expect("a JSON string")
}

/// The members as serde_json finds them, keys unescaped, values as written.
fn read(json: &str) -> Vec<(String, String)> {
    struct All;
    impl<'de> serde::de::Visitor<'de> for All {
        type Value = Vec<(String, String)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                all.push((key, value.get().to_owned()));
            }
            Ok(all)
        }
    }
    let mut de = serde_json::Deserializer::from_str(json);
    let all = serde::Deserializer::deserialize_map(&mut de, All).expect("valid JSON");
    de.end().expect("nothing behind it");
    all
}

const OURS: [&str; 6] = [
    "model",
    "models",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
];

/// What must be left, computed the slow way.
fn expected(members: &[(String, String)], edit: &Edit<'_>) -> Vec<(String, String)> {
    let said: Vec<(String, String)> = members
        .iter()
        .map(|(key, value)| (say(key), value.clone()))
        .collect();
    let mut left = Vec::new();
    for (n, (key, value)) in said.iter().enumerate() {
        let folded = key.split('\0').next().unwrap_or_default().to_lowercase();
        let ours = OURS.contains(&key.as_str());
        if !ours && OURS.contains(&folded.as_str()) {
            continue;
        }
        if ours && said[n + 1..].iter().any(|(later, _)| later == key) || key == "models" {
            continue;
        }
        let value = match key.as_str() {
            "model" if say(value) != edit.model => Value::from(edit.model).to_string(),
            "max_tokens" | "max_completion_tokens" => {
                match (value.parse::<u64>(), edit.max_output_tokens) {
                    (Ok(wanted), Some(most)) => wanted.min(most).to_string(),
                    _ => value.clone(),
                }
            }
            _ => value.clone(),
        };
        if key == "model" || key == "stream" || !edit.strip.contains(&key.as_str()) {
            left.push((key.clone(), value));
        }
    }
    left
}

proptest! {
    #[test]
    fn a_body_with_nothing_of_ours_to_change_is_the_same_bytes(
        unknown in prop::collection::vec((key(), value()), 0..12), space in space(),
    ) {
        let mut members = unknown;
        members.retain(|(key, _)| Field::named(CHAT, &say(key)) == names::Name::Other);
        members.push((r#""model""#.to_owned(), r#""m""#.to_owned()));
        let json = Bytes::from(object(&members, space));
        let body = RequestBody::parse(CHAT, json.clone()).expect("a good body");
        let out = body.render(&no_edit(&body));
        prop_assert_eq!(out.as_ptr(), json.as_ptr());
        prop_assert_eq!(out.len(), json.len());
    }

    #[test]
    fn every_other_member_keeps_its_bytes_and_its_place(
        members in members(),
        space in space(),
        model in prop::sample::select(vec!["base", "m2", "other/é\"x"]),
        strip in prop::sample::subsequence(vec!["a", "b", "messages", "max_tokens", "a\"b"], 0..5),
        most in prop::option::of(1u64..100),
    ) {
        let json = object(&members, space);
        let body = parse(CHAT, &json);
        let edit = Edit { model, strip: &strip, max_output_tokens: most, include_usage: false, limit: None };
        let out = rendered(&body, &edit);
        prop_assert_eq!(read(&out), expected(&members, &edit), "{} -> {}", json, out);
    }

    #[test]
    fn every_reader_reads_the_authorized_model(members in members(), space in space()) {
        let json = object(&members, space);
        let body = parse(CHAT, &json);
        let last = members.iter().rfind(|(key, _)| say(key) == "model").map(|(_, value)| say(value));
        prop_assert_eq!(Some(body.model()), last.as_deref(), "the last one is ours");
        let out = read(&rendered(&body, &Edit { model: "authorized", ..no_edit(&body) }));
        let models: Vec<(&str, &str)> = out
            .iter()
            .filter(|(key, _)| key.split('\0').next().is_some_and(|key| key.to_lowercase() == "model"))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        prop_assert_eq!(models, vec![("model", r#""authorized""#)], "one, and no other spelling");
        for name in OURS {
            prop_assert!(out.iter().filter(|(key, _)| key == name).count() <= 1, "{} once", name);
        }
    }

    #[test]
    fn usage_is_asked_for_once_and_rendering_again_changes_nothing(members in members(), space in space()) {
        let body = parse(CHAT, &object(&members, space));
        let edit = Edit { include_usage: true, ..no_edit(&body) };
        let out = body.render(&edit);
        let again = RequestBody::parse(CHAT, out.clone()).expect("a rendered body is a good body");
        prop_assert_eq!(again.wants_usage_chunk(), body.stream(), "asked for exactly on streams");
        prop_assert_eq!(again.render(&edit).as_ptr(), out.as_ptr(), "already as it must be");
        prop_assert_eq!((again.model(), again.stream(), again.max_output_tokens()),
                        (body.model(), body.stream(), body.max_output_tokens()));
    }

    #[test]
    fn accepts_only_what_serde_json_accepts(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in any::<prop::sample::Index>(), members in members()) {
        let mut json = object(&members, " ").into_bytes();
        let at = cut.index(json.len());
        json.splice(at..(at + bytes.len() / 16).min(json.len()), bytes.iter().copied().take(bytes.len() / 8));
        for bytes in [bytes, json] {
            let valid = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok() && std::str::from_utf8(&bytes).is_ok();
            if let Ok(body) = RequestBody::parse(CHAT, Bytes::from(bytes)) {
                prop_assert!(valid);
                let out = body.render(&Edit { model: "other", strip: &["a"], max_output_tokens: Some(1), include_usage: true, limit: None });
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_ok());
                body.prompt_text(&mut |_| {});
            }
        }
    }
}
