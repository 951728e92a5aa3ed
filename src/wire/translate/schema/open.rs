//! What a schema of a tool's arguments must look like, and which schemas OpenAI's strict mode takes.
//!
//! Sources: platform.openai.com/docs/guides/structured-outputs, "Supported schemas"; for arguments, the errors of both
//! APIs: "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level", "object
//! schema missing properties", "array schema missing items".

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// Keywords that join schemas.
const JOINS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// Makes a schema one that APIs take for a tool's arguments. Returns whether something that it said was lost.
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

/// Returns the names that a schema requires.
fn required_by(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    texts(names.map_or(&[], Vec::as_slice))
}

/// Returns the texts of a list.
fn texts(list: &[Value]) -> impl Iterator<Item = &str> {
    list.iter().filter_map(Value::as_str)
}

/// How deep joined schemas are followed, and how many of them in all: what they say is copied.
const DEEPEST: usize = 8;
const MOST_JOINED: usize = 256;

/// Merges the schemas that are joined at the top into one object. It requires what any schema of an `allOf` requires,
/// and what all schemas of a `oneOf` or `anyOf` require. Returns whether there was anything to merge.
fn join(map: &mut Map<String, Value>) -> bool {
    if !JOINS.iter().any(|word| map.contains_key(*word)) {
        return false;
    }
    let definitions = ["$defs", "definitions"]
        .into_iter()
        .filter_map(|word| Some((word.to_owned(), map.get(word)?.clone())));
    let root = Value::Object(definitions.collect());
    join_in(map, &root, DEEPEST, &mut MOST_JOINED.clone())
}

fn join_in(map: &mut Map<String, Value>, root: &Value, depth: usize, left: &mut usize) -> bool {
    let mut joined = false;
    for word in JOINS {
        let Some(Value::Array(branches)) = map.shift_remove(word) else {
            continue;
        };
        joined = true;
        let mut required: Option<Vec<String>> = None;
        let mut seen: HashSet<String> = HashSet::new();
        let mut followed: HashSet<&str> = HashSet::new();
        for branch in &branches {
            let (branch, reference) = follow(root, branch);
            // The same schema again says nothing new.
            if *left == 0 || reference.is_some_and(|reference| !followed.insert(reference)) {
                continue;
            }
            *left -= 1;
            let mut branch = branch.clone();
            if let Some(branch) = branch.as_object_mut().filter(|_| depth > 0) {
                join_in(branch, root, depth - 1, left);
            }
            let own = required_by(&branch);
            required = Some(match required.take() {
                Some(mut known) if word != "allOf" => {
                    let own: HashSet<&str> = own.collect();
                    known.retain(|name| own.contains(name.as_str()));
                    known
                }
                known => {
                    let new = own.filter(|name| seen.insert((*name).to_owned()));
                    let new = new.map(str::to_owned);
                    known.into_iter().flatten().chain(new).collect()
                }
            });
            let properties = map.entry("properties").or_insert_with(|| json!({}));
            if let (Some(Value::Object(members)), Value::Object(properties)) =
                (branch.get_mut("properties"), properties)
            {
                for (name, member) in std::mem::take(members) {
                    properties.entry(name).or_insert(member);
                }
            }
        }
        let names = map.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(names) = names {
            let known: HashSet<String> = texts(names).map(str::to_owned).collect();
            let new = required.unwrap_or_default().into_iter();
            names.extend(new.filter(|name| !known.contains(name)).map(Value::from));
        }
    }
    joined
}

/// Follows the references of a schema to definitions of the root. Returns the schema, and the last reference.
fn follow<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, Option<&'a str>) {
    let (mut schema, mut last) = (schema, None);
    for _ in 0..DEEPEST {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let found = reference.and_then(|reference| {
            let pointer = reference.strip_prefix('#')?;
            Some((root.pointer(pointer)?, reference))
        });
        let Some((found, reference)) = found else {
            break;
        };
        (schema, last) = (found, Some(reference));
    }
    (schema, last)
}

/// Returns whether a schema has an object of anything below its top: closed, there would be no room for what it means.
pub(in super::super) fn has_open_object(schema: &Value) -> bool {
    let Value::Object(map) = schema else {
        return matches!(schema, Value::Array(list) if list.iter().any(is_open));
    };
    map.iter().any(|(key, value)| match (key.as_str(), value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => {
            named.values().any(is_open)
        }
        ("anyOf" | "oneOf" | "allOf", Value::Array(branches)) => {
            branches.iter().any(has_open_object)
        }
        ("items", value) => is_open(value),
        _ => false,
    })
}

/// Returns whether a schema is an object of anything, or has one.
fn is_open(schema: &Value) -> bool {
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    let says_more = ["properties", "$ref", "anyOf", "oneOf", "allOf"]
        .iter()
        .any(|word| schema.get(word).is_some());
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    (is_object && !says_more && !is_closed) || has_open_object(schema)
}

/// Adds empty `properties` to every object that has none, and empty `items` to every array that has none.
fn complete(schema: &mut Value) {
    let Value::Object(map) = schema else {
        return;
    };
    let has_type = |name: &str| match map.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    };
    let is_array = has_type("array");
    if has_type("object") && !map.contains_key("properties") {
        map.insert("properties".to_owned(), json!({}));
    }
    if is_array && !map.contains_key("items") {
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

/// Returns whether every property at the top of a tool's schema has a name of 1 to 64 letters, digits, `_`, `.` and
/// `-`. Providers that demand it take any name further down.
pub(in super::super) fn has_plain_properties(schema: &Value) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let plain = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(is_plain);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_none_or(|properties| properties.keys().all(plain))
}

/// Returns whether OpenAI's strict mode takes a schema: the top is an object without `anyOf`, and every object is
/// closed and requires all its properties.
pub(in super::super) fn is_strict(schema: &Value) -> bool {
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    is_object && schema.get("anyOf").is_none() && strict(schema)
}

/// Keywords that strict mode refuses.
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

/// Returns whether strict mode takes a schema at any depth, or each schema of a list.
fn strict(schema: &Value) -> bool {
    let Value::Object(map) = schema else {
        return matches!(schema, Value::Array(list) if list.iter().all(strict));
    };
    if REFUSED.iter().any(|word| map.contains_key(*word)) {
        return false;
    }
    let properties = map.get("properties").and_then(Value::as_object);
    let is_object = match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => properties.is_some(),
    };
    if is_object {
        let required: HashSet<&str> = required_by(schema).collect();
        let is_required = |name: &String| required.contains(name.as_str());
        let is_closed = map.get("additionalProperties") == Some(&Value::Bool(false));
        let requires_all = properties.is_some_and(|members| members.keys().all(is_required));
        if !is_closed || !requires_all {
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
                json!({"$defs": {"A": {"type": "object", "properties": {"a": {}}, "required": ["a"]},
                        "B": {"allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": {}}, "required": ["b"]}]}},
                    "anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}),
                json!({"$defs": {"A": {"type": "object", "properties": {"a": {}}, "required": ["a"]},
                        "B": {"allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": {}}, "required": ["b"]}]}},
                    "properties": {"a": {}, "b": {}}, "required": ["a"], "type": "object"}),
                true,
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": ["object", "array"]}}}),
                json!({"type": "object", "properties": {
                    "a": {"type": ["object", "array"], "properties": {}, "items": {}}}}),
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
