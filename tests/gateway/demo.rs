//! The demo provider behind the real gateway: every model that fails is followed by `demo:echo`.

use crate::common::client::{Client, Version};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::{free_port, sse};
use serde_json::{Value, json};

/// Models that fail before any content, streaming or not.
const FAILING: [&str; 12] = [
    "429",
    "429-bare",
    "401",
    "400-context",
    "500",
    "503",
    "529",
    "silent",
    "stall",
    "cut-early",
    "error-event",
    "overloaded",
];
const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
];

fn request(path: &str, models: &[&str], stream: bool) -> Request {
    let mut body = json!({"model": models[0], "models": models[1..], "stream": stream});
    match path {
        "/v1/completions" => body["prompt"] = json!("hi"),
        "/v1/responses" => body["input"] = json!("hi"),
        _ => body["messages"] = json!([{"role": "user", "content": "hi"}]),
    }
    if path == "/v1/messages" {
        body["max_tokens"] = json!(100);
    }
    Request::post(path, body.to_string())
}

/// The text of an answer on any surface.
fn text(body: &[u8], stream: bool) -> String {
    if stream {
        let delta = |event: &Value| {
            let paths = [
                "/choices/0/delta/content",
                "/choices/0/text",
                "/delta/text",
                "/delta",
            ];
            paths
                .iter()
                .find_map(|path| event.pointer(path)?.as_str().map(str::to_owned))
        };
        return sse::json(body).iter().filter_map(delta).collect();
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let paths = [
        "/choices/0/message/content",
        "/choices/0/text",
        "/output/0/content/0/text",
        "/content/0/text",
    ];
    paths
        .iter()
        .find_map(|path| body.pointer(path)?.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[tokio::test]
async fn every_failing_model_is_followed_by_echo_on_every_surface() {
    // Long enough for a hundred answers at once on a busy machine; those that are silent are waited for together.
    let demo = json!({
        "demo": {"listen": format!("127.0.0.1:{}", free_port())},
        "timeouts": {"per_request": "3s", "stream_idle": "3s"},
    });
    let gateway = Gateway::builder().config(demo).start().await;
    let mut asked = Vec::new();
    for model in FAILING {
        for path in PATHS {
            for stream in [false, true] {
                asked.push((model, path, stream));
            }
        }
    }
    let gateway = &gateway;
    let answers = asked.into_iter().map(|(model, path, stream)| async move {
        let failing = format!("demo:{model}");
        let request = request(path, &[&failing, "demo:echo"], stream);
        let answer = Client::connect(Version::H1, gateway.address)
            .await
            .ask(&request)
            .await;
        let case = format!("{model} on {path}, stream {stream}: {}", answer.text());
        assert_eq!(answer.status(), 200, "{case}");
        assert_eq!(text(&answer.body, stream), "You said: hi", "{case}");
        assert_eq!(answer.header("x-tollgate-model"), Some("echo"), "{case}");
        assert!(answer.clean, "{case}");
        // Passed over, where another answer has let the model cool down for meanwhile.
        let tried = answer.header("x-tollgate-attempts").map(str::to_owned);
        assert!(matches!(tried.as_deref(), Some("1" | "2")), "{case}");
        (model, tried)
    });
    let answers = futures::future::join_all(answers).await;
    for model in FAILING {
        let tried = Some("2".to_owned());
        assert!(answers.contains(&(model, tried)), "{model} is never tried");
    }
}

/// `tollgate demo traffic` against this address: whether it succeeds, and all that it says.
fn traffic(url: &str, requests: &str) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["demo", "traffic", "--url", url, "--requests", requests])
        .output()
        .unwrap();
    let both = [&output.stdout, &output.stderr];
    let said = both
        .map(|it| String::from_utf8_lossy(it).into_owned())
        .concat();
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hours_worth_of_traffic_shows_answers_failovers_and_errors() {
    let written = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/demo.yaml");
    let written = std::fs::read_to_string(written).unwrap();
    let demo = format!("127.0.0.1:{}", free_port());
    let config: Value =
        tollgate_config::from_yaml(&written.replace("127.0.0.1:8089", &demo)).unwrap();
    let gateway = Gateway::builder()
        .config(config)
        .env("OPENAI_API_KEY", "")
        .env("ANTHROPIC_API_KEY", "")
        .start()
        .await;
    let (done, said) = traffic(&format!("http://{}/", gateway.address), "240");
    assert!(done, "{said}");
    for words in [
        "answered by the first candidate",
        "answered after a failover",
        "broken off",
        "answered 400",
        "240 requests in",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("answered 401"), "{said}");

    let (done, said) = traffic(&format!("http://127.0.0.1:{}", free_port()), "1");
    assert!(!done && said.contains("no gateway answers at"), "{said}");
    let other = Gateway::builder().start().await;
    let (done, said) = traffic(&format!("http://{}", other.address), "1");
    let words = "does not know the access key `demo` of conf/demo.yaml";
    assert!(!done && said.contains(words), "{said}");
}
