//! The sixteen scenarios of failoverbench, rebuilt from its published descriptions (methodology 0.1), a tenth as long,
//! and a few of the same kind. What its scorecard calls a pass is what is asserted: the caller has the whole answer,
//! and no check, advisory or not, fails.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Gateway, access_key, provider, provider_at};
use crate::common::requests::{Request, from};
use crate::common::script::Script;
use crate::common::sse;

/// What the provider does to the first request of a scenario's model, and whether to later ones, too.
type Fault = (Script, bool);

const WORDS: usize = 60;

fn words() -> Vec<String> {
    let word = |n| {
        if n == 0 {
            "word0".to_owned()
        } else {
            format!(" word{n}")
        }
    };
    (0..WORDS).map(word).collect()
}

/// The events of the canonical answer: a role, the words, the reason, the usage, `[DONE]`.
fn events(model: &str) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices});
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(
            json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
            Value::Null,
        )
    };
    let mut events = vec![delta(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    events.extend(
        words()
            .iter()
            .map(|word| delta(json!({"content": word}), Value::Null)),
    );
    events.push(delta(json!({}), json!("stop")));
    events.push(chunk(
        json!([]),
        json!({"prompt_tokens": 9, "completion_tokens": 60, "total_tokens": 69}),
    ));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn stream(events: &[String]) -> Script {
    events
        .iter()
        .fold(Script::sse(), |script, event| script.data(event.clone()))
}

fn error(status: u16, code: &str, headers: &[(&str, &str)]) -> Script {
    let mut script = Script::error_with(status, "refused", headers);
    let body =
        json!({"error": {"message": "refused", "type": "invalid_request_error", "code": code}});
    script.acts.truncate(1);
    script.data(body.to_string())
}

/// By model, as failoverbench selects them.
fn faults() -> HashMap<&'static str, Fault> {
    let all = |model: &str| events(model);
    let cut = |model: &str, after: usize| stream(&all(model)[..=after]);
    let mut malformed = all("s10");
    malformed.insert(
        10,
        "data: {\"id\": \"chatcmpl-1\", \"choices\": [{\"delta\": {\"content\": \n\n".to_owned(),
    );
    let mut no_done = all("s11");
    no_done.pop();
    let trickle = all("trickle").iter().fold(Script::sse(), |script, event| {
        script.data(event.clone()).wait(20)
    });
    let overloaded = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\",\"code\":null}}\n\n";
    let html = Script::new()
        .head(200, &[("content-type", "text/html")])
        .data("<html>sorry</html>");
    HashMap::from([
        (
            "s01",
            (
                error(429, "rate_limit_exceeded", &[("retry-after", "2")]),
                false,
            ),
        ),
        ("s02", (error(429, "rate_limit_exceeded", &[]), true)),
        ("s03", (error(500, "server_error", &[]), false)),
        ("s04", (error(503, "overloaded", &[]), true)),
        ("s05", (Script::new().reset(), false)),
        ("s06", (Script::new().silence(), true)),
        (
            "s07",
            (Script::sse().wait(3_000).data(all("s07").concat()), true),
        ),
        ("s08", (cut("s08", 40).cut(), true)),
        ("s09", (cut("s09", 20).silence(), true)),
        ("s10", (stream(&malformed), true)),
        ("s11", (stream(&no_done), true)),
        ("s12", (error(400, "context_length_exceeded", &[]), true)),
        ("s13", (error(400, "content_policy_violation", &[]), true)),
        ("s14", (cut("s14", 40).cut(), true)),
        ("s16", (error(503, "overloaded", &[]), true)),
        ("empty", (Script::sse(), true)),
        ("html", (html, true)),
        ("event", (Script::sse().data(overloaded), true)),
        ("late-event", (cut("late-event", 5).data(overloaded), true)),
        ("trickle", (trickle, true)),
    ])
}

/// The provider, and when the primary of the sixteenth scenario is healthy again.
async fn wall(back: Arc<Mutex<Option<Instant>>>) -> Fake {
    let (faults, seen_before) = (faults(), Mutex::new(HashMap::<String, usize>::new()));
    Fake::answering(Wire::H1, move |seen| {
        let body = seen.json();
        let model = body["model"].as_str().unwrap().to_owned();
        let count = {
            let mut all = seen_before.lock();
            let count = all.entry(model.clone()).or_default();
            *count += 1;
            *count
        };
        let prefilled = body["messages"].as_array().unwrap().last().unwrap()["role"] == "assistant";
        if model == "ok-noprefill" && prefilled {
            return error(400, "invalid_prefill", &[]);
        }
        let is_down = back
            .lock()
            .is_none_or(|back| tollgate_base::clock::now() < back);
        if model == "s15" && is_down {
            return error(503, "overloaded", &[]);
        }
        match faults.get(&*model) {
            Some((script, always)) if *always || count == 1 => script.clone(),
            _ => stream(&events(&model)),
        }
    })
    .await
}

/// The settings: an attempt has a second to show life, a stream two and a half of silence.
async fn gateway(fake: &Fake, gone: &str) -> Gateway {
    let models: Vec<Value> = faults()
        .keys()
        .chain(&["s15", "ok", "ok-noprefill"])
        .map(|id| json!({"id": id}))
        .collect();
    let mut entry = provider("wall", fake);
    entry["models"] = json!(models);
    Gateway::builder()
        .provider(entry)
        .provider(provider_at("gone", gone))
        .config(json!({
            "timeouts": {"per_request": "1s", "total": "60s", "stream_idle": "2500ms"},
            "configurations": [{"id": "bench", "commit": "whole", "stop_on": ["content_filter"], "retry": {"same": 1, "most": "3s"}}],
            "access_keys": [access_key("bench", &json!({"configuration": "bench"}))],
        }))
        .start()
        .await
}

fn request(primary: &str, fallback: &str) -> Request {
    let mut request = Request::chat(&[primary, fallback], true);
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["stream_options"] = json!({"include_usage": true});
    request.body = body.to_string().into();
    from("bench", request)
}

/// A scenario's outcome, as the caller and the provider saw it.
struct Outcome {
    id: String,
    answer: Answer,
    took: Duration,
    primary: Vec<Seen>,
}

impl Outcome {
    fn complete(&self) -> &Outcome {
        let (id, text) = (&self.id, self.answer.text());
        assert_eq!(
            (self.answer.status(), self.answer.clean),
            (200, true),
            "{id}: {text}"
        );
        assert_eq!(
            sse::chat_text(&self.answer.body),
            words().concat(),
            "{id}: {text}"
        );
        self
    }

    fn primary(&self, counts: std::ops::RangeInclusive<usize>) -> &Outcome {
        let count = self.primary.len();
        assert!(
            counts.contains(&count),
            "{}: {count} attempts on the primary",
            self.id
        );
        self
    }

    fn within(&self, most: Duration) -> &Outcome {
        assert!(self.took <= most, "{}: {:?}", self.id, self.took);
        self
    }

    fn model(&self, expected: &str) -> &Outcome {
        let last = sse::json(&self.answer.body).pop().unwrap();
        assert_eq!(last["model"], expected, "{}", self.id);
        assert_eq!(last["usage"]["completion_tokens"], 60, "{}", self.id);
        self
    }
}

async fn run(gateway: &Gateway, fake: &Fake, primary: &str, fallback: &str) -> Outcome {
    let begun = tollgate_base::clock::now();
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let answer = client.ask(&request(primary, fallback)).await;
    let own = primary.strip_prefix("wall:").unwrap_or(primary);
    let asked = fake.seen().into_iter();
    Outcome {
        id: own.to_owned(),
        answer,
        took: begun.elapsed(),
        primary: asked.filter(|seen| seen.json()["model"] == own).collect(),
    }
}

#[tokio::test]
async fn sixteen_of_sixteen_pass() {
    let back = Arc::new(Mutex::new(None));
    let fake = wall(back.clone()).await;
    let gateway = gateway(&fake, &Fake::refused()).await;
    let secs = Duration::from_secs;
    let run = async |id: &str| {
        let fallback = if id == "s14" {
            "wall:ok-noprefill"
        } else {
            "wall:ok"
        };
        run(&gateway, &fake, &format!("wall:{id}"), fallback).await
    };
    let limited = run("s01").await;
    limited.complete().primary(2..=2);
    let gap = limited.primary[1].at - limited.primary[0].at;
    assert!(
        gap >= Duration::from_millis(1_800),
        "s01: asked again after {gap:?}"
    );
    run("s02").await.complete().primary(1..=4);
    run("s03").await.complete().primary(2..=2);
    run("s04").await.complete().primary(1..=6);
    run("s05").await.complete();
    run("s06").await.complete().primary(1..=1).within(secs(10));
    run("s07")
        .await
        .complete()
        .within(Duration::from_millis(2_500));
    run("s08").await.complete();
    run("s09").await.complete().within(secs(10));
    run("ok").await.complete();
    run("s10").await.complete();
    run("s11")
        .await
        .complete()
        .model("s11")
        .within(Duration::from_millis(900));
    run("s12").await.complete().primary(1..=1);
    let filtered = run("s13").await;
    filtered.primary(1..=1);
    let told = (
        filtered.answer.status(),
        filtered.answer.json()["error"]["code"].clone(),
    );
    assert_eq!(told, (400, json!("content_policy_violation")), "s13");
    run("s14").await.complete();
    run("s16").await.complete().primary(1..=6).model("ok");
    // Down for a while, then healthy.
    for _ in 0..4 {
        run("s15").await.complete().model("ok");
    }
    *back.lock() = Some(tollgate_base::clock::now());
    run("s15").await.complete().model("s15");
}

#[tokio::test]
async fn and_so_do_others_of_the_kind() {
    let fake = wall(Arc::default()).await;
    let gateway = gateway(&fake, &Fake::refused()).await;
    for id in ["empty", "html", "event", "late-event"] {
        run(&gateway, &fake, &format!("wall:{id}"), "wall:ok")
            .await
            .complete()
            .model("ok");
    }
    run(&gateway, &fake, "gone:m", "wall:ok")
        .await
        .complete()
        .model("ok");
    run(&gateway, &fake, "wall:trickle", "wall:ok")
        .await
        .complete()
        .model("trickle");
    // What a request wishes for itself, without a configuration.
    let plain = |headers: &[(&str, &str)], model: &str| {
        let request = Request::chat(&[&format!("wall:{model}"), "wall:ok"], true);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    };
    let ask = async |request: Request| {
        Client::connect(Version::H1, gateway.address)
            .await
            .ask(&request)
            .await
    };
    let cut = ask(from(
        "bench",
        plain(&[("x-tollgate-commit", "first")], "s08"),
    ))
    .await;
    assert!(!cut.clean, "{}", cut.text());
    let rest = ask(from(
        "bench",
        plain(&[("x-tollgate-stop-on", "none")], "s13"),
    ))
    .await;
    assert_eq!(rest.status(), 200, "{}", rest.text());
}
