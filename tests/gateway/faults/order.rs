//! Cooling down only reorders.

use serde_json::json;

use super::chat;
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

#[tokio::test]
async fn a_key_that_cools_goes_to_the_end_and_comes_back() {
    let limited = Script::error_with(429, "wait", &[("retry-after", "2")]);
    let first = Fake::sequence(Wire::H1, vec![limited, Script::chat(false, "first")]).await;
    let second = Fake::good(Wire::H1, "second").await;
    let gateway = Gateway::builder()
        .fake("first", &first)
        .fake("second", &second)
        .start()
        .await;
    let models = ["first:m", "second:m"];
    assert_eq!(
        chat(&gateway, &models).await.header("x-tollgate-attempts"),
        Some("2")
    );
    let again = chat(&gateway, &models).await;
    let told = (
        again.header("x-tollgate-provider"),
        again.header("x-tollgate-attempts"),
    );
    assert_eq!(told, (Some("second"), Some("1")), "the first cools");
    assert_eq!(first.count(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(2_300)).await;
    assert_eq!(
        chat(&gateway, &models).await.header("x-tollgate-provider"),
        Some("first"),
        "it has cooled down"
    );
}

#[tokio::test]
async fn when_all_are_cooling_the_one_that_ends_soonest_is_first() {
    let limited = |wait: &str| Script::error_with(429, "wait", &[("retry-after", wait)]);
    let late = Fake::start(Wire::H1, limited("300")).await;
    let soon = Fake::start(Wire::H1, limited("30")).await;
    let gateway = Gateway::builder()
        .fake("late", &late)
        .fake("soon", &soon)
        .start()
        .await;
    for expected in 1..=2 {
        assert_eq!(chat(&gateway, &["late:m", "soon:m"]).await.status(), 429);
        assert_eq!(
            (late.count(), soon.count()),
            (expected, expected),
            "none is dropped"
        );
    }
    assert!(
        soon.seen()[1].at < late.seen()[1].at,
        "the one that ends sooner comes first"
    );
}

#[tokio::test]
async fn the_other_key_of_a_provider_serves_meanwhile() {
    let fake = Fake::answering(Wire::H1, |seen| match seen.header("authorization") {
        Some("Bearer KEY-1") => Script::error_with(429, "wait", &[("retry-after", "60")]),
        _ => Script::chat(false, "served"),
    })
    .await;
    let mut entry = crate::common::gateway::provider("p", &fake);
    entry["keys"] = json!([{"id": "k1", "value": "KEY-1"}, {"id": "k2", "value": "KEY-2"}]);
    let gateway = Gateway::builder().provider(entry).start().await;
    // A bare model id and nothing to change: the bytes that arrive are the bytes that leave.
    let odd = br#" {"model" : "m", "messages":[{"role":"user","content":"caf\u00e9 \/"}], "n":1.0,"n":1 }"#;
    let request = Request::post("/v1/chat/completions", odd.as_ref());
    for asked in [2, 3] {
        let answer = Client::connect(Version::H1, gateway.address)
            .await
            .ask(&request)
            .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(
            fake.count(),
            asked,
            "the key that cools is not tried first again"
        );
    }
    for seen in fake.seen() {
        assert_eq!(
            seen.body.as_ref(),
            odd,
            "{:?}",
            String::from_utf8_lossy(&seen.body)
        );
    }
}
