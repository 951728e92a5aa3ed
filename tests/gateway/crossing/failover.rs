//! The same request goes as it is to one candidate and translated to another.

use std::time::Duration;

use serde_json::json;

use super::api::{Api, Said};
use super::{ask, ask_over, offering, pair, well};
use crate::common::client::Version;
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::Script;

#[tokio::test]
async fn as_it_is_first_and_translated_next_and_the_reverse() {
    for (wire, version) in [(Wire::H1, Version::H1), (Wire::TlsH2, Version::H2)] {
        let mut builder = Gateway::builder();
        let mut cases = Vec::new();
        for (client, other) in Api::pairs() {
            for (first, second) in [(client, other), (other, client)] {
                let id = format!("{}-{}", pair(client, other), first.name());
                let (bad_id, fine_id) = (format!("bad-{id}"), format!("fine-{id}"));
                let bad = Fake::start(wire, Script::json(500, &first.error("down"))).await;
                let fine = Fake::answering(wire, well).await;
                builder = builder
                    .provider(offering(&bad_id, &bad, &[first]))
                    .provider(offering(&fine_id, &fine, &[second]));
                cases.push((
                    client,
                    other,
                    [first, second],
                    (bad_id, bad),
                    (fine_id, fine),
                ));
            }
        }
        let gateway = builder.start().await;
        for (client, other, [first, second], (bad_id, bad), (fine_id, fine)) in &cases {
            let models = [bad_id, fine_id].map(|id| format!("{id}:m"));
            for stream in [false, true] {
                let request = client.request(&[&models[0], &models[1]], stream);
                let answer = ask_over(version, &gateway, &request).await;
                let case = format!(
                    "{client:?}: {first:?}, {second:?}, {stream}: {}",
                    answer.text()
                );
                let provider = answer.header("x-tollgate-provider");
                assert_eq!(answer.status(), 200, "{case}");
                assert_eq!(client.said(&answer, stream), Said::good(*client), "{case}");
                assert_eq!(provider, Some(&**fine_id), "{case}");
                assert_eq!(answer.header("x-tollgate-attempts"), Some("2"), "{case}");
                let own = if first == client { bad } else { fine };
                let seen = own.seen().pop().unwrap();
                let mut body = client.body(&["m"], stream);
                body["model"] = json!("m");
                assert_eq!(seen.json(), body, "as it is; {case}");
                let translated = if first == client { fine } else { bad };
                let seen = translated.seen().pop().unwrap();
                assert_eq!(Api::of_path(&seen.path), *other, "{case}");
                assert!(!seen.json().to_string().contains(&models[1]), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_is_told_in_the_clients_dialect_with_its_own_status() {
    let mut builder = Gateway::builder();
    let mut cases = Vec::new();
    for (client, provider) in Api::pairs() {
        for status in [400, 401, 403, 404, 429, 500, 529] {
            let id = format!("{}-{status}", pair(client, provider));
            let script = Script::json(status, &provider.error("no, because"));
            let bad = Fake::start(Wire::H1, script).await;
            builder = builder.provider(offering(&id, &bad, &[provider]));
            cases.push((client, provider, status, id, bad));
        }
    }
    let gateway = builder.start().await;
    for (client, provider, status, id, _) in &cases {
        for stream in [false, true] {
            let request = client.request(&[&format!("{id}:m")], stream);
            let answer = ask(&gateway, &request).await;
            let case = format!("{client:?} at {provider:?}, {status}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (*status, true), "{case}");
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("content-length"), Some(&*length), "{case}");
            let body = answer.json();
            assert_eq!(body["error"]["message"], "no, because", "{case}");
            assert_eq!(body["type"] == "error", *client == Api::Messages, "{case}");
            if *client == Api::Messages {
                assert!(body["request_id"].is_string(), "{case}");
            }
            assert_eq!(answer.header("x-tollgate-provider"), Some(&**id), "{case}");
        }
    }
}

#[tokio::test]
async fn an_error_that_is_no_error_object_is_told_all_the_same() {
    let html = Script::new()
        .length()
        .head(502, &[("content-type", "text/html")])
        .data("<html>Bad Gateway</html>");
    let empty = Script::new().length().head(503, &[]);
    let endless = Script::new().head(500, &[]).data(vec![b' '; 3 << 20]);
    let mut builder = Gateway::builder();
    let mut cases = Vec::new();
    for (script, status) in [(html, 502), (empty, 503), (endless, 500)] {
        for wire in [Wire::H1, Wire::TlsH2] {
            let id = format!("p{}", cases.len());
            let fake = Fake::start(wire, script.clone()).await;
            builder = builder.provider(offering(&id, &fake, &[Api::Chat]));
            cases.push((status, wire, id, fake));
        }
    }
    let gateway = builder.start().await;
    for (status, wire, id, _) in &cases {
        let request = Api::Messages.request(&[&format!("{id}:m")], false);
        let answer = ask(&gateway, &request).await;
        let case = format!("{status}, {wire:?}: {}", answer.text());
        assert_eq!((answer.status(), answer.clean), (*status, true), "{case}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/json"), "{case}");
        assert_eq!(answer.json()["type"], "error", "{case}");
    }
}

#[tokio::test]
async fn an_error_as_the_first_event_is_told_as_a_status() {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for (client, provider) in Api::pairs() {
        let script = Script::sse().data(provider.prelude() + &provider.error_event("too busy"));
        let bad = Fake::start(Wire::H1, script).await;
        builder = builder.provider(offering(&pair(client, provider), &bad, &[provider]));
        fakes.push(bad);
    }
    let gateway = builder.start().await;
    for (client, provider) in Api::pairs() {
        let model = format!("{}:m", pair(client, provider));
        let answer = ask(&gateway, &client.request(&[&model], true)).await;
        let case = format!("{client:?} at {provider:?}: {}", answer.text());
        let status = if provider == Api::Messages { 529 } else { 500 };
        assert_eq!(answer.status(), status, "{case}");
        let body = answer.json();
        assert_eq!(body["error"]["message"], "too busy", "{case}");
        assert_eq!(body["type"] == "error", client == Api::Messages, "{case}");
    }
}

#[tokio::test]
async fn the_log_keeps_the_clients_api() {
    let fake = Fake::answering(Wire::H1, well).await;
    let gateway = Gateway::builder()
        .provider(offering("p", &fake, &[Api::Messages]))
        .start()
        .await;
    ask(&gateway, &Api::Chat.request(&["m"], true)).await;
    let logged = || {
        gateway.access_log().iter().any(|line| {
            line["surface"] == "openai/chat-completions"
                && line.to_string().contains(r#""input":100"#)
        })
    };
    assert!(
        eventually(Duration::from_secs(5), logged).await,
        "{:#?}",
        gateway.access_log()
    );
}
