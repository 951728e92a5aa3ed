//! JSON Schemas (draft 2020-12) of what is sent and answered, in the form that the OpenAPI document shows.
//!
//! Invariant: the document and the validation use the very same schemas.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::patch::NULLABLE;

/// Where definitions are referenced, as in `#/components/schemas/Error`.
pub(super) const DEFINITIONS: &str = "#/components/schemas/";

/// Makes a schema, and defines what it references.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The shape of a type; a reference if the type has a name.
pub(super) fn shape<T: JsonSchema>() -> Shape {
    |generator| generator.subschema_for::<T>()
}

/// The shape of a type, always in place.
pub(super) fn shape_in_place<T: JsonSchema>() -> Shape {
    T::json_schema
}

/// Collects schemas. What is sent and what is answered differ: a field with a default need not be sent.
pub(super) struct Schemas {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Schemas {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Schemas {
            sent: settings.clone().for_deserialize().into_generator(),
            answered: settings.for_serialize().into_generator(),
        }
    }

    /// The schema of something that clients send.
    pub(super) fn sent(&mut self, shape: Shape) -> Value {
        finished(shape(&mut self.sent))
    }

    /// The schema of something that is answered.
    pub(super) fn answered(&mut self, shape: Shape) -> Value {
        finished(shape(&mut self.answered))
    }

    /// Every definition, and the names that stand for one schema in requests and another in answers: those must be
    /// two types.
    pub(super) fn definitions(mut self) -> (Map<String, Value>, Vec<String>) {
        let finish = |definitions: Map<String, Value>| {
            definitions.into_iter().map(|(name, mut schema)| {
                normalize(&mut schema);
                (name, schema)
            })
        };
        let mut all: Map<String, Value> = finish(self.answered.take_definitions(true)).collect();
        let mut clashes = Vec::new();
        for (name, schema) in finish(self.sent.take_definitions(true)) {
            if all.get(&name).is_some_and(|other| *other != schema) {
                clashes.push(name);
            } else {
                all.insert(name, schema);
            }
        }
        all.sort_keys();
        (all, clashes)
    }
}

fn finished(schema: Schema) -> Value {
    let mut schema = schema.to_value();
    normalize(&mut schema);
    schema
}

/// What is absent is absent, not `null`, unless it is marked; what is not known is refused.
fn normalize(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(normalize),
        Value::Object(node) => {
            close(node);
            node.values_mut().for_each(normalize);
            node.remove(NULLABLE);
            // The schema's own, which is a text: a field may be called so, too.
            if node.get("title").is_some_and(Value::is_string) {
                node.remove("title");
            }
            if node.get("default").is_some_and(Value::is_null) {
                node.remove("default");
            }
        }
        _ => {}
    }
}

fn close(node: &mut Map<String, Value>) {
    let required: Vec<String> = match node.get("required") {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    let Some(Value::Object(properties)) = node.get_mut("properties") else {
        return;
    };
    for (name, property) in properties {
        if let Value::Object(property) = property
            && !property.contains_key(NULLABLE)
            && !required.contains(name)
        {
            without_null(property);
        }
    }
    if node.get("type").is_some_and(|kind| *kind == "object") {
        node.entry("additionalProperties").or_insert(false.into());
    }
}

/// Says of an object that none of its fields may be null.
pub(super) fn never_null(schema: &mut Schema) {
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(Map::values_mut) {
        if let Value::Object(field) = field {
            field.remove(NULLABLE);
            without_null(field);
        }
    }
}

/// `T or null` becomes `T`.
fn without_null(node: &mut Map<String, Value>) {
    let null = |value: &Value| {
        value.is_null() || *value == "null" || value.get("type").is_some_and(|kind| *kind == "null")
    };
    for list in ["type", "enum", "anyOf"] {
        if let Some(Value::Array(choices)) = node.get_mut(list) {
            choices.retain(|choice| !null(choice));
        }
    }
    if let Some(Value::Array(kinds)) = node.get_mut("type")
        && let [only] = &mut kinds[..]
    {
        let only = only.take();
        node.insert("type".to_owned(), only);
    }
    if let Some(Value::Array(choices)) = node.get_mut("anyOf")
        && choices.len() == 1
        && let Some(Value::Object(only)) = choices.pop()
    {
        node.remove("anyOf");
        for (key, value) in only {
            node.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::patch::Patch;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Sent {
        name: Option<String>,
        inner: Option<Inner>,
        #[serde(default)]
        cleared: Patch<String>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Inner {
        needed: u32,
    }

    #[derive(Serialize, JsonSchema)]
    struct Answered {
        next: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }

    #[test]
    fn absence_is_not_null_and_unknown_fields_are_refused() {
        let mut schemas = Schemas::new();
        let sent = schemas.sent(shape::<Sent>());
        assert_eq!(sent, json!({"$ref": "#/components/schemas/Sent"}));
        schemas.answered(shape::<Answered>());
        let (definitions, clashes) = schemas.definitions();
        assert_eq!(clashes, Vec::<String>::new());
        assert_eq!(
            definitions["Sent"],
            json!({
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "inner": {"$ref": "#/components/schemas/Inner"},
                    "cleared": {"type": ["string", "null"]},
                },
                "additionalProperties": false,
            })
        );
        assert_eq!(
            definitions["Answered"]["properties"],
            json!({"next": {"type": ["string", "null"]}, "name": {"type": "string"}}),
            "what is always there may be null"
        );
    }
}
