//! A client's connection, request by request, within bounds.
//!
//! Pingora gets a request when its head is whole, good ([`head`]) and in time: its own clock begins anew with every byte,
//! and what it does not understand it answers without a word. From then on it reads that request and nothing after it
//! ([`body`]), so that pipelined ones wait here for their turn, and it writes to a client that must read
//! ([`stream`]). HTTP/2 is handed over as it comes; its streams have bounds of their own.

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

use super::opening::id_headers;
use super::receive::new_request_id;
use super::shared::Shared;
use crate::metrics::StatusClass;
use crate::metrics::access_log::Entry;
pub use crowd::{Busy, Crowd};
pub use tls::Tls;

use crowd::Place;
use stream::{Begun, Connection, Refused};
use tollgate_base::{Timestamp, clock};
use tollgate_wire::error::Code;

/// The longest head that Pingora's parser takes, in bytes, with some room for what is not counted.
const LONGEST_HEAD: usize = (1 << 20) - (4 << 10);

/// An application whose clients must not be too many, nor take for ever to say what they want.
pub struct Bounded<A> {
    /// The application.
    pub app: Arc<A>,
    /// Where the bounds are configured.
    pub shared: Arc<Shared>,
    /// `None` if no client speaks it.
    pub tls: Option<Tls>,
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Bounded<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let (patience, most) = {
            let snapshot = self.shared.snapshot.load();
            let limits = &snapshot.config.proxy;
            (limits.read_timeout, limits.max_connections)
        };
        let mut place = match most {
            // Without one it is dropped, and so closed. Answers that are read on have lost their clients.
            Some(most) => Some(
                self.shared
                    .crowd
                    .enter(client(&stream), most + self.shared.metrics.read_on())?,
            ),
            None => None,
        };
        let stream = match &self.tls {
            Some(tls) if tls.is_spoken(&stream) => tokio::select! {
                stream = timeout(patience, tls.shake_hands(stream)) => stream.ok()??,
                () = given_away(&mut place) => return None,
            },
            _ => stream,
        };
        let mut connection = Connection::new(stream, patience);
        let mut stopping = shutdown.clone();
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
                _ = stopping.wait_for(|stopping| *stopping) => return None,
                () = given_away(&mut place) => return None,
            };
            match begun {
                Begun::Request => {}
                // Its requests say for themselves that they are under way.
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
            let _busy = place.as_ref().map(Place::busy);
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

/// Waits until a connection has to give way; without a place, for ever.
async fn given_away(place: &mut Option<Place>) {
    match place {
        Some(place) => place.given_away().await,
        None => std::future::pending().await,
    }
}

/// The client's address; where it has none, the same for all.
fn client(stream: &Stream) -> SocketAddr {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr());
    let address = address.and_then(|address| address.as_inet().copied());
    address.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
}

/// Tells a client why what it sent is no request, and the operator in the access log.
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
        // Whether it goes well is of no interest any more.
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
        time: Timestamp(began),
        request_id: &id,
        access_key: None,
        account: None,
        configuration: None,
        method: &refused.method,
        path: &refused.path,
        surface: None,
        requested_model: None,
        provider: None,
        model: None,
        attempts: &[],
        status: Some(status.as_u16()),
        error: Some(code),
        stream: false,
        bytes_in: 0,
        bytes_out: body.len() as u64,
        tokens: None,
        estimated: false,
        to_commit: None,
        total: std::time::Duration::ZERO,
        client_ip: address.and_then(|address| Some(address.as_inet()?.ip())),
        client_gone: !told,
    });
}
