//! Answers of the gateway's own.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::cors;
use super::opening::name_request;
use tollgate_wire::error::Code;
use tollgate_wire::{Endpoint, GatewayError};

/// Returns a refusal in the caller's dialect.
pub async fn refusal(session: &mut Session, ctx: &mut Context, error: &GatewayError) -> Result<()> {
    ctx.answered.code = Some(error.code.code());
    let body = error.body(ctx.dialect, &ctx.request_id);
    let mut head = head(ctx, error.status(), &body)?;
    if let Some(seconds) = error.retry_after_seconds() {
        head.insert_header(header::RETRY_AFTER, seconds.to_string())?;
    }
    if let Some(rate) = &error.rate_limit {
        for (part, value) in [
            ("limit", rate.limit.to_string()),
            ("remaining", rate.remaining.to_string()),
            ("reset", format!("{}s", rate.reset.as_secs())),
        ] {
            let name = format!("x-ratelimit-{part}-{}", rate.unit);
            head.insert_header(name, value)?;
        }
    }
    if error.code == Code::MethodNotAllowed {
        let generates = Endpoint::of_path(session.req_header().uri.path()).is_some();
        head.insert_header(header::ALLOW, if generates { "POST" } else { "GET, HEAD" })?;
    }
    send(session, ctx, head, body).await
}

/// Returns a JSON document.
pub async fn json(
    session: &mut Session,
    ctx: &mut Context,
    status: StatusCode,
    body: Bytes,
) -> Result<()> {
    let head = head(ctx, status, &body)?;
    send(session, ctx, head, body).await
}

/// Returns an answer that is all in its headers.
pub async fn nothing(
    session: &mut Session,
    ctx: &mut Context,
    headers: cors::Headers,
) -> Result<()> {
    let mut head = ResponseHeader::build(StatusCode::NO_CONTENT, Some(headers.len() + 3))?;
    name_request(&mut head, ctx.dialect, &ctx.request_id)?;
    for (name, value) in headers {
        head.insert_header(name, value)?;
    }
    ctx.answered.status = head.status.as_u16();
    session.write_response_header(Box::new(head), true).await
}

fn head(ctx: &Context, status: StatusCode, body: &Bytes) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(6))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
    name_request(&mut head, ctx.dialect, &ctx.request_id)?;
    for (name, value) in &ctx.cors {
        head.insert_header(name, value)?;
    }
    if !ctx.past.is_empty() {
        head.insert_header("x-tollgate-attempts", ctx.past.len().to_string())?;
    }
    Ok(head)
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
