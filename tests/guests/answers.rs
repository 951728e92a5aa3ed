//! Providers that answer with what should not be read: bombs, and other protocols.

use std::io::Write as _;
use std::time::Duration;

use brotli::BrotliCompress;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::house::{ATTACKER, Bank, House, repeatedly};
use crate::common::client::Client;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::{Request, from};
use crate::common::script::Script;

const CODINGS: [&str; 6] = ["gzip", "deflate", "zstd", "br", "gzip, gzip", "exi"];

/// Megabytes, or a gigabyte where a coding lets its parts stand behind each other, in a few hundred kilobytes.
fn bomb(coding: &str) -> Bytes {
    let blanks = vec![b' '; 1 << 20];
    let many = vec![b' '; 5 << 20];
    match coding {
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&many).unwrap();
            encoder.finish().unwrap().into()
        }
        "zstd" => zstd::encode_all(&*blanks, 1).unwrap().repeat(1024).into(),
        "br" => {
            let mut out = Vec::new();
            let params = BrotliEncoderParams {
                quality: 5,
                ..BrotliEncoderParams::default()
            };
            BrotliCompress(&mut &*many, &mut out, &params).unwrap();
            out.into()
        }
        _ => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&blanks).unwrap();
            encoder.finish().unwrap().repeat(300).into()
        }
    }
}

/// A provider of the attacker's that answers as the request's headers say.
async fn house() -> (House, Fake) {
    let bombs = CODINGS.map(|coding| (coding, bomb(coding)));
    let evil = Fake::answering(Wire::H1, move |seen| {
        let asked = |name| seen.header(name).unwrap_or_default();
        let status = asked("x-test-status").parse().unwrap_or(200);
        if status == 101 {
            let head = [("connection", "upgrade"), ("upgrade", "websocket")];
            return Script::new().head(101, &head).data("data: hello\n\n");
        }
        let coding = asked("x-test-coding");
        let (_, bomb) = bombs.iter().find(|(name, _)| *name == coding).unwrap();
        let head = [
            ("content-type", asked("x-test-type")),
            ("content-encoding", coding),
        ];
        Script::new().head(status, &head).data(bomb.clone())
    })
    .await;
    let mut entry = provider("evil", &evil);
    entry["keys"][0]["account"] = ATTACKER.into();
    // Anthropic's requests are translated.
    entry["surfaces"] = serde_json::json!(["openai/chat-completions"]);
    let house = House::open(Bank::Sqlite, |builder| builder.provider(entry)).await;
    (house, evil)
}

/// The most memory that the process ever had, in MiB.
fn peak(gateway: &Gateway) -> u64 {
    crate::fleet::memory(gateway, "VmHWM:")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_answers_become_no_more_than_plain_ones_may() {
    let (house, _evil) = house().await;
    let gateway = &house.gateway;
    // Whole answers and streams, untouched and translated, errors that are relayed and that are judged.
    let mut requests = Vec::new();
    for coding in CODINGS {
        for (kind, status) in [
            ("application/json", "200"),
            ("text/event-stream", "200"),
            ("application/json", "400"),
            ("application/json", "429"),
        ] {
            for stream in [false, true] {
                for request in [Request::chat, Request::message] {
                    let request = from(ATTACKER, request(&["evil:m"], stream))
                        .header("x-test-coding", coding)
                        .header("x-test-type", kind)
                        .header("x-test-status", status);
                    requests.push(request);
                }
            }
        }
    }
    let before = peak(gateway);
    let longest = house
        .serves_during(async {
            let mut longest = 0;
            for request in &requests {
                let mut client = Client::try_connect(gateway.address).await.unwrap();
                let answer = client.try_ask(request).await.unwrap();
                assert_ne!((answer.status(), answer.clean), (200, true), "{request:?}");
                longest = longest.max(answer.body.len());
            }
            longest
        })
        .await;
    assert!(longest < 64 << 20, "{longest} bytes of one answer");
    let grown = peak(gateway) - before;
    assert!(grown < 200, "{grown} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_switches_protocols_has_failed() {
    let (house, _evil) = house().await;
    let address = house.gateway.address;
    let attack = repeatedly(2, Duration::from_millis(1200), |_| async {
        for stream in [false, true] {
            let request = from(ATTACKER, Request::chat(&["evil:m"], stream))
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("x-test-status", "101");
            let mut client = Client::try_connect(address).await.unwrap();
            let answer = client.try_ask(&request).await.unwrap();
            assert_eq!(answer.status(), 503, "{}", answer.text());
        }
    });
    house.withstands(attack).await;
}
