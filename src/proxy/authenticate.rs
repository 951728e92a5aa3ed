//! Who is calling: the key from either header, on every surface.

use std::sync::Arc;

use http::HeaderMap;

use super::names;
use tollgate_base::clock;
use tollgate_config::access::{AccessKey, AuthError, Snapshot};
use tollgate_wire::GatewayError;

/// Returns the access key that the request carries. Of two credentials one may be another service's, left in the
/// client's environment, so the first that is known here counts.
pub fn caller(headers: &HeaderMap, snapshot: &Snapshot) -> Result<Arc<AccessKey>, GatewayError> {
    let sent = [api_key(headers), bearer(headers)];
    let mut sent = sent.into_iter().flatten().peekable();
    if sent.peek().is_none() {
        return Err(GatewayError::key_missing());
    }
    let mut refused = GatewayError::key_incorrect();
    for token in sent {
        match snapshot.authenticate(token) {
            Ok(key) => {
                key.used.mark(clock::wall_ms());
                return Ok(key);
            }
            Err(AuthError::NotYet) => refused = GatewayError::keys_not_read(),
            Err(AuthError::Newer) => return Err(GatewayError::key_of_newer()),
            Err(AuthError::Malformed | AuthError::Unknown) => {}
        }
    }
    Err(refused)
}

/// `x-api-key`.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(&names::X_API_KEY)?;
    value.to_str().ok().map(str::trim)
}

/// `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
