//! Checks what clients send against the schemas that the document shows, and reports all faults at once.
//!
//! Invariant: no message contains a value of the request; it may be a secret. Names of fields are shown only if they
//! look like names.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// What is wrong, by the field's path.
pub(super) type Details = BTreeMap<String, String>;

/// The path of the whole body.
const WHOLE: &str = "body";
/// Longest name of an unknown field that is repeated to the client.
const NAME_MAX: usize = 32;

/// A schema to check with. The check is made when it is needed first: most operations are never called.
pub(super) struct Checker {
    schema: Value,
    definitions: Arc<Map<String, Value>>,
    validator: OnceLock<Result<Validator, String>>,
}

impl Checker {
    /// `schema` may reference the definitions.
    pub(super) fn new(schema: &Value, definitions: &Arc<Map<String, Value>>) -> Checker {
        Checker {
            schema: schema.clone(),
            definitions: definitions.clone(),
            validator: OnceLock::new(),
        }
    }

    /// The schema with what it references.
    fn whole(&self) -> Value {
        let mut schema = self.schema.clone();
        if let Value::Object(root) = &mut schema {
            root.insert(
                "components".to_owned(),
                json!({"schemas": *self.definitions}),
            );
        }
        schema
    }

    /// # Errors
    ///
    /// When the schema is none; a fault of this program, which a test looks for.
    pub(super) fn validator(&self) -> Result<&Validator, &String> {
        let make = || {
            jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .should_validate_formats(true)
                .build(&self.whole())
                .map_err(|error| error.to_string())
        };
        self.validator.get_or_init(make).as_ref()
    }

    /// Everything that is wrong.
    pub(super) fn faults(&self, value: &Value) -> Details {
        self.all_but(value, |_| false)
    }

    /// Everything that is wrong with an answer. A choice may be one that is not listed: a newer gateway has stored it.
    pub(super) fn faults_of_answer(&self, answer: &Value) -> Details {
        self.all_but(answer, |error| match error.kind() {
            ValidationErrorKind::Enum { .. } => true,
            ValidationErrorKind::OneOfNotValid { context } => {
                tags(context).is_some_and(|(path, _)| path == error.instance_path().as_str())
            }
            _ => false,
        })
    }

    fn all_but(&self, value: &Value, passes: impl Fn(&ValidationError<'_>) -> bool) -> Details {
        let mut details = Details::new();
        let validator = match self.validator() {
            Ok(validator) => validator,
            Err(error) => {
                log::error!("admin API: a schema is none: {error}");
                return [(WHOLE.to_owned(), "cannot be checked".to_owned())].into();
            }
        };
        for error in validator.iter_errors(value).filter(|error| !passes(error)) {
            self.explain(&error, &mut details);
        }
        details
    }

    /// The value as its type.
    ///
    /// # Errors
    ///
    /// 422 with all that is wrong.
    pub(super) fn read<T: DeserializeOwned>(&self, mut value: Value) -> Result<T, ApiError> {
        let details = self.faults(&value);
        if !details.is_empty() {
            return Err(ApiError::invalid_all(details));
        }
        whole(&mut value);
        // What a type refuses beyond its schema; the error's text may show the value.
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { WHOLE.to_owned() } else { path };
            ApiError::invalid(path, "is not valid here")
        })
    }

    /// The schema that a keyword stands in.
    fn node(&self, error: &ValidationError<'_>) -> &Value {
        let keyword = error.schema_path().as_str();
        keyword
            .rfind('/')
            .and_then(|end| self.at(&keyword[..end]))
            .unwrap_or(&Value::Null)
    }

    /// What is at a JSON pointer of the schema with what it references.
    fn at(&self, pointer: &str) -> Option<&Value> {
        let Some(defined) = pointer.strip_prefix("/components/schemas/") else {
            return self.schema.pointer(pointer);
        };
        let (name, rest) = match defined.find('/') {
            Some(end) => defined.split_at(end),
            None => (defined, ""),
        };
        self.definitions.get(name)?.pointer(rest)
    }

    fn explain(&self, error: &ValidationError<'_>, details: &mut Details) {
        let path = dotted(error.instance_path().as_str());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    details.insert(join(&path, shown(name)), self.unknown(error));
                }
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                details.insert(join(&path, name), "is required".to_owned());
            }
            ValidationErrorKind::AnyOf { context }
            | ValidationErrorKind::OneOfNotValid { context } => {
                if let Some(branch) = meant(context, error.instance_path().as_str()) {
                    for error in branch {
                        self.explain(error, details);
                    }
                } else if let Some((path, choices)) = tags(context) {
                    details.insert(dotted(path), format!("must be one of {}", listed(&choices)));
                } else {
                    self.tell(path, error, details);
                }
            }
            _ => self.tell(path, error, details),
        }
    }

    /// Notes it for its place, unless something else was noted there.
    fn tell(&self, path: String, error: &ValidationError<'_>, details: &mut Details) {
        let path = if path.is_empty() {
            WHOLE.to_owned()
        } else {
            path
        };
        details.entry(path).or_insert_with(|| self.message(error));
    }

    fn unknown(&self, error: &ValidationError<'_>) -> String {
        match self.node(error).get("properties") {
            Some(Value::Object(known)) if (1..=20).contains(&known.len()) => {
                let known: Vec<&str> = known.keys().map(String::as_str).collect();
                format!("is not a field here; the fields are {}", known.join(", "))
            }
            _ => "is not a field here".to_owned(),
        }
    }

    fn message(&self, error: &ValidationError<'_>) -> String {
        if let Some(said) = self.node(error).get("patternErrorMessage")
            && let Some(said) = said.as_str()
        {
            return said.to_owned();
        }
        match error.kind() {
            ValidationErrorKind::Type { kind } => format!("must be {}", kinds(kind)),
            ValidationErrorKind::Enum { options } => format!("must be one of {}", listed(options)),
            ValidationErrorKind::Constant { expected_value } => format!("must be {expected_value}"),
            ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
            ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
            ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
            ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
            ValidationErrorKind::MaxLength { limit } => {
                format!("must have at most {limit} characters")
            }
            ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
            ValidationErrorKind::MinLength { limit } => {
                format!("must have at least {limit} characters")
            }
            ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
            ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
            ValidationErrorKind::MaxProperties { limit } => {
                format!("must have at most {limit} entries")
            }
            ValidationErrorKind::MinProperties { limit } => {
                format!("must have at least {limit} entries")
            }
            ValidationErrorKind::UniqueItems => "must not have an item twice".to_owned(),
            ValidationErrorKind::Pattern { pattern } => format!("must match {pattern}"),
            ValidationErrorKind::Format { format } if format == "date-time" => {
                "must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z".to_owned()
            }
            ValidationErrorKind::Format { format } => format!("must have the format {format}"),
            ValidationErrorKind::PropertyNames { .. } => {
                "has a name that is not allowed".to_owned()
            }
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
                "has none of the allowed forms".to_owned()
            }
            other => format!("is not valid ({})", other.keyword()),
        }
    }
}

/// Makes `5.0` a `5`: JSON has one kind of number, and a schema calls both integers.
fn whole(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(whole),
        Value::Object(fields) => fields.values_mut().for_each(whole),
        Value::Number(number) if number.is_f64() => {
            // Its own shortest text, without the fraction if that is zero.
            let text = number.to_string();
            if let Some(integer) = text.strip_suffix(".0").and_then(|text| text.parse().ok()) {
                *number = integer;
            }
        }
        _ => {}
    }
}

/// Of several forms, the one that was meant: whose constants (`"type": "user"`) all fit; `None` if that is unclear.
fn meant<'a>(
    forms: &'a [Vec<ValidationError<'static>>],
    path: &str,
) -> Option<&'a [ValidationError<'static>]> {
    let fits = |form: &&Vec<ValidationError<'static>>| {
        form.iter().all(|error| match error.kind() {
            ValidationErrorKind::Constant { .. } => false,
            ValidationErrorKind::Type { .. } => error.instance_path().as_str() != path,
            _ => true,
        })
    };
    let mut fitting = forms.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(form), None) => Some(form),
        _ => None,
    }
}

/// The constants by which several forms are distinguished, and where they stand; `None` if there are none.
fn tags<'a>(forms: &'a [Vec<ValidationError<'static>>]) -> Option<(&'a str, Value)> {
    let mut place = None;
    let mut choices = Vec::new();
    for form in forms {
        let tag = form.iter().find_map(|error| match error.kind() {
            ValidationErrorKind::Constant { expected_value } => {
                Some((error.instance_path().as_str(), Value::clone(expected_value)))
            }
            _ => None,
        });
        let (path, choice) = tag?;
        if *place.get_or_insert(path) != path {
            return None;
        }
        choices.push(choice);
    }
    Some((place?, Value::Array(choices)))
}

fn kinds(kind: &TypeKind) -> String {
    let kinds: Vec<JsonType> = match kind {
        TypeKind::Single(kind) => vec![*kind],
        TypeKind::Multiple(kinds) => kinds.iter().collect(),
    };
    let name = |kind: &JsonType| match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    };
    let names: Vec<&str> = kinds.iter().map(name).collect();
    names.join(" or ")
}

fn listed(options: &Value) -> String {
    let options: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .map(|option| {
            option
                .as_str()
                .map_or_else(|| option.to_string(), str::to_owned)
        })
        .collect();
    options.join(", ")
}

/// A JSON pointer as people write paths: `/models/0/id` is `models.0.id`.
fn dotted(pointer: &str) -> String {
    let segments = pointer.split('/').skip(1);
    let names: Vec<String> = segments
        .map(|segment| shown(&segment.replace("~1", "/").replace("~0", "~")).to_owned())
        .collect();
    names.join(".")
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// A name that the client chose, if it looks like a name.
pub(super) fn shown(name: &str) -> &str {
    let plain = name.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
    });
    if plain && (1..=NAME_MAX).contains(&name.len()) {
        name
    } else {
        "(unnamed)"
    }
}

#[cfg(test)]
mod tests;
