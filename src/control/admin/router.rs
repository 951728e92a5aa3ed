//! The way of a request: route, caller, role, account, query, body, handler; and what every answer carries.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header, request::Parts};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use futures::{FutureExt, StreamExt};
use serde_json::Value;

use super::context::{Context, base};
use super::error::{ApiError, Code};
use super::input::Received;
use super::operation::{Needs, Operation, Scope};
use super::rest::Rest;
use super::table::{Entry, Table};
use super::{AdminState, auth, query};
use crate::{Caller, DEFAULT_ACCOUNT};
use tollgate_base::{clock, random};

/// Largest body, in bytes.
pub(super) const BODY_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Longest id of an account, in characters.
const ACCOUNT_MAX: usize = 128;

/// Found out on the way, for the log.
#[derive(Clone)]
struct Served {
    operation: &'static str,
    path: &'static str,
    caller: Option<Arc<str>>,
}

/// This request's `x-request-id`.
#[derive(Clone)]
struct RequestId(Arc<str>);

/// The routes of `table`.
pub(super) fn operations(table: &Table) -> Router<AdminState> {
    let mut router = Router::new();
    for (path, entries) in table.by_path() {
        let mut methods = MethodRouter::new();
        for entry in entries {
            let entry = entry.clone();
            let filter = filter(&entry.operation.method);
            methods = methods.on(filter, move |State(state): State<AdminState>, request| {
                answer(state, entry.clone(), request)
            });
        }
        router = router.route(path, methods);
    }
    router
}

/// Answers by `routes`, and with an error where there is none.
pub(super) fn serving(routes: Router<AdminState>, state: AdminState) -> Router {
    routes
        .fallback(|| async { ApiError::new(Code::UnknownPath, "there is no such path; see /docs") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                Code::MethodNotAllowed,
                "this path does not have this method; the header Allow lists those that it has",
            )
        })
        .layer(from_fn_with_state(state.clone(), envelope))
        .with_state(state)
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        // axum answers HEAD with it.
        _ => MethodFilter::GET,
    }
}

/// What every answer carries; the log; the count.
async fn envelope(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let started = clock::now();
    let (parts, body) = request.into_parts();
    let (body, rest) = Rest::of(body);
    let mut request = Request::from_parts(parts, body);
    let mut id = String::from("req_");
    random::push_hex96(&mut id);
    let id: Arc<str> = id.into();
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    // Pages read much, and again and again.
    let level = match request.extensions().get::<Caller>() {
        Some(_) if method == Method::GET => log::Level::Debug,
        _ => log::Level::Info,
    };
    let mut response = next.run(request).await;
    rest.finish(&mut response).await;

    let served = response.extensions_mut().remove::<Served>();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    let status = response.status().as_u16();
    let operation = served.as_ref().map_or("none", |served| served.operation);
    state.process().answered(operation, status);
    if let Some(Served { path, caller, .. }) = served {
        let caller = caller.as_deref().unwrap_or("-");
        let ms = started.elapsed().as_millis();
        // The template, not the path: a token may have been sent where an id belongs.
        log::log!(
            level,
            "admin: {method} {path} {status} caller={caller} request={id} {ms}ms"
        );
    }
    response
}

async fn answer(state: AdminState, entry: Arc<Entry>, request: Request) -> Response {
    let mut served = Served {
        operation: entry.operation.id,
        path: entry.operation.path,
        caller: None,
    };
    let answered = AssertUnwindSafe(handled(state, &entry, request, &mut served))
        .catch_unwind()
        .await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => error.into_response(),
        Err(_) => ApiError::internal(format!("{} panicked", entry.operation.id)).into_response(),
    };
    response.extensions_mut().insert(served);
    response
}

/// Where a request came from.
pub(super) fn address(extensions: &Extensions) -> IpAddr {
    let info = extensions.get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::from([0; 4]), |ConnectInfo(address)| address.ip())
}

async fn handled(
    state: AdminState,
    entry: &Entry,
    request: Request,
    served: &mut Served,
) -> Result<Response, ApiError> {
    let operation = &entry.operation;
    let (mut parts, body) = request.into_parts();
    let address = address(&parts.extensions);
    let now = clock::now();
    // The console has asked already who it is.
    let caller = match parts.extensions.remove::<Caller>() {
        Some(caller) => caller,
        None => auth::caller(&state, address, &parts.headers, now)?,
    };
    served.caller = Some(caller.id.as_str().into());
    auth::allow(&caller, operation.needs)?;
    auth::pace(&state, (&caller, operation.needs), now)?;

    let mut pairs = query::pairs(parts.uri.query().unwrap_or_default())?;
    let all_pairs: Arc<[(String, String)]> = pairs.clone().into();
    let named = match operation.scope {
        Scope::Account | Scope::Every => named(&mut pairs, &parts.headers)?,
        Scope::AllAccounts | Scope::Shared => None,
    };
    let (account, only) = accounts(&state, &caller, operation, named.as_deref()).await?;
    let query = query::to_json(&pairs, &entry.query);
    let faults = entry.checks.query.faults(&query);
    if !faults.is_empty() {
        return Err(ApiError::invalid_all(faults));
    }
    let id = path_id(&mut parts).await?;
    let body = match entry.body {
        Some(_) => json(&parts.headers, body).await?,
        None => Value::Null,
    };
    let request_id = parts.extensions.get::<RequestId>();
    let context = Context {
        base: base(&state, &parts.uri, &parts.headers).into(),
        path: parts.uri.path().into(),
        pairs: all_pairs,
        request_id: request_id.map_or_else(|| "".into(), |id| id.0.clone()),
        state,
        caller,
        account,
        only,
        address,
    };
    let received = Received {
        context,
        checks: entry.checks.clone(),
        id,
        query,
        body,
    };
    let answer = (operation.handle)(received);
    let answer = if operation.needs == Needs::Write {
        // Begun is finished, whether its client waits or not: the audit log must not miss half of it.
        let done = tokio::spawn(answer).await;
        done.map_err(|_| ApiError::internal(format!("{} panicked", operation.id)))??
    } else {
        answer.await?
    };
    respond(entry, answer)
}

/// The account that a request is about, and the only one that it may see; `None` for all.
async fn accounts(
    state: &AdminState,
    caller: &Caller,
    operation: &Operation,
    named: Option<&str>,
) -> Result<(Arc<str>, Option<Arc<str>>), ApiError> {
    match operation.scope {
        Scope::Account | Scope::Every => {
            let account = auth::account(caller, named)?;
            auth::exists(state, (caller, operation.needs), &account).await?;
            let everybody =
                operation.scope == Scope::Every && named.is_none() && caller.account.is_none();
            let only = (!everybody).then(|| account.clone());
            Ok((account, only))
        }
        Scope::AllAccounts => {
            auth::all_accounts(caller)?;
            Ok((DEFAULT_ACCOUNT.into(), None))
        }
        Scope::Shared => Ok((auth::account(caller, None)?, caller.account.clone())),
    }
}

fn respond(entry: &Entry, answer: Option<Value>) -> Result<Response, ApiError> {
    let status = entry.operation.status;
    let Some(answer) = answer else {
        return Ok(status.into_response());
    };
    if cfg!(debug_assertions) {
        let faults = entry.checks.answer.faults_of_answer(&answer);
        if !faults.is_empty() {
            let id = entry.operation.id;
            return Err(ApiError::internal(format!(
                "{id} answers what its schema does not: {faults:?}"
            )));
        }
    }
    let body = serde_json::to_vec(&answer).map_err(ApiError::internal)?;
    let kind = HeaderValue::from_static("application/json");
    Ok((status, [(header::CONTENT_TYPE, kind)], body).into_response())
}

/// The account that the query names, or else the header.
fn named(
    pairs: &mut Vec<(String, String)>,
    headers: &HeaderMap,
) -> Result<Option<String>, ApiError> {
    let header = headers.get_all(auth::ACCOUNT_HEADER).iter();
    let header = header.map(|value| value.to_str().unwrap_or_default().to_owned());
    let mut named = None;
    for (place, values) in [
        (auth::ACCOUNT_HEADER, header.collect()),
        ("accountId", query::take(pairs, "accountId")),
    ] {
        match &values[..] {
            [] => {}
            [one] if (1..=ACCOUNT_MAX).contains(&one.chars().count()) => named = Some(one.clone()),
            _ => return Err(ApiError::invalid(place, "must name one account")),
        }
    }
    Ok(named)
}

async fn path_id(parts: &mut Parts) -> Result<String, ApiError> {
    let params = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| ApiError::new(Code::BadRequest, "the path is not UTF-8"))?;
    Ok(params
        .iter()
        .next()
        .map(|(_, id)| id.to_owned())
        .unwrap_or_default())
}

/// The body as JSON.
async fn json(headers: &HeaderMap, body: Body) -> Result<Value, ApiError> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default()
        .trim();
    let plain = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|encoding| encoding == "identity");
    if !kind.eq_ignore_ascii_case("application/json") || !plain {
        return Err(ApiError::new(
            Code::NotJson,
            "send JSON with `Content-Type: application/json`, not compressed",
        ));
    }
    let text = text(body, BODY_MAX).await?;
    serde_json::from_str(&text).map_err(|error| {
        // The error's own text may show what it found.
        let (line, column) = (error.line(), error.column());
        let what = format!("the body is not JSON, at line {line}, column {column}");
        ApiError::new(Code::BadRequest, what)
    })
}

/// The body as text, of at most so many bytes.
pub(super) async fn text(body: Body, most: usize) -> Result<String, ApiError> {
    let body = tokio::time::timeout(BODY_TIME, at_most(body, most))
        .await
        .map_err(|_| ApiError::new(Code::TooSlow, "the body did not arrive within 30 seconds"))??;
    let body = body.ok_or_else(|| {
        let what = format!("the body is larger than {} KiB", most >> 10);
        ApiError::new(Code::TooLarge, what)
    })?;
    String::from_utf8(body).map_err(|_| ApiError::new(Code::BadRequest, "the body is not UTF-8"))
}

/// All of an answer of ours.
pub(super) async fn whole(body: Body) -> Result<Vec<u8>, ApiError> {
    Ok(at_most(body, usize::MAX).await?.unwrap_or_default())
}

/// The body, unless it has more than `most` bytes.
async fn at_most(body: Body, most: usize) -> Result<Option<Vec<u8>>, ApiError> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(Code::BadRequest, "the body broke off"))?;
        if all.len() + chunk.len() > most {
            return Ok(None);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(Some(all))
}
