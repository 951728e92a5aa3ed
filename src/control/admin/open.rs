//! What needs no key, unless it is asked for: how the process is, and what the API is.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;

use super::auth;
use super::docs;
use super::document::document;
use super::error::ApiError;
use super::operation::Needs;
use super::router::address;
use super::state::{AdminState, Readiness};
use super::table::Table;
use tollgate_base::clock;

/// Prometheus' text exposition format.
pub(super) const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes.
pub(super) fn routes(table: Arc<Table>) -> Router<AdminState> {
    // Made when it is first asked for: it would be half of what a start takes.
    let published = Arc::new(LazyLock::new(move || {
        let document = document(&table);
        let page = docs::page(&document);
        (Bytes::from(document.to_string()), Bytes::from(page))
    }));
    let openapi = published.clone();
    Router::new()
        .route("/reference", get(index))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(
            "/openapi.json",
            get(|| async move {
                let json = [(header::CONTENT_TYPE, "application/json")];
                (json, openapi.0.clone())
            }),
        )
        .route(
            "/docs",
            get(|| async move {
                let headers = [
                    (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
                    (header::CONTENT_SECURITY_POLICY, docs::policy()),
                    (header::REFERRER_POLICY, "no-referrer".to_owned()),
                ];
                (headers, published.1.clone())
            }),
        )
}

async fn index() -> &'static str {
    "Tollgate, the operators' listener\n\n\
     /              the console\n\
     /healthz       200 while the process lives\n\
     /readyz        200 while new requests are welcome, 503 and why otherwise\n\
     /metrics       Prometheus metrics\n\
     /docs          the admin API, to read\n\
     /openapi.json  the admin API, for programs\n"
}

async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn readyz(State(state): State<AdminState>) -> Response {
    match state.process().readiness() {
        Readiness::Ready => Json(json!({"status": "ready"})).into_response(),
        Readiness::NotReady(reasons) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "not ready", "reasons": reasons})),
        )
            .into_response(),
    }
}

async fn metrics(State(state): State<AdminState>, request: Request) -> Result<Response, ApiError> {
    if state.control().config().admin.metrics_need_key {
        let caller = auth::caller(
            &state,
            address(request.extensions()),
            request.headers(),
            clock::now(),
        )?;
        auth::all_accounts(&caller)?;
        auth::allow(&caller, Needs::Usage)?;
    }
    let accepted = request.headers().get(header::ACCEPT);
    let accepted = accepted.and_then(|accepted| accepted.to_str().ok());
    let open = accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text"));
    let exposition = if open { OPEN_METRICS } else { EXPOSITION };
    let text = state.process().metrics(open);
    Ok(([(header::CONTENT_TYPE, exposition)], text).into_response())
}
