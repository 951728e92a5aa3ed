//! Schemas of tools' arguments, and what OpenAI's strict mode is.
//!
//! Sources: platform.openai.com/docs/guides/structured-outputs, "Supported schemas"; of arguments what both APIs answer
//! to others: "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level",
//! "object schema missing properties", "array schema missing items".

use serde_json::{Map, Value, json};

/// What joins schemas.
const JOINS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// Makes a schema one of a tool's arguments; whether it lost something that it said.
pub(in super::super) fn arguments(schema: &mut Value) -> bool {
    let Value::Object(map) = schema else {
        return false;
    };
    let mut lost = join(map);
    for word in ["enum", "const", "not"] {
        lost |= map.shift_remove(word).is_some();
    }
    if map.get("type").is_none_or(|kind| kind != "object") {
        lost |= map.contains_key("type");
        map.insert("type".to_owned(), "object".into());
    }
    complete(schema);
    lost
}

/// Puts the members of the schemas that are joined at the top into one object, in which only those are required that
/// all of them require; whether there were any.
fn join(map: &mut Map<String, Value>) -> bool {
    let mut joined = false;
    for word in JOINS {
        let Some(Value::Array(branches)) = map.shift_remove(word) else {
            continue;
        };
        joined = true;
        let required = |branch: &Value| -> Vec<Value> {
            branch
                .get("required")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let mut common: Option<Vec<Value>> = None;
        for branch in &branches {
            let own = required(branch);
            common = Some(match common.take() {
                None => own,
                Some(known) if word == "allOf" => {
                    let new: Vec<Value> = own
                        .into_iter()
                        .filter(|name| !known.contains(name))
                        .collect();
                    [known, new].concat()
                }
                Some(known) => known
                    .into_iter()
                    .filter(|name| own.contains(name))
                    .collect(),
            });
            let members = branch.get("properties").and_then(Value::as_object);
            let properties = map.entry("properties").or_insert_with(|| json!({}));
            if let (Some(members), Value::Object(properties)) = (members, properties) {
                for (name, member) in members {
                    properties
                        .entry(name.clone())
                        .or_insert_with(|| member.clone());
                }
            }
        }
        let names = map.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(names) = names {
            for name in common.unwrap_or_default() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    joined
}

/// Says of every object that it may have members, and of every list that it may have items.
fn complete(schema: &mut Value) {
    let Value::Object(map) = schema else {
        return;
    };
    let has_type = |name: &str| match map.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    };
    if has_type("object") && !map.contains_key("properties") {
        map.insert("properties".to_owned(), json!({}));
    } else if has_type("array") && !map.contains_key("items") {
        map.insert("items".to_owned(), json!({}));
    }
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.iter_mut().for_each(|(_, schema)| complete(schema));
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(list)) => list.iter_mut().for_each(complete),
            ("items" | "additionalProperties", value) => complete(value),
            _ => {}
        }
    }
}

/// Whether every name at the top of a tool's schema is 1 to 64 letters, digits, `_`, `.` and `-`. Below the top, others
/// are taken.
pub(in super::super) fn has_plain_properties(schema: &Value) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let plain = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(is_plain);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_none_or(|properties| properties.keys().all(plain))
}

/// Whether OpenAI's strict mode takes a schema: every object is closed, and requires all that it has.
pub(in super::super) fn is_strict(schema: &Value) -> bool {
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    is_object && schema.get("anyOf").is_none() && strict(schema)
}

/// Keywords that it refuses.
const REFUSED: [&str; 13] = [
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "unevaluatedProperties",
    "default",
];

fn strict(schema: &Value) -> bool {
    let Value::Object(map) = schema else {
        return matches!(schema, Value::Array(list) if list.iter().all(strict));
    };
    if REFUSED.iter().any(|word| map.contains_key(*word)) {
        return false;
    }
    let empty = Map::new();
    let properties = map.get("properties").and_then(Value::as_object);
    let is_object = match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => properties.is_some(),
    };
    if is_object {
        let required = map.get("required").and_then(Value::as_array);
        let is_required = |name: &String| {
            required.is_some_and(|names| names.iter().any(|known| known == name.as_str()))
        };
        let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
        if !closed || properties.is_none() || !properties.unwrap_or(&empty).keys().all(is_required)
        {
            return false;
        }
    }
    map.iter().all(|(key, value)| match (key.as_str(), value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => {
            named.values().all(strict)
        }
        ("items" | "anyOf", value) => strict(value),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_one_object_that_may_have_members() {
        for (schema, expected, lost) in [
            (
                json!({}),
                json!({"type": "object", "properties": {}}),
                false,
            ),
            (
                json!({"type": "object"}),
                json!({"type": "object", "properties": {}}),
                false,
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "object"}}}),
                json!({"type": "object", "properties": {
                    "a": {"type": "array", "items": {}}, "b": {"type": "object", "properties": {}}}}),
                false,
            ),
            (
                json!({"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                json!({"type": "object", "properties": {"a": {}}, "required": []}),
                true,
            ),
            (
                json!({"oneOf": [
                    {"properties": {"k": {"const": 1}, "a": {}}, "required": ["k", "a"]},
                    {"properties": {"k": {"const": 2}}, "required": ["k"]}]}),
                json!({"properties": {"k": {"const": 1}, "a": {}}, "required": ["k"], "type": "object"}),
                true,
            ),
            (
                json!({"allOf": [{"required": ["a"]}, {"required": ["b", "a"]}]}),
                json!({"properties": {}, "required": ["a", "b"], "type": "object"}),
                true,
            ),
        ] {
            let mut seen = schema.clone();
            assert_eq!(arguments(&mut seen), lost, "{schema}");
            assert_eq!(seen, expected, "{schema}");
        }
    }

    #[test]
    fn strict_schemas_require_all_that_they_have() {
        let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        let inner = object(json!({"c": {"type": "string"}}), json!(["c"]));
        for (schema, expected) in [
            (
                object(
                    json!({"a": {"type": "string", "minLength": 1}}),
                    json!(["a"]),
                ),
                true,
            ),
            (
                object(json!({"a": {"type": "string"}, "b": {}}), json!(["a"])),
                false,
            ),
            (
                object(
                    json!({"a": {"anyOf": [inner, {"type": "null"}]}}),
                    json!(["a"]),
                ),
                true,
            ),
            (
                object(json!({"a": {"oneOf": [inner]}}), json!(["a"])),
                false,
            ),
            (
                object(
                    json!({"a": {"type": "array", "items": {"type": "object"}}}),
                    json!(["a"]),
                ),
                false,
            ),
            (
                object(json!({"default": {"type": "string"}}), json!(["default"])),
                true,
            ),
            (json!({"type": "object", "properties": {}}), false),
            (json!({"type": "string"}), false),
        ] {
            assert_eq!(is_strict(&schema), expected, "{schema}");
        }
    }
}
