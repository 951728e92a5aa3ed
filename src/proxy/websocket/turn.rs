//! One turn as Pingora sees it: a client's session that has its request in memory, and whose answer goes into a channel.
//!
//! A client that has left is a channel that nobody reads: then the request ends as any other whose client has left.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::custom::server::Session as CustomSession;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::server::ShutdownWatch;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::sync::mpsc;

use crate::proxy::connection::Busy;
use crate::proxy::session::{MessageReader, MessageWriter, no_custom_messages};
use crate::proxy::uplink::Uplinks;
use crate::proxy::{names, uplink};
use tollgate_wire::websocket::Continued;

/// Pieces of an answer that wait for their client; then its provider does.
const MOST_PIECES: usize = 8;

/// Some of an answer.
pub(super) enum Piece {
    Head(StatusCode, HeaderMap),
    Body(Bytes),
}

/// Begins a connection's turns.
pub(super) struct Turns<A> {
    pub app: Arc<A>,
    pub shutdown: ShutdownWatch,
    /// The head of each one's request.
    pub head: RequestHeader,
    /// The handshake's id, from which theirs are made.
    pub request_id: Arc<str>,
    /// The client's.
    pub address: Option<SocketAddr>,
    /// WebSockets to providers.
    pub links: Arc<Uplinks>,
    /// How many have begun.
    pub begun: u64,
}

impl<A: HttpServerApp + Send + Sync + 'static> Turns<A> {
    /// Begins a request that may continue an answer; its own comes piece by piece. It runs by itself, since it has to be settled when its client is
    /// gone, too.
    ///
    /// # Errors
    /// If its head cannot be made.
    pub(super) fn begin(
        &mut self,
        body: Bytes,
        continued: Option<Continued>,
        busy: Option<Busy>,
    ) -> Result<mpsc::Receiver<Piece>> {
        self.begun += 1;
        let mut head = self.head.clone();
        head.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
        let id = format!("{}-{}", self.request_id, self.begun);
        head.insert_header(&names::X_REQUEST_ID, id)?;
        let kept = Kept {
            busy,
            turn: uplink::Turn {
                links: self.links.clone(),
                continued: continued.map(Arc::new),
            },
        };
        head.extensions_mut()
            .insert(Keeps(Arc::new(Mutex::new(Some(kept)))));
        let (answer, pieces) = mpsc::channel(MOST_PIECES);
        let session = Turn {
            head,
            body: Some(body),
            read: 0,
            sent: 0,
            answer: Some(answer),
            written: None,
            digest: Digest::default(),
            address: self.address.clone(),
            timeouts: [None; 3],
        };
        let (app, shutdown) = (self.app.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            let session = ServerSession::Custom(Box::new(session));
            drop(app.process_new_http(session, &shutdown).await);
        });
        Ok(pieces)
    }
}

/// What a turn's request has of its connection.
pub struct Kept {
    /// It keeps the connection, if there may be only so many.
    pub busy: Option<Busy>,
    /// What it knows of it.
    pub turn: uplink::Turn,
}

/// The same on the way to its context.
#[derive(Clone)]
struct Keeps(Arc<Mutex<Option<Kept>>>);

/// Takes what a request has of the connection that it shares with other turns.
pub fn kept(head: &mut RequestHeader) -> Option<Kept> {
    let Keeps(kept) = head.extensions_mut().remove()?;
    kept.lock().take()
}

struct Turn {
    head: RequestHeader,
    /// What was not read yet.
    body: Option<Bytes>,
    read: usize,
    sent: usize,
    /// Until the answer is over.
    answer: Option<mpsc::Sender<Piece>>,
    written: Option<Box<ResponseHeader>>,
    digest: Digest,
    address: Option<SocketAddr>,
    /// Nothing here waits for a socket; they are only kept.
    timeouts: [Option<Duration>; 3],
}

fn left() -> Box<Error> {
    Error::explain(
        ErrorType::ConnectionClosed,
        "the WebSocket's client has left",
    )
    .into_down()
}

impl Turn {
    async fn send(&mut self, piece: Piece) -> Result<()> {
        let answer = self.answer.as_ref().ok_or_else(left)?;
        answer.send(piece).await.map_err(|_| left())
    }

    async fn write_head(&mut self, head: Box<ResponseHeader>) -> Result<()> {
        if head.status.is_informational() || self.written.is_some() {
            return Ok(());
        }
        // They are told of errors only.
        let headers = match head.status {
            StatusCode::OK => HeaderMap::new(),
            _ => head.headers.clone(),
        };
        self.send(Piece::Head(head.status, headers)).await?;
        self.written = Some(head);
        Ok(())
    }

    async fn write(&mut self, data: Option<Bytes>) -> Result<()> {
        let Some(data) = data.filter(|data| !data.is_empty()) else {
            return Ok(());
        };
        let length = data.len();
        self.send(Piece::Body(data)).await?;
        self.sent += length;
        Ok(())
    }

    fn end(&mut self, end: bool) {
        if end {
            self.answer = None;
        }
    }
}

#[async_trait]
impl CustomSession for Turn {
    fn req_header(&self) -> &RequestHeader {
        &self.head
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        let body = self.body.take();
        self.read += body.as_ref().map_or(0, Bytes::len);
        Ok(body)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.body = None;
        Ok(())
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && self.body.is_some() {
            return self.read_body_bytes().await;
        }
        match &self.answer {
            Some(answer) => answer.closed().await,
            None => std::future::pending().await,
        }
        Err(left())
    }

    fn is_body_done(&mut self) -> bool {
        self.body.is_none()
    }

    fn is_body_empty(&mut self) -> bool {
        self.read == 0 && self.body.as_ref().is_none_or(Bytes::is_empty)
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.write_head(head).await?;
        self.end(end);
        Ok(())
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(head.clone()), end)
            .await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.write(Some(data)).await?;
        self.end(end);
        Ok(())
    }

    async fn write_trailers(&mut self, _trailers: HeaderMap) -> Result<()> {
        self.end(true);
        Ok(())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut over = false;
        for task in tasks {
            over |= match task {
                HttpTask::Header(head, end) => {
                    self.write_head(head).await?;
                    end
                }
                HttpTask::Body(data, end) | HttpTask::UpgradedBody(data, end) => {
                    self.write(data).await?;
                    end
                }
                HttpTask::Trailer(_) | HttpTask::Done => true,
                HttpTask::Failed(error) => return Err(error),
            };
        }
        self.end(over);
        Ok(over)
    }

    async fn finish(&mut self) -> Result<()> {
        self.end(true);
        Ok(())
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.end(true);
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn enable_retry_buffering(&mut self) {}

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.timeouts[0] = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.timeouts[0]
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.timeouts[1] = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.timeouts[1]
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.timeouts[2] = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.timeouts[2]
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.head.method, self.head.uri.path())
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.read
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.address.as_ref()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    no_custom_messages!();
}
