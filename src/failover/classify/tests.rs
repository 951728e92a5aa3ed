use super::*;

fn status(status: u16) -> Outcome {
    Outcome::Status {
        status,
        retry_after: None,
    }
}

fn event(kind: &str) -> Outcome {
    Outcome::ErrorEvent {
        status: Some(529),
        kind: kind.to_owned(),
        cause: None,
    }
}

#[test]
fn what_moves_on() {
    use ConnectFailure::*;
    for failure in [Refused, Dns, Tls, Timeout, Unreachable, Other] {
        let expected = match failure {
            Timeout => Verdict::NextProvider,
            _ => Verdict::NextCandidate,
        };
        assert_eq!(Outcome::Connect(failure).verdict(), expected, "{failure:?}");
    }
    assert_eq!(Outcome::Silent.verdict(), Verdict::NextProvider);
    for (code, cause, expected) in [
        (400, ErrorCause::Credit, Verdict::NextCandidate),
        (404, ErrorCause::Model, Verdict::NextCandidate),
        (413, ErrorCause::Limit, Verdict::NextCandidate),
        (422, ErrorCause::Key, Verdict::NextCandidate),
        (400, ErrorCause::Filter, Verdict::NextModel),
        (429, ErrorCause::Request, Verdict::NextCandidate),
    ] {
        let outcome = status(code).because(Some(cause));
        assert_eq!(outcome.verdict(), expected, "{code} {cause:?}");
        assert!(
            outcome.same_answer(&status(code)),
            "{code}: to the client it is the same"
        );
        assert!(!outcome.label().starts_with("http_"), "{code} {cause:?}");
    }
    for code in (0..=u16::MAX).filter(|code| !matches!(code, 200..=299)) {
        let expected = match code {
            401 | 402 | 403 | 408 | 409 | 425 | 429 | 300..=399 => Verdict::NextCandidate,
            400 | 404 | 413 | 422 | 405..=407 | 410..=499 => Verdict::NextModel,
            _ => Verdict::NextCandidate,
        };
        assert_eq!(status(code).verdict(), expected, "{code}");
    }
    for outcome in [
        Outcome::Timeout,
        Outcome::Reset,
        Outcome::Broken,
        Outcome::Malformed,
        Outcome::Cancelled,
    ] {
        assert_eq!(outcome.verdict(), Verdict::NextCandidate, "{outcome:?}");
    }
    assert_eq!(
        event("invalid_request_error").verdict(),
        Verdict::NextCandidate
    );
    assert_eq!(Outcome::AddressForbidden.verdict(), Verdict::NextCandidate);
    for outcome in [Outcome::ClientGone, Outcome::Drained, Outcome::CutOff] {
        assert_eq!(outcome.verdict(), Verdict::Stop, "{outcome:?}");
    }
}

#[test]
fn only_2xx_is_a_success() {
    for code in [200, 201, 204, 299] {
        assert_eq!(Outcome::of_status(code, None), None, "{code}");
    }
    for code in [100, 199, 300, 304, 400, 500] {
        assert_eq!(Outcome::of_status(code, None), Some(status(code)), "{code}");
    }
}

#[test]
fn labels_are_few() {
    let labels: std::collections::BTreeSet<_> =
        (0..=u16::MAX).map(|code| status(code).label()).collect();
    assert!(labels.len() <= 24, "{labels:?}");
    assert!(
        labels.iter().all(|label| label.starts_with("http_")),
        "{labels:?}"
    );
}

#[test]
fn lines_for_the_client() {
    let cases = [
        (status(429), "429 rate limited"),
        (status(529), "529 overloaded"),
        (status(301), "301 redirect, not followed"),
        (status(418), "418"),
        (
            Outcome::Connect(ConnectFailure::Dns),
            "name does not resolve",
        ),
        (Outcome::Timeout, "timed out"),
        (
            event("overloaded_error"),
            "error event 529 overloaded_error",
        ),
        (event("sk-live-0123456789abcdef"), "error event 529"),
        (event("bad\nline"), "error event 529"),
        (
            Outcome::ErrorEvent {
                status: None,
                kind: String::new(),
                cause: None,
            },
            "error event",
        ),
    ];
    for (outcome, line) in cases {
        assert_eq!(outcome.to_string(), line, "{outcome:?}");
    }
}
