//! Requests that are sent again: asked of their provider once, charged once, answered each time.

mod fleet;
mod keys;

use serde_json::{Value, json};
use tokio::sync::watch;
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;

use crate::common::ask;
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, access_key, provider};
use crate::common::requests::{Request, from};
use crate::common::script::{
    Act, Script, chat_answer, chat_role, chat_stop, chat_usage, chat_word,
};
use crate::common::{PATIENCE, eventually};
use crate::fleet::MASTER;
use crate::ledger::{COST, books, money, verified};

/// What only answers say.
const TEXT: &str = "planted-answer never-stored-in-clear";

/// A gateway whose keys `once` and `other` may send requests again, and whose key `plain` may not.
fn gateway(fake: &Fake) -> Builder {
    let held = json!({"configuration": "once"});
    // Messages are translated.
    let mut only_chat = provider("f", fake);
    only_chat["surfaces"] = json!(["openai/chat-completions"]);
    Gateway::builder()
        .provider(only_chat)
        .config(money(1_000_000_000_000))
        .config(json!({
            "secrets": {"master_key": MASTER},
            "timeouts": {"per_request": "30s", "stream_idle": "30s"},
            "access_keys": [access_key("once", &held), access_key("other", &held), access_key("plain", &json!({}))],
            "configurations": [{"id": "once", "idempotency": {"store": "24h", "join_retries": true}}],
        }))
}

fn chat(stream: bool) -> Request {
    from("once", Request::chat(&["m"], stream))
}

fn keyed(key: &str, request: Request) -> Request {
    request.header("idempotency-key", key)
}

fn how(answer: &Answer) -> Option<&str> {
    answer.header("x-tollgate-idempotency")
}

/// What was charged for so many answers of the fake.
async fn charged(gateway: &Gateway, answers: usize) {
    let each = i64::try_from(answers).unwrap();
    books(gateway, NanoUsd(COST.0 * each)).await;
    verified(gateway);
}

/// A provider whose answers stop, streams after their first word, until the gate opens.
async fn gated(open: &watch::Receiver<bool>) -> Fake {
    let open = open.clone();
    Fake::answering(Wire::H1, move |seen| {
        let gate = Act::Gate(open.clone());
        if seen.json()["stream"] != json!(true) {
            return Script::new()
                .length()
                .then(gate)
                .head(200, &[("content-type", "application/json")])
                .data(chat_answer(TEXT).to_string());
        }
        Script::sse()
            .data(chat_role())
            .data(chat_word("planted-answer"))
            .then(gate)
            .data(chat_word(" never-stored-in-clear"))
            .data(chat_stop())
            .data(chat_usage())
            .data("data: [DONE]\n\n")
    })
    .await
}

#[tokio::test]
async fn an_answer_is_given_again_and_charged_once() {
    let fake = Fake::good(Wire::H1, TEXT).await;
    let mut gateway = gateway(&fake).start().await;
    let message = |stream| from("once", Request::message(&["m"], stream));
    let requests = [chat(false), chat(true), message(false), message(true)];
    let mut first = Vec::new();
    for (n, request) in requests.iter().enumerate() {
        let request = keyed(&format!("key-{n}"), request.clone());
        let answer = ask(&gateway, &request).await;
        assert_eq!(
            (answer.status(), how(&answer)),
            (200, None),
            "{}",
            answer.text()
        );
        first.push((request, answer));
    }
    assert_eq!(fake.count(), 4);
    // Again at once, over HTTP/2, and after the process has died.
    for round in ["h1", "h2", "killed"] {
        if round == "killed" {
            gateway.kill();
            gateway.restart().await;
        }
        for (request, first) in &first {
            let version = if round == "h2" {
                Version::H2
            } else {
                Version::H1
            };
            let mut client = Client::connect(version, gateway.address).await;
            let again = client.ask(request).await;
            assert_eq!(
                (again.status(), how(&again)),
                (200, Some("replayed")),
                "{}",
                again.text()
            );
            assert_eq!((&again.body, again.clean), (&first.body, true), "{round}");
            for name in ["content-type", "x-tollgate-provider", "x-tollgate-model"] {
                assert_eq!(again.header(name), first.header(name), "{round}: {name}");
            }
            assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        }
    }
    assert_eq!(fake.count(), 4, "the provider was asked once each");

    // The key is its own access key's, and stands for one request.
    let elsewhere = keyed("key-0", from("other", Request::chat(&["m"], false)));
    assert_eq!(how(&ask(&gateway, &elsewhere).await), None);
    let another = ask(&gateway, &keyed("key-0", chat(true))).await;
    assert_eq!(
        (another.status(), &*another.code()),
        (422, "ERR_TOLLGATE_3829")
    );
    // Without a configuration that allows it nothing is kept.
    let plain = keyed("key-0", from("plain", Request::chat(&["m"], false)));
    for _ in 0..2 {
        assert_eq!(how(&ask(&gateway, &plain).await), None);
    }
    assert_eq!(fake.count(), 7);
    charged(&gateway, 7).await;

    let replays = || {
        let log = gateway.access_log().into_iter();
        let replays: Vec<Value> = log
            .filter(|line| line["idempotency"] == "replayed")
            .collect();
        replays
    };
    // Lines of the process that died may be lost with it.
    assert!(
        eventually(PATIENCE, || replays().len() >= 4).await,
        "they are logged"
    );
    for line in replays() {
        assert_eq!(
            (&line["status"], &line["attempts"]),
            (&json!(200), &json!([]))
        );
    }
    let metrics = gateway.admin_get("/metrics");
    assert!(
        metrics.contains("tollgate_answered_again_total{how=\"replayed\"} 4"),
        "{metrics}"
    );
    for file in std::fs::read_dir(gateway.path("data")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in ["planted-answer", "never-stored", "key-0"] {
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert_eq!(found, None, "{secret} is in {}", path.display());
        }
    }
}

/// Sends a request again while its first answer is under way, whose client may have left: both are one.
async fn joins(version: Version, key: Option<&str>, leaves: bool) {
    let case = format!("{version:?} {key:?} leaves: {leaves}");
    let (open, gate) = watch::channel(false);
    let fake = gated(&gate).await;
    let gateway = gateway(&fake).start().await;
    let named = |request: Request| match key {
        Some(key) => keyed(key, request),
        None => request,
    };
    let mut first = Client::connect(version, gateway.address).await;
    let head = first.begin(&named(chat(true))).await.unwrap();
    let mut heard = first.read_until("planted-answer").await;
    let mut clients = vec![(first, head)];
    if leaves {
        clients.clear();
    }
    for retry in ["1", "2"] {
        let again = named(chat(true)).header("x-stainless-retry-count", retry);
        let mut client = Client::connect(version, gateway.address).await;
        let head = client.begin(&again).await.unwrap();
        assert_eq!(
            (head.status, head.header("x-tollgate-idempotency")),
            (200, Some("joined")),
            "{case}"
        );
        let said = client.read_until("planted-answer").await;
        assert_eq!(said, heard, "{case}: from its beginning");
        clients.push((client, head));
    }
    open.send_replace(true);
    let mut whole = Vec::new();
    for (mut client, head) in clients {
        let answer = client.finish(head, clock::now()).await;
        assert!(answer.clean, "{case}");
        whole.push(answer.body);
    }
    whole.dedup();
    assert_eq!(whole.len(), 1, "{case}: all heard the same");
    heard.extend_from_slice(&whole[0]);
    let text = String::from_utf8(heard).unwrap();
    assert!(
        text.ends_with("data: [DONE]\n\n") && text.contains("never-stored"),
        "{case}: {text}"
    );
    assert_eq!(fake.count(), 1, "{case}");
    charged(&gateway, 1).await;
    // A request that nobody sends again is one of its own.
    if key.is_none() {
        assert_eq!(how(&ask(&gateway, &chat(true)).await), None);
        assert_eq!(fake.count(), 2);
    }
}

#[tokio::test]
async fn who_sends_it_again_hears_the_answer_that_is_under_way() {
    let cases = [
        joins(Version::H1, Some("k"), false),
        joins(Version::H1, Some("k"), true),
        joins(Version::H2, Some("k"), true),
        joins(Version::H1, None, false),
        joins(Version::H1, None, true),
        joins(Version::H2, None, true),
    ];
    futures::future::join_all(cases).await;
}

#[tokio::test]
async fn an_answer_whose_client_has_left_is_there_when_it_comes_back() {
    for (stream, version) in [
        (true, Version::H1),
        (false, Version::H1),
        (false, Version::H2),
    ] {
        let (open, gate) = watch::channel(false);
        let fake = gated(&gate).await;
        let gateway = gateway(&fake).start().await;
        let request = keyed("k", chat(stream));
        let mut client = Client::connect(version, gateway.address).await;
        let begun = client.begin(&request);
        if stream {
            begun.await.unwrap();
        } else {
            // It has no head before its end.
            let asked = eventually(PATIENCE, || fake.count() == 1);
            tokio::select! {
                _ = begun => panic!("the gate is shut"),
                asked = asked => assert!(asked),
            }
        }
        drop(client);
        open.send_replace(true);
        let ended = eventually(PATIENCE, || gateway.access_log().len() == 1).await;
        assert!(ended, "{stream}: it goes on");
        assert_eq!(gateway.access_log()[0]["client_gone"], true);
        let again = ask(&gateway, &request).await;
        assert_eq!(
            (again.status(), how(&again)),
            (200, Some("replayed")),
            "{}",
            again.text()
        );
        assert!(again.text().contains("never-stored-in-clear"));
        assert_eq!(fake.count(), 1);
        charged(&gateway, 1).await;
    }
}

#[tokio::test]
async fn what_failed_is_tried_again() {
    let cut = Script::sse()
        .data(chat_role())
        .data(chat_word("half"))
        .cut();
    let scripts = vec![
        Script::error(500, "down"),
        cut,
        Script::error(400, "no"),
        Script::chat(true, TEXT),
    ];
    let fake = Fake::sequence(Wire::H1, scripts).await;
    let gateway = gateway(&fake).start().await;
    let request = keyed("k", chat(true));
    let first = ask(&gateway, &request).await;
    assert_eq!(first.status(), 500, "{}", first.text());
    let broken = ask(&gateway, &request).await;
    assert!(!broken.clean && broken.text().contains("half"));
    assert_eq!(ask(&gateway, &request).await.status(), 400);
    let good = ask(&gateway, &request).await;
    assert_eq!((good.status(), how(&good), fake.count()), (200, None, 4));
    let again = ask(&gateway, &request).await;
    assert_eq!(
        (&again.body, how(&again), fake.count()),
        (&good.body, Some("replayed"), 4)
    );
}
