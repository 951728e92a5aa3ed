//! Speaks to a receiver of OpenTelemetry's protocol, in protobuf: OTLP over HTTP, or over gRPC ([`grpc`]).

mod grpc;

use std::fmt;
use std::time::{Duration, Instant};

use http::header;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, Error};

use super::attributes::text;
use super::gen_ai_0_1_0 as names;
pub use grpc::Channel;
use tollgate_base::{Secret, clock, random};
use tollgate_config::Receiver as Settings;

/// How long a receiver may take for what it is sent at once.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often the log says that something is lost.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// As much of an answer is read, in bytes: a receiver has hardly anything to say.
const LONGEST_ANSWER: u64 = 64 << 10;

const PROTOBUF: &str = "application/x-protobuf";
const AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
const LATE: &str = "no answer in time";

/// What a receiver is called with.
pub enum Client {
    /// Over HTTP.
    Http(Agent),
    /// Over gRPC.
    Grpc(Channel),
}

/// What a receiver is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// A receiver, and what it is told of this process.
pub(super) struct Receiver {
    client: Client,
    endpoint: Secret,
    /// The endpoint for people.
    shown: String,
    headers: Vec<(String, Secret)>,
    resource: Resource,
    signal: Signal,
    /// When the log said last that something is lost.
    told: Option<Instant>,
    /// Whether the log has it that something is.
    is_failing: bool,
}

/// Why something was not taken.
pub(super) enum Trouble {
    /// It may be tried again, after a while that the receiver may have named.
    Passing(String, Option<Duration>),
    /// It never will be.
    Final(String),
}

impl Receiver {
    /// Returns the receiver that is sent `signal` with this client.
    pub fn new(settings: &Settings, client: Client, signal: Signal) -> Receiver {
        let mut instance = String::new();
        random::push_hex96(&mut instance);
        let own = [
            (names::SERVICE_NAME, &*settings.service_name),
            (names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            (names::SERVICE_INSTANCE, &*instance),
        ];
        let said = |key: &str| settings.resource.iter().any(|(known, _)| known == key);
        let own = own.into_iter().filter(|(key, _)| !said(key));
        let more = settings.resource.iter();
        let more = more.map(|(key, value)| (&**key, &**value));
        let attributes = own.chain(more).map(|(key, value)| text(key, value));
        Receiver {
            client,
            endpoint: settings.endpoint.clone(),
            shown: settings.shown.clone(),
            headers: settings.headers.clone(),
            resource: Resource {
                attributes: attributes.collect(),
                ..Resource::default()
            },
            signal,
            told: None,
            is_failing: false,
        }
    }

    /// Returns what is said of this process.
    pub fn resource(&self) -> Resource {
        self.resource.clone()
    }

    /// Sends a message; returns the answer's, if it has one that can be read.
    pub fn post(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let endpoint = self.endpoint.expose();
        match &mut self.client {
            Client::Http(agent) => over_http(agent, endpoint, &self.headers, body),
            Client::Grpc(channel) => channel.call(self.signal.method(), &self.headers, body),
        }
    }

    /// Notes that all of a message was taken.
    pub fn reached(&mut self) {
        if self.is_failing {
            self.is_failing = false;
            log::info!("{} reach {} again", self.signal.name(), self.shown);
        }
    }

    /// Says why something is lost, once a minute at most.
    pub fn tell(&mut self, why: &dyn fmt::Display) {
        let now = clock::now();
        if self.told.is_none_or(|told| now >= told + TOLD_EVERY) {
            (self.told, self.is_failing) = (Some(now), true);
            let signal = self.signal.name();
            log::warn!("{signal} do not reach {}: {why}", self.shown);
        }
    }
}

impl Signal {
    /// What it is called in the log.
    fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
        }
    }

    /// The method that takes it.
    fn method(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::Passing(why, _) | Trouble::Final(why)) = self;
        f.write_str(why)
    }
}

/// Returns who says what follows.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "tollgate".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Sends a message to a receiver that speaks HTTP.
fn over_http(
    agent: &Agent,
    endpoint: &str,
    headers: &[(String, Secret)],
    body: &[u8],
) -> Result<Option<Vec<u8>>, Trouble> {
    let mut request = agent
        .post(endpoint)
        .header("content-type", PROTOBUF)
        .header("accept-encoding", "identity")
        .header("user-agent", AGENT);
    for (name, value) in headers {
        request = request.header(name, value.expose());
    }
    let answer = request.send(body).map_err(|error| {
        let why = match error {
            Error::Timeout(_) => LATE.to_owned(),
            // Some errors show the address.
            Error::BadUri(_) => "its address is not understood".to_owned(),
            Error::HostNotFound => "its name stands for no address that may be called".to_owned(),
            other => other.to_string(),
        };
        Trouble::Passing(why, None)
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(message(answer));
    }
    let after = answer.headers().get(header::RETRY_AFTER);
    let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
    Err(refused(status, after.map(Duration::from_secs)))
}

/// What a status means that is no success.
fn refused(status: StatusCode, after: Option<Duration>) -> Trouble {
    let why = format!("it answers {}", status.as_u16());
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Trouble::Passing(why, after),
        _ => Trouble::Final(why),
    }
}

/// The message of an answer; one that is none says nothing.
fn message(answer: Response<Body>) -> Option<Vec<u8>> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != PROTOBUF) {
        return None;
    }
    let body = answer.into_body().into_with_config();
    body.limit(LONGEST_ANSWER).read_to_vec().ok()
}
