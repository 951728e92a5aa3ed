//! The OpenAPI 3.1 document, from the table of operations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::auth::ACCOUNT_HEADER;
use super::error::Code;
use super::operation::{Needs, Scope};
use super::table::{Entry, Table};

/// The document at `/openapi.json`.
pub(super) fn document(table: &Table) -> Value {
    let mut paths = Map::new();
    for (path, entries) in table.by_path() {
        let mut methods = Map::new();
        for entry in entries {
            let method = entry.operation.method.as_str().to_ascii_lowercase();
            methods.insert(method.clone(), operation(entry));
            if method == "get" {
                methods.insert("head".to_owned(), head(entry));
            }
        }
        paths.insert(path.to_owned(), Value::Object(methods));
    }
    let mut tags: Vec<Value> = Vec::new();
    for entry in &table.entries {
        let tag = entry.operation.tag;
        if tags.iter().all(|known| known["name"] != tag.name) {
            tags.push(json!({"name": tag.name, "description": tag.description}));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Manage an AI gateway at run time.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This gateway's admin listener"}],
        "security": [{"bearerAuth": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearerAuth": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: the one in TOLLGATE_ADMIN_KEY, one declared in the configuration, or one created at /api-keys.",
                },
            },
            "parameters": parameters(),
            "headers": headers(),
            "schemas": *table.definitions,
        },
    })
}

/// Opens the document and the page.
pub(super) const INTRODUCTION: &str = "\
Every request carries `Authorization: Bearer <API key>`. Every error has the same shape, with a stable `errorCode` and, \
where fields are not valid, a line of `details` for each of them. Lists are in descending ID order and paged with \
`beforeId` and `limit`; `nextPageUri` leads to the next page and is null on the last. In updates an absent field stays \
as it is, `null` clears it, and a list replaces the whole list. A key for all accounts acts for the account `default` \
unless `accountId` or the header `x-tollgate-account` names another. After ten unknown keys an address that sends another \
one is answered 429 until it has waited; a right key is always served.";

fn parameters() -> Value {
    json!({
        "AccountID": {
            "name": "accountId",
            "in": "query",
            "required": false,
            "description": "The account to act for. Defaults to the API key's own account, or else to `default`, or to all accounts where the operation says so.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        "AccountHeader": {
            "name": ACCOUNT_HEADER,
            "in": "header",
            "required": false,
            "description": "The same as `accountId`, which wins.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
    })
}

fn headers() -> Value {
    json!({
        "RequestID": {
            "description": "Names this request in the gateway's log.",
            "schema": {"type": "string"},
        },
        "RetryAfter": {
            "description": "Seconds to wait before trying again.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "Authenticate": {
            "description": "How to authenticate: `Bearer`.",
            "schema": {"type": "string"},
        },
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn operation(entry: &Entry) -> Value {
    let operation = &entry.operation;
    let mut shown = json!({
        "tags": [operation.tag.name],
        "summary": operation.summary,
        "operationId": operation.id,
    });
    let role = match operation.needs {
        Needs::Usage => "Any API key may do this.",
        Needs::Read => "Needs an API key of the role `full` or `read-only`.",
        Needs::Write => "Needs an API key of the role `full`.",
    };
    let description = format!("{}\n\n{role}", operation.description);
    shown["description"] = description.trim().into();
    let parameters = operation_parameters(entry);
    if !parameters.is_empty() {
        shown["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = &entry.body {
        shown["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": body}},
        });
    }
    shown["responses"] = responses(entry, true);
    shown
}

fn head(entry: &Entry) -> Value {
    let mut shown = operation(entry);
    shown["operationId"] = entry.operation.head_id().into();
    shown["summary"] = format!("{} (HEAD)", entry.operation.summary).into();
    shown["description"] = "The same as GET, without the body.".into();
    shown["responses"] = responses(entry, false);
    shown
}

fn operation_parameters(entry: &Entry) -> Vec<Value> {
    let operation = &entry.operation;
    let mut parameters = Vec::new();
    if operation.takes.id {
        parameters.push(json!({
            "name": "id",
            "in": "path",
            "required": true,
            "description": format!("Unique identifier for {}.", operation.tag.one),
            "schema": {"type": "string"},
        }));
    }
    let required = entry.query["required"].as_array();
    for (name, schema) in entry.query["properties"].as_object().into_iter().flatten() {
        let mut schema = schema.clone();
        let description = schema
            .as_object_mut()
            .and_then(|node| node.remove("description"));
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "required": required.is_some_and(|names| names.iter().any(|other| other == name)),
        });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter["schema"] = schema;
        parameters.push(parameter);
    }
    if matches!(operation.scope, Scope::Account | Scope::Every) {
        parameters.push(reference("parameters", "AccountID"));
        parameters.push(reference("parameters", "AccountHeader"));
    }
    parameters
}

fn responses(entry: &Entry, bodies: bool) -> Value {
    let operation = &entry.operation;
    let mut responses = Map::new();
    let status = operation.status;
    let mut success = json!({
        "description": status.canonical_reason().unwrap_or("Success"),
        "headers": {"x-request-id": reference("headers", "RequestID")},
    });
    if let (Some(answer), true) = (&entry.answer, bodies) {
        success["content"] = json!({"application/json": {"schema": answer}});
    }
    responses.insert(status.as_str().to_owned(), success);

    let mut errors: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in operation.all_errors() {
        errors.entry(code.status().as_u16()).or_default().push(code);
    }
    for (status, codes) in errors {
        let lines: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.code(), code.meaning()))
            .collect();
        let mut headers = json!({"x-request-id": reference("headers", "RequestID")});
        match status {
            401 => headers["www-authenticate"] = reference("headers", "Authenticate"),
            429 | 503 => headers["retry-after"] = reference("headers", "RetryAfter"),
            _ => {}
        }
        let mut error = json!({"description": lines.join("\n"), "headers": headers});
        if bodies {
            error["content"] =
                json!({"application/json": {"schema": reference("schemas", "Error")}});
        }
        responses.insert(status.to_string(), error);
    }
    Value::Object(responses)
}
