//! The head for a streaming client that has waited long enough for one, and what every head says first.

use std::sync::Arc;

use http::{StatusCode, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;

use crate::dialect::Dialect;

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
