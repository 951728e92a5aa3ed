//! What happens to connections while a request crosses: stale ones, a gateway that stops, a client that leaves.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::api::{Api, Said};
use super::money::{managed, told};
use super::{offering, pair};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, provider_at, signal};
use crate::common::script::{Act, Script};
use crate::common::{PATIENCE, eventually, sse};

/// A provider that answers one request a connection, says that it keeps it, and closes it `linger` later.
async fn forgetful(api: Api, linger: Duration) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let body = api.whole().to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                if stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    tokio::time::sleep(linger).await;
                }
            });
        }
    });
    (base, task)
}

#[tokio::test]
async fn a_pooled_connection_that_the_provider_closed_is_replaced_without_a_word() {
    let mut builder = Gateway::builder();
    let mut cases = Vec::new();
    for (client, provider) in Api::pairs() {
        // Closed long before the next request, and just about when it comes.
        for (linger, pause) in [(0, 60), (20, 20)] {
            let id = format!("{}-{linger}", pair(client, provider));
            let (base, task) = forgetful(provider, Duration::from_millis(linger)).await;
            let mut entry = provider_at(&id, &base);
            entry["surfaces"] = json!([provider.surface()]);
            builder = builder.provider(entry);
            cases.push((client, provider, (linger, pause), id, task));
        }
    }
    let gateway = builder.start().await;
    for (client, provider, (linger, pause), id, task) in cases {
        let request = client.request(&[&format!("{id}:m")], false);
        let mut connection = Client::connect(Version::H1, gateway.address).await;
        for round in 0..6 {
            let answer = connection.ask(&request).await;
            let case = format!("{client:?} at {provider:?}, {linger} {pause} {round}");
            assert_eq!(answer.header("x-tollgate-attempts"), Some("1"), "{case}");
            if answer.status() == 502 && pause == linger {
                // The provider had it when it closed, so it is not sent again; and this connection closes.
                connection = Client::connect(Version::H1, gateway.address).await;
            } else {
                assert_eq!(answer.status(), 200, "{case}: {}", answer.text());
                assert_eq!(client.said(&answer, false), Said::good(client), "{case}");
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        task.abort();
    }
}

/// A stream that takes its time.
fn slow(api: Api) -> Script {
    let events = api.events().into_iter();
    events.fold(Script::sse(), |script, event| script.data(event).wait(60))
}

/// A stream that goes on for ever.
fn endless(api: Api) -> Script {
    let word = api.events().into_iter();
    let mut word = word.filter(|event| event.contains("\"good \""));
    let more = word.next().unwrap().replace("good ", "more and more ");
    Script::sse()
        .data(api.start())
        .then(Act::Forever(more.into(), Duration::from_millis(20)))
}

/// A provider for each API whose streams go on for ever; named after it.
async fn endless_providers() -> (Builder, Vec<(Api, Fake)>) {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for api in Api::ALL {
        let fake = Fake::start(Wire::H1, endless(api)).await;
        builder = builder.provider(managed(api.name(), &fake, api));
        fakes.push((api, fake));
    }
    (builder, fakes)
}

async fn exit_code(gateway: &mut Gateway) -> Option<i32> {
    eventually(PATIENCE, || !gateway.is_running()).await;
    gateway.exit_code()
}

#[tokio::test]
async fn a_running_stream_is_finished_before_the_gateway_stops() {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for provider in Api::ALL {
        let fake = Fake::start(Wire::H1, slow(provider)).await;
        builder = builder.provider(offering(provider.name(), &fake, &[provider]));
        fakes.push(fake);
    }
    let mut gateway = builder.start().await;
    let at = |version| gateway.at(version);
    let pairs = Api::pairs().flat_map(|pair| [(pair, Version::H1), (pair, Version::H2)]);
    let streams = pairs.map(|((client, provider), version)| async move {
        let request = client.request(&[&format!("{}:m", provider.name())], true);
        let mut stream = Client::connect(version, at(version)).await;
        let head = stream.begin(&request).await.unwrap();
        (client, provider, version, stream, head)
    });
    let streams = join_all(streams).await;
    signal(gateway.pid(), "TERM");
    let ends = streams.into_iter();
    let ends = ends.map(|(client, provider, version, mut stream, head)| async move {
        let answer = stream.finish(head, tollgate_base::clock::now()).await;
        let case = format!("{client:?} at {provider:?}, {version:?}: {}", answer.text());
        assert!(answer.clean, "{case}");
        assert_eq!(client.said(&answer, true), Said::good(client), "{case}");
    });
    join_all(ends).await;
    assert_eq!(exit_code(&mut gateway).await, Some(0));
}

#[tokio::test]
async fn a_stream_that_outlives_the_drain_is_told_so_in_the_clients_dialect() {
    let (builder, _fakes) = endless_providers().await;
    let mut gateway = builder
        .config(json!({"proxy": {"drain": "300ms"}, "ledger": {"flush": "50ms"}}))
        .start()
        .await;
    let mut streams = Vec::new();
    for (client, provider) in Api::pairs() {
        let request = client.request(&[&format!("{}:m", provider.name())], true);
        let mut stream = Client::connect(Version::H1, gateway.address).await;
        let head = stream.begin(&request).await.unwrap();
        streams.push((client, provider, stream, head));
    }
    signal(gateway.pid(), "TERM");
    let ends = streams.into_iter();
    let ends = ends.map(|(client, provider, mut stream, head)| async move {
        let answer = stream.finish(head, tollgate_base::clock::now()).await;
        let case = format!("{client:?} at {provider:?}: {}", answer.text());
        assert!(!answer.clean && !client.ended(&answer), "{case}");
        let error = sse::error(&answer.body).unwrap_or_else(|| panic!("an error event; {case}"));
        let code = &error["error"]["code"];
        assert_eq!(*code, "ERR_TOLLGATE_3831", "{case}");
        if client == Api::Messages {
            assert_eq!(error["error"]["type"], "overloaded_error", "{case}");
        }
    });
    join_all(ends).await;
    assert_eq!(exit_code(&mut gateway).await, Some(0));
    for event in told(&gateway, Api::pairs().count()).await {
        assert_eq!(event["outcome"], "drain", "{event:#}");
    }
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_along_and_pays_for_what_it_got() {
    let (builder, fakes) = endless_providers().await;
    let gateway = builder
        .config(json!({"ledger": {"usage_grace": "0s"}}))
        .start()
        .await;
    let mut asked = 0;
    for (client, provider) in Api::pairs() {
        let (_, fake) = fakes.iter().find(|(api, _)| *api == provider).unwrap();
        let request = client.request(&[&format!("{}:m", provider.name())], true);
        for version in [Version::H1, Version::H2] {
            let before = fake.count();
            let mut stream = Client::connect(version, gateway.address).await;
            stream.begin(&request).await.unwrap();
            asked += 1;
            let case = format!("{client:?} at {provider:?}, {version:?}");
            let got = stream.read_until("more and more").await;
            assert!(
                memchr::memmem::find(&got, b"more and more").is_some(),
                "{case}"
            );
            drop(stream);
            let gone = || fake.seen()[before].gone.is_some();
            assert!(eventually(Duration::from_secs(10), gone).await, "{case}");
        }
    }
    for event in &told(&gateway, asked).await {
        assert_eq!(event["outcome"], "client_gone", "{event:#}");
        assert_eq!(event["isError"], true, "{event:#}");
        assert_eq!(event["estimated"], true, "{event:#}");
        let cost = |value: &Value| {
            value
                .as_str()
                .map_or(value.as_f64(), |text| text.parse().ok())
        };
        assert!(
            cost(&event["totalCost"]).is_some_and(|cost| cost > 0.0),
            "{event:#}"
        );
    }
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}
