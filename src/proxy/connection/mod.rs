//! A client's connection, request by request, within bounds.
//!
//! Pingora gets a request when its head is whole, good ([`head`]) and in time: its own clock begins anew with every byte,
//! and what it does not understand it answers without a word. From then on it reads that request and nothing after it
//! ([`body`]), so that pipelined ones wait here for their turn, and it writes to a client that must read
//! ([`stream`]). HTTP/2 is handed over as it comes; its streams have bounds of their own.

mod body;
mod digests;
mod head;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::header;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::date::get_cached_date;
use pingora_core::protocols::{GetSocketDigest as _, Stream};
use pingora_core::server::ShutdownWatch;
use tokio::io::AsyncWriteExt as _;

use super::opening::id_headers;
use super::receive::new_request_id;
use super::shared::Shared;
use crate::metrics::StatusClass;
use crate::metrics::access_log::Entry;
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
    /// Connections that are open.
    pub open: AtomicUsize,
}

/// A connection among those that are counted, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(&self.open);
        if most.is_some_and(|most| before >= most) {
            return None; // dropped, and so closed
        }
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
            };
            match begun {
                Begun::Request => {}
                Begun::Frames => return self.app.process_new(Box::new(connection), shutdown).await,
                Begun::Nothing => return None,
                Begun::Refused(refused) => {
                    refuse(&self.shared, &mut connection, &refused).await;
                    return None;
                }
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
