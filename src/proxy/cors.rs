//! What a browser asks before it lets an application of another origin call the gateway (Fetch, "CORS protocol").
//!
//! Applications send their access key in a header of their own, never in a cookie, so that credentials in Fetch's sense
//! are not allowed: an origin that is let in may call with the keys that it has, and with no others.

use http::{HeaderName, HeaderValue, Method, header};
use pingora_http::RequestHeader;

use tollgate_config::Cors;

/// Headers that every answer gets.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// What an application may read of an answer besides its body. Old browsers do not know `*`.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "*, request-id, retry-after, x-request-id, x-tollgate-attempts, x-tollgate-budget-remaining, x-tollgate-cost, \
     x-tollgate-dropped, x-tollgate-model, x-tollgate-provider",
);

/// What an application may call with.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");

/// Returns what every answer to this request says to its browser; nothing if no origin is let in.
pub fn headers(cors: Option<&Cors>, head: &RequestHeader) -> Headers {
    let Some(cors) = cors else {
        return Headers::new();
    };
    let mut headers = Headers::new();
    if !cors.any {
        headers.push((header::VARY, HeaderValue::from_static("Origin")));
    }
    if let Some(origin) = allowed(cors, head) {
        headers.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        headers.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED));
    }
    headers
}

/// Returns the answer to a browser that asks before it sends an application's request; `None` for all other requests.
pub fn preflight(cors: Option<&Cors>, head: &RequestHeader) -> Option<Headers> {
    let cors = cors?;
    let asks = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks.filter(|_| head.method == Method::OPTIONS)?;
    let vary = match cors.any {
        true => "Access-Control-Request-Headers",
        false => "Origin, Access-Control-Request-Headers",
    };
    let mut answer = vec![
        (header::VARY, HeaderValue::from_static(vary)),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed(cors, head)?),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (
            header::ACCESS_CONTROL_MAX_AGE,
            cors.max_age.as_secs().into(),
        ),
    ];
    // What SDKs send differs from one to the next, and what goes on to a provider is decided elsewhere.
    if let Some(asked) = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.push((header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone()));
    }
    Some(answer)
}

/// The origin that is let in, if the request comes from one.
fn allowed(cors: &Cors, head: &RequestHeader) -> Option<HeaderValue> {
    let origin = head.headers.get(header::ORIGIN)?;
    if cors.any {
        return Some(HeaderValue::from_static("*"));
    }
    let is = |known: &String| known.as_bytes() == origin.as_bytes();
    cors.origins.iter().any(is).then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(method: &str, headers: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut head = RequestHeader::build(method, b"/v1/messages", None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn said(headers: Option<Headers>) -> Vec<String> {
        let line = |(name, value): (HeaderName, HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        headers.into_iter().flatten().map(line).collect()
    }

    #[test]
    fn only_who_is_let_in_is_told_so() {
        let one = Cors {
            any: false,
            origins: vec!["https://app.example".to_owned()],
            max_age: Duration::from_secs(600),
        };
        let any = Cors {
            any: true,
            ..one.clone()
        };
        let asks = ("access-control-request-method", "POST");
        let names = ("access-control-request-headers", "authorization,x-a");
        let (known, other) = (("origin", "https://app.example"), ("origin", "https://b"));
        let call = request("POST", &[known]);
        assert!(said(Some(headers(None, &call))).is_empty());
        let told = said(Some(headers(Some(&one), &call)));
        assert_eq!(
            told[..2],
            [
                "vary: Origin",
                "access-control-allow-origin: https://app.example"
            ]
        );
        assert!(told[2].contains("x-request-id"), "{told:?}");
        let told = said(Some(headers(Some(&one), &request("POST", &[other]))));
        assert_eq!(told, ["vary: Origin"]);
        let told = said(Some(headers(Some(&any), &request("POST", &[other]))));
        assert_eq!(told[0], "access-control-allow-origin: *");
        assert!(headers(Some(&any), &request("POST", &[])).is_empty());

        let told = said(preflight(
            Some(&one),
            &request("OPTIONS", &[known, asks, names]),
        ));
        assert_eq!(
            told,
            [
                "vary: Origin, Access-Control-Request-Headers",
                "access-control-allow-origin: https://app.example",
                "access-control-allow-methods: GET, HEAD, POST",
                "access-control-max-age: 600",
                "access-control-allow-headers: authorization,x-a",
            ]
        );
        for (cors, head) in [
            (None, request("OPTIONS", &[known, asks])),
            (Some(&one), request("OPTIONS", &[other, asks])),
            (Some(&one), request("OPTIONS", &[known])),
            (Some(&one), request("OPTIONS", &[asks])),
            (Some(&one), request("POST", &[known, asks])),
        ] {
            assert_eq!(preflight(cors, &head), None, "{head:?}");
        }
    }
}
