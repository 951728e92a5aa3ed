//! Every client with every provider of another API: the same answer, whole and as a stream.

use futures::future::join_all;
use serde_json::{Value, json};

use super::api::{Api, CALLS, Said};
use super::{ask, good, offering};
use crate::common::client::Version;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::{Act, Framing, Script};

#[tokio::test]
async fn every_client_reads_the_same_answer_from_every_provider() {
    for (wire, version) in [(Wire::H1, Version::H1), (Wire::TlsH2, Version::H2)] {
        let (gateway, fakes) = good(wire).await;
        for (client, provider) in Api::pairs() {
            for stream in [false, true] {
                let case = format!("{client:?} at {provider:?}, stream: {stream}, {version:?}");
                let model = format!("{}:m", provider.name());
                let request = client.request(&[&model], stream);
                let answer = super::ask_over(version, &gateway, &request).await;
                let case = format!("{case}: {}", answer.text());
                assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
                let kind = answer.header("content-type").unwrap_or_default();
                let kind = kind.split(';').next().unwrap_or_default();
                let wanted = if stream {
                    "text/event-stream"
                } else {
                    "application/json"
                };
                assert_eq!(kind, wanted, "{case}");
                assert_eq!(client.said(&answer, stream), Said::good(client), "{case}");
                assert_eq!(client.usage(&answer, stream), (100, 40, 20), "{case}");
                assert!(!stream || client.ended(&answer), "{case}");
                assert_eq!(answer.header("x-tollgate-provider"), Some(provider.name()));
                assert_eq!(answer.header("x-tollgate-model"), Some("m"), "{case}");
                assert_eq!(answer.header("x-tollgate-attempts"), Some("1"), "{case}");
                assert_eq!(answer.header("x-tollgate-dropped"), None, "{case}");

                let (_, fake) = fakes.iter().find(|(api, _)| *api == provider).unwrap();
                let seen = fake.seen().pop().unwrap();
                assert_eq!(Api::of_path(&seen.path), provider, "{case}");
                let sent = seen.json();
                assert_eq!(sent["model"], "m", "{case}");
                assert_eq!(sent["stream"] == json!(true), stream, "{case}");
                let names: Vec<&Value> = sent["tools"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|tool| match provider {
                        Api::Chat => &tool["function"]["name"],
                        _ => &tool["name"],
                    })
                    .collect();
                assert_eq!(names, ["get_weather", "get_time"], "{case}: {sent}");
                let asked = sent["stream_options"]["include_usage"] == json!(true);
                assert_eq!(asked, provider == Api::Chat && stream, "{case}: {sent}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_is_read_however_its_bytes_are_cut_and_its_body_ends() {
    let mut fakes = Vec::new();
    let mut builder = Gateway::builder();
    for api in Api::ALL {
        let all = api.answer(true).body();
        let mut bytewise = Script::sse().then(Act::Bytewise(all.clone().into()));
        bytewise.framing = Framing::Close;
        let at_once = Script::sse().data(all);
        for (name, script) in [("bytewise", bytewise), ("at-once", at_once)] {
            let fake = Fake::start(Wire::H1, script).await;
            let id = format!("{}-{name}", api.name());
            builder = builder.provider(offering(&id, &fake, &[api]));
            fakes.push(fake);
        }
    }
    let gateway = builder.start().await;
    for (client, provider) in Api::pairs() {
        for name in ["bytewise", "at-once"] {
            let model = format!("{}-{name}:m", provider.name());
            let answer = ask(&gateway, &client.request(&[&model], true)).await;
            let case = format!("{client:?} at {model}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
            assert_eq!(client.said(&answer, true), Said::good(client), "{case}");
        }
    }
}

#[tokio::test]
async fn fragments_of_a_call_leave_as_they_come() {
    let unhurried = json!({"timeouts": {"per_request": "10s", "stream_idle": "10s"}});
    let mut builder = Gateway::builder().config(unhurried);
    let mut fakes = Vec::new();
    for api in Api::ALL {
        let events = api.events();
        // Up to the first half of the first call's arguments.
        let half = &CALLS[0].2[..CALLS[0].2.len() / 2];
        let half = json!(half).to_string();
        let at = events
            .iter()
            .position(|event| event.contains(&half))
            .unwrap();
        let script = Script::sse().data(events[..=at].concat()).wait(600);
        let fake = Fake::start(Wire::H1, script.data(events[at + 1..].concat())).await;
        builder = builder.provider(offering(api.name(), &fake, &[api]));
        fakes.push(fake);
    }
    let gateway = builder.start().await;
    // All at once: what they do is wait.
    let gateway = &gateway;
    let checks = Api::pairs().map(|(client, provider)| async move {
        let model = format!("{}:m", provider.name());
        let answer = ask(gateway, &client.request(&[&model], true)).await;
        let first = answer.arrivals.first().map(|(at, _)| *at);
        let early: Vec<u8> = answer
            .arrivals
            .iter()
            .take_while(|(at, _)| *at < first.unwrap() + std::time::Duration::from_millis(300))
            .flat_map(|(_, piece)| piece.to_vec())
            .collect();
        let early = String::from_utf8_lossy(&early);
        let half = json!(&CALLS[0].2[..CALLS[0].2.len() / 2]).to_string();
        assert!(early.contains(&half), "{client:?} at {provider:?}: {early}");
        assert_eq!(client.said(&answer, true), Said::good(client));
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_conversation_with_calls_and_results_is_carried_over() {
    let (gateway, fakes) = good(Wire::H1).await;
    for (client, provider) in Api::pairs() {
        let model = format!("{}:m", provider.name());
        let mut body = client.body(&[&model], false);
        match client {
            Api::Chat => {
                body["messages"] = json!([
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "weather and time?"},
                    {"role": "assistant", "content": null, "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}},
                        {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
                    ]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
                    {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
                ]);
            }
            Api::Responses => {
                body["instructions"] = json!("be brief");
                body["input"] = json!([
                    {"role": "user", "content": "weather and time?"},
                    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{\"city\":\"Paris\"}"},
                    {"type": "function_call", "call_id": "call_2", "name": "get_time", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"},
                    {"type": "function_call_output", "call_id": "call_2", "output": "noon"},
                ]);
            }
            Api::Messages => {
                body["system"] = json!("be brief");
                body["messages"] = json!([
                    {"role": "user", "content": "weather and time?"},
                    {"role": "assistant", "content": [
                        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}},
                        {"type": "tool_use", "id": "call_2", "name": "get_time", "input": {}},
                    ]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "call_1", "content": "18 degrees"},
                        {"type": "tool_result", "tool_use_id": "call_2", "content": "noon"},
                    ]},
                ]);
            }
        }
        let answer = ask(&gateway, &client.post(&body)).await;
        let case = format!("{client:?} at {provider:?}: {}", answer.text());
        assert_eq!(answer.status(), 200, "{case}");
        let (_, fake) = fakes.iter().find(|(api, _)| *api == provider).unwrap();
        let sent = fake.seen().pop().unwrap().json().to_string();
        for said in [
            "be brief",
            "weather and time?",
            "call_1",
            "call_2",
            "18 degrees",
            "noon",
        ] {
            assert!(
                sent.contains(said),
                "{said} is lost; {client:?} at {provider:?}: {sent}"
            );
        }
    }
}
