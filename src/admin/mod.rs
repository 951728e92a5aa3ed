//! The operators' listener: the admin API, and `/metrics`, `/healthz`, `/readyz`, `/openapi.json`, `/docs` and `/`,
//! which need no key.
//!
//! ```text
//!   router: route ─► auth ─► role ─► account ─► query ─► body ─► handler (api/…) ─► answer
//!                     │                          └ validate ┘ by the schemas of the document
//!                  throttle
//! ```
//!
//! Everything that clients see is made from one table of [`operation`]s. Invariants: nothing here waits for a provider
//! or a proxy thread, so a gateway that is busy still says so; no answer and no log line repeats what a client sent.

mod api;
mod auth;
mod context;
mod document;
mod error;
mod input;
mod open;
mod operation;
mod page;
mod patch;
mod query;
mod router;
mod schema;
mod state;
mod table;
mod throttle;
mod validate;

pub use state::{AdminState, Readiness};

pub(crate) use context::Context;

use std::future::Future;
use std::io;
use std::net::SocketAddr;

/// The OpenAPI 3.1 document of this API, as at `/openapi.json`.
///
/// # Errors
///
/// What is wrong with the operations; a fault of this program.
pub fn openapi() -> Result<serde_json::Value, String> {
    table::Table::new(api::operations()).map(|table| document::document(&table))
}

/// Serves until `shutdown` completes and the requests under way are answered. Needs a Tokio runtime.
///
/// # Errors
///
/// If the listener cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    state: AdminState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let table = table::Table::new(api::operations()).map_err(io::Error::other)?;
    let router = router::router(&table, open::routes(&table), state);
    axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(shutdown)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    use http_body_util::{BodyExt, Empty};
    use hyper::body::Bytes;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    async fn get(url: &str) -> (u16, String, String) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let response = client.get(url.parse().unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let kind = response
            .headers()
            .get("content-type")
            .map(|v| v.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn says_how_the_process_is_and_stops_when_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let draining = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&draining);
        let state = AdminState::new(Arc::new(Metrics::new().unwrap()), move || {
            if seen.load(Ordering::Relaxed) {
                Readiness::NotReady(vec!["draining".to_owned()])
            } else {
                Readiness::Ready
            }
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, state, async {
            stopped.await.ok();
        }));

        let (status, _, body) = get(&format!("{base}/readyz")).await;
        assert_eq!((status, &*body), (200, r#"{"status":"ready"}"#));
        draining.store(true, Ordering::Relaxed);
        let (status, kind, body) = get(&format!("{base}/readyz")).await;
        assert_eq!(status, 503, "a draining gateway wants no new requests");
        assert_eq!(kind, "application/json");
        assert_eq!(body, r#"{"status":"not ready","reasons":["draining"]}"#);
        let (status, _, _) = get(&format!("{base}/healthz")).await;
        assert_eq!(status, 200, "a draining gateway lives");
        let (status, kind, body) = get(&format!("{base}/metrics")).await;
        assert_eq!((status, &*kind), (200, EXPOSITION));
        assert!(body.contains("tollgate_build_info{"), "{body}");
        let (status, _, body) = get(&base).await;
        assert!(status == 200 && body.contains("/metrics"), "{body}");
        let (status, _, _) = get(&format!("{base}/nothing")).await;
        assert_eq!(status, 404);

        stop.send(()).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(10), server)
            .await
            .expect("it stops when told")
            .unwrap()
            .unwrap();
    }
}
