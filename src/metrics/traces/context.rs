//! A request's place in its trace: the W3C's Trace Context (<https://www.w3.org/TR/trace-context/>) and Baggage.
//!
//! Invariant: ids are never 0, and what is malformed is as if it were not there.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use tollgate_base::random;

/// Whose child a request is.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What the tracing systems before it keep in it; means nothing without a parent.
pub static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
static BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The longest `tracestate` that a span keeps, in bytes; everybody has to pass on so many.
const LONGEST_STATE: usize = 512;

/// The length of a `traceparent` of version 00, in bytes.
const LENGTH: usize = 55;

/// The flag of what is traced.
const SAMPLED: u8 = 1;
/// The flag of an id whose last seven bytes are random.
const RANDOM: u8 = 2;

/// A request's place in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace's id.
    pub id: u128,
    /// The id of the request's own span.
    pub span: u64,
    /// The client's span, if it named one.
    pub parent: Option<u64>,
    /// Whether it is traced: because its client's is, or without one by its share.
    pub sampled: bool,
    flags: u8,
}

impl Trace {
    /// Returns the place of a request with these headers. `share`, 0 to 1, of those without a parent are traced.
    pub fn begin(headers: &HeaderMap, share: f64) -> Trace {
        let mut sent = headers.get_all(&TRACEPARENT).iter();
        let parent = match (sent.next(), sent.next()) {
            (Some(one), None) => parse(one.as_bytes()),
            _ => None,
        };
        if let Some((id, parent, flags)) = parent {
            let sampled = flags & SAMPLED != 0;
            return Trace {
                id,
                span: span_id(),
                parent: Some(parent),
                sampled,
                flags: flags & (SAMPLED | RANDOM),
            };
        }
        let (high, low) = random::bits128();
        // 53 bits are what a float has.
        let sampled = ((low >> 11) as f64) < share * (1_u64 << 53) as f64;
        Trace {
            id: (u128::from(high) << 64 | u128::from(low)).max(1),
            span: span_id(),
            parent: None,
            sampled,
            flags: u8::from(sampled),
        }
    }

    /// Returns the `traceparent` of whoever is called by the span with this id; `None` never.
    pub fn traceparent(&self, span: u64) -> Option<HeaderValue> {
        let text = format!("00-{:032x}-{span:016x}-{:02x}", self.id, self.flags);
        HeaderValue::try_from(text).ok()
    }

    /// Returns the flags that its spans have.
    pub fn flags(&self) -> u8 {
        self.flags
    }
}

/// Returns an id for a span.
pub fn span_id() -> u64 {
    random::bits64().max(1)
}

/// Returns a `traceparent`'s ids of trace and span, and its flags. Of later versions, what this one knows is read.
fn parse(text: &[u8]) -> Option<(u128, u64, u8)> {
    let head = text.get(..LENGTH)?;
    let (version, flags) = (hex(&head[..2])?, hex(&head[53..])?);
    let (id, span) = (hex(&head[3..35])?, hex(&head[36..52])?);
    let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    let ends = match text.get(LENGTH) {
        None => true,
        Some(next) => version > 0 && *next == b'-',
    };
    let (span, flags) = (u64::try_from(span).ok()?, u8::try_from(flags).ok()?);
    (dashes && ends && version != 0xff && id != 0 && span != 0).then_some((id, span, flags))
}

/// Returns a number of lower-case hexadecimal digits, at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Returns the `tracestate` that came with a parent; empty if there is none, or it is longer than 512 bytes.
pub(super) fn state(headers: &HeaderMap) -> String {
    let values = headers.get_all(&TRACESTATE).iter();
    let values: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
    let state = values.unwrap_or_default().join(",");
    if state.len() > LONGEST_STATE {
        return String::new();
    }
    state
}

/// Returns those members of a request's `baggage` that have one of these names, the first of each.
pub(super) fn baggage<'n>(headers: &HeaderMap, names: &'n [String]) -> Vec<(&'n str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let values = headers.get_all(&BAGGAGE).iter();
    for member in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (member, _properties) = member.split_once(';').unwrap_or((member, ""));
        let Some((key, value)) = member.split_once('=') else {
            continue;
        };
        let Some(name) = names.iter().find(|name| *name == key.trim()) else {
            continue;
        };
        if !found.iter().any(|(known, _)| known == name) {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            found.push((name, value.into_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            let name = HeaderName::from_static(name);
            headers.append(name, value.parse().expect("a header's value"));
        }
        headers
    }

    #[test]
    fn a_clients_trace_goes_on() {
        for (sent, sampled) in [
            (SENT.to_owned(), true),
            (SENT.replace("-01", "-00"), false),
            (SENT.replace("-01", "-fd"), true),
            (SENT.replacen("00-", "cc-", 1), true),
            (SENT.replacen("00-", "cc-", 1) + "-what-comes", true),
        ] {
            let trace = Trace::begin(&headers(&[("traceparent", &sent)]), 0.5);
            assert_eq!(trace.id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
            assert_eq!(trace.parent, Some(0xb7ad_6b71_6920_3331), "{sent}");
            assert_eq!(trace.sampled, sampled, "{sent}");
            let told = trace.traceparent(7).unwrap();
            let flags = u8::from(sampled);
            let expected = format!("00-0af7651916cd43dd8448eb211c80319c-0000000000000007-0{flags}");
            assert_eq!(told, &*expected, "{sent}");
        }
    }

    #[test]
    fn what_is_malformed_is_as_if_it_were_not_there() {
        for sent in [
            "",
            "00-1-2-3",
            &SENT[..54],
            &format!("{SENT}-more"),
            &format!("{SENT}0"),
            &SENT.to_uppercase(),
            &SENT.replacen("00-", "ff-", 1),
            &SENT.replacen('-', "_", 1),
            &SENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &SENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &SENT.replace("b7ad", "b7ag"),
        ] {
            let trace = Trace::begin(&headers(&[("traceparent", sent)]), 1.0);
            assert_eq!(trace.parent, None, "{sent:?}");
            assert!(trace.sampled && trace.id != 0 && trace.span != 0);
        }
        let two = headers(&[("traceparent", SENT), ("traceparent", SENT)]);
        assert_eq!(Trace::begin(&two, 1.0).parent, None);
    }

    #[test]
    fn a_share_is_about_a_share() {
        let none = HeaderMap::new();
        for (share, least, most) in [(0.0, 0, 0), (0.1, 700, 1_300), (1.0, 10_000, 10_000)] {
            let sampled = (0..10_000).filter(|_| Trace::begin(&none, share).sampled);
            let sampled = sampled.count();
            assert!(
                (least..=most).contains(&sampled),
                "{sampled} of 10,000 at {share}"
            );
        }
    }

    #[test]
    fn only_named_members_of_the_baggage_are_kept() {
        let sent = headers(&[
            ("baggage", "tenant=a%20b;p=1, other=x,broken"),
            ("baggage", "tenant=again, tier = gold "),
        ]);
        let names = ["tier".to_owned(), "tenant".to_owned()];
        let kept = baggage(&sent, &names);
        let expected = [("tenant", "a b".to_owned()), ("tier", "gold".to_owned())];
        assert_eq!(kept, expected);
        let long = "x".repeat(LONGEST_STATE + 1);
        assert_eq!(state(&headers(&[("tracestate", &long)])), "");
        let two = headers(&[("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(state(&two), "a=1,b=2");
    }

    proptest! {
        #[test]
        fn what_is_told_is_understood(id: u128, span: u64, parent in 1_u64.., flags: u8) {
            let sent = format!("00-{:032x}-{parent:016x}-{flags:02x}", id.max(1));
            let trace = Trace::begin(&headers(&[("traceparent", &sent)]), 0.0);
            prop_assert_eq!((trace.id, trace.parent), (id.max(1), Some(parent)));
            let told = trace.traceparent(span.max(1)).unwrap();
            let expected = (id.max(1), span.max(1), flags & 3);
            prop_assert_eq!(parse(told.as_bytes()), Some(expected));
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            parse(&text);
        }
    }
}
