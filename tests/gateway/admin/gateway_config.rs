//! The gateway configuration.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, ROOT, builder};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::script::Script;

#[tokio::test]
async fn an_account_has_settings_of_its_own_and_else_the_files() {
    let own = json!({"limits": {"max_input_tokens": 5000}});
    let api = Api::start(builder().config(own)).await;
    let config = api.get("/gateway-config").await;
    let uri = config["uri"].as_str().unwrap();
    assert!(uri.ends_with("/gateway-config"), "{uri}");
    assert_eq!(
        config,
        json!({"accountId": "default", "uri": uri, "totalTimeout": "1m0s", "perRequestTimeout": "700ms",
               "maxInputTokens": 5000, "maxOutputTokens": null, "metadata": null})
    );
    assert_eq!(
        api.call(ROOT, "HEAD", "/gateway-config", None).await,
        (200, Value::Null)
    );

    let changed = api
        .update("/gateway-config", json!({"totalTimeout": "1.5h", "maxInputTokens": null, "maxOutputTokens": 100, "metadata": "m"}))
        .await;
    assert_eq!(changed["totalTimeout"], "1h30m0s");
    assert_eq!(
        changed["perRequestTimeout"], "700ms",
        "what is absent stays"
    );
    assert_eq!(changed["maxInputTokens"], 5000, "the file's, and not none");
    assert_eq!(
        (&changed["maxOutputTokens"], &changed["metadata"]),
        (&json!(100), &json!("m"))
    );
    assert_eq!(api.get("/gateway-config").await, changed);
    let (_, acme) = api.call(ACME, "GET", "/gateway-config", None).await;
    assert_eq!(
        (&acme["accountId"], &acme["maxInputTokens"]),
        (&json!("acme"), &json!(5000))
    );

    let changed = api
        .update(
            "/gateway-config",
            json!({"totalTimeout": null, "maxInputTokens": 7, "metadata": null}),
        )
        .await;
    assert_eq!(changed["totalTimeout"], "1m0s", "the file's again");
    assert_eq!(
        (&changed["maxInputTokens"], &changed["metadata"]),
        (&json!(7), &Value::Null)
    );
    let (status, _) = api
        .call(READER, "PATCH", "/gateway-config", Some(json!({})))
        .await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn every_fault_is_told() {
    let api = Api::start(builder()).await;
    for (body, fields) in [
        (
            json!({"totalTimeout": "soon", "perRequestTimeout": "-1s"}),
            &["perRequestTimeout", "totalTimeout"][..],
        ),
        (json!({"perRequestTimeout": "2m"}), &["perRequestTimeout"]),
        (json!({"totalTimeout": "500ms"}), &["totalTimeout"]),
        (json!({"totalTimeout": "25h"}), &["totalTimeout"]),
        (
            json!({"totalTimeout": "0s", "perRequestTimeout": "1.5ms"}),
            &["perRequestTimeout", "totalTimeout"],
        ),
        (
            json!({"maxInputTokens": 0, "maxOutputTokens": "many"}),
            &["maxInputTokens", "maxOutputTokens"],
        ),
        (
            json!({"metadata": "m".repeat(4097), "other": 1}),
            &["metadata", "other"],
        ),
    ] {
        assert_eq!(
            api.faults("PATCH", "/gateway-config", body.clone()).await,
            fields,
            "{body}"
        );
    }
    assert_eq!(
        api.get("/gateway-config").await["totalTimeout"],
        "1m0s",
        "nothing was changed"
    );
}

#[tokio::test]
async fn settings_hold_for_the_next_request() {
    let slow = Fake::start(Wire::H1, Script::new().wait(1_500).silence()).await;
    let good = Fake::good(Wire::H1, "hi").await;
    let mut written = provider("good", &good);
    written["models"] = json!([{"id": "g"}]);
    let api = Api::start(builder().fake("slow", &slow).provider(written)).await;
    assert_eq!(api.chat("good:g").await, 200);
    api.update("/gateway-config", json!({"maxInputTokens": 1}))
        .await;
    assert_eq!(api.chat("good:g").await, 413, "the prompt is too long");
    api.update(
        "/gateway-config",
        json!({"maxInputTokens": null, "perRequestTimeout": "100ms", "totalTimeout": "100ms"}),
    )
    .await;
    assert_eq!(api.chat("slow:m").await, 504);
    assert_eq!(api.chat("good:g").await, 200);
}
