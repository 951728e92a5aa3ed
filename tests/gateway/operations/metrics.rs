//! Metrics, as Prometheus and a receiver of OpenTelemetry's protocol get them.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, exemplar, number_data_point,
};
use prost::Message;
use serde_json::json;

use super::help::{SOON, signal};
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn receiver() -> Fake {
    let kind = [("content-type", "application/x-protobuf")];
    Fake::start(Wire::H1, Script::new().length().head(200, &kind)).await
}

/// What the receiver was sent last, by name.
fn metric(receiver: &Fake, name: &str) -> Option<Metric> {
    let sent = receiver.seen().pop()?;
    assert_eq!(sent.path, "/v1/metrics");
    assert_eq!(sent.header("authorization"), Some("Bearer t"));
    let sent = ExportMetricsServiceRequest::decode(sent.body).unwrap();
    let scopes = sent
        .resource_metrics
        .into_iter()
        .flat_map(|all| all.scope_metrics);
    let mut metrics = scopes.flat_map(|scope| scope.metrics);
    metrics.find(|metric| metric.name == name)
}

fn histogram(receiver: &Fake, name: &str) -> Vec<HistogramDataPoint> {
    match metric(receiver, name).and_then(|metric| metric.data) {
        Some(Data::Histogram(histogram)) => {
            assert_eq!(histogram.aggregation_temporality, 2, "cumulative");
            histogram.data_points
        }
        _ => Vec::new(),
    }
}

fn of<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|known| known.key == key);
    match found.and_then(|found| found.value.as_ref()?.value.as_ref()) {
        Some(Any::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_measured_reaches_a_receiver_and_names_a_traced_request() {
    let (to, traces) = (receiver().await, receiver().await);
    let good = Fake::good(Wire::H1, "one two").await;
    let at = |fake: &Fake| format!("http://{}", fake.address);
    let telemetry = json!({
        "metrics": {"endpoint": at(&to), "every": "1s", "headers": {"authorization": "Bearer t"}},
        "traces": {"endpoint": at(&traces), "sample": 0},
    });
    let gateway = Gateway::builder().config(json!({"telemetry": telemetry}));
    let mut gateway = gateway.fake("openai", &good).start().await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let asked = Request::chat(&["openai:m"], true);
    assert_eq!(client.ask(&asked).await.status(), 200);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let traced = asked.header("traceparent", &parent);
    assert_eq!(client.ask(&traced).await.status(), 200);

    let name = "gen_ai.server.request.duration";
    let both = || {
        let points = histogram(&to, name);
        points.first().is_some_and(|point| point.count == 2)
    };
    assert!(eventually(SOON, both).await, "two requests are told");
    for name in [name, "gen_ai.server.time_to_first_token"] {
        let point = histogram(&to, name).remove(0);
        assert_eq!(of(&point.attributes, "gen_ai.operation.name"), "chat");
        assert_eq!(of(&point.attributes, "gen_ai.provider.name"), "openai");
        assert_eq!(of(&point.attributes, "tollgate.provider"), "openai");
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        let [one] = &point.exemplars[..] else {
            panic!("{name}: one of them is traced: {:?}", point.exemplars);
        };
        let id: String = one
            .trace_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(id, TRACE);
        assert!(matches!(one.value, Some(exemplar::Value::AsDouble(took)) if took > 0.0));
    }
    let tokens = histogram(&to, "gen_ai.client.token.usage");
    let kinds = tokens
        .iter()
        .map(|point| of(&point.attributes, "gen_ai.token.type"));
    assert_eq!(kinds.collect::<Vec<_>>(), ["input", "output"]);

    // Prometheus is told of the same request, if it asks in the form that can.
    let mut admin = Client::connect(Version::H1, gateway.admin).await;
    let open = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let answer = admin
        .ask(&Request::get("/metrics").header("accept", open))
        .await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(
        text.contains("# TYPE tollgate_requests counter\n"),
        "{text}"
    );
    let names_it = |line: &str| {
        let bucket = line.starts_with("tollgate_request_duration_seconds_bucket{");
        bucket && line.contains(&format!("# {{trace_id=\"{TRACE}\",span_id=\""))
    };
    assert_eq!(text.lines().filter(|line| names_it(line)).count(), 1);
    assert!(!gateway.admin_get("/metrics").contains(TRACE));

    // What happened since is told at the end.
    assert_eq!(client.ask(&traced).await.status(), 200);
    signal(&gateway, "TERM");
    assert!(eventually(SOON, || !gateway.is_running()).await);
    let last = metric(&to, "tollgate.requests").unwrap();
    let Some(Data::Sum(last)) = last.data else {
        panic!("{last:?}")
    };
    assert!(last.is_monotonic);
    let counted = last.data_points[0].value;
    assert_eq!(counted, Some(number_data_point::Value::AsDouble(3.0)));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_said_once_and_slows_nothing() {
    let free = crate::common::free_port();
    let endpoint = format!("http://127.0.0.1:{free}");
    let telemetry = json!({"metrics": {"endpoint": endpoint, "every": "1s"}});
    let good = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder().config(json!({"telemetry": telemetry}));
    let mut gateway = gateway.fake("f", &good).start().await;
    let told = || gateway.output().contains("metrics do not reach");
    assert!(eventually(SOON, told).await, "{}", gateway.output());
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let answer = client.ask(&Request::chat(&["m"], false)).await;
    assert_eq!(answer.status(), 200);
    gateway.stop().await;
    assert_eq!(gateway.output().matches("metrics do not reach").count(), 1);
}
