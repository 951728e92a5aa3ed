//! What is exported to OpenTelemetry receivers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::units::Span;
use tollgate_base::Secret;

/// What is exported to OpenTelemetry receivers.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Traces, by OpenTelemetry's protocol (OTLP); absent is none.
    pub traces: Option<Traces>,
    /// Metrics, by the same protocol, beside those that Prometheus can scrape; absent is none.
    pub metrics: Option<Metrics>,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// OTLP over HTTP, as protobuf.
    #[serde(rename = "http/protobuf")]
    Http,
    /// OTLP over gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

/// Where traces are sent, and of which requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// The receiver, as in `http://127.0.0.1:4318`: https, or http at loopback and private addresses. Without a path,
    /// `/v1/traces` is meant; for gRPC it has none, and with http and without a port 4317 is meant. Default: what
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub endpoint: Option<Secret>,
    /// How it is spoken to: `http/protobuf` or `grpc`. Default: what `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL` or
    /// `OTEL_EXPORTER_OTLP_PROTOCOL` says, else `http/protobuf`.
    pub protocol: Option<OtlpProtocol>,
    /// Headers that the receiver is sent, credentials among them: `${ENVIRONMENT_VARIABLE}`, `file:/path` (relative to
    /// this file), or the text itself. Default: those of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: BTreeMap<String, Secret>,
    /// The share of requests that are traced, 0 to 1, where the client's `traceparent` does not say. Default 0.1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: Option<f64>,
    /// Requests that are traced whatever the share.
    pub keep: Keep,
    /// `service.name`. Default: what `OTEL_SERVICE_NAME` says, else `tollgate`.
    pub service_name: Option<String>,
    /// More of what is said of this process, as `deployment.environment.name`. Default: what
    /// `OTEL_RESOURCE_ATTRIBUTES` says.
    pub resource: BTreeMap<String, String>,
    /// Members of the client's `baggage` that become attributes of its request's spans.
    pub baggage: Vec<String>,
}

/// Where metrics are sent, and how often.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// The receiver, as for traces. Without a path, `/v1/metrics` is meant. Default: what
    /// `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub endpoint: Option<Secret>,
    /// How it is spoken to, as for traces. Default: what `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL` or
    /// `OTEL_EXPORTER_OTLP_PROTOCOL` says, else `http/protobuf`.
    pub protocol: Option<OtlpProtocol>,
    /// Headers that the receiver is sent, as for traces. Default: those of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: BTreeMap<String, Secret>,
    /// How often, `1s` to `1h`. Default `60s`.
    pub every: Option<Span>,
    /// `service.name`. Default: what `OTEL_SERVICE_NAME` says, else `tollgate`.
    pub service_name: Option<String>,
    /// More of what is said of this process. Default: what `OTEL_RESOURCE_ATTRIBUTES` says.
    pub resource: BTreeMap<String, String>,
}

/// Requests that are traced whatever the share.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Those of known callers that were answered by a status of 400 or more, those of anybody by 500 or more, and answers
    /// that broke off. Default true.
    pub errors: Option<bool>,
    /// Those with more than one attempt. Default true.
    pub failed_over: Option<bool>,
    /// Those whose answer took so long: to its beginning if it is a stream, to its end if not. Absent is none.
    pub slow: Option<Span>,
}
