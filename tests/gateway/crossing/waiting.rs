//! A client that waits: the early status, comments, and a provider that takes its time.

use futures::future::join_all;
use serde_json::json;

use super::api::{Api, Said};
use super::{ask_over, offering, pair, well};
use crate::common::client::Version;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::Script;
use crate::common::sse;

#[tokio::test]
async fn failover_goes_on_behind_the_comments() {
    let timeouts =
        json!({"timeouts": {"per_request": "900ms", "hold": "200ms", "keepalive": "200ms"}});
    let mut builder = Gateway::builder().config(timeouts);
    let mut fakes = Vec::new();
    let mut cases = Vec::new();
    for (client, provider) in Api::pairs() {
        let fine = Fake::answering(Wire::TlsH2, well).await;
        let failing = Fake::start(Wire::H1, Script::json(500, &provider.error("no"))).await;
        let pair = pair(client, provider);
        builder = builder
            .provider(offering(&format!("fine-{pair}"), &fine, &[provider]))
            .provider(offering(&format!("failing-{pair}"), &failing, &[provider]));
        fakes.extend([fine, failing]);
        for version in [Version::H1, Version::H2] {
            let script = Script::sse().data(provider.prelude()).silence();
            let silent = Fake::start(Wire::H1, script).await;
            let id = format!("silent-{pair}-{}", cases.len());
            builder = builder.provider(offering(&id, &silent, &[provider]));
            fakes.push(silent);
            cases.push((client, provider, version, id));
        }
    }
    let gateway = builder.start().await;
    // All at once: what they do is wait.
    let gateway = &gateway;
    let checks = cases
        .into_iter()
        .map(|(client, provider, version, silent)| async move {
            let pair = pair(client, provider);
            let ask = async |second: &str| {
                let models = [format!("{silent}:m"), format!("{second}-{pair}:m")];
                let request = client.request(&[&models[0], &models[1]], true);
                ask_over(version, gateway, &request).await
            };
            let answer = ask("fine").await;
            let case = format!("{client:?} at {provider:?}, {version:?}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
            assert!(answer.text().starts_with(':'), "a comment first; {case}");
            assert_eq!(client.said(&answer, true), Said::good(client), "{case}");
            assert!(client.ended(&answer), "{case}");

            let answer = ask("failing").await;
            let case = format!("{client:?} at {provider:?}, {version:?}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (200, false), "{case}");
            let error = sse::error(&answer.body).expect("an error event");
            assert_eq!(error["error"]["code"], "ERR_TOLLGATE_3807", "{case}");
        });
    join_all(checks).await;
}

#[tokio::test]
async fn comments_stand_between_events_even_while_the_providers_is_half_said() {
    let mut builder =
        Gateway::builder().config(json!({"timeouts": {"stream_idle": "5s", "keepalive": "150ms"}}));
    let mut fakes = Vec::new();
    for provider in Api::ALL {
        let start = provider.start();
        let rest = provider.events().concat().split_off(start.len());
        let script = Script::sse()
            .data(start)
            .wait(500)
            .data(rest[..20].to_owned())
            .wait(500)
            .data(rest[20..].to_owned());
        let fake = Fake::start(Wire::H1, script).await;
        builder = builder.provider(offering(provider.name(), &fake, &[provider]));
        fakes.push(fake);
    }
    let gateway = builder.start().await;
    // All at once: what they do is wait.
    let gateway = &gateway;
    let cases = Api::pairs().flat_map(|pair| [(pair, Version::H1), (pair, Version::H2)]);
    let checks = cases.map(|((client, provider), version)| async move {
        let model = format!("{}:m", provider.name());
        let answer = ask_over(version, gateway, &client.request(&[&model], true)).await;
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
    });
    join_all(checks).await;
}
