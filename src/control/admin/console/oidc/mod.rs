//! Sign-in by OpenID Connect: the authorization code flow with PKCE.
//!
//! ```text
//!   /console/sign-in/oidc ─► cookie, to the provider ─► /console/sign-in/callback ─► session
//! ```
//!
//! A random secret in a short-lived cookie binds the way back to the browser that went: state, nonce and PKCE's verifier
//! are its digests, so that nothing is kept here meanwhile. Who has not the cookie cannot come back, and the provider
//! takes a code once.

mod provider;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;

use self::provider::{Failure, Provider, Sign};
use super::api::{self, Fault};
use super::browser::{BEGIN, SESSION, SIGNING, html, is_page, see};
use super::person::{Person, plain};
use super::sessions::{self, Id, Who};
use super::{Console, entrance};
use crate::admin::auth;
use crate::admin::context::{base, escaped};
use crate::admin::error::ApiError;
use crate::admin::query;
use crate::admin::state::AdminState;
use tollgate_base::clock;
use tollgate_config::Oidc;
use tollgate_config::secrets::token;

/// Where the provider leads back to.
const CALLBACK: &str = "/console/sign-in/callback";
/// How many seconds the cookie in between lasts.
const LASTS: u64 = 600;
/// Longest code of a provider, in bytes.
const CODE_MAX: usize = 4_096;
/// Sign-ins that a provider is asked about at once.
const AT_ONCE: usize = 8;

/// Sign-ins by the identity provider.
pub(super) struct Signing {
    provider: Arc<Provider>,
    places: Arc<Semaphore>,
}

impl Default for Signing {
    fn default() -> Signing {
        Signing {
            provider: Arc::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// A request on the way to the provider, or back.
struct Step<'a> {
    state: &'a AdminState,
    oidc: &'a Oidc,
    address: IpAddr,
    query: &'a [(String, String)],
    /// Where the provider leads back to.
    redirect: String,
    /// The page that is wanted in the end.
    next: String,
}

/// Whether a path is one of the way to the provider and back.
pub(super) fn is_way(path: &str) -> bool {
    path == BEGIN || path == CALLBACK
}

impl Step<'_> {
    fn field(&self, name: &str) -> &str {
        query::first(self.query, name).unwrap_or_default()
    }

    /// The sign-in again, with what is wrong.
    fn refused(&self, fault: &Fault) -> Response {
        let page = entrance::sign_in(&self.next, None, Some((self.oidc, Some(fault))));
        html(fault.status, page)
    }

    /// Whether the provider leads back the browser that went: the state is of its cookie, and the issuer, if it is told, the
    /// one that was asked.
    fn is_of(&self, id: &Id) -> bool {
        let sent = Id::digest_in(self.field("state"));
        let issuer = self.field("iss");
        let is_ours = issuer.is_empty() || issuer == self.oidc.issuer;
        is_ours && sent.is_some_and(|sent| token::same(&sent, &id.digest("state")))
    }
}

impl Console {
    /// The way to the provider, and back.
    pub(super) async fn by_provider(
        &self,
        state: &AdminState,
        address: IpAddr,
        parts: &Parts,
        query: &[(String, String)],
    ) -> Result<Response, Fault> {
        let config = state.control().config();
        let oidc = config.admin.oidc.as_ref().ok_or_else(api::missing)?;
        let begins = parts.uri.path() == BEGIN;
        let cookie = SIGNING.of(&parts.headers).unwrap_or_default();
        let (id, kept) = cookie.split_once('.').unwrap_or((cookie, ""));
        let mut step = Step {
            state,
            oidc,
            address,
            query,
            redirect: format!("{}{CALLBACK}", base(state, &parts.uri, &parts.headers)),
            next: String::new(),
        };
        let next = match begins {
            true => step.field("next").to_owned(),
            false => percent_decode_str(kept).decode_utf8_lossy().into_owned(),
        };
        let next = Some(next).filter(|next| is_page(next));
        step.next = next.unwrap_or_else(|| "/".to_owned());
        match (begins, Id::read(id)) {
            (true, _) => self.goes(&step).await,
            (false, Some(id)) if step.is_of(&id) => {
                let answer = self.returns(&step, id).await?;
                Ok(SIGNING.on(answer, state, "", 0))
            }
            (false, _) => Ok(step.refused(&stale())),
        }
    }

    /// To the provider.
    async fn goes(&self, step: &Step<'_>) -> Result<Response, Fault> {
        let id = Id::random().map_err(|error| Fault::of(ApiError::internal(error)))?;
        let asked = self.asked(step, id, |provider, sign| provider.address(sign));
        Ok(match asked.await {
            Ok(to) => {
                let value = format!("{}.{}", id.text(), escaped(&step.next));
                SIGNING.on(see(&to), step.state, &value, LASTS)
            }
            Err(fault) => step.refused(&fault),
        })
    }

    /// Back from the provider.
    async fn returns(&self, step: &Step<'_>, id: Id) -> Result<Response, Fault> {
        let (oidc, address, state) = (step.oidc, step.address, step.state);
        let code = step.field("code").to_owned();
        if code.is_empty() || code.len() > CODE_MAX {
            let said = plain(step.field("error"));
            log::warn!("console: nobody signed in from {address}: the provider says {said:?}");
            let msg = format!("{} did not sign you in ({said}). Try again.", oidc.shown);
            return Ok(step.refused(&Fault::new(StatusCode::FORBIDDEN, msg)));
        }
        // Nobody has the provider asked about codes that were made up, again and again.
        if let Some(error) = auth::slow_down(state, address, clock::now()) {
            return Ok(step.refused(&Fault::of(error)));
        }
        let asked = self.asked(step, id, move |provider, sign| provider.person(sign, code));
        let person = match asked.await {
            Ok(person) => person,
            Err(fault) => {
                auth::guessed(state, address, clock::now());
                return Ok(step.refused(&fault));
            }
        };
        let Some(acting) = person.acting(oidc, None) else {
            let name = person.name();
            log::warn!("console: {name} from {address} is in no group that has a role");
            return Ok(html(StatusCode::FORBIDDEN, entrance::unmapped(&person)));
        };
        log::info!("console: {} signed in from {address}", person.name());
        let (who, account) = (Who::Person(Arc::new(person)), acting.caller.account);
        let session = self.sessions.begin(who, account, clock::now());
        let session = session.map_err(|error| Fault::of(ApiError::internal(error)))?;
        // After a redirect it would still be the provider's step, with which the session's cookie does not go.
        let page = html(StatusCode::OK, entrance::onwards("Signed in", &step.next));
        let lasts = sessions::LONGEST.as_secs();
        Ok(SESSION.on(page, state, &session.text(), lasts))
    }

    /// Signs somebody out at the provider as well, if it can be told: the answer that leads there.
    pub(super) async fn farewell(
        &self,
        state: &AdminState,
        id: Id,
        person: Arc<Person>,
    ) -> Option<Response> {
        let config = state.control().config();
        let step = Step {
            state,
            oidc: config.admin.oidc.as_ref()?,
            address: Ipv4Addr::UNSPECIFIED.into(),
            query: &[],
            redirect: String::new(),
            next: String::new(),
        };
        let asked = self.asked(&step, id, move |provider, sign| {
            provider.farewell(sign, &person)
        });
        let to = asked.await.ok()??;
        Some(html(StatusCode::OK, entrance::onwards("Signed out", &to)))
    }

    /// Asks the provider, on a thread that may wait.
    async fn asked<T: Send + 'static>(
        &self,
        step: &Step<'_>,
        id: Id,
        ask: impl FnOnce(&Provider, &Sign<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Fault> {
        let busy = || {
            let msg = "Too many sign in just now: try again.";
            Fault::new(StatusCode::SERVICE_UNAVAILABLE, msg)
        };
        let place = self.signing.places.clone().try_acquire_owned();
        let place = place.map_err(|_| busy())?;
        let fetch = step.state.fetch().ok_or_else(api::missing)?;
        let provider = self.signing.provider.clone();
        let (oidc, redirect) = (step.oidc.clone(), step.redirect.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let sign = Sign {
                oidc: &oidc,
                fetch: &fetch,
                redirect,
                id,
            };
            let done = ask(&provider, &sign).map_err(|failure| fault(&oidc, failure));
            drop(place);
            done
        });
        asked.await.unwrap_or_else(|_| Err(busy()))
    }
}

/// What is said to whom the provider does not help.
fn fault(oidc: &Oidc, failure: Failure) -> Fault {
    let shown = &oidc.shown;
    let (status, why, msg) = match failure {
        Failure::Away(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            why,
            format!("{shown} cannot be asked just now. Try again, or sign in with an API key."),
        ),
        Failure::Refused(why) => (
            StatusCode::FORBIDDEN,
            format!("it answers {why}"),
            format!("{shown} does not know this sign-in: it may have been used before. Try again."),
        ),
        Failure::Unbelievable(why) => (
            StatusCode::FORBIDDEN,
            why,
            format!("What {shown} says of you is not believed; the gateway's log says why."),
        ),
    };
    log::warn!("console: no sign-in by {shown}: {why}");
    Fault::new(status, msg)
}

/// What is said of a way back that this browser has not gone, or too long ago.
fn stale() -> Fault {
    let msg =
        "This sign-in was not begun in this browser, or more than ten minutes ago. Try again.";
    Fault::new(StatusCode::FORBIDDEN, msg)
}
