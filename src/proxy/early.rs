//! An answer that was begun early, as Pingora reads it: a connection whose request was sent, with what came since.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_error::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::AbortHandle;

/// What was begun early; it ends with the attempt that has it.
pub struct Early {
    /// Until Pingora has it.
    answer: Mutex<Option<DuplexStream>>,
    /// What comes of its request.
    heard: Mutex<Heard>,
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

#[derive(Default)]
struct Heard {
    /// Its provider has the whole request.
    asked: bool,
    /// When some of its answer's body had come first.
    at: Option<Instant>,
}

impl Early {
    /// Returns one whose answer comes through `answer`, in HTTP/1.
    pub fn new(answer: DuplexStream) -> Early {
        Early {
            answer: Mutex::new(Some(answer)),
            heard: Mutex::default(),
            task: Mutex::default(),
        }
    }

    /// It is an attempt of its own, and its task ends with it.
    pub fn has(&self, task: Task) {
        *self.task.lock() = Some(task);
    }

    /// Its provider has the whole request.
    pub fn asked(&self) {
        self.heard.lock().asked = true;
    }

    /// Some of its answer's body has come.
    pub fn hears(&self, now: Instant) {
        self.heard.lock().at.get_or_insert(now);
    }

    /// Returns whether its provider has the whole request.
    pub fn is_asked(&self) -> bool {
        self.heard.lock().asked
    }

    /// Returns whether some of its answer's body has come.
    pub fn is_heard(&self) -> bool {
        self.heard_at().is_some()
    }

    /// Returns when some of its answer's body had come first.
    pub fn heard_at(&self) -> Option<Instant> {
        self.heard.lock().at
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
