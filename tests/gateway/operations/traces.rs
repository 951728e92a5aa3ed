//! Traces, as a receiver of OpenTelemetry's protocol gets them.

mod parents;
mod trouble;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::{Value, json};

use super::help::{SOON, slow_words};
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway};
use crate::common::requests::Request;
use crate::common::script::{Script, chat_answer, chat_word};

/// What the conventions say of the attributes that they have names for.
const FACTS: &str = include_str!("../../../src/metrics/gen_ai_0_1_0.tsv");

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A receiver of traces.
async fn receiver() -> Fake {
    let kind = [("content-type", "application/x-protobuf")];
    Fake::start(Wire::H1, Script::new().length().head(200, &kind)).await
}

fn tracing(to: &Fake, more: &Value) -> Builder {
    let mut traces = json!({"endpoint": format!("http://{}", to.address), "sample": 1.0});
    for (key, value) in more.as_object().unwrap() {
        traces[key] = value.clone();
    }
    Gateway::builder().config(json!({"telemetry": {"traces": traces}}))
}

fn spans(receiver: &Fake) -> Vec<Span> {
    let sent = receiver.seen().into_iter().flat_map(|seen| {
        assert_eq!(seen.path, "/v1/traces");
        let request = ExportTraceServiceRequest::decode(seen.body).unwrap();
        request.resource_spans
    });
    let scopes = sent.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// An attribute; null if it is not there.
fn of(span: &Span, key: &str) -> Value {
    let found = span.attributes.iter().find(|known| known.key == key);
    let value = found.and_then(|found| found.value.clone()?.value);
    let json = |value| match value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(truth)) => json!(truth),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        _ => Value::Null,
    };
    match value {
        Some(Any::ArrayValue(list)) => {
            let list = list.values.into_iter();
            list.map(|value| json(value.value)).collect()
        }
        value => json(value),
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of the request with this id: its own, and those below it, once it is there.
async fn trace(receiver: &Fake, request_id: &str) -> (Span, Vec<Span>) {
    let own = |span: &Span| of(span, "tollgate.request_id") == request_id;
    let there = eventually(SOON, || spans(receiver).iter().any(own)).await;
    assert!(there, "no span of {request_id}");
    let all = spans(receiver);
    let mut roots = all.iter().filter(|span| own(span));
    let root = roots.next().unwrap().clone();
    assert!(roots.next().is_none(), "{request_id} has one span");
    assert_eq!(root.kind(), SpanKind::Server);
    all.iter().for_each(assert_conventional);
    let below: Vec<Span> = all
        .into_iter()
        .filter(|span| span.trace_id == root.trace_id && span.span_id != root.span_id)
        .inspect(|span| {
            assert_eq!(span.parent_span_id, root.span_id, "{}", span.name);
            assert_eq!(span.kind(), SpanKind::Client);
            assert!(span.start_time_unix_nano >= root.start_time_unix_nano);
            assert!(span.end_time_unix_nano <= root.end_time_unix_nano);
        })
        .collect();
    (root, below)
}

/// Attributes that the conventions have names for are of their types, and the others nobody else's.
fn assert_conventional(span: &Span) {
    for attribute in &span.attributes {
        let key = &attribute.key;
        let facts = FACTS
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>());
        let mut facts = facts.filter(|facts| facts[0] == "attribute" && facts[1] == key);
        let value = attribute.value.clone().and_then(|value| value.value);
        let kind = match value {
            Some(Any::StringValue(_)) => "string",
            Some(Any::BoolValue(_)) => "boolean",
            Some(Any::IntValue(_)) => "int",
            Some(Any::DoubleValue(_)) => "double",
            Some(Any::ArrayValue(_)) => "string[]",
            _ => "nothing",
        };
        match facts.next() {
            Some(facts) => assert_eq!(facts[2], kind, "{key}"),
            None => assert!(key.starts_with("tollgate.") || key == "tenant", "{key}"),
        }
    }
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

async fn ask(gateway: &Gateway, name: &str, request: Request) -> u16 {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let answer = client.ask(&request.header("x-request-id", name)).await;
    answer.status()
}

fn traced(request: Request, flags: &str) -> Request {
    request.header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
}

#[tokio::test]
async fn a_request_and_each_of_its_attempts_have_a_span() {
    let (to, good) = (receiver().await, Fake::good(Wire::H1, "one two").await);
    let limited = Fake::start(Wire::H1, Script::error(429, "no")).await;
    let cut = Fake::start(Wire::H1, Script::sse().cut()).await;
    let gateway = tracing(&to, &json!({"baggage": ["tenant"], "service_name": "edge"}))
        .fake("limited", &limited)
        .fake("cut", &cut)
        .fake("good", &good)
        .start()
        .await;
    let request = Request::chat(&["limited:m", "cut:m", "good:m"], true);
    let request = traced(request, "01")
        .header("tracestate", "vendor=1")
        .header("baggage", "tenant=acme,secret=hidden");
    assert_eq!(ask(&gateway, "moved-on", request).await, 200);

    let (root, below) = trace(&to, "moved-on").await;
    assert_eq!(hex(&root.trace_id), TRACE);
    assert_eq!(hex(&root.parent_span_id), PARENT);
    assert_eq!(root.flags, 0x301, "its parent is another process's");
    assert_eq!(root.name, "POST /v1/chat/completions");
    assert_eq!(root.trace_state, "vendor=1");
    assert!(!is_error(&root));
    for (key, expected) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/v1/chat/completions")),
        ("url.path", json!("/v1/chat/completions")),
        ("url.scheme", json!("http")),
        ("http.response.status_code", json!(200)),
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.request.model", json!("limited:m")),
        ("gen_ai.request.stream", json!(true)),
        ("tollgate.access_key", json!("test")),
        ("tollgate.account", json!("default")),
        ("tollgate.attempts", json!(3)),
        ("tenant", json!("acme")),
        ("secret", Value::Null),
        ("gen_ai.usage.input_tokens", Value::Null),
    ] {
        assert_eq!(of(&root, key), expected, "{key}");
    }
    assert!(of(&root, "tollgate.cost_usd").as_f64() > Some(0.0));

    assert_eq!(below.len(), 3);
    for (number, (span, (provider, outcome))) in below
        .iter()
        .zip([("limited", "http_429"), ("cut", "broken"), ("good", "ok")])
        .enumerate()
    {
        assert_eq!(span.name, "chat m");
        assert_eq!(span.flags, 0x101);
        let failed = outcome != "ok";
        assert_eq!(is_error(span), failed, "{provider}");
        let error = if failed { json!(outcome) } else { Value::Null };
        for (key, expected) in [
            ("tollgate.outcome", json!(outcome)),
            ("error.type", error),
            ("tollgate.attempt", json!(number + 1)),
            ("gen_ai.provider.name", json!(provider)),
            ("gen_ai.request.model", json!("m")),
            ("server.address", json!("127.0.0.1")),
            ("tollgate.provider_key", json!(format!("{provider}-key"))),
            ("tollgate.key_source", json!("user")),
            ("tenant", json!("acme")),
        ] {
            assert_eq!(of(span, key), expected, "{provider}: {key}");
        }
        assert!(of(span, "tollgate.wait_seconds").is_f64());
    }
    assert_eq!(of(&below[0], "http.response.status_code"), 429);
    for (key, expected) in [
        ("gen_ai.response.model", json!("m")),
        ("gen_ai.response.id", json!("chatcmpl-fake")),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("server.port", json!(good.address.port())),
        ("tollgate.surface", json!("openai/chat-completions")),
    ] {
        assert_eq!(of(&below[2], key), expected, "{key}");
    }
    assert!(of(&below[2], "gen_ai.usage.input_tokens").as_i64() > Some(0));
    assert!(of(&below[2], "gen_ai.usage.output_tokens").as_i64() > Some(0));
    assert!(of(&below[2], "gen_ai.response.time_to_first_chunk").is_f64());

    // Each provider gets the id of the attempt that calls it.
    for (fake, span) in [&limited, &cut, &good].into_iter().zip(&below) {
        let seen = &fake.seen()[0];
        let own = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        assert_eq!(seen.header("traceparent"), Some(&*own));
        assert_eq!(seen.header("tracestate"), Some("vendor=1"));
        assert_eq!(seen.header("baggage"), None);
    }
    let named = eventually(SOON, || {
        gateway
            .access_log()
            .iter()
            .any(|line| line["trace_id"] == TRACE)
    });
    assert!(named.await, "{:?}", gateway.access_log());
    let resource = ExportTraceServiceRequest::decode(to.seen()[0].body.clone()).unwrap();
    let resource = resource.resource_spans[0].resource.clone().unwrap();
    let resource = Span {
        attributes: resource.attributes,
        ..Span::default()
    };
    assert_eq!(of(&resource, "service.name"), "edge");
    let sent = "tollgate_trace_spans_sent_total 4";
    assert!(eventually(SOON, || gateway.admin_get("/metrics").contains(sent)).await);
}

#[tokio::test]
async fn refusals_and_answers_of_the_gateway_have_a_span_of_their_own() {
    let (to, good) = (receiver().await, Fake::good(Wire::H1, "hello").await);
    let gateway = tracing(&to, &json!({})).fake("good", &good).start().await;
    let chat = |model: &str| Request::chat(&[model], false);
    let wrong = "/v1/tg-wrong-g1-0000000000WrongSecretWrongSecretWrongSec000000";
    for (name, request, status) in [
        ("stranger", chat("good:m").without("authorization"), 401),
        ("unknown", chat("no-such-model"), 422),
        ("nowhere", Request::get(wrong), 404),
        ("list", Request::get("/v1/models"), 200),
        // A parent that is none makes a trace of its own, of which the state is not part.
        (
            "orphan",
            chat("good:m")
                .header("traceparent", "00-1-2-3")
                .header("tracestate", "vendor=1"),
            200,
        ),
    ] {
        assert_eq!(ask(&gateway, name, request).await, status, "{name}");
        let (root, below) = trace(&to, name).await;
        assert_eq!(of(&root, "http.response.status_code"), status, "{name}");
        assert_eq!(below.len(), usize::from(name == "orphan"), "{name}");
        assert!(
            !is_error(&root),
            "{name}: the client's mistakes are its own"
        );
        assert_eq!((root.parent_span_id.len(), &*root.trace_state), (0, ""));
        let model = of(&root, "gen_ai.request.model");
        match name {
            "unknown" => assert_eq!(model, "no-such-model"),
            "nowhere" => assert_eq!(
                (&*root.name, of(&root, "url.path")),
                ("GET", json!("/v1/***"))
            ),
            "list" => assert_eq!(root.name, "GET /v1/models"),
            "orphan" => {
                let seen = &good.seen()[0];
                let own = format!("00-{}-{}-01", hex(&root.trace_id), hex(&below[0].span_id));
                assert_eq!(seen.header("traceparent"), Some(&*own));
                assert_eq!(seen.header("tracestate"), None);
            }
            _ => assert_eq!(of(&root, "tollgate.access_key"), Value::Null),
        }
    }
}

#[tokio::test]
async fn what_became_of_a_stream_is_told() {
    let to = receiver().await;
    let word = || chat_word("some ");
    let cut = Fake::start(Wire::H1, Script::sse().data(word()).wait(50).cut()).await;
    let slow = Fake::start(Wire::H1, slow_words(1_000, 20)).await;
    let gateway = tracing(&to, &json!({}))
        .config(json!({"ledger": {"usage_grace": "0s"}}))
        .fake("cut", &cut)
        .fake("slow", &slow)
        .start()
        .await;
    assert_eq!(
        ask(&gateway, "cut", Request::chat(&["cut:m"], true)).await,
        200
    );
    let (root, below) = trace(&to, "cut").await;
    assert!(is_error(&root) && is_error(&below[0]));
    assert_eq!(of(&root, "error.type"), "ERR_TOLLGATE_3832");
    assert_eq!(of(&below[0], "error.type"), "broken");
    assert_eq!(of(&below[0], "tollgate.usage_estimated"), true);

    let mut client = Client::connect(Version::H1, gateway.address).await;
    let request = Request::chat(&["slow:m"], true).header("x-request-id", "gone");
    client.begin(&request).await.unwrap();
    client.read_until("w1 ").await;
    drop(client);
    let (root, below) = trace(&to, "gone").await;
    assert_eq!(of(&root, "tollgate.client_gone"), true);
    assert_eq!(of(&below[0], "tollgate.outcome"), "client_gone");
    assert!(!is_error(&root), "nothing of the gateway's failed");
}

#[tokio::test]
async fn only_a_share_is_traced_and_what_is_to_be_kept() {
    let (to, good) = (receiver().await, Fake::good(Wire::H1, "hello").await);
    let bad = Fake::start(Wire::H1, Script::error(500, "no")).await;
    let gateway = tracing(&to, &json!({"sample": 0.0}))
        .fake("good", &good)
        .fake("bad", &bad)
        .start()
        .await;
    let chat = |models: &[&str]| Request::chat(models, false);
    for (name, request) in [
        ("usual", chat(&["good:m"])),
        ("stranger", chat(&["good:m"]).without("authorization")),
        ("not-theirs", traced(chat(&["good:m"]), "00")),
        ("theirs", traced(chat(&["good:m"]), "01")),
        ("refused", chat(&["no-such-model"])),
        ("moved-on", traced(chat(&["bad:m", "good:m"]), "00")),
        ("failed", chat(&["bad:m"])),
    ] {
        ask(&gateway, name, request).await;
    }
    trace(&to, "failed").await;
    let told = |span: &Span| {
        let id = of(span, "tollgate.request_id");
        id.as_str().map(str::to_owned)
    };
    let mut told: Vec<String> = spans(&to).iter().filter_map(told).collect();
    told.sort();
    assert_eq!(told, ["failed", "moved-on", "refused", "theirs"]);
    // Who is called hears whether it is traced by its share.
    let flags =
        |seen: &crate::common::fake::Seen| seen.header("traceparent").unwrap()[53..].to_owned();
    let flags: Vec<String> = good.seen().iter().map(flags).collect();
    assert_eq!(flags, ["00", "00", "01", "00"]);

    let answer = chat_answer("hello").to_string();
    let json = [("content-type", "application/json")];
    let script = Script::new().wait(50).length().head(200, &json);
    let slow = Fake::start(Wire::H1, script.data(answer)).await;
    let keep =
        json!({"sample": 0.0, "keep": {"errors": false, "failed_over": false, "slow": "20ms"}});
    let gateway = tracing(&to, &keep).fake("slow", &slow).start().await;
    ask(&gateway, "slow", chat(&["slow:m"])).await;
    trace(&to, "slow").await;
}
