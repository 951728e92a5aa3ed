//! The listener's connections: HTTP/1.1 and HTTP/2, by ALPN or with prior knowledge, each of them bounded.
//!
//! Invariant: a client that is slow, silent or greedy costs one connection of [`CONNECTIONS`], for a bounded time.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use super::AdminState;
use tollgate_base::{Pace, clock};

/// Most connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 1_024;
/// How long a request's head may take, the silence before it included.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Largest head, in bytes.
const HEAD_MAX: usize = 64 * 1_024;
/// Silence on an HTTP/2 connection before the client is asked whether it lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
/// How long a connection stays without a request under way, whatever else is said on it; what is left of an answer has
/// to leave within it.
const IDLE: Duration = Duration::from_secs(120);
/// How long a client may take nothing of what is written to it.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long to wait after the system refused a connection, for example for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Notices of clients that TLS did not let in, and how often another one.
const NOTICES: u32 = 20;
const NOTICE_EVERY: Duration = Duration::from_secs(3);

/// What a connection is answered with.
#[derive(Clone)]
struct Served {
    state: AdminState,
    router: Router,
    notices: Arc<Pace<()>>,
}

/// Serves until `shutdown` completes and the requests under way are answered.
pub(super) async fn serve(
    listener: TcpListener,
    (state, router): (AdminState, Router),
    shutdown: impl Future<Output = ()>,
) {
    let served = Served {
        state,
        router,
        notices: Arc::new(Pace::new(NOTICES, NOTICE_EVERY)),
    };
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let shutdown = shutdown.fuse();
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        match (permit, accepted) {
            (Ok(permit), Ok((stream, address))) => {
                let (served, watcher) = (served.clone(), graceful.watcher());
                tokio::spawn(async move {
                    connection(stream, address, served, watcher).await;
                    drop(permit);
                });
            }
            (_, accepted) => {
                if let Err(error) = accepted {
                    log::warn!("admin: cannot accept a connection: {error}");
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn connection(stream: TcpStream, address: SocketAddr, served: Served, watcher: Watcher) {
    let stream = Timed::new(stream);
    let Some(identity) = served.state.identity() else {
        return requests(stream, address, served.router, watcher).await;
    };
    let acceptor = TlsAcceptor::from(identity.server);
    // Who is too slow for a handshake is gone without a word.
    let Ok(shaken) = tokio::time::timeout(HEAD_TIME, acceptor.accept(stream)).await else {
        return;
    };
    match shaken {
        Ok(stream) => requests(stream, address, served.router, watcher).await,
        Err(error) => {
            let told = served.notices.take(&(), clock::now());
            if identity.client_ca.is_some() && told.is_ok() {
                log::warn!("{} was not let in at `admin.tls`: {error}", address.ip());
            }
        }
    }
}

async fn requests<S>(stream: S, address: SocketAddr, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let heard = activity.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let under_way = heard.begin();
        request.extensions_mut().insert(ConnectInfo(address));
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX))
        .max_concurrent_streams(64);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    tokio::select! {
        // What ends a connection early is its client's affair.
        _ = watcher.watch(connection) => {}
        () = activity.ends() => {}
    }
}

/// What is under way on one connection.
#[derive(Default)]
struct Activity {
    requests: AtomicUsize,
    /// One began or ended.
    changed: Notify,
}

/// A request under way, until it is dropped.
struct UnderWay(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
        UnderWay(self.clone())
    }

    /// Waits until nothing has been under way for too long.
    async fn ends(&self) {
        // Before it is known which version of HTTP is spoken, no timeout of HTTP's applies; and a client of HTTP/2 that
        // answers pings would stay for ever.
        let mut patience = HEAD_TIME;
        loop {
            let changed = tokio::time::timeout(patience, self.changed.notified()).await;
            if changed.is_err() && self.requests.load(Ordering::Relaxed) == 0 {
                return;
            }
            patience = IDLE;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// A stream whose writes fail once its client has taken nothing for [`WRITE_TIME`].
struct Timed {
    stream: TcpStream,
    /// Since when a write waits, as the end of its time.
    late: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(stream: TcpStream) -> Timed {
        Timed { stream, late: None }
    }

    fn in_time(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let late = || Box::pin(tokio::time::sleep(WRITE_TIME));
        let late = self.late.get_or_insert_with(late).as_mut();
        late.poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A socket holds nothing back: neither of these waits.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Whether a connection on which nothing more happens is let go within this time.
    async fn let_go(activity: &Activity, within: Duration) -> bool {
        tokio::time::timeout(within, activity.ends()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_stays_while_a_request_is_under_way_and_not_long_after() {
        let activity = Arc::new(Activity::default());
        assert!(let_go(&activity, HEAD_TIME * 2).await, "it never spoke");
        let (one, other) = (activity.begin(), activity.begin());
        drop(one);
        assert!(!let_go(&activity, IDLE * 10).await);
        drop(other);
        assert!(!let_go(&activity, IDLE / 2).await);
        assert!(let_go(&activity, IDLE * 2).await);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut stream = Timed::new(accepted.unwrap().0);
        let bytes = vec![0; 1 << 20];
        tokio::time::pause();
        let error = loop {
            if let Err(error) = stream.write_all(&bytes).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
