//! The operators' listener: the admin API, its console at `/`, and `/metrics`, `/healthz`, `/readyz`, `/openapi.json`,
//! `/docs` and `/reference`, which need no key.
//!
//! ```text
//!   router: route ─► auth ─► role ─► account ─► query ─► body ─► handler (api/…) ─► answer
//!                     │                          └ validate ┘ by the schemas of the document
//!                    pace
//!   console: session ─► page ─► the same, for the session's caller ─► HTML
//! ```
//!
//! Everything that clients see is made from one table of `operation`s. Invariants: nothing here waits for a provider
//! (but whoever tests one) or a proxy thread, so a gateway that is busy still says so; no answer and no log line repeats what a client sent.

mod api;
mod auth;
pub mod chat;
mod console;
mod context;
mod docs;
mod document;
mod error;
pub mod fleet;
mod go_duration;
pub mod health;
mod input;
mod listener;
mod open;
mod operation;
mod page;
mod patch;
pub mod plan;
mod query;
mod rest;
mod router;
mod schema;
mod state;
mod table;
mod validate;

pub use state::{AdminState, CoolingKey, Fetch, Process, Readiness};

pub(crate) use context::Context;

use std::future::Future;
use std::io;
use std::sync::Arc;

/// Returns the OpenAPI 3.1 document of this API, as at `/openapi.json`.
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
    let table = table::Table::new(api::operations()).map_err(io::Error::other)?;
    serve_table(listener, state, table, shutdown).await
}

async fn serve_table(
    listener: std::net::TcpListener,
    state: AdminState,
    table: table::Table,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let operations = router::operations(&table);
    let console = console::routes(router::serving(operations.clone(), state.clone()));
    let routes = operations
        .merge(open::routes(Arc::new(table)))
        .merge(console);
    let router = router::serving(routes, state.clone());
    listener::serve(listener, (state, router), shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;
