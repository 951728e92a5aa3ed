//! The shape of an answer, for models that can be held to it and for those that can only be asked for it.

use serde_json::Value;

use super::neutral::{Conversation, Field, Format};
use super::{Lost, Target, schema};

/// What stands in for a mode that only OpenAI has, some JSON object of no schema, and for schemas where a
/// model is not held to them.
const JSON_PLEASE: &str = "Answer with one valid JSON object and nothing else.";

/// The system prompt that asks for a format which the model is not held to.
pub(super) fn asked(format: &Format) -> String {
    match format {
        Format::Json => JSON_PLEASE.to_owned(),
        Format::Schema { schema, .. } => {
            format!("{JSON_PLEASE} It must match this JSON Schema:\n{schema}")
        }
    }
}

/// The format for one of OpenAI's surfaces, or the prompt that asks for it where the model takes no schemas.
pub(super) fn told<'c>(
    c: &'c Conversation,
    target: &Target<'_>,
    lost: &mut Lost,
) -> (Option<&'c Format>, Option<String>) {
    match &c.format {
        Some(format @ Format::Schema { .. })
            if target.capabilities.structured_output == Some(false) =>
        {
            lost.add(Field::Format);
            (None, Some(asked(format)))
        }
        format => (format.as_ref(), None),
    }
}

/// Whether OpenAI's strict mode is asked to hold to a schema. One that it refuses, as one with optional members, which
/// Anthropic's takes, is a hint there.
pub(super) fn strict(
    schema: &Value,
    strict: Option<bool>,
    field: Field,
    lost: &mut Lost,
) -> Option<bool> {
    if strict == Some(true) && !schema::is_strict(schema) {
        lost.add(field);
        return Some(false);
    }
    strict
}
