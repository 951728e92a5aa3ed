//! WebSocket connections to `/v1/responses`, on which each turn is a request of its own.
//!
//! A handshake is answered here, once its caller is known, and what follows it on the connection is a WebSocket's
//! ([`socket`]). Every event that asks for a response becomes a request that Pingora handles as any other, except that it
//! comes from memory and is answered into memory ([`turn`]): authenticated against what is configured now, planned, held,
//! failed over, settled, logged. What its stream says is sent as messages ([`answer`]). What was said before is kept
//! ([`history`]), since no provider but the one that answered could look it up.
//!
//! There is no compression: the library has no `permessage-deflate`, and to decline an extension is always allowed (RFC
//! 6455, 9.1). Nor is there a WebSocket inside of HTTP/2 (RFC 8441): clients that offer it speak HTTP/1.1 as well.

mod answer;
mod history;
mod memory;
mod socket;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::GetSocketDigest as _;
use pingora_core::server::ShutdownWatch;
use pingora_http::RequestHeader;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response};

use super::connection::{Busy, Connection, Place};
use super::opening::id_headers;
use super::shared::Shared;
use super::shares::Supply;
use super::uplink::Uplinks;
use super::{authenticate, names, receive};
use crate::metrics::StatusClass;
use crate::metrics::access_log::Entry;
use memory::{Gathering, Memory};
use socket::Socket;
use tollgate_base::{Timestamp, clock};
use tollgate_config::WebSocket;
use tollgate_config::access::{AccessKey, Snapshot};
use tollgate_wire::{Dialect, Endpoint, GatewayError, Surface};
pub use turn::kept;

/// The path, as the access log has it.
pub const PATH: &str = "/v1/responses";

/// How clients ask for a version of the protocol (openai/codex does), which is the affair of WebSockets alone.
const BETA: &str = "responses_websockets=";

/// A handshake that was agreed to.
pub struct Opened {
    limits: WebSocket,
    key: Arc<AccessKey>,
    request_id: Arc<str>,
    /// The head of every turn's request, which the handshake's becomes.
    head: RequestHeader,
    /// The version of the protocol that is asked for.
    beta: Option<HeaderValue>,
    answer: Vec<u8>,
}

/// Looks at the head of a request: `None` if it is no WebSocket handshake that may be served here.
///
/// # Errors
/// What its caller gets instead, over HTTP.
pub fn open(
    shared: &Shared,
    head: &[u8],
    busy: Option<&mut Busy>,
) -> Option<Result<Opened, GatewayError>> {
    if !head.starts_with(b"GET ") {
        return None;
    }
    let (_, request) = Request::try_parse(head).ok()??;
    if Endpoint::of_path(request.uri().path()) != Some(Endpoint::Generate(Surface::Responses)) {
        return None;
    }
    let snapshot = shared.snapshot.load_full();
    let limits = snapshot.config.proxy.websocket?;
    let agreed = create_response(&request).ok()?;
    let key = match admit(shared, &snapshot, request.headers(), busy) {
        Ok(key) => key,
        Err(refusal) => return Some(Err(refusal)),
    };
    let request_id = receive::request_id(request.headers());
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    let ids = id_headers(Dialect::OpenAi).map(|name| (name, request_id.as_bytes()));
    let agreed = agreed.headers().iter();
    for (name, value) in agreed
        .map(|(name, value)| (name, value.as_bytes()))
        .chain(ids)
    {
        answer.extend([name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
    }
    answer.extend(b"\r\n");
    Some(Ok(Opened {
        limits,
        key,
        request_id,
        head: turn_head(&request).ok()?,
        beta: beta(request.headers()),
        answer,
    }))
}

/// Finds out who is calling, and whether there is room for the account's connection.
fn admit(
    shared: &Shared,
    snapshot: &Snapshot,
    headers: &HeaderMap,
    busy: Option<&mut Busy>,
) -> Result<Arc<AccessKey>, GatewayError> {
    let key = authenticate::caller(headers, snapshot)?;
    if shared.drain.refuses() {
        return Err(GatewayError::shutting_down());
    }
    if let (Some(most), Some(busy)) = (snapshot.config.proxy.max_connections, busy) {
        let supply = Supply {
            most: most.saturating_add(shared.metrics.read_on()),
            several: snapshot.has_several_accounts(),
        };
        let account = &key.account;
        if !busy.counts_for(account, || {
            shared.scarce.connections.take(account, 1, supply)
        }) {
            return Err(GatewayError::overloaded());
        }
    }
    Ok(key)
}

/// The head of a turn's request: the handshake's, less what is about the connection.
fn turn_head(request: &Request) -> pingora_error::Result<RequestHeader> {
    let target = request.uri().path_and_query();
    let target = target.map_or(PATH, |target| target.as_str());
    let sent = request.headers();
    // Each turn clones it, and none needs to know how its client writes names.
    let mut head = RequestHeader::build_no_case("POST", target.as_bytes(), Some(sent.len() + 3))?;
    for (name, value) in sent {
        if is_connections(name.as_str()) {
            continue;
        }
        if *name == names::OPENAI_BETA {
            if let Some(betas) = other_betas(value) {
                head.append_header(name, betas)?;
            }
            continue;
        }
        head.append_header(name, value)?;
    }
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    Ok(head)
}

/// Whether a header is about the connection or the handshake alone, or about a body that the handshake did not have.
fn is_connections(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "upgrade"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "expect"
            | "idempotency-key"
            | "x-request-id"
            | "x-stainless-retry-count"
    ) || name.starts_with("sec-websocket-")
        || name.starts_with("content-")
}

/// The beta among those that are asked for that is a version of this protocol.
fn beta(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(&names::OPENAI_BETA).into_iter();
    let betas = values.filter_map(|value| value.to_str().ok());
    let mut betas = betas.flat_map(|value| value.split(',')).map(str::trim);
    let beta = betas.find(|beta| beta.starts_with(BETA))?;
    HeaderValue::from_str(beta).ok()
}

/// The betas that are asked for, less the one that is this protocol.
fn other_betas(value: &HeaderValue) -> Option<String> {
    let betas = value.to_str().ok()?.split(',').map(str::trim);
    let others: Vec<&str> = betas.filter(|beta| !beta.starts_with(BETA)).collect();
    (!others.is_empty()).then(|| others.join(", "))
}

/// Serves a WebSocket to its end.
pub async fn serve<A: HttpServerApp + Send + Sync + 'static>(
    app: &Arc<A>,
    shared: &Arc<Shared>,
    mut connection: Connection,
    opened: Opened,
    place: &mut Option<Place>,
    shutdown: &ShutdownWatch,
) {
    let (began, wall) = (clock::now(), clock::wall());
    let _open = shared.metrics.websocket();
    let (key, request_id) = (opened.key.clone(), opened.request_id.clone());
    let digest = connection.get_socket_digest();
    let address = digest.and_then(|digest| digest.peer_addr().cloned());
    let client_ip = address
        .as_ref()
        .and_then(|address| Some(address.as_inet()?.ip()));
    let memory = Memory {
        shared: shared.clone(),
        account: key.account.clone(),
    };
    let gathering = Gathering::default();
    connection.switch(gathering.counted(memory.clone()));
    let greeted = connection.write_all(&opened.answer).await.is_ok();
    if greeted && connection.flush().await.is_ok() {
        let turns = turn::Turns {
            app: app.clone(),
            shutdown: shutdown.clone(),
            head: opened.head,
            request_id: opened.request_id,
            address,
            links: Arc::new(Uplinks::new(opened.beta)),
            begun: 0,
        };
        let socket = Socket::new(memory, gathering, turns, connection, opened.limits).await;
        socket.run(place).await;
    }
    let surface = Some(Surface::Responses);
    let configuration = key.configuration.as_ref();
    shared.metrics.unrouted(surface, StatusClass::of(101));
    shared.access_log.write(&Entry {
        access_key: Some(&key.id),
        account: Some(&key.account),
        configuration: configuration.map(|configuration| &*configuration.id),
        surface,
        status: greeted.then_some(101),
        total: clock::now().saturating_duration_since(began),
        client_ip,
        client_gone: !greeted,
        ..Entry::new(Timestamp(wall), &request_id, "GET", PATH)
    });
}

/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(lines: &str) -> RequestHeader {
        let text = format!("GET /v1/responses?a=1 HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let (_, request) = Request::try_parse(text.as_bytes()).unwrap().unwrap();
        turn_head(&request).unwrap()
    }

    #[test]
    fn a_turn_has_the_handshake_s_head_less_what_is_about_the_connection() {
        let head = head_of(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Extensions: e\r\n\
             Content-Length: 0\r\nExpect: 100-continue\r\nX-Request-Id: r\r\nIdempotency-Key: k\r\nAuthorization: Bearer t\r\nSession-Id: s\r\n\
             OpenAI-Beta: responses_websockets=2026-02-06, other=v1\r\n",
        );
        assert_eq!(
            (head.method.as_str(), head.raw_path()),
            ("POST", &b"/v1/responses?a=1"[..])
        );
        let mut names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let expected = [
            "authorization",
            "content-type",
            "host",
            "openai-beta",
            "session-id",
        ];
        assert_eq!(names, expected);
        assert_eq!(head.headers["openai-beta"], "other=v1");
        let mut asked = HeaderMap::new();
        assert_eq!(beta(&asked), None);
        let value = "other=v1, responses_websockets=2026-02-06";
        asked.insert(&names::OPENAI_BETA, HeaderValue::from_static(value));
        assert_eq!(beta(&asked).unwrap(), "responses_websockets=2026-02-06");
        let head = head_of("OpenAI-Beta: responses_websockets=2026-02-06\r\n");
        assert!(!head.headers.contains_key("openai-beta"));
    }
}
