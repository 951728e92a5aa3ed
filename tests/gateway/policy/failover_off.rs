//! Failover can be declined: by the operator for all, by a configuration, by a request.

use serde_json::{Value, json};

use super::{access_key, ask, from, provider as good};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Script, openai_error};

#[tokio::test]
async fn without_failover_the_first_candidates_answer_is_the_answer() {
    check(
        None,
        &[
            (None, None, true),
            (Some(false), None, false),
            (None, Some("off"), false),
            (None, Some("OFF"), false),
            (None, Some("on"), true),
        ],
    )
    .await;
    // A configuration overrides what holds for all; a request can only decline.
    check(
        Some(false),
        &[
            (None, None, false),
            (Some(true), None, true),
            (None, Some("on"), false),
            (Some(true), Some("off"), false),
        ],
    )
    .await;
    check(Some(true), &[(Some(false), Some("on"), false)]).await;
}

/// What a gateway with this setting does for callers with these configurations and headers: whether it goes on.
async fn check(global: Option<bool>, cases: &[(Option<bool>, Option<&str>, bool)]) {
    let mut builder = Gateway::builder();
    if let Some(failover) = global {
        builder = builder.config(json!({"failover": failover}));
    }
    let (mut configurations, mut keys, mut fakes) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (of_configuration, ..)) in cases.iter().enumerate() {
        let first = Fake::start(Wire::H1, Script::error(500, "broken")).await;
        let second = good().await;
        let mut two_keys = provider(&format!("first{index}"), &first);
        two_keys["keys"] = json!([
            {"id": format!("{index}-k1"), "value": "1"},
            {"id": format!("{index}-k2"), "value": "2"},
        ]);
        builder = builder
            .provider(two_keys)
            .fake(&format!("second{index}"), &second);
        let id = format!("caller{index}");
        let mut configuration = json!({"id": id});
        if let Some(failover) = of_configuration {
            configuration["failover"] = json!(failover);
        }
        configurations.push(configuration);
        keys.push(access_key(&id, &json!({"configuration": id})));
        fakes.push((first, second));
    }
    let config = json!({"configurations": configurations, "access_keys": keys});
    let gateway = builder.config(config).start().await;
    for (index, ((of_configuration, header, goes_on), (first, second))) in
        cases.iter().zip(&fakes).enumerate()
    {
        let what =
            format!("global {global:?}, configuration {of_configuration:?}, header {header:?}");
        let models = [format!("first{index}:m"), format!("second{index}:m")];
        let caller = format!("caller{index}");
        let mut request = from(&caller, Request::chat(&[&models[0], &models[1]], false));
        if let Some(value) = header {
            request = request.header("x-tollgate-failover", value);
        }
        let answer = ask(&gateway, &request).await;
        if *goes_on {
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            assert_eq!((first.count(), second.count()), (2, 1), "{what}");
            assert_eq!(answer.header("x-tollgate-attempts"), Some("3"), "{what}");
        } else {
            assert_eq!(answer.status(), 500, "{what}: {}", answer.text());
            let verbatim: Value = openai_error("broken");
            assert_eq!(answer.json(), verbatim, "{what}: the provider's own words");
            assert_eq!((first.count(), second.count()), (1, 0), "{what}");
            assert_eq!(answer.header("x-tollgate-attempts"), Some("1"), "{what}");
            // What may not be served later must still be allowed now.
            let unknown = from(&caller, Request::chat(&[&models[0], "nonsense"], false));
            assert_eq!(ask(&gateway, &unknown).await.status(), 422, "{what}");
        }
        let seen = &first.seen()[0];
        assert_eq!(
            seen.header("x-tollgate-failover"),
            None,
            "{what}: ours, not the provider's"
        );
    }
}
