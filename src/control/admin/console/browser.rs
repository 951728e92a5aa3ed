//! What browsers send and are sent: forms, cookies, where a form comes from, where to go next.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use maud::Markup;

use super::api::Fault;
use crate::admin::context::{asked, escaped};
use crate::admin::state::AdminState;
use crate::admin::{query, router};
use tollgate_config::Config;

/// A cookie: its name, the paths that it goes to, whether it goes along from elsewhere.
pub(super) struct Cookie(&'static str, &'static str, &'static str);

/// The cookie of a session.
pub(super) const SESSION: Cookie = Cookie("tollgate-console", "/", "Strict");
/// The cookie of a sign-in by the identity provider, whose step leads back.
pub(super) const SIGNING: Cookie = Cookie("tollgate-sign-in", SIGN_IN, "Lax");
/// Where to sign in.
pub(super) const SIGN_IN: &str = "/console/sign-in";
/// Where the way to the identity provider begins.
pub(super) const BEGIN: &str = "/console/sign-in/oidc";

/// The fields of a form of at most so many bytes; none if nothing was posted.
///
/// # Errors
///
/// 4xx: it is no form, or cannot be read.
pub(super) async fn form(
    post: bool,
    headers: &HeaderMap,
    (body, most): (Body, usize),
) -> Result<Vec<(String, String)>, Fault> {
    if !post {
        return Ok(Vec::new());
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        let msg =
            "Forms are sent as application/x-www-form-urlencoded; programs use the API, see /docs.";
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, msg));
    }
    let text = router::text(body, most).await.map_err(Fault::of)?;
    query::form(&text).map_err(Fault::of)
}

/// Whether a form is the console's own, as far as the browser says where it comes from.
pub(super) fn is_own(state: &AdminState, uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = |url: &str| {
        let (_, rest) = url.split_once("://")?;
        rest.split('/').next().map(str::to_ascii_lowercase)
    };
    let origin = origin.to_str().ok().and_then(host);
    let here = host(&asked(state.scheme(), uri, headers));
    let public = state.public_url().and_then(host);
    origin.is_some() && (origin == here || origin == public)
}

/// Whether a target is a page of the console, and nothing that leads elsewhere.
pub(super) fn is_page(target: &str) -> bool {
    let plain = target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let known = target == "/" || target.starts_with("/?") || target.starts_with("/console/");
    plain && known
}

impl Cookie {
    /// Its value in a request.
    pub(super) fn of<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let cookies = headers.get_all(header::COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.0).then_some(value)
        })
    }

    /// The answer with it, for so many seconds; where browsers speak TLS, for TLS alone.
    pub(super) fn on(
        &self,
        mut response: Response,
        state: &AdminState,
        value: &str,
        seconds: u64,
    ) -> Response {
        let Cookie(name, path, same_site) = self;
        let secure = match state.scheme() {
            "https" => "; Secure",
            _ => "",
        };
        let cookie = format!(
            "{name}={value}; Path={path}; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}"
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// To the sign-in, and from there to what was asked for.
pub(super) fn to_sign_in(uri: &Uri) -> Response {
    let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
    match asked {
        "/" | "/console" => see(SIGN_IN),
        asked => see(&format!("{SIGN_IN}?next={}", escaped(asked))),
    }
}

/// The answer that leads to another page.
pub(super) fn see(target: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(target) = HeaderValue::from_str(target) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}

/// The answer that is a page.
pub(super) fn html(status: StatusCode, markup: Markup) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], markup.into_string()).into_response()
}

/// Where applications reach the proxy; `url` is where the console was asked for.
pub(super) fn proxy(config: &Config, url: &str) -> String {
    let tls = config.proxy.tls.iter().flat_map(|tls| &tls.listen);
    let plain = config.proxy.listen.iter().map(|address| ("http", address));
    let Some((scheme, address)) = tls.map(|address| ("https", address)).chain(plain).next() else {
        return "http://localhost:8080".to_owned();
    };
    if !address.ip().is_unspecified() {
        return format!("{scheme}://{address}");
    }
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    format!("{scheme}://{host}:{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_the_console_and_nowhere_else() {
        for target in ["/", "/?period=day", "/console/requests?model=a%20b"] {
            assert!(is_page(target), "{target}");
        }
        for target in [
            "",
            "//evil.example",
            "https://evil.example",
            "/docs",
            "/console/\r\nx: y",
            "/console/\\evil",
            "/console",
        ] {
            assert!(!is_page(target), "{target}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let id = "A".repeat(43);
        let mut headers = HeaderMap::new();
        let found = |headers: &HeaderMap| SESSION.of(headers).map(str::to_owned);
        assert_eq!(found(&headers), None);
        let cookies = format!("a=b; tollgate-console={id};c=d");
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        assert_eq!(found(&headers), Some(id));
    }
}
