//! Access keys that get another token.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, builder, id};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;

async fn status(api: &Api, token: &Value) -> u16 {
    let request = Request::chat(&["good:m"], false)
        .without("authorization")
        .header(
            "authorization",
            &format!("Bearer {}", token.as_str().unwrap()),
        );
    api.ask(&request).await
}

#[tokio::test]
async fn a_rotated_key_takes_both_tokens_for_as_long_as_was_said() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut api = Api::start(builder().fake("good", &fake)).await;
    let made = api.create("/access-keys", json!({"name": "shop"})).await;
    let path = format!("/access-keys/{}", id(&made));
    let rotate = format!("{path}/rotate");
    let body = json!({"gracePeriod": "1h"});
    let second = api.expect(200, "POST", &rotate, Some(body)).await;
    assert_ne!(second["token"], made["token"]);
    assert_eq!(id(&second), id(&made));
    assert!(second["formerTokenUntil"].is_string());
    let shown = api.get(&path).await;
    assert!(shown.get("token").is_none(), "it is shown once");
    assert_eq!(shown["keyRedacted"], second["keyRedacted"]);
    for token in [&made["token"], &second["token"]] {
        assert_eq!(status(&api, token).await, 200);
    }
    api.gateway.stop().await;
    api.gateway.restart().await;
    assert_eq!(status(&api, &made["token"]).await, 200, "it is stored");
    // A change of something else leaves both.
    api.update(&path, json!({"name": "web shop"})).await;
    assert_eq!(status(&api, &made["token"]).await, 200);

    let third = api.expect(200, "POST", &rotate, Some(json!({}))).await;
    assert!(third.get("formerTokenUntil").is_none());
    for (token, expected) in [(&made, 401), (&second, 401), (&third, 200)] {
        assert_eq!(status(&api, &token["token"]).await, expected);
    }
    let short = json!({"gracePeriod": "300ms"});
    let fourth = api.expect(200, "POST", &rotate, Some(short)).await;
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    while status(&api, &third["token"]).await != 401 {
        assert!(tollgate_base::clock::now() < end, "the grace ends");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(status(&api, &fourth["token"]).await, 200);

    let log = api.get("/audit-log").await.to_string();
    assert!(log.contains("rotate") && !log.contains("sha256"), "{log}");
    for token in [&made, &second, &third, &fourth] {
        assert!(!log.contains(token["token"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn only_who_may_change_a_key_rotates_it() {
    let api = Api::start(builder()).await;
    let made = api.create("/access-keys", json!({})).await;
    let rotate = format!("/access-keys/{}/rotate", id(&made));
    for (key, path, expected) in [
        (READER, &*rotate, 403),
        (ACME, &rotate, 404),
        (ACME, "/access-keys/acme/rotate", 409),
        (ACME, "/access-keys/nobody/rotate", 404),
    ] {
        let (status, answer) = api.call(key, "POST", path, Some(json!({}))).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    for grace in ["x", "-1h", "721h", ""] {
        let fields = api
            .faults("POST", &rotate, json!({"gracePeriod": grace}))
            .await;
        assert_eq!(fields, ["gracePeriod"], "{grace}");
    }
}
