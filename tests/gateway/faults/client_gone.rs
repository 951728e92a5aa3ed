//! A client that leaves takes its upstream request with it, unless that is read on for its usage
//! (`ledger/leaving`).

use std::time::Duration;

use serde_json::json;

use crate::common::client::{Chunk, Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_role, chat_word};

/// How soon the provider must notice.
const SOON: Duration = Duration::from_secs(1);

/// When the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The provider has not answered.
    BeforeHeaders,
    /// The provider has sent headers and a role: nothing that commits.
    BeforeContent,
    /// In the middle of a stream that flows.
    MidStream,
    /// In the middle of a stream that is silent.
    MidSilence,
    /// The client was given a status and comments.
    SoftCommit,
    /// The client waits for an answer in one piece.
    Whole,
}

fn script(when: When) -> Script {
    match when {
        When::BeforeHeaders | When::SoftCommit | When::Whole => Script::new().silence(),
        When::BeforeContent => Script::sse().data(chat_role()).silence(),
        When::MidStream => Script::sse().then(Act::Forever(
            chat_word("x").into(),
            Duration::from_millis(20),
        )),
        When::MidSilence => Script::sse().data(chat_word("x")).silence(),
    }
}

async fn check(wire: Wire, version: Version) {
    let patient = [
        When::BeforeHeaders,
        When::BeforeContent,
        When::MidStream,
        When::MidSilence,
        When::Whole,
    ];
    check_with(wire, version, "30s", &patient).await;
    check_with(wire, version, "200ms", &[When::SoftCommit]).await;
}

async fn check_with(wire: Wire, version: Version, hold: &str, whens: &[When]) {
    let spare = Fake::good(wire, "never asked").await;
    let timeouts = json!({
        "timeouts": {"per_request": "30s", "stream_idle": "30s", "hold": hold},
        "ledger": {"usage_grace": "0s"},
    });
    let mut builder = Gateway::builder().fake("spare", &spare).config(timeouts);
    let mut fakes = Vec::new();
    for when in whens {
        let fake = Fake::start(wire, script(*when)).await;
        builder = builder.fake(&format!("p{}", fakes.len()), &fake);
        fakes.push(fake);
    }
    let gateway = builder.start().await;
    for (index, (when, fake)) in whens.iter().zip(&fakes).enumerate() {
        let case = format!("{when:?} {wire:?} {version:?}");
        let mut client = Client::connect(version, gateway.address).await;
        let request = Request::chat(&[&format!("p{index}:m"), "spare:m"], *when != When::Whole);
        if matches!(when, When::MidStream | When::MidSilence | When::SoftCommit) {
            let head = client.begin(&request).await;
            assert!(head.is_ok_and(|head| head.status == 200), "{case}");
            if *when != When::SoftCommit {
                assert!(matches!(client.chunk().await, Chunk::Data(_)), "{case}");
            }
        } else {
            let begun = client.begin(&request);
            assert!(
                tokio::time::timeout(Duration::from_millis(500), begun)
                    .await
                    .is_err(),
                "{case}: no answer yet"
            );
        }
        assert!(
            eventually(SOON, || fake.count() == 1).await,
            "{case}: the provider was asked"
        );
        assert!(fake.seen()[0].gone.is_none(), "{case}: and is still held");
        drop(client);
        let gone = eventually(SOON, || fake.seen()[0].gone.is_some()).await;
        assert!(
            gone,
            "{case}: the provider still works for nobody after {SOON:?}"
        );
        assert_eq!(
            spare.count(),
            0,
            "{case}: nobody is there for another attempt"
        );
    }
}

#[tokio::test]
async fn http1_from_http1() {
    check(Wire::H1, Version::H1).await;
}

#[tokio::test]
async fn http1_from_http2() {
    check(Wire::TlsH2, Version::H1).await;
}

#[tokio::test]
async fn http2_from_http1() {
    check(Wire::H1, Version::H2).await;
}

#[tokio::test]
async fn http2_from_http2() {
    check(Wire::TlsH2, Version::H2).await;
}

/// Nobody looked after it: the wait went on, and another attempt after it.
#[tokio::test]
async fn a_wait_for_a_retry_ends_with_its_client() {
    for version in [Version::H1, Version::H2] {
        let limited = Script::error_with(429, "later", &[("retry-after", "20")]);
        let fake = Fake::start(Wire::H1, limited).await;
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .config(json!({"retry": {"same": 1, "most": "25s"}}))
            .start()
            .await;
        let mut client = Client::connect(version, gateway.address).await;
        let request = Request::chat(&["p:m"], false);
        let begun = client.begin(&request);
        assert!(
            tokio::time::timeout(Duration::from_millis(500), begun)
                .await
                .is_err(),
            "{version:?}: the retry is waited for"
        );
        assert_eq!(fake.count(), 1, "{version:?}: the provider was asked");
        drop(client);
        let over = || gateway.access_log().len() == 1;
        assert!(
            eventually(Duration::from_secs(10), over).await,
            "{version:?}: it is waited for nobody"
        );
        assert_eq!(fake.count(), 1, "{version:?}: and nothing is tried again");
    }
}
