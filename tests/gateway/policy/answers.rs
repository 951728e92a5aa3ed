//! What an answer's head says about itself.

use super::{ENDPOINTS, ask, least, provider};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script};

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_is_made() {
    let fake = provider().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    let long = "x".repeat(129);
    for version in [Version::H1, Version::H2] {
        for (id, kept) in [
            ("req-1_a.b:c", true),
            (&long[1..], true),
            (&long, false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("caf\u{e9}", false),
        ] {
            let mut ids = Vec::new();
            for endpoint in [ENDPOINTS[0], ENDPOINTS[4]] {
                let request = least(endpoint, "m").header("x-request-id", id);
                let answer = Client::connect(version, gateway.at(version))
                    .await
                    .ask(&request)
                    .await;
                assert_eq!(answer.status(), 200, "{id:?}: {}", answer.text());
                let named = answer
                    .header("x-request-id")
                    .expect("always one")
                    .to_owned();
                assert_eq!(named == id, kept, "{version:?} {id:?} became {named:?}");
                assert!(kept || named.starts_with("req_"), "{id:?} became {named:?}");
                let anthropic = endpoint.0 == "/v1/messages";
                let other = answer.header("request-id");
                assert_eq!(other, anthropic.then_some(named.as_str()), "{}", endpoint.0);
                let upstream = fake.seen().pop().unwrap();
                assert_eq!(
                    upstream.header("x-request-id"),
                    Some(named.as_str()),
                    "the provider may log it"
                );
                ids.push(named);
            }
            assert_eq!(ids[0] == ids[1], kept, "a made one is used once");
        }
    }
}

#[tokio::test]
async fn an_answer_says_who_gave_it_and_how_long_it_took() {
    let broken = Fake::start(Wire::H1, Script::error(503, "no")).await;
    let fake = Fake::answering(Wire::H1, |seen| {
        let mut script = Script::json(200, &super::shape(&seen.path));
        for act in &mut script.acts {
            if let Act::Head(_, headers) = act {
                let more = [
                    ("x-request-id", "theirs"),
                    ("x-tollgate-attempts", "99"),
                    ("x-ratelimit-remaining-requests", "59"),
                    ("openai-processing-ms", "12"),
                    ("set-cookie", "session=theirs"),
                    ("x-tollgate-provider", "forged"),
                    ("server-timing", "forged;dur=1"),
                ];
                headers.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
        }
        script
            .acts
            .insert(0, Act::Wait(std::time::Duration::from_millis(30)));
        script
    })
    .await;
    let gateway = Gateway::builder()
        .fake("broken", &broken)
        .fake("p", &fake)
        .start()
        .await;
    for endpoint in ENDPOINTS {
        let answer = ask(&gateway, &least(endpoint, "p:m")).await;
        assert_eq!(answer.status(), 200, "{}: {}", endpoint.0, answer.text());
        for (name, wanted) in [
            ("x-tollgate-provider", Some("p")),
            ("x-tollgate-model", Some("m")),
            ("x-tollgate-attempts", Some("1")),
            ("x-ratelimit-remaining-requests", Some("59")),
            ("openai-processing-ms", Some("12")),
            ("set-cookie", None),
        ] {
            let all: Vec<&str> = answer
                .head
                .headers
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(
                all,
                wanted.into_iter().collect::<Vec<_>>(),
                "{} {name}",
                endpoint.0
            );
        }
        assert!(
            answer
                .head
                .headers
                .iter()
                .all(|(_, value)| value != "theirs"),
            "{}: one id for one request: {:?}",
            endpoint.0,
            answer.head.headers
        );
        let timing = answer.header("server-timing").expect("server-timing");
        let dur = |entry: &str| entry.split_once(";dur=").unwrap().1.parse::<f64>().unwrap();
        let entries: Vec<&str> = timing.split(", ").collect();
        assert!(
            entries[0].starts_with("gateway;") && entries[1].starts_with("upstream;"),
            "{timing}"
        );
        assert!(
            dur(entries[1]) >= 30.0 && dur(entries[0]) < 5_000.0,
            "milliseconds: {timing}"
        );
    }
    let answer = ask(&gateway, &Request::chat(&["broken:m", "p:other"], false)).await;
    let said = |name| answer.header(name);
    assert_eq!(said("x-tollgate-provider"), Some("p"));
    assert_eq!(said("x-tollgate-model"), Some("other"));
    assert_eq!(said("x-tollgate-attempts"), Some("2"));
    // A relayed error says it too; a refusal has an id and no attempt.
    let answer = ask(&gateway, &Request::chat(&["broken:m"], false)).await;
    assert_eq!(
        (answer.status(), answer.header("x-tollgate-provider")),
        (503, Some("broken"))
    );
    assert!(answer.header("x-request-id").is_some());
    let answer = ask(&gateway, &Request::chat(&["nonsense"], false)).await;
    assert_eq!(
        (answer.status(), answer.header("x-tollgate-attempts")),
        (422, None)
    );
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_stream_says_the_same() {
    let fake = Fake::good(Wire::H1, "hello you").await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.at(version)).await;
        let answer = client.ask(&Request::chat(&["m"], true)).await;
        assert_eq!((answer.status(), answer.clean), (200, true), "{version:?}");
        for name in [
            "x-request-id",
            "x-tollgate-provider",
            "x-tollgate-model",
            "x-tollgate-attempts",
            "server-timing",
        ] {
            assert!(answer.header(name).is_some(), "{version:?} {name}");
        }
    }
}
