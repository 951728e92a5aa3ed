//! The demo provider over its own router: shapes, counts and misbehaviour.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use super::*;

const TALK: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
];

async fn send(request: Request<Body>) -> Response {
    TowerToHyperService::new(router())
        .call(request)
        .await
        .unwrap()
}

async fn post(path: &str, body: &Value) -> Response {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    send(request.unwrap()).await
}

async fn answer(path: &str, body: &Value) -> (u16, String) {
    let response = post(path, body).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn whole(path: &str, body: &Value) -> Value {
    let (status, text) = answer(path, body).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The data of a stream's events that are JSON.
async fn events(path: &str, body: &Value) -> Vec<Value> {
    let (status, text) = answer(path, body).await;
    assert_eq!(status, 200, "{path}: {text}");
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

fn ask(path: &str, model: &str, text: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "stream": stream, "max_tokens": 4000});
    match path {
        "/v1/completions" => body["prompt"] = json!(text),
        "/v1/responses" => body["input"] = json!(text),
        _ => body["messages"] = json!([{"role": "user", "content": text}]),
    }
    body
}

/// The text of an answer in one piece, whatever its shape.
fn text_of(answer: &Value) -> &str {
    [
        "/choices/0/message/content",
        "/choices/0/text",
        "/output/0/content/0/text",
        "/content/0/text",
    ]
    .iter()
    .find_map(|path| answer.pointer(path)?.as_str())
    .unwrap_or_default()
}

fn delta_of(event: &Value) -> &str {
    [
        "/choices/0/delta/content",
        "/choices/0/text",
        "/delta/text",
        "/delta",
    ]
    .iter()
    .find_map(|path| event.pointer(path)?.as_str())
    .unwrap_or_default()
}

/// Prompt and answer tokens, wherever they are reported.
fn usage_of(answer: &Value) -> (u64, u64) {
    let usage = ["/usage", "/response/usage", "/message/usage"]
        .iter()
        .find_map(|path| answer.pointer(path));
    let figure = |names: [&str; 2]| {
        let usage = usage.unwrap_or(&Value::Null);
        names
            .iter()
            .find_map(|name| usage.get(name)?.as_u64())
            .unwrap_or_default()
    };
    (
        figure(["prompt_tokens", "input_tokens"]),
        figure(["completion_tokens", "output_tokens"]),
    )
}

#[tokio::test]
async fn echo_says_it_back_on_every_surface_with_the_same_usage() {
    for path in TALK {
        let answer = whole(path, &ask(path, "echo", "good morning to you", false)).await;
        assert_eq!(text_of(&answer), "You said: good morning to you", "{path}");
        assert_eq!(usage_of(&answer), (4, 6), "{path}: words are tokens");
    }
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_answer_in_one_piece() {
    for path in TALK {
        let mut body = ask(path, "echo", "one two three", true);
        body["stream_options"] = json!({"include_usage": true});
        let events = events(path, &body).await;
        let text: String = events.iter().map(delta_of).collect();
        assert_eq!(text, "You said: one two three", "{path}");
        let (input, output) = events.iter().map(usage_of).fold((0, 0), |most, next| {
            (most.0.max(next.0), most.1.max(next.1))
        });
        assert_eq!((input, output), (3, 5), "{path}");
    }
}

#[tokio::test]
async fn usage_is_streamed_to_openai_clients_only_when_asked_for() {
    let events = events(TALK[0], &ask(TALK[0], "echo", "hi", true)).await;
    assert!(
        events.iter().all(|event| event.get("usage").is_none()),
        "{events:?}"
    );
}

#[tokio::test]
async fn tools_are_called_and_their_results_read() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let chat = json!({"model": "echo", "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}],
        "messages": [{"role": "user", "content": "How is the weather?"}]});
    let answer = whole(TALK[0], &chat).await;
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        call["function"],
        json!({"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"})
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");

    let mut again = chat.clone();
    again["messages"] = json!([{"role": "user", "content": "How is the weather?"},
        {"role": "tool", "tool_call_id": "x", "content": "sunny"}]);
    assert_eq!(
        text_of(&whole(TALK[0], &again).await),
        "The tool said: sunny"
    );

    let messages = json!({"model": "echo", "stream": true, "tools": [{"name": "get_weather", "input_schema": schema}],
        "messages": [{"role": "user", "content": "call get_weather"}]});
    let events_ = events("/v1/messages", &messages).await;
    let partial: String = events_
        .iter()
        .filter_map(|event| event.pointer("/delta/partial_json")?.as_str())
        .collect();
    assert_eq!(partial, "{\"city\":\"Paris\"}", "{events_:?}");

    let responses = json!({"model": "echo", "stream": true, "input": "the weather, please",
        "tools": [{"type": "function", "name": "get_weather", "parameters": schema}]});
    let events_ = events("/v1/responses", &responses).await;
    let kind = |event: &&Value| event["type"] == "response.function_call_arguments.delta";
    let partial: String = events_
        .iter()
        .filter(kind)
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(partial, "{\"city\":\"Paris\"}", "{events_:?}");
}

#[tokio::test]
async fn refusals_are_in_the_surfaces_own_dialect() {
    let statuses = [
        ("429", 429),
        ("429-bare", 429),
        ("401", 401),
        ("400-context", 400),
        ("500", 500),
        ("503", 503),
    ];
    for (model, status) in statuses
        .into_iter()
        .chain([("529", 529), ("nonesuch", 404)])
    {
        for path in TALK
            .into_iter()
            .chain(["/v1/embeddings", "/v1/messages/count_tokens"])
        {
            let response = post(path, &ask(path, model, "hi", true)).await;
            assert_eq!(response.status().as_u16(), status, "{path} {model}");
            let wait = response.headers().get("retry-after").cloned();
            assert_eq!(
                wait.is_some(),
                model == "429",
                "{path} {model}: Retry-After {wait:?}"
            );
            let body: Value =
                serde_json::from_slice(&to_bytes(response.into_body(), 9999).await.unwrap())
                    .unwrap();
            let anthropic = path.starts_with("/v1/messages");
            assert_eq!(body["type"] == "error", anthropic, "{path} {model}: {body}");
            assert!(
                body["error"]["message"].is_string(),
                "{path} {model}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn dropped_streams_end_uncleanly_after_what_they_promise() {
    for path in TALK {
        for (model, said) in [("cut-early", ""), ("cut", "You said: ")] {
            let response = post(path, &ask(path, model, "hi there", true)).await;
            let mut body = response.into_body().into_data_stream();
            let mut seen = Vec::new();
            let mut clean = true;
            while let Some(chunk) = futures::StreamExt::next(&mut body).await {
                match chunk {
                    Ok(bytes) => seen.extend_from_slice(&bytes),
                    Err(_) => clean = false,
                }
            }
            assert!(!clean, "{path} {model} must not end cleanly");
            let text = String::from_utf8(seen).unwrap();
            let data = text
                .lines()
                .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
            let events: Vec<Value> = data.collect();
            assert_eq!(
                events.iter().map(delta_of).collect::<String>(),
                said,
                "{path} {model}"
            );
        }
    }
}

#[tokio::test]
async fn errors_inside_streams_come_before_any_content() {
    for path in TALK {
        for model in ["error-event", "overloaded"] {
            let events = events(path, &ask(path, model, "hi", true)).await;
            let last = events.last().unwrap();
            let error = last
                .get("error")
                .or(last.pointer("/response/error"))
                .unwrap_or(last);
            assert!(error["message"].is_string(), "{path} {model}: {last}");
            assert!(
                events.iter().all(|event| delta_of(event).is_empty()),
                "{path} {model}"
            );
        }
    }
}

#[tokio::test]
async fn end_markers_usage_and_length_are_as_the_model_says() {
    for path in TALK {
        let (_, echo) = answer(path, &ask(path, "echo", "hi", true)).await;
        let (_, bare) = answer(path, &ask(path, "no-done", "hi", true)).await;
        let marker = |text: &str| text.contains("[DONE]") || text.contains("message_stop");
        assert_eq!(marker(&echo), path != "/v1/responses", "{path}");
        assert!(!marker(&bare), "{path}");
        let silent = whole(path, &ask(path, "no-usage", "hi", false)).await;
        assert!(silent.get("usage").is_none_or(Value::is_null), "{path}");
        let long = events(path, &ask(path, "long", "hi", true)).await;
        let contents = long
            .iter()
            .filter(|event| delta_of(event) == "word ")
            .count();
        assert_eq!(contents, reply::LONG, "{path}");
        let (_, broken) = answer(path, &ask(path, "malformed", "hi", true)).await;
        assert!(broken.contains("data: {\"broken\": \n\n"), "{path}");
    }
}

#[tokio::test]
async fn embeddings_are_the_same_as_floats_and_as_base64() {
    use base64::Engine;
    let floats = whole(
        "/v1/embeddings",
        &json!({"model": "echo", "input": ["a b", "c"]}),
    )
    .await;
    let base64 = json!({"model": "echo", "input": ["a b", "c"], "encoding_format": "base64"});
    let base64 = whole("/v1/embeddings", &base64).await;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(base64["data"][1]["embedding"].as_str().unwrap())
        .unwrap();
    let decoded: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|four| f32::from_le_bytes(*four))
        .collect();
    assert_eq!(json!(decoded), floats["data"][1]["embedding"]);
    assert_eq!(
        floats["usage"],
        json!({"prompt_tokens": 3, "total_tokens": 3})
    );
}

#[tokio::test]
async fn models_are_listed_in_both_shapes() {
    for (header, path) in [
        ("x-nothing", "/data/0/object"),
        ("anthropic-version", "/data/0/type"),
    ] {
        let request = Request::get("/v1/models")
            .header(header, "2023-06-01")
            .body(Body::empty())
            .unwrap();
        let response = send(request).await;
        let list: Value =
            serde_json::from_slice(&to_bytes(response.into_body(), 99999).await.unwrap()).unwrap();
        assert_eq!(list.pointer(path), Some(&json!("model")), "{header}");
        assert_eq!(list["data"].as_array().unwrap().len(), Model::ALL.len());
    }
    let played = Model::ALL.map(|(_, id, what)| (id, what));
    assert_eq!(
        played,
        tollgate_config::DEMO_MODELS,
        "what is configured is played"
    );
}

#[tokio::test]
async fn prompts_are_counted() {
    let body = json!({"model": "echo", "system": "be brief", "messages": [{"role": "user", "content": [{"type": "text", "text": "one two"}]}]});
    assert_eq!(
        whole("/v1/messages/count_tokens", &body).await,
        json!({"input_tokens": 4})
    );
}

#[tokio::test]
async fn it_serves_until_told_to_stop() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, async { drop(stopped.await) }));
    drop(stop);
    served.await.unwrap().unwrap();
}
