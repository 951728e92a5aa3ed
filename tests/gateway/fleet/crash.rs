//! `kill -9` of a gateway that makes keys: every key that was answered is there.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::common::fake::{Fake, Wire};

const KILLS: usize = 5;
const CLIENTS: usize = 3;

async fn make_keys(address: SocketAddr, answered: Arc<Mutex<Vec<(String, String)>>>) {
    let request = admin("POST", "/access-keys", Some(&json!({})));
    loop {
        let attempt = async {
            let mut client = Client::try_connect(address).await?;
            loop {
                let answer = client.try_ask(&request).await?;
                if !answer.clean {
                    return Err::<(), _>("cut off".to_owned());
                }
                answered.lock().push(created(&answer));
            }
        };
        drop(attempt.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn killed(mut gateway: Gateway) {
    let answered: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(make_keys(gateway.admin, answered.clone())))
        .collect();
    for _ in 0..KILLS {
        let before = answered.lock().len();
        assert!(
            crate::common::eventually(crate::common::PATIENCE, || answered.lock().len()
                > before + 5)
            .await
        );
        tokio::time::sleep(Duration::from_millis(tollgate_base::random::bits64() % 60)).await;
        gateway.kill();
        gateway.restart().await;
    }
    for client in clients {
        client.abort();
        if let Err(error) = client.await {
            assert!(error.is_cancelled(), "{error}");
        }
    }
    let answered = std::mem::take(&mut *answered.lock());
    let mut client = Client::connect(Version::H1, gateway.address).await;
    for (id, token) in &answered {
        let answer = client.ask(&chat(token)).await;
        assert_eq!(answer.status(), 200, "{id}: {}", answer.text());
    }
    gateway.stop().await;
    let store = resources(&gateway);
    let stored = created_in(&*store).await;
    let audited = store.audit(None, 100_000).await.unwrap().len();
    println!(
        "{KILLS} kills: {} keys answered, {stored} stored, {audited} audited",
        answered.len()
    );
    assert!(stored >= answered.len());
    assert_eq!(
        stored, audited,
        "a key and its entry in the audit log are written together"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_answered_is_there_in_sqlite() {
    let fake = Fake::good(Wire::H1, "hello").await;
    killed(managed().fake("f", &fake).start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_answered_is_there_in_redis() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    killed(replica(&redis).fake("f", &fake).start().await).await;
}
