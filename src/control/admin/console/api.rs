//! Calls of the admin API from within, for the caller of a session.
//!
//! A call goes the whole way of a request from outside but for the API key, which was asked for at the sign-in: role,
//! account, validation, audit and redaction are the API's.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::IntoResponse as _;
use serde_json::Value;
use tower_service::Service as _;

use crate::Caller;
use crate::admin::context::escaped;
use crate::admin::error::{ApiError, Code};
use crate::admin::router;

/// The admin API.
#[derive(Clone)]
pub(super) struct Api(pub(super) Router);

/// What a call is refused with, or what a page cannot do.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    /// What is wrong, and what to do.
    pub(super) msg: String,
    /// What is wrong, by field.
    pub(super) details: BTreeMap<String, String>,
}

impl Fault {
    /// One that is the page's own.
    pub(super) fn new(status: StatusCode, msg: impl Into<String>) -> Fault {
        Fault {
            status,
            msg: msg.into(),
            details: BTreeMap::new(),
        }
    }

    /// This one, if it is of what a form says, which is shown again then.
    ///
    /// # Errors
    ///
    /// This one, if it is of who sent it, or of what is not there.
    pub(super) fn of_form(self) -> Result<Fault, Fault> {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(self),
            _ => Ok(self),
        }
    }

    /// What the API would answer.
    pub(super) fn of(error: ApiError) -> Fault {
        let msg = sentence(&error.to_string());
        let details = error.clone().into_details();
        Fault {
            details,
            ..Fault::new(error.into_response().status(), msg)
        }
    }
}

/// Who calls, and from where.
#[derive(Clone)]
pub(super) struct From {
    pub(super) caller: Caller,
    pub(super) address: SocketAddr,
}

impl Api {
    /// The answer of a call; `Null` if it has none.
    pub(super) async fn call(
        &self,
        from: &From,
        method: Method,
        (path, pairs): (&str, &[(&str, &str)]),
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let mut target = path.to_owned();
        for (place, (name, value)) in pairs.iter().enumerate() {
            let separator = if place == 0 { '?' } else { '&' };
            target.extend([separator.to_string(), (*name).to_owned(), "=".to_owned()]);
            target.push_str(&escaped(value));
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .body(Body::from(text))
            .map_err(|error| Fault::of(ApiError::internal(error)))?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(from.address));
        extensions.insert(from.caller.clone());
        let answer = match self.0.clone().call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status();
        let text = router::whole(answer.into_body()).await.map_err(Fault::of)?;
        let mut answer: Value = match &*text {
            [] => Value::Null,
            text => serde_json::from_slice(text)
                .map_err(|error| Fault::of(ApiError::internal(error)))?,
        };
        if status.is_success() {
            return Ok(answer);
        }
        let msg = answer["msg"].as_str().map(sentence).unwrap_or_default();
        let details = serde_json::from_value(answer["details"].take()).unwrap_or_default();
        Err(Fault {
            details,
            ..Fault::new(status, msg)
        })
    }
}

/// A message as a sentence of its own.
fn sentence(msg: &str) -> String {
    let mut letters = msg.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let end = if msg.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

/// What is said of a page that is not there.
pub(super) fn missing() -> Fault {
    let msg = "There is no such page. The menu leads to those that there are.";
    Fault::new(Code::UnknownPath.status(), msg)
}
