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
