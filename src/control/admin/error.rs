//! What went wrong, as clients of the admin API see it.
//!
//! Invariant: every answer that is no success has the published shape `{ errorCode, statusCode, msg, details }`, and
//! nothing that the client sent or that the process keeps inside is echoed in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tollgate_store::StoreError;

/// What kind of error. Each has one stable code and one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    BadRequest,
    Unauthorized,
    Forbidden,
    OtherAccount,
    OverQuota,
    NotFound,
    UnknownPath,
    MethodNotAllowed,
    TooSlow,
    Conflict,
    InUse,
    Declared,
    TooLarge,
    NotJson,
    Invalid,
    Throttled,
    Internal,
    NotImplemented,
    StoreAway,
}

impl Code {
    /// Every code, in the order of the documentation.
    pub(crate) const ALL: [Code; 19] = [
        Code::BadRequest,
        Code::Unauthorized,
        Code::Forbidden,
        Code::OtherAccount,
        Code::OverQuota,
        Code::NotFound,
        Code::UnknownPath,
        Code::MethodNotAllowed,
        Code::TooSlow,
        Code::Conflict,
        Code::InUse,
        Code::Declared,
        Code::TooLarge,
        Code::NotJson,
        Code::Invalid,
        Code::Throttled,
        Code::Internal,
        Code::NotImplemented,
        Code::StoreAway,
    ];

    /// Code, status, and what it means.
    #[rustfmt::skip]
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Code::BadRequest       => ("ERR_TOLLGATE_4000", S::BAD_REQUEST, "The request cannot be read: its body is not JSON or not UTF-8, or its path or query is malformed."),
            Code::Unauthorized     => ("ERR_TOLLGATE_4010", S::UNAUTHORIZED, "The API key is missing or unknown."),
            Code::Forbidden        => ("ERR_TOLLGATE_4030", S::FORBIDDEN, "The API key's role does not allow this."),
            Code::OtherAccount     => ("ERR_TOLLGATE_4031", S::FORBIDDEN, "The API key may not act for this account."),
            Code::OverQuota        => ("ERR_TOLLGATE_4032", S::FORBIDDEN, "The account would have more than its quota of a kind of resource, of models or of metadata."),
            Code::NotFound         => ("ERR_TOLLGATE_4040", S::NOT_FOUND, "There is no such resource in the account, or no such account."),
            Code::UnknownPath      => ("ERR_TOLLGATE_4041", S::NOT_FOUND, "There is no such path."),
            Code::MethodNotAllowed => ("ERR_TOLLGATE_4050", S::METHOD_NOT_ALLOWED, "The path exists, but not for this method."),
            Code::TooSlow          => ("ERR_TOLLGATE_4080", S::REQUEST_TIMEOUT, "The request's body did not arrive in time."),
            Code::Conflict         => ("ERR_TOLLGATE_4090", S::CONFLICT, "The change contradicts what there is, for example a name that is taken."),
            Code::InUse            => ("ERR_TOLLGATE_4091", S::CONFLICT, "The resource is referenced by another one and cannot be deleted."),
            Code::Declared         => ("ERR_TOLLGATE_4092", S::CONFLICT, "The resource is declared in the configuration file and is read-only here."),
            Code::TooLarge         => ("ERR_TOLLGATE_4130", S::PAYLOAD_TOO_LARGE, "The request's body is larger than 1 MiB."),
            Code::NotJson          => ("ERR_TOLLGATE_4150", S::UNSUPPORTED_MEDIA_TYPE, "The request's body is not declared as application/json, or is compressed."),
            Code::Invalid          => ("ERR_TOLLGATE_4220", S::UNPROCESSABLE_ENTITY, "Fields or query parameters are not valid; `details` names each of them."),
            Code::Throttled        => ("ERR_TOLLGATE_4290", S::TOO_MANY_REQUESTS, "Too many unknown API keys came from the client's address, or too many changes from the API keys for one account."),
            Code::Internal         => ("ERR_TOLLGATE_4500", S::INTERNAL_SERVER_ERROR, "A fault of the gateway; its log says more under the request id."),
            Code::NotImplemented   => ("ERR_TOLLGATE_4501", S::NOT_IMPLEMENTED, "This gateway does not offer this, or has no store; the message says what to do instead."),
            Code::StoreAway        => ("ERR_TOLLGATE_4503", S::SERVICE_UNAVAILABLE, "The store does not answer in time. A change may have been made all the same: look before trying again."),
        }
    }

    /// The stable code, as in `ERR_TOLLGATE_4040`.
    pub(crate) fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        self.row().1
    }

    /// What it means, for the documentation.
    pub(crate) fn meaning(self) -> &'static str {
        self.row().2
    }
}

/// The published shape of an error.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Error {
    /// Stable error code.
    error_code: Cow<'static, str>,
    /// HTTP status code for this error.
    status_code: u16,
    /// Human-readable error message.
    msg: Cow<'static, str>,
    /// Structured error details: what is wrong, by field (`router.rules.0.steps`) or query parameter.
    details: BTreeMap<String, String>,
}

/// What a handler answers when it cannot do what was asked.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    code: Code,
    msg: Cow<'static, str>,
    details: BTreeMap<String, String>,
    /// Seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    /// `msg` says what is wrong and what to do, and never contains a value that may be secret.
    pub(crate) fn new(code: Code, msg: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError {
            code,
            msg: msg.into(),
            details: BTreeMap::new(),
            retry_after: None,
        }
    }

    /// 403: the account would have more of something than its quota.
    pub(crate) fn over_quota((what, most): (&'static str, u64)) -> ApiError {
        let msg = format!(
            "an account may have {most} of {what}: delete what is not needed, or ask the operator for more \
             (`admin.quotas.{what}`)"
        );
        ApiError::new(Code::OverQuota, msg)
    }

    /// 404; `what` as in `access key`.
    pub(crate) fn not_found(what: &str) -> ApiError {
        ApiError::new(
            Code::NotFound,
            format!("there is no {what} with this id in the account"),
        )
    }

    /// 422 because of one field (`name`, `models.0.id`) or query parameter; `what` as in `must be …`.
    pub(crate) fn invalid(field: impl Into<String>, what: impl Into<String>) -> ApiError {
        ApiError::invalid_all([(field.into(), what.into())].into())
    }

    /// 422 because of these fields.
    pub(crate) fn invalid_all(details: BTreeMap<String, String>) -> ApiError {
        ApiError {
            details,
            ..ApiError::new(Code::Invalid, "the request is not valid; see details")
        }
    }

    /// 409: the change contradicts what there is.
    pub(crate) fn conflict(msg: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(Code::Conflict, msg)
    }

    /// 409: `what` (as in `provider`) is referenced `by` another resource, as in `the provider key pk_1`.
    pub(crate) fn in_use(what: &str, by: &str) -> ApiError {
        ApiError::new(
            Code::InUse,
            format!("the {what} is used by {by}; change or delete that first"),
        )
    }

    /// 503: a stored document of this kind cannot be read here.
    pub(crate) fn unreadable(kind: &str) -> ApiError {
        let what = "cannot be read by this gateway, and is left alone: if a newer one has written it, ask that";
        ApiError::new(Code::StoreAway, format!("the stored {kind} {what}"))
    }

    /// 409: `what` is declared in the YAML.
    pub(crate) fn declared(what: &str) -> ApiError {
        ApiError::new(
            Code::Declared,
            format!("the {what} is declared in the configuration file; change it there"),
        )
    }

    /// 500. The cause goes to the log only.
    pub(crate) fn internal(cause: impl Display) -> ApiError {
        log::error!("admin API: {cause}");
        ApiError::new(
            Code::Internal,
            "a fault of the gateway; its log says more under this answer's x-request-id",
        )
    }

    /// 501.
    pub(crate) fn not_implemented(instead: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(Code::NotImplemented, instead)
    }

    /// 503. The cause goes to the log only.
    pub(crate) fn store_away(cause: impl Display) -> ApiError {
        log::warn!("admin API: the store cannot be used: {cause}");
        ApiError::new(
            Code::StoreAway,
            "the store does not answer; look whether the change was made before you try again",
        )
        .retry_after(1)
    }

    /// What becomes of a change that the store did not take: 503; 422 if it will never take it. The cause goes to the log
    /// only.
    pub(crate) fn not_stored(error: StoreError) -> ApiError {
        let StoreError::Refused(cause) = error else {
            return ApiError::store_away(error);
        };
        log::warn!("admin API: the store refuses a change: {cause}");
        let msg = "the store will never take this change; the gateway's log says why";
        ApiError::new(Code::Invalid, msg)
    }

    /// When to try again, in seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> ApiError {
        self.retry_after = Some(seconds);
        self
    }

    /// What is wrong, by field.
    pub(crate) fn into_details(self) -> BTreeMap<String, String> {
        self.details
    }
}

impl Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = Error {
            error_code: self.code.code().into(),
            status_code: status.as_u16(),
            msg: self.msg,
            details: self.details,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_never_takes_is_no_reason_to_try_again() {
        let cause = "a/b".to_owned();
        let refused = ApiError::not_stored(StoreError::Refused(cause.clone()));
        assert_eq!((refused.code, refused.retry_after), (Code::Invalid, None));
        assert!(!refused.to_string().contains(&cause), "nothing is echoed");
        let away = ApiError::not_stored(StoreError::Away(cause));
        assert_eq!((away.code, away.retry_after), (Code::StoreAway, Some(1)));
    }

    #[test]
    fn codes_are_unique_and_say_their_status() {
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.code()).collect();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len(), "sorted and unique: {codes:?}");
        for code in Code::ALL {
            assert!(code.meaning().ends_with('.'), "{code:?}");
        }
    }
}
