//! A client's connection, with a bound on how long the head of a request may take.
//!
//! Pingora's own timeout begins anew with every byte, and does not run at all until a new connection has
//! sent 24 of them. So: from the first byte of a head to its blank line no more than `patience` may pass,
//! and a new connection must say within `patience` which protocol it speaks. Bodies and HTTP/2 frames are
//! not looked at; they have bounds of their own.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::{SslDigest, TlsRef};
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::shared::Shared;

/// What every HTTP/2 connection begins with, and no HTTP/1 request.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

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
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Bounded<A> {
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
        let stream = Box::new(Connection::new(stream, patience));
        self.app.process_new(stream, shutdown).await
    }

    async fn cleanup(&self) {
        self.app.cleanup().await;
    }
}

/// What is being read.
enum Reading {
    /// Nothing yet of the next request.
    Nothing,
    /// A head; so many bytes of its end (a line end and a blank line) were the last ones.
    Head(Pin<Box<Sleep>>, u8),
    /// What follows a head, until something is answered.
    Body,
    /// HTTP/2.
    Frames,
}

struct Connection {
    inner: Stream,
    patience: Duration,
    reading: Reading,
}

impl Connection {
    fn new(inner: Stream, patience: Duration) -> Connection {
        let reading = match inner.selected_alpn_proto() {
            Some(ALPN::H2) => Reading::Frames,
            _ => Reading::Nothing,
        };
        Connection {
            inner,
            patience,
            reading,
        }
    }

    fn has_read(&mut self, bytes: &[u8]) {
        let mut first = 0;
        let ends = match &mut self.reading {
            Reading::Head(_, ends) => ends,
            Reading::Nothing if !bytes.is_empty() => &mut first,
            _ => return,
        };
        if ends_head(bytes, ends) {
            self.reading = Reading::Body;
        } else if matches!(self.reading, Reading::Nothing) {
            self.reading = Reading::Head(Box::pin(tokio::time::sleep(self.patience)), first);
        }
    }

    fn has_written(&mut self, bytes: &[u8]) {
        // An invitation to send the body is not the answer.
        if matches!(self.reading, Reading::Body) && !bytes.starts_with(b"HTTP/1.1 100 ") {
            self.reading = Reading::Nothing;
        }
    }
}

/// Whether a head ends in `bytes`: a line end right after a line end, where CR does not count, since
/// Pingora's parser takes lines that end in LF alone as well. `ends` is 1 after a line end, else 0.
fn ends_head(bytes: &[u8], ends: &mut u8) -> bool {
    let blank = |line: &[u8]| line.iter().all(|byte| *byte == b'\r');
    let mut from = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        if *ends == 1 && blank(&bytes[from..at]) {
            return true;
        }
        *ends = 1;
        from = at + 1;
    }
    if !blank(&bytes[from..]) {
        *ends = 0;
    }
    false
}

fn too_slow() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the head of a request took too long",
    )
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            this.has_read(&buffer.filled()[before..]);
        }
        // Bytes that come one by one must not keep the clock from being looked at.
        if let Reading::Head(by, _) = &mut this.reading
            && by.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(too_slow()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_written(bytes);
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.has_written(slices.first().map_or(&[], |slice| slice));
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Peek for Connection {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let peeked = tokio::time::timeout(self.patience, self.inner.try_peek(buffer)).await;
        let peeked = peeked.map_err(|_| too_slow())??;
        if peeked && buffer.starts_with(H2_PREFACE) {
            self.reading = Reading::Frames;
        }
        Ok(peeked)
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Connection {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.inner.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_split() {
        for head in ["GET / HTTP/1.1\r\na: b\r\n\r\n", "GET / HTTP/1.1\na: b\n\n"] {
            for split in 0..head.len() {
                let (one, two) = head.split_at(split);
                let mut ends = 0;
                assert!(!ends_head(one.as_bytes(), &mut ends), "{one:?}");
                assert!(ends_head(two.as_bytes(), &mut ends), "{one:?} {two:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_heads_are_timed() {
        let (mut client, server) = duplex(64);
        let mut connection = Connection::new(Box::new(server), Duration::from_secs(1));
        let mut buffer = [0; 64];
        let later = || tokio::time::sleep(Duration::from_secs(5));
        for _ in 0..2 {
            later().await; // between requests
            client.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
            assert!(connection.read(&mut buffer).await.is_ok());
            client.write_all(b"\r\n").await.unwrap();
            assert!(connection.read(&mut buffer).await.is_ok());
            connection
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .unwrap();
            later().await; // before the body
            client.write_all(b"body").await.unwrap();
            assert!(connection.read(&mut buffer).await.is_ok());
            connection
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .await
                .unwrap();
            assert!(
                client.read(&mut buffer).await.unwrap() > 0,
                "the answer arrives"
            );
        }
        client.write_all(b"G").await.unwrap();
        assert!(connection.read(&mut buffer).await.is_ok());
        let late = connection.read(&mut buffer).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
