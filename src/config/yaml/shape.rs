//! Whether a document has the shape of the types; faults are worded for operators.
//!
//! The JSON Schema that editors get is also what finds the faults, all of them at once.

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::{Map, Value};

use super::nearest::{did_you_mean, did_you_mean_or_list};
use super::place::{Place, Seg};
use super::types;

/// A fault of shape.
#[derive(Debug)]
pub(super) struct Misshape {
    pub place: Place,
    pub message: String,
    pub hint: Option<String>,
    /// A mapping belongs here.
    pub wants_mapping: bool,
    /// A text stands where a number or a truth value belongs; it may be one that a reference brought.
    pub scalar_as_text: bool,
}

/// Returns the JSON Schema (draft 2020-12) of the YAML, for editors.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(types::File).to_value();
    walk(&mut schema, &|node| {
        // An editor sees references where the program sees what they stand for.
        if let Some(Value::String(pattern)) = node.get_mut("pattern") {
            *pattern = format!("({pattern})|\\$\\{{");
        }
        // Absence is every default; the descriptions say what it means.
        node.remove("default");
        list_of_one(node);
        let needed: Vec<Value> = match node.get("properties") {
            Some(Value::Object(fields)) => ["id", "sha256", "usd", "per"]
                .into_iter()
                .filter(|key| fields.get(*key).is_some_and(|field| is_needed(key, field)))
                .map(Value::from)
                .collect(),
            _ => Vec::new(),
        };
        if !needed.is_empty() && !node.contains_key("required") {
            node.insert("required".to_owned(), Value::Array(needed));
        }
    });
    schema
}

/// A list may be written as the only thing in it.
fn list_of_one(node: &mut Map<String, Value>) {
    let only_lists = |kind: &Value| *kind == "array" || *kind == "null";
    let lists = match node.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().all(only_lists),
        Some(kind) => *kind == "array",
        None => false,
    };
    let Some(one) = node.get("items").cloned().filter(|_| lists) else {
        return;
    };
    let about = node.remove("description");
    let list = Value::Object(std::mem::take(node));
    node.extend(about.map(|about| ("description".to_owned(), about)));
    node.insert("anyOf".to_owned(), Value::Array(vec![list, one]));
}

/// Whether a mapping cannot be without a field. An id that may be absent has something else to stand in for it.
fn is_needed(key: &str, field: &Value) -> bool {
    key != "id" || field.get("type").is_some_and(|kind| *kind == "string")
}

/// The schema and its validator. Nulls are absent before this sees a document, so nothing may be null.
fn strict() -> &'static (Value, Option<Validator>) {
    static STRICT: OnceLock<(Value, Option<Validator>)> = OnceLock::new();
    STRICT.get_or_init(|| {
        let mut schema = schemars::schema_for!(types::File).to_value();
        walk(&mut schema, &without_null);
        walk(&mut schema, &plain_enum);
        let validator = jsonschema::validator_for(&schema).ok();
        (schema, validator)
    })
}

/// Calls `change` on every schema inside a schema, the innermost first.
fn walk(schema: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|item| walk(item, change)),
        Value::Object(node) => {
            node.values_mut().for_each(|child| walk(child, change));
            change(node);
        }
        _ => {}
    }
}

/// `T or null` becomes `T`.
fn without_null(node: &mut Map<String, Value>) {
    let null =
        |value: &Value| *value == "null" || value.get("type").is_some_and(|kind| *kind == "null");
    if let Some(Value::Array(kinds)) = node.get_mut("type") {
        kinds.retain(|kind| !null(kind));
        if let [only] = &mut kinds[..] {
            let only = only.take();
            node.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = node.get_mut("anyOf") {
        choices.retain(|choice| !null(choice));
        if choices.len() == 1
            && let Some(Value::Object(only)) = choices.pop()
        {
            node.remove("anyOf");
            node.extend(only);
        }
    }
}

/// A choice of constants becomes an enum, whose failure lists them.
fn plain_enum(node: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = node.get("oneOf") else {
        return;
    };
    let constants: Option<Vec<Value>> = choices
        .iter()
        .map(|choice| {
            choice
                .get("const")
                .cloned()
                .map(|one| vec![one])
                .or_else(|| choice.get("enum")?.as_array().cloned())
        })
        .collect::<Option<Vec<_>>>()
        .map(|lists| lists.concat());
    if let Some(constants) = constants {
        node.remove("oneOf");
        node.insert("enum".to_owned(), Value::Array(constants));
    }
}

/// Puts a list around a text or a mapping that stands where a list of such belongs.
pub(super) fn complete_lists(document: &mut Value) {
    let (schema, Some(validator)) = strict() else {
        return;
    };
    let lone = |document: &Value| -> Vec<Place> {
        let errors = validator.iter_errors(document);
        let lone = errors.filter(|error| is_lone(error, schema));
        lone.map(|error| Place::from_pointer(error.instance_path().as_str(), document))
            .collect()
    };
    // What is put into a list may have lists of its own in it.
    loop {
        let places = lone(document);
        if places.is_empty() {
            return;
        }
        for place in places {
            if let Some(at) = place.find(document) {
                *at = Value::Array(vec![at.take()]);
            }
        }
    }
}

/// Whether an error is that one thing stands where a list of such belongs.
fn is_lone(error: &ValidationError<'_>, schema: &Value) -> bool {
    let wants_list = matches!(
        error.kind(),
        ValidationErrorKind::Type {
            kind: TypeKind::Single(JsonType::Array)
        }
    );
    let found = match error.instance().as_ref() {
        Value::String(_) => "string",
        Value::Object(_) => "object",
        _ => return false,
    };
    let item = around(error, schema).get("items").filter(|_| wants_list);
    let item = item.map(|item| match item.get("$ref").and_then(Value::as_str) {
        Some(named) => schema
            .pointer(named.trim_start_matches('#'))
            .unwrap_or(item),
        None => item,
    });
    item.is_some_and(|item| {
        let is_choice = found == "string" && item.get("enum").is_some();
        is_choice || item.get("type").is_some_and(|kind| *kind == found)
    })
}

/// The part of the schema that an error is about.
fn around<'s>(error: &ValidationError<'_>, schema: &'s Value) -> &'s Value {
    let keyword = error.schema_path().as_str();
    let node = keyword.rfind('/');
    node.and_then(|end| schema.pointer(&keyword[..end]))
        .unwrap_or(&Value::Null)
}

/// Every fault of shape. `raw` gives a scalar's text as the operator wrote it, so that nothing a reference
/// brought is ever shown.
pub(super) fn faults(document: &Value, raw: &dyn Fn(&Place) -> Option<String>) -> Vec<Misshape> {
    let (schema, Some(validator)) = strict() else {
        return Vec::new();
    };
    validator
        .iter_errors(document)
        .flat_map(|error| explain(&error, schema, document, raw))
        .collect()
}

fn explain(
    error: &ValidationError<'_>,
    schema: &Value,
    document: &Value,
    raw: &dyn Fn(&Place) -> Option<String>,
) -> Vec<Misshape> {
    let place = Place::from_pointer(error.instance_path().as_str(), document);
    let written = || {
        let text = raw(&place).filter(|text| may_be_shown(text));
        text.map_or_else(|| "this".to_owned(), |text| format!("`{text}`"))
    };
    let node = around(error, schema);
    let unit = node.get("patternErrorMessage").and_then(Value::as_str);
    let one = |message: String, hint: Option<String>| {
        vec![Misshape {
            place: place.clone(),
            message,
            hint,
            wants_mapping: false,
            scalar_as_text: false,
        }]
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unknown_fields(&place, unexpected, node)
        }
        ValidationErrorKind::Required { property } => one(
            format!("`{}` is missing", property.as_str().unwrap_or_default()),
            None,
        ),
        ValidationErrorKind::Type { kind }
            if unit.is_none() || error.instance().is_array() || error.instance().is_object() =>
        {
            vec![wrong_type(place.clone(), kind, error.instance())]
        }
        ValidationErrorKind::Enum { options } => {
            let (message, hint) = no_choice(&raw(&place).unwrap_or_default(), options);
            one(message, hint)
        }
        ValidationErrorKind::Minimum { limit } if unit.is_none() => one(
            format!("{} is too small; the least is {limit}", written()),
            None,
        ),
        ValidationErrorKind::Maximum { limit } if unit.is_none() => one(
            format!("{} is too large; the most is {limit}", written()),
            None,
        ),
        _ => match unit {
            Some(unit) => one(format!("{} {unit}", written()), None),
            None => one(error.masked_with(written()).to_string(), None),
        },
    }
}

fn unknown_fields(place: &Place, unexpected: &[String], node: &Value) -> Vec<Misshape> {
    let known: Vec<&str> = match node.get("properties") {
        Some(Value::Object(properties)) => properties.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let unknown = unexpected.iter().map(|key| Misshape {
        place: place.key(key),
        message: "unknown field".to_owned(),
        hint: did_you_mean_or_list(key, "the fields here are", known.iter().copied()),
        wants_mapping: false,
        scalar_as_text: false,
    });
    unknown.collect()
}

/// What is said of a word that is none of the options, and the hint.
fn no_choice(word: &str, options: &Value) -> (String, Option<String>) {
    let options = options.as_array().into_iter().flatten();
    let options: Vec<&str> = options.filter_map(Value::as_str).collect();
    let near = did_you_mean(word, options.iter().copied());
    let shown = match near.is_some() || may_be_shown(word) {
        true if !word.is_empty() => format!("`{word}`"),
        _ => "this".to_owned(),
    };
    let hint = did_you_mean_or_list(word, "the choices are", options.iter().copied());
    (format!("{shown} is not a choice here"), hint)
}

/// Whether a text that stands where a figure or a word of a few belongs is a slip of such, and no password that got into
/// the wrong line.
fn may_be_shown(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    text.len() <= if begins { 20 } else { 10 }
}

fn wrong_type(place: Place, kind: &TypeKind, found: &Value) -> Misshape {
    let kinds: Vec<JsonType> = match kind {
        TypeKind::Single(kind) => vec![*kind],
        TypeKind::Multiple(kinds) => kinds.iter().collect(),
    };
    let wants = |kind| kinds.contains(&kind);
    let expected: Vec<&str> = kinds.iter().map(|kind| kind_name(*kind)).collect();
    let hint = match found {
        Value::Number(_) | Value::Bool(_) if wants(JsonType::String) => {
            Some("put it in quotes".to_owned())
        }
        Value::String(_) | Value::Object(_) if wants(JsonType::Array) => {
            Some("write it as a list, in `[ ]` or after `- `".to_owned())
        }
        _ => None,
    };
    let scalar = wants(JsonType::Integer) || wants(JsonType::Number) || wants(JsonType::Boolean);
    let found_name = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    Misshape {
        place,
        message: format!(
            "this is {found_name}, but {} belongs here",
            expected.join(" or ")
        ),
        hint,
        wants_mapping: wants(JsonType::Object),
        scalar_as_text: scalar && found.is_string(),
    }
}

fn kind_name(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a mapping",
        JsonType::String => "text",
    }
}

/// Takes what is misshapen out of the document, so that everything else can still be checked. What was taken.
pub(super) fn prune(document: &mut Value, misshape: &Misshape) -> Option<Place> {
    let place = &misshape.place;
    let in_list = matches!(place.0.last(), Some(Seg::Index(_)));
    match place.find(document) {
        // An element of a list of mappings leaves an empty one behind: the others keep their indices.
        Some(element) if in_list && misshape.wants_mapping => {
            *element = Value::Object(Map::new());
            Some(place.clone())
        }
        Some(_) => place.prune(document),
        None => None,
    }
}

#[cfg(test)]
mod tests;
