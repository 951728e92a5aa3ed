//! What must hold for whatever headers arrive.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_failover::retry_after;
use tollgate_failover::retry_after::LONGEST;
use tollgate_wire::Surface;
use tollgate_wire::coding::Coding;
use tollgate_wire::headers::{asked, may_return};

/// What belongs to one connection or one side, and is never the other side's.
const OWN: [&str; 23] = [
    "alt-svc",
    "api-key",
    "authorization",
    "connection",
    "content-encoding",
    "cookie",
    "host",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "upgrade",
    "www-authenticate",
    "x-api-key",
    "x-forwarded-for",
    "x-tollgate-failover",
    "x-tollgate-session",
];

/// Lines `name: value`.
pub fn head(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(256) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    answered(&headers);
    for called in Surface::ALL {
        for calls in Surface::ALL {
            sent(&headers, (called, calls));
        }
    }
}

/// A provider's answer: nothing of its connection passes, and no key cools down for longer than it may.
fn answered(headers: &HeaderMap) {
    drop(Coding::of(headers));
    for name in headers.keys() {
        let passes = [true, false].map(|own_key| may_return(name, own_key));
        assert!(passes[0] || !passes[1], "{name} passes with one's own key");
        let own = OWN.contains(&name.as_str());
        assert!(!own || passes == [false; 2], "{name} stays here");
    }
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let walls = [0, 1_800_000_000, 1 << 40].map(Duration::from_secs);
    for wall in walls {
        let wait = retry_after(header, UNIX_EPOCH + wall);
        assert!(wait.is_none_or(|wait| wait <= LONGEST));
    }
    assert!(
        retry_after(header, SystemTime::UNIX_EPOCH - LONGEST).is_none_or(|wait| wait <= LONGEST)
    );
}

/// A client's request: what passes is what came, without its credentials and what is of its connection.
fn sent(headers: &HeaderMap, surfaces: (Surface, Surface)) {
    let forwarded = ["x-own-".to_owned(), "x-one".to_owned()];
    let mut left_out = Vec::new();
    let kept = asked(headers, surfaces, &forwarded, 8, |name| {
        left_out.push(name.clone());
    });
    let named: Vec<&[u8]> = headers
        .get_all("connection")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    for name in kept.keys() {
        let own = OWN.contains(&name.as_str());
        assert!(!own, "{name} stays here");
        let values =
            |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values(&kept), values(headers), "{name} passes as it came");
        assert!(!left_out.contains(name), "{name}");
        let text = name.as_str().as_bytes();
        assert!(!named.iter().any(|named| named.eq_ignore_ascii_case(text)));
    }
}
