//! The harness itself: a fake does what its script says, a client sees it.

use std::time::Duration;

use crate::common::client::{Chunk, Client, Version};
use crate::common::fake::{Fake, Reading, Wire};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_word, gzip};
use crate::common::{eventually, sse};

/// Both wires, and the client that speaks each.
const WIRES: [(Wire, Version); 3] = [
    (Wire::H1, Version::H1),
    (Wire::TlsH1, Version::TlsH1),
    (Wire::TlsH2, Version::TlsH2),
];

#[tokio::test]
async fn a_good_fake_answers_twice_on_one_connection_and_remembers_every_byte() {
    for (wire, version) in WIRES {
        let fake = Fake::good(wire, "hello you").await;
        let mut client = Client::connect(version, fake.address).await;
        for stream in [false, true] {
            let mut request = Request::chat(&["m"], stream);
            let filler = " ".repeat(3 << 20);
            request.body = [request.body.as_ref(), filler.as_bytes()].concat().into();
            let answer = client.ask(&request).await;
            assert_eq!((answer.status(), answer.clean), (200, true), "{wire:?}");
            assert_eq!(
                stream,
                sse::chat_text(&answer.body) == "hello you",
                "{wire:?}: {}",
                answer.text()
            );
            let seen = fake.seen().pop().unwrap();
            assert!(
                seen.body == request.body,
                "{wire:?}: {} bytes",
                seen.body.len()
            );
            assert_eq!(
                seen.version,
                if wire == Wire::TlsH2 {
                    "HTTP/2"
                } else {
                    "HTTP/1.1"
                }
            );
        }
        assert_eq!(fake.connections(), 1, "{wire:?}: kept alive");
    }
}

#[tokio::test]
async fn broken_bodies_are_seen_as_broken() {
    let word = chat_word("hi");
    for (wire, version) in WIRES {
        for end in [Act::Cut, Act::Reset, Act::ResetStream] {
            let fake = Fake::start(
                wire,
                Script::sse().data(word.clone()).wait(30).then(end.clone()),
            )
            .await;
            let mut client = Client::connect(version, fake.address).await;
            let answer = client.ask(&Request::chat(&["m"], true)).await;
            assert_eq!(answer.status(), 200, "{wire:?} {end:?}");
            assert!(!answer.clean, "{wire:?} {end:?}: {}", answer.text());
            assert_eq!(sse::chat_text(&answer.body), "hi", "{wire:?} {end:?}");
            let headless = Fake::start(wire, Script::new().then(end.clone())).await;
            let mut client = Client::connect(version, headless.address).await;
            assert!(
                client.try_ask(&Request::chat(&["m"], true)).await.is_err(),
                "{wire:?} {end:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_fake_notices_when_its_peer_leaves() {
    let forever = Act::Forever(chat_word("x").into(), Duration::from_millis(5));
    for (wire, version) in WIRES {
        for (script, head) in [
            (Script::new().silence(), false),
            (Script::sse().then(forever.clone()), true),
        ] {
            let fake = Fake::start(wire, script).await;
            let mut client = Client::connect(version, fake.address).await;
            let request = Request::chat(&["m"], true);
            if head {
                client.begin(&request).await.unwrap();
                assert!(matches!(client.chunk().await, Chunk::Data(_)));
            } else {
                let begun = client.begin(&request);
                assert!(
                    tokio::time::timeout(Duration::from_millis(100), begun)
                        .await
                        .is_err()
                );
            }
            assert!(fake.seen()[0].gone.is_none());
            drop(client);
            let gone = || fake.seen()[0].gone.is_some() && fake.open_connections() == 0;
            assert!(
                eventually(Duration::from_secs(2), gone).await,
                "{wire:?} head {head}"
            );
        }
    }
}

#[tokio::test]
async fn a_fake_may_read_little_or_nothing() {
    let script = || Script::error(429, "too many");
    let early = Fake::with(Wire::H1, Reading::Head, move |_| script()).await;
    let mut client = Client::connect(Version::H1, early.address).await;
    assert_eq!(
        client.ask(&Request::chat(&["m"], false)).await.status(),
        429
    );
    let reset = Fake::with(Wire::H1, Reading::Nothing, move |_| Script::new()).await;
    let mut client = Client::connect(Version::H1, reset.address).await;
    assert!(client.try_ask(&Request::chat(&["m"], false)).await.is_err());
    assert_eq!(reset.count(), 0);
}

#[tokio::test]
async fn interim_answers_single_bytes_and_close_delimited_bodies_arrive() {
    for (wire, version) in WIRES {
        let script = Script::new()
            .then(Act::Interim(103))
            .head(200, &[])
            .then(Act::Bytewise("a\u{e9}b".into()));
        for script in [script.clone(), script.close_delimited()] {
            let fake = Fake::start(wire, script).await;
            let mut client = Client::connect(version, fake.address).await;
            let answer = client.ask(&Request::chat(&["m"], true)).await;
            // A TLS connection that just ends is a truncation to a careful client.
            assert!(answer.clean || wire == Wire::TlsH1, "{wire:?}");
            assert_eq!(answer.text(), "a\u{e9}b", "{wire:?}");
        }
    }
}

#[test]
fn gzip_members_are_valid() {
    // The CRC-32 of "123456789" is the check value every description of it gives.
    let member = gzip(b"123456789");
    assert_eq!(
        member[member.len() - 8..],
        [0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0]
    );
    assert_eq!(gzip(&[7; 100_000]).len(), 10 + 2 * 5 + 100_000 + 8);
}
