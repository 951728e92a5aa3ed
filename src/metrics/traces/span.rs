//! What is exported of a request: a SERVER span, and below it a CLIENT span for each attempt.
//!
//! Invariant: nothing of a body, no key, and no text longer than 256 bytes. What a provider said of itself (ids, its
//! model, why it stopped) is masked as answers are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, Status};

use super::context::{Trace, baggage, state};
use crate::metrics::attributes::{attribute, cut, text};
use crate::metrics::gen_ai_0_1_0 as names;
use crate::metrics::ledger::dollars;

use tollgate_base::without_credentials;
use tollgate_failover::{Candidate, Outcome};
use tollgate_ledger::{KeyKind, NanoUsd};
use tollgate_wire::Endpoint;
use tollgate_wire::report::Usage;
use tollgate_wire::tokens::Observer;

/// A request that has ended.
pub struct Request<'a> {
    /// Its place in its trace.
    pub trace: &'a Trace,
    /// As the client sent them.
    pub headers: &'a HeaderMap,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, without its query.
    pub path: &'a str,
    /// Whether the path is one that the gateway serves.
    pub is_route: bool,
    /// Whether the client speaks TLS.
    pub tls: bool,
    /// What it called, once it was authenticated.
    pub endpoint: Option<Endpoint>,
    /// As in the `x-request-id` of the answer.
    pub request_id: &'a str,
    /// Ids of the access key, its account and its configuration.
    pub caller: Option<(&'a str, &'a str, Option<&'a str>)>,
    /// The model as the client wrote it.
    pub model: Option<&'a str>,
    /// Whether the client asked for a stream.
    pub streams: bool,
    /// The status that the client got; 0 if it left before.
    pub status: u16,
    /// The gateway's own error code.
    pub error: Option<&'static str>,
    /// Whether the client left before the end.
    pub client_gone: bool,
    /// Whose answer the client got, if another request's: `joined` or `replayed`.
    pub idempotency: Option<&'static str>,
    /// Time in the gateway's own hands before the first attempt.
    pub overhead: Duration,
    /// From the request to the start of its answer.
    pub to_commit: Option<Duration>,
    /// In order.
    pub attempts: Vec<Attempt<'a>>,
}

/// An attempt that has ended. Times are before the request's end.
pub struct Attempt<'a> {
    /// The id of its span.
    pub span: u64,
    pub candidate: &'a Candidate,
    pub began: Duration,
    pub ended: Duration,
    /// How long the request had waited for it since it was read, or since the attempt before it.
    pub waited: Duration,
    /// From its start to its answer's, of a stream.
    pub first_chunk: Option<Duration>,
    /// The provider's status, if it answered one.
    pub status: Option<u16>,
    /// `None` is success.
    pub outcome: Option<&'a Outcome>,
    /// What was seen of its answer.
    pub observer: Option<&'a Observer>,
    /// The provider's own id of the request, masked.
    pub provider_request_id: Option<&'a str>,
    /// What it used; `None` if that is nothing.
    pub usage: Option<Usage>,
    /// Whether that is the gateway's own count.
    pub estimated: bool,
    /// Whether some of it was charged at an assumed price.
    pub assumed: bool,
    /// What its account was charged for it.
    pub cost: NanoUsd,
}

impl Request<'_> {
    /// Returns whether the gateway, or a provider, failed it: what a client did wrong is no failure of a server.
    pub fn failed(&self) -> bool {
        self.status >= 500 || (self.status < 400 && self.error.is_some())
    }

    /// Returns its spans, its own first.
    pub(super) fn spans(&self, members: &[String]) -> Vec<Span> {
        let baggage = match members {
            [] => Vec::new(),
            members => baggage(self.headers, members),
        };
        let state = match self.trace.parent {
            Some(_) => state(self.headers),
            None => String::new(),
        };
        let attempts = self.attempts.iter().enumerate();
        let mut spans = Vec::with_capacity(1 + self.attempts.len());
        spans.push(self.span());
        spans.extend(attempts.map(|(index, attempt)| attempt.span(self, index + 1)));
        for span in &mut spans {
            span.trace_state.clone_from(&state);
            let attributes = baggage.iter().map(|(name, value)| text(name, value));
            span.attributes.extend(attributes);
        }
        spans
    }

    fn span(&self) -> Span {
        let mut attributes = Attributes::default();
        let method = known(self.method);
        attributes.text(names::HTTP_METHOD, method.unwrap_or("_OTHER"));
        if method.is_none() {
            attributes.text(names::HTTP_METHOD_SENT, &without_credentials(self.method));
        }
        let scheme = if self.tls { "https" } else { "http" };
        attributes.text(names::URL_SCHEME, scheme);
        let method = method.unwrap_or("HTTP");
        let name = if self.is_route {
            attributes.text(names::HTTP_ROUTE, self.path);
            attributes.text(names::URL_PATH, self.path);
            format!("{method} {}", self.path)
        } else {
            // Whatever stands in a path that is none of ours may be a token.
            attributes.text(names::URL_PATH, &without_credentials(self.path));
            method.to_owned()
        };
        if self.status > 0 {
            attributes.int(names::HTTP_STATUS, self.status.into());
        }
        if let Some(endpoint) = self.endpoint {
            attributes.text(names::OPERATION, names::operation(endpoint));
        }
        if let Some(model) = self.model {
            attributes.text(names::REQUEST_MODEL, &without_credentials(model));
        }
        if self.streams {
            attributes.flag(names::REQUEST_STREAM);
        }
        attributes.text("tollgate.request_id", self.request_id);
        if let Some((key, account, configuration)) = self.caller {
            attributes.text("tollgate.access_key", key);
            attributes.text("tollgate.account", account);
            if let Some(configuration) = configuration {
                attributes.text("tollgate.configuration", configuration);
            }
        }
        if let Some(error) = self.error {
            attributes.text("tollgate.error_code", error);
        }
        if self.client_gone {
            attributes.flag("tollgate.client_gone");
        }
        if let Some(how) = self.idempotency {
            attributes.text("tollgate.idempotency", how);
        }
        if let Some(last) = self.attempts.last() {
            let count = u64::try_from(self.attempts.len()).unwrap_or(u64::MAX);
            attributes.int("tollgate.attempts", count);
            attributes.seconds("tollgate.overhead_seconds", self.overhead);
            attributes.usd("tollgate.cost_usd", last.cost);
        }
        if let Some(after) = self.to_commit {
            attributes.seconds("tollgate.commit_seconds", after);
        }
        let failed = self.failed();
        if failed {
            let status = self.status.to_string();
            attributes.text(names::ERROR_TYPE, self.error.unwrap_or(&status));
        }
        let (id, parent) = (self.trace.span, self.trace.parent);
        let remote = SpanFlags::ContextHasIsRemoteMask as u32
            | parent.map_or(0, |_| SpanFlags::ContextIsRemoteMask as u32);
        Span {
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_be_bytes().into()),
            flags: u32::from(self.trace.flags()) | remote,
            kind: SpanKind::Server.into(),
            start_time_unix_nano: nanos(self.ended, self.took),
            ..self.any(id, name, self.ended, attributes, failed)
        }
    }

    fn any(
        &self,
        id: u64,
        name: String,
        ended: SystemTime,
        attributes: Attributes,
        failed: bool,
    ) -> Span {
        Span {
            trace_id: self.trace.id.to_be_bytes().into(),
            span_id: id.to_be_bytes().into(),
            name,
            end_time_unix_nano: nanos(ended, Duration::ZERO),
            attributes: attributes.0,
            status: failed.then(|| Status {
                code: StatusCode::Error.into(),
                ..Status::default()
            }),
            ..Span::default()
        }
    }
}

impl Attempt<'_> {
    /// What the provider said of its answer, less what looks like its key.
    fn answer(&self, attributes: &mut Attributes) {
        let mask = self.candidate.key.mask();
        let masked = |said: &str| {
            let masked = mask.text(said.as_bytes());
            masked.map_or_else(
                || said.to_owned(),
                |masked| String::from_utf8_lossy(&masked).into_owned(),
            )
        };
        if let Some(observer) = self.observer {
            if let Some(model) = observer.model() {
                attributes.text(names::RESPONSE_MODEL, &masked(model));
            }
            if let Some(id) = observer.id() {
                attributes.text(names::RESPONSE_ID, &masked(id));
            }
            if let Some(reason) = observer.finish_reason() {
                attributes.texts(names::FINISH_REASONS, &masked(reason));
            }
        }
        if let Some(after) = self.first_chunk {
            attributes.seconds(names::FIRST_CHUNK, after);
        }
        if let Some(usage) = &self.usage {
            attributes.int(names::INPUT, usage.input());
            attributes.int(names::OUTPUT, usage.output());
            for (name, tokens) in [
                (names::CACHE_READ, usage.cached_read()),
                (names::CACHE_WRITE, usage.cache_write()),
                (names::REASONING, usage.reasoning()),
            ] {
                if tokens > 0 {
                    attributes.int(name, tokens);
                }
            }
        }
    }

    /// `number` is its place in the request, from 1.
    fn span(&self, request: &Request<'_>, number: usize) -> Span {
        let candidate = self.candidate;
        let (provider, key) = (&candidate.provider, &candidate.key);
        let mut attributes = Attributes::default();
        let operation = request.endpoint.map_or("chat", names::operation);
        let model = without_credentials(&candidate.upstream_model);
        attributes.text(names::OPERATION, operation);
        attributes.text(
            names::PROVIDER,
            names::provider(provider.vendor, &provider.id),
        );
        attributes.text(names::REQUEST_MODEL, &model);
        if request.streams {
            attributes.flag(names::REQUEST_STREAM);
        }
        attributes.text(names::SERVER_ADDRESS, &provider.base_url.host);
        attributes.int(names::SERVER_PORT, provider.base_url.port.into());
        if let Some(status) = self.status {
            attributes.int(names::HTTP_STATUS, status.into());
        }
        self.answer(&mut attributes);
        let label = self.outcome.map_or("ok", Outcome::label);
        let failed = self.outcome.is_some();
        if failed {
            attributes.text(names::ERROR_TYPE, label);
        }
        attributes.text("tollgate.outcome", label);
        attributes.int(
            "tollgate.attempt",
            u64::try_from(number).unwrap_or(u64::MAX),
        );
        attributes.text("tollgate.provider", &provider.id);
        attributes.text("tollgate.surface", candidate.surface.name());
        attributes.text("tollgate.provider_key", &key.id);
        let source = match key.kind {
            KeyKind::User => "user",
            KeyKind::Managed => "managed",
        };
        attributes.text("tollgate.key_source", source);
        attributes.seconds("tollgate.wait_seconds", self.waited);
        attributes.usd("tollgate.cost_usd", self.cost);
        if let Some(id) = self.provider_request_id {
            attributes.text("tollgate.provider_request_id", id);
        }
        for (name, is_so) in [
            ("tollgate.usage_estimated", self.estimated),
            ("tollgate.price_assumed", self.assumed),
        ] {
            if is_so {
                attributes.flag(name);
            }
        }
        let ended = request.ended.checked_sub(self.ended);
        let ended = ended.unwrap_or(request.ended);
        let took = self.began.saturating_sub(self.ended);
        let name = format!("{operation} {}", cut(&model));
        Span {
            parent_span_id: request.trace.span.to_be_bytes().into(),
            flags: u32::from(request.trace.flags()) | SpanFlags::ContextHasIsRemoteMask as u32,
            kind: SpanKind::Client.into(),
            start_time_unix_nano: nanos(ended, took),
            ..request.any(self.span, name, ended, attributes, failed)
        }
    }
}

/// The methods that the convention knows; others could be any text.
fn known(method: &str) -> Option<&str> {
    let known = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ];
    known.contains(&method).then_some(method)
}

/// Unix time in ns, so long before.
fn nanos(at: SystemTime, before: Duration) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.saturating_sub(before).as_nanos()).unwrap_or(u64::MAX)
}

/// A span's attributes under way.
struct Attributes(Vec<KeyValue>);

impl Default for Attributes {
    fn default() -> Self {
        Attributes(Vec::with_capacity(24))
    }
}

impl Attributes {
    fn text(&mut self, key: &str, value: &str) {
        self.0.push(text(key, value));
    }

    /// A list of one.
    fn texts(&mut self, key: &str, value: &str) {
        let value = Value::StringValue(cut(value).to_owned());
        let values = vec![AnyValue { value: Some(value) }];
        let list = Value::ArrayValue(ArrayValue { values });
        self.0.push(attribute(key, list));
    }

    fn int(&mut self, key: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0.push(attribute(key, Value::IntValue(value)));
    }

    fn seconds(&mut self, key: &str, value: Duration) {
        let value = Value::DoubleValue(value.as_secs_f64());
        self.0.push(attribute(key, value));
    }

    /// A float for charts; usage events have it to the nano-dollar.
    fn usd(&mut self, key: &str, cost: NanoUsd) {
        let value = Value::DoubleValue(dollars(cost));
        self.0.push(attribute(key, value));
    }

    fn flag(&mut self, key: &str) {
        self.0.push(attribute(key, Value::BoolValue(true)));
    }
}
