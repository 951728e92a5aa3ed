//! Sessions over several keys and replicas: each stays where its prompt cache is.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::common::PATIENCE;
use crate::common::ask;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Builder, Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Script, chat_answer};

const SESSIONS: usize = 24;

/// A provider that keeps prompts as real ones do: a prompt is met where one that it begins with was asked before, for the
/// same key's owner.
#[derive(Default)]
struct Cache {
    /// Prompts, by the key that asked them.
    kept: HashSet<(String, String)>,
    /// The key that served each session's last turn.
    keys: BTreeMap<String, String>,
    /// Turns, and those of them whose prompt was met.
    turns: usize,
    met: usize,
    /// A key that is refused for a second.
    cooling: Option<String>,
}

impl Cache {
    fn answer(&mut self, seen: &Seen) -> Script {
        let key = seen.header("authorization").unwrap_or_default().to_owned();
        if self.cooling.as_ref() == Some(&key) {
            return Script::error_with(429, "too many", &[("retry-after", "1")]);
        }
        let body = seen.json();
        let messages = body["messages"].as_array().unwrap();
        // The first words name the session.
        let session = messages[1]["content"].as_str().unwrap().to_owned();
        let prompt = |length: usize| json!(messages[..length]).to_string();
        self.turns += 1;
        let before = messages.len().saturating_sub(2);
        self.met += usize::from(self.kept.contains(&(key.clone(), prompt(before))));
        self.kept.insert((key.clone(), prompt(messages.len())));
        self.keys.insert(session, key);
        Script::json(200, &chat_answer("hello"))
    }
}

fn four_keys(fake: &Fake) -> Builder {
    let mut entry = provider("p", fake);
    let ids = ["one", "two", "three", "four"];
    entry["keys"] = json!(ids.map(|id| json!({"id": id, "value": format!("KEY-{id}")})));
    Gateway::builder().provider(entry)
}

async fn cached() -> (Fake, Arc<Mutex<Cache>>) {
    let cache = Arc::new(Mutex::new(Cache::default()));
    let answering = cache.clone();
    let fake = Fake::answering(Wire::H1, move |seen| answering.lock().answer(seen)).await;
    (fake, cache)
}

/// The session's next turn: all that was said before, and a word more.
async fn turn(gateway: &Gateway, session: usize, number: usize) {
    let mut messages = vec![
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": format!("session {session}")}),
    ];
    for earlier in 0..number {
        messages.push(json!({"role": "assistant", "content": "hello"}));
        messages.push(json!({"role": "user", "content": format!("more {earlier}")}));
    }
    let body = json!({"model": "p:m", "messages": messages});
    let request = Request::post("/v1/chat/completions", body.to_string());
    let answer = ask(gateway, &request).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// Nothing but the conversation itself says which session it is, and the turns of each go to two replicas in turn.
#[tokio::test]
async fn sessions_meet_their_cache_on_every_replica_and_return_after_a_cool_down() {
    let (fake, cache) = cached().await;
    let sticky = json!({"key_selection": "session"});
    let replicas = [
        four_keys(&fake).config(sticky.clone()).start().await,
        four_keys(&fake).config(sticky).start().await,
    ];
    for number in 0..3 {
        for session in 0..SESSIONS {
            turn(&replicas[(session + number) % 2], session, number).await;
        }
    }
    let (met, placed) = {
        let cache = cache.lock();
        assert_eq!(cache.turns, 3 * SESSIONS);
        (cache.met, cache.keys.clone())
    };
    assert_eq!(met, 2 * SESSIONS, "as many as at one key");
    let keys: HashSet<&String> = placed.values().collect();
    assert_eq!(keys.len(), 4, "all keys serve: {placed:?}");

    // One key is out: its sessions go elsewhere, and all others stay.
    let out = placed["session 0"].clone();
    cache.lock().cooling = Some(out.clone());
    for session in 0..SESSIONS {
        turn(&replicas[session % 2], session, 3).await;
    }
    let meanwhile = cache.lock().keys.clone();
    for (session, key) in &placed {
        assert_eq!(meanwhile[session] == *key, *key != out, "{session}");
    }
    let fallen: HashSet<&String> = placed
        .iter()
        .filter(|(_, key)| **key == out)
        .map(|(session, _)| &meanwhile[session])
        .collect();
    assert!(!fallen.contains(&out));
    // It is back, and so are they.
    cache.lock().cooling = None;
    let began = tollgate_base::clock::now();
    loop {
        for session in 0..SESSIONS {
            turn(&replicas[session % 2], session, 4).await;
        }
        if cache.lock().keys == placed {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{:?} rather than {placed:?}",
            cache.lock().keys
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The keys that served a request as often as it was asked.
async fn keys_of(
    gateway: &Gateway,
    fake: &Fake,
    request: &Request,
    times: usize,
) -> HashSet<String> {
    let before = fake.count();
    for _ in 0..times {
        let answer = ask(gateway, request).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    let seen = fake.seen();
    let keys = seen[before..]
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned());
    keys.collect()
}

/// Each way to name a session beats what the conversation begins with; a step may keep its order, and keys their shares.
#[tokio::test]
async fn clients_name_their_sessions_and_steps_choose_their_keys() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let step = |more: Value| {
        let mut step = json!({"type": "user", "keys": ["two", "one", "three"]});
        step.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([{"provider": "p", "steps": [step]}])
    };
    let gateway = |configuration: Value| {
        let keys = json!([
            crate::common::gateway::access_key("a", &json!({"configuration": "c"})),
            crate::common::gateway::access_key("plain", &json!({}))
        ]);
        four_keys(&fake).config(json!({"key_selection": "session", "access_keys": keys,
            "configurations": [{"id": "c", "router": {"rules": configuration}}]}))
    };
    let chat = |body: Value| Request::post("/v1/chat/completions", body.to_string());
    let first = |words: usize| json!({"model": "p:m", "messages": [{"role": "user", "content": format!("words {words}")}]});
    let plain = |request: Request| crate::common::requests::from("plain", request);
    let running = gateway(step(json!({}))).start().await;
    for name in [
        "x-tollgate-session",
        "x-claude-code-session-id",
        "session-id",
        "session_id",
        "conversation_id",
    ] {
        let mut keys = HashSet::new();
        for session in 0..16 {
            let mut of_session = HashSet::new();
            for words in 0..3 {
                let request = plain(chat(first(words))).header(name, &format!("0199-{session}"));
                of_session.extend(keys_of(&running, &fake, &request, 1).await);
            }
            assert_eq!(of_session.len(), 1, "{name} {session}");
            keys.extend(of_session);
        }
        assert!(keys.len() > 1, "{name}: sessions are spread: {keys:?}");
    }
    let mut keyed = first(0);
    keyed["prompt_cache_key"] = json!("0199");
    let mut later = first(1);
    later["prompt_cache_key"] = json!("0199");
    let [one, other] = [keyed, later].map(|body| plain(chat(body)));
    assert_eq!(
        keys_of(&running, &fake, &one, 1).await,
        keys_of(&running, &fake, &other, 1).await
    );
    // The gateway's own header is for nobody else.
    assert!(
        fake.seen()
            .iter()
            .all(|seen| seen.header("x-tollgate-session").is_none())
    );
    // What has no turns has no cache: every key gets its share.
    let embeddings = plain(Request::post(
        "/v1/embeddings",
        r#"{"model":"p:m","input":"hi"}"#,
    ));
    assert_eq!(keys_of(&running, &fake, &embeddings, 64).await.len(), 4);
    // A step that says so keeps its order, whatever the session.
    for words in 0..8 {
        let request = crate::common::requests::from("a", chat(first(words)));
        assert_eq!(
            keys_of(&running, &fake, &request, 1).await,
            HashSet::from(["Bearer KEY-two".to_owned()])
        );
    }
    drop(running);
    let weighted = gateway(step(
        json!({"key_selection": "session", "weights": {"three": 1000}}),
    ))
    .start()
    .await;
    let mut served = BTreeMap::new();
    for words in 0..40 {
        let request = crate::common::requests::from("a", chat(first(words)));
        for key in keys_of(&weighted, &fake, &request, 1).await {
            *served.entry(key).or_insert(0) += 1;
        }
    }
    assert!(
        served["Bearer KEY-three"] > 35 && !served.contains_key("Bearer KEY-four"),
        "{served:?}"
    );
}

/// Providers of another API are told what to keep, unless a configuration says no.
#[tokio::test]
async fn translated_requests_tell_the_provider_what_to_keep() {
    let openai = Fake::answering(Wire::H1, |_| {
        Script::json(200, &json!({"id": "r", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}))
    })
    .await;
    let anthropic = Fake::answering(Wire::H1, |_| {
        Script::json(200, &json!({"id": "msg", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 1, "output_tokens": 1}}))
    })
    .await;
    let entry = |id: &str, fake: &Fake, surface: &str, vendor: &str| {
        let mut entry = provider(id, fake);
        (entry["surfaces"], entry["vendor"]) = (json!([surface]), json!(vendor));
        entry["models"] = json!([{"id": "claude-opus-4-6"}, {"id": "gpt-5.5"}]);
        entry
    };
    let quiet = crate::common::gateway::access_key("quiet", &json!({"configuration": "quiet"}));
    let loud = crate::common::gateway::access_key("loud", &json!({}));
    let gateway = Gateway::builder()
        .provider(entry("o", &openai, "openai/responses", "openai"))
        .provider(entry("a", &anthropic, "anthropic/messages", "anthropic"))
        .config(json!({"access_keys": [quiet, loud], "configurations": [{"id": "quiet", "cache_hints": false}]}))
        .start()
        .await;
    let system = "You are a coding agent. ".repeat(300);
    let asked = |model: &str, session: &str, more: usize| {
        let mut messages = vec![json!({"role": "user", "content": session})];
        for earlier in 0..more {
            messages.push(json!({"role": "assistant", "content": "hello"}));
            messages.push(json!({"role": "user", "content": format!("more {earlier}")}));
        }
        let tool = json!({"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}});
        messages.insert(0, json!({"role": "system", "content": system}));
        json!({"model": model, "messages": messages, "tools": [tool]}).to_string()
    };
    let send = async |key: &str, body: String, fake: &Fake| {
        let request = Request::post("/v1/chat/completions", body);
        let answer = ask(&gateway, &crate::common::requests::from(key, request)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.header("x-tollgate-dropped"), None);
        fake.seen().pop().unwrap().json()
    };
    let mut names = HashSet::new();
    for session in ["one", "two"] {
        let mut keys = HashSet::new();
        for more in 0..3 {
            let sent = send("loud", asked("o:gpt-5.5", session, more), &openai).await;
            keys.insert(sent["prompt_cache_key"].as_str().unwrap().to_owned());
        }
        assert_eq!(keys.len(), 1, "of all turns");
        names.extend(keys);
    }
    assert_eq!(names.len(), 2, "{names:?}");
    let sent = send("quiet", asked("o:gpt-5.5", "one", 1), &openai).await;
    assert_eq!(sent["prompt_cache_key"], json!(null));

    let marks = |sent: &Value| {
        sent.to_string()
            .matches(r#""cache_control":{"type":"ephemeral"}"#)
            .count()
    };
    let sent = send("loud", asked("a:claude-opus-4-6", "one", 2), &anthropic).await;
    assert_eq!(marks(&sent), 4, "{sent}");
    let sent = send("quiet", asked("a:claude-opus-4-6", "one", 2), &anthropic).await;
    assert_eq!(marks(&sent), 0, "{sent}");
}

#[test]
fn what_cannot_be_meant_is_a_fault() {
    let faults = |step: &str| {
        let yaml = format!(
            "providers: [{{ id: openai, keys: [{{ id: one, value: x }}, {{ id: two, value: x }}] }}]
configurations:
  - id: c
    router: {{ rules: [{{ provider: openai, steps: [{{ type: user, {step} }}] }}] }}
"
        );
        match tollgate_config::parse(&yaml, &|_| None) {
            Ok(_) => String::new(),
            Err(faults) => faults.to_string(),
        }
    };
    for good in [
        "key_selection: session, weights: { two: 3 }",
        "keys: [two, one], key_selection: session, weights: { one: 1000 }",
        "key_selection: ordered",
    ] {
        assert_eq!(faults(good), "", "{good}");
    }
    for (bad, words) in [
        ("key_selection: random", "steps[0].key_selection"),
        ("weights: { one: 0 }", "steps[0].weights.one"),
        ("weights: { one: 1001 }", "steps[0].weights.one"),
        ("weights: { three: 2 }", "steps[0].weights.three"),
        (
            "keys: [one], key_selection: session, weights: { two: 2 }",
            "`two` is no key of the step",
        ),
        (
            "keys: [one, two], weights: { one: 2 }",
            "keys that are tried in order have no weights",
        ),
    ] {
        let said = faults(bad);
        assert!(said.contains(words), "{bad}: {said}");
    }
}
