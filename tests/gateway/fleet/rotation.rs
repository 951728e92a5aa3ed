//! A provider key is rotated under load, and no request notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::Script;

const ROTATIONS: usize = 20;
const CONNECTIONS: usize = 16;

/// How long the last requests with the old key may take to arrive, once every replica uses the new one.
const LAST: Duration = Duration::from_millis(300);

fn told(key: &str) -> String {
    key.replace("value-", "the key number ") + "."
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_provider_key_is_rotated() {
    let redis = Process::start(&[]);
    let valid: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(vec!["value-0".to_owned()]));
    let keys = valid.clone();
    let fake = Fake::answering(Wire::H1, move |seen| {
        let key = seen.header("authorization").unwrap_or_default();
        let key = key.trim_start_matches("Bearer ");
        if keys.lock().iter().any(|valid| valid == key) {
            // Says which key it was called with, in other words: keys are masked.
            Script::chat(false, &told(key))
        } else {
            Script::error(401, "no such key")
        }
    })
    .await;
    let mut provider = crate::common::gateway::provider("f", &fake);
    provider["keys"] = json!([]);
    // It is about keys: a busy machine must not look like a slow provider.
    let patient = json!({"timeouts": {"per_request": "20s"}});
    let start = || {
        let builder = replica(&redis).config(patient.clone());
        builder.provider(provider.clone()).start()
    };
    let gateways = [start().await, start().await];
    let id = provider_key(&gateways[0], "value-0").await;
    let request = Request::chat(&["f:m"], false);
    for gateway in &gateways {
        until(
            gateway.address,
            &request,
            200,
            clock::now(),
            "the first key",
        )
        .await;
    }

    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let address = gateways[number % gateways.len()].address;
            let (stop, served, request) = (stop.clone(), served.clone(), request.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(Version::H1, address).await;
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.ask(&request).await;
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut everywhere = Vec::new();
    for rotation in 1..=ROTATIONS {
        let value = format!("value-{rotation}");
        valid.lock().push(value.clone());
        let (here, began) = (&gateways[rotation % 2], clock::now());
        rotate(here, &id, &value).await;
        for gateway in &gateways {
            while !ask(gateway.address, &request)
                .await
                .text()
                .contains(&told(&value))
            {
                assert!(
                    clock::now() < began + crate::common::PATIENCE,
                    "{value} is not used"
                );
            }
            everywhere.push(clock::now() - began);
        }
        tokio::time::sleep(LAST).await;
        valid.lock().remove(0);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
    println!(
        "{ROTATIONS} rotations: {} requests over {CONNECTIONS} connections, none failed",
        served.load(Ordering::Relaxed)
    );
    let keys = valid.lock().clone();
    assert_eq!(
        keys,
        [format!("value-{ROTATIONS}")],
        "only the last one is valid"
    );
    let what = "a rotated provider key under load, from the question to serving it";
    // All of the load runs on the machine of the test.
    assert!(super::changes::worst(what, everywhere) < 3 * SOON);
}
