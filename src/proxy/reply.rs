//! Answers of the gateway's own.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use serde_json::json;

use super::context::Context;
use crate::dialect::error::Code;
use crate::dialect::{Dialect, Endpoint, GatewayError};

/// A refusal in the caller's dialect.
pub async fn refusal(session: &mut Session, ctx: &mut Context, error: &GatewayError) -> Result<()> {
    ctx.answered.code = Some(error.code.code());
    let body = error.body(ctx.dialect, &ctx.request_id);
    let mut head = head(ctx, error.status(), &body)?;
    if let Some(seconds) = error.retry_after_seconds() {
        head.insert_header(header::RETRY_AFTER, seconds.to_string())?;
    }
    if error.code == Code::MethodNotAllowed {
        let generates = Endpoint::of_path(session.req_header().uri.path()).is_some();
        head.insert_header(header::ALLOW, if generates { "POST" } else { "GET, HEAD" })?;
    }
    send(session, ctx, head, body).await
}

/// A JSON document.
pub async fn json(
    session: &mut Session,
    ctx: &mut Context,
    status: StatusCode,
    body: Bytes,
) -> Result<()> {
    let head = head(ctx, status, &body)?;
    send(session, ctx, head, body).await
}

fn head(ctx: &Context, status: StatusCode, body: &Bytes) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(6))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
    name_request(&mut head, ctx.dialect, &ctx.request_id)?;
    if !ctx.past.is_empty() {
        head.insert_header("x-tollgate-attempts", ctx.past.len().to_string())?;
    }
    Ok(head)
}

/// The request's id; Anthropic's SDKs read theirs from a header of another name.
pub fn name_request(head: &mut ResponseHeader, dialect: Dialect, id: &str) -> Result<()> {
    head.insert_header("x-request-id", id)?;
    if dialect == Dialect::Anthropic {
        head.insert_header("request-id", id)?;
    }
    Ok(())
}

/// What the head is made of that a streaming client gets when it has waited long enough for one.
pub struct Opening {
    /// The request's id.
    pub request_id: Arc<str>,
    /// Whose dialect the client speaks.
    pub dialect: Dialect,
    /// Whether the client's HTTP knows chunks.
    pub chunked: bool,
}

impl Opening {
    /// The head; no candidate has answered yet, so it names none.
    pub fn head(&self) -> Result<ResponseHeader> {
        let mut head = ResponseHeader::build(StatusCode::OK, Some(5))?;
        head.insert_header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")?;
        head.insert_header(header::CACHE_CONTROL, "no-cache")?;
        if self.chunked {
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        name_request(&mut head, self.dialect, &self.request_id)?;
        Ok(head)
    }
}

async fn send(
    session: &mut Session,
    ctx: &mut Context,
    head: ResponseHeader,
    body: Bytes,
) -> Result<()> {
    ctx.answered.status = head.status.as_u16();
    let bodiless = session.req_header().method == Method::HEAD;
    session
        .write_response_header(Box::new(head), bodiless)
        .await?;
    if !bodiless {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// What a provider said in the first event of a stream that was held back, as an error body.
pub fn provider_error(dialect: Dialect, kind: &str, message: &str, request_id: &str) -> Bytes {
    let body = match dialect {
        Dialect::OpenAi => {
            json!({ "error": { "message": message, "type": kind, "param": null, "code": null } })
        }
        Dialect::Anthropic => {
            json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": request_id })
        }
    };
    body.to_string().into()
}
