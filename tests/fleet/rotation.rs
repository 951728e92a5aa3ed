//! A provider key is rotated under load, and no request notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::author::Author;
use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::Script;

const ROTATIONS: usize = 20;
const CONNECTIONS: usize = 16;

/// How long a provider takes both keys: as long as a change may take to reach every replica.
const BOTH: Duration = SOON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_provider_key_is_rotated() {
    let redis = Process::start(&[]);
    let valid: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(vec!["value-0".to_owned()]));
    let keys = valid.clone();
    let fake = Fake::answering(Wire::H1, move |seen| {
        let key = seen.header("authorization").unwrap_or_default();
        let key = key.trim_start_matches("Bearer ");
        if keys.lock().iter().any(|valid| valid == key) {
            Script::chat(false, "hello")
        } else {
            Script::error(401, "no such key")
        }
    })
    .await;
    let mut provider = crate::common::gateway::provider("f", &fake);
    provider["keys"] = json!([]);
    let start = || replica(&redis).provider(provider.clone()).start();
    let gateways = [start().await, start().await];
    let author = Author::beside(&gateways[0]);
    author
        .put("pk_1", &author.provider_key("pk_1", "f", "value-0"))
        .await;
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
    for rotation in 1..=ROTATIONS {
        let value = format!("value-{rotation}");
        valid.lock().push(value.clone());
        let new = author.provider_key("pk_1", "f", &value);
        author.put("pk_1", &new).await;
        tokio::time::sleep(BOTH).await;
        valid.lock().remove(0);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
    let refused = fake.seen().len() - served.load(Ordering::Relaxed);
    println!(
        "{ROTATIONS} rotations: {} requests over {CONNECTIONS} connections, none failed",
        served.load(Ordering::Relaxed)
    );
    assert!(
        refused <= gateways.len(),
        "{refused} attempts with a key that was not valid"
    );
}
