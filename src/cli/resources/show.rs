//! Answers for people: a list as a table, one resource as lines.

use std::io::{self, Write};

use serde_json::Value;

use super::call::items;
use crate::cli::table::{plain, table as aligned};

/// Columns that a table never has: long, or the same in every line.
const LEFT_OUT: [&str; 8] = [
    "uri",
    "metadata",
    "description",
    "updatedAt",
    "createdAt",
    "createdBy",
    "lastUpdatedBy",
    "nextPageUri",
];

/// Most columns of a table.
const COLUMNS: usize = 7;

/// Writes an answer to the standard output.
pub fn value(value: &Value) -> io::Result<()> {
    let list = value.get("nextPageUri").is_some()
        || value.as_object().is_some_and(|fields| fields.len() <= 2);
    let mut out = io::stdout().lock();
    match items(value).filter(|_| list) {
        Some((_, 0)) => writeln!(out, "there is none"),
        Some((name, _)) => {
            let rows = value[&name]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            writeln!(out, "{}", table(rows))
        }
        None => {
            write!(out, "{}", lines(value, 0))?;
            if value["token"].is_string() {
                writeln!(io::stderr(), "The token is shown only now: keep it.")?;
            }
            Ok(())
        }
    }
}

fn table(rows: &[Value]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for row in rows {
        for (name, value) in row.as_object().into_iter().flatten() {
            let fits = !value.is_array() && cell(value).is_some() && !LEFT_OUT.contains(&&**name);
            if fits && !columns.contains(&&**name) && columns.len() < COLUMNS {
                columns.push(name);
            }
        }
    }
    let head: Vec<String> = columns.iter().map(|name| heading(name)).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let cells = |row: &Value| -> Vec<String> {
        let cells = columns.iter().map(|name| cell(&row[name]));
        cells.map(Option::unwrap_or_default).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    aligned(head, &rows, &[])
}

/// A value in a cell; of a reference, its id. `None` if it does not fit into one.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(plain(text)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Object(fields) => fields.get("id").and_then(cell),
        Value::Array(_) => None,
    }
}

/// A value on one line, after its name; `None` if it needs more.
fn inline(value: &Value) -> Option<String> {
    // A reference.
    let is_ref =
        |fields: &serde_json::Map<String, Value>| fields.contains_key("uri") && fields.len() <= 3;
    match value {
        Value::Object(fields) if !is_ref(fields) => None,
        value => cell(value),
    }
}

/// `keyRedacted` is `KEY REDACTED`.
fn heading(name: &str) -> String {
    let mut heading = String::new();
    for char in name.chars() {
        if char.is_ascii_uppercase() {
            heading.push(' ');
        }
        heading.push(char.to_ascii_uppercase());
    }
    heading
}

fn lines(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match inline(value) {
                Some(text) => format!("{indent}{name}: {text}\n"),
                None => format!("{indent}{name}:\n{}", lines(value, depth + 1)),
            })
            .collect(),
        Value::Array(list) => list
            .iter()
            .map(|value| match inline(value) {
                Some(text) => format!("{indent}- {text}\n"),
                None => format!("{indent}-\n{}", lines(value, depth + 1)),
            })
            .collect(),
        _ => format!("{indent}{}\n", cell(value).unwrap_or_default()),
    }
}
