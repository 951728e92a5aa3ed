//! Callers that leave before their answer has begun pay their prompt, once a provider has it, and what it did.
//!
//! They paid nothing, and could do so again and again: a provider bills a prompt as soon as it reads it.

use tokio::net::TcpListener;

use super::*;
use crate::common::gateway::provider_at;
use crate::common::script::Script;

/// A provider of every API that answers a request with this; named after the API.
async fn gateway(
    wire: Wire,
    more: Value,
    script: impl Fn(Talk) -> Script + Clone + Send + Sync + 'static,
) -> (Gateway, Vec<Fake>) {
    let mut builder = Gateway::builder().config(settings("20s")).config(more);
    let mut fakes = Vec::new();
    for talk in Talk::ALL {
        let script = script.clone();
        let fake = Fake::answering(wire, move |_| script(talk)).await;
        builder = builder.provider(managed(talk.name(), &fake, talk));
        fakes.push(fake);
    }
    (builder.start().await, fakes)
}

/// Leaves as soon as the provider has the request.
async fn leave_once_asked(gateway: &Gateway, version: Version, fake: &Fake, request: &Request) {
    let before = fake.count();
    let mut client = Client::connect(version, gateway.address).await;
    let begun = client.begin(request);
    let asked = async {
        while fake.count() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        head = begun => panic!("{head:?}"),
        () = asked => {}
    }
}

/// Our own count of the prompt of such requests: what is charged to those who stay where the provider says nothing.
async fn counted(talk: Talk) -> i64 {
    let mut whole = talk.whole();
    whole.as_object_mut().unwrap().remove("usage");
    let fake = Fake::start(Wire::H1, Script::json(200, &whole)).await;
    let gateway = Gateway::builder()
        .provider(managed(talk.name(), &fake, talk))
        .config(settings("20s"))
        .start()
        .await;
    let answer = ask(&gateway, &talk.request(talk, false, 1_000, "counted")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let told = told(&bank(&gateway), "counted").await;
    assert!(told.estimated && told.input > 0, "{told:?}");
    told.input
}

/// The same of every API.
async fn all_counted() -> [i64; 4] {
    let [chat, responses, messages, completions] = Talk::ALL.map(counted);
    tokio::join!(chat, responses, messages, completions).into()
}

/// Checks that a caller who left paid for this prompt, and this much of an answer; what it paid.
fn pays(case: &str, told: &Charged, (input, cached, output): (i64, i64, i64)) -> i64 {
    let case = format!("{case}: {told:?}");
    let tokens = (told.input, told.cached, told.output);
    assert_eq!(tokens, (input, cached, output), "{case}");
    assert_eq!((told.cost, told.estimated), (told.price(), true), "{case}");
    assert_eq!(told.outcome, "client_gone", "{case}");
    assert!(told.cost > 0, "{case}");
    told.cost
}

#[tokio::test]
async fn a_prompt_that_a_provider_has_is_paid_whatever_the_caller_waited_for() {
    for wire in [Wire::H1, Wire::TlsH2] {
        let (gateway, fakes) = gateway(wire, json!({}), |_| Script::new().silence()).await;
        let (bank, counts) = (bank(&gateway), all_counted().await);
        let mut due = Vec::new();
        for (client, provider) in Talk::pairs() {
            let count = counts[client.place()];
            for (stream, version) in [(false, Version::H1), (true, Version::H2)] {
                let id = format!("{}-{}-{stream}", client.name(), provider.name());
                let request = client.request(provider, stream, 1_000, &id);
                leave_once_asked(&gateway, version, &fakes[provider.place()], &request).await;
                due.push((id, count));
            }
        }
        let all = told_of(&bank, due.iter().map(|(id, _)| id.as_str())).await;
        let pays = |(id, count): &(String, i64)| {
            pays(&format!("{id} from {wire:?}"), &all[id], (*count, 0, 0))
        };
        let spent: i64 = due.iter().map(pays).sum();
        at_rest(&gateway).await;
        books(&gateway, NanoUsd(spent)).await;
        assert_eq!(
            ended(&gateway, "time") + ended(&gateway, "usage"),
            0,
            "nothing is read on"
        );
    }
}

/// What a provider said before any content is known of: Anthropic's reports the prompt, with what was cached of it.
#[tokio::test]
async fn what_a_prelude_reports_is_believed() {
    let prelude = |talk: Talk| match talk {
        Talk::Of(api) => Script::sse().data(api.prelude()).silence(),
        Talk::Completions => Script::sse().data(": nothing\n\n").silence(),
    };
    for wire in [Wire::H1, Wire::TlsH2] {
        // The client is given a head and comments, and still no answer.
        let more = json!({"timeouts": {"hold": "300ms"}});
        let (gateway, _fakes) = gateway(wire, more, prelude).await;
        let (bank, counts) = (bank(&gateway), all_counted().await);
        let mut due = Vec::new();
        for (client, provider) in Talk::pairs() {
            let want = match provider {
                Talk::Of(crate::crossing::api::Api::Messages) => (100, 40, 1),
                _ => (counts[client.place()], 0, 0),
            };
            let versions = [Version::H1, Version::H2].map(async |version| {
                let id = format!("{}-{}-{version:?}", client.name(), provider.name());
                let request = client.request(provider, true, 1_000, &id);
                leave(begun(version, &gateway, &request).await).await;
                (id, want)
            });
            due.extend(futures::future::join_all(versions).await);
        }
        let all = told_of(&bank, due.iter().map(|(id, _)| id.as_str())).await;
        for (id, want) in due {
            pays(&format!("{id} from {wire:?}"), &all[&id], want);
        }
        at_rest(&gateway).await;
    }
}

/// Embeddings have no answer to speak of.
#[tokio::test]
async fn embeddings_too() {
    let fake = Fake::start(Wire::H1, Script::new().silence()).await;
    let mut entry = managed("e", &fake, Talk::Completions);
    entry["surfaces"] = json!(["openai/embeddings"]);
    let gateway = Gateway::builder()
        .provider(entry)
        .config(settings("20s"))
        .start()
        .await;
    let body = json!({"model": "e:m", "input": ["one two three", "four five six"]});
    let request = Request::post("/v1/embeddings", body.to_string()).header("x-request-id", "e");
    leave_once_asked(&gateway, Version::H1, &fake, &request).await;
    let told = told(&bank(&gateway), "e").await;
    pays("embeddings", &told, (6, 0, 0));
    at_rest(&gateway).await;
}

#[tokio::test]
async fn each_of_them_pays_and_nothing_can_be_repeated_for_nothing() {
    let (gateway, fakes) = gateway(Wire::H1, json!({}), |_| Script::new().silence()).await;
    let chat = Talk::ALL[0];
    let cost = counted(chat).await * (FEE + PROMPT);
    for turn in 0..20 {
        let request = chat.request(chat, turn % 2 == 0, 1_000, &format!("turn-{turn}"));
        leave_once_asked(&gateway, Version::H1, &fakes[0], &request).await;
    }
    books(&gateway, NanoUsd(20 * cost)).await;
    at_rest(&gateway).await;
}

/// An attempt that failed is not the caller's; the one that it left is.
#[tokio::test]
async fn the_attempt_that_was_left_is_paid_and_not_those_before() {
    let chat = Talk::ALL[0];
    let bad = Fake::start(Wire::H1, Script::error(500, "no")).await;
    let good = Fake::start(Wire::H1, Script::new().silence()).await;
    let gateway = Gateway::builder()
        .provider(managed("bad", &bad, chat))
        .provider(managed("good", &good, chat))
        .config(settings("20s"))
        .start()
        .await;
    let mut body = chat.request(chat, false, 1_000, "second");
    let text = String::from_utf8(body.body.to_vec()).unwrap();
    body.body = text
        .replace("\"chat:m\"", "\"bad:m\",\"models\":[\"good:m\"]")
        .into();
    leave_once_asked(&gateway, Version::H1, &good, &body).await;
    let told = told(&bank(&gateway), "second").await;
    assert_eq!(told.attempt, 2, "{told:?}");
    let cost = pays("second", &told, (counted(chat).await, 0, 0));
    books(&gateway, NanoUsd(cost)).await;
    at_rest(&gateway).await;
}

/// What a provider answers with an error it does not bill.
#[tokio::test]
async fn an_error_that_was_not_waited_for_costs_nothing() {
    // So long that its beginning leaves before its end has come.
    let error = |_| {
        let json = [("content-type", "application/json")];
        let long = format!("{{\"error\": {{\"message\": \"{}", "x".repeat(300 << 10));
        Script::new().head(400, &json).data(long).silence()
    };
    let (gateway, _fakes) = gateway(Wire::H1, json!({}), error).await;
    for talk in Talk::ALL {
        let request = talk.request(talk, false, 1_000, talk.name());
        let mut client = Client::connect(Version::H1, gateway.address).await;
        assert_eq!(client.begin(&request).await.unwrap().status, 400);
        drop(client);
    }
    let all = told_of(&bank(&gateway), Talk::ALL.iter().map(|talk| talk.name())).await;
    for told in all.values() {
        let used = (told.cost, told.input, told.output);
        assert_eq!(used, (0, 0, 0), "{told:?}");
    }
    at_rest(&gateway).await;
}

/// A provider that has a part of the request has done nothing yet.
#[tokio::test]
async fn a_request_that_did_not_reach_its_provider_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let deaf = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let mut entry = provider_at("deaf", &base);
    entry["keys"] = json!([]);
    entry["managed_keys"] = json!([{"id": "deaf-key", "value": "HOUSE"}]);
    entry["models"] = json!([{"id": "m", "prices": {"input": 2, "output": 10}}]);
    let gateway = Gateway::builder()
        .provider(entry)
        .config(settings("20s"))
        .start()
        .await;
    // More than sockets keep for who does not read.
    let long = json!({"model": "deaf:m", "messages": [{"role": "user", "content": "x ".repeat(12 << 20)}]});
    let request = Request::post("/v1/chat/completions", long.to_string());
    for version in [Version::H1, Version::H2] {
        let id = format!("{version:?}");
        let request = request.clone().header("x-request-id", &id);
        let mut client = Client::connect(version, gateway.address).await;
        let begun = client.begin(&request);
        let under_way = async {
            while metric(&gateway, "tollgate_ledger_holds") != "1" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Until all that fits is written.
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        tokio::select! {
            head = begun => panic!("{head:?}"),
            () = under_way => {}
        }
        drop(client);
        let told = told(&bank(&gateway), &id).await;
        assert_eq!(
            (told.cost, told.outcome.as_str()),
            (0, "client_gone"),
            "{told:?}"
        );
        at_rest(&gateway).await;
    }
    deaf.abort();
}
