//! Who is calling: the key from either header, on every surface.

use std::sync::Arc;

use pingora_http::RequestHeader;
use pingora_proxy::Session;

use crate::access::{AccessKey, Snapshot};
use crate::dialect::GatewayError;

/// The access key that the request carries.
pub fn caller(session: &Session, snapshot: &Snapshot) -> Result<Arc<AccessKey>, GatewayError> {
    let token = token(session.req_header()).ok_or_else(GatewayError::key_missing)?;
    Ok(snapshot
        .authenticate(token)
        .map_err(|_| GatewayError::key_incorrect())?)
}

/// `x-api-key`, or `Authorization: Bearer`.
fn token(head: &RequestHeader) -> Option<&str> {
    if let Some(key) = head.headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim);
    }
    let value = head
        .headers
        .get(http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
