use super::*;

fn said(document: Value) -> Vec<String> {
    let raw = |place: &Place| {
        place
            .find(&mut document.clone())
            .map(|value| value.to_string().trim_matches('"').to_owned())
    };
    faults(&document, &raw)
        .into_iter()
        .map(|fault| {
            format!(
                "{}: {}; {}",
                fault.place,
                fault.message,
                fault.hint.unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn the_schema_is_a_schema_and_accepts_an_empty_document() {
    assert!(strict().1.is_some(), "the generated schema compiles");
    assert!(
        jsonschema::meta::is_valid(&schema()),
        "the editors' schema is valid"
    );
    assert_eq!(said(serde_json::json!({})), Vec::<String>::new());
}

#[test]
fn every_kind_of_fault_is_told_in_an_operators_words() {
    let document = serde_json::json!({
        "proxi": {},
        "proxy": { "listen": "a", "threads": -1, "max_body": "big", "drain": 5 },
        "timeouts": { "total": "soon", "hold": true },
        "providers": [
            { "bas_url": "x", "auth": "bearr", "surfaces": ["openai/chat"], "keys": [{ "id": 5 }] },
            "openai",
            { "models": [{ "prices": { "input": -1, "output": "x" }, "modalities": ["smell"] }] },
        ],
        "failover": "yes",
        "configurations": [{ "router": { "rules": [{ "steps": [{ "type": "usr" }, { "keys": [] }, { "type": "ngrok", "kys": 1 }] }] } }],
    });
    let mut said = said(document);
    said.sort();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn one_thing_may_stand_where_a_list_of_such_belongs() {
    let mut document = serde_json::json!({
        "include": "a.yaml",
        "proxy": { "listen": "127.0.0.1:1", "cors": { "origins": "*" } },
        "providers": { "id": "a", "surfaces": "openai/responses", "keys": { "id": "k", "value": "v" } },
        "configurations": [{ "id": "c", "access": { "models": { "allow": "a:b" } },
            "router": { "rules": { "provider": "a", "steps": { "type": "user", "keys": "k" } } } }],
    });
    complete_lists(&mut document);
    assert_eq!(
        document,
        serde_json::json!({
            "include": ["a.yaml"],
            "proxy": { "listen": ["127.0.0.1:1"], "cors": { "origins": ["*"] } },
            "providers": [{ "id": "a", "surfaces": ["openai/responses"], "keys": [{ "id": "k", "value": "v" }] }],
            "configurations": [{ "id": "c", "access": { "models": { "allow": ["a:b"] } },
                "router": { "rules": [{ "provider": "a", "steps": [{ "type": "user", "keys": ["k"] }] }] } }],
        })
    );
    assert_eq!(said(document), Vec::<String>::new());
    // What no list may hold is reported as before.
    let mut document = serde_json::json!({ "proxy": { "listen": 8080 }, "providers": "openai", "failover": ["x"] });
    let before = document.clone();
    complete_lists(&mut document);
    assert_eq!(document, before);
}
