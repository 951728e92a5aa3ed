//! The document is whole, and says what the listener does.

use std::collections::HashSet;

use serde_json::Value;

use super::Listener;

/// Calls `see` on every value inside a value.
fn walk(value: &Value, see: &mut dyn FnMut(&Value)) {
    see(value);
    match value {
        Value::Array(list) => list.iter().for_each(|item| walk(item, see)),
        Value::Object(fields) => fields.values().for_each(|field| walk(field, see)),
        _ => {}
    }
}

/// Whether the account that is acted for may be named, and so may be unknown.
fn names_an_account(operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut references = parameters.filter_map(|one| one["$ref"].as_str());
    references.any(|one| one.ends_with("/AccountID"))
}

#[tokio::test]
async fn the_document_is_whole_and_can_be_read_without_a_key() {
    let listener = Listener::with(&[]).await;
    let answer = listener.get("/openapi.json").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json")
    );
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = 0;
    walk(&document, &mut |value| {
        if let Some(target) = value["$ref"].as_str() {
            references += 1;
            let found = document.pointer(target.trim_start_matches('#'));
            assert!(found.is_some(), "{target} leads nowhere");
        }
        assert!(
            value.get("x-nullable").is_none(),
            "an inner mark is shown: {value}"
        );
    });
    assert!(
        references > 20,
        "types with names are defined once: {references}"
    );

    let mut ids = HashSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap();
        assert_eq!(
            methods.contains_key("get"),
            methods.contains_key("head"),
            "{path}"
        );
        for (method, operation) in methods {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            let responses = operation["responses"].as_object().unwrap();
            for status in ["400", "401", "403", "422", "429", "500", "503"] {
                assert!(responses.contains_key(status), "{method} {path}: {status}");
            }
            assert_eq!(
                responses.contains_key("404"),
                path.contains("{id}") || names_an_account(operation),
                "{method} {path}"
            );
            assert_eq!(
                operation.get("requestBody").is_some(),
                responses.contains_key("415"),
                "{method} {path}"
            );
        }
    }
    assert!(
        ids.contains("HeadCatalogModels") && ids.contains("HeadThings"),
        "{ids:?}"
    );
    let limit = &document["paths"]["/things"]["get"]["parameters"][1];
    assert_eq!(
        (&limit["name"], &limit["schema"]["maximum"]),
        (&"limit".into(), &100.into())
    );
    for schema in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
    {
        assert!(jsonschema::meta::is_valid(schema), "{schema}");
    }
}

#[tokio::test]
async fn the_page_shows_every_operation_and_allows_nothing_else() {
    let listener = Listener::with(&[]).await;
    let page = listener.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    for text in [
        "ListCatalogModels",
        "UpdateThing",
        "ERR_TOLLGATE_4092",
        "id=\"schema-CatalogModel\"",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    for text in ["<script", "src=", "http://", "https://", " style="] {
        assert!(!page.body.contains(text), "{text}");
    }
    let links = page.body.split("href=\"#").skip(1);
    for link in links.filter_map(|rest| rest.split('"').next()) {
        assert!(
            page.body.contains(&format!("id=\"{link}\"")),
            "#{link} leads nowhere"
        );
    }
}
