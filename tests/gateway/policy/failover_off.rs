//! Failover can be declined: by the operator for all, by a configuration, by a request.

use serde_json::{Value, json};

use super::{access_key, ask, from, provider as good};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Script, openai_error};

#[tokio::test]
async fn without_failover_the_first_candidates_answer_is_the_answer() {
    for (global, of_configuration, header, goes_on) in [
        (None, None, None, true),
        (Some(false), None, None, false),
        (None, Some(false), None, false),
        (None, None, Some("off"), false),
        (None, None, Some("OFF"), false),
        (None, None, Some("on"), true),
        // A configuration overrides what holds for all; a request can only decline.
        (Some(false), Some(true), None, true),
        (Some(true), Some(false), Some("on"), false),
        (Some(false), None, Some("on"), false),
        (Some(false), Some(true), Some("off"), false),
    ] {
        let what =
            format!("global {global:?}, configuration {of_configuration:?}, header {header:?}");
        let first = Fake::start(Wire::H1, Script::error(500, "broken")).await;
        let second = good().await;
        let mut two_keys = provider("first", &first);
        two_keys["keys"] = json!([{"id": "k1", "value": "1"}, {"id": "k2", "value": "2"}]);
        let mut configuration = json!({"id": "c"});
        if let Some(failover) = of_configuration {
            configuration["failover"] = json!(failover);
        }
        let mut config = json!({
            "configurations": [configuration],
            "access_keys": [access_key("caller", &json!({"configuration": "c"}))],
        });
        if let Some(failover) = global {
            config["failover"] = json!(failover);
        }
        let gateway = Gateway::builder()
            .provider(two_keys)
            .fake("second", &second)
            .config(config)
            .start()
            .await;
        let mut request = from("caller", Request::chat(&["first:m", "second:m"], false));
        if let Some(value) = header {
            request = request.header("x-tollgate-failover", value);
        }
        let answer = ask(&gateway, &request).await;
        if goes_on {
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
            let unknown = from("caller", Request::chat(&["first:m", "nonsense"], false));
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
