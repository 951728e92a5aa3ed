//! The query of a URL, and what its parameters' schemas make of it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::error::{ApiError, Code};

/// Longest query that is read.
const QUERY_MAX: usize = 8 * 1_024;

/// The pairs of a query, decoded.
///
/// # Errors
///
/// 400 when it is not UTF-8 or too long.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    if query.len() > QUERY_MAX {
        return Err(ApiError::new(
            Code::BadRequest,
            "the query is longer than 8 KiB",
        ));
    }
    form(query)
}

/// The pairs of a form's body, decoded; as long as it is.
///
/// # Errors
///
/// 400 when it is not UTF-8.
pub(super) fn form(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| ApiError::new(Code::BadRequest, "the query or the form is not UTF-8"))
}

/// The first value of a parameter.
pub(super) fn first<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = pairs.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| &**value)
}

/// Takes all values of a parameter out of a query.
pub(super) fn take(pairs: &mut Vec<(String, String)>, name: &str) -> Vec<String> {
    pairs
        .extract_if(.., |(found, _)| found == name)
        .map(|(_, value)| value)
        .collect()
}

/// The parameters as JSON, for their schema to check: numbers and truth values where it wants some, a list where it
/// wants one. What cannot be converted, and what is given twice, stays as it is and fails the check.
pub(super) fn to_json(pairs: &[(String, String)], schema: &Value) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        let property = &schema["properties"][name];
        if property["type"] == "array" {
            let item = converted(value, &property["items"]);
            match object
                .entry(name.clone())
                .or_insert(Value::Array(Vec::new()))
            {
                Value::Array(list) => list.push(item),
                other => *other = item,
            }
            continue;
        }
        let value = converted(value, property);
        object
            .entry(name.clone())
            // A list where none is wanted: "must be a string".
            .and_modify(|first| *first = Value::Array(vec![first.take(), value.clone()]))
            .or_insert(value);
    }
    Value::Object(object)
}

fn converted(text: &str, schema: &Value) -> Value {
    let number = || text.parse().ok().map(Value::Number);
    let converted = match schema["type"].as_str() {
        Some("integer" | "number") => number(),
        Some("boolean") => text.parse().ok().map(Value::Bool),
        _ => None,
    };
    converted.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn parameters_become_what_their_schema_wants() {
        let schema = json!({"properties": {
            "limit": {"type": "integer"},
            "all": {"type": "boolean"},
            "name": {"type": "string"},
            "tag": {"type": "array", "items": {"type": "string"}},
        }});
        let pairs = pairs("limit=5&all=true&name=1%2B+2&tag=a&tag=b&other=x&name=again").unwrap();
        assert_eq!(
            to_json(&pairs, &schema),
            json!({"limit": 5, "all": true, "name": ["1+ 2", "again"], "tag": ["a", "b"], "other": "x"})
        );
    }

    proptest! {
        #[test]
        fn no_query_panics(query in ".{0,200}") {
            if let Ok(pairs) = pairs(&query) {
                to_json(&pairs, &json!({"properties": {"a": {"type": "array"}}}));
            }
        }
    }
}
