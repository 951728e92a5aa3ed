//! What a client says that its request is for, in `x-tollgate-tags`.

use http::HeaderMap;

use super::names;
use tollgate_config::access::{AccessKey, WrongTag};
use tollgate_wire::GatewayError;
use tollgate_wire::tags::Tags;

/// Returns the tags of a request, which its access key's configuration allows.
///
/// # Errors
/// A refusal: they are none, not allowed, or one is missing that has budgets.
pub fn tags(headers: &HeaderMap, key: &AccessKey) -> Result<Tags, GatewayError> {
    let mut written = String::new();
    for value in headers.get_all(&names::X_TOLLGATE_TAGS) {
        let value = value.to_str();
        written.push_str(value.map_err(|_| GatewayError::bad_tags("send ASCII"))?);
        written.push(',');
    }
    let tags = Tags::parse(&written).map_err(|bad| GatewayError::bad_tags(&bad.to_string()))?;
    let configuration = key.configuration.as_ref();
    match configuration.map_or(Ok(()), |own| own.check_tags(&tags)) {
        Ok(()) => Ok(tags),
        Err(WrongTag::NotAllowed(name)) => Err(GatewayError::tag_not_allowed(name)),
        Err(WrongTag::Missing(name)) => Err(GatewayError::tag_missing(name)),
    }
}
