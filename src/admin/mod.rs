//! The operators' listener: `/metrics`, `/healthz`, `/readyz`, and `/` that lists them.
//!
//! Invariant: nothing here waits for a provider or a proxy thread, so a gateway that is busy still
//! says so.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;

use crate::metrics::Metrics;

/// Prometheus' text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether new requests should be sent here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No, and why: one short phrase for people each.
    NotReady(Vec<String>),
}

/// What the admin listener shows.
#[derive(Clone)]
pub struct AdminState {
    metrics: Arc<Metrics>,
    readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
}

impl AdminState {
    /// `readiness` is asked on each probe; it must not block.
    pub fn new(
        metrics: Arc<Metrics>,
        readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    ) -> Self {
        AdminState {
            metrics,
            readiness: Arc::new(readiness),
        }
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
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
    axum::serve(listener, router(state))
        .with_graceful_shutdown(shutdown)
        .await
}

/// The routes.
fn router(state: AdminState) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .with_state(state)
}

async fn index() -> &'static str {
    "Tollgate, the operators' listener\n\n\
     /healthz   200 while the process lives\n\
     /readyz    200 while new requests are welcome, 503 and why otherwise\n\
     /metrics   Prometheus metrics\n"
}

async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn readyz(State(state): State<AdminState>) -> Response {
    match (state.readiness)() {
        Readiness::Ready => Json(json!({"status": "ready"})).into_response(),
        Readiness::NotReady(reasons) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "not ready", "reasons": reasons})),
        )
            .into_response(),
    }
}

async fn metrics(State(state): State<AdminState>) -> Response {
    ([(header::CONTENT_TYPE, EXPOSITION)], state.metrics.render()).into_response()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found; see / for what is here\n").into_response()
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
