//! What every handler is handed besides what it takes: the state, the caller, the account, the words for URIs.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header, uri::Authority};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::AdminState;
use super::error::{ApiError, Code};
use crate::{Actor, Caller, ChangeError, Draft, View};

/// What need not be escaped in a segment of a path or in a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':');

/// Where a request is answered.
#[derive(Clone)]
pub(crate) struct Context {
    /// What the process shares with the API.
    pub(crate) state: AdminState,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The acting account.
    pub(crate) account: Arc<str>,
    /// The one account whose resources may be shown; `None`: everybody's.
    pub(crate) only: Option<Arc<str>>,
    /// Where the request came from.
    pub(crate) address: IpAddr,
    /// This request's `x-request-id`.
    pub(crate) request_id: Arc<str>,
    /// As in `http://127.0.0.1:9090`, without a slash at the end.
    pub(super) base: Arc<str>,
    /// The request's path as it was sent.
    pub(super) path: Arc<str>,
    /// The request's query, decoded.
    pub(super) pairs: Arc<[(String, String)]>,
}

impl Context {
    /// The caller, as the audit log names it.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            id: self.caller.id.clone(),
            name: self.caller.name.clone(),
            address: Some(self.address.to_string()),
            request_id: Some(self.request_id.to_string()),
        }
    }

    /// Looks at all resources; see [`crate::Control::look`].
    pub(crate) fn look<R>(&self, look: impl FnOnce(View<'_>) -> R) -> R {
        self.state.control().look(look)
    }

    /// Changes resources; see [`crate::Control::change`]. `decide` may be asked several times.
    ///
    /// # Errors
    ///
    /// Those of `decide`; 501 without a store; 503 when the store does not answer.
    pub(crate) async fn change<R>(
        &self,
        decide: impl Fn(View<'_>, &mut Draft) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        // The operator's own keys may give an account more than it may take.
        let is_tenant = self.caller.account.is_some();
        let quotas = self.state.control().config().admin.quotas.clone();
        let changed = self.state.control().change(|view, draft| {
            let answer = decide(view, draft)?;
            let over = is_tenant.then(|| view.over_quota(draft, &quotas));
            match over.flatten() {
                Some(over) => Err(ApiError::over_quota(over)),
                None => Ok(answer),
            }
        });
        changed.await.map_err(|error| match error {
            ChangeError::Decided(error) => error,
            ChangeError::Store(error) => ApiError::not_stored(error),
            ChangeError::NoStore => ApiError::not_implemented(
                "resources cannot be changed: this gateway has no store; set `ledger.credits` to other than off, or \
                 an admin key before the start",
            ),
            ChangeError::Unsigned(error) => ApiError::not_implemented(format!(
                "the store is sealed, so that only a gateway with its master key changes it: {error}"
            )),
            ChangeError::Unreadable(kind) => ApiError::unreadable(&kind),
            ChangeError::Contended => {
                ApiError::new(Code::StoreAway, "other changes came first each time: try again")
                    .retry_after(1)
            }
        })
    }

    /// The absolute URI of `segments`, as in `["access-keys", id]`.
    pub(crate) fn uri(&self, segments: &[&str]) -> String {
        let mut uri = self.base.to_string();
        for segment in segments {
            uri.push('/');
            uri.extend(utf8_percent_encode(segment, SEGMENT));
        }
        uri
    }

    /// The absolute URI of what was asked for, without its query.
    pub(crate) fn here(&self) -> String {
        format!("{}{}", self.base, self.path)
    }

    /// What was asked for, with all parameters but `name`, which becomes `value`: a next page.
    pub(crate) fn here_with(&self, name: &str, value: &str) -> String {
        let mut uri = self.here();
        let others = self.pairs.iter().filter(|(other, _)| other != name);
        let pairs = others
            .map(|(name, value)| (&**name, &**value))
            .chain([(name, value)]);
        for (position, (name, value)) in pairs.enumerate() {
            let separator = if position == 0 { '?' } else { '&' };
            let (name, value) = (
                utf8_percent_encode(name, SEGMENT),
                utf8_percent_encode(value, SEGMENT),
            );
            // Writing to a String cannot fail.
            write!(uri, "{separator}{name}={value}").ok();
        }
        uri
    }
}

/// A text as a segment of a path, or as a value of a query.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Where clients reach this listener: as configured, or else as they asked for it.
pub(super) fn base(state: &AdminState, uri: &Uri, headers: &HeaderMap) -> String {
    match state.public_url() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // Whoever terminates TLS in front of this listener configures the public URL.
        None => asked(state.scheme(), uri, headers),
    }
}

/// Where a request was sent, as it says itself.
pub(super) fn asked(scheme: &str, uri: &Uri, headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = uri
        .authority()
        .map(Authority::as_str)
        .or(host)
        .filter(|host| host.parse::<Authority>().is_ok())
        .unwrap_or("localhost");
    format!("{scheme}://{authority}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_where_was_asked() {
        let base = |host: Option<&'static str>, uri: &'static str| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, header::HeaderValue::from_static(host));
            }
            asked("http", &Uri::from_static(uri), &headers)
        };
        assert_eq!(base(Some("a:9090"), "/x"), "http://a:9090");
        assert_eq!(base(None, "http://b/x"), "http://b", "HTTP/2");
        assert_eq!(base(Some("a b/<script>"), "/x"), "http://localhost");
    }
}
