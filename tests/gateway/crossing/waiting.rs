//! A client that waits: the early status, comments, and a provider that takes its time.

use serde_json::json;

use super::api::{Api, Said};
use super::{ask_over, offering, well};
use crate::common::client::Version;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::Script;
use crate::common::sse;

#[tokio::test]
async fn failover_goes_on_behind_the_comments() {
    let timeouts =
        json!({"timeouts": {"per_request": "900ms", "hold": "200ms", "keepalive": "200ms"}});
    for (client, provider) in Api::pairs() {
        let silent = Fake::start(Wire::H1, Script::sse().data(provider.prelude()).silence()).await;
        let fine = Fake::answering(Wire::TlsH2, well).await;
        let failing = Fake::start(Wire::H1, Script::json(500, &provider.error("no"))).await;
        let gateway = Gateway::builder()
            .provider(offering("silent", &silent, &[provider]))
            .provider(offering("fine", &fine, &[provider]))
            .provider(offering("failing", &failing, &[provider]))
            .config(timeouts.clone())
            .start()
            .await;
        for version in [Version::H1, Version::H2] {
            let request = client.request(&["silent:m", "fine:m"], true);
            let answer = ask_over(version, &gateway, &request).await;
            let case = format!("{client:?} at {provider:?}, {version:?}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
            assert!(answer.text().starts_with(':'), "a comment first; {case}");
            assert_eq!(client.said(&answer, true), Said::good(client), "{case}");
            assert!(client.ended(&answer), "{case}");

            let request = client.request(&["silent:m", "failing:m"], true);
            let answer = ask_over(version, &gateway, &request).await;
            let case = format!("{client:?} at {provider:?}, {version:?}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (200, false), "{case}");
            let error = sse::error(&answer.body).expect("an error event");
            assert_eq!(error["error"]["code"], "ERR_TOLLGATE_3807", "{case}");
        }
    }
}

#[tokio::test]
async fn comments_stand_between_events_even_while_the_providers_is_half_said() {
    for (client, provider) in Api::pairs() {
        let start = provider.start();
        let rest = provider.events().concat().split_off(start.len());
        let script = Script::sse()
            .data(start)
            .wait(500)
            .data(rest[..20].to_owned())
            .wait(500)
            .data(rest[20..].to_owned());
        let fake = Fake::start(Wire::H1, script).await;
        let gateway = Gateway::builder()
            .provider(offering("p", &fake, &[provider]))
            .config(json!({"timeouts": {"stream_idle": "5s", "keepalive": "150ms"}}))
            .start()
            .await;
        for version in [Version::H1, Version::H2] {
            let answer = ask_over(version, &gateway, &client.request(&["m"], true)).await;
            let case = format!("{client:?} at {provider:?}, {version:?}: {}", answer.text());
            assert!(sse::comments(&answer.body) >= 4, "{case}");
            assert!(
                answer
                    .text()
                    .split("\n\n")
                    .all(|block| !block.contains("\n:")),
                "a comment within an event; {case}"
            );
            assert_eq!(client.said(&answer, true), Said::good(client), "{case}");
            assert!(answer.clean, "{case}");
        }
    }
}
