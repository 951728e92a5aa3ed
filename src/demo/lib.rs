//! A provider that lives on loopback: it answers every surface offline, and misbehaves on request.
//!
//! It lets anyone watch fail-over, streaming and counting without an account anywhere. It asks for no
//! credential, keeps nothing, and is deterministic but for ids and time stamps.
//!
//! | model | what it does |
//! | --- | --- |
//! | `echo` | answers `You said: …` with the last user text, word by word; calls a tool when tools are given and the text contains a tool's name, or "weather" (the first tool) |
//! | `thinking` | as `echo`, after some reasoning |
//! | `long` | streams 2,000 content events |
//! | `no-usage` | as `echo`, but reports no usage (which the Anthropic SDK's stream helper does not survive) |
//! | `no-done` | as `echo`, but a stream ends without `[DONE]` (Messages: without `message_stop`; a Responses stream has no end marker, and is whole) |
//! | `slow` | the first token comes after 2 s |
//! | `429` | 429 with `Retry-After: 1` |
//! | `429-bare` | 429 without `Retry-After` |
//! | `401`, `500`, `503`, `529` | that status |
//! | `400-context` | 400: the prompt is longer than the context window |
//! | `silent` | takes the request and never answers |
//! | `stall` | 200 and headers, then silence |
//! | `cut-early` | 200, headers and the stream's prelude, then drops the connection |
//! | `cut` | some content, then drops the connection |
//! | `error-event` | 200, and an error as the first event (not streaming: 500) |
//! | `overloaded` | 200, and an overload error before any content (not streaming: 529 for Messages, else 503) |
//! | `malformed` | a broken event in the middle of the stream (not streaming: half the JSON, ended cleanly) |
//!
//! Every model works on every surface, errors in the surface's own dialect; any other model id is a 404.
//! On embeddings, which never stream, models that differ in their stream only answer as `echo`.
//!
//! A *token* is a word here (text between white space), so that figures can be checked by eye. `max_tokens`
//! and its kin are honoured; a JSON Schema asked for as the answer's format is filled with sample values.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

mod chat;
mod completions;
mod embeddings;
mod error;
mod list;
mod messages;
mod model;
mod play;
mod prompt;
mod reply;
mod responses;
mod sample;
mod write;

use std::future::Future;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use serde_json::Value;

use error::Failure;
use model::Model;
use play::{Frame, Part};
use prompt::Prompt;
use reply::Reply;
use tollgate_wire::{Dialect, Surface};

/// Largest request body in bytes: more than a gateway's default limit, so that the gateway's own is met first.
const MAX_BODY: usize = 64 << 20;

/// How one generating surface is read and written.
trait Shape {
    /// The surface.
    const SURFACE: Surface;
    /// What is asked for.
    fn read(body: &Value) -> Prompt;
    /// The answer in one piece.
    fn whole(reply: &Reply) -> Value {
        write::whole(Self::SURFACE, reply)
    }
    /// The answer as events.
    fn stream(reply: &Reply) -> Vec<Frame> {
        write::stream(Self::SURFACE, reply)
    }
    /// An error inside a stream, as events.
    fn failed(_reply: &Reply, failure: &Failure) -> Vec<Frame> {
        let dialect = Self::SURFACE.dialect();
        let data = failure.body(dialect);
        vec![match dialect {
            Dialect::OpenAi => Frame::data(Part::Frame, &data),
            Dialect::Anthropic => Frame::named(Part::Frame, &data),
        }]
    }
}

/// Serves the demo provider on `listener` (HTTP/1.1, and HTTP/2 with prior knowledge) until `shutdown`
/// resolves. Answers under way then go on for as long as the runtime lives.
///
/// # Errors
///
/// Only if the listener itself fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            log::debug!("demo: TCP_NODELAY not set: {error}");
        }
    });
    tokio::select! {
        served = async { axum::serve(listener, router()).await } => served,
        () = shutdown => Ok(()),
    }
}

/// Returns the demo provider's routes.
pub fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(generate::<chat::Chat>))
        .route(
            "/v1/completions",
            post(generate::<completions::Completions>),
        )
        .route("/v1/responses", post(generate::<responses::Responses>))
        .route("/v1/messages", post(generate::<messages::Messages>))
        .route("/v1/messages/count_tokens", post(messages::count_tokens))
        .route("/v1/embeddings", post(embeddings::embed))
        .route("/v1/models", get(list::all))
        .route("/v1/models/{id}", get(list::one))
        .fallback(|| async { error::response(Dialect::OpenAi, &Failure::no_such_path()) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Answers one request on a generating surface.
async fn generate<S: Shape>(body: bytes::Bytes) -> Response {
    let dialect = S::SURFACE.dialect();
    let (model, body) = match admit(dialect, &body).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let prompt = S::read(&body);
    let reply = reply::compose(&prompt, model);
    match (prompt.stream, model.event_failure(dialect)) {
        (true, Some(failure)) => play::stream(model, S::failed(&reply, &failure)),
        (true, None) => play::stream(model, S::stream(&reply)),
        (false, Some(failure)) => error::response(dialect, &failure),
        (false, None) => play::whole(model, &S::whole(&reply)).await,
    }
}

/// Reads a body as far as its model. `Err` is the answer for a body that cannot be read and for a model
/// that refuses everything; a model that never answers does not return.
async fn admit(dialect: Dialect, body: &[u8]) -> Result<(Model, Value), Response> {
    let refuse = |failure: &Failure| error::response(dialect, failure);
    let body: Value = serde_json::from_slice(body).map_err(|_| refuse(&Failure::not_json()))?;
    let Some(id) = body.get("model").and_then(Value::as_str) else {
        return Err(refuse(&Failure::no_model()));
    };
    let Some(model) = Model::of_id(id) else {
        return Err(refuse(&Failure::unknown_model(id)));
    };
    if let Some(failure) = model.status_failure() {
        return Err(refuse(&failure));
    }
    if model == Model::Silent {
        std::future::pending::<()>().await;
    }
    Ok((model, body))
}

/// A JSON answer.
fn json(status: StatusCode, body: &Value) -> Response {
    (status, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests;
