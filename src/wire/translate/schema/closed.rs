//! Schemas that Anthropic's structured outputs accept.
//!
//! They know a part of JSON Schema: no limits on numbers, texts and lists, no `oneOf`, no recursion, and every object is
//! closed (source: "JSON Schema limitations" in platform.claude.com/docs/en/build-with-claude/structured-outputs).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::json::str_of;

/// Keywords that are taken as they are.
const KEPT: [&str; 10] = [
    "type",
    "properties",
    "required",
    "items",
    "const",
    "anyOf",
    "default",
    "description",
    "title",
    "$defs",
];

/// Keywords that say nothing about what is valid.
const NOTES: [&str; 9] = [
    "$schema",
    "$id",
    "$comment",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$anchor",
];

/// Formats that are known.
const FORMATS: [&str; 9] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
];

/// What became of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Closed {
    /// It says what it said.
    Same,
    /// It is accepted, and says less.
    Less,
    /// It cannot be said: what is closed would have no room for what it means.
    Impossible,
}

/// Makes a schema acceptable.
pub(in super::super) fn closed(schema: &mut Value) -> Closed {
    let mut followed = Followed::default();
    if followed.recurs(schema, schema) {
        return Closed::Impossible;
    }
    close(schema)
}

fn close(schema: &mut Value) -> Closed {
    match schema {
        Value::Object(map) => object(map),
        Value::Array(list) => all(list.iter_mut()),
        _ => Closed::Same,
    }
}

fn all<'v>(schemas: impl Iterator<Item = &'v mut Value>) -> Closed {
    schemas.map(close).max().unwrap_or(Closed::Same)
}

fn object(map: &mut Map<String, Value>) -> Closed {
    let mut closed = Closed::Same;
    if let Some(one) = map.shift_remove("oneOf") {
        map.entry("anyOf").or_insert(one);
        closed = Closed::Less;
    }
    closed = closed.max(only_of_all(map));
    if let Some(open) = map.shift_remove("additionalProperties")
        && open != false
    {
        closed = Closed::Less;
        let properties = map.get("properties").and_then(Value::as_object);
        if properties.is_none_or(Map::is_empty) {
            return Closed::Impossible;
        }
    }
    map.retain(|name, value| {
        let text = value.as_str().unwrap_or_default();
        let kept = match name.as_str() {
            name if KEPT.contains(&name) => true,
            "definitions" | "allOf" | "$ref" => true,
            "enum" => value
                .as_array()
                .is_some_and(|list| !list.iter().any(|one| one.is_object() || one.is_array())),
            "format" => FORMATS.contains(&text) || text == "uuid",
            "pattern" => is_plain(text),
            "minItems" => *value == 0 || *value == 1,
            _ => false,
        };
        if !kept && !NOTES.contains(&name.as_str()) {
            closed = closed.max(Closed::Less);
        }
        kept
    });
    let is_object = match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => map.contains_key("properties"),
    };
    if is_object {
        // An object of anything.
        if !map.contains_key("properties") {
            return Closed::Impossible;
        }
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (key, value) in map.iter_mut() {
        let inner = match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                all(named.iter_mut().map(|(_, schema)| schema))
            }
            ("items", Value::Array(_)) => Closed::Impossible,
            ("items" | "anyOf" | "allOf", value) => close(value),
            _ => Closed::Same,
        };
        closed = closed.max(inner);
    }
    closed
}

/// Replaces `allOf` of one schema by that schema, as generators write a reference with a note beside it. What both say of
/// members counts together; of what else both say, the outer one is kept.
fn only_of_all(map: &mut Map<String, Value>) -> Closed {
    let Some(Value::Array(all)) = map.get_mut("allOf") else {
        return Closed::Same;
    };
    if all.len() != 1 {
        return Closed::Same;
    }
    let Some(Value::Object(only)) = all.pop() else {
        return Closed::Less;
    };
    map.shift_remove("allOf");
    let mut closed = Closed::Same;
    for (key, value) in only {
        match (map.get_mut(&key), value) {
            (None, value) => drop(map.insert(key, value)),
            (Some(known), value) if *known == value => {}
            (Some(Value::Object(known)), Value::Object(more)) if key == "properties" => {
                for (name, member) in more {
                    let lost = known.get(&name).is_some_and(|known| *known != member);
                    known.entry(name).or_insert(member);
                    closed = closed.max(if lost { Closed::Less } else { Closed::Same });
                }
            }
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                let names: HashSet<String> = known.iter().map(Value::to_string).collect();
                let new = more.into_iter();
                known.extend(new.filter(|name| !names.contains(&name.to_string())));
            }
            _ if ["title", "description", "default"].contains(&&*key) => {}
            _ => closed = Closed::Less,
        }
    }
    closed
}

/// Whether a pattern looks neither around nor back.
fn is_plain(pattern: &str) -> bool {
    let looks = ["(?=", "(?!", "(?<", "\\b", "\\B"]
        .iter()
        .any(|part| pattern.contains(part));
    let back = pattern
        .as_bytes()
        .windows(2)
        .any(|two| two[0] == b'\\' && two[1].is_ascii_digit());
    !pattern.is_empty() && !looks && !back
}

/// Most references that lead from one to the next.
const MOST_FOLLOWED: usize = 32;

/// References that were followed.
#[derive(Default)]
struct Followed {
    /// From the root to here.
    path: Vec<String>,
    /// Those that lead to an end.
    done: HashSet<String>,
}

impl Followed {
    /// Whether a schema refers to itself, or to something outside of the root.
    fn recurs(&mut self, root: &Value, schema: &Value) -> bool {
        match schema {
            Value::Array(list) => list.iter().any(|each| self.recurs(root, each)),
            Value::Object(map) => {
                let reference = str_of(schema, "$ref");
                if !reference.is_empty() && self.circles(root, reference) {
                    return true;
                }
                // Definitions count where they are referred to.
                let counts = |key: &str| {
                    let values = ["enum", "const", "default", "examples"];
                    !matches!(key, "$defs" | "definitions") && !values.contains(&key)
                };
                let mut members = map.iter().filter(|(key, _)| counts(key));
                members.any(|(_, value)| self.recurs(root, value))
            }
            _ => false,
        }
    }

    fn circles(&mut self, root: &Value, reference: &str) -> bool {
        if self.done.contains(reference) {
            return false;
        }
        let of = reference
            .strip_prefix("#/")
            .and_then(|_| root.pointer(&reference[1..]));
        let known = self.path.iter().any(|known| known == reference);
        let Some(of) = of.filter(|_| !known && self.path.len() < MOST_FOLLOWED) else {
            return true;
        };
        self.path.push(reference.to_owned());
        let again = self.recurs(root, of);
        self.path.pop();
        self.done.insert(reference.to_owned());
        again
    }
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
        assert_eq!(closed(&mut schema), Closed::Less);
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
        assert_eq!(closed(&mut schema), Closed::Same, "nothing is left to lose");
    }

    #[test]
    fn what_is_said_otherwise_is_said_in_words_that_are_known() {
        for (schema, expected, how) in [
            (
                json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                Closed::Less,
            ),
            (
                json!({"$defs": {"a": {"type": "string"}}, "allOf": [{"$ref": "#/$defs/a"}], "title": "A"}),
                json!({"$defs": {"a": {"type": "string"}}, "title": "A", "$ref": "#/$defs/a"}),
                Closed::Same,
            ),
            (
                json!({"type": "object", "properties": {"a": {}}, "required": ["a"],
                    "allOf": [{"properties": {"b": {}}, "required": ["a", "b"], "type": "object"}]}),
                json!({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"],
                    "additionalProperties": false}),
                Closed::Same,
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}},
                    "allOf": [{"properties": {"a": {"type": "number"}}}]}),
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}),
                Closed::Less,
            ),
            (
                json!({"type": "string", "format": "date"}),
                json!({"type": "string", "format": "date"}),
                Closed::Same,
            ),
            (
                json!({"type": "string", "format": "color"}),
                json!({"type": "string"}),
                Closed::Less,
            ),
            (
                json!({"type": "string", "pattern": "^(?!x)"}),
                json!({"type": "string"}),
                Closed::Less,
            ),
            (
                json!({"type": "string", "pattern": "^x$"}),
                json!({"type": "string", "pattern": "^x$"}),
                Closed::Same,
            ),
            (
                json!({"type": "string", "if": {}, "then": {}, "not": {}}),
                json!({"type": "string"}),
                Closed::Less,
            ),
            (
                json!({"type": "string", "$schema": "x", "examples": ["a"]}),
                json!({"type": "string"}),
                Closed::Same,
            ),
        ] {
            let mut seen = schema.clone();
            assert_eq!(closed(&mut seen), how, "{schema}");
            assert_eq!(seen, expected, "{schema}");
        }
    }

    #[test]
    fn what_would_have_no_room_is_impossible() {
        for schema in [
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {"any": {"type": "object"}}}),
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}}),
            json!({"$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"type": "array", "items": [{"type": "string"}]}),
        ] {
            assert_eq!(closed(&mut schema.clone()), Closed::Impossible, "{schema}");
        }
    }
}
