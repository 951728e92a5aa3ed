//! A scripted provider.
//!
//! Invariant: what [`Fake::seen`] tells is what arrived, byte for byte; nothing is parsed beyond framing.

mod h1;
mod h2;
mod ws;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use rustls::HandshakeKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::certs;
use super::script::Script;

/// What a fake speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1 without TLS.
    H1,
    /// HTTP/1.1 over TLS.
    TlsH1,
    /// HTTP/2 over TLS, by ALPN.
    TlsH2,
}

/// How much of a request is read before the script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    Whole,
    /// Its head; the body is left unread.
    Head,
    /// Nothing: the connection is reset as soon as it is accepted.
    Nothing,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body, without framing.
    pub body: Bytes,
    /// `HTTP/1.1`, `HTTP/2` or, of a message, `WebSocket`.
    pub version: &'static str,
    /// When all of it (or its head, if no more is read) was there.
    pub at: Instant,
    /// When the peer left before the script ended.
    pub gone: Option<Instant>,
}

impl Seen {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it is a handshake.
    pub fn is_handshake(&self) -> bool {
        self.header("sec-websocket-key").is_some()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What decides the script of a request.
type Responder = Box<dyn Fn(&Seen) -> Script + Send + Sync>;

struct Shared {
    respond: Responder,
    reading: Reading,
    seen: Mutex<Vec<Seen>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    resumed: AtomicUsize,
}

impl Shared {
    /// Notes how a handshake went.
    fn shaken(&self, kind: Option<HandshakeKind>) {
        let is_resumed = kind == Some(HandshakeKind::Resumed);
        self.resumed
            .fetch_add(usize::from(is_resumed), Ordering::Relaxed);
    }

    /// Records a request; the index finds it again.
    fn record(&self, seen: Seen) -> (usize, Script) {
        let script = (self.respond)(&seen);
        let mut all = self.seen.lock();
        all.push(seen);
        (all.len() - 1, script)
    }

    fn gone(&self, index: usize) {
        if let Some(seen) = self.seen.lock().get_mut(index) {
            seen.gone.get_or_insert_with(tollgate_base::clock::now);
        }
    }
}

/// A provider that follows scripts; dropping it closes its listener and its connections.
pub struct Fake {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub wire: Wire,
    shared: Arc<Shared>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Fake {
    /// Answers every request with the same script.
    pub async fn start(wire: Wire, script: Script) -> Fake {
        Fake::answering(wire, move |_| script.clone()).await
    }

    /// Answers the first request with the first script and so on; the last one repeats.
    pub async fn sequence(wire: Wire, scripts: Vec<Script>) -> Fake {
        let next = AtomicUsize::new(0);
        Fake::answering(wire, move |_| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            scripts[index.min(scripts.len() - 1)].clone()
        })
        .await
    }

    /// Chat completions that say `text`, streamed if the request asks for it.
    pub async fn good(wire: Wire, text: &'static str) -> Fake {
        Fake::answering(wire, move |seen| {
            let stream = memchr::memmem::find(&seen.body, b"\"stream\":true").is_some();
            Script::chat(stream, text)
        })
        .await
    }

    /// Decides by the request.
    pub async fn answering(
        wire: Wire,
        respond: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Fake {
        Fake::with(wire, Reading::Whole, respond).await
    }

    /// Decides by the request, or as much of it as is read.
    pub async fn with(
        wire: Wire,
        reading: Reading,
        respond: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            respond: Box::new(respond),
            reading,
            seen: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            resumed: AtomicUsize::new(0),
        });
        let tasks: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(
            listener,
            wire,
            Arc::clone(&shared),
            Arc::clone(&tasks),
        ));
        tasks.lock().push(accepting.abort_handle());
        Fake {
            address,
            wire,
            shared,
            tasks,
        }
    }

    /// A base URL where nobody listens.
    pub fn refused() -> String {
        format!("http://127.0.0.1:{}/v1", super::free_port())
    }

    /// What a provider's `base_url` is.
    pub fn base_url(&self) -> String {
        let scheme = if self.wire == Wire::H1 {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{}/v1", self.address)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }

    /// Number of requests so far.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().len()
    }

    /// The requests that carry this header; their bodies are moved out, to make room.
    pub fn take_with(&self, name: &str, value: &str) -> Vec<Seen> {
        let mut all = self.shared.seen.lock();
        let found = all
            .iter_mut()
            .filter(|seen| seen.header(name) == Some(value));
        found
            .map(|seen| {
                let body = std::mem::take(&mut seen.body);
                Seen {
                    body,
                    ..seen.clone()
                }
            })
            .collect()
    }

    /// Number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Number of connections that took up the TLS session of an earlier one.
    pub fn resumed(&self) -> usize {
        self.shared.resumed.load(Ordering::Relaxed)
    }

    /// Number of connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        for task in self.tasks.lock().iter() {
            task.abort();
        }
    }
}

/// Counts an open connection for as long as it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept(
    listener: TcpListener,
    wire: Wire,
    shared: Arc<Shared>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
) {
    let alpn: &[&str] = if wire == Wire::TlsH2 {
        &["h2"]
    } else {
        &["http/1.1"]
    };
    let tls = TlsAcceptor::from(certs::server(alpn));
    while let Ok((stream, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        shared.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&shared));
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _open = open;
            stream.set_nodelay(true).unwrap();
            let (stream, hand) = two_hands(stream);
            if shared.reading == Reading::Nothing {
                hand.set_zero_linger().unwrap();
                return;
            }
            match wire {
                Wire::H1 => h1::serve(stream, &hand, &shared).await,
                Wire::TlsH1 => {
                    if let Ok(stream) = tls.accept(stream).await {
                        shared.shaken(stream.get_ref().1.handshake_kind());
                        h1::serve(stream, &hand, &shared).await;
                    }
                }
                Wire::TlsH2 => {
                    if let Ok(stream) = tls.accept(stream).await {
                        shared.shaken(stream.get_ref().1.handshake_kind());
                        h2::serve(stream, &hand, &shared).await;
                    }
                }
            }
        });
        tasks.lock().push(task.abort_handle());
    }
}

/// The same socket twice: one to speak through, one to set its options once the other is wrapped in TLS.
fn two_hands(stream: TcpStream) -> (TcpStream, TcpStream) {
    let stream = stream.into_std().unwrap();
    let again = stream.try_clone().unwrap();
    (
        TcpStream::from_std(stream).unwrap(),
        TcpStream::from_std(again).unwrap(),
    )
}
