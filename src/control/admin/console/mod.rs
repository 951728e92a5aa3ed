//! The console: the admin API for people, at `/` of the operators' listener.
//!
//! ```text
//!   request ─► session ─► caller ─► page ─► calls of the API (api.rs) ─► HTML (view.rs)
//!                 └─ none: the sign-in, and nothing else
//! ```
//!
//! Pages are rendered here, whole, and can be read without JavaScript; what they show and change is the API's, asked for
//! the session's caller. Invariants: before the sign-in nothing is shown; nothing is changed without the session's form
//! token; a page refers to nothing that is elsewhere, which its policy enforces.

mod accounts;
mod alerts;
mod api;
mod assets;
mod audit;
mod books;
mod browser;
mod budgets;
mod catalog;
mod chart;
mod configurations;
mod credits;
mod entrance;
mod fleet;
mod format;
mod forms;
mod key_form;
mod keys;
mod limits;
mod oidc;
mod overview;
mod person;
mod plans;
mod playground;
mod provider;
mod providers;
mod requests;
mod rules;
mod serving;
mod sessions;
mod snippets;
mod sum;
mod tag_budgets;
mod usage;
mod view;
mod visit;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures::FutureExt as _;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;

use self::api::{Api, Fault, From};
use self::browser::{SESSION, SIGN_IN, form, html, is_own, is_page, proxy, see, to_sign_in};
use self::oidc::Signing;
use self::person::Acting;
use self::sessions::{Id, Sessions, Who};
use self::visit::{Answer, Answered, Visit};
use super::context::base;
use super::operation::Needs;
use super::state::AdminState;
use super::{auth, query, router};
use crate::Caller;
use tollgate_base::clock;
use tollgate_config::secrets::token;

/// A page that is asked for again by its own script, and not by a person.
const LIVE: &str = "x-console-live";

/// Largest form of a sign-in, in bytes.
const SIGN_IN_MAX: usize = 8 << 10;

/// Chats under way at once.
const CHATS: usize = 16;

/// What a page may do and refer to: itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer carries besides what all of the listener do.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    // Forms must say where they come from.
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The routes; `api` is the admin API alone.
pub(super) fn routes(api: Router) -> Router<AdminState> {
    let console = Arc::new(Console {
        api: Api(api),
        sessions: Sessions::default(),
        chats: Arc::new(Semaphore::new(CHATS)),
        signing: Signing::default(),
    });
    let answer = move |State(state): State<AdminState>, request: Request| {
        let console = console.clone();
        async move { console.answer(&state, request).await }
    };
    Router::new()
        .route("/", get(answer.clone()))
        .route("/console", get(answer.clone()))
        .route("/console/{*path}", any(answer))
}

struct Console {
    api: Api,
    sessions: Sessions,
    /// How many more chats may be under way.
    chats: Arc<Semaphore>,
    signing: Signing,
}

impl Console {
    async fn answer(&self, state: &AdminState, request: Request) -> Response {
        let answered = AssertUnwindSafe(self.answered(state, request));
        let mut response = match answered.catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(fault)) => html(fault.status, entrance::refused(&fault)),
            Err(_) => {
                log::error!("console: a page panicked");
                let msg = "A fault of the gateway; its log says more.";
                let fault = Fault::new(StatusCode::INTERNAL_SERVER_ERROR, msg);
                html(fault.status, entrance::refused(&fault))
            }
        };
        response.headers_mut().extend(HEADERS);
        response
    }

    async fn answered(&self, state: &AdminState, request: Request) -> Result<Response, Fault> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let post = match parts.method {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => return Err(no_method()),
        };
        if let Some(name) = path.strip_prefix("/console/assets/") {
            return match post {
                true => Err(no_method()),
                false => assets::file(name).ok_or_else(api::missing),
            };
        }
        if post && !is_own(state, &parts.uri, &parts.headers) {
            let msg = "This form came from another site, or its sender is not told: open the console and try again.";
            return Err(Fault::new(StatusCode::FORBIDDEN, msg));
        }
        let query = query::pairs(parts.uri.query().unwrap_or_default()).map_err(Fault::of)?;
        let ConnectInfo(address) = *parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .unwrap_or(&ConnectInfo(SocketAddr::from(([0; 4], 0))));
        let live = parts.headers.contains_key(LIVE);
        let asked = query::first(&query, "account");
        let signed_in = self.signed_in(state, &parts.headers, asked, !live);
        if oidc::is_way(path) {
            return match post {
                true => Err(no_method()),
                false => self.by_provider(state, address.ip(), &parts, &query).await,
            };
        }
        if path == SIGN_IN {
            // Whoever is not known yet is not listened to for long.
            let form = form(post, &parts.headers, (body, SIGN_IN_MAX)).await?;
            let is_in = signed_in.is_some();
            return self.sign_in(state, address, post.then_some(&form), (&query, is_in));
        }
        let Some((id, Acting { caller, accounts })) = signed_in else {
            return not_signed_in(live, post, &parts.uri);
        };
        let form = form(post, &parts.headers, (body, router::BODY_MAX)).await?;
        let token = query::first(&form, "form-token");
        if post && !token.is_some_and(|token| id.has_form_token(token)) {
            let msg = "This form is of another session: go back, load the page again, and send it once more.";
            return Err(Fault::new(StatusCode::FORBIDDEN, msg));
        }
        if path == "/console/sign-out" {
            return match post {
                true => Ok(self.sign_out(state, id, &caller).await),
                false => Err(no_method()),
            };
        }
        let url = base(state, &parts.uri, &parts.headers);
        let visit = Visit {
            api: self.api.clone(),
            from: From { caller, address },
            accounts,
            form_token: id.form_token(),
            path: path.to_owned(),
            query,
            form,
            proxy: proxy(&state.control().config(), &url),
            process: state.process_handle(),
            chats: self.chats.clone(),
        };
        let answer = match page(&visit, post).await {
            Ok(answer) => answer,
            Err(fault) => view::failed(&visit, fault).await,
        };
        Ok(match answer {
            Answer::Page(status, markup) => html(status, markup),
            Answer::See(target) => see(&target),
            Answer::Other(response) => response,
        })
    }

    /// Whose session this is, and what they are for the account that is asked for.
    fn signed_in(
        &self,
        state: &AdminState,
        headers: &HeaderMap,
        asked: Option<&str>,
        used: bool,
    ) -> Option<(Id, Acting)> {
        let id = SESSION.of(headers).and_then(Id::read)?;
        let (acting, is_sure) = match self.sessions.find(&id, used, clock::now())? {
            Who::Key(key) => {
                let accounts = Vec::new();
                let caller = state.login_by(&key);
                let acting = caller.map(|caller| Acting { caller, accounts });
                (acting, state.control().is_complete())
            }
            Who::Person(person) => {
                let config = state.control().config();
                let oidc = config.admin.oidc.as_ref();
                (oidc.and_then(|oidc| person.acting(oidc, asked)), true)
            }
        };
        if acting.is_none() && is_sure {
            self.sessions.end(&id);
        }
        Some((id, acting?))
    }

    /// The sign-in page, and what its form does. `is_in`: there is a session already.
    fn sign_in(
        &self,
        state: &AdminState,
        address: SocketAddr,
        form: Option<&Vec<(String, String)>>,
        (query, is_in): (&[(String, String)], bool),
    ) -> Result<Response, Fault> {
        let config = state.control().config();
        let oidc = config.admin.oidc.as_ref().map(|oidc| (oidc, None));
        let next = query::first(form.map_or(query, Vec::as_slice), "next");
        let next = next.filter(|next| is_page(next)).unwrap_or("/");
        let Some(form) = form else {
            return Ok(match is_in {
                true => see(next),
                false => html(StatusCode::OK, entrance::sign_in(next, None, oidc)),
            });
        };
        let key = query::first(form, "key").unwrap_or_default().trim();
        let now = clock::now();
        let caller = auth::caller_with(state, address.ip(), Some(key), now)
            .and_then(|caller| auth::allow(&caller, Needs::Usage).map(|()| caller));
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => {
                let fault = Fault::of(error);
                let page = entrance::sign_in(next, Some(&fault), oidc);
                return Ok(html(fault.status, page));
            }
        };
        let (who, account) = (Who::Key(token::digest(key)), caller.account.clone());
        let id = self.sessions.begin(who, account, now);
        let id = id.map_err(|error| Fault::of(super::error::ApiError::internal(error)))?;
        log::info!("console: {} signed in from {}", caller.id, address.ip());
        let lasts = sessions::LONGEST.as_secs();
        Ok(SESSION.on(see(next), state, &id.text(), lasts))
    }

    async fn sign_out(&self, state: &AdminState, id: Id, caller: &Caller) -> Response {
        let who = self.sessions.find(&id, false, clock::now());
        self.sessions.end(&id);
        log::info!("console: {} signed out", caller.id);
        let there = match who {
            Some(Who::Person(person)) => self.farewell(state, id, person).await,
            _ => None,
        };
        SESSION.on(there.unwrap_or_else(|| see(SIGN_IN)), state, "", 0)
    }
}

/// The page that is asked for, or what its form does.
async fn page(visit: &Visit, post: bool) -> Answered {
    let path = visit.path.strip_prefix("/console").unwrap_or(&visit.path);
    let decoded = path.split('/').filter(|segment| !segment.is_empty());
    let decoded: Result<Vec<_>, _> = decoded
        .map(|segment| percent_decode_str(segment).decode_utf8())
        .collect();
    let segments = decoded.map_err(|_| api::missing())?;
    let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
    match (post, &segments[..]) {
        (false, []) if visit.path == "/" => overview::show(visit).await,
        (false, []) => Ok(Answer::See(visit.to("/", &[]))),
        (false, ["requests"]) => requests::list(visit).await,
        (false, ["requests", id]) => requests::show(visit, id).await,
        (false, ["usage"]) => usage::show(visit).await,
        (false, ["playground"]) => playground::show(visit).await,
        (true, ["playground"]) => playground::send(visit).await,
        (false, ["credits"]) => credits::show(visit).await,
        (true, ["credits"]) => credits::grant(visit).await,
        (false, ["books"]) => books::show(visit).await,
        (false, ["alerts"]) => alerts::show(visit).await,
        (false, ["fleet"]) => fleet::show(visit).await,
        (_, ["access-keys", rest @ ..]) => keys::answer(visit, &keys::ACCESS, post, rest).await,
        (_, ["api-keys", rest @ ..]) => keys::answer(visit, &keys::API, post, rest).await,
        (_, ["configurations", rest @ ..]) => configurations::answer(visit, post, rest).await,
        (_, ["budgets", rest @ ..]) => budgets::answer(visit, post, rest).await,
        (_, ["providers", rest @ ..]) => providers::answer(visit, post, rest).await,
        (false, ["catalog"]) => catalog::list(visit).await,
        (false, ["catalog", id]) => catalog::show(visit, id).await,
        (false, ["accounts"]) => accounts::show(visit).await,
        (true, ["accounts"]) => accounts::create(visit).await,
        (false, ["audit-log"]) => audit::show(visit).await,
        (post, _) => Err(not_there(post)),
    }
}

/// What is said where nothing is, or nothing that takes a form.
fn not_there(post: bool) -> Fault {
    if post { no_method() } else { api::missing() }
}

/// Answers whoever has no session (any more): a form that was filled in is not to be lost.
fn not_signed_in(live: bool, post: bool, uri: &Uri) -> Result<Response, Fault> {
    if live {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    }
    if post {
        let msg = "Your session has ended, and nothing was changed. Go back to keep what you typed, sign in \
                   again in another tab, and load the form anew.";
        return Err(Fault::new(StatusCode::UNAUTHORIZED, msg));
    }
    Ok(to_sign_in(uri))
}

fn no_method() -> Fault {
    let msg =
        "This address does not take such requests: pages are read, and only their forms are sent.";
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, msg)
}
