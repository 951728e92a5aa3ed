//! Heads: what travels to a provider of another API, and what its client gets.

use serde_json::json;

use super::api::Api;
use super::{ask, ask_over, good, offering, well};
use crate::common::TOKEN;
use crate::common::client::Version;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

/// What clients say to their own vendor: to OpenAI's dialect, to Anthropic's.
const OF_OPENAI: [&str; 5] = [
    "x-openai-subagent",
    "x-codex-turn-state",
    "originator",
    "session-id",
    "http-referer",
];
const OF_ANTHROPIC: [&str; 2] = ["x-claude-code-session-id", "x-app"];

/// What no provider gets: whose account is meant, where the client is, what nobody knows.
const OF_NOBODY: [&str; 9] = [
    "openai-organization",
    "openai-project",
    "chatgpt-account-id",
    "x-goog-api-key",
    "origin",
    "referer",
    "x-forwarded-for",
    "cf-connecting-ip",
    "x-unheard-of",
];

/// The request with all of that.
fn telling(mut request: Request) -> Request {
    let all = OF_OPENAI.iter().chain(&OF_ANTHROPIC).chain(&OF_NOBODY);
    for name in all.chain(&["x-stainless-lang", "user-agent"]) {
        request = request.header(name, "1");
    }
    request
}

/// Whether such a header may arrive.
fn arrives(name: &str, client: Api, provider: Api) -> bool {
    let is_anthropic = |api| api == Api::Messages;
    let same = is_anthropic(client) == is_anthropic(provider);
    match name {
        "user-agent" => true,
        "x-stainless-lang" => same,
        name if OF_OPENAI.contains(&name) => same && !is_anthropic(client),
        name if OF_ANTHROPIC.contains(&name) => same && is_anthropic(client),
        _ => false,
    }
}

/// What of it arrived.
fn checked(seen: &Seen, client: Api, provider: Api) {
    let all = OF_OPENAI.iter().chain(&OF_ANTHROPIC).chain(&OF_NOBODY);
    for name in all.chain(&["x-stainless-lang", "user-agent"]) {
        let expected = Some("1").filter(|_| arrives(name, client, provider));
        let case = format!("{name}; {client:?} at {provider:?}: {:?}", seen.headers);
        assert_eq!(seen.header(name), expected, "{case}");
    }
}

#[tokio::test]
async fn the_head_follows_the_providers_api() {
    let (gateway, fakes) = good(Wire::H1).await;
    for (client, provider) in Api::pairs() {
        let model = format!("{}:m", provider.name());
        let mut request = client.request(&[&model], false);
        request.path += "?beta=true";
        for (name, value) in [
            ("anthropic-beta", "some-beta"),
            ("openai-beta", "responses=experimental"),
        ] {
            request = request.header(name, value);
        }
        let answer = ask(&gateway, &telling(request)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let (_, fake) = fakes.iter().find(|(api, _)| *api == provider).unwrap();
        let seen = fake.seen().pop().unwrap();
        let case = format!("{client:?} at {provider:?}: {:?}", seen.headers);
        assert_eq!(seen.path, provider.path(), "no query; {case}");
        let key = format!("KEY-{}", provider.name());
        let (auth, api_key, version) = match provider {
            Api::Messages => (None, Some(key), Some("2023-06-01")),
            _ => (Some(format!("Bearer {key}")), None, None),
        };
        assert_eq!(seen.header("authorization"), auth.as_deref(), "{case}");
        assert_eq!(seen.header("x-api-key"), api_key.as_deref(), "{case}");
        assert_eq!(seen.header("anthropic-version"), version, "{case}");
        assert_eq!(seen.header("anthropic-beta"), None, "{case}");
        assert_eq!(seen.header("openai-beta"), None, "{case}");
        checked(&seen, client, provider);
        let length = seen.body.len().to_string();
        assert_eq!(seen.header("content-length"), Some(&*length), "{case}");
        assert!(!format!("{seen:?}").contains(TOKEN), "{case}");
    }
}

#[tokio::test]
async fn a_request_to_its_own_api_is_not_touched() {
    let (gateway, fakes) = good(Wire::H1).await;
    for (api, fake) in &fakes {
        for stream in [false, true] {
            let mut request = api.request(&["m"], stream);
            request.path += "?beta=true";
            // The bare model is every provider's; the one that has the client's API is not the first.
            let mut body = api.body(&[&format!("{}:m", api.name())], stream);
            body["x-unknown"] = json!([1.50, "\u{e9}"]);
            let request = Request {
                body: body.to_string().into(),
                ..request
            }
            .header("anthropic-beta", "b")
            .header("openai-beta", "b");
            let request = telling(request);
            let answer = ask(&gateway, &request).await;
            assert_eq!(answer.body, api.answer(stream).body(), "{api:?}");
            let seen = fake.seen().pop().unwrap();
            let (own, other) = match api {
                Api::Messages => ("anthropic-beta", "openai-beta"),
                _ => ("openai-beta", "anthropic-beta"),
            };
            assert_eq!((seen.header(own), seen.header(other)), (Some("b"), None));
            checked(&seen, *api, *api);
            assert_eq!(answer.header("x-tollgate-dropped"), None);
            assert!(seen.path.ends_with("?beta=true"), "{}", seen.path);
            body["model"] = json!("m");
            assert_eq!(seen.json(), body, "{api:?}");
        }
    }
}

#[tokio::test]
async fn what_is_dropped_is_named() {
    let (gateway, _fakes) = good(Wire::H1).await;
    let mut body = Api::Chat.body(&["messages:m"], false);
    body["seed"] = json!(7);
    body["logprobs"] = json!(true);
    body["x\u{e9}, y"] = json!(1);
    let answer = ask(&gateway, &Api::Chat.post(&body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let dropped = answer.header("x-tollgate-dropped").expect("a list");
    let mut names: Vec<&str> = dropped.split(", ").collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["logprobs", "seed", "x???y"],
        "printable, and no comma"
    );

    // However many there are.
    for n in 0..300 {
        body[format!("unknown-field-of-some-length-{n}")] = json!(1);
    }
    for version in [Version::H1, Version::H2] {
        let answer = ask_over(version, &gateway, &Api::Chat.post(&body)).await;
        let dropped = answer.header("x-tollgate-dropped").expect("a list");
        assert!(
            dropped.len() < 1100 && dropped.ends_with(", ..."),
            "{dropped}"
        );
    }
}

#[tokio::test]
async fn the_nearest_api_is_chosen() {
    let fake = Fake::answering(Wire::H1, well).await;
    let offers: [(&str, &[Api]); 4] = [
        ("all", &Api::ALL),
        ("openai", &[Api::Chat, Api::Responses]),
        ("no-chat", &[Api::Responses, Api::Messages]),
        ("no-responses", &[Api::Chat, Api::Messages]),
    ];
    let mut builder = Gateway::builder();
    for (id, apis) in offers {
        builder = builder.provider(offering(id, &fake, apis));
    }
    let gateway = builder.start().await;
    for (client, provider, called) in [
        (Api::Chat, "all", Api::Chat),
        (Api::Messages, "all", Api::Messages),
        (Api::Messages, "openai", Api::Responses),
        (Api::Chat, "no-chat", Api::Messages),
        (Api::Responses, "no-responses", Api::Messages),
    ] {
        let answer = ask(
            &gateway,
            &client.request(&[&format!("{provider}:m")], false),
        )
        .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let seen = fake.seen().pop().unwrap();
        assert_eq!(Api::of_path(&seen.path), called, "{client:?} at {provider}");
    }
    // Responses have no stop sequences, so the next nearest is called.
    let mut body = Api::Messages.body(&["openai:m"], false);
    body["stop_sequences"] = json!(["END"]);
    let answer = ask(&gateway, &Api::Messages.post(&body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = fake.seen().pop().unwrap();
    assert_eq!(Api::of_path(&seen.path), Api::Chat);
    assert_eq!(seen.json()["stop"], json!(["END"]));
}

#[tokio::test]
async fn limits_and_stripped_parameters_apply_to_what_was_translated() {
    let fake = Fake::answering(Wire::H1, well).await;
    let mut entry = offering("p", &fake, &[Api::Messages]);
    entry["models"] =
        json!([{"id": "m", "max_output_tokens": 50, "unsupported_parameters": ["temperature"]}]);
    let gateway = Gateway::builder().provider(entry).start().await;
    let mut body = Api::Chat.body(&["m"], false);
    body["max_completion_tokens"] = json!(5_000);
    body["temperature"] = json!(0.5);
    body["stop"] = json!("END");
    let answer = ask(&gateway, &Api::Chat.post(&body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let sent = fake.seen().pop().unwrap().json();
    assert_eq!(sent["max_tokens"], 50, "{sent}");
    assert_eq!(sent["stop_sequences"], json!(["END"]), "{sent}");
    assert!(sent.get("temperature").is_none(), "{sent}");
    assert_eq!(answer.header("x-tollgate-dropped"), Some("temperature"));
}

#[tokio::test]
async fn what_the_catalog_says_to_remove_is_named_if_it_was_there() {
    let fake = Fake::answering(Wire::H1, well).await;
    let mut builder = Gateway::builder();
    for api in Api::ALL {
        let mut entry = offering(api.name(), &fake, &[api]);
        // What the client may say, what it may not, and what a translation says of itself; some of it twice.
        entry["unsupported_parameters"] = json!([
            "temperature",
            "seed",
            "stop_sequences",
            "stream_options",
            "store"
        ]);
        entry["models"] = json!([{"id": "m", "unsupported_parameters": ["temperature", "top_p"]}]);
        builder = builder.provider(entry);
    }
    let gateway = builder.start().await;
    let all = json!({"temperature": 0.5, "top_p": 0.5});
    for (client, provider, more, expected) in [
        (Api::Chat, Api::Chat, json!({}), None),
        (
            Api::Chat,
            Api::Chat,
            all.clone(),
            Some("temperature, top_p"),
        ),
        (
            Api::Messages,
            Api::Messages,
            all.clone(),
            Some("temperature, top_p"),
        ),
        (
            Api::Responses,
            Api::Responses,
            all.clone(),
            Some("store, temperature, top_p"),
        ),
        // Translated: each once, whoever drops it.
        (Api::Chat, Api::Messages, json!({}), None),
        (Api::Messages, Api::Chat, json!({"stream": true}), None),
        (Api::Messages, Api::Responses, json!({}), None),
        (
            Api::Messages,
            Api::Responses,
            all.clone(),
            Some("temperature, top_p"),
        ),
        (
            Api::Chat,
            Api::Messages,
            json!({"seed": 1, "temperature": 0.5}),
            Some("seed, temperature"),
        ),
        // The provider's name, where the client's has become another one.
        (
            Api::Chat,
            Api::Messages,
            json!({"stop": "END"}),
            Some("stop_sequences"),
        ),
    ] {
        let mut body = client.body(&[&format!("{}:m", provider.name())], false);
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = ask(&gateway, &client.post(&body)).await;
        let case = format!("{client:?} at {provider:?}, {more}: {}", answer.text());
        assert_eq!(answer.status(), 200, "{case}");
        let mut names: Vec<&str> = answer
            .header("x-tollgate-dropped")
            .map(|list| list.split(", ").collect())
            .unwrap_or_default();
        names.sort_unstable();
        assert_eq!(names.join(", "), expected.unwrap_or_default(), "{case}");
        let sent = fake.seen().pop().unwrap().json();
        for name in ["temperature", "top_p", "seed", "stop_sequences", "store"] {
            assert!(sent.get(name).is_none(), "{name}; {sent}; {case}");
        }
        assert_eq!(sent["model"], "m", "{case}");
    }
}

#[tokio::test]
async fn an_old_client_gets_an_answer_of_known_length() {
    let script = Script::new().head(200, &[("content-type", "application/json")]);
    let script = script.data(Api::Messages.whole().to_string());
    let fake = Fake::start(Wire::H1, script).await;
    let gateway = Gateway::builder()
        .provider(offering("p", &fake, &[Api::Messages]))
        .start()
        .await;
    let answer = ask(&gateway, &Api::Chat.request(&["m"], false)).await;
    let length = answer.body.len().to_string();
    assert_eq!(answer.header("content-length"), Some(&*length));
    assert_eq!(answer.header("transfer-encoding"), None);
}
