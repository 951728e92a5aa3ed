//! A client's connection, request by request, within bounds.
//!
//! Pingora is handed a request only once its head has arrived in time, whole and valid ([`head`]): Pingora's own clock
//! begins anew with every byte, and what it does not understand it answers without saying why. From then on it reads
//! that request and nothing after it ([`body`]), so that pipelined ones wait here for their turn. What it writes, the
//! client must read in time ([`stream`]). HTTP/2 is handed over as it comes; its streams have bounds of their own.

mod body;
mod crowd;
mod digests;
mod head;
mod stream;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use http::header;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::date::get_cached_date;
use pingora_core::protocols::{GetSocketDigest as _, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_timeout::timeout;
use tokio::io::AsyncWriteExt as _;

use super::drain::Stage;
use super::opening::id_headers;
use super::receive::new_request_id;
use super::shared::Shared;
use super::websocket;
use crate::metrics::StatusClass;
use crate::metrics::access_log::Entry;
pub use crowd::{Busy, Crowd, Place, given_away};
pub(super) use stream::{Connection, Gathers};
pub use tls::Tls;

use stream::{Begun, Refused};
use tollgate_base::{Timestamp, clock};
use tollgate_wire::Dialect;
use tollgate_wire::error::{Code, GatewayError};

/// The longest head that is allowed, in bytes: what Pingora's parser takes (1 MiB), less 4 KiB for what is not counted.
const LONGEST_HEAD: usize = (1 << 20) - (4 << 10);

/// An application with bounds on how many clients are connected, and on how long they take to send a request.
pub struct Bounded<A> {
    /// The application.
    pub app: Arc<A>,
    /// Where the bounds are: its snapshot has the configuration, its `crowd` counts connections.
    pub shared: Arc<Shared>,
    /// Which listeners speak TLS; `None` if none does.
    pub tls: Option<Tls>,
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Bounded<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _line = self.shared.drain.line();
        let (patience, most) = {
            let snapshot = self.shared.snapshot.load();
            let limits = &snapshot.config.proxy;
            (limits.read_timeout, limits.max_connections)
        };
        let mut place = match most {
            Some(most) => Some(self.place(most, &stream)?),
            None => None,
        };
        let stream = match &self.tls {
            Some(tls) if tls.is_spoken(&stream) => tokio::select! {
                stream = timeout(patience, tls.shake_hands(&self.shared, stream)) => stream.ok()??,
                () = given_away(&mut place) => return None,
            },
            _ => stream,
        };
        let mut connection = Connection::new(stream, patience);
        let mut stage = self.shared.drain.watch();
        // What Pingora keeps from one request to the next.
        let mut kept: Option<HttpPersistentSettings> = None;
        let mut idle = patience;
        loop {
            let limit = {
                let snapshot = self.shared.snapshot.load();
                snapshot.config.proxy.max_headers.min(LONGEST_HEAD)
            };
            let begun = tokio::select! {
                biased;
                begun = connection.next(idle, limit) => begun,
                _ = stage.wait_for(|stage| *stage == Stage::Stopping) => return None,
                () = given_away(&mut place) => return None,
            };
            match begun {
                Begun::Request => {}
                // HTTP/2 requests call `Crowd::busy` themselves: only Pingora knows when one begins.
                Begun::Frames => {
                    return tokio::select! {
                        stream = self.app.process_new(Box::new(connection), shutdown) => stream,
                        () = given_away(&mut place) => None,
                    };
                }
                Begun::Nothing => return None,
                Begun::Refused(refused) => {
                    refuse(&self.shared, &mut connection, &refused).await;
                    return None;
                }
            }
            let mut busy = place.as_ref().map(Place::busy);
            let asked = connection.whole_head();
            let opened = asked.and_then(|head| websocket::open(&self.shared, head, busy.as_mut()));
            if let Some(opened) = opened {
                // It waits for its client while it has no turn under way.
                drop(busy);
                let served = self.websocket(connection, opened, &mut place, shutdown);
                Box::pin(served).await;
                return None;
            }
            let mut session = ServerSession::new_http1(Box::new(connection));
            if let Some(kept) = kept.take() {
                kept.apply_to_session(&mut session);
            }
            let (stream, settings) = self
                .app
                .process_new_http(session, shutdown)
                .await?
                .consume();
            connection = *stream.into_any().downcast().ok()?;
            kept = settings;
            idle = self.shared.snapshot.load().config.proxy.keepalive;
        }
    }

    async fn cleanup(&self) {
        self.app.cleanup().await;
    }
}

impl<A: HttpServerApp + Send + Sync + 'static> Bounded<A> {
    /// Takes one of the `most` places of clients. `None` if there is none left: the connection is dropped, and so closed.
    fn place(&self, most: usize, stream: &Stream) -> Option<Place> {
        // Requests whose clients have left, but whose answers are read to their ends, take no client's place.
        let places = most + self.shared.metrics.read_on();
        self.shared.crowd.enter(client_address(stream), places)
    }

    /// Serves a connection that was asked to become a WebSocket to its end.
    async fn websocket(
        &self,
        mut connection: Connection,
        opened: Result<websocket::Opened, GatewayError>,
        place: &mut Option<Place>,
        shutdown: &ShutdownWatch,
    ) {
        match opened {
            Ok(opened) => {
                let (app, shared) = (&self.app, &self.shared);
                websocket::serve(app, shared, connection, opened, place, shutdown).await;
            }
            Err(error) => {
                let refused = Refused {
                    error,
                    dialect: Dialect::OpenAi,
                    method: "GET".to_owned(),
                    path: websocket::PATH.to_owned(),
                };
                refuse(&self.shared, &mut connection, &refused).await;
            }
        }
    }
}

/// Returns the client's address; `0.0.0.0:0` where it has none.
fn client_address(stream: &Stream) -> SocketAddr {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr());
    let address = address.and_then(|address| address.as_inet().copied());
    address.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
}

/// Tells the client why what it sent is no request; counts it, and writes it to the access log.
async fn refuse(shared: &Shared, connection: &mut Connection, refused: &Refused) {
    let (began, id) = (clock::wall(), new_request_id());
    let status = refused.error.status();
    let body = refused.error.body(refused.dialect, &id);
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len(),
    )
    .into_bytes();
    let allow = (refused.error.code == Code::MethodNotAllowed).then_some(head::METHODS);
    let allow = allow.map(|allow| (header::ALLOW, allow));
    let names = id_headers(refused.dialect).cloned();
    let ids = names.map(|name| (name, &*id));
    for (name, value) in ids.chain(allow) {
        answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    answer.extend_from_slice(b"Date: ");
    answer.extend_from_slice(get_cached_date().as_bytes());
    answer.extend_from_slice(b"\r\n\r\n");
    answer.extend_from_slice(&body);
    let told = connection.write_all(&answer).await.is_ok();
    if told {
        // The answer is written: a failure to close changes nothing.
        drop(connection.shutdown().await);
    }

    let code = refused.error.code.code();
    shared
        .metrics
        .unrouted(None, StatusClass::of(status.as_u16()));
    shared.metrics.error(code);
    let digest = connection.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr());
    shared.access_log.write(&Entry {
        status: Some(status.as_u16()),
        error: Some(code),
        bytes_out: if told { body.len() as u64 } else { 0 },
        client_ip: address.and_then(|address| Some(address.as_inet()?.ip())),
        client_gone: !told,
        ..Entry::new(Timestamp(began), &id, &refused.method, &refused.path)
    });
}
