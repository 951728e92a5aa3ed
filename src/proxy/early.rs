//! An answer that a task of its own reads, as Pingora reads it: a connection whose request was sent, with what came since.
//! So it is with what was begun beside another attempt, and with what is asked over a WebSocket.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::BytesMut;
use http::{HeaderName, header};
use parking_lot::Mutex;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_error::{Error, ErrorType, OrErr as _, Result};
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio::task::AbortHandle;

/// An attempt's answer that a task reads; the task ends with the attempt that has it.
pub struct Early {
    /// Until Pingora has it.
    answer: Mutex<Option<DuplexStream>>,
    signs: Signs,
    /// What sends and reads it, once it is an attempt of its own.
    task: Mutex<Option<Task>>,
}

/// A task that ends with this.
pub struct Task(pub AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What has come of a request, as its task tells it. The task has no more of the attempt, which it would keep alive.
#[derive(Clone, Default)]
pub struct Signs(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// Its provider has the whole request.
    asked: bool,
    /// When some of its answer's body had come first.
    at: Option<Instant>,
}

impl Signs {
    /// Its provider has the whole request.
    pub fn asked(&self) {
        self.0.lock().asked = true;
    }

    /// Some of its answer's body has come.
    pub fn hears(&self, now: Instant) {
        self.0.lock().at.get_or_insert(now);
    }
}

impl Early {
    /// Returns one whose answer comes through `answer`, in HTTP/1, and what its task tells of it.
    pub fn new(answer: DuplexStream) -> (Early, Signs) {
        let signs = Signs::default();
        let early = Early {
            answer: Mutex::new(Some(answer)),
            signs: signs.clone(),
            task: Mutex::default(),
        };
        (early, signs)
    }

    /// It is an attempt of its own, and its task ends with it.
    pub fn has(&self, task: Task) {
        *self.task.lock() = Some(task);
    }

    /// Returns whether its provider has the whole request.
    pub fn is_asked(&self) -> bool {
        self.signs.0.lock().asked
    }

    /// Returns whether some of its answer's body has come.
    pub fn is_heard(&self) -> bool {
        self.heard_at().is_some()
    }

    /// Returns when some of its answer's body had come first.
    pub fn heard_at(&self) -> Option<Instant> {
        self.signs.0.lock().at
    }

    /// Returns where Pingora finds it; `left` is what remains of its time. Nothing of it is kept for another request.
    pub fn peer(self: &Arc<Self>, left: Duration) -> Box<HttpPeer> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut peer = HttpPeer::new(nowhere, false, String::new());
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        peer.options.write_timeout = Some(left);
        let connect: Arc<dyn L4Connect + Send + Sync> = self.clone();
        peer.options.custom_l4 = Some(connect);
        Box::new(peer)
    }
}

impl fmt::Debug for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Early").finish_non_exhaustive()
    }
}

#[async_trait]
impl L4Connect for Early {
    async fn connect(&self, _: &PeerAddress) -> Result<Stream> {
        let answer = self.answer.lock().take();
        let answer = answer.ok_or_else(|| {
            Error::explain(ErrorType::ConnectError, "an early answer is read once")
        })?;
        Ok(VirtualSocketStream::new(Box::new(Sent(answer))).into())
    }
}

/// A connection whose request was sent: what is written is that again, and goes nowhere.
#[derive(Debug)]
struct Sent(DuplexStream);

impl AsyncRead for Sent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Sent {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl VirtualSocket for Sent {
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

/// Where a task writes an answer, as HTTP/1.
pub struct Pipe {
    to: DuplexStream,
    /// Its body goes out in chunks.
    chunked: bool,
}

impl Pipe {
    /// Returns one to write to, and what it is read from; it takes so many bytes until it is read.
    pub fn new(most: usize) -> (DuplexStream, Pipe) {
        let (reader, to) = duplex(most);
        (reader, Pipe { to, chunked: false })
    }

    /// Writes the answer's head. A body goes out in chunks unless its end is known, by its length or, with `close`, by
    /// the pipe's end.
    ///
    /// # Errors
    /// If nobody reads it any more; the same holds for what follows.
    pub async fn head(&mut self, head: &ResponseHeader, close: bool) -> Result<()> {
        let has = |name: HeaderName| head.headers.contains_key(name);
        self.chunked = has(header::TRANSFER_ENCODING) || (!close && !has(header::CONTENT_LENGTH));
        let mut text = BytesMut::with_capacity(1024);
        text.extend_from_slice(b"HTTP/1.1 ");
        text.extend_from_slice(head.status.as_str().as_bytes());
        text.extend_from_slice(b" \r\n");
        for (name, value) in &head.headers {
            let framing = [header::TRANSFER_ENCODING, header::CONNECTION];
            let is_framing = framing.contains(name);
            let is_other_framing = self.chunked && *name == header::CONTENT_LENGTH;
            if !is_framing && !is_other_framing {
                for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                    text.extend_from_slice(part);
                }
            }
        }
        if self.chunked {
            text.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        text.extend_from_slice(b"connection: close\r\n\r\n");
        self.write(&text).await
    }

    /// Writes some of the body; of nothing, nothing.
    pub async fn body(&mut self, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if self.chunked {
            self.write(format!("{:x}\r\n", data.len()).as_bytes())
                .await?;
        }
        self.write(data).await?;
        if self.chunked {
            self.write(b"\r\n").await?;
        }
        Ok(())
    }

    /// Writes the body's end.
    pub async fn end(mut self) -> Result<()> {
        match self.chunked {
            true => self.write(b"0\r\n\r\n").await,
            false => Ok(()),
        }
    }

    async fn write(&mut self, data: &[u8]) -> Result<()> {
        let written = self.to.write_all(data).await;
        written.or_err(ErrorType::WriteError, "nobody reads an early answer")
    }
}
