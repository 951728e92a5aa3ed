//! JSON Schemas that Anthropic's structured outputs accept.
//!
//! They want `additionalProperties: false` on every object and know no limits on numbers, texts and lists
//! (source: "JSON Schema limitations" in platform.claude.com/docs/en/build-with-claude/structured-outputs).

use serde_json::{Map, Value};

/// Keywords that are refused.
const UNKNOWN: [&str; 10] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minItems",
];

/// Members whose members are schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// Makes a schema acceptable; whether it lost something that it said.
pub(super) fn closed(schema: &mut Value) -> bool {
    match schema {
        Value::Object(map) => object(map),
        Value::Array(list) => list
            .iter_mut()
            .fold(false, |lost, each| closed(each) | lost),
        _ => false,
    }
}

fn object(map: &mut Map<String, Value>) -> bool {
    let mut lost = false;
    for word in UNKNOWN {
        let kept = word == "minItems" && map.get(word).is_some_and(|n| n == 0 || n == 1);
        if !kept && map.shift_remove(word).is_some() {
            lost = true;
        }
    }
    let is_object = match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => map.contains_key("properties"),
    };
    if is_object && map.get("additionalProperties") != Some(&Value::Bool(false)) {
        lost |= map.contains_key("additionalProperties");
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (key, value) in map.iter_mut() {
        match value {
            Value::Object(members) if NAMED.contains(&key.as_str()) => {
                for (_, member) in members.iter_mut() {
                    lost |= closed(member);
                }
            }
            // These hold values, not schemas.
            _ if matches!(
                key.as_str(),
                "enum" | "const" | "default" | "examples" | "required"
            ) => {}
            value => lost |= closed(value),
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_closed_and_limits_are_lost() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "minimum": {"type": "integer", "minimum": 1},
                "tags": {"type": "array", "minItems": 1, "items": {"type": "object", "properties": {}}},
            },
            "required": ["minimum"],
        });
        assert!(closed(&mut schema));
        let expected = json!({
            "type": "object",
            "properties": {
                "minimum": {"type": "integer"},
                "tags": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "properties": {}, "additionalProperties": false,
                }},
            },
            "required": ["minimum"],
            "additionalProperties": false,
        });
        assert_eq!(schema, expected);
        assert!(!closed(&mut schema), "nothing is left to lose");
    }
}
