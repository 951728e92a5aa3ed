//! The head for a streaming client that has waited long enough for one, and what every head says first.

use std::iter;
use std::sync::Arc;

use http::{HeaderName, StatusCode, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;

use super::{cors, names};
use tollgate_wire::Dialect;

/// A comment that no client shows; it keeps idle connections alive.
pub const COMMENT: &[u8] = b": keep-alive\n\n";

/// Returns the headers that carry the request's id; Anthropic's SDKs read theirs from one of another name.
pub fn id_headers(dialect: Dialect) -> impl Iterator<Item = &'static HeaderName> {
    let second = (dialect == Dialect::Anthropic).then_some(&names::REQUEST_ID);
    iter::once(&names::X_REQUEST_ID).chain(second)
}

/// Puts the request's id into a head.
pub fn name_request(head: &mut ResponseHeader, dialect: Dialect, id: &str) -> Result<()> {
    id_headers(dialect).try_for_each(|name| head.insert_header(name, id))
}

/// What the head is made of that a streaming client gets when it has waited long enough for one.
pub struct Opening {
    /// The request's id.
    pub request_id: Arc<str>,
    /// Whose dialect the client speaks.
    pub dialect: Dialect,
    /// Whether the client's HTTP knows chunks.
    pub chunked: bool,
    /// What the client's browser gets.
    pub cors: cors::Headers,
}

impl Opening {
    /// Returns the head; no candidate has answered yet, so it names none.
    pub fn head(&self) -> Result<ResponseHeader> {
        let mut head = ResponseHeader::build(StatusCode::OK, Some(5))?;
        head.insert_header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")?;
        head.insert_header(header::CACHE_CONTROL, "no-cache")?;
        if self.chunked {
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        name_request(&mut head, self.dialect, &self.request_id)?;
        for (name, value) in &self.cors {
            head.insert_header(name, value)?;
        }
        Ok(head)
    }
}
