//! Sample values for a JSON Schema, so that tool calls and structured answers validate.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; what lies deeper is null.
const MAX_DEPTH: usize = 16;

/// A value that follows `schema`, as far as its plain keywords go (`type`, `enum`, `const`, `default`,
/// `properties`, `items`, `anyOf`, local `$ref`).
pub(super) fn value(schema: &Value) -> Value {
    sample(schema, schema, "", 0)
}

fn sample(schema: &Value, root: &Value, name: &str, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(given) = schema.get("const").or_else(|| schema.get("default")) {
        return given.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    let pointed = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|target| root.pointer(target.strip_prefix('#')?));
    let variant = ["anyOf", "oneOf", "allOf"]
        .iter()
        .find_map(|key| schema.get(*key)?.get(0));
    if let Some(inner) = pointed.or(variant) {
        return sample(inner, root, name, depth + 1);
    }
    let kind = schema
        .get("type")
        .map(|kind| kind.get(0).unwrap_or(kind))
        .and_then(Value::as_str);
    match kind {
        Some("string") => Value::String(string(name).to_owned()),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("array") => match schema.get("items") {
            Some(items) => json!([sample(items, root, name, depth + 1)]),
            None => json!([]),
        },
        Some("null") => Value::Null,
        _ => {
            let empty = Map::new();
            let properties = schema
                .get("properties")
                .and_then(Value::as_object)
                .unwrap_or(&empty);
            let filled = properties
                .iter()
                .map(|(key, inner)| (key.clone(), sample(inner, root, key, depth + 1)));
            Value::Object(filled.collect())
        }
    }
}

/// A plausible text for a field of this name.
fn string(name: &str) -> &'static str {
    match name {
        "city" | "location" | "place" => "Paris",
        "unit" | "units" => "celsius",
        "date" => "2026-01-01",
        _ => "demo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_filled_with_values_of_its_types() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer", "minimum": 3},
            "unit": {"enum": ["kelvin", "celsius"]}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        }, "$defs": {"tag": {"type": ["string", "null"]}}});
        assert_eq!(
            value(&schema),
            json!({"city": "Paris", "days": 3, "unit": "kelvin", "tags": ["demo"], "maybe": true})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(value(&schema).is_object());
    }
}
