//! The listener's connections: HTTP/1.1 and HTTP/2 with prior knowledge, each of them bounded.
//!
//! Invariant: a client that is slow, silent or greedy costs one connection of [`CONNECTIONS`], for a bounded time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

/// Most connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 1_024;
/// How long a request's head may take, the silence before it included.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Largest head, in bytes.
const HEAD_MAX: usize = 64 * 1_024;
/// Silence on an HTTP/2 connection before the client is asked whether it lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
/// How long to wait after the system refused a connection, for example for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until `shutdown` completes and the requests under way are answered.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
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
                connection(stream, address, permit, router.clone(), &graceful);
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

fn connection(
    stream: TcpStream,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
) {
    let heard = Arc::new(Notify::new());
    let hears = heard.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        hears.notify_one();
        request.extensions_mut().insert(ConnectInfo(address));
        router.clone().call(request)
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
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // Before it is known which version of HTTP is spoken, no timeout of HTTP's applies.
        let silent = async {
            if tokio::time::timeout(HEAD_TIME, heard.notified())
                .await
                .is_ok()
            {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // What ends a connection early is its client's affair.
            _ = connection => {}
            () = silent => {}
        }
        drop(permit);
    });
}
