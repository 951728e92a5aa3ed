//! Where the gateway listens, and what it writes.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::units::{ByteSize, Span};

/// The listener that applications call.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Addresses to listen on without TLS (HTTP/1.1, and HTTP/2 with prior knowledge). Default `127.0.0.1:8080`.
    pub listen: Option<Vec<String>>,
    /// Listeners with TLS (HTTP/1.1 and HTTP/2 by ALPN).
    pub tls: Option<Tls>,
    /// Worker threads; 0 is one per core. Default 0.
    pub threads: Option<usize>,
    /// Largest request body, after decompression. Default 32MiB.
    pub max_body: Option<ByteSize>,
    /// Largest request head. Default 64KiB.
    pub max_headers: Option<ByteSize>,
    /// Most requests under way at once, of which no account gets more than are left for all; further ones are answered
    /// 503. 0 is no limit. Default 0.
    pub max_in_flight: Option<u64>,
    /// Most open client connections, idle ones included. A further one takes the place of one that waits for its client;
    /// where all have requests, it is closed at once. 0 is no limit. Default 0.
    pub max_connections: Option<u64>,
    /// How long a client may take for a TLS handshake, and to send its request's whole head, and how long it may pause in
    /// its body, which may take ten times as long in all. Default 30s.
    pub read_timeout: Option<Span>,
    /// How long a client may leave its connection idle between requests. Default 75s.
    pub keepalive: Option<Span>,
    /// How long running answers may go on after SIGTERM. Default 10m.
    pub drain: Option<Span>,
    /// WebSocket connections to `/v1/responses`.
    pub websocket: WebSocket,
    /// Which applications in browsers may call; absent is none.
    pub cors: Option<Cors>,
}

/// WebSocket connections to `/v1/responses`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebSocket {
    /// Whether there are any; where not, they are answered 426, at which clients go on with `POST`. Default true.
    pub enabled: Option<bool>,
    /// How long one may be open without a turn. Default 10m.
    pub idle: Option<Span>,
    /// How long one may be open; a turn under way may end. Default 60m.
    pub max_age: Option<Span>,
}

/// Applications in browsers, of other origins than the gateway.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// Their origins: scheme, host and port, as in `https://app.example.com`; `*` is any.
    pub origins: Vec<String>,
    /// How long a browser may cache an answer to a preflight. Default 10m.
    pub max_age: Option<Span>,
}

/// Listeners with TLS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// PEM file with the certificate chain, relative to this file.
    pub cert: PathBuf,
    /// PEM file with the private key, relative to this file.
    pub key: PathBuf,
    /// PEM file with the authorities that sign clients' certificates, relative to this file; absent: clients are not asked
    /// for one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is let in. Default `required`.
    pub client_auth: Option<ClientAuth>,
}

/// TLS of the operators' listener.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTls {
    /// PEM file with the certificate chain, relative to this file.
    pub cert: PathBuf,
    /// PEM file with the private key, relative to this file.
    pub key: PathBuf,
    /// PEM file with the authorities that sign clients' certificates, relative to this file; absent: clients are not asked
    /// for one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is let in; probes and metrics count as clients. Default `required`.
    pub client_auth: Option<ClientAuth>,
}

/// Whether a client without a certificate is let in. One whose certificate no authority of `client_ca` has signed never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// It is not.
    #[default]
    Required,
    /// It is.
    Optional,
}

/// What is written about each request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// One JSON line a request: `stdout`, `off`, or a file's path (relative to the working directory). Default
    /// `stdout`.
    pub access: Option<String>,
}

/// The built-in demo provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Demo {
    /// Loopback address to serve the provider `demo` on; absent is off.
    pub listen: Option<String>,
}
